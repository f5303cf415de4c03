"""Both models timed in turns, each in its own process, with the legacy model against itself as control.

A speed-up is legacy time / candidate time: 2 means twice as fast. Where the control is not 1 there is no verdict.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from workbench import audit
from workbench.audit import Kind
from workbench.evidence import DEFAULT, Chart, Evidence, File, Finding, Limit, Measure, Series, Status, Table
from workbench.measure import speed
from workbench.measure.intervals import Estimate
from workbench.migration import Limits
from workbench.models import Model
from workbench.scored import Scored

QUESTION = "Is it faster and cheaper, by how much, how surely?"
PRICE = {"price_per_hour", "currency", "price_source", "utilisation"}
ALONE = True  # no other notebook runs beside it
SERVE = "Serve it where it wins (one row or batches), tune it (43_tuning), or stay where you are."

SPEED = Kind(
    id="benchmark/speed-up",
    title="How many times faster",
    why="A move that is slower where it serves needs more machines; one that is faster nowhere is no reason to move.",
    fix=SERVE,
    limit=Limit(value=1.0, better="higher", margin=0.1),
)
CONTROL = Kind(
    id="benchmark/control",
    title="The legacy model against itself",
    why="If the same model comes out faster than itself, the machine was too unsteady to compare two.",
    fix=speed.QUIET,
)
LATENCY = Kind(
    id="benchmark/latency",
    title="Time to answer one row",
    why="The slow tail, and the first answer of a new process, are what people wait for; a mean hides them.",
    fix=SERVE,
    source="order statistics; sample sizes of MLPerf Inference, arXiv:1911.02549",
)
SERVICE = Kind(
    id="benchmark/service-rate",
    title="Single rows a second within the service level",
    why="Queries come when they like: a model that keeps up on average still answers late when they bunch.",
    fix="Set service_level_ms to what your callers are promised; where no rate holds it, serve with more processes.",
    source="open loop with Poisson arrivals; MLPerf Inference, server scenario",
)
MEMORY = Kind(
    id="benchmark/peak-memory",
    title="Most memory the model's process held",
    why="Memory decides how many models fit on a machine, and which machine is needed.",
    fix="Give it fewer rows at once, or serve it without the packages it does not need.",
)
ENERGY = Kind(
    id="benchmark/energy",
    title="Energy of a million predictions",
    why="Energy is paid for twice, as power and as cooling, and is reported on.",
    fix="Run where the energy counters can be read, or set tdp_watts to the rated power of the processor.",
)
COST = Kind(
    id="benchmark/cost",
    title="Cost of a million predictions",
    why="Speed pays only as money: the price of the machine, over what it answers in an hour.",
    fix="Set price_per_hour and price_source (with its date) of this audit to the price you pay.",
)
GPU = Kind(
    id="benchmark/gpu",
    title="On a GPU",
    why="A GPU can turn the order of the two around in large batches, at another price.",
    fix="Run the benchmark on a machine with a GPU; no ratio is made across two machines.",
)
KINDS = (SPEED, CONTROL, LATENCY, SERVICE, MEMORY, ENERGY, COST, GPU)


class Params(audit.Params):
    batches: tuple[int, ...] = Field((1_024,), description="rows at once, besides one row; 8: multi-stream")
    sweep: bool = Field(False, description="batches of 1 to 65,536 rows as well; takes minutes")
    scope: Literal["model", "whole", "both"] = Field("model", description="whole: with reading rows, writing answers")
    seconds: float = Field(5.0, gt=0, description="of each scenario: more rounds until the ratio is precise")
    samples: int = Field(662, ge=10, description="single answers of each side: p90 needs 44, p99 459, p99.9 4,603")
    service_level_ms: float | None = Field(None, gt=0, description="99 of 100 single rows within it: at which rate?")
    queries: int = Field(662, ge=459, description="of each rate that is tried for the service level")
    tdp_watts: float | None = Field(None, gt=0, description="rated power of the processor, if no counter is there")
    price_per_hour: float | None = Field(None, gt=0, description="of the machine this runs on")
    currency: str = Field("EUR", description="of the price")
    price_source: str = Field("", description="where that price is from, and of which date")
    utilisation: float = Field(0.5, gt=0, le=1, description="share of an hour the machine answers")
    seed: int = Field(0, description="of the rows, of the order of the blocks and of the arrivals")


def run(
    scored: Scored, legacy: Model, candidate: Model, parity: Evidence | None, limits: Limits, artifacts: Path | None,
    params: Params,
) -> Iterator[Finding]:  # fmt: skip
    """Times of both models. Nothing is timed before parity has passed."""
    if reason := _unfit(parity, (legacy, candidate), len(scored)):
        yield from (kind.absent(reason) for kind in (SPEED, LATENCY, MEMORY, COST))
        return
    told = speed.session(scored.frame, legacy, candidate, **params.model_dump(include=set(speed.SESSION)))
    yield _conclusion(told, limits)
    yield from (_speed_up(told.race, timing, limits) for timing in told.race.timings)
    yield _control(told, artifacts)
    yield from map(_figure, speed.figures(told, **params.model_dump(include=PRICE)))


def _unfit(parity: Evidence | None, models: tuple[Model, ...], rows: int) -> str:
    if not rows:
        return "the holdout has no rows to time: see 21_readiness"
    if any(model.format == "column" for model in models):
        return "a column of decisions made before takes no time: give the model itself"
    counts = parity.verdict.counts.keys() if parity else set()
    if parity and counts & {Status.FAIL, Status.ERROR}:
        return f"the candidate failed parity: fix that first ({parity.verdict.sentence})"
    return "" if counts & {Status.PASS, Status.WARN, Status.INFO} else "parity is not shown yet: run 44_parity first"


def _measure(found: Estimate | None, unit: str = "x", n: int | None = None, method: str = "") -> Measure | None:
    if found is None:
        return None
    level = speed.LEVEL if found.low == found.low else None
    return Measure(value=found.value, low=found.low, high=found.high, level=level, n=n, unit=unit, method=method)


def _tables(listed: Iterable[speed.Listed]) -> tuple[Table, ...]:
    return tuple(Table(title=one.title, columns=one.columns, rows=one.rows) for one in listed)


def _softened(finding: Finding) -> Finding:
    """A limit that nobody agreed to warns and does not block: whether speed matters here is the team's to say."""
    if finding.status is not Status.FAIL or finding.limit is None or finding.limit.set_by != DEFAULT:
        return finding
    reason = f"slower than the default limit; nobody has agreed to it yet, so it warns: set limits.{finding.id}"
    return finding.model_copy(update={"status": Status.WARN, "reason": reason})


def _conclusion(told: speed.Session, limits: Limits) -> Finding:
    machine = Table(title="The machine", columns=("what", "is"), rows=told.machine)
    title, best = speed.sentence(told.race)
    if best is None:
        return SPEED.found(status=Status.ABSENT, reason=f"no steady comparison. {speed.QUIET}", details=(machine,))
    names, found = zip(*((timing.scenario.name, found.speed_up) for timing, found in told.race.verdicts))
    y, low, high = zip(*found)
    bars = Series(name="times faster", x=names, y=y, low=low, high=high, role="change")
    chart = Chart(kind="interval", title="Legacy time / candidate time", x="rows at once", y="ratio", series=(bars,))
    change, limit = _measure(best.speed_up, n=best.rounds), limits.get(SPEED.id)
    return _softened(SPEED.found(title, change=change, limit=limit, details=(chart, machine)))


def _speed_up(race: speed.Race, timing: speed.Timing, limits: Limits) -> Finding:
    name, found = timing.scenario.name, timing.found
    if found is None:
        return SPEED.absent(timing.reason, name)
    details = _tables(speed.listed(found))
    if not race.steady(timing):
        told = f"the machine was too unsteady: see the control of {name}. {speed.QUIET}"
        return SPEED.found(f"No verdict for {name}", name, status=Status.ABSENT, reason=told, details=details)
    pair = [_measure(timing.rate(side), "rows/s", n=found.rounds) for side in (speed.LEGACY, speed.CANDIDATE)]
    change, limit = _measure(found.speed_up, n=found.rounds), limits.get(SPEED.id)
    title = f"With {name} at once {speed.WORDS[found.outcome]}"
    made = SPEED.found(title, name, legacy=pair[0], candidate=pair[1], change=change, limit=limit, details=details)
    return _softened(made)


def _control(told: speed.Session, artifacts: Path | None) -> Finding:
    together, unsteady = told.race.control, told.race.unsteady
    timed = any(timing.found for timing in told.race.timings)
    reason = f"no steady control with {', '.join(unsteady) or 'any scenario'}. {speed.QUIET}"
    return CONTROL.found(
        legacy=_measure(together) if timed else None,
        limit=Limit(value=1, better="equal", margin=speed.TOLERANCE, set_by="the method"),
        status=Status.PASS if timed and not unsteady else Status.ABSENT,
        reason=reason if unsteady or not timed else "",
        details=(*_tables(speed.controls(told.race)), *_samples(told, artifacts)),
    )


def _samples(told: speed.Session, artifacts: Path | None) -> Iterator[File]:
    if artifacts is not None:
        path = artifacts / "samples.parquet"
        speed.write_samples(path, told.race, dict(told.machine))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        yield File(title="Every timed answer", path=path.name, sha256=digest, media="application/vnd.apache.parquet")


def _figure(one: speed.Figure) -> Finding:
    kind, tables = next(kind for kind in KINDS if kind.id == f"benchmark/{one.what}"), _tables(one.tables)
    if one.reason:
        return kind.found(one.title, one.subject, status=Status.ABSENT, reason=one.reason, details=tables)
    before, after = (_measure(x, one.unit, n, one.method) for x, n in zip((one.legacy, one.candidate), one.n))
    change = _measure(one.change, n=min((n for n in one.n if n), default=None), method=one.method)
    return kind.found(one.title, one.subject, legacy=before, candidate=after, change=change, details=tables)
