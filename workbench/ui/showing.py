"""Commands that read: status, show, explain, report."""

from __future__ import annotations

import json
import tempfile
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from workbench import catalog, ledger, store
from workbench.evidence import Evidence
from workbench.migration import Migration, open_migration
from workbench.runner import REPORT, migration_page
from workbench.ui.journey import Standing, standing
from workbench.ui.say import CliError, emit, out, typed

if TYPE_CHECKING:
    from rich.table import Table as Grid

    from workbench.evidence import Table


def status(folder: Path, *, as_json: bool) -> None:
    now = standing(open_migration(folder), typed(folder))
    emit(plain(now), as_json)
    if not as_json:
        tell(now)
        out()
        out(now.next)


def tell(now: Standing) -> None:
    """The verdict: of the migration, then in one sentence per chapter."""
    from workbench.render.text import SIGNS, defaults
    from workbench.render.words import STATUS

    out(f"{now.migration.name}: {now.sentence}", style="bold")
    if now.verdict.defaults:
        out(defaults(now.verdict.defaults, now.verdict.limits), style="dim")
    out()
    for chapter in now.chapters:
        head = f"{chapter.number or ' '} {chapter.title:<9} {SIGNS[chapter.status]} {STATUS[chapter.status]:<15}"
        style = str(chapter.status) if chapter.places else "dim"
        out(f"{head} {chapter.sentence}", style=style, hang=len(head) + 1)


def plain(now: Standing) -> dict[str, object]:
    return {
        "migration": now.migration.name,
        "status": now.verdict.status,
        "sentence": now.sentence,
        "next": now.next,
        "chapters": [
            {
                "number": chapter.number,
                "title": chapter.title,
                "status": chapter.status,
                "sentence": chapter.sentence,
                "notebooks": [
                    {
                        "notebook": place.entry.stem,
                        "question": place.entry.question,
                        "status": place.status,
                        "sentence": place.sentence,
                        "fresh": place.fresh,
                        "started": place.evidence.started.isoformat() if place.evidence else None,
                    }
                    for place in chapter.places
                ],
            }
            for chapter in now.chapters
        ],
    }


def show(folder: Path, audit: str, *, full: bool, as_json: bool) -> None:
    from workbench import render

    migration = open_migration(folder)
    entry = catalog.entry(named(audit))
    if not entry.module:
        status(folder, as_json=as_json)
        return
    found = store.latest(migration.folder, entry.name)
    if found is None:
        raise CliError(
            f"There is no evidence of {entry.name} yet. Make some: workbench run {typed(folder)} --only {entry.name}"
        )
    if as_json:
        print(found.evidence.to_json())
        return
    for line in render.marked(found.evidence, full=full):
        out(line.text, style=str(line.status or ""))
    if full:
        _tables(found.evidence)
    fresh = found.seal.key == catalog.key(migration, entry.name)
    held = "it still holds" if fresh else "something it depends on has changed since: run it again"
    out()
    out(f"From run {found.origin} of {found.evidence.started:%Y-%m-%d %H:%M} UTC; {held}.", style="dim")


def _tables(evidence: Evidence) -> None:
    """Every table behind the findings, its numbers said as everywhere."""
    from rich.console import Console

    from workbench.evidence import Table

    console = Console(highlight=False)
    for finding in evidence.findings:
        for detail in finding.details:
            if isinstance(detail, Table) and detail.rows:
                console.print(_grid(detail, finding.key))


def _grid(table: Table, title: str) -> Grid:
    from rich.table import Table as Grid
    from rich.text import Text

    from workbench.render import words

    units = table.units or ("",) * len(table.columns)
    grid = Grid(title=Text(words.plain(table.title) or title), title_justify="left")
    for name, unit in zip(table.columns, units, strict=True):
        grid.add_column(Text(words.heading(name, unit)))
    columns = [words.column(cells, unit) for cells, unit in zip(zip(*table.rows, strict=True), units, strict=True)]
    for row in zip(*columns, strict=True):
        grid.add_row(*map(Text, row))
    return grid


def explain(finding: str, *, as_json: bool) -> None:
    if not finding:
        known = catalog.kinds()
        emit({kind.id: kind.title for kind in known.values()}, as_json)
        if not as_json:
            for kind in known.values():
                out(f"{kind.id:<44} {kind.title}", hang=45)
        return
    kind = catalog.find(finding)
    emit(json.loads(kind.model_dump_json()), as_json)
    if as_json:
        return
    out(f"{kind.id}: {kind.title}", style="bold")
    out(f"why     {kind.why}", hang=8)
    out(f"fix     {kind.fix}", hang=8)
    if kind.source:
        out(f"source  {kind.source}", hang=8)
    if kind.limit:
        from workbench.render import words

        out(f"limit   {words.accepted(kind.limit)} by default; set yours under `limits` in migration.yaml", hang=8)
    else:
        out("limit   none by default: it informs, unless migration.yaml sets one")


def report(folder: Path, output: Path | None, *, browser: bool, as_json: bool) -> None:
    migration = open_migration(folder)
    path = output or _held(folder)
    if path is None or output is not None:
        now = standing(migration, typed(folder))
        if not now.evidences:
            raise CliError(f"There is nothing to report yet. Run the journey first: workbench run {typed(folder)}")
        path = output or migration.folder / store.REPORTS / REPORT
        mark = ledger.read(migration.folder)
        page = migration_page(
            migration, now.evidences, _newest(folder), checkpoint=str(mark.checkpoint) if mark.lines else ""
        )
        store.write(path, _printed(page) if path.suffix.casefold() == ".pdf" else page)
    emit({"report": str(path)}, as_json)
    if not as_json:
        out(str(path))
    if browser:
        webbrowser.open(path.resolve().as_uri())


def _printed(page: str) -> bytes:
    from workbench.render import NoPdfError, pdf

    with tempfile.TemporaryDirectory(prefix="workbench-report-") as place:
        file = Path(place) / REPORT
        file.write_text(page, encoding="utf-8")
        try:
            return pdf(file)
        except NoPdfError as error:
            raise CliError(str(error)) from error


def _held(folder: Path) -> Path | None:
    """The report of a finished run, if that run has the newest evidence of everything, as it counts today."""
    migration = open_migration(folder)
    newest = [store.latest(migration.folder, entry.name) for entry in catalog.discover() if entry.module]
    parts = [part for part in newest if part]
    for run in store.runs(migration.folder):
        if run.state == "done" and (run.folder / REPORT).exists() and parts:
            still = all(store.holds(run, part) for part in parts) and _waived_as_then(migration, run)
            return run.folder / REPORT if still else None
    return None


def _waived_as_then(migration: Migration, run: store.Run) -> bool:
    """Whether the waivers that hold today are those that held when the run ended."""
    assert run.record is not None
    entries, then = ledger.read(migration.folder).entries, run.record.finished
    before = ledger.current([entry for entry in entries if entry.at <= then], then.date())
    return before == ledger.current(entries)


def _newest(folder: Path) -> str:
    return next((run.id for run in store.runs(open_migration(folder).folder)), "")


def named(audit: str) -> str:
    """ "bias" of "51_bias" or "51_bias.ipynb"."""
    return audit.removesuffix(".ipynb").lstrip("0123456789").removeprefix("_") or audit
