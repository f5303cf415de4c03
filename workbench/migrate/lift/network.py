"""Multi-layer perceptrons: matrix products and activations, in float64 as the source computes them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from workbench.migrate.lift.answer import answer_op
from workbench.migrate.lift.columns import CannotLift, Columns, Context, chain, numbers, predictor
from workbench.migrate.lift.ops import MatMul, Op
from workbench.models.protocol import Piece

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "logistic": torch.sigmoid,
    "mish": torch.nn.functional.mish,
    "selu": torch.selu,
}
"""The first three are scikit-learn's; the others are those of networks made by `migrate/retraining`."""
LINKS = {"identity": "identity", "logistic": "sigmoid", "softmax": "softmax", "exp": "exp"}


class Activation(Op):
    name = "activation"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        return ACTIVATIONS[str(self.config["function"])](x)


@predictor("sklearn.neural_network.MLPClassifier", "sklearn.neural_network.MLPRegressor")
def perceptron(piece: Piece, columns: Columns, context: Context) -> Op:
    layers = sum(name.startswith("coefs_.") for name in piece.arrays)
    before, count = numbers(piece, columns)
    ops = [*before]
    outputs = count
    for layer in range(layers):
        weight = piece.arrays[f"coefs_.{layer}"].astype(np.float64)
        if weight.shape[0] != outputs:
            raise CannotLift(piece.kind, f"layer {layer} takes {weight.shape[0]} columns, and {outputs} reach it")
        ops.append(MatMul({}, {"weight": weight, "bias": piece.arrays[f"intercepts_.{layer}"].astype(np.float64)}))
        outputs = weight.shape[1]
        if layer < layers - 1:
            ops += _hidden(piece)
    return chain([*ops, _answer(piece, context, outputs)])


def _hidden(piece: Piece) -> list[Op]:
    function = str(piece.params.get("activation", "relu"))
    if function != "identity" and function not in ACTIVATIONS:
        raise CannotLift(piece.kind, f"activation={function!r} is not known here")
    return [] if function == "identity" else [Activation({"function": function})]


def _answer(piece: Piece, context: Context, outputs: int) -> Op:
    last = str(piece.params.get("out_activation_"))
    if last not in LINKS:
        raise CannotLift(piece.kind, f"out_activation_={last!r} is not known here")
    if last == "logistic" and outputs > 1:
        raise CannotLift(piece.kind, f"it decides {outputs} labels at once", "Give one model per label")
    return answer_op(piece, context, outputs, link=LINKS[last], label="argmax", raw=False, unanswered=True)
