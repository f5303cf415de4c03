"""The search itself: what is asked, what survives a kill, and what is worth choosing from."""

from __future__ import annotations

import itertools
import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna._hypervolume import wfg

from workbench.migrate.tune import front as fronts
from workbench.migrate.tune.sampler import Space, Steady, key
from workbench.migrate.tune.search import Bounds, Outcome, Running, Study, read_trials
from workbench.migrate.tune.storage import JOURNAL, StudyError, open_storage

POINTS = [{"engine": e, "threads": t} for e, t in itertools.product(("eager", "portable", "onnx"), (1, 2, 4))]
SPACE = Space.of(POINTS, POINTS[:1])


def value(point: Any) -> tuple[float, float]:
    slow = {"eager": 1.0, "portable": 3.0, "onnx": 2.0}[point["engine"]]
    return slow / point["threads"], slow * point["threads"] ** 0.5


def measured(point: Any, running: Running) -> Outcome:
    return Outcome("done", value(point))


def study(folder: Path, **more: Any) -> Study:
    return Study(folder, "serve", ("a", "b"), SPACE, **more)


# ------------------------------------------------------------------------------------- the front


def brute_front(values: list[tuple[float, ...]]) -> set[tuple[float, ...]]:
    def beats(one: tuple[float, ...], two: tuple[float, ...]) -> bool:
        return one != two and all(a <= b for a, b in zip(one, two))

    return {one for one in values if not any(beats(other, one) for other in values)}


@pytest.mark.parametrize("m", [1, 2, 3])
def test_the_front_is_that_of_brute_force(m: int) -> None:
    rng = np.random.default_rng(m)
    for n in (1, 2, 7, 30):
        values = [tuple(row) for row in rng.integers(0, 6, (n, m)).astype(float)]
        places = fronts.front(values)
        assert {values[place] for place in places} == brute_front(values)
        assert len(places) == len(brute_front(values)), "of equal points one stays"


def test_the_knee_is_nearest_the_ideal_and_the_cheapest_is_inside() -> None:
    values = [(0.0, 10.0), (1.0, 2.0), (10.0, 0.0), (11.0, 11.0)]
    assert fronts.knee(values) == 1
    assert fronts.knee([]) is None
    assert fronts.knee([(1.0, 1.0)]) == 0
    assert fronts.cheapest([3.0, 1.0, 2.0], [True, False, True]) == 2
    assert fronts.cheapest([1.0], [False]) is None


# ------------------------------------------------------------------------------------- the search


def test_a_finite_space_is_searched_once_through_and_then_is_over(tmp_path: Path) -> None:
    made = study(tmp_path)
    assert made.search(measured, Bounds(100)) == "every setting of the space"
    found = made.trials()
    assert sorted(key(one.point) for one in found) == sorted(map(key, POINTS)), "each setting, and none twice"
    assert found[0].point == POINTS[0], "the candidate as it is comes first"
    assert all(one.values == value(one.point) for one in found)
    assert made.search(measured, Bounds(100)) == "every setting of the space"
    assert len(made.trials()) == len(POINTS)


def test_the_bounds_count_what_was_done_before(tmp_path: Path) -> None:
    ticks = itertools.count(0, 30)
    made = study(tmp_path)
    assert made.search(measured, Bounds(3)) == "3 trials"
    assert study(tmp_path).search(measured, Bounds(3)) == "3 trials", "no fourth in another process"
    assert made.search(measured, Bounds(100, minutes=1), clock=lambda: next(ticks)) == "1 minutes"
    assert sum(one.seconds for one in made.trials()) == pytest.approx(60, abs=1)
    before = len(made.trials())
    assert made.search(measured, Bounds(100, money=0.1, price_per_hour=6.0)) == "0.1 of money"
    assert len(made.trials()) == before, "a minute at 6 an hour has cost it"


def test_every_way_to_end_is_recorded_and_the_search_goes_on(tmp_path: Path) -> None:
    ends = iter(["done", "crashed", "memory", "nan", "unfit", "dominated", "slow", "done", "done"])

    def odd(point: Any, running: Running) -> Outcome:
        end: Any = next(ends)
        return Outcome(end, value(point) if end == "done" else None, {"note": 1.5}, "" if end == "done" else "because")

    made = study(tmp_path)
    made.search(odd, Bounds(9))
    found = [one.end for one in made.trials()]
    assert found == ["done", "crashed", "memory", "nan", "unfit", "dominated", "slow", "done", "done"]
    assert [one.reason for one in made.trials()][1:7] == ["because"] * 6
    assert all(one.told["note"] == 1.5 for one in made.trials())
    assert [one.end for one in read_trials(tmp_path, "serve")] == found, "as plain data, from the journal alone"
    assert read_trials(tmp_path, "train") == ()


def test_a_journal_that_was_cut_short_is_mended(tmp_path: Path) -> None:
    study(tmp_path).search(measured, Bounds(4))
    path = tmp_path / JOURNAL
    whole = path.read_bytes()
    for cut in (1, 7, 40):
        path.write_bytes(whole[:-cut])
        again = study(tmp_path)
        again.search(measured, Bounds(4))
        assert [json.loads(line) for line in path.read_text().splitlines()]
        assert [one.values for one in again.trials()] == [value(one.point) for one in again.trials()]
        assert len(again.trials()) == 4


def forked(folder: Path, seconds: float) -> int:
    """A process that searches; each of its trials takes `seconds` and leaves a line behind. Its number."""
    number = os.fork()
    if number:
        return number

    def slow(point: Any, running: Running) -> Outcome:
        time.sleep(seconds)
        with (folder / "ran.txt").open("a") as file:
            file.write(json.dumps(point) + "\n")
        return measured(point, running)

    try:
        study(folder).search(slow, Bounds(9))
    finally:
        os._exit(0)


def ended(number: int) -> bool:
    return os.waitpid(number, os.WNOHANG)[0] != 0


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    """kill -9 at ever other moments: no trial lost, none told twice, and the very search that runs undisturbed."""
    undisturbed = study(tmp_path / "undisturbed")
    undisturbed.search(measured, Bounds(9))
    folder, moments = tmp_path / "killed", np.random.default_rng()
    folder.mkdir()
    for kill in range(8):
        number = forked(folder, 0.05)
        time.sleep(float(moments.uniform(0.02, 0.3)))
        assert not ended(number) or kill > 2, "it was to be killed"
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(number, signal.SIGKILL)
            os.waitpid(number, 0)
    os.waitpid(forked(folder, 0.0), 0)
    found = read_trials(folder, "serve")
    assert [one.point for one in found] == [one.point for one in undisturbed.trials()]
    assert [one.values for one in found] == [one.values for one in undisturbed.trials()]
    told = optuna.load_study(study_name="serve", storage=open_storage(folder)).get_trials()
    assert sum(one.state is optuna.trial.TrialState.COMPLETE for one in told) == 9, "none was told twice"


@pytest.mark.slow
def test_two_processes_share_one_study(tmp_path: Path) -> None:
    for number in [forked(tmp_path, 0.1) for _ in range(2)]:
        os.waitpid(number, 0)
    found = read_trials(tmp_path, "serve")
    assert sorted(key(one.point) for one in found) == sorted(map(key, POINTS)), "each setting once"
    ran = (tmp_path / "ran.txt").read_text().splitlines()
    assert len(ran) == len(set(ran)) == 9


def test_a_worker_that_lives_keeps_its_trial_and_a_dead_one_gives_it_up(tmp_path: Path) -> None:
    made, other = study(tmp_path), study(tmp_path)
    seen: list[Any] = []

    def meanwhile(point: Any, running: Running) -> Outcome:
        if not seen:
            seen.append(point)
            other.search(measured, Bounds(3))
            seen.append([one.end for one in other.trials()])
        return measured(point, running)

    made.search(meanwhile, Bounds(3))
    assert seen[1] == [None, "done", "done"], "the first is at work, and was not taken from it"
    assert [one.end for one in made.trials()] == ["done"] * 3


def test_a_database_is_a_storage_and_a_password_is_not_for_evidence(tmp_path: Path, monkeypatch: Any) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    monkeypatch.setenv("STUDY", url)
    made = study(tmp_path, storage="env:STUDY")
    made.search(measured, Bounds(2))
    assert len(read_trials(tmp_path, "serve", url)) == 2
    for given, said in (
        ("postgresql://me:secret@host/db", "holds a password"),
        ("env:NOWHERE", "NOWHERE, which is not set"),
        ("sqlite:////nowhere/at/all.db", "does not open"),
    ):
        with pytest.raises(StudyError, match=said) as error:
            open_storage(tmp_path, given)
        assert "secret" not in str(error.value)


# ------------------------------------------------------------------------------------- a known optimum


def surface() -> tuple[list[dict[str, Any]], Any, Any]:
    """A closed-form serving space: engine, precision, threads, rows, members; with cost of a trial by setting.

    Planted: blocks of 1,024 rows on 4 threads are best, and worse the further a setting is from them.
    """
    engines = {"eager": 1.0, "portable": 2.4, "inductor": 0.55, "aot": 0.5, "onnx": 0.75}
    precisions = {"as made": (1.0, 0.0), "float32": (0.7, 0.001), "bfloat16": (0.5, 0.02), "int8": (0.45, 0.09)}
    points = [
        {"engine": e, "precision": p, "threads": t, "rows": r}
        for e, p, t, r in itertools.product(engines, precisions, (1, 2, 4, 8), (64, 256, 1024, 4096))
    ]

    def values(point: Any) -> tuple[float, float, float]:
        factor, lost = precisions[point["precision"]]
        away = abs(np.log2(point["threads"] / 4)), abs(np.log2(point["rows"] / 1024)) / 2
        work = engines[point["engine"]] * factor
        return lost, work * (1 + 1.2 * away[0] + 0.3 * away[1]), work * (1 + 0.3 * away[0] + 1.2 * away[1])

    def price(point: Any) -> float:
        return 1.0 + (3.0 if point["engine"] in ("inductor", "aot") else 0.0)

    return points, values, price


def share_found(seed: int, share: float, sampler: Any = None) -> float:
    """Share of the grid's hypervolume that a search of `share` of the grid's cost reaches."""
    points, values, price = surface()
    every = np.array([values(one) for one in points])
    worst = every.max(axis=0) * 1.05
    space = Space.of(points, points[:1])
    drawn = sampler or Steady(space, seed)
    made = optuna.create_study(sampler=drawn, directions=["minimize"] * 3)
    budget, spent, found = share * sum(map(price, points)), 0.0, list[tuple[float, ...]]()
    while True:
        asked = made.ask(dict(space.choices))
        spent += price(asked.params)
        if spent > budget:
            return float(wfg.compute_hypervolume(np.array(found), worst) / wfg.compute_hypervolume(every, worst))
        found.append(values(asked.params))
        made.tell(asked, list(found[-1]))


@pytest.mark.slow
def test_a_quarter_of_the_grids_cost_finds_the_planted_best_region() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found = [share_found(seed, 0.25) for seed in range(20)]
    assert min(found) >= 0.95, sorted(found)
