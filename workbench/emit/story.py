"""What every format tells: the newest finished run, its evidence as it counts, who let what pass, who signed."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from workbench import catalog, ledger, store
from workbench.disclosure import protected
from workbench.evidence import Evidence, Finding
from workbench.migration import Migration

HOME = "https://migration-workbench.dev"
"""Of names that formats want as a URL; nothing is fetched from there."""


@dataclass(frozen=True)
class Told:
    """One audit's evidence. asked: as the audit found it; counted: with the waivers that hold today; path, sha256: of
    its file, relative to the migration."""

    asked: Evidence
    counted: Evidence
    path: str
    sha256: str

    @property
    def waived(self) -> frozenset[str]:
        """Keys of the findings that a waiver covers."""
        pairs = zip(self.asked.findings, self.counted.findings, strict=True)
        return frozenset(before.key for before, after in pairs if before.status is not after.status)


@dataclass(frozen=True)
class Story:
    """told: in the order of the journey; silent: audits without evidence, with their questions; finished: UTC."""

    migration: Migration
    run: store.Run
    told: tuple[Told, ...]
    silent: Mapping[str, str]
    gate: ledger.Gate
    checkpoint: str
    finished: datetime

    @property
    def findings(self) -> list[Finding]:
        return [finding for one in self.told for finding in one.counted.findings]

    @property
    def name(self) -> str:
        return self.migration.name

    @property
    def candidate(self) -> Path | None:
        """The candidate's file."""
        source = catalog.candidate_source(self.migration)
        path = self.migration.folder / source.uri if source else None
        return path if path and path.is_file() else None


def gather(migration: Migration) -> Story:
    """Raises LedgerError where there is no finished run, StoreError where its evidence is damaged."""
    run = next((run for run in store.runs(migration.folder) if run.state == "done"), None)
    if run is None or run.record is None:
        raise ledger.LedgerError("There is no finished run to tell of yet. Make one: workbench run FOLDER")
    known = ledger.read(migration.folder)
    held = ledger.current(known.entries)
    audits = [entry for entry in catalog.discover() if entry.module]
    found = {entry.name: store.latest(migration.folder, entry.name) for entry in audits}
    return Story(
        migration=migration,
        run=run,
        told=tuple(_told(migration, one, held) for one in found.values() if one),
        silent={entry.name: entry.question for entry in audits if not found[entry.name]},
        gate=ledger.gate(migration),
        checkpoint=str(known.checkpoint) if known.lines else "",
        finished=run.record.finished.astimezone(UTC),
    )


def _told(migration: Migration, one: store.Stored, held: tuple[ledger.Entry, ...]) -> Told:
    path = (one.folder / store.EVIDENCE).relative_to(migration.folder).as_posix()
    evidence = protected(one.evidence, migration.privacy.minimum_cell)
    return Told(evidence, ledger.applied(evidence, held), path, one.seal.files[store.EVIDENCE].sha256)


def uuid_of(*parts: str) -> str:
    """The same id for the same thing, so that equal evidence gives equal files (UUID version 5, RFC 9562)."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join((HOME, *parts))))


def utc(moment: datetime) -> str:
    """RFC 3339, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
