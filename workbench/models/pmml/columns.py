"""Values on their way through a PMML model: one column of numbers, or one of text by code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.models.pmml.document import as_float
from workbench.models.protocol import ModelError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
TEXT = ("string",)
NUMERIC = ("double", "float", "integer", "boolean")


@dataclass(frozen=True)
class Column:
    """numbers [n] with NaN for missing; or codes [n], places in labels, -1 for missing. single: numbers are float32."""

    numbers: Floats | None = None
    codes: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    labels: tuple[str, ...] = ()
    single: bool = False

    def __len__(self) -> int:
        return len(self.codes if self.numbers is None else self.numbers)

    @cached_property
    def missing(self) -> Bools:
        return np.asarray(self.codes < 0 if self.numbers is None else np.isnan(self.numbers))

    @cached_property
    def places(self) -> dict[str, int]:
        return {label: place for place, label in enumerate(self.labels)}

    def at(self, rows: Ints) -> Column:
        if self.numbers is None:
            return Column(None, self.codes[rows], self.labels)
        return Column(self.numbers[rows], single=self.single)

    def same(self, value: str, where: str) -> Bools:
        """Where the column holds the value, as its own type reads it. Missing is not it."""
        if self.numbers is None:
            return np.asarray(self.codes == self.places.get(value, -2))
        return np.asarray(self.numbers == self.read(value, where))

    def read(self, value: str, where: str) -> float:
        """A literal as this column of numbers compares with it."""
        number = as_float(value, where)
        return float(np.float32(number)) if self.single else number

    def need_numbers(self, where: str) -> Floats:
        if self.numbers is None:
            raise ModelError(f"{where} computes with text: the file asks for what PMML does not allow")
        return self.numbers

    def text(self) -> NDArray[Any]:
        """Objects [n], None for missing."""
        labels: NDArray[Any] = np.array([*self.labels, None], dtype=object)
        return np.asarray(labels[self.codes])


def from_text(values: NDArray[Any]) -> Column:
    """A column of text from objects; None and NaN are missing."""
    places: dict[str, int] = {}
    codes = np.array(
        [-1 if v is None or v != v else places.setdefault(str(v), len(places)) for v in values], dtype=np.int64
    )
    return Column(None, codes.reshape(len(values)), tuple(places))


def constant(value: str | None, n: int, data_type: str) -> Column:
    """n times one value of a PMML data type, None for missing."""
    if value is None:
        return Column(np.full(n, np.nan))
    if data_type in TEXT:
        return Column(None, np.zeros(n, np.int64), (value,))
    return Column(np.full(n, as_float(value, "constant")))


def guess_type(value: str) -> str:
    try:
        float(value)
    except ValueError:
        return "string"
    return "double"


def cast(column: Column, data_type: str) -> Column:
    """The column as a PMML data type; "" leaves it. Raises ModelError for a type that is not read here."""
    if data_type == "":
        return column
    if data_type in TEXT:
        return column if column.numbers is None else from_text(_spelled(column.numbers))
    if data_type not in NUMERIC:
        raise ModelError(f"it has values of the type {data_type!r}, which is not read here: give them as numbers")
    if column.numbers is None:
        numbers = np.array([*(as_float(label, "text") for label in column.labels), np.nan])[column.codes]
        column = Column(numbers)
    assert column.numbers is not None
    if data_type == "float" and not column.single:
        with np.errstate(over="ignore"):
            return Column(column.numbers.astype(np.float32).astype(np.float64), single=True)
    return Column(column.numbers) if column.single and data_type == "double" else column


def _spelled(numbers: Floats) -> NDArray[Any]:
    whole = [None if v != v else str(int(v)) if float(v).is_integer() else repr(float(v)) for v in numbers]
    return np.array([*whole, None], dtype=object)[:-1]


def choose(where: Bools, left: Column, right: Column) -> Column:
    """left where `where`, else right."""
    if left.numbers is not None and right.numbers is not None:
        return Column(np.where(where, left.numbers, right.numbers), single=left.single and right.single)
    if left.numbers is not None:
        left = _none(left) if left.missing.all() else cast(left, "string")
    if right.numbers is not None:
        right = _none(right) if right.missing.all() else cast(right, "string")
    labels = tuple(dict.fromkeys((*left.labels, *right.labels)))
    places = {label: place for place, label in enumerate(labels)}

    def moved(column: Column) -> Ints:
        to = np.array([*(places[label] for label in column.labels), -1], dtype=np.int64)
        return np.asarray(to[column.codes])

    return Column(None, np.where(where, moved(left), moved(right)), labels)


def _none(column: Column) -> Column:
    return Column(None, np.full(len(column), -1, np.int64))


Expression = Callable[["Scope"], Column]


class Scope:
    """The fields a model may name: prepared inputs, derived ones (computed once, when asked for), then its parent's."""

    def __init__(
        self,
        n: int,
        columns: Mapping[str, Column] | None = None,
        derived: Mapping[str, Expression] | None = None,
        parent: Scope | None = None,
        prepare: Callable[[str, Column], Column] | None = None,
    ) -> None:
        self.n, self.columns, self.derived = n, dict(columns or {}), dict(derived or {})
        self.parent, self.prepare, self.asked = parent, prepare, set[str]()

    def get(self, name: str) -> Column:
        """Raises ModelError for a name that nothing defines, or a derived field that needs itself."""
        if name in self.columns:
            return self.columns[name]
        if name in self.asked:
            raise ModelError(f"its field {name!r} is computed from itself: the file is damaged")
        self.asked.add(name)
        if name in self.derived:
            found = self.derived[name](self)
        elif self.parent is None:
            raise ModelError(f"it names a field {name[:80]!r} that it does not define: export the model anew")
        else:
            found = self.parent.get(name)
            found = self.prepare(name, found) if self.prepare else found
        self.asked.discard(name)
        self.columns[name] = found
        return found
