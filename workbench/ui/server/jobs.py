"""Runs started from the panel: each in a process of its own, written down beside the migration, found again from there.

<migration>/.workbench/jobs/<job>/job.json        what was asked, by which process it is watched
<migration>/.workbench/jobs/<job>/events.jsonl    what happened, by `supervise`
<migration>/.workbench/jobs/<job>/stop            somebody asked it to stop
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from filelock import FileLock, Timeout
from pydantic import ConfigDict, Field, ValidationError

from workbench import store
from workbench.catalog.freshness import PINNED
from workbench.evidence import Plain
from workbench.store.holder import Claim, gone, started
from workbench.store.records import CLAIM, RUN, folders, seq_of
from workbench.ui.server import supervise
from workbench.ui.server.events import Told, read
from workbench.ui.server.problems import ApiError
from workbench.ui.server.supervise import ENDED, EVENTS

JOB_ID = re.compile(r"^\d{8}T\d{6}Z-[0-9a-f]{8}$")
JOB, STOP = "job.json", "stop"
KEPT = 20
"""Jobs remembered per migration."""
INTERRUPTED = 130
"""How the command line ends when it is interrupted."""
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]{0,63}$")]


class Start(Plain):
    """What to run; nothing chosen is all that is stale."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    only: tuple[Name, ...] = Field((), max_length=64)
    start: Name | None = Field(None, alias="from")
    force: bool = False
    take_over: bool = False
    jobs: int = Field(2, ge=1, le=16)
    params: dict[Name, dict[Name, object]] = Field({}, max_length=64)

    def words(self, folder: Path) -> list[str]:
        """As typed behind `workbench`."""
        said = ["run", str(folder), "--progress", "json", "--jobs", str(self.jobs)]
        said += [word for name in self.only for word in ("--only", name)]
        said += ["--from", self.start] if self.start else []
        said += ["--force"] if self.force else []
        said += ["--take-over"] if self.take_over else []
        for audit, values in self.params.items():
            said += [word for name, value in values.items() for word in ("-p", f"{audit}.{name}={json.dumps(value)}")]
        return said


class Launched(Plain):
    """job.json. claim: the process that watches the run."""

    asked: Start
    claim: Claim


@dataclass(frozen=True)
class Job:
    """A job as found on disk."""

    folder: Path
    launched: Launched
    told: tuple[Told, ...] = field(repr=False)

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def run(self) -> str | None:
        return next((told["run"] for told in self.told if told["event"] == "run"), None)

    @property
    def ended(self) -> Told | None:
        return self.told[-1] if self.told and self.told[-1]["event"] == ENDED else None

    @property
    def lives(self) -> bool:
        return self.ended is None and not gone(self.launched.claim)

    @property
    def is_stopping(self) -> bool:
        return (self.folder / STOP).exists()


def of(folder: Path, job: str) -> Job:
    """Raises ApiError where there is none."""
    found = _read(_place(folder) / job) if JOB_ID.match(job) else None
    if found is None:
        raise ApiError(404, "There is no such job.", job[:40], f"The last {KEPT} are kept; its run is in the history.")
    return found


def every(folder: Path) -> Iterator[Job]:
    """Newest first."""
    return (job for path in _paths(_place(folder)) if (job := _read(path)))


def active(folder: Path) -> dict[str, Any] | None:
    """What writes to the migration now, started from here or elsewhere."""
    _reap()
    found = _writing(folder)
    if found is None:
        return None
    job, run, claim = found
    return {"job": job, "run": run, "holder": claim.holder}


def _writing(folder: Path) -> tuple[str | None, str | None, Claim] | None:
    """The job, the run and the process that writes to the migration, as far as anybody can tell from here."""
    job = next(every(folder), None)
    if job and job.lives:
        return job.id, job.run, job.launched.claim
    run = max(folders(folder / store.REPORTS), key=lambda path: (seq_of(path), path.name), default=None)
    if run is None or (run / RUN).exists():
        return None
    try:
        claim = Claim.model_validate_json((run / CLAIM).read_bytes())
    except (OSError, ValidationError):
        return None
    return None if gone(claim) else (None, run.name, claim)


def start(folder: Path, asked: Start) -> Job:
    """Starts a run in a session of its own. Raises ApiError naming the holder where something runs already."""
    place = _place(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
        with FileLock(place / ".lock", timeout=0):
            if (found := _writing(folder)) and not (asked.take_over and _is_elsewhere(found[2])):
                raise _busy(found[2].holder, _is_elsewhere(found[2]))
            return _launch(place / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}", folder, asked)
    except Timeout:
        raise _busy("a run that is being started this moment") from None
    except OSError as error:
        do = "Ask for permission to write to the migration's folder, or copy it."
        raise ApiError(422, "No run can start.", error.strerror or "its folder cannot be written", do) from None


def _is_elsewhere(claim: Claim) -> bool:
    """On a machine of which nobody can say here whether it still runs, like a container that was replaced."""
    return claim.host != socket.gethostname()


def _busy(holder: str, elsewhere: bool = False) -> ApiError:
    do = "Wait for it or stop it, then start again."
    do = "If that machine is gone, start again with take_over." if elsewhere else do
    return ApiError(409, "This migration is being written already.", holder, do)


def _launch(place: Path, folder: Path, asked: Start) -> Job:
    place.mkdir()
    # The code of a run is what is on disk when it begins, whatever this server pinned for its own notebooks.
    environment = {name: value for name, value in os.environ.items() if name != PINNED}
    process = subprocess.Popen(
        # -P: a file called json.py in the working folder must not stand in for Python's own.
        [sys.executable, "-P", "-m", supervise.__name__, str(place), *asked.words(folder)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True, env=environment,
    )  # fmt: skip
    _CHILDREN.append(process)
    mine = {"pid": process.pid, "process": started(process.pid)}
    launched = Launched(asked=asked, claim=Claim.mine(place.name).model_copy(update=mine))
    store.write(place / JOB, launched.model_dump_json(by_alias=True, indent=1))
    for old in _paths(place.parent)[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
    return Job(place, launched, ())


def stop(job: Job, *, force: bool = False) -> None:
    """Asks the run to end, as from a keyboard; force: kills it. Raises ApiError where it has ended already."""
    if not job.lives:
        raise ApiError(409, "This run has ended already.", do="Refresh: its findings are there.", code="gone")
    store.write(job.folder / STOP, "")
    pid = job.launched.claim.pid
    try:
        # It leads a group of its own, in which the run and its workers are; SIGTERM is for the watcher alone.
        os.kill(pid, signal.SIGTERM) if force else os.killpg(pid, signal.SIGINT)
    except ProcessLookupError:
        return


_CHILDREN: list[subprocess.Popen[bytes]] = []
"""Watchers this server started: collected when they end, else they stay in the table of processes."""


def _reap() -> None:
    for process in [process for process in _CHILDREN if process.poll() is not None]:
        _CHILDREN.remove(process)


def _place(folder: Path) -> Path:
    return folder / ".workbench" / "jobs"


def _paths(place: Path) -> list[Path]:
    try:
        return sorted((path for path in place.iterdir() if JOB_ID.match(path.name)), reverse=True)
    except OSError:
        return []


def _read(path: Path) -> Job | None:
    try:
        launched = Launched.model_validate_json((path / JOB).read_bytes())
    except (OSError, ValidationError):
        return None
    return Job(path, launched, tuple(read(path / EVENTS)))
