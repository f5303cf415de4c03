"""A small migration with one finished run and people who may sign it off."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledger_samples import YAML, keep

from workbench.evidence import Status


@pytest.fixture
def credit(tmp_path: Path) -> Path:
    folder = tmp_path / "credit"
    folder.mkdir()
    rows = "\n".join(f"{'fm'[n % 2]},{n % 3 % 2},{n % 2}" for n in range(40))
    (folder / "loans.csv").write_text(f"sex,default,decision\n{rows}\n")
    (folder / "migration.yaml").write_text(YAML)
    keep(folder)
    return folder


@pytest.fixture
def ready(credit: Path) -> Path:
    """With nothing that blocks."""
    keep(credit, Status.PASS)
    return credit
