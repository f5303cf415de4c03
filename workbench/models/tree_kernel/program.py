"""A tree ensemble as one array of int64 words, so that one compiled kernel runs every ensemble.

A value of a column first becomes a *symbol* (the interval between two thresholds it lies in, a category, missing).
A symbol is then written down as the ordered numbers the nodes compare, one per *test* (a way of asking a column).
Test 0 is always 0. A node is one word: `left << (test_bits + limit_bits) | test << limit_bits | limit`; the row goes
to `left`, or to `left + 1` where the number of its test is above the limit. A leaf asks test 0, and its limit is its
row of values, its left itself.

Words, from the start: `HEADER` (name → place), then the parts, each at the offset the header names:
columns [C, COLUMN], edges float64, sets (bit tables), roots [T], nodes [N], values float64 [P, L], base float64 [K].
Trees lie output by output, T / K for each (L = 1), or all add to every output (L = K).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.models.protocol import Refused

Ints = NDArray[np.int64]

MAGIC = 0x31_4545_5254_4257
"""The letters WBTREE1."""

_NAMES = """magic words columns tests trees nodes leaves width outputs limit_bits test_bits float32 right single divide
    at_columns at_edges at_sets at_roots at_nodes at_values at_base edges set_words"""
HEADER = {name: place for place, name in enumerate(_NAMES.split())}
"""Sizes and switches. float32: inputs are rounded to it. right: a threshold belongs to the interval above it.
single: sums are rounded to float32 after each tree. divide: the bits of the float64 that sums are divided by."""

_FIELDS = "kind source first count low high low_absent high_absent zero sets set_words first_test"
COLUMN = {name: place for place, name in enumerate(_FIELDS.split())}
"""What is said of a column. kind: NUMBER, CODED (a number that is a category code) or CODE (a code of the edge).
source: place among the numbers, or the codes. first, count: its thresholds, or `count` categories. low, high: the
tests in which a missing value is lowest, highest (-1: none asks so); low_absent, high_absent: what it is there.
zero: 1 where a zero is missing. sets, set_words: number of bit tables and words of each; first_test: test of the first,
whose bit s says that symbol s goes right; the tables start at word `first` of `sets`."""

NUMBER, CODED, CODE = 0, 1, 2
MOST_BITS = 24
"""Of a test's number."""


def pack(
    sizes: dict[str, int],
    columns: Sequence[dict[str, int]],
    edges: NDArray[np.float64],
    sets: Ints,
    roots: Ints,
    nodes: Ints,
    values: NDArray[np.float64],
    base: NDArray[np.float64],
) -> Ints:
    """The words of a program; sizes: the rest of the header (see `HEADER`)."""
    records = np.array([[column[name] for name in COLUMN] for column in columns], dtype=np.int64).ravel()
    parts = {
        "at_columns": records,
        "at_edges": edges.view(np.int64),
        "at_sets": sets,
        "at_roots": roots,
        "at_nodes": nodes,
        "at_values": np.ascontiguousarray(values, dtype=np.float64).view(np.int64).ravel(),
        "at_base": base.view(np.int64),
    }
    counts = {"columns": len(columns), "trees": len(roots), "nodes": len(nodes), "edges": len(edges)}
    shape = {"leaves": values.shape[0], "width": values.shape[1], "outputs": len(base), "set_words": len(sets)}
    header = {"magic": MAGIC, **counts, **shape, **sizes}
    place = len(HEADER)
    for name, part in parts.items():
        header[name] = place
        place += len(part)
    header["words"] = place
    return np.concatenate([np.array([header[name] for name in HEADER], dtype=np.int64), *parts.values()])


def check(program: Ints) -> tuple[int, int, int]:
    """Hold every size, place and index against the words before anything follows them.

    (numbers, codes) it reads and how many outputs it gives.

    Raises Refused naming what is wrong. Every node's children lie after it, so a walk ends.
    """
    if program.ndim != 1 or len(program) < len(HEADER) or program[0] != MAGIC or program[1] != len(program):
        raise Refused("the tree program is not one this version writes: make the candidate anew")
    head = {name: int(program[place]) for name, place in HEADER.items()}
    _require(all(value >= 0 for name, value in head.items() if name != "divide"), "a size below 0")
    _require(head["test_bits"] <= MOST_BITS and head["tests"] <= 1 << head["test_bits"], "tests that fit no word")
    _require(
        head["tests"] > 0 and head["trees"] > 0 and head["outputs"] > 0 and head["width"] in (1, head["outputs"]),
        "no output",
    )
    _require(head["width"] > 1 or head["trees"] % head["outputs"] == 0, "trees that fit no output")
    _require(bool(program[HEADER["divide"]].view(np.float64) > 0), "a division by nothing")
    parts = {name: _part(program, head, name) for name in _LENGTHS}
    records = parts["at_columns"].reshape(-1, len(COLUMN))
    asks = [0, 0]
    for record in records.tolist():
        said = dict(zip(COLUMN, record))
        _check_column(said, head)
        which = int(said["kind"] == CODE)
        asks[which] = max(asks[which], said["source"] + 1)
    _check_nodes(parts["at_nodes"], parts["at_roots"], head)
    return asks[0], asks[1], head["outputs"]


_LENGTHS = {
    "at_columns": lambda h: h["columns"] * len(COLUMN),
    "at_edges": lambda h: h["edges"],
    "at_sets": lambda h: h["set_words"],
    "at_roots": lambda h: h["trees"],
    "at_nodes": lambda h: h["nodes"],
    "at_values": lambda h: h["leaves"] * h["width"],
    "at_base": lambda h: h["outputs"],
}


def _require(held: bool, what: str) -> None:
    if not held:
        raise Refused(f"the tree program has {what}: it was changed after it was made; make the candidate anew")


def _part(program: Ints, head: dict[str, int], name: str) -> Ints:
    length = _LENGTHS[name](head)
    _require(len(HEADER) <= head[name] and head[name] + length <= len(program), f"a part out of range ({name})")
    return program[head[name] : head[name] + length]


def _check_column(said: dict[str, int], head: dict[str, int]) -> None:
    _require(said["kind"] in (NUMBER, CODED, CODE) and said["source"] >= 0, "a column of no kind")
    if said["kind"] == NUMBER:
        inside = said["first"] >= 0 and said["count"] > 0 and said["first"] + said["count"] <= head["edges"]
        _require(inside and max(said["low"], said["high"]) < head["tests"], "a column out of range")
        return
    _require(said["count"] > 0 and said["set_words"] > 0, "a set of nothing")
    symbols = said["count"] + (2 if said["kind"] == CODED else 0)
    words = said["sets"] * said["set_words"]
    inside = said["first"] >= 0 and words >= 0 and said["first"] + words <= head["set_words"]
    _require(inside and symbols <= 64 * said["set_words"], "a set out of range")
    _require(said["first_test"] > 0 and said["first_test"] + said["sets"] <= head["tests"], "a set out of range")


def _check_nodes(nodes: Ints, roots: Ints, head: dict[str, int]) -> None:
    limit_bits, test_bits = head["limit_bits"], head["test_bits"]
    _require(limit_bits + test_bits < 62 and bool((nodes >= 0).all()), "nodes that fit no word")
    test, left = (nodes >> limit_bits) & ((1 << test_bits) - 1), nodes >> (limit_bits + test_bits)
    leaf = test == 0
    _require(bool((test < head["tests"]).all()), "a node that asks what is not there")
    _require(bool((left[leaf] == np.flatnonzero(leaf)).all()), "a leaf that leads on")
    _require(bool((left[~leaf] > np.flatnonzero(~leaf)).all()), "a node that leads back")
    _require(
        bool((left[~leaf] + 1 < len(nodes)).all() and (roots >= 0).all() and (roots < len(nodes)).all()), "a way out"
    )
    _require(bool(((nodes & ((1 << limit_bits) - 1))[leaf] < head["leaves"]).all()), "a leaf without values")


def thresholds(program: Ints) -> NDArray[np.float64]:
    """All thresholds of a checked program, column by column."""
    first = int(program[HEADER["at_edges"]])
    return program[first : first + int(program[HEADER["edges"]])].view(np.float64)
