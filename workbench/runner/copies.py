"""The journey's notebooks in a migration's folder, to work in by hand; those nobody changed follow the workbench."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench import places, store

FOLDER = "notebooks"
COPIED = "copied"
"""In a copy's metadata, under `workbench`: the fingerprint of what was copied."""


@dataclass(frozen=True)
class Copies:
    """written: new, or brought up to date; changed: the team's own, left as they are."""

    folder: Path
    written: tuple[str, ...]
    changed: tuple[str, ...]


def copy_notebooks(migration: Path) -> Copies:
    """Puts every notebook of the journey into `migration/notebooks`; one that somebody changed is never overwritten.

    Raises StoreError where it cannot be written.
    """
    folder = migration / FOLDER
    written, changed = [], []
    for origin in sorted(places.notebooks().glob("*.ipynb")):
        book = json.loads(origin.read_text(encoding="utf-8"))
        copy = folder / origin.name
        if copy.exists() and is_changed(copy):
            changed.append(copy.stem)
        elif not copy.exists() or fingerprint(_read(copy)) != fingerprint(book):
            book["metadata"] = book.get("metadata", {}) | {"workbench": {COPIED: fingerprint(book)}}
            store.write(copy, json.dumps(book, indent=1, ensure_ascii=False) + "\n")
            written.append(copy.stem)
    return Copies(folder, tuple(written), tuple(changed))


def is_changed(copy: Path) -> bool:
    """Whether its cells are no longer what was copied; outputs do not count. What cannot be read is somebody's."""
    book = _read(copy)
    metadata = book.get("metadata")
    origin = metadata.get("workbench", {}).get(COPIED) if isinstance(metadata, dict) else None
    return not origin or origin != fingerprint(book)


def fingerprint(book: Mapping[str, Any]) -> str:
    """sha256 over what a notebook says and does: kind, text and tags of its cells, without outputs."""
    cells = [cell for cell in book.get("cells", ()) if isinstance(cell, dict)]
    said = [[cell.get("cell_type"), text_of(cell), sorted(map(str, tags_of(cell)))] for cell in cells]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def text_of(cell: Mapping[str, object]) -> str:
    source = cell.get("source", "")
    return "".join(map(str, source)) if isinstance(source, list) else str(source)


def tags_of(cell: Mapping[str, object]) -> list[object]:
    metadata = cell.get("metadata")
    tags = metadata.get("tags") if isinstance(metadata, dict) else None
    return tags if isinstance(tags, list) else []


def _read(path: Path) -> dict[str, Any]:
    try:
        book = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return book if isinstance(book, dict) else {}
