"""Random small pipelines: whatever scikit-learn fits from these parts, the lift answers alike or refuses by name."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from lift_parity import lifted
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)

NUMBERS = st.lists(
    st.sampled_from(
        [
            StandardScaler(),
            MinMaxScaler(),
            RobustScaler(),
            PolynomialFeatures(2, include_bias=False),
            KBinsDiscretizer(3, encode="ordinal", strategy="uniform"),
        ]
    ),
    max_size=2,
)
FILLS = st.sampled_from(
    [SimpleImputer(), SimpleImputer(strategy="median", add_indicator=True), SimpleImputer(strategy="most_frequent")]
)
TEXT = st.sampled_from(
    [
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
        OneHotEncoder(drop="if_binary", handle_unknown="ignore", min_frequency=0.2),
        OneHotEncoder(max_categories=2, handle_unknown="infrequent_if_exist"),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-2, encoded_missing_value=-1),
    ]
)
LAST = st.sampled_from(
    [
        LogisticRegression(max_iter=30),
        Ridge(),
        RandomForestClassifier(4, random_state=0),
        HistGradientBoostingClassifier(max_iter=4, min_samples_leaf=5),
    ]
)
REST = st.sampled_from(["drop", "passthrough", SimpleImputer(strategy="constant", fill_value=-1)])


def _rows(rng: np.random.Generator, n: int) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "a": rng.normal(size=n),
            "b": 1.6e9 + rng.integers(0, 10**6, n),
            "c": rng.choice(["p", "q", "r", "new"], n),
            "d": rng.integers(0, 4, n).astype(float),
            "e": rng.integers(0, 50, n),
        }
    )
    for name in ("a", "c", "d"):
        frame.loc[rng.random(n) < 0.15, name] = None
    return frame


@settings(max_examples=25, deadline=None, derandomize=True)
@given(NUMBERS, FILLS, TEXT, LAST, REST, st.integers(0, 10**6), st.booleans())
def test_random_pipelines(steps, fill, encoder, last, rest, seed, filled_first):
    rng = np.random.default_rng(seed)
    train, rows = _rows(rng, 120), _rows(rng, 40)
    train.loc[train.c == "new", "c"] = "p"
    text = make_pipeline(SimpleImputer(strategy="most_frequent"), encoder) if filled_first else encoder
    parts = [("numbers", make_pipeline(fill, *steps), ["a", "b"]), ("text", text, ["c"]), ("codes", encoder, ["d"])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make_pipeline(ColumnTransformer(parts, remainder=rest), last)
        model.fit(train, (train.a.fillna(0.2) + (train.c == "p") > 0.5).astype(int))
        found = lifted(model, train).predict(rows)
        if isinstance(last, Ridge):
            np.testing.assert_allclose(found.values, model.predict(rows), rtol=1e-9, atol=1e-9)
            return
        expected, labels = model.predict_proba(rows), model.predict(rows)
    np.testing.assert_allclose(found.scores, expected, rtol=0, atol=1e-9)
    sure = np.abs(expected[:, 1] - 0.5) > 1e-9
    assert (found.labels == labels)[sure].all()
