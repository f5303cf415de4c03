"""How fast, how surely: finely interleaved timing of two sides with a control, and what the times say.

A side is a callable `timed(frame, calls) -> (wall, cpu)`: it answers the frame `calls` times and times each answer
where it runs, in nanoseconds. One round asks each of the two twice, as if there were four, in a seeded order and then
in the reverse order, in slices of milliseconds, so that a drift of the machine, linear over the round, cancels out of
every ratio. Both come twice because a side that follows itself finds the core's caches as it left them: what one of
two would gain by that is gained by both. The slices of one of the four in a round are a block; a block's time is the
median of its calls, which another process that takes the core for some milliseconds does not move. The control
compares legacy with itself: where it does not come out as 1, the machine was too unsteady for a verdict.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.measure.intervals import Estimate
from workbench.measure.speed.statistics import (
    NEGLIGIBLE,
    PRECISION,
    TOLERANCE,
    Floats,
    geometric_mean,
    half_width,
    is_stable,
)

if TYPE_CHECKING:
    import pandas as pd

Timed = Callable[["pd.DataFrame", int], tuple[Sequence[int], Sequence[int]]]

LEGACY, CANDIDATE, CONTROL, AGAIN = 0, 1, 2, 3
SIDES = ("legacy", "candidate", "legacy again", "candidate again")
SAME = {LEGACY: (LEGACY, CONTROL), CANDIDATE: (CANDIDATE, AGAIN)}
"""Which of the four are one model."""

BLOCKS = ("round", *(f"{side} {clock}" for clock in ("wall", "CPU") for side in SIDES))

LEAST = 16
"""Rounds before a verdict: 32 blocks of each model, for it comes twice."""

LOOK = 4
"""Rounds between two looks at whether the times are precise enough."""


class TooSlowError(RuntimeError):
    """The fewest blocks that make a verdict do not fit the time. needed, allowed: seconds."""

    def __init__(self, needed: float, allowed: float) -> None:
        super().__init__(
            f"the fewest blocks take about {needed:.3g} s and {allowed:.3g} s are allowed: allow more seconds"
        )
        self.needed = needed
        self.allowed = allowed


class Call(NamedTuple):
    """One timed answer. side: LEGACY, CANDIDATE, CONTROL or AGAIN; wall, cpu: ns."""

    round: int
    side: int
    wall: int
    cpu: int


@dataclass(frozen=True)
class Comparison:
    """Times of two sides, each taken twice a round.

    wall, cpu: float64 [rounds, 4], seconds of a block's median call: LEGACY, CANDIDATE, CONTROL (legacy again) and
    AGAIN (candidate again). calls: in one block of legacy and of candidate. settled: warm-up came to rest on both
    sides. raw: every call, in its order. All measures are ratios of time, legacy / candidate: 2 means the candidate is
    twice as fast.
    """

    wall: Floats
    cpu: Floats
    calls: tuple[int, int]
    settled: bool
    raw: tuple[Call, ...] = ()

    @property
    def rounds(self) -> int:
        return len(self.wall)

    @property
    def speed_up(self) -> Estimate:
        return geometric_mean(log_ratios(self.wall))

    @property
    def cpu_speed_up(self) -> Estimate:
        return geometric_mean(log_ratios(self.cpu))

    @property
    def control(self) -> Estimate:
        return geometric_mean(control_logs(self.wall))

    @property
    def stable(self) -> bool:
        return is_stable(self.control)

    @property
    def precise(self) -> bool:
        """The control is stable, and more rounds would not say much more: a difference that shows already, though it
        may be negligible, is followed until it is called or the time is over."""
        ratio = self.speed_up
        narrow = half_width(ratio) <= max(PRECISION, abs(math.log(ratio.value)) / 10)
        return self.stable and narrow and (self.outcome in ("faster", "slower") or ratio.low <= 1 <= ratio.high)

    @property
    def outcome(self) -> Literal["faster", "slower", "alike", "undecided"]:
        """Of the candidate: by the whole interval of the speed-up, beyond what two processes of one model differ by."""
        low, high = self.speed_up.low, self.speed_up.high
        if low > 1 + NEGLIGIBLE or high < 1 / (1 + NEGLIGIBLE):
            return "faster" if low > 1 else "slower"
        return "alike" if low >= 1 - TOLERANCE and high <= 1 + TOLERANCE else "undecided"

    def ratios(self) -> tuple[tuple[str, float, float, float], ...]:
        """Rows (what, ratio, low, high)."""
        found = {"wall time": self.speed_up, "CPU time": self.cpu_speed_up, "control": self.control}
        return tuple((name, *estimate) for name, estimate in found.items())

    def blocks(self) -> tuple[tuple[int | float, ...], ...]:
        """Rows (round, wall ms of the four, CPU ms of the same): of the block's median call."""
        both = 1e3 * np.concatenate([self.wall, self.cpu], axis=1)
        return tuple((number + 1, *map(float, row)) for number, row in enumerate(both))

    def seconds(self, side: int) -> Estimate:
        """Typical wall time of a call of LEGACY or CANDIDATE, in s."""
        return geometric_mean(log_times(self.wall, side))

    def cpu_seconds(self, side: int) -> Estimate:
        """Typical CPU time of a call of LEGACY or CANDIDATE, in s."""
        return geometric_mean(log_times(self.cpu, side))

    def single(self, side: int) -> Floats:
        """Wall seconds of every call of LEGACY or CANDIDATE, in their order."""
        return np.array([call.wall / 1e9 for call in self.raw if call.side in SAME[side]], dtype=np.float64)


def log_times(times: Floats, side: int) -> Floats:
    """Mean log of both blocks of LEGACY or CANDIDATE in each round [rounds], of times [rounds, 4]."""
    return np.asarray(np.log(times[:, SAME[side]]).mean(axis=1), dtype=np.float64)


def log_ratios(times: Floats) -> Floats:
    """log(legacy / candidate) per round [rounds] of times [rounds, 4]."""
    return log_times(times, LEGACY) - log_times(times, CANDIDATE)


def control_logs(times: Floats) -> Floats:
    """log(legacy / legacy again) per round [rounds] of times [rounds, 4]."""
    return np.asarray(np.log(times[:, LEGACY] / times[:, CONTROL]), dtype=np.float64)


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

    Gives wall seconds of a typical call, and whether it settled.
    """
    first = _typical(timed(frame, 1)[0])
    calls, spent = _calls(first, window), first
    found: list[float] = []
    while len(found) < most and spent < seconds:
        wall = timed(frame, calls)[0]
        found.append(_typical(wall))
        spent += sum(wall) / 1e9
        calls = _calls(found[-1], window)
        last = found[-3:]
        if len(last) == 3 and max(last) <= (1 + TOLERANCE) * min(last):
            return min(last), True
    return (min(found) if found else first), False


class Plan(NamedTuple):
    """How a round is cut. passes: palindromes in it; calls: of legacy and of candidate in a slice; least: rounds before
    a verdict; seconds: a round takes."""

    passes: int
    calls: tuple[int, int]
    least: int
    seconds: float

    @classmethod
    def of(cls, seconds: tuple[float, float], block: float) -> Plan:
        """seconds: of a typical call of each side. A side gets at least `block` s a round, in two or four slices."""
        passes = 2 if max(seconds) <= block / 16 else 1  # longer calls would make the four slices much too long
        calls = _calls(seconds[0], block / passes / 2), _calls(seconds[1], block / passes / 2)
        # Slices as long as a block are blocks themselves: two of them a round.
        blocks = 2 if min(seconds) >= block else 1
        around = 2 * sum(2 * passes * n * each for n, each in zip(calls, seconds))
        return cls(passes, calls, math.ceil(LEAST / blocks), around)


def compare(
    legacy: Timed,
    candidate: Timed,
    frame: pd.DataFrame,
    *,
    seconds: float = 6.0,
    most: int = 200,
    block: float = 0.05,
    seed: int = 0,
    clock: Callable[[], float] = time.monotonic,
) -> Comparison:
    """Rounds until LEAST blocks of at least `block` s are timed of each of the four, then more until the ratio is
    precise and the control stable, while they fit in `seconds` and `most`.

    Raises TooSlowError if the fewest rounds would take more than three times `seconds`.
    """
    sides = (legacy, candidate)
    warm = [warm_up(side, frame) for side in sides]
    plan = Plan.of((warm[0][0], warm[1][0]), block)
    if plan.least * plan.seconds > 3 * seconds:
        raise TooSlowError(plan.least * plan.seconds, 3 * seconds)
    raw: list[Call] = []
    end, made = clock() + seconds, orders(seed, len(SIDES))
    for done in range(1, most + 1):
        for side in (side for _ in range(plan.passes) for side in next(made)):
            times = sides[side % 2](frame, plan.calls[side % 2])
            raw.extend(Call(done - 1, side, wall, cpu) for wall, cpu in zip(*times))
        over = done == most or clock() + plan.seconds > end
        if done >= plan.least and (over or done % LOOK == 0):
            found = _compared(raw, plan, all(settled for _, settled in warm))
            if over or found.precise:
                return found
    raise TooSlowError(plan.least * plan.seconds, most * plan.seconds)


def _compared(raw: Sequence[Call], plan: Plan, settled: bool) -> Comparison:
    calls = np.array(raw, dtype=np.int64)
    wall, cpu = (_medians(calls, column) for column in (2, 3))
    in_block = 2 * plan.passes * plan.calls[LEGACY], 2 * plan.passes * plan.calls[CANDIDATE]
    return Comparison(wall, cpu, in_block, settled, tuple(raw))


def _medians(calls: NDArray[np.int64], column: int) -> Floats:
    """Seconds of the median call of each round and side [rounds, 4]."""
    found = np.empty((int(calls[-1, 0]) + 1, len(SIDES)))
    for side in range(len(SIDES)):
        of = calls[calls[:, 1] == side]
        # Every round has as many calls of a side: a table of them.
        table = of[:, column].reshape(len(found), -1)
        found[:, side] = np.maximum(np.median(table, axis=1), 1) / 1e9
    return found


def _typical(nanoseconds: Sequence[int]) -> float:
    """Seconds of the median; at least a nanosecond, since its logarithm is taken."""
    return max(float(np.median(nanoseconds)), 1.0) / 1e9


def _calls(per_call: float, window: float) -> int:
    return max(1, math.ceil(window / max(per_call, 1e-9)))


def more_calls(
    sides: tuple[Timed, Timed],
    frame: pd.DataFrame,
    wanted: tuple[int, int],
    *,
    seconds: float,
    seed: int = 0,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Floats, Floats]:
    """Wall seconds of further single calls of two sides, in turns of ten in a seeded order.

    Stops at as many as are wanted of each side, or after `seconds`.
    """
    found: tuple[list[float], list[float]] = ([], [])
    end = clock() + seconds
    for order in orders(seed, sides=2):
        for side in order:
            if (short := wanted[side] - len(found[side])) > 0:
                found[side].extend(ns / 1e9 for ns in sides[side](frame, min(10, short))[0])
        if clock() > end or all(len(one) >= n for one, n in zip(found, wanted)):
            return np.array(found[0]), np.array(found[1])
    raise AssertionError("orders never ends")
