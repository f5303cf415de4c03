"""XGBoost's old binary `.model` files (0.6 to 3.0) as the document that its JSON files hold.

Format: little-endian structs, one after the other, as XGBoost 3.0's `Learner::Load`, `GBTreeModel::Load`,
`RegTree::Load` and `GBLinearModel::Load` read them. XGBoost 3.1 dropped the format.
"""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.models.protocol import ModelError

LEARNER = struct.Struct("<fIiiiIIIi100x")
"""base_score, num_feature, num_class, contain_extra_attrs, contain_eval_metrics, major, minor, num_target, average."""
GBTREE = struct.Struct("<iiiiqii128x")
"""num_trees, num_parallel_tree, num_feature, padding, num_pbuffer, num_output_group, size_leaf_vector."""
TREE = struct.Struct("<iiiiii124x")
"""num_roots, num_nodes, num_deleted, max_depth, num_feature, size_leaf_vector."""
NODE = np.dtype([("parent", "<i4"), ("left", "<i4"), ("right", "<i4"), ("split", "<u4"), ("info", "<f4")])
STAT = np.dtype([("gain", "<f4"), ("hessian", "<f4"), ("weight", "<f4"), ("leaves", "<i4")])
LINEAR_HEAD = 136
DEFAULT_LEFT = 1 << 31
DELETED = 0xFFFFFFFF


def is_old(data: bytes) -> bool:
    """True for the first bytes of a file in the old binary format."""
    if data[:4] in (b"binf", b"bs64"):
        return True
    # Before 1.0: a struct of 136 bytes, then the objective with its length.
    size = int.from_bytes(data[136:144], "little")
    name = data[144 : 144 + size]
    return 0 < size < 64 and len(name) == size and name.translate(None, b":_").isalpha() and name.islower()


def old_document(data: bytes) -> dict[str, Any]:
    """The model in the shape of XGBoost's JSON; `margin` says that base_score is a margin (before 1.0) already.

    Raises ModelError for a file that is cut short, or a booster that is neither trees nor linear.
    """
    try:
        return _document(_Bytes(_binary(data)))
    except UnicodeDecodeError as error:
        raise ModelError(
            f"it starts like an old XGBoost model, but a name in it is no text ({error}): copy it again"
        ) from error


def _binary(data: bytes) -> bytes:
    if data[:4] == b"binf":
        return data[4:]
    if data[:4] != b"bs64":
        return data
    try:
        return base64.b64decode(b"".join(data[4:].split()), validate=True)
    except binascii.Error as error:
        raise ModelError(f"it says it is base64 text and is not ({error}): it was cut short or changed") from error


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        if size < 0 or self.at + size > len(self.data):
            raise ModelError(
                f"it is an old XGBoost model that ends at byte {len(self.data)}, where {size} more are due after byte "
                f"{self.at}: it was cut short or changed; copy it again from its source"
            )
        self.at += size
        return self.data[self.at - size : self.at]

    def struct(self, shape: struct.Struct) -> tuple[Any, ...]:
        return shape.unpack(self.take(shape.size))

    def size(self) -> int:
        return int.from_bytes(self.take(8), "little")

    def text(self) -> str:
        return self.take(self.size()).decode()

    def array(self, kind: np.dtype[Any] | str, count: int) -> NDArray[Any]:
        dtype = np.dtype(kind)
        return np.frombuffer(self.take(count * dtype.itemsize if count >= 0 else -1), dtype)


def _document(file: _Bytes) -> dict[str, Any]:
    base, features, classes, has_attributes, _, major, minor, targets, _ = file.struct(LEARNER)
    objective = file.text().removeprefix("gpu:")
    booster = _booster(file, file.text(), major)
    param = {
        "base_score": repr(base),
        "num_feature": features,
        "num_class": classes,
        "num_target": targets if major and classes <= 1 else 1,
    }
    learner = {
        "objective": {"name": objective},
        "learner_model_param": param,
        "gradient_booster": booster,
        "attributes": _attributes(file) if has_attributes else {},
    }
    # Before 1.0 the header's version fields were reserved, and zero.
    return {"version": [major, minor] if major else [], "margin": major < 1, "learner": learner}


def _booster(file: _Bytes, name: str, major: int) -> dict[str, Any]:
    if name == "gblinear":
        file.take(LINEAR_HEAD)
        return {"name": name, "model": {"weights": file.array("<f4", file.size())}}
    if name not in ("gbtree", "dart"):
        raise ModelError(f"it is an old XGBoost model with the booster {name!r}: only gbtree, dart and gblinear exist")
    count, parallel, *_ = file.struct(GBTREE)
    # A tree is at least its header and one node: a count beyond that is damage, and must not be counted to.
    if not 0 <= count <= len(file.data) // (TREE.size + NODE.itemsize + STAT.itemsize):
        raise ModelError(f"it says it has {count} trees, more than its {len(file.data)} bytes hold: it is damaged")
    trees = [_tree(file, major) for _ in range(count)]
    model = {
        "gbtree_model_param": {"num_parallel_tree": parallel if major else 1},
        "trees": trees,
        "tree_info": file.array("<i4", count),
    }
    if name == "gbtree":
        return {"name": name, "model": model}
    drop = file.array("<f4", file.size()) if count else np.zeros(0)
    return {"name": name, "gbtree": {"model": model}, "weight_drop": drop}


def _tree(file: _Bytes, major: int) -> dict[str, Any]:
    _, count, deleted, _, _, vector = file.struct(TREE)
    if count < 1:
        raise ModelError(f"it is an old XGBoost model, and a tree in it says it has {count} nodes: it is damaged")
    nodes, stats = file.array(NODE, count), file.array(STAT, count)
    if vector and not major:
        file.take(4 * file.size())
    leaf = nodes["left"] == -1
    return {
        # 2.0 and later write 1 for a leaf of one value, earlier ones 0.
        "tree_param": {"num_deleted": deleted, "size_leaf_vector": vector},
        "left_children": nodes["left"],
        "right_children": np.where(leaf, -1, nodes["right"]),
        "split_indices": np.where(leaf | (nodes["split"] == DELETED), 0, nodes["split"] & (DEFAULT_LEFT - 1)),
        "split_conditions": nodes["info"],
        "default_left": nodes["split"] & DEFAULT_LEFT != 0,
        "sum_hessian": stats["hessian"],
    }


def _attributes(file: _Bytes) -> dict[str, str]:
    count = file.size()
    if count > len(file.data) // 16:
        raise ModelError(f"it says it has {count} attributes, more than its bytes hold: it was cut short or changed")
    return {file.text(): file.text() for _ in range(count)}
