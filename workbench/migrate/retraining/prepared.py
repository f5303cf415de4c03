"""Training rows as arrays, once for every training: what is read, what is learnt from, what it is checked on."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.migrate.retraining.columns import asked, read
from workbench.migrate.retraining.features import Features, Scaling, fitted
from workbench.migrate.retraining.splitting import split
from workbench.migration import Roles, Task
from workbench.models import Label, Model, ModelError, Outputs, normal
from workbench.models.inputs import conform
from workbench.models.protocol import Kind
from workbench.models.torch_file import Card

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
FEWEST = 100
"""Rows with a known truth, at least."""


@dataclass(frozen=True)
class Rows:
    """numbers [n, a] and codes [n, b] as the edge reads them; truth [n]: place of the class, or the value; legacy:
    what the legacy model answers, [n, k] chances or [n] values, NaN where it has no answer, None where it was not
    asked; weight [n]: of the rows, with a mean of 1."""

    numbers: Floats
    codes: Ints
    truth: NDArray[Any]
    weight: Floats
    legacy: Floats | None = None

    def __len__(self) -> int:
        return len(self.truth)

    def only(self, places: Ints) -> Rows:
        weight = self.weight[places] / self.weight[places].mean()
        legacy = None if self.legacy is None else self.legacy[places]
        return Rows(self.numbers[places], self.codes[places], self.truth[places], weight, legacy)


@dataclass(frozen=True)
class Prepared:
    """card: columns, classes and task as the file will say; fit, check: the rows; notes: what was done, in sentences.

    Nothing in it is learnt from the rows to check on: neither vocabularies nor scales.
    """

    card: Card
    fit: Rows
    check: Rows
    notes: tuple[str, ...] = ()
    _made: dict[str, Features] = field(default_factory=dict, repr=False, compare=False)

    def features(self, scaling: Scaling) -> Features:
        if scaling not in self._made:
            self._made[scaling] = fitted(self.card.edge, self.fit.numbers, self.fit.codes, scaling)
        return self._made[scaling]

    @property
    def scale(self) -> tuple[float, float]:
        """Mean and standard deviation of the values to fit on; (0, 1) for classes."""
        if self.card.task != "regression":
            return 0.0, 1.0
        return float(self.fit.truth.mean()), float(self.fit.truth.std()) or 1.0

    @property
    def fingerprint(self) -> str:
        """sha256 of everything that training reads."""
        digest = hashlib.sha256(json.dumps(self.card.to_plain(), sort_keys=True).encode())
        for rows in (self.fit, self.check):
            for array in (rows.numbers, rows.codes, rows.truth, rows.weight, rows.legacy):
                digest.update(b"none" if array is None else np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """As one .npz without pickles, whole or not at all: other processes and machines train on it."""
        sides = {"fit": self.fit, "check": self.check}
        arrays = {f"{side}.{name}": array for side, rows in sides.items() for name, array in vars(rows).items()}
        said = json.dumps({"card": self.card.to_plain(), "notes": self.notes}).encode()
        arrays = {name: array for name, array in arrays.items() if array is not None}
        part = path.with_suffix(f".{os.getpid()}.npz")
        np.savez(part, said=np.frombuffer(said, dtype=np.uint8), **cast("Any", arrays))
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Prepared:
        with np.load(path, allow_pickle=False) as arrays:
            said = json.loads(arrays["said"].tobytes())
            fit, check = (
                Rows(**{name.split(".")[1]: arrays[name] for name in arrays.files if name.startswith(f"{side}.")})
                for side in ("fit", "check")
            )
        return cls(Card.from_plain(said["card"]), fit, check, tuple(said["notes"]))


def prepare(
    legacy: Model,
    frame: pd.DataFrame,
    task: Task,
    roles: Roles,
    *,
    held_out: float = 0.2,
    seed: int = 0,
    distill: bool = True,
) -> Prepared:
    """Training rows for networks. frame: raw training rows; distill: ask the legacy model for its answers to them.

    The columns are those that the legacy model reads, without the truth, keys and weights. Rows without a known truth
    are left out. held_out: share of the rows to check on (`splitting.split`).
    Raises ModelError where the rows are too few, of one class only, or not readable by the legacy model.
    """
    if (legacy.task == "regression") != (task.kind == "regression"):
        raise ModelError(f"the legacy model does {legacy.task}, and migration.yaml declares {task.kind}: correct one")
    classes = () if task.kind == "regression" else _classes(legacy, frame, task)
    truth, known = _truth(frame, task, classes)
    frame, truth = frame[known].reset_index(drop=True), truth[known]
    _enough(truth, len(known), task, classes)
    inputs, notes = asked(legacy, frame, task, roles)
    fit, check, how = split(frame, None if task.kind == "regression" else truth, roles, held_out, seed)
    rows = conform(frame, inputs)
    columns = read(inputs, rows.iloc[fit], (*notes, *how, *_left_out(int((~known).sum()))))
    encoded = columns.edge.encode(conform(frame, columns.inputs))
    answers = _answers(legacy, frame, classes) if distill else None
    whole = Rows(encoded["numbers"], encoded["codes"], truth, _weights(frame, roles), answers)
    kind: Kind = "regression" if not classes else "binary" if len(classes) == 2 else "multiclass"
    card = Card(kind, classes, columns.inputs, columns.edge)
    return Prepared(card, whole.only(fit), whole.only(check), columns.notes)


def _left_out(unknown: int) -> tuple[str, ...]:
    return (f"{unknown:,} rows without a known truth are left out",) if unknown else ()


def _classes(legacy: Model, frame: pd.DataFrame, task: Task) -> tuple[Label, ...]:
    """Of the legacy model, in its order: both models must answer alike."""
    classes = legacy.classes or legacy.predict(frame.head(200)).classes
    if task.kind == "binary" and normal(task.positive) not in {normal(label) for label in classes}:
        raise ModelError(f"task.positive is {task.positive!r}, and the legacy model answers {list(classes)[:10]}")
    return classes


def _truth(frame: pd.DataFrame, task: Task, classes: tuple[Label, ...]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    if task.target not in frame.columns:
        raise ModelError(f"the training rows have no column {task.target!r}, the target of the task: add it")
    column = frame[task.target]
    if task.kind == "regression":
        values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        return values, np.isfinite(values)
    place = {normal(label): index for index, label in enumerate(classes)}
    codes, distinct = pd.factorize(column)
    index = np.array([place.get(normal(value), -1) for value in distinct] + [-1], dtype=np.int64)[codes]
    if len(distinct) and not (index >= 0).any():
        raise ModelError(
            f"the target {task.target!r} holds {', '.join(map(repr, distinct[:5].tolist()))}, and the legacy model "
            f"answers {list(classes)[:10]}: name its classes in its own order, as legacy.options.classes"
        )
    return index, index >= 0


def _enough(truth: NDArray[Any], rows: int, task: Task, classes: tuple[Label, ...]) -> None:
    if len(truth) < FEWEST:
        raise ModelError(
            f"{len(truth)} of {rows} training rows have a known {task.target!r}, and a network needs {FEWEST} at least"
        )
    if len(np.unique(truth)) < 2:
        kinds = f"one of the classes {list(classes)[:10]}" if classes else "one value"
        raise ModelError(f"the training rows hold {kinds} only: there is nothing to learn")


def _weights(frame: pd.DataFrame, roles: Roles) -> Floats:
    if not roles.weight or roles.weight not in frame.columns:
        return np.ones(len(frame))
    weight = pd.to_numeric(frame[roles.weight], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    if not np.isfinite(weight).all() or (weight < 0).any() or not weight.any():
        raise ModelError(f"the weights in {roles.weight!r} are missing, negative or all 0 in some rows: correct them")
    return weight


def _answers(legacy: Model, frame: pd.DataFrame, classes: tuple[Label, ...]) -> Floats:
    """Chances [n, k] or values [n] of the legacy model; of one that only decides, 1 for the class it decides for."""
    outputs = legacy.predict(frame)
    if not classes:
        assert outputs.values is not None
        return np.asarray(outputs.values, dtype=np.float64)
    return outputs.scores if outputs.scores is not None else _decided(outputs, classes)


def _decided(outputs: Outputs, classes: tuple[Label, ...]) -> Floats:
    place = {normal(label): index for index, label in enumerate(classes)}
    index = np.array([place.get(normal(label), -1) for label in cast("Any", outputs.labels)], dtype=np.int64)
    table = np.vstack([np.eye(len(classes)), np.full(len(classes), np.nan)])
    return np.asarray(table[index])
