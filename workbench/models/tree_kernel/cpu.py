"""The CPU kernels: many rows 32 side by side through one tree, a single row through 32 trees side by side.

Everything they are given is an address or a number, so each is compiled once for all models and shapes, and calling it
costs little. Rows are taken in blocks and trees one by one, so that a tree stays in the cache for the block's rows.
"""

# mypy: disable-error-code="misc"
from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from workbench.models.tree_kernel.lanes import LANES, SHIFT, Num, Writer, written
from workbench.models.tree_kernel.program import CODE, CODED, COLUMN, HEADER

TINY = 1.0000000180025095e-35
"""float32(1e-35), what LightGBM takes for zero."""

FIRST = 3
"""Symbol of the edge's code 0: UNKNOWN, NONE and MISSING come before."""

SCRATCH = 256 << 10
"""Bytes of a block's tests, at most: they stay in a core's second cache beside a tree."""


@functools.cache
def _stamp() -> str:
    """Of all that a kernel is written with: numba itself looks only at the file that the kernel stands in."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]


def kept(function: Callable[..., Any]) -> Any:
    """Compiled at the first call, and kept on disk where numba finds a place to write, under a name with the stamp."""
    function.__qualname__ = f"{function.__name__}_{_stamp()}"
    try:
        return njit(nogil=True, cache=True, error_model="numpy")(function)
    except RuntimeError:  # no folder can be written
        return njit(nogil=True, error_model="numpy")(function)


def groups_of(tests: int, rows: int) -> int:
    """LANES rows at a time in a block of `many`."""
    return max(1, min(SCRATCH // (4 * LANES * tests), -(-rows // LANES)))


def room_for_few(tests: int, trees: int) -> int:
    """Words of scratch that `few` needs."""
    return tests // 2 + 1 + trees + LANES


def room_for_many(tests: int, outputs: int, rows: int) -> int:
    """Words of scratch that `many` needs."""
    return groups_of(tests, rows) * LANES * (tests // 2 + 1 + outputs)


def _said(to: Writer, program: Num, name: str) -> Num:
    return to.int_at(program, HEADER[name])


def searched(to: Writer, edges: Num, count: Num, x: Num, right: Num) -> Num:
    """How many of `count` >= 1 sorted edges are below x (right: or equal to it); 0 for NaN."""
    at, left = to.variable(to.beside(to.integer(0), x)), to.variable(count)

    def below(edge: Num) -> Num:
        return (edge < x) | ((edge == x) & right)

    with to.repeat(lambda: left.now > 1):
        half = left.now >> 1
        at.set(to.where(below(to.float_at(edges, at.now + (half - 1))), at.now + half, at.now))
        left.set(left.now - half)
    return at.now + to.as_int(below(to.float_at(edges, at.now)))


def _number(to: Writer, program: Num, column: Num, x: Num, tests: Num, width: int) -> None:
    """Tests of a column of numbers."""
    count, zero, low, high = (to.int_at(column, COLUMN[name]) for name in ("count", "zero", "low", "high"))
    edges = program + (_said(to, program, "at_edges") + to.int_at(column, COLUMN["first"])) * 8
    value = searched(to, edges, count, x, _said(to, program, "right") != 0) + 1
    missing = (x != x) | ((x <= TINY) & (x >= -TINY) & (zero != 0))
    for test, absent in ((low, "low_absent"), (high, "high_absent")):
        with to.when(test >= 0):
            to.put_short(to.where(missing, to.int_at(column, COLUMN[absent]), value), tests, test * width)


def _sets(to: Writer, program: Num, column: Num, symbol: Num, tests: Num, width: int) -> None:
    """Tests of a column of categories, one per set of them that goes right."""
    words, first_test = to.int_at(column, COLUMN["set_words"]), to.int_at(column, COLUMN["first_test"])
    table = program + (_said(to, program, "at_sets") + to.int_at(column, COLUMN["first"])) * 8
    with to.loop(to.int_at(column, COLUMN["sets"])) as number:
        bits = to.int_at(table, words * number + (symbol >> 6))
        to.put_short((bits >> (symbol & 63)) & 1, tests, (first_test + number) * width)


def _coded(to: Writer, x: Num, count: Num) -> Num:
    """Symbols of numbers that are category codes: `count` for one out of range, one more for NaN."""
    inside = (x >= 0.0) & (x < to.as_float(count))
    symbol = to.where(inside, to.truncated(to.where(inside, x, 0.0)), count)
    return to.where(x != x, count + 1, symbol)


def _encode(to: Writer, program: Num, numbers: Num, codes: Num, tests: Num) -> None:
    """Tests [R] or [R, LANES] int32 of the rows that lie at the addresses `numbers` and `codes`, one or LANES."""
    width = LANES if numbers.lanes else 1
    to.put_short(to.beside(to.integer(0), numbers), tests, 0)
    narrow = _said(to, program, "float32") != 0
    records = program + _said(to, program, "at_columns") * 8
    with to.loop(_said(to, program, "columns")) as number:
        column = records + number * (8 * len(COLUMN))
        kind, source, count = (to.int_at(column, COLUMN[name]) for name in ("kind", "source", "count"))
        with to.either(kind == CODE) as (of_edge, of_numbers):
            with of_edge:
                symbol = to.int_at(codes + source * 8) + FIRST
                known = (symbol > 0) & (symbol < count)
                _sets(to, program, column, to.where(known, symbol, 0), tests, width)
            with of_numbers:
                wide = to.float_at(numbers + source * 8)
                x = to.where(narrow, to.single(wide), wide)
                with to.either(kind == CODED) as (of_codes, of_values):
                    with of_codes:
                        _sets(to, program, column, _coded(to, x, count), tests, width)
                    with of_values:
                        _number(to, program, column, x, tests, width)


def _leaf(to: Writer, program: Num, root: Num, tests: Num, shift: int, lane: Num) -> Num:
    """Row of values that each lane ends in. tests: int32, of test t and lane i at `(t << shift) + lane[i]`."""
    limit_bits, test_bits = _said(to, program, "limit_bits"), _said(to, program, "test_bits")
    one = to.integer(1)
    limits, all_tests, up = (one << limit_bits) - 1, (one << test_bits) - 1, limit_bits + test_bits
    nodes = program + _said(to, program, "at_nodes") * 8
    node = to.variable(to.int_at(nodes, root))
    with to.repeat(lambda: to.some(((node.now >> limit_bits) & all_tests) != 0)):
        test = (node.now >> limit_bits) & all_tests
        right = to.short_at(tests, (test << shift) + lane) > (node.now & limits)
        node.set(to.int_at(nodes, (node.now >> up) + to.as_int(right)))
    return node.now & limits


def _add(to: Writer, program: Num, leaf: Num, tree: Num, sums: Num) -> None:
    """Add a tree's values to the sums [K, LANES]."""
    values, width = program + _said(to, program, "at_values") * 8, _said(to, program, "width")
    each = _said(to, program, "trees") / _said(to, program, "outputs")
    # Fewer trees than outputs: each tree adds to all, and the quotient is not asked for; yet it is computed.
    output = to.where(width > 1, to.integer(0), tree / to.where(each < 1, to.integer(1), each))
    single = _said(to, program, "single") != 0
    with to.loop(width) as k:
        place = sums + (output + k) * (8 * LANES)
        total = to.floats_from(place) + to.float_at(values, leaf * width + k)
        to.put(to.where(single, to.single(total), total), place)


def _ended(to: Writer, program: Num, total: Num, output: Num) -> Num:
    """Divided, and with the base that no tree carries."""
    divide = to.float_at(program, HEADER["divide"])
    return total / divide + to.float_at(program, _said(to, program, "at_base") + output)


@written("iiiiiiiii")
def _many(
    to: Writer,
    program: Num,
    numbers: Num,
    step: Num,
    codes: Num,
    code_step: Num,
    out: Num,
    start: Num,
    stop: Num,
    scratch: Num,
) -> None:
    n_tests, outputs = _said(to, program, "tests"), _said(to, program, "outputs")
    needed = (stop - start + (LANES - 1)) >> SHIFT
    most = to.integer(SCRATCH // (4 * LANES)) / n_tests
    groups = to.where(most > needed, needed, most)
    groups = to.where(groups < 1, to.integer(1), groups)
    tests_bytes, sums_bytes = n_tests * (4 * LANES), outputs * (8 * LANES)
    sums = scratch + groups * tests_bytes
    roots = program + _said(to, program, "at_roots") * 8
    with to.loop(stop, start, groups * LANES) as block:
        left = (stop - block + (LANES - 1)) >> SHIFT
        some = to.where(left < groups, left, groups)
        with to.loop(some * outputs) as place:
            to.put(to.splat(to.number(0.0)), sums, place * LANES)
        with to.loop(some) as group:
            row = to.iota() + (block + group * LANES)
            rows = to.where(row < stop, row, stop - 1)
            at, code = numbers + rows * (step * 8), codes + rows * (code_step * 8)
            _encode(to, program, at, code, scratch + group * tests_bytes)
        with to.loop(_said(to, program, "trees")) as tree:
            root = to.splat(to.int_at(roots, tree))
            with to.loop(some) as group:
                leaf = _leaf(to, program, root, scratch + group * tests_bytes, SHIFT, to.iota())
                _add(to, program, leaf, tree, sums + group * sums_bytes)
        _finish(to, program, sums, out, block, to.where(stop < block + some * LANES, stop, block + some * LANES))


def _finish(to: Writer, program: Num, sums: Num, out: Num, start: Num, stop: Num) -> None:
    """Sums [groups, K, LANES] to out [n, K]."""
    outputs = _said(to, program, "outputs")
    with to.loop(stop, start) as row:
        group, lane = (row - start) >> SHIFT, (row - start) & (LANES - 1)
        with to.loop(outputs) as k:
            total = to.float_at(sums, (group * outputs + k) * LANES + lane)
            to.put(_ended(to, program, total, k), out, row * outputs + k)


@written("iiiiiiiii")
def _few(
    to: Writer,
    program: Num,
    numbers: Num,
    step: Num,
    codes: Num,
    code_step: Num,
    out: Num,
    start: Num,
    stop: Num,
    scratch: Num,
) -> None:
    leaf = scratch + ((_said(to, program, "tests") >> 1) + 1) * 8
    trees, outputs = _said(to, program, "trees"), _said(to, program, "outputs")
    roots = program + _said(to, program, "at_roots") * 8
    with to.loop(stop, start) as row:
        _encode(to, program, numbers + row * step * 8, codes + row * code_step * 8, scratch)
        with to.loop(trees, 0, LANES) as tree:
            place = to.iota() + tree
            root = to.int_at(roots, to.where(place < trees, place, trees - 1))
            to.put(_leaf(to, program, root, scratch, 0, to.splat(to.integer(0))), leaf, tree)
        _sum(to, program, leaf, out + row * outputs * 8)


def _sum(to: Writer, program: Num, leaf: Num, out: Num) -> None:
    """Raw sums [K] of one row, whose leaf of every tree is known."""
    trees, width, outputs = (_said(to, program, name) for name in ("trees", "width", "outputs"))
    values, single = program + _said(to, program, "at_values") * 8, _said(to, program, "single") != 0
    together, each = width > 1, trees / outputs
    with to.loop(outputs) as output:
        first = to.where(together, to.integer(0), output * each)
        total = to.variable(to.number(0.0))
        with to.loop(first + to.where(together, trees, each), first) as tree:
            place = to.int_at(leaf, tree) * width + to.where(together, output, 0)
            added = total.now + to.float_at(values, place)
            total.set(to.where(single, to.single(added), added))
        to.put(_ended(to, program, total.now, output), out, output)


@kept
def many(
    program: Any,
    numbers: Any,
    step: Any,
    codes: Any,
    code_step: Any,
    out: Any,
    start: Any,
    stop: Any,
    scratch: Any,
) -> None:  # pragma: no cover - compiled
    """Raw sums of rows start … stop, block by block, LANES rows at a time through each tree.

    Addresses: program (checked), numbers float64 [n, step], codes int64 [n, code_step], out float64 [n, K], scratch
    (`room_for_many` words).
    """
    _many(program, numbers, step, codes, code_step, out, start, stop, scratch)


@kept
def few(
    program: Any,
    numbers: Any,
    step: Any,
    codes: Any,
    code_step: Any,
    out: Any,
    start: Any,
    stop: Any,
    scratch: Any,
) -> None:  # pragma: no cover - compiled
    """As `many`, one row after the other, LANES trees side by side; scratch: `room_for_few` words."""
    _few(program, numbers, step, codes, code_step, out, start, stop, scratch)


@kept
def prepare(raw: Any, chance: Any, rows: Any, single: Any, scale: Any) -> None:  # pragma: no cover - compiled
    """From the margins to what torch takes the exponential of."""
    _prepare(raw, chance, rows, single, scale)


@written("iiiif")
def _prepare(to: Writer, raw: Num, chance: Num, rows: Num, single: Num, scale: Num) -> None:
    with to.loop(rows) as row:
        margin = to.float_at(raw, row)
        # In float64 and rounded, a product of two float32 is what it is in float32.
        power = to.single((to.number(0.0) - to.single(margin)) * to.single(scale))
        most = to.number(float(np.float32(88.7)))
        power = to.where(power > most, most, power)
        to.put(to.where(single != 0, power, to.number(-1.0) * (margin * scale)), chance, row)


@kept
def finish(
    raw: Any, chance: Any, rows: Any, single: Any, rule: Any, scores: Any, label: Any
) -> None:  # pragma: no cover - compiled
    """From margins and exponentials to scores and labels. Addresses: raw, chance [n], scores [n, 2], label [n]."""
    _classes(raw, chance, rows, single, rule, scores, label)


@written("iiiiiii")
def _classes(to: Writer, raw: Num, chance: Num, rows: Num, single: Num, rule: Num, scores: Num, label: Num) -> None:
    one, narrow = to.number(1.0), single != 0
    with to.loop(rows) as row:
        power, margin = to.float_at(chance, row), to.float_at(raw, row)
        # The same holds for a sum and a quotient of two float32 (Figueroa 1995).
        rounded = to.single(one / to.single(to.single(power) + 1.0))
        second = to.where(narrow, rounded, one / (power + 1.0))
        first = to.where(narrow, to.single(one - second), one - second)
        to.put(first, scores, row * 2)
        to.put(second, scores, row * 2 + 1)
        chosen = to.where(rule == 0, margin > 0.0, to.where(rule == 1, margin >= 0.0, second > first))
        to.put(to.as_int(chosen), label, row)


@kept
def vote(scores: Any, rows: Any, classes: Any, label: Any) -> None:  # pragma: no cover - compiled
    """The first of the highest scores, as torch's argmax. Addresses: scores float64 [n, classes], label int64 [n]."""
    _vote(scores, rows, classes, label)


@written("iiii")
def _vote(to: Writer, scores: Num, rows: Num, classes: Num, label: Num) -> None:
    with to.loop(rows) as row:
        best = to.variable(to.integer(0))
        with to.loop(classes, 1) as k:
            now, other = to.float_at(scores, row * classes + best.now), to.float_at(scores, row * classes + k)
            higher = (other > now) | ((other != other) & (now == now))
            best.set(to.where(higher, k, best.now))
        to.put(best.now, label, row)
