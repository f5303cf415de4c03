"""Leaves too deep for a table: exact, row by row.

Interventional values walk row and background row down the tree together and part only where they part (the game of
`rules` leaf by leaf). Path-dependent values are, for a leaf with o_i (1: the row passes player i's tests) and r_i (the
share of training rows that does), (o_i - r_i) times the integral over [0, 1] of the product over the other players j
of o_j t + r_j (1 - t), by Gauss-Legendre points (Lundberg et al. 2020; the integral form as in Bifet et al. 2022).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from workbench.measure.attribution.exact.rules import quadrature
from workbench.measure.attribution.exact.splits import Floats, Splits, Symbols
from workbench.measure.attribution.exact.tables import Game
from workbench.models.trees import Trees


class Nodes(NamedTuple):
    """Of the N nodes: children, splits (see `Splits`), players, what a leaf is worth, and whether it is deep.

    roots, output: of the trees with deep leaves. outputs: how many there are.
    """

    roots: Any
    output: Any
    lefts: Any
    rights: Any
    column: Any
    limit: Any
    ways: Any
    left: Any
    player: Any
    worth: Any
    deep: Any
    outputs: int


def add(
    trees: Trees,
    splits: Splits,
    game: Game,
    deep: NDArray[np.bool_],
    background: Symbols | None,
    symbols: Symbols,
    out: Floats,
    pairs: bool = False,
) -> None:
    """Add to out [n, players * K] what the deep leaves give to rows of these symbols [C, n].

    pairs: to out [n, players^2 * K] their interactions instead, of i < j at i * players + j; with a background only.
    """
    deepest = np.flatnonzero(deep[trees.roots])
    nodes = Nodes(
        roots=trees.roots[deepest],
        output=game.output[deepest],
        lefts=trees.left,
        rights=trees.right,
        column=splits.column,
        limit=splits.limit,
        ways=splits.ways,
        left=splits.left,
        player=game.player,
        worth=game.worth,
        deep=deep,
        outputs=game.outputs,
    )
    height = _height(trees)
    most = min(height, game.players)
    if background is not None:
        _by_pairs(nodes, symbols, background, _weights(most), height, game.players, pairs, out)
    else:
        assert game.ratio is not None
        rule = quadrature(most)
        _by_path(nodes, symbols, game.ratio, rule[0], rule[1], height, out)


def _weights(players: int) -> Floats:
    """[5, a, c]: shares where a players hold for the row alone and c for the background alone (see `rules`).

    Of a player: won, lost; of a pair of players: both won, one won and one lost, both lost.
    """
    found = np.zeros((5, players + 1, players + 1))
    for a in range(players + 1):
        for c in range(players + 1 - a):
            ways, two = math.comb(a + c, a), a + c - 1
            found[0, a, c] = 1 / (a * ways) if a else 0.0
            found[1, a, c] = -1 / (c * ways) if c else 0.0
            found[2, a, c] = 1 / (two * math.comb(two - 1, c)) if a > 1 else 0.0
            found[3, a, c] = -1 / (two * math.comb(two - 1, a - 1)) if a and c else 0.0
            found[4, a, c] = 1 / (two * math.comb(two - 1, a)) if c > 1 else 0.0
    return found


def _height(trees: Trees) -> int:
    level, height = trees.roots, 0
    while len(level := level[trees.left[level] >= 0]):
        level, height = np.concatenate([trees.left[level], trees.right[level]]), height + 1
    return height


@njit(cache=True)
def _passes(node: int, nodes: Any, symbols: Any, row: int) -> Any:  # pragma: no cover - compiled
    symbol = np.int64(symbols[nodes.column[node], row])
    return nodes.left[nodes.ways[node] + symbol] != 0 if nodes.ways[node] >= 0 else symbol <= nodes.limit[node]


@njit(cache=True)
def _give(nodes: Any, node: int, number: int, share: float, place: int, out: Any) -> None:  # pragma: no cover
    """A leaf's worth times a share, to the row's results of a player or pair."""
    wide = nodes.worth.shape[1]
    for k in range(wide):
        out[place * nodes.outputs + (k if wide > 1 else nodes.output[number])] += share * nodes.worth[node, k]


@njit(cache=True)
def _pay(
    nodes: Any, node: int, number: int, trail: Any, side: Any, weights: Any, m: int, players: int, pairs: bool, out: Any
) -> None:  # pragma: no cover - compiled
    """What a leaf gives to the players of the trail, by the side each is on; weights: [5], of this many on each."""
    for place in range(len(trail)):
        who = trail[place]
        if not pairs:
            _give(nodes, node, number, weights[side[who] - 1] / m, who, out)
            continue
        for other in trail[:place]:
            both = weights[side[who] + side[other]] / m
            _give(nodes, node, number, both, min(who, other) * players + max(who, other), out)


@njit(cache=True, nogil=True)
def _by_pairs(
    nodes: Any, symbols: Any, background: Any, weights: Any, height: int, players: int, pairs: bool, out: Any
) -> None:  # pragma: no cover - compiled
    n, m = symbols.shape[1], background.shape[1]
    side, trail = np.zeros(players, np.int8), np.empty(height + 1, np.int64)
    # What is still to be visited: a node, how much of the trail leads there, and who then joins on which side.
    node_at, trail_at = np.empty(2 * height + 2, np.int64), np.empty(2 * height + 2, np.int64)
    who_at, side_at = np.empty(2 * height + 2, np.int64), np.empty(2 * height + 2, np.int8)
    counts = np.zeros(3, np.int64)
    for r in range(n):
        for number in range(len(nodes.roots)):
            for b in range(m):
                top, length = 1, 0
                node_at[0], trail_at[0], who_at[0], side_at[0] = nodes.roots[number], 0, -1, 0
                while top:
                    top -= 1
                    node = node_at[top]
                    while length > trail_at[top]:
                        length -= 1
                        counts[side[trail[length]]] -= 1
                        side[trail[length]] = 0
                    if who_at[top] >= 0:
                        trail[length], side[who_at[top]] = who_at[top], side_at[top]
                        counts[side_at[top]] += 1
                        length += 1
                    if nodes.lefts[node] < 0:
                        due = weights[:, counts[1], counts[2]]
                        _pay(nodes, node, number, trail[:length], side, due, m, players, pairs, out[r])
                        continue
                    row_left, other_left = _passes(node, nodes, symbols, r), _passes(node, nodes, background, b)
                    who = nodes.player[node]
                    parts = row_left != other_left and side[who] == 0
                    for one in (1, 2):
                        # Where they part for the first time both ways count; later the player keeps its side.
                        if not parts and one != max(1, side[who]):
                            continue
                        child = nodes.lefts[node] if (row_left if one == 1 else other_left) else nodes.rights[node]
                        if nodes.deep[child]:
                            node_at[top], trail_at[top] = child, length
                            who_at[top], side_at[top] = (who, one) if parts else (-1, 0)
                            top += 1
                while length > 0:
                    length -= 1
                    counts[side[trail[length]]] -= 1
                    side[trail[length]] = 0


@njit(cache=True, nogil=True)
def _by_path(
    nodes: Any, symbols: Any, ratio: Any, points: Any, weights: Any, height: int, out: Any
) -> None:  # pragma: no cover - compiled
    n, rule, player = symbols.shape[1], len(points), nodes.player
    players = int(np.max(player)) + 1
    # A player's state: whether the row passes its tests (1 or 0), and the share of training rows that does.
    passes, share, met = np.ones(players), np.ones(players), np.zeros(players, np.bool_)
    product = np.empty((height + 1, rule))
    who_of, old_passes, old_share = np.empty(height + 1, np.int64), np.empty(height + 1), np.empty(height + 1)
    first = np.empty(height + 1, np.bool_)
    node_at, depth_at = np.empty(2 * height + 2, np.int64), np.empty(2 * height + 2, np.int64)
    up_at, goes_at = np.empty(2 * height + 2, np.int64), np.empty(2 * height + 2)
    for r in range(n):
        for number in range(len(nodes.roots)):
            top, length = 1, 0
            node_at[0], depth_at[0], up_at[0], goes_at[0] = nodes.roots[number], 0, -1, 1.0
            product[0, :] = 1.0
            while top:
                top -= 1
                node, depth, up = node_at[top], depth_at[top], up_at[top]
                while length > max(0, depth - 1):
                    length -= 1
                    who = who_of[length]
                    passes[who], share[who], met[who] = old_passes[length], old_share[length], not first[length]
                if up >= 0:
                    who = player[up]
                    who_of[length], old_passes[length], old_share[length] = who, passes[who], share[who]
                    first[length] = not met[who]
                    before_o, before_r = passes[who], share[who]
                    passes[who], share[who], met[who] = before_o * goes_at[top], before_r * ratio[node], True
                    for q in range(rule):
                        t, rest = points[q], 1.0 - points[q]
                        was = before_o * t + before_r * rest
                        now = passes[who] * t + share[who] * rest
                        product[depth, q] = product[depth - 1, q] / was * now if was > 0.0 else 0.0
                    length += 1
                if nodes.lefts[node] < 0:
                    for place in range(length):
                        who = who_of[place]
                        gap = passes[who] - share[who]
                        if not first[place] or gap == 0.0:
                            continue
                        total = 0.0
                        for q in range(rule):
                            factor = passes[who] * points[q] + share[who] * (1.0 - points[q])
                            total += weights[q] * product[depth, q] / factor
                        _give(nodes, node, number, gap * total, who, out[r])
                    continue
                goes_left = _passes(node, nodes, symbols, r)
                for child in (nodes.rights[node], nodes.lefts[node]):
                    if nodes.deep[child]:
                        node_at[top], depth_at[top], up_at[top] = child, depth + 1, node
                        goes_at[top] = 1.0 if goes_left == (child == nodes.lefts[node]) else 0.0
                        top += 1
            while length > 0:
                length -= 1
                who = who_of[length]
                passes[who], share[who], met[who] = old_passes[length], old_share[length], not first[length]
