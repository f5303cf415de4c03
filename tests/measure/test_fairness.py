"""Fairness figures against fairlearn, and intervals and tests against brute force."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fairlearn import metrics as fl
from sklearn.metrics import accuracy_score, precision_score

from workbench.measure import fairness, fairness_gaps, fairness_range
from workbench.measure.fairness_groups import MISSING, Groups, groups_of, intersect, split

ORACLE = {
    "selection_rate": fl.selection_rate,
    "tpr": fl.true_positive_rate,
    "tnr": fl.true_negative_rate,
    "fpr": fl.false_positive_rate,
    "fnr": fl.false_negative_rate,
    "accuracy": accuracy_score,
    "ppv": precision_score,
}


def _sample(seed: int, n: int = 4000) -> tuple[np.ndarray, np.ndarray, pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, n)
    decision = np.where(rng.random(n) < 0.3, 1 - truth, truth)
    frame = pd.DataFrame({"sex": rng.choice(["F", "M"], n), "race": rng.choice(["a", "b", "c"], n)})
    return truth, decision, frame, rng.random(n) * 3


@pytest.mark.parametrize("seed, weighted", [(0, False), (1, True)])
def test_rates_equal_fairlearn_with_weights_and_intersections(seed: int, weighted: bool) -> None:
    truth, decision, frame, w = _sample(seed)
    weight = w if weighted else None
    table = fairness.fairness_table(truth, decision, frame, weight=weight, depth=2)
    for names in (["sex"], ["race"], ["sex", "race"]):
        given = {name: {"sample_weight": w} for name in ORACLE} if weighted else None
        oracle = fl.MetricFrame(
            metrics=ORACLE, y_true=truth, y_pred=decision, sensitive_features=frame[names], sample_params=given
        )
        mine = table.loc[" × ".join(names)]
        expected = oracle.by_group
        expected.index = [" × ".join(key) if isinstance(key, tuple) else key for key in expected.index]
        for name in ORACLE:
            assert mine[name].to_dict() == pytest.approx(expected[name].to_dict(), abs=1e-12)
        assert table.loc[("(all)", "(all)"), list(ORACLE)].to_dict() == pytest.approx(oracle.overall.to_dict())


@pytest.mark.parametrize("weighted", [False, True])
def test_gaps_equal_fairlearn(weighted: bool) -> None:
    truth, decision, frame, w = _sample(5)
    weight = w if weighted else None
    for groups in groups_of(frame, ["sex", "race"], 2):
        table = fairness.count(groups, truth, decision, weight=weight).side("legacy")
        same = {"y_true": truth, "y_pred": decision, "sensitive_features": groups.codes, "sample_weight": weight}
        oracles = {
            "demographic_parity": (fl.demographic_parity_difference, fl.demographic_parity_ratio),
            "equalized_odds": (fl.equalized_odds_difference, fl.equalized_odds_ratio),
            "equal_opportunity": (fl.equal_opportunity_difference, fl.equal_opportunity_ratio),
        }
        for name, (difference, share) in oracles.items():
            assert float(fairness.gap(table, name)) == pytest.approx(difference(**same), abs=1e-12)
            assert float(fairness.gap_ratio(table, name)) == pytest.approx(share(**same), abs=1e-12)


Y = [0, 1, 1, 1, 1, 0, 1, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1]
P = [0, 0, 1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 0]
SF = ["b", "b", "a", "b", "b", "c", "c", "c", "a", "a", "c", "a", "b", "c", "c", "b", "c", "c"]
W = [1, 2, 1, 3, 2, 3, 1, 2, 1, 2, 3, 1, 2, 3, 2, 3, 1, 1]
G2 = [8, 6, 8, 8, 8, 8, 6, 6, 6, 8, 6, 6, 6, 6, 8, 6, 6, 6]


def test_the_arrays_of_fairlearns_user_guide() -> None:
    table = fairness.fairness_table(Y, P, pd.DataFrame({"sf": SF, "g2": G2}), depth=2)
    whole = table.loc[("(all)", "(all)")]
    assert (whole.tpr, whole.fpr, whole.selection_rate, whole["rows"]) == pytest.approx(
        (0.5, 2 / 3, 0.555556, 18), abs=1e-6
    )
    expected = {"a": (0.5, 1.0, 0.75, 4), "b": (0.6, 0.0, 0.5, 6), "c": (0.4, 2 / 3, 0.5, 8)}
    for group, figures in expected.items():
        line = table.loc[("sf", group)]
        assert (line.tpr, line.fpr, line.selection_rate, line["rows"]) == pytest.approx(figures)
    crossed = table.loc["sf × g2", "tpr"].to_dict()
    assert crossed == pytest.approx({"a × 6": 0, "a × 8": 1, "b × 6": 2 / 3, "b × 8": 0.5, "c × 6": 0.5, "c × 8": 0})
    weighted = fairness.fairness_table(Y, P, pd.Series(SF, name="sf"), weight=W)
    assert weighted.tpr.tolist() == pytest.approx([0.454545, 0.5, 0.583333, 0.25], abs=1e-6)
    sides = fairness.count(split(pd.Series(SF, name="sf")), Y, P).side("legacy")
    assert fairness.gap(sides, "demographic_parity") == pytest.approx(0.25)
    assert fairness.gap_ratio(sides, "demographic_parity") == pytest.approx(2 / 3)
    assert fairness.gap(sides, "equalized_odds") == pytest.approx(1.0)
    assert fairness.gap_ratio(sides, "equalized_odds") == pytest.approx(0.0)


def test_entropy_indices_equal_aif360() -> None:
    truth = np.array([1, 0, 0, 1, 0, 0, 1, 0, 1, 1])
    decision = truth.copy()
    decision[[3, 9]], decision[[4, 5]] = 0, 1
    table = fairness.count(split(pd.Series(["all"] * 10, name="x")), truth, decision).side("legacy").sum(0)
    assert fairness.generalized_entropy(table, 2) == pytest.approx(0.2, abs=1e-12)
    assert fairness.generalized_entropy(table, 1) == pytest.approx(4 * np.log(2) / 10, abs=1e-12)


def test_a_rate_without_rows_is_nan_and_left_out_of_the_gap() -> None:
    groups = split(pd.Series(["a", "a", "b", "b", "c"], name="g"))
    table = fairness.count(groups, [1, 0, 1, 1, 0], [1, 0, 0, 1, 0]).side("legacy")
    tpr = fairness.rates(table)[:, fairness.index("tpr")]
    assert tpr.tolist() == pytest.approx([1.0, 0.5, np.nan], nan_ok=True)
    assert fairness.gap(table, "equal_opportunity") == pytest.approx(0.5)
    nobody = fairness.count(groups, [1] * 5, [0] * 5).side("legacy")
    assert np.isnan(fairness.gap_ratio(nobody, "demographic_parity"))


def test_unknown_truth_counts_for_selection_only() -> None:
    groups = split(pd.Series(["a"] * 4, name="g"))
    table = fairness.side_table(fairness.count(groups, [1, -1, np.nan, 0], [1, 1, 0, -1]), "legacy").loc["a"]
    assert (table["rows"], table.selected, table.tp, table.tn) == (4, 2, 1, 0)
    assert (table.selection_rate, table.base_rate, table.tpr) == pytest.approx((2 / 3, 0.5, 1.0))


@pytest.mark.parametrize("bad", [[1.0, np.nan], [-1.0, 1.0], [1.0]])
def test_bad_weights_are_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="weight"):
        fairness.count(split(pd.Series(["a", "b"], name="g")), [0, 1], [0, 1], weight=bad)


def test_groups_are_bands_of_numbers_and_missing_is_a_group() -> None:
    ages = split(pd.Series([18, 24.0, 25, 36, 47, 58, 64, 65, 90, np.nan, 33, 29], name="age"))
    assert ages.labels[0] == "under 25"
    assert ages.labels[-2:] == ("65 and over", MISSING)
    assert [ages.labels[code] for code in ages.codes[:3]] == ["under 25", "under 25", "25 to under 35"]
    few = split(pd.Series([1.0, 0.0, None, 10.0], name="children"))
    assert few.labels == ("0", "1", "10", MISSING)
    income = split(pd.Series(np.arange(100.0), name="income"))
    assert len(income.labels) == 4
    assert np.bincount(income.codes).tolist() == [25, 25, 25, 25]
    assert split(pd.Series([True, False, None], name="b", dtype=object)).labels == ("False", "True", MISSING)
    assert split(pd.Series(pd.Categorical(["x", None, "y"]), name="c")).labels == ("x", "y", MISSING)
    assert split(pd.Series([], name="none", dtype=object)).labels == ()


def test_intersections_hold_what_occurs() -> None:
    frame = pd.DataFrame({"a": ["x", "x", "y"], "b": ["1", "2", "2"], "c": ["k", "k", "k"]})
    names = [groups.name for groups in groups_of(frame, ["a", "b", "c"], 2)]
    assert names == ["a", "b", "c", "a × b", "a × c", "b × c"]
    both = intersect([split(frame["a"]), split(frame["b"])])
    assert [both.labels[code] for code in both.codes] == ["x × 1", "x × 2", "y × 2"]


def _counts(
    seed: int, weight: np.ndarray | None = None, n: int = 3000
) -> tuple[fairness.Counts, tuple[np.ndarray, ...]]:
    truth, legacy, frame, _ = _sample(seed, n)
    rng = np.random.default_rng(seed + 100)
    candidate = np.where(rng.random(n) < 0.1, 1 - legacy, legacy)
    groups = split(frame["race"])
    return fairness.count(groups, truth, legacy, candidate, weight), (groups.codes, truth, legacy, candidate)


@pytest.mark.parametrize("weighted", [False, True])
def test_draws_from_counts_are_the_row_bootstrap(weighted: bool) -> None:
    from scipy.stats import ks_2samp

    rng = np.random.default_rng(7)
    weight = rng.exponential(1, 800) ** 2 if weighted else None
    counts, rows = _counts(3, weight, 800)
    mine = fairness_gaps.draw(counts, 1500, seed=1).rates
    groups = Groups("race", counts.labels, rows[0])
    brute = []
    for _ in range(1500):
        pick = rng.integers(0, 800, 800)
        again = Groups("race", counts.labels, groups.codes[pick])
        part = fairness.count(again, *(row[pick] for row in rows[1:]), None if weight is None else weight[pick])
        both = np.stack([fairness.rates(part.side("legacy")), fairness.rates(part.side("candidate"))])
        brute.append(both[..., [fairness.index(rate) for rate in fairness_gaps.RESAMPLED]])
    brute = np.stack(brute)
    p_values = [
        ks_2samp(mine[:, side, group, rate], brute[:, side, group, rate]).pvalue
        for side in range(2)
        for group in range(3)
        for rate in range(5)
    ]
    changed = ks_2samp(spread_change(mine), spread_change(brute)).pvalue
    assert min([*p_values, changed]) > 0.01 / 31
    # Weights of this spread widen the distributions by half: drawing rows without their weights would show.
    assert mine.std(0) == pytest.approx(brute.std(0), rel=0.12)
    assert np.corrcoef(mine[:, 0, 0, 0], mine[:, 1, 0, 0])[0, 1] > 0.5  # one draw gives both models


def spread_change(draws: np.ndarray) -> np.ndarray:
    gaps = fairness.spread(draws[..., 0])
    return gaps[:, 1] - gaps[:, 0]


def test_a_fair_model_is_called_unfair_in_five_of_a_hundred_at_most() -> None:
    rng = np.random.default_rng(11)
    n = np.array([[1500.0, 400.0, 120.0, 60.0]])
    runs = 600
    alarms = sum(
        fairness_gaps.chance(rng.binomial(n.astype(int), 0.2) / n, n, draws=400, seed=run) <= 0.05
        for run in range(runs)
    )
    assert 0.02 <= alarms / runs <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


def test_the_gap_of_a_fair_model_reaches_zero_and_a_real_one_is_found() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for run in range(60):
        groups = Groups("g", ("a", "b", "c"), rng.choice(3, 900, p=[0.6, 0.3, 0.1]))
        counts = fairness.count(groups, rng.integers(0, 2, 900), (rng.random(900) < 0.3).astype(int))
        this = fairness_gaps.Comparison(counts, fairness_gaps.draw(counts, 500, run), np.ones(3, bool), paired=False)
        covered += fairness_gaps.difference(this, "demographic_parity").legacy.low == 0
    assert covered / 60 >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 60)
    groups = Groups("g", ("a", "b"), np.repeat([0, 1], 2000))
    counts = fairness.count(groups, [0] * 4000, (rng.random(4000) < np.repeat([0.5, 0.3], 2000)).astype(int))
    this = fairness_gaps.Comparison(counts, fairness_gaps.draw(counts, 2000), np.ones(2, bool), paired=False)
    found, impact = fairness_gaps.difference(this, "demographic_parity"), fairness_gaps.share(this)
    assert found.p < 0.001
    assert 0.12 < found.legacy.low < 0.2 < found.legacy.high < 0.28
    assert (found.lowest, found.highest) == ("b", "a")
    assert impact.legacy.low < 0.6 < impact.legacy.high < 0.72


def test_two_groups_get_newcombes_and_the_log_ratio_interval() -> None:
    from workbench.measure import intervals

    groups = Groups("g", ("a", "b"), np.repeat([0, 1], [1000, 800]))
    decision = np.concatenate([np.arange(1000) < 400, np.arange(800) < 240]).astype(int)
    counts = fairness.count(groups, [0] * 1800, decision)
    this = fairness_gaps.Comparison(counts, fairness_gaps.draw(counts), np.ones(2, bool), paired=False)
    low, high = intervals.newcombe(400, 1000, 240, 800)
    assert fairness_gaps.difference(this, "demographic_parity").legacy == pytest.approx((0.1, low, high), abs=0.004)
    low, high = intervals.ratio(240, 800, 400, 1000)
    assert fairness_gaps.share(this).legacy == pytest.approx((0.75, low, high), abs=0.015)


def test_the_upper_bound_of_two_groups_is_the_published_score_bound() -> None:
    """Newcombe 1998 (Stat. Med. 17:873), table II, 56/70 against 48/80: method 5 (Mee), 0.0533 to 0.3377. The lower
    bound is higher here, for a largest difference has no sign."""
    rates = fairness_range.Rates(np.array([[56 / 70, 48 / 80]]), np.array([[70, 80]]))
    low, high = fairness_range.largest_difference(rates, 0.95)
    assert high == pytest.approx(0.3377, abs=0.012)
    assert 0.0533 <= low <= 0.2 - 1.645 * np.sqrt(0.8 * 0.2 / 70 + 0.6 * 0.4 / 80) + 0.005


def test_a_bound_is_where_the_test_of_that_gap_turns() -> None:
    rates = fairness_range.Rates(np.array([[0.2, 0.3, 0.55, 0.4]]), np.full((1, 4), 60))
    for bounds, beyond in (
        (fairness_range.largest_difference(rates, 0.95), fairness_range.beyond_difference),
        (fairness_range.smallest_share(rates, 0.95), fairness_range.beyond_share),
    ):
        steps = [bounds.low - 0.01, bounds.low + 0.01, bounds.high - 0.01, bounds.high + 0.01]
        assert [beyond(rates, gap, 0.95) > 0 for gap in steps] == [True, False, False, True]


def test_a_family_of_which_one_group_is_left_has_no_pair() -> None:
    rates = fairness_range.Rates(np.array([[0.5, np.nan], [0.4, 0.6]]), np.array([[50, 0], [200, 300]]))
    alone = fairness_range.Rates(np.array([[0.4, 0.6]]), np.array([[200, 300]]))
    for bounds in (fairness_range.largest_difference, fairness_range.smallest_share):
        assert bounds(rates, 0.95) == pytest.approx(bounds(alone, 0.95), abs=0.01), "but for other draws"


def test_a_group_of_which_nobody_was_selected_has_bounds() -> None:
    rates = fairness_range.Rates(np.array([[0.0, 0.3, 0.5]]), np.array([[40, 60, 80]]))
    low, high = fairness_range.smallest_share(rates, 0.95)
    assert low == 0.0
    assert 3 / 40 / 0.5 * 0.5 < high < 3 / 40 / 0.5 * 2, "about the rule of three: 3 of 40 are still possible"
    assert fairness_range.beyond_share(rates, high - 0.01, 0.95) <= 0 < fairness_range.beyond_share(rates, 1.0, 0.95)


def test_groups_with_few_counts_are_not_called_unfair() -> None:
    """Ten groups of 30 rows alike: simultaneous intervals left 0 out in 9 of 100 of such tables."""
    rng, n = np.random.default_rng(5), np.full((2, 10), 30)
    left_out = sum(
        fairness_range.beyond_difference(fairness_range.Rates(rng.binomial(n, 0.5) / n, n, run), 0.0, 0.95) > 0
        for run in range(60)
    )
    assert left_out <= 7  # 5 % and chance: 98 of 100 such studies find no more


def test_the_same_model_twice_changed_nothing() -> None:
    truth, decision, frame, _ = _sample(9)
    counts = fairness.count(split(frame["race"]), truth, decision, decision)
    this = fairness_gaps.Comparison(counts, fairness_gaps.draw(counts, 500), np.ones(3, bool), paired=True)
    for name in fairness.GAPS:
        assert fairness_gaps.difference(this, name).change == (0.0, 0.0, 0.0)
    worst = fairness_gaps.worst_change(this)
    assert worst is not None
    assert worst.change == (0.0, 0.0, 0.0)


def test_the_group_that_lost_is_named_and_small_denominators_are_left_out() -> None:
    rng = np.random.default_rng(2)
    codes = np.repeat([0, 1, 2], [2000, 1000, 60])
    truth = (rng.random(3060) < 0.5).astype(int)
    truth[codes == 2] = np.repeat([1, 0], [3, 57])
    candidate = np.where((codes == 1) & (rng.random(3060) < 0.2), 1 - truth, truth)
    counts = fairness.count(Groups("g", ("a", "b", "c"), codes), truth, truth, candidate)
    this = fairness_gaps.Comparison(counts, fairness_gaps.draw(counts, 1000), np.ones(3, bool), paired=True)
    worst = fairness_gaps.worst_change(this)
    assert worst is not None
    assert worst.group == "b"
    assert -0.26 < worst.change.low < worst.change.value < worst.change.high < -0.15
    opportunity = fairness_gaps.difference(this, "equal_opportunity")
    assert opportunity.left_out == ("c",)
    assert opportunity.change is not None
    assert opportunity.change.low > 0.1


def test_many_replicates_are_quick() -> None:
    import time

    rng = np.random.default_rng(0)
    groups = Groups("g", tuple("abcdefghij"), rng.integers(0, 10, 100_000))
    answers = rng.integers(0, 2, (3, 100_000))
    start = time.process_time()
    fairness_gaps.draw(fairness.count(groups, *answers), 10_000)
    assert time.process_time() - start < 5
