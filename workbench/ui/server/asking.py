"""The API as plain functions, one per operation of openapi.yaml and named like it; called in threads.

Each takes the server's desk, then ids and words as they came. Raises ApiError, or an error of the workbench.
"""

from __future__ import annotations

import functools
import json
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from workbench import __version__, catalog, runner, schemas, store
from workbench import ledger as ledger_of
from workbench.catalog.freshness import code, code_on_disk
from workbench.evidence import Plain as Closed
from workbench.migration import open_migration
from workbench.store.holder import gone
from workbench.ui.server import history, jobs, listing, previewing, progress, proposing
from workbench.ui.server.desk import Desk
from workbench.ui.server.events import Tail, Told
from workbench.ui.server.finding import Walk
from workbench.ui.server.problems import ApiError
from workbench.ui.server.rooted import Root
from workbench.ui.server.supervise import ENDED, EVENTS

Plain = dict[str, Any]
M = TypeVar("M", bound=BaseModel)


class Nothing(Closed):
    """A request that says nothing but what its address says."""


class Stop(Closed):
    force: bool = False


class Waiver(Closed):
    key: str = Field(max_length=1000)
    run: str = Field(pattern=r"^\d{8}T\d{6}Z-\d{4,9}$")
    reason: str = Field(min_length=10, max_length=4000)
    expires: date
    request: str = Field("", max_length=64, description="by which a double click is known")


@functools.cache
def desk_of(root: Root) -> Desk:
    """The one desk of a server's root."""
    return Desk(root, Walk(root.real))


def read(model: type[M], sent: bytes) -> M:
    """The request's JSON as the model. Raises ApiError naming the first thing that is wrong."""
    try:
        return model.model_validate_json(sent or b"{}", strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the body"
        raise ApiError(400, "The request is not understood.", f"{place}: {first['msg']}"[:300]) from None


# ---------------------------------------------------------------------------------------- the same for all


def about(_: Desk) -> Plain:
    return {"version": __version__, "changed": code() != code_on_disk(), "ledger": True}


def schema(_: Desk, name: str) -> Plain:
    return dict(json.loads(schemas.path(name).read_text(encoding="utf-8")))


def explain(_: Desk, finding: str) -> Plain:
    try:
        return dict(json.loads(catalog.find(finding).model_dump_json()))
    except catalog.CatalogError as error:
        raise ApiError(404, "There is no such finding.", str(error)) from None


# ---------------------------------------------------------------------------------------- migrations


def list_migrations(desk: Desk) -> Plain:
    return listing.migrations(desk)


def begin_proposal(desk: Desk, sent: bytes) -> Plain:
    """propose, until the process that opens the files is asked."""
    return proposing.begin(desk, read(proposing.Chosen, sent))


def end_proposal(desk: Desk, wanted: Mapping[str, Any], answer: Mapping[str, Any]) -> Plain:
    """propose, from what that process says."""
    return proposing.end(desk, wanted, answer)


def create_migration(desk: Desk, sent: bytes) -> Plain:
    return listing.one(desk, proposing.create(desk, read(proposing.Creation, sent)))


def journey(desk: Desk, migration: str) -> Plain:
    return listing.journey(desk, desk.folder(migration))


def copy_notebooks(desk: Desk, migration: str, sent: bytes) -> Plain:
    read(Nothing, sent)
    folder = desk.folder(migration)
    desk.root.checked(folder / "notebooks")
    made = runner.copy_notebooks(folder)
    return {"folder": desk.root.relative(made.folder), "written": made.written, "changed": made.changed}


# ---------------------------------------------------------------------------------------- what was found


def list_runs(desk: Desk, migration: str) -> Plain:
    return history.runs(desk, desk.folder(migration))


def read_run(desk: Desk, migration: str, run: str) -> Plain:
    return history.run(desk, desk.folder(migration), run)


def read_evidence(desk: Desk, migration: str, audit: str, run: str | None) -> Plain:
    return history.evidence(desk, desk.folder(migration), audit, run)


def list_findings(desk: Desk, migration: str, run: str | None, chosen: Mapping[str, str]) -> Plain:
    return history.findings(desk, desk.folder(migration), run, chosen)


def compare_runs(desk: Desk, migration: str, before: str, after: str) -> Plain:
    return history.compare(desk, desk.folder(migration), before, after)


def report(desk: Desk, migration: str, run: str | None, audit: str | None) -> str:
    return history.report(desk, desk.folder(migration), run, audit)


def preview(desk: Desk, migration: str, root: str) -> str:
    return previewing.evidence(desk, desk.folder(migration), root)


def preview_aside(desk: Desk, migration: str, root: str, page: str) -> str:
    return previewing.aside(desk.folder(migration), root, page)


def preview_notebook(desk: Desk, migration: str, root: str, audit: str) -> str:
    return previewing.notebook(desk, desk.folder(migration), root, audit)


# ---------------------------------------------------------------------------------------- what runs


def list_jobs(desk: Desk, migration: str) -> Plain:
    folder = desk.folder(migration)
    return {"jobs": [_told(desk, folder, job) for job in jobs.every(folder)]}


def read_job(desk: Desk, migration: str, job: str) -> Plain:
    folder = desk.folder(migration)
    return _told(desk, folder, jobs.of(folder, job))


def start_job(desk: Desk, migration: str, sent: bytes) -> Plain:
    folder, asked = desk.folder(migration), read(jobs.Start, sent)
    desk.root.checked(folder / ".workbench" / "jobs")
    return _told(desk, folder, jobs.start(folder, asked))


def stop_job(desk: Desk, migration: str, job: str, sent: bytes) -> Plain:
    folder, asked = desk.folder(migration), read(Stop, sent)
    jobs.stop(jobs.of(folder, job), force=asked.force)
    return _told(desk, folder, jobs.of(folder, job))


def _told(desk: Desk, folder: Path, job: jobs.Job) -> Plain:
    took, fresh = _before(desk, folder)
    return progress.plain(job, desk.root.identity(folder), desk.root.scrub, took, fresh)


def _before(desk: Desk, folder: Path) -> tuple[dict[str, float], set[str]]:
    """Seconds that each notebook took before, and which of them would not run now."""
    now = listing.known(desk, folder).now
    places = now.places if now else ()
    stored = {place.entry.stem: place.evidence.seconds for place in places if place.evidence}
    return stored | progress.durations(folder), {place.entry.stem for place in places if place.fresh}


def follow(desk: Desk, migration: str, job: str, after: int) -> Follower:
    """job_events, for one reader who has those up to `after`."""
    folder = desk.folder(migration)
    return Follower(folder, jobs.of(folder, job), after)


def more_events(desk: Desk, follower: Follower) -> list[Plain]:
    """job_events: what came since."""
    return follower.more(desk)


@dataclass
class Follower:
    """The events of one job for one reader. over: there will be no more."""

    folder: Path
    job: jobs.Job
    after: int
    over: bool = False
    tail: Tail = field(init=False)

    def __post_init__(self) -> None:
        self.tail = Tail(self.job.folder / EVENTS, self.after)

    def more(self, desk: Desk) -> list[Plain]:
        """What came since. A watcher that was killed left no `ended`: it is said in its place."""
        lives = not gone(self.job.launched.claim)  # asked before reading: what it wrote last is then there
        told = self.tail.more()
        if not told and lives:
            return []
        self.job = jobs.of(self.folder, self.job.id)
        if not lives and self.job.ended is None:
            told = [*told, self._cut_off()]
        self.over = self.job.ended is not None or not lives
        return [
            progress.event(one, self.job, self._left(desk) if one is told[-1] else None, desk.root.scrub)
            for one in told
        ]

    def _cut_off(self) -> Told:
        n = self.job.told[-1]["n"] if self.job.told else 0
        at = datetime.now(UTC).isoformat()
        return {"n": n + 1, "at": at, "event": ENDED, "code": 128 + signal.SIGKILL, "text": progress.CUT_OFF}

    def _left(self, desk: Desk) -> float | None:
        return progress.left(self.job, *_before(desk, self.folder)) if self.job.lives else None


# ---------------------------------------------------------------------------------------- who decided what


def waive(desk: Desk, migration: str, sent: bytes, by: str) -> Plain:
    """by: who is logged in, as the server knows them; the request cannot say otherwise."""
    folder, asked = desk.folder(migration), read(Waiver, sent)
    audit = asked.key.partition("/")[0]
    newest = store.latest(folder, audit)
    if newest and newest.run != asked.run:
        do = "Read what it found, and decide again."
        raise ApiError(409, "There is newer evidence of this.", f"run {newest.run}", do)
    entry = ledger_of.waive(
        open_migration(folder), audit, asked.key, reason=asked.reason, until=asked.expires, actor=_actor(by),
        request=asked.request,
    )  # fmt: skip
    return {"seq": entry.seq, "key": asked.key, "expires": asked.expires}


def ledger(desk: Desk, migration: str) -> Plain:
    known = ledger_of.read(desk.folder(migration))
    entries = [json.loads(entry.model_dump_json()) for entry in reversed(known.entries)]
    return {"entries": entries, "problems": [desk.root.scrub(problem) for problem in known.problems]}


def _actor(by: str) -> ledger_of.Actor:
    return ledger_of.Actor(subject=by, issuer="jupyterhub" if os.environ.get("JUPYTERHUB_USER") else "jupyter-server")
