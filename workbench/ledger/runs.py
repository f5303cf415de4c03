"""Finished runs into the ledger."""

from __future__ import annotations

from workbench import store
from workbench.ledger.chain import append, read
from workbench.ledger.entries import Entry, Overridden, RunFinished
from workbench.ledger.who import actor_here
from workbench.migration import Migration


def enter_runs(migration: Migration) -> tuple[Entry, ...]:
    """Enters every finished run that the ledger does not know yet, oldest first, and the override a model came in by.

    A run killed between its last byte and its entry is entered by the next one: the entry's time tells.
    Raises LedgerError, SigningKeyError, StoreError.
    """
    known = {entry.body.run for entry in read(migration.folder).entries if isinstance(entry.body, RunFinished)}
    done = [run for run in reversed(store.runs(migration.folder)) if run.record and run.id not in known]
    overridden = _overridden(migration) if done else ()
    return (*overridden, *(_entered(migration, run) for run in done))


def _entered(migration: Migration, run: store.Run) -> Entry:
    by = run.record.writer.user if run.record else ""
    body = RunFinished(run=run.id, digest=store.seal_of(run.folder / store.RUN).sha256, by=by)
    return append(migration.folder, body, actor_here(), migration=migration.name, request=f"run/{run.id}/{body.digest}")


def _overridden(migration: Migration) -> tuple[Entry, ...]:
    """A named person's word for a file, as soon as a run has relied on it: once for each word and file."""
    given = [trust for source in (migration.legacy, migration.candidate) if source and (trust := source.trust)]
    return tuple(
        append(
            migration.folder,
            Overridden(by=trust.by, sha256=trust.sha256.lower(), why=trust.why),
            actor_here(),
            migration=migration.name,
            request=f"override/{trust.sha256.lower()}/{trust.by}"[:200],
        )
        for trust in given
    )
