"""A few rows of a table on their way to a model, without what pandas does around them.

For a single row pandas takes a hundred times as long as the model: for choosing columns, asking for their kinds, making
a column of each. So a table's blocks are read as they lie, and which column goes where is remembered from one table to
the next that has the same columns. What is not plain (another kind, a value the model refuses, a column that is not
there) is left to `edge` and `inputs`, which know what to do and say.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.models.edge import MISSING, NONE, UNKNOWN, EdgeColumn, EdgeSpec
from workbench.models.protocol import Input

if TYPE_CHECKING:
    import pandas as pd

FEW = 16
"""Rows at most; more are worth pandas' way."""

Read = tuple[NDArray[np.float64], NDArray[np.int64]]


@dataclass(frozen=True)
class _Plan:
    """Where the columns of one table go. number, code [columns]: place among the numbers, the codes; -1: not read."""

    columns: pd.Index[Any]
    names: list[str]
    number: NDArray[np.int64]
    code: tuple[int, ...]
    straight: bool
    """Its numbers, all columns and in order."""


class RowReader:
    """Reads a few rows as `edge` says, or answers None where they need more care."""

    def __init__(self, edge: EdgeSpec, inputs: Sequence[Input]) -> None:
        kinds = {one.name: one for one in inputs}
        self._numbers = [column for column in edge.columns if column.read == "number"]
        self._codes = [column for column in edge.columns if column.read == "category"]
        self._places: list[dict[Any, int]] = [{v: at for at, v in enumerate(c.values)} for c in self._codes]
        self._wanted = tuple(one.name for one in inputs) or edge.names
        careful = (_careful(column, kinds.get(column.name)) for column in edge.columns)
        self._plain = not any(careful) and set(edge.names) <= set(self._wanted)
        self._plan: _Plan | None = None

    def read(self, frame: pd.DataFrame) -> Read | None:
        """(numbers [n, a], codes [n, b]) of n <= FEW rows; None where that is not sure to be what `edge` reads."""
        rows = len(frame.index)
        plan = self._planned(frame.columns) if self._plain and 0 < rows <= FEW else None
        if plan is None:
            return None
        blocks = frame._mgr.blocks
        if plan.straight and len(blocks) == 1 and _numeric(blocks[0].values):
            return np.array(blocks[0].values.T, dtype=np.float64, order="C"), np.empty((rows, 0), dtype=np.int64)
        # Every column that is read is in some block, so every place is written.
        numbers = np.empty((rows, len(self._numbers)))
        codes = np.empty((rows, len(self._codes)), dtype=np.int64)
        for block in blocks:
            if not self._block(plan, block.mgr_locs.as_array, block.values, numbers, codes):
                return None
        return numbers, codes

    def _planned(self, columns: pd.Index[Any]) -> _Plan | None:
        plan = self._plan
        if plan is not None and columns is plan.columns:
            return plan
        have = columns.tolist()
        if plan is not None and have == plan.names:
            self._plan = replace(plan, columns=columns)
            return plan
        if not columns.is_unique or not all(type(name) is str for name in have) or not set(self._wanted) <= set(have):
            return None
        number = {column.name: at for at, column in enumerate(self._numbers)}
        code = {column.name: at for at, column in enumerate(self._codes)}
        to_number = np.array([number.get(name, -1) for name in have], dtype=np.int64)
        straight = not self._codes and to_number.tolist() == list(range(len(self._numbers)))
        self._plan = _Plan(columns, have, to_number, tuple(code.get(name, -1) for name in have), straight)
        return self._plan

    def _block(
        self,
        plan: _Plan,
        places: NDArray[np.int64],
        values: Any,
        numbers: NDArray[np.float64],
        codes: NDArray[np.int64],
    ) -> bool:
        """Put a block's values where they belong; False where one is not plain."""
        to = plan.number[places]
        wanted = to >= 0
        if wanted.any():
            if not _numeric(values):
                return False
            numbers[:, to[wanted]] = values.T if wanted.all() else values[wanted].T
        for row, place in enumerate(places.tolist() if self._codes else ()):
            at = plan.code[place]
            if at < 0:
                continue
            found = self._coded(at, values[row] if values.ndim == 2 else values)
            if found is None:
                return False
            codes[:, at] = found
        return True

    def _coded(self, at: int, values: Iterable[Any]) -> list[int] | None:
        """Codes of text; None where a value is something else, or the model stops at it."""
        column, place = self._codes[at], self._places[at]
        missing = NONE if column.none else MISSING
        found = []
        for value in values:
            if type(value) is str:
                code = place.get(value, UNKNOWN)
            elif value is None or (type(value) is float and math.isnan(value)):
                code = missing
            else:
                return None
            if code < 0 and _WORDS[code] in column.refuses:
                return None
            found.append(code)
        return found


_WORDS = {UNKNOWN: "unknown", MISSING: "missing", NONE: "none"}


def _careful(column: EdgeColumn, declared: Input | None) -> bool:
    """Whether its values are more than numbers as they are, or text that is looked up."""
    if column.read == "number":
        special = column.values or column.refuses or column.of != "value"
        return bool(special) or (declared is not None and declared.kind == "text")
    categories = declared.categories if declared is not None else ()
    return not all(isinstance(value, str) for value in (*column.values, *categories))


def _numeric(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.dtype.kind in "fiub"
