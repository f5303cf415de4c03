"""Evidence and runs on disk: written once, read back, verified.

    reports/<run>/claim.json             who writes here, while it is written
    reports/<run>/tmp/<NN_name>/         a notebook at work
    reports/<run>/<NN_name>/             a finished notebook: its files, and seal.json (audit, key, sha256 of each)
    reports/<run>/run.json               size and sha256 of every file, written last: the run happened

State is derived and never stored: a valid run.json is done, else a live claim is running, else it crashed.
What a crashed run had finished is found by `latest` like everything else, so the next run goes on from there.
"""

from __future__ import annotations

from workbench.store.holder import Claim, user
from workbench.store.reading import holds, latest, latest_part, read_evidence, runs, runs_by, verify
from workbench.store.records import (
    EVIDENCE,
    REPORTS,
    RUN,
    BusyError,
    DamagedError,
    Part,
    Record,
    Run,
    Seal,
    Stored,
    StoreError,
    TakeOver,
    TooNewError,
    seal_of,
    sha256,
)
from workbench.store.writing import Writer, cause, open_run, write

__all__ = [
    "EVIDENCE",
    "REPORTS",
    "RUN",
    "BusyError",
    "Claim",
    "DamagedError",
    "Part",
    "Record",
    "Run",
    "Seal",
    "StoreError",
    "Stored",
    "TakeOver",
    "TooNewError",
    "Writer",
    "cause",
    "holds",
    "latest",
    "latest_part",
    "open_run",
    "read_evidence",
    "runs",
    "runs_by",
    "seal_of",
    "sha256",
    "user",
    "verify",
    "write",
]
