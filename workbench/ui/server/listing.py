"""The migrations below the root and where each stands: read from what is stored, kept while nothing changed."""

from __future__ import annotations

import os
import time
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench import catalog, store
from workbench.audit import needs
from workbench.data import DataError
from workbench.data.source import resolve
from workbench.evidence import Evidence, Status, verdict
from workbench.migration import FILE, Migration, ModelSource, open_migration
from workbench.render import words
from workbench.runner import REPORT
from workbench.store.records import NOTEBOOK
from workbench.ui.journey import HERE, Chapter, Place, Standing, standing
from workbench.ui.server import jobs, progress
from workbench.ui.server.desk import Desk
from workbench.ui.server.finding import SETTLED

Plain = dict[str, Any]
NOT_ASSESSED = words.STATUS[Status.ABSENT]


@dataclass(frozen=True)
class Known:
    """One migration as read. problem: why it cannot be; then there is nothing else."""

    migration: Migration | None
    now: Standing | None
    runs: tuple[store.Run, ...] = ()
    found: Mapping[str, store.Stored] = field(default_factory=dict)
    problem: str = ""


def migrations(desk: Desk) -> Plain:
    """Every migration, nearest to the root first."""
    found = desk.found()
    return {
        "migrations": [summary(desk, folder, known(desk, folder)) for folder in found.folders],
        "truncated": found.truncated,
    }


def one(desk: Desk, folder: Path) -> Plain:
    return summary(desk, folder, known(desk, folder))


def journey(desk: Desk, folder: Path) -> Plain:
    """One migration with its chapters and notebooks."""
    this = known(desk, folder)
    took = progress.durations(folder)
    chapters = [_chapter(desk, folder, this, chapter, took) for chapter in this.now.chapters] if this.now else []
    report = any(run.state == "done" and (run.folder / REPORT).exists() for run in this.runs)
    return summary(desk, folder, this) | {"chapters": chapters, "report": report}


def known(desk: Desk, folder: Path) -> Known:
    """What is stored of the migration, read again only where a file behind it changed."""
    found: Known = desk.memory(folder).get(lambda last: _stamp(folder, last), lambda: _read(desk, folder))
    return found


def _read(desk: Desk, folder: Path) -> Known:
    try:
        migration = open_migration(folder)
        now = standing(migration, desk.root.relative(folder) or HERE)
        names = [place.entry.name for place in now.places if place.evidence]
        found = {name: stored for name in names if (stored := store.latest(folder, name))}
        return Known(migration, now, store.runs(folder), found)
    except Exception as error:  # one migration, or somebody else's audit, must not take the list with it
        return Known(None, None, problem=_reason(desk, error))


def _reason(desk: Desk, error: Exception) -> str:
    if type(error).__module__.startswith("workbench."):
        return desk.root.scrub(str(error))
    return f"it could not be read ({type(error).__name__}): the workbench or an audit beside it is broken"


def summary(desk: Desk, folder: Path, this: Known) -> Plain:
    """What the list and the status bar show."""
    path = desk.root.relative(folder)
    base: Plain = {
        "id": desk.root.identity(folder),
        "path": path,
        "file": f"{path}/{FILE}".lstrip("/"),
        "active": jobs.active(folder),
        "last_run": next((run.id for run in this.runs if run.state == "done"), None),
        "problem": this.problem,
    }
    return base | (_told(this.now) if this.now else _untold(folder, this.problem))


def _told(now: Standing) -> Plain:
    return {
        "name": now.migration.name,
        "status": now.verdict.status,
        "sentence": now.sentence,
        "brief": words.brief(now.verdict),
        "next": now.next,
        "defaults": now.verdict.defaults,
        "limits": now.verdict.limits,
        "stale": [place.entry.stem for place in now.places if place.stale],
        "unrun": [place.entry.stem for place in now.places if place.evidence is None],
    }


def _untold(folder: Path, problem: str) -> Plain:
    return {
        "name": folder.name,
        "status": Status.ABSENT,
        "sentence": f"Not assessed: {problem.splitlines()[0]}",
        "brief": NOT_ASSESSED,
        "next": "Next: open migration.yaml and mend it.",
        "defaults": 0,
        "limits": 0,
        "stale": [],
        "unrun": [],
    }


def _chapter(desk: Desk, folder: Path, this: Known, chapter: Chapter, took: Mapping[str, float]) -> Plain:
    return {
        "number": chapter.number,
        "title": chapter.title,
        "status": chapter.status,
        "sentence": chapter.sentence,
        "brief": words.brief(chapter.verdict) if chapter.findings else NOT_ASSESSED,
        "notebooks": [_notebook(desk, folder, this, place, took) for place in chapter.places],
    }


def _notebook(desk: Desk, folder: Path, this: Known, place: Place, took: Mapping[str, float]) -> Plain:
    entry, evidence, stored = place.entry, place.evidence, this.found.get(place.entry.name)
    seconds = evidence.seconds if evidence else None
    return {
        "notebook": entry.stem,
        "audit": entry.name,
        "question": entry.question,
        "kind": entry.kind,
        "status": place.status,
        "sentence": desk.root.scrub(place.sentence),
        "brief": words.brief(evidence.verdict) if evidence else NOT_ASSESSED,
        "fresh": place.fresh,
        "stale": place.stale,
        "started": when(evidence),
        "seconds": seconds,
        "run": stored.origin if stored else None,
        "path": _existing(desk, folder / "notebooks" / f"{entry.stem}.ipynb"),
        "executed": _existing(desk, stored.folder / NOTEBOOK) if stored else None,
        "missing": list(_missing(this, entry)),
        "expected": took.get(entry.stem, seconds),
    }


def when(evidence: Evidence | None) -> str | None:
    return evidence.started.isoformat() if evidence else None


def _existing(desk: Desk, path: Path) -> str | None:
    return desk.root.relative(path) if path.is_file() else None


def _missing(this: Known, entry: catalog.Entry) -> Iterator[str]:
    """What it needs of the data and has not; evidence of others and the candidate are made on the way."""
    assert this.migration
    for need in needs(entry.load()):
        if need.optional or need.name not in ("train", "holdout", "production"):
            continue
        uri = getattr(this.migration.data, need.name)
        if uri is None:
            yield f"no {need.name} rows are given: set data.{need.name} in migration.yaml"
            continue
        try:
            resolve(uri, this.migration.folder)
        except DataError as error:
            yield str(error)


def worst(evidences: list[Evidence]) -> Plain:
    """The verdict over several."""
    found = verdict(finding for evidence in evidences for finding in evidence.findings)
    return {"status": found.status, "sentence": found.sentence}


# ---------------------------------------------------------------------------------------- what may have changed


def _stamp(folder: Path, last: Known | None) -> Hashable:
    """Names, sizes and times of everything `_read` looks at; None where some of it changed only just now."""
    inputs = _inputs(last.migration) if last and last.migration else ()
    paths = (folder / FILE, folder / "reports" / "ledger.jsonl", *_stored(folder), *inputs)
    stamp = tuple(_stat(path) for path in paths)
    newest = max((entry[1] for entry in stamp), default=0)
    return stamp if abs(time.time_ns() - newest) > SETTLED else None


def _stored(folder: Path) -> Iterator[Path]:
    """Runs change as a whole: a notebook that finishes, and run.json, each add a name to the run's folder."""
    for below in ("reports", "models"):
        try:
            with os.scandir(folder / below) as entries:
                yield from sorted(Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))
        except OSError:
            continue


def _inputs(migration: Migration) -> Iterator[Path]:
    for uri in (migration.data.holdout, migration.data.train, migration.data.production):
        try:
            yield from resolve(uri, migration.folder) if uri else ()
        except DataError:
            continue
    for source in (migration.legacy, migration.candidate):
        yield from _model(migration, source) if source else ()


def _model(migration: Migration, source: ModelSource) -> Iterator[Path]:
    module = source.uri.removeprefix("python:").split(":")[0].replace(".", "/") + ".py"
    path = migration.folder / (module if source.uri.startswith("python:") else source.uri)
    yield path
    if path.is_dir():
        yield from (file for file in sorted(path.rglob("*")) if file.is_file())
    beside = source.options.get("feature_map")
    if isinstance(beside, str):
        yield from (place / beside for place in (path.parent, migration.folder))


def _stat(path: Path) -> tuple[str, int, int]:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return str(path), 0, -1
    return str(path), found.st_mtime_ns, found.st_size
