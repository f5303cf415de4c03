"""Counting where the rows lie: one scan, several groupings, whatever the size of the table.

    source = Rows(open_data("scored/*.parquet"))
    keys = {"sex": Listed("sex", {"f": 0, "m": 1}, size=3), "yes": AtLeast("score", 0.5)}
    [both] = count(source, keys, [("sex", "yes")])       # both.codes, both.rows

A key turns a column into small integers. The codes of a grouping are packed into one integer, on which the engine
groups: several times as fast as grouping by the columns, and what comes back is a place in an array.
"""

# ruff: noqa: S608 (names and numbers in the SQL are made here, every text in it is quoted)
from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from workbench.data import engine
from workbench.data.source import DataError
from workbench.data.table import Column, Table

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

MOST = 10_000
"""Distinct values of a column that are told apart at most."""


class Key(Protocol):
    """A column as integers from 0 to size - 1; the last of them where it says nothing that is asked for."""

    @property
    def column(self) -> str: ...
    @property
    def size(self) -> int: ...
    def sql(self, column: str, lookup: str) -> str: ...


@dataclass(frozen=True)
class Listed:
    """Each value (none of them missing) by its code; any other value, and a missing one, is `size` - 1."""

    column: str
    codes: Mapping[Any, int]
    size: int

    def sql(self, column: str, lookup: str) -> str:
        return f"coalesce({lookup}.code, {self.size - 1})" if self.codes else str(self.size - 1)


@dataclass(frozen=True)
class Cut:
    """How many of the edges lie at or below a number; what is not finite is `size` - 1. year: of a date."""

    column: str
    edges: tuple[float, ...]
    year: bool = False

    @property
    def size(self) -> int:
        return len(self.edges) + 2

    def sql(self, column: str, lookup: str) -> str:
        value = f"CAST({f'year({column})' if self.year else column} AS DOUBLE)"
        above = " + ".join(f"({value} >= {float(edge)!r})::INTEGER" for edge in self.edges) or "0"
        return f"CASE WHEN isfinite({value}) THEN {above} ELSE {self.size - 1} END"


@dataclass(frozen=True)
class AtLeast:
    """1 for a number at or above the threshold, 0 below, 2 where it is not finite."""

    column: str
    threshold: float
    size: int = field(default=3, init=False)

    def sql(self, column: str, lookup: str) -> str:
        return f"CASE WHEN isfinite({column}) THEN ({column} >= {float(self.threshold)!r})::INTEGER ELSE 2 END"


@dataclass(frozen=True)
class Binned:
    """The k for which k / bins <= score < (k + 1) / bins, exactly; bins + 1 for what is not in [0, 1]."""

    column: str
    bins: int

    @property
    def size(self) -> int:
        return self.bins + 2

    def sql(self, column: str, lookup: str) -> str:
        # A hair too high, then put right by the comparison: rounding makes 0.29 * 100 less than 29.
        guess = f"floor({column} * {self.bins} + 1e-9)"
        exact = f"({guess} - ({column} < {guess} / {self.bins}.0)::INTEGER)::INTEGER"
        return f"CASE WHEN {column} BETWEEN 0 AND 1 THEN {exact} ELSE {self.bins + 1} END"


def binned(scores: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """`Binned` of an array."""
    import numpy as np

    inside = (scores >= 0) & (scores <= 1)
    known = np.where(inside, scores, 0.0)
    guess = np.floor(known * bins + 1e-9)
    return np.asarray(np.where(inside, guess - (known < guess / bins), bins + 1), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Rows:
    """A table, and beside it the answers about its rows, in the same order: one row for each. Raises DataError."""

    table: Table
    beside: Table | None = None

    def __post_init__(self) -> None:
        if self.beside is not None and self.beside.rows != self.table.rows:
            raise DataError(
                f"{self.beside.name} has {self.beside.rows:,} rows and {self.table.name} {self.table.rows:,}: "
                "answers lie beside a table row by row. Score the table again."
            )

    def column(self, name: str) -> Column:
        """The beside's column of this name, else the table's. Raises DataError."""
        return self._found(name)[1]

    def place(self, name: str) -> str:
        """The column in SQL, after `sql`."""
        where, column = self._found(name)
        return f"{where}.{column.id}"

    def _found(self, name: str) -> tuple[str, Column]:
        if self.beside is not None and any(column.name == name for column in self.beside.columns):
            return "b", self.beside.column(name)
        return "t", self.table.column(name)

    @property
    def sql(self) -> str:
        joined = f"({_select(self.table)}) AS t"
        return joined if self.beside is None else f"{joined} JOIN ({_select(self.beside)}) AS b ON t.row = b.row"


def _select(table: Table) -> str:
    return str(engine.engine().compile(table.expr))


@dataclass(frozen=True)
class Cells:
    """The cells of one grouping that hold rows, in no order. place: [m], flat index into `shape`; rows: [m];
    weight, squares: [m], sums of the weights and of their squares (rows where there are none); sums: by column, [m]
    each, weighted sum of its values and of their squares."""

    shape: tuple[int, ...]
    place: NDArray[np.int64]
    rows: NDArray[np.int64]
    weight: NDArray[np.float64]
    squares: NDArray[np.float64]
    sums: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]

    @property
    def codes(self) -> tuple[NDArray[np.int64], ...]:
        """[m] for each key of the grouping."""
        import numpy as np

        return tuple(np.asarray(code, dtype=np.int64) for code in np.unravel_index(self.place, self.shape))


def count(
    source: Rows,
    keys: Mapping[str, Key],
    groupings: Sequence[tuple[str, ...]],
    *,
    answered: Sequence[str] = (),
    weight: str | None = None,
    moments: Sequence[str] = (),
) -> list[Cells]:
    """Rows by the keys of each grouping, in one scan.

    answered: keys whose last code leaves a row out. weight: a column of finite numbers, none negative. moments: columns
    whose sum and sum of squares are wanted. Memory: the cells, and what the engine is given. Raises DataError.
    """
    shapes = [tuple(keys[name].size for name in names) for names in groupings]
    if any(math.prod(shape) > 2**62 for shape in shapes):
        raise DataError("the groups asked for are too many to be numbered: ask for fewer attributes at once")
    used = list(dict.fromkeys([name for names in groupings for name in names] + [*answered]))
    with _coded(source, {name: keys[name] for name in used}) as (columns, joins):
        columns += [f"CAST({source.place(name)} AS DOUBLE) AS m{i}" for i, name in enumerate(moments)]
        columns += [f"CAST({source.place(weight)} AS DOUBLE) AS w"] if weight else []
        packed = [f"{_packed(names, shape)} AS g{i}" for i, (names, shape) in enumerate(zip(groupings, shapes))]
        packed += [f"m{i}" for i in range(len(moments))] + ["w"] * bool(weight)
        where = " AND ".join(f"k_{name} < {keys[name].size - 1}" for name in answered) or "TRUE"
        rows = f"SELECT {', '.join(packed)} FROM (SELECT {', '.join(columns)} FROM {source.sql} {joins}) WHERE {where}"
        sets = [f"g{i}" for i in range(len(groupings))]
        told = ", ".join([*sets, "count(*) AS n", *_totals(len(moments), bool(weight))])
        found = _arrays(f"SELECT {told} FROM ({rows}) GROUP BY GROUPING SETS ({', '.join(f'({one})' for one in sets)})")
    return [_cells(found, f"g{i}", shape, tuple(moments), bool(weight)) for i, shape in enumerate(shapes)]


@contextmanager
def _coded(source: Rows, keys: Mapping[str, Key]) -> Iterator[tuple[list[str], str]]:
    """The keys as columns of SQL, and the joins with the tables of values they look up, which last as long as this."""
    columns, joins = [], []
    with ExitStack() as stack:
        for name, key in keys.items():
            place, alias = source.place(key.column), f"l_{name}"
            if isinstance(key, Listed) and key.codes:
                joins.append(f"LEFT JOIN {stack.enter_context(_values(key))} AS {alias} ON {place} = {alias}.value")
            columns.append(f"{key.sql(place, alias)} AS k_{name}")
        yield columns, " ".join(joins)


@contextmanager
def _values(key: Listed) -> Iterator[str]:
    import pyarrow as pa

    name = engine.fresh("values")
    table = {"value": pa.array(list(key.codes)), "code": pa.array(list(key.codes.values()), pa.int32())}
    engine.duck().register(name, pa.table(table))
    try:
        yield name
    finally:
        engine.duck().unregister(name)


def _packed(names: Sequence[str], shape: Sequence[int]) -> str:
    """One integer of several codes, the last changing fastest, as numpy numbers the cells of an array."""
    width = "INTEGER" if math.prod(shape) < 2**31 else "BIGINT"
    packed = "0"
    for name, size in zip(names, shape):
        packed = f"({packed} * {size} + k_{name}::{width})"
    return packed


def _totals(moments: int, weighted: bool) -> list[str]:
    w, times = (["sum(w) AS sw", "sum(w * w) AS sww"], "w * ") if weighted else ([], "")
    return [*w, *(f"sum({times}m{i}) AS s{i}, sum({times}m{i} * m{i}) AS ss{i}" for i in range(moments))]


def _arrays(sql: str) -> dict[str, Any]:
    """A result as arrays, masked where NULL; of the columns there are, one value for each row."""
    return dict(engine.duck().execute(sql).fetchnumpy())


def _cells(
    found: Mapping[str, Any], name: str, shape: tuple[int, ...], moments: Sequence[str], weighted: bool
) -> Cells:
    import numpy as np

    own = ~np.ma.getmaskarray(found[name])

    def column(which: str) -> NDArray[np.float64]:
        return np.asarray(np.ma.getdata(found[which])[own], dtype=np.float64)

    rows = column("n").astype(np.int64)
    sums = {of: (column(f"s{i}"), column(f"ss{i}")) for i, of in enumerate(moments)}
    w, squares = (column("sw"), column("sww")) if weighted else (rows.astype(np.float64), rows.astype(np.float64))
    return Cells(shape, np.ma.getdata(found[name])[own].astype(np.int64), rows, w, squares, sums)


def distinct(source: Rows, name: str, most: int = MOST) -> pd.Series[Any] | None:
    """The values of a column, each once, missing included, as `Table.frame` reads them; None for more than `most`."""

    from workbench.data.table import series

    column, place = source.column(name), source.place(name)
    sql = f"SELECT DISTINCT {place} AS value FROM {source.sql} LIMIT {most + 1}"
    found = engine.duck().sql(sql).to_arrow_table()
    values: pd.Series[Any] = series(found["value"].combine_chunks(), column.type)
    return None if len(values) > most else values.rename(name)


def spread(
    source: Rows, name: str, shares: Sequence[float] = (), *, year: bool = False, where: Sequence[str] = ()
) -> tuple[float, ...]:
    """Smallest and largest finite value of a column of numbers (or of the years of dates), then its quantiles.

    where: columns that must be finite too for a row to count.
    """
    place = source.place(name)
    value = f"CAST({f'year({place})' if year else place} AS DOUBLE)"
    asked = ", ".join(["min(v)", "max(v)", *(f"quantile_cont(v, {share!r})" for share in shares)])
    known = " AND ".join(f"isfinite({source.place(one)})" for one in where) or "TRUE"
    sql = f"SELECT {asked} FROM (SELECT {value} AS v FROM {source.sql} WHERE {known}) WHERE isfinite(v)"
    (row,) = engine.query(sql)
    return tuple(math.nan if value is None else float(value) for value in row)


def weights(source: Rows, name: str) -> tuple[int, int, bool]:
    """Rows whose weight is missing, infinite or negative, rows in all, and whether any weight is above 0."""
    value = f"CAST({source.place(name)} AS DOUBLE)"
    bad = "count(*) FILTER (NOT coalesce(isfinite(v) AND v >= 0, false))"
    (row,) = engine.query(
        f"SELECT {bad}, count(*), coalesce(bool_or(v > 0), false) FROM (SELECT {value} AS v FROM {source.sql})"
    )
    return int(row[0]), int(row[1]), bool(row[2])
