"""A tree program (`models.tree_kernel.program`) as ONNX's TreeEnsemble: float64 thresholds, sums in the model's order.

What onnxruntime does with this operator, and why the graph is made as it is:
- TreeEnsemble compares float64 with float64 where input and thresholds are; the older TreeEnsembleClassifier rounds
  both to float32, which moves unix seconds and cents across thresholds.
- It adds trees in an order of its own. So every tree answers in a column of its own, and CumSum adds the columns one by
  one, in float32 where the source does.
- A set of categories is asked as a column that is 0 or 1, looked up beforehand: BRANCH_MEMBER compares one by one.
- A node sends NaN the way it says. Where the source reads a missing value as zero, or zero as missing, the column is
  rewritten before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.migrate.export.graph import ML, Graph, NoForm
from workbench.models.tree_kernel.program import CODE, COLUMN, HEADER, NUMBER

TINY = 1.0000000180025095e-35
LESS_EQUAL, LESS, SUM = 0, 1, 1
"""Numbers of TreeEnsemble's modes, and of its way to aggregate."""

Ints = NDArray[np.int64]


class Program:
    """The words by name."""

    def __init__(self, words: Ints) -> None:
        self.words = words
        self.head = {name: int(words[place]) for name, place in HEADER.items()}
        records = self.part("at_columns", self.head["columns"] * len(COLUMN)).reshape(-1, len(COLUMN))
        self.columns = [dict(zip(COLUMN, record)) for record in records.tolist()]
        self.edges = self.part("at_edges", self.head["edges"]).view(np.float64)
        self.sets = self.part("at_sets", self.head["set_words"])
        self.roots = self.part("at_roots", self.head["trees"])
        self.nodes = self.part("at_nodes", self.head["nodes"])
        values = self.part("at_values", self.head["leaves"] * self.head["width"])
        self.values = values.view(np.float64).reshape(-1, self.head["width"])
        self.base = self.part("at_base", self.head["outputs"]).view(np.float64)
        self.divide = float(words[HEADER["divide"] : HEADER["divide"] + 1].view(np.float64)[0])

    def part(self, place: str, length: int) -> Ints:
        return self.words[self.head[place] : self.head[place] + length]


@dataclass
class _Asked:
    """What nodes ask, by number of the test: column of the matrix, first threshold (-1: 0.5), missing goes left."""

    column: Ints
    first: Ints
    missing_left: Ints


def ensemble(graph: Graph, words: Ints, numbers: str, codes: str) -> str:
    """Raw sums float64 [n, K]; numbers float64 [n, F], codes int64 [n, b] are names of tensors.

    Raises NoForm for trees with nothing in them.
    """
    program = Program(words)
    if not len(program.roots):
        raise NoForm("an ensemble without trees")
    matrix, asked = _matrix(graph, program, numbers, codes)
    found = _leaves(graph, program, matrix, asked)
    sums = _sums(graph, program, found)
    if program.divide != 1.0:
        sums = graph.add("Div", sums, graph.constant(program.divide, np.float64))
    return graph.add("Add", sums, graph.constant(program.base)) if program.base.any() else sums


def _matrix(graph: Graph, program: Program, numbers: str, codes: str) -> tuple[str, _Asked]:
    """One float64 column for each column of numbers, and for each set that is asked."""
    tests = program.head["tests"]
    asked = _Asked(np.zeros(tests, np.int64), np.full(tests, -1, dtype=np.int64), np.zeros(tests, np.int64))
    if program.head["float32"]:
        numbers = graph.cast(graph.cast(numbers, np.float32), np.float64)
    parts, width = [], 0
    for said in program.columns:
        if said["kind"] == NUMBER:
            parts.append(_number(graph, said, numbers))
            for side in ("low", "high"):
                if said[side] >= 0:
                    asked.column[said[side]], asked.first[said[side]] = width, said["first"]
                    asked.missing_left[said[side]] = side == "low"
            width += 1
        elif said["sets"]:
            parts.append(_set_columns(graph, program, said, codes if said["kind"] == CODE else numbers))
            asked.column[said["first_test"] + np.arange(said["sets"])] = width + np.arange(said["sets"])
            width += said["sets"]
    # Trees that are one leaf each ask nothing, and the operator wants a column all the same.
    return graph.beside(parts) if parts else graph.add("Gather", numbers, graph.ints(0), axis=1), asked


def _number(graph: Graph, said: dict[str, int], numbers: str) -> str:
    x: str = graph.add("Gather", numbers, graph.ints(said["source"]), axis=1)
    nothing, zero = graph.constant(np.nan), graph.constant(0.0)
    if said["low"] >= 0 and said["low_absent"] > 0:
        x = graph.add("Where", graph.add("IsNaN", x), zero, x)
    if said["zero"]:
        tiny = graph.add("LessOrEqual", graph.add("Abs", x), graph.constant(TINY))
        x = graph.add("Where", tiny, nothing, x)
    return x


def _set_columns(graph: Graph, program: Program, said: dict[str, int], values: str) -> str:
    """[n, sets]: 1 where the value's symbol goes right."""
    symbols = said["count"] + (0 if said["kind"] == CODE else 2)
    words = program.sets[said["first"] :][: said["sets"] * said["set_words"]].reshape(said["sets"], -1)
    bits = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")[:, :symbols]
    table = graph.constant(bits.T, np.float64)
    x = graph.add("Gather", values, graph.constant(said["source"], np.int64), axis=1)
    symbol = _code(graph, x, symbols) if said["kind"] == CODE else _coded(graph, x, said["count"])
    return str(graph.add("Gather", table, symbol, axis=0))


def _code(graph: Graph, code: str, symbols: int) -> str:
    symbol = graph.add("Add", code, graph.constant(3, np.int64))
    above = graph.add("Less", symbol, graph.constant(symbols, np.int64))
    inside = graph.add("And", graph.add("Greater", symbol, graph.constant(0, np.int64)), above)
    return str(graph.add("Where", inside, symbol, graph.constant(0, np.int64)))


def _coded(graph: Graph, x: str, count: int) -> str:
    zero = graph.constant(0.0)
    above = graph.add("Less", x, graph.constant(float(count)))
    inside = graph.add("And", graph.add("GreaterOrEqual", x, zero), above)
    whole = graph.cast(graph.add("Where", inside, x, zero), np.int64)
    code = graph.add("Where", inside, whole, graph.constant(count, np.int64))
    return str(graph.add("Where", graph.add("IsNaN", x), graph.constant(count + 1, np.int64), code))


def _leaves(graph: Graph, program: Program, matrix: str, asked: _Asked) -> str:
    """What each tree answers, float64 [n, T]: its leaf's value, or the leaf's number where leaves hold several."""
    from onnx import numpy_helper

    head = program.head
    given = _flat(program, asked)
    rows = given.pop("rows")
    weights = program.values[rows, 0] if head["width"] == 1 else rows.astype(np.float64)
    mode = LESS if head["right"] else LESS_EQUAL
    tensors: dict[str, NDArray[Any]] = {
        "nodes_modes": np.full(len(given["nodes_featureids"]), mode, dtype=np.uint8),
        "nodes_splits": given.pop("nodes_splits"),
        "leaf_weights": weights,
    }
    made: str = graph.add(
        "TreeEnsemble",
        matrix,
        domain=ML,
        n_targets=head["trees"],
        aggregate_function=SUM,
        post_transform=0,
        **{name: numpy_helper.from_array(array) for name, array in tensors.items()},
        **{name: array.tolist() for name, array in given.items()},
    )
    return made


def _flat(program: Program, asked: _Asked) -> dict[str, NDArray[Any]]:
    """TreeEnsemble's lists of nodes and leaves; `rows`: each leaf's row of values."""
    limit_bits, test_bits = program.head["limit_bits"], program.head["test_bits"]
    node, tree = _reached(program)
    test = (program.nodes[node] >> limit_bits) & ((1 << test_bits) - 1)
    limit = program.nodes[node] & ((1 << limit_bits) - 1)
    left = program.nodes[node] >> (limit_bits + test_bits)
    leaf = test == 0
    # A tree that is one leaf is written as a node with that leaf on both sides.
    roots = np.arange(program.head["trees"])
    written = ~leaf | (np.arange(len(node)) < len(roots))
    number = np.where(leaf, np.cumsum(leaf), np.cumsum(written)) - 1
    place = {key: at for at, key in enumerate(zip(tree.tolist(), node.tolist()))}
    inner = np.flatnonzero(written)
    sides = [
        np.array([at if leaf[at] else place[int(tree[at]), int(left[at]) + side] for at in inner]) for side in (0, 1)
    ]
    first = asked.first[test[inner]]
    edges = program.edges if len(program.edges) else np.zeros(1)
    split = np.where(first >= 0, edges[np.where(first >= 0, first + limit[inner] - 1, 0)], 0.5)
    return {
        "rows": limit[leaf],
        "leaf_targetids": tree[leaf],
        "tree_roots": np.cumsum(written)[roots] - 1,
        "nodes_featureids": asked.column[test[inner]],
        "nodes_splits": np.where(leaf[inner], 0.0, split),
        "nodes_missing_value_tracks_true": asked.missing_left[test[inner]],
        "nodes_truenodeids": number[sides[0]],
        "nodes_trueleafs": leaf[sides[0]].astype(np.int64),
        "nodes_falsenodeids": number[sides[1]],
        "nodes_falseleafs": leaf[sides[1]].astype(np.int64),
    }


def _reached(program: Program) -> tuple[Ints, Ints]:
    """(node, tree) of all that rows can reach, roots first, tree by tree on each level."""
    limit_bits, test_bits = program.head["limit_bits"], program.head["test_bits"]
    node, tree = program.roots, np.arange(program.head["trees"])
    levels = []
    while len(node):
        levels.append((node, tree))
        inner = ((program.nodes[node] >> limit_bits) & ((1 << test_bits) - 1)) != 0
        left = program.nodes[node[inner]] >> (limit_bits + test_bits)
        node, tree = np.stack([left, left + 1], axis=1).ravel(), np.repeat(tree[inner], 2)
    return np.concatenate([level[0] for level in levels]), np.concatenate([level[1] for level in levels])


def _sums(graph: Graph, program: Program, found: str) -> str:
    """[n, K]: what the trees answer, added in their order."""
    head = program.head
    outputs = head["outputs"]
    if head["width"] > 1:
        found = graph.add("Gather", graph.constant(program.values), graph.cast(found, np.int64), axis=0)
        each, axis = head["trees"], 1
    else:
        found = graph.add("Reshape", found, graph.ints(0, outputs, head["trees"] // outputs))
        each, axis = head["trees"] // outputs, 2
    if head["single"]:
        found = graph.cast(found, np.float32)
    added = graph.add("CumSum", found, graph.constant(axis, np.int64))
    last: str = graph.add("Gather", added, graph.constant(each - 1, np.int64), axis=axis)
    return graph.cast(last, np.float64) if head["single"] else last
