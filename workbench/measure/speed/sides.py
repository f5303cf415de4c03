"""Both models of a pair, each timed in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.measure.intervals import Estimate
from workbench.measure.speed.environment import environment
from workbench.measure.speed.statistics import cost_per_million, inverse, percentile
from workbench.measure.speed.timing import CANDIDATE, LEGACY, Comparison, Timed, TooSlowError, compare, latencies
from workbench.models import Model, in_host

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Side:
    """A model that is timed. hosted: in a process of its own; else here, beside everything else that runs here."""

    model: Model
    timed: Timed
    hosted: bool

    def cold_start(self, row: pd.DataFrame) -> float | None:
        """Seconds from starting a process to its first answer; None without a process of its own."""
        model: Any = self.model
        return float(model.cold_start(row)) if self.hosted else None

    def peak(self) -> float | None:
        """The most memory the model's process has held, in MiB; None without a process of its own."""
        model: Any = self.model
        return float(model.peak_rss()) / 2**20 if self.hosted else None


Pair = tuple[Side, Side]


@contextmanager
def sides(legacy: Model, candidate: Model) -> Iterator[Pair]:
    """Both models ready to be timed; processes that were started for it end with it. Raises ModelError."""
    opened: list[Model] = []
    try:
        for model in (legacy, candidate):
            opened.append(in_host(model))
        yield _side(opened[0]), _side(opened[1])
    finally:
        for model, own in zip(opened, (legacy, candidate)):
            if model is not own:
                model.close()


def _side(model: Model) -> Side:
    timed = getattr(model, "timed", None)
    return Side(model, timed or _timed_here(model), timed is not None)


def _timed_here(model: Model) -> Timed:
    def timed(frame: pd.DataFrame, calls: int) -> tuple[Sequence[int], Sequence[int]]:
        wall, cpu = [], []
        for _ in range(calls):
            busy, start = time.process_time_ns(), time.perf_counter_ns()
            model.predict(frame)
            wall.append(time.perf_counter_ns() - start)
            cpu.append(time.process_time_ns() - busy)
        return wall, cpu

    return timed


@dataclass(frozen=True)
class Scenario:
    """What is asked at once: its name and how many rows."""

    name: str
    rows: int

    def frame(self, frame: pd.DataFrame, seed: int) -> pd.DataFrame:
        """The scenario's rows, seeded; a larger scenario holds the rows of a smaller one."""
        order = np.random.default_rng(seed).permutation(len(frame))[: self.rows]
        return frame.iloc[order].reset_index(drop=True)


def scenarios(rows: int, batches: Sequence[int]) -> tuple[Scenario, ...]:
    """One row, then each batch; a batch larger than the table is the whole table."""
    sizes = sorted({min(size, rows) for size in batches} | {1})
    return tuple(Scenario("1 row" if size == 1 else f"{size:,} rows", size) for size in sizes)


@dataclass(frozen=True)
class Timing:
    """A scenario's comparison, or why there is none."""

    scenario: Scenario
    found: Comparison | None
    reason: str = ""

    def rate(self, side: int) -> Estimate:
        """Rows per second of LEGACY or CANDIDATE. Raises ValueError where there is no comparison."""
        if self.found is None:
            raise ValueError(self.reason)
        return inverse(self.found.seconds(side), self.scenario.rows)


def timings(pair: Pair, frame: pd.DataFrame, batches: Sequence[int], *, seconds: float, seed: int) -> list[Timing]:
    """Both sides compared in every scenario, each within `seconds` where its fewest rounds allow it."""
    found = []
    for scenario in scenarios(len(frame), batches):
        rows = scenario.frame(frame, seed)
        try:
            times = compare(pair[0].timed, pair[1].timed, rows, seconds=seconds, seed=seed)
            found.append(Timing(scenario, times))
        except TooSlowError as error:
            found.append(Timing(scenario, None, str(error)))
    return found


def tails(
    pair: Pair, frame: pd.DataFrame, *, samples: int, seconds: float, seed: int
) -> list[tuple[float, Estimate | None, Estimate | None, int]]:
    """The median, p90 and p99 of answering one row, in ms, of both sides and from how many answers.

    None where there are too few answers for it. seconds: for both sides together.
    """
    row = Scenario("1 row", 1).frame(frame, seed)
    before, after = latencies((pair[0].timed, pair[1].timed), row, samples=samples, seconds=seconds, seed=seed)
    shares = (0.5, 0.9, 0.99)
    return [(s, percentile(1e3 * before, s), percentile(1e3 * after, s), len(before)) for s in shares]


def cheapest(
    found: Sequence[Timing], price_per_hour: float, utilisation: float
) -> tuple[str, Estimate, Estimate, Estimate] | None:
    """Cost of a million rows by legacy and by candidate, and candidate / legacy at one price.

    In the steady scenario where the candidate answers most rows per second, which is named; None without one. A price
    of NaN gives costs of NaN.
    """
    steady = [timing for timing in found if timing.found and timing.found.stable]
    if not steady:
        return None
    best = max(steady, key=lambda timing: timing.rate(CANDIDATE).value)
    assert best.found is not None
    costs = [cost_per_million(best.rate(side), price_per_hour, utilisation) for side in (LEGACY, CANDIDATE)]
    return best.scenario.name, costs[0], costs[1], inverse(best.found.speed_up)


def machine(pair: Pair) -> tuple[tuple[str, str], ...]:
    """Rows (what, is) of what the times depend on."""
    where = "each in a process of its own" if all(side.hosted for side in pair) else "not both in their own process"
    return (("models", where), *environment().items())
