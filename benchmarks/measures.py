"""Measures: attributions and bootstrap intervals against the libraries that teams use today, in one run.

Attributions: XGBoost models, one thread. A side explains as many rows at once as suit it, and is compared by its time
per row. Bootstrap: a table of decisions, compared by the time per replicate.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import tables
from benchmarks.guest import Guest, GuestError, timed
from benchmarks.places import CACHE, CannotBuildError, python_of
from benchmarks.shapes import Floats, names, rows, truth
from benchmarks.timing import CONTROL, OURS, Raced, Timed, race

BACKGROUND = 1_000
SHAPES = ((100, 6, 100), (100, 8, 14), (200, 4, 14))
ALIKE = 1e-3
"""Of log-odds: the others add in float32."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Side:
    """A way to explain rows: `ask` gives values [n, M]; units: rows (or replicates) of one call."""

    name: str
    units: int
    timed: Timed
    values: Callable[[], Floats]
    how: str = ""


def main(quick: bool) -> None:
    """Measure, keep the table, write the page."""
    begun = time.monotonic()
    found = [row for shape in (SHAPES[:1] if quick else SHAPES) for row in explained(shape, 2_000 if quick else 5_000)]
    found += list(bootstrapped(20_000 if quick else 100_000))
    table = pd.DataFrame(found)
    tables.keep("measures", table)
    tables.write("benchmarks.md", "measures", page(table, time.monotonic() - begun, quick))


def explained(shape: tuple[int, int, int], asked: int) -> Iterator[Row]:
    """Both kinds of attribution for one shape; asked: rows at once of the sides that take many."""
    booster, file = fitted(shape)
    X, background = rows(asked, 4, features=shape[2]), rows(BACKGROUND, 5, features=shape[2])
    about = {"what": "{} trees, depth {}, {} features".format(*shape), "unit": "row"}
    given = {**about, "measure": "Shapley values, interventional, 1,000 background rows"}
    around = {**about, "measure": "Shapley values, path-dependent"}
    yield from ({**given, **row} for row in compared(_ours(file, X, background), _shap(booster, X, background), 20))
    with tempfile.TemporaryDirectory() as folder, _woodelf(file, X, background, Path(folder)) as other:
        ours = _ours(file, X, background, prepared=False)
        yield from ({**given, **row} for row in compared(ours, other, 150, 30))
    yield from ({**around, **row} for row in compared(_ours(file, X, None), _contributions(booster, X), 20))


def fitted(shape: tuple[int, int, int]) -> tuple[Any, Path]:
    """An XGBoost model of so many trees, depth and features; kept in the cache."""
    import xgboost

    CACHE.mkdir(parents=True, exist_ok=True)
    file = CACHE / "attribution-{}-{}-{}.json".format(*shape)
    if not file.exists():
        X = rows(10_000, 1, features=shape[2])
        dtrain = xgboost.DMatrix(X, truth(X, 2, 2), feature_names=names(shape[2]))
        given = {"max_depth": shape[1], "eta": 0.2, "objective": "binary:logistic", "nthread": 1}
        xgboost.train(given, dtrain, shape[0]).save_model(file)
    booster = xgboost.Booster(model_file=str(file))
    booster.set_param({"nthread": 1})
    return booster, file


def _ours(file: Path, X: Floats, background: Floats | None, *, prepared: bool = True) -> Side:
    """prepared: the tables are made before; else in every call."""
    from workbench.measure.attribution.exact import TreeShapley
    from workbench.models import open_model

    trees = open_model(str(file)).describe().trees
    assert trees is not None
    TreeShapley(trees, background).values(X[:10])  # what is compiled is compiled once
    begun = time.process_time()
    engine = TreeShapley(trees, background)
    spent = f"{time.process_time() - begun:.2f} s of CPU time"
    if not prepared:
        again = trees
        return _here(
            OURS, X, lambda part: TreeShapley(again, background).values(part)[:, :, 0], f"tables too ({spent})"
        )
    return _here(OURS, X, lambda part: engine.values(part)[:, :, 0], f"tables made before, in {spent}")


def _here(name: str, X: Floats, ask: Callable[[Any], Any], how: str = "") -> Side:
    return Side(name, len(X), lambda calls: timed(lambda: ask(X), calls), lambda: np.asarray(ask(X)), how)


def _shap(booster: Any, X: Floats, background: Floats) -> Side:
    import shap

    masker = shap.maskers.Independent(background, max_samples=len(background))
    explainer = shap.TreeExplainer(booster, masker, feature_perturbation="interventional")
    part = X[:5]
    return _here("shap", part, lambda rows: explainer.shap_values(rows, check_additivity=False), "C++, 5 rows at once")


def _contributions(booster: Any, X: Floats) -> Side:
    import xgboost

    part = X[:500]
    given = xgboost.DMatrix(part, feature_names=names(X.shape[1]), nthread=1)

    def ask(part: Floats) -> Floats:
        return np.asarray(booster.predict(given, pred_contribs=True))[:, :-1]

    return _here("xgboost", part, ask, f"pred_contribs, {len(part):,} rows at once, their matrix ready")


@contextmanager
def _woodelf(file: Path, X: Floats, background: Floats, folder: Path) -> Iterator[Side | str]:
    """A side, or why there is none."""
    np.save(folder / "background.npy", background)
    np.save(folder / "rows.npy", X)
    given = {"background": str(folder / "background.npy"), "rows": str(folder / "rows.npy")}
    try:
        guest = Guest(python_of("woodelf"), "benchmarks.woodelf_side", 1)
    except CannotBuildError as error:
        yield f"woodelf: {error}"
        return
    try:
        guest.ask("open", file=str(file), **given)
        how = f"0.4.8, {len(X):,} rows at once, its preparation in every call"
        yield Side("woodelf", len(X), partial(_asked, guest), partial(_answered, guest, folder), how)
    except GuestError as error:
        yield f"woodelf: {error}"
    finally:
        guest.close()


def _asked(guest: Guest, calls: int) -> tuple[int, int]:
    found = guest.ask("time", calls=calls)
    return found["wall"], found["cpu"]


def _answered(guest: Guest, folder: Path) -> Floats:
    guest.ask("answer", to=str(folder / "values.npy"))
    return np.asarray(np.load(folder / "values.npy"))


def compared(ours: Side, other: Side | str, seconds: float, most: int = 10) -> Iterator[Row]:
    """How many times faster ours is by the unit, and how far apart the values are; or why that is not known."""
    if isinstance(other, str):
        yield {"side": other.partition(":")[0], "reason": other}
        return
    off = _apart(ours.values(), other.values())
    about: Row = {"side": other.name, "off": off, "how": other.how, "ours_how": ours.how}
    if not off <= ALIKE:
        yield {**about, "reason": f"values differ by up to {off:.2g}"}
        return
    raced, slow = race({OURS: ours.timed, other.name: other.timed}, block=0.05, seconds=seconds, most=most, seed=3)
    if slow:
        yield {**about, "reason": slow[other.name]}
        return
    raced = by_unit(raced, {OURS: ours.units, other.name: other.units})
    yield {**about, **_ratio(raced, other.name), "reason": ""}


def _apart(ours: Floats, theirs: Floats) -> float:
    """Largest difference on the rows both explained."""
    n = min(len(ours), len(theirs))
    return float(np.abs(ours[:n] - theirs.reshape(len(theirs), -1)[:n]).max())


def by_unit(raced: Raced, units: dict[str, int]) -> Raced:
    scale = np.array([units[OURS if name == CONTROL else name] for name in raced.names])
    return Raced(raced.names, raced.wall / scale, raced.cpu / scale)


def _ratio(raced: Raced, name: str) -> Row:
    wall, cpu, control = raced.ratio(name), raced.ratio(name, "cpu"), raced.ratio(CONTROL)
    return {
        "ours_us": 1e6 * raced.seconds(OURS),
        "us": 1e6 * raced.seconds(name),
        "times": wall.value,
        "low": wall.low,
        "high": wall.high,
        "cpu_times": cpu.value,
        "rounds": len(raced.wall),
        "control_low": control.low,
        "control_high": control.high,
        "stable": raced.stable,
    }


def bootstrapped(n: int, seconds: float = 120) -> Iterator[Row]:
    """10,000 replicates of five rates in ten groups, the counting pass included, against fairlearn's n_boot."""
    rng = np.random.default_rng(6)
    group, target = rng.integers(0, 10, n), (rng.random(n) < 0.3).astype(np.int64)
    decision = (rng.random(n) < 0.2 + 0.4 * target).astype(np.int64)
    draws = 10_000
    given = (group, target, decision)
    about = {"measure": "Bootstrap of five rates in ten groups", "what": f"{n:,} rows", "unit": "replicate"}
    how = "MetricFrame(n_boot=2), its point estimate counted as a third replicate"
    ours = _side(OURS, draws, lambda: _counted(*given, draws), "10,000 replicates, counting included")
    for row in compared(ours, _side("fairlearn", 3, lambda: _framed(*given), how), seconds):
        yield {**about, **row, "off": math.nan}


def _side(name: str, units: int, call: Callable[[], Any], how: str) -> Side:
    return Side(name, units, lambda calls: timed(call, calls), lambda: np.zeros((1, 1)), how)


def _counted(group: Any, target: Any, decision: Any, draws: int) -> Any:
    from workbench.measure import fairness, fairness_gaps
    from workbench.measure.fairness_groups import Groups

    groups = Groups("group", tuple(map(str, range(10))), group)
    return fairness_gaps.draw(fairness.count(groups, target, decision, None), draws)


def _framed(group: Any, target: Any, decision: Any) -> Any:
    from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
    from sklearn.metrics import accuracy_score, precision_score

    metrics = {
        "selection rate": selection_rate,
        "tpr": true_positive_rate,
        "fpr": false_positive_rate,
        "ppv": precision_score,
        "accuracy": accuracy_score,
    }
    return MetricFrame(
        metrics=metrics,
        y_true=target,
        y_pred=decision,
        sensitive_features=group,
        n_boot=2,
        ci_quantiles=[0.025, 0.975],
        random_state=0,
    )


def page(table: pd.DataFrame, seconds: float, quick: bool) -> str:
    """The section of the docs."""
    chosen = ", the quick selection" if quick else ""
    lines = [f"Measured on one thread in {seconds / 60:.0f} minutes{chosen}, on:", ""]
    lines += [f"- {line}" for line in tables.machine()]
    shown = [_line(row) for _, row in table.iterrows()]
    head = ("measure", "of", "against", "times faster", "CPU", "ours, µs", "theirs, µs", "per", "apart", "how")
    return "\n".join([*lines, "", tables.markdown(head, shown)])


def _line(row: Any) -> tuple[object, ...]:
    about = (row["measure"], row["what"], row["side"])
    if row["reason"]:
        return (*about, "not timed", "", "", "", row["unit"], "", row["reason"])
    wanted = ("times", "low", "high", "cpu_times", "ours_us", "us")
    times, low, high, cpu, ours, theirs = (tables.number(float(row[name])) for name in wanted)
    faster = f"**{times}×** [{low}, {high}]{'' if row['stable'] else ' ~'}"
    off = "" if pd.isna(row.get("off")) else f"{row['off']:.1e}"
    return (*about, faster, f"{cpu}×", ours, theirs, row["unit"], off, f"{row['how']}; ours: {row['ours_how']}")
