"""The file `reports/ledger.jsonl`: appended to whole or not at all, each entry signed and tied to the one before."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ValidationError

from workbench import store
from workbench.ledger import keys
from workbench.ledger.entries import LEDGER, START, Actor, Body, Entry, KeyAccepted, Opened
from workbench.ledger.merkle import Checkpoint, checkpoint

FILE = "ledger.jsonl"
MOST = 10_000
"""Numbers that are looked for beyond as many as there are entries."""
PATIENCE = 20.0
"""Seconds to wait for another writer: an entry takes milliseconds."""


class LedgerError(Exception):
    """Something about the ledger a person must know, in sentences."""


@dataclass(frozen=True)
class Ledger:
    """A ledger as read. lines: as they stand in the file; entries: those that can be read, in that order.

    problems: what is wrong with it, one sentence each; empty if every entry follows from the one before, is signed,
    and signed by a key that an earlier entry introduced (or that was given).
    """

    lines: tuple[bytes, ...]
    entries: tuple[Entry, ...]
    problems: tuple[str, ...]

    @property
    def checkpoint(self) -> Checkpoint:
        return checkpoint(self.lines)

    @property
    def keys(self) -> dict[str, str]:
        """Public keys (raw, base64) that may sign, by id."""
        return introduced(self.entries)


def path_of(folder: Path) -> Path:
    return folder / store.REPORTS / FILE


def read(folder: Path, trusted: Sequence[str] = ()) -> Ledger:
    """The migration's ledger; empty where there is none. trusted: see `parsed`. Never blocks, never writes.

    Raises LedgerError if there is one that cannot be read.
    """
    try:
        content = path_of(folder).read_bytes()
    except FileNotFoundError:
        content = b""
    except OSError as error:
        raise LedgerError(f"The ledger {path_of(folder)} could not be read ({error.strerror}).") from error
    return parsed(content, trusted)


def parsed(content: bytes, trusted: Sequence[str] = ()) -> Ledger:
    """trusted: public keys (raw, base64) the reader holds from elsewhere. With them, the key that opened the ledger
    must be one of them: a ledger written anew under another key is then named."""
    lines = content.split(b"\n")
    ends_whole = lines[-1] == b""
    lines = lines[:-1] if ends_whole else lines
    problems = [] if ends_whole else [f"line {len(lines)} is cut off: the file does not end with a whole entry"]
    entries: list[Entry] = []
    for number, line in enumerate(lines, 1):
        try:
            entries.append(_entry(line))
        except ValueError as error:
            problems.append(f"line {number} {error}")
    problems += _order(entries) + _links(entries) + _signatures(entries, trusted)
    return Ledger(tuple(lines), tuple(entries), tuple(problems))


def introduced(entries: tuple[Entry, ...]) -> dict[str, str]:
    """Public keys by id: the one that opened the ledger, and those it accepted since."""
    may = entries[:1] + tuple(entry for entry in entries[1:] if isinstance(entry.body, KeyAccepted))
    found = [entry.body.public for entry in may if isinstance(entry.body, Opened | KeyAccepted)]
    return {keys.key_id(public): public for public in found}


def append(folder: Path, body: Body, actor: Actor, *, migration: str, request: str = "") -> Entry:
    """Signs an entry with your key and writes it, once: the same request twice gives the entry of the first time.

    Raises LedgerError if the ledger is damaged or your key may not sign in it, keys.SigningKeyError, StoreError.
    """
    key = keys.my_key()
    try:
        (folder / store.REPORTS).mkdir(parents=True, exist_ok=True)
        with FileLock(folder / store.REPORTS / ".ledger.lock", timeout=PATIENCE):
            ledger = read(folder)
            if known := _asked_before(ledger.entries, request):
                return known
            _may_sign(ledger, key)
            made = [] if ledger.entries else [_signed((), key, actor, Opened(migration=migration, public=key.public))]
            made.append(_signed((*ledger.entries, *made), key, actor, body, request))
            # The whole file anew, by rename: a reader or a crash never meets half an entry.
            store.write(path_of(folder), b"".join(line + b"\n" for line in (*ledger.lines, *(e.line for e in made))))
            return made[-1]
    except Timeout as error:
        raise LedgerError(
            f"The ledger of {folder.resolve().name} has been held by another process for {PATIENCE:.0f} s. "
            "Nothing was written. Look for a hanging `workbench` process, and try again."
        ) from error
    except (OSError, NotImplementedError) as error:
        raise LedgerError(f"Nothing was entered: {store.cause(error, path_of(folder))}") from error


def _asked_before(entries: Sequence[Entry], request: str) -> Entry | None:
    return next((entry for entry in entries if request and entry.request == request), None)


def _may_sign(ledger: Ledger, key: keys.Key) -> None:
    if ledger.problems:
        raise LedgerError(
            f"The ledger is not as it was written: {ledger.problems[0]}. Nothing may be added to it. "
            "See all that is wrong with `workbench verify`, and restore the file from a copy."
        )
    if ledger.entries and key.id not in ledger.keys:
        raise LedgerError(
            f"Your key {key.id[:12]} may not sign in this ledger yet. Ask someone who may "
            f"({', '.join(sorted(one[:12] for one in ledger.keys))}) to accept it: "
            f"workbench key FOLDER --accept {key.public} --owner NAME"
        )


def _signed(before: Sequence[Entry], key: keys.Key, actor: Actor, body: Body, request: str = "") -> Entry:
    prev = before[-1].sha256 if before else START
    entry = Entry(
        seq=len(before) + 1, prev=prev, at=datetime.now(UTC), actor=actor, request=request, body=body, key=key.id
    )
    return entry.model_copy(update={"signature": key.sign(entry.message)})


def _entry(line: bytes) -> Entry:
    """Raises ValueError that goes on after "line 5"."""
    try:
        plain = json.loads(line)
        if isinstance(plain, dict) and isinstance(plain.get("version"), int) and plain["version"] > LEDGER:
            raise ValueError(f"was written by a newer workbench (ledger version {plain['version']}): install that one")
        entry = Entry.model_validate(plain)
    except ValidationError as error:
        raise ValueError(f"is no ledger entry ({error.errors()[0]['msg']})") from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError("is damaged: it cannot be read") from error
    except UnicodeDecodeError as error:
        raise ValueError("is damaged: it is no text") from error
    if entry.line != line:
        raise ValueError(f"(entry {entry.seq}) was changed: it is not in the form it was written in")
    return entry


def _order(entries: Sequence[Entry]) -> list[str]:
    """Which numbers are missing, double or out of place."""
    numbers = [entry.seq for entry in entries]
    problems = [f"entry {n} stands {numbers.count(n)} times" for n in sorted(set(numbers)) if numbers.count(n) > 1]
    # A number that was made up must not make this count to it.
    last = min(max(numbers, default=0), len(numbers) + MOST)
    if missing := sorted(set(range(1, last + 1)) - set(numbers)):
        problems.append(f"entry {_list(missing)} is missing")
    moved = [later for earlier, later in pairwise(numbers) if later < earlier]
    return problems + [f"entry {n} is out of place" for n in moved]


def _links(entries: Sequence[Entry]) -> list[str]:
    """Where a neighbour by number is there and the chain still does not hold."""
    by_number: Mapping[int, Entry] = {entry.seq: entry for entry in entries}
    problems = []
    for entry in entries:
        before = by_number.get(entry.seq - 1)
        expected = START if entry.seq == 1 else before.sha256 if before else entry.prev
        if entry.prev != expected:
            problems.append(f"entry {entry.seq} does not follow from entry {entry.seq - 1} as that stands now")
    return problems


def _signatures(entries: Sequence[Entry], trusted: Sequence[str]) -> list[str]:
    problems, may = [], {keys.key_id(public): public for public in trusted}
    for position, entry in enumerate(entries):
        body = entry.body
        if isinstance(body, Opened) and position == 0 and not trusted:
            may[keys.key_id(body.public)] = body.public
        public = may.get(entry.key)
        if public is None:
            problems.append(f"entry {entry.seq} is signed by the key {entry.key[:12]}, which nobody accepted")
        elif not keys.holds(public, entry.signature, entry.message):
            problems.append(f"entry {entry.seq}: its signature does not hold")
        elif isinstance(body, KeyAccepted):
            may[keys.key_id(body.public)] = body.public
    return problems


def _list(numbers: Sequence[int]) -> str:
    shown = [str(n) for n in numbers[:10]]
    return ", ".join(shown) + (f" and {len(numbers) - 10} more" if len(numbers) > 10 else "")
