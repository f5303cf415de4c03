"""Trees cut into groups of few splits, so that what a row gets from a whole group is one line of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from workbench.models.trees import Trees

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Groups:
    """G groups with B bits (splits) and L leaves in all, and the leaves that no group holds.

    root: [G], the node a group lies under; tree: [G]. bits: node asked by each bit, group by group; first_bit [G+1].
    leaf: the leaves' nodes; first_leaf [G+1]. A leaf's path is `path` (bit within the group) and `way` (1: the row
    goes left), root first; first_step [L+1]. deep: bool [N], a leaf with too many splits above it is here or below.
    """

    tree: Ints
    first_bit: Ints
    bits: Ints
    first_leaf: Ints
    leaf: Ints
    first_step: Ints
    path: Ints
    way: Ints
    deep: NDArray[np.bool_]

    @property
    def sizes(self) -> Ints:
        """Bits of each group."""
        return np.diff(self.first_bit)


def cut(trees: Trees, most_bits: int) -> Groups:
    """Top-down: a group is a node for which (splits above it + splits below it) <= most_bits."""
    left, right = trees.left.astype(np.int64), trees.right.astype(np.int64)
    parent, depth, splits = _shape(trees.roots.astype(np.int64), left, right)
    tree, heads, deep = _heads(trees.roots.astype(np.int64), left, right, parent, depth, splits, most_bits)
    first_bit, bits, first_leaf, leaf = _members(heads, left, right, parent, depth, splits)
    first_step, path, way = _paths(first_bit, bits, first_leaf, leaf, left, parent, depth)
    return Groups(tree, first_bit, bits, first_leaf, leaf, first_step, path, way, deep)


@njit(cache=True)
def _shape(roots: Any, left: Any, right: Any) -> Any:  # pragma: no cover - compiled
    """Of each node its parent (-1 at a root), its depth and the number of splits in its subtree."""
    parent, depth, splits = np.full(len(left), -1), np.zeros(len(left), np.int64), np.zeros(len(left), np.int64)
    order = np.empty(len(left), np.int64)
    count = 0
    for root in roots:
        order[count] = root
        count += 1
    done = 0
    while done < count:
        node = order[done]
        done += 1
        if left[node] >= 0:
            splits[node] = 1
            for child in (left[node], right[node]):
                parent[child], depth[child] = node, depth[node] + 1
                order[count] = child
                count += 1
    for place in range(count - 1, -1, -1):
        node = order[place]
        if parent[node] >= 0:
            splits[parent[node]] += splits[node]
    return parent, depth, splits


@njit(cache=True)
def _heads(
    roots: Any, left: Any, right: Any, parent: Any, depth: Any, splits: Any, most: int
) -> Any:  # pragma: no cover - compiled
    """The nodes that groups lie under, and their trees; and where leaves too deep for a group are."""
    deep, stack = np.zeros(len(left), np.bool_), np.empty(len(left) + 1, np.int64)
    tree, heads = np.empty(len(left), np.int64), np.empty(len(left), np.int64)
    count = 0
    for number in range(len(roots)):
        top = 1
        stack[0] = roots[number]
        while top:
            top -= 1
            node = stack[top]
            if depth[node] + splits[node] <= most:
                tree[count], heads[count] = number, node
                count += 1
            elif left[node] >= 0:
                stack[top], stack[top + 1] = right[node], left[node]
                top += 2
            else:
                while node >= 0 and not deep[node]:
                    deep[node] = True
                    node = parent[node]
    return tree[:count].copy(), heads[:count].copy(), deep


@njit(cache=True)
def _members(
    heads: Any, left: Any, right: Any, parent: Any, depth: Any, splits: Any
) -> Any:  # pragma: no cover - compiled
    """Each group's splits (those above it first, root first) and leaves."""
    first_bit, first_leaf = np.zeros(len(heads) + 1, np.int64), np.zeros(len(heads) + 1, np.int64)
    for g in range(len(heads)):
        first_bit[g + 1] = first_bit[g] + depth[heads[g]] + splits[heads[g]]
        first_leaf[g + 1] = first_leaf[g] + splits[heads[g]] + 1
    bits, leaf = np.empty(first_bit[-1], np.int64), np.empty(first_leaf[-1], np.int64)
    stack = np.empty(len(left) + 1, np.int64)
    for g in range(len(heads)):
        up, bit, place, top = parent[heads[g]], first_bit[g] + depth[heads[g]], first_leaf[g], 1
        while up >= 0:
            bits[first_bit[g] + depth[up]] = up
            up = parent[up]
        stack[0] = heads[g]
        while top:
            top -= 1
            node = stack[top]
            if left[node] >= 0:
                bits[bit] = node
                bit += 1
                stack[top], stack[top + 1] = right[node], left[node]
                top += 2
            else:
                leaf[place] = node
                place += 1
    return first_bit, bits, first_leaf, leaf


@njit(cache=True)
def _paths(
    first_bit: Any, bits: Any, first_leaf: Any, leaf: Any, left: Any, parent: Any, depth: Any
) -> Any:  # pragma: no cover - compiled
    """The way from the root to each leaf, in bits of its group."""
    first_step = np.zeros(len(leaf) + 1, np.int64)
    for place in range(len(leaf)):
        first_step[place + 1] = first_step[place] + depth[leaf[place]]
    path, way = np.empty(first_step[-1], np.int64), np.empty(first_step[-1], np.int64)
    local = np.zeros(len(left), np.int64)
    for g in range(len(first_bit) - 1):
        for place in range(first_bit[g], first_bit[g + 1]):
            local[bits[place]] = place - first_bit[g]
        for place in range(first_leaf[g], first_leaf[g + 1]):
            came, up = leaf[place], parent[leaf[place]]
            step = first_step[place + 1]
            while up >= 0:
                step -= 1
                path[step], way[step] = local[up], 1 if left[up] == came else 0
                came, up = up, parent[up]
    return first_step, path, way
