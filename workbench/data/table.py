"""A table of a migration: named, typed columns over an Ibis expression, handed out as bounded pandas frames."""

from __future__ import annotations

import re
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workbench.data.names import listed, shown
from workbench.data.source import DataError, fingerprint, kind, resolve

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

Type = Literal["integer", "number", "text", "bool", "date", "datetime", "other"]


@dataclass(frozen=True)
class Column:
    """A column: its name as in the file, its type, and its plain id in `Table.expr` (c0, c1, ...)."""

    name: str
    type: Type
    id: str = ""


@dataclass(frozen=True, eq=False)
class Table:
    """Rows under named columns, in the engine.

    rows: exact. notes: what was noticed when reading, as sentences. expr: the Ibis expression, for `data/` only; its
    columns are the ids, and `row` numbers the rows from 0 in file order.
    """

    name: str
    columns: tuple[Column, ...]
    rows: int
    notes: tuple[str, ...]
    paths: tuple[Path, ...]
    expr: ir.Table = field(repr=False)
    cache: Path | None = field(default=None, repr=False)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the files' content."""
        return fingerprint(self.paths, self.cache)

    def column(self, name: str) -> Column:
        """Raises DataError with the nearest name."""
        for column in self.columns:
            if column.name == name:
                return column
        raise DataError(f"{self.name} has no column {shown(name)}.{_nearest(name, [c.name for c in self.columns])}")

    def frame(self, columns: Sequence[str] | None = None, limit: int | None = None) -> pd.DataFrame:
        """The rows as pandas, in file order: int64 (float64 with gaps), float64, str, bool (object with gaps),
        datetime64. limit: the first rows only. Bound it: nothing else here loads a whole table.
        """
        return self._pandas(self.expr, columns, limit)

    def sample(self, n: int, seed: int = 0, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """n rows in file order, the same for the same content and seed; all rows if there are no more than n.

        Rows are chosen by a hash of their number, so a smaller sample is part of a larger one.
        Raises ValueError if n < 1.
        """
        if n < 1:
            raise ValueError(f"a sample has at least one row, not {n}")
        if n >= self.rows:
            return self._pandas(self.expr, columns, None)
        from workbench.data import engine

        with engine.lent("row", choose(self.rows, n, seed)) as chosen:
            return self._pandas(self.expr.semi_join(chosen, "row"), columns, None)

    def _pandas(self, expr: ir.Table, names: Sequence[str] | None, limit: int | None) -> pd.DataFrame:
        import pandas as pd

        from workbench.data import engine

        chosen = self.columns if names is None else tuple(self.column(name) for name in names)
        ids = list(dict.fromkeys(column.id for column in chosen))
        arrow = engine.fetch(expr.order_by("row").select(*ids or ["row"]).limit(limit))
        parts = [series(arrow[column.id], column.type) for column in chosen]
        frame = pd.concat(parts, axis=1) if parts else pd.DataFrame(index=range(len(arrow)))
        frame.columns = pd.Index([column.name for column in chosen])
        return frame


def open_data(uri: str | Sequence[str], folder: Path = Path(), *, cache: Path | None = None) -> Table:
    """Open a CSV or Parquet file, a glob, or a list of both; paths are relative to `folder`.

    Nulls are empty cells only, so that "N/A" and "?" stay visible. cache: a folder for fingerprints.
    Raises DataError, in a sentence, for what cannot be read.
    """
    paths = resolve(uri, folder)
    kinds = {kind(path) for path in paths}
    if len(kinds) > 1:
        raise DataError(f"The files of {uri!r} are CSV and Parquet mixed. Give files of one kind.")
    relation, names, notes = _load(paths, kinds.pop())
    expr, types = _described(relation)
    table = Table(
        name=paths[0].name if len(paths) == 1 else f"{len(paths)} files",
        columns=tuple(Column(name, _type(types[i]), f"c{i}") for i, name in enumerate(names)),
        rows=_count(relation),
        notes=notes,
        paths=tuple(paths),
        expr=expr,
        cache=cache,
    )
    weakref.finalize(table, _forget, relation)
    if not table.rows:
        raise DataError(f"{listed([str(p) for p in paths])} has a header and no rows. Name a file with rows.")
    return table


def _load(paths: list[Path], files: str) -> tuple[str, list[str], tuple[str, ...]]:
    from workbench.data import csvfile, parquet

    if files == "parquet":
        return parquet.load(paths)
    loaded = csvfile.load(paths)
    return loaded.name, loaded.names, loaded.notes


def _described(relation: str) -> tuple[ir.Table, list[str]]:
    from workbench.data import engine

    told = engine.query(f"DESCRIBE {relation}")
    return engine.relation(relation), [row[1] for row in told if row[0] != "row"]


def _count(relation: str) -> int:
    from workbench.data import engine

    return int(engine.query(f"SELECT count(*) FROM {relation}")[0][0])  # noqa: S608 (a name made by the engine)


def _forget(relation: str) -> None:
    from workbench.data import engine

    engine.drop("VIEW" if relation.startswith("parquet") else "TABLE", relation)


_TYPES: tuple[tuple[str, Type], ...] = (
    (r"U?(TINY|SMALL|BIG)INT|U?INTEGER", "integer"),
    (r"DOUBLE|FLOAT|U?HUGEINT|DECIMAL.*", "number"),
    (r"VARCHAR|ENUM.*|UUID", "text"),
    ("BOOLEAN", "bool"),
    ("DATE", "date"),
    (r"TIMESTAMP.*", "datetime"),
)


def _type(native: str) -> Type:
    return next((name for pattern, name in _TYPES if re.fullmatch(pattern, native)), "other")


def series(values: Any, type_: Type) -> pd.Series[Any]:
    """An Arrow column as `Table.frame` gives it."""
    import pandas as pd

    gaps = values.null_count > 0
    if type_ == "integer":
        return pd.Series(values.cast("float64" if gaps else "int64", safe=False).to_pandas())
    if type_ == "number":
        return pd.Series(values.cast("float64", safe=False).to_pandas())
    if type_ == "text":
        return pd.Series(values.cast("string").to_pandas(), dtype="str")
    if type_ == "bool":
        return pd.Series(values.to_pandas(), dtype=object if gaps else bool)
    if type_ in ("date", "datetime"):
        return pd.Series(values.cast("timestamp[us]").to_pandas())
    return pd.Series(values.to_pylist(), dtype=object)


def choose(rows: int, n: int, seed: int = 0) -> NDArray[np.int64]:
    """The n of `rows` row numbers with the smallest hash (splitmix64, Steele et al. 2014), ascending; memory O(n)."""
    import numpy as np

    best = np.empty(0, np.int64)
    keys = np.empty(0, np.uint64)
    for start in range(0, rows, 1 << 20):
        block = np.arange(start, min(rows, start + (1 << 20)), dtype=np.int64)
        best, keys = np.concatenate([best, block]), np.concatenate([keys, _splitmix(block, seed)])
        if len(best) > n:
            kept = np.argpartition(keys, n)[:n]
            best, keys = best[kept], keys[kept]
    return np.sort(best)


def _splitmix(numbers: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    import numpy as np

    golden = 0x9E3779B97F4A7C15
    z = numbers.astype(np.uint64) * np.uint64(golden) + np.uint64((seed + 1) * golden % 2**64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _nearest(name: str, names: list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, names, n=1)
    return f" Did you mean {shown(close[0])}?" if close else f" It has {listed(names)}."
