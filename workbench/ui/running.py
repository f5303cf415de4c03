"""The command `run`: what is asked for, its progress, and the verdict at the end."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench import catalog, runner, store
from workbench.migration import open_migration
from workbench.runner import Event, Notify, Outcome, PlanError
from workbench.ui import emitting
from workbench.ui.journey import standing
from workbench.ui.say import CliError, StoppedError, emit, out, typed, value_of
from workbench.ui.showing import named, plain, tell
from workbench.ui.tracking import after

PROGRESS = ("auto", "live", "plain", "json", "none")


@dataclass(frozen=True)
class Wanted:
    """The options of a run, as typed."""

    only: tuple[str, ...] = ()
    start: str = ""
    params: tuple[str, ...] = ()
    jobs: int | None = None
    force: bool = False
    timeout: float = 3600.0
    take_over: bool = False
    where: str = "local"
    address: str = ""
    junit: Path | None = None

    def arguments(self) -> dict[str, Any]:
        return {
            "only": tuple(named(name) for name in self.only),
            "start": named(self.start) if self.start else "",
            "params": parsed(self.params),
        }


def parsed(given: tuple[str, ...]) -> dict[str, dict[str, object]]:
    """`bias.min_group=30` as {"bias": {"min_group": 30}}; a value is JSON where it is JSON, else text.

    Raises PlanError for anything that is not `audit.parameter=value`.
    """
    found: dict[str, dict[str, object]] = {}
    for text in given:
        name, equals, value = text.partition("=")
        audit, dot, parameter = name.partition(".")
        if not (equals and dot):
            raise PlanError(f"{text[:80]!r} is not a parameter: write AUDIT.PARAMETER=VALUE, e.g. bias.min_group=30")
        found.setdefault(named(audit), {})[parameter] = value_of(value)
    for audit, values in found.items():
        runner.refuse_odd_names(audit, values)
    return found


def dry(folder: Path, wanted: Wanted, as_json: bool) -> int:
    """Says what would run and what is fresh."""
    migration = open_migration(folder)
    steps = runner.plan(migration, **wanted.arguments())
    held = {step.part: None if wanted.force else runner.fresh(migration, step) for step in steps}
    emit(
        [
            {"notebook": part, "fresh": bool(found), "run": found.origin if found else None}
            for part, found in held.items()
        ],
        as_json,
    )
    if not as_json:
        for part, found in held.items():
            out(f"{part:<20} " + (f"= fresh, of run {found.origin}" if found else "> would run"))
    return 0


def run(folder: Path, wanted: Wanted, progress: str, as_json: bool) -> int:
    """Runs, tells how it goes, and ends with the verdict."""
    if progress not in PROGRESS:
        raise CliError(f"--progress {progress!r} is not known: use one of {', '.join(PROGRESS)}")
    migration = open_migration(folder)
    signal.signal(signal.SIGTERM, _interrupt)
    options = {name: getattr(wanted, name) for name in ("jobs", "force", "timeout", "take_over", "where", "address")}
    try:
        with _display(progress, as_json) as notify:
            outcome = runner.run(migration, notify=notify, **options, **wanted.arguments())
    except KeyboardInterrupt:
        raise StoppedError("Stopped. What was finished is kept: run again and it goes on from there.") from None
    if wanted.junit:
        emitting.junit(wanted.junit, migration, outcome.evidences)
    now = standing(migration, typed(folder))
    if as_json:
        emit(_told(outcome) | {"standing": plain(now)}, True)
    elif progress != "json":
        out()
        tell(now)
        _where(folder, outcome)
    after(migration)
    return outcome.code


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _told(outcome: Outcome) -> dict[str, object]:
    return {
        "run": outcome.run,
        "code": outcome.code,
        "report": outcome.report,
        "fresh": outcome.fresh,
        "ran": outcome.ran,
        "failed": outcome.failed,
        "skipped": outcome.skipped,
        "seconds": round(outcome.seconds, 3),
    }


def _where(folder: Path, outcome: Outcome) -> None:
    out()
    if outcome.report:
        out(f"Report    {outcome.report}")
    place = outcome.report.parent if outcome.report else folder / store.REPORTS
    out(f"Executed  {place}/*/notebook.ipynb")
    blocked = [
        finding.id for evidence in outcome.evidences for finding in evidence.findings if finding.status == "fail"
    ]
    if blocked:
        out(f"Explain   workbench explain {blocked[0]}")
    copied = (folder / "notebooks" / "00_journey.ipynb").exists()
    first = "" if copied else f"workbench notebooks {typed(folder)}; "
    out(f"By hand   {first}jupyter lab {typed(folder)}   then open notebooks/00_journey.ipynb")
    out(f"Reviewers workbench review {typed(folder)}   serves it as pages and dashboards to people who do not program")


def _display(progress: str, as_json: bool) -> AbstractContextManager[Notify]:
    if progress == "auto":
        progress = "none" if as_json else "live" if sys.stdout.isatty() else "plain"
    if progress == "live":
        from workbench.ui.progress import Live

        return Live({entry.stem: entry.question for entry in catalog.discover()})
    tellers: Mapping[str, Notify] = {"json": _json_line, "plain": _plain_line, "none": lambda event: None}
    return nullcontext(tellers[progress])


def _json_line(event: Event) -> None:
    print(event.to_json(), flush=True)


def _plain_line(event: Event) -> None:
    """One line per thing that matters; cells are left to the live display and to JSON."""
    from workbench.ui.progress import sentence

    if text := sentence(event):
        print(text, flush=True)
