"""Where scikit-learn stops at a missing number, the lifted model gives that row no answer; where it answers, the same.

The truth is scikit-learn itself, asked row by row.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lift_parity import lifted
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from workbench.migrate.lift import Lifted, lift_piece
from workbench.models.pieces import sklearn_piece
from workbench.models.sklearn_inputs import asked

LINE, TREE = LogisticRegression(), DecisionTreeClassifier(max_depth=3)
BOOST = HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=5)
FILLED = make_pipeline(SimpleImputer(), LINE)
VALUES = [("l", LinearRegression()), ("h", HistGradientBoostingRegressor(max_iter=2, min_samples_leaf=5))]

CLASSIFIERS = {
    "hard, one stops": VotingClassifier([("l", LINE), ("t", TREE), ("h", BOOST)], weights=[1, 2, 1]),
    "hard, none stops": VotingClassifier([("h", BOOST), ("t", TREE), ("i", FILLED)]),
    "hard, margins": VotingClassifier([("h", BOOST), ("r", RidgeClassifier())]),
    "soft": VotingClassifier([("l", LINE), ("h", BOOST)], voting="soft"),
    "bag of trees": BaggingClassifier(TREE, 3, random_state=0),
    "bag of lines": BaggingClassifier(LINE, 3, max_features=2, random_state=0),
    "bag of votes": BaggingClassifier(LinearSVC(), 2, random_state=0),
    "ada": AdaBoostClassifier(TREE, n_estimators=3, random_state=0),
    "ada of lines": AdaBoostClassifier(LINE, n_estimators=2, random_state=0),
    "gradient boosting": GradientBoostingClassifier(n_estimators=2, max_depth=2, random_state=0),
    "extra trees": ExtraTreesClassifier(3, max_depth=3, random_state=0),
    "random splits": DecisionTreeClassifier(splitter="random", max_depth=3, random_state=0),
    "calibrated": CalibratedClassifierCV(LINE, cv=2),
    "rest": OneVsRestClassifier(LinearSVC()),
    "pairs": OneVsOneClassifier(LINE),
    "pairs of boosts": OneVsOneClassifier(BOOST),
    "stack": StackingClassifier([("l", LINE), ("h", BOOST)], final_estimator=TREE, cv=2),
    "stack with columns": StackingClassifier([("h", BOOST)], final_estimator=TREE, cv=2, passthrough=True),
    "neighbours": KNeighborsClassifier(3),
    "machine": SVC(),
}
REGRESSORS = {
    "vote": VotingRegressor(VALUES),
    "ada": AdaBoostRegressor(n_estimators=2, random_state=0),
    "stack": StackingRegressor(VALUES, final_estimator=DecisionTreeRegressor(max_depth=2), cv=2),
    "absolute error": DecisionTreeRegressor(criterion="absolute_error", max_depth=2, random_state=0),
    "forest": RandomForestRegressor(2, max_depth=2, random_state=0),
}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(0).normal(size=(90, 3)), columns=list("abc"))


@pytest.fixture(scope="module")
def rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Whole rows, rows with one number missing, one with all of them."""
    rows = frame.iloc[:5].copy()
    rows.iloc[1, 0] = rows.iloc[3, 2] = np.nan
    rows.iloc[4] = np.nan
    return rows


def same(estimator: Any, model: Lifted, rows: pd.DataFrame) -> None:
    outputs = model.predict(rows)
    for place in range(len(rows)):
        row = rows.iloc[[place]]
        try:
            label = estimator.predict(row)[0]
        except ValueError:
            assert none(outputs, place), place
            continue
        if outputs.labels is None:
            np.testing.assert_allclose(outputs.values[place], label, rtol=1e-12, err_msg=str(place))
            continue
        assert outputs.labels[place] == label, place
        if outputs.scores is not None:
            np.testing.assert_allclose(outputs.scores[place], estimator.predict_proba(row)[0], rtol=0, atol=1e-12)


def none(outputs: Any, place: int) -> bool:
    if outputs.labels is None:
        return bool(np.isnan(outputs.values[place]))
    label = outputs.labels[place]
    no_label = label is None or label != label
    return no_label and (outputs.scores is None or bool(np.isnan(outputs.scores[place]).all()))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers(name: str, frame: pd.DataFrame, rows: pd.DataFrame) -> None:
    noisy = frame["a"] + np.random.default_rng(1).normal(size=len(frame))
    for y in (np.where(noisy > 0, "bad", "good"), np.digitize(noisy, [-0.5, 0.5])):
        estimator = CLASSIFIERS[name].fit(frame, y)
        same(estimator, lifted(estimator, frame), rows)


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors(name: str, frame: pd.DataFrame, rows: pd.DataFrame) -> None:
    estimator = REGRESSORS[name].fit(frame, frame["a"] * 2)
    same(estimator, lifted(estimator, frame), rows)


@pytest.mark.parametrize("inner", [LINE, RidgeClassifier(), BOOST])
def test_thresholds(inner: Any, frame: pd.DataFrame, rows: pd.DataFrame) -> None:
    estimator = FixedThresholdClassifier(inner, threshold=0.1).fit(frame, (frame["a"] > 0).astype(int))
    same(estimator, lifted(estimator, frame), rows)


def test_trees_of_old_take_no_missing_number(frame: pd.DataFrame, rows: pd.DataFrame) -> None:
    """scikit-learn's trees take them since 1.3, and stopped at them before."""
    piece = sklearn_piece(DecisionTreeClassifier(max_depth=2).fit(frame, frame["a"] > 0))
    inputs = asked(piece, list(frame.columns)).inputs
    for version, answered in {"1.2.2": [0, 2], "1.3.0": [0, 1, 2, 3, 4], "": [0, 1, 2, 3, 4]}.items():
        outputs = lift_piece(replace(piece, version=version), inputs, (False, True), "binary").predict(rows)
        assert [place for place in range(len(rows)) if not none(outputs, place)] == answered


def test_what_stops_is_saved_with_the_model(frame: pd.DataFrame, rows: pd.DataFrame, tmp_path: Any) -> None:
    estimator = VotingClassifier([("l", LINE), ("g", CLASSIFIERS["gradient boosting"])]).fit(frame, frame["a"] > 0)
    model = lifted(estimator, frame)
    model.save(tmp_path / "m.pt2")
    same(estimator, Lifted.load_spec(tmp_path / "m.pt2"), rows)
