"""User acceptance: the sampled cases that people judge, and what they answered.

reports/<run>/62_acceptance/cases.json   the cases, masked, as the audit sampled them
acceptance/withheld.json                 masked values that `review.sees` lets some roles see; its owner's alone, and no
                                         part of a run, a report or a bundle
acceptance/answers.jsonl                 one answer a line, in the migration's folder; the newest of each person counts
acceptance/comments.jsonl                one comment a line; the newest of each id counts, and one without text is none
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeVar

from filelock import FileLock
from pydantic import Field, TypeAdapter, ValidationError

from workbench.evidence import Plain

CASES = "cases.json"
FOLDER, FILE, COMMENTS, WITHHELD = "acceptance", "answers.jsonl", "comments.jsonl", "withheld.json"
Masked = Literal["key", "personal", "protected"]
Choice = Literal["legacy", "candidate", "both", "neither", "unsure"]


class Said(Plain):
    """What one model answers: answer is for people; score is P(positive) or the value, None where it only decides."""

    answer: str
    score: float | None = None


class Case(Plain):
    """One row to judge. id: of its content, the same in every run that samples it; row: its place among the scored
    rows; why: for what it was sampled; shown: what anyone may see of it, in words; masked: columns that are shown to
    some roles only, and as what they are masked."""

    id: str
    row: int
    why: str
    shown: dict[str, str]
    legacy: Said
    candidate: Said
    masked: Mapping[str, Masked] = Field(default={})

    @property
    def same(self) -> bool:
        """Whether there is nothing to choose between: both decide alike, and no digit that is shown differs."""
        one, two = self.legacy, self.candidate
        return one.answer == two.answer and shown_score(one.score) == shown_score(two.score)


class Withheld(Plain):
    """Where values are kept that only some may see. kinds: what anyone at all may see; nothing else is written."""

    folder: Path
    kinds: frozenset[Masked]

    def write(self, values: Mapping[str, Mapping[str, str]]) -> None:
        """values: by case and column. Readable by its owner alone from the first byte on. Raises OSError."""
        place = self.folder / FOLDER
        place.mkdir(exist_ok=True)
        part = place / f".{WITHHELD}.part"
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(values, file, ensure_ascii=False)
        part.replace(place / WITHHELD)


def withheld(folder: Path) -> dict[str, dict[str, str]]:
    """Masked values by case and column; empty where nobody may see any."""
    try:
        found: dict[str, dict[str, str]] = json.loads((folder / FOLDER / WITHHELD).read_bytes())
    except (OSError, ValueError):
        return {}
    return found


class Answer(Plain):
    """What one person said of one case. by: their login."""

    case: str
    by: str
    choice: Choice
    reason: str = ""
    at: datetime


class Comment(Plain):
    """What one person remarked. about: "notebook/NAME", "finding/KEY" or "case/ID"; shared: others may read it, and it
    is counted; else it is a draft, and its author's alone."""

    id: str
    by: str
    about: str
    text: str
    shared: bool
    at: datetime


def shown_score(score: float | None) -> str:
    """With three significant digits: no reviewer tells a model by its last bit."""
    return "" if score is None else f"{score:.3g}"


_CASES = TypeAdapter(tuple[Case, ...])


def write_cases(folder: Path, cases: Sequence[Case]) -> Path:
    path = folder / CASES
    path.write_bytes(_CASES.dump_json(tuple(cases), indent=1))
    return path


def read_cases(path: Path) -> tuple[Case, ...]:
    """Raises OSError, ValueError."""
    return _CASES.validate_json(path.read_bytes())


def answers(folder: Path) -> tuple[Answer, ...]:
    """The newest answer of each person to each case; a line that is not whole is passed over."""
    return tuple({(one.case, one.by.casefold()): one for one in _read(folder / FOLDER / FILE, Answer)}.values())


def add_answer(folder: Path, answer: Answer) -> None:
    """Appends it, on disk when this returns. Raises OSError."""
    _append(folder / FOLDER / FILE, answer)


def comments(folder: Path) -> tuple[Comment, ...]:
    """The newest version of each comment, in the order in which they were begun; what was taken back is left out."""
    newest = {one.id: one for one in _read(folder / FOLDER / COMMENTS, Comment)}
    return tuple(one for one in newest.values() if one.text)


def add_comment(folder: Path, comment: Comment) -> None:
    """Appends it, on disk when this returns. Raises OSError."""
    _append(folder / FOLDER / COMMENTS, comment)


T = TypeVar("T", bound=Plain)


def _read(path: Path, kind: type[T]) -> Iterator[T]:
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            yield kind.model_validate_json(line)
        except ValidationError:
            continue


def _append(path: Path, line: Plain) -> None:
    path.parent.mkdir(exist_ok=True)
    with FileLock(path.parent / ".lock", timeout=20), path.open("a+b") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":  # whoever wrote last was killed in it: their half line must not swallow this one
                file.write(b"\n")
        file.write(line.model_dump_json().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
