"""From the tree IR to the tables of `tree_op`: every decision of every node is taken here, once per symbol."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.migrate.lift.ops import Affine, Arrays, Chain, Op
from workbench.migrate.lift.tree_op import Leaves, Masks, Symbols, Walk
from workbench.models.trees import MISSING_NAN, MISSING_NONE, MISSING_ZERO, Trees

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MASK_LEAVES = 64
TABLE_BYTES = 256 << 20
WALK_STEP = 12.0
"""Cost of one level of one tree by `Walk`, in and-ed words of `Masks` (measured on one CPU thread)."""


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


def ensemble(trees: Trees, float32: bool = False) -> Op:
    """A Trees IR as one op: numbers [n, F] → raw sums [n, K]. float32: the source adds in float32.

    Raises ValueError if some trees add to one output and others to all.
    """
    order, first = _slots(trees)
    columns = _columns(trees)
    numbers = _numbering(trees)
    if _masks_pay(trees, columns, numbers):
        to_leaves: Op = _masks(trees, columns, numbers, order)
    else:
        to_leaves = _walk(trees, columns, numbers, order)
    parts = [_symbols(trees, columns), to_leaves, _leaves(trees, numbers, order, first, float32)]
    if trees.base.any() and not _base_fits(trees, order, first):
        parts.append(Affine({}, {"offset": trees.base.astype(np.float64)}))
    return Chain({}, {}, parts)


def _slots(trees: Trees) -> tuple[Ints, Bools]:
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

    count, start [T]: leaves of a tree, and the number of the first among all leaves. depth: levels of the deepest.
    """

    tree: Ints
    low: Ints
    high: Ints
    count: Ints
    start: Ints
    depth: int


def _numbering(trees: Trees) -> Numbering:
    """Levels down, counts up, positions down: no recursion, whatever the depth."""
    inner = trees.feature >= 0
    tree = np.zeros(len(inner), dtype=np.int64)
    tree[trees.roots] = np.arange(trees.n_trees)
    levels = [trees.roots.astype(np.int64)]
    while len(below := levels[-1][inner[levels[-1]]]):
        tree[trees.left[below]] = tree[trees.right[below]] = tree[below]
        levels.append(np.concatenate([trees.left[below], trees.right[below]]).astype(np.int64))
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
    return Numbering(tree, low, low + size, count, start, len(levels) - 1)


def _columns(trees: Trees) -> list[Column]:
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


def _goes_left(trees: Trees, column: Column) -> Bools:
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


def _symbols(trees: Trees, columns: list[Column]) -> Op:
    longest = max(1, *(len(column.thresholds) for column in columns))
    edges = np.full((len(columns), longest), np.inf)
    for row, column in zip(edges, columns):
        row[: len(column.thresholds)] = column.thresholds
    config = {
        "float32": trees.precision == "float32",
        "right": trees.compare == "<",
        "coded": any(column.coded for column in columns),
        "zero": any(column.zero >= 0 for column in columns),
        "absent": True,
    }
    arrays: Arrays = {
        "of": np.array([column.feature for column in columns]),
        "edges": edges,
        "last": np.array([[column.last] for column in columns]),
        "absent": np.array([[column.absent] for column in columns]),
        "zero": np.array([[column.zero] for column in columns]),
        "coded": np.array([[column.coded] for column in columns]),
    }
    return Symbols(config, arrays)


def _masks_pay(trees: Trees, columns: list[Column], numbers: Numbering) -> bool:
    if not trees.n_trees or numbers.count.max() > MASK_LEAVES:
        return not trees.n_trees
    symbols = sum(column.symbols for column in columns)
    return symbols * trees.n_trees * 8 <= TABLE_BYTES and len(columns) <= WALK_STEP * max(1, numbers.depth)


def _masks(trees: Trees, columns: list[Column], numbers: Numbering, order: Ints) -> Op:
    slot = np.full(trees.n_trees, -1, dtype=np.int64)
    slot[order[order >= 0]] = np.flatnonzero(order >= 0)
    bits, bias = (32, 127) if numbers.count.max(initial=0) <= 32 else (64, 1023)
    whole, signed = np.dtype(f"uint{bits}"), np.dtype(f"int{bits}")
    arrays: Arrays = {"first": (_starts(numbers, order) - bias).astype(signed)}
    for number, column in enumerate(columns):
        table = np.full((column.symbols, len(order)), np.uint64(2**64 - 1))
        left = trees.left[column.nodes]
        width = (numbers.high[left] - numbers.low[left]).astype(np.uint64)
        below = ((np.uint64(1) << width) - np.uint64(1)) << numbers.low[left].astype(np.uint64)
        ruled_out = ~_goes_left(trees, column)
        for node, mask, at in zip(ruled_out, ~below, slot[numbers.tree[column.nodes]]):
            table[node, at] &= mask
        arrays[f"table_{number}"] = table.astype(whole).view(signed)
    return Masks({}, arrays)


def _starts(numbers: Numbering, order: Ints) -> Ints:
    """Leaf position of each slot's leaf 0; an empty slot's is the one after all leaves."""
    empty = int(numbers.count.sum())
    return np.array([numbers.start[tree] if tree >= 0 else empty for tree in order])


def _walk(trees: Trees, columns: list[Column], numbers: Numbering, order: Ints) -> Op:
    test = np.zeros(len(trees.feature), dtype=np.int64)
    limit = np.zeros(len(trees.feature), dtype=np.int64)
    arrays: Arrays = {}
    tests = highest = 0
    for number, column in enumerate(columns):
        orders = _number_orders(trees, column) if not column.coded else _set_orders(trees, column)
        table, row, value = orders
        test[column.nodes], limit[column.nodes] = row + tests, value
        tests, highest = tests + table.shape[1], max(highest, int(table.max(initial=0)))
        arrays[f"order_{number}"] = table
    return _packed(trees, numbers, order, test, limit, tests, highest, arrays)


def _number_orders(trees: Trees, column: Column) -> tuple[Ints, Ints, Ints]:
    """(table [symbols, 2], row [nodes], limit [nodes]): missing as lowest for nodes that send it left, else highest."""
    side = "left" if trees.compare == "<=" else "right"
    at_zero = int(np.searchsorted(column.thresholds, 0.0, side=side)) + 1  # type: ignore[call-overload]
    table = np.repeat(np.arange(1, column.symbols + 1)[:, None], 2, axis=1)
    table[column.absent], table[column.last + 2] = (0, column.last + 2), (0, column.last + 2)
    if column.missing == MISSING_NONE:
        table[column.absent] = at_zero
    limit = np.searchsorted(column.thresholds, trees.threshold[column.nodes]) + 1
    return table, np.where(trees.default_left[column.nodes], 0, 1), limit


def _set_orders(trees: Trees, column: Column) -> tuple[Ints, Ints, Ints]:
    """One test per distinct set: 0 goes left, 1 goes right."""
    left, row = np.unique(_goes_left(trees, column), axis=0, return_inverse=True)
    return (~left.T).astype(np.int64), row.reshape(-1), np.zeros(len(column.nodes), dtype=np.int64)


def _packed(
    trees: Trees, numbers: Numbering, order: Ints, test: Ints, limit: Ints, tests: int, highest: int, arrays: Arrays
) -> Op:
    """Nodes renumbered so that siblings are neighbours: a root, then pairs, tree by tree."""
    inner = trees.feature >= 0
    pairs = np.flatnonzero(inner)
    pairs = pairs[np.argsort(numbers.tree[pairs], kind="stable")]
    place = np.empty(len(inner), dtype=np.int64)
    place[trees.roots] = 2 * np.concatenate(
        [[0], np.cumsum(np.bincount(numbers.tree[pairs], minlength=trees.n_trees))]
    )[:-1] + np.arange(trees.n_trees)
    place[trees.left[pairs]] = 2 * np.arange(len(pairs)) + numbers.tree[pairs] + 1
    place[trees.right[pairs]] = place[trees.left[pairs]] + 1
    test_bits, limit_bits = max(1, tests.bit_length()), max(1, (highest + 1).bit_length())
    size = len(inner) + 1  # the last node is the leaf of an empty tree
    if size.bit_length() + test_bits + limit_bits > 62:
        raise ValueError(f"{size} nodes with {tests} tests do not fit in one integer per node")
    node = np.arange(size) << (test_bits + limit_bits) | highest + 1
    node[place[pairs]] = place[trees.left[pairs]] << (test_bits + limit_bits) | test[pairs] << limit_bits | limit[pairs]
    leaf = np.full(size, int(numbers.count.sum()))
    ends = np.flatnonzero(~inner)
    leaf[place[ends]] = numbers.start[numbers.tree[ends]] + numbers.low[ends]
    root = np.array([place[trees.roots[tree]] if tree >= 0 else size - 1 for tree in order])
    config = {"depth": numbers.depth, "test_bits": test_bits, "limit_bits": limit_bits}
    return Walk(config, {"node": node, "root": root, "leaf": leaf, **arrays})


def _leaves(trees: Trees, numbers: Numbering, order: Ints, first: Bools, float32: bool) -> Op:
    """Leaf values by position; the base goes into each output's first tree, where the library starts its sum."""
    ends = np.flatnonzero(trees.feature < 0)
    at = numbers.start[numbers.tree[ends]] + numbers.low[ends]
    value = np.zeros((len(ends) + 1, trees.value.shape[1] if len(ends) else 1))
    value[at] = trees.value[ends] * trees.weight[numbers.tree[ends], None]
    value = value.astype(np.float32).astype(np.float64) if float32 else value
    if _base_fits(trees, order, first):
        _add_base(trees, numbers, order, first, value)
    counts = (order >= 0).reshape(int(first.sum()), -1).sum(axis=1)
    divide = float(max(1, counts[0])) if trees.aggregation == "mean" else 1.0
    if trees.aggregation == "mean" and (counts != counts[0]).any():
        raise ValueError(f"the outputs average over different numbers of trees: {counts.tolist()}")
    return Leaves(
        {"outputs": trees.n_outputs, "divide": divide, "float32": float32 and trees.value.shape[1] == 1},
        {"value": value},
    )


def _base_fits(trees: Trees, order: Ints, first: Bools) -> bool:
    """Whether the base can go into the first trees: a sum, with at least one tree for each output."""
    return trees.aggregation == "sum" and bool((order[first] >= 0).all())


def _add_base(trees: Trees, numbers: Numbering, order: Ints, first: Bools, value: NDArray[np.float64]) -> None:
    for output, tree in enumerate(order[first]):
        base = trees.base if value.shape[1] > 1 else trees.base[output]
        value[numbers.start[tree] : numbers.start[tree] + numbers.count[tree]] += base
