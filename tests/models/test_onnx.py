"""ONNX graphs of skl2onnx: lifted to torch against onnxruntime, and damaged ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from workbench.migrate.lift import CannotLift, lift
from workbench.models import Model, ModelError
from workbench.models.onnx_graph import graph_piece

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
skl2onnx = pytest.importorskip("skl2onnx")

Open = Callable[..., Model]

KINDS: list[tuple[str, Any, str]] = [
    ("scaled logistic", make_pipeline(StandardScaler(), LogisticRegression()), "binary"),
    ("logistic of three", LogisticRegression(), "multiclass"),
    ("imputed ridge", make_pipeline(SimpleImputer(), MinMaxScaler(), Ridge()), "regression"),
    ("linear", LinearRegression(), "regression"),
    ("tree", DecisionTreeClassifier(max_depth=6), "multiclass"),
    ("forest", RandomForestClassifier(12, max_depth=7, random_state=0), "binary"),
    ("forest of three", ExtraTreesClassifier(12, max_depth=7, random_state=0), "multiclass"),
    ("forest of numbers", make_pipeline(StandardScaler(), RandomForestRegressor(12, random_state=0)), "regression"),
    ("boosting", GradientBoostingClassifier(n_estimators=12), "binary"),
    ("boosting of three", GradientBoostingClassifier(n_estimators=12), "multiclass"),
    ("boosting of numbers", GradientBoostingRegressor(n_estimators=12), "regression"),
    ("normalised", make_pipeline(Normalizer(), DecisionTreeClassifier(max_depth=5)), "binary"),
]  # fmt: skip


def saved(model: Any, X: Any, path: Path, **options: Any) -> None:
    path.write_bytes(
        skl2onnx.to_onnx(model, X[:1], target_opset={"": 18, "ai.onnx.ml": 3}, **options).SerializeToString()
    )


def agree(lifted: Any, legacy: Any, atol: float = 2e-6) -> None:
    if legacy.values is not None:
        np.testing.assert_allclose(lifted.values, legacy.values, rtol=atol, atol=atol)
        return
    np.testing.assert_allclose(lifted.scores, legacy.scores, rtol=0, atol=atol)
    # A tie of two shares is decided by float32 rounding; anywhere else the labels are the same.
    order = np.sort(legacy.scores, axis=1)
    clear = order[:, -1] - order[:, -2] > atol
    np.testing.assert_array_equal(lifted.labels[clear], legacy.labels[clear])


@pytest.mark.parametrize("name, estimator, task", KINDS, ids=[name for name, _, _ in KINDS])
def test_what_skl2onnx_writes_lifts(
    name: str, estimator: Any, task: str, numbers: pd.DataFrame, answers: dict[str, Any], tmp_path: Path, opened: Open
) -> None:
    X = numbers.fillna(0.0).to_numpy(np.float32)
    target = np.log1p(answers[task]) if task == "regression" else answers[task]
    estimator.fit(X, target)
    saved(estimator, X, tmp_path / "m.onnx")
    model = opened("m.onnx", folder=tmp_path, features=list(numbers.columns))
    module = lift(model)
    for rows in (numbers.fillna(0.0), numbers.fillna(0.0).head(1), numbers.fillna(0.0) * 1.1):
        agree(module.predict(rows), model.predict(rows))


def test_a_pipeline_on_raw_columns_lifts(
    rows: pd.DataFrame, answers: dict[str, Any], tmp_path: Path, opened: Open
) -> None:
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType

    table = rows.assign(trade=rows["trade"].astype(object))
    scale = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    coded = OneHotEncoder(handle_unknown="ignore")
    parts = [
        ("n", scale, ["score", "debt", "price"]),
        ("c", coded, ["trade"]),
        ("r", OneHotEncoder(handle_unknown="ignore"), ["rank"]),
    ]
    fitted = make_pipeline(ColumnTransformer(parts), LogisticRegression(max_iter=500)).fit(table, answers["multiclass"])
    types = [(name, FloatTensorType([None, 1])) for name in ("score", "debt", "price")]
    types += [("trade", StringTensorType([None, 1])), ("rank", Int64TensorType([None, 1]))]
    graph = skl2onnx.convert_sklearn(fitted, initial_types=types, target_opset={"": 18, "ai.onnx.ml": 3})
    (tmp_path / "m.onnx").write_bytes(graph.SerializeToString())
    model = opened("m.onnx", folder=tmp_path)
    odd = table.copy()
    odd.loc[:9, "trade"] = None
    odd.loc[10:19, "trade"] = "never seen"
    odd.loc[20:29, "rank"] = 999
    odd.loc[30:39, ["score", "debt"]] = np.nan
    for frame in (table, odd):
        agree(lift(model).predict(frame), model.predict(frame))


def test_missing_values_go_where_the_node_says(tmp_path: Path, opened: Open) -> None:
    helper = onnx.helper
    modes = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GT", "BRANCH_GTE"]
    X = np.array([[-1.0], [0.5], [2.0], [np.nan]], np.float32)
    for mode in modes:
        for tracks in (0, 1):
            node = helper.make_node(
                "TreeEnsembleRegressor", ["X"], ["y"], domain="ai.onnx.ml", n_targets=1,
                nodes_treeids=[0, 0, 0], nodes_nodeids=[0, 1, 2], nodes_featureids=[0, 0, 0],
                nodes_modes=[mode, "LEAF", "LEAF"], nodes_values=[0.5, 0.0, 0.0], nodes_truenodeids=[1, 0, 0],
                nodes_falsenodeids=[2, 0, 0], nodes_missing_value_tracks_true=[tracks, 0, 0],
                target_treeids=[0, 0], target_nodeids=[1, 2], target_ids=[0, 0], target_weights=[10.0, 20.0],
            )  # fmt: skip
            ports = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None, 1]) for name in ("X", "y")]
            graph = helper.make_graph([node], "g", ports[:1], ports[1:])
            opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
            (tmp_path / "m.onnx").write_bytes(
                helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
            )
            model = opened("m.onnx", folder=tmp_path)
            rows = pd.DataFrame({"X": X[:, 0]})
            np.testing.assert_array_equal(lift(model).predict(rows).values, model.predict(rows).values, mode)


def test_what_has_no_form_is_named(
    numbers: pd.DataFrame, answers: dict[str, Any], tmp_path: Path, opened: Open
) -> None:
    X = numbers.fillna(0.0).to_numpy(np.float32)
    saved(KNeighborsClassifier(3).fit(X[:50], answers["binary"][:50]), X, tmp_path / "m.onnx")
    model = opened("m.onnx", folder=tmp_path, features=list(numbers.columns))
    assert len(model.predict(numbers.fillna(0.0).head(3))) == 3
    with pytest.raises(CannotLift, match=r"onnx\.\w+ cannot be lifted"):
        lift(model)


def test_damaged_ensembles_are_refused(numbers: pd.DataFrame, answers: dict[str, Any]) -> None:
    X = numbers.fillna(0.0).to_numpy(np.float32)
    graph = skl2onnx.to_onnx(DecisionTreeClassifier(max_depth=3).fit(X, answers["binary"]), X[:1], target_opset=18)
    node = next(one for one in graph.graph.node if one.op_type.startswith("TreeEnsemble"))
    children = next(one for one in node.attribute if one.name == "nodes_truenodeids")
    children.ints[0] = 0
    piece = next(
        part for _, part in graph_piece(graph, {}).children if part.kind in ("onnx.ml.TreeEnsembleClassifier",)
    )
    assert piece.trees is None
    assert "reached twice" in str(piece.params["trees_refused"])
    children.ints[0] = 999
    with pytest.raises(ModelError, match="export the model anew"):
        graph_piece(graph, {})
