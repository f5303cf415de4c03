"""Rows to lines of the tables: which pattern each group shows, and the sum of what the patterns give."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

BLOCK, LEAST, HELD = 2_048, 64, 2**18
"""Rows in one turn: a column of a group's table stays in the first cache, the HELD results in the second."""


class Asked(NamedTuple):
    """What the bits of all groups ask, group g's from first_bit[g]: column, limit and ways, and the lists of ways."""

    first_bit: Any
    column: Any
    limit: Any
    ways: Any
    left: Any


@njit(cache=True)
def _patterns(symbols: Any, low: int, high: int, asked: Any, g: int, out: Any) -> None:  # pragma: no cover - compiled
    """out [high - low]: the splits of group g that rows low … high pass, as bits."""
    a, b = asked.first_bit[g], asked.first_bit[g + 1]
    column, limit, ways, left = asked.column[a:b], asked.limit[a:b], asked.ways[a:b], asked.left
    for r in range(high - low):
        out[r] = 0
    for bit in range(len(column)):
        one, passed = symbols[column[bit]], np.uint16(1 << bit)
        if ways[bit] >= 0:
            for r in range(low, high):
                out[r - low] |= passed if left[ways[bit] + one[r]] else np.uint16(0)
        else:
            for r in range(low, high):
                out[r - low] |= passed if one[r] <= limit[bit] else np.uint16(0)


@njit(cache=True, nogil=True)
def add_lines(
    symbols: Any, asked: Any, lines: Any, first: Any, places: Any, places_first: Any, out: Any
) -> None:  # pragma: no cover - compiled
    """Add to each row of out [n, P] the line of every group's pattern. symbols: [C, n]."""
    n, positions = out.shape
    block = max(LEAST, min(BLOCK, HELD // max(1, positions)))
    index, sums = np.empty(block, np.uint16), np.empty((positions, block))
    for low in range(0, n, block):
        rows = min(n, low + block) - low
        sums[:] = 0.0
        for g in range(len(asked.first_bit) - 1):
            _patterns(symbols, low, low + rows, asked, g, index)
            many, start = 1 << (asked.first_bit[g + 1] - asked.first_bit[g]), first[g]
            for j in range(places_first[g], places_first[g + 1]):
                column, total = lines[start : start + many], sums[places[j]]
                for r in range(rows):
                    total[r] += column[index[r]]
                start += many
        for r in range(rows):
            for p in range(positions):
                out[low + r, p] += sums[p, r]


@njit(cache=True, nogil=True)
def pattern_shares(symbols: Any, asked: Any, first: Any) -> Any:  # pragma: no cover - compiled
    """The share of rows that show each pattern, group g's from first[g]."""
    n = symbols.shape[1]
    index, found = np.empty(n, np.uint16), np.zeros(first[-1])
    for g in range(len(asked.first_bit) - 1):
        _patterns(symbols, 0, n, asked, g, index)
        for r in range(n):
            found[first[g] + np.int64(index[r])] += 1.0 / n
    return found
