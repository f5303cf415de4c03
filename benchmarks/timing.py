"""Many sides timed in one run: interleaved blocks, ratios with intervals. The statistics are the package's own."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
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
PASSES = 4
"""Rounds at least, and palindromes in a round at most."""


@dataclass(frozen=True)
class Raced:
    """wall, cpu: seconds per call [rounds, sides], sides in the order of `names`; `control` is ours once more."""

    names: tuple[str, ...]
    wall: Floats
    cpu: Floats

    def ratio(self, name: str, clock: str = "wall") -> Estimate:
        """Time of `name` over time of ours: 2 means that ours is twice as fast."""
        times = self.wall if clock == "wall" else self.cpu
        logs = np.log(times)
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
    sides: dict[str, Timed], *, block: float, seconds: float, most: int, seed: int, least: int = LEAST
) -> tuple[Raced, dict[str, str]]:
    """Time all sides against "ours", and ours against itself; sides that are too slow for `seconds` are left out.

    A round is a few palindromes of the sides in a seeded order, in slices of milliseconds, at least `block` s a side;
    a side's time in a round is the median of its slices, which a process that takes the core now and then does not
    move. Rounds go on until `most` or the end of `seconds`; at least `least`. Gives the times, and why each side that
    was left out was.
    """
    around: dict[str, float] = {}
    left_out: dict[str, str] = {}
    for name, timed in sides.items():
        per_call = settle(timed, block)
        if name != OURS and 2 * least * max(block, per_call) > seconds:
            left_out[name] = f"one call takes {per_call:.1f} s"
        else:
            around[name] = per_call
    kept = {name: sides[name] for name in around} | {CONTROL: sides[OURS]}
    passes = max(1, min(PASSES, int(block / max(around.values()))))
    calls = [calls_for(around.get(name, around[OURS]), block / passes / 2) for name in kept]
    names, ask = tuple(kept), list(kept.values())
    rounds: list[Floats] = []
    end, made = time.monotonic() + seconds, orders(seed, sides=len(names))
    while len(rounds) < most:
        start = time.monotonic()
        slices: list[list[tuple[int, int]]] = [[] for _ in names]
        for order in itertools.islice(made, passes):
            for side in order:
                slices[side].append(ask[side](calls[side]))
        rounds.append(np.median(slices, axis=1) / np.array(calls)[:, None] / 1e9)
        if len(rounds) >= least and 2 * time.monotonic() - start > end:
            break
    found = np.maximum(np.array(rounds), 1e-9)
    return Raced(names, found[:, :, 0], found[:, :, 1]), left_out
