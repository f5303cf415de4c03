"""Fitted estimators from pickle and joblib files. Runs in the model host only: this is where a pickle is loaded.

Every global is held against the exact list again (`safety.allowed`), here when it is resolved. joblib's arrays of
objects are pickles inside the pickle, which joblib itself would load without any list: they are read by the same
unpickler.
"""

from __future__ import annotations

import functools
import pickle
import warnings
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.models.base import OpenModel, from_scores
from workbench.models.pieces import sklearn_piece, version_of
from workbench.models.protocol import Kind, Label, ModelError, Outputs, Piece, Refused
from workbench.models.safety import WRAPPER, Found, allowed, inspect
from workbench.models.sklearn_inputs import asked
from workbench.models.sniff import packed, unpacked

OWN_RULE = (
    "sklearn.svm.SVC",
    "sklearn.svm.NuSVC",
    "sklearn.model_selection.FixedThresholdClassifier",
    "sklearn.model_selection.TunedThresholdClassifierCV",
)
"""Classifiers whose `predict` is not the most probable class."""


class _CheckOnly(functools.partial):  # type: ignore[type-arg]
    """functools.partial, held to the one function scikit-learn itself stores that way."""

    def __new__(cls, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        _hold(function)
        return super().__new__(cls, function, *args, **kwargs)

    def __setstate__(self, state: Any) -> None:
        _hold(state[0])
        super().__setstate__(state)  # type: ignore[misc]


def _hold(function: Any) -> None:
    from sklearn.utils.validation import check_array

    if function is not check_array:
        raise Refused(f"the pickle stores functools.partial of {function!r}: only check_array of scikit-learn may be")


class _Array:
    """joblib's announcement of an array whose bytes follow in the file."""

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = ()
        self.order = "C"
        self.dtype: Any = None
        self.numpy_array_alignment_bytes: int | None = None

    def read(self, file: IO[bytes]) -> NDArray[Any]:
        dtype = np.dtype(self.dtype)
        if dtype.hasobject:
            if dtype.names is not None:
                raise Refused("the pickle holds records with objects in them, which no model needs")
            return np.asarray(_Joblib(file).load())
        if self.numpy_array_alignment_bytes is not None:
            file.read(file.read(1)[0])
        count = int(np.prod(self.shape, dtype=np.int64))
        data = bytearray(count * dtype.itemsize)
        view, done = memoryview(data), 0
        while done < len(data):
            chunk = file.read(min(1 << 20, len(data) - done))
            if not chunk:
                raise ModelError("the pickle ends in the middle of an array: the file was cut short")
            view[done : done + len(chunk)] = chunk
            done += len(chunk)
        array = np.frombuffer(data, dtype=dtype, count=count)
        return array.reshape(self.shape[::-1]).T if self.order == "F" else array.reshape(self.shape)


class _Held:
    """find_class by the list."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in allowed():
            raise Refused(f"the pickle asks for {module}.{name}, which is not on the list")
        if (module, name) == WRAPPER:
            return _Array
        if (module, name) == ("functools", "partial"):
            return _CheckOnly
        return super().find_class(module, name)  # type: ignore[misc]


class _Plain(_Held, pickle.Unpickler):
    pass


_InPython: Any = pickle._Unpickler


class _Joblib(_Held, _InPython):  # type: ignore[misc]
    """The unpickler written in Python, whose steps can be followed to where joblib puts its arrays."""

    dispatch = _InPython.dispatch.copy()

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self.file = file

    def load_build(self) -> None:
        _InPython.load_build(self)
        if isinstance(self.stack[-1], _Array):
            self.stack[-1] = self.stack[-1].read(self.file)

    dispatch[pickle.BUILD[0]] = load_build


def load(path: Path) -> tuple[Any, Found]:
    """The object in the file, and what the file asked for.

    Raises Refused for what is off the list, ModelError where the installed libraries cannot read what older ones wrote.
    """
    found = inspect(path)
    with path.open("rb") as file:
        packing = packed(file.read(16))
    reader: Any = _Joblib if WRAPPER in found.names else _Plain
    try:
        with unpacked(path, packing) as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return reader(stream).load(), found
    except (ModelError, MemoryError):
        raise
    except Exception as error:
        raise ModelError(_unreadable(path, found, error)) from error


def _unreadable(path: Path, found: Found, error: Exception) -> str:
    import sklearn

    written = found.versions.get("scikit-learn", "an unknown version of scikit-learn")
    return (
        f"{path.name} cannot be loaded by scikit-learn {sklearn.__version__} ({type(error).__name__}: {error}); it was "
        f"written by {written}. Open it in an environment of that version and export it as ONNX, or train it again"
    )


class SklearnModel(OpenModel):
    """An estimator with the scikit-learn interface, in this process."""

    format = "sklearn"

    def __init__(
        self, estimator: Any, found: Found, fingerprint: str, features: tuple[str, ...] | None = None, threads: int = 1
    ) -> None:
        self.estimator = estimator
        pin_jobs(estimator, threads)
        self.piece = sklearn_piece(estimator)
        self.named = getattr(estimator, "feature_names_in_", None) is not None
        asks = asked(self.piece, _names(estimator, features))
        self.none_for = asks.none_for
        task, classes = _task(estimator)
        self.scores = task != "regression" and hasattr(estimator, "predict_proba")
        self.decides = task != "regression" and not self.scores
        self.own_rule = any(part.kind in OWN_RULE for _, part in self.piece.walk())
        super().__init__(
            fingerprint=fingerprint,
            task=task,
            inputs=asks.inputs,
            classes=classes,
            answered_by=f"scikit-learn {version_of_sklearn()}",
            versions=found.versions,
        )

    def answer(self, rows: pd.DataFrame) -> Outputs:
        if self.none_for:
            rows = rows.assign(
                **{name: rows[name].astype(object).where(rows[name].notna(), None) for name in self.none_for}
            )
        X = rows if self.named else rows.to_numpy()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._answer(X)

    def _answer(self, X: Any) -> Outputs:
        if self.task == "regression":
            values = np.asarray(self.estimator.predict(X), dtype=np.float64)
            return Outputs(values=values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values)
        if not self.scores:
            return self._decision(X)
        outputs = from_scores(self.classes, self.estimator.predict_proba(X))
        if not self.own_rule:
            return outputs
        return Outputs(self.classes, scores=outputs.scores, labels=_objects(self.estimator.predict(X)))

    def _decision(self, X: Any) -> Outputs:
        decide = getattr(self.estimator, "decision_function", None)
        raw = None if decide is None else np.asarray(decide(X), dtype=np.float64)
        return Outputs(self.classes, labels=_objects(self.estimator.predict(X)), raw=raw)

    def describe(self) -> Piece:
        return self.piece


def _objects(labels: Any) -> NDArray[np.generic]:
    labels = np.asarray(labels)
    return np.asarray(labels.astype(object)) if labels.dtype.kind in "US" else labels


def version_of_sklearn() -> str:
    """Of the installed library."""
    from sklearn.base import BaseEstimator

    return version_of(BaseEstimator)


def pin_jobs(estimator: Any, threads: int) -> None:
    """An estimator saved with n_jobs=-1 would take the whole machine, and be timed with it."""
    params = estimator.get_params(deep=True) if hasattr(estimator, "get_params") else {}
    jobs = {name: threads for name, value in params.items() if name.rsplit("__", 1)[-1] == "n_jobs" and value}
    if jobs:
        estimator.set_params(**jobs)


def _names(estimator: Any, features: tuple[str, ...] | None) -> list[str]:
    known = getattr(estimator, "feature_names_in_", None)
    if known is not None:
        return [str(name) for name in known]
    count = getattr(estimator, "n_features_in_", None)
    if count is None:
        raise ModelError("the estimator is not fitted: it knows no columns; fit it before it is saved")
    if features is None:
        return [f"x{number}" for number in range(count)]
    if len(features) != count:
        raise ModelError(f"the option features names {len(features)} columns, and the model asks for {count}")
    return list(features)


def _task(estimator: Any) -> tuple[Kind, tuple[Label, ...]]:
    from sklearn.base import is_classifier, is_regressor

    if is_regressor(estimator):
        return "regression", ()
    if not is_classifier(estimator):
        raise ModelError(
            f"it holds a {type(estimator).__name__}, which is neither a classifier nor a regressor: "
            "save the whole pipeline, with the model at its end"
        )
    classes = estimator.classes_
    if isinstance(classes, list):
        raise ModelError(f"it predicts {len(classes)} targets at once: give one model per target")
    labels = tuple(np.asarray(classes).tolist())
    return ("binary" if len(labels) == 2 else "multiclass"), labels


def open_sklearn(path: Path, fingerprint: str, *, features: tuple[str, ...] | None, threads: int) -> SklearnModel:
    """The estimator in a pickle or joblib file. Call it in the model host only."""
    estimator, found = load(path)
    if not hasattr(estimator, "predict"):
        what = type(estimator).__name__
        inside = f" with {sorted(map(str, estimator))[:5]}" if isinstance(estimator, dict) else ""
        raise ModelError(f"{path.name} holds a {what}{inside}, not an estimator: save the fitted pipeline itself")
    return SklearnModel(estimator, found, fingerprint, features, threads)
