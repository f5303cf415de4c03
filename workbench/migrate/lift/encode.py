"""Imputers and encoders: what turns missing values and categories into numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.migrate.lift.columns import (
    CannotLift,
    Code,
    Column,
    Columns,
    Context,
    Entry,
    Number,
    Special,
    chain,
    fresh,
    lookup,
    no_words,
    reread,
    take,
    transformer,
)
from workbench.migrate.lift.ops import Beside, Choose, Fill, MissingFlag, Nothing, Op, ValueLookup
from workbench.models.protocol import Piece, Plain

Floats = NDArray[np.float64]


def entry(value: Any) -> Entry:
    """A fitted value as plain Python; NaN and NA are MISSING, None is NONE."""
    value = value.item() if isinstance(value, np.generic) else value
    if value is None:
        return Special.NONE
    if isinstance(value, float) and math.isnan(value):
        return Special.MISSING
    if not isinstance(value, str | int | float | bool):
        return Special.MISSING if type(value).__name__ == "NAType" else str(value)
    return value


def entries(array: NDArray[np.generic]) -> list[Entry]:
    return [entry(value) for value in array.tolist()]


def numeric(values: Sequence[Entry]) -> bool:
    """Whether these can be values of a number column: numbers, bools and NaN only."""
    return all(isinstance(v, int | float) or v is Special.MISSING for v in values)


def part(piece: Piece, name: str, column: int) -> NDArray[np.generic] | None:
    """`name.column` of a list of fitted arrays, None where the library has None."""
    return piece.arrays.get(f"{name}.{column}")


def encoded(
    piece: Piece, column: Column, values: Sequence[Entry], rows: Floats, strange: Floats | None, context: Context
) -> Op:
    """One column by lookup: rows [len(values), m], strange [m] for every other value; None: the legacy stops at it."""
    if isinstance(column, Code):
        return _code_encoded(piece, column, values, rows, strange, context)
    if column.words:
        return _words_encoded(piece, column, values, rows, strange)
    if not numeric(values):
        if column.source is None:
            raise CannotLift(piece.kind, "it encodes text, and numbers reach it")
        reread([column.source], "category", piece)
    if strange is None:
        _refuse_strange(piece, column, values)
    known = sorted((v, i) for i, v in enumerate(values) if isinstance(v, int | float))
    fallback = np.zeros(rows.shape[1]) if strange is None else strange
    absent = rows[values.index(Special.MISSING)] if Special.MISSING in values else fallback
    if column.source is not None:
        column.source.used = True
    if not known:
        known, rows = [(0.0, 0)], fallback[None, :]
    table = np.vstack([fallback, absent, *(rows[i] for _, i in known)])
    arrays = {"values": np.array([float(v) for v, _ in known]), "table": table}
    if not rows.shape[1]:
        return Nothing()
    return ValueLookup({"column": column.at}, arrays)


def _words_encoded(piece: Piece, column: Number, values: Sequence[Entry], rows: Floats, strange: Floats | None) -> Op:
    """Words that an earlier step made, all of them known."""
    place = {value: number for number, value in enumerate(values)}
    lost = [word for word in column.words if word not in place]
    if lost and strange is None:
        advice = "Let it ignore unknown values, or fit it again on rows with all of them"
        raise CannotLift(piece.kind, f"it stops at {lost[0]!r}, which the step before it can make", advice)
    if not rows.shape[1]:
        return Nothing()
    table = [strange if word not in place else rows[place[word]] for word in column.words]
    return Choose({"column": column.at}, {"table": np.array(table, dtype=np.float64)})


def _refuse_strange(piece: Piece, column: Number, values: Sequence[Entry]) -> None:
    if column.among and set(column.among) <= set(values):
        if column.source is not None and not column.filled and Special.MISSING not in values:
            column.source.refuses["missing"] = None
        return
    if column.source is None:
        raise CannotLift(
            piece.kind, "handle_unknown='error' stops at unknown values, and here computed numbers reach it"
        )
    column.source.allow(v for v in values if not isinstance(v, Special))
    if not column.filled and Special.MISSING not in values:
        column.source.refuses["missing"] = None


def _code_encoded(
    piece: Piece, column: Code, values: Sequence[Entry], rows: Floats, strange: Floats | None, context: Context
) -> Op:
    if numeric(values) and any(not isinstance(v, Special) for v in values):
        reread([column.source], "number", piece)
    column.source.learn(values)
    place = {value: number for number, value in enumerate(values)}
    if strange is None:
        _bar_strange(column, place)
    fallback = np.zeros(rows.shape[1]) if strange is None else strange
    table = [rows[place[now]] if now in place else fallback for now in column.entries()]
    return lookup(column, np.array(table).reshape(len(table), rows.shape[1]), context)


def _bar_strange(column: Code, place: dict[Entry, int]) -> None:
    source = column.source
    # Only one of the two ways to be missing can occur in a column.
    special = (Special.UNKNOWN, Special.NONE if source.none else Special.MISSING)
    raw: list[Entry] = [*special, *source.vocabulary]
    lost = [value for value in raw if column.replaced.get(value, value) not in place]
    source.refuses.update({value.value: None for value in lost if isinstance(value, Special)})
    source.bar(value for value in lost if not isinstance(value, Special))


@transformer("sklearn.preprocessing.OneHotEncoder")
def one_hot(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    ops, width = [], 0
    for number, column in enumerate(columns.items):
        values = entries(piece.arrays[f"categories_.{number}"])
        rows, strange = _one_hot_rows(piece, number, len(values))
        if "below_" in piece.arrays:
            values, rows = _with_unseen(piece, number, values, rows)
        op = encoded(piece, column, values, rows, strange, context)
        ops += [op] if rows.shape[1] else []
        width += rows.shape[1]
    return Beside({}, {}, ops) if ops else take([]), fresh(width)


def _with_unseen(piece: Piece, column: int, values: list[Entry], rows: Floats) -> tuple[list[Entry], Floats]:
    """Before scikit-learn 0.20 a whole number below the largest category that was none of them was all zeros."""
    unseen: list[Entry] = [one for one in range(int(piece.arrays["below_"].tolist()[column])) if one not in values]
    return [*values, *unseen], np.vstack([rows, np.zeros((len(unseen), rows.shape[1]))])


def _one_hot_rows(piece: Piece, column: int, count: int) -> tuple[Floats, Floats | None]:
    """Row of each category and of an unknown one, infrequent ones grouped first and then the dropped one left out."""
    grouping = part(piece, "_default_to_infrequent_mappings", column)
    group = np.arange(count) if grouping is None else np.asarray(grouping, dtype=np.int64)
    rows = np.eye(int(group.max(initial=-1)) + 1)[group]
    unknown = str(piece.params.get("handle_unknown", "error"))
    strange: Floats | None = None if unknown == "error" else np.zeros(rows.shape[1])
    infrequent = part(piece, "_infrequent_indices", column)
    if unknown in ("infrequent_if_exist", "warn") and infrequent is not None:
        strange = rows[int(np.asarray(infrequent)[0])]
    elif unknown not in ("error", "ignore", "infrequent_if_exist", "warn"):
        raise CannotLift(piece.kind, f"handle_unknown={unknown!r} is not known here")
    dropped = _dropped(piece, column)
    if dropped is not None:
        rows = np.delete(rows, dropped, axis=1)
        strange = None if strange is None else np.delete(strange, dropped)
    return rows, strange


def _dropped(piece: Piece, column: int) -> int | None:
    """Place of the dropped category, after grouping."""
    for name in ("_drop_idx_after_grouping", "drop_idx_"):
        found = piece.arrays[name].tolist() if name in piece.arrays else piece.params.get(name)
        if isinstance(found, list):
            place = found[column]
            return None if place is None else int(place)  # type: ignore[arg-type]
    if piece.params.get("drop") is not None:
        raise CannotLift(piece.kind, f"drop={piece.params['drop']!r}, but the fitted piece does not say what it drops")
    return None


@transformer("sklearn.preprocessing.OrdinalEncoder")
def ordinal(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    ops = []
    for number, column in enumerate(columns.items):
        values = entries(piece.arrays[f"categories_.{number}"])
        grouping = part(piece, "_default_to_infrequent_mappings", number)
        codes = np.arange(len(values)) if grouping is None else _grouped(grouping, values)
        rows = codes.astype(np.float64)[:, None]
        if Special.MISSING in values:
            rows[values.index(Special.MISSING)] = as_number(piece.params.get("encoded_missing_value", math.nan))
        strange = _unknown_code(piece, number, rows)
        ops.append(encoded(piece, column, values, rows, strange, context))
    return Beside({}, {}, ops), fresh(len(ops))


def _grouped(grouping: NDArray[np.generic], values: Sequence[Entry]) -> NDArray[np.int64]:
    """Codes with infrequent categories as one; the missing category is never grouped."""
    codes = np.asarray(grouping, dtype=np.int64).copy()
    return codes if len(codes) == len(values) else np.append(codes, len(values) - 1)


def _unknown_code(piece: Piece, column: int, rows: Floats) -> Floats | None:
    how = piece.params.get("handle_unknown", "error")
    if how == "error":
        return None
    if how != "use_encoded_value":
        raise CannotLift(piece.kind, f"handle_unknown={how!r} is not known here")
    return np.array([as_number(piece.params.get("unknown_value"))])


def as_number(value: Plain) -> float:
    return math.nan if value is None else float(value)  # type: ignore[arg-type]


@transformer("sklearn.impute.SimpleImputer")
def simple_imputer(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    fills = entries(_statistics(piece))
    missing = entry(_missing(piece))
    keep = bool(piece.params.get("keep_empty_features", False))
    kept = [i for i, fill in enumerate(fills) if keep or fill is not Special.MISSING]
    ops: list[Op] = []
    items: list[Column] = []
    for i in kept:
        op, item = _filled(piece, columns.items[i], fills[i], missing, len(ops))
        ops += [op] if op else []
        items.append(item)
    flagged = flags(piece, columns, missing, context)
    items += [Number(len(ops) + i, among=(0.0, 1.0)) for i in range(len(flagged))]
    ops += flagged
    op = Beside({}, {}, ops) if ops else take([])
    return op, Columns(tuple(items), len(ops))


def _statistics(piece: Piece) -> NDArray[np.generic]:
    statistics = piece.arrays["statistics_"]
    kind = str(piece.params.get("_fill_dtype") or statistics.dtype)
    # Filled into a float32 table, a statistic is rounded to it.
    return statistics.astype(np.float32).astype(np.float64) if kind == "float32" else statistics


def _missing(piece: Piece) -> Any:
    missing = piece.params.get("missing_values", math.nan)
    return math.nan if missing == "pandas.NA" else missing


def _filled(piece: Piece, column: Column, fill: Entry, missing: Entry, at: int) -> tuple[Op | None, Column]:
    no_words(piece, Columns((column,), 0))
    if isinstance(fill, str) or isinstance(missing, str):
        if isinstance(column, Number):
            return _as_text(piece, column)
        column.source.learn([missing])
        hit = [raw for raw in [*Special, *column.source.vocabulary] if column.replaced.get(raw, raw) == missing]
        return None, Code(column.source, {**column.replaced, **dict.fromkeys(hit, fill)})
    if isinstance(column, Code):
        reread([column.source], "number", piece)
        raise AssertionError("reread never returns for a column that is read otherwise")
    if missing is Special.NONE:
        raise CannotLift(
            piece.kind, "missing_values=None in a column of numbers", "Set missing_values=np.nan and refit"
        )
    if column.source is not None:
        column.source.used = True
    value = math.nan if isinstance(fill, Special) else float(fill)
    # A number that stands for missing is not what the raw column says is missing.
    source = column.source if missing is Special.MISSING else None
    stands = None if missing is Special.MISSING else float(missing)  # type: ignore[arg-type]
    op = chain([take([column.at]), Fill({"missing": stands}, {"values": np.array([value])})])
    return op, Number(at, source, filled=True)


def _as_text(piece: Piece, column: Number) -> tuple[Op | None, Column]:
    if column.source is None:
        raise CannotLift(piece.kind, "it fills with text, and computed numbers reach it")
    reread([column.source], "category", piece)
    raise AssertionError("reread never returns for a column that is read otherwise")


def flags(piece: Piece, columns: Columns, missing: Entry, context: Context) -> list[Op]:
    """One op for each column that an imputer's fitted indicator flags, in its order."""
    indicator = dict(piece.children).get("indicator_")
    if indicator is None:
        if piece.params.get("add_indicator"):
            raise CannotLift(piece.kind, "add_indicator=True, but the fitted piece has no indicator")
        return []
    chosen = np.asarray(indicator.arrays["features_"], dtype=np.int64)
    if indicator.params.get("features") == "all":
        chosen = np.arange(len(columns))
    return [_flag(piece, columns.items[int(i)], missing, context) for i in chosen]


def _flag(piece: Piece, column: Column, missing: Entry, context: Context) -> Op:
    no_words(piece, Columns((column,), 0))
    if isinstance(column, Code):
        column.source.learn([missing])
        return lookup(column, np.array([[float(now == missing)] for now in column.entries()]), context)
    if missing is Special.NONE or isinstance(missing, str):
        raise CannotLift(piece.kind, f"missing_values={missing!r} in a column of numbers")
    stands = None if missing is Special.MISSING else float(missing)  # type: ignore[arg-type]
    return chain([take([column.at]), MissingFlag({"missing": stands})])


@transformer("sklearn.impute.MissingIndicator")
def missing_indicator(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    if piece.params.get("features") == "missing-only" and piece.params.get("error_on_new"):
        raise CannotLift(piece.kind, "error_on_new=True stops at rows", "Set error_on_new=False and refit")
    holder = Piece(piece.kind, piece.version, piece.params, {}, (("indicator_", piece),))
    for column in columns.items:
        if column.source is not None:
            column.source.used = True
    flagged = flags(holder, columns, entry(_missing(piece)), context)
    return (Beside({}, {}, flagged) if flagged else take([])), fresh(len(flagged))
