"""What float32 makes of the thresholds of a tree ensemble: how much of a feature it can no longer tell apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.models.trees import Trees


@dataclass(frozen=True)
class Blur:
    """How a feature's thresholds stand to float32. step: its spacing there; gap: median distance between thresholds.

    share: of values between two thresholds, those too near to one for float32 to tell the side. merged: thresholds
    that become equal.
    """

    feature: str
    largest: float
    step: float
    gap: float
    share: float
    merged: int


def blurs(trees: Trees) -> list[Blur]:
    """Every numeric feature with two thresholds or more; infinite ones (missing against the rest) left out."""
    numeric = (trees.feature >= 0) & (trees.category < 0) & np.isfinite(trees.threshold)
    found = []
    for feature in np.unique(trees.feature[numeric]):
        thresholds = np.unique(trees.threshold[numeric & (trees.feature == feature)])
        if len(thresholds) > 1:
            found.append(_blur(trees.features[feature], thresholds))
    return found


def _blur(name: str, thresholds: NDArray[np.float64]) -> Blur:
    largest = float(np.abs(thresholds).max())
    with np.errstate(over="ignore"):
        single = thresholds.astype(np.float32)
    step = float(np.spacing(np.float32(largest)))
    gap = float(np.median(np.diff(thresholds)))
    return Blur(name, largest, step, gap, min(1.0, step / gap), int(len(thresholds) - len(np.unique(single))))
