"""Several trials at a time: the same search however fast each is, stopped as a whole, and gone on with after a kill."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from workbench.migrate.tune.halving import Halving
from workbench.migrate.tune.sampler import Point, Space, key
from workbench.migrate.tune.search import Bounds, Objective, Outcome, Running, Study, Trial, read_trials

SPACE = Space(
    {"width": CategoricalDistribution((64, 128, 256)), "rate": FloatDistribution(1e-4, 1e-1, log=True)},
    (),
    ({"width": 128, "rate": 1e-3},),
)
EPOCHS = 9


def study(folder: Path) -> Study:
    return Study(folder, "train", ("check",), SPACE, startup=4, pruner=Halving(min_resource=2, reduction_factor=3))


def check(point: Point, epoch: int) -> float:
    """A training's curve in closed form, best at a rate of 0.01."""
    return float(abs(np.log10(point["rate"]) + 2) + 64 / point["width"] + 1 / epoch)


def trains(pause: Callable[[], float] = lambda: 0.0) -> Objective:
    def tried(point: Point, running: Running) -> Outcome:
        for epoch in range(1, EPOCHS + 1):
            time.sleep(pause())
            if running.report(epoch, check(point, epoch)):
                return Outcome("pruned", None, {"epochs": epoch}, "weaker than others")
        return Outcome("done", (check(point, EPOCHS),), {"epochs": EPOCHS})

    return tried


def searched(folder: Path, at_once: int, trials: int = 12, pause: Callable[[], float] = lambda: 0.0) -> Study:
    made = study(folder)
    made.search(trains(pause), Bounds(trials), beside=[trains(pause)] * (at_once - 1))
    return made


def story(found: tuple[Trial, ...]) -> list[tuple[Any, ...]]:
    return [(one.point, one.end, one.values, one.told.get("epochs")) for one in found]


def test_as_many_at_a_time_are_the_same_search_whoever_is_faster(tmp_path: Path) -> None:
    dice = random.Random(7)
    told = [story(searched(tmp_path / str(run), 3, pause=lambda: dice.random() * 0.002).trials()) for run in range(2)]
    assert told[0] == told[1] == story(searched(tmp_path / "at once", 3).trials())
    assert len({key(point) for point, *_ in told[0]}) == 12, "none twice, although those of a round know nothing"
    assert {end for _, end, *_ in told[0]} == {"done", "pruned"}


def test_one_at_a_time_is_what_it_always_was(tmp_path: Path) -> None:
    alone = searched(tmp_path / "alone", 1).trials()
    assert [one.number for one in alone] == list(range(12))
    assert story(alone)[0][0] == {"width": 128, "rate": 1e-3}, "the first that is given comes first"
    assert story(alone) != story(searched(tmp_path / "three", 3).trials()), "a round is proposed knowing less"


def test_a_bound_cuts_a_round_short(tmp_path: Path) -> None:
    assert len(searched(tmp_path, 4, trials=6).trials()) == 6


def test_what_goes_wrong_in_one_ends_all_of_them(tmp_path: Path) -> None:
    reached: list[int] = []

    def broken(point: Point, running: Running) -> Outcome:
        running.report(1, 1.0)
        raise ValueError("a fault of ours")

    def patient(point: Point, running: Running) -> Outcome:
        for epoch in range(1, 10_000):
            reached.append(epoch)
            running.report(epoch, 0.0)
        return Outcome("done", (0.0,))

    made = study(tmp_path)
    with pytest.raises(ValueError, match="a fault of ours"):
        made.search(broken, Bounds(4), beside=[patient])
    assert max(reached) < 9_999
    assert len(searched(tmp_path, 2, trials=4).trials()) == 4, "both are taken up again"


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [1, 2])
def test_killed_at_any_moment_it_goes_on_and_nothing_is_lost(at_once: int, tmp_path: Path) -> None:
    """Pruned trials too: what a killed trial had reported counts once, so one at a time is the undisturbed search."""
    seed = int(os.environ.get("WORKBENCH_SEED", time.time_ns() % 10**6))
    print(f"WORKBENCH_SEED={seed}")
    moments, folder = random.Random(seed), tmp_path / "killed"
    for _ in range(5):
        number = forked(folder, at_once, 0.01)
        time.sleep(moments.uniform(0.05, 0.5))
        os.kill(number, signal.SIGKILL)
        os.waitpid(number, 0)
    os.waitpid(forked(folder, at_once, 0.0), 0)
    found = read_trials(folder, "train")
    assert len({key(one.point) for one in found}) == len(found) == 12
    assert {one.end for one in found} == {"done", "pruned"}
    if at_once == 1:
        assert story(found) == story(searched(tmp_path / "undisturbed", 1).trials())


def forked(folder: Path, at_once: int, seconds: float) -> int:
    """A process that searches, `seconds` an epoch. Its number."""
    number = os.fork()
    if number:
        return number
    try:
        searched(folder, at_once, pause=lambda: seconds)
    finally:
        os._exit(0)
