"""Many sides timed in one run: interleaved blocks, ratios with intervals. The statistics are the package's own."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.measure.intervals import Estimate
from workbench.measure.speed import TOLERANCE, geometric_mean, is_stable, orders

Floats = NDArray[np.float64]

Timed = Callable[[int], tuple[int, int]]
"""calls → (wall, CPU) nanoseconds of that many calls, timed where they run."""

OURS, CONTROL = "ours", "control"
LEAST = 3


@dataclass(frozen=True)
class Raced:
    """wall, cpu: seconds per call [rounds, sides, 2], sides in the order of `names`; `control` is ours once more."""

    names: tuple[str, ...]
    wall: Floats
    cpu: Floats

    def ratio(self, name: str, clock: str = "wall") -> Estimate:
        """Time of `name` over time of ours: 2 means that ours is twice as fast."""
        times = self.wall if clock == "wall" else self.cpu
        logs = np.log(times).mean(axis=2)
        return geometric_mean(logs[:, self.names.index(name)] - logs[:, self.names.index(OURS)])

    def seconds(self, name: str) -> float:
        """Median wall seconds of a call."""
        return float(np.median(self.wall[:, self.names.index(name)]))

    @property
    def stable(self) -> bool:
        return is_stable(self.ratio(CONTROL))


def settle(timed: Timed, window: float, seconds: float = 1.5) -> float:
    """Call until three windows in a row agree, bounded; wall seconds per call."""
    wall = timed(1)[0] / 1e9
    found, spent = [wall], wall
    while spent < seconds and len(found) < 15:
        calls = calls_for(found[-1], window)
        wall = timed(calls)[0] / 1e9
        found.append(wall / calls)
        spent += wall
        if len(found) > 3 and max(found[-3:]) <= (1 + TOLERANCE) * min(found[-3:]):
            break
    return min(found)


def calls_for(per_call: float, window: float) -> int:
    return max(1, math.ceil(window / max(per_call, 1e-9)))


def race(
    sides: dict[str, Timed], *, block: float, seconds: float, most: int, seed: int
) -> tuple[Raced, dict[str, str]]:
    """Time all sides against "ours", and ours against itself; sides that are too slow for `seconds` are left out.

    A round asks every side twice, in a seeded order and in the reverse order. Rounds go on until `most` or the end of
    `seconds`; at least LEAST. Gives the times, and why each side that was left out was.
    """
    around: dict[str, float] = {}
    left_out: dict[str, str] = {}
    for name, timed in sides.items():
        per_call = settle(timed, block)
        cost = 2 * LEAST * calls_for(per_call, block) * per_call
        if name != OURS and cost > seconds:
            left_out[name] = f"one call takes {per_call:.1f} s"
        else:
            around[name] = per_call
    kept = {name: sides[name] for name in around} | {CONTROL: sides[OURS]}
    calls = [calls_for(around.get(name, around[OURS]), block) for name in kept]
    names, ask = tuple(kept), list(kept.values())
    wall: list[list[list[float]]] = []
    cpu: list[list[list[float]]] = []
    end = time.monotonic() + seconds
    for order in orders(seed, sides=len(names)):
        start = time.monotonic()
        times = [(side, ask[side](calls[side])) for side in order]
        for found, clock in ((wall, 0), (cpu, 1)):
            found.append([_of(times, side, clock, calls[side]) for side in range(len(names))])
        over = time.monotonic() + (time.monotonic() - start) > end
        if len(wall) >= LEAST and (over or len(wall) >= most):
            break
    return Raced(names, np.array(wall), np.array(cpu)), left_out


def _of(times: Sequence[tuple[int, tuple[int, int]]], side: int, clock: int, calls: int) -> list[float]:
    return [max(found[clock], 1) / 1e9 / calls for at, found in times if at == side]
