"""Parquet into the engine: a view over the files, scanned where they lie."""

# ruff: noqa: S608 (every name in the SQL is made here or quoted)
from __future__ import annotations

from pathlib import Path

from workbench.data import engine
from workbench.data.names import listed, unique
from workbench.data.source import DataError


def load(paths: list[Path]) -> tuple[str, list[str], tuple[str, ...]]:
    """A view with columns c0, c1, ... and `row` over files of one schema; its name, the column names, notes."""
    names: list[str] = []
    notes: list[str] = []
    parts, offset = [], 0
    for path in paths:
        stored, rows = _schema(path)
        found, said = unique(stored)
        names = names or found
        parts.append(_part(path, found, names, offset))
        notes += [note for note in said if note not in notes]
        offset += rows
    view = engine.fresh("parquet")
    engine.query(f"CREATE VIEW {view} AS {' UNION ALL '.join(parts)}")
    return view, names, tuple(notes)


def _schema(path: Path) -> tuple[list[str], int]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        meta = pq.ParquetFile(path)
        return list(meta.schema_arrow.names), int(meta.metadata.num_rows)
    except (pa.ArrowException, OSError) as error:
        why = str(error).splitlines()[0]
        raise DataError(f"{path} is not a whole Parquet file: {why}. Write it again.") from error


def _part(path: Path, found: list[str], names: list[str], offset: int) -> str:
    if set(found) != set(names):
        lacks, more = [n for n in names if n not in found], [n for n in found if n not in names]
        parts = [f"lacks {listed(lacks)}"] * bool(lacks) + [f"has also {listed(more)}"] * bool(more)
        raise DataError(f"The files differ: {path.name} {' and '.join(parts)}. Give files with the same columns.")
    taken = any(name.lower() == "file_row_number" for name in found)
    source = f"read_parquet({engine.quoted(str(path))}{'' if taken else ', file_row_number=true'})"
    # By position: the engine folds the case of names, and a file may hold both 'A' and 'a'.
    own = [row[0] for row in engine.query(f"DESCRIBE SELECT * FROM {source}")]
    columns = ", ".join(f"{engine.identifier(own[found.index(name)])} AS c{i}" for i, name in enumerate(names))
    number = "row_number() OVER () - 1" if taken else "file_row_number"
    return f"SELECT {number} + {offset} AS row, {columns} FROM {source}"
