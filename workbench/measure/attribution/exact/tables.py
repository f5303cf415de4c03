"""The table of each group: one line for every pattern of its splits, with what it gives to the group's players."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from workbench.measure.attribution.exact.groups import Groups
from workbench.measure.attribution.exact.rules import quadrature, shares_of_leaf

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


class Steps(NamedTuple):
    """The arrays of `Groups` that a table is filled from."""

    first_bit: Ints
    bits: Ints
    first_leaf: Ints
    first_step: Ints
    path: Ints
    leaf: Ints
    way: Ints


class Players(NamedTuple):
    """many: of each leaf; at: which of its players each step belongs to; target: which of its group's each one is.

    The second and third have room for as many players as steps, from first_step of the leaf.
    """

    many: Ints
    target: Ints
    at: Ints


class Around(NamedTuple):
    """What the background does: ratio of covers, or histogram of patterns, group g's from first[g]."""

    ratio: Floats
    histogram: Floats
    first: Ints


class Room(NamedTuple):
    """Where lines go: lines of group g from first[g], each of widths[g] numbers for members[g] players."""

    members: Ints
    widths: Ints
    lines: Floats
    first: Ints


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
    steps = Steps(*(getattr(groups, name) for name in Steps._fields))
    players = Players(*_merge(steps, game.player, member, member_first))
    rules = [quadrature(k) for k in range(int(players.many.max(initial=0)) + 1)]
    around = Around(np.zeros(0) if game.ratio is None else game.ratio, histogram, starts(1 << groups.sizes))
    room = Room(np.diff(member_first), np.diff(places_first), lines, first)
    rule_first = starts(np.array([rule.shape[1] for rule in rules]))
    _fill(steps, players, around, game.worth, rule_first, np.concatenate(rules, axis=1), pairs, room)
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
def _merge(steps: Any, player: Any, member: Any, member_first: Any) -> Any:  # pragma: no cover - compiled
    """What `Players` holds."""
    first_step, path = steps.first_step, steps.path
    count, target, at = np.zeros(len(first_step) - 1, np.int64), np.zeros(len(path), np.int64), np.zeros_like(path)
    for g in range(len(steps.first_bit) - 1):
        for leaf in range(steps.first_leaf[g], steps.first_leaf[g + 1]):
            start = first_step[leaf]
            for step in range(start, first_step[leaf + 1]):
                who, place, found = player[steps.bits[steps.first_bit[g] + path[step]]], 0, 0
                while member[member_first[g] + place] != who:
                    place += 1
                while found < count[leaf] and target[start + found] != place:
                    found += 1
                target[start + found], at[step] = place, found
                count[leaf] = max(count[leaf], found + 1)
    return count, target, at


@njit(cache=True)
def _failing(
    g: int, place: int, steps: Any, k: int, at: Any, around: Any, codes: Any
) -> Any:  # pragma: no cover - compiled
    """The background's share [2^k] by the set of players that fail; and in codes that set for every pattern."""
    failing, told = np.zeros(1 << k), len(around.histogram) > 0
    for pattern in range(len(codes)):
        fails = 0
        for step in range(steps.first_step[place], steps.first_step[place + 1]):
            if (pattern >> steps.path[step] & 1) != steps.way[step]:
                fails |= 1 << at[step]
        codes[pattern] = fails
        if told:
            failing[fails] += around.histogram[around.first[g] + pattern]
    if told:
        return failing
    # Path-dependent: every player fails on its own account.
    holds = np.ones(k)
    node = steps.leaf[place]
    for step in range(steps.first_step[place + 1] - 1, steps.first_step[place] - 1, -1):
        holds[at[step]] *= around.ratio[node]
        node = steps.bits[steps.first_bit[g] + steps.path[step]]
    for A in range(1 << k):
        failing[A] = 1.0
        for i in range(k):
            failing[A] *= 1.0 - holds[i] if A >> i & 1 else holds[i]
    return failing


@njit(cache=True)
def _fill(
    steps: Any, players: Any, around: Any, worth: Any, rule_first: Any, rule: Any, pairs: bool, room: Any
) -> None:  # pragma: no cover - compiled
    for g in range(len(steps.first_bit) - 1):
        codes = np.empty(1 << (steps.first_bit[g + 1] - steps.first_bit[g]), np.int64)
        for place in range(steps.first_leaf[g], steps.first_leaf[g + 1]):
            k, start = players.many[place], steps.first_step[place]
            failing = _failing(g, place, steps, k, players.at, around, codes)
            given = np.zeros((1 << k, k * (k - 1) // 2 if pairs else k))
            shares_of_leaf(failing, k, rule, rule_first[k], rule_first[k + 1], pairs, given)
            own, target = worth[steps.leaf[place]], players.target[start : start + k]
            held = np.int64(1 << k) - 1 - codes
            if pairs:
                _add_pairs(given, held, own, target, room.members[g], room.lines, room.first[g], room.widths[g])
            else:
                _add_values(given, held, own, target, room.lines, room.first[g], room.widths[g])


@njit(cache=True)
def _add_values(
    given: Any, held: Any, worth: Any, target: Any, lines: Any, first: int, width: int
) -> None:  # pragma: no cover - compiled
    """Add to the line of each pattern what its players get, whose tests held [patterns] says hold."""
    wide = len(worth)
    for pattern in range(len(held)):
        X, line = held[pattern], first + pattern * width
        for i in range(len(target)):
            for output in range(wide):
                lines[line + target[i] * wide + output] += given[X, i] * worth[output]


@njit(cache=True)
def _add_pairs(
    given: Any, held: Any, worth: Any, target: Any, members: int, lines: Any, first: int, width: int
) -> None:  # pragma: no cover - compiled
    """The same for pairs of players."""
    wide = len(worth)
    for pattern in range(len(held)):
        X, line, pair = held[pattern], first + pattern * width, 0
        for i in range(len(target)):
            for j in range(i + 1, len(target)):
                low, high = min(target[i], target[j]), max(target[i], target[j])
                among = low * members - low * (low + 1) // 2 + high - low - 1
                for output in range(wide):
                    lines[line + among * wide + output] += given[X, pair] * worth[output]
                pair += 1
