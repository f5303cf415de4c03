"""Every way to ask one model for probabilities, each in its fair best form, as a call on rows that are ready."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from benchmarks.guest import Guest, GuestError, timed
from benchmarks.places import CACHE, CannotBuildError, python_of
from benchmarks.shapes import Floats, Shape
from benchmarks.timing import OURS, Timed

if TYPE_CHECKING:
    import pandas as pd

Scope = Literal["model", "frame"]
"""model: a float64 matrix lies ready (onnxruntime: its own float32). frame: from a pandas table."""

Ask = Callable[[Any], Any]


@dataclass(frozen=True)
class Contestant:
    """name; ready: from rows and their table to what is asked; ask: from that to probabilities [n, k] or P(1) [n]."""

    name: str
    ready: Callable[[Floats, Any], Any]
    ask: Ask
    how: str = ""

    def answer(self, X: Floats, frame: pd.DataFrame) -> Floats:
        return both(np.asarray(self.ask(self.ready(X, frame)), dtype=np.float64))

    def timed(self, X: Floats, frame: pd.DataFrame) -> Timed:
        given, ask = self.ready(X, frame), self.ask
        return lambda calls: timed(lambda: ask(given), calls)


def both(scores: Floats) -> Floats:
    """P(1) [n] as [n, 2]; anything else as it is."""
    return np.stack([1 - scores, scores], axis=1) if scores.ndim == 1 else scores


@dataclass
class Field:
    """The contestants of one shape in one scope; absent: others, and why they are not there."""

    shape: Shape
    threads: int
    sides: dict[str, Contestant] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    guests: list[Guest] = field(default_factory=list)

    def close(self) -> None:
        for guest in self.guests:
            guest.close()


def gather(shape: Shape, threads: int) -> dict[Scope, Field]:
    """Everyone who can answer for this shape, in both scopes."""
    path, estimator = shape.made()
    fields: dict[Scope, Field] = {"model": Field(shape, threads), "frame": Field(shape, threads)}
    for scope, entered in fields.items():
        for found in (*_ours(path, scope, threads), _own(shape, path, estimator, scope, threads)):
            entered.sides[found.name] = found
    _try(fields, "onnxruntime", lambda: _onnx(shape, fields, threads))
    _try({"model": fields["model"]}, "hummingbird", lambda: _hummingbird(shape, fields["model"], threads))
    return fields


def _try(fields: dict[Scope, Field], name: str, enter: Callable[[], None]) -> None:
    try:
        enter()
    except (CannotBuildError, GuestError) as error:
        for entered in fields.values():
            entered.absent[name] = str(error)


def _ours(path: Path, scope: Scope, threads: int) -> list[Contestant]:
    import torch

    from workbench.migrate.lift import lift
    from workbench.models import open_model

    torch.set_num_threads(threads)
    model = open_model(str(path))
    lifted = lift(model)
    model.close()
    if scope == "frame":
        return [Contestant(OURS, lambda X, frame: frame, lambda frame: lifted.predict(frame).scores)]
    return [Contestant(OURS, lambda X, frame: _arrays(lifted, frame), lambda given: lifted.ask(*given)["scores"])]


def _arrays(lifted: Any, frame: pd.DataFrame) -> tuple[Any, Any]:
    """Rows as the two arrays the model is asked with."""
    from workbench.models.inputs import conform

    edge = lifted.card.edge
    read = edge.encode_plain(frame) or edge.encode(conform(frame, lifted.card.inputs))
    return read["numbers"], read["codes"]


def _own(shape: Shape, path: Path, estimator: Any, scope: Scope, threads: int) -> Contestant:
    """The library that made the model."""
    if shape.family == "xgboost":
        return _own_xgboost(estimator, scope, threads)
    if shape.family == "lightgbm":
        import lightgbm

        booster = lightgbm.Booster(model_file=str(path), params={"num_threads": threads})
        if scope == "frame":
            return Contestant("lightgbm", lambda X, frame: frame, booster.predict)
        return Contestant("lightgbm", lambda X, frame: X, booster.predict, "Booster.predict on a matrix")
    if "n_jobs" in estimator.get_params():
        estimator.set_params(n_jobs=threads)
    if scope == "frame":
        return Contestant("scikit-learn", lambda X, frame: frame, estimator.predict_proba)
    unnamed = copy.copy(estimator)
    vars(unnamed).pop("feature_names_in_", None)  # else a matrix brings a warning with every call
    return Contestant("scikit-learn", lambda X, frame: X, unnamed.predict_proba, "predict_proba on a matrix")


def _own_xgboost(estimator: Any, scope: Scope, threads: int) -> Contestant:
    if scope == "frame":
        estimator.set_params(n_jobs=threads)
        return Contestant("xgboost", lambda X, frame: frame, estimator.predict_proba)
    booster = estimator.get_booster().copy()
    booster.set_param({"nthread": threads})
    # Not predict(DMatrix): asked again about the same DMatrix, it answers from a cache.
    return Contestant(
        "xgboost", lambda X, frame: X, lambda X: booster.inplace_predict(X, validate_features=False), "inplace_predict"
    )


def _onnx(shape: Shape, fields: dict[Scope, Field], threads: int) -> None:
    import onnxruntime

    made = onnx_file(shape)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3  # the converters declare one row, and it warns of every other number
    session = onnxruntime.InferenceSession(made, options, providers=["CPUExecutionProvider"])
    # As ours: label and probabilities.
    wanted = [output.name for output in session.get_outputs()]
    scores = next(place for place, name in enumerate(wanted) if "prob" in name)

    def ask(X: Any) -> Any:
        return session.run(wanted, {"X": X})[scores]

    ready = Contestant("onnxruntime", lambda X, frame: X.astype(np.float32), ask, "float32 matrix ready")
    fields["model"].sides["onnxruntime"] = ready
    if shape.coded and shape.family == "lightgbm":
        fields["frame"].absent["onnxruntime"] = "it reads no table with categories: they must be coded before"
    else:
        given = Contestant("onnxruntime", lambda X, frame: frame, lambda frame: ask(frame.to_numpy(np.float32)))
        fields["frame"].sides["onnxruntime"] = given


def onnx_file(shape: Shape) -> Path:
    """The shape as ONNX, made by skl2onnx or onnxmltools. Raises GuestError where they refuse."""
    made = CACHE / f"{shape.key}.onnx"
    if not made.exists():
        guest = Guest(python_of("onnx"), "benchmarks.onnx_side", 1)
        try:
            kept = CACHE / f"{shape.key}.pkl"
            width = shape.rows(1, 0).shape[1]
            guest.ask("convert", file=str(kept), to=str(made), family=shape.family, features=width)
        finally:
            guest.close()
    return made


def _hummingbird(shape: Shape, entered: Field, threads: int) -> None:
    found = hummingbird(CACHE / f"{shape.key}.pkl", shape.rows(100, 0), threads)
    entered.guests.append(found.guest)
    entered.sides["hummingbird"] = found  # type: ignore[assignment]


@dataclass(frozen=True)
class Hummingbird:
    """hummingbird in its own process and environment; it is timed there."""

    guest: Guest
    how: str
    name: str = "hummingbird"

    def take(self, X: Floats) -> None:
        with tempfile.TemporaryDirectory() as folder:
            np.save(f"{folder}/rows.npy", X)
            self.guest.ask("take", rows=f"{folder}/rows.npy")

    def answer(self, X: Floats, frame: Any) -> Floats:
        self.take(X)
        with tempfile.TemporaryDirectory() as folder:
            self.guest.ask("answer", rows=len(X), to=f"{folder}/answers.npy")
            return np.asarray(np.load(f"{folder}/answers.npy"), dtype=np.float64)

    def timed(self, X: Floats, frame: Any) -> Timed:
        self.take(X)

        def ask(calls: int) -> tuple[int, int]:
            found = self.guest.ask("time", rows=len(X), calls=calls)
            return found["wall"], found["cpu"]

        return ask


def hummingbird(file: Path, X: Floats, threads: int) -> Hummingbird:
    """A pickled estimator through hummingbird; X: some rows to convert with.

    Raises CannotBuildError without its environment, GuestError where it refuses the model.
    """
    guest = Guest(python_of("hummingbird"), "benchmarks.hummingbird_side", threads)
    try:
        with tempfile.TemporaryDirectory() as folder:
            np.save(f"{folder}/rows.npy", X)
            said = guest.ask("open", file=str(file), rows=f"{folder}/rows.npy", threads=threads)
    except GuestError:
        guest.close()
        raise
    return Hummingbird(guest, str(said["backend"]))
