"""Classifiers by the likelihood of a row under each class: naive Bayes and quadratic discriminant analysis."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workbench.migrate.lift.columns import CannotLift, Columns, Context, chain, numbers, predictor
from workbench.migrate.lift.ops import Above, Arrays, MatMul, Op, Outputs
from workbench.models.protocol import Piece

Floats = NDArray[np.float64]


class Gaussians(Op):
    """Numbers [n, m] → log prior + log density [n, K] of normals; mean, variance [K, m]; prior, base [K]."""

    name = "gaussians"
    mean: Tensor
    variance: Tensor
    prior: Tensor
    base: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        found = []
        for k in range(len(self.prior)):
            away = x - self.mean[k]
            found.append(self.prior[k] + (self.base[k] - 0.5 * (away * away / self.variance[k]).sum(1)))
        return torch.stack(found, dim=1)


class Ellipsoids(Op):
    """Numbers [n, m] → log prior + log density [n, K] of full normals, up to a constant.

    mean [K, m]; spread [K, m, r]: rotation over the square root of the variance; base [K]: sum of log variances.
    """

    name = "ellipsoids"
    mean: Tensor
    spread: Tensor
    base: Tensor
    prior: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        far = [((x - self.mean[k]) @ self.spread[k]).square().sum(1) for k in range(len(self.prior))]
        return -0.5 * (torch.stack(far, dim=1) + self.base) + self.prior


class CodeLogs(Op):
    """Whole numbers [n, m] → sum over the columns of table[column, value] [K], then + prior.

    table [m, V, K]; count [m]: how many values the column has. A value out of range gives NaN: the source stops at it.
    """

    name = "code-logs"
    table: Tensor
    count: Tensor
    prior: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        value = x.trunc()
        known = (value >= 0) & (value < self.count)
        place = torch.where(known, value, 0.0).long() + torch.arange(len(self.count), device=x.device) * self._wide
        found = self.table.reshape(-1, len(self.prior)).index_select(0, place.reshape(-1))
        found = torch.where(known.reshape(-1, 1), found, torch.nan)
        # One by one in order, as the source adds them.
        return found.view(x.shape[0], -1, len(self.prior)).cumsum(1)[:, -1] + self.prior

    def cells(self) -> int:
        return 3 * self.table.shape[0] * self.table.shape[2]

    @property
    def _wide(self) -> int:
        return int(self.table.shape[1])


class Posterior(Op):
    """Joint log-likelihoods [n, K] → "scores" [n, K] and "label" [n]; "raw" where the source has a decision function.

    A row with a missing number, at which the source stops, gets no class (-1).
    config: sums: "logsumexp" (naive Bayes, normalised as scipy does) or "shifted" (discriminant analysis).
    """

    name = "posterior"

    def forward(self, x: Tensor, codes: Tensor) -> Outputs:
        top = x.amax(1, keepdim=True)
        label = torch.where(x.isnan().any(dim=1), -1, x.argmax(dim=1))
        if self.config["sums"] == "shifted":
            below = x - top
            scores = torch.exp(below - torch.log(torch.exp(below).sum(1, keepdim=True)))
            return {"scores": scores, "label": label, "raw": x[:, 1] - x[:, 0] if x.shape[1] == 2 else x}
        highest = x == top
        ties = highest.double().sum(1, keepdim=True)
        rest = torch.exp(torch.where(highest, -torch.inf, x) - torch.where(top.isfinite(), top, 0.0)).sum(1, True)
        share = torch.where(rest == 0, rest, rest / ties)
        return {"scores": torch.exp(x - (torch.log1p(share) + torch.log(ties) + top)), "label": label}


def _posterior(piece: Piece, columns: Columns, context: Context, logs: list[Op], sums: str, of: tuple[int, int]) -> Op:
    """of: how many classes and columns the fitted arrays are of."""
    if context.task == "regression" or len(context.classes) != of[0]:
        raise CannotLift(piece.kind, f"it has {of[0]} classes, and the {context.task} task {len(context.classes)}")
    before, count = numbers(piece, columns)
    if count != of[1]:
        raise CannotLift(piece.kind, f"it was fitted on {of[1]} columns, and {count} reach it")
    return chain([*before, *logs, Posterior({"sums": sums})])


def _floats(piece: Piece, name: str) -> Floats:
    if name not in piece.arrays:
        raise CannotLift(piece.kind, f"its description lacks {name}", "Read the model with the newest workbench")
    return piece.arrays[name].astype(np.float64)


@predictor("sklearn.naive_bayes.GaussianNB")
def gaussian(piece: Piece, columns: Columns, context: Context) -> Op:
    mean = _floats(piece, "theta_")
    variance = _floats(piece, "var_" if "var_" in piece.arrays else "sigma_")
    # Written row by row, as the source does, for the same bits.
    base = np.array([-0.5 * np.sum(np.log(2.0 * np.pi * row)) for row in variance])
    arrays: Arrays = {"mean": mean, "variance": variance, "prior": np.log(_floats(piece, "class_prior_")), "base": base}
    return _posterior(piece, columns, context, [Gaussians({}, arrays)], "logsumexp", mean.shape)


@predictor("sklearn.naive_bayes.BernoulliNB")
def bernoulli(piece: Piece, columns: Columns, context: Context) -> Op:
    logs = _floats(piece, "feature_log_prob_")
    absent = np.log(1 - np.exp(logs))
    bias = _floats(piece, "class_log_prior_") + absent.sum(axis=1)
    ops: list[Op] = [MatMul({}, {"weight": (logs - absent).T, "bias": bias})]
    above = piece.params.get("binarize")
    if above is not None:
        ops.insert(0, Above({"threshold": float(above)}))  # type: ignore[arg-type]
    return _posterior(piece, columns, context, ops, "logsumexp", logs.shape)


@predictor("sklearn.naive_bayes.MultinomialNB", "sklearn.naive_bayes.ComplementNB")
def counts(piece: Piece, columns: Columns, context: Context) -> Op:
    logs, prior = _floats(piece, "feature_log_prob_"), _floats(piece, "class_log_prior_")
    if piece.kind.endswith("ComplementNB") and len(prior) > 1:
        prior = np.zeros_like(prior)
    return _posterior(piece, columns, context, [MatMul({}, {"weight": logs.T, "bias": prior})], "logsumexp", logs.shape)


@predictor("sklearn.naive_bayes.CategoricalNB")
def categorical(piece: Piece, columns: Columns, context: Context) -> Op:
    prior = _floats(piece, "class_log_prior_")
    tables = [_floats(piece, f"feature_log_prob_.{i}") for i in range(int(str(piece.params["n_features_in_"])))]
    count = np.array([logs.shape[1] for logs in tables])
    table = np.zeros((len(tables), int(count.max()), len(prior)))
    for place, logs in enumerate(tables):
        table[place, : logs.shape[1]] = logs.T
    op = CodeLogs({}, {"table": table, "count": count, "prior": prior})
    return _posterior(piece, columns, context, [op], "logsumexp", (len(prior), len(tables)))


@predictor("sklearn.discriminant_analysis.QuadraticDiscriminantAnalysis")
def quadratic(piece: Piece, columns: Columns, context: Context) -> Op:
    mean, prior = _floats(piece, "means_"), np.log(_floats(piece, "priors_"))
    scale = [_floats(piece, f"scalings_.{k}") for k in range(len(prior))]
    turned = [_floats(piece, f"rotations_.{k}") * s ** (-0.5) for k, s in enumerate(scale)]
    spread = np.zeros((len(prior), mean.shape[1], max(one.shape[1] for one in turned)))
    for place, one in enumerate(turned):
        spread[place, :, : one.shape[1]] = one
    base = np.array([np.sum(np.log(s)) for s in scale])
    op = Ellipsoids({}, {"mean": mean, "spread": spread, "base": base, "prior": prior})
    return _posterior(piece, columns, context, [op], "shifted", mean.shape)
