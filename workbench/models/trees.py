"""The tree IR: one frozen array structure for every tree ensemble, whoever grew it.

Readers make it; `migrate/lift` and `measure/attribution` use it; nobody else parses trees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Compare = Literal["<=", "<"]
Link = Literal["identity", "sigmoid", "softmax", "exp", "one-minus-exp", "sigmoid-ova"]
MISSING_NONE, MISSING_ZERO, MISSING_NAN = 0, 1, 2


@dataclass(frozen=True)
class Trees:
    """T trees, N nodes in all, K outputs, F features, C categorical splits.

    Node arrays are the trees' nodes one after the other; children are absolute node numbers.

    roots: int32 [T]. feature: int32 [N], -1 at a leaf. threshold: float64 [N]; the row goes left where
    `x <= threshold` (or `<`, by `compare`). left, right: int32 [N], -1 at a leaf. default_left: bool [N], the way of a
    missing value. missing: uint8 [N], what counts as missing at the node: MISSING_NONE (a NaN is read as 0, LightGBM),
    MISSING_ZERO (NaN and |x| <= 1e-35), MISSING_NAN. category: int32 [N], -1 for a numeric split, else a row of
    `bits`. bits: uint32 [C, W], bit v of row c set: category v goes left; a category out of range, negative or
    unknown goes right unless `unknown_left`. unknown_left: bool [N]: the way of an unknown category (HistGB: as
    missing). value: float64 [N, L], leaves only; L = 1 and tree t adds to output tree_output[t], or L = K and
    tree_output[t] = -1. cover: float64 [N], training weight that reached the node (0 where unknown).
    tree_output: int32 [T]. weight: float64 [T] (dart, boosting weights; 1 otherwise). base: float64 [K].
    aggregation: "sum", or "mean" over trees (forests). link: from raw sums to outputs; link_scale multiplies the raw
    sum inside sigmoid (LightGBM's `sigmoid`). precision: the input is rounded to it before it is compared.
    features: F names, in column order. linear: per-leaf linear models are not in the IR (a reader refuses them).
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

    @property
    def n_outputs(self) -> int:
        return len(self.base)
