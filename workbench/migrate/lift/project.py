"""Projections and kernel maps: a row as sums over what was learnt in training. Sums run in the machine's own order."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workbench.migrate.lift.columns import CannotLift, Columns, Context, chain, fresh, numbers, transformer
from workbench.migrate.lift.ops import Affine, Function, MatMul, Op
from workbench.models.protocol import Piece

Floats = NDArray[np.float64]


def squared_distances(x: Tensor, points: Tensor) -> Tensor:
    """Squared distances [n, p] by `|x|² - 2 x·p + |p|²`, as scikit-learn computes them, never below 0."""
    found = -2 * (x @ points.t())
    found = found + (x * x).sum(1, keepdim=True) + (points * points).sum(1)
    return found.clamp(min=0.0)


class Similarity(Op):
    """Kernel of rows [n, m] with points [p, m] → [n, p].

    config: kernel; gamma, coef0, degree where the kernel has them.
    """

    name = "similarity"
    points: Tensor

    def cells(self) -> int:
        return 3 * self.points.shape[0]

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        kernel, gamma = self.config["kernel"], float(str(self.config["gamma"]))
        if kernel == "rbf":
            return torch.exp(-gamma * squared_distances(x, self.points))
        if kernel == "laplacian":
            away = [(x - point).abs().sum(1) for point in self.points.unbind(0)]
            return torch.exp(-gamma * torch.stack(away, dim=1))
        if kernel == "cosine":
            return _unit(x) @ _unit(self.points).t()
        product = x @ self.points.t()
        if kernel == "linear":
            return product
        product = product * gamma + float(str(self.config["coef0"]))
        return torch.tanh(product) if kernel == "sigmoid" else product ** float(str(self.config["degree"]))


def _unit(x: Tensor) -> Tensor:
    length = (x * x).sum(1, keepdim=True).sqrt()
    return x / torch.where(length == 0, 1.0, length)


KERNELS = ("rbf", "laplacian", "cosine", "linear", "poly", "polynomial", "sigmoid")


@transformer("sklearn.kernel_approximation.Nystroem")
def nystroem(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    kernel = str(piece.params.get("kernel", "rbf"))
    if kernel not in KERNELS or piece.params.get("kernel_params"):
        advice = f"Fit it with one of {', '.join(KERNELS)}, and without kernel_params"
        raise CannotLift(piece.kind, f"the kernel {kernel!r} has no torch form here", advice)
    points, weight = _floats(piece, "components_"), _floats(piece, "normalization_").T
    config = {name: piece.params.get(name) for name in ("gamma", "coef0", "degree")}
    default = {"gamma": 1.0 / points.shape[1], "coef0": 1.0, "degree": 3.0}
    chosen = {name: default[name] if value is None else value for name, value in config.items()}
    similar = Similarity({"kernel": kernel, **chosen}, {"points": points})
    return _projected(piece, columns, [similar], weight, points.shape[1])


@transformer("sklearn.kernel_approximation.RBFSampler")
def random_features(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    weight, offset = _floats(piece, "random_weights_"), _floats(piece, "random_offset_")
    width = weight.shape[1]
    factor = np.full(width, (2.0 / int(str(piece.params.get("n_components", 100)))) ** 0.5)
    before, _ = _fitted(piece, columns, weight.shape[0])
    product = MatMul({}, {"weight": weight, "bias": offset})
    return chain([*before, product, Function({"function": "cos"}), Affine({}, {"factor": factor})]), fresh(width)


@transformer("sklearn.decomposition.FastICA")
def unmixed(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    weight = _floats(piece, "components_").T
    shift: list[Op] = [Affine({}, {"shift": _floats(piece, "mean_")})] if piece.params.get("whiten") else []
    return _projected(piece, columns, shift, weight, weight.shape[0])


@transformer("sklearn.decomposition.FactorAnalysis")
def factors(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    loadings = _floats(piece, "components_")
    scaled = loadings / _floats(piece, "noise_variance_")
    spread = np.asarray(np.linalg.inv(np.eye(len(loadings)) + scaled @ loadings.T), dtype=np.float64)
    shift = Affine({}, {"shift": _floats(piece, "mean_")})
    product = MatMul({}, {"weight": scaled.T, "bias": np.zeros(len(loadings))})
    return _projected(piece, columns, [shift, product], spread, loadings.shape[1])


@transformer("sklearn.random_projection.GaussianRandomProjection", "sklearn.random_projection.SparseRandomProjection")
def random_projection(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    weight = _floats(piece, "components_").T if "components_" in piece.arrays else _dense(piece).T
    return _projected(piece, columns, [], weight, weight.shape[0])


def _dense(piece: Piece) -> Floats:
    rows, width = piece.arrays["components_.shape"].tolist()
    found = np.zeros((rows, width))
    starts = piece.arrays["components_.indptr"].astype(np.int64)
    row = np.repeat(np.arange(rows), np.diff(starts))
    found[row, piece.arrays["components_.indices"].astype(np.int64)] = piece.arrays["components_.data"]
    return found


def _floats(piece: Piece, name: str) -> Floats:
    return piece.arrays[name].astype(np.float64)


def _fitted(piece: Piece, columns: Columns, wanted: int) -> tuple[list[Op], int]:
    before, count = numbers(piece, columns)
    if count != wanted:
        raise CannotLift(piece.kind, f"it was fitted on {wanted} columns, and {count} reach it")
    return before, count


def _projected(piece: Piece, columns: Columns, ops: list[Op], weight: Floats, wanted: int) -> tuple[Op, Columns]:
    before, _ = _fitted(piece, columns, wanted)
    product = MatMul({}, {"weight": weight, "bias": np.zeros(weight.shape[1])})
    return chain([*before, *ops, product]), fresh(weight.shape[1])
