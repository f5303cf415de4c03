"""Pieces against what the estimators themselves hold and answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import ensemble, tree
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, KBinsDiscretizer, OneHotEncoder, StandardScaler

from workbench.models.pieces import sklearn_piece
from workbench.models.wire import arrays_from_bytes, arrays_to_bytes, piece_from_plain, piece_to_plain

TREES: list[tuple[Any, str, bool]] = [
    (tree.DecisionTreeClassifier(max_depth=6), "multiclass", True),
    (tree.DecisionTreeRegressor(max_depth=6), "regression", True),
    (ensemble.RandomForestClassifier(15), "binary", True),
    (ensemble.RandomForestRegressor(15), "regression", True),
    (ensemble.ExtraTreesClassifier(15), "multiclass", True),
    (ensemble.GradientBoostingClassifier(n_estimators=15), "binary", False),
    (ensemble.GradientBoostingClassifier(n_estimators=15, loss="exponential"), "binary", False),
    (ensemble.GradientBoostingClassifier(n_estimators=15, init="zero"), "multiclass", False),
    (ensemble.GradientBoostingRegressor(n_estimators=15, loss="huber"), "regression", False),
    (ensemble.HistGradientBoostingClassifier(max_iter=15), "binary", True),
    (ensemble.HistGradientBoostingClassifier(max_iter=15), "multiclass", True),
    (ensemble.HistGradientBoostingRegressor(max_iter=15, loss="poisson"), "regression", True),
]


@pytest.mark.parametrize("estimator, task, takes_missing", TREES)
def test_trees_answer_as_the_estimator_to_the_bit(
    estimator: Any, task: str, takes_missing: bool, numbers: pd.DataFrame, answers: dict[str, Any]
) -> None:
    X = numbers if takes_missing else numbers.fillna(-1.0)
    estimator.set_params(random_state=0).fit(X, answers[task])
    piece = sklearn_piece(estimator)
    assert piece.trees is not None
    want = estimator.predict_proba(X) if task != "regression" else estimator.predict(X)[:, None]
    got = piece.trees.outputs(X.to_numpy())
    np.testing.assert_array_equal(got, want if got.shape[1] == want.shape[1] else want[:, 1:])
    assert piece.trees.features == tuple(X.columns)
    assert piece.trees.cover[piece.trees.roots].min() > 0


def test_histogram_boosting_codes_its_own_categories(categories: pd.DataFrame, answers: dict[str, Any]) -> None:
    estimator = ensemble.HistGradientBoostingClassifier(max_iter=20, categorical_features="from_dtype")
    estimator.fit(categories, answers["binary"])
    piece = sklearn_piece(estimator)
    assert piece.trees is not None
    assert piece.trees.features == ("rank", "trade", "score", "seen", "price", "cents", "debt")
    assert piece.trees.categorical == (0, 1)
    encoder = dict(piece.walk())["model._preprocessor.encoder"]
    assert encoder.arrays["categories_.1"].tolist() == sorted("qwertyuiopas")
    # An unknown value and a missing one go the same way.
    strange = categories.astype({"trade": object}).assign(trade="?")
    X = estimator._preprocessor.transform(strange)
    np.testing.assert_array_equal(piece.trees.outputs(X)[:, 0], estimator.predict_proba(strange)[:, 1])


def test_a_boosting_with_its_own_start_keeps_it_as_a_part(numbers: pd.DataFrame, answers: dict[str, Any]) -> None:
    X = numbers.fillna(0.0)
    start = make_pipeline(StandardScaler(), LogisticRegression())
    boosted = ensemble.GradientBoostingClassifier(n_estimators=5, init=start).fit(X, answers["binary"])
    piece = sklearn_piece(boosted)
    assert piece.trees is not None
    assert [name for name, _ in piece.children] == ["init_"]
    np.testing.assert_allclose(
        piece.trees.raw(X.to_numpy())[:, 0] + start_margin(boosted, X), boosted.decision_function(X), atol=1e-5
    )


def start_margin(boosted: Any, X: pd.DataFrame) -> Any:
    chance = boosted.init_.predict_proba(X.to_numpy(dtype=np.float32))[:, 1]
    return np.log(chance / (1 - chance))


def test_several_targets_are_refused_with_the_reason(numbers: pd.DataFrame, answers: dict[str, Any]) -> None:
    both = np.column_stack([answers["regression"], answers["regression"] * 2])
    piece = sklearn_piece(tree.DecisionTreeRegressor(max_depth=3).fit(numbers, both))
    assert piece.trees is None
    assert "2 targets" in str(piece.params["trees_refused"])


@pytest.mark.parametrize(
    "chosen, resolved",
    [
        (["debt", "score"], ["debt", "score"]),
        ([4, 0], ["debt", "score"]),
        ([-1], ["debt"]),
        (slice(0, 2), ["score", "seen"]),
        (slice("seen", "cents"), ["seen", "price", "cents"]),
        ([True, False, False, False, True], ["score", "debt"]),
        (make_column_selector(pattern="^s"), ["score", "seen"]),
        ("price", ["price"]),
    ],
)
def test_columns_of_a_transformer_come_as_names(chosen: Any, resolved: list[str], numbers: pd.DataFrame) -> None:
    step = (
        FunctionTransformer(np.log1p)
        if not isinstance(chosen, str)
        else FunctionTransformer(lambda one: one.to_frame())
    )
    fitted = ColumnTransformer([("part", step, chosen)], remainder="passthrough").fit(numbers.abs())
    piece = sklearn_piece(fitted)
    columns = piece.params["columns"]
    assert isinstance(columns, dict)
    assert columns["part"] == resolved
    assert columns["remainder"] == [name for name in numbers.columns if name not in resolved]
    assert [child.kind for _, child in piece.children][1] == "sklearn.preprocessing.FunctionTransformer"


def test_a_pipeline_is_read_in_order_with_everything_fitted(rows: pd.DataFrame, answers: dict[str, Any]) -> None:
    numeric = make_pipeline(
        SimpleImputer(add_indicator=True), FeatureUnion([("same", "passthrough"), ("s", StandardScaler())])
    )
    prepare = ColumnTransformer(
        [
            ("n", numeric, ["score", "price"]),
            ("c", OneHotEncoder(min_frequency=130, handle_unknown="infrequent_if_exist"), [6]),
        ]
    )
    fitted = Pipeline([("prepare", prepare), ("model", LogisticRegression(max_iter=300))]).fit(rows, answers["binary"])
    parts = dict(sklearn_piece(fitted).walk())
    assert [name for name in parts if name.count(".") < 3] == [
        "model",
        "model.prepare",
        "model.prepare.n",
        "model.prepare.c",
        "model.prepare.remainder",
        "model.model",
    ]
    encoder = parts["model.prepare.c"]
    assert encoder.kind == "sklearn.preprocessing.OneHotEncoder"
    assert encoder.params["handle_unknown"] == "infrequent_if_exist"
    assert "_default_to_infrequent_mappings.0" in encoder.arrays
    np.testing.assert_array_equal(parts["model.model"].arrays["coef_"], fitted["model"].coef_)
    assert parts["model.prepare.n.featureunion.same"].params["func"] is None


def test_parts_of_parts_are_found(numbers: pd.DataFrame, answers: dict[str, Any]) -> None:
    X = numbers.fillna(0.0)
    stack = ensemble.StackingClassifier(
        [
            ("a", CalibratedClassifierCV(LogisticRegression(max_iter=500), cv=2)),
            ("b", tree.DecisionTreeClassifier(max_depth=2)),
        ],
        cv=2,
    ).fit(X, answers["binary"])
    kinds = [piece.kind for _, piece in sklearn_piece(stack).walk()]
    assert kinds.count("sklearn.calibration._SigmoidCalibration") == 2
    assert "sklearn.tree.DecisionTreeClassifier" in kinds
    edges = sklearn_piece(KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf").fit(X[["score"]])).arrays
    assert edges["bin_edges_.0"].shape == (4,)


def test_a_piece_survives_the_wire(categories: pd.DataFrame, answers: dict[str, Any]) -> None:
    fitted = make_pipeline(ensemble.HistGradientBoostingClassifier(max_iter=3, categorical_features="from_dtype"))
    piece = sklearn_piece(fitted.fit(categories, answers["binary"]))
    plain, arrays = piece_to_plain(piece)
    back = piece_from_plain(plain, arrays_from_bytes(*arrays_to_bytes(arrays)))
    for (name, one), (other_name, other) in zip(piece.walk(), back.walk(), strict=True):
        assert (name, one.kind, repr(one.params)) == (other_name, other.kind, repr(other.params))
        for key, array in one.arrays.items():
            assert array.dtype == other.arrays[key].dtype
            assert repr(array.tolist()) == repr(other.arrays[key].tolist())
    trees, same = dict(piece.walk())["model.histgradientboostingclassifier"].trees, back.children[0][1].trees
    assert trees is not None
    assert same is not None
    for name, value in vars(trees).items():
        np.testing.assert_array_equal(value, getattr(same, name))
