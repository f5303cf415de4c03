"""Shapley values of any model's answers by sampled permutations, with how far sampling may have them off.

A row turns into a background row column by column, in a random order and in that order reversed (antithetic: Mitchell
et al. 2022, J. Mach. Learn. Res. 23:43), which is exact for columns that work together in pairs at most. Every
background row has permutations of its own: the same number of answers, spread over both, leaves far less to chance than
one permutation against all of them (Štrumbelj and Kononenko 2014, Knowl. Inf. Syst. 41:647). Each background row counts
alike, so the values and the mean answer over the background add up to the model's answer, whatever was drawn.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.measure.attribution.basics import Ask, Codes, Floats, Rows, distinct

PLANNED = 20_000_000
"""Cells of what-if rows held at once; more rows are explained in turns."""


def permuted_values(
    ask: Ask, rows: pd.DataFrame, background: pd.DataFrame, ends: tuple[Floats, Floats], pairs: int, seed: int
) -> tuple[Floats, Floats, int]:
    """Values and their standard errors [n, M, k], and how many distinct what-if rows were asked.

    ends: the answers to the rows [n, k] and to the background [m, k], asked before. pairs: antithetic permutations for
    each background row. A standard error is that of the permutations where pairs > 1; else the spread over background
    rows is part of it, and it is too large rather than too small.
    """
    features, m = rows.shape[1], len(background)
    turn = int(max(1, PLANNED // (2 * features * features * pairs * m)))
    found: list[tuple[Floats, Floats]] = []
    asked = 0
    for number, start in enumerate(range(0, len(rows), turn)):
        part = rows.iloc[start : start + turn]
        both = Rows(pd.concat([part, background], ignore_index=True))
        rng = np.random.default_rng([seed, number])
        rank = rng.random((len(part), m, pairs, features)).argsort(axis=-1).argsort(axis=-1)
        given, place = distinct(np.concatenate(list(_mixed(both.codes[: len(part)], both.codes[len(part) :], rank))))
        answers = ask(both.frame(given))[place] if len(given) else np.zeros((0, ends[0].shape[1]))
        asked += len(given)
        found.append(_shared(answers, ends[0][start : start + turn], ends[1], rank))
    values, errors = (np.concatenate(parts) for parts in zip(*found))
    return values, errors, asked


def _mixed(rows: Codes, background: Codes, rank: NDArray[np.intp]) -> Iterator[Codes]:
    """What-if rows [n * m * pairs * (M - 1), M] in a permutation's order, then in the reverse one."""
    features = rank.shape[-1]
    steps = np.arange(1, features)[:, None]
    for own in (rank[..., None, :] < steps, rank[..., None, :] >= features - steps):
        yield np.where(own, rows[:, None, None, None, :], background[None, :, None, None, :]).reshape(-1, features)


def _shared(answers: Floats, own: Floats, around: Floats, rank: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Values and standard errors [n, M, k] from the answers along each permutation."""
    n, m, pairs, features = rank.shape
    k = own.shape[1]
    inner = answers.reshape(2, n, m, pairs, features - 1, k)
    shape = (2, n, m, pairs, 1, k)
    first = np.broadcast_to(around[None, None, :, None, None, :], shape)
    last = np.broadcast_to(own[None, :, None, None, None, :], shape)
    forward, backward = np.diff(np.concatenate([first, inner, last], axis=-2), axis=-2)
    gained = (
        np.take_along_axis(forward, rank[..., None], axis=-2)
        + np.take_along_axis(backward, features - 1 - rank[..., None], axis=-2)
    ) / 2
    if pairs > 1:
        variance = gained.var(axis=2, ddof=1).sum(axis=1) / (pairs * m**2)
    else:
        variance = gained.var(axis=(1, 2), ddof=1) / m if m > 1 else np.zeros((n, features, k))
    return gained.mean(axis=(1, 2)), np.sqrt(variance)
