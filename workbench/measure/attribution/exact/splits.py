"""What the nodes of an ensemble ask, as comparisons of small whole numbers.

A *column* is one way to read a feature: as numbers in order, or as category codes; with what counts as missing and
which way a missing value goes. A row becomes one symbol per column, and every split of a column is `symbol <= limit`
(or, of a category, a look at a list of ways), so that nothing downstream knows of thresholds, precision or NaN.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.models.tree_walk import ZERO
from workbench.models.trees import MISSING_NAN, MISSING_NONE, MISSING_ZERO, Trees

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Symbols = NDArray[np.uint16] | NDArray[np.uint32]


@dataclass(frozen=True)
class Column:
    """One way to read a feature.

    A numeric column's symbols are 0 for a missing value that goes left, 1 … for the values between its edges, and the
    last for a missing value that goes right; a coded one's are its `codes`, then unknown, then missing.
    """

    feature: int
    missing: int
    missing_left: bool
    edges: Floats
    codes: int = 0

    @property
    def symbols(self) -> int:
        return self.codes + 2 if self.codes else len(self.edges) + 3

    def read(self, x: Floats) -> Ints:
        """Symbols [n] of values x [n]."""
        absent = np.isnan(x)
        if self.codes:
            with np.errstate(invalid="ignore"):
                inside = (x >= 0) & (x < self.codes)
            symbols = np.where(inside, np.where(inside, x, 0).astype(np.int64), self.codes)
            return np.where(absent, self.codes + 1, symbols)
        if self.missing == MISSING_NONE:
            x, absent = np.where(absent, 0.0, x), np.zeros(len(x), dtype=bool)
        elif self.missing == MISSING_ZERO:
            absent = absent | (np.abs(np.where(absent, 1.0, x)) <= ZERO)
        symbols = 1 + np.searchsorted(self.edges, x, side="left")
        return np.where(absent, 0 if self.missing_left else len(self.edges) + 2, symbols)


@dataclass(frozen=True)
class Splits:
    """The splits of N nodes. column, limit: int64 [N], -1 at a leaf; a row goes left where its symbol <= limit.

    ways: int64 [N], -1 or, for a category, where the node's list of ways (1: left) by symbol starts in `left`.
    """

    columns: tuple[Column, ...]
    column: Ints
    limit: Ints
    ways: Ints
    left: NDArray[np.uint8]
    float32: bool

    def read(self, X: Floats) -> Symbols:
        """Rows X [n, F] as symbols [C, n]."""
        with np.errstate(over="ignore"):
            X = X.astype(np.float32).astype(np.float64) if self.float32 else np.asarray(X, dtype=np.float64)
        most = max((column.symbols for column in self.columns), default=0)
        found = np.empty((len(self.columns), len(X)), dtype=np.uint16 if most < 2**16 else np.uint32)
        for place, column in enumerate(self.columns):
            found[place] = column.read(np.ascontiguousarray(X[:, column.feature]))
        return found


def splits_of(trees: Trees) -> Splits:
    """The splits of all inner nodes of an ensemble."""
    count = len(trees.feature)
    column, limit, ways = (np.full(count, -1, dtype=np.int64) for _ in range(3))
    columns: list[Column] = []
    lists: list[NDArray[np.uint8]] = []
    length = 0
    for nodes, found in _columns(trees):
        column[nodes] = len(columns)
        columns.append(found)
        if found.codes:
            table = _ways(trees, nodes, found.codes)
            ways[nodes] = length + np.arange(len(nodes)) * table.shape[1]
            lists.append(table.ravel())
            length += table.size
        else:
            limit[nodes] = _limits(trees, nodes, found.edges)
    left = np.concatenate(lists) if lists else np.zeros(0, dtype=np.uint8)
    return Splits(tuple(columns), column, limit, ways, left, trees.precision == "float32")


def _columns(trees: Trees) -> Iterator[tuple[Ints, Column]]:
    """Nodes that read a feature in the same way, and that way."""
    inner = np.flatnonzero(trees.feature >= 0)
    coded = trees.category[inner] >= 0
    missing = np.where(coded, MISSING_NAN, trees.missing[inner])
    # A category's list of ways says where its missing value goes; nothing is missing where NaN is read as 0.
    goes_left = np.where(coded | (missing == MISSING_NONE), False, trees.default_left[inner])
    keys = np.stack([trees.feature[inner], coded, missing, goes_left], axis=1).astype(np.int64)
    distinct, place = np.unique(keys, axis=0, return_inverse=True)
    for number, (feature, is_coded, mode, left) in enumerate(distinct):
        nodes = inner[place.ravel() == number]
        edges = np.zeros(0) if is_coded else np.unique(_edges(trees, nodes))
        codes = trees.bits.shape[1] * 32 if is_coded else 0
        yield nodes, Column(int(feature), int(mode), bool(left), edges, codes)


def _edges(trees: Trees, nodes: Ints) -> Floats:
    """Thresholds for `<=`: x < t is x <= the number before t."""
    threshold = trees.threshold[nodes]
    return threshold if trees.compare == "<=" else np.nextafter(threshold, -np.inf)


def _limits(trees: Trees, nodes: Ints, edges: Floats) -> Ints:
    limits = 1 + np.searchsorted(edges, _edges(trees, nodes), side="left").astype(np.int64)
    if trees.compare == "<":
        # There is no number before -inf: nothing but a missing value goes left.
        limits[np.isneginf(trees.threshold[nodes])] = 0
    return limits


def _ways(trees: Trees, nodes: Ints, codes: int) -> NDArray[np.uint8]:
    """Ways [nodes, codes + 2]: of each code, of an unknown one, of a missing one."""
    words = trees.bits[trees.category[nodes]]
    bits = (words[:, :, None] >> np.arange(32, dtype=np.uint32)) & np.uint32(1)
    known = bits.reshape(len(nodes), codes).astype(np.uint8)
    rest = np.stack([trees.unknown_left[nodes], trees.default_left[nodes]], axis=1).astype(np.uint8)
    return np.concatenate([known, rest], axis=1)
