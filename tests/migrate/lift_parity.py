"""Parity with the source library: the one question of every test of the lift."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from workbench.migrate.lift import Lifted, lift_piece
from workbench.models import Input
from workbench.models.pieces import sklearn_piece
from workbench.models.sklearn_inputs import asked


def lifted(estimator: Any, frame: pd.DataFrame, kinds: bool = True) -> Lifted:
    """kinds: say what each column is, as the model door does; else every column is a plain unknown."""
    piece = sklearn_piece(estimator)
    names = [str(name) for name in frame.columns]
    inputs = asked(piece, names).inputs if kinds else tuple(Input(name) for name in names)
    classes = tuple(np.asarray(getattr(estimator, "classes_", ())).tolist())
    task = "regression" if not classes else "binary" if len(classes) == 2 else "multiclass"
    return lift_piece(piece, inputs, classes, task)


def check(estimator: Any, frame: pd.DataFrame, *, atol: float = 1e-12, rows: pd.DataFrame | None = None) -> Lifted:
    """The lifted model answers as the estimator does: on the rows, on one of them, and on none."""
    model = lifted(estimator, frame)
    rows = frame if rows is None else rows
    for part in (rows, rows.iloc[:1]):
        compare(estimator, model, part, atol)
    empty = model.predict(rows.iloc[:0])
    assert len(empty) == 0
    assert empty.scores is None or empty.scores.shape == (0, len(model.classes))
    return model


def compare(estimator: Any, model: Lifted, rows: pd.DataFrame, atol: float) -> None:
    answers = model.predict(rows)
    if model.task == "regression":
        expected = estimator.predict(rows)
        np.testing.assert_allclose(answers.values, expected, rtol=1e-12, atol=atol)
        return
    assert answers.labels is not None
    assert (answers.labels == estimator.predict(rows)).all(), "a label flipped"
    if hasattr(estimator, "predict_proba"):
        assert answers.scores is not None
        np.testing.assert_allclose(answers.scores, estimator.predict_proba(rows), rtol=0, atol=atol)
        return
    assert answers.scores is None
    if hasattr(estimator, "decision_function"):
        np.testing.assert_allclose(answers.raw, estimator.decision_function(rows), rtol=1e-12, atol=atol)
