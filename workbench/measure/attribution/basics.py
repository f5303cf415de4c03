"""What an attribution is, the spaces it can be in, and what-if rows as codes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.models import Label, Model, Outputs

Space = Literal["log-odds", "margin", "probability", "value", "decision"]
Method = Literal["trees", "additive", "exact", "permutation"]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Codes = NDArray[np.int32]
Ask = Callable[[pd.DataFrame], Floats]

CLIP = 1e-6
"""Probabilities are kept this far from 0 and 1 before the log-odds are taken, which bounds them by 13.8."""
FINE = 1e-15
"""The same where a model must show that its log-odds are a sum: bounded by 34.5."""

CALL = 50_000
"""Rows in one call of the model: large, because a model in its own process pays per call; bounded, for its memory."""


class UnansweredError(ValueError):
    """A model that gave no number for what-if rows. share: of the distinct rows asked; asked: how many those were."""

    def __init__(self, share: float, asked: int) -> None:
        super().__init__(
            f"the model gave no number for {share:.1%} of {asked} what-if rows: it cannot be explained on them; "
            "see which column mixes it refuses, or leave such rows out of the background"
        )
        self.share = share
        self.asked = asked


@dataclass(frozen=True)
class Attributions:
    """Why n answers are as they are.

    values: float64 [n, M], one per feature, in units of `space`. base: float64 [n], mean answer over the background
    (one value, unless the explained class differs by row). output: float64 [n], the model's own answers, asked apart.
    space: "log-odds" of P(positive); "margin", the sums before a link, of a softmax less their mean over the classes;
    "probability"; "value" of a regression; the 0/1 "decision" of a model that gives no score. method: "trees" and
    "additive" are exact for any background; "exact" asks about all coalitions, "permutation" about some.
    evaluations: distinct what-if rows the model answered. inexact: why the first two ways were not open. error: float64
    [n, M], the standard error of values that were sampled.
    """

    features: tuple[str, ...]
    values: Floats
    base: Floats
    output: Floats
    space: Space
    method: Method
    background: int
    evaluations: int
    inexact: str = ""
    error: Floats | None = None

    @property
    def sampling_error(self) -> float:
        """Standard error of a value, root mean square over all, as a share of the values' own; 0 where exact."""
        if self.error is None:
            return 0.0
        whole = float(np.sqrt((self.values**2).mean())) or 1.0
        return float(np.sqrt((self.error**2).mean())) / whole

    @property
    def additivity_error(self) -> float:
        """Largest |sum of attributions + base - the model's own output|, in units of `space`.

        Of a regression as a share of its largest output, where that is above 1: float32 adds to 7 digits.
        """
        off = float(np.abs(self.values.sum(axis=1) + self.base - self.output).max(initial=0.0))
        return off / unit(self.output) if self.space == "value" else off


def unit(values: Floats) -> float:
    """The largest size among values, 1 where all are below."""
    return max(1.0, float(np.abs(values).max(initial=0.0)))


class Rows:
    """Rows as codes [n, M], and the way from codes back to raw columns of the same types."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.names = tuple(map(str, frame.columns))
        self._types = frame.dtypes.to_dict()
        found = [pd.factorize(frame[name], use_na_sentinel=False) for name in frame.columns]
        self._values = [values for _, values in found]
        self.codes: Codes = np.stack([code for code, _ in found], axis=1).astype(np.int32)

    def frame(self, codes: Codes) -> pd.DataFrame:
        cells = {name: values.take(codes[:, j]) for j, (name, values) in enumerate(zip(self._types, self._values))}
        return pd.DataFrame(cells).astype(self._types)

    def distinct(self, column: int) -> int:
        """How many values a column has."""
        return len(self._values[column])


def distinct(codes: Codes) -> tuple[Codes, NDArray[np.intp]]:
    """Distinct rows and where each row is among them."""
    packed = np.ascontiguousarray(codes).view(np.dtype((np.void, codes.dtype.itemsize * codes.shape[1]))).ravel()
    _, first, place = np.unique(packed, return_index=True, return_inverse=True)
    return codes[first], place


def space_of(model: Model, outputs: Outputs) -> Space:
    """The space any model can be explained in, from some of its outputs."""
    if model.task == "regression":
        return "value"
    return "decision" if outputs.scores is None else "log-odds"


def numbers(outputs: Outputs, space: Space, classes: tuple[Label, ...], clip: float = CLIP) -> Floats:
    """Answers as [n, k] numbers in `space`: k = 1 for regression, else one per class.

    clip: how far probabilities are kept from 0 and 1.

    Raises UnansweredError where one is none, ValueError where the model does not answer in that space.
    """
    if space == "margin" and outputs.values is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            outputs = replace(outputs, values=np.log(outputs.values))
        space = "value"
    if space == "value":
        found = outputs.values
    elif space == "decision":
        labels = outputs.labels
        found = None if labels is None else np.stack([labels == label for label in classes], axis=1)
    else:
        found = outputs.scores
    if found is None:
        raise ValueError(f"the model gives no {space}: explain it in the space of what it answers")
    answers = np.asarray(found, dtype=np.float64).reshape(len(outputs), -1)
    lost = np.isnan(answers).any(axis=1) if space != "value" else ~np.isfinite(answers).all(axis=1)
    if lost.any():
        raise UnansweredError(float(lost.mean()), len(answers))
    if space == "margin":
        logs = np.log(np.clip(answers, clip, 1.0))
        return np.asarray(logs - logs.mean(axis=1, keepdims=True), dtype=np.float64)
    return _log_odds(answers, clip) if space == "log-odds" else answers


def asker(model: Model, space: Space, clip: float = CLIP) -> Ask:
    """The model's answers [n, k] to a frame, in a space, by calls of bounded size."""

    def ask(frame: pd.DataFrame) -> Floats:
        parts = [frame.iloc[start : start + CALL] for start in range(0, len(frame), CALL)]
        return np.concatenate([numbers(model.predict(part), space, model.classes, clip) for part in parts])

    return ask


def _log_odds(probability: Floats, clip: float) -> Floats:
    kept = np.clip(probability, clip, 1 - clip)
    # The other class's own probability is told to more digits than 1 less this one's.
    other = np.log(kept[:, ::-1]) if kept.shape[1] == 2 else np.log1p(-kept)
    return np.asarray(np.log(kept) - other, dtype=np.float64)


def explained_column(explained: Sequence[Label] | None, model: Model, output: Floats) -> NDArray[np.intp]:
    """Which of the k outputs is explained, per row."""
    n, k = output.shape
    if k == 1:
        return np.zeros(n, dtype=np.intp)
    if explained is not None:
        places = [_place(label, model.classes) for label in explained]
        return np.broadcast_to(np.asarray(places, dtype=np.intp), (n,))
    return np.full(n, 1, dtype=np.intp) if k == 2 else output.argmax(axis=1)


def _place(label: Label, classes: tuple[Label, ...]) -> int:
    if label not in classes:
        raise ValueError(f"class {label!r} is not one the model knows: {', '.join(map(repr, classes[:10]))}")
    return classes.index(label)
