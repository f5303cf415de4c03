"""What is known about columns while a model is lifted, and the registry of converters.

A converter reads one fitted piece and answers with an op and the columns it leaves. Numbers flow through ops at run
time. Categories do not: whatever happens to them before they become numbers (filling, mapping) is followed here, value
by value, so that at run time one table lookup takes a raw category to its numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from workbench.migrate.lift.ops import Chain, Lookup, Nothing, Op, Take
from workbench.migrate.lift.stops import stopped, stops
from workbench.models.edge import EdgeColumn, EdgeSpec
from workbench.models.knowledge import known, new_options
from workbench.models.protocol import Input, Kind, Label, ModelError, Piece

RETRAIN = "Retrain this part on torch, or replace it by a supported piece and fit the legacy model again"


class CannotLift(ModelError):  # noqa: N818 - reads as the sentence it is
    """A piece that cannot be expressed exactly. piece: its kind; why; advice: what to do instead."""

    def __init__(self, piece: str, why: str, advice: str = RETRAIN) -> None:
        self.piece, self.why, self.advice = piece, why, advice
        super().__init__(f"{piece} cannot be lifted exactly: {why}. {advice}.")


class Special(Enum):
    """Raw values that are no value of the vocabulary."""

    UNKNOWN = "unknown"
    NONE = "none"
    MISSING = "missing"


Entry = Label | Special
Read = Literal["number", "category"]


class Reread(Exception):  # noqa: N818 - a change of plan, not an error
    """Raw columns turn out to be read otherwise than first taken: start again."""

    def __init__(self, sources: Iterable[Source], read: Read, piece: Piece) -> None:
        self.sources, self.read, self.piece = tuple(sources), read, piece
        super().__init__(f"{[source.name for source in self.sources]} are read as {read}")


@dataclass
class Source:
    """A raw column, and what is learnt of it while converting.

    vocabulary: what a category column must tell apart. barred: values a piece stops at, though another knows them.
    allowed: the only numbers a piece takes, None for any. between: their least and largest, as allowed but for those.
    refuses: which special values a piece stops at. none: what is missing is None to the model.
    """

    name: str
    read: Read
    fixed: bool = False
    vocabulary: dict[Label, None] = field(default_factory=dict)
    barred: set[Label] = field(default_factory=set)
    allowed: tuple[Label, ...] | None = None
    refuses: dict[str, None] = field(default_factory=dict)
    between: tuple[float, float] | None = None
    besides: dict[float, None] = field(default_factory=dict)
    none: bool = False
    used: bool = False

    def learn(self, values: Iterable[Entry]) -> None:
        values = tuple(values)
        # The legacy model then gets None for what is missing, as in its training.
        self.none = self.none or Special.NONE in values
        known = (v for v in values if not isinstance(v, Special) and v not in self.barred)
        self.vocabulary.update(dict.fromkeys(known))

    def bar(self, values: Iterable[Label]) -> None:
        self.barred.update(values)
        self.vocabulary = {v: None for v in self.vocabulary if v not in self.barred}

    def allow(self, values: Iterable[Label]) -> None:
        """Only these numbers, and only those allowed before."""
        self.allowed = tuple(v for v in values if self.allowed is None or v in self.allowed)
        self.refuses["unknown"] = None

    def hold(self, low: float, high: float, besides: Iterable[float] = ()) -> None:
        """Only numbers from low to high, and within any other such limits, or one of `besides`."""
        if self.between is not None:
            low, high = max(low, self.between[0]), min(high, self.between[1])
        self.between = (low, high)
        self.besides.update(dict.fromkeys(besides))
        self.refuses["outside"] = None

    def column(self) -> EdgeColumn:
        values = tuple(self.vocabulary) if self.read == "category" else self.allowed or ()
        between = None if self.between is None else (*self.between, *self.besides)
        return EdgeColumn(self.name, self.read, values, tuple(self.refuses), self.none, between)

    @property
    def state(self) -> tuple[object, ...]:
        return self.read, self.used, len(self.vocabulary), len(self.barred)


@dataclass(frozen=True)
class Number:
    """Column `at` of the numbers.

    source: the raw column it still equals, save where a missing one was filled. among: all that it can be, if few.
    words: where it is no number but a place in a list of text or dates that an earlier step made, that list.
    """

    at: int
    source: Source | None = None
    filled: bool = False
    among: tuple[float, ...] = ()
    words: tuple[object, ...] = ()


@dataclass(frozen=True)
class Code:
    """A raw category column; replaced: what raw values have since become."""

    source: Source
    replaced: Mapping[Entry, Entry] = field(default_factory=dict)

    def entries(self) -> list[Entry]:
        """Current value for each row of a lookup table: unknown, none, missing, then the vocabulary."""
        raw: list[Entry] = [Special.UNKNOWN, Special.NONE, Special.MISSING, *self.source.vocabulary]
        return [self.replaced.get(value, value) for value in raw]


Column = Number | Code


@dataclass(frozen=True)
class Columns:
    """What reaches a piece: columns in its order, over numbers that are `width` wide; names where they are known."""

    items: tuple[Column, ...]
    width: int
    names: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.items)

    def pick(self, chosen: Sequence[int]) -> Columns:
        names = tuple(self.names[i] for i in chosen) if self.names else None
        return Columns(tuple(self.items[i] for i in chosen), self.width, names)


def fresh(width: int) -> Columns:
    """Columns that an op just computed."""
    return Columns(tuple(Number(i) for i in range(width)), width)


class Context:
    """One attempt to lift a model: its raw columns, its task, and what was already built (by piece, over attempts)."""

    def __init__(
        self, sources: Sequence[Source], classes: tuple[Label, ...], task: Kind, built: dict[int, Any] | None = None
    ) -> None:
        self.sources, self.classes, self.task = tuple(sources), classes, task
        self.built = {} if built is None else built
        for source in self.sources:
            source.between, source.besides = None, {}

    def start(self) -> Columns:
        numbers = [source for source in self.sources if source.read == "number" and source.used]
        place = {id(source): at for at, source in enumerate(numbers)}
        items = [
            Number(place.get(id(source), 0), source) if source.read == "number" else Code(source)
            for source in self.sources
        ]
        return Columns(tuple(items), len(numbers), tuple(source.name for source in self.sources))

    def code_at(self, source: Source) -> int:
        """Place of a category column among the edge's codes."""
        codes = [other for other in self.sources if other.read == "category" and other.used]
        return next((at for at, other in enumerate(codes) if other is source), 0)

    def edge(self) -> EdgeSpec:
        return EdgeSpec(tuple(source.column() for source in self.sources if source.used))


Converter = Callable[[Piece, Columns, Context], tuple[Op, Columns]]
Predictor = Callable[[Piece, Columns, Context], Op]
TRANSFORMERS: dict[str, Converter] = {}
PREDICTORS: dict[str, Predictor] = {}


def transformer(*kinds: str) -> Callable[[Converter], Converter]:
    def register(function: Converter) -> Converter:
        TRANSFORMERS.update(dict.fromkeys(kinds, function))
        return function

    return register


def predictor(*kinds: str) -> Callable[[Predictor], Predictor]:
    def register(function: Predictor) -> Predictor:
        PREDICTORS.update(dict.fromkeys(kinds, function))
        return function

    return register


def convert(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    """A transformer as op. Raises CannotLift for a kind without converter."""
    if piece.kind not in TRANSFORMERS:
        raise _stranger(
            piece, "it predicts, and stands where columns are transformed" if piece.kind in PREDICTORS else ""
        )
    _refuse_new_options(piece)
    return TRANSFORMERS[piece.kind](piece, columns, context)


def answer(piece: Piece, columns: Columns, context: Context) -> Op:
    """A model as op that ends in named outputs. Raises CannotLift for a kind without converter."""
    if piece.kind not in PREDICTORS:
        transforms = "it transforms columns, and a model must end in an answer"
        raise _stranger(piece, transforms if piece.kind in TRANSFORMERS else "")
    _refuse_new_options(piece)
    op = PREDICTORS[piece.kind](piece, columns, context)
    at = [column.at for column in columns.items if isinstance(column, Number)]
    return stopped(op, at) if stops(piece) else op


def _refuse_new_options(piece: Piece) -> None:
    strange = new_options(piece)
    if strange:
        raise CannotLift(
            piece.kind, f"its option {strange[0]!r} is newer than what is known of it", "Update the workbench"
        )


def _stranger(piece: Piece, why: str) -> CannotLift:
    """A kind without converter, with what is known of it."""
    what = known(piece)
    advice = what.advice.rstrip(".") or RETRAIN
    return CannotLift(piece.kind, why or what.why or "no exact torch form of it is known here", advice)


def numbers(piece: Piece, columns: Columns) -> tuple[list[Op], int]:
    """Ops that put the columns, all numbers, side by side in order; and how many they are.

    Raises Reread if some are categories as read so far, CannotLift if they must be.
    """
    codes = [column.source for column in columns.items if isinstance(column, Code)]
    if codes:
        reread(codes, "number", piece)
    no_words(piece, columns)
    at = [column.at for column in columns.items if isinstance(column, Number)]
    use(columns)
    return ([] if at == list(range(columns.width)) else [take(at)]), len(at)


def no_words(piece: Piece, columns: Columns) -> None:
    """Raises CannotLift where text that an earlier step made reaches a piece that computes."""
    if any(isinstance(column, Number) and column.words for column in columns.items):
        raise CannotLift(piece.kind, "text made by an earlier step reaches it", "Encode that text first, and fit again")


def reread(sources: Iterable[Source], read: Read, piece: Piece) -> None:
    """Ask for raw columns to be read otherwise."""
    wrong = [source for source in sources if source.read != read]
    fixed = [source.name for source in wrong if source.fixed]
    if fixed:
        raise CannotLift(piece.kind, f"column {fixed[0]!r} is read here as a {read} and elsewhere otherwise")
    raise Reread(wrong, read, piece)


def use(columns: Columns) -> None:
    for column in columns.items:
        if column.source is not None:
            column.source.used = True


def take(at: Sequence[int]) -> Op:
    return Take({}, {"at": np.array(at, dtype=np.int64)}) if len(at) else Nothing()


def chain(ops: Sequence[Op]) -> Op:
    return ops[0] if len(ops) == 1 else Chain({}, {}, ops)


def lookup(code: Code, table: NDArray[np.float64], context: Context) -> Op:
    """table: one row for each of `code.entries()`."""
    code.source.used = True
    if not table.shape[1]:
        return Nothing()
    return Lookup({"column": context.code_at(code.source)}, {"table": np.ascontiguousarray(table, dtype=np.float64)})


def kept(columns: Columns) -> tuple[Op, Columns]:
    """The columns as they are: numbers moved side by side, categories untouched."""
    at = [column.at for column in columns.items if isinstance(column, Number)]
    place = iter(range(len(at)))
    items = tuple(replace(c, at=next(place)) if isinstance(c, Number) else c for c in columns.items)
    for column in columns.items:
        if isinstance(column, Number) and column.source is not None:
            column.source.used = True
    return take(at), Columns(items, len(at), columns.names)


def shifted(columns: Columns, by: int) -> tuple[Column, ...]:
    """The columns where their numbers stand `by` further right."""
    return tuple(replace(c, at=c.at + by) if isinstance(c, Number) else c for c in columns.items)


def sources_of(inputs: Sequence[Input]) -> list[Source]:
    return [Source(i.name, "category" if i.kind in ("category", "text") else "number") for i in inputs]
