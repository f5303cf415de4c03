"""How alike two models answer on the same rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.measure.fairness_groups import merge_rare, split
from workbench.measure.intervals import Estimate, clopper_pearson

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

ROUNDING = 1e-6
"""Differences up to this are rounding: some float32 steps of a probability."""


@dataclass(frozen=True)
class Differences:
    """Absolute differences over n rows (of [n, k] the largest of a row). p999 and p99 are NaN with fewer rows than a
    percentile needs (1,000 and 100). row: place of the largest."""

    n: int
    largest: float
    p999: float
    p99: float
    median: float
    rms: float
    row: int

    def table(self) -> pd.DataFrame:
        """One line."""
        names = {"largest": "largest", "p999": "99.9 %", "p99": "99 %", "median": "median", "rms": "root mean square"}
        return pd.DataFrame({title: [getattr(self, name)] for name, title in names.items()})


def gaps(legacy: Floats, candidate: Floats) -> Floats:
    """[n] absolute difference per row, the largest over classes; two equal infinities do not differ."""
    with np.errstate(invalid="ignore"):
        apart = np.where(legacy == candidate, 0.0, np.abs(candidate - legacy))
    return apart if apart.ndim == 1 else np.asarray(apart.max(1))


def differences(legacy: Floats, candidate: Floats) -> Differences:
    """Raises ValueError without rows: there is nothing to compare."""
    apart = gaps(legacy, candidate)
    n = len(apart)
    if n == 0:
        raise ValueError("no rows that both models answered: nothing to compare")
    return Differences(
        n=n,
        largest=float(apart.max()),
        p999=float(np.quantile(apart, 0.999)) if n >= 1000 else math.nan,
        p99=float(np.quantile(apart, 0.99)) if n >= 100 else math.nan,
        median=float(np.median(apart)),
        rms=float(np.sqrt(np.mean(apart**2))),
        row=int(apart.argmax()),
    )


def flip_rate(flipped: Flags, level: float = 0.95) -> Estimate:
    """Share of rows with another label, with the exact interval."""
    n, count = len(flipped), int(flipped.sum())
    return Estimate(count / n if n else math.nan, *clopper_pearson(count, n, level))


@dataclass(frozen=True)
class GroupFlips:
    """Flips among the rows of one group. rate: exact interval, widened so that those of all groups hold together."""

    group: str
    n: int
    count: int
    rate: Estimate


def flips_by(codes: NDArray[np.int64], labels: Sequence[str], flipped: Flags, level: float = 0.95) -> list[GroupFlips]:
    """Flips per group, most affected first; intervals Bonferroni-adjusted for the number of groups."""
    each = 1 - (1 - level) / max(1, len(labels))
    found = [GroupFlips(str(label), 0, 0, Estimate(math.nan)) for label in labels]
    for place, label in enumerate(labels):
        inside = flipped[codes == place]
        found[place] = GroupFlips(str(label), len(inside), int(inside.sum()), flip_rate(inside, each))
    return sorted((group for group in found if group.n), key=lambda group: -group.rate.value)


def segments(
    frame: pd.DataFrame, flipped: Flags, most: int = 20, level: float = 0.95, groups: Sequence[str] = ()
) -> pd.DataFrame:
    """Values with flips, of every column with at most `most` values, worst first; values of under 10 rows are one.
    groups: columns that are looked at with any number of values, in bands where these are numbers.

    Columns: column, value, rows, flips, rate, low, high (exact, adjusted for the number of values of the column).
    """
    found = []
    for name in frame.columns:
        if name in groups or frame[name].nunique(dropna=False) <= most:
            these = merge_rare(split(frame[name], str(name)))
            parts = flips_by(these.codes, these.labels, flipped, level)
            found += [(these.name, part.group, part.n, part.count, *part.rate) for part in parts if part.count]
    columns = ["column", "value", "rows", "flips", "rate", "low", "high"]
    return pd.DataFrame(found, columns=columns).sort_values("rate", ascending=False, ignore_index=True)


_STEPS = (0.0, 1e-15, 1e-12, 1e-9, 1e-6, 1e-3, 1e-2, 1e-1)


def histogram(legacy: Floats, candidate: Floats) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Names of steps of the absolute difference, and the share of rows in each."""
    names = ("none", *(f"up to {step:g}" for step in _STEPS[1:]), f"over {_STEPS[-1]:g}")
    place = np.searchsorted(_STEPS, gaps(legacy, candidate), side="left")
    share = np.bincount(place, minlength=len(names)) / max(1, len(place))
    return names, tuple(share.tolist())


def nearest(legacy: Floats, candidate: Floats, threshold: float, k: int = 10) -> pd.DataFrame:
    """The k rows whose legacy score is nearest the threshold: row (its place), both scores, whether the label flips."""
    place = np.argsort(np.abs(legacy - threshold), kind="stable")[:k]
    one, two = legacy[place], candidate[place]
    flips = (one >= threshold) != (two >= threshold)
    return pd.DataFrame({"row": place, "legacy score": one, "candidate score": two, "flips": flips})


@dataclass(frozen=True)
class RankAgreement:
    """tau: Kendall's tau-b (Kendall 1945), rho: Spearman's, with its Fisher interval (Bonett and Wright 2000).

    Both are 1 where two models order the rows alike with the same ties; NaN where one of them ties all rows.
    """

    tau: float
    rho: Estimate


def ranks(legacy: Floats, candidate: Floats, level: float = 0.95) -> RankAgreement:
    """Rank agreement; answers closer than rounding count as tied, so that it does not break the ties of trees."""
    from scipy.stats import kendalltau, spearmanr

    from workbench.measure.intervals import z_value

    one, two = _snap(legacy), _snap(candidate)
    n = len(one)
    if n < 2 or np.ptp(one) == 0 or np.ptp(two) == 0:
        return RankAgreement(math.nan, Estimate(math.nan))
    tau, rho = float(kendalltau(one, two).statistic), float(spearmanr(one, two).statistic)
    rho = min(1.0, max(-1.0, rho))
    if n < 4 or abs(rho) > 1 - 1e-12:
        return RankAgreement(tau, Estimate(rho, rho, rho) if n >= 4 else Estimate(rho))
    half = z_value(level) * math.sqrt((1 + rho * rho / 2) / (n - 3))
    return RankAgreement(tau, Estimate(rho, math.tanh(math.atanh(rho) - half), math.tanh(math.atanh(rho) + half)))


def _snap(values: Floats) -> Floats:
    """Runs of values that follow each other within rounding get the value of their first."""
    order = np.argsort(values, kind="stable")
    scale = max(1.0, float(np.abs(values).max(initial=0.0)))
    sorted_ = values[order]
    new = np.diff(sorted_, prepend=-np.inf) > 1e-9 * scale
    snapped = np.empty_like(values)
    snapped[order] = sorted_[new][np.cumsum(new) - 1]
    return snapped


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided tests. mean: of the differences, with the interval of level 1 - 2 alpha that decides; p: the larger
    of the two p-values; below alpha the models are equivalent within the margin."""

    mean: Estimate
    level: float
    p: float
    n: int


def equivalence(change: Floats, margin: float, alpha: float = 0.05) -> Equivalence:
    """Two one-sided paired t-tests that the mean difference lies within ± margin (Schuirmann 1987).

    change: [n], candidate - legacy; of [n, k] the column that moved most, with alpha shared among the k.
    Raises ValueError for a margin that is not positive.
    """
    if change.ndim == 2:
        most = int(np.abs(change.mean(0)).argmax())
        return equivalence(change[:, most], margin, alpha / change.shape[1])
    from scipy.special import stdtr

    from workbench.measure.intervals import mean

    if not margin > 0:
        raise ValueError(f"an equivalence margin must be positive, not {margin}: set the margin of the limit")
    n = len(change)
    if n < 2:
        return Equivalence(mean(change), 1 - 2 * alpha, math.nan, n)
    centre, error = float(change.mean()), float(change.std(ddof=1)) / math.sqrt(n)
    if error == 0:
        p = 0.0 if abs(centre) < margin else 1.0
    else:
        p = max(1 - float(stdtr(n - 1, (centre + margin) / error)), float(stdtr(n - 1, (centre - margin) / error)))
    return Equivalence(mean(change, 1 - 2 * alpha), 1 - 2 * alpha, p, n)
