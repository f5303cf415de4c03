"""Damaged trees are refused before anything follows them, naming the node."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from workbench.models import Refused
from workbench.models.pieces import sklearn_piece
from workbench.models.trees import Trees


@pytest.fixture(scope="module")
def trees(categories: pd.DataFrame, answers: dict[str, Any]) -> Trees:
    model = HistGradientBoostingClassifier(max_iter=4, categorical_features="from_dtype")
    found = sklearn_piece(model.fit(categories, answers["binary"])).trees
    assert found is not None
    return found


def changed(trees: Trees, name: str, node: int, value: float) -> Trees:
    array = getattr(trees, name).copy()
    array[node] = value
    return replace(trees, **{name: array})


@pytest.mark.parametrize(
    "name, value, said",
    [
        ("left", 10**6, "left child is 1000000"),
        ("right", -5, "right child is -5"),
        ("feature", 99, "feature is 99"),
        ("feature", -3, "feature is -3"),
        ("threshold", np.nan, "threshold is nan"),
        ("category", 10**4, "category set is 10000"),
    ],
)
def test_an_index_or_number_out_of_range(trees: Trees, name: str, value: float, said: str) -> None:
    numeric = (trees.feature >= 0) & (trees.category < 0)
    node = int(np.flatnonzero(numeric & (np.arange(len(numeric)) >= trees.roots[1]))[0])
    with pytest.raises(Refused, match=said) as caught:
        changed(trees, name, node, value).validate()
    tree = int(np.searchsorted(trees.roots, node, side="right")) - 1
    assert f"tree {tree}, node {node - trees.roots[tree]}:" in str(caught.value)


def test_a_leaf_that_is_not_a_number(trees: Trees) -> None:
    leaf = int(np.flatnonzero(trees.feature < 0)[3])
    with pytest.raises(Refused, match="leaf value is inf"):
        changed(trees, "value", leaf, np.inf).validate()


def test_a_child_in_another_tree_and_a_ring(trees: Trees) -> None:
    inner = np.flatnonzero(trees.feature >= 0)
    with pytest.raises(Refused, match="number of ways"):
        changed(trees, "left", int(inner[1]), int(trees.roots[2])).validate()
    with pytest.raises(Refused, match="number of ways"):
        changed(trees, "left", int(inner[1]), int(trees.roots[0])).validate()
    # Two nodes that only lead to each other: every node is still reached once.
    others = ("feature", "threshold", "default_left", "missing", "category", "unknown_left", "value", "cover")
    twice = {name: np.append(getattr(trees, name), getattr(trees, name)[inner[:2]], axis=0) for name in others}
    ring = replace(trees, **twice)
    count = len(trees.feature)
    left, right = np.append(trees.left, [count, count + 1]), np.append(trees.right, [count, count + 1])
    right[-2:] = [count + 1, count]
    with pytest.raises(Refused):
        replace(ring, left=left.astype(np.int32), right=right.astype(np.int32)).validate()


def test_parts_that_do_not_fit_together(trees: Trees) -> None:
    with pytest.raises(Refused, match="'cover'"):
        replace(trees, cover=trees.cover[:-1]).validate()
    with pytest.raises(Refused, match="starts outside"):
        changed(trees, "roots", 0, 10**7).validate()
    with pytest.raises(Refused, match="output that is not among"):
        changed(trees, "tree_output", 0, 5).validate()
    with pytest.raises(Refused, match="base score"):
        replace(trees, base=np.array([np.nan])).validate()
    trees.validate()
