"""CSV into the engine: dialect sniffed, header judged, every type proved on every row."""

# ruff: noqa: S608 (every name in the SQL is made here: c0, c1, ...; every text in it is quoted)
from __future__ import annotations

import csv
import gzip
import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

from workbench.data import engine
from workbench.data.names import listed, unique
from workbench.data.source import GZIP, DataError, encodings

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = 200
"""Records read to judge the header."""

_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(?i:nan|inf|infinity)"
_DAY = r"\d{4}-\d{2}-\d{2}"
_TIME = r"[ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?"
_ZONE = r" ?(Z|[+-]\d{2}(:?\d{2})?)"
TYPES: tuple[tuple[str, str, str], ...] = (
    ("BOOLEAN", "true|false|True|False|TRUE|FALSE", "TRY_CAST({0} AS BOOLEAN)"),
    ("BIGINT", r"[+-]?\d{1,19}", "TRY_CAST({0} AS BIGINT)"),
    ("DOUBLE", _NUMBER, "TRY_CAST({0} AS DOUBLE)"),
    ("DATE", _DAY, "TRY_CAST({0} AS DATE)"),
    ("TIMESTAMP", f"{_DAY}({_TIME})?", "TRY_CAST({0} AS TIMESTAMP)"),
    ("TIMESTAMP WITH TIME ZONE", _DAY + _TIME + _ZONE, "(TRY_CAST({0} AS TIMESTAMPTZ) AT TIME ZONE 'UTC')"),
)
"""A column has the first type whose pattern and cast hold for every value. The pattern comes first because a cast
alone reads '12.5' as the integer 13 and 't' as true."""


@dataclass(frozen=True)
class Dialect:
    delimiter: str
    quote: str
    escape: str
    encoding: str
    ending: str = ""


@dataclass(frozen=True)
class Loaded:
    """A typed table of the engine with columns c0, c1, ... and `row`, numbered from 0 in file order."""

    name: str
    names: list[str]
    notes: tuple[str, ...]


def load(paths: list[Path]) -> Loaded:
    """Read CSV files with one header into a typed table. Raises DataError naming the file and the line."""
    raw = engine.fresh("raw")
    names: list[str] = []
    notes: list[str] = []
    try:
        for path in paths:
            found, said = _append(raw, path, names)
            notes += [note for note in said if note not in notes]
            names = names or found
        table = _typed(raw, len(names))
    finally:
        engine.drop("TABLE", raw)
    return Loaded(table, names, tuple(notes))


def _append(raw: str, path: Path, names: list[str]) -> tuple[list[str], list[str]]:
    for encoding in (tried := encodings(path)):
        try:
            found, notes, selected = _select(path, encoding, names)
            exists = f"INSERT INTO {raw}" if names else f"CREATE TABLE {raw} AS"
            engine.query(f"{exists} {selected}")
        except Exception as error:
            if encoding != tried[-1] and _undecodable(error):
                continue
            raise error if isinstance(error, DataError) else _refusal(path, error) from error
        if encoding != "utf-8":
            notes.append(f"{path.name} is not UTF-8; it was read as {encoding}. Check letters with accents.")
        return found, notes
    raise AssertionError("unreachable: the last encoding returns or raises")


def _undecodable(error: Exception) -> bool:
    return isinstance(error, UnicodeDecodeError) or "utf-8" in str(error).lower()


def _refusal(path: Path, error: Exception) -> DataError:
    if isinstance(error, (UnicodeError, csv.Error, OSError, EOFError)):
        return DataError(f"{path} cannot be read as CSV: {error}. Check the file, or save it again.")
    # The engine's message quotes the offending row; a row is nobody's business here.
    told = [line for line in str(error).splitlines() if re.search(r"on Line|Expected Number|unterminated|quote", line)]
    why = re.sub(r"^.*?Error: ", "", "; ".join(told[:2]) or str(error).splitlines()[0])
    return DataError(f"{path} cannot be read as CSV: {why}. Correct that line, or save the file again.")


def _select(path: Path, encoding: str, names: list[str]) -> tuple[list[str], list[str], str]:
    dialect = _sniff(path, encoding)
    head = list(itertools.islice(_records(path, dialect), HEAD))
    if not head:
        raise DataError(f"{path} holds no rows. Write it again, or name another file.")
    header = has_header(head)
    found, notes = unique(head[0] if header else [f"column_{i}" for i in range(len(head[0]))])
    if not header:
        notes.append(
            f"{path.name} has no header row: its first row looks like data, so the columns are called column_0, "
            f"column_1, .... Write the names as the first line of the file, separated by {dialect.delimiter!r}."
        )
    order = _order(path, found, names) if names else range(len(found))
    return found, notes, _reading(path, dialect, header, len(found), list(order))


def _sniff(path: Path, encoding: str) -> Dialect:
    """The delimiter under which most records are as wide as the first one; quotes as in RFC 4180, or backslashes."""
    with _opened(path, encoding) as lines:
        head = "".join(itertools.islice(lines, HEAD))
    escape = "\\" if '\\"' in head and '""' not in head.replace(',""', "") else '"'
    shares = {mark: _regular(path, Dialect(mark, '"', escape, encoding)) for mark in ",;\t| "}
    space = shares.pop(" ") == 1
    best = max(shares, key=lambda mark: shares[mark])
    delimiter = best if shares[best] else " " if space else "\x1f"
    return Dialect(delimiter, '"', escape, encoding, _ending(head))


def _ending(head: str) -> str:
    """How lines end outside quotes, where that is one way only: the engine guesses it from the first line, and loses
    every row when that line is a header with a line break of another kind in a quoted name."""
    found = set(re.findall(r"\r\n|\n|\r", re.sub(r'"[^"]*("|$)', "", head)))
    return {"\r\n": "\\r\\n", "\n": "\\n", "\r": "\\r"}[found.pop()] if len(found) == 1 else ""


def _regular(path: Path, dialect: Dialect) -> float:
    """Share of the first records as wide as the first; 0 if that has one field (for a space: less than three)."""
    widths = [len(record) for record in itertools.islice(_records(path, dialect), HEAD)]
    if not widths or widths[0] < (3 if dialect.delimiter == " " else 2):
        return 0.0
    return sum(width == widths[0] for width in widths) / len(widths)


def _opened(path: Path, encoding: str) -> TextIO:
    with path.open("rb") as file:
        zipped = file.read(2) == GZIP
    encoding = "utf-8-sig" if encoding == "utf-8" else encoding
    if zipped:
        return cast("TextIO", gzip.open(path, "rt", encoding=encoding, newline=""))
    return path.open(encoding=encoding, newline="")


def _records(path: Path, dialect: Dialect) -> Iterator[list[str]]:
    with _opened(path, dialect.encoding) as lines:
        own = dialect.escape if dialect.escape != dialect.quote else None
        yield from (
            record
            for record in csv.reader(lines, delimiter=dialect.delimiter, quotechar=dialect.quote, escapechar=own)
            if record
        )


def has_header(records: list[list[str]]) -> bool:
    """Whether the first record names the columns: it does unless numbers stand above every column of numbers."""
    first, body = records[0], records[1:]
    if not body or [cell.strip() for cell in first] in ([str(i + base) for i in range(len(first))] for base in (0, 1)):
        return True
    numeric = [
        position
        for position in range(len(first))
        if (cells := [row[position] for row in body if position < len(row) and row[position].strip()])
        and all(_is_number(cell) for cell in cells)
    ]
    return not numeric or not all(_is_number(first[position]) for position in numeric)


def _is_number(cell: str) -> bool:
    return re.fullmatch(_NUMBER, cell.strip()) is not None


def _order(path: Path, found: list[str], names: list[str]) -> list[int]:
    if set(found) != set(names):
        lacks, more = [n for n in names if n not in found], [n for n in found if n not in names]
        parts = [f"lacks {listed(lacks)}"] * bool(lacks) + [f"has also {listed(more)}"] * bool(more)
        raise DataError(f"The files differ: {path.name} {' and '.join(parts)}. Give files with the same columns.")
    return [found.index(name) for name in names]


def _reading(path: Path, dialect: Dialect, header: bool, width: int, order: list[int]) -> str:
    columns = ", ".join(f"'f{i}': 'VARCHAR'" for i in range(width))
    chosen = ", ".join(f"f{source} AS c{i}" for i, source in enumerate(order))
    options = {
        "delim": dialect.delimiter,
        "quote": dialect.quote,
        "escape": dialect.escape,
        "encoding": dialect.encoding,
        "nullstr": "",
        "comment": "",
    } | ({"new_line": dialect.ending} if dialect.ending else {})
    told = ", ".join(f"{key}={engine.quoted(value)}" for key, value in options.items())
    return (
        f"SELECT {chosen} FROM read_csv({engine.quoted(str(path))}, auto_detect=false, columns={{{columns}}}, {told}, "
        f"header={str(header).lower()}, max_line_size=16777216)"
    )


def _typed(raw: str, width: int) -> str:
    readings = [_proved(raw, i, kinds) for i, kinds in enumerate(_candidates(raw, width))]
    table = engine.fresh("csv")
    chosen = ", ".join(f"{reading} AS c{i}" for i, reading in enumerate(readings))
    engine.query(f"CREATE TABLE {table} AS SELECT rowid AS row, {chosen} FROM {raw} ORDER BY rowid")
    return table


def _candidates(raw: str, width: int) -> list[list[int]]:
    """By column the types that hold for the first rows, so that only they are proved on all rows."""
    tests = ", ".join(f"bool_and({_holds(i, t)})" for i in range(width) for t in range(len(TYPES)))
    (row,) = engine.query(f"SELECT {tests} FROM (SELECT * FROM {raw} LIMIT 5000)")
    return [[t for t in range(len(TYPES)) if row[i * len(TYPES) + t]] for i in range(width)]


def _holds(column: int, kind: int) -> str:
    _, pattern, reading = TYPES[kind]
    value = f"trim(c{column})"
    matches = f"regexp_full_match({value}, {engine.quoted(pattern)}) AND {reading.format(value)} IS NOT NULL"
    return f"(c{column} IS NULL OR ({matches}))"


def _proved(raw: str, column: int, candidates: list[int]) -> str:
    if not candidates:
        return f"c{column}"
    tests = ", ".join(f"bool_and({_holds(column, t)})" for t in candidates)
    (row,) = engine.query(f"SELECT {tests}, count(c{column}) FROM {raw}")
    if not row[-1]:
        return f"CAST(c{column} AS DOUBLE)"  # an empty column: no number is missing, as pandas reads it
    held = next((t for t, holds in zip(candidates, row) if holds), None)
    return f"c{column}" if held is None else TYPES[held][2].format(f"trim(c{column})")
