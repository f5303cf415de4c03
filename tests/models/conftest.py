"""Rows as old models meet them: missing values, categories, unix seconds, cents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from old_environments import environment_of

from workbench.models import Model, open_model
from workbench.models.environment import Built, Environment


@pytest.fixture(scope="session")
def rows() -> pd.DataFrame:
    """1,500 rows: normal, unix seconds, prices, cents, zeros, a coded and a text category, a little of each missing."""
    rng, n = np.random.default_rng(7), 1500
    frame = pd.DataFrame(
        {
            "score": rng.normal(size=n),
            "seen": 1.7e9 + rng.integers(0, 10**8, n),
            "price": np.round(rng.gamma(2, 1000, n), 2),
            "cents": rng.integers(0, 10**7, n).astype(float),
            "debt": np.where(rng.random(n) < 0.4, 0.0, rng.normal(size=n)),
        }
    )
    frame = frame.mask(rng.random(frame.shape) < 0.08)
    frame["rank"] = rng.choice([3, 7, 11, 20], n)
    frame["trade"] = rng.choice(list("qwertyuiopas"), n)
    return frame


@pytest.fixture(scope="session")
def answers(rows: pd.DataFrame) -> dict[str, Any]:
    """Targets that need every kind of column."""
    rng = np.random.default_rng(8)
    pull = rows["score"].fillna(0) + (rows["seen"].fillna(0) > 1.75e9) + rows["trade"].isin(list("qwer")) * 1.5
    noisy = pull + rng.normal(size=len(rows))
    return {
        "binary": (noisy > 1).astype(int).to_numpy(),
        "multiclass": np.digitize(noisy, [0.3, 1.8]),
        "regression": np.exp(noisy.to_numpy() / 2),
    }


@pytest.fixture(scope="session")
def numbers(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.drop(columns=["rank", "trade"])


@pytest.fixture(scope="session")
def categories(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows as a library with pandas categories is trained on them."""
    return rows.assign(rank=rows["rank"].astype("category"), trade=rows["trade"].astype("category"))


@pytest.fixture
def opened() -> Iterator[Callable[..., Model]]:
    """open_model, with every model closed after the test."""
    models: list[Model] = []

    def open_and_keep(uri: str | Path, **options: Any) -> Model:
        folder = options.pop("folder", Path())
        models.append(open_model(str(uri), folder=folder, **options))
        return models[-1]

    yield open_and_keep
    for model in models:
        model.close()


@pytest.fixture(scope="module")
def built(cases: Path) -> tuple[Environment, Built]:
    """The environment of the files of scikit-learn 1.2.2."""
    return environment_of(cases / "legacy_models/sklearn/1.2.2/RandomForestAudit.pkl")
