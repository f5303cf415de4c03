"""What a set of times says, and how surely: ratios over rounds, percentiles, cost."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from workbench.measure.intervals import Estimate

Floats = NDArray[np.float64]

LEVEL = 0.99
"""Of each ratio: a run judges a handful of them, and all together may raise a false alarm in 5 runs of 100."""

TOLERANCE = 0.05
"""How far from 1 the control may reach, and how far warm-up windows may differ."""

NEGLIGIBLE = 0.02
"""How far from 1 a ratio must lie before it is called faster or slower: two processes of one and the same model
differ by about as much, by where their memory happens to lie (Mytkowicz et al. 2009, ASPLOS)."""

PRECISION = 0.02
"""Half width of a ratio's interval, relative, that is narrow enough."""

TRIM = 0.2
"""Share of rounds left out at each end: another process slows some down by half."""


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


def half_width(estimate: Estimate) -> float:
    """Of a positive estimate's interval, on the log scale; infinite without one."""
    return math.log(estimate.high / estimate.low) / 2 if estimate.low > 0 else math.inf


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
