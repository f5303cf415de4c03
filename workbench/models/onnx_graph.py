"""An ONNX graph as a `Piece`: its nodes in order with their attributes, tree ensembles as the tree IR.

Operators: https://onnx.ai/onnx/operators/ and its ai.onnx.ml chapter. Read with the package onnx, never run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from workbench.models.onnx_trees import ENSEMBLES, read_ensemble
from workbench.models.protocol import ModelError, Piece, Plain

MOST_NODES, LARGEST = 20_000, 1 << 24
"""Nodes of a graph, and numbers of a constant, that are read."""
DOMAINS = {"": "onnx", "ai.onnx": "onnx", "ai.onnx.ml": "onnx.ml"}


def graph_piece(model: Any, params: dict[str, Plain], version: str = "") -> Piece:
    """`onnx.Graph`: params `inputs` and `outputs` by name; arrays `constant:NAME`; children the nodes, each with
    `inputs` and `outputs` among its params. A tree ensemble that the IR cannot hold says why in `trees_refused`.

    Raises ModelError where the graph is too large or a part of it cannot be read.
    """
    graph = model.graph
    if len(graph.node) > MOST_NODES:
        raise ModelError(f"its graph has {len(graph.node)} nodes, more than are read")
    constants = {f"constant:{one.name}": _array(one) for one in graph.initializer}
    made = {name[len("constant:") :] for name in constants}
    children = []
    for number, node in enumerate(graph.node):
        if node.op_type == "Constant" and node.output:
            constants[f"constant:{node.output[0]}"] = _constant(node)
            made.add(node.output[0])
            continue
        children.append((node.name or f"{node.op_type}{number}", _node(node)))
    told: dict[str, Plain] = {
        **params,
        "inputs": [port.name for port in graph.input if port.name not in made],
        "outputs": [port.name for port in graph.output],
        "types": {port.name: int(port.type.tensor_type.elem_type) for port in graph.input},
    }
    return Piece("onnx.Graph", version, told, constants, tuple(children))


def _node(node: Any) -> Piece:
    kind = f"{DOMAINS.get(node.domain, node.domain)}.{node.op_type}"
    piece = Piece(kind, params={"inputs": list(node.input), "outputs": list(node.output)})
    attributes = {one.name: _attribute(one) for one in node.attribute}
    if kind not in ENSEMBLES:
        params, arrays = dict(piece.params), {}
        for name, value in attributes.items():
            if isinstance(value, np.ndarray):
                arrays[name] = value
            else:
                params[name] = value
        return replace(piece, params=params, arrays=arrays)
    small = {name: value for name, value in attributes.items() if name in ("post_transform", "aggregate_function")}
    try:
        trees, more = read_ensemble(kind, attributes)
        return replace(piece, params={**piece.params, **small, **more}, trees=trees)
    except ModelError as error:
        return replace(piece, params={**piece.params, **small, "trees_refused": str(error)})
    except (KeyError, IndexError, ValueError, TypeError, OverflowError) as error:
        raise ModelError(
            f"its node {node.name or node.op_type!r} lacks a part or has one that is unreadable ({repr(error)[:200]}): "
            "export the model anew"
        ) from error


def _attribute(attribute: Any) -> Any:
    """A plain value; lists of numbers as arrays, lists of text as lists."""
    kind = attribute.type
    if kind == attribute.FLOAT:
        return float(attribute.f)
    if kind == attribute.INT:
        return int(attribute.i)
    if kind == attribute.STRING:
        return attribute.s.decode(errors="replace")
    if kind == attribute.TENSOR:
        return _array(attribute.t)
    if kind == attribute.FLOATS:
        return np.array(attribute.floats, dtype=np.float32)
    if kind == attribute.INTS:
        return np.array(attribute.ints, dtype=np.int64)
    if kind == attribute.STRINGS:
        return [one.decode(errors="replace") for one in attribute.strings]
    return f"a value of the type {kind}"


def _constant(node: Any) -> Any:
    values: Iterable[Any] = (_attribute(one) for one in node.attribute)
    return np.asarray(next(iter(values), np.zeros(0)))


def _array(tensor: Any) -> Any:
    from onnx import numpy_helper

    try:
        array = np.asarray(numpy_helper.to_array(tensor))
    except Exception as error:
        raise ModelError(
            f"its constant {tensor.name[:80]!r} cannot be read ({repr(error)[:200]}): export it anew"
        ) from error
    if array.size > LARGEST:
        raise ModelError(f"its constant {tensor.name[:80]!r} has {array.size} numbers, more than are read")
    return array.astype(object) if array.dtype.kind in "SU" else array
