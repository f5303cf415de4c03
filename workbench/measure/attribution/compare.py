"""Two models' attributions for the same rows, compared: row by row, feature by feature, group by group."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.measure.intervals import Estimate

Floats = NDArray[np.float64]
Bar = tuple[float, ...]

TIE = 1e-6
"""Attributions closer than this share of a row's largest are tied: rounding must not reorder reasons."""

DIGITS = 12
FAINT = 0.01
"""An attribution below this share of a row's largest has no sign worth comparing."""


@dataclass(frozen=True)
class Importance:
    """Share of the whole attribution each feature carries, or its change, with percentile bounds, all float64 [M].

    n: rows it rests on.
    """

    features: tuple[str, ...]
    share: Floats
    low: Floats
    high: Floats
    n: int

    def at(self, order: NDArray[np.intp]) -> tuple[tuple[str, ...], Bar, Bar, Bar]:
        """Names, shares and bounds of some features."""
        share, low, high = (tuple(values[order].tolist()) for values in (self.share, self.low, self.high))
        return tuple(self.features[j] for j in order), share, low, high

    def of(self, name: str) -> Estimate:
        """One feature's; 0 without an interval for a column that is no feature."""
        if name not in self.features:
            return Estimate(0.0)
        j = self.features.index(name)
        return Estimate(float(self.share[j]), float(self.low[j]), float(self.high[j]))


def cosine(first: Floats, second: Floats) -> Floats:
    """Cosine similarity per row of [n, M]: 1 the same reasons in the same proportions, 0 unrelated, -1 opposite.

    Two rows without any reason agree (1); one with and one without do not (0).
    """
    lengths = np.linalg.norm(first, axis=1), np.linalg.norm(second, axis=1)
    both = lengths[0] * lengths[1]
    neither = (lengths[0] == 0) & (lengths[1] == 0)
    same = np.einsum("ij,ij->i", first, second) / np.where(both == 0, 1.0, both)
    return np.clip(np.where(neither, 1.0, same), -1.0, 1.0)


def rank_correlation(first: Floats, second: Floats) -> Floats:
    """Spearman's rank correlation per row of the attributions' sizes, ties shared. NaN where one row is all ties.

    Two rows that are both all ties agree (1).
    """
    ranks = [_ranks(values) for values in (first, second)]
    centred = [rank - rank.mean(axis=1, keepdims=True) for rank in ranks]
    flat = [(rank == 0).all(axis=1) for rank in centred]
    scale = np.sqrt((centred[0] ** 2).sum(axis=1) * (centred[1] ** 2).sum(axis=1))
    related = (centred[0] * centred[1]).sum(axis=1) / np.where(scale == 0, np.nan, scale)
    return np.asarray(np.where(flat[0] & flat[1], 1.0, related), dtype=np.float64)


def top_overlap(first: Floats, second: Floats, k: int) -> Floats:
    """Share of each side's k largest attributions that are among the other's, per row; ties with the k-th count."""
    k = min(k, first.shape[1])
    return (_kept(first, second, k) + _kept(second, first, k)) / 2


def sign_agreement(first: Floats, second: Floats) -> Floats:
    """Share of features, per row, that push the same way on both sides; faint ones (FAINT) on both sides left out."""
    signs = []
    for values in (first, second):
        size = np.abs(values)
        signs.append(np.where(size > FAINT * size.max(axis=1, keepdims=True), np.sign(values), 0.0))
    counted = (signs[0] != 0) | (signs[1] != 0)
    # A feature faint on one side only is judged by its bare sign there: a small change is not a change of mind.
    same = np.sign(first) == np.sign(second)
    total = counted.sum(axis=1)
    return np.where(total == 0, 1.0, (same & counted).sum(axis=1) / np.maximum(total, 1))


def changed_reasons(first: Floats, second: Floats, below: float, same_answer: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows [n] whose reasons changed (cosine under `below`) although the answer did not."""
    return (cosine(first, second) < below) & same_answer


@lru_cache(maxsize=2)
def bootstrap_weights(n: int, replicates: int, seed: int) -> Floats:
    """Row weights [replicates, n] of the bootstrap, each summing to 1 (Efron 1979: n draws with replacement).

    Kept for the next measure of the same rows: for reading.
    """
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=replicates) / n


def mean_estimate(values: Floats, weights: Floats, *, level: float = 0.95) -> Estimate:
    """Mean over rows with its percentile bootstrap interval; rows without a value (NaN) left out."""
    kept = ~np.isnan(values)
    if not kept.any():
        return Estimate(float("nan"))
    share = weights[:, kept]
    held = share.sum(axis=1)
    means = (share[held > 0] @ values[kept]) / held[held > 0]
    return _estimated(float(values[kept].mean()), means, level)


def relative_gap(first: Floats, second: Floats, weights: Floats, *, level: float = 0.95) -> Estimate:
    """Total |difference| of attributions as a share of the first side's total |attribution|.

    Unlike the cosine it sees a change of scale too.
    """
    moved, whole = np.abs(second - first).sum(axis=1), np.abs(first).sum(axis=1)
    if not whole.any():
        return Estimate(float("inf") if moved.any() else 0.0)
    replicates = (weights @ moved) / np.maximum(weights @ whole, np.finfo(float).tiny)
    return _estimated(float(moved.sum() / whole.sum()), replicates, level)


def importance(values: Floats, weights: Floats, *, level: float = 0.95) -> tuple[Floats, Floats, Floats]:
    """Global importance: mean |attribution| of each feature as a share of all (Lundberg and Lee 2017), low and high."""
    low, high = np.quantile(shares(values, weights), _tails(level), axis=0)
    return shares(values, _even(values))[0], low, high


def importance_change(
    first: Floats, second: Floats, weights: Floats, *, level: float = 0.95
) -> tuple[Floats, Floats, Floats]:
    """Second share minus first share of each feature, paired: the same bootstrap rows on both sides; low and high."""
    low, high = settled(np.quantile(shares(second, weights) - shares(first, weights), _tails(level), axis=0))
    return settled(shares(second, _even(second)) - shares(first, _even(first)))[0], low, high


def _even(values: Floats) -> Floats:
    return np.full((1, len(values)), 1 / len(values))


def group_gap(values: Floats, groups: NDArray[np.int64], least: int) -> tuple[Floats, int]:
    """Largest difference of mean attribution between two groups, per feature [M], and how many groups were compared.

    groups: [n] codes, negative for rows in none. A group of fewer than `least` rows is left out; with fewer than two
    groups every gap is NaN.
    """
    found = [code for code in np.unique(groups[groups >= 0]) if (groups == code).sum() >= least]
    if len(found) < 2:
        return np.full(values.shape[1], np.nan), len(found)
    return np.ptp(np.stack([values[groups == code].mean(axis=0) for code in found]), axis=0), len(found)


def _ranks(values: Floats) -> Floats:
    """Ranks of |values| within each row, tied ones sharing their mean rank."""
    from scipy.stats import rankdata

    size = np.abs(values)
    largest = size.max(axis=1, keepdims=True)
    rounded = np.round(size / np.where(largest == 0, 1.0, largest) / TIE)
    return np.asarray(rankdata(rounded, axis=1), dtype=np.float64)


def _kept(first: Floats, second: Floats, k: int) -> Floats:
    """Share of the first side's top k that reaches the second side's k-th place."""
    sizes = np.abs(first), np.abs(second)
    lead = np.argsort(-sizes[0], axis=1, kind="stable")[:, :k]
    last = -np.partition(-sizes[1], k - 1, axis=1)[:, k - 1 : k]
    slack = TIE * sizes[1].max(axis=1, keepdims=True)
    real = np.take_along_axis(sizes[0], lead, axis=1) > TIE * sizes[0].max(axis=1, keepdims=True)
    there = np.take_along_axis(sizes[1], lead, axis=1)
    reached = (there >= last - slack) & (there > slack)
    total = real.sum(axis=1)
    return np.where(total == 0, 1.0, (reached & real).sum(axis=1) / np.maximum(total, 1))


def shares(values: Floats, weights: Floats) -> Floats:
    """Mean |attribution| of each feature as a share of all, [replicates, M], under row weights [replicates, n]."""
    means = weights @ np.abs(values)
    return np.asarray(means / np.maximum(means.sum(axis=1, keepdims=True), np.finfo(float).tiny), dtype=np.float64)


def _tails(level: float) -> tuple[float, float]:
    return (1 - level) / 2, (1 + level) / 2


def _estimated(value: float, replicates: Floats, level: float) -> Estimate:
    value, (low, high) = settled(value), settled(np.quantile(replicates, _tails(level)))
    return Estimate(float(value), float(low), float(high))


def settled(values: Any) -> Any:
    """Without the last digits, which only tell in which order sums were made."""
    return np.round(values, DIGITS)
