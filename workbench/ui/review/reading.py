"""What reviewers see, from stored evidence alone: nothing is computed, no model and no table is opened."""

from __future__ import annotations

import hashlib
import json
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from workbench import catalog, ledger, render, store
from workbench.evidence import Evidence, Status
from workbench.migration import FILE, Migration, open_migration
from workbench.render import words
from workbench.runner import migration_page, shown
from workbench.ui.journey import Standing, standing
from workbench.ui.review.judging import AUDIT

LINKS = (("", "Evidence"), ("cases", "Cases"), ("comments", "Comments"), ("decide", "Decide"))

KEPT = 30.0
"""Seconds after which a page is drawn anew though no file of ours changed: what it rests on may lie elsewhere."""

WHO, XSRF, NOTE = ("\ue000who\ue000", "\ue000xsrf\ue000", "\ue000note\ue000")
"""What a kept page has in place of the reader's name and token: private-use signs, which no name may hold."""

WORDS = {
    "approve": "Approved",
    "approve-with-conditions": "Approved with a condition",
    "reject": "Rejected",
}


class Pages:
    """The pages of one migration. Drawing takes a tenth of a second: a page is kept until something it shows changes,
    and only the reader's own name and token are put in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._kept: dict[tuple[str, str], tuple[object, float, str]] = {}
        self._lock = threading.Lock()

    def journey(self, bar: render.Bar) -> str:
        return self._page("", replace(bar, explore="journey"), self._journey)

    def notebook(self, name: str, bar: render.Bar) -> str | None:
        """None where there is no such notebook, or nothing of it yet."""
        known = {entry.name: entry for entry in catalog.discover() if entry.module}
        if name not in known or store.latest(self.folder, name) is None:
            return None
        bar = replace(bar, explore=name if known[name].notebook else "", steps=steps(self.folder))
        return self._page(f"notebook/{name}", bar, lambda with_bar: self._notebook(name, with_bar))

    def _page(self, here: str, bar: render.Bar, draw: Callable[[render.Bar], str]) -> str:
        who = bool(bar.who)
        with self._lock:  # twenty first visitors at once draw it once
            stamp, now = self._stamp(), time.monotonic()
            kept = self._kept.get((here, f"{who}{bar.root}"))
            if kept is None or kept[0] != stamp or now - kept[1] > KEPT:
                blank = replace(bar, who=WHO if who else "", xsrf=XSRF, note=NOTE if bar.note else "")
                kept = (stamp, now, draw(blank))
                self._kept[here, f"{who}{bar.root}"] = kept
        return _filled(kept[2], bar)

    def _stamp(self) -> tuple[object, ...]:
        """Changes whenever a run ends, something is signed, or migration.yaml is edited."""
        reports = self.folder / store.REPORTS
        newest = max(reports.glob("*/run.json"), default=reports)
        return tuple(_moment(path) for path in (reports, newest, ledger.path_of(self.folder), self.folder / FILE))

    def _journey(self, bar: render.Bar) -> str:
        now = standing(open_migration(self.folder), "")
        evidences = [_unspoken(place.evidence) for place in now.places if place.evidence]
        runs = [run.id for run in store.runs(self.folder) if run.state == "done"]
        known = ledger.read(self.folder)
        mark = str(known.checkpoint) if known.lines else ""
        return migration_page(now.migration, evidences, runs[0] if runs else "", _reasons(now), mark, bar)

    def _notebook(self, name: str, bar: render.Bar) -> str:
        found = store.latest(self.folder, name)
        assert found is not None
        held = ledger.current(ledger.read(self.folder).entries)
        counted = ledger.applied(shown(open_migration(self.folder), found.evidence), held)
        return render.page(counted, title=bar.migration, run=found.origin, bar=bar)


def steps(folder: Path, under: str = "notebook") -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """What has evidence, by chapter. under: path below root of the pages it leads to."""
    found = []
    for number, title in catalog.CHAPTERS.items():
        names = [one.name for one in catalog.discover() if one.module and one.chapter == number and one.notebook]
        pages = tuple((f"{under}/{name}", name) for name in names if store.latest(folder, name))
        found += [(title, pages)] if pages else []
    return tuple(found)


def lead(migration: Migration, entry: catalog.Entry) -> render.Lead | None:
    """What stands above a notebook, from its newest evidence; None where nothing of it has run."""
    if not entry.module:
        now = standing(migration, "")
        head, rest = words.split(now.sentence)
        return render.Lead(entry.name, entry.question, head, rest, str(now.verdict.status)) if now.evidences else None
    found = store.latest(migration.folder, entry.name)
    if found is None:
        return None
    counted = ledger.applied(found.evidence, ledger.current(ledger.read(migration.folder).entries))
    head, rest = words.split(counted.verdict.sentence)
    status, back = str(counted.verdict.status), f"notebook/{entry.name}"
    return render.Lead(entry.name, counted.question or entry.question, head, rest, status, back)


def _unspoken(evidence: Evidence) -> Evidence:
    """Without what people said of cases: it stands on a page of its own, for those who have judged for themselves."""
    if evidence.audit != AUDIT:
        return evidence
    findings = tuple(finding.model_copy(update={"details": ()}) for finding in evidence.findings)
    return evidence.model_copy(update={"findings": findings})


def _reasons(now: Standing) -> dict[str, str]:
    return {place.entry.name: place.problem or "not run yet" for place in now.places if place.evidence is None}


def _filled(page: str, bar: render.Bar) -> str:
    from markupsafe import escape

    for blank, text in ((WHO, bar.who), (XSRF, bar.xsrf), (NOTE, bar.note)):
        page = page.replace(blank, str(escape(text)))
    return page


def _moment(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def seen_of(subjects: dict[str, str]) -> str:
    """Stands for the subjects as they were shown."""
    return hashlib.sha256(json.dumps(subjects, sort_keys=True).encode()).hexdigest()


def choice(migration: Migration, login: str, said: str = "", wrong: str = "") -> render.Choice:
    """The decision form as this person sees it."""
    now, subjects = ledger.gate(migration), ledger.subjects(migration)
    roles = tuple(sorted(migration.review.roles_of(login)))
    return render.Choice(
        sentence=now.sentence,
        roles=roles,
        seen=seen_of(subjects),
        request=uuid.uuid4().hex,
        subjects=tuple(render.Subject(name, sha) for name, sha in subjects.items()),
        votes=_votes(migration, now, login),
        blocks=_blocks(migration),
        cannot=_cannot(migration, login, roles, now),
        said=said,
        wrong=wrong,
    )


def _votes(migration: Migration, now: ledger.Gate, login: str) -> tuple[render.Vote, ...]:
    entries = ledger.read(migration.folder).entries
    taken_back = {entry.body.of for entry in entries if entry.body.kind == "revoke"}
    made = [(e, e.body) for e in entries if isinstance(e.body, ledger.Decided) and e.seq not in taken_back]
    return tuple(
        render.Vote(
            number=entry.seq,
            who=_name(migration, entry.actor.subject),
            role=body.role,
            decision=WORDS[body.decision],
            when=words.moment(entry.at),
            comment=body.comment,
            conditions=tuple(f"{one.text} ({one.owner}, by {one.due})" for one in body.conditions),
            stale=now.stale.get(entry.seq, ""),
            mine=entry.actor.subject.casefold() == login.casefold(),
        )
        for entry, body in made
    )


def _blocks(migration: Migration) -> tuple[str, ...]:
    places = standing(migration, "").places
    findings = [finding for place in places if place.evidence for finding in place.evidence.findings]
    return tuple(finding.title for finding in findings if finding.status in (Status.FAIL, Status.ERROR))


def _cannot(migration: Migration, login: str, roles: tuple[str, ...], now: ledger.Gate) -> str:
    if not migration.review.quorum:
        return "This migration names nobody who signs off: its owner adds `review` to migration.yaml."
    if not roles:
        return "You may read everything here. Deciding is for the people named in migration.yaml."
    mine = [entry for entry in (*now.approvals, *now.rejections) if entry.actor.subject.casefold() == login.casefold()]
    if mine:
        return "You have decided. You can take your decision back below, and decide anew."
    return ""


def _name(migration: Migration, login: str) -> str:
    person = {known.casefold(): one for known, one in migration.review.people.items()}.get(login.casefold())
    return person.name if person and person.name else login
