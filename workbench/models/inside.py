"""Into a model that ends in a tree ensemble: the matrix its trees see of raw rows, and its own sums before the link.

The matrix is made by whatever prepares rows for the model (its pipeline, its torch program), and the margin by whatever
answers for it, so that what is explained is that model and not our reading of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.models.inputs import coded, conform
from workbench.models.nested import INSIDE
from workbench.models.protocol import Model, ModelError, Outputs, Piece
from workbench.models.trees import Trees

if TYPE_CHECKING:
    from workbench.models.booster_model import BoosterModel
    from workbench.models.sklearn_file import SklearnModel

Floats = NDArray[np.float64]


class ClosedError(ModelError):
    """A model that does not end in one tree ensemble that can be seen; the message says why."""


@dataclass(frozen=True)
class Sight:
    """n rows at the trees' input: matrix float64 [n, F]. margin: float64 [n, K], the model's own sums for them."""

    matrix: Floats
    margin: Floats


def trees_of(model: Model) -> Trees:
    """The tree ensemble a model ends in. Raises ClosedError; ModelError where its process fails."""
    if hasattr(model, "trees"):
        held: Trees = model.trees()
        return held
    if model.format == "torch":
        from workbench.models import inside_torch

        return inside_torch.trees_of(model)  # type: ignore[arg-type]
    return in_piece(model.describe())


def in_piece(piece: Piece) -> Trees:
    """The trees at the end of a described pipeline. Raises ClosedError."""
    piece = _end(piece)
    if piece.trees is None:
        raise ClosedError(
            str(piece.params.get("trees_refused") or f"it ends in {piece.kind}, which is no tree ensemble")
        )
    if not piece.trees.n_trees:
        raise ClosedError("its ensemble has no trees")
    return piece.trees


def look(model: Model, frame: pd.DataFrame) -> Sight:
    """Rows as the trees of a model see them, and its margins. Raises ClosedError, ModelError."""
    if hasattr(model, "look"):
        seen: Sight = model.look(frame)
        return seen
    if model.format == "torch":
        from workbench.models import inside_torch

        return inside_torch.look(model, frame)  # type: ignore[arg-type]
    rows = conform(frame, model.inputs)
    if hasattr(model, "estimator"):
        return _in_pipeline(model, rows)  # type: ignore[arg-type]
    if hasattr(model, "booster"):
        return Sight(model.matrix(rows), _column(_booster_margin(model, rows)))  # type: ignore[attr-defined,arg-type]
    return Sight(_by_name(trees_of(model), model, rows), margin(model.predict(frame)))


def margin(outputs: Outputs) -> Floats:
    """A model's own sums [n, K] as far as its answers tell: raw where given, else values or scores."""
    found = next((part for part in (outputs.raw, outputs.values, outputs.scores) if part is not None), None)
    if found is None:
        raise ClosedError("it only decides, and gives no sums")
    return _column(found)


def _column(values: Any) -> Floats:
    found = np.asarray(values, dtype=np.float64)
    return found[:, None] if found.ndim == 1 else found


def _end(piece: Piece) -> Piece:
    while piece.kind == "sklearn.pipeline.Pipeline" or piece.kind in INSIDE:
        parts = dict(piece.children)
        piece = piece.children[-1][1] if piece.kind not in INSIDE else parts[INSIDE[piece.kind]]
    return piece


def _in_pipeline(model: SklearnModel, rows: pd.DataFrame) -> Sight:
    """Through the fitted steps, by the library itself."""
    from workbench.models.pieces import public_name

    X, end = model.given(rows), model.estimator
    while True:
        if (kind := public_name(type(end))) in INSIDE:
            end = getattr(end, INSIDE[kind])
        elif hasattr(end, "steps"):
            for _, step in end.steps[:-1]:
                X = X if step is None or isinstance(step, str) else step.transform(X)
            end = end.steps[-1][1]
        else:
            return Sight(_seen(end, X), _column(_sums(end, X)))


def _seen(end: Any, X: Any) -> Floats:
    """What the trees of a fitted estimator read."""
    if hasattr(end, "_preprocess_X"):
        X = end._preprocess_X(X, reset=False)
    categories = _categories(end) if isinstance(X, pd.DataFrame) else {}
    if categories:
        names = [str(name) for name in X.columns]
        parts = [
            coded(X.iloc[:, at], values) if (values := categories.get(name)) else X.iloc[:, at].to_numpy(np.float64)
            for at, name in enumerate(names)
        ]
        X = np.column_stack(parts)
    found = np.asarray(X.toarray() if hasattr(X, "toarray") else X, dtype=np.float64)
    absent = getattr(end, "missing", np.nan)
    return np.where(found == absent, np.nan, found) if isinstance(absent, int | float) else found


def _categories(end: Any) -> dict[str, Any]:
    from workbench.models.estimator_trees import categories_of

    return dict(categories_of(end)) if hasattr(end, "get_booster") or hasattr(end, "booster_") else {}


def _sums(end: Any, X: Any) -> Any:
    """The estimator's own answer before its link."""
    if hasattr(end, "get_booster"):
        return end.predict(X, output_margin=True)
    if hasattr(end, "booster_"):
        return end.predict(X, raw_score=True)
    if getattr(end, "loss", "") in ("poisson", "gamma") and hasattr(end, "_baseline_prediction"):
        return np.log(end.predict(X))
    for name in ("decision_function", "predict_proba", "predict"):
        if hasattr(end, name):
            return getattr(end, name)(X)
    raise ClosedError(f"{type(end).__name__} answers nothing")


def _booster_margin(model: BoosterModel, rows: pd.DataFrame) -> Any:
    if model.live is None:
        return model.booster.raw(model.matrix(rows))
    return model.library_margin(rows)


def _by_name(trees: Trees, model: Model, rows: pd.DataFrame) -> Floats:
    """The columns that carry the trees' own names, for a format that prepares nothing before them."""
    known = {column.name: column for column in model.inputs}
    if absent := [name for name in trees.features if name not in known]:
        raise ClosedError(
            f"its trees read {', '.join(absent[:5])}, which are made of its columns in a way not seen here"
        )
    parts = []
    for place, name in enumerate(trees.features):
        values = known[name].categories if place in trees.categorical else ()
        try:
            parts.append(coded(rows[name], values) if values else rows[name].to_numpy(dtype=np.float64))
        except (TypeError, ValueError):
            raise ClosedError(f"its column {name} holds text that its trees read as numbers") from None
    return np.column_stack(parts)
