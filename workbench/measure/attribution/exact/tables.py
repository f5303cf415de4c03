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
    """lines: float64, flat. Group g's columns start at first[g], places_first[g + 1] - places_first[g] of them, each of
    one number for every pattern: what a row is given is a line across them.

    places: position in a row of results that each column is added to.
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
    """Where lines go: columns of group g, which has members[g] players, from first[g]."""

    members: Ints
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
    room = Room(np.diff(member_first), lines, first)
    rule_first = starts(np.array([rule.shape[1] for rule in rules]))
    _fill(steps, players, around, game.worth, rule_first, np.concatenate(rules, axis=1), pairs, room)
    return Tables(lines, first, places, places_first)


def _places(groups: Groups, game: Game, member: Ints, member_first: Ints, pairs: bool) -> tuple[Ints, Ints]:
    """Where the columns of each group belong: (player or pair) * outputs + output."""
    owner, own = np.repeat(np.arange(len(groups.sizes)), np.diff(member_first)), member
    if pairs:
        two = [np.triu_indices(many, 1) for many in np.diff(member_first)]
        i, j = (
            np.concatenate([np.zeros(0, np.int64), *(start + one[side] for start, one in zip(member_first, two))])
            for side in (0, 1)
        )
        owner, own = owner[i], member[i] * game.players + member[j]
    width = game.worth.shape[1]
    outputs = np.arange(width) if width > 1 else game.output[groups.tree[owner], None]
    found = (own[:, None] * game.outputs + outputs).ravel()
    return found.astype(np.int64), starts(np.bincount(owner, minlength=len(groups.sizes)) * width)


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
def _codes(g: int, place: int, steps: Any, at: Any, codes: Any) -> None:  # pragma: no cover - compiled
    """In codes [patterns] the set of a leaf's players that fail, bit by bit: a pattern is a shorter one and a way."""
    codes[0] = 0
    for bit in range(steps.first_bit[g + 1] - steps.first_bit[g]):
        stays, goes = np.int64(0), np.int64(0)
        for step in range(steps.first_step[place], steps.first_step[place + 1]):
            if steps.path[step] == bit:
                fails = np.int64(1) << at[step]
                stays, goes = (fails, stays * 0) if steps.way[step] else (goes * 0, fails)
        half = 1 << bit
        for pattern in range(half):
            codes[half + pattern] = codes[pattern] | goes
        for pattern in range(half):
            codes[pattern] |= stays


@njit(cache=True)
def _failing(
    g: int, place: int, steps: Any, k: int, at: Any, around: Any, codes: Any
) -> Any:  # pragma: no cover - compiled
    """The background's share [2^k] by the set of players that fail; codes: that set for every pattern."""
    failing = np.zeros(1 << k)
    if len(around.histogram):
        for pattern in range(len(codes)):
            failing[codes[pattern]] += around.histogram[around.first[g] + pattern]
        return failing
    # Path-dependent: every player fails on its own account.
    holds = np.ones(k)
    node = steps.leaf[place]
    for step in range(steps.first_step[place + 1] - 1, steps.first_step[place] - 1, -1):
        holds[at[step]] *= around.ratio[node]
        node = steps.bits[steps.first_bit[g] + steps.path[step]]
    failing[0] = 1.0
    for i in range(k):
        half = 1 << i
        for A in range(half):
            failing[half + A] = failing[A] * (1.0 - holds[i])
            failing[A] *= holds[i]
    return failing


@njit(cache=True)
def _fill(
    steps: Any, players: Any, around: Any, worth: Any, rule_first: Any, rule: Any, pairs: bool, room: Any
) -> None:  # pragma: no cover - compiled
    for g in range(len(steps.first_bit) - 1):
        codes = np.empty(1 << (steps.first_bit[g + 1] - steps.first_bit[g]), np.int64)
        for place in range(steps.first_leaf[g], steps.first_leaf[g + 1]):
            k, start = players.many[place], steps.first_step[place]
            _codes(g, place, steps, players.at, codes)
            failing = _failing(g, place, steps, k, players.at, around, codes)
            given = np.zeros((k * (k - 1) // 2 if pairs else k, 1 << k))
            shares_of_leaf(failing, k, rule, rule_first[k], rule_first[k + 1], pairs, given)
            own, target = worth[steps.leaf[place]], players.target[start : start + k]
            if pairs:
                _add_pairs(given, codes, own, target, room.members[g], room.lines, room.first[g])
            else:
                _add_values(given, codes, own, target, room.lines, room.first[g])


@njit(cache=True)
def _add(given: Any, codes: Any, worth: Any, lines: Any, start: int) -> None:  # pragma: no cover - compiled
    """Add to the columns of one player or pair what it gets at each pattern, by who fails there."""
    all_of, many = len(given) - 1, len(codes)
    for output in range(len(worth)):
        column, due = lines[start + output * many : start + (output + 1) * many], worth[output]
        for pattern in range(many):
            column[pattern] += given[all_of - codes[pattern]] * due


@njit(cache=True)
def _add_values(
    given: Any, codes: Any, worth: Any, target: Any, lines: Any, first: int
) -> None:  # pragma: no cover - compiled
    """given: [players, 2^k], by the set of players that hold."""
    for i in range(len(target)):
        _add(given[i], codes, worth, lines, first + target[i] * len(worth) * len(codes))


@njit(cache=True)
def _add_pairs(
    given: Any, codes: Any, worth: Any, target: Any, members: int, lines: Any, first: int
) -> None:  # pragma: no cover - compiled
    """The same for pairs of players."""
    pair = 0
    for i in range(len(target)):
        for j in range(i + 1, len(target)):
            low, high = min(target[i], target[j]), max(target[i], target[j])
            among = low * members - low * (low + 1) // 2 + high - low - 1
            _add(given[pair], codes, worth, lines, first + among * len(worth) * len(codes))
            pair += 1
