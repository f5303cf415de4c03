"""The sample, cut small, and one undisturbed run of its whole journey, which every test here reads and none changes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from journeys import Journey, broken, run

ROWS = {"train": 900, "holdout": 600, "production": 300}
QUICK = """\
audits:
  bias: {draws: 200}
  parity: {draws: 100}
  explainability: {rows: 20, background: 20, evaluations: 10000}
  benchmark: {batches: [100], seconds: 0.1, samples: 10}
"""


@pytest.fixture(scope="session")
def sample(sample_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`workbench demo` with its own legacy model and few rows; not run yet."""
    import pandas as pd

    from workbench.demo import FILES

    folder = tmp_path_factory.mktemp("sample") / "lending"
    shutil.copytree(sample_folder, folder)
    for name, file in FILES.items():
        path = folder / file
        if path.suffix == ".csv":
            pd.read_csv(path, dtype=str, keep_default_na=False).head(ROWS[name]).to_csv(path, index=False)
        else:
            pd.read_parquet(path).head(ROWS[name]).to_parquet(path, index=False)
    path = folder / "migration.yaml"
    text = path.read_text(encoding="utf-8")
    assert "audits: {}" in text
    path.write_text(text.replace("audits: {}", QUICK), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def journey(sample: Path) -> Journey:
    """One undisturbed run of the whole journey."""
    folder = sample.with_name("undisturbed")
    shutil.copytree(sample, folder)
    code, events = run(folder)
    assert code in (0, 1, 2), broken(folder, events)
    return Journey(folder, events)
