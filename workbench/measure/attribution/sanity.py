"""Whether reasons are reasons: what the answer does when columns are put in and taken out in their order, and whether
a simple model around a row finds the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.measure.attribution import compare
from workbench.measure.attribution.basics import Attributions, Floats, Rows, asker, explained_column
from workbench.measure.attribution.paired import DRAWS, Side
from workbench.measure.attribution.questions import Places, Question
from workbench.measure.intervals import Estimate

Point = tuple[float, float, float, float, float]
STEPS = 10
"""Points of a curve, at most."""
WIDTH = 0.75
"""Of the surrogate's kernel, times the root of the number of columns (Ribeiro et al. 2016)."""


@dataclass(frozen=True)
class Faithful:
    """gain: how much sooner the answer moves along the columns' order than at random, as a share of all attribution.

    curves: rows (share of the columns, inserted in order, deleted in order, inserted at random, deleted at random),
    mean answers less the background's, as a share of the answer's own distance from it.
    """

    gain: Estimate
    n: int
    curves: tuple[Point, ...]


def faithfulness(asked: Question, side: Side, known: Attributions, rows: int = 50, around: int = 10) -> Faithful:
    """Insertion and deletion curves (Petsiuk et al. 2018) of the first rows, beside those of a random order.

    Columns come in the order of their attribution, those for the row's answer first; others take their values from
    `around` background rows. Inserted so, the answer must rise sooner than it falls when they are deleted so: gain is
    the mean distance of the two curves. A random order and its reverse have a mean distance of exactly 0.
    Raises UnansweredError, ModelError.
    """
    rng, values = np.random.default_rng(asked.plan.seed + 2), known.values[:rows]
    n, columns = values.shape
    counts = np.linspace(0, columns, min(columns, STEPS) + 1).round().astype(int)
    counts = np.unique([counts, columns - counts])
    # A row that is scored below the background is explained by what speaks against it.
    way = np.where(values.sum(axis=1) < 0, -1.0, 1.0)
    ordered = np.argsort(np.argsort(-values * way[:, None], axis=1, kind="stable"), axis=1)
    random = np.argsort(rng.random(values.shape), axis=1)
    curves = []
    for rank in (ordered, random):
        inserted = rank[:, None, :] < counts[None, :, None]
        curves += [inserted, ~inserted]
    mixes = np.stack(curves, axis=1).reshape(n, -1, columns)
    worth = _worth(asked, side, asked.plan.rows[:n], mixes, around, rng).reshape(n, 4, len(counts))
    worth = worth * way[:, None, None]
    step = np.diff(counts) / columns
    area = ((worth[:, :, 1:] + worth[:, :, :-1]) / 2 * step).sum(axis=2)
    gain = area[:, 0] - area[:, 1]
    whole = max(float(np.abs(values).sum(axis=1).mean()), np.finfo(float).tiny)
    weights = compare.bootstrap_weights(n, DRAWS, asked.plan.seed)
    return Faithful(compare.mean_estimate(gain / whole, weights), n, _told(worth, counts / columns))


def _told(worth: Floats, shares: Floats) -> tuple[Point, ...]:
    """Curves [n, 4, m] from the background's answer (0) to the row's own (1), mean over rows."""
    random = (worth[:, 2] + worth[:, 3, ::-1]) / 2
    worth = np.stack([worth[:, 0], worth[:, 1], random, random[:, ::-1]], axis=1)
    start, end = worth[:, :1, :1], worth[:, :1, -1:]
    mean = (worth - start).mean(axis=0) / max(float((end - start).mean()), np.finfo(float).tiny)
    return tuple((share, a, b, c, d) for share, (a, b, c, d) in zip(shares.tolist(), mean.T.tolist()))


def surrogate(
    asked: Question, side: Side, known: Attributions, rows: int = 20, samples: int = 400
) -> tuple[Estimate, int]:
    """Mean cosine of attributions and the weights of a linear model fitted around each of the first rows; how many.

    As LIME (Ribeiro et al. 2016): columns are kept or replaced by a background row's at random, what-if rows near the
    row count more, and a ridge regression (penalty 1) is fitted to the answers. A rough second opinion: it sees other
    mixes than Shapley values do, and so is near to them only where columns mostly add up.
    Raises UnansweredError, ModelError.
    """
    rng, values = np.random.default_rng(asked.plan.seed + 3), known.values[:rows]
    n, columns = values.shape
    kept = rng.random((n, samples, columns)) < 0.5
    worth = _worth(asked, side, asked.plan.rows[:n], kept, 1, rng)
    found = np.stack([local_weights(one, answer) for one, answer in zip(kept, worth)])
    near = compare.cosine(values, found)
    return compare.mean_estimate(near, compare.bootstrap_weights(n, DRAWS, asked.plan.seed)), n


def local_weights(kept: NDArray[np.bool_], answer: Floats) -> Floats:
    """Weights [M] of a ridge regression (penalty 1, with an intercept) of answers [s] on kept columns [s, M]."""
    columns = kept.shape[1]
    near = np.sqrt(np.exp(-(~kept).sum(axis=1) / (WIDTH**2 * columns)))
    share = near / near.sum()
    X, y = kept - share @ kept, answer - share @ answer
    weighted = X.T * near
    return np.asarray(np.linalg.solve(weighted @ X + np.eye(columns), weighted @ y), dtype=np.float64)


def _worth(
    asked: Question, side: Side, rows: Places, kept: NDArray[np.bool_], around: int, rng: np.random.Generator
) -> Floats:
    """Mean answers [n, m] where row i keeps columns kept[i, j] and the others come from `around` background rows."""
    model, names = asked.models[side], list(asked.features)
    both = Rows(pd.concat([asked.frame.iloc[rows][names], asked.frame.iloc[asked.plan.background][names]]))
    mine, others = both.codes[: len(rows)], both.codes[len(rows) :]
    chosen = others[rng.integers(0, len(others), around)]
    mixed = np.where(kept[:, :, None, :], mine[:, None, None, :], chosen[None, None])
    answers = asker(model, asked.space)(both.frame(mixed.reshape(-1, len(names))))
    answers = answers.reshape(*mixed.shape[:3], -1).mean(axis=2)
    own = asker(model, asked.space)(asked.frame.iloc[rows][names])
    column = explained_column(asked.classes_of(rows), model, own)
    found: Floats = answers[np.arange(len(rows)), :, column]
    return found
