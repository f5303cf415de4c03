"""Fitted estimators from pickle and joblib files. Runs in the model host only: this is where a pickle is loaded.

Every global is held against the exact list again (`safety.allowed`), when the unpickler resolves it.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.models.base import OpenModel, from_scores
from workbench.models.inputs import coded
from workbench.models.pieces import sklearn_piece, version_of
from workbench.models.portable import unpickler
from workbench.models.portable.unpickler import WRAPPERS, Plain, Unpickler
from workbench.models.protocol import Kind, Label, ModelError, Outputs, Piece, Refused
from workbench.models.safety import Found, allowed, inspect, survey
from workbench.models.sklearn_inputs import asked
from workbench.models.sniff import packed, unpacked
from workbench.models.stamps import plan

OWN_RULE = (
    "sklearn.ensemble.AdaBoostClassifier",
    "sklearn.multiclass.OneVsRestClassifier",
    "sklearn.neighbors.KNeighborsClassifier",
    "sklearn.neighbors.NearestCentroid",
    "sklearn.neighbors.RadiusNeighborsClassifier",
    "sklearn.svm.SVC",
    "sklearn.svm.NuSVC",
    "sklearn.model_selection.FixedThresholdClassifier",
    "sklearn.model_selection.TunedThresholdClassifierCV",
)
"""Classifiers whose `predict` is not the most probable class."""


def load(path: Path, trusted: bool = False) -> tuple[Any, Found]:
    """The object in the file, and what the file asked for. trusted: a person vouches for it, whatever it asks for.

    Raises Refused for what is off the list, ModelError where the installed libraries cannot read what older ones wrote.
    """
    found = survey(path)[0] if trusted else inspect(path)
    with path.open("rb") as file:
        packing = packed(file.read(16))
    reader: Any = Unpickler if found.names & set(WRAPPERS) else Plain
    try:
        with unpacked(path, packing) as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return reader(stream, None if trusted else allowed()).load(), found
    except (ModelError, MemoryError):
        raise
    except unpickler.Refused as error:
        raise Refused(str(error)) from error
    except Exception as error:
        raise ModelError(_unreadable(path, found, error)) from error


def _unreadable(path: Path, found: Found, error: Exception) -> str:
    import sklearn

    needed = plan(found.names, found.versions)
    written = found.versions.get("scikit-learn", "an unknown version of scikit-learn")
    advice = needed.advice if needed else f"it was written by {written}: open it where it was made, or train it again"
    seen = f"{type(error).__name__}: {error}"
    return f"{path.name} cannot be loaded by scikit-learn {sklearn.__version__} ({seen[:300]}); {advice}"


class SklearnModel(OpenModel):
    """An estimator with the scikit-learn interface, in this process."""

    format = "sklearn"

    def __init__(
        self,
        estimator: Any,
        found: Found,
        fingerprint: str,
        features: tuple[str, ...] | None = None,
        threads: int = 1,
        caller: Any = None,
    ) -> None:
        """caller: what answers instead, where the estimator is only a description of one elsewhere."""
        self.estimator = caller or estimator
        if caller is None:
            pin_jobs(estimator, threads)
        self.piece = sklearn_piece(estimator)
        self.named = getattr(estimator, "feature_names_in_", None) is not None
        asks = asked(self.piece, _names(estimator, features))
        self.none_for, self.coded = asks.none_for, asks.coded
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

    def given(self, rows: pd.DataFrame) -> Any:
        """Conformed rows as the estimator takes them: a frame, or a matrix where it knows no names."""
        if self.none_for:
            rows = rows.assign(
                **{name: rows[name].astype(object).where(rows[name].notna(), None) for name in self.none_for}
            )
        if self.coded:
            # As in training, whatever the categories of these rows: XGBoost and LightGBM go by their order.
            rows = rows.assign(**{name: _categorical(rows[name], known) for name, known in self.coded.items()})
        return rows if self.named else rows.to_numpy()

    def answer(self, rows: pd.DataFrame) -> Outputs:
        X = self.given(rows)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._answer(X)

    def _answer(self, X: Any) -> Outputs:
        if self.task == "regression":
            values = np.asarray(self.estimator.predict(X), dtype=np.float64)
            return Outputs(values=values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values)
        if not self.scores:
            return self._decision(X)
        scores = self.estimator.predict_proba(X)
        # A wrapper for several targets that has one answers a list of one.
        outputs = from_scores(self.classes, scores[0] if isinstance(scores, list) else scores)
        if not self.own_rule:
            return outputs
        return Outputs(self.classes, scores=outputs.scores, labels=_objects(self.estimator.predict(X)))

    def _decision(self, X: Any) -> Outputs:
        decide = getattr(self.estimator, "decision_function", None)
        raw = None if decide is None else np.asarray(decide(X), dtype=np.float64)
        return Outputs(self.classes, labels=_objects(np.ravel(self.estimator.predict(X))), raw=raw)

    def describe(self) -> Piece:
        return self.piece


def _categorical(column: pd.Series[Any], known: tuple[Label, ...]) -> Any:
    """What is not known is missing, as pandas has it."""
    categories: Any = pd.Index(list(known))
    return pd.Categorical.from_codes(np.nan_to_num(coded(column, known), nan=-1).astype(np.int64), categories)


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


def kind_of(estimator: Any) -> str:
    """ "classifier", "regressor", "clusterer" or "outlier_detector", "" for anything else."""
    told = getattr(estimator, "kind_", None)
    if isinstance(told, str):
        return told
    from sklearn.base import is_classifier, is_clusterer, is_outlier_detector, is_regressor

    tests = {"classifier": is_classifier, "regressor": is_regressor, "clusterer": is_clusterer}
    tests["outlier_detector"] = is_outlier_detector
    return next((name for name, test in tests.items() if test(estimator)), "")


def _task(estimator: Any) -> tuple[Kind, tuple[Label, ...]]:
    kind = kind_of(estimator)
    if kind == "regressor":
        return "regression", ()
    if kind == "clusterer" and (count := _clusters(estimator)):
        return ("binary" if count == 2 else "multiclass"), tuple(range(count))
    if kind == "outlier_detector":
        return "binary", (-1, 1)
    if kind != "classifier":
        raise ModelError(
            f"it holds a {type(estimator).__name__}, which is neither a classifier nor a regressor: "
            "save the whole pipeline, with the model at its end"
        )
    classes = estimator.classes_
    if isinstance(classes, list) and len(classes) == 1:
        classes = classes[0]
    if isinstance(classes, list):
        raise ModelError(f"it predicts {len(classes)} targets at once: give one model per target")
    labels = tuple(np.asarray(classes).tolist())
    return ("binary" if len(labels) == 2 else "multiclass"), labels


def _clusters(estimator: Any) -> int:
    """How many clusters a clusterer that answers new rows has; their numbers are its classes."""
    end = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
    return len(getattr(end, "cluster_centers_", ()))


def open_sklearn(
    path: Path, fingerprint: str, *, features: tuple[str, ...] | None, threads: int, trusted: bool = False
) -> SklearnModel:
    """The estimator in a pickle or joblib file. Call it in the model host only."""
    estimator, found = load(path, trusted)
    if not hasattr(estimator, "predict"):
        what = type(estimator).__name__
        inside = f" with {sorted(map(str, estimator))[:5]}" if isinstance(estimator, dict) else ""
        raise ModelError(f"{path.name} holds a {what}{inside}, not an estimator: save the fitted pipeline itself")
    return SklearnModel(estimator, found, fingerprint, features, threads)
