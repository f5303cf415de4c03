"""Parity of a transformer alone: the columns it makes, with no model behind it to hide a difference."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch

from workbench.migrate.lift import PREDICTORS, Lifted, lift_piece
from workbench.migrate.lift.columns import Columns, Context, chain, numbers
from workbench.migrate.lift.ops import Op
from workbench.models.pieces import sklearn_piece
from workbench.models.protocol import Piece
from workbench.models.sklearn_inputs import asked

SHOW = "tests.Show"


class Show(Op):
    """Ends a model that only shows the columns that reach it."""

    name = "tests-show"

    def forward(self, x: torch.Tensor, codes: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"raw": x, "label": torch.zeros(len(x), dtype=torch.int64)}


@contextlib.contextmanager
def _showing() -> Iterator[None]:
    def show(piece: Piece, columns: Columns, context: Context) -> Op:
        return chain([*numbers(piece, columns)[0], Show()])

    PREDICTORS[SHOW] = show
    try:
        yield
    finally:
        del PREDICTORS[SHOW]


def lifted_columns(transformer: Any, frame: pd.DataFrame) -> Lifted:
    """A fitted transformer as a model whose raw answer is the columns it makes."""
    piece = sklearn_piece(transformer)
    whole = Piece("sklearn.pipeline.Pipeline", children=(("step", piece), ("show", Piece(SHOW))))
    with _showing():
        return lift_piece(whole, asked(whole, [str(name) for name in frame]).inputs, (0, 1), "binary")


def shown(model: Lifted, rows: pd.DataFrame) -> np.ndarray:
    found = model.predict(rows).raw
    return found.reshape(len(rows), -1 if len(rows) else found.size)


def transformed(transformer: Any, rows: pd.DataFrame) -> np.ndarray:
    found = transformer.transform(rows)
    return np.asarray(found.toarray() if hasattr(found, "toarray") else found, dtype=np.float64)


def same_columns(
    transformer: Any, train: pd.DataFrame, rows: pd.DataFrame, y: Any = None, *, rtol: float = 0.0, mixed: bool = True
) -> Lifted:
    """Fit on `train`; then the same columns for the rows, every second one, one of them and none.

    rtol 0: the same bits. The rows come in other layouts and, where `mixed`, with a float32 column beside others.
    """
    model = lifted_columns(transformer.fit(train, y), train)
    for part in (rows, rows.iloc[::2], rows.iloc[:1], *_other_layouts(rows, mixed)):
        expected, found = transformed(transformer, part), shown(model, part)
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol)
    assert len(shown(model, rows.iloc[:0])) == 0
    return model


def _other_layouts(rows: pd.DataFrame, mixed: bool) -> Iterator[pd.DataFrame]:
    if not all(isinstance(kind, np.dtype) and kind.kind == "f" for kind in rows.dtypes) or rows.shape[1] < 2:
        return
    wide = np.empty((2 * len(rows), 2 * rows.shape[1]))
    wide[::2, ::2] = rows.to_numpy()
    yield pd.DataFrame(wide[::2, ::2], columns=rows.columns)
    if mixed:
        with np.errstate(over="ignore"):
            yield rows.astype({rows.columns[0]: np.float32}).replace([np.inf, -np.inf], 1.0)
