"""Scalers, binning, polynomials and projections: numbers in, numbers out."""

from __future__ import annotations

from itertools import chain as flat
from itertools import combinations, combinations_with_replacement
from typing import cast

import numpy as np

from workbench.migrate.lift.columns import (
    Columns,
    Context,
    chain,
    fresh,
    kept,
    numbers,
    take,
    transformer,
)
from workbench.migrate.lift.ops import (
    Above,
    Affine,
    Arrays,
    Bins,
    Clip,
    MatMul,
    Monomials,
    OneOf,
    Op,
    RowNorm,
)
from workbench.models.protocol import Piece


def _then(piece: Piece, columns: Columns, *ops: Op, width: int | None = None) -> tuple[Op, Columns]:
    """The columns as numbers, then the ops."""
    before, count = numbers(piece, columns)
    every = [*before, *ops]
    return (chain(every) if every else take(range(count))), fresh(count if width is None else width)


def _affine(piece: Piece, **steps: str) -> Op:
    """Affine of the fitted arrays that are there, in the order given."""
    arrays: Arrays = {}
    for step, name in steps.items():
        if name in piece.arrays:
            arrays[step] = piece.arrays[name].astype(np.float64)
    return Affine({}, arrays)


@transformer("sklearn.preprocessing.StandardScaler")
def standard_scaler(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    steps = {"shift": "mean_"} if piece.params.get("with_mean", True) else {}
    steps |= {"scale": "scale_"} if piece.params.get("with_std", True) else {}
    return _then(piece, columns, _affine(piece, **steps))


@transformer("sklearn.preprocessing.RobustScaler")
def robust_scaler(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    steps = {"shift": "center_"} if piece.params.get("with_centering", True) else {}
    steps |= {"scale": "scale_"} if piece.params.get("with_scaling", True) else {}
    return _then(piece, columns, _affine(piece, **steps))


@transformer("sklearn.preprocessing.MinMaxScaler")
def min_max_scaler(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    ops: list[Op] = [_affine(piece, factor="scale_", offset="min_")]
    if piece.params.get("clip"):
        ops.append(_clip(*cast("list[float]", piece.params["feature_range"])))
    return _then(piece, columns, *ops)


@transformer("sklearn.preprocessing.MaxAbsScaler")
def max_abs_scaler(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    clip = [_clip(-1.0, 1.0)] if piece.params.get("clip") else []
    return _then(piece, columns, _affine(piece, scale="scale_"), *clip)


def _clip(low: float, high: float) -> Op:
    return Clip({}, {"low": np.array([float(low)]), "high": np.array([float(high)])})


@transformer("sklearn.preprocessing.Normalizer")
def normalizer(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    return _then(piece, columns, RowNorm({"norm": str(piece.params.get("norm", "l2"))}))


@transformer("sklearn.preprocessing.Binarizer")
def binarizer(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    return _then(piece, columns, Above({"threshold": float(piece.params.get("threshold", 0.0))}))  # type: ignore[arg-type]


@transformer("sklearn.preprocessing.KBinsDiscretizer")
def k_bins(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    counts = piece.arrays["n_bins_"].astype(np.int64)
    inner = [np.asarray(piece.arrays[f"bin_edges_.{i}"], dtype=np.float64)[1:-1] for i in range(len(counts))]
    edges = np.full((len(inner), max(1, *(len(edge) for edge in inner))), np.inf)
    for row, edge in zip(edges, inner):
        row[: len(edge)] = edge
    last = np.array([len(edge) for edge in inner])
    ops: list[Op] = [Bins({}, {"edges": edges, "last": last})]
    if piece.params.get("encode") == "ordinal":
        return _then(piece, columns, *ops)
    of = np.repeat(np.arange(len(counts)), counts)
    value = np.concatenate([np.arange(count) for count in counts]).astype(np.float64)
    return _then(piece, columns, *ops, OneOf({}, {"of": of, "value": value}), width=len(of))


@transformer("sklearn.preprocessing.PolynomialFeatures")
def polynomial(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    degree = piece.params.get("degree", 2)
    low, high = degree if isinstance(degree, list) else (0, degree)
    combine = combinations if piece.params.get("interaction_only") else combinations_with_replacement
    degrees = range(max(1, int(low)), int(high) + 1)  # type: ignore[arg-type]
    terms = list(flat.from_iterable(combine(range(len(columns)), d) for d in degrees))
    if piece.params.get("include_bias", True):
        terms.insert(0, ())
    longest = max(1, *(len(term) for term in terms))
    factors = np.full((len(terms), longest), len(columns), dtype=np.int64)
    for row, term in zip(factors, terms):
        row[: len(term)] = term
    return _then(piece, columns, Monomials({}, {"factors": factors}), width=len(terms))


@transformer("passthrough")
def passthrough(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    return kept(columns)


@transformer("sklearn.decomposition.PCA", "sklearn.decomposition.IncrementalPCA")
def pca(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    weight, mean = piece.arrays["components_"].astype(np.float64).T, piece.arrays["mean_"].astype(np.float64)
    if older(piece, 1, 5):  # centred the columns first, which rounds otherwise
        ops: list[Op] = [Affine({}, {"shift": mean}), MatMul({}, {"weight": weight, "bias": np.zeros(weight.shape[1])})]
    else:
        ops = [MatMul({}, {"weight": weight, "bias": -(mean @ weight)})]
    if piece.params.get("whiten"):
        scale = np.sqrt(piece.arrays["explained_variance_"].astype(np.float64))
        ops.append(Affine({}, {"scale": np.maximum(scale, np.finfo(np.float64).eps)}))
    return _then(piece, columns, *ops, width=weight.shape[1])


@transformer("sklearn.decomposition.TruncatedSVD")
def truncated_svd(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    weight = piece.arrays["components_"].astype(np.float64).T
    bias = np.zeros(weight.shape[1])
    return _then(piece, columns, MatMul({}, {"weight": weight, "bias": bias}), width=weight.shape[1])


def older(piece: Piece, major: int, minor: int) -> bool:
    """Whether the piece comes from a version before major.minor; an unknown version is a new one."""
    parts = piece.version.split(".")[:2]
    return len(parts) == 2 and all(p.isdigit() for p in parts) and tuple(map(int, parts)) < (major, minor)
