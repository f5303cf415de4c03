"""How fast, how surely: interleaved timing of two sides with a control, and the statistics of the times.

A side is a callable `timed(frame, calls) -> (wall_ns, cpu_ns)`: it answers the frame `calls` times and times itself
where it runs. One round asks legacy, candidate and legacy again (the control) in a seeded order and then in the
reverse order, so that a drift of the machine, linear over the round, cancels out of every ratio. The control
compares legacy with itself: where it does not come out as 1, the machine was too unsteady for a verdict.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.measure.intervals import Estimate

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Timed = Callable[["pd.DataFrame", int], tuple[int, int]]

LEGACY, CANDIDATE, CONTROL = 0, 1, 2

LEVEL = 0.99
"""Of each ratio: a run judges a handful of them, and all together may raise a false alarm in 5 runs of 100."""

TOLERANCE = 0.05
"""How far from 1 the control may reach, and how far warm-up windows may differ."""

TRIM = 0.2
"""Share of rounds left out at each end: another process slows some down by half."""


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

    def seconds(self, side: int) -> Estimate:
        """Geometric mean wall time of a call of LEGACY or CANDIDATE, in s."""
        return geometric_mean(np.log(self.wall[:, side]).mean(axis=1))


def log_ratios(times: Floats, side: int) -> Floats:
    """log(legacy / side) per round [rounds] of times [rounds, 3, 2], each round's two blocks averaged."""
    logs = np.log(times).mean(axis=2)
    return np.asarray(logs[:, LEGACY] - logs[:, side], dtype=np.float64)


def geometric_mean(logs: Floats, *, level: float = LEVEL) -> Estimate:
    """exp of the 20 % trimmed mean of logs [n], with Yuen's interval (Tukey and McLaughlin 1963; Yuen 1974).

    Trimmed, because another process slows whole blocks down by half; in simulations it keeps its level where a
    percentile bootstrap of ten rounds does not. Fewer than two values have no interval.
    """
    n = len(logs)
    if n < 2:
        return Estimate(float(np.exp(logs.mean())) if n else math.nan)
    from scipy.stats import t

    cut = int(TRIM * n)
    ordered = np.sort(logs)
    centre = float(ordered[cut : n - cut].mean())
    spread = float(np.clip(ordered, ordered[cut], ordered[n - cut - 1]).std(ddof=1))
    half = float(t.ppf((1 + level) / 2, n - 2 * cut - 1)) * spread / ((1 - 2 * cut / n) * math.sqrt(n))
    return Estimate(math.exp(centre), math.exp(centre - half), math.exp(centre + half))


def is_stable(control: Estimate, tolerance: float = TOLERANCE) -> bool:
    """The control's interval contains 1 and lies within 1 ± tolerance."""
    return 1 - tolerance <= control.low <= 1 <= control.high <= 1 + tolerance


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
    wall, _ = timed(frame, 1)
    calls, spent = _calls(wall / 1e9, window), wall / 1e9
    found: list[float] = []
    while len(found) < most and spent < seconds:
        wall, _ = timed(frame, calls)
        found.append(max(wall, 1) / 1e9 / calls)
        spent += wall / 1e9
        calls = _calls(found[-1], window)
        last = found[-3:]
        if len(last) == 3 and max(last) <= (1 + TOLERANCE) * min(last):
            return min(last), True
    return (min(found) if found else max(wall, 1) / 1e9), False


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
    wall, cpu = [], []
    end = clock() + seconds
    for order in orders(seed):
        times = [(side, sides[side](frame, calls[side])) for side in order]
        wall.append([[max(w, 1) / 1e9 / calls[side] for at, (w, _) in times if at == side] for side in range(3)])
        cpu.append([[max(c, 1) / 1e9 / calls[side] for at, (_, c) in times if at == side] for side in range(3)])
        found = Comparison(np.array(wall), np.array(cpu), (calls[0], calls[1]), all(ok for _, ok in warm))
        over = len(wall) >= most or clock() + around > end
        if len(wall) >= least and (over or found.stable):
            return found
    raise AssertionError("orders never ends")


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
            found[side].extend(sides[side](frame, 1)[0] / 1e9 for _ in range(10))
        if len(found[0]) >= samples or clock() > end:
            return np.array(found[0]), np.array(found[1])
    raise AssertionError("orders never ends")


def queries_needed(percentile: float, over: int = 0, confidence: float = 0.99) -> int:
    """Fewest queries with `over` of them slower than a bound that show the percentile to be under the bound.

    The smallest n with P(Binomial(n, 1 - percentile) <= over) <= 1 - confidence: the sample-size rule of MLPerf
    Inference (Reddi et al. 2020, arXiv:1911.02549, early stopping). percentile 0.9: 44, with one over 64.
    """
    from scipy.stats import binom

    low, high = over + 1, 2 * (over + 1)
    while binom.cdf(over, high, 1 - percentile) > 1 - confidence:
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        if binom.cdf(over, middle, 1 - percentile) <= 1 - confidence:
            high = middle
        else:
            low = middle + 1
    return low


def percentile(samples: Floats, share: float, *, level: float = LEVEL) -> Estimate | None:
    """The `share` quantile of samples [n] with its interval by order statistics (David and Nagaraja 2003, 7.1).

    Distribution-free: the number of samples under the quantile is binomial. None where n is under `queries_needed`;
    no interval where n is too small for one at this level.
    """
    n = len(samples)
    if n < queries_needed(share):
        return None
    from scipy.stats import binom

    ordered = np.sort(samples)
    low = int(binom.ppf((1 - level) / 2, n, share))
    high = int(binom.ppf((1 + level) / 2, n, share)) + 1
    value = float(np.quantile(ordered, share, method="inverted_cdf"))
    if low < 1 or high > n:
        return Estimate(value)
    return Estimate(value, float(ordered[low - 1]), float(ordered[high - 1]))


def quotient(above: Estimate, below: Estimate) -> Estimate:
    """above / below of two positive estimates; conservative: from the far ends of both intervals.

    With both at confidence 1 - a it holds at 1 - 2a at least (Bonferroni).
    """
    return Estimate(above.value / below.value, above.low / below.high, above.high / below.low)


def inverse(estimate: Estimate, scale: float = 1.0) -> Estimate:
    """scale / estimate, its interval turned round: seconds per call to rows per second, for instance."""
    return Estimate(scale / estimate.value, scale / estimate.high, scale / estimate.low)


def cost_per_million(rate: Estimate, price_per_hour: float, utilisation: float) -> Estimate:
    """Cost of a million predictions at `rate` rows per second: price / (3600 · rate · utilisation) · 10^6.

    Raises ValueError if the price is negative or utilisation is not in (0, 1].
    """
    if price_per_hour < 0 or not 0 < utilisation <= 1:
        raise ValueError(f"price {price_per_hour} must be at least 0 and utilisation {utilisation} in (0, 1]")
    return inverse(rate, price_per_hour * 1e6 / (3600 * utilisation))


FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "fma", "asimd", "sve")

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

PACKAGES = ("numpy", "pandas", "scikit-learn", "torch", "xgboost", "lightgbm", "onnxruntime")


def environment() -> dict[str, str]:
    """What the times depend on: processor, cores, limits, load, versions, threads; "unknown" where it is not told."""
    import os
    import platform
    from importlib import metadata

    load = ", ".join(f"{one:.2f}" for one in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    info = _cpu_info()
    found = {
        "processor": info.get("model name") or platform.processor() or platform.machine(),
        "instructions": " ".join(flag for flag in FLAGS if flag in info.get("flags", "").split()) or "unknown",
        "cores": f"{allowed} of {os.cpu_count()}",
        "cpu limit": _read("/sys/fs/cgroup/cpu.max"),
        "memory limit": _read("/sys/fs/cgroup/memory.max"),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "load (1, 5, 15 min)": load,
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: os.environ[name] for name in THREADS if name in os.environ},
    }
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _cpu_info() -> dict[str, str]:
    """First processor's entries of /proc/cpuinfo, where there is one."""
    entries = (line.partition(":") for line in reversed(_read("/proc/cpuinfo").splitlines()))
    return {name.strip(): value.strip() for name, _, value in entries}


def _read(path: str) -> str:
    from pathlib import Path

    try:
        return Path(path).read_text().strip()
    except OSError:
        return "unknown"
