"""What one side costs beside the other: time, memory, energy, money. Numbers with intervals, or why there is none."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from workbench.measure.intervals import Estimate
from workbench.measure.speed import report
from workbench.measure.speed.environment import gpu
from workbench.measure.speed.report import QUIET, Listed
from workbench.measure.speed.session import Session
from workbench.measure.speed.sides import Tail
from workbench.measure.speed.statistics import LEVEL, quotient


class Figure(NamedTuple):
    """One thing of both sides. what: its kind; change: candidate / legacy; n: what each side's number rests on;
    level: of the intervals. reason: why there is no number, else "". method: how it was found, where that varies."""

    what: str
    subject: str = ""
    title: str = ""
    legacy: Estimate | None = None
    candidate: Estimate | None = None
    change: Estimate | None = None
    unit: str = ""
    n: tuple[int | None, int | None] = (None, None)
    level: float = LEVEL
    reason: str = ""
    method: str = ""
    tables: tuple[Listed, ...] = ()


def figures(
    told: Session, *, price_per_hour: float | None, currency: str, price_source: str, utilisation: float
) -> Iterator[Figure]:
    """Latency of one row, cold start, memory, the rate at the service level, energy and cost."""
    yield from (_tail(one) for one in told.tails)
    yield _single("latency", "cold start", "Time to answer one row: cold start", told.starts, "s", _started(told))
    yield _single("peak-memory", "", "", told.peaks, "MiB", ())
    if told.services is not None:
        yield _service(told)
    yield _energy(told)
    yield _gpu(told)
    yield _cost(told, price_per_hour, currency, price_source, utilisation)


def _tail(one: Tail) -> Figure:
    subject = f"p{100 * one.share:g}"
    if one.legacy is None or one.candidate is None:
        return Figure("latency", subject, reason=report.too_few(one.share, one.answers))
    title = f"Time to answer one row: {subject}"
    change = quotient(one.candidate, one.legacy)
    return Figure("latency", subject, title, one.legacy, one.candidate, change, "ms", one.answers)


def _single(
    what: str,
    subject: str,
    title: str,
    pair: tuple[float | None, float | None],
    unit: str,
    tables: tuple[Listed, ...],
) -> Figure:
    """A number that was taken once on each side."""
    before, after = pair
    if before is None or after is None:
        return Figure(
            what, subject, reason="a model without a process of its own cannot be told from all else that runs here"
        )
    change = Estimate(after / before)
    return Figure(what, subject, title, Estimate(before), Estimate(after), change, unit, (1, 1), tables=tables)


def _started(told: Session) -> tuple[Listed, ...]:
    columns = ("side", "s to open", "s to the first answer", "MiB after it, shared pages by share")
    return (Listed("Cold start, and what is made at the first answer (compiling included)", columns, told.started),)


def _service(told: Session) -> Figure:
    assert told.services is not None
    before, after = (service.rate for service in told.services)
    columns = ("side", "queries/s", "p99 ms", "too late", "passed")
    tables = (Listed("Rates that were tried", columns, report.probes(told.services)),)
    if before is None or after is None:
        sides = " and ".join(name for name, rate in (("legacy", before), ("candidate", after)) if rate is None)
        reason = f"no rate that was tried keeps 99 of 100 answers of {sides} within the service level"
        return Figure("service-rate", reason=reason, tables=tables)
    n = tuple(sum(1 for _ in service.probes) for service in told.services)
    return Figure("service-rate", "", "", before, after, quotient(after, before), "rows/s", (n[0], n[1]), tables=tables)


def _energy(told: Session) -> Figure:
    found = told.energy
    if found is None:
        return Figure("energy", reason="no energy counter can be read here, and tdp_watts is not set")
    if math.isnan(found.legacy.value) or math.isnan(found.candidate.value):
        return Figure("energy", reason=f"too little to tell from the idle machine ({found.method})")
    change = quotient(found.candidate, found.legacy)
    title = f"Energy of a million predictions ({found.method})"
    return Figure("energy", "", title, found.legacy, found.candidate, change, "J", method=found.method)


def _gpu(told: Session) -> Figure:
    if any(told.gpu):
        change = quotient(Estimate(told.gpu[1]), Estimate(told.gpu[0])) if told.gpu[0] else None
        title = "Most memory allocated on the GPU"
        columns = ("rows at once", "side", "ms on the GPU", "low", "high")
        tables = (Listed("What the GPU itself computes for an answer, by CUDA events", columns, told.device),)
        pair = Estimate(told.gpu[0]), Estimate(told.gpu[1])
        return Figure("gpu", "", title, *pair, change, "MiB", (1, 1), tables=tables if told.device else ())
    timed = "both models computed on the processor only, and are timed there"
    return Figure("gpu", reason=timed if gpu() else "no GPU on this machine")


def _cost(told: Session, price: float | None, currency: str, source: str, utilisation: float) -> Figure:
    """Without a price, or one of which nobody knows where and when it was asked, only the ratio is told."""
    named = price if price and source else math.nan
    found = report.cheapest(told.race, told.services, named, utilisation)
    if found is None:
        return Figure("cost", reason=f"no steady comparison. {QUIET}")
    where, before, after, change = found
    said = source if price and source else "at equal prices"
    said += ": the price has no price_source" if price and not source else ""
    title = f"Cost of a million predictions, {where} ({said})"
    if math.isnan(named):
        return Figure("cost", "", title, change=change)
    return Figure("cost", "", title, before, after, change, currency)
