"""Column names as they are: repeated, empty or hostile ones stay text; each gets a plain id for the engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def unique(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names made unique (`x`, `x_1`; an empty one is `Unnamed: 0`, as in pandas), and notes on what changed."""
    taken = Counter(name for name in names if name)
    seen: set[str] = set()
    out, notes = [], []
    for position, name in enumerate(names):
        new = name if name and name not in seen else _new(name or f"Unnamed: {position}", seen | set(taken))
        seen.add(new)
        out.append(new)
        if new != name:
            notes.append(_note(name, position, new))
    return out, notes


def _new(name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    number = 1
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def _note(name: str, position: int, new: str) -> str:
    if not name:
        return f"Column {position + 1} has no name in the header; it is called {shown(new)}."
    return f"The header names {shown(name)} more than once; column {position + 1} is called {shown(new)}."


def shown(name: str, width: int = 60) -> str:
    """A name as it appears in a sentence: quoted, and cut when very long."""
    return repr(name if len(name) <= width else name[: width - 1] + "…")


def listed(names: Sequence[str], most: int = 5) -> str:
    """`'a', 'b' and 3 more`."""
    head = ", ".join(shown(name) for name in names[:most])
    return f"{head} and {len(names) - most:,} more" if len(names) > most else head
