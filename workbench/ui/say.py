"""How the command line speaks: plain lines, colour only beside a sign and a word, JSON when asked."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import textwrap
from pathlib import Path
from typing import IO

_COLOURS = {
    "fail": "31", "error": "31", "absent": "35", "manual": "36", "warn": "33", "pass": "32", "bold": "1", "dim": "2",
}  # fmt: skip


class CliError(Exception):
    """What happened, what was seen, what to do: shown as it is."""

    code = 3


class StoppedError(CliError):
    """A person or the system stopped it."""

    code = 130


def value_of(text: str) -> object:
    """What was typed as a value: JSON where it is JSON (a number, true, a list), else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def typed(folder: Path) -> str:
    """A folder as it is typed after a command."""
    return shlex.quote(str(folder))


def out(text: str = "", style: str = "", hang: int = 0) -> None:
    """A line; on a terminal, one that is too long goes on below its own beginning, or `hang` signs in."""
    print(coloured(_fitted(text, hang) if sys.stdout.isatty() else text, style, sys.stdout))


def _fitted(text: str, hang: int) -> str:
    width = shutil.get_terminal_size().columns
    indent = " " * (hang or len(text) - len(text.lstrip()))
    fits = len(text) <= width or "\x1b" in text or len(indent) > width // 2
    if fits:
        return text
    start = text[: len(indent)]
    lines = textwrap.wrap(text[len(indent) :], width - len(indent), break_long_words=False, break_on_hyphens=False)
    return start + f"\n{indent}".join(lines)


def coloured(text: str, style: str, stream: IO[str]) -> str:
    """The text in the colour of a status, where the terminal shows colours (NO_COLOR is respected)."""
    if style not in _COLOURS or not stream.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{_COLOURS[style]}m{text}\x1b[0m"


def note(text: str) -> None:
    """A sign of life, beside the output: what takes long now."""
    print(coloured(text, "dim", sys.stderr), file=sys.stderr, flush=True)


def emit(plain: object, as_json: bool) -> None:
    """One JSON document on stdout, if it was asked for."""
    if as_json:
        print(json.dumps(plain, indent=1, default=str, ensure_ascii=False))


def failure(sentence: str, given: list[str]) -> None:
    if "--json" in given:
        emit({"error": sentence}, True)
    print(coloured(f"✗ {sentence}", "fail", sys.stderr), file=sys.stderr)
