"""What is known of a model is what the lift does with it, for models nobody chose."""

from __future__ import annotations

import warnings

import lightgbm
import numpy as np
import pandas as pd
import xgboost
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from lift_parity import lifted
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.multiclass import OneVsRestClassifier, OutputCodeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from workbench.migrate.lift import CannotLift
from workbench.models.knowledge import LIFTS, whole
from workbench.models.pieces import sklearn_piece

MODELS = st.sampled_from(
    [
        LogisticRegression(max_iter=30),
        RidgeClassifier(),
        RandomForestClassifier(3, max_depth=4, random_state=0),
        HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=5),
        xgboost.XGBClassifier(n_estimators=3, max_depth=2, n_jobs=1),
        lightgbm.LGBMClassifier(n_estimators=3, min_child_samples=3, verbose=-1, n_jobs=1),
        SVC(C=0.5),
        SVC(kernel=lambda a, b: a @ b.T),
        KNeighborsClassifier(3),
        KNeighborsClassifier(3, weights=np.sqrt),
        DummyClassifier(strategy="stratified", random_state=0),
        GaussianProcessClassifier(max_iter_predict=5),
        OutputCodeClassifier(LogisticRegression(), random_state=0),
    ]
)
BEFORE = st.lists(
    st.sampled_from(
        [
            StandardScaler(),
            SelectKBest(k=2),
            FunctionTransformer(np.cbrt),
            FunctionTransformer(np.tanh),
            FunctionTransformer(lambda x: x + 1),
        ]
    ),
    max_size=2,
)


def _wrapped(kind: str, inner, other):
    return {
        "plain": lambda: inner,
        "bag": lambda: BaggingClassifier(inner, n_estimators=2, random_state=0),
        "boost": lambda: AdaBoostClassifier(inner, n_estimators=2),
        "hard": lambda: VotingClassifier([("a", inner), ("b", other), ("c", LogisticRegression())]),
        "soft": lambda: VotingClassifier([("a", inner), ("b", other)], voting="soft"),
        "stack": lambda: StackingClassifier([("a", inner), ("b", other)], cv=2),
        "calibrate": lambda: CalibratedClassifierCV(inner, cv=2),
        "temper": lambda: CalibratedClassifierCV(inner, cv=2, method="temperature"),
        "search": lambda: GridSearchCV(inner, {}, cv=2),
        "rest": lambda: OneVsRestClassifier(inner),
        "cut": lambda: FixedThresholdClassifier(inner, threshold=0.4),
    }[kind]()


KINDS = ["plain", "bag", "boost", "hard", "soft", "stack", "calibrate", "temper", "search", "rest", "cut"]


def _rows(rng: np.random.Generator, n: int) -> pd.DataFrame:
    frame = pd.DataFrame(
        {"a": rng.normal(size=n), "b": 1.6e9 + rng.integers(0, 10**6, n), "c": rng.choice(["p", "q", "r"], n)}
    )
    frame.loc[rng.random(n) < 0.1, "a"] = np.nan
    return frame


@settings(max_examples=20, deadline=None, derandomize=True, phases=[Phase.generate])
@given(MODELS, MODELS, BEFORE, st.sampled_from(KINDS), st.integers(0, 10**6))
def test_exact_lifts_without_a_flip_and_retrain_is_refused(inner, other, before, kind, seed):
    rng = np.random.default_rng(seed)
    train, rows = _rows(rng, 70), _rows(rng, 30)
    numbers = make_pipeline(SimpleImputer(), *map(clone, before), StandardScaler())
    columns = make_column_transformer((numbers, ["a", "b"]), (OneHotEncoder(handle_unknown="ignore"), ["c"]))
    model = make_pipeline(columns, _wrapped(kind, clone(inner), clone(other)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model.fit(train, (train.a.fillna(0.2) + (train.c == "p") + rng.normal(size=70) * 0.5 > 0.5).astype(int))
            expected = model.predict(rows)
            scores = model.predict_proba(rows) if hasattr(model, "predict_proba") else None
        except (ValueError, AttributeError, TypeError):
            return  # scikit-learn itself does not answer with this one
    status = whole(sklearn_piece(model)).status
    if status not in LIFTS:
        _refused(model, train)
        return
    found = lifted(model, train).predict(rows)
    assert (found.labels == expected).all(), status
    assert (found.scores is None) == (scores is None)
    if scores is not None:
        # XGBoost answers to one float32 rounding, which what stands around it may enlarge.
        np.testing.assert_allclose(found.scores, scores, rtol=0, atol=1e-6 if "XGB" in str(model) else 1e-9)


def _refused(model, train: pd.DataFrame) -> None:
    try:
        lifted(model, train)
    except CannotLift:
        return
    raise AssertionError("it lifts, and the table says it does not")
