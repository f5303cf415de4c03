"""What the lift asks of a tree IR: the ways its features are read, where its leaves are, what each node decides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.models.trees import MISSING_NAN, MISSING_NONE, MISSING_ZERO, Trees

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Column:
    """One way a feature is read. nodes: all that read it so. symbols: how many there are."""

    feature: int
    coded: bool
    missing: int
    nodes: Ints
    thresholds: NDArray[np.float64]
    width: int

    @property
    def last(self) -> int:
        """Symbol above all thresholds, or of a category out of range."""
        return self.width if self.coded else len(self.thresholds)

    @property
    def symbols(self) -> int:
        return self.last + 3

    @property
    def absent(self) -> int:
        return self.last + 1

    @property
    def zero(self) -> int:
        return self.last + 2 if self.missing == MISSING_ZERO and not self.coded else -1


def slots_of(trees: Trees) -> tuple[Ints, Bools]:
    """Tree of each slot (-1: an empty one), and whether it is an output's first.

    Slots lie output by output, as many for each, so that sums run in tree order within an output.
    """
    shared = trees.tree_output < 0
    if shared.any() and not shared.all():
        raise ValueError("some trees add to one output and others to all of them")
    rows = 1 if shared.any() else trees.n_outputs
    members = [np.flatnonzero(shared | (trees.tree_output == k)) for k in range(rows)]
    longest = max(1, *(len(member) for member in members))
    order = np.full((len(members), longest), -1, dtype=np.int64)
    for row, member in zip(order, members):
        row[: len(member)] = member
    first = np.zeros(order.shape, dtype=np.bool_)
    first[:, 0] = True
    return order.ravel(), first.ravel()


@dataclass(frozen=True)
class Numbering:
    """tree [N]: tree of each node. low, high [N]: leaves below it, numbered left to right within the tree.

    level [N]: steps from the root. count, start [T]: leaves of a tree, and the number of the first among all leaves.
    depth: levels of the deepest.
    """

    tree: Ints
    level: Ints
    low: Ints
    high: Ints
    count: Ints
    start: Ints
    depth: int


def numbering_of(trees: Trees) -> Numbering:
    """Levels down, counts up, positions down: no recursion, whatever the depth."""
    inner = trees.feature >= 0
    tree = np.zeros(len(inner), dtype=np.int64)
    tree[trees.roots] = np.arange(trees.n_trees)
    levels = [trees.roots.astype(np.int64)]
    while len(below := levels[-1][inner[levels[-1]]]):
        tree[trees.left[below]] = tree[trees.right[below]] = tree[below]
        levels.append(np.concatenate([trees.left[below], trees.right[below]]).astype(np.int64))
    depth = np.zeros(len(inner), dtype=np.int64)
    for number, level in enumerate(levels):
        depth[level] = number
    size = np.ones(len(inner), dtype=np.int64)
    for level in reversed(levels):
        below = level[inner[level]]
        size[below] = size[trees.left[below]] + size[trees.right[below]]
    low = np.zeros(len(inner), dtype=np.int64)
    for level in levels:
        below = level[inner[level]]
        low[trees.left[below]] = low[below]
        low[trees.right[below]] = low[below] + size[trees.left[below]]
    count = size[trees.roots]
    start = np.concatenate([[0], np.cumsum(count)[:-1]]).astype(np.int64) if len(count) else count
    return Numbering(tree, depth, low, low + size, count, start, len(levels) - 1)


def columns_of(trees: Trees) -> list[Column]:
    """The features that are asked, each in every way it is read; one idle column if no node asks anything."""
    inner = np.flatnonzero(trees.feature >= 0).astype(np.int64)
    coded = trees.category[inner] >= 0
    keys = (trees.feature[inner].astype(np.int64) * 2 + coded) * 3 + np.where(coded, MISSING_NAN, trees.missing[inner])
    columns = []
    for key in np.unique(keys):
        nodes = inner[keys == key]
        is_coded = bool(key // 3 % 2)
        thresholds = np.empty(0) if is_coded else np.unique(trees.threshold[nodes])
        width = trees.bits.shape[1] * 32 if is_coded else 0
        columns.append(Column(int(key // 6), is_coded, int(key % 3), nodes, thresholds, width))
    return columns or [Column(0, False, MISSING_NAN, np.empty(0, dtype=np.int64), np.empty(0), 0)]


def goes_left(trees: Trees, column: Column) -> Bools:
    """Decision of each of the column's nodes for each symbol: [nodes, symbols]."""
    nodes = column.nodes
    out = np.empty((len(nodes), column.symbols), dtype=np.bool_)
    default = trees.default_left[nodes]
    if column.coded:
        code = np.arange(column.width)
        word = trees.bits[trees.category[nodes]][:, code // 32]
        out[:, : column.width] = (word >> (code % 32).astype(np.uint32)) & np.uint32(1)
        out[:, column.last] = trees.unknown_left[nodes]
        out[:, column.absent] = out[:, -1] = default
        return out
    limit = np.searchsorted(column.thresholds, trees.threshold[nodes])
    out[:, : column.last + 1] = np.arange(column.last + 1)[None, :] <= limit[:, None]
    side = "left" if trees.compare == "<=" else "right"
    at_zero = int(np.searchsorted(column.thresholds, 0.0, side=side))  # type: ignore[call-overload]
    out[:, column.absent] = at_zero <= limit if column.missing == MISSING_NONE else default
    out[:, -1] = default
    return out
