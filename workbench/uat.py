"""User acceptance: the sampled cases that people judge, and what they answered.

reports/<run>/62_acceptance/cases.json   the cases, masked, as the audit sampled them
acceptance/answers.jsonl                 one answer a line, in the migration's folder; the newest of each person counts
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

from workbench.evidence import Plain

CASES = "cases.json"
FOLDER, FILE = "acceptance", "answers.jsonl"
Choice = Literal["legacy", "candidate", "both", "neither", "unsure"]


class Said(Plain):
    """What one model answers: answer is for people; score is P(positive) or the value, None where it only decides."""

    answer: str
    score: float | None = None


class Case(Plain):
    """One row to judge. id: of its content, the same in every run that samples it; row: its place among the scored
    rows; why: for what it was sampled; shown: what may be seen of it, in words."""

    id: str
    row: int
    why: str
    shown: dict[str, str]
    legacy: Said
    candidate: Said

    @property
    def same(self) -> bool:
        """Whether there is nothing to choose between: both decide alike, and no digit that is shown differs."""
        one, two = self.legacy, self.candidate
        return one.answer == two.answer and shown_score(one.score) == shown_score(two.score)


class Answer(Plain):
    """What one person said of one case. by: their login."""

    case: str
    by: str
    choice: Choice
    reason: str = ""
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
    newest: dict[tuple[str, str], Answer] = {}
    try:
        lines = (folder / FOLDER / FILE).read_bytes().splitlines()
    except FileNotFoundError:
        lines = []
    for line in lines:
        try:
            answer = Answer.model_validate_json(line)
        except ValidationError:
            continue
        newest[answer.case, answer.by.casefold()] = answer
    return tuple(newest.values())


def add_answer(folder: Path, answer: Answer) -> None:
    """Appends it, on disk when this returns. Raises OSError."""
    place = folder / FOLDER
    place.mkdir(exist_ok=True)
    with FileLock(place / ".lock", timeout=20), (place / FILE).open("ab") as file:
        file.write(answer.model_dump_json().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
