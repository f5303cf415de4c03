"""From what a person wrote to files that can be read: globs, lists, and what each file really is."""

from __future__ import annotations

import contextlib
import difflib
import glob
import hashlib
import json
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

Kind = Literal["csv", "parquet"]

_MAGIC = {
    b"PK\x03\x04": "a zip archive or an Excel workbook: save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel or Office file: save the sheet as CSV",
    b"SQLite format 3": "a SQLite database: export the table as CSV or Parquet",
    b"ARROW1": "an Arrow/Feather file: convert it with pandas.read_feather(...).to_parquet(...)",
    b"\x80\x04": "a Python pickle, which is not opened because it can run code: save the rows as Parquet",
    b"\x80\x05": "a Python pickle, which is not opened because it can run code: save the rows as Parquet",
    b"BZh": "bzip2-compressed: unpack it first",
    b"\x28\xb5\x2f\xfd": "zstd-compressed: unpack it first",
    b"%PDF": "a PDF document",
    b"\x89PNG": "a picture",
}
GZIP = b"\x1f\x8b"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class DataError(Exception):
    """Data that cannot be read. The message says what happened, what was seen and what to do next."""


def resolve(uri: str | Sequence[str], folder: Path) -> list[Path]:
    """The files meant by a path, a glob or a list of both, relative to `folder`; globs sorted by name.

    Raises DataError when there is none, with the nearest name in the folder.
    """
    if isinstance(uri, str):
        return _one(uri, folder)
    if not uri:
        raise DataError("No data file was given: the list is empty. Name at least one CSV or Parquet file.")
    return [path for each in uri for path in _one(each, folder)]


def _one(uri: str, folder: Path) -> list[Path]:
    if re.match(r"^[a-z][a-z0-9+.-]+://", uri):
        raise DataError(f"{uri} is on a network, and only local files are read. Download it and name the file.")
    if not uri.strip() or "\0" in uri:
        raise DataError(f"{uri!r} is not a file name. Name a CSV or Parquet file.")
    path = folder / Path(uri).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        raise DataError(f"{uri} is a folder. Name the files in it, e.g. {uri.rstrip('/')}/*.csv.{_holds(path)}")
    if found := [Path(name) for name in sorted(glob.glob(str(path), recursive=True)) if Path(name).is_file()]:
        return found
    raise DataError(f"There is no file {uri} {_place(path.parent)}.{_near(path)}")


def _place(looked_in: Path) -> str:
    """Where was looked, by a name that says something: this sentence is kept as evidence, so no path of a machine."""
    name = looked_in.resolve().name or "the root folder"
    return f"in {name}/"


def _holds(folder: Path) -> str:
    names = sorted(child.name for child in folder.iterdir() if child.is_file())[:5]
    return f" It holds {', '.join(names)}." if names else ""


def _near(path: Path) -> str:
    if not path.parent.is_dir():
        return " That folder does not exist either."
    names = [child.name for child in path.parent.iterdir()]
    close = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    return f" Did you mean {close[0]}?" if close else _holds(path.parent)


def kind(path: Path) -> Kind:
    """CSV or Parquet, by content. Raises DataError for an empty, unreadable or binary file."""
    try:
        with path.open("rb") as file:
            head = file.read(8192)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Check its permissions.") from error
    if not head:
        raise DataError(f"{path} is empty (0 bytes). Write it again, or name another file.")
    if head.startswith(b"PAR1"):
        return "parquet"
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            raise DataError(f"{path} is {what}. CSV and Parquet files are read.")
    if b"\0" in head and not head.startswith((GZIP, *_UTF16)):
        raise DataError(f"{path} is a binary file of an unknown kind. CSV and Parquet files are read.")
    return "csv"


def encodings(path: Path) -> tuple[str, ...]:
    """The encodings to try, in this order."""
    with path.open("rb") as file:
        head = file.read(2)
    return ("utf-16",) if head in _UTF16 else ("utf-8", "latin-1")


def fingerprint(paths: Sequence[Path], cache: Path | None = None) -> str:
    """sha256 of the content: of the file, or of the digests of several files in order.

    cache: a folder where digests are kept by path, size and time of change, so that the next call reads nothing.
    """
    digests = [_digest(path, cache) for path in paths]
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _digest(path: Path, cache: Path | None) -> str:
    if cache is None:
        return _sha256(path)
    stat = path.stat()
    key: list[str | int] = [str(path.resolve()), stat.st_size, stat.st_mtime_ns]
    entry = cache / f"{hashlib.sha256(str(key).encode()).hexdigest()}.json"
    if known := _read(entry, key):
        return known
    digest = _sha256(path)
    _keep(entry, json.dumps({"key": key, "sha256": digest}))
    return digest


def _keep(entry: Path, text: str) -> None:
    """Whole or not at all, whoever else writes it; a cache that cannot be written is no reason to stop."""
    part = entry.with_suffix(f".{secrets.token_hex(8)}")
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text)
        part.replace(entry)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _read(entry: Path, key: list[str | int]) -> str | None:
    try:
        kept = json.loads(entry.read_text())
        return str(kept["sha256"]) if kept["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
