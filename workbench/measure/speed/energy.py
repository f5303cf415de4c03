"""Energy of a model's answers: by a counter where one can be read, else estimated from the rated power, and so called.

A counter counts the whole package, or the whole GPU: what the machine takes while idle is subtracted.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from workbench.measure.intervals import Estimate
from workbench.measure.speed.statistics import geometric_mean, inverse

POWERCAP = Path("/sys/class/powercap")

WINDOW = 1.0
"""Seconds of a window at least: counters are updated every millisecond to tenth of a second."""


class Meter(NamedTuple):
    """An energy counter. joules: its state, growing."""

    name: str
    joules: Callable[[], float]


class Energy(NamedTuple):
    """Joules per million rows of each side, and how they were found."""

    legacy: Estimate
    candidate: Estimate
    method: str


@dataclass(frozen=True)
class _Domain:
    folder: Path
    most: float

    def microjoules(self) -> float:
        return float((self.folder / "energy_uj").read_text())


def rapl(powercap: Path = POWERCAP) -> Meter | None:
    """The sum of the processor packages' counters (Intel and AMD RAPL by Linux powercap); None where not readable."""
    domains = []
    with suppress(OSError, ValueError):
        # intel-rapl:0 is a package, intel-rapl:0:0 a part of it.
        for folder in sorted(powercap.glob("intel-rapl:*")):
            if folder.name.count(":") == 1:
                domains.append(_Domain(folder, float((folder / "max_energy_range_uj").read_text())))
                domains[-1].microjoules()
        if not domains:
            return None
        return Meter("RAPL, processor packages", _growing(domains))
    return None


def _growing(domains: list[_Domain]) -> Callable[[], float]:
    """The domains' sum in J; a counter that starts again from 0 goes on."""
    last, turns = [domain.microjoules() for domain in domains], [0.0] * len(domains)

    def joules() -> float:
        for place, domain in enumerate(domains):
            now = domain.microjoules()
            turns[place] += domain.most if now < last[place] else 0.0
            last[place] = now
        return (sum(last) + sum(turns)) / 1e6

    return joules


def nvml(device: int = 0) -> Meter | None:
    """A GPU's energy counter (NVML, from Volta on); None without one."""
    handle, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL("libnvidia-ml.so.1")
        if library.nvmlInit_v2() or library.nvmlDeviceGetHandleByIndex_v2(device, ctypes.byref(handle)):
            return None

        def joules() -> float:
            library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(millijoules))
            return millijoules.value / 1e3

        if not library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(millijoules)):
            return Meter(f"NVML, GPU {device}", joules)
    return None


def metered(
    meter: Meter,
    asks: tuple[Callable[[], object], Callable[[], object]],
    rows: int,
    *,
    windows: int = 4,
    window: float = WINDOW,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Energy:
    """Joules per million rows of both sides, idle power subtracted, in turns. asks: answer `rows` rows once.

    A side that takes no more than the idle machine has no figure (NaN).
    """
    idle, seconds = _window(meter, lambda: sleep(window), window, clock)[:2]
    watts = idle / seconds
    found: tuple[list[float], list[float]] = ([], [])
    for turn in range(windows):
        for side in (0, 1) if turn % 2 == 0 else (1, 0):
            joules, seconds, calls = _window(meter, asks[side], window, clock)
            found[side].append((joules - watts * seconds) / (calls * rows) * 1e6)
    both = [geometric_mean(np.log(side)) if min(side) > 0 else Estimate(float("nan")) for side in found]
    return Energy(both[0], both[1], f"{meter.name}; {watts:.1f} W idle subtracted")


def _window(
    meter: Meter, ask: Callable[[], object], window: float, clock: Callable[[], float]
) -> tuple[float, float, int]:
    """Joules, seconds and calls of at least `window` s of asking."""
    before, start, calls = meter.joules(), clock(), 0
    while not calls or clock() - start < window:
        ask()
        calls += 1
    return meter.joules() - before, clock() - start, calls


def from_rated_power(rates: tuple[Estimate, Estimate], watts: float, cores: int) -> Energy:
    """Joules per million rows from rows per second of CPU time: a core's share of the rated power (TDP), all the time.

    An estimate: the truth depends on clock, memory and what else runs.
    """
    both = [inverse(rate, 1e6 * watts / cores) for rate in rates]
    return Energy(both[0], both[1], f"estimate from TDP: {watts:g} W over {cores} cores")
