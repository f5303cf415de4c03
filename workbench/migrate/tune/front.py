"""Which of many trials are worth choosing from: the Pareto front, its knee, and the cheapest inside a margin.

Every objective is to be small.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def front(values: Sequence[Sequence[float]]) -> list[int]:
    """Places of the points that no other is at least as good as in everything and better in something.

    values [n, m]. Of equal points the first stays.
    """
    table = np.asarray(values, dtype=np.float64).reshape(len(values), -1 if len(values) else 0)
    kept = []
    for place, one in enumerate(table):
        no_worse = (table <= one).all(axis=1)
        better = no_worse & (table < one).any(axis=1)
        same_before = no_worse & (table == one).all(axis=1)
        if not better.any() and not same_before[:place].any():
            kept.append(place)
    return kept


def knee(values: Sequence[Sequence[float]]) -> int | None:
    """Place of the front's point nearest the ideal, each objective scaled to its range on the front (Zeleny 1973).

    None without points.
    """
    places = front(values)
    if not places:
        return None
    table = np.asarray(values, dtype=np.float64)[places]
    low, span = table.min(axis=0), np.ptp(table, axis=0)
    scaled = np.divide(table - low, span, out=np.zeros_like(table), where=span > 0)
    return places[int(np.linalg.norm(scaled, axis=1).argmin())]


def cheapest(costs: Sequence[float], inside: Sequence[bool]) -> int | None:
    """Place of the lowest cost among those inside the margin; None where none is."""
    allowed = [(cost, place) for place, (cost, fits) in enumerate(zip(costs, inside, strict=True)) if fits]
    return min(allowed)[1] if allowed else None
