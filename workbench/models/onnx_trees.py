"""ONNX's tree ensembles (ai.onnx.ml: TreeEnsembleClassifier, TreeEnsembleRegressor, TreeEnsemble) as the tree IR.

The rules are those onnxruntime answers by (`tree_ensemble_aggregator.h`, `ml_common.h`): a row goes the true way where
the mode's comparison holds; NaN goes it only where the node says that missing values track true.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.models.protocol import ModelError, Plain
from workbench.models.trees import MISSING_NAN, Nodes, Trees, assemble

ENSEMBLES = ("onnx.ml.TreeEnsembleClassifier", "onnx.ml.TreeEnsembleRegressor", "onnx.ml.TreeEnsemble")
MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER")
"""In the order in which TreeEnsemble numbers them."""
SWAPPED, STRICT = ("BRANCH_GTE", "BRANCH_GT"), ("BRANCH_LT", "BRANCH_GTE")
MOST_FEATURES, MOST_OUTPUTS = 2**22, 2**16
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Flat:
    """Nodes of all trees: true, false: places of the children, -1 at a leaf; value [N, K] at leaves."""

    roots: Ints
    feature: Ints
    threshold: NDArray[Any]
    true: Ints
    false: Ints
    mode: list[str]
    tracks: NDArray[np.bool_]
    value: NDArray[np.float64]


def read_ensemble(kind: str, given: dict[str, Any]) -> tuple[Trees, dict[str, Plain]]:
    """Trees with raw sums, and what the node says of its answer: `labels`; for two classes in one column `positive`:
    whether all weights are at least 0, so that the sum is a probability.

    Raises ModelError for a mode or aggregation the IR cannot hold, Refused for damaged trees.
    """
    how = given.get("aggregate_function", "SUM")
    how = {0: "AVERAGE", 1: "SUM", 2: "MIN", 3: "MAX"}.get(how, how)
    if how not in ("SUM", "AVERAGE"):
        raise ModelError(f"it combines its trees by {how}, which the tree form does not hold")
    more: dict[str, Plain] = {}
    if kind == "onnx.ml.TreeEnsemble":
        outputs = int(given.get("n_targets", 1))
        flat = _opset5(given, outputs)
        base = np.zeros(outputs)
    else:
        part = "class" if kind.endswith("Classifier") else "target"
        flat, base = _older(given, part, more)
    if flat.threshold.dtype != np.float64:
        more["strict"] = any(one in STRICT for one in flat.mode)
    trees = _assembled(flat, base, how)
    trees.validate()
    return trees, more


def _older(given: dict[str, Any], part: str, more: dict[str, Plain]) -> tuple[Flat, NDArray[np.float64]]:
    tree, node = _ints(given, "nodes_treeids"), _ints(given, "nodes_nodeids")
    place = {key: at for at, key in enumerate(zip(tree.tolist(), node.tolist(), strict=True))}
    if len(place) != len(tree):
        raise ModelError("two of its nodes have the same number: the file is damaged")
    mode = list(given["nodes_modes"])
    inner = np.array([one != "LEAF" for one in mode], dtype=bool)

    def child(name: str) -> Ints:
        numbers = _ints(given, name)
        return np.array(
            [place[t, n] if i else -1 for t, n, i in zip(tree.tolist(), numbers.tolist(), inner, strict=True)]
        )

    outputs, column = _columns(given, part, more)
    value = np.zeros((len(tree), outputs))
    weights = _floats(given, f"{part}_weights")
    rows = zip(_ints(given, f"{part}_treeids").tolist(), _ints(given, f"{part}_nodeids").tolist(), strict=True)
    np.add.at(value, (np.array([place[row] for row in rows], dtype=np.int64), column), weights.astype(np.float64))
    if outputs == 1 and part == "class":
        more["positive"] = bool((weights >= 0).all())
    tracks = np.asarray(given.get("nodes_missing_value_tracks_true", np.zeros(0)), dtype=bool)
    first = [tree.tolist().index(number) for number in dict.fromkeys(tree.tolist())]
    flat = Flat(
        np.array(first, dtype=np.int64),
        np.where(inner, _ints(given, "nodes_featureids"), -1),
        _floats(given, "nodes_values"),
        child("nodes_truenodeids"),
        child("nodes_falsenodeids"),
        mode,
        tracks if len(tracks) else np.zeros(len(tree), bool),
        value,
    )
    return flat, _base(given, outputs)


def _columns(given: dict[str, Any], part: str, more: dict[str, Plain]) -> tuple[int, Ints]:
    """How many outputs there are, and each weight's. Two classes of which one has weights are one output."""
    ids = _ints(given, f"{part}_ids")
    if part == "target":
        outputs = int(given.get("n_targets", 1))
    else:
        labels = given.get("classlabels_strings") or _ints(given, "classlabels_int64s").tolist()
        more["labels"] = list(labels)
        outputs = len(labels)
        if outputs == 2 and len(set(ids.tolist())) == 1:
            return 1, np.zeros(len(ids), np.int64)
    if not 1 <= outputs <= MOST_OUTPUTS or len(ids) == 0 or ids.min() < 0 or ids.max() >= outputs:
        raise ModelError(f"it has {outputs} outputs, and its leaves add to others: the file is damaged")
    return outputs, ids


def _base(given: dict[str, Any], outputs: int) -> NDArray[np.float64]:
    base = _floats(given, "base_values").astype(np.float64) if _has(given, "base_values") else np.zeros(outputs)
    if len(base) == 2 and outputs == 1:
        return base[1:]
    if len(base) != outputs:
        raise ModelError(f"it has {len(base)} base values for {outputs} outputs: the file is damaged")
    return base


def _has(given: dict[str, Any], name: str) -> bool:
    return len(given.get(name, ())) > 0 or len(given.get(f"{name}_as_tensor", ())) > 0


def _opset5(given: dict[str, Any], outputs: int) -> Flat:
    """Interior nodes and leaves in two lists, as TreeEnsemble of ai.onnx.ml 5 has them."""
    split, values = np.asarray(given["nodes_splits"]), np.asarray(given["leaf_weights"], dtype=np.float64)
    count, leaves = len(split), len(values)
    target = _ints(given, "leaf_targetids")
    if not 1 <= outputs <= MOST_OUTPUTS or target.min() < 0 or target.max() >= outputs:
        raise ModelError(f"it has {outputs} outputs, and its leaves add to others: the file is damaged")
    modes = [MODES[number] for number in np.asarray(given["nodes_modes"], dtype=np.int64).tolist()]
    if "BRANCH_MEMBER" in modes:
        raise ModelError("it has splits of the mode BRANCH_MEMBER, which the tree form does not hold")

    def child(side: str) -> Ints:
        number, leaf = _ints(given, f"nodes_{side}nodeids"), _ints(given, f"nodes_{side}leafs")
        return np.where(leaf != 0, number + count, number)

    gone = np.full(leaves, -1)
    value = np.zeros((count + leaves, outputs))
    value[count + np.arange(leaves), target] = values
    tracks = np.asarray(given.get("nodes_missing_value_tracks_true", np.zeros(0)), dtype=bool)
    tracks = tracks if len(tracks) else np.zeros(count, bool)
    return Flat(
        _ints(given, "tree_roots"),
        np.concatenate([_ints(given, "nodes_featureids"), gone]),
        np.concatenate([split, np.zeros(leaves, split.dtype)]),
        np.concatenate([child("true"), gone]),
        np.concatenate([child("false"), gone]),
        [*modes, *["LEAF"] * leaves],
        np.concatenate([tracks, np.zeros(leaves, bool)]),
        value,
    )


def _ints(given: dict[str, Any], name: str) -> Ints:
    return np.asarray(given[name], dtype=np.int64)


def _floats(given: dict[str, Any], name: str) -> NDArray[Any]:
    """float32, or float64 where the exporter wrote doubles as a tensor."""
    tensor = given.get(f"{name}_as_tensor")
    return np.asarray(given[name] if tensor is None or not len(tensor) else tensor)


def _assembled(flat: Flat, base: NDArray[np.float64], how: str) -> Trees:
    odd = sorted(set(flat.mode) - {"LEAF", "BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT"})
    if odd:
        raise ModelError(f"it has splits of the mode {', '.join(map(str, odd[:3]))}, which the tree form does not hold")
    features = int(flat.feature.max(initial=-1)) + 1
    if features > MOST_FEATURES:
        raise ModelError(f"it says it has {features} features: the file is damaged")
    double = flat.threshold.dtype == np.float64
    swapped = np.array([one in SWAPPED for one in flat.mode])
    strict = np.array([one in STRICT for one in flat.mode])
    # x < t is x <= the number before t, in the type in which they are compared.
    before = np.nextafter(flat.threshold, flat.threshold.dtype.type(-np.inf))
    threshold = np.where(strict, before, flat.threshold).astype(np.float64)
    left, right = np.where(swapped, flat.false, flat.true), np.where(swapped, flat.true, flat.false)
    default_left = (flat.tracks != swapped) & (flat.feature >= 0)
    outputs = flat.value.shape[1]
    nodes = [_tree(flat, int(root), threshold, left, right, default_left) for root in flat.roots]
    return assemble(
        nodes,
        features=tuple(f"x{number}" for number in range(features)),
        base=base,
        tree_output=np.zeros(len(nodes), np.int32) if outputs == 1 else None,
        precision="float64" if double else "float32",
        aggregation="mean" if how == "AVERAGE" else "sum",
    )


def _tree(
    flat: Flat, root: int, threshold: NDArray[np.float64], left: Ints, right: Ints, default_left: NDArray[np.bool_]
) -> Nodes:
    """One tree's nodes, the root first. Raises ModelError for a child that is none, or a node reached twice."""
    order: dict[int, int] = {}
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if not 0 <= node < len(flat.feature) or node in order:
            raise ModelError(f"its node {node} is none of its {len(flat.feature)}, or is reached twice: it is damaged")
        order[node] = len(order)
        if flat.feature[node] >= 0:
            waiting += [int(right[node]), int(left[node])]
    chosen = np.array(list(order), dtype=np.int64)
    inner = flat.feature[chosen] >= 0
    local = {
        side: np.array([order[int(c)] if i else -1 for c, i in zip(child[chosen], inner)])
        for side, child in (("left", left), ("right", right))
    }
    return Nodes(
        feature=flat.feature[chosen],
        threshold=np.where(inner, threshold[chosen], 0.0),
        left=local["left"],
        right=local["right"],
        default_left=default_left[chosen],
        value=np.where(inner[:, None], 0.0, flat.value[chosen]),
        cover=np.zeros(len(chosen)),
        missing=np.full(len(chosen), MISSING_NAN, np.uint8),
    )
