"""Linear models: one matrix product, then a link."""

from __future__ import annotations

import numpy as np

from workbench.migrate.lift.answer import Label, answer_op
from workbench.migrate.lift.columns import CannotLift, Columns, Context, chain, numbers, predictor
from workbench.migrate.lift.ops import MatMul, Op
from workbench.migrate.lift.preprocess import older
from workbench.models.protocol import Piece


def _margin(piece: Piece, columns: Columns, context: Context) -> tuple[list[Op], int]:
    """Ops to the raw sums [n, K], and K."""
    if "coef_" not in piece.arrays:
        raise CannotLift(piece.kind, "its coefficients are stored sparse", "Call densify() on it and save it again")
    weight = np.atleast_2d(piece.arrays["coef_"].astype(np.float64))
    given = piece.arrays.get("intercept_", piece.params.get("intercept_", 0.0))
    bias = np.broadcast_to(np.asarray(given, dtype=np.float64).reshape(-1), (weight.shape[0],))
    before, count = numbers(piece, columns)
    if count != weight.shape[1]:
        raise CannotLift(piece.kind, f"it has {weight.shape[1]} coefficients, and {count} columns reach it")
    return [*before, MatMul({}, {"weight": weight.T, "bias": bias})], weight.shape[0]


def _regression(piece: Piece, columns: Columns, context: Context, link: str) -> Op:
    ops, outputs = _margin(piece, columns, context)
    if context.task != "regression":
        raise CannotLift(piece.kind, f"it predicts a number, and the task is {context.task}")
    return chain([*ops, answer_op(piece, context, outputs, link=link, raw=link != "identity")])


@predictor(
    *(
        f"sklearn.linear_model.{name}"
        for name in (
            "BayesianRidge",
            "ElasticNet",
            "ElasticNetCV",
            "HuberRegressor",
            "Lasso",
            "LassoCV",
            "LinearRegression",
            "Ridge",
            "RidgeCV",
            "SGDRegressor",
        )
    ),
    "sklearn.svm.LinearSVR",
)
def regression(piece: Piece, columns: Columns, context: Context) -> Op:
    return _regression(piece, columns, context, "identity")


@predictor("sklearn.linear_model.PoissonRegressor", "sklearn.linear_model.GammaRegressor")
def log_link(piece: Piece, columns: Columns, context: Context) -> Op:
    return _regression(piece, columns, context, "exp")


@predictor("sklearn.linear_model.TweedieRegressor")
def tweedie(piece: Piece, columns: Columns, context: Context) -> Op:
    link, power = piece.params.get("link", "auto"), piece.params.get("power", 0.0)
    identity = link == "identity" or (link == "auto" and float(power) <= 0)  # type: ignore[arg-type]
    return _regression(piece, columns, context, "identity" if identity else "exp")


@predictor("sklearn.linear_model.LogisticRegression", "sklearn.linear_model.LogisticRegressionCV")
def logistic(piece: Piece, columns: Columns, context: Context) -> Op:
    ops, outputs = _margin(piece, columns, context)
    scale, link = 1.0, "sigmoid"
    if outputs == 1:
        # Before 1.8, multi_class="multinomial" on two classes was a softmax over (-margin, margin).
        scale = 2.0 if piece.params.get("multi_class") == "multinomial" else 1.0
    else:
        link = "sigmoid-shares" if _one_against_rest(piece) else "softmax"
    return _classes(piece, context, ops, outputs, link, scale)


def _one_against_rest(piece: Piece) -> bool:
    how = piece.params.get("multi_class", "auto")
    if how == "warn" or (how == "auto" and older(piece, 0, 22)):
        return True
    return how == "ovr" or (how != "multinomial" and piece.params.get("solver") == "liblinear")


@predictor("sklearn.linear_model.SGDClassifier")
def sgd(piece: Piece, columns: Columns, context: Context) -> Op:
    ops, outputs = _margin(piece, columns, context)
    shares = "" if outputs == 1 else "-shares"
    link = {"log_loss": f"sigmoid{shares}", "log": f"sigmoid{shares}", "modified_huber": f"huber{shares}"}
    return _classes(piece, context, ops, outputs, link.get(str(piece.params.get("loss"))))


@predictor(
    "sklearn.linear_model.RidgeClassifier",
    "sklearn.linear_model.RidgeClassifierCV",
    "sklearn.linear_model.Perceptron",
    "sklearn.linear_model.PassiveAggressiveClassifier",
    "sklearn.svm.LinearSVC",
)
def decides(piece: Piece, columns: Columns, context: Context) -> Op:
    ops, outputs = _margin(piece, columns, context)
    return _classes(piece, context, ops, outputs, None)


def _classes(piece: Piece, context: Context, ops: list[Op], outputs: int, link: str | None, scale: float = 1.0) -> Op:
    """link None: it decides without probabilities."""
    if context.task == "regression":
        raise CannotLift(piece.kind, "it predicts classes, and the task is regression")
    label: Label = "raw>0" if outputs == 1 else "argmax-raw"
    # A row with a missing number, at which the source stops, gets no class.
    last = answer_op(
        piece,
        context,
        outputs,
        link=link or "identity",
        link_scale=scale,
        label=label,
        scores=link is not None,
        unanswered=True,
    )
    return chain([*ops, last])
