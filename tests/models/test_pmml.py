"""PMML against documents worked out by hand, and against what JPMML's own example says."""

# ruff: noqa: E501 (a document reads better on one line)

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mutations import holds_out

from workbench.models import Model, ModelError, Refused
from workbench.models.pmml import open_pmml

Open = Callable[..., Model]
NAN = math.nan

FIELDS = """<DataField name="x" optype="continuous" dataType="double"/>
<DataField name="z" optype="continuous" dataType="double"/>
<DataField name="c" optype="categorical" dataType="string"><Value value="a"/><Value value="b"/><Value value="d e"/></DataField>
<DataField name="y" optype="categorical" dataType="string"><Value value="no"/><Value value="yes"/></DataField>"""
SCHEMA = """<MiningSchema><MiningField name="y" usageType="target"/><MiningField name="x"/>
<MiningField name="z"/><MiningField name="c" invalidValueTreatment="asIs"/></MiningSchema>"""


def document(model: str, fields: str = FIELDS, shared: str = "") -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4"><Header/>'
        f"<DataDictionary>{fields}</DataDictionary>{shared}{model}</PMML>"
    ).encode()


def frame(**columns: Any) -> pd.DataFrame:
    n = max(len(values) for values in columns.values())
    return pd.DataFrame({"x": [NAN] * n, "z": [NAN] * n, "c": [None] * n, **columns})


def regression(inner: str, **attributes: str) -> str:
    given = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    return f'<RegressionModel functionName="regression" {given}>{SCHEMA}{inner}</RegressionModel>'


def test_a_real_tree_gives_the_shares_of_its_counts(cases: Path, opened: Open) -> None:
    model = opened(cases / "legacy_models/pmml/DecisionTreeIris_4_4.pmml")
    rows = pd.read_csv(cases / "legacy_models/xgboost/0.71/input_Iris.csv")
    outputs = model.predict(rows)
    length, width = rows["Petal.Length"], rows["Petal.Width"]
    want = np.where(
        (length < 2.45).to_numpy()[:, None],
        [1.0, 0.0, 0.0],
        np.where((width < 1.75).to_numpy()[:, None], [0.0, 49 / 54, 5 / 54], [0.0, 1 / 46, 45 / 46]),
    )
    assert outputs.scores is not None
    np.testing.assert_allclose(outputs.scores, want, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(outputs.labels, np.array(model.classes, dtype=object)[want.argmax(axis=1)])
    assert (outputs.labels == rows["Species"]).mean() == 0.96
    # nullPrediction: a missing value on the way is no answer.
    odd = model.predict(rows.head(3).assign(**{"Petal.Length": [NAN, 1.0, 5.0], "Petal.Width": [1.0, NAN, NAN]}))
    assert odd.scores is not None
    np.testing.assert_array_equal(np.isnan(odd.scores).any(axis=1), [True, False, True])
    assert odd.labels is not None
    assert odd.labels.tolist() == [None, "setosa", None]
    assert [one.name for one in model.inputs] == ["Petal.Length", "Petal.Width"]


TREE = """<TreeModel functionName="classification" {how}>{schema}
<Node id="1" score="no" recordCount="100" {default}><True/>
 <ScoreDistribution value="no" recordCount="60"/><ScoreDistribution value="yes" recordCount="40"/>
 <Node id="2" score="no" recordCount="70"><SimplePredicate field="x" operator="lessThan" value="1"/>
  <ScoreDistribution value="no" recordCount="56"/><ScoreDistribution value="yes" recordCount="14"/></Node>
 <Node id="3" score="yes" recordCount="20"><SimplePredicate field="x" operator="greaterThan" value="1"/>
  <ScoreDistribution value="no" recordCount="4"/><ScoreDistribution value="yes" recordCount="16"/></Node>
</Node></TreeModel>"""

STRATEGY: list[tuple[str, str, list[float]]] = [
    # P(yes) for x = 0, 2, 1 (no child is true) and missing.
    ('missingValueStrategy="none"', "", [0.2, 0.8, NAN, NAN]),
    ('noTrueChildStrategy="returnLastPrediction"', "", [0.2, 0.8, 0.4, 0.4]),
    ('missingValueStrategy="lastPrediction"', "", [0.2, 0.8, NAN, 0.4]),
    ('missingValueStrategy="nullPrediction" noTrueChildStrategy="returnLastPrediction"', "", [0.2, 0.8, 0.4, NAN]),
    ('missingValueStrategy="defaultChild"', 'defaultChild="3"', [0.2, 0.8, NAN, 0.8]),
    ('missingValueStrategy="weightedConfidence"', "", [0.2, 0.8, NAN, 70 / 90 * 0.2 + 20 / 90 * 0.8]),
    ('missingValueStrategy="aggregateNodes"', "", [0.2, 0.8, NAN, 30 / 90]),
]


@pytest.mark.parametrize("how, default, want", STRATEGY)
def test_missing_values_in_a_tree(how: str, default: str, want: list[float]) -> None:
    model = open_pmml(document(TREE.format(how=how, default=default, schema=SCHEMA)))
    scores = model.predict(frame(x=[0.0, 2.0, 1.0, NAN])).scores
    assert scores is not None
    np.testing.assert_allclose(scores[:, 1], want, atol=1e-15)


PREDICATES: list[tuple[str, list[int]]] = [
    # Rows: (0, a), (2, b), (missing, a), (2, missing), (missing, missing); 1 true, 0 otherwise.
    ('<SimplePredicate field="c" operator="equal" value="a"/>', [1, 0, 1, 0, 0]),
    ('<SimplePredicate field="c" operator="notEqual" value="a"/>', [0, 1, 0, 0, 0]),
    ('<SimplePredicate field="x" operator="isMissing"/>', [0, 0, 1, 0, 1]),
    ('<SimplePredicate field="x" operator="greaterOrEqual" value="2"/>', [0, 1, 0, 1, 0]),
    ('<SimpleSetPredicate field="c" booleanOperator="isIn"><Array type="string">"d e" b</Array></SimpleSetPredicate>', [0, 1, 0, 0, 0]),
    ('<SimpleSetPredicate field="c" booleanOperator="isNotIn"><Array type="string">"d e" b</Array></SimpleSetPredicate>', [1, 0, 1, 0, 0]),
    ('<SimpleSetPredicate field="x" booleanOperator="isIn"><Array type="real">2 3</Array></SimpleSetPredicate>', [0, 1, 0, 1, 0]),
    ('<CompoundPredicate booleanOperator="and"><SimplePredicate field="x" operator="lessThan" value="1"/><SimplePredicate field="c" operator="equal" value="a"/></CompoundPredicate>', [1, 0, 0, 0, 0]),
    ('<CompoundPredicate booleanOperator="or"><SimplePredicate field="x" operator="lessThan" value="1"/><SimplePredicate field="c" operator="equal" value="a"/></CompoundPredicate>', [1, 0, 1, 0, 0]),
    ('<CompoundPredicate booleanOperator="xor"><SimplePredicate field="x" operator="lessThan" value="1"/><SimplePredicate field="c" operator="equal" value="b"/></CompoundPredicate>', [1, 1, 0, 0, 0]),
    ('<CompoundPredicate booleanOperator="surrogate"><SimplePredicate field="x" operator="greaterThan" value="1"/><SimplePredicate field="c" operator="equal" value="a"/></CompoundPredicate>', [0, 1, 1, 1, 0]),
    ('<CompoundPredicate booleanOperator="surrogate"><SimplePredicate field="x" operator="greaterThan" value="1"/><SimplePredicate field="c" operator="equal" value="a"/><True/></CompoundPredicate>', [0, 1, 1, 1, 1]),
]  # fmt: skip


@pytest.mark.parametrize("predicate, want", PREDICATES)
def test_predicates(predicate: str, want: list[int]) -> None:
    tree = (
        f'<TreeModel functionName="regression">{SCHEMA}<Node><True/><Node score="1">{predicate}</Node>'
        '<Node score="0"><True/></Node></Node></TreeModel>'
    )
    rows = frame(x=[0, 2, NAN, 2, NAN], c=["a", "b", "a", None, None])
    values = open_pmml(document(tree)).predict(rows).values
    assert values is not None
    assert values.tolist() == want


def test_the_links_of_a_regression() -> None:
    table = '<RegressionTable intercept="0.5"><NumericPredictor name="x" coefficient="2"/></RegressionTable>'
    x, y = [0.0, -1.0, 0.25], [0.5, -1.5, 1.0]
    want: dict[str, Callable[[float], float]] = {
        "none": lambda v: v,
        "logit": lambda v: 1 / (1 + math.exp(-v)),
        "softmax": lambda v: 1 / (1 + math.exp(-v)),
        "exp": math.exp,
        "probit": lambda v: 0.5 * (1 + math.erf(v / math.sqrt(2))),
        "cloglog": lambda v: 1 - math.exp(-math.exp(v)),
        "loglog": lambda v: math.exp(-math.exp(-v)),
        "cauchit": lambda v: 0.5 + math.atan(v) / math.pi,
    }
    for method, link in want.items():
        values = open_pmml(document(regression(table, normalizationMethod=method))).predict(frame(x=[*x, NAN])).values
        np.testing.assert_allclose(values, [*map(link, y), NAN], rtol=1e-14)


def test_terms_of_a_regression() -> None:
    table = """<RegressionTable intercept="1"><NumericPredictor name="x" exponent="2" coefficient="3"/>
    <CategoricalPredictor name="c" value="a" coefficient="10"/><CategoricalPredictor name="c" value="b" coefficient="20"/>
    <PredictorTerm coefficient="100"><FieldRef field="x"/><FieldRef field="z"/></PredictorTerm></RegressionTable>
    <Targets><Target field="y" min="0" max="700" rescaleFactor="2" rescaleConstant="-1" castInteger="round"/></Targets>"""
    rows = frame(x=[1.0, 2.0, 1.0, 3.0], z=[0.5, 1.0, -5.0, 2.6], c=["a", "b", None, "never seen"])
    # 64, 233, -496 → 0, 808 → 700; times 2, minus 1.
    assert open_pmml(document(regression(table))).predict(rows).values.tolist() == [127, 465, -1, 1399]  # type: ignore[union-attr]


CLASSES: list[tuple[str, Callable[[float, float], tuple[float, float]]]] = [
    ("softmax", lambda a, b: (math.exp(a) / (math.exp(a) + math.exp(b)), math.exp(b) / (math.exp(a) + math.exp(b)))),
    ("simplemax", lambda a, b: (a / (a + b), b / (a + b))),
    ("none", lambda a, _: (a, 1 - a)),
    ("logit", lambda a, _: (1 / (1 + math.exp(-a)), 1 - 1 / (1 + math.exp(-a)))),
    ("probit", lambda a, _: (0.5 * math.erfc(-a / math.sqrt(2)), 1 - 0.5 * math.erfc(-a / math.sqrt(2)))),
]


@pytest.mark.parametrize("method, link", CLASSES)
def test_a_classifying_regression(method: str, link: Callable[[float, float], tuple[float, float]]) -> None:
    model = f"""<RegressionModel functionName="classification" normalizationMethod="{method}">{SCHEMA}
    <RegressionTable targetCategory="yes" intercept="0.2"><NumericPredictor name="x" coefficient="0.3"/></RegressionTable>
    <RegressionTable targetCategory="no" intercept="0.1"/></RegressionModel>"""
    outputs = open_pmml(document(model)).predict(frame(x=[1.0, 0.0]))
    for row, a in zip(outputs.scores, (0.5, 0.2)):  # type: ignore[arg-type]
        yes, no = link(a, 0.1)
        np.testing.assert_allclose(row, [no, yes], rtol=1e-14)
    assert outputs.classes == ("no", "yes")


SEGMENTS = """<MiningModel functionName="regression" {extra}>{schema}<Segmentation multipleModelMethod="{method}">
<Segment weight="1"><True/><RegressionModel functionName="regression">{schema}<RegressionTable intercept="10"/></RegressionModel></Segment>
<Segment weight="3"><SimplePredicate field="x" operator="greaterThan" value="0"/>
<RegressionModel functionName="regression">{schema}<RegressionTable intercept="20"><NumericPredictor name="z" coefficient="1"/></RegressionTable></RegressionModel></Segment>
<Segment weight="4"><True/><RegressionModel functionName="regression">{schema}<RegressionTable intercept="60"/></RegressionModel></Segment>
</Segmentation></MiningModel>"""


@pytest.mark.parametrize(
    "method, want",
    [
        ("sum", [90, 70, NAN]),
        ("weightedSum", [310, 250, NAN]),
        ("average", [30, 35, NAN]),
        ("weightedAverage", [310 / 8, 50, NAN]),
        ("median", [20, 35, NAN]),
        ("max", [60, 60, NAN]),
        ("selectFirst", [10, 10, 10]),
        ("modelChain", [60, 60, 60]),
    ],
)
def test_segments_of_a_regression(method: str, want: list[float]) -> None:
    model = open_pmml(document(SEGMENTS.format(method=method, schema=SCHEMA, extra="")))
    values = model.predict(frame(x=[1.0, -1.0, 1.0], z=[0.0, 0.0, NAN])).values
    np.testing.assert_allclose(values, want, rtol=1e-14)


def test_sums_in_single_precision_where_the_exporter_says_so() -> None:
    text = SEGMENTS.replace('"10"', '"100000000"').replace('"20"', '"1"').replace('"60"', '"1"')
    for extra, want in (("", 100000002.0), ('x-mathContext="float"', 100000000.0)):
        model = open_pmml(document(text.format(method="sum", schema=SCHEMA, extra=extra)))
        np.testing.assert_array_equal(model.predict(frame(x=[1.0], z=[0.0])).values, [want])


def test_segments_that_vote() -> None:
    trees = "".join(
        f'<Segment weight="{weight}"><True/>{TREE.format(how="", default="", schema=SCHEMA).replace("1", str(cut), 0)}</Segment>'
        .replace('operator="lessThan" value="1"', f'operator="lessThan" value="{cut}"')
        .replace('operator="greaterThan" value="1"', f'operator="greaterOrEqual" value="{cut}"')
        for weight, cut in ((1, 1), (1, 2), (5, 3))
    )  # fmt: skip
    want = {
        "majorityVote": [0, 1 / 3, 2 / 3, 1],
        "weightedMajorityVote": [0, 1 / 7, 2 / 7, 1],
        "average": [0.2, 0.4, 0.6, 0.8],
        "weightedAverage": [0.2, (0.8 + 6 * 0.2) / 7, (2 * 0.8 + 5 * 0.2) / 7, 0.8],
    }
    for method, shares in want.items():
        model = f"""<MiningModel functionName="classification">{SCHEMA}
        <Segmentation multipleModelMethod="{method}">{trees}</Segmentation></MiningModel>"""
        outputs = open_pmml(document(model)).predict(frame(x=[0.0, 1.5, 2.5, 4.0]))
        assert outputs.scores is not None
        np.testing.assert_allclose(outputs.scores[:, 1], shares, rtol=1e-14)
        np.testing.assert_array_equal(outputs.labels, np.where(np.array(shares) > 0.5, "yes", "no"))


def test_a_chain_passes_its_outputs_on() -> None:
    model = f"""<MiningModel functionName="classification">{SCHEMA}<Segmentation multipleModelMethod="modelChain">
    <Segment><True/><RegressionModel functionName="regression"><MiningSchema><MiningField name="x"/></MiningSchema>
    <Output><OutputField name="raw"/><OutputField name="twice" feature="transformedValue"><Apply function="*"><FieldRef field="raw"/><Constant>2</Constant></Apply></OutputField></Output>
    <RegressionTable intercept="1"><NumericPredictor name="x" coefficient="1"/></RegressionTable></RegressionModel></Segment>
    <Segment><True/><RegressionModel functionName="classification" normalizationMethod="logit">
    <MiningSchema><MiningField name="y" usageType="target"/><MiningField name="twice"/></MiningSchema>
    <RegressionTable targetCategory="yes" intercept="0"><NumericPredictor name="twice" coefficient="1"/></RegressionTable>
    <RegressionTable targetCategory="no" intercept="0"/></RegressionModel></Segment></Segmentation></MiningModel>"""
    scores = open_pmml(document(model)).predict(frame(x=[0.0, -2.0])).scores
    assert scores is not None
    np.testing.assert_allclose(scores[:, 1], [1 / (1 + math.exp(-2)), 1 / (1 + math.exp(2))], rtol=1e-14)


def test_a_scorecard_adds_the_first_true_attribute_of_each_characteristic() -> None:
    model = f"""<Scorecard functionName="regression" initialScore="100" useReasonCodes="true">{SCHEMA}<Characteristics>
    <Characteristic name="age" reasonCode="r"><Attribute partialScore="-5"><SimplePredicate field="x" operator="isMissing"/></Attribute>
    <Attribute partialScore="10"><SimplePredicate field="x" operator="lessThan" value="30"/></Attribute>
    <Attribute partialScore="25"><SimplePredicate field="x" operator="lessThan" value="60"/></Attribute></Characteristic>
    <Characteristic name="kind"><Attribute partialScore="3"><SimplePredicate field="c" operator="equal" value="a"/></Attribute>
    <Attribute><True/><ComplexPartialScore><Apply function="*"><FieldRef field="z"/><Constant>2</Constant></Apply></ComplexPartialScore></Attribute>
    </Characteristic></Characteristics></Scorecard>"""
    rows = frame(x=[20, 40, NAN, 70], z=[0, 8, 1, 1], c=["a", "b", "b", "a"])
    np.testing.assert_array_equal(open_pmml(document(model)).predict(rows).values, [113, 141, 97, NAN])


MADE: list[tuple[str, list[float]]] = [
    # Of x = -1, 0.5, 3, missing.
    ('<NormContinuous field="x"><LinearNorm orig="0" norm="0"/><LinearNorm orig="1" norm="10"/><LinearNorm orig="2" norm="12"/></NormContinuous>', [-10, 5, 14, NAN]),
    ('<NormContinuous field="x" outliers="asExtremeValues" mapMissingTo="7"><LinearNorm orig="0" norm="0"/><LinearNorm orig="1" norm="10"/></NormContinuous>', [0, 5, 10, 7]),
    ('<NormContinuous field="x" outliers="asMissingValues"><LinearNorm orig="0" norm="0"/><LinearNorm orig="1" norm="10"/></NormContinuous>', [NAN, 5, NAN, NAN]),
    ('<NormDiscrete field="c" value="a"/>', [1, 0, 0, NAN]),
    ('<NormDiscrete field="c" value="a" mapMissingTo="0"/>', [1, 0, 0, 0]),
    ('<Discretize field="x" dataType="double" defaultValue="9" mapMissingTo="-9"><DiscretizeBin binValue="1"><Interval closure="openClosed" rightMargin="0.5"/></DiscretizeBin></Discretize>', [1, 1, 9, -9]),
    ('<MapValues outputColumn="out" dataType="double" defaultValue="0" mapMissingTo="5"><FieldColumnPair field="c" column="in"/><InlineTable><row><in>a</in><out>1.5</out></row><row><in>b</in><out>2.5</out></row></InlineTable></MapValues>', [1.5, 2.5, 0, 5]),
    ('<Apply function="if"><Apply function="isMissing"><FieldRef field="x"/></Apply><Constant>-1</Constant><Apply function="+"><FieldRef field="x"/><Constant>1</Constant></Apply></Apply>', [0, 1.5, 4, -1]),
    ('<Apply function="max"><FieldRef field="x"/><Constant>0</Constant></Apply>', [0, 0.5, 3, 0]),
    ('<Apply function="/" mapMissingTo="4"><FieldRef field="x"/><Constant>2</Constant></Apply>', [-0.5, 0.25, 1.5, 4]),
    ('<Apply function="ln" defaultValue="-3"><FieldRef field="x"/></Apply>', [-3, math.log(0.5), math.log(3), NAN]),
    ('<Apply function="threshold"><FieldRef field="x"/><Constant>0</Constant></Apply>', [0, 1, 1, NAN]),
    ('<Apply function="pow"><FieldRef field="x"/><Constant>2</Constant></Apply>', [1, 0.25, 9, NAN]),
    ('<Apply function="and"><Apply function="greaterThan"><FieldRef field="x"/><Constant>0</Constant></Apply><Apply function="equal"><FieldRef field="c"/><Constant>b</Constant></Apply></Apply>', [0, 1, 0, NAN]),
    ('<Apply function="isIn"><FieldRef field="c"/><Constant>a</Constant><Constant>b</Constant></Apply>', [1, 1, 0, NAN]),
    ('<Apply function="stringLength"><Apply function="concat"><FieldRef field="c"/><Constant dataType="string">12</Constant></Apply></Apply>', [3, 3, 5, NAN]),
    ('<Apply function="half"><FieldRef field="x"/></Apply>', [-0.5, 0.25, 1.5, NAN]),
]  # fmt: skip


@pytest.mark.parametrize("made, want", MADE)
def test_transformations(made: str, want: list[float]) -> None:
    shared = f"""<TransformationDictionary><DefineFunction name="half" optype="continuous" dataType="double">
    <ParameterField name="p"/><Apply function="/"><FieldRef field="p"/><Constant>2</Constant></Apply></DefineFunction>
    <DerivedField name="made" optype="continuous" dataType="double">{made}</DerivedField></TransformationDictionary>"""
    table = '<RegressionTable intercept="0"><NumericPredictor name="made" coefficient="1"/></RegressionTable>'
    rows = frame(x=[-1, 0.5, 3, NAN], c=["a", "b", "d e", None])
    values = open_pmml(document(regression(table), shared=shared)).predict(rows).values
    np.testing.assert_allclose(values, want, rtol=1e-14)


TREATED: list[tuple[str, str, list[float]]] = [
    # Of x = -1, 0.5, 9 (valid is 0 to 8), missing.
    ("", "", [NAN, 0.5, NAN, NAN]),
    ('invalidValueTreatment="asIs"', "", [-1, 0.5, 9, NAN]),
    ('invalidValueTreatment="asMissing" missingValueReplacement="4"', "", [4, 0.5, 4, 4]),
    ('invalidValueTreatment="asValue" invalidValueReplacement="6"', "", [6, 0.5, 6, NAN]),
    ('invalidValueTreatment="asIs" outliers="asExtremeValues" lowValue="0" highValue="3"', "", [0, 0.5, 3, NAN]),
    ('invalidValueTreatment="asIs" outliers="asMissingValues" lowValue="0" highValue="3"', "", [NAN, 0.5, NAN, NAN]),
    ('missingValueReplacement="4"', '<Value value="9" property="missing"/>', [NAN, 0.5, 4, 4]),
]


@pytest.mark.parametrize("how, value, want", TREATED)
def test_missing_invalid_and_extreme_values(how: str, value: str, want: list[float]) -> None:
    fields = f"""<DataField name="x" optype="continuous" dataType="double">
    <Interval closure="closedOpen" leftMargin="0" rightMargin="8.5"/>{value}</DataField>"""
    model = f"""<RegressionModel functionName="regression"><MiningSchema><MiningField name="x" {how}/></MiningSchema>
    <RegressionTable intercept="0"><NumericPredictor name="x" coefficient="1"/></RegressionTable></RegressionModel>"""
    values = open_pmml(document(model, fields)).predict(pd.DataFrame({"x": [-1, 0.5, 9, NAN]})).values
    np.testing.assert_array_equal(values, want)


def test_a_category_nobody_declared_is_no_answer_unless_the_file_says_otherwise() -> None:
    table = (
        '<RegressionTable intercept="1"><CategoricalPredictor name="c" value="a" coefficient="1"/></RegressionTable>'
    )
    strict = regression(table).replace(' invalidValueTreatment="asIs"', "")
    rows = frame(c=["a", "zz", None])
    np.testing.assert_array_equal(open_pmml(document(strict)).predict(rows).values, [2, NAN, 1])
    np.testing.assert_array_equal(open_pmml(document(regression(table))).predict(rows).values, [2, 1, 1])


def test_truth_values_in_any_spelling() -> None:
    fields = """<DataField name="m" optype="categorical" dataType="boolean"><Value value="FALSE"/><Value value="TRUE"/></DataField>"""
    model = """<RegressionModel functionName="regression"><MiningSchema><MiningField name="m"/></MiningSchema>
    <RegressionTable intercept="1"><CategoricalPredictor name="m" value="true" coefficient="10"/></RegressionTable></RegressionModel>"""
    read = open_pmml(document(model, fields))
    for column in ([True, False], ["TRUE", "FALSE"], ["true", "false"], [1, 0]):
        np.testing.assert_array_equal(read.predict(pd.DataFrame({"m": column})).values, [11, 1])


REFUSED: list[tuple[str, str]] = [
    ('<NeuralNetwork functionName="regression"/>', "NeuralNetwork.*not read here"),
    (regression('<RegressionTable intercept="x"/>'), "intercept is 'x'"),
    (regression('<RegressionTable intercept="0"><NumericPredictor name="q" coefficient="1"/></RegressionTable>'), "names a field 'q'"),
    (SEGMENTS.format(method="selectAll", schema=SCHEMA, extra=""), "joins regressions by 'selectAll'"),
    (regression('<LocalTransformations><DerivedField name="a" dataType="double"><FieldRef field="b"/></DerivedField><DerivedField name="b" dataType="double"><FieldRef field="a"/></DerivedField></LocalTransformations><RegressionTable intercept="0"><NumericPredictor name="a" coefficient="1"/></RegressionTable>'), "computed from itself"),
    (regression('<LocalTransformations><DerivedField name="a" dataType="double"><Apply function="texture"/></DerivedField></LocalTransformations><RegressionTable intercept="0"/>'), "function 'texture'"),
    ("", "without a model"),
]  # fmt: skip


@pytest.mark.parametrize("model, said", REFUSED)
def test_what_is_not_read_is_refused_by_name(model: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        open_pmml(document(model))


def test_xml_that_attacks_its_reader_is_refused() -> None:
    body = document(regression('<RegressionTable intercept="1"/>')).decode()
    laughs = '<!DOCTYPE PMML [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
    outside = '<!DOCTYPE PMML [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    for start in (laughs, outside, "<!DOCTYPE PMML>", '<!DOCTYPE PMML SYSTEM "http://127.0.0.1/x.dtd">'):
        with pytest.raises(Refused, match="document type or entities"):
            open_pmml(body.replace("?>", f"?>{start}", 1).encode())
    deep = body.replace("<Header/>", "<Header>" + "<a>" * 500 + "</a>" * 500 + "</Header>")
    with pytest.raises(Refused, match="nests deeper"):
        open_pmml(deep.encode())
    functions = "".join(
        f'<DefineFunction name="f{n}" optype="continuous"><ParameterField name="p"/><Apply function="+">'
        + f'<Apply function="f{n - 1}"><FieldRef field="p"/></Apply>' * 2
        + "</Apply></DefineFunction>"
        for n in range(1, 60)
    )
    first = (
        '<DefineFunction name="f0" optype="continuous"><ParameterField name="p"/><FieldRef field="p"/></DefineFunction>'
    )
    with pytest.raises(ModelError, match="made to hang"):
        open_pmml(body.replace("</DataDictionary>", f"</DataDictionary><TransformationDictionary>{first}{functions}</TransformationDictionary>").encode())  # fmt: skip


def test_the_door_knows_it_by_content(tmp_path: Path, opened: Open) -> None:
    text = document(TREE.format(how="", default="", schema=SCHEMA)).decode()
    for name, data in {
        "plain.txt": text.encode(),
        "prefixed": text.replace("<", "<p:").replace("<p:/", "</p:").replace("<p:?", "<?").replace("xmlns=", "xmlns:p=").encode(),
        "wide.xml": text.replace("UTF-8", "UTF-16").encode("utf-16"),
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(data)
        model = opened(name, folder=tmp_path)
        assert model.format == "pmml"
        assert model.task == "binary"
        assert len(model.predict(frame(x=[0.0]))) == 1
        assert len(model.predict(frame(x=[0.0]).head(0))) == 0
    (tmp_path / "cut.pmml").write_text(text[:-40])
    with pytest.raises(ModelError, match=r"cut\.pmml: it is no whole XML"):
        opened("cut.pmml", folder=tmp_path)


def test_damaged_documents_are_refused(cases: Path) -> None:
    data = (cases / "legacy_models/pmml/DecisionTreeIris_4_4.pmml").read_bytes()
    rows = frame(x=[0.0, NAN], c=["a", "b"])
    iris = pd.DataFrame({"Petal.Length": [1.0, NAN, 5.0], "Petal.Width": [1.0, 1.0, 2.0]})

    def read(damaged: bytes) -> None:
        model = open_pmml(damaged)
        model.predict(iris if len(model.inputs) == 2 else rows)
        model.describe()

    holds_out(read, data)
    holds_out(read, document(SEGMENTS.format(method="sum", schema=SCHEMA, extra="")))
