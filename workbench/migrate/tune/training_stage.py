"""The search for a better network: recipes, weak ones stopped early, the best trained once more and written."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution

from workbench.evidence import Chart, Finding, Measure, Series, Status, Table
from workbench.migrate import tuning as its
from workbench.migrate.retraining.recipe import Recipe
from workbench.migrate.tune import told
from workbench.migrate.tune.constraint import rule_of
from workbench.migrate.tune.halving import Halving
from workbench.migrate.tune.sampler import Point, Space
from workbench.migrate.tune.search import Bounds, Objective, Outcome, Running, Study, Trial
from workbench.migrate.tune.trainer import Trainer
from workbench.migration import Roles, Task
from workbench.models import Model, ModelError

if TYPE_CHECKING:
    import pandas as pd

    from workbench.data import Table as Rows
    from workbench.migrate.retraining.prepared import Prepared
    from workbench.migrate.retraining.training import Trained

Train = Callable[[Recipe, Callable[[int, float], bool]], Outcome]
"""A recipe trained, and what hears of its epochs: see `trainer.train_at`."""
NAMES = ("check",)
"""Log-loss (of values: RMSE, in standard deviations) on the rows training is checked on."""
CHOICES: Mapping[str, Any] = {
    "family": CategoricalDistribution(("tabm", "mlp", "realmlp")),
    "width": CategoricalDistribution((64, 128, 256)),
    "depth": CategoricalDistribution((1, 2, 3)),
    "learning_rate": FloatDistribution(3e-4, 1e-2, log=True),
    "weight_decay": FloatDistribution(1e-6, 1e-1, log=True),
    "batch_size": CategoricalDistribution((128, 256, 512)),
    "embeddings": CategoricalDistribution(("piecewise", "periodic", "none")),
}


def space() -> Space:
    """The recipes that are searched; the default one is the first."""
    first = Recipe()
    return Space(CHOICES, (), ({name: getattr(first, name) for name in CHOICES},))


def recipe_of(point: Point, params: its.Params) -> Recipe:
    """Raises ValueError where a choice is out of its range."""
    return replace(Recipe(), **point, epochs=params.epochs, seed=params.seed)


def objective(train: Train, params: its.Params) -> Objective:
    """A trial: one recipe trained; the same code here and on a cluster."""

    def tried(point: Point, running: Running) -> Outcome:
        return train(recipe_of(point, params), running.report)

    return tried


def stage(legacy: Model, train: Rows, task: Task, roles: Roles, folder: Path, params: its.Params) -> Iterator[Finding]:
    """Search, train the best again, confirm on held-back rows, write. Raises ModelError, StudyError."""
    from workbench.migrate.retraining.prepared import prepare

    frame = train.sample(2 * params.rows, params.seed)
    order = np.random.default_rng(params.seed).permutation(len(frame))
    search, held = (frame.iloc[np.sort(part)].reset_index(drop=True) for part in np.array_split(order, 2))
    prepared = prepare(legacy, search, task, roles, seed=params.seed)
    study = Study(
        folder,
        "train",
        NAMES,
        space(),
        storage=params.storage,
        seed=params.seed,
        pruner=Halving(min_resource=2, reduction_factor=3),
    )
    bounds = Bounds(params.trials, params.minutes, params.money, params.price_per_hour)
    ended = _searched(study, prepared, bounds, params)
    yield from _findings(study, ended, params)
    best = min(told.done(study.trials()), key=lambda one: one.values or (), default=None)
    if best is None:
        yield its.MADE.absent("no recipe was trained to its end: see tuning/search for how each ended")
        return
    yield from _made(best, prepared, legacy, held, task, folder, params)


def _searched(study: Study, prepared: Prepared, bounds: Bounds, params: its.Params) -> str:
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    with _places(prepared, params, device) as places:
        first, *beside = [objective(place, params) for place in places]
        return study.search(first, bounds, beside=beside)


@contextlib.contextmanager
def _places(prepared: Prepared, params: its.Params, device: str) -> Iterator[Sequence[Train]]:
    """Where trainings run, as many as go on at once. device: of all of them, wherever they are."""
    if params.engine == "ray":
        from workbench.migrate.tune.on_ray import places

        with places(prepared, params.at_once, params.memory_mb, device) as remote:
            yield remote
        return
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        here = [Trainer(prepared, Path(folder) / str(n), params.memory_mb, device) for n in range(params.at_once)]
        for one in here:
            stack.callback(one.close)
        yield here


def _findings(study: Study, ended: str, params: its.Params) -> Iterator[Finding]:
    trials = study.trials()
    words = {one.number: told.in_words(one.point) for one in trials}
    best = min(told.done(trials), key=lambda one: one.values or (), default=None)
    yield told.searched(its.SEARCH, study, trials, ended, words)
    yield told.fronted(its.FRONT, study, trials, words, best.number if best else None)
    yield told.mattered(its.MATTERED, study)


def _made(
    best: Trial, prepared: Prepared, legacy: Model, held: pd.DataFrame, task: Task, folder: Path, params: its.Params
) -> Iterator[Finding]:
    """The best recipe trained to the same weights once more, here, written, and held against the legacy model."""
    from workbench.migrate.retraining.exporting import export, lifted
    from workbench.migrate.retraining.training import train

    home = folder / f"trial-{best.number}"
    trained = train(recipe_of(best.point, params), prepared, folder=home / "training")
    files = export(trained, prepared, home / "candidate.pt2")
    rule = rule_of(legacy, held, task, params.model_copy(update={"hold": "quality"}))
    try:
        found = rule.compared(legacy.predict(held), lifted(trained, prepared).predict(held))
    except ModelError as error:
        yield its.CONFIRMED.absent(str(error))
    else:
        change = found.change
        assert change is not None
        holds = change.high <= params.margin
        said = "is not worse than" if holds else "is not shown to be as good as"
        yield its.CONFIRMED.found(
            f"On {found.n:,} rows the search never saw it {said} the legacy model, within {params.margin:g} "
            f"of {found.metric.title.lower()}",
            legacy=Measure(
                value=found.legacy.value, low=found.legacy.low, high=found.legacy.high, level=0.95, n=found.n
            ),
            change=Measure(value=change.value, low=change.low, high=change.high, level=0.95, n=found.n),
            status=Status.INFO if holds else Status.WARN,
            reason="" if holds else "the interval of the change reaches beyond the margin",
        )
    title = f"A network by trial {best.number} is written: {told.in_words(best.point)}"
    yield told.written(its.MADE, files, folder.parent.parent, title, [*_curve(trained)])


def _curve(trained: Trained) -> Iterator[Any]:
    numbers = tuple(float(one.epoch) for one in trained.curve)
    lines = {"loss": [one.loss for one in trained.curve], "check": [one.check for one in trained.curve]}
    series = tuple(Series(name=name, x=numbers, y=tuple(values)) for name, values in lines.items())
    yield Chart(kind="line", title="Learning", x="epoch", y="loss", series=series)
    rows = tuple((one.epoch, one.loss, one.check, one.metric) for one in trained.curve)
    yield Table(title="Learning", columns=("epoch", "loss", "check", "metric"), rows=rows)
