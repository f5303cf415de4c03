"""A pair that parts ways: the candidate's scores are the legacy's, blurred, so that some labels flip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench import catalog
from workbench.evidence import Evidence
from workbench.migration import open_migration

YAML = """version: 1
name: small
data: {holdout: rows.parquet}
legacy: {uri: "column:a"}
candidate: {uri: "column:b"}
task: {kind: binary, target: y, positive: 1, threshold: 0.5}
roles: {protected: [sex, region]}
"""


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    n = 900
    frame = pd.DataFrame(
        {"sex": rng.choice(["f", "m"], n), "region": rng.choice(["n", "s", "w"], n, p=[0.6, 0.37, 0.03])}
    )
    frame["a"] = np.clip(rng.random(n) + 0.1 * (frame.sex == "m"), 0.0, 1.0)
    frame["b"] = np.clip(frame.a + rng.normal(0, 0.08, n), 0.0, 1.0)
    frame["y"] = (rng.random(n) < frame.a).astype(int)
    return frame


@pytest.fixture(scope="module")
def pair(rows: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explore")
    rows.to_parquet(folder / "rows.parquet")
    (folder / "migration.yaml").write_text(YAML)
    return folder


@pytest.fixture(scope="module")
def bias(pair: Path) -> Evidence:
    return catalog.run(open_migration(pair), "bias", {"draws": 500})
