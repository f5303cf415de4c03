"""What people remark on a notebook, a finding or a case: drafts are their own; what they share is read by those who
have judged for themselves first."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from workbench import catalog, render, store, uat
from workbench.ledger import LedgerError
from workbench.migration import Migration
from workbench.render import words
from workbench.ui.review.judging import docket

LONGEST = 4_000
"""Characters of one comment."""
MOST = 500
"""Comments of one person: a page must stay readable."""
WHOLE = "notebook/journey"


def subjects(folder: Path, login: str) -> dict[str, str]:
    """What can be commented on, {about: in words}: the whole, what has evidence, its findings, one's own cases."""
    found = {WHOLE: "The migration as a whole"}
    for entry in catalog.discover():
        stored = store.latest(folder, entry.name) if entry.module else None
        if stored:
            found[f"notebook/{entry.name}"] = entry.name
            found |= {f"finding/{one.key}": f"{entry.name}: {one.title}" for one in stored.evidence.findings}
    cases = docket(folder, login).cases
    return found | {f"case/{one.id}": f"Case {number}" for number, one in enumerate(cases, 1)}


def readable(migration: Migration, login: str) -> tuple[uat.Comment, ...]:
    """Their own; of others what is shared: on a case once they have judged it, on the rest once no case waits."""
    if not migration.review.roles_of(login):
        return ()
    mine = docket(migration.folder, login)
    judged = {f"case/{case}" for case in mine.mine}
    return tuple(
        one
        for one in uat.comments(migration.folder)
        if one.by.casefold() == login.casefold()
        or (one.shared and (one.about in judged if one.about.startswith("case/") else not mine.open))
    )


def shown(migration: Migration, login: str, about: str = "", wrong: str = "", text: str = "") -> render.Remarks:
    """The page as this person sees it. about: what they came from; text: what they had written."""
    known, mine = subjects(migration.folder, login), docket(migration.folder, login)
    chosen = about if about in known else WHOLE
    return render.Remarks(
        about=chosen,
        # All findings would be a list of hundreds: those are reached from the finding itself.
        subjects={name: said for name, said in known.items() if name.startswith("notebook/") or name == chosen},
        comments=tuple(
            render.RemarkShown(
                id=one.id, about=known.get(one.about, one.about.partition("/")[2]), link=_link(one.about, mine.cases),
                who=words.plain(one.by), when=words.moment(one.at), text=one.text, shared=one.shared,
                mine=one.by.casefold() == login.casefold(),
            )
            for one in reversed(readable(migration, login))
        ),
        waiting=len(mine.open),
        cannot="" if migration.review.roles_of(login) else "Commenting is for the people named in migration.yaml.",
        wrong=wrong,
        text=text,
    )  # fmt: skip


def _link(about: str, cases: Sequence[uat.Case]) -> str:
    kind, _, name = about.partition("/")
    if kind == "case":
        return next((f"cases/{number}" for number, one in enumerate(cases, 1) if one.id == name), "")
    audit = name.partition("/")[0]
    return f"notebook/{audit}" if audit != "journey" else ""


def keep(migration: Migration, login: str, given: Mapping[str, str]) -> None:
    """Keeps a new comment, or a new version of one's own; without text it is taken back. Raises LedgerError."""
    if not migration.review.roles_of(login):
        raise LedgerError("Commenting is for the people named in migration.yaml.")
    text = given["text"].strip()
    every = uat.comments(migration.folder)
    mine = {one.id: one for one in every if one.by.casefold() == login.casefold()}
    before = mine.get(given["id"]) if given["id"] else None
    if given["id"] and before is None:
        raise LedgerError("That comment is not yours, or it was taken back.")
    if len(text) > LONGEST:
        raise LedgerError(f"A comment has {LONGEST:,} characters at most; this one has {len(text):,}.")
    if before is None and (not text or len(mine) >= MOST):
        raise LedgerError("Write something first." if not text else f"{MOST} comments are the most one person keeps.")
    about = before.about if before else given["about"]
    if before is None and about not in subjects(migration.folder, login):
        raise LedgerError("What this is about is no longer there. Choose something else.")
    number = before.id if before else uuid.uuid4().hex
    shared = given["how"] == "share"
    uat.add_comment(
        migration.folder, uat.Comment(id=number, by=login, about=about, text=text, shared=shared, at=datetime.now(UTC))
    )
