"""Nearest neighbours and nearest centroids: the distance to every training row, then the nearest ones' say."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workbench.migrate.lift.columns import CannotLift, Columns, Context, chain, numbers, predictor
from workbench.migrate.lift.ops import Arrays, Op, Outputs
from workbench.models.nested import weighted_metric
from workbench.models.protocol import Piece, Plain

EXACT = "donot_use_mm_for_euclid_dist"
METRICS = ("euclidean", "manhattan", "chebyshev", "minkowski", "cosine")


def distances(x: Tensor, rows: Tensor, metric: str, power: float) -> Tensor:
    """[n, F] to [t, F]: [n, t]. power: of Minkowski's."""
    if metric == "cosine":
        norms = x.norm(dim=1, keepdim=True), rows.norm(dim=1, keepdim=True)
        one, other = (part / torch.where(norm == 0, 1.0, norm) for part, norm in zip((x, rows), norms))
        return (1.0 - one @ other.t()).clamp(0.0, 2.0)
    p = {"euclidean": 2.0, "manhattan": 1.0, "chebyshev": float("inf")}.get(metric, power)
    return torch.cdist(x, rows, p=p, compute_mode=EXACT)


class Neighbours(Op):
    """Rows [n, F] → the say of their neighbours among rows [t, F]: value [t, m] (a target, or classes as 0 and 1).

    config: metric, power; count (the nearest ones; of equal ones the first), or radius (all within it); weights
    ("uniform" or "distance": 1 / distance, and where that is infinite only those rows); classify.
    """

    name = "neighbours"
    rows: Tensor
    value: Tensor

    def cells(self) -> int:
        return len(self.rows)

    def forward(self, x: Tensor, codes: Tensor) -> Outputs:
        away = distances(x, self.rows, str(self.config["metric"]), float(self.config["power"]))  # type: ignore[arg-type]
        total, weight = self._within(away) if "radius" in self.config else self._nearest(away)
        nobody = weight.sum(dim=1, keepdim=True) == 0
        if not self.config["classify"]:
            return {"values": (total / weight.sum(dim=1, keepdim=True))[:, 0]}
        label = total.argmax(dim=1)
        if "other" in self.config:
            other = torch.eye(total.shape[1], dtype=total.dtype, device=total.device)[int(self.config["other"])]  # type: ignore[arg-type]
            total = torch.where(nobody, other, total)
            label = torch.where(nobody[:, 0], int(self.config["other"]), label)  # type: ignore[arg-type]
        else:
            label = torch.where(nobody[:, 0], -1, label)
        return {"scores": total / total.sum(dim=1, keepdim=True), "label": label}

    def _nearest(self, away: Tensor) -> tuple[Tensor, Tensor]:
        ordered, place = away.sort(dim=1, stable=True)
        count = int(self.config["count"])  # type: ignore[arg-type]
        near, place = ordered[:, :count], place[:, :count]
        weight = self._weight(near, torch.ones_like(near, dtype=torch.bool))
        value = self.value.index_select(0, place.reshape(-1)).reshape(near.shape[0], count, self.value.shape[1])
        return (value * weight[:, :, None]).sum(dim=1), weight

    def _within(self, away: Tensor) -> tuple[Tensor, Tensor]:
        weight = self._weight(away, away <= float(self.config["radius"]))  # type: ignore[arg-type]
        return weight @ self.value, weight

    def _weight(self, away: Tensor, counted: Tensor) -> Tensor:
        if self.config["weights"] == "uniform":
            return counted.double()
        here = (away == 0) & counted
        weight = torch.where(here.any(dim=1, keepdim=True), here.double(), 1.0 / away)
        return torch.where(counted, weight, 0.0)


class Centroids(Op):
    """Rows → the class of the nearest centroid [k, F], and scores -distance ** 2 + 2 log prior of rows divided by
    scale [F] (Hastie et al. 2009, 18.2).

    config: metric; near: whether the plain distance decides (all priors equal), else the scores; told: whether scores
    are told as probabilities and margins.
    """

    name = "centroids"
    centroids: Tensor
    scale: Tensor
    prior: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Outputs:
        metric = str(self.config["metric"])
        away = distances(x / self.scale, self.centroids / self.scale, metric, 2.0)
        scores = 2.0 * torch.log(self.prior) - away.square()
        near = distances(x, self.centroids, metric, 2.0).argmin(dim=1)
        outputs: Outputs = {"label": near if self.config["near"] else scores.argmax(dim=1)}
        if self.config["told"]:
            outputs["scores"] = torch.softmax(scores, dim=1)
            outputs["raw"] = scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores
        return outputs


def _config(piece: Piece) -> dict[str, Plain]:
    metric, weights = piece.params.get("effective_metric_"), piece.params.get("weights")
    given = piece.params.get("effective_metric_params_") or {}
    if metric not in METRICS or not isinstance(given, dict) or weighted_metric(piece):
        advice = f"Train it with one of {', '.join(METRICS)}"
        raise CannotLift(
            piece.kind, f"its metric {metric!r} {given or ''} is not known here".replace("  ", " "), advice
        )
    if weights not in ("uniform", "distance", None):
        raise CannotLift(piece.kind, f"its weights {weights!r} are code, not data", "Take 'uniform' or 'distance'")
    return {"metric": metric, "power": float(given.get("p", 2.0)), "weights": weights or "uniform"}  # type: ignore[arg-type]


def _fitted(piece: Piece, columns: Columns) -> tuple[list[Op], NDArray[np.float64]]:
    """Ops to the features, and the training rows."""
    rows = piece.arrays.get("_fit_X")
    if rows is None or not len(rows):
        raise CannotLift(piece.kind, "its training rows are stored sparse, or not at all", "Train it on dense rows")
    before, count = numbers(piece, columns)
    if count != rows.shape[1]:
        raise CannotLift(piece.kind, f"it was trained on {rows.shape[1]} columns, and {count} reach it")
    return before, rows.astype(np.float64)


def _target(piece: Piece) -> NDArray[np.generic]:
    target = piece.arrays["_y"]
    if target.ndim == 2 and target.shape[1] != 1:
        raise CannotLift(piece.kind, f"it predicts {target.shape[1]} targets, and a migration has one")
    return target.reshape(-1)


def _said(piece: Piece, columns: Columns, context: Context, extra: dict[str, Plain], value: NDArray[np.float64]) -> Op:
    before, rows = _fitted(piece, columns)
    config: dict[str, Plain] = {**_config(piece), **extra, "classify": bool(context.classes)}
    return chain([*before, Neighbours(config, {"rows": rows, "value": value})])


def _reach(piece: Piece) -> dict[str, Plain]:
    if "Radius" in piece.kind:
        return {"radius": float(piece.params["radius"])}  # type: ignore[arg-type]
    return {"count": int(piece.params["n_neighbors"])}  # type: ignore[arg-type]


@predictor("sklearn.neighbors.KNeighborsClassifier", "sklearn.neighbors.RadiusNeighborsClassifier")
def neighbours_classifier(piece: Piece, columns: Columns, context: Context) -> Op:
    extra = _reach(piece)
    label = piece.params.get("outlier_label_")
    label = label[0] if isinstance(label, list) else label
    if label is not None:
        if label not in context.classes:
            raise CannotLift(piece.kind, f"rows without neighbours are {label!r} to it, which is no class of training")
        extra["other"] = context.classes.index(label)
    value = np.eye(len(context.classes))[_target(piece).astype(np.int64)]
    return _said(piece, columns, context, extra, value)


@predictor("sklearn.neighbors.KNeighborsRegressor", "sklearn.neighbors.RadiusNeighborsRegressor")
def neighbours_regressor(piece: Piece, columns: Columns, context: Context) -> Op:
    if context.task != "regression":
        raise CannotLift(piece.kind, f"it predicts a number, and the task is {context.task}")
    return _said(piece, columns, context, _reach(piece), _target(piece).astype(np.float64)[:, None])


@predictor("sklearn.neighbors.NearestCentroid")
def nearest_centroid(piece: Piece, columns: Columns, context: Context) -> Op:
    metric = piece.params.get("metric")
    if metric not in ("euclidean", "manhattan") or "within_class_std_dev_" not in piece.arrays:
        raise CannotLift(piece.kind, f"metric={metric!r}, or a version before 1.6", "Train it with metric='euclidean'")
    before, _ = numbers(piece, columns)
    spread = piece.arrays["within_class_std_dev_"].astype(np.float64)
    prior = piece.arrays["class_prior_"].astype(np.float64)
    arrays: Arrays = {
        "centroids": piece.arrays["centroids_"].astype(np.float64),
        "scale": np.where(spread == 0, 1.0, spread),
        "prior": prior,
    }
    near = bool(np.isclose(prior, 1 / len(prior)).all())
    config: dict[str, Plain] = {"metric": metric, "near": near, "told": metric == "euclidean"}
    return chain([*before, Centroids(config, arrays)])
