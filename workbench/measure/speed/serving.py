"""The server scenario: queries arrive when they like, and each is answered in time or late.

Open loop: an arrival does not wait for the answer before it, so a slow answer is paid for by all who queue behind it
(the mistake of a closed loop is known as coordinated omission).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from workbench.measure.intervals import Estimate
from workbench.measure.speed.statistics import Floats, queries_needed

if TYPE_CHECKING:
    import pandas as pd

SHARE = 0.99
"""Of the queries that must be answered within the service level."""


class Probe(NamedTuple):
    """One rate that was tried. rate: queries per second; p99: ms, observed; late: queries over the service level;
    passed: whether so few are late that the 99th percentile is under it with 99 % confidence."""

    rate: float
    p99: float
    late: int
    passed: bool


@dataclass(frozen=True)
class Service:
    """What one side can serve. rate: the highest that passed, up to the lowest that did not; None where none passed."""

    rate: Estimate | None
    probes: tuple[Probe, ...]


def arrivals(rate: float, queries: int, rng: np.random.Generator) -> Floats:
    """Seconds of Poisson arrivals at `rate` per second [queries]."""
    return np.cumsum(rng.exponential(1 / rate, queries))


def latencies(service: Floats, arrive: Floats) -> Floats:
    """Seconds from arrival to answer [n] in a queue of one server, first come first served (Lindley 1952).

    service: seconds each answer takes [n]; arrive: when each query comes [n].
    """
    free, found = 0.0, np.empty(len(arrive))
    for number, (start, takes) in enumerate(zip(arrive.tolist(), service.tolist())):
        free = max(free, start) + takes
        found[number] = free - start
    return found


def judged(rate: float, waited: Floats, level: float) -> Probe:
    """waited, level: seconds. The rule is MLPerf's early stopping: see `queries_needed`."""
    late = int((waited > level).sum())
    passed = len(waited) >= queries_needed(SHARE, late)
    return Probe(rate, 1e3 * float(np.quantile(waited, SHARE, method="inverted_cdf")), late, passed)


def foreseen(service: Floats, level: float, queries: int, seed: int) -> float:
    """The highest rate that passes in a simulated queue with these service times [n], in queries per second."""
    rng = np.random.default_rng(seed)
    takes, unit = rng.choice(service, queries), arrivals(1.0, queries, rng)
    low, high = 0.0, 1 / float(service.mean())
    for _ in range(20):
        rate = (low + high) / 2
        passed = rate > 0 and judged(rate, latencies(takes, unit / rate), level).passed
        low, high = (rate, high) if passed else (low, rate)
    return low


def highest_rate(
    served: Callable[[pd.DataFrame, Sequence[float]], Sequence[int]],
    frame: pd.DataFrame,
    service: Floats,
    *,
    level: float,
    queries: int = 662,
    probes: int = 6,
    seed: int = 0,
) -> Service:
    """Bisection for the highest Poisson rate at which 99 % of the queries are answered within `level` seconds.

    served: ns from each scheduled arrival to its answer, of one frame a query. service: seconds of single answers,
    from which the first rate is foreseen. queries: of each probe, 459 at least.
    Raises ValueError for fewer queries.
    """
    if queries < queries_needed(SHARE):
        raise ValueError(f"{queries} queries cannot show a 99th percentile: give at least {queries_needed(SHARE)}")
    low, high = 0.0, 1 / float(service.mean())
    rate = foreseen(service, level, queries, seed) or high / 20
    found: list[Probe] = []
    for number in range(probes):
        rng = np.random.default_rng([seed, number])
        waited = np.array(served(frame, arrivals(rate, queries, rng).tolist()), dtype=np.float64) / 1e9
        found.append(judged(rate, waited, level))
        low, high = (rate, high) if found[-1].passed else (low, rate)
        rate = math.sqrt(low * high) if low else high / 2
        if low and high / low < 1.03:
            break
    return Service(Estimate(low, low, high) if low else None, tuple(found))
