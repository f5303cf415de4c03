"""CatBoost's JSON export as the tree IR, read without the library: oblivious and other trees of numeric splits.

Format: https://catboost.ai/docs/en/concepts/python-reference_catboost_save_model (format='json'). The input is rounded
to float32; a split is true where `x > border`; an oblivious tree's leaf is the number whose bit i says whether split i
is true. A missing value is false where the feature's treatment is AsFalse or AsIs, true where it is AsTrue.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from workbench.models.protocol import Kind, Label, ModelError
from workbench.models.trees import MISSING_NAN, Link, Nodes, Trees, assemble

PLAIN = (
    *("RMSE", "MAE", "Quantile", "MAPE", "Lq", "Huber", "Expectile", "LogCosh", "MSLE", "QueryRMSE", "QuerySoftMax"),
    *("YetiRank", "YetiRankPairwise", "PairLogit", "PairLogitPairwise", "StochasticRank"),
)
LINKS: dict[str, tuple[Kind, Link]] = {
    "Logloss": ("binary", "sigmoid"),
    "CrossEntropy": ("binary", "sigmoid"),
    "MultiClass": ("multiclass", "softmax"),
    "MultiClassOneVsAll": ("multiclass", "sigmoid-ova"),
    "Poisson": ("regression", "exp"),
    "Tweedie": ("regression", "exp"),
    **{name: ("regression", "identity") for name in PLAIN},  # noqa: C420 (mypy needs the type)
}
"""By loss function: the task, and from raw sums to what CatBoostClassifier and CatBoostRegressor answer."""
DEEPEST, MOST_OUTPUTS, MOST_FEATURES = 16, 2**16, 2**22
"""CatBoost's own limit of an oblivious tree, and what must not be counted to."""


@dataclass(frozen=True)
class CatBoostTrees:
    """categorical: names of the categorical features. trees: None where refused says why."""

    version: str
    loss: str
    task: Kind
    classes: tuple[Label, ...]
    features: tuple[str, ...]
    categorical: tuple[str, ...]
    trees: Trees | None
    refused: str


def read_catboost(data: bytes) -> CatBoostTrees:
    """A JSON export's bytes. Raises ModelError for a file that is cut short or damaged, Refused for damaged trees."""
    try:
        document = json.loads(data)
        with np.errstate(over="ignore", invalid="ignore"):
            return _read(document)
    except RecursionError as error:
        raise ModelError("it is JSON nested deeper than any CatBoost model: it is damaged") from error
    except (KeyError, IndexError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise ModelError(
            f"it looks like a CatBoost model in JSON, but a part is missing or unreadable ({repr(error)[:300]}): "
            "save it again with save_model('model.json', format='json')"
        ) from error


def _read(document: dict[str, Any]) -> CatBoostTrees:
    info, about = document["features_info"], document.get("model_info") or {}
    loss = _loss(about)
    scale, bias = document["scale_and_bias"]
    base = np.atleast_1d(np.asarray(bias, dtype=np.float64))
    if loss not in LINKS:
        raise ModelError(f"its loss function {loss!r} is not one this workbench can answer for: {', '.join(LINKS)}")
    task, link = LINKS[loss]
    columns = _columns(info)
    features = tuple(name for name, _ in columns)
    categorical = tuple(name for name, kind in columns if kind != "float_features")
    refused = _refused(info, document)
    trees = None
    if not refused:
        trees = _trees(document, info, features, base, float(scale), link)
        trees.validate()
    outputs = len(base) if trees is None else trees.n_outputs
    classes = _classes(about, task, outputs)
    told = re.search(r"release (\d+(\.\d+)+)", str(about.get("catboost_version_info", "")))
    version = told[1] if told else ""
    return CatBoostTrees(version, loss, task, classes, features, categorical, trees, refused)


def _loss(about: dict[str, Any]) -> str:
    params = about.get("params") or {}
    params = json.loads(params) if isinstance(params, str) else params
    return str((params.get("loss_function") or {}).get("type", "RMSE"))


def _columns(info: dict[str, Any]) -> list[tuple[str, str]]:
    """Name and kind of every feature, in the order of the columns."""
    kinds = ("float_features", "categorical_features", "text_features", "embedding_features")
    found: dict[int, tuple[str, str]] = {}
    for kind in kinds:
        for one in info.get(kind) or ():
            place = int(one["flat_feature_index"])
            found[place] = (str(one.get("feature_id") or one.get("feature_name") or place), kind)
    if found and not 0 <= max(found) < MOST_FEATURES:
        raise ModelError(f"it says it has {max(found) + 1} features: the file is damaged")
    return [found.get(place, (str(place), "float_features")) for place in range(max(found, default=-1) + 1)]


def _refused(info: dict[str, Any], document: dict[str, Any]) -> str:
    """Why its trees do not fit the tree IR, "" where they do."""
    for kind in ("text", "embedding"):
        if info.get(f"{kind}_features"):
            return f"it computes features from {kind}, which the tree form does not hold"
    kinds = {str(one.get("split_type")) for one in _splits(document)} - {"FloatFeature"}
    if kinds:
        return f"it splits on statistics or hashes of categories ({', '.join(sorted(kinds))})"
    if info.get("categorical_features"):
        return "it takes categorical features, whose statistics the tree form does not hold"
    return ""


def _splits(document: dict[str, Any]) -> list[dict[str, Any]]:
    if "oblivious_trees" in document:
        return [one for tree in document["oblivious_trees"] for one in tree.get("splits") or ()]
    found, waiting = [], list(document["trees"])
    while waiting:
        node = waiting.pop()
        if "split" in node:
            found.append(node["split"])
            waiting += [node["left"], node["right"]]
    return found


def _classes(about: dict[str, Any], task: Kind, outputs: int) -> tuple[Label, ...]:
    if task == "regression":
        return ()
    given = about.get("class_params") or {}
    given = json.loads(given) if isinstance(given, str) else given
    names = given.get("class_names") or ()
    count = 2 if task == "binary" else outputs
    return tuple(cast("list[Label]", names)) if len(names) == count else tuple(range(count))


def _trees(
    document: dict[str, Any],
    info: dict[str, Any],
    features: tuple[str, ...],
    base: NDArray[np.float64],
    scale: float,
    link: Link,
) -> Trees:
    floats = info.get("float_features") or ()
    place = {int(one["feature_index"]): int(one["flat_feature_index"]) for one in floats}
    missing_right = {int(one["flat_feature_index"]) for one in floats if one.get("nan_value_treatment") == "AsTrue"}
    if "oblivious_trees" in document:
        found = [_oblivious(tree, place, missing_right) for tree in document["oblivious_trees"]]
    else:
        found = [_plain(tree, place, missing_right) for tree in document["trees"]]
    width = found[0].value.shape[1] if found else len(base)
    if not 1 <= width <= MOST_OUTPUTS or any(one.value.shape[1] != width for one in found):
        raise ModelError("its leaves have different numbers of values: the file is damaged")
    single = width == 1
    return assemble(
        found,
        features=features,
        base=np.broadcast_to(base, width).copy(),
        tree_output=np.zeros(len(found), np.int32) if single else None,
        weight=np.full(len(found), scale),
        precision="float32",
        link=link,
    )


def _oblivious(tree: dict[str, Any], place: dict[int, int], missing_right: set[int]) -> Nodes:
    """The full binary tree of the splits: the last split at the root, so that leaves stand in their own order."""
    splits = (tree.get("splits") or [])[::-1]
    depth = len(splits)
    if depth > DEEPEST:
        raise ModelError(f"an oblivious tree says it is {depth} deep, more than CatBoost grows: the file is damaged")
    values = np.asarray(tree["leaf_values"], dtype=np.float64).reshape(2**depth, -1)
    weights = np.asarray(tree.get("leaf_weights") or np.zeros(2**depth), dtype=np.float64).reshape(2**depth)
    inner = 2**depth - 1
    level = np.concatenate([np.full(2**at, at) for at in range(depth)]).astype(np.int64) if depth else np.zeros(0, int)
    feature = np.array([place[int(one["float_feature_index"])] for one in splits], dtype=np.int64)[level]
    threshold = np.array([np.float32(one["border"]) for one in splits], dtype=np.float64)[level]
    number = np.arange(inner, dtype=np.int64)
    cover = np.concatenate([np.zeros(inner), weights])
    for node in range(inner - 1, -1, -1):
        cover[node] = cover[2 * node + 1] + cover[2 * node + 2]
    gone = np.full(2**depth, -1)
    return Nodes(
        feature=np.concatenate([feature, gone]),
        threshold=np.concatenate([threshold, np.zeros(2**depth)]),
        left=np.concatenate([2 * number + 1, gone]),
        right=np.concatenate([2 * number + 2, gone]),
        default_left=np.concatenate([~np.isin(feature, list(missing_right)), np.zeros(2**depth, bool)]),
        value=np.concatenate([np.zeros((inner, values.shape[1])), values]),
        cover=cover,
        missing=np.full(inner + 2**depth, MISSING_NAN, np.uint8),
    )


def _plain(tree: dict[str, Any], place: dict[int, int], missing_right: set[int]) -> Nodes:
    """A tree of grow_policy Depthwise or Lossguide: parents before children, the root first."""
    rows: list[tuple[int, float, int, int, bool, Any, float]] = []
    waiting: list[tuple[dict[str, Any], int, int]] = [(tree, -1, 0)]
    children: dict[tuple[int, int], int] = {}
    while waiting:
        node, parent, side = waiting.pop()
        here = len(rows)
        children[parent, side] = here
        if "split" not in node:
            rows.append(
                (-1, 0.0, -1, -1, False, np.atleast_1d(np.asarray(node["value"], float)), float(node["weight"]))
            )
            continue
        feature = place[int(node["split"]["float_feature_index"])]
        border = float(np.float32(node["split"]["border"]))
        rows.append((feature, border, 0, 0, feature not in missing_right, None, 0.0))
        waiting += [(node["right"], here, 1), (node["left"], here, 0)]
    width = next(len(row[5]) for row in rows if row[5] is not None)
    count = len(rows)
    inner = np.array([row[0] >= 0 for row in rows])
    return Nodes(
        feature=np.array([row[0] for row in rows], dtype=np.int64),
        threshold=np.array([row[1] for row in rows]),
        left=np.array([children.get((node, 0), -1) for node in range(count)], dtype=np.int64),
        right=np.array([children.get((node, 1), -1) for node in range(count)], dtype=np.int64),
        default_left=np.array([row[4] for row in rows]) & inner,
        value=np.array([np.zeros(width) if row[5] is None else row[5] for row in rows], dtype=np.float64),
        cover=np.array([row[6] for row in rows]),
        missing=np.full(count, MISSING_NAN, np.uint8),
    )
