"""Text made of few values: what sklearn2pmml's transformers of text and dates do to each of them, looked up.

A text step is a program for any text, which torch has no form for. Where a domain, or a lookup's own keys, says which
values can come, the step is run on each of them here, and the lifted model carries the results.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import product
from typing import Any, cast

import numpy as np

from workbench.migrate.lift.columns import (
    CannotLift,
    Code,
    Column,
    Columns,
    Context,
    Number,
    Special,
    chain,
    lookup,
    reread,
    shifted,
    take,
    transformer,
)
from workbench.migrate.lift.ops import Beside, Choose, MatMul, Op, ValueLookup
from workbench.models.protocol import Piece

START = "sklearn2pmml.preprocessing."
MOST = 100_000
"""Combinations of values that are looked up at most."""
REGEX = 200
"""Characters a pattern, and a value it is held against, may have."""
ADVICE = "Put a CategoricalDomain that knows the values before it, and fit again"


@dataclass(frozen=True)
class Few:
    """op: the numbers and codes that reach a step → [n, 1], a place; values: what stands there, one for each column."""

    op: Op
    values: tuple[tuple[object, ...], ...]


def few(piece: Piece, columns: Columns, context: Context, keys: Sequence[Sequence[object]] | None = None) -> Few:
    """All combinations of what the columns can be. keys: the only values a step tells apart, for each column.

    Raises CannotLift where anything may come and the step would tell it apart.
    """
    found = [
        _places(piece, column, context, None if keys is None else keys[number])
        for number, column in enumerate(columns.items)
    ]
    counts = [len(values) for _, values in found]
    if np.prod(counts, dtype=np.float64) > MOST:
        raise CannotLift(piece.kind, f"its columns have {' x '.join(map(str, counts))} values")
    ops = [op for op, _ in found]
    if len(ops) > 1:
        steps = np.cumprod([1, *counts[:0:-1]])[::-1].astype(np.float64)
        ops = [Beside({}, {}, ops), MatMul({}, {"weight": steps[:, None], "bias": np.zeros(1)})]
    return Few(chain(ops), tuple(product(*(values for _, values in found))))


def _places(piece: Piece, column: Column, context: Context, keys: Sequence[object] | None) -> tuple[Op, list[object]]:
    if keys is not None:
        _read_as(piece, column, keys)
    if isinstance(column, Code):
        return _named(piece, column, context, keys)
    if column.words:
        return take([column.at]), list(column.words)
    among = column.among or _allowed(column)
    known = list(among) or [key for key in keys or () if isinstance(key, int | float)]
    if not among and keys is None:
        raise CannotLift(piece.kind, "any value may reach it", ADVICE)
    if column.source is not None:
        column.source.used = True
        if keys is None and not column.filled:
            column.source.refuses["missing"] = None
    ordered: list[object] = [Special.UNKNOWN, Special.MISSING, *sorted(set(known))]
    table = np.arange(len(ordered), dtype=np.float64)[:, None]
    numbers = np.array([float(cast("float", value)) for value in ordered[2:]] or [0.0])
    table = table if len(ordered) > 2 else np.array([[0.0], [1.0], [0.0]])
    return ValueLookup({"column": column.at}, {"values": numbers, "table": table}), ordered


def _read_as(piece: Piece, column: Column, keys: Sequence[object]) -> None:
    """A raw column is read as what the keys are: text, or numbers."""
    text = [isinstance(key, str) for key in keys]
    if any(text) and not all(text):
        raise CannotLift(piece.kind, "its keys are text and numbers", "Map numbers and text apart, and fit again")
    wrong = not any(text) if isinstance(column, Code) else all(text) and not column.words
    if wrong:
        if column.source is None:
            raise CannotLift(piece.kind, "it looks up text, and computed numbers reach it")
        reread([column.source], "category" if all(text) else "number", piece)


def _allowed(column: Number) -> tuple[Any, ...]:
    """What a domain, in another branch, lets through of the raw column."""
    return () if column.source is None or column.filled else column.source.allowed or ()


def _named(piece: Piece, column: Code, context: Context, keys: Sequence[object] | None) -> tuple[Op, list[object]]:
    source = column.source
    if keys is not None:
        source.learn(cast("Sequence[Any]", keys))
    else:
        source.refuses.update({word.value: None for word in (Special.NONE, Special.MISSING) if _comes(column, word)})
        if "unknown" not in source.refuses and column.replaced.get(Special.UNKNOWN) is None:
            raise CannotLift(piece.kind, "any value may reach it", ADVICE)
    now: list[object] = list(column.entries())
    values = list(dict.fromkeys(now))
    table = np.array([[float(values.index(value))] for value in now])
    return lookup(column, table, context), values


def _comes(column: Code, word: Special) -> bool:
    return column.replaced.get(word, word) in (Special.NONE, Special.MISSING)


def made(piece: Piece, found: Few, function: Callable[[tuple[Any, ...]], object]) -> tuple[Op, Number]:
    """What a step makes of each combination: a column of numbers, or of places in a list of words.

    A combination with a special value in it, which no row can have, is not asked about.
    """
    new = [None if any(isinstance(one, Special) for one in values) else function(values) for values in found.values]
    return told(piece, found, new)


def told(piece: Piece, found: Few, new: Sequence[object]) -> tuple[Op, Number]:
    """new: for each combination; None for one that cannot come."""
    real = [value for value in new if value is not None]
    if all(isinstance(value, int | float | np.number) for value in real):
        table = np.array([[np.nan if value is None else float(cast("float", value))] for value in new])
        return chain([found.op, Choose({"column": 0}, {"table": table})]), Number(0, among=_among(real))
    words = tuple(dict.fromkeys(real))
    place = {word: float(number) for number, word in enumerate(words)}
    table = np.array([[0.0 if value is None else place[value]] for value in new])
    return chain([found.op, Choose({"column": 0}, {"table": table})]), Number(0, words=words)


def _among(real: Sequence[object]) -> tuple[float, ...]:
    found = tuple(dict.fromkeys(cast("Sequence[float]", real)))
    return () if any(value != value for value in found) else found


def _one(part: tuple[Op, Number]) -> tuple[Op, Columns]:
    return part[0], Columns((part[1],), 1)


def single(piece: Piece, columns: Columns) -> None:
    if len(columns) != 1:
        raise CannotLift(piece.kind, f"it takes one column, and {len(columns)} reach it")


@transformer(f"{START}SubstringTransformer")
def substring(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    single(piece, columns)
    begin, end = int(str(piece.params["begin"])), int(str(piece.params["end"]))
    return _one(made(piece, few(piece, columns, context), lambda values: text_of(piece, values[0])[begin:end]))


@transformer(f"{START}StringLengthTransformer")
def length(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    single(piece, columns)
    return _one(made(piece, few(piece, columns, context), lambda values: len(text_of(piece, values[0]))))


@transformer(f"{START}MatchesTransformer")
def matches(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    single(piece, columns)
    pattern = _pattern(piece)
    found = few(piece, columns, context)
    return _one(made(piece, found, lambda values: bool(pattern.search(_short(piece, values[0])))))


@transformer(f"{START}ReplaceTransformer")
def replaced(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    single(piece, columns)
    pattern, by = _pattern(piece), str(piece.params["replacement"])
    if "\\" in by or "$" in by:
        raise CannotLift(piece.kind, f"its replacement {by!r} quotes the match", "Replace it by a LookupTransformer")
    found = few(piece, columns, context)
    return _one(made(piece, found, lambda values: pattern.sub(by, _short(piece, values[0]))))


def _pattern(piece: Piece) -> re.Pattern[str]:
    """Only patterns that cannot run for ever: no repeated groups, no back references, few repeats."""
    text = str(piece.params["pattern"])
    tame = len(text) <= REGEX and not re.search(r"\)\s*[*+{?]|\\\d|\(\?", text) and len(re.findall(r"[*+{]", text)) <= 3
    if not tame:
        raise CannotLift(
            piece.kind, f"its pattern {text[:80]!r} may take for ever", "Replace it by a LookupTransformer"
        )
    try:
        return re.compile(text)
    except (re.error, OverflowError) as error:
        raise CannotLift(piece.kind, f"its pattern {text[:80]!r} is none ({error})") from error


def text_of(piece: Piece, value: object) -> str:
    if not isinstance(value, str):
        raise CannotLift(piece.kind, f"it takes text, and {value!r} reaches it", "Cast to text first, and fit again")
    return value


def _short(piece: Piece, value: object) -> str:
    text = text_of(piece, value)
    if len(text) > REGEX:
        raise CannotLift(piece.kind, f"a value has {len(text)} characters, too many to be held against a pattern")
    return text


CASES: dict[str | None, Callable[[str], str]] = {
    None: str,
    "lower": str.lower,
    "lowercase": str.lower,
    "upper": str.upper,
    "uppercase": str.upper,
}


@transformer(f"{START}StringNormalizer")
def normalised(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    case = CASES.get(cast("str | None", piece.params.get("function")))
    if case is None:
        raise CannotLift(piece.kind, f"function={piece.params['function']!r} is not known here")

    def change(values: tuple[Any, ...]) -> str:
        text = case(text_of(piece, values[0]))
        return text.strip() if piece.params.get("trim_blanks", True) else text

    return each(piece, columns, context, change)


def each(
    piece: Piece, columns: Columns, context: Context, function: Callable[[tuple[Any, ...]], object]
) -> tuple[Op, Columns]:
    """Every column by itself."""
    return _beside([made(piece, few(piece, columns.pick([i]), context), function) for i in range(len(columns))])


def _beside(parts: Sequence[tuple[Op, Number]]) -> tuple[Op, Columns]:
    items = [shifted(Columns((number,), 1), at)[0] for at, (_, number) in enumerate(parts)]
    return Beside({}, {}, [op for op, _ in parts]), Columns(tuple(items), len(items))


@transformer(f"{START}ConcatTransformer")
def concatenated(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    between = str(piece.params.get("separator", ""))
    found = few(piece, columns, context)
    flat = [one for values in found.values for one in values if not isinstance(one, Special)]
    if any(isinstance(one, bool | date) for one in flat):
        raise CannotLift(piece.kind, "it joins truth values or dates")
    # A frame with a column of text hands out objects, each with its own spelling; one of numbers a common kind.
    floats = any(isinstance(one, float) for one in flat) and not any(isinstance(one, str) for one in flat)
    spell = (lambda one: str(float(one))) if floats else str
    return _one(made(piece, found, lambda values: between.join(spell(one) for one in values)))


@transformer(f"{START}LookupTransformer", f"{START}FilterLookupTransformer", f"{START}MultiLookupTransformer")
def looked_up(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    """What a mapping says; for what it does not know its default, or the value itself where it only filters."""
    pairs = piece.params.get("mapping")
    if not isinstance(pairs, list):
        raise CannotLift(piece.kind, "its description does not hold its mapping as pairs", "Describe it anew")
    multi = piece.kind.endswith("MultiLookupTransformer")
    mapping = {_key(pair, multi): pair[1] for pair in cast("list[list[Any]]", pairs)}
    if any(len(key) != len(columns) for key in mapping):
        raise CannotLift(piece.kind, f"its keys have other lengths than the {len(columns)} columns that reach it")
    if piece.kind.endswith("FilterLookupTransformer"):
        found = few(piece, columns, context)
        return _one(made(piece, found, lambda values: mapping.get(values, values[0])))
    keys = [list(dict.fromkeys(key[place] for key in mapping)) for place in range(len(columns))]
    found = few(piece, columns, context, keys)
    new = [mapping.get(values, piece.params.get("default_value")) for values in found.values]
    if any(value is None for value in new):
        raise CannotLift(piece.kind, "it answers None for what it does not know", "Give default_value, and fit again")
    return _one(told(piece, found, new))


def _key(pair: list[Any], multi: bool) -> tuple[Any, ...]:
    return tuple(pair[0]) if multi else (pair[0],)
