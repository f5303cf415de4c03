"""Exact answers of a tree ensemble in numpy: used where the model's own library is absent, and to check it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from workbench.models.protocol import ModelError
from workbench.models.trees import MISSING_NONE, MISSING_ZERO, Trees

Floats = NDArray[np.float64]
ZERO = float(np.float32(1e-35))
"""LightGBM's kZeroThreshold: what counts as zero where zeros are missing."""

CELLS = 2_000_000


def raw(trees: Trees, X: Floats, float32: bool = False) -> Floats:
    """Raw sums [n, K] of X [n, F], added tree by tree in the model's order, in float64.

    float32: every partial sum is rounded to it, as XGBoost adds. Raises ModelError if X has not F columns.
    """
    X = np.asarray(X, dtype=np.float64)
    if X.ndim != 2 or X.shape[1] != len(trees.features):
        raise ModelError(f"the trees ask for {len(trees.features)} columns and got {X.shape}: pass one per feature")
    out = np.empty((len(X), trees.n_outputs))
    step = max(1, CELLS // max(1, trees.n_trees))
    for start in range(0, len(X), step):
        out[start : start + step] = _sums(trees, leaves(trees, X[start : start + step]), float32)
    return out


def leaves(trees: Trees, X: Floats) -> NDArray[np.int64]:
    """The leaf each row ends in: node numbers [n, T]."""
    with np.errstate(over="ignore"):
        X = X.astype(np.float32).astype(np.float64) if trees.precision == "float32" else X
    node = np.repeat(trees.roots.astype(np.int64)[None, :], len(X), axis=0).ravel()
    active = np.flatnonzero(trees.feature[node] >= 0)
    while len(active):
        here = node[active]
        values = X[active // trees.n_trees, trees.feature[here]]
        node[active] = np.where(_goes_left(trees, here, values), trees.left[here], trees.right[here])
        active = active[trees.feature[node[active]] >= 0]
    return node.reshape(len(X), trees.n_trees)


def _goes_left(trees: Trees, node: NDArray[np.int64], x: Floats) -> NDArray[np.bool_]:
    kind = trees.missing[node]
    coded = trees.category[node] >= 0
    absent = np.isnan(x)
    number = np.where(absent & (kind == MISSING_NONE), 0.0, x)
    missing = (absent & ((kind != MISSING_NONE) | coded)) | (
        ~coded & (kind == MISSING_ZERO) & (np.abs(np.where(absent, 0.0, x)) <= ZERO)
    )
    threshold = trees.threshold[node]
    with np.errstate(invalid="ignore"):
        left = number <= threshold if trees.compare == "<=" else number < threshold
    if coded.any():
        left[coded] = _in_set(trees, node[coded], x[coded])
    return np.where(missing, trees.default_left[node], left)


def _in_set(trees: Trees, node: NDArray[np.int64], x: Floats) -> NDArray[np.bool_]:
    width = trees.bits.shape[1] * 32
    with np.errstate(invalid="ignore"):
        inside = (x >= 0) & (x < width)
    code = np.where(inside, x, 0).astype(np.int64)
    word = trees.bits[trees.category[node], code // 32]
    in_set = (word >> (code % 32).astype(np.uint32)) & np.uint32(1) != 0
    return np.where(in_set & inside, True, trees.unknown_left[node] & ~inside)


def _sums(trees: Trees, leaf: NDArray[np.int64], float32: bool) -> Floats:
    kind = np.float32 if float32 else np.float64
    out = np.repeat(trees.base[None, :].astype(kind), len(leaf), axis=0)
    sums = np.zeros_like(out) if trees.aggregation == "mean" else out
    for tree in range(trees.n_trees):
        output, value = int(trees.tree_output[tree]), (trees.value[leaf[:, tree]] * trees.weight[tree]).astype(kind)
        if output < 0:
            sums += value
        else:
            sums[:, output] += value[:, 0]
    if trees.aggregation == "sum":
        return sums.astype(np.float64)
    counts = np.array([np.isin(trees.tree_output, (-1, k)).sum() for k in range(trees.n_outputs)])
    return np.asarray(out + sums / np.maximum(counts, 1))


def through_link(trees: Trees, sums: Floats) -> Floats:
    """Raw sums [n, K] as outputs [n, K]."""
    if trees.link == "identity":
        return sums
    if trees.link == "softmax":
        powers = np.exp(sums - sums.max(axis=1, keepdims=True, initial=-np.inf))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))
    if trees.link == "exp":
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(sums))
    if trees.link == "log1p-exp":
        with np.errstate(over="ignore"):
            return np.asarray(np.log1p(np.exp(sums)))
    if trees.link == "signed-square":
        return np.asarray(np.sign(sums) * sums * sums)
    if trees.link == "one-minus-exp":
        return np.asarray(-np.expm1(-np.exp(sums)))
    # expit, and not 1 / (1 + exp(-x)): scikit-learn's own, so that its models are met to the bit.
    return np.asarray(expit(trees.link_scale * sums))
