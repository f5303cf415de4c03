"""Brings a store up to date with a migration's folder: what is there stays, what is missing is written, once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from filelock import FileLock, Timeout

from workbench import catalog, store
from workbench.migration import Migration
from workbench.tracking import mlflow_store, registry, studies
from workbench.tracking.address import HERE, Address, TrackingError, address
from workbench.tracking.champion import champion
from workbench.tracking.records import Planned, journeys

MARK = "tracked.sha256"
PATIENCE = 120.0
"""Seconds to wait for another process that tracks the same migration."""


@dataclass(frozen=True)
class Tracked:
    """What was done. store: its address, without secrets; written, known: records; versions: new ones of the model."""

    store: str
    experiment: str
    model: str
    written: int
    known: int
    versions: tuple[str, ...]
    aliases: Mapping[str, str]
    notes: tuple[str, ...]


def track(migration: Migration, uri: str = "", told: Callable[[str], None] = lambda text: None) -> Tracked:
    """Records runs, training and candidates that the store does not know yet. uri: see `address`.

    Again and again without harm: nothing is repeated, and what an earlier attempt left half-written is gone on with.
    Raises TrackingError, whose sentence holds no secret.
    """
    where = address(migration, uri)
    place = migration.folder / HERE
    try:
        place.mkdir(exist_ok=True)
        with FileLock(place / "tracking.lock", timeout=PATIENCE):
            return _synced(migration, where, told)
    except Timeout:
        raise TrackingError(
            f"{migration.name} has been tracked by another process for {PATIENCE:.0f} s: wait for it, then "
            "`workbench track` again."
        ) from None
    except Exception as error:
        raise mlflow_store.problem(error, where) from error


def is_new(migration: Migration) -> bool:
    """Whether there is anything that was not recorded when the store was last brought up to date; asks no store."""
    try:
        return (migration.folder / HERE / MARK).read_text() != _mark(migration, address(migration))
    except Exception:  # whatever it is, `track` meets it again and says it in a sentence
        return True


def _planned(migration: Migration) -> tuple[Planned, ...]:
    return (*journeys(migration), *studies.trainings(migration), *studies.searches(migration))


def _mark(migration: Migration, where: Address) -> str:
    """sha256 over all that is recorded, and where."""
    today, leads = catalog.candidate_source(migration), champion(migration)
    told = [where.shown, _experiment(migration), today.uri if today else "", leads.sha256]
    told += [f"{planned.identity} {planned.digest}" for planned in _planned(migration)]
    told += [f"{known.side} {known.sha256}" for known in registry.models(migration)]
    return store.sha256("\n".join(told).encode())


def _experiment(migration: Migration) -> str:
    return (migration.tracking and migration.tracking.experiment) or migration.name


def _synced(migration: Migration, where: Address, told: Callable[[str], None]) -> Tracked:
    experiment = _experiment(migration)
    notes = []
    written = known = 0
    opened = mlflow_store.opened(where, experiment, told)
    with mlflow_store.quietly():
        opened.learn()
        for planned in _planned(migration):
            try:
                new = opened.keep(planned)
            except store.StoreError as error:
                notes.append(f"not recorded: {error}")
                continue
            written, known = written + new, known + (not new)
        models = registry.register(opened, migration, experiment)
    with contextlib.suppress(store.StoreError):
        store.write(migration.folder / HERE / MARK, _mark(migration, where))
    return Tracked(
        where.shown, experiment, models.name, written, known, models.made, models.aliases, (*notes, *models.notes)
    )
