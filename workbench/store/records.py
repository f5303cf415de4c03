"""What is written beside the evidence, and the names of the files."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import Field

from workbench import __version__
from workbench.evidence import SCHEMA, Evidence, Plain
from workbench.store.holder import Claim

REPORTS = "reports"
EVIDENCE = "evidence.json"
RUN = "run.json"
SEAL = "seal.json"
NOTEBOOK = "notebook.ipynb"
CLAIM = "claim.json"
TMP = "tmp"
ROOM = 200 * 1024**2
"""Bytes that must be free before a run starts."""

CLOCK = 30.0
"""Seconds by which the clock of a run may differ from what was measured before that is said."""

RUN_ID = re.compile(r"^\d{8}T\d{6}Z-(\d{4,})$")
PART = re.compile(r"^\d\d_[a-z0-9_]+$")


class StoreError(Exception):
    """Something a person must know about the store, in sentences."""


class BusyError(StoreError):
    """Another process writes to this migration."""


class DamagedError(StoreError):
    """A stored file is not what was written."""


class TooNewError(StoreError):
    """Written by a newer workbench."""


class Sealed(Plain):
    size: int
    sha256: str


class Seal(Plain):
    """What a finished notebook left. came_from: the earlier run it was taken over from, unchanged."""

    audit: str
    key: str = ""
    notebook: str = ""
    came_from: str = ""
    files: dict[str, Sealed]


class TakeOver(Plain):
    """An earlier run that ended without finishing, and how we know."""

    claim: Claim
    reason: str


class Record(Plain):
    """run.json. seconds: monotonic; seq: order of runs, also when the clock was set back; digest: of all the rest.

    clock_moved: seconds by which the clock was set forward (less than 0: back) while it ran.

    ledger: checkpoint of the ledger when the run ended, "" where it had none: its later tail cannot be cut unseen.
    """

    schema_version: int = SCHEMA
    workbench: str = __version__
    run: str
    seq: int
    command: str = ""
    writer: Claim
    finished: datetime
    seconds: float
    takeover: TakeOver | None = None
    parts: dict[str, str] = Field({}, description="by folder: the run it was taken over from, or empty")
    files: dict[str, Sealed]
    ledger: str = ""
    clock_moved: float = 0.0
    digest: str = ""

    def sealed(self) -> Record:
        return self.model_copy(update={"digest": digest_of(self.model_dump(mode="json"))})


@dataclass(frozen=True)
class Run:
    """A run as found on disk. record is None unless it is done."""

    folder: Path
    state: Literal["done", "running", "crashed"]
    record: Record | None = None
    claim: Claim | None = None
    reason: str = ""

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def parts(self) -> tuple[Path, ...]:
        return tuple(sorted(path for path in self.folder.iterdir() if PART.match(path.name) and path.is_dir()))


@dataclass(frozen=True)
class Part:
    """What one finished notebook left in a run."""

    run: str
    folder: Path
    seal: Seal

    @property
    def origin(self) -> str:
        """The run that made it."""
        return self.seal.came_from or self.run


@dataclass(frozen=True)
class Stored(Part):
    """The same with its evidence."""

    evidence: Evidence


def digest_of(plain: Mapping[str, object]) -> str:
    """Of a record as it stands in its file, so that one of a workbench with fewer fields still holds."""
    rest = {name: value for name, value in plain.items() if name != "digest"}
    return sha256(json.dumps(rest, separators=(",", ":"), ensure_ascii=False).encode())


def folders(reports: Path) -> list[Path]:
    if not reports.is_dir():
        return []
    return [path for path in reports.iterdir() if RUN_ID.match(path.name) and path.is_dir()]


def seq_of(run: Path) -> int:
    match = RUN_ID.match(run.name)
    return int(match[1]) if match else 0


def names(run: Path) -> Iterator[str]:
    return (path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file())


def seal_of(path: Path) -> Sealed:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return Sealed(size=path.stat().st_size, sha256=digest.hexdigest())


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
