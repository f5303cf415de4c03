"""Clusters as classes: the nearest centre decides, without probabilities."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from workbench.migrate.lift.columns import (
    CannotLift,
    Columns,
    Context,
    chain,
    fresh,
    numbers,
    predictor,
    transformer,
)
from workbench.migrate.lift.ops import Op, Outputs
from workbench.migrate.lift.project import squared_distances
from workbench.models.protocol import Piece

KINDS = ("sklearn.cluster.KMeans", "sklearn.cluster.MiniBatchKMeans")


class Nearest(Op):
    """Rows [n, m] → "label" [n]: the nearest of centers [K, m], the first of equally near ones."""

    name = "nearest"
    centers: Tensor
    squares: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Outputs:
        away = self.squares - 2.0 * (x @ self.centers.t())
        return {"label": torch.where(away.isnan().any(dim=1), -1, away.argmin(dim=1))}


class Distances(Op):
    """Rows [n, m] → distances to centers [K, m]."""

    name = "distances"
    centers: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        return squared_distances(x, self.centers).sqrt()


@predictor(*KINDS)
def clusters(piece: Piece, columns: Columns, context: Context) -> Op:
    before, centers = _centers(piece, columns)
    if len(context.classes) != len(centers) or context.task == "regression":
        raise CannotLift(piece.kind, f"it has {len(centers)} clusters, and the task {len(context.classes)} classes")
    return chain([*before, Nearest({}, {"centers": centers, "squares": np.einsum("ij,ij->i", centers, centers)})])


@transformer(*KINDS)
def distances(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    before, centers = _centers(piece, columns)
    return chain([*before, Distances({}, {"centers": centers})]), fresh(len(centers))


def _centers(piece: Piece, columns: Columns) -> tuple[list[Op], np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    centers = piece.arrays["cluster_centers_"].astype(np.float64)
    before, count = numbers(piece, columns)
    if count != centers.shape[1]:
        raise CannotLift(piece.kind, f"it was fitted on {centers.shape[1]} columns, and {count} reach it")
    return before, centers
