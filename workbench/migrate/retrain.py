"""Retrain: teach a torch network what the legacy model does, from training rows. Whether it is as good, parity says.

It runs on request: a lift is exact and needs neither training rows nor minutes, so the journey never waits for this
one, and a person decides which of the two is the candidate.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from workbench import audit
from workbench.audit import Kind
from workbench.evidence import Finding
from workbench.migrate.retraining.recipe import Recipe, recipe_of
from workbench.migration import Roles, Task
from workbench.models import Model, ModelError

if TYPE_CHECKING:
    from workbench.data import Table as Rows
    from workbench.migrate.retraining.prepared import Prepared
    from workbench.migrate.retraining.training import Trained

QUESTION = "Can a network learn what the legacy model does?"
MAKES = "alternative"
ON_REQUEST = True
NAME = "candidate.pt2"

CURVE = Kind(
    id="retrain/curve",
    title="How the network learnt",
    why="A curve that still falls was stopped too early; a loss that falls while the check rises has learnt by heart.",
    fix="Still falling: more epochs. Rising check: less width, more dropout or weight decay, or more rows.",
)
ROWS = Kind(
    id="retrain/rows",
    title="What it learnt from",
    why="A network that saw the truth, the future or the same customer twice looks better than it is.",
    fix="Declare roles.key and roles.time in migration.yaml; give rows the holdout has nothing of.",
)
MADE = Kind(
    id="retrain/candidate",
    title="A retrained candidate",
    why="It learnt anew, so every answer may differ from the legacy model's, and every audit has to look at it.",
    fix="Set it as candidate in migration.yaml and run the journey: parity says whether it is as good.",
)
REFUSED = Kind(
    id="retrain/refused",
    title="No network was trained",
    why="Without enough sound rows a network learns nothing that may decide about anybody.",
    fix="Follow the reason, or lift the legacy model exactly with 42_replatform.",
)
KINDS = (CURVE, ROWS, MADE, REFUSED)


class Params(audit.Params):
    family: Literal["tabm", "mlp", "realmlp"] = Field(
        "tabm", description="tabm: an ensemble in one network; mlp: a plain one; realmlp: one with RealMLP's tricks"
    )
    distill: float = Field(0.5, ge=0, le=1, description="weight of the legacy model's scores; the labels have the rest")
    epochs: int | None = Field(None, ge=1, description="passes over the rows at most; the family's own if left out")
    learning_rate: float | None = Field(None, gt=0, description="of AdamW; the family's own if left out")
    members: int = Field(16, ge=1, le=256, description="size of TabM's ensemble")
    precision: Literal["float32", "bf16", "fp16"] = Field(
        "float32", description="of matrix products in training; bf16 and fp16 are for GPUs"
    )
    seed: int = Field(0, description="of the rows held back, the weights and the order of rows")
    rows: int = Field(200_000, ge=100, description="training rows at most; a seeded sample beyond that")
    held_out: float = Field(0.2, gt=0, lt=1, description="share of the rows that says when to stop")
    processes: int = Field(1, ge=1, le=64, description="that share the training on a machine, one for each GPU")
    machines: int = Field(1, ge=1, le=1_000, description="that share the training, each seeing this folder")
    address: str = Field("", description="HOST:PORT of this machine, where several meet")
    device: str = Field("", description="cpu, cuda or cuda:1; left out, a GPU where there is one")
    more: tuple[str, ...] = Field((), description="other choices of the recipe, e.g. width=256, ema=0.999")

    @field_validator("more")
    @classmethod
    def _chosen(cls, more: tuple[str, ...]) -> tuple[str, ...]:
        for text in more:
            _choice(text)
        return more

    @property
    def recipe(self) -> Recipe:
        """Raises ValueError for a choice out of its range."""
        chosen = {name: getattr(self, name) for name in ("distill", "members", "precision", "seed")}
        chosen |= {name: getattr(self, name) for name in ("epochs", "learning_rate") if getattr(self, name) is not None}
        return recipe_of(self.family, **chosen, **dict(map(_choice, self.more)))


def _choice(text: str) -> tuple[str, Any]:
    """`width=256` as a name and a value. Raises ValueError naming what there is."""
    name, sign, value = (part.strip() for part in text.partition("="))
    kinds = {name: type(default) for name, default in vars(Recipe()).items() if name not in Params.model_fields}
    if not sign or name not in kinds:
        raise ValueError(f"{text!r} is no choice of the recipe: write NAME=VALUE with one of {', '.join(kinds)}")
    return name, kinds[name](value)


def run(legacy: Model, train: Rows | None, task: Task, roles: Roles, folder: Path, params: Params) -> Iterator[Finding]:
    """Train on the training rows, and write the network as a candidate in a folder of its own.

    A training that was killed goes on where it was. What cannot be trained on is one ABSENT finding with the reason.
    """
    if train is None:
        yield REFUSED.absent("there are no training rows to learn from: set data.train in migration.yaml")
        return
    from workbench.migrate.retraining import told
    from workbench.migrate.retraining.exporting import export

    try:
        recipe = params.recipe
        home = folder / "retrained" / _key(legacy, train, task, roles, params)
        prepared, trained = _trained(legacy, train, task, roles, home, params, recipe)
        files = export(trained, prepared, home / NAME)
    except (ModelError, ValueError) as refusal:
        yield REFUSED.absent(str(refusal))
        return
    yield told.rows(ROWS, prepared)
    yield told.curve(CURVE, trained, prepared.card.task)
    yield told.made(MADE, files, folder, trained)


def _trained(
    legacy: Model, train: Rows, task: Task, roles: Roles, home: Path, params: Params, recipe: Recipe
) -> tuple[Prepared, Trained]:
    from workbench.migrate.retraining import training
    from workbench.migrate.retraining.prepared import prepare
    from workbench.migrate.retraining.progress import Progress
    from workbench.migrate.retraining.worker import Processes, train_together

    frame = train.sample(params.rows, params.seed)
    sampled = (f"{len(frame):,} of {train.rows:,} training rows are used, a seeded sample",)
    distill = params.distill > 0
    prepared = prepare(legacy, frame, task, roles, held_out=params.held_out, seed=params.seed, distill=distill)
    prepared = replace(prepared, notes=(*(sampled if len(frame) < train.rows else ()), *prepared.notes))
    progress = Progress(recipe.epochs, prepared.card.task)
    shared = Processes(params.processes, params.machines, params.address)
    if shared.count > 1:
        if shared.machines > 1:
            progress.say(f"on each other machine: torchrun {' '.join(shared.command(home.resolve(), params.device))}")
        train_together(recipe, prepared, home.resolve(), shared, progress, params.device)
    trained = training.train(recipe, prepared, folder=home, told=progress, device=params.device)
    progress.end(trained.best)
    return prepared, trained


def _key(legacy: Model, train: Rows, task: Task, roles: Roles, params: Params) -> str:
    said = [legacy.fingerprint, train.fingerprint, task.model_dump_json(), roles.model_dump_json()]
    chosen = params.model_dump_json(exclude={"processes", "machines", "address", "device"})
    return hashlib.sha256("\n".join([*said, chosen]).encode()).hexdigest()[:16]
