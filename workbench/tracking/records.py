"""What is recorded, as plain data: a record is a run of MLflow's, made from files, the same whenever it is made."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from workbench import __version__, ledger, store
from workbench.disclosure import protected
from workbench.evidence import Evidence, Measure, Status
from workbench.migration import Migration

REPORT = "report.html"
LONGEST_KEY = 250
LONGEST_VALUE = 6000
"""Signs of a parameter's value; MLflow takes no more."""
_ODD = re.compile(r"[^\w.\- :/]")


@dataclass(frozen=True)
class Point:
    """A metric's value at a step. after: seconds since the record began."""

    name: str
    value: float
    step: int = 0
    after: float = 0.0


@dataclass(frozen=True)
class Record:
    """A run of MLflow's to be. identity: by which it is found again; children: runs below it.

    files: to keep as artifacts, by the folder they go to ("" is the run's own); texts: the same, by name, of what is
    on no disk; digest: of what it is made from, where that is not the whole of what is above it.
    """

    identity: str
    name: str
    kind: str
    began: datetime
    ended: datetime
    failed: bool = False
    params: Mapping[str, object] = field(default_factory=dict)
    points: tuple[Point, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    digest: str = ""
    children: tuple[Record, ...] = ()


@dataclass(frozen=True)
class Planned:
    """A record that is only made where it is not known yet. digest: changes when what it is made from does."""

    identity: str
    digest: str
    make: Callable[[], Record]


def journeys(migration: Migration) -> Iterator[Planned]:
    """Finished runs of the journey, oldest first."""
    for run in reversed(store.runs(migration.folder)):
        if run.record:
            yield Planned(f"run/{run.record.digest}", run.record.digest, lambda run=run: _journey(migration, run))  # type: ignore[misc]


def _journey(migration: Migration, run: store.Run) -> Record:
    assert run.record
    record = run.record
    parts = {part.name: _evidence(part) for part in run.parts}
    evidences = [evidence for evidence in parts.values() if evidence]
    statuses = [finding.status for evidence in evidences for finding in evidence.findings]
    own = [name for name, origin in record.parts.items() if not _told_before(migration, run, name, origin)]
    began = record.finished - timedelta(seconds=record.seconds)
    lineage = _lineage(migration, run)
    return Record(
        f"run/{record.digest}",
        f"journey {run.id}",
        "journey",
        began,
        record.finished,
        failed=Status.ERROR in statuses,
        params={"command": record.command, "workbench": record.workbench, "notebooks": len(parts)},
        points=(
            Point("seconds", record.seconds),
            *(Point(f"findings/{status}", float(statuses.count(status))) for status in Status),
        ),
        tags=lineage
        | {"workbench.made": " ".join(own)}
        | {f"workbench.from.{name}": origin for name, origin in record.parts.items() if origin and name not in own}
        | ({"workbench.taken_over": record.takeover.reason} if record.takeover else {}),
        files={"": tuple(path for path in (run.folder / store.RUN, run.folder / REPORT) if path.exists())},
        children=tuple(
            _notebook(run, run.folder / name, evidence, lineage, migration.privacy.minimum_cell)
            for name, evidence in parts.items()
            if evidence and name in own
        ),
    )


def _evidence(part: Path) -> Evidence | None:
    path = part / store.EVIDENCE
    return store.read_evidence(path) if path.exists() else None


def _told_before(migration: Migration, run: store.Run, part: str, origin: str) -> bool:
    """Whether an earlier finished run holds the same part: it made it, or took it over from one that never ended."""
    assert run.record
    earlier = [other.record for other in store.runs(migration.folder) if other.record]
    return bool(origin) and any(origin in (one.run, one.parts.get(part)) for one in earlier if one.seq < run.record.seq)


def _notebook(run: store.Run, part: Path, evidence: Evidence, lineage: Mapping[str, str], cell: int) -> Record:
    """cell: the smallest count of rows that leaves the migration; the digests are of the evidence as it is stored."""
    assert run.record
    files = tuple(path for path in (part / store.EVIDENCE, part / REPORT) if path.exists())
    told = protected(evidence, cell)
    kept = files if told is evidence else tuple(path for path in files if path.name != store.EVIDENCE)
    sealed = {f"workbench.sha256.{path.name}": run.record.files[f"{part.name}/{path.name}"].sha256 for path in files}
    subjects = {f"workbench.sha256.{name}": digest for name, digest in evidence.subjects.items()}
    verdict = evidence.verdict
    return Record(
        f"run/{run.record.digest}/{part.name}",
        part.name,
        "notebook",
        evidence.started,
        evidence.started + timedelta(seconds=evidence.seconds),
        failed=verdict.status is Status.ERROR,
        params=evidence.params,
        points=(Point("seconds", evidence.seconds), *_points(told)),
        tags=dict(lineage)
        | sealed
        | subjects
        | {"workbench.audit": evidence.audit, "workbench.question": evidence.question}
        | {"workbench.verdict": str(verdict.status), "workbench.sentence": verdict.sentence}
        | {"workbench.key": evidence.key}
        | ({} if told is evidence else {"workbench.withheld": f"counts of fewer than {cell} rows"})
        | {f"workbench.environment.{name}": version for name, version in evidence.environment.items()},
        files={"": kept},
        texts={} if told is evidence else {store.EVIDENCE: told.to_json()},
    )


def _points(evidence: Evidence) -> Iterator[Point]:
    """Every measure of every finding, with the ends of its interval; what is no number is in the evidence only."""
    for finding in evidence.findings:
        for side in ("legacy", "candidate", "change"):
            measure: Measure | None = getattr(finding, side)
            if measure is None:
                continue
            name = "/".join(filter(None, [finding.id, _step(finding.subject), side]))
            ends = {name: measure.value, f"{name}.low": measure.low, f"{name}.high": measure.high}
            yield from (Point(one, value) for one, value in ends.items() if value is not None and math.isfinite(value))


def _step(subject: str) -> str:
    """A subject as one step of a metric's name, another one for each."""
    plain = _ODD.sub("_", subject).replace("/", "_")
    return plain if plain == subject else f"{plain[:80]}-{hashlib.sha256(subject.encode()).hexdigest()[:8]}"


def _lineage(migration: Migration, run: store.Run) -> dict[str, str]:
    """What ties a record to the evidence: run, checkpoint of the ledger, and the entry that signed it."""
    assert run.record
    entries = ledger.read(migration.folder).entries
    entry = next((e for e in entries if isinstance(e.body, ledger.RunFinished) and e.body.run == run.id), None)
    return {
        "workbench.run": run.id,
        "workbench.run.digest": run.record.digest,
        "workbench.version": __version__,
        "workbench.ledger": run.record.ledger,
        "mlflow.user": run.record.writer.user,
        "mlflow.source.name": run.record.command,
    } | ({"workbench.ledger.entry": str(entry.seq), "workbench.ledger.sha256": entry.sha256} if entry else {})


def key_of(name: str) -> str:
    """A name that MLflow takes, and one for each: what had to be changed gets a short digest of what it was."""
    plain = "/".join(part for part in _ODD.sub("_", name).split("/") if part.strip(". "))
    if plain == name and 0 < len(name) <= LONGEST_KEY:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{plain[: LONGEST_KEY - 9]}-{digest}" if plain else digest


def value_of(value: object) -> str:
    """A parameter's value as text: JSON, save for text itself; the end of one that is too long is left out."""
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"
