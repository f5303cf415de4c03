from __future__ import annotations

import warnings

import numpy as np
import pytest
from lift_parity import check, lifted
from sklearn.cross_decomposition import PLSRegression
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    ARDRegression,
    BayesianRidge,
    ElasticNet,
    ElasticNetCV,
    GammaRegressor,
    HuberRegressor,
    Lars,
    LarsCV,
    Lasso,
    LassoCV,
    LassoLars,
    LassoLarsCV,
    LassoLarsIC,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    MultiTaskLasso,
    OrthogonalMatchingPursuit,
    OrthogonalMatchingPursuitCV,
    PassiveAggressiveClassifier,
    PassiveAggressiveRegressor,
    Perceptron,
    PoissonRegressor,
    QuantileRegressor,
    Ridge,
    RidgeClassifier,
    RidgeClassifierCV,
    RidgeCV,
    SGDClassifier,
    SGDRegressor,
    TheilSenRegressor,
    TweedieRegressor,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC, LinearSVR

from workbench.migrate.lift import CannotLift


def _deprecated(kind, **options):
    """scikit-learn 1.9 still makes it, and warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind(**options)


CLASSIFIERS = [
    LogisticRegression(),
    LogisticRegression(solver="liblinear", fit_intercept=False),
    LogisticRegressionCV(Cs=3, cv=3, l1_ratios=(0,), use_legacy_attributes=False, scoring="accuracy"),
    SGDClassifier(loss="log_loss", random_state=0),
    SGDClassifier(loss="modified_huber", random_state=0),
    SGDClassifier(loss="hinge", random_state=0),
    LinearSVC(random_state=0),
    LinearSVC(random_state=0, loss="hinge", fit_intercept=False),
    RidgeClassifier(),
    RidgeClassifierCV(),
    Perceptron(random_state=0),
    _deprecated(PassiveAggressiveClassifier, random_state=0),
    *(SGDClassifier(loss=loss, random_state=0) for loss in ("squared_hinge", "perceptron", "huber", "squared_error")),
    SGDClassifier(loss="log_loss", average=True, fit_intercept=False, random_state=0),
]
REGRESSORS = [
    LinearRegression(),
    Ridge(),
    Lasso(alpha=0.01),
    ElasticNet(alpha=0.01),
    SGDRegressor(random_state=0),
    SGDRegressor(loss="huber", average=True, random_state=0),
    LinearSVR(random_state=0),
    PoissonRegressor(),
    GammaRegressor(),
    TweedieRegressor(power=0),
    TweedieRegressor(power=1.5),
    TweedieRegressor(power=0, link="log"),
    ARDRegression(max_iter=20),
    BayesianRidge(),
    ElasticNetCV(cv=2, alphas=3),
    HuberRegressor(),
    Lars(),
    LarsCV(cv=2),
    LassoCV(cv=2, alphas=3),
    LassoLars(alpha=0.001),
    LassoLarsCV(cv=2),
    LassoLarsIC(),
    OrthogonalMatchingPursuit(),
    OrthogonalMatchingPursuitCV(cv=2),
    _deprecated(PassiveAggressiveRegressor, random_state=0),
    PLSRegression(2),
    QuantileRegressor(alpha=0.001, quantile=0.3),
    RidgeCV(),
    TheilSenRegressor(max_subpopulation=50, random_state=0),
]


def _through(model):
    return make_pipeline(SimpleImputer(), StandardScaler(), model)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("model", CLASSIFIERS, ids=lambda model: str(model)[:60])
def test_linear_classifiers(model, classes, table):
    frame, y = table
    frame, y = frame[:1500], y[:1500]
    X = frame[["amount", "cents", "seen", "count"]]
    if classes == 3 and getattr(model, "solver", "") == "liblinear":
        pytest.skip("scikit-learn 1.9 does not fit three classes by liblinear")
    target = np.array(["no", "yes", "maybe"])[y + (frame["count"] == 5) * (y == 1)] if classes == 3 else y
    check(_through(model).fit(X, target), X)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("model", REGRESSORS, ids=lambda model: str(model)[:60])
def test_linear_regressors(model, table):
    frame, y = table
    frame, y = frame[:600], y[:600]
    X = frame[["amount", "cents", "seen", "count"]]
    check(_through(model).fit(X, y + 0.5 + frame["count"] / 10), X)


@pytest.mark.parametrize("model", [LogisticRegression(), LinearSVC(), RidgeClassifier()], ids=str)
def test_a_row_at_which_the_source_stops_gets_no_class(model, table):
    frame, y = table
    X = frame[["count", "seen"]].astype(float)[:300]
    for classes in (y[:300], np.arange(300) % 3):
        lift = lifted(make_pipeline(StandardScaler(), model).fit(X, classes), X)
        holes = X[:3].assign(count=[np.nan, 1.0, 2.0])
        assert [label is None for label in lift.predict(holes).labels] == [True, False, False]


def test_unscaled_cents_and_seconds(table):
    frame, y = table
    X = frame[["cents", "seen"]]
    check(LinearRegression().fit(X, y * 1e6 + frame.cents), X, atol=1e-5)


def test_multi_class_options_of_older_versions(table):
    """Before 1.8, multi_class chose between softmax and one against the rest; scikit-learn's wrapper is the oracle."""
    import dataclasses

    from workbench.migrate.lift import lift_piece
    from workbench.models import Input
    from workbench.models.pieces import sklearn_piece

    frame, y = table
    X = frame[["cents", "seen", "count"]]
    X = (X - X.mean()) / X.std()
    target = y + (frame["count"] == 5) * (y == 1)
    rest = OneVsRestClassifier(LogisticRegression()).fit(X, target)
    piece = sklearn_piece(LogisticRegression().fit(X, target))
    old = dataclasses.replace(
        piece,
        version="1.2.2",
        params={**piece.params, "multi_class": "ovr"},
        arrays={
            **piece.arrays,
            "coef_": np.vstack([one.coef_ for one in rest.estimators_]),
            "intercept_": np.concatenate([one.intercept_ for one in rest.estimators_]),
        },
    )
    scores = lift_piece(old, [Input(name) for name in X], (0, 1, 2), "multiclass").predict(X).scores
    np.testing.assert_allclose(scores, rest.predict_proba(X), atol=1e-14)


def test_what_has_no_exact_form_is_refused(table):
    frame, y = table
    X = frame[["count", "seen"]]
    sparse = SGDClassifier(loss="log_loss", random_state=0).fit(X, y).sparsify()
    with pytest.raises(CannotLift, match="stored sparse"):
        lifted(sparse, X)
    two = LinearRegression().fit(X, np.column_stack([y, y]))
    with pytest.raises(CannotLift, match="2 outputs for a regression"):
        lifted(two, X)
    for several in (MultiTaskLasso(), PLSRegression(2), Ridge()):
        with pytest.raises(CannotLift, match="2 outputs for a regression"):
            lifted(several.fit(X, np.column_stack([y, y + frame["count"]])), X)
