"""Exact Shapley values of a tree ensemble's raw sums, for any number of background rows at the price of none."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from workbench.measure.attribution.exact import deep
from workbench.measure.attribution.exact.groups import Groups, cut
from workbench.measure.attribution.exact.lookup import Asked, add_lines, pattern_shares
from workbench.measure.attribution.exact.on_torch import TorchLookup
from workbench.measure.attribution.exact.splits import Floats, Ints, Splits, splits_of
from workbench.measure.attribution.exact.tables import Game, Tables, starts, tables
from workbench.models.trees import Trees

TURN = 16_384
"""Rows whose symbols are held at once."""
MOST_BITS = 9
MOST_CELLS = 2**27
"""Numbers in all tables, 1 GiB; an ensemble that would need more is cut into smaller groups."""


class TreeShapley:
    """Shapley values of the raw sums of `trees` (before the link), exact in float64.

    background: float64 [m, F], the rows an absent feature takes its values from (interventional values); None for
    path-dependent values, where it takes the ways the training rows took. players: int [F], the player each feature
    belongs to, by default one each: features that are made from one raw column are one player. threads: rows are
    shared out among so many. device: "cpu" (compiled), or a torch device; leaves too deep for a table stay on the CPU.
    base: float64 [K], the mean over the background.

    Raises ValueError where a leaf has no value, and for path-dependent values where the file has no covers.
    """

    def __init__(
        self,
        trees: Trees,
        background: Floats | None = None,
        *,
        players: Sequence[int] | None = None,
        most_bits: int = MOST_BITS,
        threads: int = 1,
        device: str = "cpu",
    ) -> None:
        self.trees, self.threads, self.device = trees, threads, device
        self._splits: Splits = splits_of(trees)
        self._game = game_of(trees, players, background is None)
        self._groups: Groups = _groups(trees, self._game, most_bits)
        bits = self._groups.bits
        self._asked = Asked(
            self._groups.first_bit,
            self._splits.column[bits],
            self._splits.limit[bits],
            self._splits.ways[bits],
            self._splits.left,
        )
        self._background = None if background is None else self._splits.read(_checked(trees, background))
        self._histogram = np.zeros(0)
        if self._background is not None:
            self._histogram = pattern_shares(self._background, self._asked, starts(1 << self._groups.sizes))
        self._tables = tables(self._groups, self._game, self._histogram)
        self.base: Floats = _base(trees, self._game, background)

    @property
    def shape(self) -> tuple[int, int]:
        """Players and outputs."""
        return self._game.players, self._game.outputs

    def values(self, X: Floats) -> Floats:
        """Values [n, players, K] of rows X [n, F]; with `base` they add up to the raw sums."""
        return self._sum(X, self._tables, self._game.players)

    def interactions(self, X: Floats) -> Floats:
        """Interaction values [n, players, players, K], halved between (i, j) and (j, i); a row adds up to the value.

        Raises ValueError for path-dependent ones where a leaf is too deep for a table.
        """
        if self._groups.deep.any() and self._background is None:
            raise ValueError(
                f"a leaf has more than {MOST_BITS} splits above it: path-dependent interactions of such deep trees are "
                "not computed; give a background"
            )
        players = self._game.players
        found = self._sum(X, tables(self._groups, self._game, self._histogram, pairs=True), players**2, pairs=True)
        found = found.reshape(len(X), players, players, -1) / 2
        found = found + found.transpose(0, 2, 1, 3)
        i = np.arange(players)
        found[:, i, i] = self.values(X) - found.sum(axis=2)
        return found

    def _sum(self, X: Floats, found: Tables, positions: int, pairs: bool = False) -> Floats:
        X = _checked(self.trees, X)
        out = np.zeros((len(X), positions * self._game.outputs))
        elsewhere = None if self.device == "cpu" else TorchLookup(self._splits, self._groups, found, self.device)

        def turn(start: int) -> None:
            symbols, part = self._splits.read(X[start : start + TURN]), out[start : start + TURN]
            if elsewhere:
                elsewhere.add(symbols, part)
            else:
                add_lines(symbols, self._asked, found.lines, found.first, found.places, found.places_first, part)
            if self._groups.deep.any():
                deepest = self._groups.deep
                deep.add(self.trees, self._splits, self._game, deepest, self._background, symbols, part, pairs)

        if self.threads == 1:
            for start in range(0, len(X), TURN):
                turn(start)
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                list(pool.map(turn, range(0, len(X), TURN)))
        return out.reshape(len(X), positions, self._game.outputs)


def game_of(trees: Trees, players: Sequence[int] | None, needs_cover: bool) -> Game:
    """What an ensemble's leaves are worth to whom."""
    own = np.arange(len(trees.features)) if players is None else np.asarray(players, dtype=np.int64)
    if own.shape != (len(trees.features),) or (len(own) and own.min() < 0):
        raise ValueError(f"{len(trees.features)} features need a player each, got {own.shape}")
    if not np.isfinite(trees.value).all():
        raise ValueError("a leaf has no value: rows that end there have no answer to explain")
    weight = trees.weight
    if trees.aggregation == "mean":
        each = np.array([np.isin(trees.tree_output, (-1, k)).sum() for k in range(trees.n_outputs)])
        weight = weight / np.where(trees.tree_output < 0, len(trees.roots), each[trees.tree_output])
    tree = np.searchsorted(trees.roots, np.arange(len(trees.feature)), side="right") - 1
    return Game(
        player=np.where(trees.feature >= 0, own[trees.feature], -1),
        players=int(own.max(initial=-1)) + 1,
        worth=trees.value * weight[tree][:, None],
        output=trees.tree_output.astype(np.int64),
        outputs=trees.n_outputs,
        ratio=_ratios(trees) if needs_cover else None,
    )


def _ratios(trees: Trees) -> Floats:
    inner = np.flatnonzero(trees.left >= 0)
    if (trees.cover[inner] <= 0).any():
        raise ValueError(
            "the model's file does not say how many training rows reached each node: give a background instead"
        )
    ratio = np.ones(len(trees.feature))
    for side in (trees.left, trees.right):
        ratio[side[inner]] = trees.cover[side[inner]] / trees.cover[inner]
    return ratio


def _groups(trees: Trees, game: Game, most_bits: int) -> Groups:
    """Groups of at most so many bits, fewer where the tables would become too large."""
    for bits in range(most_bits, 0, -1):
        groups = cut(trees, bits)
        cells = int(((1 << groups.sizes) * np.minimum(groups.sizes, game.players)).sum()) * game.worth.shape[1]
        if cells <= MOST_CELLS:
            break
    return groups


def _base(trees: Trees, game: Game, background: Floats | None) -> Floats:
    if background is not None:
        return np.asarray(trees.raw(background).mean(axis=0), dtype=np.float64)
    assert game.ratio is not None
    reached = np.zeros(len(trees.feature))
    level: NDArray[np.int64] = trees.roots.astype(np.int64)
    reached[level] = 1.0
    base: Floats = trees.base.copy()
    tree = np.searchsorted(trees.roots, np.arange(len(trees.feature)), side="right") - 1
    while len(level):
        leaves = level[trees.left[level] < 0]
        given: Floats = game.worth[leaves] * reached[leaves, None]
        if game.worth.shape[1] > 1:
            base += given.sum(axis=0)
        else:
            np.add.at(base, game.output[tree[leaves]], given[:, 0])
        level = level[trees.left[level] >= 0]
        below: Ints = np.concatenate([trees.left[level], trees.right[level]]).astype(np.int64)
        reached[below] = np.tile(reached[level], 2) * game.ratio[below]
        level = below
    return base


def _checked(trees: Trees, X: Floats) -> Floats:
    X = np.asarray(X, dtype=np.float64)
    if X.ndim != 2 or X.shape[1] != len(trees.features):
        raise ValueError(f"the trees ask for {len(trees.features)} columns and got {X.shape}: give one per feature")
    return X
