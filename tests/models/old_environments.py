"""Environments of real old files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.models.environment import Built, Environment, build
from workbench.models.safety import survey
from workbench.models.stamps import plan


def environment_of(file: Path) -> tuple[Environment, Built]:
    """What a file's own stamps ask for, made by two processes at once, or kept from an earlier run; skips where none
    can be made here."""
    found, _ = survey(file)
    made = plan(found.names, found.versions)
    assert made is not None
    if made.environment is None or made.missing:
        pytest.skip(f"no environment for {file.parent.name} here: {made.advice}")
    text = json.dumps(made.environment.plain())
    code = f"from workbench.models.environment import *; build(Environment.read({text}))"
    racing = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[1] for process in racing]
    if any(process.returncode for process in racing):
        pytest.skip(f"the environment cannot be built here (is the package index reachable?): {said[0][-300:]}")
    assert sum(text.count("Built in") for text in said) <= 1, "it was built twice"
    return made.environment, build(made.environment)
