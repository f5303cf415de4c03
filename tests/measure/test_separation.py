"""One column alone against a label: scikit-learn's AUC, published and brute-force association, no false alarm."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, rankdata
from scipy.stats.contingency import association
from sklearn.metrics import roc_auc_score

from workbench.measure.separation import correlation, cramers_v, cross_fitted_auc, midranks, proxies, single_feature_auc

RANDOM = np.random.default_rng(0)


def test_midranks_equal_scipy() -> None:
    values = RANDOM.integers(0, 50, 500).astype(float)
    np.testing.assert_allclose(midranks(values), rankdata(values))


def test_auc_of_a_monotone_feature_is_near_scikit_learns() -> None:
    score = RANDOM.normal(size=20_000)
    label = (RANDOM.random(20_000) < 1 / (1 + np.exp(-2 * score))).astype(int)
    (found,) = single_feature_auc(pd.DataFrame({"x": score}), label, ["x"])
    oracle = roc_auc_score(label, score)
    assert found.estimate.low < oracle < found.estimate.high
    assert found.estimate.value == pytest.approx(oracle, abs=0.004)


def test_a_feature_that_knows_nothing_gets_a_half_however_many_values_it_has() -> None:
    frame = pd.DataFrame({"id": [f"c{i}" for i in range(4000)], "few": RANDOM.integers(0, 40, 4000)})
    for found in single_feature_auc(frame, RANDOM.integers(0, 2, 4000), ["id", "few"]):
        assert found.estimate.value == pytest.approx(0.5, abs=0.04)


def test_missingness_and_folded_features_leak_too() -> None:
    label = RANDOM.integers(0, 2, 5000)
    frame = pd.DataFrame(
        {"late": np.where(label, 1.0, np.nan), "folded": (label - 0.5) * RANDOM.choice([-1, 1], 5000) ** 2}
    )
    frame["folded"] = np.where(label, RANDOM.choice([-5.0, 5.0], 5000), RANDOM.normal(size=5000) * 0.5)
    for found in single_feature_auc(frame, label, ["late", "folded"]):
        assert found.estimate.value > 0.99


def test_several_classes_answer_with_the_class_told_worst() -> None:
    label = RANDOM.integers(0, 3, 6000)
    frame = pd.DataFrame({"first": (label == 0) * 1.0, "all": label * 1.0})
    first, every = single_feature_auc(frame, label, ["first", "all"])
    assert first.estimate.value < 0.8
    assert every.estimate.value > 0.99


def test_delong_interval_covers() -> None:
    """300 draws of 20,000 rows: the interval holds the AUC of two binned normals in 90-98 % (nominal 95 %)."""
    edges = np.arange(-2.5, 4.0, 0.25)
    shares = [np.diff(norm.cdf([-np.inf, *(edges - mean), np.inf])) for mean in (0.0, 1.0)]
    true = float((shares[1] * (np.cumsum(shares[0]) - shares[0] / 2)).sum())
    covered = 0
    for _ in range(300):
        label = RANDOM.random(20_000) < 0.5
        found = cross_fitted_auc(np.searchsorted(edges, RANDOM.normal(size=20_000) + label), label)
        covered += found.low <= true <= found.high
    assert 0.90 <= covered / 300 <= 0.98


def test_auc_without_two_classes_is_nan() -> None:
    assert np.isnan(cross_fitted_auc(np.arange(10), np.zeros(10, bool)).value)


def test_cramers_v_is_bergsmas_correction_of_scipys() -> None:
    table = np.array([[30, 10, 5], [10, 40, 15]])
    n, (r, c) = table.sum(), table.shape
    phi = association(table, method="cramer", correction=False) ** 2 * min(r - 1, c - 1)
    corrected = max(0, phi - (r - 1) * (c - 1) / (n - 1))
    rows, columns = r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)
    assert cramers_v(table) == pytest.approx(np.sqrt(corrected / min(rows - 1, columns - 1)), abs=1e-12)
    assert np.isnan(cramers_v(np.array([[3, 4]])))
    assert cramers_v(np.diag([50, 50])) == pytest.approx(1.0, abs=1e-3)


def test_proxies_are_told_from_bystanders() -> None:
    group = RANDOM.integers(0, 4, 5000)
    frame = pd.DataFrame(
        {"copy": np.where(RANDOM.random(5000) < 0.9, group, 0).astype(str), "x": RANDOM.normal(size=5000)}
    )
    copy, other = proxies(frame, group, ["copy", "x"])
    assert copy.estimate.low > 0.8
    assert other.estimate.high < 0.15


def test_a_regression_target_in_other_units_is_found() -> None:
    target = RANDOM.lognormal(size=3000)
    frame = pd.DataFrame({"cents": np.round(target * 100), "noise": RANDOM.normal(size=3000)})
    cents, noise = correlation(frame, target, ["cents", "noise"])
    assert cents.estimate.low > 0.97
    assert noise.estimate.value < 0.05
