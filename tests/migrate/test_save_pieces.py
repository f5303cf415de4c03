"""Every op of the newer pieces is written, opened as a torch file and rebuilt from its plain spec: the same bits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    OrdinalEncoder,
    PowerTransformer,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)

from workbench.migrate.lift import Lifted, lift_piece
from workbench.migrate.lift.ops import OPS
from workbench.models.pieces import sklearn_piece
from workbench.models.sklearn_inputs import asked
from workbench.models.torch_file import open_torch

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def _curves():
    return make_union(
        PowerTransformer(),
        PowerTransformer(method="box-cox"),
        QuantileTransformer(n_quantiles=20),
        QuantileTransformer(n_quantiles=20, output_distribution="normal"),
        FunctionTransformer(np.clip, kw_args={"a_min": 0, "a_max": 9}),
        FunctionTransformer(np.nan_to_num, kw_args={"nan": 1.0}),
        FunctionTransformer(np.round, kw_args={"decimals": 1}),
        FunctionTransformer(np.sign),
    )


def _splines():
    ways = ("constant", "linear", "continue", "periodic")
    return make_union(*(SplineTransformer(n_knots=4, degree=2, extrapolation=how) for how in ways))


def _maps():
    scaled = make_union(
        RBFSampler(n_components=5, random_state=0),
        *(Nystroem(kernel, n_components=5, random_state=0) for kernel in ("rbf", "laplacian", "poly", "cosine")),
        KMeans(3, n_init=1, random_state=0),
    )
    return make_pipeline(IterativeImputer(max_iter=2, add_indicator=True), StandardScaler(), scaled)


def _text(last):
    return make_pipeline(ColumnTransformer([("c", TargetEncoder(), ["city"]), ("n", _maps(), ["a", "b"])]), last)


def _codes():
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=3, encoded_missing_value=2)
    return make_pipeline(ColumnTransformer([("c", encoder, ["city"])]), CategoricalNB(min_categories=4))


NUMBERS = ColumnTransformer([("n", "passthrough", ["c", "d"])])
MODELS = {
    "curves": make_pipeline(NUMBERS, _curves(), StandardScaler(), MLPClassifier((4,), max_iter=5, random_state=0)),
    "splines": make_pipeline(NUMBERS, _splines(), LogisticRegression()),
    "maps": _text(MLPClassifier((3,), activation="tanh", max_iter=5, random_state=0)),
    "gaussian": make_pipeline(NUMBERS, GaussianNB()),
    "flags": make_pipeline(NUMBERS, BernoulliNB(binarize=1.0)),
    "codes": _codes(),
    "quadratic": make_pipeline(NUMBERS, QuadraticDiscriminantAnalysis()),
    "axes": make_pipeline(NUMBERS, LinearDiscriminantAnalysis(), LogisticRegression()),
    "back": TransformedTargetRegressor(make_pipeline(NUMBERS, Ridge()), transformer=PowerTransformer()),
    "ranks back": TransformedTargetRegressor(
        make_pipeline(NUMBERS, Ridge()),
        transformer=QuantileTransformer(n_quantiles=9, output_distribution="normal"),
    ),
    "clusters": make_pipeline(NUMBERS, KMeans(3, n_init=1, random_state=0)),
}
QUICK = ("clusters",)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(20)
    frame = pd.DataFrame({"a": rng.normal(size=120), "b": rng.normal(size=120), "c": rng.gamma(2, size=120) + 0.1})
    frame = frame.assign(d=frame.c.to_numpy() ** 2 + rng.random(120), city=rng.choice(["Bonn", "ulm", None], 120))
    return frame.assign(a=frame.a.where(frame.b > -1))


def _lift(name: str, rows: pd.DataFrame) -> Lifted:
    model = MODELS[name]
    model.fit(rows, rows.c > 2 if "back" not in name else rows.c)
    piece = sklearn_piece(model)
    classes = (0, 1, 2) if name == "clusters" else () if "back" in name else (False, True)
    task = {0: "regression", 2: "binary", 3: "multiclass"}[len(classes)]
    return lift_piece(piece, asked(piece, list(rows)).inputs, classes, task)


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in MODELS]
)
def test_the_file_and_the_spec_give_the_same_bits(name, rows, tmp_path):
    model = _lift(name, rows)
    path, *_ = model.save(tmp_path / "candidate.pt2")
    for other in (open_torch(path), Lifted.load_spec(path)):
        for part in (rows, rows[:2], rows[:1], rows[:0]):
            found, expected = other.predict(part), model.predict(part)
            for one in ("scores", "values", "labels", "raw"):
                a, b = getattr(found, one), getattr(expected, one)
                assert a is b is None or np.array_equal(a, b, equal_nan=one != "labels")


def test_the_models_above_hold_every_newer_op(rows):
    held = {op.name for name in MODELS for op in _lift(name, rows).module.modules() if hasattr(op, "config")}
    home = "workbench.migrate.lift."
    mine = {"clusters", "curves", "functions", "imputers", "network", "posterior", "project", "retarget"}
    ops = {name for name, cls in OPS.items() if cls.__module__.removeprefix(home) in mine}
    assert ops <= held, sorted(ops - held)
