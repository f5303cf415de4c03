from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lift_parity import check, lifted
from random_trees import random_rows, random_trees
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from workbench.migrate.lift import CannotLift
from workbench.migrate.lift.ensemble import ensemble
from workbench.models import tree_walk
from workbench.models.trees import MISSING_NAN, MISSING_NONE, MISSING_ZERO

NUMBERS = ["amount", "cents", "seen", "count", "flag"]
DEEP = {"max_depth": 9, "random_state": 0}

MODELS = [
    DecisionTreeClassifier(max_depth=3),
    DecisionTreeClassifier(),
    DecisionTreeRegressor(),
    RandomForestClassifier(15, **DEEP),
    RandomForestClassifier(60, min_samples_leaf=7, random_state=0),
    RandomForestRegressor(15, **DEEP),
    ExtraTreesClassifier(15, **DEEP),
    ExtraTreesRegressor(15, max_depth=3, random_state=0),
    GradientBoostingClassifier(n_estimators=20),
    GradientBoostingClassifier(n_estimators=20, loss="exponential"),
    GradientBoostingRegressor(n_estimators=20, loss="huber", max_depth=7),
    HistGradientBoostingClassifier(max_iter=20),
    HistGradientBoostingClassifier(max_iter=20, max_leaf_nodes=64),
    HistGradientBoostingClassifier(max_iter=20, max_leaf_nodes=65),
    HistGradientBoostingRegressor(max_iter=20, loss="poisson"),
    HistGradientBoostingRegressor(max_iter=20, loss="quantile", quantile=0.7),
]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("model", MODELS, ids=lambda model: str(model)[:70])
def test_ensembles_of_scikit_learn_to_the_last_bit(model, classes, table):
    frame, y = table
    X = frame[NUMBERS]
    if isinstance(model, GradientBoostingClassifier | GradientBoostingRegressor):
        X = X.fillna(0.0)
    if classes == 3:
        if "Regressor" in str(model) or getattr(model, "loss", "") == "exponential":
            pytest.skip("one target only")
        y = y + (frame["count"] == 5) * (y == 1)
    check(model.fit(X, y), X, atol=1e-15)


@pytest.mark.parametrize("leaves", [31, 200])
def test_missing_unseen_and_infinite_values_of_histogram_boosting(leaves, table):
    frame, y = table
    X = frame.drop(columns="city")
    model = HistGradientBoostingClassifier(max_iter=30, max_leaf_nodes=leaves, categorical_features="from_dtype")
    model.fit(X, y)
    strange = X.copy()
    strange["kind"] = pd.Categorical(["new" if i % 5 == 0 else kind for i, kind in enumerate(X.kind)])
    strange.loc[::7, "amount"] = np.inf
    strange.loc[::11, "amount"] = -np.inf
    strange["count"] = strange["count"].astype(float).where(frame.amount > 0)
    check(model, X, atol=1e-15, rows=strange)
    check(model, X, atol=1e-15)


def test_float32_and_non_contiguous_rows(table):
    frame, y = table
    X = frame[["amount", "seen", "count"]]
    for model in (HistGradientBoostingClassifier(max_iter=20), RandomForestClassifier(10, random_state=0)):
        model.fit(X, y)
        for rows in (X.astype(np.float32), X.iloc[::-3], pd.DataFrame(np.asfortranarray(X), columns=X.columns)):
            check(model, X, atol=1e-15, rows=rows)


def test_refusals_name_what_is_wrong(table):
    frame, y = table
    X = frame[["cents", "count"]]
    two = RandomForestRegressor(3, random_state=0).fit(X, np.column_stack([y, y]))
    with pytest.raises(CannotLift, match="2 targets"):
        lifted(two, X)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 3), st.booleans())
def test_any_trees_end_in_the_leaves_a_plain_walk_finds(seed, features, outputs, deep):
    trees = random_trees(seed, features, outputs, deep)
    X = random_rows(seed, 80, features)
    op = ensemble(trees)
    found = op(torch.from_numpy(X), torch.zeros((80, 0), dtype=torch.int64)).numpy()
    np.testing.assert_allclose(found, tree_walk.raw(trees, X), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("deep", [False, True])
def test_trees_without_a_split_and_ensembles_without_a_tree(deep):
    trees = random_trees(3, 2, 2, deep)
    none = dataclasses.replace(
        trees,
        roots=trees.roots[:0],
        tree_output=trees.tree_output[:0],
        weight=trees.weight[:0],
        **{
            name: getattr(trees, name)[:0]
            for name in (
                "feature", "threshold", "left", "right", "default_left", "missing", "category", "unknown_left",
                "value", "cover",
            )
        },
    )  # fmt: skip
    X = torch.zeros((3, 2), dtype=torch.float64)
    codes = torch.zeros((3, 0), dtype=torch.int64)
    assert np.allclose(ensemble(none)(X, codes).numpy(), trees.base)
    frame = pd.DataFrame({"a": np.zeros(50)})
    constant = HistGradientBoostingRegressor(max_iter=3).fit(frame, np.full(50, 7.0))
    check(constant, frame)


def test_missing_means_what_the_node_says():
    """One node, three meanings: LightGBM's none (NaN is 0), zero (0 is missing too) and NaN."""
    trees = random_trees(0, 1, 1, False)
    one = np.array([0, 1, 2])
    for missing, expected in ((MISSING_NONE, [1, 1, 2]), (MISSING_ZERO, [2, 2, 2]), (MISSING_NAN, [1, 2, 2])):
        small = dataclasses.replace(
            trees,
            roots=np.array([0], np.int32),
            feature=np.array([0, -1, -1], np.int32),
            threshold=np.array([0.5, 0.0, 0.0]),
            left=np.array([1, -1, -1], np.int32),
            right=np.array([2, -1, -1], np.int32),
            default_left=np.zeros(3, bool),
            missing=np.full(3, missing, np.uint8),
            category=np.full(3, -1, np.int32),
            unknown_left=np.zeros(3, bool),
            value=one.astype(float)[:, None],
            cover=np.zeros(3),
            tree_output=np.zeros(1, np.int32),
            weight=np.ones(1),
            base=np.zeros(1),
            compare="<=",
            precision="float64",
        )
        X = torch.tensor([[0.0], [np.nan], [0.7]], dtype=torch.float64)
        found = ensemble(small)(X, torch.zeros((3, 0), dtype=torch.int64)).numpy()[:, 0]
        assert found.tolist() == expected, missing
