"""Where a migration stands: stored evidence by chapter, what is stale, what blocks. Computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench import catalog, ledger, store
from workbench.evidence import ORDER, Evidence, Finding, Status, Verdict, ordered, verdict
from workbench.migration import Migration
from workbench.ui.listing import Listing

UNASSESSED = "Not assessed: no notebook for this yet."
HERE = "."
"""What the migration's folder is called where nobody named it."""
MORE = "More"
"""Audits that were installed without a chapter."""


@dataclass(frozen=True)
class Place:
    """One notebook: its newest evidence, and whether that still holds. problem: why it cannot be read."""

    entry: catalog.Entry
    evidence: Evidence | None
    fresh: bool
    problem: str = ""

    @property
    def sentence(self) -> str:
        if self.problem:
            return self.problem
        if self.evidence is None:
            return "Not run yet."
        return self.evidence.verdict.sentence + (" Stale: something it depends on has changed." if self.stale else "")

    @property
    def stale(self) -> bool:
        """Evidence that no longer holds. What broke is not fresh either, but says so itself."""
        return self.evidence is not None and not self.fresh and self.status is not Status.ERROR

    @property
    def status(self) -> Status:
        return self.evidence.verdict.status if self.evidence else Status.ABSENT


@dataclass(frozen=True)
class Chapter:
    number: int
    title: str
    places: tuple[Place, ...]

    @property
    def findings(self) -> list[Finding]:
        return [finding for place in self.places if place.evidence for finding in place.evidence.findings]

    @property
    def verdict(self) -> Verdict:
        return verdict(self.findings)

    @property
    def status(self) -> Status:
        """The worst of its notebooks; one that has not run counts as not assessed."""
        return min((place.status for place in self.places), key=ORDER.index, default=Status.ABSENT)

    @property
    def sentence(self) -> str:
        if not self.places:
            return UNASSESSED
        told = self.verdict.sentence if self.findings else "Not run yet."
        missing = [place.entry.stem for place in self.places if not place.evidence]
        stale = [place.entry.stem for place in self.places if place.stale]
        notes = [f"Not run: {', '.join(missing)}."] if missing and self.findings else []
        notes += [f"Stale: {', '.join(stale)}."] if stale else []
        return " ".join([told, *notes])


@dataclass(frozen=True)
class Standing:
    """The whole journey; shows itself in a cell and as plain lines."""

    migration: Migration
    called: str
    chapters: tuple[Chapter, ...]

    @property
    def places(self) -> tuple[Place, ...]:
        return tuple(place for chapter in self.chapters for place in chapter.places)

    @property
    def evidences(self) -> tuple[Evidence, ...]:
        return tuple(place.evidence for place in self.places if place.evidence)

    @property
    def verdict(self) -> Verdict:
        return verdict(finding for evidence in self.evidences for finding in evidence.findings)

    @property
    def sentence(self) -> str:
        unrun = sum(place.evidence is None for place in self.places)
        told = self.verdict.sentence
        if unrun:
            told = told.replace("Ready:", "Ready so far:") + f" Not run yet: {unrun} of {len(self.places)} notebooks."
        return told

    @property
    def next(self) -> str:
        """The one thing to do now."""
        where = " in the folder of migration.yaml" if self.called == HERE else ""
        due = [place.entry.stem for place in self.places if not place.fresh]
        if due:
            return f"Next: `workbench run {self.called}`{where}; it runs {', '.join(due)}."
        if self.blocking:
            worst = self.blocking[0]
            audit = worst.id.partition("/")[0]
            return f"Next: mend {worst.key} ({worst.title}): `workbench show {self.called} {audit}`{where} says how."
        return "Next: show the report to the people who must agree."

    @property
    def blocking(self) -> Sequence[Finding]:
        every = [finding for evidence in self.evidences for finding in evidence.findings]
        return [finding for finding in ordered(every) if finding.status in (Status.FAIL, Status.ERROR)]

    def table(self) -> Listing:
        """One row per notebook: its question, what came of it, when, and whether that still holds."""
        from workbench.render.text import SIGNS
        from workbench.render.words import STATUS, age

        columns = ("notebook", "question", "status", "verdict", "age", "fresh")
        rows = (
            {
                "notebook": place.entry.stem,
                "question": place.entry.question,
                "status": f"{SIGNS[place.status]} {STATUS[place.status]}",
                "verdict": place.sentence,
                "age": age(place.evidence.started) if place.evidence else None,
                "fresh": place.fresh,
            }
            for place in self.places
        )
        return Listing.of(columns, rows)

    def blocking_table(self) -> Listing:
        """What fails or broke: the finding, what was seen, the limit and who set it, why it could not be judged."""
        from workbench.render import words

        columns = ("finding", "what", "seen", "limit", "reason")
        rows = (
            {
                "finding": finding.key,
                "what": finding.title,
                "seen": words.shown(finding),
                "limit": words.limit(finding.limit, finding.shown.unit if finding.shown else "") or None,
                "reason": finding.reason or None,
            }
            for finding in self.blocking
        )
        return Listing.of(columns, rows)

    def machine(self) -> Listing:
        """What this machine is, can do at most, and what each accelerator would take; measured once, then kept."""
        from workbench.ui.hardware import machine

        return machine(self.migration.folder)

    def _repr_markdown_(self) -> str:
        from workbench.render.text import SIGNS
        from workbench.render.words import STATUS

        rows = [
            f"| {chapter.number or ''} {chapter.title} | {SIGNS[status]} {STATUS[status]} | {chapter.sentence} |"
            for chapter in self.chapters
            for status in (chapter.status,)
        ]
        return "\n".join([f"**{self.sentence}**", "", "| chapter | status | verdict |", "|---|---|---|", *rows])

    def __repr__(self) -> str:
        rows = [f"{chapter.number or ' '} {chapter.title:<9} {chapter.sentence}" for chapter in self.chapters]
        return "\n".join([self.sentence, *rows, self.next])

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/markdown": self._repr_markdown_(), "text/plain": repr(self)}


def standing(migration: Migration, called: str) -> Standing:
    """Reads what is stored; a notebook whose evidence is damaged or newer says so.

    called: the folder as the person calls it.
    """
    entries = [entry for entry in catalog.discover() if entry.module]
    waivers = ledger.current(ledger.read(migration.folder).entries)
    return Standing(
        migration,
        called,
        tuple(
            Chapter(
                number, title, tuple(_place(migration, entry, waivers) for entry in entries if entry.chapter == number)
            )
            for number, title in (*catalog.CHAPTERS.items(), (0, MORE))
            if number or any(entry.chapter == 0 for entry in entries)
        ),
    )


def _place(migration: Migration, entry: catalog.Entry, waivers: Sequence[ledger.Entry]) -> Place:
    try:
        found = store.latest(migration.folder, entry.name)
    except store.StoreError as error:
        return Place(entry, None, fresh=False, problem=str(error))
    if found is None:
        return Place(entry, None, fresh=False)
    counted = ledger.applied(found.evidence, waivers)
    return Place(entry, counted, fresh=found.seal.key == catalog.key(migration, entry.name))
