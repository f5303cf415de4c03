"""From the tree IR to the words of `models.tree_kernel.program`: every node becomes one number to compare with."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from workbench.migrate.lift.decisions import Column, Ints, Numbering, goes_left
from workbench.migrate.lift.tree_op import Leaves
from workbench.models.tree_kernel.program import CODED, MOST_BITS, NUMBER, pack
from workbench.models.trees import MISSING_NONE, Trees


@dataclass
class _Tests:
    """What is laid out so far. test, limit [N]: what each node compares."""

    test: Ints
    limit: Ints
    records: list[dict[str, int]] = field(default_factory=list)
    edges: list[NDArray[np.float64]] = field(default_factory=list)
    sets: list[Ints] = field(default_factory=list)
    count: int = 1  # test 0 is what leaves ask

    def add(self, **said: int) -> None:
        empty = {"low": -1, "high": -1, "low_absent": 0, "high_absent": 0, "zero": 0}
        self.records.append({**empty, "sets": 0, "set_words": 0, "first_test": 0, **said})


def program_of(
    trees: Trees, columns: list[Column], numbers: Numbering, order: Ints, leaves: Leaves, base: NDArray[np.float64]
) -> Ints:
    """The ensemble as words. leaves: its values and how they are added; base [K]: what no tree carries.

    Raises ValueError if a node does not fit in one word.
    """
    tests = _Tests(np.zeros(len(trees.feature), dtype=np.int64), np.zeros(len(trees.feature), dtype=np.int64))
    for column in columns:
        if len(column.nodes):
            (_sets if column.coded else _numbers)(trees, column, tests)
    values = leaves.value.numpy()
    limit_bits = int(max(len(values), tests.limit.max(initial=0) + 2)).bit_length()
    test_bits = tests.count.bit_length()
    nodes, roots = _nodes(trees, numbers, order, tests, len(values) - 1, limit_bits, test_bits)
    sizes = {
        "tests": tests.count,
        "limit_bits": limit_bits,
        "test_bits": test_bits,
        "float32": int(trees.precision == "float32"),
        "right": int(trees.compare == "<"),
        "single": int(bool(leaves.config["float32"])),
        "divide": int(np.array(leaves.config["divide"], dtype=np.float64).view(np.int64)),
    }
    edges = np.concatenate([np.empty(0), *tests.edges])
    sets = np.concatenate([np.empty(0, dtype=np.int64), *tests.sets])
    return pack(sizes, tests.records, edges, sets, roots, nodes, values, base)


def _numbers(trees: Trees, column: Column, tests: _Tests) -> None:
    """Two tests at most: missing as the lowest for nodes that send it left, as the highest for the others."""
    nodes, count = column.nodes, len(column.thresholds)
    left = trees.default_left[nodes] | (column.missing == MISSING_NONE)
    low = tests.count if left.any() else -1
    high = tests.count + int(left.any()) if not left.all() else -1
    side = "left" if trees.compare == "<=" else "right"
    at_zero = int(np.searchsorted(column.thresholds, 0.0, side=side)) + 1  # type: ignore[call-overload]
    tests.add(
        kind=NUMBER,
        source=column.feature,
        first=sum(map(len, tests.edges)),
        count=count,
        low=low,
        high=high,
        low_absent=at_zero if column.missing == MISSING_NONE else 0,
        high_absent=count + 2,
        zero=int(column.zero >= 0),
    )
    tests.edges.append(column.thresholds)
    tests.test[nodes] = np.where(left, low, high)
    tests.limit[nodes] = np.searchsorted(column.thresholds, trees.threshold[nodes]) + 1
    tests.count += (low >= 0) + (high >= 0)


def _sets(trees: Trees, column: Column, tests: _Tests) -> None:
    """One test per distinct set of categories: 0 goes left, 1 goes right."""
    left, row = np.unique(goes_left(trees, column)[:, : column.last + 2], axis=0, return_inverse=True)
    words = -(-left.shape[1] // 64)
    bits = np.zeros((len(left), words * 64), dtype=np.uint8)
    bits[:, : left.shape[1]] = ~left
    tests.add(
        kind=CODED,
        source=column.feature,
        count=column.last,
        first=sum(map(len, tests.sets)),
        sets=len(left),
        set_words=words,
        first_test=tests.count,
    )
    tests.sets.append(np.packbits(bits, axis=1, bitorder="little").view("<i8").astype(np.int64).ravel())
    tests.test[column.nodes] = tests.count + row.reshape(-1)
    tests.count += len(left)


def places_of(trees: Trees, numbers: Numbering) -> Ints:
    """New place of each node [N]: tree by tree, the root, then pairs of siblings level by level, parents first."""
    pairs = np.flatnonzero(trees.feature >= 0)
    pairs = pairs[np.lexsort((pairs, numbers.level[pairs], numbers.tree[pairs]))]
    place = np.empty(len(trees.feature), dtype=np.int64)
    inner = np.bincount(numbers.tree[pairs], minlength=trees.n_trees)
    place[trees.roots] = 2 * (np.cumsum(inner) - inner) + np.arange(trees.n_trees)
    place[trees.left[pairs]] = 2 * np.arange(len(pairs)) + numbers.tree[pairs] + 1
    place[trees.right[pairs]] = place[trees.left[pairs]] + 1
    return place


def _nodes(
    trees: Trees, numbers: Numbering, order: Ints, tests: _Tests, empty: int, limit_bits: int, test_bits: int
) -> tuple[Ints, Ints]:
    """Nodes [N + 1], the last one the leaf of an empty tree, and the roots [T]; empty: the row of values of that."""
    size = len(trees.feature) + 1
    if size.bit_length() + test_bits + limit_bits > 62 or test_bits > MOST_BITS:
        raise ValueError(f"{size} nodes with {tests.count} tests do not fit in one integer per node")
    place = places_of(trees, numbers)
    inner = np.flatnonzero(trees.feature >= 0)
    ends = np.flatnonzero(trees.feature < 0)
    nodes = np.arange(size) << (test_bits + limit_bits)
    nodes[place[ends]] |= numbers.start[numbers.tree[ends]] + numbers.low[ends]
    nodes[-1] |= empty
    at_left = place[trees.left[inner]] << (test_bits + limit_bits)
    nodes[place[inner]] = at_left | tests.test[inner] << limit_bits | tests.limit[inner]
    return nodes, np.array([place[trees.roots[tree]] if tree >= 0 else size - 1 for tree in order])
