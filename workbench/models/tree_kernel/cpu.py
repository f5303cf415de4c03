"""The CPU kernel: many rows 32 side by side through one tree, a single row through 32 trees side by side.

Everything it is given is an address or a number, so it is compiled once for all models, and calling it costs little.
Rows are taken in blocks and trees one by one, so that a tree stays in the cache for the block's rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from workbench.models.tree_kernel import lanes as v
from workbench.models.tree_kernel.program import CODE, CODED, COLUMN, HEADER

LANES, SHIFT = v.LANES, v.SHIFT
TINY = 1.0000000180025095e-35
"""float32(1e-35), what LightGBM takes for zero."""

FIRST = 3
"""Symbol of the edge's code 0: UNKNOWN, NONE and MISSING come before."""

SCRATCH = 256 << 10
"""Bytes of a block's tests, at most: they stay in a core's second cache beside a tree."""

(_COLUMNS, _TESTS, _TREES, _WIDTH, _OUTPUTS) = (HEADER[n] for n in ("columns", "tests", "trees", "width", "outputs"))
(_LIMIT_BITS, _TEST_BITS, _FLOAT32) = (HEADER[n] for n in ("limit_bits", "test_bits", "float32"))
(_RIGHT, _SINGLE, _DIVIDE) = (HEADER[n] for n in ("right", "single", "divide"))
(_AT_COLUMNS, _AT_EDGES, _AT_SETS) = (HEADER[n] for n in ("at_columns", "at_edges", "at_sets"))
(_AT_ROOTS, _AT_NODES, _AT_VALUES, _AT_BASE) = (HEADER[n] for n in ("at_roots", "at_nodes", "at_values", "at_base"))
_RECORD = len(COLUMN)
(_KIND, _SOURCE, _FIRST, _COUNT, _LOW, _HIGH) = (COLUMN[n] for n in ("kind", "source", "first", "count", "low", "high"))
(_LOW_ABSENT, _HIGH_ABSENT, _ZERO) = (COLUMN[n] for n in ("low_absent", "high_absent", "zero"))
(_SETS, _SET_WORDS, _FIRST_TEST) = (COLUMN[n] for n in ("sets", "set_words", "first_test"))


def _kept(function: Callable[..., Any]) -> Any:
    """Compiled at the first call, and kept on disk where numba finds a place to write."""
    try:
        return njit(nogil=True, cache=True, error_model="numpy")(function)
    except RuntimeError:  # no folder can be written
        return njit(nogil=True, error_model="numpy")(function)


_part = njit(nogil=True, forceinline=True, error_model="numpy")
"""Compiled as part of what calls it."""


@_part
def _address(array: Any) -> Any:  # pragma: no cover - compiled
    return np.int64(array.ctypes.data)


@_part
def _hold(array: Any) -> Any:  # pragma: no cover - compiled
    """Named after an array's address was used for the last time: numba frees what no later line names."""
    return array.size


@_part
def _search(edges: Any, count: Any, x: Any, right: Any) -> Any:  # pragma: no cover - compiled
    """How many of `count` >= 1 sorted edges are below each lane's x (right: or equal to it); 0 for NaN."""
    at = v.splat(0)
    left = count
    while left > 1:
        half = left >> 1
        edge = v.gather_floats(edges, at + (half - 1))
        at = v.where(edge <= x, at + half, at) if right else v.where(edge < x, at + half, at)
        left -= half
    edge = v.gather_floats(edges, at)
    return at + v.as_int(edge <= x) if right else at + v.as_int(edge < x)


@_part
def _number(program: Any, column: Any, x: Any, tests: Any) -> Any:  # pragma: no cover - compiled
    """Tests of a column of numbers, for LANES rows."""
    edges = program + 8 * (v.word(program, _AT_EDGES) + v.word(column, _FIRST))
    value = _search(edges, v.word(column, _COUNT), x, v.word(program, _RIGHT) != 0) + 1
    missing = x != x
    if v.word(column, _ZERO):
        missing = missing | ((x <= TINY) & (x >= -TINY))
    low, high = v.word(column, _LOW), v.word(column, _HIGH)
    if low >= 0:
        v.store_shorts(tests + 4 * LANES * low, v.where(missing, v.splat(v.word(column, _LOW_ABSENT)), value))
    if high >= 0:
        v.store_shorts(tests + 4 * LANES * high, v.where(missing, v.splat(v.word(column, _HIGH_ABSENT)), value))


@_part
def _sets(program: Any, column: Any, symbol: Any, tests: Any) -> Any:  # pragma: no cover - compiled
    """Tests of a column of categories, one per set of them that goes right."""
    words = v.word(column, _SET_WORDS)
    table = program + 8 * (v.word(program, _AT_SETS) + v.word(column, _FIRST))
    test = v.word(column, _FIRST_TEST)
    for number in range(v.word(column, _SETS)):
        word = v.gather_ints(table + 8 * words * number, symbol >> 6)
        v.store_shorts(tests + 4 * LANES * (test + number), (word >> (symbol & 63)) & 1)


@_part
def _coded(x: Any, count: Any) -> Any:  # pragma: no cover - compiled
    """Symbols of numbers that are category codes: `count` for one out of range, one more for NaN."""
    inside = (x >= 0.0) & (x < float(count))
    code = v.truncated(v.where_float(inside, x, v.splat_float(0.0)))
    symbol = v.where(inside, code, v.splat(count))
    return v.where(x != x, v.splat(count + 1), symbol)


@_part
def _encode(
    program: Any, numbers: Any, step: Any, codes: Any, code_step: Any, rows: Any, tests: Any
) -> None:  # pragma: no cover - compiled
    """Tests [R, LANES] int32 of LANES rows."""
    for number in range(v.word(program, _COLUMNS)):
        column = program + 8 * (v.word(program, _AT_COLUMNS) + number * _RECORD)
        kind, source = v.word(column, _KIND), v.word(column, _SOURCE)
        if kind == CODE:
            symbol = v.gather_ints(codes + 8 * source, rows * code_step) + FIRST
            known = (symbol > 0) & (symbol < v.word(column, _COUNT))
            _sets(program, column, v.where(known, symbol, v.splat(0)), tests)
        else:
            x = v.gather_floats(numbers + 8 * source, rows * step)
            if v.word(program, _FLOAT32):
                x = v.single(x)
            if kind == CODED:
                _sets(program, column, _coded(x, v.word(column, _COUNT)), tests)
            else:
                _number(program, column, x, tests)


@_part
def _leaf(program: Any, at: Any, tests: Any, shift: Any, lane: Any) -> Any:  # pragma: no cover - compiled
    """Row of values that each lane ends in. tests: int32, of test t and lane i at `(t << shift) + lane[i]`."""
    limit_bits, test_bits = v.word(program, _LIMIT_BITS), v.word(program, _TEST_BITS)
    limits, all_tests, up = (1 << limit_bits) - 1, (1 << test_bits) - 1, limit_bits + test_bits
    nodes = program + 8 * v.word(program, _AT_NODES)
    node = v.gather_ints(nodes, at)
    test = (node >> limit_bits) & all_tests
    while v.some(test != 0):
        asked = v.gather_shorts(tests, (test << shift) + lane)
        at = (node >> up) + v.as_int(asked > (node & limits))
        node = v.gather_ints(nodes, at)
        test = (node >> limit_bits) & all_tests
    return node & limits


@_part
def _add(program: Any, leaf: Any, tree: Any, sums: Any) -> None:  # pragma: no cover - compiled
    """Add a tree's values to the sums [K, LANES]."""
    values, width = program + 8 * v.word(program, _AT_VALUES), v.word(program, _WIDTH)
    each = v.word(program, _TREES) // v.word(program, _OUTPUTS)
    output = 0 if width > 1 else tree // each
    for k in range(width):
        place = sums + 8 * LANES * (output + k)
        total = v.load_floats(place) + v.gather_floats(values + 8 * k, leaf * width)
        v.store_floats(place, v.single(total) if v.word(program, _SINGLE) else total)


@_kept
def many(
    program: Any, numbers: Any, step: Any, codes: Any, code_step: Any, out: Any, start: Any, stop: Any
) -> None:  # pragma: no cover - compiled
    """Raw sums of rows start … stop, block by block, LANES rows at a time through each tree.

    Addresses: program (checked), numbers float64 [n, step], codes int64 [n, code_step], out float64 [n, K].
    """
    n_tests, outputs = v.word(program, _TESTS), v.word(program, _OUTPUTS)
    groups = min(max(SCRATCH // (4 * LANES * n_tests), 1), (stop - start + LANES - 1) >> SHIFT)
    tests = np.zeros(groups * n_tests * LANES, np.int32)
    sums = np.empty(groups * outputs * LANES)
    roots = program + 8 * v.word(program, _AT_ROOTS)
    for block in range(start, stop, groups * LANES):
        some = min(groups, (stop - block + LANES - 1) >> SHIFT)
        sums[:] = 0.0
        for group in range(some):
            row = v.iota() + (block + group * LANES)
            rows = v.where(row < stop, row, v.splat(stop - 1))
            _encode(program, numbers, step, codes, code_step, rows, _address(tests) + group * 4 * LANES * n_tests)
        for tree in range(v.word(program, _TREES)):
            root = v.splat(v.word(roots, tree))
            for group in range(some):
                asked = _address(tests) + group * 4 * LANES * n_tests
                leaf = _leaf(program, root, asked, SHIFT, v.iota())
                _add(program, leaf, tree, _address(sums) + group * 8 * LANES * outputs)
        _finish(program, sums, out, block, min(stop, block + some * LANES))
    _hold(tests)
    _hold(sums)


@_part
def _finish(program: Any, sums: Any, out: Any, start: Any, stop: Any) -> None:  # pragma: no cover - compiled
    """Sums [groups, K, LANES] to out [n, K]: divided, and with the base that no tree carries."""
    outputs, divide = v.word(program, _OUTPUTS), v.load_float(program + 8 * _DIVIDE)
    base = program + 8 * v.word(program, _AT_BASE)
    for row in range(start, stop):
        group, lane = (row - start) >> SHIFT, (row - start) & (LANES - 1)
        for k in range(outputs):
            total = sums[(group * outputs + k) * LANES + lane] / divide + v.load_float(base + 8 * k)
            v.store_float(out + 8 * (row * outputs + k), total)


@_part
def _encode_one(program: Any, numbers: Any, codes: Any, tests: Any) -> None:  # pragma: no cover - compiled
    """Tests [R] int32 of one row, given where its numbers and codes are: as `_encode`, one column after the other."""
    right, narrow = v.word(program, _RIGHT), v.word(program, _FLOAT32)
    for number in range(v.word(program, _COLUMNS)):
        column = program + 8 * (v.word(program, _AT_COLUMNS) + number * _RECORD)
        kind, source, count = v.word(column, _KIND), v.word(column, _SOURCE), v.word(column, _COUNT)
        if kind == CODE:
            symbol = v.word(codes, source) + FIRST
            _sets_one(program, column, symbol if 0 < symbol < count else 0, tests)
            continue
        x = v.load_float(numbers + 8 * source)
        x = np.float64(np.float32(x)) if narrow else x
        if kind == CODED:
            symbol = np.int64(x) if 0.0 <= x < count else count
            _sets_one(program, column, count + 1 if x != x else symbol, tests)
            continue
        edges = program + 8 * (v.word(program, _AT_EDGES) + v.word(column, _FIRST))
        at = 0
        while count > 1:
            half = count >> 1
            edge = v.load_float(edges + 8 * (at + half - 1))
            at += half * ((edge <= x) if right else (edge < x))
            count -= half
        edge = v.load_float(edges + 8 * at)
        at += ((edge <= x) if right else (edge < x)) + 1
        missing = x != x or (v.word(column, _ZERO) != 0 and abs(x) <= TINY)
        low, high = v.word(column, _LOW), v.word(column, _HIGH)
        if low >= 0:
            v.store_short(tests + 4 * low, v.word(column, _LOW_ABSENT) if missing else at)
        if high >= 0:
            v.store_short(tests + 4 * high, v.word(column, _HIGH_ABSENT) if missing else at)


@_part
def _sets_one(program: Any, column: Any, symbol: Any, tests: Any) -> None:  # pragma: no cover - compiled
    words, test = v.word(column, _SET_WORDS), v.word(column, _FIRST_TEST)
    table = v.word(program, _AT_SETS) + v.word(column, _FIRST) + (symbol >> 6)
    for number in range(v.word(column, _SETS)):
        word = v.word(program, table + words * number)
        v.store_short(tests + 4 * (test + number), (word >> (symbol & 63)) & 1)


@_part
def _one(program: Any, tests: Any, leaf: Any, out: Any) -> None:  # pragma: no cover - compiled
    """Raw sums [K] of one row, LANES trees side by side. tests [R] int32; leaf: room for T + LANES words."""
    trees, width, outputs = v.word(program, _TREES), v.word(program, _WIDTH), v.word(program, _OUTPUTS)
    roots, each = program + 8 * v.word(program, _AT_ROOTS), trees // outputs
    for tree in range(0, trees, LANES):
        place = v.iota() + tree
        at = v.gather_ints(roots, v.where(place < trees, place, v.splat(trees - 1)))
        v.store_ints(leaf + 8 * tree, _leaf(program, at, tests, 0, v.splat(0)))
    values, single = program + 8 * v.word(program, _AT_VALUES), v.word(program, _SINGLE)
    divide, base = v.load_float(program + 8 * _DIVIDE), program + 8 * v.word(program, _AT_BASE)
    for output in range(outputs):
        first, last, k = (0, trees, output) if width > 1 else (output * each, (output + 1) * each, 0)
        total = 0.0
        for tree in range(first, last):
            total += v.load_float(values + 8 * (v.word(leaf, tree) * width + k))
            total = np.float64(np.float32(total)) if single else total
        v.store_float(out + 8 * output, total / divide + v.load_float(base + 8 * output))


@_kept
def few(
    program: Any, numbers: Any, step: Any, codes: Any, code_step: Any, out: Any, start: Any, stop: Any
) -> None:  # pragma: no cover - compiled
    """As `many`, one row after the other, LANES trees side by side."""
    tests = np.zeros(v.word(program, _TESTS), np.int32)
    leaf = np.empty(v.word(program, _TREES) + LANES, np.int64)
    for row in range(start, stop):
        _encode_one(program, numbers + 8 * row * step, codes + 8 * row * code_step, _address(tests))
        _one(program, _address(tests), _address(leaf), out + 8 * row * v.word(program, _OUTPUTS))
    _hold(tests)
    _hold(leaf)


@_kept
def prepare(raw: Any, chance: Any, rows: Any, single: Any, scale: Any) -> None:  # pragma: no cover - compiled
    """From the margins to what torch takes the sigmoid of (single: the exponential)."""
    for row in range(rows):
        margin = v.load_float(raw + 8 * row)
        if single:
            power = -np.float32(margin) * np.float32(scale)
            v.store_float(chance + 8 * row, np.float64(np.float32(88.7) if power > np.float32(88.7) else power))
        else:
            v.store_float(chance + 8 * row, margin * scale)


@_kept
def finish(
    raw: Any, chance: Any, rows: Any, single: Any, rule: Any, scores: Any, label: Any
) -> None:  # pragma: no cover - compiled
    """From margins and torch's answer to scores and labels. Addresses: raw, chance [n], scores [n, 2], label [n]."""
    for row in range(rows):
        second, margin = v.load_float(chance + 8 * row), v.load_float(raw + 8 * row)
        if single:
            second = np.float64(np.float32(1.0) / (np.float32(second) + np.float32(1.0)))
        first = np.float64(np.float32(1.0 - second)) if single else 1.0 - second
        v.store_float(scores + 16 * row, first)
        v.store_float(scores + 16 * row + 8, second)
        chosen = margin > 0.0 if rule == 0 else margin >= 0.0 if rule == 1 else second > first
        v.store_int(label + 8 * row, np.int64(chosen))
