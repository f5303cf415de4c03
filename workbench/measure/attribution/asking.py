"""Shapley values of one model's answers to raw columns, by the best way that is open to it.

Interventional Shapley values (Lundberg and Lee 2017; Janzing et al. 2020): a column outside a coalition takes the
values it has in the background rows. Columns may hold text, dates and missing values like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.measure.attribution.basics import Attributions, Space, asker, explained_column, numbers, space_of
from workbench.measure.attribution.ways import AdditiveWay, InexactError, TreeWay, exact_way
from workbench.models import Label, Model, ModelError

EVALUATIONS = 200_000


def attribute(
    model: Model,
    rows: pd.DataFrame,
    background: pd.DataFrame | None = None,
    *,
    features: Sequence[str] = (),
    space: Space | None = None,
    explained: Sequence[Label] | None = None,
    masks: int = 128,
    method: Literal["auto", "exact", "permutation"] = "auto",
    seed: int = 0,
) -> Attributions:
    """Shapley values [n, M] of `model` for `rows` against `background`, on raw columns.

    background: rows an absent column takes its values from; by default a seeded sample of at most 100 of `rows`.
    features: columns to explain, by default the model's inputs (all columns if it does not say). space: by default the
    margin of a tree ensemble (a forest's probability), log-odds, or the value. explained: the class to explain, one
    label per row or one for all; by default the second class of a binary model and each row's own answer of a
    multiclass one. method: "auto" is exact, at any size, for tree ensembles and additive models behind steps that
    treat columns one by one; else "exact" asks the model about all coalitions, where 2^M <= masks, and "permutation"
    about antithetic permutations (exact up to second-order interactions), at least one for each background row, with
    standard errors. masks: coalitions per row and background row.
    Two models called with equal arguments are asked about equal rows.

    Raises ValueError if there are no rows, no features or a column is missing; UnansweredError if an answer is not a
    number; ModelError from the model.
    """
    names = list(features) or [column.name for column in model.inputs] or list(map(str, rows.columns))
    pool = sampled_rows(rows, 100, seed) if background is None else background
    _check(rows, pool, names)
    inexact = ""
    if method == "auto":
        used = pd.concat([rows[names], pool[names]], ignore_index=True)
        try:
            way = exact_way(model, used, space, EVALUATIONS, seed)
        except (InexactError, ModelError) as error:
            inexact = str(error)
        else:
            at = np.arange(len(used))
            return by_way(way, model, tuple(names), at[: len(rows)], at[len(rows) :], explained)
    return by_asking(model, rows[names], pool[names], space, explained, masks, method, seed, inexact)


def by_way(
    way: TreeWay | AdditiveWay,
    model: Model,
    names: tuple[str, ...],
    rows: NDArray[np.intp],
    background: NDArray[np.intp],
    explained: Sequence[Label] | None,
) -> Attributions:
    """Exact values of some of a way's rows against others."""
    values, base = way.values(rows, background)
    column = explained_column(explained, model, way.own[rows])
    at = np.arange(len(rows))
    return Attributions(
        features=names,
        values=values[at, :, column],
        base=base[column],
        output=way.own[rows, column],
        space=way.space,
        method=way.method,
        background=len(background),
        evaluations=way.evaluations,
    )


def by_asking(
    model: Model,
    rows: pd.DataFrame,
    background: pd.DataFrame,
    space: Space | None,
    explained: Sequence[Label] | None,
    masks: int,
    method: str,
    seed: int,
    inexact: str,
) -> Attributions:
    """Values from the model's answers to what-if rows: about all coalitions, else along permutations."""
    from workbench.measure.attribution.permutations import permuted_values
    from workbench.measure.attribution.shapley import every_coalition, takes_all

    around, own = model.predict(background), model.predict(rows)
    space = space or space_of(model, around)
    base, output = numbers(around, space, model.classes), numbers(own, space, model.classes)
    exact = takes_all(method, rows.shape[1], masks)
    if exact:
        values, evaluations = every_coalition(model, rows, background, space, base.shape[1])
        errors = None
    else:
        pairs = max(1, masks // (2 * rows.shape[1] + 1))
        values, errors, evaluations = permuted_values(
            asker(model, space), rows, background, (output, base), pairs, seed
        )
    column = explained_column(explained, model, output)
    at = np.arange(len(rows))
    return Attributions(
        features=tuple(map(str, rows.columns)),
        values=values[at, :, column],
        base=base.mean(axis=0)[column],
        output=output[at, column],
        space=space,
        method="exact" if exact else "permutation",
        background=len(background),
        evaluations=evaluations,
        inexact=inexact,
        error=None if errors is None else errors[at, :, column],
    )


def sampled_rows(frame: pd.DataFrame, n: int, seed: int) -> pd.DataFrame:
    """At most n rows, seeded, in the frame's order."""
    if len(frame) <= n:
        return frame
    kept = np.random.default_rng(seed).choice(len(frame), size=n, replace=False)
    return frame.iloc[np.sort(kept)]


def _check(rows: pd.DataFrame, background: pd.DataFrame, names: Sequence[str]) -> None:
    if not len(rows) or not len(background):
        raise ValueError(f"nothing to explain: {len(rows)} rows against {len(background)} background rows")
    for what, frame in (("rows", rows), ("background", background)):
        missing = [name for name in names if name not in frame.columns]
        if missing:
            raise ValueError(f"the {what} lack {', '.join(missing[:5])}: give every column the model asks for")
