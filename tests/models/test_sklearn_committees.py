"""Committees, thresholds, neighbours and outlier detectors as pickles, and lifted from what the door says of them."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import AdaBoostClassifier, IsolationForest, StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from workbench.migrate.lift import lift
from workbench.models.knowledge import LIFTS, whole
from workbench.models.sklearn_file import open_sklearn

TWO = [("lr", LogisticRegression()), ("tree", DecisionTreeClassifier(max_depth=3))]
CASES = [
    AdaBoostClassifier(n_estimators=5),
    OneVsRestClassifier(DecisionTreeClassifier(max_depth=2)),
    VotingClassifier(TWO),
    StackingClassifier(TWO, final_estimator=SVC(), cv=2),
    FixedThresholdClassifier(LogisticRegression(), threshold=0.3),
    TunedThresholdClassifierCV(LogisticRegression(), cv=2),
    GridSearchCV(make_pipeline(StandardScaler(), SVC()), {"svc__C": [1, 2]}, cv=2),
    KNeighborsClassifier(4, weights="distance"),
    NearestCentroid(),
    IsolationForest(n_estimators=10, random_state=0),
    make_pipeline(StandardScaler(), OneClassSVM(nu=0.3)),
    MultiOutputClassifier(LogisticRegression()),
    MultiOutputRegressor(DecisionTreeRegressor(max_depth=3)),
]


@pytest.mark.parametrize("model", CASES, ids=lambda model: str(model).replace("\n", "")[:60])
def test_a_pickle_answers_as_its_estimator_and_lifts(model, tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(200, 3)), columns=list("abc"))
    y = (frame.a + rng.normal(size=200) * 0.5 > 0).to_numpy().astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(frame, y[:, None] if "MultiOutput" in str(model) else y)
        expected = np.ravel(model.predict(frame))
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(model))
    # A search and a tuned threshold hold scorers, which call what they are told to: a person must vouch for the file.
    vouched = "Search" in str(model) or "Tuned" in str(model)
    legacy = open_sklearn(path, "f", features=None, threads=1, **({"trusted": True} if vouched else {}))
    before = legacy.predict(frame)
    assert np.array_equal(before.values if before.labels is None else before.labels, expected)
    assert whole(legacy.describe()).status in LIFTS
    after = lift(legacy).predict(frame)
    for name in ("labels", "scores", "values", "raw"):
        old, new = getattr(before, name), getattr(after, name)
        if old is not None and name == "labels":
            assert (old == new).all()
        elif old is not None:
            np.testing.assert_allclose(new, old, rtol=0, atol=1e-12)
