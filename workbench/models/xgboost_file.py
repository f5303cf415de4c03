"""XGBoost model files, JSON, UBJSON and the old binary format, as a `Booster`, read without the library.

Format: https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html. The input is rounded to float32 and goes
left where `x < split`; NaN goes the default way; at a categorical split the listed categories go right, and every
other one, unknown ones included, left.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.models import ubj, xgboost_old
from workbench.models.booster import Booster
from workbench.models.linear_booster import LinearBooster, no_trees
from workbench.models.protocol import Kind, Label, ModelError, Plain
from workbench.models.trees import MISSING_NAN, Link, Nodes, Trees, assemble

LINKS: dict[str, Link] = {
    "binary:logistic": "sigmoid",
    "reg:logistic": "sigmoid",
    "binary:logitraw": "identity",
    "binary:hinge": "identity",
    "multi:softprob": "softmax",
    "multi:softmax": "softmax",
    "count:poisson": "exp",
    "reg:gamma": "exp",
    "reg:tweedie": "exp",
    "survival:cox": "exp",
    "survival:aft": "exp",
    "reg:squarederror": "identity",
    "reg:linear": "identity",
    "reg:squaredlogerror": "identity",
    "reg:absoluteerror": "identity",
    "reg:pseudohubererror": "identity",
    "reg:quantileerror": "identity",
    "reg:expectileerror": "identity",
    "rank:pairwise": "identity",
    "rank:ndcg": "identity",
    "rank:map": "identity",
}
"""From raw sums to what `predict` answers, by objective."""


LARGEST_CODE = 2**16
MOST_OUTPUTS, MOST_FEATURES = 2**16, 2**22
"""More are damage, and must not be counted to."""


def read_xgboost(data: bytes, rounds: int | None = None) -> Booster:
    """A model file's bytes as a Booster, its trees checked.

    rounds: how many boosting rounds answer; None is all, or where training stopped early those up to the best, as
    XGBClassifier, XGBRegressor and R's predict answer (Booster.predict of Python answers with all).
    Raises ModelError for a file that is cut short, a dump, an objective or booster that the tree IR cannot hold.
    """
    document = parse(data)
    learner = document["learner"]
    try:
        # A number beyond float32 becomes infinite, and is refused as such.
        with np.errstate(over="ignore", invalid="ignore"):
            return _booster(document, learner, rounds)
    except (KeyError, IndexError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise ModelError(
            f"it looks like an XGBoost model, but a part is missing or unreadable ({repr(error)[:300]}): "
            "save it again with Booster.save_model('model.ubj')"
        ) from error


def parse(data: bytes) -> dict[str, Any]:
    """The document in a model file. Raises ModelError for what is none, or a dump."""
    if xgboost_old.is_old(data):
        return xgboost_old.old_document(data)
    if data.lstrip()[:1] == b"[":
        raise ModelError(
            "it is a dump of the trees (Booster.dump_model), which lacks the base score and the objective: "
            "save the model itself with Booster.save_model('model.json')"
        )
    try:
        document = ubj.loads(data) if is_ubj(data) else json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f"it is no whole JSON file ({error}): it was cut short or changed; save it again with Booster.save_model"
        ) from error
    if not isinstance(document, dict) or not isinstance(document.get("learner"), dict):
        raise ModelError("it is JSON, but no XGBoost model (no 'learner'): give the file written by Booster.save_model")
    return document


def is_ubj(data: bytes) -> bool:
    """UBJSON objects start with the type of their first name's length, where JSON has a quote or a space."""
    return data[:1] == b"{" and data[1:2] in (b"L", b"l", b"I", b"i", b"U")


def _booster(document: dict[str, Any], learner: dict[str, Any], rounds: int | None) -> Booster:
    objective = str(learner["objective"]["name"])
    if objective not in LINKS:
        known = ", ".join(LINKS)
        raise ModelError(f"its objective {objective[:80]!r} is not one this workbench can answer for: {known}")
    param = learner["learner_model_param"]
    outputs = max(1, int(param.get("num_class", 0)), int(param.get("num_target", 1)))
    if outputs > MOST_OUTPUTS or int(param["num_feature"]) > MOST_FEATURES:
        raise ModelError(f"it says it has {outputs} outputs of {param['num_feature']} features: the file is damaged")
    if int(param.get("num_target", 1)) > 1:
        raise ModelError(f"it predicts {param['num_target']} targets at once: give one model per target")
    features = _features(learner, int(param["num_feature"]))
    task, classes = _task(objective, outputs)
    base, version = _base(document, objective, outputs), ".".join(str(part) for part in document.get("version", ()))
    if learner["gradient_booster"]["name"] == "gblinear":
        if rounds is not None:
            raise ModelError("the option rounds is for trees, and this model is a linear one (gblinear)")
        linear = LinearBooster.read(learner["gradient_booster"]["model"]["weights"], len(features), outputs)
        linear.validate()
        trees = no_trees(features, base, LINKS[objective])
        trees.validate()
        return Booster("xgboost", version, objective, task, classes, trees, linear=linear)
    model, drop, answering = _first_rounds(*_gbtree(learner["gradient_booster"]), learner, outputs, rounds)
    trees = _trees(model, drop, features, learner, base)
    trees.validate()
    params: dict[str, Plain] = {"base_score": str(param["base_score"]), "n_trees": trees.n_trees}
    if answering is not None:
        params["rounds"], params["best_round"] = answering, rounds is None
    return Booster("xgboost", version, objective, task, classes, trees, _categories(model, features), params)


def _task(objective: str, outputs: int) -> tuple[Kind, tuple[Label, ...]]:
    if objective.startswith("multi:"):
        return "multiclass", tuple(range(outputs))
    return ("binary", (0, 1)) if objective.startswith("binary:") else ("regression", ())


def _gbtree(booster: dict[str, Any]) -> tuple[dict[str, Any], NDArray[np.float64] | None]:
    """The trees, and for dart the weight each has left."""
    name = booster["name"]
    if name == "dart":
        return booster["gbtree"]["model"], np.asarray(booster["weight_drop"], dtype=np.float64)
    if name != "gbtree":
        raise ModelError(f"it is an XGBoost model with the booster {name!r}: only gbtree, dart and gblinear are read")
    return booster["model"], None


def _first_rounds(
    model: dict[str, Any], drop: NDArray[np.float64] | None, learner: dict[str, Any], outputs: int, rounds: int | None
) -> tuple[dict[str, Any], NDArray[np.float64] | None, int | None]:
    """The trees of the rounds that answer, and how many rounds that is, None for all."""
    parallel = max(1, int(model["gbtree_model_param"].get("num_parallel_tree", 1)))
    each = outputs * parallel
    total = len(model["trees"]) // each
    if rounds is None:
        rounds = _best(learner.get("attributes") or {}, parallel, total)
        if rounds is None:
            return model, drop, None
    if not 1 <= rounds <= total:
        raise ModelError(f"the option rounds is {rounds}, and the model has 1 to {total}")
    count = rounds * each
    shorter = {**model, "trees": model["trees"][:count], "tree_info": model["tree_info"][:count]}
    return shorter, None if drop is None else drop[:count], rounds


def _best(attributes: dict[str, Any], parallel: int, total: int) -> int | None:
    """The rounds up to the best, where training stopped early before the last; before 1.4 counted in trees."""
    if (limit := attributes.get("best_ntree_limit")) is not None:
        count = int(limit) // parallel
    else:
        count = int(attributes.get("best_iteration", -1)) + 1
    return count if 1 <= count < total else None


def _features(learner: dict[str, Any], count: int) -> tuple[str, ...]:
    names = list(learner.get("feature_names", ()))
    return tuple(map(str, names)) if len(names) == count else tuple(f"f{number}" for number in range(count))


def _base(document: dict[str, Any], objective: str, outputs: int) -> NDArray[np.float64]:
    """base_score as a margin, [K]. Stored as the output (probability, rate) it stands for; 3.1+ writes a vector.

    Before 1.0 it was stored as the margin itself.
    """
    text = str(document["learner"]["learner_model_param"]["base_score"])
    stored = np.array([np.float32(part) for part in text.strip("[]").split(",")], dtype=np.float64)
    stored = np.broadcast_to(stored, outputs).copy()
    link = "identity" if document.get("margin") is True else LINKS[objective]
    if link == "sigmoid":
        # In float32 and in this form, as XGBoost's ProbToMargin: the margin is then the library's to the last bit.
        # The logarithm itself in float64, then rounded: numpy's own float32 one can be off in the last bit.
        return -_rounded_log(np.float32(1) / stored.astype(np.float32) - np.float32(1))
    return _rounded_log(stored) if link == "exp" else stored


def _rounded_log(x: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    return np.asarray(np.log(x.astype(np.float64)).astype(np.float32), dtype=np.float64)


def _trees(
    model: dict[str, Any],
    drop: NDArray[np.float64] | None,
    features: tuple[str, ...],
    learner: dict[str, Any],
    base: NDArray[np.float64],
) -> Trees:
    nodes = [_without_deleted(_nodes(tree), tree) for tree in model["trees"]]
    types = list(learner.get("feature_types", ()))
    objective = learner["objective"]["name"]
    return assemble(
        nodes,
        features=features,
        base=base,
        tree_output=np.asarray(model["tree_info"], dtype=np.int32).reshape(-1),
        weight=drop,
        compare="<",
        precision="float32",
        link=LINKS[objective],
        categorical=tuple(number for number, kind in enumerate(types) if kind == "c"),
    )


def _nodes(tree: dict[str, Any]) -> Nodes:
    if int(tree["tree_param"].get("size_leaf_vector", 1)) > 1:
        raise ModelError("its leaves hold vectors (multi_strategy='multi_output_tree'): train with one tree per output")
    left = np.asarray(tree["left_children"], dtype=np.int64)
    right = np.asarray(tree["right_children"], dtype=np.int64)
    leaf = left == -1
    # Through float32 first: JSON gives the digits of a float32, which are not that float64.
    split = np.asarray(tree["split_conditions"], dtype=np.float32).astype(np.float64)
    coded = np.asarray(tree.get("split_type", np.zeros(len(left))), dtype=bool) & ~leaf
    category, bits = _left_sets(tree, coded)
    return Nodes(
        feature=np.where(leaf, -1, np.asarray(tree["split_indices"], dtype=np.int64)),
        threshold=np.where(leaf | coded, 0.0, split),
        left=np.where(leaf, -1, left),
        right=np.where(leaf, -1, right),
        default_left=np.asarray(tree["default_left"], dtype=bool) & ~leaf,
        value=np.where(leaf, split, 0.0)[:, None],
        cover=np.asarray(tree["sum_hessian"], dtype=np.float64),
        missing=np.full(len(left), MISSING_NAN, np.uint8),
        category=category,
        bits=bits,
        unknown_left=coded,
    )


def _without_deleted(nodes: Nodes, tree: dict[str, Any]) -> Nodes:
    """The nodes that pruning left: XGBoost keeps deleted ones in the file, cut off from the root."""
    if int(tree["tree_param"].get("num_deleted", 0)) == 0:
        return nodes
    left, right = np.asarray(nodes.left), np.asarray(nodes.right)
    if max(left.max(), right.max()) >= len(left):
        return nodes
    reached, level = np.zeros(len(left), bool), np.zeros(1, np.int64)
    while len(level):
        reached[level] = True
        level = np.concatenate([left[level], right[level]])
        level = np.unique(level[level >= 0])
        level = level[~reached[level]]
    place = np.cumsum(reached) - 1
    kept = {name: part[reached] for name, part in vars(nodes).items() if name != "bits" and part is not None}
    for side in ("left", "right"):
        kept[side] = np.where(kept[side] < 0, -1, place[kept[side]])
    return Nodes(**kept, bits=nodes.bits)


def _left_sets(tree: dict[str, Any], coded: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.uint32] | None]:
    """The categories that go left: all but the listed ones."""
    category = np.full(len(coded), -1, dtype=np.int64)
    if not coded.any():
        return category, None
    listed = np.asarray(tree["categories"], dtype=np.int64)
    if len(listed) and (listed.min() < 0 or listed.max() >= LARGEST_CODE):
        raise ModelError(f"a category code is {listed.max()}, beyond {LARGEST_CODE}: the file is damaged")
    words = int(listed.max(initial=0)) // 32 + 1
    bits = np.full((int(coded.sum()), words), 0xFFFFFFFF, dtype=np.uint32)
    rows = zip(tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True)
    for row, (node, start, size) in enumerate(rows):
        category[int(node)] = row
        for code in listed[int(start) : int(start) + int(size)]:
            bits[row, code // 32] &= np.uint32(~(1 << int(code % 32)) & 0xFFFFFFFF)
    if (category[coded] < 0).any() or (category[~coded] >= 0).any():
        raise ModelError("its categorical splits and their lists of categories disagree: the file is damaged")
    return category, bits


def _categories(model: dict[str, Any], features: tuple[str, ...]) -> dict[str, tuple[Label, ...]]:
    """Values of coded features, which XGBoost stores from 3.1 on; before, the file holds codes only."""
    stored = (model.get("cats") or {}).get("enc") or []
    found = {name: _values(part) for name, part in zip(features, stored)}
    return {name: values for name, values in found.items() if values}


def _values(part: dict[str, Any]) -> tuple[Label, ...]:
    values = np.asarray(part.get("values", ()))
    if "offsets" not in part:
        return tuple(values.tolist())
    text, offsets = bytes(values.astype(np.uint8)), [int(offset) for offset in part["offsets"]]
    return tuple(text[start:end].decode() for start, end in pairwise(offsets))
