"""What every model opened in this process shares: columns in, outputs out, checked at the edge."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.models.inputs import conform
from workbench.models.protocol import Input, Kind, Label, ModelError, Outputs, Piece


class OpenModel:
    """Base of the readers' models: `answer` gets conformed rows, at least one of them.

    answered_by: the library that computes, with its version. versions: of the libraries the file was written with.
    decides: it answers classes without scores.
    """

    format = ""
    decides = False

    def __init__(
        self,
        *,
        fingerprint: str,
        task: Kind,
        inputs: tuple[Input, ...],
        classes: tuple[Label, ...] = (),
        answered_by: str = "",
        versions: Mapping[str, str] | None = None,
    ) -> None:
        self.fingerprint, self.task, self.inputs, self.classes = fingerprint, task, inputs, classes
        self.answered_by, self.versions = answered_by, dict(versions or {})

    def predict(self, frame: pd.DataFrame) -> Outputs:
        """Answers for the frame's rows. Raises ModelError naming missing columns, or what the model could not take."""
        rows = conform(frame, self.inputs)
        if not len(rows):
            return self.nothing()
        try:
            return self.answer(rows)
        except ModelError:
            raise
        except MemoryError:
            raise
        except Exception as error:
            raise ModelError(
                f"the model ({self.answered_by or self.format}) failed on {len(rows)} rows with {_told(error)}. Check "
                "that the data is what it was trained on, or ask it for these rows in Python to read the error's text"
            ) from error

    def answer(self, rows: pd.DataFrame) -> Outputs:
        raise NotImplementedError

    def nothing(self) -> Outputs:
        """Outputs for no rows."""
        if self.task == "regression":
            return Outputs(values=np.zeros(0))
        scores = None if self.decides else np.zeros((0, len(self.classes)))
        return Outputs(self.classes, scores=scores, labels=label_array(self.classes, np.zeros(0, np.int64)))

    def describe(self) -> Piece:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing to end: it lives in this process."""


def _told(error: Exception) -> str:
    """Its type and place: the text of a foreign error may quote a cell, and what is told here is kept as evidence."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if not {"workbench", "site-packages"} & set(Path(frame.filename).parts)]
    place = (theirs or frames)[-1]
    return f"{type(error).__name__} at line {place.lineno} of {Path(place.filename).name}"


def label_array(classes: tuple[Label, ...], index: NDArray[np.integer[Any]]) -> NDArray[np.generic]:
    """Labels [n] for class numbers [n]: text as objects, so that none is cut."""
    kind = object if any(isinstance(label, str) for label in classes) or not classes else None
    return np.asarray(np.array(classes, dtype=kind)[index]) if classes else np.zeros(0, dtype=object)


def from_scores(classes: tuple[Label, ...], scores: NDArray[Any], raw: NDArray[np.float64] | None = None) -> Outputs:
    """Outputs of a classifier from P(positive) [n] or probabilities [n, k]; its decision is the most probable class.

    Raises ModelError where k is not the number of classes.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim == 2 and scores.shape[1] == 1:
        scores = scores[:, 0]
    if scores.ndim == 1:
        scores = np.column_stack([1.0 - scores, scores])
    if scores.ndim != 2 or scores.shape[1] != len(classes):
        raise ModelError(
            f"the model has {len(classes)} classes {list(classes)[:10]} and answered scores of shape {scores.shape}: "
            "name its classes with the option classes: [...]"
        )
    # argmax takes NaN for the largest: what such a row is worth is for `checked` to say.
    return Outputs(classes, scores=scores, labels=label_array(classes, scores.argmax(axis=1)), raw=raw)
