"""Which pages a run leaves: one per notebook, one for the migration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from workbench import catalog
from workbench.disclosure import protected
from workbench.evidence import Evidence
from workbench.migration import Migration

if TYPE_CHECKING:
    from workbench.render import Bar


def notebook_page(migration: Migration, evidence: Evidence, run: str) -> str:
    from workbench import render

    return render.page(shown(migration, evidence), title=migration.name, run=run)


def shown(migration: Migration, evidence: Evidence) -> Evidence:
    """As people may see it who do not hold the data: a page is made to be passed on."""
    return protected(evidence, migration.privacy.minimum_cell)


def migration_page(
    migration: Migration,
    evidences: Sequence[Evidence],
    run: str,
    missing: Mapping[str, str] | None = None,
    checkpoint: str = "",
    bar: Bar | None = None,
) -> str:
    """The whole migration. missing: why a notebook has no evidence, by name; checkpoint: of the ledger; bar: what
    stands above it for a reviewer."""
    from workbench import render

    evidences = [shown(migration, evidence) for evidence in evidences]
    found = {evidence.audit: evidence for evidence in evidences}
    chapters = [
        render.Chapter(
            number,
            title,
            tuple(
                (entry.name, entry.question, found.get(entry.name))
                for entry in catalog.discover()
                if entry.module and entry.chapter == number
            ),
        )
        for number, title in (*catalog.CHAPTERS.items(), (0, "More"))
        if number or any(entry.module and not entry.chapter for entry in catalog.discover())
    ]
    started = min((evidence.started for evidence in evidences), default=None)
    facts = {"ledger checkpoint": checkpoint} if checkpoint else {}
    return render.report(
        migration.name, evidences, chapters=chapters, run=run, started=started, missing=missing, facts=facts, bar=bar
    )
