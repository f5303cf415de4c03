"""LightGBM's linear trees: leaves that are small linear models, beside the tree IR, which holds constant leaves.

A row's answer in a tree is the leaf's constant plus coefficient times value over the leaf's features, added in their
order; where one of these values is missing, it is the leaf's plain value (`Tree::Predict` in LightGBM's tree.h).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.models.protocol import Piece, Plain, Refused
from workbench.models.tree_walk import CELLS, leaves
from workbench.models.trees import Trees

Floats = NDArray[np.float64]
REFUSED = "its leaves are linear models (linear_tree=true)"


@dataclass(frozen=True)
class LinearLeaves:
    """For each of the N nodes of a `Trees`: constant [N]; from start[node] to start[node + 1], feature and weight."""

    constant: Floats
    start: NDArray[np.int64]
    feature: NDArray[np.int64]
    weight: Floats
    refused = REFUSED

    def validate(self, trees: Trees) -> None:
        """Raises Refused where a leaf names a feature the model does not have, or a number is not finite."""
        if len(self.feature) and (self.feature.min() < 0 or self.feature.max() >= len(trees.features)):
            raise Refused(f"a linear leaf uses a feature that is not among the {len(trees.features)}: it is damaged")
        if not (np.isfinite(self.constant).all() and np.isfinite(self.weight).all()):
            raise Refused("a linear leaf has a coefficient that is not a finite number: the file is damaged")

    def piece(self, trees: Trees, params: dict[str, Plain]) -> Piece:
        """The trees, and beside them by node the arrays above."""
        arrays: dict[str, NDArray[np.generic]] = {
            "constant": self.constant,
            "start": self.start,
            "feature": self.feature,
            "weight": self.weight,
        }
        return Piece("lightgbm.LinearLeaves", "", params, arrays, trees=trees)

    def raw(self, trees: Trees, X: Floats) -> Floats:
        """Raw sums [n, K] of X [n, F], as `Trees.raw`."""
        step = max(1, CELLS // max(1, trees.n_trees))
        parts = [self._raw(trees, X[start : start + step]) for start in range(0, len(X), step)]
        return np.concatenate(parts) if parts else np.zeros((0, trees.n_outputs))

    def _raw(self, trees: Trees, X: Floats) -> Floats:
        out, leaf = np.zeros((len(X), trees.n_outputs)), leaves(trees, X)
        for tree, output in enumerate(trees.tree_output):
            out[:, int(output)] += self._tree(trees, leaf[:, tree], X)
        if trees.aggregation == "mean":
            out /= np.maximum(np.bincount(trees.tree_output, minlength=trees.n_outputs), 1)
        return out + trees.base

    def _tree(self, trees: Trees, leaf: NDArray[np.int64], X: Floats) -> Floats:
        answer = self.constant[leaf]
        for node in np.unique(leaf):
            chosen = slice(self.start[node], self.start[node + 1])
            if chosen.start == chosen.stop:
                continue
            rows = np.flatnonzero(leaf == node)
            for feature, weight in zip(self.feature[chosen], self.weight[chosen]):
                with np.errstate(invalid="ignore", over="ignore"):
                    answer[rows] += weight * X[rows, feature]
            missing = rows[np.isnan(X[np.ix_(rows, self.feature[chosen])]).any(axis=1)]
            answer[missing] = trees.value[node, 0]
        return answer
