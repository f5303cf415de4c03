"""A small migration with one finished run and people who may sign it off."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledger_samples import keep, migration_in

from workbench.evidence import Status


@pytest.fixture
def credit(tmp_path: Path) -> Path:
    folder = migration_in(tmp_path)
    keep(folder)
    return folder


@pytest.fixture
def ready(credit: Path) -> Path:
    """With nothing that blocks."""
    keep(credit, Status.PASS)
    return credit
