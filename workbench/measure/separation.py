"""How well one column alone tells a label or a group: single-feature AUC, cross-fitted; Cramér's V."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.measure.drift import fit_bins
from workbench.measure.intervals import Estimate, z_value

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

LEAST = 50
"""Rows a bin needs on average: rates of finer bins are noise, and the AUC across halves too low."""


@dataclass(frozen=True)
class Separation:
    """How well a column tells labels apart. n: rows it rests on."""

    column: str
    estimate: Estimate
    n: int


def single_feature_auc(frame: pd.DataFrame, labels: NDArray[Any], columns: Sequence[str]) -> list[Separation]:
    """AUC of each column alone for 0/1 labels, or for several classes the AUC of the class it tells worst.

    The column is cut into bins (a missing value is one), bins are ranked by their label rate on one half of the rows
    and scored on the other, and the other way round: a feature that knows nothing gets 0.5 however many values it
    has. It is a little low rather than high: rates of one half rank the bins of the other. labels: [n], -1 unknown.
    """
    known = labels >= 0
    rows, truth = frame[known], labels[known].astype(int)
    return [Separation(name, _worst_class(rows[name], truth), len(truth)) for name in columns]


def _worst_class(column: pd.Series[Any], truth: NDArray[np.int64]) -> Estimate:
    import numpy as np

    classes = np.unique(truth)
    if len(classes) < 2:
        return Estimate(float("nan"))
    codes = _codes(column)
    asked = classes[1:] if len(classes) == 2 else classes
    return min((cross_fitted_auc(codes, truth == label) for label in asked), key=lambda estimate: estimate.value)


def _codes(column: pd.Series[Any]) -> NDArray[np.int64]:
    most = int(min(50, max(2, len(column) // LEAST)))
    return fit_bins(column, bins=most, categories=most).codes(column)


def cross_fitted_auc(codes: NDArray[np.int64], positive: NDArray[np.bool_], level: float = 0.95) -> Estimate:
    """AUC of bins ranked by their rate of positives, with DeLong's interval (DeLong et al. 1988, Biometrics 44:837).

    Each half of the rows (odd and even) is scored with rates of the other. NaN where a half lacks a class.
    """
    import numpy as np

    halves = [(codes[i::2], positive[i::2]) for i in (0, 1)]
    k = int(codes.max()) + 1 if len(codes) else 1
    counts = [(np.bincount(c[y], minlength=k), np.bincount(c[~y], minlength=k)) for c, y in halves]
    if any(side.sum() < 2 for pair in counts for side in pair):
        return Estimate(float("nan"))
    parts = [binned_auc(_rates(*counts[1 - i]), *counts[i]) for i in (0, 1)]
    value = float(np.mean([auc for auc, _ in parts]))
    half = z_value(level) * float(np.sqrt(sum(variance for _, variance in parts))) / 2
    return Estimate(value, max(0.0, value - half), min(1.0, value + half))


def _rates(positives: NDArray[np.int64], negatives: NDArray[np.int64]) -> NDArray[np.float64]:
    """Rate by bin, drawn towards the overall one by one row, which also serves a bin the other half never saw."""
    import numpy as np

    overall = positives.sum() / (positives.sum() + negatives.sum())
    return np.asarray((positives + overall) / (positives + negatives + 1), dtype=np.float64)


def binned_auc(score: NDArray[np.float64], positives: NDArray[Any], negatives: NDArray[Any]) -> tuple[float, float]:
    """AUC of scored bins, and its variance (DeLong's), from counts; NaN where there is no row of a class."""
    import numpy as np

    level, place = np.unique(score, return_inverse=True)
    up = np.bincount(place, positives, len(level))
    down = np.bincount(place, negatives, len(level))
    m, n = up.sum(), down.sum()
    for_positives = (np.cumsum(down) - down / 2) / n
    for_negatives = (m - np.cumsum(up) + up / 2) / m
    auc = float((up * for_positives).sum() / m)
    spread = (up * (for_positives - auc) ** 2).sum() / (m * max(m - 1, 1))
    spread += (down * (for_negatives - auc) ** 2).sum() / (n * max(n - 1, 1))
    return auc, float(spread)


def correlation(frame: pd.DataFrame, target: NDArray[np.float64], columns: Sequence[str]) -> list[Separation]:
    """For a regression: the share of the target's rank variance each column's bins explain, cross-fitted (R² of ranks,
    not below 0), with a normal interval of the two halves' mean squared errors. target: [n], NaN where unknown.
    """
    import numpy as np

    known = np.isfinite(target)
    ranks = midranks(target[known]) / max(known.sum(), 1)
    return [Separation(name, _explained(_codes(frame[name][known]), ranks), int(known.sum())) for name in columns]


def midranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1, ties sharing their mean."""
    import numpy as np

    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[place], dtype=np.float64)


def _explained(codes: NDArray[np.int64], ranks: NDArray[np.float64], level: float = 0.95) -> Estimate:
    import numpy as np

    if len(ranks) < 2 * LEAST or not ranks.std():
        return Estimate(float("nan"))
    k = int(codes.max()) + 1
    overall, predicted = ranks.mean(), np.empty(len(ranks))
    for i in (0, 1):
        other, y = codes[1 - i :: 2], ranks[1 - i :: 2]
        means = (np.bincount(other, y, k) + overall) / (np.bincount(other, minlength=k) + 1)
        predicted[i::2] = means[codes[i::2]]
    ratio = (ranks - predicted) ** 2 / ranks.var()
    value = 1 - float(ratio.mean())
    half = z_value(level) * float(ratio.std(ddof=1)) / float(np.sqrt(len(ratio)))
    return Estimate(max(0.0, value), max(0.0, value - half), min(1.0, max(0.0, value + half)))


def cramers_v(counts: NDArray[Any]) -> float:
    """Association of two categories in [0, 1], corrected for bias (Bergsma 2013, J. Korean Stat. Soc. 42:323).

    counts: [r, c]. NaN where fewer than two rows or columns have any.
    """
    import numpy as np

    table = np.asarray(counts, float)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    n, (r, c) = table.sum(), table.shape
    if min(r, c) < 2 or n < 2:
        return float("nan")
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    phi = float(((table - expected) ** 2 / expected).sum() / n)
    corrected = max(0.0, phi - (r - 1) * (c - 1) / (n - 1))
    rows, columns = r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)
    return float(np.sqrt(corrected / max(min(rows, columns) - 1, 1e-12)))


def proxies(
    frame: pd.DataFrame, groups: NDArray[np.int64], columns: Sequence[str], draws: int = 200, level: float = 0.95
) -> list[Separation]:
    """Cramér's V of each column's bins with the groups, with a percentile interval of multinomial draws of the table.

    groups: [n], codes of one protected attribute.
    """
    import numpy as np

    random = np.random.default_rng(0)
    found = []
    for name in columns:
        codes = fit_bins(frame[name], bins=20, categories=50).codes(frame[name])
        counts = np.zeros((codes.max() + 1, groups.max() + 1))
        np.add.at(counts, (codes, groups), 1)
        drawn = random.multinomial(len(groups), (counts / counts.sum()).ravel(), size=draws).reshape(
            draws, *counts.shape
        )
        low, high = np.quantile([cramers_v(table) for table in drawn], [(1 - level) / 2, (1 + level) / 2])
        found.append(Separation(name, Estimate(cramers_v(counts), float(low), float(high)), len(groups)))
    return found
