"""How many machines a stream of requests needs, how long each waits there, and what that costs: from timed answers.

Requests come when they like (Poisson) and are dealt out at random, so each process is a queue of its own, first come
first served (M/G/1; Lindley 1952). The service times are the very ones that were measured, drawn again; the rounds they
were measured in are drawn anew for each line of the bootstrap, for calls of one round are slow together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from workbench.measure.intervals import Estimate
from workbench.measure.speed.statistics import Floats

DRAWS, QUERIES, WARM_UP = 60, 6_000, 600
"""Lines of the bootstrap, requests in each, and how many of them only fill the queue."""
SHARE, LEVEL = 0.99, 0.95
"""Of the requests that must be answered in time; of the intervals."""
STEPS = 14


class Wish(NamedTuple):
    """What is to be served. per_second: requests; level: seconds within which 99 of 100 are answered; rows: of each
    request; processes: on one machine; least: machines, whatever the load; hours: a month; price: an hour, NaN where
    none is known."""

    per_second: float
    level: float
    rows: int = 1
    processes: int = 1
    least: int = 1
    hours: float = 730.0
    price: float = math.nan


@dataclass(frozen=True)
class Need:
    """What one side needs. Each is NaN where the level cannot be held; p50, p99: ms."""

    machines: Floats
    p50: Floats
    p99: Floats
    month: Floats
    million: Floats

    def of(self, name: str) -> Estimate:
        return told(getattr(self, name))


class Service:
    """Service times of one model in one scenario, drawn: line 0 from all calls, every other from rounds drawn anew.

    blocks: seconds of the calls of each round. Raises ValueError without a call, or for one that took no time.
    """

    def __init__(self, blocks: Sequence[Floats], *, draws: int = DRAWS, queries: int = QUERIES, seed: int = 0) -> None:
        kept = [np.asarray(block, dtype=np.float64) for block in blocks if len(block)]
        if not kept or min(float(block.min()) for block in kept) <= 0:
            raise ValueError("no timed answers to draw from: run 61_benchmark again")
        rng = np.random.default_rng(seed)
        lines = [rng.choice(np.concatenate(kept), queries)]
        for _ in range(draws):
            again = [kept[place] for place in rng.integers(0, len(kept), len(kept))]
            lines.append(rng.choice(np.concatenate(again), queries))
        self.takes: Floats = np.stack(lines)
        self._done: Floats = np.cumsum(self.takes, axis=1)
        self._between: Floats = np.random.default_rng([seed, 1]).exponential(1.0, queries)
        self._highest: dict[float, Floats] = {}

    def waits(self, rates: Floats | float) -> Floats:
        """Seconds from arrival to answer [lines, queries] of one process at these requests per second [lines]."""
        between = self._between / np.broadcast_to(np.asarray(rates, dtype=np.float64), len(self.takes))[:, None]
        arrive, done = np.cumsum(between, axis=1), self._done
        # Lindley's recursion at once: an answer ends when the work since the last idle moment is done.
        busy = np.maximum.accumulate(arrive - (done - self.takes), axis=1)
        return np.asarray((busy + done - arrive)[:, WARM_UP:])

    def percentile(self, rates: Floats | float, share: float = SHARE) -> Floats:
        """That percentile of the time to an answer [lines], seconds."""
        waited = self.waits(rates)
        place = math.ceil(share * waited.shape[1]) - 1
        return np.asarray(np.partition(waited, place, axis=1)[:, place])

    def highest(self, level: float) -> Floats:
        """The highest requests per second [lines] of which one process answers 99 of 100 within `level` seconds; 0
        where it answers none in time."""
        if level not in self._highest:
            low, high = np.zeros(len(self.takes)), 1 / self.takes.mean(axis=1)
            for _ in range(STEPS):
                middle = (low + high) / 2
                passed = self.percentile(middle) <= level
                low, high = np.where(passed, middle, low), np.where(passed, high, middle)
            alone = np.quantile(self.takes, SHARE, axis=1, method="inverted_cdf")
            self._highest[level] = np.where(alone <= level, low, 0.0)
        return self._highest[level]


def needed(service: Service, wish: Wish) -> Need:
    """Machines, times at the load each of their processes then has, and money.

    Raises ValueError for a wish of nothing.
    """
    _check(wish)
    rate = service.highest(wish.level)
    with np.errstate(divide="ignore", invalid="ignore"):
        processes = np.where(rate > 0, np.ceil(wish.per_second / rate), np.nan)
    machines = np.maximum(wish.least, np.ceil(processes / wish.processes))
    load = wish.per_second / (machines * wish.processes)
    possible = np.isfinite(machines)

    def waited(share: float) -> Floats:
        return np.where(possible, 1e3 * service.percentile(np.where(possible, load, 1e-9), share), np.nan)

    answered = wish.per_second * wish.rows * 3600
    spent = machines * wish.price
    return Need(machines, waited(0.5), waited(SHARE), spent * wish.hours, spent / answered * 1e6)


def _check(wish: Wish) -> None:
    for name in ("per_second", "level", "rows", "processes", "least", "hours"):
        if not getattr(wish, name) > 0:
            raise ValueError(f"{name.replace('_', ' ')} is {getattr(wish, name):g}: give a number above 0")
    if wish.price < 0:
        raise ValueError(f"the price is {wish.price:g}: give 0 or more")


def told(lines: Floats) -> Estimate:
    """The first line's value with the percentile interval of the others; NaN where the first has none."""
    if math.isnan(lines[0]):
        return Estimate(math.nan)
    drawn = lines[1:][np.isfinite(lines[1:])]
    if not len(drawn):
        return Estimate(float(lines[0]))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(lines[0]), min(float(low), float(lines[0])), max(float(high), float(lines[0])))


def change(before: Floats, after: Floats) -> Estimate:
    """after / before, line by line; NaN where one of them is not to be had, or is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return told(np.where(before > 0, after / before, np.nan))


def blocks(samples: Mapping[str, object], scenario: str, side: str) -> list[Floats]:
    """Seconds of the single calls of a side in a scenario, round by round, of `samples.read_samples`'s frame; the
    control's calls of the same model count, too."""
    import pandas as pd

    frame = pd.DataFrame(samples)
    of = frame[(frame["scenario"] == scenario) & frame["side"].isin((side, f"{side} again"))]
    return [part["wall_ns"].to_numpy("float64") / 1e9 for _, part in of.groupby("round", observed=True)]
