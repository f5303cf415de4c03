"""The search for how to serve a candidate, from its rows to the file that is written."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.evidence import Chart, Finding, Measure, Series, Status, Table
from workbench.measure.speed.statistics import LEVEL
from workbench.migrate import tuning as its
from workbench.migrate.tune import told
from workbench.migrate.tune.batches import batches, best
from workbench.migrate.tune.constraint import Rule, rule_of
from workbench.migrate.tune.racing import Raced, race
from workbench.migrate.tune.search import Bounds, Study, Trial
from workbench.migrate.tune.serve import NAMES, Bench, Effort
from workbench.migrate.tune.space import Machine, Setting, candidate, space
from workbench.migration import Task
from workbench.models import Model, ModelError
from workbench.models.protocol import Outputs

if TYPE_CHECKING:
    import pandas as pd

    from workbench.data import Table as Rows

KNOWN = "reference"
CONFIRM = 3
"""Settings of the front that may be confirmed, until one holds."""


def stage(model: Model, train: Rows, task: Task, folder: Path, params: its.Params) -> Iterator[Finding]:
    """Search, confirm on rows that were held back, find the batch, write. Raises ModelError, StudyError."""
    path = Path(str(getattr(model, "path", None) or getattr(model, "uri", "")))
    model.close()  # the settings are opened in processes of their own
    if model.format != "torch" or not path.is_file():
        raise ModelError(f"the candidate is {model.format}: what is tuned is a .pt2 file that the workbench made")
    frame = train.sample(2 * params.rows, params.seed)
    if len(frame) < 100:
        raise ModelError(f"{len(frame)} training rows are too few to search with and confirm on: give at least 100")
    order = np.random.default_rng(params.seed).permutation(len(frame))
    search, held = (frame.iloc[np.sort(part)].reset_index(drop=True) for part in np.array_split(order, 2))
    of, machine = candidate(path), Machine.here()
    asked, absent = space(of, machine, params.batch)
    study = Study(folder, "serve", NAMES, asked, storage=params.storage, seed=params.seed)
    known = dict(study.optuna.user_attrs.get(KNOWN, {}))
    effort = Effort(params.seconds, params.batch, params.timeout, params.memory_mb, params.seed)
    bounds = Bounds(params.trials, params.minutes, params.money, params.price_per_hour)
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(of, search, rule_of(model, search, task, params), effort, Path(scratch), known)
        bench.keep = lambda found: study.optuna.set_user_attr(KNOWN, dict(found))
        try:
            ended = study.search(bench, bounds)
            yield from _findings(study, ended, bench, held, rule_of(model, held, task, params), folder, params)
        finally:
            bench.close()
    yield from told.unsearched(its.ABSENT, absent)


def _findings(
    study: Study, ended: str, bench: Bench, held: pd.DataFrame, rule: Rule, folder: Path, params: its.Params
) -> Iterator[Finding]:
    trials = study.trials()
    words = {one.number: Setting.of(one.point).words for one in trials}
    confirmed, chosen = _confirmed(trials, bench, held, rule, params)
    yield told.searched(its.SEARCH, study, trials, ended, words)
    yield told.fronted(its.FRONT, study, trials, words, chosen.number if chosen else None)
    yield told.mattered(its.MATTERED, study)
    yield from confirmed
    if chosen is None:
        yield its.MADE.absent("no setting held on rows the search never saw: the candidate stays as it is")
        return
    setting = Setting.of(chosen.point)
    yield _batch(bench, setting, held)
    home = folder / f"trial-{chosen.number}"
    files = bench.write(setting, home)
    price = _cost(chosen, params)
    yield told.written(
        its.MADE, files, folder.parent.parent, f"A candidate served by {setting.words} is written", price
    )


def ranked(trials: tuple[Trial, ...], choose: str) -> list[Trial]:
    """The front, the one to take first, then the others by the same measure."""
    found = told.on_front(trials)
    if choose == "knee":
        middle = told.at_knee(trials)
        return sorted(found, key=lambda one: (middle is None or one.number != middle.number, told.value(one, 2)))
    return sorted(found, key=lambda one: told.value(one, 1 if choose == "fastest" else 2))


def _confirmed(
    trials: tuple[Trial, ...], bench: Bench, held: pd.DataFrame, rule: Rule, params: its.Params
) -> tuple[list[Finding], Trial | None]:
    """The choice measured again, and the next of the front where it does not hold."""
    found: list[Finding] = []
    before = bench.reference.predict(held)
    for trial in ranked(trials, params.choose)[:CONFIRM]:
        finding, holds = _again(trial, bench.reference, before, bench, held, rule)
        found.append(finding)
        if holds:
            return found, trial
    return found, None


def _again(
    trial: Trial, first: Any, before: Outputs, bench: Bench, held: pd.DataFrame, rule: Rule
) -> tuple[Finding, bool]:
    setting = Setting.of(trial.point)
    try:
        model: Any = bench.opened(setting)
    except ModelError as error:
        return its.CONFIRMED.absent(str(error), setting.words), False
    try:
        kept = rule.kept(before, model.predict(held))
        if kept.reason:
            text = f"On {len(held):,} rows the search never saw, {kept.reason}"
            return its.CONFIRMED.found(text, setting.words, status=Status.WARN, reason=kept.reason), False
        seconds, seed = bench.effort.seconds, bench.effort.seed + 2
        single = race(first.timed, model.timed, held.iloc[:1], seconds=seconds, seed=seed)
        many = held.iloc[np.resize(np.arange(len(held)), bench.effort.batch)].reset_index(drop=True)
        batch = race(first.timed, model.timed, many, seconds=seconds, seed=seed)
    except ModelError as error:
        return its.CONFIRMED.absent(str(error), setting.words), False
    finally:
        model.close()
    return _told_again(setting, kept.told, single, batch, len(held)), True


def _told_again(setting: Setting, kept: Any, single: Raced, batch: Raced, n: int) -> Finding:
    ratios = [("1 row", single), ("a batch", batch)]
    rows = tuple((name, 1 / one.ratio.value, 1 / one.ratio.high, 1 / one.ratio.low) for name, one in ratios)
    speed = Table(title="Times faster than the candidate as it is", columns=("of", "x", "low", "high"), rows=rows)
    answers = Table(
        title="Against the candidate's own answers",
        columns=("largest difference", "labels that change"),
        rows=((kept["difference"], kept["flips"]),),
        units=("", "share"),
    )
    change = Measure(value=rows[1][1], low=rows[1][2], high=rows[1][3], level=LEVEL, unit="x", n=n)
    title = f"It holds on {n:,} rows the search never saw, where it answers a batch {rows[1][1]:.2f} times as fast"
    return its.CONFIRMED.found(title, setting.words, change=change, status=Status.INFO, details=(speed, answers))


def _batch(bench: Bench, setting: Setting, held: pd.DataFrame) -> Finding:
    """The largest batch that fits, and the best, of the chosen setting."""
    bench.effort = replace(bench.effort, timeout=max(60.0, bench.effort.timeout))
    try:
        model: Any = bench.opened(setting)
    except ModelError as error:
        return its.BATCH.absent(str(error))
    try:
        tried = list(batches(model, held, seconds=bench.effort.seconds * 2))
    finally:
        model.close()
    taken, fits = best(tried), [one for one in tried if one.rate]
    if taken is None or taken.rate is None:
        return its.BATCH.absent(tried[0].reason if tried else "there was no time to try one")
    line = Series(name="rows a second", x=tuple(float(one.rows) for one in fits), y=tuple(one.rate for one in fits))
    chart = Chart(kind="line", title="Rows a second by batch", x="rows at once", y="rows/s", series=(line,))
    table = Table(
        title="Batches", columns=("rows at once", "rows/s", "why not"), rows=tuple(tuple(one) for one in tried)
    )
    return its.BATCH.found(
        f"{taken.rows:,} rows at once answer most a second; {fits[-1].rows:,} is the most that was tried and fits",
        status=Status.INFO,
        candidate=Measure(value=taken.rate, unit="rows/s", n=taken.rows),
        details=(chart, table),
    )


def _cost(chosen: Trial, params: its.Params) -> list[Table]:
    """What a million predictions cost, in core-seconds and, with a price of the machine, in money."""
    value, low, high = chosen.told["cost"]
    rows: list[tuple[str, float, float, float]] = [("core-seconds", value, low, high)]
    if params.price_per_hour:
        share = params.price_per_hour / 3600 / Machine.here().cores
        rows.append(("money, at price_per_hour and a full machine", value * share, low * share, high * share))
    columns = ("a million predictions take", "value", "low", "high")
    return [Table(title="What it costs", columns=columns, rows=tuple(rows))]
