"""What is in each column: exact counts over all rows in one fused pass, and a bounded sample for shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.data import engine
from workbench.data.table import Column, Table

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd

SAMPLE = 50_000
"""Rows of the sample that quantiles, bins and patterns of content are read from."""
VALUES = 2_000
"""Most frequent values kept of a text column."""
CHUNK = 40
"""Columns asked for in one pass: the engine's plan for thousands of aggregates outgrows the pass itself."""

NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
FORMS: dict[str, str] = {
    "number": NUMBER,
    "number with a decimal comma": r"^\s*[+-]?\d+,\d+\s*$",
    "date (ISO)": r"^\s*\d{4}-\d{2}-\d{2}\s*$",
    "date and time": r"^\s*\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?\s*$",
    "date and time with zone": r"^\s*\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)? ?(Z|[+-]\d{2}(:?\d{2})?)\s*$",
    "date with slashes": r"^\s*\d{1,2}/\d{1,2}/\d{2,4}\s*$",
    "date with dots": r"^\s*\d{1,2}\.\d{1,2}\.\d{2,4}\s*$",
}
"""Forms a text value may have. A value has one of them at most."""


@dataclass(frozen=True)
class Facts:
    """One column, exact over all rows.

    present: values that are neither null nor NaN. distinct: among them. infinite: numbers only. forms: values of a
    text column by form. values: of a text or bool column the most frequent ones with their counts.
    """

    column: Column
    rows: int
    present: int
    distinct: int
    infinite: int = 0
    forms: Mapping[str, int] | None = None
    values: tuple[tuple[str, int], ...] = ()

    @property
    def name(self) -> str:
        return self.column.name

    @property
    def missing(self) -> int:
        return self.rows - self.present


@dataclass(frozen=True, eq=False)
class Profile:
    """A table seen: facts by column name, and a seeded sample of its rows (all of them if there are few)."""

    name: str
    table: Table
    facts: Mapping[str, Facts]
    frame: pd.DataFrame

    @property
    def rows(self) -> int:
        return self.table.rows

    def of(self, *types: str) -> list[Facts]:
        return [facts for facts in self.facts.values() if facts.column.type in types]


def profile(table: Table, name: str = "", sample: int = SAMPLE) -> Profile:
    """Profile every column of a table. Time is linear in rows; memory is bounded by the engine and the sample."""
    counts: dict[str, int] = {}
    for start in range(0, len(table.columns), CHUNK):
        asked = [_aggregates(column) for column in table.columns[start : start + CHUNK]]
        counts |= tally(table, {key: ask for each in asked for key, ask in each.items()})
    frame = table.sample(sample)
    facts = {column.name: _facts(table, column, counts, frame) for column in table.columns}
    return Profile(name or table.name, table, facts, frame)


Ask = Callable[["ir.Table"], Any]


def tally(table: Table, asked: Mapping[str, Ask]) -> dict[str, int]:
    """Many aggregates in one pass over the table; a null (nothing to add up) is 0."""
    if not asked:
        return {}
    # Names of our own: a key may hold anything a column name holds.
    aliases = {f"a{i}": key for i, key in enumerate(asked)}
    row = engine.fetch(table.expr.aggregate(**{a: asked[key](table.expr) for a, key in aliases.items()})).to_pylist()[0]
    return {key: int(row[alias] or 0) for alias, key in aliases.items()}


def present(expr: ir.Table, column: Column) -> Any:
    """The column with NaN read as null."""
    values = expr[column.id]
    return values.isnan().ifelse(None, values) if values.type().is_floating() else values


def _aggregates(column: Column) -> dict[str, Ask]:
    asked: dict[str, Ask] = {f"{column.id}.present": lambda expr: present(expr, column).count()}
    if column.type != "other":
        asked[f"{column.id}.distinct"] = lambda expr: present(expr, column).nunique()
    if column.type == "number":
        asked[f"{column.id}.infinite"] = lambda expr: expr[column.id].cast("float64").isinf().sum()
    if column.type == "text":
        for form, pattern in FORMS.items():
            asked[f"{column.id}.{form}"] = _matching(column, pattern)
    return asked


def _matching(column: Column, pattern: str) -> Ask:
    return lambda expr: expr[column.id].re_search(pattern).sum()


def _facts(table: Table, column: Column, counts: Mapping[str, int], frame: pd.DataFrame) -> Facts:
    text = column.type == "text"
    return Facts(
        column,
        table.rows,
        counts[f"{column.id}.present"],
        counts.get(f"{column.id}.distinct", 0),
        counts.get(f"{column.id}.infinite", 0),
        {form: counts[f"{column.id}.{form}"] for form in FORMS} if text else None,
        value_counts(table, column, frame) if text or column.type == "bool" else (),
    )


def value_counts(table: Table, column: Column, frame: pd.DataFrame, most: int = VALUES) -> tuple[tuple[str, int], ...]:
    """The most frequent values as text, with their counts; ties in the order of the values. frame: the sample."""
    if len(frame) == table.rows:
        counts = frame[column.name].value_counts().to_dict()
        ranked = sorted(((str(value), int(n)) for value, n in counts.items()), key=lambda item: (-item[1], item[0]))
        return tuple(ranked[:most])
    import ibis

    grouped = (
        table.expr.filter(table.expr[column.id].notnull())
        .group_by(value=table.expr[column.id])
        .aggregate(n=lambda rows: rows.count())
    )
    found = engine.fetch(grouped.order_by([ibis.desc("n"), "value"]).limit(most)).to_pylist()
    return tuple((str(row["value"]), int(row["n"])) for row in found)


def row_hash(table: Table, columns: Sequence[Column]) -> ir.Table:
    """`row` and a 64-bit `hash` of the given columns, the same for equal values in another table.

    Numbers are compared as float64. Odds that two of 10 million different rows have one hash: 3 in a million.
    """
    parts = [_comparable(table.expr, column) for column in columns]
    while len(parts) > 1:  # in blocks: an expression nested as deep as a table is wide cannot be compiled
        parts = [_chained(parts[start : start + 16]) for start in range(0, len(parts), 16)]
    return table.expr.select("row", hash=parts[0].hash())


def _chained(parts: Sequence[Any]) -> Any:
    """Chained, not added: the same values in other columns are another row. Twice at first, for ^ is symmetric."""
    combined = parts[0].hash().hash()
    for part in parts[1:]:
        combined = (combined ^ part.hash()).hash()
    return combined


def _comparable(expr: ir.Table, column: Column) -> Any:
    values = present(expr, column)
    if column.type in ("integer", "number", "bool"):
        return values.cast("float64")
    return values.cast("string")
