"""XGBoost's gblinear: one weight per feature and output, beside the tree IR, which has no place for it.

A row's sum is bias plus base score plus value times weight over the values that are there, in float32 and in the
features' order. Of several base scores the library takes the first for all outputs (XGBoost's gblinear.cc, 3.1 on;
before, there was one).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.models.protocol import ModelError, Piece, Plain, Refused
from workbench.models.trees import Link, Trees, assemble


@dataclass(frozen=True)
class LinearBooster:
    """weight float32 [F, K], bias float32 [K]."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    refused = "it is a linear model (booster gblinear) and has no trees"

    @classmethod
    def read(cls, weights: Any, features: int, outputs: int) -> LinearBooster:
        """From XGBoost's flat list: the features' weights, each for all outputs, then the biases."""
        flat = np.asarray(weights, dtype=np.float32).reshape(-1)
        if len(flat) != (features + 1) * outputs:
            raise ModelError(f"it has {len(flat)} weights for {features} features and {outputs} outputs: it is damaged")
        table = flat.reshape(features + 1, outputs)
        return cls(table[:-1], table[-1])

    def validate(self) -> None:
        """Raises Refused where a weight is no finite number."""
        if not (np.isfinite(self.weight).all() and np.isfinite(self.bias).all()):
            raise Refused("a weight of it is not a finite number: the file is damaged")

    def raw(self, trees: Trees, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Raw sums [n, K] of X [n, F]."""
        with np.errstate(over="ignore", invalid="ignore"):
            values = np.asarray(X).astype(np.float32)
            out = np.repeat((self.bias + trees.base[:1].astype(np.float32))[None, :], len(X), axis=0)
            for column, weight in zip(values.T, self.weight):
                out += np.where(np.isnan(column), np.float32(0), column)[:, None] * weight
        return out.astype(np.float64)

    def piece(self, trees: Trees, params: dict[str, Plain]) -> Piece:
        """Weight float32 [F, K], and bias with base score float32 [K]."""
        bias = self.bias + trees.base[:1].astype(np.float32)
        return Piece("xgboost.LinearBooster", "", params, {"weight": self.weight, "bias": bias})


def no_trees(features: tuple[str, ...], base: NDArray[np.float64], link: Link) -> Trees:
    """An ensemble of no trees, which carries names, base score and link."""
    return assemble([], features=features, base=base, tree_output=np.zeros(0, np.int32), link=link, precision="float32")
