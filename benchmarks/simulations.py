"""Simulations of our own intervals, tests and verdicts, where the truth is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from benchmarks import coverage, gap_simulations, tables
from benchmarks.coverage import Found, simulated
from workbench.measure.speed.simulation import MOODS
from workbench.measure.speed.simulation import simulated as verdicts
from workbench.measure.speed.study import real_runs

SECTIONS = {
    "intervals": "Intervals: how often they hold the truth",
    "gaps": "Fairness gaps: how often their intervals hold the truth",
    "alarms": "Fairness gaps: false alarms where all groups and both models are alike",
    "power": "Fairness gaps: how often the test finds one",
    "speed": "Benchmark: verdicts on simulated machines",
}


def main(quick: bool) -> None:
    """Simulate, keep the table, write the page."""
    found = list(everything(quick))
    tables.keep("simulations", pd.DataFrame([{**vars(one), "as_wanted": one.as_wanted} for one in found]))
    tables.write("simulations.md", "simulations", page(found, quick))


def everything(quick: bool) -> Iterator[Found]:
    yield from coverage.every(4_000 if quick else 40_000, 300 if quick else 2_000)
    for part in gap_simulations.EVERY:
        yield from part(100 if quick else 1_000)
    yield from speeds(40 if quick else 200)


def speeds(runs: int) -> Iterator[Found]:
    """A model against itself, and a candidate that is 5 % slower, on machines that are disturbed in different ways."""
    for mood, disturbed in MOODS.items():
        same = verdicts(disturbed, runs=runs, seconds=6.0)
        false = same.counts.get("faster", 0) + same.counts.get("slower", 0)
        said = ", ".join(f"{count} {outcome}" for outcome, count in sorted(same.counts.items()))
        yield simulated("speed", "false verdict on A/A", "speed.compare", f"{mood}: {said}", false, runs, (0.0, 0.05))
    slower = verdicts(MOODS["quiet"], ratio=1.05, runs=runs, seconds=6.0)
    hits = slower.counts.get("slower", 0)
    yield simulated("speed", "5 % slow-down found", "speed.compare", "quiet", hits, runs, (0.9, 1.0))


STUDIES = (
    (
        "false verdict on A/A",
        {"load": 1, "together": 2},
        "under load: two runs at a time and a process that computes on and off",
        200,
    ),
    (
        "5 % slow-down found",
        {"slowdown": 0.05, "seconds": 15.0, "units": 200},
        "nothing else at work, 15 s at most",
        60,
    ),
)


def study(quick: bool) -> None:
    """The benchmark's verdicts on this very machine, which must be quiet: real processes, real time."""
    found = []
    for what, options, setting, runs in STUDIES:
        said, ran = real_runs(8 if quick else runs, **options)
        outcomes = ("faster", "slower") if "A/A" in what else ("slower",)
        hits = sum(said.counts.get(outcome, 0) for outcome in outcomes)
        told = f"{setting}: " + ", ".join(f"{count} {outcome}" for outcome, count in sorted(said.counts.items()))
        wanted = (0.0, 0.05) if "A/A" in what else (0.9, 1.0)
        found.append(
            simulated("real", what, "speed.race", f"{told}; {said.seconds:.1f} s a run", hits, len(ran), wanted)
        )
    tables.keep("verdicts", pd.DataFrame([{**vars(one), "as_wanted": one.as_wanted} for one in found]))
    lines = [*(f"- {line}" for line in tables.machine()), "", _table(found)]
    tables.write("simulations.md", "verdicts", "\n".join(lines))


def page(found: Sequence[Found], quick: bool) -> str:
    """A table per section, and the lines that are not as wanted first."""
    off = [one for one in found if not one.as_wanted]
    chosen = ", the quick selection" if quick else ""
    lines = [f"{len(found)} cases{chosen}; {len(off)} not as wanted (marked ✗)."]
    for group, title in SECTIONS.items():
        part = [one for one in found if one.group == group]
        lines += ["", f"## {title}", "", _table(part)]
    return "\n".join(lines)


def _table(found: Sequence[Found]) -> str:
    rows = [
        (
            *(one.what, f"`{one.where}`", one.setting, _share(one)),
            *(f"{one.wanted[0]:.0%} to {one.wanted[1]:.0%}", "✓" if one.as_wanted else "✗"),
            f"{one.runs:,}" if one.runs else "every outcome",
        )
        for one in found
    ]
    return tables.markdown(("what", "where", "case", "share", "wanted", "", "runs"), rows)


def _share(one: Found) -> str:
    return f"{one.share:.1%}" + (f" [{one.low:.1%}, {one.high:.1%}]" if one.runs else "")
