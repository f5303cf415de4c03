"""LightGBM text models (v2 to v4) as a `Booster`, read without the library.

Format: LightGBM's `src/io/tree.cpp` and `src/boosting/gbdt_model_text.cpp`. Everything is float64; numeric splits go
left where `x <= threshold`; at a categorical split the listed categories go left, all others and NaN right.
"""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.models.booster import Booster
from workbench.models.linear_leaves import LinearLeaves
from workbench.models.protocol import Kind, Label, ModelError, Plain
from workbench.models.trees import MISSING_NAN, Link, Nodes, assemble

LINKS: dict[str, tuple[Kind, Link]] = {
    "binary": ("binary", "sigmoid"),
    "cross_entropy": ("regression", "sigmoid"),
    "xentropy": ("regression", "sigmoid"),
    "cross_entropy_lambda": ("regression", "log1p-exp"),
    "xentlambda": ("regression", "log1p-exp"),
    "multiclass": ("multiclass", "softmax"),
    "softmax": ("multiclass", "softmax"),
    "multiclassova": ("multiclass", "sigmoid-ova"),
    "multiclass_ova": ("multiclass", "sigmoid-ova"),
    "regression": ("regression", "identity"),
    "regression_l1": ("regression", "identity"),
    "regression_l2": ("regression", "identity"),
    "huber": ("regression", "identity"),
    "fair": ("regression", "identity"),
    "quantile": ("regression", "identity"),
    "mape": ("regression", "identity"),
    "poisson": ("regression", "exp"),
    "gamma": ("regression", "exp"),
    "tweedie": ("regression", "exp"),
    "lambdarank": ("regression", "identity"),
    "rank_xendcg": ("regression", "identity"),
    "custom": ("regression", "identity"),
}
MOST_OUTPUTS, MOST_LEAVES, LARGEST_CODE = 2**16, 2**24, 2**20
"""More are damage, and must not be counted to."""
CATEGORICAL, DEFAULT_LEFT = 1, 2
"""Bits of `decision_type`; bits 2 and 3 are the missing type."""


def read_lightgbm(data: bytes, categorical: tuple[str, ...] | None = None) -> Booster:
    """A text model's bytes as a Booster, its trees checked.

    categorical: names of the columns that were pandas categories in training, where the file leaves it open.
    Raises ModelError for a file that is cut short, or an objective the tree IR cannot hold.
    """
    try:
        text = data.decode()
        head, blocks = _split(text)
        return _booster(text, head, blocks, categorical)
    except UnicodeDecodeError as error:
        raise ModelError(f"it is no whole LightGBM text model: byte {error.start} is no text; copy it again") from error
    except (KeyError, ValueError, IndexError, OverflowError) as error:
        raise ModelError(
            f"it looks like a LightGBM text model, but a part is missing or unreadable ({repr(error)[:300]}): "
            "save it again with Booster.save_model('model.txt')"
        ) from error


def _split(text: str) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Header and trees, each as name=value pairs."""
    # Before 2.2.2 the importances were what follows the trees.
    end = re.search(r"^(end of trees|feature importances:)", text, flags=re.MULTILINE)
    if end is None:
        raise ModelError("it has no line 'end of trees': the file was cut short; copy or save it again")
    parts = re.split(r"^Tree=(\d+)\s*$", text[: end.start()], flags=re.MULTILINE)
    header, numbers, blocks = _pairs(parts[0]), [int(number) for number in parts[1::2]], parts[2::2]
    # Before 2.1 it did not say how many there are.
    announced = len(header["tree_sizes"].split()) if "tree_sizes" in header else len(blocks)
    if len(blocks) != announced or numbers != list(range(len(blocks))):
        raise ModelError(f"it announces {announced} trees and has {len(blocks)}, or not in order: it is damaged")
    return header, [_pairs(block) for block in blocks]


def _pairs(text: str) -> dict[str, str]:
    pairs = {}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        pairs[name.strip()] = value.strip()
    return pairs


def _booster(
    text: str, head: dict[str, str], blocks: list[dict[str, str]], categorical: tuple[str, ...] | None
) -> Booster:
    objective, *options = head.get("objective", "custom").split()
    if objective not in LINKS or ("sqrt" in options and LINKS[objective][1] != "identity"):
        said = str(head["objective"])[:80]
        raise ModelError(f"its objective {said!r} is not one this workbench can answer for: {list(LINKS)}")
    task, link = LINKS[objective]
    link = "signed-square" if "sqrt" in options else link
    if objective == "poisson" and blocks and "num_cat" not in blocks[0]:
        # It boosted the rate itself then, not its logarithm.
        link = "identity"
    outputs = int(head["num_tree_per_iteration" if "num_tree_per_iteration" in head else "num_class"])
    if not 1 <= outputs <= MOST_OUTPUTS:
        raise ModelError(f"it says it has {outputs} outputs: the file is damaged")
    features = tuple(head["feature_names"].split())
    infos = head["feature_infos"].split() if "feature_infos" in head else ["none"] * len(features)
    if len(features) != int(head["max_feature_idx"]) + 1 or len(infos) != len(features):
        raise ModelError(f"it names {len(features)} features and describes {len(infos)}: the file is damaged")
    scale = _scale(head, options, "shrinkage" in (blocks or [head])[0]) if link in ("sigmoid", "sigmoid-ova") else 1.0
    codes = tuple(number for number, info in enumerate(infos) if _is_category(info))
    trees = assemble(
        [_nodes(block) for block in blocks],
        features=features,
        base=np.zeros(outputs),
        tree_output=(np.arange(len(blocks)) % outputs).astype(np.int32),
        aggregation="mean" if "average_output" in head else "sum",
        link=link,
        link_scale=scale,
        categorical=codes,
    )
    trees.validate()
    linear = _linear(blocks)
    if linear is not None:
        linear.validate(trees)
    lists = _pandas_categorical(text)
    params: dict[str, Plain] = {"format": head.get("version", ""), "n_trees": len(blocks)}
    return Booster(
        "lightgbm",
        _version(text),
        objective,
        task,
        _classes(task, outputs),
        trees,
        _coded(features, infos, lists, categorical),
        params,
        linear,
    )


def _scale(head: dict[str, str], options: list[str], dated: bool) -> float:
    """The factor inside the sigmoid; before 2.0 a line of the header."""
    given = next((option.partition(":")[2] for option in options if option.startswith("sigmoid:")), None)
    if given is None and "sigmoid" in head and not dated:
        raise ModelError(
            "it was written by LightGBM before 1.1, whose versions made a probability of the same sum in two ways, "
            "1 / (1 + exp(-s)) and 1 / (1 + exp(-2s)), and do not say which: give its answers as column:NAME"
        )
    scale = float(head.get("sigmoid", "1") if given is None else given)
    if not 0 < scale < np.inf:
        raise ModelError(f"the factor in its sigmoid is {scale}, where a positive number is due: the file is damaged")
    return scale


def _classes(task: Kind, outputs: int) -> tuple[Label, ...]:
    return () if task == "regression" else tuple(range(max(2, outputs)))


def _version(text: str) -> str:
    found = re.search(r"^\[lightgbm_version: ([^\]]+)\]$", text, flags=re.MULTILINE)
    return found[1] if found else ""


def _is_category(info: str) -> bool:
    return info != "none" and not info.startswith("[")


def _pandas_categorical(text: str) -> list[list[Label]]:
    found = re.search(r"^pandas_categorical:(.*)$", text, flags=re.MULTILINE)
    lists: list[list[Label]] | None = json.loads(found[1]) if found and found[1].strip() not in ("", "None") else None
    return lists or []


def _coded(
    features: tuple[str, ...], infos: list[str], lists: list[list[Label]], named: tuple[str, ...] | None
) -> dict[str, tuple[Label, ...]]:
    """Which feature each list of `pandas_categorical` codes: the categorical features, in order."""
    if not lists:
        return {}
    chosen = [name for name, info in zip(features, infos) if _is_category(info)]
    if named is not None:
        chosen = [name for name in features if name in named]
    elif len(chosen) < len(lists):
        # A category column with one value in training is 'none' in the file.
        chosen = [name for name, info in zip(features, infos) if _is_category(info) or info == "none"]
    if len(chosen) != len(lists):
        raise ModelError(
            f"it was trained with {len(lists)} category columns, and the file does not say which of {chosen} they are: "
            "name them with the option categorical: [...]"
        )
    return {name: tuple(values) for name, values in zip(chosen, lists)}


def _nodes(block: dict[str, str]) -> Nodes:
    """One tree: LightGBM numbers splits 0.. and leaves -1, -2, ..; here leaves follow the splits."""
    leaves = int(block["num_leaves"])
    splits = leaves - 1
    if not 1 <= leaves <= MOST_LEAVES:
        raise ModelError(f"a tree says it has {leaves} leaves: the file is damaged")

    def inner(name: str, kind: Any = np.float64) -> NDArray[Any]:
        return _array(block, name, splits, kind) if splits else np.zeros(0, kind)

    first = "num_cat" not in block
    decision = inner("decision_type", np.int64) if "decision_type" in block else np.zeros(splits, np.int64)
    coded = (decision & CATEGORICAL) > 0
    threshold = inner("threshold")
    bits = None if not coded.any() else _one_bit(threshold[coded]) if first else _bits(block)
    place = np.cumsum(coded) - 1 if first else threshold
    children = {side: inner(f"{side}_child", np.int64) for side in ("left", "right")}
    child = {side: np.where(number < 0, splits + ~number, number) for side, number in children.items()}
    # The missing type says nothing at a categorical split: NaN goes right. At first NaN was read as 0 everywhere.
    missing = np.where(coded, MISSING_NAN, (decision >> 2) & 3)
    default_left = coded & (threshold == 0) if first else (decision & DEFAULT_LEFT > 0) & ~coded
    return Nodes(
        feature=_then(inner("split_feature", np.int64), np.full(leaves, -1)),
        threshold=_then(np.where(coded, 0.0, threshold), np.zeros(leaves)),
        left=_then(child["left"], np.full(leaves, -1)),
        right=_then(child["right"], np.full(leaves, -1)),
        default_left=_then(default_left, np.zeros(leaves, bool)),
        value=_then(np.zeros(splits), _array(block, "leaf_value", leaves))[:, None],
        cover=_then(_counts(block, "internal_count", splits), _counts(block, "leaf_count", leaves)),
        missing=_then(missing, np.zeros(leaves)).astype(np.uint8),
        category=_then(np.where(coded, place, -1), np.full(leaves, -1)).astype(np.int64),
        bits=bits,
    )


def _linear(blocks: list[dict[str, str]]) -> LinearLeaves | None:
    """The linear models in the leaves of all trees, None where every leaf is a constant."""
    if all(block.get("is_linear", "0") != "1" for block in blocks):
        return None
    constant, count, feature, weight = [], [], [], []
    for block in blocks:
        leaves, linear = int(block["num_leaves"]), block.get("is_linear", "0") == "1"
        splits = np.zeros(leaves - 1)
        sizes = _array(block, "num_features", leaves, np.int64) if linear else np.zeros(leaves, np.int64)
        if (sizes < 0).any():
            raise ModelError("a linear leaf has fewer than no features: the file is damaged")
        constant.append(_then(splits, _array(block, "leaf_const" if linear else "leaf_value", leaves)))
        count.append(_then(splits.astype(np.int64), sizes))
        if linear:
            feature.append(_array(block, "leaf_features", int(sizes.sum()), np.int64))
            weight.append(_array(block, "leaf_coeff", int(sizes.sum())))
    start = np.concatenate([[0], np.cumsum(np.concatenate(count))]).astype(np.int64)
    return LinearLeaves(np.concatenate(constant), start, np.concatenate(feature), np.concatenate(weight))


def _then(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([first, second])


def _array(block: dict[str, str], name: str, count: int, kind: Any = np.float64) -> NDArray[Any]:
    found = np.array(block[name].split(), dtype=kind)
    if len(found) != count:
        raise ModelError(f"a tree of {count} has {len(found)} values in {name!r}: the file is damaged")
    return found


def _counts(block: dict[str, str], name: str, count: int) -> NDArray[np.float64]:
    return _array(block, name, count) if block.get(name) else np.zeros(count)


def _one_bit(codes: NDArray[np.float64]) -> NDArray[np.uint32]:
    """Before 2.0.6 the one category that goes left was the threshold."""
    if not ((codes >= 0) & (codes < LARGEST_CODE)).all():
        raise ModelError(f"a category code is not within 0 and {LARGEST_CODE}: the file is damaged")
    code = codes.astype(np.int64)
    rows = np.zeros((len(code), int(code.max()) // 32 + 1), dtype=np.uint32)
    rows[np.arange(len(code)), code // 32] = np.left_shift(np.uint32(1), (code % 32).astype(np.uint32))
    return rows


def _bits(block: dict[str, str]) -> NDArray[np.uint32]:
    bounds = np.array(block["cat_boundaries"].split(), dtype=np.int64)
    words = np.array(block["cat_threshold"].split(), dtype=np.uint32)
    if bounds[0] != 0 or (np.diff(bounds) < 0).any() or bounds[-1] != len(words):
        raise ModelError("the lists of categories do not add up: the file is damaged")
    rows = np.zeros((len(bounds) - 1, max(1, int(np.diff(bounds).max(initial=1)))), dtype=np.uint32)
    for row, (start, end) in enumerate(pairwise(bounds)):
        rows[row, : end - start] = words[start:end]
    return rows
