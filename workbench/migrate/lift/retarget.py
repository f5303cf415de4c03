"""Models whose answer is another model's, turned back or taken over: transformed targets, robust refits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor

from workbench.migrate.lift.columns import CannotLift, Columns, Context, answer, chain, predictor
from workbench.migrate.lift.curves import power_back, quantile_back
from workbench.migrate.lift.ops import FUNCTIONS, Affine, Arrays, Function, Op, Outputs
from workbench.models.protocol import Piece


class Retarget(Op):
    """A regression's values [n] through what follows; parts: the model, then ops on a column [n, 1]."""

    name = "retarget"

    def forward(self, x: Tensor, codes: Tensor) -> Outputs:
        model, *after = self.parts
        values = model(x, codes)["values"][:, None]
        for part in after:
            values = part(values, codes)
        return {"values": values[:, 0]}


def _affine_back(piece: Piece, **steps: tuple[str, str]) -> list[Op]:
    """steps: array name → (the option that switches it, the step)."""
    arrays: Arrays = {}
    for name, (switch, step) in steps.items():
        if name in piece.arrays and piece.params.get(switch, True):
            arrays[step] = piece.arrays[name].astype(np.float64)
    return [Affine({}, arrays)] if arrays else []


def _standard(piece: Piece) -> list[Op]:
    return _affine_back(piece, scale_=("with_std", "factor"), mean_=("with_mean", "offset"))


def _robust(piece: Piece) -> list[Op]:
    return _affine_back(piece, scale_=("with_scaling", "factor"), center_=("with_centering", "offset"))


def _min_max(piece: Piece) -> list[Op]:
    return _affine_back(piece, min_=("", "shift"), scale_=("", "scale"))


def _max_abs(piece: Piece) -> list[Op]:
    return _affine_back(piece, scale_=("", "factor"))


def _function(piece: Piece) -> list[Op]:
    function = piece.params.get("inverse_func")
    if function is None:
        return []
    name = str(function).removeprefix("numpy.")
    if not str(function).startswith("numpy.") or name not in FUNCTIONS or piece.params.get("inv_kw_args"):
        advice = f"Fit it with one of numpy's {', '.join(sorted(FUNCTIONS))}"
        raise CannotLift(piece.kind, f"its inverse function {function!r} is code, not data", advice)
    return [Function({"function": name})]


def _pipeline(piece: Piece) -> list[Op]:
    return [op for _, step in reversed(piece.children) for op in backwards(step)]


BACK: dict[str, Callable[[Piece], list[Op]]] = {
    "passthrough": lambda piece: [],
    "sklearn.pipeline.Pipeline": _pipeline,
    "sklearn.preprocessing.FunctionTransformer": _function,
    "sklearn.preprocessing.MaxAbsScaler": _max_abs,
    "sklearn.preprocessing.MinMaxScaler": _min_max,
    "sklearn.preprocessing.PowerTransformer": power_back,
    "sklearn.preprocessing.QuantileTransformer": quantile_back,
    "sklearn.preprocessing.RobustScaler": _robust,
    "sklearn.preprocessing.StandardScaler": _standard,
}


def backwards(piece: Piece) -> list[Op]:
    """Ops of a fitted transformer's `inverse_transform`. Raises CannotLift for a kind whose inverse is not known."""
    if piece.kind not in BACK:
        advice = "Transform the target by a scaler, a PowerTransformer, a QuantileTransformer or a numpy function"
        raise CannotLift(piece.kind, "its inverse has no torch form here", advice)
    return BACK[piece.kind](piece)


@predictor("sklearn.compose.TransformedTargetRegressor")
def transformed_target(piece: Piece, columns: Columns, context: Context) -> Op:
    parts = dict(piece.children)
    if "regressor_" not in parts or "transformer_" not in parts:
        raise CannotLift(piece.kind, "its description holds no fitted regressor and transformer", "Fit it and save it")
    model = answer(parts["regressor_"], columns, context)
    after = backwards(parts["transformer_"])
    return Retarget({}, {}, [model, *after]) if after else model


@predictor("sklearn.linear_model.RANSACRegressor")
def consensus(piece: Piece, columns: Columns, context: Context) -> Op:
    parts = dict(piece.children)
    if "estimator_" not in parts:
        raise CannotLift(piece.kind, "its description holds no fitted estimator", "Fit it and save it")
    return chain([answer(parts["estimator_"], columns, context)])
