"""More linear models: other ways to fit the same matrix product, and linear discriminants."""

from __future__ import annotations

import numpy as np

from workbench.migrate.lift.answer import answer_op
from workbench.migrate.lift.columns import CannotLift, Columns, Context, chain, fresh, numbers, predictor, transformer
from workbench.migrate.lift.linear import regression
from workbench.migrate.lift.ops import Affine, MatMul, Op
from workbench.models.protocol import Piece

REGRESSIONS = tuple(
    f"sklearn.linear_model.{name}"
    for name in (
        "ARDRegression",
        "Lars",
        "LarsCV",
        "LassoLars",
        "LassoLarsCV",
        "LassoLarsIC",
        "MultiTaskElasticNet",
        "MultiTaskElasticNetCV",
        "MultiTaskLasso",
        "MultiTaskLassoCV",
        "OrthogonalMatchingPursuit",
        "OrthogonalMatchingPursuitCV",
        "PassiveAggressiveRegressor",
        "QuantileRegressor",
        "TheilSenRegressor",
    )
)
predictor(*REGRESSIONS)(regression)


@predictor("sklearn.discriminant_analysis.LinearDiscriminantAnalysis")
def discriminant(piece: Piece, columns: Columns, context: Context) -> Op:
    if context.task == "regression":
        raise CannotLift(piece.kind, "it predicts classes, and the task is regression")
    weight = piece.arrays["coef_"].astype(np.float64).T
    before, count = numbers(piece, columns)
    if count != weight.shape[0]:
        raise CannotLift(piece.kind, f"it has {weight.shape[0]} coefficients, and {count} columns reach it")
    product = MatMul({}, {"weight": weight, "bias": piece.arrays["intercept_"].astype(np.float64).reshape(-1)})
    outputs = weight.shape[1]
    link, label = ("sigmoid", "raw>0") if outputs == 1 else ("softmax", "argmax-raw")
    last = answer_op(piece, context, outputs, link=link, label=label, unanswered=True)  # type: ignore[arg-type]
    return chain([*before, product, last])


@transformer("sklearn.discriminant_analysis.LinearDiscriminantAnalysis")
def discriminant_axes(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    before, _ = numbers(piece, columns)
    kept = int(str(piece.params["_max_components"]))
    weight = piece.arrays["scalings_"].astype(np.float64)[:, :kept]
    ops: list[Op] = [MatMul({}, {"weight": weight, "bias": np.zeros(weight.shape[1])})]
    if piece.params.get("solver", "svd") == "svd":
        ops.insert(0, Affine({}, {"shift": piece.arrays["xbar_"].astype(np.float64)}))
    elif piece.params.get("solver") != "eigen":
        raise CannotLift(piece.kind, f"solver={piece.params.get('solver')!r} cannot transform")
    return chain([*before, *ops]), fresh(weight.shape[1])


@predictor("sklearn.cross_decomposition.PLSRegression")
def partial_least_squares(piece: Piece, columns: Columns, context: Context) -> Op:
    if "_x_mean" not in piece.arrays or "intercept_" not in piece.arrays:
        advice = "Fit it with scikit-learn 1.3 or newer and save it again"
        raise CannotLift(piece.kind, "its version scales its coefficients otherwise", advice)
    weight = piece.arrays["coef_"].astype(np.float64).T
    before, count = numbers(piece, columns)
    if count != weight.shape[0]:
        raise CannotLift(piece.kind, f"it has {weight.shape[0]} coefficients, and {count} columns reach it")
    centred = Affine({}, {"shift": piece.arrays["_x_mean"].astype(np.float64)})
    product = MatMul({}, {"weight": weight, "bias": piece.arrays["intercept_"].astype(np.float64).reshape(-1)})
    return chain([*before, centred, product, answer_op(piece, context, weight.shape[1], raw=False)])
