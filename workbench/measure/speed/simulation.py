"""Machines with moods, simulated, where the truth is known: how often the decision rule is wrong, and what it finds.

A simulated machine has a clock of its own, so that 200 runs of some seconds each take a few real seconds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.measure.intervals import Interval, clopper_pearson
from workbench.measure.speed.timing import Comparison, Timed, TooSlowError, compare

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Mood:
    """What disturbs a machine.

    noise: relative, of a call, heavy-tailed (Student's t with 4 degrees of freedom). pace: standard deviation of the
    innovations of an autoregressive pace of the whole machine, per slice; drift: relative, per second. steals: bursts
    per second in which something else holds the core, each `burst` s long on average: they add to wall time only.
    load: share of the time in which another process competes (phases of 1.5 s on average); it takes the core for
    4 ms at a time, half of the time, and slows what runs by a tenth through the shared cache.
    between: standard deviation of the speed of two processes of one model.
    """

    noise: float = 0.02
    pace: float = 0.0
    drift: float = 0.0
    steals: float = 0.0
    burst: float = 0.005
    load: float = 0.0
    between: float = 0.0


MOODS: Mapping[str, Mood] = {
    "quiet": Mood(pace=0.005, steals=1.0, between=0.003),
    "drifting": Mood(pace=0.005, drift=0.02, between=0.003),
    "pacing": Mood(noise=0.03, pace=0.03, between=0.003),
    "shared host": Mood(noise=0.03, pace=0.02, steals=12.0, between=0.005),
    "loaded": Mood(noise=0.03, pace=0.02, steals=6.0, load=0.4, between=0.005),
}


@dataclass
class Machine:
    """A clock and two sides on it. ratio: candidate time / legacy time. call: seconds of a call of legacy."""

    mood: Mood
    seed: int
    ratio: float = 1.0
    call: float = 0.01
    now: float = 0.0
    _level: float = 0.0
    _busy: bool = False
    _until: float = 0.0
    _rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng([self.seed, 20_261])

    def clock(self) -> float:
        return self.now

    def side(self, times: float) -> Timed:
        """A side whose call takes `times` that of legacy."""
        base = self.call * times * math.exp(self.mood.between * self._rng.normal())

        def timed(frame: pd.DataFrame, calls: int) -> tuple[list[int], list[int]]:
            cpu = base * np.exp(self._pace() + self.mood.noise * self._rng.standard_t(4, size=calls) / math.sqrt(2))
            cpu *= 1.1 if self._loaded() else 1.0
            wall = cpu + self._taken(cpu)
            self.now += float(wall.sum()) + 0.0003
            return (1e9 * wall).astype(np.int64).tolist(), (1e9 * cpu).astype(np.int64).tolist()

        return timed

    def compare(self, **options: Any) -> Comparison:
        """Raises TooSlowError as `timing.compare`."""
        frame: Any = None
        return compare(self.side(1.0), self.side(self.ratio), frame, seed=self.seed, clock=self.clock, **options)

    def _pace(self) -> float:
        self._level = 0.9 * self._level + self.mood.pace * self._rng.normal()
        return self._level + self.mood.drift * self.now

    def _loaded(self) -> bool:
        if self.mood.load and self.now >= self._until:
            self._busy = bool(self._rng.random() < self.mood.load)
            self._until = self.now + self._rng.exponential(1.5)
        return self._busy

    def _taken(self, cpu: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Seconds that other work takes out of each call."""
        bursts = self._rng.poisson(self.mood.steals * cpu)
        taken = self.mood.burst * self._rng.standard_gamma(bursts)
        if self._busy:
            taken = taken + 0.004 * self._rng.poisson(cpu / 0.008)
        return np.asarray(taken, dtype=np.float64)


@dataclass(frozen=True)
class Verdicts:
    """What a number of runs said. counts: by outcome, "unsteady" where the control gave no verdict."""

    counts: Mapping[str, int]
    seconds: float = 0.0

    @property
    def runs(self) -> int:
        return sum(self.counts.values())

    def share(self, *outcomes: str) -> tuple[float, Interval]:
        """Of the runs that said one of these, with its exact 95 % interval (Clopper and Pearson 1934)."""
        said = sum(self.counts.get(outcome, 0) for outcome in outcomes)
        return said / max(self.runs, 1), clopper_pearson(said, self.runs)


def simulated(mood: Mood, *, ratio: float = 1.0, runs: int = 200, seed: int = 0, **options: Any) -> Verdicts:
    """What `runs` comparisons on such a machine say. ratio 1: every "faster" or "slower" is false. ratio 1.05: a
    slow-down by 5 %, found where they say "slower". options: of `timing.compare`, and call: seconds a call."""
    counts: Counter[str] = Counter()
    call, spent = options.pop("call", 0.01), 0.0
    for run in range(runs):
        machine = Machine(mood, seed + run, ratio, call)
        counts[outcome_of(machine, options)] += 1
        spent += machine.now
    return Verdicts(dict(counts), spent / max(runs, 1))


def outcome_of(machine: Machine, options: Mapping[str, Any]) -> str:
    """Of one comparison; "too slow" where the time was too short for a verdict."""
    try:
        found = machine.compare(**options)
    except TooSlowError:
        return "too slow"
    return found.outcome if found.stable else "unsteady"
