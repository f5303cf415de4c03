"""A lifted model as an ONNX file: what onnxruntime answers from it, against the source library and against torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import torch
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st
from lift_parity import lifted
from random_trees import random_rows, random_trees
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    QuantileTransformer,
    StandardScaler,
)
from sklearn.svm import SVC

from workbench.migrate.export import Exported, to_onnx, trees
from workbench.migrate.export.graph import Graph
from workbench.migrate.lift import Lifted
from workbench.migrate.lift.answer import Answer
from workbench.migrate.lift.ensemble import ensemble
from workbench.migrate.lift.lifted import Module
from workbench.migrate.lift.ops import Chain
from workbench.models import Model, ModelError, open_model
from workbench.models.edge import EdgeColumn, EdgeSpec
from workbench.models.protocol import Input
from workbench.models.torch_file import Card

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

COLUMNS = ["city", "kind", "amount", "cents", "seen"]


def _pipeline(last: Any) -> Any:
    text = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    return make_pipeline(
        ColumnTransformer([("text", text, ["city", "kind"]), ("numbers", numbers, ["amount", "cents", "seen"])]), last
    )


MODELS = {
    "logistic": LogisticRegression(),
    "histogram boosting": HistGradientBoostingClassifier(max_iter=12),
    "forest": RandomForestClassifier(12, max_depth=9, random_state=0),
    "xgboost": xgboost.XGBClassifier(n_estimators=12, n_jobs=1),
    "lightgbm": lightgbm.LGBMClassifier(n_estimators=12, verbose=-1, n_jobs=1),
    "neighbours": KNeighborsClassifier(5),
    "vectors": SVC(C=0.5),
}


def _written(model: Lifted, folder: Path) -> tuple[Exported, Model]:
    made = to_onnx(model, folder / "candidate.onnx")
    assert made.path is not None, made.reason
    return made, open_model("candidate.onnx", folder=folder)


QUICK = [("histogram boosting", 2), ("forest", 3)]
SLOW = [("logistic", 2), ("forest", 2), ("vectors", 2)] + [
    (name, classes) for name in ("xgboost", "lightgbm", "neighbours") for classes in (2, 3)
]


@pytest.mark.parametrize("name, classes", QUICK)
def test_a_pipeline_with_text_answers_as_its_library(name, classes, table, tmp_path):
    _held_against_its_library(name, classes, table, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name, classes", SLOW)
def test_every_family_answers_as_its_library(name, classes, table, tmp_path):
    _held_against_its_library(name, classes, table, tmp_path)


def _held_against_its_library(name: str, classes: int, table: Any, tmp_path: Path) -> None:
    frame, y = table
    X = frame[COLUMNS][:600]
    target = y[:600] if classes == 2 else np.array(["low", "mid", "top"])[y[:600] + (X.cents > 5e7)]
    if name == "xgboost" and classes == 3:
        target = y[:600] + (X.cents > 5e7).to_numpy()
    estimator = _pipeline(MODELS[name]).fit(X, target)
    made, model = _written(lifted(estimator, X), tmp_path)
    assert {one.rpartition(".")[0] for one in made.operators} <= {"ai.onnx", "ai.onnx.ml"}
    assert made.probes > 1500
    onnx.checker.check_model(str(made.path), full_check=True)
    graph = onnx.load(str(made.path)).graph
    asked = {name for node in graph.node for name in node.input}
    assert {one.name for one in graph.initializer} <= asked, "nothing lies in the file that it does not use"
    assert [one.name for one in model.inputs] == [one.name for one in lifted(estimator, X).inputs]
    unseen = X.assign(city="Atlantis", kind=X.kind.where(X.amount > 0))
    for rows in (X, unseen, X[:1]):
        found = model.predict(rows)
        assert (found.labels == estimator.predict(rows)).all()
        if name != "vectors":
            atol = 1e-7 if name == "xgboost" else 1e-12
            np.testing.assert_allclose(found.scores, estimator.predict_proba(rows), rtol=0, atol=atol)
    assert len(model.predict(X[:0])) == 0


def test_a_column_that_nothing_reads_is_not_asked_for(table, tmp_path):
    frame, y = table
    X = frame[["city", "seen", "cents"]]
    columns = make_column_transformer((StandardScaler(), ["seen"]), ("drop", ["city"]), remainder="passthrough")
    estimator = make_pipeline(columns, LogisticRegression()).fit(X, y)
    _, model = _written(lifted(estimator, X), tmp_path)
    assert [one.name for one in model.inputs] == ["seen", "cents"]
    np.testing.assert_allclose(model.predict(X).scores, estimator.predict_proba(X), rtol=0, atol=1e-12)


def test_categories_of_trees_and_numbers_at_their_thresholds(table, tmp_path):
    frame, y = table
    X = frame[COLUMNS].assign(city=frame.city.astype("category"))[:1_000]
    estimator = HistGradientBoostingClassifier(max_iter=12, categorical_features="from_dtype").fit(X, y[:1_000])
    _, model = _written(lifted(estimator, X), tmp_path)
    for rows in (X, X.assign(seen=np.nextafter(X.seen, 0)), X.assign(city=None, kind="w", amount=np.nan)):
        rows = rows.astype({"city": X.city.dtype, "kind": X.kind.dtype})
        np.testing.assert_allclose(model.predict(rows).scores, estimator.predict_proba(rows), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "estimator",
    [
        GradientBoostingRegressor(n_estimators=8),
        RandomForestRegressor(5, max_depth=6, random_state=0),
        make_pipeline(KBinsDiscretizer(5, quantile_method="averaged_inverted_cdf"), LinearRegression()),
        pytest.param(make_pipeline(QuantileTransformer(n_quantiles=90), LinearRegression()), marks=pytest.mark.slow),
        make_pipeline(FunctionTransformer(np.log1p), FunctionTransformer(np.expm1), LinearRegression()),
        make_pipeline(FunctionTransformer(np.exp2), FunctionTransformer(np.log10), LinearRegression()),
        make_pipeline(FunctionTransformer(np.trunc), FunctionTransformer(np.nan_to_num), LinearRegression()),
    ],
    ids=lambda estimator: str(estimator)[:40].replace("\n", ""),
)
def test_values_and_curves(estimator, tmp_path):
    rng = np.random.default_rng(3)
    X = pd.DataFrame({"a": rng.gamma(2, 20, 400), "b": np.round(rng.gamma(1, 9, 400), 2)})
    estimator.fit(X, 3 * X.a + X.b**2)
    _, model = _written(lifted(estimator, X), tmp_path)
    expected = estimator.predict(X)
    np.testing.assert_allclose(model.predict(X).values, expected, rtol=1e-11, atol=1e-12 * np.abs(expected).max())


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 3), st.booleans(), st.booleans(), st.booleans())
def test_random_trees_give_torchs_bits(seed, features, outputs, deep, vectors, float32):
    from onnxruntime import InferenceSession

    ir = random_trees(seed, features, outputs, deep, vectors)
    op = ensemble(ir, float32 and ir.aggregation == "sum")
    X = random_rows(seed, 60, features)
    graph = Graph()
    sums = trees.ensemble(graph, op.program.numpy(), "x", "")
    helper = onnx.helper
    whole = helper.make_graph(
        graph.nodes, "g", [helper.make_tensor_value_info("x", onnx.TensorProto.DOUBLE, ("n", features))],
        [helper.make_tensor_value_info(sums, onnx.TensorProto.DOUBLE, None)],
        initializer=[onnx.numpy_helper.from_array(array, name) for name, array in graph.constants.items()],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 5)]
    model = helper.make_model(whole, opset_imports=opsets, ir_version=9).SerializeToString()
    session = InferenceSession(model, providers=["CPUExecutionProvider"])
    for rows in (60, 1, 0):
        (found,) = session.run(None, {"x": X[:rows]})
        expected = op(torch.from_numpy(X[:rows]), torch.zeros((rows, 0), dtype=torch.int64))
        np.testing.assert_array_equal(found, expected.numpy())


def test_a_category_that_the_model_refuses_stops_the_run_and_is_named(tmp_path):
    X = pd.DataFrame({"city": ["Bonn", "Ulm"] * 20, "x": np.arange(40.0)})
    columns = make_column_transformer((OrdinalEncoder(), ["city"]), ("passthrough", ["x"]))
    estimator = make_pipeline(columns, LogisticRegression()).fit(X, np.arange(40) > 19)
    made, model = _written(lifted(estimator, X), tmp_path)
    assert list(model.predict(X).labels) == list(estimator.predict(X))
    from onnxruntime import InferenceSession

    session = InferenceSession(str(made.path), providers=["CPUExecutionProvider"])
    with pytest.raises(Exception, match=r"column city holds a value \(unknown\) that the model refuses"):
        session.run(None, {"city": np.array([["Köln"]], dtype=object), "x": np.ones((1, 1))})
    with pytest.raises(ModelError):
        model.predict(X.assign(city="Köln"))


def test_a_row_without_an_answer_gets_no_class(table, tmp_path):
    frame, y = table
    X = frame[["seen", "cents"]]
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, np.where(y == 1, 1, -1))
    _, model = _written(lifted(estimator, X), tmp_path)
    found = model.predict(X[:3].assign(seen=[1.6e9, np.nan, 1.61e9]))
    assert found.labels[1] is None
    assert set(found.labels[[0, 2]]) <= {1, -1}
    assert np.isnan(found.scores[1]).all()


def _with(columns: list[EdgeColumn], classes: tuple[Any, ...] = (0, 1)) -> Lifted:
    """A model over made-up columns: what matters here is its edge."""
    op = ensemble(random_trees(3, 1, 1, False))
    config = {"task": "binary", "link": "sigmoid", "link_scale": 1.0, "label": "raw>0", "scores": True, "raw": True}
    inputs = tuple(Input(c.name, "number" if c.read == "number" else "text") for c in columns)
    card = Card("binary", classes, inputs, EdgeSpec(tuple(columns)))
    return Lifted(Module(Chain({}, {}, [op, Answer({**config, "float32": False})])).eval(), card)


@pytest.mark.parametrize(
    "model, said",
    [
        (_with([EdgeColumn("x", "number"), EdgeColumn("c", "category", ("a", 1))]), "'c' holds 1 among text"),
        (_with([EdgeColumn("x", "number"), EdgeColumn("c", "category", ("a", ""))]), "stands for missing"),
        (_with([EdgeColumn("/x", "number")]), "a name that the graph needs"),
        (_with([EdgeColumn("x", "number")], (0, "b")), "classes of several types"),
        (_with([EdgeColumn("x", "number")], ("", "b")), "a class whose name is empty"),
        (_with([EdgeColumn("x", "number")], (0.5, 1.5)), "not whole"),
    ],
)
def test_what_has_no_form_leaves_no_file_and_a_reason(model, said, tmp_path):
    path = tmp_path / "candidate.onnx"
    path.write_bytes(b"an older one")
    made = to_onnx(model, path)
    assert made.path is None
    assert said in made.reason
    assert not path.exists()


def test_a_model_that_reads_nothing_is_refused(tmp_path):
    X = pd.DataFrame({"a": [0.0, 1.0, 2.0]})
    made = to_onnx(lifted(DummyClassifier().fit(X, [0, 1, 1]), X), tmp_path / "m.onnx")
    assert made.path is None
    assert "reads no column" in made.reason


@pytest.mark.parametrize("wrong", ["LESS_EQUAL", "missing"])
def test_a_file_that_answers_otherwise_is_not_kept(wrong, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=300)}).mask(rng.random((300, 1)) < 0.2)
    model = lifted(HistGradientBoostingClassifier(max_iter=5).fit(X, X.a.fillna(2) > 0.1), X)
    assert to_onnx(model, tmp_path / "m.onnx").path is not None
    if wrong == "missing":
        flat = trees._flat

        def turned(program, given):
            made = flat(program, given)
            return {**made, "nodes_missing_value_tracks_true": 1 - made["nodes_missing_value_tracks_true"]}

        monkeypatch.setattr(trees, "_flat", turned)
    else:
        monkeypatch.setattr(trees, "LESS_EQUAL", trees.LESS)
    made = to_onnx(model, tmp_path / "m.onnx")
    assert made.path is None
    assert "differ" in made.reason
    assert list(tmp_path.iterdir()) == []
