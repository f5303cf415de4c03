"""Models fitted anew: a plain scikit-learn pipeline on the candidate's columns, then lifted to torch exactly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.migrate.lift import lift
from workbench.migrate.mitigation.told import Rule
from workbench.migration import Task
from workbench.models import Model, normal, open_model

Floats = NDArray[np.float64]


def given() -> Any:
    """An estimator whose scores are its only column: the candidate has answered already."""
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Given(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        classes_ = (0, 1)

        def fit(self, x: Any, y: Any) -> Any:
            return self

        def __sklearn_is_fitted__(self) -> bool:
            return True

        def predict_proba(self, x: Any) -> Floats:
            scores = np.asarray(x, dtype=np.float64)[:, 0]
            return np.column_stack([1 - scores, scores])

    return Given()


class Refit:
    """A model to be fitted anew on the candidate's columns, read as numbers. x: [n, d] of the rows to fit on; apart:
    how many of its last columns are those of the attribute, where that is asked for by name."""

    def __init__(
        self, candidate: Model, rows: pd.DataFrame, task: Task, columns: Sequence[str], apart: str = ""
    ) -> None:
        self._before = reader(rows, columns, apart).fit(rows)
        self.x: Floats = np.asarray(self._before.transform(rows), dtype=np.float64)
        last = self._before.output_indices_.get("apart", slice(0, 0))
        self.apart = last.stop - last.start
        self._classes = list(candidate.classes)
        self._place = [normal(label) for label in self._classes].index(normal(task.positive))
        self._threshold = task.threshold

    def rule(self, strength: float, model: Any) -> Rule:
        """As a rule on raw rows."""
        whole = pipeline(self._before, model)

        def decide(rows: pd.DataFrame) -> NDArray[np.int64]:
            if hasattr(model, "predict_proba"):
                return np.asarray(whole.predict_proba(rows)[:, self._place] >= self._threshold, dtype=np.int64)
            return np.asarray(whole.predict(rows) == self._classes[self._place], dtype=np.int64)

        return Rule(strength, decide, lambda path: save(whole, path))

    def line(self, coefficients: Floats, intercept: float) -> Any:
        sign = 1 if self._place == 1 else -1
        return logistic(sign * coefficients, sign * intercept, self._classes)

    def network(self, layers: Sequence[tuple[Floats, Floats]]) -> Any:
        sign, (*hidden, (weight, bias)) = 1 if self._place == 1 else -1, layers
        return network([*hidden, (sign * weight, sign * bias)], self._classes)

    def voted(self, lines: Sequence[tuple[Floats, float]], weights: Floats) -> Any:
        """The weighted majority of lines; the one line itself where there is one, which has scores."""
        if len(lines) == 1:
            return self.line(*lines[0])
        sign = 1 if self._place == 1 else -1
        members = [logistic(sign * coefficients, sign * intercept, (0, 1)) for coefficients, intercept in lines]
        return vote(members, weights, self._classes)


def reader(frame: pd.DataFrame, columns: Sequence[str], apart: str = "") -> Any:
    """Numbers filled by their median and scaled, everything else one-hot; the column `apart` last."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    def scaled() -> Any:
        return make_pipeline(SimpleImputer(strategy="median"), StandardScaler())

    def coded() -> Any:
        return OneHotEncoder(handle_unknown="ignore", sparse_output=False)

    numbers = [name for name in columns if _number(frame[name])]
    others = [name for name in columns if name not in numbers]
    parts = [("numbers", scaled(), numbers), ("others", coded(), others)]
    if apart:
        parts.append(("apart", scaled() if _number(frame[apart]) else coded(), [apart]))
    return ColumnTransformer([part for part in parts if part[2]])


def _number(column: pd.Series[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def pipeline(before: Any, model: Any) -> Any:
    """Two fitted parts as one fitted model."""
    from sklearn.pipeline import Pipeline

    return Pipeline([("columns", before), ("model", model)])


def logistic(coefficients: Floats, intercept: float, classes: Sequence[object]) -> Any:
    """A fitted logistic regression of given coefficients [d]."""
    from sklearn.linear_model import LogisticRegression

    made = LogisticRegression()
    made.classes_, made.n_features_in_ = np.array(classes), len(coefficients)
    made.coef_, made.intercept_, made.n_iter_ = coefficients[None, :], np.array([intercept]), np.array([1])
    return made


def network(layers: Sequence[tuple[Floats, Floats]], classes: Sequence[object]) -> Any:
    """A fitted perceptron with ReLU and one logistic output. layers: weights [in, out] and biases [out] each."""
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import LabelBinarizer

    made = MLPClassifier(hidden_layer_sizes=tuple(len(bias) for _, bias in layers[:-1]), activation="relu")
    made.coefs_, made.intercepts_ = [weight for weight, _ in layers], [bias for _, bias in layers]
    made.classes_, made.n_features_in_ = np.array(classes), len(layers[0][0])
    made.n_layers_, made.n_outputs_, made.out_activation_ = len(layers) + 1, 1, "logistic"
    made._label_binarizer = LabelBinarizer().fit(made.classes_)
    return made


def vote(models: Sequence[Any], weights: Floats, classes: Sequence[object]) -> Any:
    """The class with more than half of the weight. models: fitted on class numbers 0 and 1."""
    from sklearn.ensemble import VotingClassifier
    from sklearn.preprocessing import LabelEncoder

    named = [(f"m{place}", model) for place, model in enumerate(models)]
    made = VotingClassifier(named, voting="hard", weights=weights.tolist())
    made.estimators_, made.le_ = list(models), LabelEncoder().fit(np.array(classes))
    made.classes_, made.named_estimators_ = made.le_.classes_, dict(named)
    return made


def save(model: Any, path: Path) -> tuple[Path, ...]:
    """The model as one torch module at `path` (.pt2), with its plain spec. Raises ModelError where it cannot be lifted.

    Its pickle is read once, by the same door as any other, and is not kept.
    """
    import joblib

    path.parent.mkdir(parents=True, exist_ok=True)
    pickled = path.with_suffix(".joblib")
    joblib.dump(model, pickled)
    try:
        opened = open_model(str(pickled))
        try:
            return lift(opened).save(path)
        finally:
            opened.close()
    finally:
        pickled.unlink()
