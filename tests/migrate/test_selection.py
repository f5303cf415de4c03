from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pandas as pd
import pytest
from columns_parity import lifted_columns, same_columns
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import (
    RFE,
    RFECV,
    GenericUnivariateSelect,
    SelectFdr,
    SelectFpr,
    SelectFromModel,
    SelectFwe,
    SelectKBest,
    SelectPercentile,
    SequentialFeatureSelector,
    VarianceThreshold,
)
from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from workbench.migrate.lift.selection import _support
from workbench.models.knowledge import known
from workbench.models.pieces import sklearn_piece


@pytest.fixture(scope="module")
def rows() -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(9)
    frame = pd.DataFrame(rng.normal(size=(300, 8)) * [1, 5, 1, 0.1, 1, 1, 2, 0], columns=list("abcdefgh"))
    frame["h"] = 1.0
    return frame, (frame.a + frame.b / 5 + 0.3 * frame.e + rng.normal(size=300) > 0).to_numpy().astype(int)


UNIVARIATE = [
    SelectKBest(k=3),
    SelectKBest(k="all"),
    SelectPercentile(percentile=40),
    SelectPercentile(percentile=100),
    SelectFpr(alpha=0.1),
    SelectFdr(alpha=0.1),
    SelectFwe(alpha=0.2),
    *(GenericUnivariateSelect(mode=mode, param=p) for mode, p in [("k_best", 2), ("percentile", 30), ("fdr", 0.1)]),
    *(GenericUnivariateSelect(mode=mode, param=0.2) for mode in ("fpr", "fwe")),
    VarianceThreshold(0.5),
]
BY_MODEL = [
    SelectFromModel(LogisticRegression()),
    SelectFromModel(Lasso(0.01)),
    SelectFromModel(RandomForestClassifier(5, random_state=0), threshold="0.9*median", max_features=3),
    RFE(LinearRegression(), n_features_to_select=3),
    RFECV(LinearRegression(), cv=2),
    SequentialFeatureSelector(LinearRegression(), n_features_to_select=2, cv=2),
]


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
@pytest.mark.parametrize("selector", [*UNIVARIATE, *BY_MODEL], ids=lambda one: str(one)[:70])
def test_the_same_columns_go_on(selector, rows):
    frame, y = rows
    same_columns(selector, frame, frame * 3, y)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("selector", UNIVARIATE, ids=str)
def test_a_description_without_the_mask_gives_the_same(selector, rows):
    """An older description holds the scores alone."""
    frame, y = rows
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        piece = sklearn_piece(selector.fit(frame, y))
    bare = dataclasses.replace(piece, arrays={k: v for k, v in piece.arrays.items() if k != "support_"})
    assert _support(bare).tolist() == selector.get_support().tolist()


def test_what_a_selector_looked_at_is_no_piece_of_the_model(rows):
    frame, y = rows
    selector = SelectFromModel(SVC(kernel="linear")).fit(frame, y)
    piece = sklearn_piece(make_pipeline(selector, LogisticRegression()).fit(frame, y))
    assert [known(part).status for _, part in piece.walk()] == ["exact"] * 3
    assert [i.kind for i in lifted_columns(selector, frame).inputs] == ["number"] * 8
