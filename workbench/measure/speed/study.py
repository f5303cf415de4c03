"""The decision rule on this very machine: how often it is wrong about equal models, and what it finds of a slow-down.

Both models are small Python functions of known work, each in a process of its own that is started anew for every run,
so that what two processes of one model differ by is in the result. Load is other processes, computing on and off.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from workbench.measure.intervals import Estimate
from workbench.measure.speed.sides import Scenario, race, sides
from workbench.measure.speed.simulation import Verdicts
from workbench.models import open_model

if TYPE_CHECKING:
    import pandas as pd

WORK = """
import numpy as np

NUMBERS = np.random.default_rng(0).random(4_000)

def work(rows, units):
    for _ in range(units):
        np.sort(NUMBERS)
    return np.full(len(rows), 0.5)

def before(rows):
    return work(rows, {before})

def after(rows):
    return work(rows, {after})
"""

BURN = """
import random, sys, time
rng = random.Random(int(sys.argv[1]))
while True:
    end = time.monotonic() + rng.expovariate(1 / 0.6)
    while time.monotonic() < end:
        sum(range(1000))
    time.sleep(rng.expovariate(1 / 0.9))
"""
"""Computes for 0.6 s on average, then rests for 0.9 s."""


class Ran(NamedTuple):
    """One run. outcome: "unsteady" where the control gave no verdict; ratio, cpu: legacy time / candidate time, by wall
    and by CPU time; seconds: it took, starting both processes included."""

    outcome: str
    ratio: Estimate
    cpu: Estimate
    control: Estimate
    rounds: int
    seconds: float


def real_runs(
    runs: int,
    *,
    slowdown: float = 0.0,
    load: int = 0,
    seconds: float = 4.0,
    units: int = 800,
    seed: int = 0,
    together: int = 1,
    told: Callable[[Ran], None] = lambda ran: None,
) -> tuple[Verdicts, tuple[Ran, ...]]:
    """What `runs` comparisons of two models on this machine say.

    slowdown: of the candidate, as a share of its work: 0 compares a model with itself, and every "faster" or "slower"
    is false; 0.05 is found where they say "slower". load: processes that compete. seconds: of a run, its start apart.
    units: of work in an answer, 1 / slowdown or a multiple of it; few, and what it costs to ask at all dilutes the
    slow-down. together: runs at a time, which disturb each other as any other load does. told: hears each run as it
    ends.
    """
    import pandas as pd

    frame = pd.DataFrame({"x": [0.0] * 4})
    with tempfile.TemporaryDirectory() as name, loaded(load, seed):
        folder = Path(name)
        (folder / "known_work.py").write_text(WORK.format(before=units, after=round(units * (1 + slowdown))))

        def run(number: int) -> Ran:
            ran = _run(folder, frame, seconds, seed + number)
            told(ran)
            return ran

        with ThreadPoolExecutor(together) as pool:
            done = list(pool.map(run, range(runs)))
    counts = Counter(ran.outcome for ran in done)
    return Verdicts(dict(counts), sum(ran.seconds for ran in done) / max(runs, 1)), tuple(done)


def _run(folder: Path, frame: pd.DataFrame, seconds: float, seed: int) -> Ran:
    start = time.monotonic()
    models = [open_model(f"python:known_work:{name}", folder=folder, task="binary") for name in ("before", "after")]
    try:
        with sides(models[0], models[1], frame.iloc[:1]) as pair:
            raced, _ = race(pair, frame, (Scenario("1 row", 1),), seconds=seconds, seed=seed)
    finally:
        for model in models:
            model.close()
    found, spent = raced.timings[0].found, time.monotonic() - start
    if found is None:
        nothing = Estimate(float("nan"))
        return Ran("too slow", nothing, nothing, nothing, 0, spent)
    outcome = found.outcome if raced.verdicts else "unsteady"
    return Ran(outcome, found.speed_up, found.cpu_speed_up, found.control, found.rounds, spent)


@contextmanager
def loaded(processes: int, seed: int = 0) -> Iterator[None]:
    """While other processes compete for the cores, on and off."""
    burning = [subprocess.Popen([sys.executable, "-c", BURN, str(seed + number)]) for number in range(processes)]
    try:
        yield
    finally:
        for process in burning:
            process.kill()
            process.wait()
