"""How far a job is: its notebooks, its time, and what it may still take, from how long each took before."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench import catalog
from workbench.render import words
from workbench.ui.server import jobs
from workbench.ui.server.events import Told
from workbench.ui.server.jobs import Job
from workbench.ui.server.problems import Scrub

Plain = dict[str, Any]
SETTLED = ("fresh", "done", "failed", "skipped")
FINISHED = (0, 1, 2)
KEPT = "What was finished is kept: run again and it goes on from there."
CUT_OFF = f"Its process ended without a word. {KEPT}"


def durations(folder: Path) -> dict[str, float]:
    """Seconds that each notebook took when it last ran to its end in a job."""
    found: dict[str, float] = {}
    for job in jobs.every(folder):
        took = {told["notebook"]: told["seconds"] for told in job.told if told["event"] == "done" and "seconds" in told}
        found = took | found
    return found


def plain(job: Job, identity: str, scrub: Scrub, took: Mapping[str, float], fresh: Collection[str]) -> Plain:
    """A job as the API tells it. took: seconds by notebook, of earlier runs; fresh: notebooks that would not run."""
    lives = job.lives
    end = None if lives else _end(job)
    until = end or datetime.now(UTC)
    notebooks = _notebooks(job, took, until, scrub)
    state = _state(job, lives)
    return {
        "job": job.id,
        "migration": identity,
        "run": job.run or next((told.get("run") for told in job.told if told["event"] == "nothing"), None),
        "state": state,
        "started": job.launched.claim.since.isoformat(),
        "ended": end.isoformat() if end else None,
        "elapsed": elapsed(job, until),
        "left": left(job, took, fresh) if lives else None,
        "only": list(job.launched.asked.only),
        "force": job.launched.asked.force,
        "done": sum(one["state"] in SETTLED for one in notebooks),
        "of": next((told.get("of", 0) for told in job.told if told["event"] == "run"), len(notebooks)),
        "notebooks": notebooks,
        "code": _code(job),
        "sentence": _sentence(job, state, notebooks, scrub),
        "events": job.told[-1]["n"] if job.told else 0,
    }


def event(told: Told, job: Job, remaining: float | None, scrub: Scrub) -> Plain:
    """One event as the API tells it: without paths of this machine, with the time since the job began."""
    kept = {name: value for name, value in told.items() if name != "path"}
    texts = {name: scrub(kept[name]) for name in ("text", "title") if name in kept}
    return kept | texts | {"elapsed": elapsed(job, moment(told)), "left": remaining}


def moment(told: Told) -> datetime:
    return datetime.fromisoformat(told["at"])


def elapsed(job: Job, until: datetime) -> float:
    return max(0.0, round((until - job.launched.claim.since).total_seconds(), 1))


def left(job: Job, took: Mapping[str, float], fresh: Collection[str]) -> float | None:
    """Seconds until its end, were everything to take as long as before; None where something never ran.

    Several run at a time, those that measure time alone: at least as long as the longest, at least their share.
    """
    now = datetime.now(UTC)
    seen = {one["notebook"]: one for one in _notebooks(job, took, now, Scrub(()))}
    rest: dict[str, float] = {}
    for entry in _entries(job.launched.asked):
        at = seen.get(entry.stem)
        if (at and at["state"] in SETTLED) or (entry.stem in fresh and not job.launched.asked.force and not at):
            continue
        known = took.get(entry.stem, 0.0 if entry.kind == "overview" else None)
        if known is None:
            return None
        rest[entry.stem] = max(0.0, known - (at["elapsed"] if at else 0.0))
    return round(_together(rest, job.launched.asked.jobs), 1)


def _together(rest: Mapping[str, float], places: int) -> float:
    alone = {entry.stem for entry in catalog.discover() if entry.module and getattr(entry.load(), "ALONE", False)}
    beside = [seconds for name, seconds in rest.items() if name not in alone]
    by_itself = sum(seconds for name, seconds in rest.items() if name in alone)
    return by_itself + max(max(beside, default=0.0), sum(beside) / places)


def _entries(asked: jobs.Start) -> list[catalog.Entry]:
    every = list(catalog.discover())
    if asked.only:
        return [entry for entry in every if {entry.name, entry.stem} & set(asked.only)]
    names = [entry for entry in every if asked.start in (entry.name, entry.stem)]
    return every[every.index(names[0]) :] if names else every


def _notebooks(job: Job, took: Mapping[str, float], now: datetime, scrub: Scrub) -> list[Plain]:
    """One entry per notebook the job has told of, in the order in which it did."""
    found: dict[str, list[Told]] = {}
    for told in job.told:
        if told.get("notebook") and told["event"] in ("start", "cell", *SETTLED):
            found.setdefault(told["notebook"], []).append(told)
    return [_notebook(name, heard, took.get(name), now, scrub) for name, heard in found.items()]


def _notebook(name: str, heard: list[Told], expected: float | None, now: datetime, scrub: Scrub) -> Plain:
    last, cell = heard[-1], _cell(heard)
    settled = last["event"] in SETTLED
    seconds = last.get("seconds", 0.0) if settled else (now - moment(heard[0])).total_seconds()
    return {
        "notebook": name,
        "state": last["event"] if settled else "running",
        "cell": cell.get("cell", 0),
        "of": cell.get("of", 0),
        "title": scrub(cell.get("title", "")),
        "elapsed": max(0.0, round(seconds, 1)),
        "expected": expected,
        "status": last.get("status") or None,
        "sentence": scrub(_told_of(last)),
    }


def _cell(heard: Iterable[Told]) -> Told:
    return next((told for told in reversed(list(heard)) if told["event"] == "cell"), {})


def _told_of(last: Told) -> str:
    text = str(last.get("text", ""))
    return f"fresh, of run {text}" if last["event"] == "fresh" else text


def _end(job: Job) -> datetime:
    """When it ended; one that was cut off, when it was last heard of."""
    return moment(job.told[-1]) if job.told else job.launched.claim.since


def _code(job: Job) -> int | None:
    """As a shell says it: a signal is 128 and its number."""
    if job.ended is None:
        return None
    code = int(job.ended["code"])
    return 128 - code if code < 0 else code


def _state(job: Job, lives: bool) -> str:
    if lives:
        return "stopping" if job.is_stopping else "running" if job.run else "starting"
    code = _code(job)
    if code in FINISHED or any(told["event"] == "end" for told in job.told):
        return "done"
    return "stopped" if code == jobs.INTERRUPTED or job.is_stopping else "failed"


def _sentence(job: Job, state: str, notebooks: Iterable[Plain], scrub: Scrub) -> str:
    """Where it is, or how it ended."""
    if state in ("starting", "stopping"):
        return {"starting": "Starting.", "stopping": "Stopping; what is finished is kept."}[state]
    if state == "running":
        at = next((one for one in reversed(list(notebooks)) if one["state"] == "running"), None)
        return f"{at['notebook']}: cell {at['cell']} of {at['of']}, {at['title']}" if at and at["cell"] else "Running."
    if state == "done":
        return _done(job, list(notebooks))
    said = scrub(str(job.ended.get("text", ""))) if job.ended else ""
    return said or (f"Stopped. {KEPT}" if state == "stopped" else CUT_OFF)


def _done(job: Job, notebooks: list[Plain]) -> str:
    if any(told["event"] == "nothing" for told in job.told):
        return "Nothing to do: everything is fresh."
    ran = [one for one in notebooks if one["state"] in ("done", "failed")]
    broke = [one["notebook"] for one in notebooks if one["state"] == "failed"]
    took = words.duration(elapsed(job, _end(job)))
    return f"{words.count(len(ran), 'notebook')} ran in {took}" + (f"; broke: {', '.join(broke)}." if broke else ".")
