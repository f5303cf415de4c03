"""Writing a choice back into migration.yaml, with the comments people put there."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from filelock import FileLock
from pydantic import BaseModel

from workbench.migration.declared import Migration
from workbench.migration.reading import locate, parse, read_text
from workbench.migration.writing import replace, saying_why


def update(path: str | Path, changes: Mapping[str, object]) -> Migration:
    """Merges `changes` into the file and returns the migration it is then.

    changes: nested as the file is, e.g. `{"audits": {"bias": {"min_group": 30}}}`; what is not named stays as it is.
    The change is checked before it is written, and written whole or not at all; comments, order and line breaks stay.
    Raises MigrationError where the file is not valid, before or after the change.
    """
    file = locate(path)
    lock = file.parent / ".workbench" / "migration.lock"
    with saying_why(file):
        lock.parent.mkdir(exist_ok=True)
    with saying_why(file), FileLock(lock):
        before = read_text(file)
        parse(before, file)
        text = _merged(before, changes)
        after = parse(text, file)
        replace(file, text)
    return after


def _merged(text: str, changes: Mapping[str, object]) -> str:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 100_000
    yaml.indent(mapping=2, sequence=4, offset=2)
    whole = yaml.load(text)
    _merge(whole, changes)
    stream = StringIO()
    yaml.dump(whole, stream)
    return stream.getvalue()


def _merge(section: Any, changes: Mapping[str, object]) -> None:
    """A CommentedMap takes the changes. Comments below the last key are those of the next section: they stay last."""
    for key, value in changes.items():
        if isinstance(value, Mapping) and section.get(key) and isinstance(section[key], Mapping):
            _merge(section[key], value)
            continue
        tail = _cut_tail(section, next(reversed(section)) if key not in section else key) if section else ""
        section[key] = _node(value)
        _hang_tail(section, key, tail)


def _node(value: object) -> object:
    """A plain value as ruamel writes it: lists on one line."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    if isinstance(value, BaseModel):
        fields = CommentedMap(value.model_dump(exclude_defaults=True))
        fields.fa.set_flow_style()
        return fields
    if isinstance(value, Mapping):
        return CommentedMap({str(key): _node(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        items = CommentedSeq(_node(item) for item in value)
        items.fa.set_flow_style()
        return items
    return value


def _last(section: Any, key: str) -> tuple[Any, Any]:
    """Where ruamel keeps the comment that follows `key`: at the last leaf of its value."""
    value = section[key]
    while isinstance(value, Mapping | list) and value and not value.fa.flow_style():  # type: ignore[union-attr]
        section, key = value, next(reversed(value)) if isinstance(value, Mapping) else len(value) - 1  # type: ignore[assignment]
        value = section[key]
    return section, key


_AFTER = {True: 0, False: 2}
"""ruamel keeps the comment after a list's item in slot 0, after a key in slot 2."""


def _cut_tail(section: Any, key: str) -> str:
    """Takes away the comment lines that follow a value (not the one beside it) and returns them."""
    holder, last = _last(section, key)
    tokens = holder.ca.items.get(last)
    token = tokens[_AFTER[isinstance(holder, list)]] if tokens else None
    if token is None or ("\n" not in token.value.rstrip("\n") and not token.value.startswith("\n")):
        return ""
    beside, _, below = token.value.partition("\n")
    token.value = f"{beside}\n"
    return str(below)


def _hang_tail(section: Any, key: str, tail: str) -> None:
    from ruamel.yaml.error import CommentMark
    from ruamel.yaml.tokens import CommentToken

    if not tail:
        return
    holder, last = _last(section, key)
    slot = _AFTER[isinstance(holder, list)]
    tokens = holder.ca.items.setdefault(last, [None] * 4)
    if tokens[slot] is None:
        tokens[slot] = CommentToken("\n", CommentMark(0), None)
    tokens[slot].value = tokens[slot].value.rstrip("\n") + "\n" + tail
