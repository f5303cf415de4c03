"""The tree IR: one frozen array structure for every tree ensemble, whoever grew it.

Readers make it; `migrate/lift` and `measure/attribution` use it; nobody else parses trees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Compare = Literal["<=", "<"]
Link = Literal["identity", "sigmoid", "softmax", "exp", "one-minus-exp", "sigmoid-ova", "log1p-exp", "signed-square"]
MISSING_NONE, MISSING_ZERO, MISSING_NAN = 0, 1, 2


@dataclass(frozen=True)
class Trees:
    """T trees, N nodes in all, K outputs, F features, C categorical splits.

    Node arrays are the trees' nodes one after the other; children are absolute node numbers.

    roots: int32 [T]. feature: int32 [N], -1 at a leaf. threshold: float64 [N]; the row goes left where
    `x <= threshold` (or `<`, by `compare`). left, right: int32 [N], -1 at a leaf. default_left: bool [N], the way of a
    missing value. missing: uint8 [N], what counts as missing at the node: MISSING_NONE (a NaN is read as 0, LightGBM),
    MISSING_ZERO (NaN and |x| <= 1e-35), MISSING_NAN. category: int32 [N], -1 for a numeric split, else a row of
    `bits`; a NaN there goes by default_left. bits: uint32 [C, W], bit v of row c set: category v goes left; a category
    out of range, negative or unknown goes right unless `unknown_left`. unknown_left: bool [N]: the way of an unknown
    category (HistGB: as missing). value: float64 [N, L], leaves only; L = 1 and tree t adds to output tree_output[t],
    or L = K and tree_output[t] = -1. cover: float64 [N], training weight that reached the node (0 where unknown).
    tree_output: int32 [T]. weight: float64 [T] (dart, boosting weights; 1 otherwise). base: float64 [K].
    aggregation: "sum", or "mean" over the trees of an output (forests). link: from raw sums to outputs; link_scale
    multiplies the raw sum inside sigmoid (LightGBM's `sigmoid`). precision: the input is rounded to it before it is
    compared. features: F names, in column order. Per-leaf linear models are not in the IR: see
    `linear_leaves`.
    """

    features: tuple[str, ...]
    roots: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    default_left: NDArray[np.bool_]
    missing: NDArray[np.uint8]
    category: NDArray[np.int32]
    bits: NDArray[np.uint32]
    unknown_left: NDArray[np.bool_]
    value: NDArray[np.float64]
    cover: NDArray[np.float64]
    tree_output: NDArray[np.int32]
    weight: NDArray[np.float64]
    base: NDArray[np.float64]
    compare: Compare = "<="
    precision: Literal["float32", "float64"] = "float64"
    aggregation: Literal["sum", "mean"] = "sum"
    link: Link = "identity"
    link_scale: float = 1.0
    categorical: tuple[int, ...] = ()
    """Features whose column holds category codes."""
    unanswered: bool = False
    """A leaf may be NaN: the model has no answer for a row that ends there."""

    @property
    def n_outputs(self) -> int:
        return len(self.base)

    @property
    def n_trees(self) -> int:
        return len(self.roots)

    def validate(self) -> None:
        """Hold every index and number against the arrays before anything follows them.

        Raises Refused (a ModelError) naming the node: a child or feature out of range, a node reached twice or never
        (so no cycles), a threshold that is NaN, a leaf value that is not finite, a bitset out of range.
        """
        from workbench.models.tree_checks import check

        check(self)

    def raw(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Raw sums [n, K] of rows X [n, F] (category codes in the columns of `categorical`), before the link."""
        from workbench.models.tree_walk import raw

        return raw(self, X)

    def outputs(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """`raw` through the link: [n, K]; for sigmoid one column, P(positive)."""
        from workbench.models.tree_walk import through_link

        return through_link(self, self.raw(X))


@dataclass(frozen=True)
class Nodes:
    """One tree of m nodes as a reader found it, root first; children count within the tree. Shapes as in `Trees`."""

    feature: NDArray[np.generic]
    threshold: NDArray[np.generic]
    left: NDArray[np.generic]
    right: NDArray[np.generic]
    default_left: NDArray[np.bool_]
    value: NDArray[np.float64]
    cover: NDArray[np.generic]
    missing: NDArray[np.uint8] | None = None
    category: NDArray[np.generic] | None = None
    bits: NDArray[np.uint32] | None = None
    unknown_left: NDArray[np.bool_] | None = None


def assemble(
    nodes: Sequence[Nodes],
    *,
    features: tuple[str, ...],
    base: NDArray[np.float64],
    tree_output: NDArray[np.int32] | None,
    weight: NDArray[np.float64] | None = None,
    compare: Compare = "<=",
    precision: Literal["float32", "float64"] = "float64",
    aggregation: Literal["sum", "mean"] = "sum",
    link: Link = "identity",
    link_scale: float = 1.0,
    categorical: tuple[int, ...] = (),
    unanswered: bool = False,
) -> Trees:
    """Trees of the nodes, one after the other. tree_output None: every tree adds to all K outputs (L = K).

    Children out of range stay out of range, for `Trees.validate` to name.
    """
    import numpy as np

    sizes = [len(tree.feature) for tree in nodes]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    total = int(starts[-1])
    width = max([1, *(tree.bits.shape[1] for tree in nodes if tree.bits is not None and len(tree.bits))])
    bits, first_bits = _join_bits(nodes, width)

    def joined(parts: list[Any], kind: type) -> Any:
        return np.concatenate(parts).astype(kind) if parts else np.zeros(0, kind)

    def column(name: str, kind: type, fill: int = 0) -> Any:
        parts = [getattr(tree, name) for tree in nodes]
        return joined([np.full(n, fill) if part is None else part for part, n in zip(parts, sizes)], kind)

    def children(side: str) -> Any:
        local = [np.asarray(getattr(tree, side), dtype=np.int64) for tree in nodes]
        # A child of another tree would look right as an absolute number: send it out of range instead.
        return joined([_shift(child, start, n, total) for child, start, n in zip(local, starts, sizes)], np.int32)

    offsets = np.repeat(np.asarray(first_bits, dtype=np.int64), sizes)
    category = column("category", np.int64, -1)
    return Trees(
        features=features,
        roots=starts[:-1].astype(np.int32),
        feature=column("feature", np.int32),
        threshold=column("threshold", np.float64),
        left=children("left"),
        right=children("right"),
        default_left=column("default_left", np.bool_),
        missing=column("missing", np.uint8, MISSING_NAN),
        category=np.where(category < 0, -1, category + offsets).astype(np.int32),
        bits=bits,
        unknown_left=column("unknown_left", np.bool_),
        value=joined([tree.value for tree in nodes], np.float64) if nodes else np.zeros((0, 1)),
        cover=column("cover", np.float64),
        tree_output=np.full(len(nodes), -1, np.int32) if tree_output is None else tree_output.astype(np.int32),
        weight=np.ones(len(nodes)) if weight is None else weight,
        base=np.asarray(base, dtype=np.float64),
        compare=compare,
        precision=precision,
        aggregation=aggregation,
        link=link,
        link_scale=link_scale,
        categorical=categorical,
        unanswered=unanswered,
    )


def _shift(child: NDArray[np.int64], start: int, size: int, total: int) -> NDArray[np.int64]:
    import numpy as np

    return np.where(child < 0, child, np.where(child < size, child + start, total + child))


def _join_bits(nodes: Sequence[Nodes], width: int) -> tuple[NDArray[np.uint32], list[int]]:
    """All bitsets [C, width], and the row where each tree's start."""
    import numpy as np

    rows, first, count = [], [], 0
    for tree in nodes:
        first.append(count)
        if tree.bits is not None and len(tree.bits):
            rows.append(np.pad(tree.bits, ((0, 0), (0, width - tree.bits.shape[1]))))
            count += len(tree.bits)
    return (np.concatenate(rows).astype(np.uint32) if rows else np.zeros((0, width), np.uint32)), first
