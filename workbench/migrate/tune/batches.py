"""How many rows at once: the largest batch that fits, and the one with the best throughput."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from workbench.models import ModelError

if TYPE_CHECKING:
    import pandas as pd

MOST = 1 << 20
GAIN = 1.02
"""A larger batch is better where it answers this many times the rows a second."""


class Tried(NamedTuple):
    """A batch. rate: rows a second, the best of its calls; None where it did not fit, for the reason."""

    rows: int
    rate: float | None
    reason: str = ""


def batches(model: Any, frame: pd.DataFrame, *, seconds: float, first: int = 16, most: int = MOST) -> Iterator[Tried]:
    """Four times as many rows each time, until one does not fit, takes longer than `seconds`, or `most` is reached.

    model: in a process of its own, which may die of a batch. frame: rows to repeat.
    """
    rows, spent = first, 0.0
    while rows <= most and spent < seconds:
        asked = frame.iloc[np.resize(np.arange(len(frame)), rows)].reset_index(drop=True)
        try:
            model.timed(asked, 1)
            wall = model.timed(asked, 3)[0]
        except (ModelError, MemoryError) as error:
            yield Tried(rows, None, " ".join(str(error).split())[:200])
            return
        spent += 4 * float(np.median(wall)) / 1e9
        yield Tried(rows, rows / (min(wall) / 1e9))
        rows *= 4


def best(tried: Sequence[Tried]) -> Tried | None:
    """The smallest batch that no larger one beats by GAIN."""
    fits = [one for one in tried if one.rate]
    top = max((one.rate or 0.0 for one in fits), default=0.0)
    return next((one for one in fits if (one.rate or 0.0) * GAIN >= top), None)
