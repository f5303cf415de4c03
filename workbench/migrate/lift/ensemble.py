"""From the tree IR to an op: the program of the compiled kernel, and beside it the tables of the portable form."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.migrate.lift.decisions import (
    Bools,
    Column,
    Ints,
    Numbering,
    columns_of,
    goes_left,
    numbering_of,
    slots_of,
)
from workbench.migrate.lift.ops import Affine, Arrays, Chain, Op
from workbench.migrate.lift.program import places_of, program_of
from workbench.migrate.lift.tree_op import Leaves, Masks, Symbols, TreeEnsemble, Walk
from workbench.models.trees import MISSING_NONE, Trees

MASK_LEAVES = 64
TABLE_BYTES = 256 << 20
WALK_STEP = 12.0
"""Cost of one level of one tree by `Walk`, in and-ed words of `Masks` (measured on one CPU thread)."""


def ensemble(trees: Trees, float32: bool = False) -> Op:
    """A Trees IR as one op: numbers [n, F] → raw sums [n, K]. float32: the source adds in float32.

    Raises ValueError if some trees add to one output and others to all.
    """
    order, first = slots_of(trees)
    columns = columns_of(trees)
    numbers = numbering_of(trees)
    if _masks_pay(trees, columns, numbers):
        to_leaves: Op = _masks(trees, columns, numbers, order)
    else:
        to_leaves = _walk(trees, columns, numbers, order)
    leaves = _leaves(trees, numbers, order, first, float32)
    base = np.zeros(trees.n_outputs) if _base_fits(trees, order, first) else trees.base.astype(np.float64)
    after = [Affine({}, {"offset": base})] if base.any() else []
    plain = Chain({}, {}, [_symbols(trees, columns), to_leaves, leaves, *after])
    program = program_of(trees, columns, numbers, order, leaves, base)
    return TreeEnsemble({"outputs": trees.n_outputs}, {"program": program}, [plain])


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
        ruled_out = ~goes_left(trees, column)
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
    left, row = np.unique(goes_left(trees, column), axis=0, return_inverse=True)
    return (~left.T).astype(np.int64), row.reshape(-1), np.zeros(len(column.nodes), dtype=np.int64)


def _packed(
    trees: Trees, numbers: Numbering, order: Ints, test: Ints, limit: Ints, tests: int, highest: int, arrays: Arrays
) -> Op:
    inner = trees.feature >= 0
    pairs = np.flatnonzero(inner)
    place = places_of(trees, numbers)
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


def _leaves(trees: Trees, numbers: Numbering, order: Ints, first: Bools, float32: bool) -> Leaves:
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
