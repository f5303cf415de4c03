"""A model's own environment: a virtual environment built once by pip from what migration.yaml asks for, and kept.

It lies in the user's cache (or where WORKBENCH_ENVIRONMENTS says), in a folder named by a hash of Python version,
requirements and platform. Two processes that need it build it once; it gets its name when it is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.models.interpreters import HERE, OLDEST, find_python, how_to_get, is_version, machine, version_of
from workbench.models.protocol import ModelError
from workbench.models.sandbox import folders

PLACE = "WORKBENCH_ENVIRONMENTS"
PATIENCE = 3600.0
"""Seconds a build may take."""
RECORD = "workbench.json"


@dataclass(frozen=True)
class Environment:
    """python: a version ("3.9") or the path of an interpreter, None for ours; requirements: for pip, as declared."""

    requirements: tuple[str, ...]
    python: str | None = None

    @classmethod
    def read(cls, given: object) -> Environment:
        """From an option or a section of migration.yaml. Raises ModelError for anything pip must not get."""
        # pydantic, which comes with it, is not for a host that only opens a pickle.
        from workbench.migration.requirements import requirement_problem

        if isinstance(given, Environment):
            return given
        if not isinstance(given, Mapping) or not set(given) <= {"python", "requirements"}:
            raise ModelError(f"an environment is {{python: ..., requirements: [...]}}, and got {given!r}")
        requirements, python = given.get("requirements", ()), given.get("python")
        if not isinstance(requirements, list | tuple) or not requirements:
            raise ModelError("an environment needs requirements: a list such as [scikit-learn==1.2.2]")
        for text in requirements:
            if not isinstance(text, str) or (problem := requirement_problem(text)):
                raise ModelError(problem if isinstance(text, str) else f"{text!r} is no requirement: write text")
        return cls(tuple(requirements), None if python is None else str(python))

    @property
    def version(self) -> str:
        """Of its Python, "3.9". Raises ModelError where there is no such interpreter here."""
        if self.python is None or is_version(self.python):
            return self.python or HERE
        return version_of(self.interpreter) or ""

    @property
    def interpreter(self) -> str:
        """The path of the Python it is made from. Raises ModelError saying what to do where there is none here."""
        if self.python is None:
            return sys.executable
        if is_version(self.python) and tuple(map(int, self.python.split("."))) < OLDEST:
            raise ModelError(f"a model's environment needs Python {OLDEST[0]}.{OLDEST[1]} at least, not {self.python}")
        found = find_python(self.python)
        if found is None:
            how = how_to_get(self.python) if is_version(self.python) else "give its version, such as python: '3.9'"
            raise ModelError(f"there is no Python {self.python} on this machine for the model's environment: {how}")
        return found

    @property
    def installed(self) -> tuple[str, ...]:
        """What pip gets: the requirements, and what our own file in there speaks with."""
        named = {_name(text) for text in self.requirements}
        python = tuple(map(int, self.version.split(".")))
        newer = python >= (3, 13) or any(_name(text) == "numpy" and ">=2" in text for text in self.requirements)
        arrow = "pyarrow<7" if python < (3, 7) else "pyarrow>=16,<21" if newer else "pyarrow<15"
        needed = {"numpy": "numpy>=2" if newer else "numpy<2", "pandas": "pandas<2.3", "pyarrow": arrow}
        return (*self.requirements, *(text for name, text in needed.items() if name not in named))

    @property
    def key(self) -> str:
        """What decides what is in it."""
        said = json.dumps([self.version, sorted(self.installed), machine()])
        return hashlib.sha256(said.encode()).hexdigest()[:20]

    def plain(self) -> dict[str, Any]:
        """As migration.yaml has it."""
        python = {"python": self.python} if self.python is not None else {}
        return {**python, "requirements": list(self.requirements)}

    def __str__(self) -> str:
        return f"Python {self.version} with {', '.join(self.requirements)}"


def _name(requirement: str) -> str:
    return re.split(r"[\[ =!<>~]", requirement, maxsplit=1)[0].lower().replace("_", "-").replace(".", "-")


@dataclass(frozen=True)
class Built:
    """An environment on disk. installed: every distribution in it with its version."""

    folder: Path
    installed: Mapping[str, str]

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def readable(self) -> list[Path]:
        """What must be seen of it from behind walls: itself, and the Python it was made from."""
        real = Path(os.path.realpath(self.python))
        return [self.folder, *folders(self.python, real.parents[1])]


def place() -> Path:
    """Where environments are kept."""
    chosen = os.environ.get(PLACE)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(chosen).expanduser() if chosen else cache / "migration-workbench" / "environments"


def existing(environment: Environment) -> Built | None:
    """The environment where it is built already and its Python is still there."""
    folder = place() / environment.key
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return Built(folder, record["installed"]) if (folder / "bin" / "python").exists() else None


def build(environment: Environment) -> Built:
    """The environment, built where it is not yet. A line on stderr says so, for it can take minutes.

    Raises ModelError with pip's own words, and what to do.
    """
    if found := existing(environment):
        return found
    from filelock import FileLock

    interpreter, home = environment.interpreter, place()
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / f"{environment.key}.lock"):
        if found := existing(environment):
            return found
        return _build(environment, interpreter, home)


def _build(environment: Environment, interpreter: str, home: Path) -> Built:
    folder, part = home / environment.key, home / f"{environment.key}.part"
    start = time.monotonic()
    _say(f"Building the model's own environment, once: {environment} ...")
    for old in (folder, part):
        shutil.rmtree(old, ignore_errors=True)
    try:
        _run([interpreter, "-I", "-m", "venv", str(part)], environment)
        python = str(part / "bin" / "python")
        if environment.version in ("3.6", "3.7"):
            # What comes with them does not know today's wheels.
            _run([python, "-I", "-m", "pip", "install", "-q", "pip<22" if environment.version == "3.6" else "pip<24.1"],
                 environment)  # fmt: skip
        _run([python, "-I", "-m", "pip", "install", *PIP, *environment.installed], environment)
        listed = _run([python, "-I", "-m", "pip", "list", "--format=json"], environment)
        installed = {one["name"].lower(): one["version"] for one in json.loads(listed)}
        (part / RECORD).write_text(json.dumps({**environment.plain(), "installed": installed}), encoding="utf-8")
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    _say(f"Built in {time.monotonic() - start:.0f} s, and kept in {folder}.")
    return Built(folder, installed)


PIP = ("--prefer-binary", "--no-input", "--disable-pip-version-check", "--progress-bar", "off")


def _run(command: Sequence[str], environment: Environment) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=PATIENCE, env=kept)
    except subprocess.TimeoutExpired:
        raise ModelError(f"the model's environment ({environment}) was not built within {PATIENCE:g} s") from None
    if done.returncode:
        raise ModelError(_failed(environment, done.stderr + done.stdout))
    return done.stdout


def _failed(environment: Environment, output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower() and not line.startswith("WARNING")]
    said = " / ".join(dict.fromkeys(errors[:3] or lines[-3:]))[:600]
    return (
        f"the model's environment ({environment}) could not be built. pip said: {said}. Correct `environment` in "
        "migration.yaml (other versions, or a Python that has wheels of these), see that the package index can be "
        "reached, or export the model from where it still runs; nothing half-made was left"
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
