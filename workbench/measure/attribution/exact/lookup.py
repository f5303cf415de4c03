"""Rows to lines of the tables: which pattern each group shows, and the sum of what the patterns give."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

BLOCK = 512
"""Rows in one turn: their results and a group's table stay in the first cache."""


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
    index = np.empty(BLOCK, np.uint16)
    for low in range(0, len(out), BLOCK):
        high = min(len(out), low + BLOCK)
        for g in range(len(asked.first_bit) - 1):
            _patterns(symbols, low, high, asked, g, index)
            place = places[places_first[g] : places_first[g + 1]]
            width, start = len(place), first[g]
            for r in range(low, high):
                line = start + np.int64(index[r - low]) * width
                for j in range(width):
                    out[r, place[j]] += lines[line + j]


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
