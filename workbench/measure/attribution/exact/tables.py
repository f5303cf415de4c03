"""The table of each group: one line for every pattern of its splits, with what it gives to the group's players."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from workbench.measure.attribution.exact.groups import Groups
from workbench.measure.attribution.exact.rules import interactions_of_leaf, quadrature, values_of_leaf

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Tables:
    """lines: float64, flat. Group g's lines start at first[g]; each has places_first[g + 1] - places_first[g] numbers.

    places: position in a row of results that each number of a line is added to.
    """

    lines: Floats
    first: Ints
    places: Ints
    places_first: Ints


@dataclass(frozen=True)
class Game:
    """Who plays for what. player: int64 [N], of each inner node, out of `players`; worth: float64 [N, L], of leaves.

    output: int64 [T], the output of each tree's value where L = 1. outputs: how many there are. ratio: float64 [N],
    share of the parent's cover that reached a node, or None where a background is given.
    """

    player: Ints
    players: int
    worth: Floats
    output: Ints
    outputs: int
    ratio: Floats | None


def starts(sizes: Ints) -> Ints:
    """Where each of the parts of these sizes starts, and the end of the last."""
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def tables(groups: Groups, game: Game, histogram: Floats, pairs: bool = False) -> Tables:
    """The tables of all groups.

    histogram: the background's share of each pattern, group by group, or empty for path-dependent values. pairs: of
    interactions of players i < j, at i * players + j, instead of the players' values.
    """
    owner = np.repeat(np.arange(len(groups.sizes)), groups.sizes)
    members = np.unique(owner * game.players + game.player[groups.bits])
    member_first = starts(np.bincount(members // game.players, minlength=len(groups.sizes)))
    member = members % game.players
    places, places_first = _places(groups, game, member, member_first, pairs)
    first = starts((1 << groups.sizes) * np.diff(places_first))
    lines = np.zeros(first[-1])
    steps = (groups.first_bit, groups.bits, groups.first_leaf, groups.first_step, groups.path)
    count, target, at = _merge(*steps, game.player, member, member_first)
    rules = [quadrature(k) for k in range(int(count.max(initial=0)) + 1)]
    fill = _fill_pairs if pairs else _fill_values
    ratio = np.zeros(0) if game.ratio is None else game.ratio
    rule_first = starts(np.array([rule.shape[1] for rule in rules]))
    sizes = (np.diff(member_first), np.diff(places_first))
    leaves = (groups.leaf, groups.way, game.worth, count, target, at)
    background = (ratio, histogram, starts(1 << groups.sizes))
    fill(*steps, *leaves, *background, rule_first, np.concatenate(rules, axis=1), *sizes, lines, first)
    return Tables(lines, first, places, places_first)


def _places(groups: Groups, game: Game, member: Ints, member_first: Ints, pairs: bool) -> tuple[Ints, Ints]:
    """Where the numbers of each group's lines belong: (player or pair) * outputs + output."""
    width, found = game.worth.shape[1], []
    for g in range(len(groups.sizes)):
        own = member[member_first[g] : member_first[g + 1]]
        if pairs:
            i, j = np.triu_indices(len(own), 1)
            own = own[i] * game.players + own[j]
        outputs = np.arange(width) if width > 1 else game.output[groups.tree[g], None]
        found.append((own[:, None] * game.outputs + outputs).ravel())
    return np.concatenate([np.zeros(0, np.int64), *found]).astype(np.int64), starts(np.array([len(p) for p in found]))


@njit(cache=True)
def _merge(
    first_bit: Any, bits: Any, first_leaf: Any, first_step: Any, path: Any, player: Any, member: Any, member_first: Any
) -> Any:  # pragma: no cover - compiled
    """How many players each leaf has; which of its group's players they are; and which of them each step belongs to.

    The second and third have room for as many players as steps, from first_step of the leaf.
    """
    count, target, at = np.zeros(len(first_step) - 1, np.int64), np.zeros(len(path), np.int64), np.zeros_like(path)
    for g in range(len(first_bit) - 1):
        for leaf in range(first_leaf[g], first_leaf[g + 1]):
            start = first_step[leaf]
            for step in range(start, first_step[leaf + 1]):
                who, place, found = player[bits[first_bit[g] + path[step]]], 0, 0
                while member[member_first[g] + place] != who:
                    place += 1
                while found < count[leaf] and target[start + found] != place:
                    found += 1
                target[start + found], at[step] = place, found
                count[leaf] = max(count[leaf], found + 1)
    return count, target, at


@njit(cache=True)
def _failing(
    g: int,
    place: int,
    first_bit: Any,
    bits: Any,
    first_step: Any,
    path: Any,
    leaf: Any,
    way: Any,
    k: int,
    at: Any,
    ratio: Any,
    histogram: Any,
    pattern_first: Any,
    codes: Any,
) -> Any:  # pragma: no cover - compiled
    """The background's share [2^k] by the set of players that fail; and in codes that set for every pattern."""
    failing = np.zeros(1 << k)
    for pattern in range(len(codes)):
        fails = 0
        for step in range(first_step[place], first_step[place + 1]):
            if (pattern >> path[step] & 1) != way[step]:
                fails |= 1 << at[step]
        codes[pattern] = fails
        if len(histogram):
            failing[fails] += histogram[pattern_first[g] + pattern]
    if len(histogram):
        return failing
    # Path-dependent: every player fails on its own account.
    holds = np.ones(k)
    node = leaf[place]
    for step in range(first_step[place + 1] - 1, first_step[place] - 1, -1):
        holds[at[step]] *= ratio[node]
        node = bits[first_bit[g] + path[step]]
    for A in range(1 << k):
        failing[A] = 1.0
        for i in range(k):
            failing[A] *= 1.0 - holds[i] if A >> i & 1 else holds[i]
    return failing


@njit(cache=True)
def _fill_values(
    first_bit: Any,
    bits: Any,
    first_leaf: Any,
    first_step: Any,
    path: Any,
    leaf: Any,
    way: Any,
    worth: Any,
    count: Any,
    target: Any,
    at: Any,
    ratio: Any,
    histogram: Any,
    pattern_first: Any,
    rule_first: Any,
    rule: Any,
    members: Any,
    widths: Any,
    lines: Any,
    first: Any,
) -> None:  # pragma: no cover - compiled
    wide = worth.shape[1]
    for g in range(len(first_bit) - 1):
        codes = np.empty(1 << (first_bit[g + 1] - first_bit[g]), np.int64)
        for place in range(first_leaf[g], first_leaf[g + 1]):
            k = count[place]
            failing = _failing(
                g, place, first_bit, bits, first_step, path, leaf, way, k, at, ratio, histogram, pattern_first, codes
            )
            given = np.zeros((1 << k, k))
            values_of_leaf(failing, k, rule, rule_first[k], rule_first[k + 1], given)
            for pattern in range(len(codes)):
                X, line = (1 << k) - 1 - codes[pattern], first[g] + pattern * widths[g]
                for i in range(k):
                    for output in range(wide):
                        position = line + target[first_step[place] + i] * wide + output
                        lines[position] += given[X, i] * worth[leaf[place], output]


@njit(cache=True)
def _fill_pairs(
    first_bit: Any,
    bits: Any,
    first_leaf: Any,
    first_step: Any,
    path: Any,
    leaf: Any,
    way: Any,
    worth: Any,
    count: Any,
    target: Any,
    at: Any,
    ratio: Any,
    histogram: Any,
    pattern_first: Any,
    rule_first: Any,
    rule: Any,
    members: Any,
    widths: Any,
    lines: Any,
    first: Any,
) -> None:  # pragma: no cover - compiled
    wide = worth.shape[1]
    for g in range(len(first_bit) - 1):
        codes = np.empty(1 << (first_bit[g + 1] - first_bit[g]), np.int64)
        for place in range(first_leaf[g], first_leaf[g + 1]):
            k = count[place]
            failing = _failing(
                g, place, first_bit, bits, first_step, path, leaf, way, k, at, ratio, histogram, pattern_first, codes
            )
            given = np.zeros((1 << k, k * (k - 1) // 2))
            interactions_of_leaf(failing, k, rule, rule_first[k], rule_first[k + 1], given)
            for pattern in range(len(codes)):
                X, line, pair = (1 << k) - 1 - codes[pattern], first[g] + pattern * widths[g], 0
                for i in range(k):
                    for j in range(i + 1, k):
                        one, two = target[first_step[place] + i], target[first_step[place] + j]
                        low, high = min(one, two), max(one, two)
                        among = low * members[g] - low * (low + 1) // 2 + high - low - 1
                        for output in range(wide):
                            worthy = given[X, pair] * worth[leaf[place], output]
                            lines[line + among * wide + output] += worthy
                        pair += 1
