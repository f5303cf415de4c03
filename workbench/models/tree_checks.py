"""Structural checks of a tree ensemble, before anything follows its indices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.models.protocol import Refused
from workbench.models.trees import Trees

FIX = "The file is damaged or was made to break its reader: get it again from its source, or export the model anew."


def check(trees: Trees) -> None:
    """Raises Refused naming the first node that is wrong (see `Trees.validate`)."""
    count = len(trees.feature)
    _shapes(trees, count)
    inner = trees.feature != -1
    _refuse(trees, (trees.feature < -1) | (trees.feature >= len(trees.features)), "feature", trees.feature)
    for side, child in (("left", trees.left), ("right", trees.right)):
        _refuse(trees, inner & ((child < 0) | (child >= count)), f"{side} child", child)
        _refuse(trees, ~inner & (child != -1), f"{side} child of a leaf", child)
    _refuse(trees, inner & (trees.category < 0) & np.isnan(trees.threshold), "threshold", trees.threshold)
    _refuse(trees, (trees.category < -1) | (trees.category >= len(trees.bits)), "category set", trees.category)
    sound = ~np.isinf(trees.value) if trees.unanswered else np.isfinite(trees.value)
    wrong_value = ~inner & ~sound.all(axis=1)
    _refuse(trees, wrong_value, "leaf value", trees.value[:, 0] if count else trees.threshold)
    _reached_once(trees, inner, count)


def _shapes(trees: Trees, count: int) -> None:
    names = ("threshold", "left", "right", "default_left", "missing", "category", "unknown_left", "value", "cover")
    for name in names:
        if len(getattr(trees, name)) != count:
            raise Refused(f"the trees have {count} nodes but {len(getattr(trees, name))} of {name!r}. {FIX}")
    if not len(trees.roots) == len(trees.tree_output) == len(trees.weight):
        raise Refused(f"{len(trees.roots)} trees, but {len(trees.tree_output)} outputs and weights for them. {FIX}")
    if len(trees.roots) and (trees.roots.min() < 0 or trees.roots.max() >= count):
        raise Refused(f"a tree starts outside the {count} nodes. {FIX}")
    if not (np.isfinite(trees.base).all() and np.isfinite(trees.weight).all()):
        raise Refused(f"the base score or a tree's weight is not a finite number. {FIX}")
    wide = trees.value.shape[1] if trees.value.ndim == 2 else 0
    out_of_range = (trees.tree_output < -1) | (trees.tree_output >= trees.n_outputs)
    if out_of_range.any() or (count and wide != (trees.n_outputs if (trees.tree_output == -1).any() else 1)):
        raise Refused(f"a tree adds to an output that is not among the {trees.n_outputs}. {FIX}")


def _refuse(trees: Trees, wrong: NDArray[np.bool_], what: str, seen: NDArray[np.generic]) -> None:
    if not wrong.any():
        return
    node = int(np.argmax(wrong))
    tree = int(np.searchsorted(trees.roots, node, side="right")) - 1
    local = node - int(trees.roots[tree]) if tree >= 0 else node
    raise Refused(
        f"tree {tree}, node {local}: {what} is {seen[node]}, which cannot be "
        f"({len(trees.features)} features, {len(trees.feature)} nodes, {len(trees.bits)} category sets). {FIX}"
    )


def _reached_once(trees: Trees, inner: NDArray[np.bool_], count: int) -> None:
    """With every node reached exactly once from the roots there is no cycle and nothing shared."""
    reached = np.bincount(
        np.concatenate([trees.roots, trees.left[inner], trees.right[inner]]).astype(np.int64), minlength=count
    )
    _refuse(trees, reached != 1, "number of ways to it", reached)
    # In-degree one everywhere still allows a ring beside the trees: walk down and count.
    level, seen = trees.roots.astype(np.int64), 0
    while len(level):
        seen += len(level)
        below = level[inner[level]]
        level = np.concatenate([trees.left[below], trees.right[below]]).astype(np.int64)
    if seen != count:
        raise Refused(f"{count - seen} nodes cannot be reached from any tree's root: they form a ring. {FIX}")
