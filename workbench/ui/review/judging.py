"""Cases as a reviewer judges them: side by side, which model is which hidden and shuffled by person and case."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench import render, store, uat
from workbench.ledger import LedgerError
from workbench.migration import Migration
from workbench.render import words

AUDIT, REASONS = "acceptance", "explainability"
SHOWN = 4
"""Reasons beside each decision."""
CHOICES: Mapping[str, str] = {
    "a": "Model A", "b": "Model B", "both": "Both are fine", "neither": "Neither", "unsure": "Unsure",
}  # fmt: skip
SAME: Mapping[str, str] = {"both": "Fine", "neither": "Not fine", "unsure": "Unsure"}
"""Where both models say the same there is nothing to prefer."""


@dataclass(frozen=True)
class Docket:
    """What one person has to judge: the cases in their order, and what they have answered so far."""

    cases: tuple[uat.Case, ...]
    mine: Mapping[str, uat.Answer]

    @property
    def open(self) -> tuple[int, ...]:
        """Numbers (from 1) of the cases that wait for an answer."""
        return tuple(n for n, case in enumerate(self.cases, 1) if case.id not in self.mine)


def docket(folder: Path, login: str) -> Docket:
    """Empty where no cases were sampled yet."""
    found = store.latest(folder, AUDIT)
    path = found.folder / uat.CASES if found else None
    cases = uat.read_cases(path) if path and path.exists() else ()
    mine = {answer.case: answer for answer in uat.answers(folder) if answer.by.casefold() == login.casefold()}
    return Docket(cases, mine)


def waits(migration: Migration, login: str, audit: str) -> bool:
    """Whether this person has cases to judge before they read what others said of them."""
    return audit == AUDIT and bool(migration.review.roles_of(login)) and bool(docket(migration.folder, login).open)


def shown(folder: Path, salt: bytes, migration: Migration, login: str, number: int) -> render.CaseShown | None:
    """The case with this number as this person sees it; None where there is none."""
    given = docket(folder, login)
    if not 1 <= number <= len(given.cases):
        return None
    case = given.cases[number - 1]
    sides = {"a": case.legacy, "b": case.candidate}
    reasons = _reasons(folder, case.row)
    if _swapped(salt, login, case.id):
        sides = {"a": case.candidate, "b": case.legacy}
        reasons = {"legacy": reasons["candidate"], "candidate": reasons["legacy"]}
    before, row = given.mine.get(case.id), unmasked(folder, migration, login, case)
    return render.CaseShown(
        number=number, of=len(given.cases), done=len(given.cases) - len(given.open), why=case.why, row=row,
        same=case.same, a=_told(sides["a"], reasons["legacy"]), b=_told(sides["b"], reasons["candidate"]),
        choices=SAME if case.same else CHOICES, chosen=_letter(before, salt, login, case) if before else "",
        reason=before.reason if before else "", case=case.id,
    )  # fmt: skip


def unmasked(folder: Path, migration: Migration, login: str, case: uat.Case) -> dict[str, str]:
    """The row with what the person's role may see; for everybody else its masks stay."""
    sees = migration.review.seen_by(login)
    if not sees:
        return case.shown
    kept = uat.withheld(folder).get(case.id, {})
    return {
        name: kept.get(name, value) if case.masked.get(name) in sees else value for name, value in case.shown.items()
    }


def judge(folder: Path, salt: bytes, migration: Migration, login: str, number: int, given: Mapping[str, str]) -> int:
    """Keeps an answer; the number of the next case that waits for one, 0 if none does.

    Raises LedgerError if the person may not judge, or the case on their screen is not this one any more.
    """
    if not migration.review.roles_of(login):
        raise LedgerError("Judging cases is for the people named in migration.yaml.")
    now = docket(folder, login)
    case = now.cases[number - 1] if 1 <= number <= len(now.cases) else None
    if case is None or given["case"] != case.id:
        raise LedgerError("The cases were sampled anew since this page was opened. Look at this one again.")
    if given["choice"] not in (SAME if case.same else CHOICES):
        raise LedgerError("Choose one of the answers.")
    choice = _side(given["choice"], salt, login, case)
    answer = uat.Answer(case=case.id, by=login, choice=choice, reason=given["reason"][:2000], at=datetime.now(UTC))
    uat.add_answer(folder, answer)
    waiting = [n for n in docket(folder, login).open if n != number]
    return next((n for n in waiting if n > number), waiting[0] if waiting else 0)


def _swapped(salt: bytes, login: str, case: str) -> bool:
    """By person and case, the same at every visit, and not to be foreseen without the server's secret."""
    return bool(hmac.digest(salt, f"{login.casefold()}\n{case}".encode(), hashlib.sha256)[0] & 1)


def _side(letter: str, salt: bytes, login: str, case: uat.Case) -> Any:
    sides = ("candidate", "legacy") if _swapped(salt, login, case.id) else ("legacy", "candidate")
    return {"a": sides[0], "b": sides[1]}.get(letter, letter)


def _letter(answer: uat.Answer, salt: bytes, login: str, case: uat.Case) -> str:
    sides = ("candidate", "legacy") if _swapped(salt, login, case.id) else ("legacy", "candidate")
    return "ab"[sides.index(answer.choice)] if answer.choice in sides else answer.choice


def _told(said: uat.Said, reasons: Sequence[tuple[str, float]]) -> render.SideShown:
    largest = max((abs(value) for _, value in reasons), default=1.0) or 1.0
    return render.SideShown(
        answer=words.plain(said.answer),
        score=uat.shown_score(said.score),
        reasons=tuple(
            render.ReasonShown(words.plain(name), f"{value:+.2g}", round(100 * abs(value) / largest), value > 0)
            for name, value in reasons
        ),
    )


def _reasons(folder: Path, row: int) -> dict[str, list[tuple[str, float]]]:
    """The leading reasons of a scored row, by side, where it was among the rows that were explained."""
    import pandas as pd

    none: dict[str, list[tuple[str, float]]] = {"legacy": [], "candidate": []}
    explained, asked = store.latest(folder, REASONS), store.latest(folder, AUDIT)
    path = explained.folder / "reasons.parquet" if explained else None
    if not explained or not asked or path is None or not path.exists():
        return none
    if any(explained.evidence.subjects.get(name) != sha for name, sha in asked.evidence.subjects.items()):
        return none  # of other data, or another model
    table = pd.read_parquet(path, filters=[("row", "==", row)])
    line = dict(zip(map(str, table), table.iloc[0], strict=True)) if len(table) else {}
    return {side: _ranked(line, side) for side in none}


def _ranked(line: Mapping[str, Any], side: str) -> list[tuple[str, float]]:
    found = []
    for rank in range(1, SHOWN + 1):
        name, value = line.get(f"{side} reason {rank}"), line.get(f"{side} contribution {rank}")
        if name is not None and value:
            found.append((str(name), float(value)))
    return found
