"""Who may come in: one-time invitations, and the sessions they become.

Only hashes are kept: whoever reads the file can neither come in nor find out a link. It lies in the migration's
cache folder; losing it only means inviting people again.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

DAY = 86_400.0
INVITATION = 7 * DAY
"""Seconds an invitation waits for its first use."""
SESSION = 30 * DAY
"""Seconds a session lasts at most; UNUSED: without being used."""
NOTED = 60.0
"""Seconds between two notes that a session is used: a write to disk at every click would queue twenty readers up."""
UNUSED = 3 * DAY

_TABLES = """
CREATE TABLE IF NOT EXISTS invitation (hash TEXT PRIMARY KEY, login TEXT NOT NULL, until REAL NOT NULL, used REAL);
CREATE TABLE IF NOT EXISTS secret (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS session (hash TEXT PRIMARY KEY, login TEXT NOT NULL, began REAL NOT NULL, seen REAL NOT NULL,
  ended REAL);
CREATE TABLE IF NOT EXISTS noted (at REAL NOT NULL, login TEXT NOT NULL, what TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Session:
    """login: of the person; began: when they last proved who they are, seconds since 1970."""

    login: str
    began: float


class People:
    """Invitations and sessions of one migration. now: seconds since 1970."""

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        self.path = folder / ".workbench" / "review.db"
        self.now = now
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as database:
            database.executescript(_TABLES)
        self.path.chmod(0o600)

    def invite(self, login: str) -> str:
        """The secret of a link that lets this person in once. Earlier unused links of theirs no longer do."""
        secret = secrets.token_urlsafe(32)
        with self._open() as database:
            database.execute("DELETE FROM invitation WHERE login = ? AND used IS NULL", (login,))
            row = (_hash(secret), login, self.now() + INVITATION)
            database.execute("INSERT INTO invitation (hash, login, until) VALUES (?, ?, ?)", row)
        return secret

    def invited(self, secret: str) -> str:
        """Whom an unused link is for; "" if it is none, was used, or is too old."""
        with self._open() as database:
            row = database.execute(
                "SELECT login FROM invitation WHERE hash = ? AND used IS NULL AND until > ?",
                (_hash(secret), self.now()),
            ).fetchone()
        return str(row[0]) if row else ""

    def enter(self, secret: str) -> str:
        """Uses the link up and gives the secret of a new session; "" where the link lets nobody in (any more)."""
        now, session = self.now(), secrets.token_urlsafe(32)
        with self._open() as database:
            # One statement decides: of two clicks at once, one comes in.
            used = database.execute(
                "UPDATE invitation SET used = ? WHERE hash = ? AND used IS NULL AND until > ? RETURNING login",
                (now, _hash(secret), now),
            ).fetchone()
            if used is None:
                return ""
            row = (_hash(session), used[0], now, now)
            database.execute("INSERT INTO session (hash, login, began, seen) VALUES (?, ?, ?, ?)", row)
        return session

    def session(self, secret: str) -> Session | None:
        """The session this secret belongs to, if it still holds; being asked counts as using it."""
        now, key = self.now(), _hash(secret)
        with self._open() as database:
            row = database.execute(
                "SELECT login, began, seen FROM session WHERE hash = ? AND ended IS NULL AND began > ? AND seen > ?",
                (key, now - SESSION, now - UNUSED),
            ).fetchone()
            if row and now - row[2] > NOTED:
                database.execute("UPDATE session SET seen = ? WHERE hash = ?", (now, key))
        return Session(str(row[0]), float(row[1])) if row else None

    def leave(self, secret: str) -> None:
        with self._open() as database:
            database.execute("UPDATE session SET ended = ? WHERE hash = ?", (self.now(), _hash(secret)))

    def shut_out(self, login: str) -> int:
        """Ends every session and link of a person; how many sessions that were."""
        with self._open() as database:
            database.execute("DELETE FROM invitation WHERE login = ? AND used IS NULL", (login,))
            ended = database.execute(
                "UPDATE session SET ended = ? WHERE login = ? AND ended IS NULL", (self.now(), login)
            )
            return ended.rowcount

    def note(self, login: str, what: str) -> None:
        """Keeps what somebody tried and was refused."""
        with self._open() as database:
            database.execute("INSERT INTO noted VALUES (?, ?, ?)", (self.now(), login, what))

    def noted(self, since: float = 0.0) -> list[tuple[float, str, str]]:
        """(when, who, what) of everything that was refused."""
        with self._open() as database:
            rows = database.execute("SELECT at, login, what FROM noted WHERE at > ? ORDER BY at", (since,)).fetchall()
        return [(float(at), str(login), str(what)) for at, login, what in rows]

    def salt(self) -> bytes:
        """The server's own secret by which sides are shuffled: the same at every start."""
        with self._open() as database:
            database.execute("INSERT OR IGNORE INTO secret VALUES ('salt', ?)", (secrets.token_bytes(32),))
            return bytes(database.execute("SELECT value FROM secret WHERE name = 'salt'").fetchone()[0])

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self.path, timeout=20)
        try:
            with database:
                yield database
        finally:
            database.close()


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class Limiter:
    """At most `times` tries in `seconds`, by who tries."""

    def __init__(self, times: int, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self.times, self.seconds, self.now = times, seconds, now
        self._tries: dict[str, list[float]] = {}

    def allows(self, who: str) -> bool:
        since = self.now() - self.seconds
        tries = [moment for moment in self._tries.get(who, []) if moment > since]
        self._tries[who] = [*tries, self.now()][-self.times - 1 :]
        if len(self._tries) > 10_000:
            self._tries = {name: kept for name, kept in self._tries.items() if kept[-1] > since}
        return len(tries) < self.times
