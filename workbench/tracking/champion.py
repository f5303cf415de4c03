"""Which candidate may be called the champion: what the ledger says, and only while that still holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench import ledger
from workbench.ledger.decisions import CANDIDATE
from workbench.ledger.entries import Decided, Entry, Promoted, Revoked
from workbench.migration import Migration


@dataclass(frozen=True)
class Champion:
    """sha256: of the promoted candidate, "" where there is none; entry: of the promotion; reason: why there is none."""

    sha256: str = ""
    entry: int = 0
    reason: str = ""


def champion(migration: Migration) -> Champion:
    """The candidate of the newest promotion, as long as what it rests on stands.

    It stands while the ledger is as it was written, the approvals left over after revocations still meet the quorum,
    and nobody has rejected that very candidate since.
    """
    book = ledger.read(migration.folder)
    promotions = [entry for entry in book.entries if isinstance(entry.body, Promoted)]
    if book.problems:
        return Champion(reason=f"the ledger is not as it was written: {book.problems[0]}")
    if not promotions:
        return Champion(reason="no decision in the ledger promotes a candidate: workbench promote")
    made = promotions[-1]
    assert isinstance(made.body, Promoted)
    reason = _fallen(migration, book.entries, made, made.body)
    return Champion(reason=reason) if reason else Champion(made.body.candidate, made.seq)


def _fallen(migration: Migration, entries: Sequence[Entry], made: Entry, body: Promoted) -> str:
    """Why a promotion no longer counts; "" if it does."""
    revoked = {entry.body.of for entry in entries if isinstance(entry.body, Revoked)}
    decided = [(entry, entry.body) for entry in entries if isinstance(entry.body, Decided) and entry.seq not in revoked]
    held = [(entry, said) for entry, said in decided if entry.seq in body.approvals]
    review = migration.review
    have = [said.role for entry, said in held if said.role in review.roles_of(entry.actor.subject)]
    short = [role for role, needed in review.quorum.items() if have.count(role) < needed]
    if not held or short:
        gone = ", ".join(str(number) for number in body.approvals if number in revoked) or "people no longer named"
        return f"promotion {made.seq} rests on approvals that no longer stand ({gone})"
    against = [
        entry
        for entry, said in decided
        if entry.seq > made.seq and said.decision == "reject" and said.subjects.get(CANDIDATE) == body.candidate
    ]
    return f"{against[-1].actor.subject} rejected the promoted candidate (entry {against[-1].seq})" if against else ""
