"""Shapley values from their definition: every coalition, every background row."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd


def shapley(game, players: int) -> np.ndarray:
    """Shapley values of a game over all coalitions, from its definition."""
    worth = {S: game(S) for r in range(players + 1) for S in itertools.combinations(range(players), r)}
    values = np.zeros((players, len(worth[()])))
    for S in worth:
        for i in set(range(players)) - set(S):
            weight = math.factorial(len(S)) * math.factorial(players - len(S) - 1) / math.factorial(players)
            values[i] += weight * (worth[tuple(sorted((*S, i)))] - worth[S])
    return values


def interaction(game, players: int) -> np.ndarray:
    """Shapley interaction values: indices halved between the two, the rest of a player's value on the diagonal."""
    worth = {S: game(S) for r in range(players + 1) for S in itertools.combinations(range(players), r)}
    found = np.zeros((players, players, len(worth[()])))
    for i, j in itertools.combinations(range(players), 2):
        for S in (S for S in worth if i not in S and j not in S):
            weight = math.factorial(len(S)) * math.factorial(players - len(S) - 2) / math.factorial(players - 1)
            both, one, two = (worth[tuple(sorted({*S, *more}))] for more in ((i, j), (i,), (j,)))
            found[i, j] += weight * (both - one - two + worth[S]) / 2
        found[j, i] = found[i, j]
    values = shapley(game, players)
    for i in range(players):
        found[i, i] = values[i] - found[i].sum(axis=0)
    return found


def brute_force(answer, rows: pd.DataFrame, background: pd.DataFrame) -> np.ndarray:
    """Values [n, M] on raw columns of any type, from what `answer` says of a frame: asked once, about every mix."""
    n, m, M = len(rows), len(background), rows.shape[1]
    inside = np.array(list(itertools.product([False, True], repeat=M)))
    row, _, place = (part.ravel() for part in np.meshgrid(np.arange(n), inside[:, 0], np.arange(m), indexing="ij"))
    coalition = np.tile(np.repeat(inside, m, axis=0), (n, 1))
    both = pd.concat([rows, background], ignore_index=True)
    mixed = {name: both[name].take(np.where(coalition[:, j], row, n + place)) for j, name in enumerate(rows.columns)}
    frame = pd.DataFrame({name: column.reset_index(drop=True) for name, column in mixed.items()})
    worth = np.asarray(answer(frame), dtype=float).reshape(n, len(inside), m).mean(axis=2)
    number = {tuple(np.flatnonzero(one)): place for place, one in enumerate(inside)}
    return np.stack([shapley(lambda S, i=i: worth[i, [number[S]]], M)[:, 0] for i in range(n)])
