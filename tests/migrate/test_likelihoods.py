from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lift_parity import check, lifted
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from workbench.migrate.lift import CannotLift


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    n = 800
    return pd.DataFrame(
        {
            "amount": rng.normal(size=n),
            "cents": rng.integers(0, 10**8, n).astype(float),
            "seen": 1.6e9 + rng.integers(0, 10**7, n),
            "count": rng.integers(0, 6, n).astype(float),
        }
    )


def _target(rows: pd.DataFrame, classes: int) -> np.ndarray:
    signal = rows.amount + rows.cents / 1e8 + np.random.default_rng(6).normal(size=len(rows))
    return np.array(["no", "yes", "maybe"])[np.digitize(signal, [0.5, 1.5][: classes - 1])]


CLASSIFIERS = [
    GaussianNB(),
    GaussianNB(priors=None, var_smoothing=1e-3),
    QuadraticDiscriminantAnalysis(),
    QuadraticDiscriminantAnalysis(reg_param=0.2),
    LinearDiscriminantAnalysis(),
    LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.1),
    MLPClassifier((6, 4), max_iter=30, random_state=0),
    MLPClassifier((6,), activation="tanh", max_iter=30, random_state=0),
    MLPClassifier((6,), activation="logistic", max_iter=30, random_state=0),
    MLPClassifier((6,), activation="identity", max_iter=30, random_state=0, solver="lbfgs"),
    MLPClassifier((), max_iter=30, random_state=0),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("model", CLASSIFIERS, ids=lambda model: str(model)[:70])
def test_classifiers_of_numbers(model, classes, rows):
    far = pd.concat([rows, rows.iloc[:50] * [1e3, 10, 1, -4], rows.iloc[:50].astype({"amount": np.float32})])
    check(make_pipeline(StandardScaler(), model).fit(rows, _target(rows, classes)), rows, rows=far)


@pytest.mark.parametrize("model", [GaussianNB(), QuadraticDiscriminantAnalysis()], ids=str)
def test_raw_cents_and_seconds(model, rows):
    check(model.fit(rows, _target(rows, 2)), rows, atol=1e-9)


COUNTS = [MultinomialNB(), MultinomialNB(alpha=0.01, fit_prior=False), ComplementNB(), ComplementNB(norm=True)]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("model", COUNTS, ids=str)
def test_naive_bayes_of_counts(model, classes, rows):
    counts = (rows % 40).abs().round()
    check(model.fit(counts, _target(rows, classes)), counts)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("cut", [None, 0.0, 2.5])
def test_naive_bayes_of_flags(cut, classes, rows):
    flags = rows if cut is not None else (rows % 2 > 0.7).astype(int)
    check(BernoulliNB(binarize=cut).fit(flags, _target(rows, classes)), flags)


@pytest.mark.parametrize("classes", [2, 3])
def test_naive_bayes_of_categories_and_one_it_never_saw(classes, rows):
    codes = (rows % [2, 7, 5, 6]).abs().astype(int)
    model = CategoricalNB().fit(codes, _target(rows, classes))
    lift = check(model, codes)
    with pytest.raises(IndexError):
        model.predict(codes.assign(cents=99))
    assert np.isnan(lift.predict(codes.assign(cents=99)).scores).all()
    assert np.isnan(lift.predict(codes.assign(cents=-1)).scores).all()


def test_impossible_classes_keep_their_infinite_logarithms(rows):
    """Without smoothing a class can be ruled out: log 0, as the source carries it through."""
    flags = pd.DataFrame({"a": [0, 0, 1, 1, 0, 1], "b": [1, 0, 1, 0, 1, 1]})
    model = MultinomialNB(alpha=0.0, force_alpha=True)
    with np.errstate(divide="ignore"):
        model.fit(flags, [0, 0, 1, 1, 0, 2])
    found = lifted(model, flags).predict(flags.iloc[[0, 2, 4]]).scores
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = model.predict_proba(flags.iloc[[0, 2, 4]])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15)


REGRESSORS = [
    MLPRegressor(hidden_layer_sizes=(6, 4), max_iter=30, random_state=0),
    MLPRegressor(hidden_layer_sizes=(6,), activation="tanh", max_iter=30, random_state=0),
    MLPRegressor(loss="poisson", hidden_layer_sizes=(6,), max_iter=30, random_state=0),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("model", REGRESSORS, ids=lambda model: str(model)[:70])
def test_networks_of_values(model, rows):
    y = rows.amount.abs() + rows["count"]
    check(make_pipeline(StandardScaler(), model).fit(rows, y), rows)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_networks_on_raw_seconds(rows):
    """Hidden sums of 1e9: answers agree to their rounding."""
    y = _target(rows, 3)
    check(MLPClassifier((5,), max_iter=5, random_state=0).fit(rows, y), rows, atol=1e-9)


def test_discriminant_axes_before_another_model(rows):
    for solver in ("svd", "eigen"):
        axes = LinearDiscriminantAnalysis(solver=solver, n_components=1)
        check(make_pipeline(axes, LogisticRegression()).fit(rows, _target(rows, 3)), rows, atol=1e-11)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_has_no_single_answer_is_refused(rows):
    both = np.column_stack([rows.amount > 0, rows["count"] > 2]).astype(int)
    several = MLPClassifier((3,), max_iter=3).fit(rows, both)
    with pytest.raises(CannotLift, match="labels at once"):
        lifted(several, rows)
    two = MLPRegressor(hidden_layer_sizes=(3,), max_iter=3).fit(rows, both.astype(float))
    with pytest.raises(CannotLift, match="2 outputs for a regression"):
        lifted(two, rows)
    blind = make_pipeline(LinearDiscriminantAnalysis(), LogisticRegression()).fit(rows, _target(rows, 3))
    blind[0].solver = "lsqr"
    with pytest.raises(CannotLift, match="cannot transform"):
        lifted(blind, rows)
