"""How far the benchmark's verdicts can be trusted: on simulated machines, or on this one."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from workbench.measure.speed.simulation import MOODS, Verdicts, simulated
from workbench.measure.speed.study import Ran, real_runs


def main() -> None:
    """Prints the share of each outcome with its exact 95 % interval."""
    asked = _parser().parse_args()
    if asked.simulate:
        for name, mood in MOODS.items():
            for ratio in (1.0, 1.0 + asked.slowdown):
                found = simulated(mood, ratio=ratio, runs=asked.runs, seed=asked.seed, seconds=asked.seconds)
                _print(f"{name}, candidate time × {ratio:g}", found)
        return
    options = {"slowdown": asked.slowdown, "load": asked.load, "seconds": asked.seconds, "seed": asked.seed}
    options["together"] = asked.together
    found, runs = real_runs(asked.runs, **options, told=_tell)
    _print(f"this machine, candidate + {asked.slowdown:.0%} of work, load of {asked.load}", found)
    if asked.out:
        asked.out.write_text(json.dumps({**options, "runs": [ran._asdict() for ran in runs]}, indent=1))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workbench.measure.speed", description=__doc__)
    parser.add_argument("--simulate", action="store_true", help="simulated machines instead of this one")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--slowdown", type=float, default=0.0, help="share of work added to the candidate, e.g. 0.05")
    parser.add_argument("--load", type=int, default=0, help="processes that compete, on and off")
    parser.add_argument("--together", type=int, default=1, help="runs at a time, a load for each other")
    parser.add_argument("--seconds", type=float, default=4.0, help="of a run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="a JSON file for every run")
    return parser


def _print(what: str, found: Verdicts) -> None:
    print(f"{what}: {found.runs} runs of {found.seconds:.1f} s")
    for outcome in ("faster", "slower", "alike", "undecided", "unsteady", "too slow"):
        share, interval = found.share(outcome)
        if share:
            print(f"  {outcome:10} {share:6.1%}   95 % interval {interval.low:.1%} to {interval.high:.1%}")


def _tell(ran: Ran) -> None:
    ratio, control = (f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f})" for one in (ran.ratio, ran.control))
    print(f"{ran.outcome:9} ratio {ratio}, CPU {ran.cpu.value:.3f}, control {control}, {ran.rounds} rounds", flush=True)


if __name__ == "__main__":
    main()
