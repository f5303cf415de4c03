"""One side raced against a fixed reference, in turns of milliseconds, and stopped early where it cannot win.

The same method as the benchmark's: seeded palindromes of slices, the median call of each round, the ratio of the two by
a trimmed mean with its interval. A ratio here is time of the side / time of the reference: 0.5 takes half as long.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from workbench.measure.intervals import Estimate
from workbench.measure.speed import Timed, geometric_mean, half_width, orders, warm_up
from workbench.measure.speed.statistics import Floats

if TYPE_CHECKING:
    import pandas as pd

LEAST = 6
"""Rounds before a look."""
PRECISE = 0.02
"""Half width of the ratio's interval, on the log scale, that is narrow enough."""
SLICE = 0.01
"""Seconds of a slice, at least a call."""


class Raced(NamedTuple):
    """ratio: side / reference. reference: seconds of its typical call. calls: wall seconds of each call of the side.
    settled: warm-up came to rest on both. stopped: it was given up as beaten."""

    ratio: Estimate
    reference: float
    calls: Floats
    settled: bool
    stopped: bool = False


def race(
    reference: Timed,
    side: Timed,
    frame: pd.DataFrame,
    *,
    seconds: float,
    seed: int = 0,
    beaten: Callable[[Estimate], bool] = lambda ratio: False,
    clock: Callable[[], float] = time.monotonic,
) -> Raced:
    """Rounds until the ratio is precise, the side is beaten, or `seconds` are over; LEAST rounds in any case."""
    both = (reference, side)
    warm = [warm_up(one, frame, window=SLICE, seconds=seconds / 4) for one in both]
    calls = [max(1, math.ceil(SLICE / typical)) for typical, _ in warm]
    end, logs, base, kept = clock() + seconds, list[float](), list[float](), list[float]()
    made = orders(seed, sides=2)
    while True:
        seen: tuple[list[int], list[int]] = ([], [])
        for which in next(made):
            seen[which].extend(both[which](frame, calls[which])[0])
        typical = [max(float(np.median(one)), 1.0) / 1e9 for one in seen]
        logs.append(math.log(typical[1] / typical[0]))
        base.append(typical[0])
        kept.extend(wall / 1e9 for wall in seen[1])
        if len(logs) < LEAST:
            continue
        ratio = geometric_mean(np.array(logs))
        lost = beaten(ratio)
        if lost or clock() >= end or half_width(ratio) <= PRECISE:
            settled = all(rested for _, rested in warm)
            return Raced(ratio, float(np.median(base)), np.array(kept), settled, lost)
