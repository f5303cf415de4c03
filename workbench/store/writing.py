"""Writing: whole or not at all, by one process at a time."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from workbench.store.holder import Claim, gone
from workbench.store.reading import runs
from workbench.store.records import (
    CLAIM,
    CLOCK,
    NOTEBOOK,
    REPORTS,
    ROOM,
    RUN,
    SEAL,
    TMP,
    BusyError,
    Part,
    Record,
    Seal,
    Sealed,
    StoreError,
    TakeOver,
    folders,
    names,
    seal_of,
    seq_of,
)


def write(path: Path, content: str | bytes) -> None:
    """Writes a file whole or not at all: temporary name in the same folder, fsync, rename, fsync of the folder.

    Raises StoreError naming the cause (disk full, read-only, too large) and leaves what was there before.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync(path.parent)
    except BaseException as error:  # after Ctrl-C too, nothing half-written is left
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise StoreError(cause(error, path)) from error
        raise


class Writer:
    """The one writer of a migration's run, from claim to run.json. Made by `open_run`."""

    def __init__(self, folder: Path, claim: Claim, seq: int, takeover: TakeOver | None, command: str) -> None:
        self.migration = folder
        self.folder = folder / REPORTS / claim.run
        self.id = claim.run
        self.takeover = takeover
        self._claim, self.seq_of, self._command, self._started = claim, seq, command, time.monotonic()
        self._parts: dict[str, str] = {}

    def workplace(self, part: str) -> Path:
        """An empty folder for the notebook `part` ("51_bias") to work in."""
        place = self.folder / TMP / part
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        return place

    def publish(self, part: str, *, audit: str, key: str = "", notebook: str = "", came_from: str = "") -> Path:
        """Seals what lies in the workplace and moves it to its final name in one step."""
        place, final = self.folder / TMP / part, self.folder / part
        try:
            for left in place.glob(".*"):
                left.unlink()
            files = {path.name: _synced(path) for path in sorted(place.iterdir())}
            if (book := place / NOTEBOOK).exists():
                book.chmod(0o444)  # JupyterLab saves what is open, and a saved notebook is no longer what was run
            seal = Seal(audit=audit, key=key, notebook=notebook, came_from=came_from, files=files)
            write(place / SEAL, seal.model_dump_json(indent=1))
            shutil.rmtree(final, ignore_errors=True)
            place.replace(final)
            _sync(self.folder)
        except OSError as error:
            raise StoreError(cause(error, final)) from error
        self._parts[part] = came_from
        return final

    def carry(self, stored: Part) -> Path:
        """Takes over what an earlier run finished, so that this run is whole by itself."""
        part = stored.folder.name
        if stored.folder.parent == self.folder:
            return stored.folder
        place = self.workplace(part)
        for name in stored.seal.files:
            if (stored.folder / name).is_file():
                shutil.copyfile(stored.folder / name, place / name)
        return self.publish(
            part, audit=stored.seal.audit, key=stored.seal.key, notebook=stored.seal.notebook, came_from=stored.origin
        )

    def finish(self, ledger: str = "") -> Record:
        """Writes run.json: from now on the run happened. ledger: its checkpoint."""
        shutil.rmtree(self.folder / TMP, ignore_errors=True)
        written = sorted(name for name in names(self.folder) if name not in (RUN, CLAIM))
        record = Record(
            run=self.id,
            seq=self.seq_of,
            command=self._command,
            writer=self._claim,
            finished=datetime.now(UTC),
            seconds=round(time.monotonic() - self._started, 3),
            clock_moved=_moved(self._claim.since, time.monotonic() - self._started),
            takeover=self.takeover,
            parts=self._parts,
            files={name: seal_of(self.folder / name) for name in written},
            ledger=ledger,
        ).sealed()
        write(self.folder / RUN, record.model_dump_json(indent=1))
        return record


def _moved(since: datetime, seconds: float) -> float:
    """Seconds by which the clock was set forward (or back) meanwhile; 0 for what clocks drift by themselves."""
    moved = (datetime.now(UTC) - since).total_seconds() - seconds
    return round(moved, 3) if abs(moved) > CLOCK else 0.0


@contextmanager
def open_run(folder: Path, command: str = "", *, take_over: bool = False) -> Iterator[Writer]:
    """Claims a new run of the migration in `folder`; call `finish` on it, else it stays an interrupted one.

    take_over: also from a process on another machine, of which nobody can say here whether it still lives.
    Raises BusyError naming the holder; StoreError if the folder cannot be written or the disk is nearly full.
    """
    reports = folder / REPORTS
    lock = FileLock(reports / ".lock", timeout=0)
    try:
        reports.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise BusyError(_busy(folder)) from error
    except (OSError, NotImplementedError) as error:
        raise StoreError(f"No run can start: {cause(error, reports)}") from error
    writer = None
    try:
        _room(reports)
        takeover = _takeover(folder, take_over)
        writer = _claimed(folder, takeover, command)
        yield writer
    finally:
        if writer is not None:
            (writer.folder / CLAIM).unlink(missing_ok=True)
        lock.release()


def _claimed(folder: Path, takeover: TakeOver | None, command: str) -> Writer:
    seq = max((seq_of(path) for path in folders(folder / REPORTS)), default=0) + 1
    run = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{seq:04d}"
    claim = Claim.mine(run)
    place = folder / REPORTS / run
    try:
        place.mkdir()
        write(place / CLAIM, claim.model_dump_json(indent=1))
    except (OSError, StoreError) as error:
        (place / CLAIM).unlink(missing_ok=True)
        why = cause(error, place) if isinstance(error, OSError) else str(error)
        raise StoreError(f"No run can start: {why}") from error
    return Writer(folder, claim, seq, takeover, command)


def _takeover(folder: Path, forced: bool) -> TakeOver | None:
    """The unfinished run before this one, if there is one. Raises BusyError if its writer may still be at work."""
    before = next(iter(runs(folder)), None)
    if before is None or before.state == "done" or before.claim is None:
        return None
    reason = gone(before.claim)
    if not reason and not forced:
        raise BusyError(
            f"Run {before.id} is claimed by {before.claim.holder}, and nothing here shows that it has ended. "
            "If it has, say so: workbench run --take-over"
        )
    shutil.rmtree(before.folder / TMP, ignore_errors=True)
    return TakeOver(claim=before.claim, reason=reason or "taken over on request")


def _busy(folder: Path) -> str:
    claim = next((run.claim for run in runs(folder) if run.claim), None)
    holder = claim.holder if claim else "a process that has just started"
    return f"{folder.resolve().name} is being written by {holder}. Wait for it, or stop it, then run again: it resumes."


def _room(reports: Path) -> None:
    free = shutil.disk_usage(reports).free
    if free < ROOM:
        raise StoreError(
            f"No run can start: {free / 1e6:.0f} MB are free where {reports} lies, {ROOM / 1e6:.0f} MB are needed. "
            "Free some space; stored evidence is untouched."
        )


def _synced(path: Path) -> Sealed:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    return seal_of(path)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_CAUSES: Mapping[int, str] = {
    errno.ENOSPC: "the disk is full. Free some space and run again: it resumes, and what was stored is untouched.",
    errno.EDQUOT: "your disk quota is used up. Free some space and run again: it resumes.",
    errno.EFBIG: "the file is larger than this system allows. Raise the limit (ulimit -f) and run again.",
    errno.EROFS: "the file system is read-only. Copy the migration to a folder you can write to.",
    errno.EACCES: "you may not write there. Ask for write permission, or copy the migration.",
    errno.ENOENT: "the folder is gone. Check that the drive is still mounted.",
    errno.ENOLCK: "this file system has no locks. Copy the migration to a local disk.",
    errno.ENOSYS: "this file system has no locks. Copy the migration to a local disk.",
}


def cause(error: OSError | NotImplementedError, path: Path) -> str:
    """Why a place could not be written, and what to do, in words."""
    code = getattr(error, "errno", None) or errno.ENOSYS
    return f"{path} could not be written: {_CAUSES.get(code, str(error))}"
