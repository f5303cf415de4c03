"""Torch's operators that move, select and gather numbers, in ONNX's: the rest of the table of `operators`."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch

from workbench.migrate.export.graph import NoForm
from workbench.migrate.export.operators import DTYPES, Node, Walk, dtype_of, given, shape_of, translates


@translates(
    "aten.to.dtype", "aten.to.dtype_layout", "aten._to_copy.default", "aten.double.default", "aten.clone.default",
    "aten.detach.default", "aten.detach_.default", "aten.alias.default", "aten.contiguous.default",
    "aten.lift_fresh_copy.default", "aten.type_as.default", "aten.lift_fresh.default",
)  # fmt: skip
def _cast(walk: Walk, node: Node) -> Any:
    return walk.of(node.args[0], dtype_of(node))


@translates(
    "aten.view.default", "aten.reshape.default", "aten._unsafe_view.default", "aten.unsqueeze.default",
    "aten.squeeze.dim", "aten.squeeze.default", "aten.flatten.using_ints", "aten.squeeze.dims",
)  # fmt: skip
def _reshape(walk: Walk, node: Node) -> Any:
    # allowzero: a table without rows keeps its zero.
    return walk.add("Reshape", walk.of(node.args[0]), walk.shape(shape_of(node)), allowzero=1)


@translates("aten.expand.default", "aten.expand_as.default", "aten.broadcast_to.default")
def _expand(walk: Walk, node: Node) -> Any:
    return walk.add("Expand", walk.of(node.args[0]), walk.shape(shape_of(node)))


@translates("aten.t.default", "aten.transpose.int", "aten.permute.default", "aten.numpy_T.default", "aten.mT.default")
def _transpose(walk: Walk, node: Node) -> Any:
    first: Any = node.args[0]
    order = list(range(len(shape_of(first))))
    if "permute" in str(node.target):
        order = list(node.args[1])  # type: ignore[arg-type]
    elif "transpose" in str(node.target):
        a, b = int(node.args[1]), int(node.args[2])  # type: ignore[arg-type]
        order[a], order[b] = order[b], order[a]
    else:
        order = order[::-1]
    return walk.add("Transpose", walk.of(first), perm=[place % len(order) for place in order])


@translates("aten.cat.default", "aten.stack.default")
def _beside(walk: Walk, node: Node) -> Any:
    parts: Any = node.args[0]
    names = [walk.of(part, dtype_of(node)) for part in parts]
    axis = int(given(node, 1, "dim", 0)) % len(shape_of(node))
    if "stack" in str(node.target):
        names = [walk.add("Unsqueeze", name, walk.graph.ints(axis)) for name in names]
    return walk.graph.beside(names, axis)


@translates("aten.index_select.default")
def _index_select(walk: Walk, node: Node) -> Any:
    table, axis, at = node.args
    return walk.add("Gather", walk.of(table), walk.of(at), axis=int(axis) % len(shape_of(table)))  # type: ignore[arg-type]


@translates("aten.gather.default")
def _gather(walk: Walk, node: Node) -> Any:
    table, axis, at = node.args
    return walk.add("GatherElements", walk.of(table), walk.of(at), axis=int(axis) % len(shape_of(table)))  # type: ignore[arg-type]


@translates("aten.index.Tensor")
def _index(walk: Walk, node: Node) -> Any:
    table, places = node.args[:2]
    found = [(axis, at) for axis, at in enumerate(places) if at is not None]  # type: ignore[arg-type]
    if len(found) != 1 or dtype_of(found[0][1]) is torch.bool:
        raise NoForm("an index by several tensors, or by a mask")
    return walk.add("Gather", walk.of(table), walk.of(found[0][1], torch.int64), axis=found[0][0])


@translates("aten.select.int")
def _select(walk: Walk, node: Node) -> Any:
    table, axis, at = node.args
    return walk.add("Gather", walk.of(table), walk.constant(at, np.int64), axis=int(axis) % len(shape_of(table)))  # type: ignore[arg-type]


@translates("aten.slice.Tensor")
def _slice(walk: Walk, node: Node) -> Any:
    table, axis, start, end, step = (given(node, place, name) for place, name in enumerate(_SLICE))
    end = sys.maxsize if end is None else end
    if not isinstance(end, int):
        raise NoForm("a part that ends where the rows say")
    if (start or 0) == 0 and end >= sys.maxsize and (step or 1) == 1:
        return walk.of(table)
    bounds = (walk.graph.ints(value) for value in (start or 0, end, axis or 0, step or 1))
    return walk.add("Slice", walk.of(table), *bounds)


@translates("aten.flip.default")
def _flip(walk: Walk, node: Node) -> Any:
    axes = [axis % len(shape_of(node)) for axis in node.args[1]]  # type: ignore[union-attr, operator]
    ends = ([-1] * len(axes), [-sys.maxsize] * len(axes), axes, [-1] * len(axes))
    return walk.add("Slice", walk.of(node.args[0]), *(walk.graph.ints(*end) for end in ends))


_SLICE = ("self", "dim", "start", "end", "step")


@translates("aten.unbind.int", "aten.split.Tensor", "aten.split_with_sizes.default", "aten.chunk.default")
def _parts(walk: Walk, node: Node) -> Any:
    table: Any = node.args[0]
    name = str(node.target)
    axis = int(given(node, 1 if "unbind" in name else 2, "dim", 0)) % len(shape_of(table))
    parts = node.meta["val"]
    sizes = [1 if "unbind" in name else part.shape[axis] for part in parts]
    if not all(isinstance(size, int) for size in sizes):
        raise NoForm("rows that are taken apart")
    made = walk.add("Split", walk.of(table), walk.graph.ints(*sizes), axis=axis, outputs=len(sizes))
    made = (made,) if len(sizes) == 1 else made
    return tuple(walk.add("Squeeze", one, walk.graph.ints(axis)) for one in made) if "unbind" in name else made


@translates("getitem")
def _item(walk: Walk, node: Node) -> Any:
    several: Any = node.args[0]
    return walk.made[several][node.args[1]]


@translates(
    "aten.full.default", "aten.full_like.default", "aten.zeros.default", "aten.ones.default", "aten.zeros_like.default",
    "aten.ones_like.default", "aten.new_zeros.default", "aten.new_ones.default", "aten.new_full.default",
    "aten.scalar_tensor.default",
)  # fmt: skip
def _filled(walk: Walk, node: Node) -> Any:
    name = str(node.target)
    value: Any = 0 if "zeros" in name else 1 if "ones" in name else node.args[0] if "scalar" in name else None
    value = given(node, 2 if "new_full" in name else 1, "fill_value") if value is None else value
    filler = walk.constant(value, DTYPES[dtype_of(node)])
    return walk.add("Expand", filler, walk.shape(shape_of(node))) if len(shape_of(node)) else filler


@translates("aten.arange.default", "aten.arange.start", "aten.arange.start_step")
def _arange(walk: Walk, node: Node) -> Any:
    bounds: Any = node.args
    if not all(isinstance(bound, int | float) for bound in bounds):
        if len(bounds) > 1:
            raise NoForm("a range that ends where the rows say")
        end = walk.add("Squeeze", walk.size(node.meta["val"].shape[0]), walk.graph.ints(0))
        return walk.add("Range", walk.constant(0, np.int64), end, walk.constant(1, np.int64))
    return walk.constant(np.arange(*bounds), DTYPES[dtype_of(node)])


def _axes(node: Node, place: int = 1) -> list[int]:
    first: Any = node.args[0]
    said = given(node, place, "dim")
    every = range(len(shape_of(first)))
    axes = list(every) if said in (None, []) else [said] if isinstance(said, int) else list(said)
    return [axis % len(every) for axis in axes]


REDUCED = {
    "sum": "ReduceSum", "mean": "ReduceMean", "amax": "ReduceMax", "amin": "ReduceMin", "prod": "ReduceProd",
}  # fmt: skip


@translates(
    "aten.sum.dim_IntList", "aten.sum.default", "aten.mean.dim", "aten.amax.default", "aten.amin.default",
    "aten.prod.dim_int",
)  # fmt: skip
def _reduced(walk: Walk, node: Node) -> Any:
    kind = REDUCED[str(node.target).split(".")[1]]
    return walk.add(
        kind,
        walk.of(node.args[0], dtype_of(node)),
        walk.graph.ints(*_axes(node)),
        keepdims=int(bool(given(node, 2, "keepdim", False))),
    )


@translates("aten.any.dim", "aten.all.dim", "aten.any.default", "aten.all.default", "aten.any.dims")
def _any(walk: Walk, node: Node) -> Any:
    kind = "ReduceMax" if ".any." in str(node.target) else "ReduceMin"
    keep = int(bool(given(node, 2, "keepdim", False)))
    truth: Any = node.args[0]
    flags = walk.graph.cast(walk.of(truth, torch.bool), np.int32)
    return walk.graph.cast(walk.add(kind, flags, walk.graph.ints(*_axes(node)), keepdims=keep), np.bool_)


@translates("aten.max.dim", "aten.min.dim")
def _extreme(walk: Walk, node: Node) -> Any:
    kind = "Max" if "max" in str(node.target) else "Min"
    x, (axis,), keep = walk.of(node.args[0]), _axes(node), int(bool(given(node, 2, "keepdim", False)))
    found = walk.add(f"Reduce{kind}", x, walk.graph.ints(axis), keepdims=keep)
    return found, walk.add(f"Arg{kind}", x, axis=axis, keepdims=keep)


@translates("aten.argmax.default", "aten.argmin.default")
def _arg(walk: Walk, node: Node) -> Any:
    kind = "ArgMax" if "argmax" in str(node.target) else "ArgMin"
    (axis,) = _axes(node)
    x: Any = node.args[0]
    dtype = torch.int64 if dtype_of(x) is torch.bool else dtype_of(x)
    return walk.add(kind, walk.of(x, dtype), axis=axis, keepdims=int(bool(given(node, 2, "keepdim", False))))


@translates("aten.cumsum.default")
def _cumsum(walk: Walk, node: Node) -> Any:
    (axis,) = _axes(node)
    return walk.add("CumSum", walk.of(node.args[0], dtype_of(node)), walk.constant(axis, np.int64))


@translates("aten.softmax.int", "aten._softmax.default", "aten.log_softmax.int")
def _softmax(walk: Walk, node: Node) -> Any:
    kind = "LogSoftmax" if "log_softmax" in str(node.target) else "Softmax"
    return walk.add(kind, walk.of(node.args[0], dtype_of(node)), axis=_axes(node)[0])


@translates("aten.topk.default", "aten.sort.default", "aten.sort.stable")
def _ordered(walk: Walk, node: Node) -> Any:
    table: Any = node.args[0]
    name, rank = str(node.target), len(shape_of(table))
    kwargs = dict(node.kwargs)
    if "topk" in name:
        count, axis, largest = node.args[1], given(node, 2, "dim", -1), given(node, 3, "largest", True)
    else:
        first = 2 if "stable" in name else 1
        axis, largest = given(node, first, "dim", -1), given(node, first + 1, "descending", False)
        axis, largest = kwargs.get("dim", axis), kwargs.get("descending", largest)
        count = shape_of(table)[int(axis)]
    if not isinstance(count, int):
        raise NoForm("rows that are sorted")
    return walk.add(
        "TopK", walk.of(table), walk.graph.ints(count), axis=int(axis) % rank, largest=int(bool(largest)), outputs=2
    )


@translates("aten.scatter_add.default", "aten.scatter.src", "aten.scatter.value")
def _scatter(walk: Walk, node: Node) -> Any:
    table, axis, at, source = node.args[:4]
    if "value" in str(node.target):
        filled = walk.constant(source, DTYPES[dtype_of(node)])
        source_name = walk.add("Expand", filled, walk.shape(shape_of(at)))
    else:
        source_name = walk.of(source)
    reduction = "add" if "scatter_add" in str(node.target) else "none"
    return walk.add(
        "ScatterElements", walk.of(table), walk.of(at), source_name,
        axis=int(axis) % len(shape_of(table)), reduction=reduction,  # type: ignore[arg-type]
    )  # fmt: skip
