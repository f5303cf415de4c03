"""Casts and dates in sklearn2pmml's pipelines, and the encoders of labels that old pipelines put on columns."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Any, cast

import numpy as np
from torch import Tensor

from workbench.migrate.lift.columns import (
    CannotLift,
    Column,
    Columns,
    Context,
    Number,
    Special,
    chain,
    kept,
    transformer,
)
from workbench.migrate.lift.encode import encoded, entries, entry
from workbench.migrate.lift.jpmml_words import ADVICE, START, each, single, text_of
from workbench.migrate.lift.ops import Op
from workbench.models.protocol import Piece

DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class Truncated(Op):
    """Towards zero, as a cast to whole numbers does it."""

    name = "truncated"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        return x.trunc()


WHOLE = ("builtins.int", "numpy.int64", "numpy.int32", "numpy.int8", "numpy.int16", "int", "int64", "int32", "int8")
TEXT = ("builtins.str", "str", "U", "numpy.str_")
REAL = ("builtins.float", "numpy.float64", "float", "float64")


@transformer(f"{START}CastTransformer")
def cast_to(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    wanted = str(piece.params.get("dtype"))
    plain = all(isinstance(column, Number) and not column.words for column in columns.items)
    if wanted in REAL and plain:
        return kept(columns)
    if wanted in WHOLE and plain:
        return _whole(piece, columns, wanted)
    change = _change(piece, wanted)
    return each(piece, columns, context, lambda values: change(values[0]))


def _whole(piece: Piece, columns: Columns, wanted: str) -> tuple[Op, Columns]:
    """A cast of a missing number, or of one too large, is whatever the machine makes of it."""
    small = wanted.endswith(("int8", "int16", "int32"))
    for column in columns.items:
        among = column.among if isinstance(column, Number) else ()
        if small and not (among and all(abs(one) < 128 for one in among)):
            raise CannotLift(piece.kind, f"it casts to {wanted}, and numbers beyond it may come", ADVICE)
        if not among and (column.source is None or not cast("Number", column).filled):
            if column.source is None:
                raise CannotLift(piece.kind, "it casts computed numbers, which may be missing", "Leave out the cast")
            column.source.refuses["missing"] = None
    op, moved = kept(columns)
    items = [Number(c.at, among=tuple(int(one) for one in c.among)) for c in cast("tuple[Number, ...]", moved.items)]
    return chain([op, Truncated()]), Columns(tuple(items), moved.width)


def _change(piece: Piece, wanted: str) -> Callable[[Any], object]:
    if wanted in TEXT:
        return str
    if wanted in WHOLE or wanted in REAL:
        return lambda value: _parsed(piece, value, wanted in WHOLE)
    if wanted == "datetime64[D]":
        return lambda value: _day(piece, value)
    raise CannotLift(piece.kind, f"it casts to {wanted}")


def _parsed(piece: Piece, value: object, whole: bool) -> float:
    try:
        return int(cast("str", value)) if whole else float(cast("str", value))
    except (TypeError, ValueError):
        raise CannotLift(piece.kind, f"it casts {value!r} to a number, at which it stops") from None


def _day(piece: Piece, value: object) -> date:
    text = text_of(piece, value)
    if not DAY.fullmatch(text):
        raise CannotLift(piece.kind, f"it reads {text!r} as a date", "Write dates as 1977-12-31, and fit again")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise CannotLift(piece.kind, f"it reads {text!r} as a date: {error}") from error


UNITS = {"Days": 1, "Seconds": 86_400}


@transformer(f"{START}DaysSinceYearTransformer", f"{START}SecondsSinceYearTransformer")
def since(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    start = date(int(str(piece.params["year"])), 1, 1)
    unit = UNITS[piece.kind.removeprefix(START).partition("Since")[0]]

    def count(values: tuple[Any, ...]) -> int:
        if not isinstance(values[0], date):
            raise CannotLift(piece.kind, f"it counts from dates, and {values[0]!r} reaches it")
        return (values[0] - start).days * unit

    return each(piece, columns, context, count)


@transformer("sklearn.preprocessing.LabelBinarizer", f"{START}PMMLLabelBinarizer")
def binarized(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    """A step for text before scikit-learn 0.20 encoded it: a column for each class, of two classes one."""
    single(piece, columns)
    values = entries(piece.arrays["classes_"])
    low, high = (float(cast("float", piece.params.get(name, at))) for name, at in (("neg_label", 0), ("pos_label", 1)))
    rows = np.where(np.eye(len(values)) == 1, high, low)
    pmml = piece.kind.startswith(START)
    if not pmml and len(values) <= 2:
        rows = np.array([[low], [high]])[: len(values)]
    strange = None if pmml else np.full(rows.shape[1], low)
    op = _coded(piece, columns.items[0], values, rows, strange, np.full(rows.shape[1], low) if pmml else None, context)
    return op, Columns(tuple(Number(at) for at in range(rows.shape[1])), rows.shape[1])


@transformer("sklearn.preprocessing.LabelEncoder", f"{START}PMMLLabelEncoder")
def labelled(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    single(piece, columns)
    values = entries(piece.arrays["classes_"])
    rows = np.arange(len(values), dtype=np.float64)[:, None]
    absent = entry(piece.params.get("missing_values", piece.params.get("missing_value")))
    given = None
    if piece.kind.startswith(START):
        if isinstance(absent, str):
            raise CannotLift(piece.kind, f"it encodes what is missing as {absent!r}, no number")
        given = np.array([np.nan if isinstance(absent, Special) else float(absent)])
    return _coded(piece, columns.items[0], values, rows, None, given, context), Columns((Number(0),), 1)


Rows = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def _coded(
    piece: Piece,
    column: Column,
    values: list[Any],
    rows: Rows,
    strange: Rows | None,
    absent: Rows | None,
    context: Context,
) -> Op:
    """absent: what is encoded for a missing value, None where the legacy stops at it."""
    if absent is not None:
        known = [*values, Special.MISSING, Special.NONE]
        if isinstance(column, Number):
            known.pop()
        return encoded(
            piece, column, known, np.vstack([rows, *[absent] * (len(known) - len(values))]), strange, context
        )
    if column.source is not None and not (isinstance(column, Number) and column.filled):
        column.source.refuses.update({"missing": None, "none": None})
    open_ended = isinstance(column, Number) and not column.words and not column.among
    if open_ended and strange is not None and all(isinstance(value, int | float) for value in values):
        raise CannotLift(piece.kind, "any value may reach it", ADVICE)
    return encoded(piece, column, values, rows, strange, context)
