"""How sure a gap between groups is, and whether it changed: intervals and tests from the table of counts.

Resampling the rows of a table with replacement and counting again is multinomial sampling of its cells, so 10,000
bootstrap replicates cost a few binomial draws per cell, however many rows there are. One draw gives both models and
the change between them.

A gap is the largest difference between any two groups, so a percentile interval of it never reaches 0 and would call
every fair model unfair. Its interval holds the gaps that a calibrated test does not reject (`fairness_range`), and its
test is calibrated under equal rates (max-T: Westfall and Young 1993; Hothorn, Bretz, Westfall 2008).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.measure import fairness
from workbench.measure.fairness import GAPS, Counts, Floats, SideName, generalized_entropy, lowest_share, spread
from workbench.measure.fairness_range import Rates, largest_difference, smallest_share
from workbench.measure.intervals import Estimate, Interval, percentile

RESAMPLED = ("selection_rate", "tpr", "fpr", "ppv", "accuracy")
"""Rates kept per draw: those that a gap compares."""
_AT = [fairness.index(rate) for rate in RESAMPLED]
_BLOCK = 2_000_000
"""Numbers held at once while drawing: bounds memory, whatever the number of groups."""


@dataclass(frozen=True)
class Draws:
    """Bootstrap replicates, the same rows for both models. rates: [D, 2, G, R] with R as in RESAMPLED, legacy first;
    entropy: [D, 2], generalized entropy (alpha 2) of all rows."""

    rates: Floats
    entropy: Floats


def draw(counts: Counts, draws: int = 10_000, seed: int = 0) -> Draws:
    """Resample the rows behind the counts.

    With sample weights the sum of m rows drawn of a cell is gamma distributed, with the mean and the variance that m of
    the cell's weights have.
    """
    blocks = [(_rates(table), _entropy(table)) for table in _tables(counts, draws, seed)]
    if not blocks:
        groups = len(counts.labels)
        return Draws(np.full((draws, 2, groups, len(RESAMPLED)), np.nan), np.full((draws, 2), np.nan))
    return Draws(np.concatenate([rates for rates, _ in blocks]), np.concatenate([entropy for _, entropy in blocks]))


def _tables(counts: Counts, draws: int, seed: int) -> Iterator[Floats]:
    """Resampled tables [b, G, 3, 3, 3], block by block."""
    rng = np.random.default_rng(seed)
    rows = counts.rows.ravel()
    cells = np.flatnonzero(rows)
    total = int(rows.sum())
    block = max(1, _BLOCK // max(1, rows.size))
    for start in range(0, draws if total else 0, block):
        size = min(block, draws - start)
        table = np.zeros((size, rows.size))
        drawn = rng.multinomial(total, rows[cells] / total, size=size)
        table[:, cells] = _weigh(drawn, counts, cells, rng) if counts.weighted else drawn
        yield table.reshape(size, *counts.rows.shape)


def _weigh(drawn: NDArray[np.int64], counts: Counts, cells: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    rows = counts.rows.ravel()[cells]
    mean = counts.weight.ravel()[cells] / rows
    variance = np.maximum(0.0, counts.squares.ravel()[cells] / rows - mean**2)
    summed = drawn * mean
    varied = variance > 1e-12 * mean**2
    scale = variance[varied] / mean[varied]
    summed[:, varied] = rng.gamma(summed[:, varied] / scale, scale)
    return np.asarray(summed)


def _rates(table: Floats) -> Floats:
    sides = np.stack([table.sum(-1), table.sum(-2)], axis=1)
    return fairness.rates(sides)[..., _AT]


def _entropy(table: Floats) -> Floats:
    whole = table.sum(1)
    return generalized_entropy(np.stack([whole.sum(-1), whole.sum(-2)], axis=1))


def pairs(values: Floats, errors: Floats) -> Iterator[tuple[Floats, Floats]]:
    """Every group against those after it: differences [..., later groups] and their standard errors."""
    for first in range(values.shape[-1] - 1):
        later = slice(first + 1, None)
        yield values[..., later] - values[..., first : first + 1], np.hypot(errors[..., later], errors[..., [first]])


def largest_t(values: Floats, errors: Floats) -> Floats:
    """Largest |difference| / standard error over all pairs of groups and all families, for values [..., F, G]."""
    largest = np.zeros(values.shape[:-2])
    for difference, error in pairs(values, errors):
        t = np.divide(
            np.abs(difference), error, out=np.zeros_like(difference), where=(error > 0) & ~np.isnan(difference)
        )
        largest = np.maximum(largest, t.max((-1, -2)))
    return largest


def chance(values: Floats, n: Floats | NDArray[np.int64], draws: int = 10_000, seed: int = 0) -> float:
    """p-value of equal rates in all groups: the largest standardized difference against draws under the pooled rate.

    values, n: [F, G], rates and the (effective) rows behind them, NaN and 0 for a group left out. NaN where no two
    groups can be compared.
    """
    known = np.isfinite(values) & (n > 0)
    if not (known.sum(-1) >= 2).all():
        return math.nan
    rows = np.where(known, np.round(n), 0).astype(np.int64)
    k = np.where(known, np.round(np.nan_to_num(values) * rows), 0.0)
    rng = np.random.default_rng(seed)
    seen = _standardized(np.where(known, values, np.nan) * rows, rows)
    null = rng.binomial(rows, k.sum(-1, keepdims=True) / rows.sum(-1, keepdims=True), size=(draws, *rows.shape))
    extreme = int((_standardized(null.astype(np.float64), rows) >= seen - 1e-9).sum())
    return (1 + extreme) / (draws + 1)


def _standardized(k: Floats, rows: NDArray[np.int64]) -> Floats:
    """Largest pairwise z of counts k [..., F, G] out of rows, with the rate pooled over groups."""
    pooled = np.nansum(k, -1, keepdims=True) / rows.sum(-1, keepdims=True)
    known = rows > 0
    share = np.divide(k, rows, out=np.full(k.shape, np.nan), where=known)
    spread_ = np.sqrt(pooled * (1 - pooled))
    errors = spread_ * np.sqrt(np.divide(1.0, rows, out=np.full(rows.shape, np.nan), where=known))
    return largest_t(share, errors)


@dataclass(frozen=True)
class Gap:
    """One gap of one attribute, for both models. candidate and change are None where there is no candidate.

    ratio: smallest over largest rate, of the same three. lowest, highest: the groups of the judged model (the
    candidate, else the legacy) that are furthest apart. p: chance of such a gap where rates are equal, of that model.
    left_out: groups with too few rows for this rate. n: rows of the groups compared.
    """

    name: str
    legacy: Estimate
    candidate: Estimate | None
    change: Estimate | None
    lowest: str
    highest: str
    p: float
    left_out: tuple[str, ...]
    n: int


@dataclass(frozen=True)
class Comparison:
    """What a gap is computed from: counts, their draws, which groups are large enough, and how."""

    counts: Counts
    draws: Draws
    keep: NDArray[np.bool_]
    paired: bool
    min_cell: int = 10
    level: float = 0.95
    seed: int = 0

    @property
    def sides(self) -> tuple[SideName, ...]:
        return ("legacy", "candidate") if self.paired else ("legacy",)


def difference(this: Comparison, name: str) -> Gap:
    """A gap of GAPS: the largest difference between two groups, over the rates it compares."""
    return _gap(this, name, widest, largest_difference)


def share(this: Comparison, name: str = "demographic_parity") -> Gap:
    """Smallest over largest rate; of selection rates: disparate impact, the four-fifths rule's measure."""
    return _gap(this, name, least_even, smallest_share)


def widest(values: Floats) -> Floats:
    """The largest difference between two groups in values [..., F, G], over families."""
    return largest(spread(values))


def least_even(values: Floats) -> Floats:
    """The smallest ratio of two groups in values [..., F, G], over families."""
    return -largest(-lowest_share(values))


def largest(values: Floats) -> Floats:
    """Over families (the last axis); NaN where any is NaN."""
    return np.asarray(np.where(np.isnan(values).any(-1), np.nan, values.max(-1)))


def _gap(
    this: Comparison,
    name: str,
    measure: Callable[[Floats], Floats],
    interval: Callable[[Rates, float], Interval],
) -> Gap:
    enough = usable(this, name)
    laws = [law(this, name, side) for side in this.sides]
    estimates = []
    for one in laws:
        value = float(measure(one.seen))
        bounds = Interval(math.nan, math.nan) if math.isnan(value) else interval(one, this.level)
        estimates.append(Estimate(value, min(bounds.low, value), max(bounds.high, value)))
    judged = laws[-1]
    lowest, highest = extremes(judged.seen, this.counts.labels)
    return Gap(
        name=name,
        legacy=estimates[0],
        candidate=estimates[1] if this.paired else None,
        change=change(this, name, measure) if this.paired else None,
        lowest=lowest,
        highest=highest,
        p=chance(judged.seen, judged.n, len(this.draws.rates), this.seed),
        left_out=tuple(np.array(this.counts.labels)[this.keep & ~enough.all(0)].tolist()),
        n=int(this.counts.n[enough.any(0)].sum()),
    )


def change(this: Comparison, name: str, measure: Callable[[Floats], Floats]) -> Estimate:
    """How a gap changed from one model to the other, with the percentile interval of the paired draws.

    Where both gaps are near 0 it holds the truth in more than 95 of 100 cases, and must: the same rows may come from
    models whose gaps lie on different sides, and a change from one side to the other moves a gap further.
    """
    at = [RESAMPLED.index(rate) for rate in GAPS[name]]
    enough = usable(this, name)
    values = [float(measure(law(this, name, side).seen)) for side in this.sides]
    drawn = [
        measure(np.where(enough, np.moveaxis(this.draws.rates[:, side][..., at], -1, 1), np.nan))
        for side in range(len(values))
    ]
    return percentile(values[1] - values[0], drawn[1] - drawn[0], this.level)


def law(this: Comparison, name: str, side: SideName) -> Rates:
    """The rates a gap compares, of one model, and the effective rows behind them; NaN for a group left out."""
    at, enough = [fairness.index(rate) for rate in GAPS[name]], usable(this, name)
    values = fairness.rates(this.counts.side(side))[:, at].T
    n = np.round(this.counts.effective(side)[:, at].T).astype(np.int64)
    return Rates(np.where(enough, values, np.nan), np.where(enough, n, 0), this.seed)


def usable(this: Comparison, name: str) -> NDArray[np.bool_]:
    """[F, G]: large enough groups with enough rows behind the rate, in both models."""
    at = [fairness.index(rate) for rate in GAPS[name]]
    enough = np.stack([this.min_cell <= this.counts.behind(side)[:, at].T for side in this.sides]).all(0)
    return np.asarray(enough & this.keep)


def extremes(values: Floats, labels: tuple[str, ...]) -> tuple[str, str]:
    """Names of the groups with the smallest and largest rate, in the family where they are furthest apart."""
    apart = spread(values)
    if np.isnan(apart).all():
        return "", ""
    family = values[int(np.nanargmax(apart))]
    return labels[int(np.nanargmin(family))], labels[int(np.nanargmax(family))]


@dataclass(frozen=True)
class GroupChange:
    """The group that lost most, and by how much."""

    group: str
    legacy: Estimate
    candidate: Estimate
    change: Estimate
    n: int


def worst_change(this: Comparison, rate: str = "accuracy") -> GroupChange | None:
    """The group whose rate fell most; bounds of that fall hold for all groups at once (max-T). None: no group."""
    at, place = RESAMPLED.index(rate), fairness.index(rate)
    enough = np.stack([this.counts.behind(side)[:, place] >= this.min_cell for side in this.sides]).all(0) & this.keep
    if not enough.any() or not this.paired:
        return None
    before, after = (fairness.rates(this.counts.side(side))[:, place] for side in this.sides)
    moved = np.where(enough, after - before, np.nan)
    draws = this.draws.rates[:, 1, :, at] - this.draws.rates[:, 0, :, at]
    errors = np.where(enough, np.nanstd(np.where(enough, draws, 0.0), axis=0), np.nan)
    t = np.divide(np.abs(draws - moved), errors, out=np.zeros_like(draws), where=enough & (errors > 0))
    q = float(np.quantile(np.nan_to_num(t).max(-1), this.level))
    worst = int(np.nanargmin(moved))
    return GroupChange(
        group=this.counts.labels[worst],
        legacy=percentile(float(before[worst]), this.draws.rates[:, 0, worst, at], this.level),
        candidate=percentile(float(after[worst]), this.draws.rates[:, 1, worst, at], this.level),
        change=Estimate(
            float(moved[worst]), float(np.nanmin(moved - q * errors)), float(np.nanmin(moved + q * errors))
        ),
        n=int(this.counts.n[worst]),
    )
