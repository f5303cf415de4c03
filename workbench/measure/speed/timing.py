"""How fast, how surely: interleaved timing of two sides with a control, and the statistics of the times.

A side is a callable `timed(frame, calls) -> (wall, cpu)`: it answers the frame `calls` times and times each answer
where it runs, in nanoseconds. One round asks legacy, candidate and legacy again (the control) in a seeded order and
then in the reverse order, so that a drift of the machine, linear over the round, cancels out of every ratio. The
control compares legacy with itself: where it does not come out as 1, the machine was too unsteady for a verdict.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from workbench.measure.intervals import Estimate
from workbench.measure.speed.statistics import TOLERANCE, Floats, geometric_mean, is_stable

if TYPE_CHECKING:
    import pandas as pd

Timed = Callable[["pd.DataFrame", int], tuple[Sequence[int], Sequence[int]]]

LEGACY, CANDIDATE, CONTROL = 0, 1, 2

BLOCKS = ("round", *(f"{side} {clock}" for clock in ("wall", "CPU") for side in ("legacy", "candidate", "control")))


class TooSlowError(RuntimeError):
    """The fewest rounds that make a verdict do not fit the time. needed, allowed: seconds."""

    def __init__(self, needed: float, allowed: float) -> None:
        super().__init__(
            f"the fewest rounds take about {needed:.0f} s and {allowed:.0f} s are allowed: allow more seconds"
        )
        self.needed = needed
        self.allowed = allowed


@dataclass(frozen=True)
class Comparison:
    """Times of two sides and the control, in seconds per call.

    wall, cpu: float64 [rounds, 3, 2], sides in the order legacy, candidate, control; two blocks a round. calls: in
    one block of legacy and of candidate. settled: warm-up came to rest on both sides. All measures are ratios of
    time, legacy / other: 2 means the other is twice as fast.
    """

    wall: Floats
    cpu: Floats
    calls: tuple[int, int]
    settled: bool

    @property
    def rounds(self) -> int:
        return len(self.wall)

    @property
    def speed_up(self) -> Estimate:
        return geometric_mean(log_ratios(self.wall, CANDIDATE))

    @property
    def cpu_speed_up(self) -> Estimate:
        return geometric_mean(log_ratios(self.cpu, CANDIDATE))

    @property
    def control(self) -> Estimate:
        return geometric_mean(log_ratios(self.wall, CONTROL))

    @property
    def stable(self) -> bool:
        return is_stable(self.control)

    @property
    def outcome(self) -> Literal["unsteady", "faster", "slower", "alike"]:
        """Of the candidate: by the whole interval of the speed-up, where the control was stable."""
        if not self.stable:
            return "unsteady"
        ratio = self.speed_up
        return "faster" if ratio.low > 1 else "slower" if ratio.high < 1 else "alike"

    def ratios(self) -> tuple[tuple[str, float, float, float], ...]:
        """Rows (what, ratio, low, high)."""
        found = {"wall time": self.speed_up, "CPU time": self.cpu_speed_up, "control": self.control}
        return tuple((name, *estimate) for name, estimate in found.items())

    def blocks(self) -> tuple[tuple[int | float, ...], ...]:
        """Rows (round, wall ms of legacy, candidate, control, CPU ms of the same): per call, two blocks' mean."""
        both = 1e3 * np.concatenate([self.wall.mean(axis=2), self.cpu.mean(axis=2)], axis=1)
        return tuple((number + 1, *map(float, row)) for number, row in enumerate(both))

    def seconds(self, side: int) -> Estimate:
        """Geometric mean wall time of a call of LEGACY or CANDIDATE, in s."""
        return geometric_mean(np.log(self.wall[:, side]).mean(axis=1))


def log_ratios(times: Floats, side: int) -> Floats:
    """log(legacy / side) per round [rounds] of times [rounds, 3, 2], each round's two blocks averaged."""
    logs = np.log(times).mean(axis=2)
    return np.asarray(logs[:, LEGACY] - logs[:, side], dtype=np.float64)


def orders(seed: int, sides: int = 3) -> Iterator[tuple[int, ...]]:
    """Endless seeded rounds, each a palindrome of the sides: A B C C B A, C A B B A C, ..."""
    rng = np.random.default_rng(seed)
    while True:
        first = [int(side) for side in rng.permutation(sides)]
        yield (*first, *reversed(first))


def warm_up(
    timed: Timed, frame: pd.DataFrame, *, window: float = 0.05, most: int = 15, seconds: float = 3.0
) -> tuple[float, bool]:
    """Call until three windows in a row agree within TOLERANCE, bounded by `most` windows and `seconds`.

    Gives wall seconds per call, and whether it settled.
    """
    first = _seconds(timed(frame, 1)[0])
    calls, spent = _calls(first, window), first
    found: list[float] = []
    while len(found) < most and spent < seconds:
        wall = _seconds(timed(frame, calls)[0])
        found.append(wall / calls)
        spent += wall
        calls = _calls(found[-1], window)
        last = found[-3:]
        if len(last) == 3 and max(last) <= (1 + TOLERANCE) * min(last):
            return min(last), True
    return (min(found) if found else first), False


def compare(
    legacy: Timed,
    candidate: Timed,
    frame: pd.DataFrame,
    *,
    seconds: float = 6.0,
    least: int = 10,
    most: int = 100,
    block: float = 0.05,
    seed: int = 0,
    clock: Callable[[], float] = time.monotonic,
) -> Comparison:
    """Rounds of blocks of at least `block` s: `least` rounds (two blocks a side each), then more until the control is
    stable, while they fit in `seconds` and `most`.

    Raises TooSlowError if `least` rounds would take more than three times `seconds`.
    """
    sides = (legacy, candidate, legacy)
    warm = [warm_up(side, frame) for side in sides[:2]]
    calls = [_calls(per_call, block) for per_call, _ in warm]
    calls.append(calls[LEGACY])
    around = sum(2 * calls[side] * warm[side % 2][0] for side in range(3))
    if least * around > 3 * seconds:
        raise TooSlowError(least * around, 3 * seconds)
    wall: list[list[list[float]]] = []
    cpu: list[list[list[float]]] = []
    end = clock() + seconds
    for order in orders(seed):
        times = [(side, sides[side](frame, calls[side])) for side in order]
        for kept, which in ((wall, 0), (cpu, 1)):
            kept.append([[_seconds(t[which]) / calls[side] for at, t in times if at == side] for side in range(3)])
        found = Comparison(np.array(wall), np.array(cpu), (calls[0], calls[1]), all(ok for _, ok in warm))
        over = len(wall) >= most or clock() + around > end
        if len(wall) >= least and (over or found.stable):
            return found
    raise AssertionError("orders never ends")


def _seconds(nanoseconds: Sequence[int]) -> float:
    """Their sum; at least a nanosecond, since its logarithm is taken."""
    return max(sum(nanoseconds), 1) / 1e9


def _calls(per_call: float, window: float) -> int:
    return max(1, math.ceil(window / max(per_call, 1e-9)))


def latencies(
    sides: tuple[Timed, Timed],
    frame: pd.DataFrame,
    *,
    samples: int,
    seconds: float,
    seed: int = 0,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Floats, Floats]:
    """Wall seconds of single calls of two sides, as many on each, taken in turns of ten in a seeded order.

    Stops at `samples` a side or after `seconds`.
    """
    found: tuple[list[float], list[float]] = ([], [])
    end = clock() + seconds
    for order in orders(seed, sides=2):
        for side in order:
            found[side].extend(nanoseconds / 1e9 for nanoseconds in sides[side](frame, 10)[0])
        if len(found[0]) >= samples or clock() > end:
            return np.array(found[0]), np.array(found[1])
    raise AssertionError("orders never ends")
