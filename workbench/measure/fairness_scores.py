"""How well each group's scores rank and mean what they say, from the rows themselves or from histograms of them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.data.counts import binned
from workbench.measure import auc, quality
from workbench.measure.fairness_groups import Groups
from workbench.measure.fairness_paired import Reading
from workbench.measure.fairness_thresholds import BINS, Bins
from workbench.measure.intervals import Estimate, clopper_pearson
from workbench.measure.matched import Matched
from workbench.measure.quality import Answers

MANY = 300
"""Groups: their scores are no longer kept apart."""


def one_answer(rows: Matched, level: float = 0.95) -> list[Estimate]:
    """Per model the share of rows without its most frequent answer, exact interval: 0 where all get the same."""
    found, n = [], len(rows)
    for side in (rows.before, rows.after):
        if side is not None and side.decision is not None:
            rest = n - int(np.unique(side.decision, return_counts=True)[1].max(initial=0))
            found.append(Estimate(rest / n if n else math.nan, *clopper_pearson(rest, n, level)))
    return found


def order(rows: Matched, reading: Reading, level: float = 0.95) -> list[Estimate]:
    """Per model the area under the ROC curve of the scores, or of the bare decisions (then the balanced accuracy).

    Below 0.5 it ranks the wrong way round. DeLong's interval; NaN with fewer than two rows of either class.
    """
    known, found = reading.target >= 0, []
    for side, said in ((rows.before, reading.before), (rows.after, reading.after)):
        if side is None or said is None:
            continue
        scores = side.scores if side.scores is not None and side.scores.ndim == 1 else said.astype(np.float64)
        areas, cov = auc.delong(reading.target[known], scores[known])
        area = float(areas[0]) if np.isfinite(cov[0, 0]) else math.nan
        found.append(auc.area_estimate(area, float(cov[0, 0]), level))
    return found


def score_table(rows: Matched, groups: Groups, least: int) -> pd.DataFrame:
    """Score metrics per compared group and model: AUC, Brier score, calibration error, mean score - base rate."""
    found = []
    for place, label in enumerate(groups.labels):
        inside = (groups.codes == place) & rows.known
        if inside.sum() < least:
            continue
        for name, side in (("legacy", rows.before), ("candidate", rows.after)):
            if side is not None and side.scores is not None and side.scores.ndim == 1:
                found.append({"group": label, "model": name, **_scores(rows, side, inside)})
    return pd.DataFrame(found)


def _scores(rows: Matched, side: Answers, inside: NDArray[np.bool_]) -> dict[str, float]:
    assert side.scores is not None
    weight = None if rows.weight is None else rows.weight[inside]
    target, score = rows.target[inside].astype(np.float64), side.scores[inside]
    figures = quality.evaluate(target, Answers(scores=score), weight)
    return {
        "rows": int(inside.sum()),
        "auc": figures["auc"],
        "brier": figures["brier"],
        "calibration_error": figures["calibration-error"],
        "mean_score_minus_base_rate": float(np.average(score - target, weights=weight)),
    }


def histograms(rows: Matched, groups: Groups) -> tuple[Bins, ...]:
    """Each model's P(positive) by group and truth; () unless every model gives one, within 0 and 1."""
    sides = [side for side in (rows.before, rows.after) if side is not None]
    scores = [side.scores for side in sides if side.scores is not None and side.scores.ndim == 1]
    if (
        rows.threshold is None
        or len(groups.labels) > MANY
        or len(scores) < len(sides)
        or not all(((s >= 0) & (s <= 1)).all() for s in scores)
    ):
        return ()
    truth = np.where(rows.known, rows.target, 2).astype(np.int64)
    shape = (len(groups.labels), 3, BINS + 1)
    found = []
    for score in scores:
        cell = np.ravel_multi_index((groups.codes, truth, binned(score, BINS)), shape)
        size = int(np.prod(shape))
        n = np.bincount(cell, minlength=size).reshape(shape).astype(np.float64)
        weight = n if rows.weight is None else np.bincount(cell, rows.weight, size).reshape(shape).astype(np.float64)
        found.append(Bins(weight, n))
    return tuple(found)
