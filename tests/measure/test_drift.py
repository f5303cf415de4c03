"""Drift against scipy, hand arithmetic and the distribution under no drift."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from workbench.measure.drift import BINS, chi_squared, fit_bins, ks, psi, shifts, wasserstein

RANDOM = np.random.default_rng(0)


def test_psi_is_the_formula() -> None:
    expected, actual = np.array([4000, 3000, 2000, 1000]), np.array([2500, 2500, 2500, 2500])
    p, q = (expected + 0.5) / (expected.sum() + 2), (actual + 0.5) / (actual.sum() + 2)
    plain = ((q - p) * np.log(q / p)).sum() - 3 * (1 / 10_000 + 1 / 10_000)
    found = psi(expected, actual)
    assert found.value == pytest.approx(plain, abs=1e-12)
    assert found.low < found.value < found.high


def test_psi_interval_covers_and_no_drift_is_near_zero() -> None:
    """4,000 pairs: the interval covers the true index in 93-97 %; without drift the corrected mean is 0.00."""
    p, q = np.array([0.4, 0.3, 0.2, 0.1]), np.array([0.3, 0.3, 0.2, 0.2])
    true = ((q - p) * np.log(q / p)).sum()
    first, second = RANDOM.multinomial(5000, p, 4000), RANDOM.multinomial(5000, q, 4000)
    found = [psi(a, b) for a, b in zip(first, second)]
    covered = np.mean([each.low <= true <= each.high for each in found])
    assert 0.93 <= covered <= 0.97
    same = [psi(a, b).value for a, b in zip(first[:500], RANDOM.multinomial(5000, p, 500))]
    assert np.mean(same) < 0.002


def test_psi_of_an_empty_bin_is_finite_and_of_no_rows_is_nan() -> None:
    assert np.isfinite(psi(np.array([100, 100, 0]), np.array([0, 100, 100])).value)
    assert np.isnan(psi(np.array([0, 0]), np.array([1, 2])).value)


@pytest.mark.parametrize("sizes", [(500, 500), (1000, 70), (3, 2000)])
def test_ks_and_wasserstein_equal_scipy(sizes: tuple[int, int]) -> None:
    first, second = RANDOM.normal(size=sizes[0]).round(1), RANDOM.normal(0.3, 1.2, sizes[1]).round(1)
    expected = stats.ks_2samp(first, second, method="asymp")
    statistic, p = ks(first, second)
    assert statistic == pytest.approx(expected.statistic, abs=1e-12)
    assert p == pytest.approx(stats.kstwobign.sf(np.sqrt(sizes[0] * sizes[1] / sum(sizes)) * statistic), abs=1e-12)
    assert wasserstein(first, second) == pytest.approx(stats.wasserstein_distance(first, second), abs=1e-12)


def test_chi_squared_equals_scipy_and_merges_rare_bins() -> None:
    expected, actual = np.array([400, 300, 200, 100]), np.array([380, 330, 180, 110])
    oracle = stats.chi2_contingency(np.stack([expected, actual]), correction=False).pvalue
    assert chi_squared(expected, actual) == pytest.approx(oracle, rel=1e-9)
    rare = np.array([400, 300, 2, 1]), np.array([390, 310, 1, 2])
    merged = stats.chi2_contingency([[400, 300, 3], [390, 310, 3]], correction=False).pvalue
    assert chi_squared(*rare) == pytest.approx(merged, rel=1e-9)
    assert chi_squared(np.array([5, 0]), np.array([0, 0])) == 1.0


def test_bins_are_deciles_of_the_reference_and_hold_everything() -> None:
    values = pd.Series(RANDOM.lognormal(size=10_000))
    bins = fit_bins(values)
    assert np.abs(bins.counts(values)[:BINS] - 1000).max() <= 1
    odd = pd.Series([np.nan, np.inf, -np.inf, 1e300, -1.0])
    counts = bins.counts(odd)
    assert counts.sum() == 5
    assert counts[-1] == 1
    assert (counts[0], counts[-2]) == (2, 2)


def test_categories_new_rare_and_missing() -> None:
    bins = fit_bins(pd.Series(["a"] * 50 + ["b"] * 30 + [None] * 20), categories=1)
    counts = dict(zip(bins.labels, bins.counts(pd.Series(["a", "b", "z", None, "z"]))))
    assert counts == {"a": 1, "(other)": 1, "(new)": 2, "(missing)": 1}


def test_shifts_find_what_moved_and_nothing_else() -> None:
    """Twenty columns, two of them moved; Holm keeps the others quiet."""
    n = 5_000
    before = pd.DataFrame({f"x{i}": RANDOM.normal(size=n) for i in range(19)})
    after = pd.DataFrame({f"x{i}": RANDOM.normal(size=n) for i in range(19)})
    after["x3"] = after["x3"] * 1.5
    before["c"], after["c"] = RANDOM.choice(["a", "b"], n), RANDOM.choice(["a", "b", "new"], n, p=(0.45, 0.45, 0.1))
    found = {shift.column: shift for shift in shifts(before, after, list(before.columns))}
    assert {name for name, shift in found.items() if shift.p < 0.01} == {"x3", "c"}
    assert found["c"].new == pytest.approx(0.1, abs=0.02)
    assert found["x3"].psi.low > 0.05
    assert max(shift.psi.value for name, shift in found.items() if name not in ("x3", "c")) < 0.02


def test_missing_rate_counts_as_drift() -> None:
    before = pd.DataFrame({"x": RANDOM.normal(size=4000)})
    after = before.where(RANDOM.random((4000, 1)) > 0.3)
    (shift,) = shifts(before, after, ["x"])
    assert shift.missing == (0.0, pytest.approx(0.3, abs=0.03))
    assert shift.psi.low > 0.1
