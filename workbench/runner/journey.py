"""A run of the journey: what is fresh is carried over, the rest is executed, and every end is written down."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench import catalog, ledger, store
from workbench.catalog.discovery import crashed, unassessed
from workbench.catalog.freshness import code, code_on_disk
from workbench.evidence import Evidence, Finding, Status
from workbench.migration import Migration, MigrationError, open_migration
from workbench.runner.engine import LOCAL, Engine, Make, Work, engine
from workbench.runner.events import Event, Notify, Outcome
from workbench.runner.plan import Step, plan
from workbench.runner.report import migration_page, notebook_page

REPORT = "report.html"
TIMEOUT = 3600.0
NOT_HERE = "not run in this run, and no earlier evidence of it still holds"


def run(
    migration: Migration,
    *,
    only: Sequence[str] = (),
    start: str = "",
    params: Mapping[str, Mapping[str, object]] | None = None,
    jobs: int | None = None,
    force: bool = False,
    timeout: float = TIMEOUT,
    take_over: bool = False,
    where: str = LOCAL,
    address: str = "",
    notify: Notify = lambda event: None,
) -> Outcome:
    """Runs the notebooks of a migration headless; `only`, `start` and `params` as in `plan`.

    jobs: notebooks at a time; force: also what is fresh; timeout: seconds a notebook may take; take_over: see
    `store.open_run`; where, address: see `engine`.
    Raises CatalogError, PlanError or StoreError before anything is started, KeyboardInterrupt when interrupted:
    then what was finished is kept and taken over by the next run.
    """
    steps = plan(migration, only, start, params)
    if not force and (done := _done_already(migration, [fresh(migration, step) for step in steps], notify)):
        return done
    with (
        engine(where, migration, jobs, timeout, address) as make,
        store.open_run(migration.folder, "workbench run", take_over=take_over) as writer,
    ):
        return _Journey(migration, steps, writer, force, notify).go(make)


def fresh(migration: Migration, step: Step) -> store.Part | None:
    """What this very notebook left and still holds, with its evidence if it makes any; None if it must run."""
    if step.entry.kind == "mover" and catalog.candidate_source(migration) is None:
        return None
    latest = store.latest if step.entry.module else store.latest_part
    stored = latest(migration.folder, step.name, _key(migration, step))
    return stored if stored and stored.seal.notebook == step.source else None


def _key(migration: Migration, step: Step) -> str:
    return catalog.key(migration, step.name, step.params)


def _done_already(migration: Migration, parts: Sequence[store.Part | None], notify: Notify) -> Outcome | None:
    """What is there, if every part still holds and one finished run with its report has them all."""
    whole = [part for part in parts if part]
    if len(whole) < len(parts):
        return None
    found = (run for run in store.runs(migration.folder) if run.state == "done" and (run.folder / REPORT).exists())
    last = next((run for run in found if all(store.holds(run, part) for part in whole)), None)
    if last is None:
        return None
    for part in whole:
        notify(Event("fresh", notebook=part.folder.name, text=part.origin))
    notify(Event("nothing", run=last.id, path=str(last.folder / REPORT)))
    waivers = ledger.current(ledger.read(migration.folder).entries)
    evidences = tuple(ledger.applied(part.evidence, waivers) for part in whole if isinstance(part, store.Stored))
    return Outcome("", last.folder / REPORT, evidences, fresh=tuple(part.seal.audit for part in whole))


class _Journey:
    """The state of one run."""

    def __init__(
        self, migration: Migration, steps: Sequence[Step], writer: store.Writer, force: bool, notify: Notify
    ) -> None:
        self.migration, self.steps, self.writer, self.force, self.notify = migration, steps, writer, force, notify
        self.waiting = sorted(steps, key=lambda step: not step.long)
        self.evidences: dict[str, Evidence] = {}
        self.fresh: list[str] = []
        self.stale: set[str] = set()
        self.ran: list[str] = []
        self.failed: dict[str, str] = {}
        self.skipped: dict[str, str] = {}
        self.waivers = ledger.current(ledger.read(migration.folder).entries)
        self.began = time.monotonic()

    def go(self, make: Make) -> Outcome:
        self.notify(Event("run", run=self.writer.id, of=len(self.steps)))
        if self.writer.takeover:
            taken = self.writer.takeover
            text = f"run {taken.claim.run} did not finish: {taken.reason}; what it had done is kept"
            self._tell("warning", text=text)
        self._carry_others()
        with make() as pool:
            while self.waiting or pool.workers:
                self._start_ready(pool)
                for worker, told in pool.listen() if pool.workers else ():
                    self._heard(worker, told)
        checkpoint = self._checkpoint()
        report = self._report(checkpoint)
        self._told_of_the_clock(self.writer.finish(checkpoint).clock_moved)
        self._enter()
        counted = tuple(ledger.applied(one, self.waivers) for one in self.evidences.values())
        outcome = Outcome(
            self.writer.id, report, counted, tuple(self.fresh), tuple(self.ran),
            self.failed, self.skipped, time.monotonic() - self.began,
        )  # fmt: skip
        self._tell("end", seconds=outcome.seconds, status=str(outcome.code), path=str(report or ""))
        return outcome

    def _tell(self, event: Any, step: Step | None = None, **facts: Any) -> None:
        self.notify(Event(event, run=self.writer.id, notebook=step.part if step else "", **facts))

    def _carry_others(self) -> None:
        """Evidence of notebooks that were not chosen comes along where it still holds: a run is whole by itself."""
        chosen = {step.name for step in self.steps}
        for step in plan(self.migration):
            stored = fresh(self.migration, step) if step.name not in chosen and step.entry.module else None
            if isinstance(stored, store.Stored):
                self.writer.carry(stored)
                self.evidences[step.name] = stored.evidence

    # ------------------------------------------------------------------------------------------ starting

    def _start_ready(self, pool: Engine) -> None:
        """Settles every step whose needs are done: skipped, carried over, or started while there is a place."""
        while settled := [step for step in self.waiting if self._is_ready(pool, step) and self._settle(pool, step)]:
            self.waiting = [step for step in self.waiting if step not in settled]

    def _is_ready(self, pool: Engine, step: Step) -> bool:
        unfinished = {worker.step.name for worker in pool.workers} | {other.name for other in self.waiting}
        return not self._needed(step) & (unfinished - {step.name})

    def _needed(self, step: Step) -> set[str]:
        return set(catalog.requires(self.migration, step.name))

    def _settle(self, pool: Engine, step: Step) -> bool:
        lame = sorted(self._needed(step) & (self.failed.keys() | self.skipped.keys()))
        if lame and step.entry.kind != "overview":
            self._skip(step, lame)
            return True
        if step.name not in self.stale:
            if not self.force and (stored := fresh(self.migration, step)):
                self._carry(step, stored)
                return True
            self.stale.add(step.name)
        if not pool.has_place(step.alone):
            return False
        place = self.writer.workplace(step.part)
        pool.start(step, place, _key(self.migration, step), self._job(step, place))
        self._tell("start", step, title=step.entry.question)
        return True

    def _carry(self, step: Step, stored: store.Part) -> None:
        self.writer.carry(stored)
        self.fresh.append(step.name)
        if isinstance(stored, store.Stored):
            self.evidences[step.name] = stored.evidence
        self._tell("fresh", step, text=stored.origin)

    def _job(self, step: Step, place: Path) -> dict[str, object]:
        return {
            "source": step.text,
            "place": str(place.resolve()),
            "parameters": {"migration": ".", "params": dict(step.params)},
            "cwd": str(self.migration.folder.resolve()),
            "titles": list(step.titles),
            "of": step.cells,
            "force": self.force,
        }

    def _skip(self, step: Step, lame: Sequence[str]) -> None:
        parts = " and ".join(other.part for other in self.steps if other.name in lame)
        reason = f"not run, because {parts} did not finish: mend that first"
        finding = unassessed(step.name).absent(reason)
        self._write(step, self.writer.workplace(step.part), self._made_here(step, finding))
        self.skipped[step.name] = reason
        self._tell("skipped", step, text=reason)

    # ------------------------------------------------------------------------------------------ ending

    def _heard(self, worker: Work, told: Mapping[str, Any]) -> None:
        step = worker.step
        if told["event"] == "warning":
            self._tell("warning", step, text=told["text"])
            return
        if told["event"] == "cell":
            self._tell("cell", step, cell=told["cell"], of=told["of"], title=told["title"], seconds=worker.seconds)
            return
        path = worker.place / store.EVIDENCE
        evidence = store.read_evidence(path) if path.exists() else None
        problem = str(told.get("text", ""))
        if not problem and evidence is None and step.entry.module:
            problem = "the notebook ended without `audit.run()`, so there is no evidence: restore that cell"
        self.ran.append(step.name)
        if problem:
            self._fail(worker, evidence, problem)
            return
        broke = evidence is not None and any(finding.status is Status.ERROR for finding in evidence.findings)
        if broke and step.entry.kind == "mover":
            self.failed[step.name] = "the mover broke"
        # What broke, or was made from two states of its inputs, is tried again next time: no key is never fresh.
        self._write(step, worker.place, evidence, "" if broke or self._moved(worker, evidence) else worker.key)
        found = evidence.verdict if evidence else None
        status, sentence = (str(found.status), found.sentence) if found else ("", "")
        self._tell("done", step, seconds=worker.seconds, status=status, text=sentence)

    def _moved(self, worker: Work, evidence: Evidence | None) -> bool:
        """Whether inputs or code changed under the notebook while it ran; says so."""
        mended = code_on_disk() != code()
        try:
            now = _key(open_migration(self.migration.folder), worker.step)
        except MigrationError:
            now = ""
        if not mended and now == worker.key and (evidence is None or evidence.key == now):
            return False
        what = "the workbench's own code" if mended else "what it is made from"
        self._tell("warning", worker.step, text=f"{what} changed while it ran: it will run again next time")
        return True

    def _fail(self, worker: Work, evidence: Evidence | None, problem: str) -> None:
        step = worker.step
        self.failed[step.name] = problem
        finding = crashed(step.name).found("The notebook stopped before its end", status=Status.ERROR, reason=problem)
        made = self._made_here(step, finding, worker.seconds)
        if evidence:
            made = evidence.model_copy(update={"findings": (*evidence.findings, finding)})
        self._write(step, worker.place, made if step.entry.module else None)
        self._tell("failed", step, text=problem, seconds=worker.seconds)

    def _made_here(self, step: Step, finding: Finding, seconds: float = 0.0) -> Evidence:
        return Evidence(
            audit=step.name,
            question=step.entry.question,
            migration=self.migration.name,
            params=dict(step.params),
            environment=catalog.environment(),
            started=datetime.now(UTC),
            seconds=seconds,
            findings=(finding,),
        )

    def _write(self, step: Step, place: Path, evidence: Evidence | None, key: str = "") -> None:
        """Everything of one notebook under its final name, in one step."""
        if evidence:
            self.evidences[step.name] = evidence
            store.write(place / store.EVIDENCE, evidence.to_json())
            if page := self._drawn(step, evidence):
                store.write(place / REPORT, page)
        self.writer.publish(step.part, audit=step.name, key=key, notebook=step.source)

    def _drawn(self, step: Step, evidence: Evidence) -> str:
        try:
            return notebook_page(self.migration, evidence, self.writer.id)
        except Exception as error:  # evidence must not be lost because it could not be drawn
            self._tell("warning", step, text=f"the evidence is stored, its page could not be drawn: {error!r}")
            return ""

    def _checkpoint(self) -> str:
        known = ledger.read(self.migration.folder)
        return str(known.checkpoint) if known.lines else ""

    def _enter(self) -> None:
        """The finished run into the ledger. Its evidence is stored either way; `workbench verify` names what is not
        in there."""
        try:
            ledger.enter_runs(self.migration)
        except (ledger.LedgerError, ledger.SigningKeyError, store.StoreError) as error:
            self._tell("warning", text=f"the run is stored, but not in the ledger: {error}")

    def _told_of_the_clock(self, moved: float) -> None:
        if moved:
            way = "forward" if moved > 0 else "back"
            text = f"the clock was set {way} by {abs(moved):,.0f} s during the run: durations are measured without it, "
            self._tell("warning", text=text + "and runs are in the order of their numbers")

    def _report(self, checkpoint: str) -> Path | None:
        found = {name: ledger.applied(one, self.waivers) for name, one in self.evidences.items()}
        ordered = [found[entry.name] for entry in catalog.discover() if entry.name in found]
        absent = [entry.name for entry in catalog.discover() if entry.module and entry.name not in self.evidences]
        path = self.writer.folder / REPORT
        try:
            missing = dict.fromkeys(absent, NOT_HERE)
            page = migration_page(self.migration, ordered, self.writer.id, missing, checkpoint)
            store.write(path, page)
        except store.StoreError:
            raise
        except Exception as error:
            self._tell("warning", text=f"the evidence is stored, the report could not be drawn: {error!r}")
            return None
        return path
