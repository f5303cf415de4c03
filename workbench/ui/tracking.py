"""The command `track`, and what is recorded after a run or a decision without anybody asking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from workbench.migration import Migration, open_migration
from workbench.tracking import Tracked, TrackingError, is_new
from workbench.tracking import track as record
from workbench.ui.say import emit, note, out


def track(folder: Path, uri: str, *, as_json: bool) -> None:
    """Records what lies there. Raises TrackingError."""
    found = record(open_migration(folder), uri, note)
    emit(asdict(found), as_json)
    if as_json:
        return
    out(f"{found.store}, experiment {found.experiment}")
    out(f"{found.written} recorded, {found.known} were there already")
    out(f"Model {found.model}: {_versions(found)}")
    for text in found.notes:
        out(f"! {text}", style="warn")


def _versions(found: Tracked) -> str:
    made = f"new: {', '.join(f'v{one}' for one in found.versions)}; " if found.versions else ""
    return made + (", ".join(f"{alias} is v{version}" for alias, version in found.aliases.items()) or "no alias")


def after(migration: Migration, told: Callable[[str], None] = note) -> None:
    """Records what has just been done, if migration.yaml asks for it. Never fails: what goes wrong is said."""
    if migration.tracking is None:
        return
    try:
        if not is_new(migration):
            return
        found = record(migration, told=told)
        told(f"Recorded in {found.store}: {found.written} new, {found.known} known.")
        for text in found.notes:
            told(f"! {text}")
    except TrackingError as error:
        told(f"! Not recorded: {error}")
    except KeyboardInterrupt:
        told("! Recording was stopped: `workbench track` goes on from here.")
