"""Random small pipelines: whatever scikit-learn fits from these parts, the lift answers alike or refuses by name."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from lift_parity import lifted
from sklearn.base import clone, is_regressor
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA, FastICA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.feature_selection import SelectFdr, SelectKBest, SelectPercentile, VarianceThreshold
from sklearn.impute import IterativeImputer, SimpleImputer
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.linear_model import HuberRegressor, LogisticRegression, Ridge, SGDClassifier
from sklearn.naive_bayes import BernoulliNB, GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import LinearSVC

from workbench.migrate.lift import Lifted
from workbench.models import ModelError

NUMBERS = st.lists(
    st.sampled_from(
        [
            StandardScaler(),
            MinMaxScaler(clip=True),
            RobustScaler(),
            MaxAbsScaler(),
            Normalizer(),
            Binarizer(threshold=0.5),
            PolynomialFeatures(2, include_bias=False),
            KBinsDiscretizer(3, encode="ordinal", strategy="uniform"),
            KBinsDiscretizer(4, encode="onehot-dense", quantile_method="averaged_inverted_cdf"),
            PowerTransformer(),
            QuantileTransformer(n_quantiles=20),
            QuantileTransformer(n_quantiles=20, output_distribution="normal"),
            SplineTransformer(n_knots=4),
            SplineTransformer(degree=2, extrapolation="linear"),
            FunctionTransformer(np.tanh),
            FunctionTransformer(np.clip, kw_args={"a_min": -1, "a_max": 2}),
            SelectKBest(k=1),
            SelectPercentile(percentile=60),
            SelectFdr(alpha=0.9),
            VarianceThreshold(),
            make_union(StandardScaler(), PCA(1)),
            make_pipeline(StandardScaler(), Nystroem(n_components=4, random_state=0)),
            make_pipeline(StandardScaler(), RBFSampler(n_components=4, random_state=0)),
            make_pipeline(StandardScaler(), KMeans(2, n_init=1, random_state=0)),
            make_pipeline(StandardScaler(), FastICA(2, random_state=0, max_iter=20)),
        ]
    ),
    max_size=3,
)
FILLS = st.sampled_from(
    [
        SimpleImputer(),
        SimpleImputer(strategy="median", add_indicator=True),
        SimpleImputer(strategy="most_frequent"),
        SimpleImputer(strategy="constant", fill_value=-3),
        IterativeImputer(max_iter=2, random_state=0),
    ]
)
ENCODERS = st.one_of(
    st.builds(
        OneHotEncoder,
        drop=st.sampled_from([None, "first", "if_binary"]),
        handle_unknown=st.sampled_from(["error", "ignore", "infrequent_if_exist", "warn"]),
        min_frequency=st.sampled_from([None, 0.2, 30]),
        max_categories=st.sampled_from([None, 2, 3]),
        sparse_output=st.booleans(),
    ),
    st.builds(
        OrdinalEncoder,
        handle_unknown=st.just("use_encoded_value"),
        unknown_value=st.sampled_from([-2, np.nan]),
        encoded_missing_value=st.sampled_from([-1, np.nan]),
        max_categories=st.sampled_from([None, 2]),
    ),
    st.sampled_from([OrdinalEncoder(encoded_missing_value=-1), TargetEncoder(cv=2), TargetEncoder(smooth=0, cv=2)]),
)
LAST = st.sampled_from(
    [
        LogisticRegression(max_iter=30),
        SGDClassifier(loss="modified_huber", random_state=0, max_iter=20),
        LinearSVC(random_state=0, max_iter=100),
        GaussianNB(),
        BernoulliNB(),
        LinearDiscriminantAnalysis(),
        QuadraticDiscriminantAnalysis(reg_param=0.3),
        MLPClassifier((4,), max_iter=8, random_state=0),
        RandomForestClassifier(4, random_state=0),
        HistGradientBoostingClassifier(max_iter=4, min_samples_leaf=5),
        Ridge(),
        HuberRegressor(max_iter=20),
        TransformedTargetRegressor(Ridge(), transformer=QuantileTransformer(n_quantiles=10)),
        TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1),
    ]
)
REST = st.sampled_from(["drop", "passthrough", SimpleImputer(strategy="constant", fill_value=-1), StandardScaler()])
SCALED = (LogisticRegression, SGDClassifier, LinearSVC, MLPClassifier, HuberRegressor, LinearDiscriminantAnalysis)


def _rows(rng: np.random.Generator, n: int) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "a": rng.normal(size=n),
            "b": 1.6e9 + rng.integers(0, 10**6, n),
            "c": rng.choice(["p", "q", "r", "new"], n, p=[0.5, 0.3, 0.1, 0.1]),
            "d": rng.integers(0, 4, n).astype(float),
            "e": rng.integers(0, 50, n),
            "f": rng.gamma(1, size=n),
        }
    )
    for name in ("a", "c", "d"):
        frame.loc[rng.random(n) < 0.15, name] = None
    return frame


def _target(rows: pd.DataFrame, classes: int, rng: np.random.Generator) -> Any:
    signal = rows.a.fillna(0.2) + (rows.c == "p") + rows.f + rng.normal(size=len(rows)) / 2
    return np.digitize(signal, [1.0, 2.5][: classes - 1])


def _model(draw: tuple[Any, ...]) -> Any:
    steps, fill, encoder, last, rest, filled_first = draw
    text = make_pipeline(SimpleImputer(strategy="most_frequent"), clone(encoder)) if filled_first else clone(encoder)
    numbers = make_pipeline(clone(fill), *map(clone, steps))
    parts = [("numbers", numbers, ["a", "b", "f"]), ("text", text, ["c"]), ("codes", clone(encoder), ["d"])]
    columns = ColumnTransformer(parts, remainder=rest if isinstance(rest, str) else clone(rest), sparse_threshold=0)
    scale = [MaxAbsScaler()] if isinstance(last, SCALED) else []
    return make_pipeline(columns, *scale, clone(last))


def _agree(draw: tuple[Any, ...], classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    train, rows = _rows(rng, 120), _rows(rng, 40)
    train.loc[train.c == "new", "c"] = "p"
    model = _model(draw)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model.fit(train, _target(train, classes, rng))
        except ValueError:
            return  # scikit-learn cannot fit these parts together
        lift = lifted(model, train)
        stopped = _stops(model, rows)
        if stopped:
            _stops_too(lift, rows, stopped)
            return
        expected = model.predict(rows)
        scores = model.predict_proba(rows) if hasattr(model, "predict_proba") else None
    found = lift.predict(rows)
    if is_regressor(model):
        np.testing.assert_allclose(found.values, expected, rtol=1e-9, atol=1e-9)
    elif scores is None:
        assert (found.labels == expected).all()
    else:
        np.testing.assert_allclose(found.scores, scores, rtol=0, atol=1e-9)
        best = np.sort(scores, axis=1)
        sure = best[:, -1] - best[:, -2] > 1e-9
        assert (found.labels == expected)[sure].all()


def _stops(model: Any, rows: pd.DataFrame) -> str:
    """Why the source answers none of the rows, "" where it answers."""
    try:
        model.predict(rows)
    except ValueError as error:
        return str(error)
    return ""


def _stops_too(lift: Lifted, rows: pd.DataFrame, why: str) -> None:
    """An unknown category stops the lifted model as well; a missing number leaves its row without a score."""
    if "unknown categories" in why:
        with pytest.raises(ModelError, match="holds 'new'"):
            lift.predict(rows)
        return
    assert "contains NaN" in why
    found = lift.predict(rows)
    told = found.raw if found.scores is None and found.values is None else found.scores
    assert np.isnan(found.values if told is None else told).any()


PARTS = st.tuples(NUMBERS, FILLS, ENCODERS, LAST, REST, st.booleans())


@settings(max_examples=10, deadline=None, derandomize=True, phases=[Phase.generate])
@given(PARTS, st.sampled_from([2, 3]), st.integers(0, 10**6))
def test_random_pipelines(parts, classes, seed):
    _agree(parts, classes, seed)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(PARTS, st.sampled_from([2, 3]), st.integers(0, 10**6))
def test_more_random_pipelines(parts, classes, seed):
    _agree(parts, classes, seed)
