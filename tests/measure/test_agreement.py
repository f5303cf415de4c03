"""Agreement against scipy and numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from workbench.measure import agreement


def test_differences_are_numpys() -> None:
    rng = np.random.default_rng(0)
    legacy = rng.random((2000, 3))
    candidate = legacy + rng.normal(0, 0.01, (2000, 3))
    apart = np.abs(candidate - legacy).max(1)
    found = agreement.differences(legacy, candidate)
    assert (found.largest, found.median, found.row) == (apart.max(), np.median(apart), apart.argmax())
    assert (found.p999, found.p99) == pytest.approx((np.quantile(apart, 0.999), np.quantile(apart, 0.99)))
    assert found.rms == pytest.approx(np.sqrt((apart**2).mean()))


def test_few_rows_have_no_high_percentile_and_none_cannot_be_compared() -> None:
    found = agreement.differences(np.zeros(150), np.ones(150))
    assert math.isnan(found.p999)
    assert found.p99 == 1
    with pytest.raises(ValueError, match="nothing to compare"):
        agreement.differences(np.zeros(0), np.zeros(0))
    assert agreement.differences(np.array([np.inf]), np.array([np.inf])).largest == 0


def test_flips_have_exact_intervals_and_the_worst_group_comes_first() -> None:
    flipped = np.zeros(1899, dtype=bool)
    assert agreement.flip_rate(flipped) == pytest.approx((0, 0, 1 - 0.025 ** (1 / 1899)))
    flipped[:5] = True
    codes = (np.arange(1899) >= 100).astype(np.int64)
    first, second = agreement.flips_by(codes, ("a", "b"), flipped)
    assert (first.group, first.n, first.count, second.count) == ("a", 100, 5, 0)
    expected = stats.binomtest(5, 100).proportion_ci(0.975, "exact")
    assert first.rate[1:] == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_ranks_equal_scipy_and_rounding_breaks_no_tie() -> None:
    rng = np.random.default_rng(1)
    legacy = np.round(rng.random(500), 2)
    other = legacy + rng.normal(0, 0.1, 500)
    found = agreement.ranks(legacy, other)
    assert found.tau == pytest.approx(stats.kendalltau(legacy, other).statistic)
    assert found.rho.value == pytest.approx(stats.spearmanr(legacy, other).statistic)
    assert found.rho.low < found.rho.value < found.rho.high < 1
    noisy = legacy + rng.normal(0, 1e-12, 500)
    assert stats.kendalltau(legacy, noisy).statistic < 1
    assert agreement.ranks(legacy, noisy).tau == pytest.approx(1)
    assert math.isnan(agreement.ranks(legacy, np.zeros(500)).tau)


@pytest.mark.parametrize("shift, margin", [(0.0, 0.01), (0.02, 0.01), (0.009, 0.01), (-0.004, 0.02)])
def test_equivalence_is_two_one_sided_t_tests(shift: float, margin: float) -> None:
    change = np.random.default_rng(3).normal(shift, 0.05, 400)
    found = agreement.equivalence(change, margin)
    above = stats.ttest_1samp(change, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(change, margin, alternative="less").pvalue
    assert found.p == pytest.approx(max(above, below), abs=1e-12)
    assert (found.p < 0.05) == (-margin < found.mean.low and found.mean.high < margin)


def test_equivalence_needs_a_margin_and_settles_constants() -> None:
    with pytest.raises(ValueError, match="positive"):
        agreement.equivalence(np.zeros(5), 0)
    assert agreement.equivalence(np.zeros(5), 0.01).p == 0
    assert agreement.equivalence(np.full(5, 1.0), 0.01).p == 1
    assert math.isnan(agreement.equivalence(np.zeros(1), 0.01).p)


def test_nearest_rows_come_nearest_first() -> None:
    found = agreement.nearest(np.array([0.1, 0.52, 0.9, 0.49]), np.array([0.1, 0.52, 0.9, 0.51]), 0.5, 2)
    assert found.to_numpy().tolist() == [[3, 0.49, 0.51, True], [1, 0.52, 0.52, False]]
