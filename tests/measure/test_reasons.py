"""Measures made of attributions: against closed forms of models whose reasons are known, scikit-learn and scipy."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest

from workbench.measure import attribution as at
from workbench.measure.attribution.across import attributions_of
from workbench.measure.attribution.sanity import local_weights
from workbench.measure.attribution.ways import InexactError, exact_way
from workbench.models import Input, Outputs, Piece

NAMES = ("a", "b", "c", "d", "e")
WEIGHTS = np.array([3.0, -2.0, 1.0, 0.5, 0.0])


@dataclass
class Model:
    """A regression from a function of a matrix."""

    answer: object
    format = "python"
    task = "regression"
    classes = ()
    fingerprint = "0" * 64
    inputs = tuple(Input(name, "number") for name in NAMES)

    def predict(self, frame: pd.DataFrame) -> Outputs:
        return Outputs(values=np.asarray(self.answer(frame[list(NAMES)].to_numpy(float)), dtype=float))

    def describe(self) -> Piece:
        return Piece("test.Model")


def asked(answer, n: int = 400, *, plain: bool = False, seed: int = 0, legacy=None) -> at.Question:
    """A question about one model, or two; plain: every background row is 0."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(n, len(NAMES))), columns=list(NAMES))
    whole = at.plan(n, rows=n // 2, background=n // 4, seed=seed)
    if plain:
        frame.iloc[whole.background] = 0.0
    models = {"candidate": Model(answer)} if legacy is None else {"legacy": Model(legacy), "candidate": Model(answer)}
    used = np.unique(np.concatenate([whole.rows, whole.background, whole.other]))
    ways = {}
    for side, model in models.items():
        try:
            ways[side] = exact_way(model, frame.iloc[used].reset_index(drop=True), "value", 100_000, 0)
        except InexactError:
            whole = at.afforded(whole, len(NAMES), 60_000)
    return at.Question(frame, whole, NAMES, "value", None, models, used, ways)


def linear(X: np.ndarray) -> np.ndarray:
    return X @ WEIGHTS


def test_faithfulness_is_the_area_between_the_curves_and_chance_is_nothing() -> None:
    """Of a linear model, against an all-zero background, the ordered curves are partial sums in order."""
    question = asked(linear, plain=True)
    known = question.ask("candidate")
    np.testing.assert_allclose(known.values, question.frame.iloc[question.plan.rows].to_numpy() * WEIGHTS, atol=1e-9)
    found = at.faithfulness(question, "candidate", known)
    own = known.values[:50] * np.sign(known.values[:50].sum(axis=1, keepdims=True))  # for the row's own answer
    own = -np.sort(-own, axis=1)
    inserted = np.concatenate([np.zeros((50, 1)), np.cumsum(own, axis=1)], axis=1)
    gap = 2 * inserted - own.sum(axis=1, keepdims=True)  # deleted is what is not yet inserted
    area = np.trapezoid(gap, dx=1 / 5, axis=1).mean() / np.abs(own).sum(axis=1).mean()
    assert found.n == 50
    assert found.gain.value == pytest.approx(area, abs=1e-9)
    assert found.gain.low > 0.3
    points = np.array(found.curves)
    np.testing.assert_allclose(points[[0, -1], 1], [0, 1], atol=1e-9)
    np.testing.assert_allclose(points[[0, -1], 2], [1, 0], atol=1e-9)
    np.testing.assert_allclose(points[:, 3], points[::-1, 4])
    rng = np.random.default_rng(1)
    noise = at.faithfulness(question, "candidate", replace(known, values=rng.permuted(known.values, axis=1)))
    assert noise.gain.low < 0 < noise.gain.high


def test_the_surrogate_is_a_weighted_ridge_and_finds_a_linear_models_weights() -> None:
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(2)
    kept, answer = rng.random((300, 6)) < 0.5, rng.normal(size=300)
    near = np.sqrt(np.exp(-((~kept).sum(axis=1)) / (0.75**2 * 6)))
    oracle = Ridge(alpha=1.0).fit(kept, answer, sample_weight=near).coef_
    np.testing.assert_allclose(local_weights(kept, answer), oracle, atol=1e-9)
    question = asked(linear, plain=True)
    found, n = at.surrogate(question, "candidate", question.ask("candidate"))
    assert (n, found.low > 0.99) == (20, True)


def test_reasons_against_another_background_are_as_steady_as_they_are() -> None:
    question = asked(linear)
    steady, n = at.stability(question, "candidate", question.ask("candidate"))
    shift = (
        question.frame.iloc[question.plan.background].mean() - question.frame.iloc[question.plan.other].mean()
    ) * WEIGHTS
    values = question.ask("candidate").values
    oracle = at.cosine(values, values + shift.to_numpy()).mean()
    assert n == 200
    assert steady.value == pytest.approx(oracle, abs=1e-9)
    assert steady.low <= steady.value <= steady.high


def test_drift_is_the_change_of_shares_and_its_rank_is_ndcg() -> None:
    from sklearn.metrics import ndcg_score

    question = asked(linear)
    known = question.ask("candidate")
    recent = pd.DataFrame(np.random.default_rng(9).normal(size=(500, 5)) * [0.2, 1, 1, 6, 1], columns=list(NAMES))
    found = at.drift(question, "candidate", known, recent)
    mean = question.frame.iloc[question.plan.background].to_numpy().mean(axis=0)
    chosen = at.plan(500, rows=200, background=1, seed=0).rows
    now = np.abs((recent.to_numpy()[chosen] - mean) * WEIGHTS).mean(axis=0)
    np.testing.assert_allclose(found.now.share, now / now.sum(), atol=1e-9)
    np.testing.assert_allclose(found.change.share, found.now.share - found.then.share, atol=1e-12)
    assert (found.change.low[3], found.change.high[0]) > (0.1, -0.1)
    assert found.rank == pytest.approx(ndcg_score([found.then.share], [found.now.share]))
    same = at.drift(question, "candidate", known, question.frame.iloc[question.plan.other])
    assert np.abs(same.change.share).max() < 0.05
    with pytest.raises(at.UnaskableError, match="the rows lack e"):
        at.drift(question, "candidate", known, recent.drop(columns="e"))


def test_recent_rows_of_a_model_without_an_exact_way_are_asked_about() -> None:
    question = asked(lambda X: X[:, 0] * X[:, 1] + X[:, 2])
    assert not question.exact
    recent = question.frame.iloc[question.plan.rows]
    later = attributions_of(question, "candidate", pd.concat([recent] * 3))
    assert later.method == question.ask("candidate").method == "permutation"
    assert later.additivity_error < 1e-9


def test_a_linear_models_log_odds_add_up_where_its_probabilities_are_all_but_sure() -> None:
    """At log-odds of 20, whose probability is 1 - 2e-9; beyond what probabilities tell, rows are asked about."""
    frame = pd.DataFrame(np.random.default_rng(4).normal(size=(200, 5)), columns=list(NAMES))

    class Sure(Model):
        task, classes = "binary", (0, 1)

        def predict(self, rows: pd.DataFrame) -> Outputs:
            odds = self.answer(rows[list(NAMES)].to_numpy(float))
            return Outputs((0, 1), scores=np.stack([1 / (1 + np.exp(odds)), 1 / (1 + np.exp(-odds))], axis=1))

    found = at.attribute(Sure(lambda X: 2 * X @ WEIGHTS), frame[:20], frame[20:])
    assert (found.method, np.abs(found.output).max() > 13.9) == ("additive", True)
    np.testing.assert_allclose(found.values, 2 * WEIGHTS * (frame[:20] - frame[20:].mean()), atol=1e-6)
    lost = at.attribute(Sure(lambda X: 20 * X @ WEIGHTS), frame[:20], frame[20:])
    assert lost.method == "exact"  # all coalitions of five columns


def test_groups_where_reasons_part_come_first_and_small_ones_are_left_out() -> None:
    frame = pd.DataFrame({"town": ["x"] * 30 + ["y"] * 30 + ["z"] * 3, "age": np.arange(63.0)})
    near = np.r_[np.full(30, 0.9), np.full(30, 0.4), np.full(3, -1.0)]
    found = at.cohorts(frame, near, ["town", "age"], 10)
    assert [row[:3] for row in found if row[0] == "town"] == [("town", "y", 30), ("town", "x", 30)]
    assert found[0][3] == min(row[3] for row in found)
    assert sum(row[2] for row in found if row[0] == "age") == 63


def test_pairs_of_columns_that_only_one_model_combines_are_seen() -> None:
    from sklearn.ensemble import GradientBoostingRegressor

    rng = np.random.default_rng(3)
    X = rng.normal(size=(600, 5))
    truths = [np.sign(X[:, 0] * X[:, 1]) + X[:, 2], np.sign(X[:, 0] * X[:, 3]) + X[:, 2]]
    trees = [GradientBoostingRegressor(n_estimators=30, random_state=0).fit(X, y) for y in truths]
    question = asked(linear, legacy=linear)
    opened = [Opened(one) for one in trees]
    used = question.frame.iloc[question.used].reset_index(drop=True)
    ways = {side: exact_way(model, used, "value", 0, 0) for side, model in zip(("legacy", "candidate"), opened)}
    found = at.interactions(replace(question, models=dict(zip(ways, opened)), ways=ways))
    for side, pair in (("legacy", "a × b"), ("candidate", "a × d")):
        assert found[side].features[int(found[side].share.argmax())] == pair
    moved = {name: found["change"].of(name) for name in ("a × b", "a × d", "c × e")}
    assert moved["a × b"].high < -0.05
    assert moved["a × d"].low > 0.05
    assert abs(moved["c × e"].value) < 0.05
    one = ways["legacy"]
    values = np.abs(one.interactions(np.arange(20), np.arange(100, 150))[..., 0])
    assert found["legacy"].share.sum() < 1
    np.testing.assert_allclose(values, values.transpose(0, 2, 1), atol=1e-12)
    with pytest.raises(InexactError):
        at.interactions(replace(question, ways={}, inexact={"legacy": "it is closed"}))


class Opened(Model):
    """A gradient boosting, with its trees."""

    def __init__(self, learner) -> None:
        super().__init__(learner.predict)
        self.learner = learner

    def trees(self):
        from workbench.models.estimator_trees import trees_of

        return trees_of(self.learner)[0]

    def look(self, frame: pd.DataFrame):
        from workbench.models.inside import Sight

        matrix = frame[list(NAMES)].to_numpy(float)
        return Sight(matrix, self.learner.predict(matrix)[:, None])


def test_reason_codes_of_every_row_hide_personal_columns() -> None:
    values = np.array([[0.1, -3.0, 2.0], [5.0, 0.0, 1.0]])
    one = at.Attributions(("a", "email", "b"), values, np.zeros(2), values.sum(axis=1), "value", "trees", 1, 1)
    table = at.by_rows({"legacy": one}, [7, 9], 2, ("email",))
    assert table["row"].tolist() == [7, 9]
    assert table["legacy reason 1"].tolist() == ["(personal column)", "a"]
    assert table["legacy contribution 2"].tolist() == [2.0, 1.0]
    assert "email" not in table.to_csv()
