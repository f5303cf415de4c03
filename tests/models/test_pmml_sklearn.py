"""PMML written from fitted scikit-learn models, in the forms its exporters use, against scikit-learn itself."""

# ruff: noqa: E501 (a document reads better on one line)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.models.pmml import open_pmml

NAMES = ["a", "b", "c", "d"]
FIELDS = "".join(f'<DataField name="{name}" optype="continuous" dataType="float"/>' for name in NAMES)
SCHEMA = "".join(f'<MiningField name="{name}"/>' for name in NAMES)
TARGET = '<MiningField name="y" usageType="target"/>'


@pytest.fixture(scope="module")
def data() -> tuple[pd.DataFrame, Any]:
    rng = np.random.default_rng(5)
    # Prices and seconds: in float64 some fall on the other side of a threshold than scikit-learn's float32 does.
    frame = pd.DataFrame(rng.normal(size=(600, 4)), columns=NAMES)
    frame["c"] = np.round(rng.gamma(2, 1000, 600), 2)
    frame["d"] = 1.7e9 + rng.integers(0, 10**8, 600)
    return frame, np.digitize(frame["a"] + (frame["c"] > 1500) + rng.normal(size=600) / 2, [0.2, 1.2])


def node(tree: Any, place: int, test: str, leaf: Callable[[int], str]) -> str:
    """<Node>s below one node: the left child by lessOrEqual, the other one by greaterThan."""
    if tree.children_left[place] < 0:
        return leaf(place).replace("?", test)
    name, bound = NAMES[tree.feature[place]], repr(float(tree.threshold[place]))
    ways = (("lessOrEqual", tree.children_left[place]), ("greaterThan", tree.children_right[place]))
    inner = "".join(
        node(tree, child, f'<SimplePredicate field="{name}" operator="{operator}" value="{bound}"/>', leaf)
        for operator, child in ways
    )
    return f"<Node>{test}{inner}</Node>"


def number(tree: Any, scale: float = 1.0) -> str:
    made = node(tree, 0, "<True/>", lambda place: f'<Node score="{float(tree.value[place, 0, 0]) * scale!r}">?</Node>')
    return f'<TreeModel functionName="regression" splitCharacteristic="binarySplit"><MiningSchema>{SCHEMA}</MiningSchema>{made}</TreeModel>'  # fmt: skip


def shares(tree: Any, labels: list[str]) -> str:
    def leaf(place: int) -> str:
        counts = [float(share) for share in tree.value[place, 0]]
        listed = "".join(
            f'<ScoreDistribution value="{label}" recordCount="{count!r}"/>' for label, count in zip(labels, counts)
        )
        return f'<Node score="{labels[int(np.argmax(counts))]}">?{listed}</Node>'

    made = node(tree, 0, "<True/>", leaf)
    return f'<TreeModel functionName="classification"><MiningSchema>{SCHEMA}</MiningSchema>{made}</TreeModel>'


def segments(kind: str, method: str, models: list[str], extra: str = "", target: str = "") -> str:
    listed = "".join(f"<Segment><True/>{model}</Segment>" for model in models)
    return (
        f'<MiningModel functionName="{kind}"><MiningSchema>{target}{SCHEMA}</MiningSchema>{extra}'
        f'<Segmentation multipleModelMethod="{method}">{listed}</Segmentation></MiningModel>'
    )


def document(model: str, labels: list[str]) -> bytes:
    values = "".join(f'<Value value="{label}"/>' for label in labels)
    return (
        '<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4"><DataDictionary>'
        f'<DataField name="y" optype="categorical" dataType="integer">{values}</DataField>{FIELDS}</DataDictionary>{model}</PMML>'
    ).encode()


def test_a_forest(data: tuple[pd.DataFrame, Any]) -> None:
    from sklearn.ensemble import RandomForestClassifier

    frame, y = data
    forest = RandomForestClassifier(12, random_state=0, max_depth=7).fit(frame, y)
    labels = ["0", "1", "2"]
    models = [shares(tree.tree_, labels) for tree in forest.estimators_]
    model = open_pmml(document(segments("classification", "average", models, target=TARGET), labels))
    outputs = model.predict(frame)
    assert model.classes == (0, 1, 2)
    np.testing.assert_allclose(outputs.scores, forest.predict_proba(frame), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(outputs.labels, forest.predict(frame))


def test_boosting_as_a_chain(data: tuple[pd.DataFrame, Any]) -> None:
    from sklearn.ensemble import GradientBoostingClassifier

    frame, y = data
    boosting = GradientBoostingClassifier(n_estimators=15, random_state=0).fit(frame, y)
    first, chain = boosting._raw_predict_init(frame.to_numpy(np.float32)[:1])[0], []
    for label in range(3):
        trees = [number(stage[label].tree_, 0.1) for stage in boosting.estimators_]
        name = f'<Output><OutputField name="raw{label}" feature="predictedValue"/></Output>'
        scaled = f'<Targets><Target rescaleConstant="{float(first[label])!r}"/></Targets>'
        chain.append(segments("regression", "sum", trees, extra=name + scaled))
    tables = "".join(
        f'<RegressionTable intercept="0" targetCategory="{k}"><NumericPredictor name="raw{k}" coefficient="1"/></RegressionTable>'
        for k in range(3)
    )
    chain.append(
        f'<RegressionModel functionName="classification" normalizationMethod="softmax"><MiningSchema>{TARGET}</MiningSchema>{tables}</RegressionModel>'
    )
    model = open_pmml(document(segments("classification", "modelChain", chain, target=TARGET), ["0", "1", "2"]))
    outputs = model.predict(frame)
    np.testing.assert_allclose(outputs.scores, boosting.predict_proba(frame), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(outputs.labels, boosting.predict(frame))


def test_a_logistic_regression_on_standardised_columns(data: tuple[pd.DataFrame, Any]) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    frame, y = data
    frame = frame.astype(np.float32).astype(float)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(frame, y)
    scaler, linear = pipeline[0], pipeline[1]
    scaled = "".join(
        f'<DerivedField name="s_{name}" optype="continuous" dataType="double"><Apply function="/"><Apply function="-">'
        f'<FieldRef field="{name}"/><Constant dataType="double">{float(mean)!r}</Constant></Apply>'
        f'<Constant dataType="double">{float(scale)!r}</Constant></Apply></DerivedField>'
        for name, mean, scale in zip(NAMES, scaler.mean_, scaler.scale_)
    )
    tables = "".join(
        f'<RegressionTable targetCategory="{k}" intercept="{float(linear.intercept_[k])!r}">'
        + "".join(
            f'<NumericPredictor name="s_{n}" coefficient="{float(w)!r}"/>' for n, w in zip(NAMES, linear.coef_[k])
        )
        + "</RegressionTable>"
        for k in range(3)
    )
    model = (
        f'<RegressionModel functionName="classification" normalizationMethod="softmax"><MiningSchema>{TARGET}{SCHEMA}'
        f"</MiningSchema><LocalTransformations>{scaled}</LocalTransformations>{tables}</RegressionModel>"
    )
    outputs = open_pmml(document(model, ["0", "1", "2"])).predict(frame)
    np.testing.assert_allclose(outputs.scores, pipeline.predict_proba(frame), rtol=0, atol=1e-12)
