"""The table that grows while a search runs."""

from __future__ import annotations

from pathlib import Path

from workbench.migrate.tune.sampler import Space
from workbench.migrate.tune.search import Bounds, Outcome, Study
from workbench.migrate.tune.space import Setting
from workbench.migrate.tuning import Params
from workbench.ui.tuning import Growing, newest, table

POINTS = [Setting(threads=threads).point for threads in (1, 2)]
PARAMS = Params(trials=5, minutes=2)


def searched(folder: Path) -> None:
    ends = iter([Outcome("done", (0.0, 1.25, 3.5)), Outcome("unfit", None, {}, "labels change")])
    study = Study(folder / "tuned" / "key", "serve", ("a", "b", "c"), Space.of(POINTS, POINTS[:1]))
    study.search(lambda point, running: next(ends), Bounds(2))


def test_it_says_how_far_the_search_is_and_names_what_was_measured(tmp_path: Path) -> None:
    assert newest(tmp_path) is None
    assert table(None, PARAMS) == ""
    searched(tmp_path)
    text = table(newest(tmp_path), PARAMS)
    assert text.startswith("**2 of at most 5 settings**, 0 of at most 120 s of computing")
    lines = text.splitlines()
    assert lines[2] == "| trial | setting | how it ended | seconds | loss | p99 ms | core-seconds per million |"
    assert lines[4] == "| 0 | eager, 1 thread | measured | 0.0 | 0 | 1.25 | 3.5 |"
    assert lines[5].startswith("| 1 | eager, 2 threads | refused: it does not keep the constraint | 0.0 |  |")


def test_it_draws_what_began_while_it_watched_and_leaves_nothing_else(tmp_path: Path) -> None:
    shown: list[str] = []
    with Growing(tmp_path, PARAMS, shown.append):
        searched(tmp_path)
    assert shown[-1] == table(newest(tmp_path), PARAMS)
    assert newest(tmp_path, since=4e9) is None, "a search of another day"
    shown.clear()
    with Growing(tmp_path / "elsewhere", PARAMS, shown.append):
        pass
    assert shown == [""], "what was to be shown at first is gone"
