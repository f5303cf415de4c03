"""PMML trees in the tree IR and lifted to torch: the same answers as the reader's own walk, missing values included."""

# ruff: noqa: E501 (a document reads better on one line)

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_pmml_sklearn import SCHEMA, TARGET, data, document, number, segments, shares

from workbench.models import Model, ModelError
from workbench.models.knowledge import known
from workbench.models.pmml import open_pmml

__all__ = ["data"]

pytest.importorskip("torch")


def _same(model: Any, rows: pd.DataFrame, atol: float = 1e-12) -> None:
    from workbench.migrate.lift import lift

    assert known(model.describe()).status == "exact"
    want, got = model.predict(rows), lift(model).predict(rows)
    if model.task == "regression":
        np.testing.assert_allclose(got.values, want.values, rtol=0, atol=atol)
        return
    np.testing.assert_allclose(got.scores, want.scores, rtol=0, atol=atol)
    np.testing.assert_array_equal(got.labels, want.labels)


def test_a_real_tree_lifts_with_its_rows_that_have_no_answer(cases: Path, tmp_path: Path, opened: Any) -> None:
    from workbench.migrate.lift import lift

    model = open_pmml((cases / "legacy_models/pmml/DecisionTreeIris_4_4.pmml").read_bytes())
    rows = pd.read_csv(cases / "legacy_models/xgboost/0.71/input_Iris.csv")
    _same(model, rows, 1e-15)
    odd = rows.assign(**{"Petal.Width": rows["Petal.Width"].where(np.arange(150) % 4 > 0)})
    odd.loc[::7, "Petal.Length"] = np.nan
    answered = model.predict(odd).labels
    assert answered is not None
    assert 0 < sum(label is None for label in answered.tolist()) < 150
    _same(model, odd, 1e-15)
    lift(model).save(tmp_path / "tree.pt2")
    again = opened("tree.pt2", folder=tmp_path).predict(odd)
    np.testing.assert_array_equal(again.labels, answered)
    np.testing.assert_allclose(again.scores, model.predict(odd).scores, rtol=0, atol=1e-15)


HOW = [
    "",
    'missingValueStrategy="lastPrediction"',
    'missingValueStrategy="nullPrediction"',
    'missingValueStrategy="defaultChild"',
    'noTrueChildStrategy="returnLastPrediction"',
]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("second", ['<SimplePredicate field="a" operator="lessThan" value="0.5"/>', "<True/>"])
def test_every_way_of_a_missing_value(how: str, second: str) -> None:
    text = f"""<TreeModel functionName="regression" {how}><MiningSchema>{SCHEMA}</MiningSchema>
    <Node score="1" defaultChild="r"><True/>
    <Node id="l" score="2"><SimplePredicate field="a" operator="greaterOrEqual" value="0.5"/></Node>
    <Node id="r" score="3" defaultChild="rr">{second}
      <Node score="4"><SimplePredicate field="b" operator="lessOrEqual" value="1"/></Node>
      <Node id="rr" score="5"><SimplePredicate field="b" operator="greaterThan" value="1"/></Node></Node></Node></TreeModel>"""
    values = [np.nan, 0.5, float(np.nextafter(np.float32(0.5), np.float32(0))), 1.0, np.inf, -np.inf, 1.0 + 1e-12]
    rows = pd.DataFrame([(a, b, 0.0, 0.0) for a in values for b in values], columns=list("abcd"))
    _same(open_pmml(document(text, ["0", "1"])), rows)


def test_forests_and_boosting_lift(data: tuple[pd.DataFrame, Any]) -> None:
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor, RandomForestClassifier

    frame, y = data
    forest = RandomForestClassifier(8, random_state=0, max_depth=6).fit(frame, y)
    trees = [shares(tree.tree_, ["0", "1", "2"]) for tree in forest.estimators_]
    _same(open_pmml(document(segments("classification", "average", trees, target=TARGET), ["0", "1", "2"])), frame)
    regressor = GradientBoostingRegressor(n_estimators=10, random_state=0).fit(frame, y)
    sums = [number(stage[0].tree_, 0.1) for stage in regressor.estimators_]
    start = f'<Targets><Target rescaleConstant="{float(regressor.init_.constant_[0, 0])!r}"/></Targets>'
    model = open_pmml(document(segments("regression", "sum", sums, extra=start), ["0", "1", "2"]))
    np.testing.assert_allclose(model.predict(frame).values, regressor.predict(frame), atol=1e-12)
    _same(model, frame)
    for first, sign in (("1", 1), ("0", -1)):
        binary = GradientBoostingClassifier(n_estimators=10, random_state=0).fit(frame, y > 0)
        sums = [number(stage[0].tree_, 0.1 * sign) for stage in binary.estimators_]
        base = float(binary._raw_predict_init(frame.to_numpy(np.float32)[:1])[0, 0]) * sign
        extra = f'<Output><OutputField name="raw" feature="predictedValue"/></Output><Targets><Target rescaleConstant="{base!r}"/></Targets>'
        tables = f'<RegressionTable targetCategory="{first}" intercept="0"><NumericPredictor name="raw" coefficient="1"/></RegressionTable><RegressionTable targetCategory="{1 - int(first)}" intercept="0"/>'
        last = f'<RegressionModel functionName="classification" normalizationMethod="logit"><MiningSchema>{TARGET}</MiningSchema>{tables}</RegressionModel>'
        chain = [segments("regression", "sum", sums, extra=extra), last]
        model = open_pmml(document(segments("classification", "modelChain", chain, target=TARGET), ["0", "1"]))
        np.testing.assert_allclose(model.predict(frame).scores, binary.predict_proba(frame), atol=1e-12)
        assert model.describe().trees is not None
        _same(model, frame)


@pytest.mark.parametrize("how", HOW)
def test_compact_trees_of_any_number_of_children(how: str) -> None:
    """As JPMML writes them: the last child is folded into its parent, and several ask one after the other."""
    text = f"""<TreeModel functionName="regression" {how}><MiningSchema>{SCHEMA}</MiningSchema>
    <Node score="1" defaultChild="l"><True/>
    <Node id="l" score="2"><SimplePredicate field="a" operator="lessThan" value="0"/>
      <Node score="6"><SimplePredicate field="b" operator="greaterThan" value="1"/></Node></Node>
    <Node id="m" score="3"><SimplePredicate field="a" operator="lessOrEqual" value="1"/></Node>
    <Node id="n" score="7"><SimplePredicate field="b" operator="greaterOrEqual" value="0"/></Node></Node></TreeModel>"""
    values = [np.nan, -1.0, 0.0, 1.0, 1.0 + 1e-6, 2.0, -np.inf]
    rows = pd.DataFrame([(a, b, 0.0, 0.0) for a in values for b in values], columns=list("abcd"))
    model = open_pmml(document(text, ["0", "1"]))
    if "defaultChild" in how:
        assert (
            model.describe().params["trees_refused"] == "a missing value goes to a child that another question leads to"
        )
    else:
        assert len(set(model.predict(rows).values.tolist())) >= 4  # type: ignore[union-attr]
        _same(model, rows)


def _random_node(rng: np.random.Generator, depth: int, test: str, names: list[int]) -> str:
    names[0] += 1
    me, score = names[0], f'score="{rng.normal():.3f}"' if rng.random() < 0.8 else ""
    if depth == 0 or rng.random() < 0.15:
        return f'<Node id="{me}" {score}>{test}</Node>'
    field, value = "ab"[rng.integers(2)], rng.integers(-2, 3) / 2
    first, second = [("lessThan", "greaterOrEqual"), ("greaterThan", "lessOrEqual")][rng.integers(2)]
    tests = [f'<SimplePredicate field="{field}" operator="{first}" value="{value}"/>']
    kind = rng.random()
    if kind < 0.4:
        tests.append(f'<SimplePredicate field="{field}" operator="{second}" value="{value}"/>')
    elif kind < 0.6:
        tests.append("<True/>")
    elif kind < 0.8:
        tests.append(
            f'<SimplePredicate field="{"ab"[rng.integers(2)]}" operator="{second}" value="{rng.integers(-2, 3) / 2}"/>'
        )
    start, inner = names[0], []
    children = []
    for one in tests:
        children.append(names[0] + 1)
        inner.append(_random_node(rng, depth - 1, one, names))
    assert start < children[0]
    default = f'defaultChild="{children[rng.integers(len(children))]}"' if rng.random() < 0.9 else ""
    return f'<Node id="{me}" {score} {default}>{test}{"".join(inner)}</Node>'


def test_random_trees_answer_the_same_in_the_ir() -> None:
    rng = np.random.default_rng(11)
    points = [np.nan, -1.0, -0.5, 0.0, 0.25, 0.5, 1.0, np.inf]
    rows = pd.DataFrame([(a, b, 0.0, 0.0) for a in points for b in points], columns=list("abcd"))
    fitted = 0
    for _ in range(150):
        how = " ".join([HOW[rng.integers(4)], HOW[4] if rng.random() < 0.5 else ""])
        tree = _random_node(rng, 4, "<True/>", [0])
        text = f'<TreeModel functionName="regression" {how}><MiningSchema>{SCHEMA}</MiningSchema>{tree}</TreeModel>'
        model = open_pmml(document(text, ["0", "1"]))
        trees = model.describe().trees
        if trees is not None:
            fitted += 1
            np.testing.assert_array_equal(
                trees.outputs(rows.to_numpy())[:, 0], model.predict(rows).values, err_msg=text
            )
    assert fitted > 80


REFUSED = [
    (
        '<TreeModel functionName="regression"><MiningSchema>{schema}</MiningSchema><Node score="1"><True/><Node score="2"><SimpleSetPredicate field="a" booleanOperator="isIn"><Array type="real">1</Array></SimpleSetPredicate></Node><Node score="3"><True/></Node></Node></TreeModel>',
        "set of values",
    ),
    (
        '<TreeModel functionName="regression"><MiningSchema><MiningField name="a" missingValueReplacement="2"/></MiningSchema><Node score="1"><True/></Node></TreeModel>',
        "'a' is not a plain number",
    ),
]


@pytest.mark.parametrize("text, why", REFUSED)
def test_what_does_not_fit_is_answered_and_not_lifted(text: str, why: str) -> None:
    from workbench.migrate.lift import CannotLift, lift

    model: Model = open_pmml(document(text.format(schema=SCHEMA), ["0", "1"]))
    rows = pd.DataFrame({name: [0.0] for name in "abcd"})
    assert len(model.predict(rows)) == 1
    assert known(model.describe()).status == "retrain"
    with pytest.raises((CannotLift, ModelError), match=why):
        lift(model)
