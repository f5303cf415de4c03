"""Brings a store up to date with a migration's folder: what is there stays, what is missing is written, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from filelock import FileLock, Timeout

from workbench import store
from workbench.migration import Migration
from workbench.tracking import mlflow_store, registry, studies
from workbench.tracking.address import HERE, Address, TrackingError, address
from workbench.tracking.records import journeys

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


def _synced(migration: Migration, where: Address, told: Callable[[str], None]) -> Tracked:
    experiment = (migration.tracking and migration.tracking.experiment) or migration.name
    notes = []
    written = known = 0
    opened = mlflow_store.opened(where, experiment, told)
    with mlflow_store.quietly():
        opened.learn()
        for planned in (*journeys(migration), *studies.trainings(migration), *studies.searches(migration)):
            try:
                new = opened.keep(planned)
            except store.StoreError as error:
                notes.append(f"not recorded: {error}")
                continue
            written, known = written + new, known + (not new)
        models = registry.register(opened, migration, experiment)
    return Tracked(
        where.shown, experiment, models.name, written, known, models.made, models.aliases, (*notes, *models.notes)
    )
