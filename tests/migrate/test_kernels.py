"""Support vector machines, neighbours and centroids, against scikit-learn."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from lift_parity import check, lifted
from sklearn.neighbors import (
    KNeighborsClassifier,
    KNeighborsRegressor,
    NearestCentroid,
    RadiusNeighborsClassifier,
    RadiusNeighborsRegressor,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR, NuSVC, NuSVR, OneClassSVM

from workbench.migrate.lift import CannotLift, Lifted, lift_piece
from workbench.models import Input, open_model
from workbench.models.knowledge import known
from workbench.models.pieces import sklearn_piece


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(300, 4)), columns=list("abcd"))
    frame["seen"] = 1.6e9 + rng.integers(0, 10**7, 300)
    y = (frame.a + rng.normal(size=300) * 0.5 > 0).to_numpy().astype(int)
    return frame, y, np.array(["u", "v", "w", "x"])[y + (frame.b > 0.6) + (frame.c > 0.9)]


def _fitted(model, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make_pipeline(StandardScaler(), model).fit(X, y)


MACHINES = [
    SVC(),
    SVC(kernel="linear"),
    SVC(kernel="poly", degree=4, coef0=1.0, gamma=0.2),
    SVC(kernel="sigmoid", gamma=0.05),
    SVC(C=1000.0),
    SVC(decision_function_shape="ovo"),
    SVC(break_ties=True),
    SVC(probability=True, random_state=0),
    NuSVC(nu=0.02),
    NuSVC(nu=0.02, probability=True, random_state=0),
]


@pytest.mark.filterwarnings("ignore:The `probability`:FutureWarning")
@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("model", MACHINES, ids=str)
def test_support_vector_classifiers(model, several, rows):
    frame, y, four = rows
    check(_fitted(model, frame, four if several else y), frame, atol=1e-9 if model.C == 1000.0 else 1e-11)


@pytest.mark.parametrize("model", [SVR(), SVR(kernel="poly"), NuSVR(kernel="linear"), NuSVR()], ids=str)
def test_support_vector_regressors(model, rows):
    frame = rows[0]
    check(_fitted(model, frame, frame.a * 3 + frame.b**2), frame, atol=1e-11)


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
def test_outliers_of_one_class(kernel, rows):
    frame = rows[0]
    model = _fitted(OneClassSVM(kernel=kernel, nu=0.2), frame, None)
    found = lift_piece(sklearn_piece(model), [Input(name) for name in frame], (-1, 1), "binary").predict(frame)
    assert (found.labels == model.predict(frame)).all()
    np.testing.assert_allclose(found.raw, model.decision_function(frame), atol=1e-11)
    assert found.scores is None


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The `probability`:FutureWarning")
@pytest.mark.parametrize("several", [False, True])
def test_coupled_probabilities_saved_and_reloaded(several, rows, tmp_path):
    frame, y, four = rows
    model = _fitted(SVC(probability=True, random_state=0), frame, four if several else y)
    found = check(model, frame, atol=1e-11)
    found.save(tmp_path / "model.pt2")
    again, rebuilt = open_model(str(tmp_path / "model.pt2")), Lifted.load_spec(tmp_path / "model.pt2")
    for part in (frame, frame.iloc[:1], frame.iloc[:0]):
        expected = found.predict(part)
        for other in (again, rebuilt):
            answers = other.predict(part)
            assert np.array_equal(answers.scores, expected.scores)
            assert (answers.labels == expected.labels).all()


NEAR = [
    KNeighborsClassifier(),
    KNeighborsClassifier(3, weights="distance"),
    KNeighborsClassifier(3, algorithm="brute"),
    KNeighborsClassifier(4, p=1),
    KNeighborsClassifier(4, metric="minkowski", p=3, algorithm="ball_tree"),
    KNeighborsClassifier(4, metric="chebyshev"),
    KNeighborsClassifier(4, metric="cosine", weights="distance"),
    RadiusNeighborsClassifier(4.0),
    RadiusNeighborsClassifier(1.0, weights="distance", outlier_label="most_frequent"),
    NearestCentroid(),
    NearestCentroid(metric="manhattan"),
    NearestCentroid(priors="empirical", shrink_threshold=0.1),
]


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("model", NEAR, ids=str)
def test_neighbours_classify(model, several, rows):
    frame, y, four = rows
    train, rest = slice(0, 200), slice(150, 300)
    if "manhattan" in str(model):
        model.set_params(priors="uniform")
    fitted = _fitted(model, frame[train], (four if several else y)[train])
    # A row of the training itself is at distance 0: only it counts where weights are 1 / distance.
    check(fitted, frame, rows=frame[rest].iloc[::-1], atol=1e-9 if "cosine" in str(model) else 1e-12)


@pytest.mark.parametrize(
    "model",
    [
        KNeighborsRegressor(),
        KNeighborsRegressor(7, weights="distance"),
        RadiusNeighborsRegressor(4.0),
        RadiusNeighborsRegressor(4.0, weights="distance"),
    ],
    ids=str,
)
def test_neighbours_average(model, rows):
    frame = rows[0]
    fitted = _fitted(model, frame[:200], (frame.a * 3 + frame.b**2)[:200])
    check(fitted, frame, rows=frame[150:])


def test_float32_rows_and_a_save(rows, tmp_path):
    frame, y, _ = rows
    model = _fitted(KNeighborsClassifier(), frame[:200], y[:200])
    found = check(model, frame, rows=frame.astype({"a": np.float32}).iloc[::-3])
    found.save(tmp_path / "model.pt2")
    again = open_model(str(tmp_path / "model.pt2")).predict(frame)
    assert np.array_equal(again.scores, found.predict(frame).scores)


def test_rows_without_neighbours_have_no_answer(rows):
    frame, y, _ = rows
    model = _fitted(RadiusNeighborsClassifier(1.0), frame, y)
    far = frame.iloc[:2] + 1e6
    with pytest.raises(ValueError, match="No neighbors found"):
        model.predict(far)
    assert list(lifted(model, frame).predict(far).labels) == [None, None]


def test_refusals_are_what_is_known(rows):
    frame, y, _ = rows
    kernel = frame[list("ab")].to_numpy() @ frame[list("ab")].to_numpy().T
    refused = {
        "computed outside": SVC(kernel="precomputed").fit(kernel, y),
        "weights .* are code": KNeighborsClassifier(weights=np.sqrt).fit(frame, y),
        "metric 'canberra'": KNeighborsClassifier(metric="canberra").fit(frame, y),
        "no class of training": RadiusNeighborsClassifier(outlier_label=7).fit(frame, y),
    }
    for why, model in refused.items():
        columns = pd.DataFrame(kernel) if "precomputed" in str(model) else frame
        with pytest.raises(CannotLift, match=why):
            lifted(model, columns)
        assert known(sklearn_piece(model)).status == "retrain", model
