"""Where a study lies: a journal in the migration's folder, or a database by URL; and who is at work on it.

The journal's lock is one that the system frees when its holder dies, and a line that a kill cut short is cut off when
the lock is next taken: Optuna's own lock keeps others waiting for half a minute, and a torn line ends its journal.
"""

from __future__ import annotations

import os
import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock  # the type of what it takes has no other name

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

JOURNAL = "journal.jsonl"
INSTALL = "pip install 'migration-workbench[scale]'"


class StudyError(Exception):
    """A study that cannot be opened; the message says what to do."""


class _Held(BaseJournalFileLock):
    """A lock of the file at `path`, as Optuna asks for one, that ends with its holder; taking it mends the file."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, FileLock(f"{path}.lock")

    def acquire(self) -> bool:
        self._lock.acquire()
        mend(self._path)
        return True

    def release(self) -> None:
        self._lock.release()


def mend(path: Path) -> None:
    """Cut off what stands after the last whole line of a journal."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if not size:
            return
        file.seek(size - 1)
        if file.read(1) == b"\n":
            return
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


def open_storage(folder: Path, url: str | None = None) -> BaseStorage:
    """The journal in `folder`, or the database at a URL; `env:NAME` names the variable that holds the URL.

    Raises StudyError for a URL that holds a password, a variable that is not set, a package that is not installed.
    """
    if url is None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / JOURNAL
        path.touch()
        lock = _Held(path)
        lock.acquire()
        lock.release()
        return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))
    return _database(_address(url))


def _address(url: str) -> str:
    if url.startswith("env:"):
        found = os.environ.get(url[4:])
        if not found:
            raise StudyError(f"the storage is in the environment variable {url[4:]}, which is not set: set it")
        return found
    if re.match(r"[\w+]+://[^/@]*:[^/@]+@", url):
        raise StudyError(
            "the storage's URL holds a password, which would be kept in evidence: put the URL into an environment "
            "variable and give storage: env:NAME"
        )
    return url


def _database(url: str) -> BaseStorage:
    try:
        from optuna.storages import RDBStorage
        from sqlalchemy.pool import NullPool

        # A training may last longer than a server, or what lies between, keeps a connection that says nothing.
        return RDBStorage(url, engine_kwargs={"poolclass": NullPool})
    except ImportError as error:
        lacks = getattr(error, "name", None) or "a database driver"
        raise StudyError(f"a study in a database needs {lacks}: {INSTALL}") from None
    except Exception as error:
        kind = url.split(":", 1)[0]
        raise StudyError(
            f"the {kind} database of the study does not open ({type(error).__name__}): check the URL, that the server "
            "answers and that its user may make tables"
        ) from None


class Worker:
    """This process among those at work on a study: alive as long as its lock is held, which its death frees."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "workers"
        self._folder.mkdir(parents=True, exist_ok=True)
        self.name = uuid.uuid4().hex
        self._lock = FileLock(self._folder / f"{self.name}.lock")
        self._lock.acquire()

    def is_alive(self, name: str) -> bool:
        """Whether the worker of that name still works; one that never was does not."""
        path = self._folder / f"{name}.lock"
        if name == self.name:
            return True
        if not path.exists():
            return False
        lock = FileLock(path)
        try:
            with lock.acquire(timeout=0):
                return False
        except Timeout:
            return True

    def end(self) -> None:
        self._lock.release()
        (self._folder / f"{self.name}.lock").unlink(missing_ok=True)
