"""Every interval against scipy, a published figure or brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from workbench.measure import intervals

COUNTS = [(0, 10), (1, 10), (5, 10), (10, 10), (3, 1899), (0, 1899), (700, 1000), (1, 1)]


@pytest.mark.parametrize("k, n", COUNTS)
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_wilson_and_clopper_pearson_equal_scipy(k: int, n: int, level: float) -> None:
    test = stats.binomtest(k, n)
    assert intervals.wilson(k, n, level) == pytest.approx(tuple(test.proportion_ci(level, "wilson")), abs=1e-12)
    assert intervals.clopper_pearson(k, n, level) == pytest.approx(tuple(test.proportion_ci(level, "exact")), abs=1e-9)


@pytest.mark.parametrize(
    "a, m, b, n, low, high",
    [
        # Newcombe 1998 (Stat. Med. 17:873), table II, method 10.
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
        (6, 7, 2, 7, 0.0582, 0.8062),
        (5, 56, 0, 29, -0.0381, 0.1926),
        (0, 10, 0, 20, -0.1611, 0.2775),
        (10, 10, 0, 10, 0.6075, 1.0),
    ],
)
def test_newcombe_equals_its_published_table(a: int, m: int, b: int, n: int, low: float, high: float) -> None:
    assert intervals.newcombe(a, m, b, n) == pytest.approx((low, high), abs=5.1e-5)


@pytest.mark.parametrize("a, m, b, n", [(15, 100, 30, 120), (1, 50, 9, 60), (80, 100, 90, 100)])
def test_ratio_equals_scipy_relative_risk(a: int, m: int, b: int, n: int) -> None:
    expected = stats.contingency.relative_risk(a, m, b, n).confidence_interval(0.95)
    assert intervals.ratio(a, m, b, n) == pytest.approx((expected.low, expected.high), rel=1e-12)


def test_ratio_of_a_group_that_is_never_selected_has_an_upper_bound() -> None:
    low, high = intervals.ratio(0, 40, 20, 40)
    assert low == 0
    assert 0 < high < 1


def _log_likelihood(delta: float, gained: int, lost: int, n: int) -> float:
    """Largest likelihood of the discordant cells under `difference = delta`, by search."""

    def minus(q: float) -> float:
        parts = [(gained, q + delta), (lost, q), (n - gained - lost, 1 - 2 * q - delta)]
        return -sum(k * math.log(max(p, 1e-300)) for k, p in parts if k)

    found = optimize.minimize_scalar(
        minus, bounds=(max(0.0, -delta), (1 - delta) / 2), method="bounded", options={"xatol": 1e-13}
    )
    return float(found.x)


@pytest.mark.parametrize("gained, lost, n", [(12, 5, 44), (0, 0, 300), (3, 0, 20), (86, 150, 1600), (1, 1, 50)])
def test_paired_is_where_the_score_statistic_reaches_z(gained: int, lost: int, n: int) -> None:
    z = intervals.z_value(0.95)
    for bound in intervals.paired(gained, lost, n):
        q = _log_likelihood(bound, gained, lost, n)
        variance = (2 * q + bound) - bound**2
        score = (gained - lost - n * bound) / math.sqrt(n * variance)
        assert abs(score) == pytest.approx(z, abs=1e-4)


def test_paired_is_walds_interval_for_many_rows_and_known_for_no_change() -> None:
    difference, spread = -0.04, 1.959964 * math.sqrt(236 - 64**2 / 1600) / 1600
    wald = (difference - spread, difference + spread)
    assert intervals.paired(86, 150, 1600) == pytest.approx(wald, abs=4e-4)
    z2 = intervals.z_value(0.95) ** 2
    assert intervals.paired(0, 0, 300) == pytest.approx((-z2 / (300 + z2), z2 / (300 + z2)), abs=1e-9)


def test_paired_covers_the_truth() -> None:
    rng = np.random.default_rng(0)
    cells = rng.multinomial(120, [0.08, 0.03, 0.89], size=400)
    inside = [low <= 0.05 <= high for g, lost, _ in cells for low, high in [intervals.paired(g, lost, 120)]]
    assert np.mean(inside) >= 0.92


def test_mean_is_students_interval() -> None:
    values = np.random.default_rng(1).normal(3, 2, 25)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    found = intervals.mean(values, 0.9)
    assert found[1:] == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert math.isnan(intervals.mean(values[:0]).value)


def test_holm_keeps_order_and_ignores_what_was_not_tested() -> None:
    assert intervals.holm([0.01, math.nan, 0.04, 0.03]) == pytest.approx([0.03, math.nan, 0.06, 0.06], nan_ok=True)
    assert intervals.holm([0.9, 0.8]) == [1.0, 1.0]


def test_percentile_never_leaves_the_estimate_out() -> None:
    found = intervals.percentile(2.0, np.array([0.0, 1.0]), 0.9)
    assert found.low <= 2.0 <= found.high
    assert math.isnan(intervals.percentile(0.0, np.array([math.nan])).low)


def test_rows_to_decide_shrinks_with_the_root_of_the_rows() -> None:
    assert intervals.rows_to_decide(intervals.Estimate(0.0, -0.04, 0.04), 0.02, 500) == 2000
    assert intervals.rows_to_decide(intervals.Estimate(0.02, -0.04, 0.04), 0.02, 500) is None


@pytest.mark.parametrize("k, n", [(-1, 5), (6, 5), (math.nan, 5)])
def test_impossible_counts_are_refused(k: float, n: float) -> None:
    with pytest.raises(ValueError, match="successes"):
        intervals.wilson(k, n)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_bounds_hold_the_estimate(a: int, b: int, rest: int) -> None:
    n = a + b + rest
    if n:
        low, high = intervals.paired(a, b, n)
        assert -1 <= low <= (a - b) / n <= high <= 1
        low, high = intervals.wilson(a, n)
        assert 0 <= low <= a / n <= high <= 1
