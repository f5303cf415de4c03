"""What a run says, as plain rows and sentences for whoever draws them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from workbench.measure.intervals import Estimate
from workbench.measure.speed.cores import Watch
from workbench.measure.speed.energy import Energy, from_rated_power, metered, nvml, rapl
from workbench.measure.speed.environment import environment
from workbench.measure.speed.serving import Service, highest_rate
from workbench.measure.speed.sides import Pair, Race, Scenario, Timing
from workbench.measure.speed.statistics import (
    Floats,
    cost_per_million,
    inverse,
    percentile,
    queries_needed,
    quotient,
)
from workbench.measure.speed.timing import BLOCKS, CANDIDATE, LEGACY, Comparison

if TYPE_CHECKING:
    import pandas as pd

Rows = tuple[tuple[str | float | int | bool | None, ...], ...]

SHARES = (0.5, 0.9, 0.99)

QUIET = "Run it again alone on an idle machine, or give it more `seconds`."


class Listed(NamedTuple):
    """A table: title, columns, rows."""

    title: str
    columns: tuple[str, ...]
    rows: Rows


def listed(found: Comparison) -> tuple[Listed, ...]:
    """What a scenario's verdict rests on."""
    tails = ("percentile", "legacy ms", "candidate ms", "legacy answers", "candidate answers")
    return (
        Listed("Ratios, legacy / candidate", ("of", "ratio", "low", "high"), found.ratios()),
        Listed("Milliseconds a call, every call", tails, percentiles(found)),
        Listed("Milliseconds of a typical call, by round", BLOCKS, found.blocks()),
    )


def machine(pair: Pair, watch: Watch | None = None) -> tuple[tuple[str, str], ...]:
    """Rows (what, is) of what the times depend on, and of what else was at work meanwhile."""
    where = "each in a process of its own" if all(side.hosted for side in pair) else "not both in their own process"
    threads = [str(getattr(getattr(side.host, "options", None), "threads", "unknown")) for side in pair]
    beside = ("threads of legacy, of candidate", ", ".join(threads))
    return (("models", where), beside, *environment().items(), *(watch.told() if watch else ()))


def percentiles(found: Comparison) -> Rows:
    """Rows (percentile, legacy ms, candidate ms, answers of legacy, of the candidate); None without the samples."""
    calls = [1e3 * found.single(side) for side in (LEGACY, CANDIDATE)]
    lines = ([percentile(side, share) for side in calls] for share in SHARES)
    values = ([None if one is None else one.value for one in line] for line in lines)
    counts = [len(side) for side in calls]
    return tuple((f"p{100 * share:g}", *line, *counts) for share, line in zip(SHARES, values))


def starts(pair: Pair) -> Rows:
    """Rows (side, seconds to open, to the first answer after that, MiB with shared pages by share)."""
    told = [(side, side.start) for side in pair]
    return tuple(
        (name, start.opening, start.first, side.memory()["pss"] or None)
        for name, (side, start) in zip(("legacy", "candidate"), told)
        if start
    )


def controls(race: Race) -> tuple[Listed, ...]:
    """Legacy against itself, by scenario and in all of them."""
    found = [(one, one.found) for one in race.timings if one.found]
    rows = [(one.scenario.name, times.rounds, *times.control, race.steady(one)) for one, times in found]
    together = sum(times.rounds for _, times in found)
    rows.append(("all together", together, *race.control, bool(rows) and all(row[-1] for row in rows)))
    return (Listed("Legacy / legacy", ("scenario", "rounds", "ratio", "low", "high", "verdict"), tuple(rows)),)


def sentence(race: Race) -> tuple[str, Comparison | None]:
    """Which side wins where, from the steady scenarios, and the comparison that speaks most for the candidate."""
    if not race.verdicts:
        return "", None
    said: dict[str, list[str]] = {}
    for timing, found in race.verdicts:
        said.setdefault(found.outcome, []).append(timing.scenario.name)
    parts = [f"{WORDS[outcome]} with {_listed(said[outcome])}" for outcome in WORDS if outcome in said]
    best = max((found for _, found in race.verdicts), key=lambda found: found.speed_up.low)
    text = "; ".join(parts)
    stay = not {"faster", "undecided"} & said.keys()
    return (f"Stay where you are: {text}" if stay else text[0].upper() + text[1:]), best


WORDS = {
    "faster": "the candidate is faster",
    "alike": "as fast as before",
    "undecided": "not clearly faster or slower",
    "slower": "the candidate is slower",
}


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def services(
    pair: Pair, frame: pd.DataFrame, calls: tuple[Floats, Floats], *, level_ms: float, queries: int, seed: int
) -> tuple[Service, Service]:
    """The highest rate of single rows that each side answers within `level_ms` for 99 of 100. calls: seconds of
    single answers, from which the first rate is foreseen."""
    row = Scenario("1 row", 1).frame(frame, seed)
    options = {"level": level_ms / 1e3, "queries": queries, "seed": seed}
    first, second = (highest_rate(side.served, row, took, **options) for side, took in zip(pair, calls))  # type: ignore[arg-type]
    return first, second


def probes(services: tuple[Service, Service]) -> Rows:
    """Rows (side, queries per second, p99 in ms, too late, passed) of every rate that was tried."""
    named = zip(("legacy", "candidate"), services)
    return tuple((name, *probe) for name, service in named for probe in service.probes)


def on_device(pair: Pair, frame: pd.DataFrame, asked: Sequence[Scenario], seed: int) -> Rows:
    """Rows (scenario, side, ms, low, high) of what a GPU computes for an answer; no row for a side that uses none."""
    found = []
    for scenario in asked:
        rows = scenario.frame(frame, seed)
        for name, side in zip(("legacy", "candidate"), pair):
            taken = side.on_device(rows)
            if taken is not None:
                found.append((scenario.name, name, *taken))
    return tuple(found)


def energy(pair: Pair, race: Race, frame: pd.DataFrame, *, watts: float | None, cores: int, seed: int) -> Energy | None:
    """Joules per million rows in the largest steady scenario: by the GPU's counter where one of them used it, else by
    the processor's, else from the rated power (TDP), else None."""
    if not race.verdicts:
        return None
    timing, found = max(race.verdicts, key=lambda one: one[0].scenario.rows)
    on_gpu = any(side.memory()["gpu"] for side in pair)
    scenario, meter = timing.scenario, (nvml() if on_gpu else rapl())
    if meter is not None:
        rows = scenario.frame(frame, seed)
        asks = _ask(pair, LEGACY, rows, scenario), _ask(pair, CANDIDATE, rows, scenario)
        return metered(meter, asks, scenario.rows)
    if watts is None:
        return None
    rates = [inverse(found.cpu_seconds(side), scenario.rows) for side in (LEGACY, CANDIDATE)]
    return from_rated_power((rates[0], rates[1]), watts, cores)


def _ask(pair: Pair, side: int, rows: pd.DataFrame, scenario: Scenario) -> Callable[[], object]:
    timed = pair[side].timed(scenario.scope)
    return lambda: timed(rows, 1)


def cheapest(
    race: Race, served: tuple[Service, Service] | None, price_per_hour: float, utilisation: float
) -> tuple[str, Estimate, Estimate, Estimate] | None:
    """Cost of a million rows by legacy and by candidate, and candidate / legacy at one price, and in which scenario.

    At the service level where both sides were found one; else in the steady scenario where the candidate answers most
    rows per second; None without either. A price of NaN gives costs of NaN.
    """
    rates = [service.rate for service in served or ()]
    if rates and rates[0] and rates[1]:
        costs = [cost_per_million(rate, price_per_hour, utilisation) for rate in rates if rate]
        return "single rows at the service level", costs[0], costs[1], quotient(rates[0], rates[1])
    if not race.verdicts:
        return None

    def rate(one: tuple[Timing, Comparison]) -> float:
        return one[0].rate(CANDIDATE).value

    timing, found = max(race.verdicts, key=rate)
    both = [cost_per_million(timing.rate(side), price_per_hour, utilisation) for side in (LEGACY, CANDIDATE)]
    return f"{timing.scenario.name} at once", both[0], both[1], inverse(found.speed_up)


def too_few(share: float, answers: tuple[int, int]) -> str:
    """Why a percentile is not there."""
    needed = queries_needed(share)
    return f"{min(answers):,} answers are too few, {needed:,} are needed: raise samples and seconds"
