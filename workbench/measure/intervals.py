"""Intervals for rates and their differences, from counts.

successes and n may be fractional: with sample weights, a rate times its effective number of rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Interval(NamedTuple):
    """Bounds, both included."""

    low: float
    high: float


class Estimate(NamedTuple):
    """A number with its bounds; NaN bounds where there is no interval."""

    value: float
    low: float = math.nan
    high: float = math.nan


def z_value(level: float) -> float:
    """Two-sided normal quantile: 1.96 for 0.95."""
    if not 0 < level < 1:
        raise ValueError(f"a confidence level lies between 0 and 1, not {level}: give e.g. 0.95")
    return NormalDist().inv_cdf((1 + level) / 2)


def _check(successes: float, n: float) -> None:
    if not 0 <= successes <= n:
        raise ValueError(f"successes must lie in [0, n]: {successes} of {n}")


def wilson(successes: float, n: float, level: float = 0.95) -> Interval:
    """Interval for a proportion (Wilson 1927, J. Am. Stat. Assoc. 22:209), stable near 0 and 1.

    n = 0 gives the whole of [0, 1]. Raises ValueError if successes is not in [0, n].
    """
    _check(successes, n)
    if n == 0:
        return Interval(0.0, 1.0)
    z = z_value(level)
    rate = successes / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    # At 0 and n the bound is exact; the formula leaves a rounding error there.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    return Interval(low, 1.0 if successes == n else min(1.0, centre + half))


def clopper_pearson(successes: float, n: float, level: float = 0.95) -> Interval:
    """Exact interval for a proportion (Clopper and Pearson 1934, Biometrika 26:404): covers at least `level`.

    n = 0 gives the whole of [0, 1]. Raises ValueError if successes is not in [0, n].
    """
    from scipy.special import betaincinv

    _check(successes, n)
    tail = (1 - level) / 2
    low = float(betaincinv(successes, n - successes + 1, tail)) if successes > 0 else 0.0
    high = float(betaincinv(successes + 1, n - successes, 1 - tail)) if successes < n else 1.0
    return Interval(low, high)


def newcombe(first: float, n_first: float, second: float, n_second: float, level: float = 0.95) -> Interval:
    """Interval for the difference first - second of independent proportions.

    Newcombe 1998 (Stat. Med. 17:873), method 10: a hybrid of two Wilson intervals.
    Raises ValueError if successes are not in [0, n].
    """
    if n_first == 0 or n_second == 0:
        return Interval(-1.0, 1.0)
    one, two = wilson(first, n_first, level), wilson(second, n_second, level)
    p, q = first / n_first, second / n_second
    low = p - q - math.hypot(p - one.low, two.high - q)
    return Interval(low, p - q + math.hypot(one.high - p, q - two.low))


def ratio(first: float, n_first: float, second: float, n_second: float, level: float = 0.95) -> Interval:
    """Interval for the ratio of two independent proportions on the log scale (Katz et al. 1978, Biometrics 34:469).

    A zero count gets half a row more (Walter 1975, Biometrika 62:371), so that the interval stays finite on one side.
    Raises ValueError if successes are not in [0, n].
    """
    _check(first, n_first)
    _check(second, n_second)
    if n_first == 0 or n_second == 0:
        return Interval(0.0, math.inf)
    extra = 0.5 if first == 0 or second == 0 else 0.0
    a, m, b, n = first + extra, n_first + extra, second + extra, n_second + extra
    centre = math.log((a / m) / (b / n))
    half = z_value(level) * math.sqrt(max(0.0, 1 / a - 1 / m + 1 / b - 1 / n))
    return Interval(
        0.0 if first == 0 else math.exp(centre - half), math.inf if second == 0 else math.exp(centre + half)
    )


def paired(gained: float, lost: float, n: float, level: float = 0.95) -> Interval:
    """Interval for the change (gained - lost) / n of a proportion on the same n rows.

    gained: rows that went from failure to success; lost: the other way. The score interval of Tango 1998
    (Stat. Med. 17:891), which stays wide enough where no row changed at all: then it is ± z²/(n + z²).
    Raises ValueError if the counts are negative or exceed n.
    """
    _check(gained + lost, n)
    if gained < 0 or lost < 0:
        raise ValueError(f"counts cannot be negative: {gained}, {lost}")
    if n == 0:
        return Interval(-1.0, 1.0)
    z, estimate = z_value(level), (gained - lost) / n

    def beyond(delta: float) -> float:
        return _tango_score(gained, lost, n, delta) ** 2 - z * z

    low = _root(beyond, -1.0, estimate) if estimate > -1 else -1.0
    return Interval(low, _root(beyond, 1.0, estimate) if estimate < 1 else 1.0)


def _tango_score(gained: float, lost: float, n: float, delta: float) -> float:
    """Score statistic of `difference = delta`, at the likelihood's maximum under that hypothesis."""
    a = 2 * n
    b = -gained - lost + (2 * n - gained + lost) * delta
    c = -lost * delta * (1 - delta)
    q = max(0.0, (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a))
    variance = n * (2 * q + delta * (1 - delta))
    difference = gained - lost - n * delta
    if variance <= 0:
        return 0.0 if difference == 0 else math.copysign(math.inf, difference)
    return difference / math.sqrt(variance)


def _root(function: Callable[[float], float], outside: float, inside: float) -> float:
    """Where function turns from above 0 (at `outside`) to below (at `inside`), to the last bits."""
    for _ in range(100):
        middle = (outside + inside) / 2
        if middle in (outside, inside):
            break
        if function(middle) > 0:
            outside = middle
        else:
            inside = middle
    return inside


def mean(values: NDArray[np.float64], level: float = 0.95) -> Estimate:
    """Mean with Student's t interval; one value has no interval, none gives NaN."""
    from scipy.special import stdtrit

    n = len(values)
    if n == 0:
        return Estimate(math.nan)
    centre = float(values.mean())
    if n == 1:
        return Estimate(centre)
    half = float(stdtrit(n - 1, (1 + level) / 2)) * float(values.std(ddof=1)) / math.sqrt(n)
    return Estimate(centre, centre - half, centre + half)


def percentile(value: float, draws: NDArray[np.float64], level: float = 0.95) -> Estimate:
    """Percentile interval of bootstrap draws around an estimate, widened where it would leave the estimate out."""
    import numpy as np

    known = draws[np.isfinite(draws)]
    if len(known) == 0 or math.isnan(value):
        return Estimate(value)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, min(float(low), value), max(float(high), value))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that keep the chance of any false alarm (Holm 1979, Scand. J. Stat. 6:65). NaN stays NaN."""
    known = sorted((p, index) for index, p in enumerate(p_values) if not math.isnan(p))
    adjusted = [math.nan] * len(p_values)
    largest = 0.0
    for rank, (p, index) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        adjusted[index] = largest
    return adjusted


def rows_to_decide(estimate: Estimate, bound: float, n: int) -> int | None:
    """Rows that would put the interval on one side of the bound, if the estimate stays; None where none would.

    An interval shrinks with the square root of the rows.
    """
    distance = bound - estimate.value
    reach = estimate.high - estimate.value if distance > 0 else estimate.value - estimate.low
    if not distance or not math.isfinite(reach):
        return None
    return math.ceil(n * (reach / distance) ** 2)
