"""Rows for every test of the lift."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def table() -> tuple[pd.DataFrame, np.ndarray]:
    """4,000 rows of what real tables hold: text, missing values, unix seconds, cents, whole numbers, bools."""
    rng = np.random.default_rng(0)
    n = 4_000
    frame = pd.DataFrame(
        {
            "city": rng.choice(["Bonn", "Köln", "Trier", "ulm"], n, p=[0.5, 0.3, 0.15, 0.05]),
            "kind": pd.Categorical(rng.choice(list("uvwx"), n)),
            "amount": rng.normal(size=n),
            "cents": rng.integers(0, 10**8, n),
            "seen": 1.6e9 + rng.integers(0, 10**7, n),
            "count": rng.integers(0, 6, n),
            "flag": rng.random(n) < 0.3,
        }
    )
    frame.loc[rng.random(n) < 0.1, "city"] = None
    frame.loc[rng.random(n) < 0.1, "amount"] = np.nan
    signal = frame.amount.fillna(0.4) + (frame.city == "Bonn") + (frame.seen > 1.605e9) + (frame.cents % 100 < 50) * 0.3
    return frame, (signal + rng.normal(size=n) * 0.3 > 1.4).to_numpy().astype(int)
