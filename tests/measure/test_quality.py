"""Quality figures against scikit-learn; tests of the difference against scipy and their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from scipy.stats import norm
from sklearn import metrics as sk

from workbench.measure import quality
from workbench.measure.quality import Answers


def _binary(seed: int = 0, n: int = 1500) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 2, n)
    score = np.round(np.clip(0.5 + 0.25 * (target - 0.5) + rng.normal(0, 0.2, n), 0, 1), 2)  # many ties
    better = np.round(np.clip(score + 0.1 * (target - 0.5), 0, 1), 2)
    return target, score, better, rng.random(n) * 2


def _answers(score: np.ndarray) -> Answers:
    return Answers(decision=(score >= 0.5).astype(np.int64), scores=score)


@pytest.mark.parametrize("weighted", [False, True])
def test_binary_figures_equal_scikit_learn(weighted: bool) -> None:
    target, score, _, w = _binary()
    weight = w if weighted else None
    decision = (score >= 0.5).astype(int)
    kept = {"sample_weight": weight}
    assert quality.evaluate(target, _answers(score), weight) == pytest.approx(
        {
            "accuracy": sk.accuracy_score(target, decision, **kept),
            "balanced-accuracy": sk.balanced_accuracy_score(target, decision, **kept),
            "f1": sk.f1_score(target, decision, **kept),
            "auc": sk.roc_auc_score(target, score, **kept),
            "average-precision": sk.average_precision_score(target, score, **kept),
            "log-loss": sk.log_loss(target, score, **kept),
            "brier": sk.brier_score_loss(target, score, **kept),
            "calibration-error": _calibration(target, score, np.ones(len(target)) if weight is None else weight),
        },
        abs=1e-12,
    )


def _calibration(target: np.ndarray, score: np.ndarray, weight: np.ndarray) -> float:
    total = 0.0
    for low in range(10):
        inside = (score * 10 >= low) & ((score * 10 < low + 1) | (low == 9))
        if inside.any():
            gap = np.average(score[inside], weights=weight[inside]) - np.average(target[inside], weights=weight[inside])
            total += weight[inside].sum() / weight.sum() * abs(gap)
    return float(total)


def test_multiclass_and_regression_figures_equal_scikit_learn() -> None:
    rng = np.random.default_rng(4)
    target = rng.integers(0, 3, 900)
    scores = rng.dirichlet([1, 1, 1], 900) * 0.5 + 0.5 * np.eye(3)[target] * rng.random((900, 1))
    scores /= scores.sum(1, keepdims=True)
    found = quality.evaluate(target, Answers(decision=scores.argmax(1), scores=scores))
    assert found["f1"] == pytest.approx(sk.f1_score(target, scores.argmax(1), average="macro"))
    assert found["balanced-accuracy"] == pytest.approx(sk.balanced_accuracy_score(target, scores.argmax(1)))
    assert found["log-loss"] == pytest.approx(sk.log_loss(target, scores))
    assert found["brier"] == pytest.approx(sk.brier_score_loss(target, scores))
    assert "auc" not in found
    truth, value = rng.normal(size=300), rng.normal(size=300)
    assert quality.evaluate(truth, Answers(value=value)) == pytest.approx(
        {
            "rmse": sk.root_mean_squared_error(truth, value),
            "mae": sk.mean_absolute_error(truth, value),
            "r2": sk.r2_score(truth, value),
        }
    )


@pytest.mark.parametrize("gained, lost", [(0, 0), (3, 9), (10, 10), (25, 4), (1, 0)])
def test_mcnemar_is_the_exact_binomial_test(gained: int, lost: int) -> None:
    expected = stats.binomtest(min(gained, lost), gained + lost, 0.5).pvalue if gained + lost else 1.0
    assert quality.mcnemar(gained, lost) == pytest.approx(expected, abs=1e-12)


def test_delong_equals_its_definition_and_scipys_mann_whitney() -> None:
    target, score, better, _ = _binary(2, 120)
    areas, cov = quality.delong(target, score, better)
    hit = target == 1
    parts = []
    for values in (score, better):
        psi = (values[hit][:, None] > values[~hit]) + 0.5 * (values[hit][:, None] == values[~hit])
        parts.append(psi)
        u = stats.mannwhitneyu(values[hit], values[~hit]).statistic
        assert psi.mean() == pytest.approx(u / psi.size)
    above = np.cov([psi.mean(1) for psi in parts]) / hit.sum()
    below = np.cov([psi.mean(0) for psi in parts]) / (~hit).sum()
    assert areas == pytest.approx([psi.mean() for psi in parts])
    assert cov == pytest.approx(above + below)
    found = next(iter(quality.compare(target, Answers(scores=score), Answers(scores=better), draws=1)))
    error = math.sqrt(np.array([1, -1]) @ (above + below) @ np.array([1, -1]))
    assert found.change == pytest.approx((areas[1] - areas[0], *stats.norm.interval(0.95, areas[1] - areas[0], error)))
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(areas[1] - areas[0]) / error))


def test_delong_keeps_its_level_when_models_are_equally_good() -> None:
    rng = np.random.default_rng(8)
    alarms = 0
    for _ in range(300):
        target = rng.integers(0, 2, 200)
        shared = target + rng.normal(size=200)
        pair = [Answers(scores=shared + rng.normal(0, 0.7, 200)) for _ in range(2)]
        alarms += next(item for item in quality.compare(target, *pair, draws=1) if item.metric.name == "auc").p <= 0.05
    assert alarms / 300 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)


def test_a_better_candidate_is_better_in_every_paired_comparison() -> None:
    target, score, better, _ = _binary(3)
    for item in quality.compare(target, _answers(score), _answers(better), draws=200):
        assert item.change is not None
        assert item.candidate is not None
        assert item.change.value == pytest.approx(item.candidate.value - item.legacy.value)
        if item.metric.name != "calibration-error":
            good = item.change.low > 0 if item.metric.better == "higher" else item.change.high < 0
            assert good, item
            assert item.p < 0.05


@pytest.mark.parametrize("weighted", [False, True])
def test_the_same_answers_change_nothing(weighted: bool) -> None:
    target, score, _, w = _binary(3)
    for item in quality.compare(target, _answers(score), _answers(score), draws=20, weight=w if weighted else None):
        assert item.change is not None
        assert item.change.value == 0
        assert item.p == 1
        assert item.change.low <= 0 <= item.change.high


def test_bootstrap_interval_is_the_standard_error_where_that_is_known() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(size=800)
    pair = Answers(value=truth + rng.normal(size=800)), Answers(value=truth + 1.2 * rng.normal(size=800))
    found = {item.metric.name: item for item in quality.compare(truth, *pair, draws=800)}
    moved = found["mae"].change
    assert moved is not None
    before, after = (np.abs(answers.value - truth) for answers in pair)
    error = (after - before).std() / math.sqrt(800) / before.mean()
    assert moved.value == pytest.approx((after.mean() - before.mean()) / before.mean())
    assert (moved.high - moved.low) / 3.92 == pytest.approx(error, rel=0.2)
    assert found["rmse"].p < 0.01


def test_one_class_has_no_area_and_perfect_error_has_no_share() -> None:
    one = list(quality.compare(np.ones(20), _answers(np.linspace(0, 1, 20)), draws=5))
    assert math.isnan({item.metric.name: item for item in one}["auc"].legacy.value)
    values = np.arange(5.0)
    worse = list(quality.compare(values, Answers(value=values), Answers(value=values + 1), draws=5))
    assert worse[0].change is not None
    assert math.isnan(worse[0].change.value)
    assert math.isnan(quality.evaluate(np.full(4, 2.0), Answers(value=np.arange(4.0)))["r2"])


def test_the_interval_of_an_area_near_one_covers_and_says_nothing_where_it_cannot() -> None:
    """Plain DeLong misses the truth in one of eight draws here (25 of each class, area 0.95)."""
    from workbench.measure.auc import area_estimate, delong

    rng, truth, hits = np.random.default_rng(4), 0.95, 0
    shift = np.sqrt(2) * norm.ppf(truth)
    for _ in range(400):
        score = np.concatenate([rng.normal(shift, 1, 25), rng.normal(0, 1, 25)])
        areas, cov = delong(np.repeat([1, 0], 25), score)
        found = area_estimate(float(areas[0]), float(cov[0, 0]), 0.95)
        hits += found.low <= truth <= found.high or areas[0] == 1
    assert 0.92 <= hits / 400 <= 0.99
    areas, cov = delong(np.array([1, 0, 0]), np.array([0.9, 0.1, 0.95]))
    assert areas[0] == 0.5
    assert area_estimate(float(areas[0]), float(cov[0, 0]), 0.95) == (0.5, 0.0, 1.0)
    assert np.isnan(delong(np.array([0, 0]), np.array([0.1, 0.2]))[0]).all()
