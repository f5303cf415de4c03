"""Attributions against brute force, closed forms and shap's own tree explainer; comparisons against known cases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import pytest
from coalitions import brute_force

from workbench.measure import attribution as at
from workbench.measure.attribution import shapley
from workbench.models import Input, Outputs, Piece

RNG = np.random.default_rng(7)


@dataclass
class Plain:
    """A model from a function of a frame, answering in this process."""

    answer: object
    names: tuple[str, ...]
    task: Literal["binary", "multiclass", "regression"] = "regression"
    classes: tuple = ()
    format: str = "python"
    fingerprint: str = "0" * 64
    calls: int = 0

    @property
    def inputs(self) -> tuple[Input, ...]:
        return tuple(Input(name) for name in self.names)

    def predict(self, frame: pd.DataFrame) -> Outputs:
        self.calls += 1
        answer = self.answer(frame)
        if isinstance(answer, Outputs):
            return answer
        return Outputs(values=np.asarray(answer, dtype=float))

    def describe(self) -> Piece:
        return Piece("test.Plain")

    def close(self) -> None: ...


def mixed(n: int, seed: int = 0) -> pd.DataFrame:
    """Text with missing cells, whole numbers, a flag, a date, decimals with missing cells."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "town": pd.Series(rng.choice(["Bonn", "Köln", None], n), dtype="str"),
            "age": rng.integers(18, 80, n),
            "owner": rng.random(n) < 0.5,
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, n), unit="D"),
            "income": np.where(rng.random(n) < 0.2, np.nan, rng.normal(3000, 900, n)),
        }
    )


def tangled(frame: pd.DataFrame) -> np.ndarray:
    """Interactions up to third order over every column type."""
    town = frame["town"].map({"Bonn": 1.0, "Köln": -2.0}).astype(float).fillna(0.5).to_numpy()
    income = np.log(frame["income"].fillna(1000.0).clip(lower=1.0)).to_numpy()
    days = (frame["since"] - pd.Timestamp("2020-01-01")).dt.days.to_numpy() / 365
    assert frame["age"].dtype == np.int64
    assert frame["owner"].dtype == bool
    return town * income + np.where(frame["owner"], days * town * frame["age"] / 40, income) + frame["age"] / 10


def test_exact_values_equal_the_definition_on_columns_of_every_type():
    rows, background = mixed(4, 1), mixed(9, 2)
    found = at.attribute(Plain(tangled, tuple(rows.columns)), rows, background, method="exact")
    np.testing.assert_allclose(found.values, brute_force(tangled, rows, background), atol=1e-9)
    assert found.additivity_error < 1e-9
    assert found.space == "value"
    assert found.method == "exact"


def test_linear_model_has_the_closed_form():
    """phi_j = w_j (x_j - mean background_j), whatever the number of permutations."""
    names = [f"x{j}" for j in range(20)]
    data = pd.DataFrame(RNG.normal(size=(80, 20)), columns=names)
    weights = RNG.normal(size=20)
    rows, background = data[:30], data[30:]
    model = Plain(lambda frame: frame[names].to_numpy() @ weights, tuple(names))
    found = at.attribute(model, rows, background)
    assert found.method == "additive"
    for one in (found, at.attribute(model, rows, background, method="permutation")):
        np.testing.assert_allclose(one.values, weights * (rows - background.mean()).to_numpy(), atol=1e-9)
        np.testing.assert_allclose(one.base, np.mean(background.to_numpy() @ weights))


def test_every_background_row_counts_beyond_the_hundred_shap_would_keep():
    names = ("a", "b")
    background = pd.DataFrame({"a": np.r_[np.zeros(200), 1000.0], "b": np.arange(201.0)})
    found = at.attribute(Plain(lambda frame: frame["a"] + frame["b"], names), background[:3], background)
    np.testing.assert_allclose(found.values[:, 0], -1000 / 201)
    assert found.background == 201


def test_log_odds_of_a_tree_ensemble_equal_the_tree_explainer():
    import shap
    from sklearn.ensemble import GradientBoostingClassifier

    X = pd.DataFrame(RNG.normal(size=(400, 5)), columns=list("abcde"))
    y = (X["a"] * X["b"] + X["c"] + RNG.normal(size=400) > 0).astype(int)
    trees = GradientBoostingClassifier(n_estimators=30, random_state=0).fit(X, y)
    rows, background = X[:25], X[200:350]

    def answer(frame: pd.DataFrame) -> Outputs:
        scores = trees.predict_proba(frame[list("abcde")])
        return Outputs(classes=(0, 1), scores=scores, labels=scores.argmax(axis=1))

    model = Plain(answer, tuple("abcde"), task="binary", classes=(0, 1))
    found = at.attribute(model, rows, background, method="exact")
    masker = shap.maskers.Independent(background, max_samples=len(background))
    oracle = shap.TreeExplainer(trees, masker, feature_perturbation="interventional").shap_values(rows)
    np.testing.assert_allclose(found.values, oracle, atol=1e-5)
    assert found.space == "log-odds"
    np.testing.assert_allclose(found.output, trees.decision_function(rows), atol=1e-8)


def test_permutations_approach_the_exact_values():
    rows, background = mixed(6, 3), mixed(8, 4)
    model = Plain(tangled, tuple(rows.columns))
    exact = at.attribute(model, rows, background, method="exact").values
    few, many = (
        np.abs(at.attribute(model, rows, background, method="permutation", masks=masks).values - exact).max()
        for masks in (11, 11 * 60)
    )
    assert many < 0.25 * few
    assert many < 0.05 * np.abs(exact).max()


def test_permutations_of_a_network_are_held_against_all_coalitions_and_against_shaps_own():
    """A small network: as many answers as shap's permutations take, half their error, and error bars that tell it."""
    import shap

    rng = np.random.default_rng(3)
    names = tuple("abcdefgh")
    first, second = rng.normal(size=(8, 16)), rng.normal(size=16)

    def answer(frame: pd.DataFrame) -> np.ndarray:
        return np.tanh(frame[list(names)].to_numpy() @ first) @ second

    rows, background = (pd.DataFrame(rng.normal(size=(n, 8)), columns=list(names)) for n in (20, 40))
    model = Plain(answer, names)
    exact = at.attribute(model, rows, background, method="exact")
    assert exact.error is None
    found = at.attribute(model, rows, background, method="permutation", masks=17)
    assert found.error is not None
    assert found.additivity_error < 1e-9
    off = np.abs(found.values - exact.values)
    assert (off <= 4 * found.error).mean() > 0.99
    masker = shap.maskers.Independent(background.to_numpy(), max_samples=40)
    explainer = shap.explainers.Permutation(lambda X: answer(pd.DataFrame(X, columns=list(names))), masker, seed=0)
    with shapley._plain_loops():
        theirs = explainer(rows.to_numpy(), max_evals=17, silent=True).values
    assert np.sqrt((off**2).mean()) < 0.5 * np.sqrt(((theirs - exact.values) ** 2).mean())
    more = at.attribute(model, rows, background, method="permutation", masks=17 * 8)
    assert more.error is not None
    closer = np.abs(more.values - exact.values)
    assert closer.mean() < 0.6 * off.mean()
    # Of several permutations for each background row the error is told, not bounded: about 95 of 100 within two.
    assert 0.9 < (closer <= 2 * more.error).mean() < 0.99
    assert 0 < more.sampling_error < found.sampling_error


def test_equal_arguments_ask_equal_rows_and_repeat_to_the_bit():
    rows, background = mixed(10, 5), mixed(10, 6)
    asked = [[], []]

    def hearing(side: int):
        def answer(frame: pd.DataFrame) -> np.ndarray:
            asked[side].append(frame.reset_index(drop=True))
            return tangled(frame) * (1 + side)

        return Plain(answer, tuple(rows.columns))

    first, second = (at.attribute(hearing(side), rows, background, masks=11, seed=3) for side in (0, 1))
    for one, other in zip(*asked, strict=True):
        pd.testing.assert_frame_equal(one, other)
    np.testing.assert_allclose(second.values, 2 * first.values)
    assert np.array_equal(at.attribute(hearing(0), rows, background, masks=11, seed=3).values, first.values)


def test_few_large_calls_and_no_row_asked_twice():
    rows, background = mixed(12, 7), mixed(10, 8)
    model = Plain(tangled, tuple(rows.columns))
    found = at.attribute(model, rows, background, masks=33, method="permutation")
    assert model.calls == 3  # the background, the rows, and all what-if rows at once
    assert found.evaluations < 12 * 33 * 10


def test_turns_bound_the_memory_without_changing_exact_values(monkeypatch):
    rows, background = mixed(7, 9), mixed(6, 10)
    model = Plain(tangled, tuple(rows.columns))
    whole = at.attribute(model, rows, background, method="exact").values
    monkeypatch.setattr("workbench.measure.attribution.shapley.PLANNED", 2 * 32 * 6 * 5)
    monkeypatch.setattr("workbench.measure.attribution.basics.CALL", 50)
    np.testing.assert_allclose(at.attribute(model, rows, background, method="exact").values, whole, atol=1e-12)


def test_the_explained_class_is_the_rows_own_answer_or_the_one_asked_for():
    def answer(frame: pd.DataFrame) -> Outputs:
        odds = np.exp(np.stack([frame["x"], frame["y"], np.zeros(len(frame))], axis=1))
        scores = odds / odds.sum(axis=1, keepdims=True)
        return Outputs(classes=("a", "b", "c"), scores=scores, labels=np.array(["a", "b", "c"])[scores.argmax(axis=1)])

    rows = pd.DataFrame({"x": [2.0, -1.0], "y": [-1.0, 2.0]})
    model = Plain(answer, ("x", "y"), task="multiclass", classes=("a", "b", "c"))
    own, asked = at.attribute(model, rows), at.attribute(model, rows, explained=["c"])
    assert (own.space, own.method) == ("margin", "additive")
    np.testing.assert_allclose(own.output, [2 - 1 / 3] * 2)  # the logarithms less their mean
    np.testing.assert_allclose(asked.output, [-1 / 3] * 2)
    assert own.additivity_error < 1e-9
    odds = at.attribute(model, rows, explained=["c"], space="log-odds")
    assert (odds.output < -1).all()
    assert odds.additivity_error < 1e-9
    with pytest.raises(ValueError, match="class 'd' is not one the model knows: 'a', 'b', 'c'"):
        at.attribute(model, rows, explained=["d"])


def test_a_model_that_only_decides_is_explained_by_its_decision():
    def answer(frame: pd.DataFrame) -> Outputs:
        return Outputs(classes=("no", "yes"), labels=np.where(frame["x"] > 0, "yes", "no"))

    rows = pd.DataFrame({"x": [1.0, -1.0, 2.0], "unused": [1.0, 2.0, 3.0]})
    found = at.attribute(Plain(answer, ("x", "unused"), task="binary", classes=("no", "yes")), rows)
    assert found.space == "decision"
    np.testing.assert_allclose(found.values[:, 0], [1 / 3, -2 / 3, 1 / 3])
    np.testing.assert_allclose(found.values[:, 1], 0)


def test_additivity_is_checked_against_the_models_own_output():
    """A model that answers what-if rows otherwise than rows it is shown apart is found out."""
    rows = mixed(5, 11)

    def answer(frame: pd.DataFrame) -> np.ndarray:
        return tangled(frame) * (1.1 if len(frame) > 20 else 1.0)

    assert at.attribute(Plain(tangled, tuple(rows.columns)), rows, rows).additivity_error < 1e-9
    assert at.attribute(Plain(answer, tuple(rows.columns)), rows, rows).additivity_error > 0.01


def test_no_number_is_named():
    rows = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0]})
    model = Plain(lambda frame: frame["x"].where(frame["x"] > 1), ("x",))
    with pytest.raises(at.UnansweredError, match=r"no number for 25.0% of 4 what-if rows") as caught:
        at.attribute(model, rows)
    assert caught.value.share == 0.25


def test_missing_columns_and_no_rows_are_named():
    model = Plain(lambda frame: frame["x"], ("x", "y"))
    with pytest.raises(ValueError, match="the rows lack y"):
        at.attribute(model, pd.DataFrame({"x": [1.0]}))
    with pytest.raises(ValueError, match="nothing to explain: 0 rows"):
        at.attribute(model, pd.DataFrame({"x": [], "y": []}))


def test_nothing_is_printed_and_the_callers_random_stream_goes_on(capfd):
    rows = mixed(6, 12)
    np.random.seed(4)
    expected = np.random.random(3)
    np.random.seed(4)
    at.attribute(Plain(tangled, tuple(rows.columns)), rows, rows, masks=11)
    assert np.array_equal(np.random.random(3), expected)
    assert capfd.readouterr() == ("", "")


def test_shap_is_left_as_it_was():
    import shap.utils._masked_model as inside

    rows = mixed(4, 13)
    before = inside._build_fixed_multi_output
    at.attribute(Plain(tangled, tuple(rows.columns)), rows, rows, masks=11)
    assert inside._build_fixed_multi_output is before
    assert hasattr(before, "py_func")


# --- comparisons


def test_equal_reasons_agree_in_every_way_and_rounding_reorders_nothing():
    values = np.round(RNG.normal(size=(50, 9)), 2)
    values[:, 5:] = 0
    noisy = values + RNG.normal(size=values.shape) * 1e-12
    for measure in (at.cosine, at.rank_correlation, at.sign_agreement):
        np.testing.assert_allclose(measure(values, noisy), 1, atol=1e-9)
    for k in (1, 3, 7, 20):
        np.testing.assert_allclose(at.top_overlap(values, noisy, k), 1)


def test_known_disagreements():
    first, second = np.array([[3.0, 2.0, 0.0]]), np.array([[-3.0, -2.0, 0.0]])
    assert at.cosine(first, second) == pytest.approx(-1)
    assert at.sign_agreement(first, second) == 0
    assert at.top_overlap(first, second, 2) == 1
    assert at.top_overlap(np.array([[3.0, 2, 1, 0]]), np.array([[0.0, 1, 2, 3]]), 2) == 0
    assert at.rank_correlation(np.array([[3.0, 2, 1, 0]]), np.array([[0.0, 1, 2, 3]])) == pytest.approx(-1)
    nothing = np.zeros((1, 3))
    assert at.cosine(nothing, nothing) == 1
    assert at.cosine(nothing, first) == 0


def test_rank_correlation_equals_scipy():
    from scipy.stats import spearmanr

    first, second = RNG.normal(size=(20, 8)), RNG.normal(size=(20, 8))
    oracle = [spearmanr(np.abs(a), np.abs(b)).statistic for a, b in zip(first, second)]
    np.testing.assert_allclose(at.rank_correlation(first, second), oracle, atol=1e-9)


def test_importance_sums_to_one_and_a_moved_feature_is_found():
    values = RNG.normal(size=(200, 4)) * [4, 3, 2, 1]
    moved = values * [1, 1, 1, 4]
    weights = at.bootstrap_weights(200, 1000, 0)
    share, low, high = at.importance(values, weights)
    assert share.sum() == pytest.approx(1)
    assert (low < share).all()
    assert (share < high).all()
    _, low, high = at.importance_change(values, moved, weights)
    assert low[3] > 0.1
    assert (high[:3] < 0).all()
    _, low, high = at.importance_change(values, values.copy(), weights)
    assert not high.any()
    assert not low.any()


def test_scale_is_seen_by_the_gap_though_not_by_the_cosine():
    values = RNG.normal(size=(60, 4))
    weights = at.bootstrap_weights(60, 500, 0)
    gap = at.relative_gap(values, 1.5 * values, weights)
    assert gap.value == pytest.approx(0.5)
    assert (gap.low, gap.high) == (pytest.approx(0.5), pytest.approx(0.5))
    np.testing.assert_allclose(at.cosine(values, 1.5 * values), 1)


def test_the_bootstrap_interval_covers_the_mean():
    covered = 0
    for seed in range(200):
        sample = np.random.default_rng(seed).normal(size=80)
        measure = at.mean_estimate(sample, at.bootstrap_weights(80, 400, seed))
        covered += measure.low <= 0 <= measure.high
    assert 0.90 <= covered / 200 <= 0.99


def test_reasons_that_changed_though_the_answer_did_not():
    first = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    second = np.array([[1.0, 0.1], [0.0, 1.0], [0.0, 1.0]])
    changed = at.changed_reasons(first, second, 0.8, np.array([True, True, False]))
    assert changed.tolist() == [False, True, False]


def test_group_gap_is_the_widest_and_small_groups_are_left_out():
    values = np.array([[1.0, 0.0]] * 20 + [[3.0, 0.0]] * 20 + [[90.0, 0.0]] * 3)
    groups = np.array([0] * 20 + [1] * 20 + [2] * 3)
    gap, compared = at.group_gap(values, groups, 10)
    assert gap.tolist() == [2.0, 0.0]
    assert compared == 2
    assert np.isnan(at.group_gap(values, np.zeros(43, dtype=int), 10)[0]).all()


# --- what a pair is asked


def test_the_plan_keeps_the_budget_and_explained_rows_out_of_the_background():
    whole = at.plan(5_000, rows=2_000, background=1_000, seed=1)
    assert (len(whole.rows), len(whole.background), len(whole.other)) == (2_000, 1_000, 1_000)
    assert not set(whole.rows) & set(whole.background)
    assert not set(whole.background) & set(whole.other)
    assert whole.masks == 0  # all of them
    chosen = at.afforded(whole, 14, 200_000)
    assert (len(chosen.rows), len(chosen.background)) == (137, 50)
    assert set(chosen.rows) < set(whole.rows)
    assert set(chosen.other) < set(whole.other)
    assert chosen.masks == 29  # 200,000 / 6,850 is nearest to one permutation there and back
    again = at.afforded(at.plan(5_000, rows=2_000, background=1_000, seed=1), 14, 200_000)
    assert np.array_equal(again.rows, chosen.rows)


def test_many_features_cost_rows_and_few_rows_are_refused():
    wide = at.afforded(at.plan(5_000, rows=100, background=50, seed=0), 300, 200_000)
    assert len(wide.rows) == at.FEWEST_ROWS
    small = at.plan(60, rows=100, background=50, seed=0)
    assert (len(small.rows), len(small.background)) == (40, 20)
    with pytest.raises(at.UnaskableError, match="39 rows are too few"):
        at.plan(39, rows=100, background=50, seed=0)


def test_features_are_those_any_model_asks_for_in_the_frames_order():
    frame = pd.DataFrame(columns=["id", "b", "a", "y"])
    before, after = Plain(None, ("a",)), Plain(None, ("b", "a"))
    assert at.shared_features(frame, (before, after), ("id", "y")) == ("b", "a")
    assert at.shared_features(frame, (before, Plain(None, ())), ("id", "y")) == ("b", "a")


def test_groups_of_a_number_are_quantile_bands_and_missing_is_none():
    codes, names = at.group_codes(pd.Series([*range(100), None]))
    assert names == ("-0.001 to 24.75", "24.75 to 49.5", "49.5 to 74.25", "74.25 to 99")
    assert codes[-1] == -1
    assert np.bincount(codes[:-1]).tolist() == [25, 25, 25, 25]
    codes, names = at.group_codes(pd.Series(["f", "m", None, "f"], dtype="str"))
    assert (codes.tolist(), names) == ([0, 1, -1, 0], ("f", "m"))


def test_leading_reasons_hide_personal_columns():
    values = np.array([[0.1, -3.0, 2.0]])
    one = at.Attributions(("a", "email", "b"), values, np.zeros(1), np.zeros(1), "value", "exact", 1, 1)
    assert at.leading_reasons((one,), 5, 2, ("email",)) == ((1, 1, "(personal column)", -3.0), (1, 2, "b", 2.0))
