"""Selectors: which of the columns go on."""

from __future__ import annotations

import math
from typing import cast

import numpy as np
from numpy.typing import NDArray

from workbench.migrate.lift.columns import CannotLift, Columns, Context, chain, fresh, numbers, take, transformer
from workbench.migrate.lift.ops import Op
from workbench.models.protocol import Piece

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]


@transformer(
    *(
        f"sklearn.feature_selection.{name}"
        for name in (
            "GenericUnivariateSelect",
            "RFE",
            "RFECV",
            "SelectFdr",
            "SelectFpr",
            "SelectFromModel",
            "SelectFwe",
            "SelectKBest",
            "SelectPercentile",
            "SequentialFeatureSelector",
            "VarianceThreshold",
        )
    )
)
def selection(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    support = _support(piece)
    if len(support) != len(columns):
        raise CannotLift(piece.kind, f"it was fitted on {len(support)} columns, and {len(columns)} reach it")
    chosen = np.flatnonzero(support).tolist()
    before, _ = numbers(piece, columns)
    return chain([*before, take(chosen)]), fresh(len(chosen))


def _support(piece: Piece) -> Mask:
    """What scikit-learn's `get_support` answers: as described, else from the fitted scores."""
    if "support_" in piece.arrays:
        return piece.arrays["support_"].astype(np.bool_)
    name = piece.kind.rpartition(".")[2]
    if name == "VarianceThreshold":
        return piece.arrays["variances_"].astype(np.float64) > cast("float", piece.params.get("threshold", 0.0))
    if name == "GenericUnivariateSelect":
        return _univariate(piece, str(piece.params.get("mode", "percentile")), piece.params.get("param", 1e-5))
    option = {"SelectKBest": "k", "SelectPercentile": "percentile"}.get(name, "alpha")
    default = {"SelectKBest": 10, "SelectPercentile": 10}.get(name, 0.05)
    mode = {"SelectKBest": "k_best", "SelectFpr": "fpr", "SelectFdr": "fdr", "SelectFwe": "fwe"}.get(name, "percentile")
    return _univariate(piece, mode, piece.params.get(option, default))


def _univariate(piece: Piece, mode: str, option: object) -> Mask:
    wanted = "scores_" if mode in ("k_best", "percentile") else "pvalues_"
    if wanted not in piece.arrays:
        raise CannotLift(
            piece.kind, "its description does not say what it selected", "Read the model with the newest workbench"
        )
    values = piece.arrays[wanted].astype(np.float64)
    if wanted == "pvalues_":
        return _likely(values, mode, float(str(option)))
    scores = np.where(np.isnan(values), np.finfo(np.float64).min, values)
    return _best(scores, option) if mode == "k_best" else _percentile(scores, float(str(option)))


def _likely(chances: Floats, mode: str, alpha: float) -> Mask:
    """By false positive rate, false discovery rate (Benjamini and Hochberg 1995) or family-wise error."""
    if mode == "fpr":
        return chances < alpha
    if mode == "fwe":
        return chances < alpha / len(chances)
    ordered = np.sort(chances)
    kept = ordered[ordered <= alpha / len(chances) * np.arange(1, len(chances) + 1)]
    return chances <= kept.max() if kept.size else np.zeros(len(chances), dtype=np.bool_)


def _best(scores: Floats, k: object) -> Mask:
    mask = np.full(len(scores), k == "all")
    if isinstance(k, int | float) and k > 0:
        mask[np.argsort(scores, kind="mergesort")[-int(k) :]] = True
    return mask


def _percentile(scores: Floats, percentile: float) -> Mask:
    if percentile in (0.0, 100.0):
        return np.full(len(scores), percentile == 100.0)
    threshold = np.percentile(scores, 100 - percentile)
    mask = scores > threshold
    ties = np.flatnonzero(scores == threshold)
    mask[ties[: max(0, math.floor(len(scores) * percentile / 100)) - int(mask.sum())]] = True
    return mask
