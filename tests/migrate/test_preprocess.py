from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from lift_parity import check, lifted
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_selection import RFE, SelectFpr, SelectKBest, SelectPercentile, VarianceThreshold
from sklearn.impute import KNNImputer, MissingIndicator, SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
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
    RobustScaler,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier

from workbench.migrate.lift import CannotLift
from workbench.models import ModelError

NUMBERS = ["amount", "cents", "seen", "count"]

SCALERS = [
    StandardScaler(),
    StandardScaler(with_mean=False),
    StandardScaler(with_std=False),
    MinMaxScaler(feature_range=(-1, 3), clip=True),
    RobustScaler(),
    RobustScaler(with_centering=False),
    MaxAbsScaler(),
    Normalizer("l1"),
    Normalizer("l2"),
    Normalizer("max"),
    Binarizer(threshold=3.0),
    KBinsDiscretizer(5, encode="onehot-dense", quantile_method="averaged_inverted_cdf"),
    KBinsDiscretizer(4, encode="ordinal", strategy="uniform"),
    make_pipeline(StandardScaler(), PolynomialFeatures(3)),
    make_pipeline(StandardScaler(), PolynomialFeatures((2, 3), interaction_only=True, include_bias=False)),
    FunctionTransformer(np.log1p),
    FunctionTransformer(),
    make_pipeline(StandardScaler(), PCA(2, whiten=True)),
    make_pipeline(StandardScaler(), TruncatedSVD(2, random_state=0)),
    SelectKBest(k=2),
    SelectPercentile(percentile=50),
    SelectFpr(),
    VarianceThreshold(2.0),
    RFE(DecisionTreeClassifier(max_depth=3, random_state=0), n_features_to_select=2),
    FeatureUnion([("a", StandardScaler()), ("b", MinMaxScaler()), ("c", "drop")], transformer_weights={"b": 0.5}),
]


@pytest.mark.parametrize("step", SCALERS, ids=lambda step: str(step)[:60])
def test_number_transformers(step, table):
    frame, y = table
    X = frame[NUMBERS].abs()
    pipeline = make_pipeline(
        SimpleImputer(strategy="median"), step, DecisionTreeClassifier(max_depth=8, random_state=0)
    )
    check(pipeline.fit(X, y), X)
    linear = make_pipeline(SimpleImputer(add_indicator=True), step, StandardScaler(), LogisticRegression(max_iter=50))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not isinstance(step, RFE):
            check(linear.fit(X, y), X, atol=1e-9)


IMPUTERS = [
    SimpleImputer(),
    SimpleImputer(strategy="constant", fill_value=-7.5, add_indicator=True),
    SimpleImputer(strategy="most_frequent", keep_empty_features=True),
    SimpleImputer(missing_values=0, strategy="median", add_indicator=True),
]


@pytest.mark.parametrize("imputer", IMPUTERS, ids=str)
def test_number_imputers(imputer, table):
    frame, y = table
    X = frame[["amount", "count"]].assign(count=frame["count"].astype(float), empty=np.nan)
    if imputer.missing_values == 0:
        X = X.fillna(0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make_pipeline(imputer, DecisionTreeClassifier(max_depth=8, random_state=0)).fit(X, y)
        check(model, X)


IGNORE = {"handle_unknown": "ignore"}
TEXT = [
    make_pipeline(SimpleImputer(strategy="most_frequent", add_indicator=False), OneHotEncoder(handle_unknown="ignore")),
    make_pipeline(
        SimpleImputer(strategy="constant", fill_value="?"), OneHotEncoder(drop="first", handle_unknown="ignore")
    ),
    OneHotEncoder(handle_unknown="ignore"),
    OneHotEncoder(drop="if_binary", min_frequency=700, handle_unknown="infrequent_if_exist"),
    OneHotEncoder(max_categories=3, handle_unknown="infrequent_if_exist", sparse_output=False),
    OneHotEncoder(max_categories=3, handle_unknown="ignore"),
    OneHotEncoder(drop=["Köln", "v"], handle_unknown="ignore"),
    OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=-5),
    OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=9, encoded_missing_value=-5, max_categories=3),
]


@pytest.mark.parametrize("kinds", [True, False], ids=["declared", "undeclared"])
@pytest.mark.parametrize("encoder", TEXT, ids=lambda step: str(step)[:90])
def test_encoders_with_missing_and_unseen_categories(encoder, kinds, table):
    frame, y = table
    X = frame[["city", "kind"]]
    model = make_pipeline(encoder, DecisionTreeClassifier(max_depth=6, random_state=0)).fit(X, y)
    unseen = X.copy()
    unseen["city"] = ["Atlantis" if i % 3 == 0 else city for i, city in enumerate(X.city)]
    unseen["kind"] = pd.Categorical(["new" if i % 5 == 0 else kind for i, kind in enumerate(X.kind)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lift = lifted(model, X, kinds)
        for rows in (X, unseen):
            assert np.array_equal(lift.predict(rows).scores, model.predict_proba(rows))
        check(model, X, rows=unseen)


@pytest.mark.parametrize(
    "encoder", [OneHotEncoder(handle_unknown="ignore"), OneHotEncoder(), OrdinalEncoder()], ids=str
)
def test_encoders_of_numbers_and_bools(encoder, table):
    frame, y = table
    X = frame[["count", "flag"]].assign(share=frame["count"].astype(float).where(frame.amount > -1) / 2)
    model = make_pipeline(encoder, DecisionTreeClassifier(max_depth=6, random_state=0)).fit(X, y)
    check(model, X)
    strange = X.assign(count=77)
    if encoder.handle_unknown == "ignore":
        check(model, X, rows=strange)
    else:
        with pytest.raises(ValueError, match="unknown categories"):
            model.predict(strange)
        with pytest.raises(ModelError, match=r"'count' holds 77\.0 at row 0"):
            lifted(model, X).predict(strange)


def test_handle_unknown_error_refuses_the_rows_the_library_refuses(table):
    frame, y = table
    X = frame[["city", "kind"]]
    model = make_pipeline(OneHotEncoder(), DecisionTreeClassifier(max_depth=6, random_state=0)).fit(X, y)
    lift = check(model, X)
    with pytest.raises(ValueError, match="Atlantis"):
        model.predict(X.assign(city="Atlantis"))
    with pytest.raises(ModelError, match="'city' holds 'Atlantis' at row 0"):
        lift.predict(X.assign(city="Atlantis"))
    full = X.dropna()
    strict = make_pipeline(OneHotEncoder(), DecisionTreeClassifier(max_depth=6, random_state=0)).fit(
        full, y[full.index]
    )
    with pytest.raises(ModelError, match="holds nothing"):
        lifted(strict, X).predict(X)
    imputed = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(), DecisionTreeClassifier(max_depth=4)
    )
    check(imputed.fit(full, y[full.index]), X)


def test_two_encoders_of_one_column_that_know_different_values(table):
    frame, y = table
    X = frame[["city"]]
    known = [["Bonn", "Köln", "Trier", np.nan]]
    both = ColumnTransformer(
        [
            ("few", OneHotEncoder(categories=[["Bonn", "Trier"]], handle_unknown="ignore"), ["city"]),
            ("all", OrdinalEncoder(categories=known, handle_unknown="use_encoded_value", unknown_value=-1), ["city"]),
        ]
    )
    check(make_pipeline(both, DecisionTreeClassifier(random_state=0)).fit(X, y), X)


def test_a_missing_category_that_was_none_in_training(table):
    frame, y = table
    X = pd.DataFrame({"city": np.where(frame.city.isna(), None, frame.city).astype(object)}, dtype=object)
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), DecisionTreeClassifier(random_state=0)).fit(X, y)
    check(model, X)


def test_indicator_of_text_and_the_indicator_alone(table):
    frame, y = table
    X = frame[["city", "amount"]]
    flagged = SimpleImputer(strategy="most_frequent", add_indicator=True)
    parts = ColumnTransformer(
        [
            (
                "text",
                make_pipeline(flagged, OneHotEncoder()),
                ["city"],
            ),
            ("flag", MissingIndicator(error_on_new=False), ["city", "amount"]),
        ]
    )
    check(make_pipeline(parts, LogisticRegression()).fit(X, y), X)


def test_columns_by_name_by_position_by_slice_and_the_rest(table):
    frame, y = table
    numbers = Pipeline([("fill", SimpleImputer()), ("scale", StandardScaler())])
    inner = ColumnTransformer([("a", "passthrough", [1]), ("b", MinMaxScaler(), [0])], remainder="passthrough")
    outer = ColumnTransformer(
        [
            ("numbers", make_pipeline(numbers, inner), ["amount", "cents", "seen"]),
            ("city", OneHotEncoder(handle_unknown="ignore"), [0]),
            ("gone", "drop", ["kind"]),
            ("kept", "passthrough", slice("count", "flag")),
        ],
        transformer_weights={"numbers": 2.0},
    )
    check(make_pipeline(outer, LogisticRegression()).fit(frame, y), frame, atol=1e-11)
    rest = ColumnTransformer(
        [("city", OrdinalEncoder(encoded_missing_value=-1), ["city", "kind"])], remainder=SimpleImputer()
    )
    shuffled = frame[frame.columns[::-1]]
    model = make_pipeline(rest, LinearRegression()).fit(frame, y)
    check(model, frame, atol=1e-9)
    np.testing.assert_allclose(lifted(model, frame).predict(shuffled).values, model.predict(frame), atol=1e-9)


def test_what_has_no_exact_form_is_refused_by_name(table):
    frame, y = table
    X = frame[NUMBERS].fillna(0.0)
    refused = {
        "KNNImputer": make_pipeline(KNNImputer(), LogisticRegression()),
        "its function": make_pipeline(FunctionTransformer(lambda x: x * 2), LogisticRegression()),
        "kw_args": make_pipeline(FunctionTransformer(np.abs, kw_args={"where": True}), LogisticRegression()),
        "it transforms columns": make_pipeline(StandardScaler(), MinMaxScaler()),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for words, model in refused.items():
            with pytest.raises(CannotLift, match=words) as caught:
                lifted(model.fit(X, y), X)
            assert caught.value.advice


def test_an_option_newer_than_our_knowledge_is_refused(table):
    import dataclasses

    from workbench.migrate.lift import lift_piece
    from workbench.models import Input
    from workbench.models.pieces import sklearn_piece

    frame, y = table
    X = frame[["count"]]
    piece = sklearn_piece(LogisticRegression().fit(X, y))
    newer = dataclasses.replace(piece, params={**piece.params, "calibrate": True})
    lift_piece(piece, [Input("count")], (0, 1), "binary")
    with pytest.raises(CannotLift, match="'calibrate' is newer"):
        lift_piece(newer, [Input("count")], (0, 1), "binary")
