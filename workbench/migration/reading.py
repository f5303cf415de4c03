"""YAML to Migration: strictly, safely, and knowing every line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from workbench import __version__
from workbench.migration.declared import FILE, VERSION, Migration, Where
from workbench.migration.problems import MigrationError, Problem, explain, said

if TYPE_CHECKING:
    from ruamel.yaml.nodes import Node

MAX_BYTES = 128 * 1024
MAX_DEPTH = 16
_TAG = "tag:yaml.org,2002:"

Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]


def open_migration(path: str | Path) -> Migration:
    """The migration in a folder, or in the file itself.

    Raises MigrationError, which lists every problem with its line and what to do.
    """
    file = locate(path)
    return parse(read_text(file), file)


def locate(path: str | Path) -> Path:
    """The migration.yaml of a folder, or the file itself. Raises MigrationError where there is none."""
    path = Path(path)
    file = path / FILE if path.is_dir() else path
    if file.is_file():
        return file
    if path.is_dir() and (other := next(path.glob("migration.y*ml"), None)):
        raise said(other, f"this folder has {other.name}, but the file must be called {FILE}: rename it")
    nearby = sorted(folder.parent.name for folder in path.glob(f"*/{FILE}")) if path.is_dir() else []
    hint = f"meant was one of {', '.join(nearby)}?" if nearby else "make one with `workbench new`, or name its folder"
    raise said(
        file, f"there is no {FILE} here: {hint}" if path.is_dir() else f"there is no such file or folder: {hint}"
    )


def parse(text: str, file: Path) -> Migration:
    """The migration in `text`, standing in `file`'s folder. Raises MigrationError."""
    value, lines = _plain(text, file)
    _refuse_newer(value, lines, file)
    try:
        # Through JSON, strictly: "0.5" is no number and true is no 1, yet a list may fill a tuple.
        migration = Migration.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        raise MigrationError(explain(error.errors(include_url=False), lines, str(file), Migration)) from None
    return migration.at(file.parent, file, lines)


def read_text(file: Path) -> str:
    """The file's text, small and UTF-8. Raises MigrationError."""
    try:
        size = file.stat().st_size
        if size > MAX_BYTES:
            raise said(file, f"the file has {size:,} bytes, at most {MAX_BYTES:,} are read: is this a migration.yaml?")
        content = file.read_bytes()
    except OSError as error:
        raise said(file, f"the file cannot be read: {error.strerror}") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        seen = f"byte 0x{content[error.start]:02x}"
        raise said(file, f"the file is not UTF-8 ({seen}): save it again with the encoding UTF-8", line) from None


def _plain(text: str, file: Path) -> tuple[dict[str, Value], dict[Where, int]]:
    """Plain values and the line of every key."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        _refuse_tricks(text, file)
        root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        raise said(file, *_syntax(error, text)) from None
    except YAMLError as error:
        position = getattr(error, "position", 0)
        seen = f"character {text[position]!r}" if position < len(text) else "a character"
        raise said(
            file, f"{seen} does not belong in a text file: remove it", text.count("\n", 0, position) + 1
        ) from None
    if root is None:
        raise said(file, "the file is empty: make a new one with `workbench new`", 1)
    reader = _Reader(file)
    value = reader.value(root, ())
    if reader.problems:
        raise MigrationError(reader.problems)
    if not isinstance(value, dict):
        raise said(file, f"this must be lines of `key: value`; it is {_kind(root)}", 1)
    return value, reader.lines


def _refuse_tricks(text: str, file: Path) -> None:
    """Anchors, aliases and deep nesting are how a small file becomes a huge one; no migration needs them."""
    from ruamel.yaml import YAML
    from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

    depth = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        line = event.start_mark.line + 1
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
            raise said(
                file, "anchors (&) and aliases (*) are not read: write the value out, or put text in quotes", line
            )
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise said(file, f"values are nested more than {MAX_DEPTH} deep: write them flatter", line)


def _syntax(error: MarkedYAMLError, text: str) -> tuple[str, int]:  # type: ignore[name-defined]  # noqa: F821
    """A parser's complaint as a sentence, and its line."""
    mark = error.problem_mark or error.context_mark
    line = mark.line if mark else 0
    shown = text.splitlines()[line].strip() if line < len(text.splitlines()) else "the end of the file"
    problem = str(error.problem)
    if "'\\t'" in problem:
        return "a tab indents this line: YAML takes spaces only, so replace it by two spaces", line + 1
    if "another document" in problem:
        return "a second document starts here (`---`): keep one per file", line + 1
    if "mapping values" in problem:
        return (
            f"{shown!r} has a second `: `, or follows a line it is not a part of: quote the value or align it",
            line + 1,
        )
    return f"this is not YAML at {shown!r}: {problem}; close every quote and bracket, and align keys", line + 1


def _kind(node: Node) -> str:
    from ruamel.yaml.nodes import SequenceNode

    return "a list" if isinstance(node, SequenceNode) else f"the text {str(node.value)[:60]!r}"


class _Reader:
    """Nodes to plain values, keeping lines and collecting what is wrong."""

    def __init__(self, file: Path) -> None:
        from ruamel.yaml import YAML

        self.file = file
        self.lines: dict[Where, int] = {(): 1}
        self.problems: list[Problem] = []
        self._construct = YAML(typ="safe", pure=True).constructor.construct_object

    def value(self, node: Node, place: Where) -> Value:
        from ruamel.yaml.nodes import MappingNode, SequenceNode

        if isinstance(node, MappingNode) and node.tag == f"{_TAG}map":
            return dict(self._items(node, place))
        if isinstance(node, SequenceNode) and node.tag == f"{_TAG}seq":
            return [self._item(child, (*place, n)) for n, child in enumerate(node.value)]
        return self._scalar(node, place)

    def _items(self, node: Node, place: Where) -> Iterator[tuple[str, Value]]:
        for key, child in node.value:
            name = key.value
            line = key.start_mark.line + 1
            if not isinstance(name, str):
                self._problem(line, place, "a key must be text, not a list or a section")
                continue
            inner: Where = (*place, name)
            if inner in self.lines:
                self._problem(line, inner, f"{name!r} is here twice (first in line {self.lines[inner]}): keep one")
                continue
            self.lines[inner] = line
            yield name, self.value(child, inner)

    def _item(self, node: Node, place: Where) -> Value:
        self.lines[place] = node.start_mark.line + 1
        return self.value(node, place)

    def _scalar(self, node: Node, place: Where) -> Value:
        tag = str(node.tag).removeprefix(_TAG)
        if tag in ("str", "timestamp") and isinstance(node.value, str):
            return node.value
        if tag in ("int", "float", "bool", "null") and isinstance(node.value, str):
            return self._number(node, place)
        line = node.start_mark.line + 1
        self._problem(line, place, f"the tag `!{tag[:60]}` is not read, for it could run code: write a plain value")
        return None

    def _number(self, node: Node, place: Where) -> Value:
        line = node.start_mark.line + 1
        try:
            value: Value = self._construct(node)
        except ValueError:
            self._problem(line, place, f"{node.value[:60]!r} is not a number: write digits, or put text in quotes")
            return None
        if isinstance(value, float) and value != value:
            self._problem(line, place, "`.nan` is not a value to judge by: write a number, or leave the key out")
        return value

    def _problem(self, line: int, place: Where, sentence: str) -> None:
        self.problems.append(Problem(line, ".".join(map(str, place)), sentence, str(self.file)))


def _refuse_newer(value: dict[str, Value], lines: dict[Where, int], file: Path) -> None:
    """A file of a newer format is refused before its keys are looked at: they may mean something else there."""
    version, needs = value.get("version", VERSION), value.get("workbench")
    oldest = re.search(r"\d+(\.\d+)*", str(needs)) if needs is not None else None
    newer = isinstance(version, int) and version > VERSION
    if newer or (oldest and _numbers(oldest[0]) > _numbers(__version__)):
        wanted = oldest[0] if oldest else f"a workbench that reads version {version}"
        seen = f"version {version} of migration.yaml" if newer else "this migration.yaml"
        advice = f'pip install --upgrade "migration-workbench{f">={wanted}" if oldest else ""}"'
        line = lines.get(("version",) if newer else ("workbench",), 1)
        sentence = f"{seen} needs workbench ≥ {wanted}, you have {__version__} (it reads version {VERSION}): {advice}"
        raise said(file, sentence if oldest else sentence.replace("workbench ≥ a", "a"), line, "version")


def _numbers(version: str) -> tuple[int, ...]:
    parts = [int(part) for part in re.findall(r"\d+", version)[:3]]
    return tuple(parts + [0] * (3 - len(parts)))
