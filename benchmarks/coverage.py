"""How often an interval holds the truth, where the truth is known: by enumeration where outcomes can be counted,
by seeded simulation elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, norm

from workbench.measure import agreement, intervals, quality, speed
from workbench.measure.intervals import Estimate

Floats = NDArray[np.float64]
Drawn = Callable[[np.random.Generator], tuple[Any, float]]


@dataclass(frozen=True)
class Found:
    """share: of cases in which it was so, with its Monte Carlo bounds (equal where it was enumerated).

    wanted: bounds within which the share should lie. runs: 0 where every outcome was enumerated.
    """

    group: str
    what: str
    where: str
    setting: str
    share: float
    low: float
    high: float
    wanted: tuple[float, float]
    runs: int

    @property
    def as_wanted(self) -> bool:
        """Whether the share, as far as it is known, is compatible with what is wanted."""
        return self.low <= self.wanted[1] and self.high >= self.wanted[0]


NOMINAL, AT_LEAST = (0.93, 0.97), (0.95, 1.0)
CLOSE = (0.93, 1.0)
"""For intervals that are simultaneous or made from few counts: they may cover more than they say, but not less."""


def enumerated(what: str, where: str, setting: str, share: float, wanted: tuple[float, float] = NOMINAL) -> Found:
    return Found("intervals", what, where, setting, share, share, share, wanted, 0)


def simulated(
    group: str,
    what: str,
    where: str,
    setting: str,
    hits: int,
    runs: int,
    wanted: tuple[float, float] = NOMINAL,
) -> Found:
    """With the exact 99 % interval of the share, so that a hundred lines raise about one alarm by chance."""
    bounds = intervals.clopper_pearson(hits, runs, 0.99)
    return Found(group, what, where, setting, hits / runs, bounds.low, bounds.high, wanted, runs)


def covers(bounds: Any, value: float) -> bool:
    return bool(bounds.low - 1e-12 <= value <= bounds.high + 1e-12)


RATES = (0.05, 0.2, 0.5, 0.9)


def proportions() -> Iterator[Found]:
    """Wilson and Clopper-Pearson: all outcomes of a binomial."""
    for n in (20, 100, 1_000):
        for p in RATES:
            weight = binom.pmf(np.arange(n + 1), n, p)
            for function, wanted in ((intervals.wilson, NOMINAL), (intervals.clopper_pearson, AT_LEAST)):
                hit = np.array([covers(function(k, n), p) for k in range(n + 1)])
                name = function.__name__
                title = "Wilson" if name == "wilson" else "Clopper-Pearson"
                yield enumerated(title, f"intervals.{name}", f"n = {n:,}, rate {p}", float(weight[hit].sum()), wanted)


PAIRS = ((30, 0.2, 50, 0.3), (100, 0.05, 100, 0.1), (100, 0.5, 100, 0.5), (400, 0.1, 150, 0.3), (300, 0.02, 300, 0.02))


def two_proportions() -> Iterator[Found]:
    """Newcombe's difference and the log ratio of two rates: all outcomes of two binomials."""
    for m, p, n, q in PAIRS:
        weight = np.outer(binom.pmf(np.arange(m + 1), m, p), binom.pmf(np.arange(n + 1), n, q))
        setting = f"{p} of {m} and {q} of {n}"
        for function, truth, title in (
            (intervals.newcombe, p - q, "Newcombe"),
            (intervals.ratio, p / q, "log ratio (Katz)"),
        ):
            # What is left out weighs 1e-7 in all.
            chosen = np.argwhere(weight > 1e-12)
            share = sum(weight[a, b] for a, b in chosen if covers(function(float(a), m, float(b), n), truth))
            yield enumerated(title, f"intervals.{function.__name__}", setting, float(share))


def changes(runs: int, seed: int = 0) -> Iterator[Found]:
    """Tango's paired change of a rate, by simulation of the rows that changed."""
    rng = np.random.default_rng(seed)
    for n, gain, loss in (
        (50, 0.1, 0.1),
        (100, 0.02, 0.05),
        (300, 0.01, 0.01),
        (1_000, 0.05, 0.02),
        (1_000, 0.002, 0.0),
    ):
        drawn, times = np.unique(rng.multinomial(n, [gain, loss, 1 - gain - loss], runs), axis=0, return_counts=True)
        hits = sum(
            int(count) for (a, b, _), count in zip(drawn, times) if covers(intervals.paired(a, b, n), gain - loss)
        )
        setting = f"n = {n:,}, {gain} gained, {loss} lost"
        # One kind of change alone, and rare: discrete, so it covers more than it says.
        wanted = NOMINAL if n * min(gain, loss) >= 2 else CLOSE
        yield simulated("intervals", "paired change (Tango)", "intervals.paired", setting, hits, runs, wanted)


def repeated(runs: int, seed: int, draw: Drawn) -> int:
    """How many of `runs` seeded draws (bounds, truth) hold the truth."""
    rng = np.random.default_rng(seed)
    return sum(covers(*draw(rng)) for _ in range(runs))


def means(runs: int) -> Iterator[Found]:
    def normal(rng: np.random.Generator) -> tuple[Estimate, float]:
        return intervals.mean(rng.standard_normal(20)), 0.0

    def skewed(rng: np.random.Generator) -> tuple[Estimate, float]:
        return intervals.mean(rng.exponential(1.0, 200)), 1.0

    for setting, draw in (("20 normal values", normal), ("200 exponential values", skewed)):
        yield simulated("intervals", "mean (Student)", "intervals.mean", setting, repeated(runs, 1, draw), runs)


def areas(runs: int) -> Iterator[Found]:
    """DeLong, binormal scores: the area is Φ(d / √2)."""
    for n, share, distance in ((100, 0.3, 1.0), (1_000, 0.5, 0.3), (400, 0.1, 2.3), (50, 0.5, 2.3)):

        def draw(rng: np.random.Generator, n: int = n, share: float = share, d: float = distance) -> tuple[Any, float]:
            target, score = _scored(rng, n, share, d)
            found = next(
                f for f in quality.compare(target, quality.Answers(scores=score), draws=0) if f.metric.name == "auc"
            )
            return found.legacy, float(norm.cdf(d / math.sqrt(2)))

        setting = f"n = {n:,}, {share:.0%} positive, area {norm.cdf(distance / math.sqrt(2)):.2f}"
        yield simulated(
            "intervals", "area under the ROC curve (DeLong)", "quality.compare", setting, repeated(runs, 2, draw), runs
        )


def _scored(rng: np.random.Generator, n: int, share: float, distance: float) -> tuple[NDArray[np.int64], Floats]:
    target = (np.arange(n) < round(share * n)).astype(np.int64)
    return target, norm.cdf(rng.standard_normal(n) + distance * target)


def area_changes(runs: int) -> Iterator[Found]:
    """The change of the area between two correlated scores."""

    def draw(rng: np.random.Generator) -> tuple[Any, float]:
        target, shared = (np.arange(400) < 120).astype(np.int64), rng.standard_normal(400)
        one, two = (0.8 * shared + 0.6 * rng.standard_normal(400) + d * target for d in (1.0, 0.8))
        sides = [quality.Answers(scores=norm.cdf(side)) for side in (one, two)]
        found = next(f for f in quality.compare(target, *sides, draws=0) if f.metric.name == "auc")
        return found.change, float(norm.cdf(0.8 / math.sqrt(2)) - norm.cdf(1.0 / math.sqrt(2)))

    name, where = "change of the area (DeLong)", "quality.compare"
    yield simulated("intervals", name, where, "n = 400, correlated 0.64", repeated(runs, 3, draw), runs)


def bootstraps(runs: int) -> Iterator[Found]:
    """The bootstrap of rows: what the population gives is drawn once from two million rows."""
    for kind, n, wanted in (
        ("brier", 300, NOMINAL),
        ("log-loss", 300, NOMINAL),
        ("f1", 300, NOMINAL),
        ("rmse", 300, NOMINAL),
    ):
        whole = _pair(np.random.default_rng(99), 2_000_000, kind)
        truth = [quality.evaluate(whole[0], side)[kind] for side in whole[1:]]
        change = (truth[1] - truth[0]) / (truth[0] if kind == "rmse" else 1.0)

        def draw(rng: np.random.Generator, kind: str = kind, n: int = n, change: float = change) -> tuple[Any, float]:
            found = quality.compare(*_pair(rng, n, kind), draws=300, seed=int(rng.integers(1 << 30)))
            return next(f for f in found if f.metric.name == kind).change, change

        hits = repeated(runs, 4, draw)
        yield simulated(
            "intervals", f"change of the {kind} (bootstrap)", "quality.compare", f"n = {n}", hits, runs, wanted
        )


def _pair(rng: np.random.Generator, n: int, kind: str) -> tuple[NDArray[Any], quality.Answers, quality.Answers]:
    """Truth and two models' answers, the second a little worse."""
    x = rng.standard_normal(n)
    if kind == "rmse":
        value = x + rng.standard_normal(n)
        return value, quality.Answers(value=x), quality.Answers(value=0.8 * x + 0.2 * rng.standard_normal(n))
    p = 1 / (1 + np.exp(-1.5 * x))
    target = (rng.random(n) < p).astype(np.int64)
    off = 1 / (1 + np.exp(-1.2 * x + 0.4 * rng.standard_normal(n)))
    if kind == "f1":
        sides = [quality.Answers(decision=(side >= 0.5).astype(np.int64)) for side in (p, off)]
        return target, sides[0], sides[1]
    return target, quality.Answers(scores=p), quality.Answers(scores=off)


def rank_agreements(runs: int) -> Iterator[Found]:
    """Spearman's rho of a bivariate normal: 6/π · asin(ρ/2)."""
    for n, correlation in ((100, 0.5), (400, 0.9), (400, 0.99)):
        truth = 6 / math.pi * math.asin(correlation / 2)

        def draw(
            rng: np.random.Generator, n: int = n, r: float = correlation, truth: float = truth
        ) -> tuple[Any, float]:
            one = rng.standard_normal(n)
            two = r * one + math.sqrt(1 - r * r) * rng.standard_normal(n)
            return agreement.ranks(one, two).rho, truth

        setting = f"n = {n}, rho {truth:.2f}"
        yield simulated(
            "intervals", "Spearman's rho (Bonett and Wright)", "agreement.ranks", setting, repeated(runs, 5, draw), runs
        )


def ratios_of_time(runs: int) -> Iterator[Found]:
    """Yuen's interval of a ratio of times, and order statistics of latencies; both say 99 %."""
    wanted = (0.98, 1.0)

    def quiet(rng: np.random.Generator) -> tuple[Any, float]:
        return speed.geometric_mean(0.3 + 0.02 * rng.standard_normal(10)), math.exp(0.3)

    def disturbed(rng: np.random.Generator) -> tuple[Any, float]:
        slowed = 0.5 * rng.choice([-1, 0, 1], 20, p=[0.08, 0.84, 0.08])
        return speed.geometric_mean(0.3 + 0.02 * rng.standard_normal(20) + slowed), math.exp(0.3)

    def tail(rng: np.random.Generator) -> tuple[Any, float]:
        return speed.percentile(rng.lognormal(0, 0.5, 1_000), 0.99), math.exp(0.5 * float(norm.ppf(0.99)))

    for name, where, setting, draw in (
        ("speed-up (Yuen, 99 %)", "speed.geometric_mean", "10 quiet rounds", quiet),
        ("speed-up (Yuen, 99 %)", "speed.geometric_mean", "20 rounds, 16 % slowed by half", disturbed),
        ("p99 latency (order statistics, 99 %)", "speed.percentile", "1,000 answers", tail),
    ):
        yield simulated("intervals", name, where, setting, repeated(runs, 6, draw), runs, wanted)


def every(runs: int, slow: int) -> Iterator[Found]:
    """All of them; slow: runs of those that resample within each run."""
    yield from proportions()
    yield from two_proportions()
    yield from changes(runs)
    yield from means(runs)
    yield from areas(slow)
    yield from area_changes(slow)
    yield from bootstraps(max(100, slow // 4))
    yield from rank_agreements(slow)
    yield from ratios_of_time(slow)
