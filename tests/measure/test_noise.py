"""Label noise: planted flips are found and sized, merely hard labels are not called wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from workbench.measure.noise import label_noise


def drawn(steepness: float, base: float, flipped: float, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({f"x{i}": random.normal(size=20_000) for i in range(4)})
    score = steepness * frame.sum(axis=1) / 2 + base
    label = (random.random(20_000) < 1 / (1 + np.exp(-score))).astype(np.int64)
    return frame, np.where(random.random(20_000) < flipped, 1 - label, label)


@pytest.mark.parametrize(("steepness", "base"), [(3, 0), (4, -1.2)])
def test_flipped_labels_are_found_and_sized(steepness: float, base: float) -> None:
    frame, label = drawn(steepness, base, 0.05)
    found = label_noise(frame, label, list(frame.columns))
    assert found.estimate.low > 0.02
    assert found.estimate.value == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize(("steepness", "base"), [(1.6, 0), (2, -1.2), (3, 0), (4, -1.2)])
def test_hard_labels_are_not_called_wrong(steepness: float, base: float) -> None:
    frame, label = drawn(steepness, base, 0.0)
    found = label_noise(frame, label, list(frame.columns))
    assert found.reason or found.estimate.value == 0.0


def test_what_cannot_be_told_is_said() -> None:
    frame, label = drawn(0.3, 0, 0.05)
    assert "too little of the label" in label_noise(frame, label, list(frame.columns)).reason
    assert "too few rows" in label_noise(frame.head(20), label[:20], ["x0"]).reason
    assert "too few rows" in label_noise(frame, np.full(20_000, -1), ["x0"]).reason
