"""Both models timed in turns, each in its own process on one thread, with the legacy model against itself as control.

A speed-up is legacy time / candidate time: 2 means twice as fast. Where the control is not 1 there is no verdict.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from pydantic import Field

from workbench import audit
from workbench.audit import Kind
from workbench.evidence import DEFAULT, Chart, Evidence, Finding, Limit, Measure, Series, Status, Table
from workbench.measure import speed
from workbench.measure.intervals import Estimate
from workbench.migration import Limits
from workbench.models import Model
from workbench.scored import Scored

QUESTION = "Is it faster and cheaper, by how much, how surely?"
QUIET = "Run it again alone on an idle machine, or give it more `seconds`."
TAILS, ALONE = {"samples", "seconds", "seed"}, True  # alone: no other notebook runs beside it
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
    fix=QUIET,
)
LATENCY = Kind(
    id="benchmark/latency",
    title="Time to answer one row",
    why="The slow tail, and the first answer of a new process, are what people wait for; a mean hides them.",
    fix=SERVE,
)
MEMORY = Kind(
    id="benchmark/peak-memory",
    title="Most memory the model's process held",
    why="Memory decides how many models fit on a machine, and which machine is needed.",
    fix="Give it fewer rows at once, or serve it without the packages it does not need.",
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
KINDS = (SPEED, CONTROL, LATENCY, MEMORY, COST, GPU)


class Params(audit.Params):
    batches: tuple[int, ...] = Field((1_024,), description="rows at once, besides one row")
    seconds: float = Field(5.0, gt=0, description="of each scenario: more rounds until the control is steady")
    samples: int = Field(530, ge=10, description="single answers timed on each side: p99 needs 459, its interval 528")
    price_per_hour: float | None = Field(None, gt=0, description="of the machine this runs on")
    currency: str = Field("EUR", description="of the price")
    price_source: str = Field("", description="where that price is from, and of which date")
    utilisation: float = Field(0.5, gt=0, le=1, description="share of an hour the machine answers")
    seed: int = Field(0, description="of the rows and of the order of the blocks")


def run(
    scored: Scored, legacy: Model, candidate: Model, parity: Evidence | None, limits: Limits, params: Params
) -> Iterator[Finding]:
    """Times of both models. Nothing is timed before parity has passed."""
    if reason := _unfit(parity, (legacy, candidate), len(scored)):
        yield from (kind.absent(reason) for kind in (SPEED, LATENCY, MEMORY, COST))
        return
    with speed.sides(legacy, candidate) as pair:
        timings = speed.timings(pair, scored.frame, params.batches, seconds=params.seconds, seed=params.seed)
        yield _conclusion(timings, pair, limits)
        yield from (_speed_up(timing, limits) for timing in timings)
        yield _control(timings)
        yield from _latency(pair, scored, params)
        yield from _process(pair, scored)
    yield _cost(timings, params)
    yield GPU.absent("both models were timed on the processor only" if speed.gpu() else "no GPU on this machine")


def _unfit(parity: Evidence | None, models: tuple[Model, ...], rows: int) -> str:
    if not rows:
        return "the holdout has no rows to time: see 21_readiness"
    if any(model.format == "column" for model in models):
        return "a column of decisions made before takes no time: give the model itself"
    counts = parity.verdict.counts.keys() if parity else set()
    if parity and counts & {Status.FAIL, Status.ERROR}:
        return f"the candidate failed parity: fix that first ({parity.verdict.sentence})"
    return "" if counts & {Status.PASS, Status.WARN, Status.INFO} else "parity is not shown yet: run 44_parity first"


def _measure(found: Estimate, unit: str = "x", n: int | None = None) -> Measure:
    return Measure(value=found.value, low=found.low, high=found.high, level=speed.LEVEL, n=n, unit=unit)


def _softened(finding: Finding) -> Finding:
    """A limit that nobody agreed to warns and does not block: whether speed matters here is the team's to say."""
    if finding.status is not Status.FAIL or finding.limit is None or finding.limit.set_by != DEFAULT:
        return finding
    reason = f"slower than the default limit; nobody has agreed to it yet, so it warns: set limits.{finding.id}"
    return finding.model_copy(update={"status": Status.WARN, "reason": reason})


def _speed_up(timing: speed.Timing, limits: Limits) -> Finding:
    name, found = timing.scenario.name, timing.found
    if found is None:
        return SPEED.absent(timing.reason, name)
    details = (
        Table(title="Ratios, legacy / candidate", columns=("of", "ratio", "low", "high"), rows=found.ratios()),
        Table(title="Milliseconds a call, by round", columns=speed.BLOCKS, rows=found.blocks()),
    )
    if not found.stable:
        told = f"the machine was too unsteady: see the control of {name}. {QUIET}"
        return SPEED.found(f"No verdict for {name}", name, status=Status.ABSENT, reason=told, details=details)
    pair = [_measure(timing.rate(side), "rows/s", n=found.rounds) for side in (speed.LEGACY, speed.CANDIDATE)]
    change, limit = _measure(found.speed_up, n=found.rounds), limits.get(SPEED.id)
    title = f"With {name} at once the candidate is {found.outcome}"
    made = SPEED.found(title, name, legacy=pair[0], candidate=pair[1], change=change, limit=limit, details=details)
    return _softened(made)


def _conclusion(timings: list[speed.Timing], pair: speed.Pair, limits: Limits) -> Finding:
    machine = Table(title="The machine; one thread", columns=("what", "is"), rows=speed.machine(pair))
    steady = {t.scenario.name: t.found for t in timings if t.found and t.found.stable}
    if not steady:
        return SPEED.found(status=Status.ABSENT, reason=f"no steady comparison. {QUIET}", details=(machine,))
    said = ", ".join(f"{found.outcome} with {name}" for name, found in steady.items())
    best = max(steady.values(), key=lambda found: found.speed_up.low)
    title = f"Stay where you are: {said}" if best.outcome == "slower" else said[0].upper() + said[1:]
    y, low, high = zip(*(found.speed_up for found in steady.values()))
    bars = Series(name="times faster", x=tuple(steady), y=y, low=low, high=high, role="change")
    chart = Chart(kind="interval", title="Legacy time / candidate time", x="rows at once", y="ratio", series=(bars,))
    change = _measure(best.speed_up, n=best.rounds)
    return _softened(SPEED.found(title, change=change, limit=limits.get(SPEED.id), details=(chart, machine)))


def _control(timings: list[speed.Timing]) -> Finding:
    found = {t.scenario.name: t.found for t in timings if t.found}
    rows = tuple((name, one.rounds, *one.control, one.stable) for name, one in found.items())
    table = Table(title="Legacy / legacy", columns=("scenario", "rounds", "ratio", "low", "high", "steady"), rows=rows)
    worst = max(found.values(), key=lambda one: one.control.high - one.control.low, default=None)
    unsteady = ", ".join(name for name, one in found.items() if not one.stable)
    return CONTROL.found(
        legacy=_measure(worst.control, n=worst.rounds) if worst else None,
        limit=Limit(value=1, better="equal", margin=speed.TOLERANCE, set_by="the method"),
        status=Status.PASS if worst and not unsteady else Status.ABSENT,
        reason=f"no steady control with {unsteady or 'any scenario'}. {QUIET}" if unsteady or not worst else "",
        details=(table,),
    )


def _latency(pair: speed.Pair, scored: Scored, params: Params) -> Iterator[Finding]:
    for share, before, after, n in speed.tails(pair, scored.frame, **params.model_dump(include=TAILS)):
        name, needed = f"p{share * 100:g}", speed.queries_needed(share)
        if before is None or after is None:
            yield LATENCY.absent(f"{n} answers are too few, {needed} are needed: raise samples and seconds", name)
        else:
            times = [_measure(one, "ms", n) for one in (before, after)]
            yield _pair(LATENCY, name, times, _measure(speed.quotient(after, before), n=n))


def _process(pair: speed.Pair, scored: Scored) -> Iterator[Finding]:
    peaks, starts = [side.peak() for side in pair], [side.cold_start(scored.frame.iloc[:1]) for side in pair]
    for kind, name, unit, (before, after) in ((MEMORY, "", "MiB", peaks), (LATENCY, "cold start", "s", starts)):
        if before is None or after is None:
            yield kind.absent("a model without a process of its own cannot be told from all else that runs here", name)
        else:
            sides = [Measure(value=value, n=1, unit=unit) for value in (before, after)]
            yield _pair(kind, name, sides, Measure(value=after / before, n=1, unit="x"))


def _pair(kind: Kind, name: str, sides: list[Measure], change: Measure) -> Finding:  # candidate / legacy
    return kind.found(f"{kind.title}: {name}".rstrip(": "), name, legacy=sides[0], candidate=sides[1], change=change)


def _cost(timings: list[speed.Timing], params: Params) -> Finding:
    """In the steady scenario where the candidate answers most rows; without a price the ratio only."""
    found = speed.cheapest(timings, params.price_per_hour or math.nan, params.utilisation)
    if found is None:
        return COST.absent(f"no steady comparison. {QUIET}")
    name, before, after, ratio = found
    price = params.price_source or ("source and date not given" if params.price_per_hour else "at equal prices")
    sides = [None if math.isnan(cost.value) else _measure(cost, params.currency) for cost in (before, after)]
    title = f"{COST.title}, {name} at once ({price})"
    return COST.found(title, legacy=sides[0], candidate=sides[1], change=_measure(ratio))
