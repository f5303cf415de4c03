"""Both models of a pair, each timed in a process of its own, and the scenarios they are timed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from workbench.measure.intervals import Estimate
from workbench.measure.speed.cores import allowed, quietest
from workbench.measure.speed.here import Here
from workbench.measure.speed.statistics import (
    TOLERANCE,
    Floats,
    geometric_mean,
    inverse,
    is_stable,
    percentile,
    queries_needed,
)
from workbench.measure.speed.timing import (
    CANDIDATE,
    LEGACY,
    Comparison,
    Timed,
    TooSlowError,
    compare,
    control_logs,
    more_calls,
)
from workbench.models import Model, in_host

if TYPE_CHECKING:
    import pandas as pd

Scope = Literal["model", "whole"]


class Start(NamedTuple):
    """Seconds: opening, from starting the process to the model being open; first, its first answer after that."""

    opening: float
    first: float

    @property
    def total(self) -> float:
        return self.opening + self.first


@dataclass(frozen=True)
class Side:
    """A model that is timed. host: what times it; hosted: that is a process of its own, else here, beside everything
    else that runs here. start: of that process, None without one."""

    model: Model
    host: Any
    hosted: bool
    start: Start | None = None

    def timed(self, scope: Scope = "model") -> Timed:
        """scope: "model" from typed columns to answers; "whole" with reading the rows and writing the answers."""
        if scope == "model":
            timed: Timed = self.host.timed
            return timed
        return lambda frame, calls: self.host.timed(frame, calls, scope)

    @property
    def served(self) -> Callable[[pd.DataFrame, Sequence[float]], list[int]]:
        """Nanoseconds from each scheduled arrival (s) of a query to its answer."""
        served: Callable[[pd.DataFrame, Sequence[float]], list[int]] = self.host.served
        return served

    def peak(self) -> float | None:
        """The most memory the model's process has held, in MiB; None without a process of its own."""
        return float(self.host.peak_rss()) / 2**20 if self.hosted else None

    def memory(self) -> dict[str, float]:
        """MiB now with the shared pages by share ("pss") and at most on a GPU ("gpu"); 0 where it is not told."""
        told = self._told()
        return {name: told.get(name, 0) / 2**20 for name in ("pss", "gpu")}

    def computed(self) -> float:
        """Seconds of CPU time that the model's own process has taken so far."""
        return self._told().get("cpu", 0) / 1e9

    def on_device(self, frame: pd.DataFrame, calls: int = 20) -> Estimate | None:
        """Typical ms a GPU computes for an answer, by its own clock; None where none does."""
        if not self.hosted or not hasattr(self.host, "on_device"):
            return None
        taken = np.array(self.host.on_device(frame, calls), dtype=np.float64)
        return geometric_mean(np.log(np.maximum(taken, 1) / 1e6)) if len(taken) else None

    def _told(self) -> dict[str, int]:
        return dict(self.host.memory()) if self.hosted and hasattr(self.host, "memory") else {}


Pair = tuple[Side, Side]


@contextmanager
def sides(legacy: Model, candidate: Model, row: pd.DataFrame) -> Iterator[Pair]:
    """Both models started, the row answered once by each, ready to be timed on one core.

    Processes that were started for it end with it. Raises ModelError.
    """
    opened: list[Model] = []
    try:
        for model in (legacy, candidate):
            opened.append(in_host(model))
        pair = _side(opened[0], row), _side(opened[1], row)
        _settle(pair)
        yield pair
    finally:
        for model, own in zip(opened, (legacy, candidate)):
            if model is not own:
                model.close()


def _side(model: Model, row: pd.DataFrame) -> Side:
    host: Any = model
    if getattr(host, "timed", None) is None:
        return Side(model, Here(model), hosted=False)
    return Side(model, host, hosted=True, start=Start(*host.start(row)))


def _settle(pair: Pair) -> None:
    """Both processes on the same core, so that neither has the better one; only where each computes on one thread."""
    alone = all(getattr(getattr(side.host, "options", None), "threads", 0) == 1 for side in pair)
    if alone and len(allowed()) > 1:
        core = quietest()
        for side in pair:
            side.host.place(core)


class Scenario(NamedTuple):
    """What is asked at once: its name, how many rows, and in which scope."""

    name: str
    rows: int
    scope: Scope = "model"

    def frame(self, frame: pd.DataFrame, seed: int) -> pd.DataFrame:
        """The scenario's rows, seeded; a larger scenario holds the rows of a smaller one. Where it asks for more rows
        than there are, they are repeated."""
        order = np.random.default_rng(seed).permutation(len(frame))
        return frame.iloc[np.resize(order, self.rows)].reset_index(drop=True)


SWEEP = tuple(4**power for power in range(9))
"""Batch sizes of a sweep: 1 to 65,536."""


def scenarios(batches: Sequence[int], scopes: Sequence[Scope] = ("model",)) -> tuple[Scenario, ...]:
    """One row, then each batch, in each scope."""
    sizes = sorted({*batches, 1})
    ends = {"model": "", "whole": ", end to end"}
    return tuple(
        Scenario(("1 row" if size == 1 else f"{size:,} rows") + ends[scope], size, scope)
        for scope in scopes
        for size in sizes
    )


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


@dataclass(frozen=True)
class Race:
    """All scenarios of one run on one machine. control: legacy against itself over all of them."""

    timings: tuple[Timing, ...]

    @property
    def control(self) -> Estimate:
        logs: list[Floats] = [control_logs(one.found.wall) for one in self.timings if one.found]
        return geometric_mean(np.concatenate(logs)) if logs else Estimate(float("nan"))

    def steady(self, timing: Timing) -> bool:
        """Whether a scenario has a verdict: its own control is stable; or the run's is, and its own holds 1 and is
        no more than twice as wide."""
        if timing.found is None:
            return False
        own = timing.found.control
        return is_stable(own) or (is_stable(self.control) and is_stable(own, 2 * TOLERANCE))

    @property
    def verdicts(self) -> tuple[tuple[Timing, Comparison], ...]:
        """The steady scenarios with their comparisons."""
        return tuple((one, one.found) for one in self.timings if one.found and self.steady(one))

    @property
    def unsteady(self) -> tuple[str, ...]:
        """Names of the scenarios that were timed and have no verdict."""
        return tuple(one.scenario.name for one in self.timings if one.found and not self.steady(one))


def race(
    pair: Pair, frame: pd.DataFrame, asked: Sequence[Scenario], *, seconds: float, seed: int
) -> tuple[Race, tuple[Floats, Floats]]:
    """Both sides compared in every scenario, each within `seconds` where its fewest blocks allow it.

    Also gives the wall seconds of all single calls of the first scenario, legacy's and the candidate's.
    """
    found = []
    for scenario in asked:
        rows, timed = scenario.frame(frame, seed), [side.timed(scenario.scope) for side in pair]
        try:
            found.append(Timing(scenario, compare(timed[0], timed[1], rows, seconds=seconds, seed=seed)))
        except TooSlowError as error:
            found.append(Timing(scenario, None, str(error)))
    single = found[0].found
    calls = (single.single(LEGACY), single.single(CANDIDATE)) if single else (np.zeros(0), np.zeros(0))
    return Race(tuple(found)), calls


class Tail(NamedTuple):
    """A percentile of answering one row, in ms, of both sides; None where there are too few answers for it."""

    share: float
    legacy: Estimate | None
    candidate: Estimate | None
    answers: tuple[int, int]


def tails(
    pair: Pair, frame: pd.DataFrame, calls: tuple[Floats, Floats], *, samples: int, seconds: float, seed: int
) -> tuple[Tail, ...]:
    """The median, p90 and p99 of answering one row, from calls that were timed already and, where these are fewer
    than `samples`, from more of them, for `seconds` at most."""
    short = max(0, samples - len(calls[LEGACY])), max(0, samples - len(calls[CANDIDATE]))
    if any(short):
        row = Scenario("1 row", 1).frame(frame, seed)
        more = more_calls((pair[0].timed(), pair[1].timed()), row, short, seconds=seconds, seed=seed)
        calls = np.concatenate([calls[LEGACY], more[LEGACY]]), np.concatenate([calls[CANDIDATE], more[CANDIDATE]])
    before, after = (1e3 * side for side in calls)
    answers = len(before), len(after)
    shares = (0.5, 0.9, 0.99, *([0.999] if samples >= queries_needed(0.999) else []))
    return tuple(Tail(share, percentile(before, share), percentile(after, share), answers) for share in shares)
