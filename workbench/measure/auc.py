"""The area under the ROC curve, of several models on the same rows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from workbench.measure.intervals import Estimate, z_value

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def delong(target: Ints, *scores: Floats) -> tuple[Floats, Floats]:
    """Areas under the ROC curves [m] of m models on the same rows, and their covariance [m, m].

    DeLong, DeLong, Clarke-Pearson 1988 (Biometrics 44:837), by midranks as in Sun and Xu 2014. The covariance is NaN
    with fewer than two rows of either class, the areas with none.
    """
    from scipy.stats import rankdata

    hit = target == 1
    m, n = int(hit.sum()), int((~hit).sum())
    nothing = np.full((len(scores), len(scores)), math.nan)
    if min(m, n) < 1:
        return np.full(len(scores), math.nan), nothing
    areas, above, below = np.zeros(len(scores)), np.zeros((len(scores), m)), np.zeros((len(scores), n))
    for model, score in enumerate(scores):
        among = rankdata(np.concatenate([score[hit], score[~hit]]))
        above[model] = (among[:m] - rankdata(score[hit])) / n
        below[model] = 1 - (among[m:] - rankdata(score[~hit])) / m
        areas[model] = above[model].mean()
    if min(m, n) < 2:
        return areas, nothing
    return areas, np.atleast_2d(np.cov(above)) / m + np.atleast_2d(np.cov(below)) / n


def area_estimate(area: float, variance: float, level: float) -> Estimate:
    """An area under the ROC curve with its interval on the logit scale, by the delta method (Pepe 2003, 5.2).

    Near 1, or with few rows of a class, the plain interval misses the truth far too often: see docs/simulations.md.
    """
    from scipy.special import expit, logit

    if not 0 < area < 1 or math.isnan(variance):
        return normal_estimate(area, variance, z_value(level), (0.0, 1.0))
    middle = float(logit(area))
    half = z_value(level) * math.sqrt(max(0.0, variance)) / (area * (1 - area))
    return Estimate(area, float(expit(middle - half)), float(expit(middle + half)))


def normal_estimate(value: float, variance: float, z: float, span: tuple[float, float]) -> Estimate:
    """A value with z standard errors on either side, within its span; the whole span where the variance is NaN."""
    if math.isnan(variance):
        return Estimate(value, *span)
    half = z * math.sqrt(max(0.0, variance))
    return Estimate(value, max(span[0], value - half), min(span[1], value + half))
