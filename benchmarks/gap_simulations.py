"""Fairness gaps where the truth is known: coverage of their intervals, false alarms of their test, and its power."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.coverage import CLOSE, NOMINAL, Found, covers, simulated
from workbench.measure import fairness, fairness_gaps, fairness_range
from workbench.measure.fairness import GAPS, Counts

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """Groups and what both models do in each. n: rows [G]; base: P(truth 1) [G]; tpr, fpr: [2, G], legacy first.

    agree: share of rows for which the second model repeats the first, where their rates allow it.
    """

    n: tuple[int, ...]
    base: tuple[float, ...]
    tpr: tuple[tuple[float, ...], tuple[float, ...]]
    fpr: tuple[tuple[float, ...], tuple[float, ...]]

    def cells(self) -> Floats:
        """P(truth, legacy, candidate | group), [G, 2, 2, 2]; the models are as alike as their rates allow."""
        out = np.zeros((len(self.n), 2, 2, 2))
        for group, base in enumerate(self.base):
            for truth, share, rates in ((1, base, self.tpr), (0, 1 - base, self.fpr)):
                before, after = rates[0][group], rates[1][group]
                both = 0.9 * min(before, after) + 0.1 * before * after
                out[group, truth] = share * np.array([[1 - before - after + both, after - both], [before - both, both]])
        return out

    def draw(self, rng: np.random.Generator) -> Counts:
        """Rows drawn group by group."""
        rows = np.zeros((len(self.n), 3, 3, 3), dtype=np.int64)
        for group, (n, p) in enumerate(zip(self.n, self.cells())):
            rows[group, :2, :2, :2] = rng.multinomial(n, np.clip(p.ravel(), 0, 1)).reshape(2, 2, 2)
        return _counts(rows)

    def truth(self) -> Counts:
        """The table that endless rows would give."""
        table = np.zeros((len(self.n), 3, 3, 3))
        table[:, :2, :2, :2] = self.cells() * np.array(self.n)[:, None, None, None]
        return Counts(_labels(len(self.n)), table.astype(np.int64), table, table)


def _labels(n: int) -> tuple[str, ...]:
    return tuple(f"g{number}" for number in range(n))


def _counts(rows: NDArray[np.int64]) -> Counts:
    weight = rows.astype(np.float64)
    return Counts(_labels(len(rows)), rows, weight, weight)


def _same(value: float, groups: int) -> tuple[float, ...]:
    return (value,) * groups


def _both(value: tuple[float, ...]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return value, value


FAIR = {
    "2 groups of 500": World((500, 500), (0.3, 0.3), _both((0.7, 0.7)), _both((0.2, 0.2))),
    "5 groups of 100 to 2,000": World(
        (2_000, 800, 400, 200, 100), _same(0.3, 5), _both(_same(0.7, 5)), _both(_same(0.2, 5))
    ),
    "10 groups of 300, few selected": World((300,) * 10, _same(0.1, 10), _both(_same(0.5, 10)), _both(_same(0.02, 10))),
}
UNFAIR = {
    "2 groups of 500, apart": World((500, 500), (0.3, 0.3), ((0.8, 0.6), (0.75, 0.6)), ((0.25, 0.15), (0.2, 0.15))),
    "3 groups of 300 to 1,000": World(
        (1_000, 500, 300), (0.4, 0.3, 0.2), ((0.8, 0.7, 0.6), (0.8, 0.7, 0.5)), ((0.2, 0.15, 0.1), (0.2, 0.15, 0.1))
    ),
    "3 groups, the candidate as fair": World(
        (1_000, 500, 300), _same(0.3, 3), _both((0.8, 0.7, 0.6)), _both((0.2, 0.15, 0.1))
    ),
    "2 groups of 500, the gap changes sides": World(
        (500, 500), (0.3, 0.3), ((0.75, 0.65), (0.65, 0.75)), ((0.22, 0.18), (0.18, 0.22))
    ),
}
DRAWS = 1_000


def _comparison(world: World, rng: np.random.Generator) -> fairness_gaps.Comparison:
    counts = world.draw(rng)
    drawn = fairness_gaps.draw(counts, DRAWS, int(rng.integers(1 << 30)))
    keep = np.ones(len(world.n), dtype=bool)
    return fairness_gaps.Comparison(counts, drawn, keep, paired=True, seed=int(rng.integers(1 << 30)))


@dataclass(frozen=True)
class _Drawn:
    """A table drawn from a world, and whether its interval holds the true gap: whether the gap is not contradicted."""

    this: fairness_gaps.Comparison
    name: str

    @property
    def _rate(self) -> str:
        return "demographic_parity" if self.name == "ratio" else self.name

    def holds(self, truth: float) -> bool:
        law = fairness_gaps.law(self.this, self._rate, "legacy")
        share = self.name == "ratio"
        beyond = fairness_range.beyond_share if share else fairness_range.beyond_difference
        return beyond(law, truth, 0.95) <= 0

    def change_holds(self, truth: float) -> bool:
        measure = fairness_gaps.least_even if self.name == "ratio" else fairness_gaps.widest
        return covers(fairness_gaps.change(self.this, self._rate, measure), truth)

    @property
    def p(self) -> float:
        law = fairness_gaps.law(self.this, self._rate, "candidate")
        return fairness_gaps.chance(law.seen, law.n, DRAWS, self.this.seed)


def _true(world: World, name: str, side: fairness.SideName) -> float:
    table = world.truth().side(side)
    if name == "ratio":
        return float(fairness.gap_ratio(table, "demographic_parity"))
    return float(fairness.gap(table, name))


def _runs(world: World, names: Sequence[str], runs: int, seed: int) -> Iterator[list[_Drawn]]:
    """`runs` tables drawn from the world, each with every gap."""
    rng = np.random.default_rng(seed)
    for _ in range(runs):
        this = _comparison(world, rng)
        yield [_Drawn(this, name) for name in names]


def _hits(
    world: World, names: Sequence[str], runs: int, seed: int, asked: Sequence[Callable[[_Drawn], bool]]
) -> NDArray[np.int64]:
    """[names, asked]: of how many tables each is so."""
    found = [[[ask(one) for ask in asked] for one in drawn] for drawn in _runs(world, names, runs, seed)]
    return np.asarray(np.sum(found, axis=0))


Held = dict[str, tuple[float, float]]
"""By gap: what it truly is for the legacy model, and its true change."""


def _holds_gap(held: Held, one: _Drawn) -> bool:
    return one.holds(held[one.name][0])


def _holds_change(held: Held, one: _Drawn) -> bool:
    return one.change_holds(held[one.name][1])


def coverages(runs: int) -> Iterator[Found]:
    """Do the intervals of a gap, of the ratio of selection rates, and of their change hold the truth?"""
    names = ("demographic_parity", "equalized_odds", "ratio")
    for setting, world in UNFAIR.items():
        true = {name: [_true(world, name, side) for side in ("legacy", "candidate")] for name in names}
        held = {name: (before, after - before) for name, (before, after) in true.items()}
        asked = (partial(_holds_gap, held), partial(_holds_change, held))
        for name, (gap, change) in zip(names, _hits(world, names, runs, 7, asked).tolist()):
            bounds = f"fairness_gaps.{'share' if name == 'ratio' else 'difference'}"
            title = "disparate impact ratio" if name == "ratio" else f"gap, {name.replace('_', ' ')}"
            yield simulated("gaps", title, bounds, setting, gap, runs, NOMINAL)
            yield simulated("gaps", f"change of the {title}", "fairness_gaps.change", setting, change, runs, CLOSE)


def alarms(runs: int) -> Iterator[Found]:
    """Equal rates in every group and both models: how often is a gap, or a change of it, called real at 5 %?"""
    asked = (lambda one: one.p <= 0.05, lambda one: not one.holds(0.0), lambda one: not one.change_holds(0.0))
    what = (
        ("gap test", "fairness_gaps.chance"),
        ("gap's interval without 0", "fairness_gaps.difference"),
        ("change without 0", "fairness_gaps.change"),
    )
    for setting, world in FAIR.items():
        for name, hits in zip(GAPS, _hits(world, tuple(GAPS), runs, 8, asked).tolist()):
            for (title, where), count in zip(what, hits):
                shown = f"{title}, {name.replace('_', ' ')}"
                yield simulated("alarms", shown, where, setting, count, runs, (0.0, 0.05))


def power(runs: int) -> Iterator[Found]:
    """How often the test finds a gap in selection rates (level 5 %): 2 groups, rate 0.3 against 0.3 + gap."""
    for n in (200, 1_000, 5_000):
        for gap in (0.0, 0.02, 0.05, 0.1, 0.2):
            rng = np.random.default_rng(9)
            k = rng.binomial(n, [0.3, 0.3 + gap], (runs, 2)) / n
            hits = sum(_p(rates, n, rng) <= 0.05 for rates in k)
            setting = f"2 groups of {n:,}, gap {gap}"
            yield simulated(
                "power", "gap test", "fairness_gaps.chance", setting, hits, runs, (0.0, 1.0) if gap else (0.0, 0.05)
            )


def _p(rates: Floats, n: int, rng: np.random.Generator) -> float:
    return fairness_gaps.chance(rates[None], np.full((1, 2), float(n)), DRAWS, int(rng.integers(1 << 30)))


EVERY: tuple[Callable[[int], Iterator[Found]], ...] = (coverages, alarms, power)
