"""Support vector machines: a kernel against the support vectors, sums for each pair of classes, then libsvm's vote."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workbench.migrate.lift.columns import CannotLift, Columns, Context, chain, numbers, predictor
from workbench.migrate.lift.committee_ops import Value, duels
from workbench.migrate.lift.committees import verdict
from workbench.migrate.lift.ops import Arrays, MatMul, Op, Outputs
from workbench.models.protocol import Piece, Plain

KERNELS = ("linear", "poly", "rbf", "sigmoid")
ROUNDS = 100
"""libsvm's own limit for fewer classes than that."""


class Kernel(Op):
    """Rows [n, F] against vectors [s, F] → [n, s]: dot products d, or squared distances, through the kernel.

    config: kernel ("linear": d; "poly": (gamma d + coef0) ** degree; "rbf": exp(-gamma distance ** 2); "sigmoid":
    tanh(gamma d + coef0)), gamma, coef0, degree.
    """

    name = "kernel"
    vectors: Tensor

    def cells(self) -> int:
        return len(self.vectors)

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        kernel, gamma = self.config["kernel"], float(self.config["gamma"])  # type: ignore[arg-type]
        if kernel == "rbf":
            distance = torch.cdist(x, self.vectors, compute_mode="donot_use_mm_for_euclid_dist")
            return torch.exp(-gamma * distance.square())
        product = x @ self.vectors.t()
        if kernel == "linear":
            return product
        inner = gamma * product + float(self.config["coef0"])  # type: ignore[arg-type]
        return torch.tanh(inner) if kernel == "sigmoid" else inner ** int(self.config["degree"])  # type: ignore[arg-type]


class Machine(Op):
    """libsvm's sums [n, p], one for each pair (i, j) of classes, above 0 for i → its vote, margins, probabilities.

    config: classes; shape ("ovr" or "ovo") of the margins; ties: whether margins decide instead of votes. a, b [p],
    where there: slope and intercept of each pair's probability (Platt 1999), joined as by Wu, Lin and Weng 2004.
    """

    name = "machine"

    def forward(self, x: Tensor, codes: Tensor) -> Outputs:
        classes = int(self.config["classes"])  # type: ignore[arg-type]
        outputs: Outputs = {}
        if "a" in self.arrays:
            outputs["scores"] = coupled(self._chances(x), classes)
        if classes == 2:
            return {**outputs, "label": (x[:, 0] <= 0).long(), "raw": -x[:, 0]}
        margins = duels((x < 0).double(), -x, classes)
        told = margins if self.config["shape"] == "ovr" else x
        votes = margins if self.config["ties"] else duels((x <= 0).double(), torch.zeros_like(x), classes)
        return {**outputs, "label": votes.argmax(dim=1), "raw": told}

    def _chances(self, x: Tensor) -> Tensor:
        """Of the pair's first class, kept from 0 and 1."""
        return torch.sigmoid(-(x * self.get_buffer("a") + self.get_buffer("b"))).clamp(1e-7, 1 - 1e-7)


def coupled(chance: Tensor, classes: int) -> Tensor:
    """Probabilities [n, k] from those of pairs [n, p] by libsvm's iteration (Wu, Lin and Weng 2004, method 2), each row
    stopping where libsvm stops."""
    r = torch.zeros((chance.shape[0], classes, classes), dtype=chance.dtype, device=chance.device)
    for at, (i, j) in enumerate(combinations(range(classes), 2)):
        r[:, i, j], r[:, j, i] = chance[:, at], 1 - chance[:, at]
    back = r.transpose(1, 2)
    q = -back * r + torch.diag_embed((back * back).sum(dim=2))
    start = torch.full((chance.shape[0], classes), 1.0 / classes, dtype=chance.dtype, device=chance.device)
    if not torch.compiler.is_exporting():
        p = start
        for _ in range(max(ROUNDS, classes)):
            p, open_ = _round(p, q)
            if not bool(open_.any()):
                break
        return p
    from torch._higher_order_ops.while_loop import while_loop

    def going(count: Tensor, p: Tensor, open_: Tensor) -> Tensor:
        return (count < max(ROUNDS, classes)) & open_.any()

    def once(count: Tensor, p: Tensor, open_: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return (count + 1, *_round(p, q))

    begin = torch.zeros((), dtype=torch.int64), start, torch.ones_like(start[:, 0], dtype=torch.bool)
    found: Tensor = while_loop(going, once, begin)[1]  # type: ignore[no-untyped-call]
    return found


def _round(p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """One pass over the classes for the rows [n] that are not yet settled, and which those are."""
    classes = p.shape[1]
    product = (q * p[:, None, :]).sum(dim=2)
    whole = (p * product).sum(dim=1)
    open_ = (product - whole[:, None]).abs().amax(dim=1) >= 0.005 / classes
    new = p
    for t in range(classes):
        own = q[:, t, t]
        step = (whole - product[:, t]) / own
        new = new + step[:, None] * torch.eye(classes, dtype=p.dtype, device=p.device)[t]
        whole = (whole + step * (step * own + 2 * product[:, t])) / (1 + step) / (1 + step)
        product = (product + step[:, None] * q[:, t]) / (1 + step)[:, None]
        new = new / (1 + step)[:, None]
    return torch.where(open_[:, None], new, p), open_


def _sums(piece: Piece, columns: Columns) -> list[Op]:
    """Ops to the kernel's values [n, s]."""
    kernel = piece.params.get("kernel")
    if kernel not in KERNELS:
        advice = f"Train it with one of {', '.join(KERNELS)}"
        raise CannotLift(piece.kind, f"its kernel {kernel!r} is computed outside of it", advice)
    vectors = piece.arrays.get("support_vectors_")
    if vectors is None or not len(vectors):
        raise CannotLift(
            piece.kind, "its support vectors are stored sparse, or there are none", "Train it on dense rows"
        )
    before, count = numbers(piece, columns)
    if count != vectors.shape[1]:
        raise CannotLift(piece.kind, f"it was trained on {vectors.shape[1]} columns, and {count} reach it")
    config: dict[str, Plain] = {
        "kernel": kernel,
        "gamma": float(piece.params["_gamma"]),  # type: ignore[arg-type]
        "coef0": float(piece.params.get("coef0", 0.0)),  # type: ignore[arg-type]
        "degree": int(piece.params.get("degree", 3)),  # type: ignore[arg-type]
    }
    return [*before, Kernel(config, {"vectors": vectors.astype(np.float64)})]


def _weights(piece: Piece) -> NDArray[np.float64]:
    """Weight of each support vector in each pair's sum [s, p]: libsvm keeps the two it has in two rows of a table."""
    table = piece.arrays["_dual_coef_"].astype(np.float64)
    ends = np.concatenate([[0], np.cumsum(piece.arrays["_n_support"])]).astype(int)
    pairs = list(combinations(range(len(ends) - 1), 2))
    weights = np.zeros((table.shape[1], len(pairs)))
    for at, (i, j) in enumerate(pairs):
        weights[ends[i] : ends[i + 1], at] = table[j - 1, ends[i] : ends[i + 1]]
        weights[ends[j] : ends[j + 1], at] = table[i, ends[j] : ends[j + 1]]
    return weights


def _intercept(piece: Piece) -> NDArray[np.float64]:
    return piece.arrays["_intercept_"].astype(np.float64)


@predictor("sklearn.svm.SVC", "sklearn.svm.NuSVC")
def support_vector_classifier(piece: Piece, columns: Columns, context: Context) -> Op:
    sums, weights = _sums(piece, columns), _weights(piece)
    classes = len(context.classes)
    if weights.shape[1] != classes * (classes - 1) // 2:
        raise CannotLift(piece.kind, f"it has {weights.shape[1]} sums for {classes} classes")
    shape = str(piece.params.get("decision_function_shape", "ovr"))
    config: dict[str, Plain] = {
        "classes": classes,
        "shape": shape,
        "ties": bool(piece.params.get("break_ties")) and shape == "ovr",
    }
    responds = piece.params.get("responds_")
    arrays: Arrays = {}
    if isinstance(responds, list) and "predict_proba" in responds and len(piece.arrays["_probA"]):
        arrays = {"a": piece.arrays["_probA"].astype(np.float64), "b": piece.arrays["_probB"].astype(np.float64)}
    return chain([*sums, MatMul({}, {"weight": weights, "bias": _intercept(piece)}), Machine(config, arrays)])


@predictor("sklearn.svm.SVR", "sklearn.svm.NuSVR")
def support_vector_regressor(piece: Piece, columns: Columns, context: Context) -> Op:
    if context.task != "regression":
        raise CannotLift(piece.kind, f"it predicts a number, and the task is {context.task}")
    weight = piece.arrays["_dual_coef_"].astype(np.float64).T
    return chain([*_sums(piece, columns), MatMul({}, {"weight": weight, "bias": _intercept(piece)}), Value()])


@predictor("sklearn.svm.OneClassSVM")
def one_class(piece: Piece, columns: Columns, context: Context) -> Op:
    """Class 1 inside, -1 outside of the region; its margin."""
    if context.classes != (-1, 1):
        raise CannotLift(piece.kind, "it tells -1 (outside) from 1, and the model's classes are others")
    weight = piece.arrays["_dual_coef_"].astype(np.float64).T
    last = verdict(0, ">", raw=True)
    return chain([*_sums(piece, columns), MatMul({}, {"weight": weight, "bias": _intercept(piece)}), last])
