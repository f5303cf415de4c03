"""What a run tells while it goes on: one event per thing that happened, plain enough for a line of JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from workbench.evidence import Evidence, Status

Happened = Literal["run", "fresh", "start", "cell", "done", "failed", "skipped", "warning", "nothing", "end"]


@dataclass(frozen=True)
class Event:
    """event: run (it starts), fresh (stored evidence still holds), start/cell/done/failed/skipped (of a notebook),
    warning, nothing (all is fresh), end. cell: 1-based among `of` code cells; title: the heading above it.
    """

    event: Happened
    run: str = ""
    notebook: str = ""
    cell: int = 0
    of: int = 0
    title: str = ""
    text: str = ""
    seconds: float = 0.0
    status: str = ""
    path: str = ""

    def to_json(self) -> str:
        return json.dumps({name: value for name, value in asdict(self).items() if value not in ("", 0, 0.0)})


Notify = Callable[[Event], None]


@dataclass(frozen=True)
class Outcome:
    """What came of a run. run: "" where nothing had to be done; report: the migration's page, None if none was made."""

    run: str
    report: Path | None
    evidences: tuple[Evidence, ...]
    fresh: tuple[str, ...] = ()
    ran: tuple[str, ...] = ()
    failed: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def code(self) -> int:
        return 3 if self.failed else exit_code(self.evidences)


def exit_code(evidences: tuple[Evidence, ...]) -> int:
    """0 ready, 1 blocked by findings, 2 an audit as a whole could not assess (or there is none), 3 something broke.

    What broke comes first: an answer that was not finished must not pass for one.
    """
    statuses = [{finding.status for finding in evidence.findings} for evidence in evidences]
    if any(Status.ERROR in found for found in statuses):
        return 3
    if any(Status.FAIL in found for found in statuses):
        return 1
    return 2 if not statuses or any(found <= {Status.ABSENT} for found in statuses) else 0
