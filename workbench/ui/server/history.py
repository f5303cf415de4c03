"""Runs, evidence and findings as they are stored, and what changed from one run to another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from workbench import catalog, ledger, store
from workbench.evidence import ORDER, Evidence, Finding, Status
from workbench.migration import open_migration
from workbench.render import words
from workbench.runner import REPORT
from workbench.store.records import NOTEBOOK, SEAL
from workbench.ui.server import layout
from workbench.ui.server.desk import Desk
from workbench.ui.server.listing import known, when, worst
from workbench.ui.server.problems import ApiError
from workbench.ui.server.rooted import shown

Plain = dict[str, Any]


def runs(desk: Desk, folder: Path) -> Plain:
    return {"runs": [_run(desk, run) for run in known(desk, folder).runs]}


def run(desk: Desk, folder: Path, identity: str) -> Plain:
    """One run, and what each of its notebooks found."""
    this = _of(desk, folder, identity)
    held, problems = _held(desk, this)
    status = worst(list(held.values()))
    origins = this.record.parts if this.record else {}
    parts = [_part(desk, path, held.get(_audit(path)), origins.get(path.name, "")) for path in this.parts]
    return _run(desk, this) | status | {"notebooks": parts, "problems": problems}


def evidence(desk: Desk, folder: Path, audit: str, run: str | None) -> Plain:
    """The evidence of one audit with its findings in words."""
    stored, origin = _evidence(desk, folder, audit, run)
    found = stored if run else ledger.applied(stored, _waivers(folder))
    told = found.verdict
    return {
        "evidence": json.loads(stored.to_json()),
        "status": told.status,
        "sentence": told.sentence,
        "brief": words.brief(told),
        "counts": told.counts,
        "run": origin,
        "fresh": _is_fresh(desk, folder, found),
        "groups": layout.groups(found),
    }


def findings(desk: Desk, folder: Path, run: str | None, chosen: Mapping[str, str]) -> Plain:
    """Findings over all audits, worst first. chosen: audit, status (comma-separated) and text, where given."""
    held, problems = _newest(desk, folder) if run is None else _held(desk, _of(desk, folder, run))
    every = [(audit, found, finding) for audit, found in held.items() for finding in found.findings]
    every.sort(key=lambda one: ORDER.index(one[2].status))
    wanted = [one for one in every if _matches(one[0], one[2], chosen)]
    waived = {} if run else _waived(folder)
    rows = [
        {
            "audit": audit,
            "run": run or _origin(desk, folder, audit),
            "key": finding.key,
            "status": finding.status,
            "row": layout.row(finding, audit),
            "waived": waived.get(finding.key),
        }
        for audit, found, finding in wanted
    ]
    return {"findings": rows, "shown": len(rows), "of": len(every), "problems": problems}


def compare(desk: Desk, folder: Path, before: str, after: str) -> Plain:
    """Finding by finding; worsened first, then new, gone, changed, better."""
    (old, lost), (new, missing) = (_held(desk, _of(desk, folder, run)) for run in (before, after))
    was, now = _by_key(old), _by_key(new)
    changes = [
        {"audit": audit, "key": key, "title": (one or other).title, "moved": moved,  # type: ignore[union-attr]
         "before": _laid(audit, one), "after": _laid(audit, other)}
        for audit, key in dict.fromkeys([*now, *was])
        if (moved := _moved(one := was.get((audit, key)), other := now.get((audit, key))))
    ]  # fmt: skip
    changes.sort(key=lambda change: _MOVED.index(str(change["moved"])))
    same = len(was.keys() | now.keys()) - len(changes)
    return {"before": before, "after": after, "changes": changes, "same": same, "problems": [*lost, *missing]}


def report(desk: Desk, folder: Path, run: str | None, audit: str | None) -> str:
    """The page of the migration, or of one audit, as it was drawn with the run. Raises ApiError where there is none."""
    runs = [_of(desk, folder, run)] if run else known(desk, folder).runs
    found = next((page for one in runs if (page := _page(one, audit))), None)
    if found is None:
        raise ApiError(404, "There is no report yet.", do="Run the migration first; the report comes with it.")
    path, sealed = found
    _untouched(desk.root.checked(path), sealed)
    return path.read_text(encoding="utf-8")


def _page(run: store.Run, audit: str | None) -> tuple[Path, Mapping[str, Any]] | None:
    """The page of a finished run, or of one finished notebook of any, and the seals it stands under."""
    if audit is None:
        there = run.record and (run.folder / REPORT).is_file()
        return (run.folder / REPORT, run.record.files) if there and run.record else None
    part = next((path for path in run.parts if _audit(path) == audit and (path / REPORT).is_file()), None)
    return (part / REPORT, _sealed(part).files) if part else None


_MOVED = ("worse", "new", "gone", "changed", "better")
_RANK = {status: rank for rank, status in enumerate(ORDER)} | {Status.INFO: ORDER.index(Status.PASS)}


def _moved(before: Finding | None, after: Finding | None) -> str:
    """ "" for what is as it was: the same status and the same numbers."""
    if before is None or after is None:
        return "new" if before is None else "gone"
    if _RANK[before.status] != _RANK[after.status]:
        return "worse" if _RANK[after.status] < _RANK[before.status] else "better"
    return "" if _short(before) == _short(after) else "changed"


def _short(finding: Finding | None) -> Plain | None:
    return json.loads(finding.model_dump_json(exclude={"details"})) if finding else None


def _is_fresh(desk: Desk, folder: Path, found: Evidence) -> bool:
    # One thread at a time hashes the files of a migration, and the others find what it kept.
    with desk.memory(folder).lock:
        return found.key != "" and found.key == catalog.key(open_migration(folder), found.audit)


def _laid(audit: str, finding: Finding | None) -> Plain | None:
    return layout.row(finding, audit) if finding else None


def _by_key(held: Mapping[str, Evidence]) -> dict[tuple[str, str], Finding]:
    return {(audit, finding.key): finding for audit, found in held.items() for finding in found.findings}


def _matches(audit: str, finding: Finding, chosen: Mapping[str, str]) -> bool:
    if chosen.get("audit", audit) != audit:
        return False
    if "status" in chosen and finding.status not in chosen["status"].split(","):
        return False
    said = " ".join((finding.key, finding.title, finding.reason, finding.why, finding.fix)).casefold()
    return chosen.get("text", "").casefold() in said


def _of(desk: Desk, folder: Path, identity: str) -> store.Run:
    found = next((run for run in known(desk, folder).runs if run.id == identity), None)
    if found is None:
        raise ApiError(404, "There is no such run.", shown(identity), "Refresh the history: it may have been deleted.")
    return found


def _run(desk: Desk, run: store.Run) -> Plain:
    record = run.record
    began = datetime.strptime(run.id.split("-")[0], "%Y%m%dT%H%M%S%z")
    return {
        "run": run.id,
        "state": run.state,
        "started": began.isoformat(),
        "finished": record.finished.isoformat() if record else None,
        "seconds": record.seconds if record else None,
        "reason": desk.root.scrub(run.reason),
        "parts": [path.name for path in run.parts],
        "command": record.command if record else "",
        "report": (run.folder / REPORT).is_file(),
    }


def _part(desk: Desk, path: Path, found: Evidence | None, origin: str) -> Plain:
    book = path / NOTEBOOK
    told = found.verdict if found else None
    return {
        "notebook": path.name,
        "audit": _audit(path),
        "status": told.status if told else Status.INFO,
        "sentence": told.sentence if told else "It shows the others' evidence and has none itself.",
        "started": when(found),
        "seconds": found.seconds if found else None,
        "came_from": origin,
        "executed": desk.root.relative(book) if book.is_file() else None,
    }


def _audit(part: Path) -> str:
    """ "bias" of "51_bias"."""
    return part.name[3:]


def _held(desk: Desk, run: store.Run) -> tuple[dict[str, Evidence], list[str]]:
    """Evidence by audit, and what could not be read."""
    held, problems = {}, []
    for part in run.parts:
        if not (part / store.EVIDENCE).exists():
            continue
        try:
            held[_audit(part)] = _read(part)
        except store.StoreError as error:
            problems.append(desk.root.scrub(str(error)))
    return held, problems


def _read(part: Path) -> Evidence:
    """Evidence of one notebook of a run, as it was written. Raises StoreError."""
    _untouched(part / store.EVIDENCE, _sealed(part).files)
    return store.read_evidence(part / store.EVIDENCE)


def _sealed(part: Path) -> store.Seal:
    try:
        return store.Seal.model_validate_json((part / SEAL).read_bytes())
    except (OSError, ValueError):
        raise store.DamagedError(f"{part.parent.name}/{part.name}/{SEAL} is missing or damaged.") from None


def _untouched(path: Path, sealed: Mapping[str, Any]) -> None:
    """Raises DamagedError if the file is not what was sealed with its run."""
    if sealed.get(path.name) != store.seal_of(path):
        where = f"{path.parent.parent.name}/{path.parent.name}/{path.name}"
        raise store.DamagedError(f"{where} was changed after it was written. Run the audit again with --force.")


def _newest(desk: Desk, folder: Path) -> tuple[dict[str, Evidence], list[str]]:
    now = known(desk, folder).now
    places = now.places if now else ()
    held = {place.entry.name: place.evidence for place in places if place.evidence}
    return held, [desk.root.scrub(place.problem) for place in places if place.problem]


def _waivers(folder: Path) -> list[ledger.Entry]:
    """Those that hold today."""
    return list(ledger.current(ledger.read(folder).entries))


def _waived(folder: Path) -> dict[str, str]:
    """The last day of each waiver, by the key of its finding."""
    bodies = [entry.body for entry in _waivers(folder)]
    return {body.finding: body.until.isoformat() for body in bodies if isinstance(body, ledger.Waived)}


def _origin(desk: Desk, folder: Path, audit: str) -> str:
    return known(desk, folder).found[audit].run


def _evidence(desk: Desk, folder: Path, audit: str, run: str | None) -> tuple[Evidence, str]:
    if run is None:
        stored = store.latest(folder, audit)
        if stored:
            return stored.evidence, stored.run
    else:
        part = next((path for path in _of(desk, folder, run).parts if _audit(path) == audit), None)
        if part and (part / store.EVIDENCE).exists():
            return _read(part), run
    raise ApiError(404, "There is no evidence of this yet.", shown(audit), "Run it first.")
