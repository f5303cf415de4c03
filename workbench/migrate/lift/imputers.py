"""Imputation by models of the other columns, round by round."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from workbench.migrate.lift.columns import (
    CannotLift,
    Columns,
    Context,
    Special,
    answer,
    chain,
    convert,
    fresh,
    numbers,
    transformer,
)
from workbench.migrate.lift.encode import flags
from workbench.migrate.lift.ops import Beside, Op, is_missing
from workbench.models.protocol import Piece


class Rounds(Op):
    """Numbers [n, m] with missing ones → [n, k] without; parts: the first fill, then one model per step.

    kept [k]: the columns that stay; steps [s]: which of them a step fills; neighbours_i: which it reads;
    low, high [k]: between what it is clipped; empty [k]: columns that keep the first fill. config: missing.
    """

    name = "rounds"
    kept: Tensor
    steps: Tensor
    low: Tensor
    high: Tensor
    empty: Tensor

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        # Read once: a step's column is part of the graph, not a number in it.
        self.order = [int(step) for step in self.steps.tolist()]

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        first, *models = self.parts
        missing = is_missing(x.index_select(1, self.kept), self.config["missing"]) & ~self.empty
        filled: Tensor = first(x, codes)
        place = torch.arange(filled.shape[1], device=x.device)
        for number, (step, model) in enumerate(zip(self.order, models)):
            value = model(filled.index_select(1, self.get_buffer(f"neighbours_{number}")), codes)["values"]
            value = torch.minimum(torch.maximum(value, self.low[step]), self.high[step])
            filled = torch.where(missing & (place == step), value[:, None], filled)
        return filled


@transformer("sklearn.impute.IterativeImputer")
def iterative(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    parts = dict(piece.children)
    if piece.params.get("sample_posterior"):
        advice = "Set sample_posterior=False and fit again"
        raise CannotLift(piece.kind, "sample_posterior=True draws its values at random", advice)
    if "initial_imputer_" not in parts or "steps" not in piece.arrays:
        raise CannotLift(piece.kind, "its description holds no fitted rounds", "Read it with the newest workbench")
    before, count = numbers(piece, columns)
    first, filled = convert(parts["initial_imputer_"], fresh(count), context)
    op = first if not int(str(piece.params.get("n_iter_", 0))) else _rounds(piece, first, len(filled), context)
    stands = _stands(piece)
    extra = flags(piece, fresh(count), Special.MISSING if stands is None else stands, context)
    beside = Beside({}, {}, [op, *extra]) if extra else op
    return chain([*before, beside]), fresh(len(filled) + len(extra))


def _stands(piece: Piece) -> float | None:
    """The number that says missing, None for NaN."""
    missing = piece.params.get("missing_values")
    return None if missing in (None, "pandas.NA") or missing != missing else float(str(missing))


def _rounds(piece: Piece, first: Op, width: int, context: Context) -> Op:
    empty = piece.arrays["_is_empty_feature"].astype(np.bool_)
    keep = bool(piece.params.get("keep_empty_features"))
    kept = np.arange(len(empty)) if keep else np.flatnonzero(~empty)
    steps = piece.arrays["steps"].astype(np.int64)
    arrays = {
        "kept": kept,
        "steps": steps,
        "low": _limit(piece, "_min_value", width),
        "high": _limit(piece, "_max_value", width),
        "empty": empty[kept],
    }
    parts, children = [first], dict(piece.children)
    inside = Context((), (), "regression", context.built)
    for number in range(len(steps)):
        neighbours = piece.arrays[f"neighbours.{number}"].astype(np.int64)
        arrays[f"neighbours_{number}"] = neighbours
        parts.append(answer(children[f"steps.{number}"], fresh(len(neighbours)), inside))
    return Rounds({"missing": _stands(piece)}, arrays, parts)


def _limit(piece: Piece, name: str, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.array(np.broadcast_to(piece.arrays[name].astype(np.float64), (width,)))
