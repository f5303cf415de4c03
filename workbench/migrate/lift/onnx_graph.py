"""ONNX graphs of scalers, imputers, encoders, linear models and tree ensembles, node by node.

A tensor is what its node makes of other tensors, back to the raw columns. Steps that onnxruntime takes in float32 are
taken in float32; long sums (matrix products, trees) are added in float64 and rounded, so that probabilities agree to a
float32 rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from workbench.migrate.lift.answer import Label, answer_op
from workbench.migrate.lift.columns import (
    CannotLift,
    Code,
    Columns,
    Context,
    Entry,
    Special,
    chain,
    fresh,
    numbers,
    predictor,
    transformer,
)
from workbench.migrate.lift.encode import encoded
from workbench.migrate.lift.ensemble import ensemble
from workbench.migrate.lift.onnx_ops import Arithmetic, Single
from workbench.migrate.lift.ops import Above, Beside, Clip, Fill, MatMul, Op, RowNorm
from workbench.models.onnx_trees import ENSEMBLES
from workbench.models.protocol import Piece

State = tuple[Op | None, Columns]
"""The op from the raw columns, None where they are as they come; and the columns it leaves."""
DEEPEST = 150
FLOAT, WHOLE, TEXT, DOUBLE = 1, 7, 8, 11
"""ONNX's element types."""
SAME = ("onnx.Identity", "onnx.Dropout", "onnx.ml.ZipMap")
LINKS = {"NONE": "identity", "": "identity", "LOGISTIC": "sigmoid-ova", "SOFTMAX": "softmax"}
"""post_transform, for a column per class."""


class Graph:
    """One graph on its way: its constants, what makes each tensor, and the tensors made so far."""

    def __init__(self, piece: Piece, columns: Columns, context: Context) -> None:
        self.piece, self.columns, self.context = piece, columns, context
        prefix = "constant:"
        self.constants = {name[len(prefix) :]: a for name, a in piece.arrays.items() if name.startswith(prefix)}
        self.makers: dict[str, Piece] = {}
        for _, node in piece.children:
            self.makers.update(dict.fromkeys(_names(node, "outputs"), node))
        types = piece.params.get("types")
        self.inputs = _names(piece, "inputs")
        kinds = [int(types[name]) for name in self.inputs] if isinstance(types, dict) else []  # type: ignore[arg-type]
        self.single = DOUBLE not in kinds
        self.whole = bool(kinds) and WHOLE in kinds
        self.depth = 0

    def tensor(self, name: str) -> State:
        """Raises CannotLift naming the node that has no exact form here."""
        if name in self.inputs:
            whole = len(self.inputs) == 1 and len(self.columns) != 1
            return None, self.columns if whole else self.columns.pick([self.inputs.index(name)])
        node = self.makers.get(name)
        if node is None:
            raise CannotLift("onnx.Graph", f"nothing in it makes the tensor {name[:60]!r}")
        if node.kind not in NODES:
            raise CannotLift(node.kind, "no exact torch form of this operator is known here")
        if self.depth > DEEPEST:
            raise CannotLift("onnx.Graph", f"its nodes follow each other more than {DEEPEST} deep, or in a ring")
        self.depth += 1
        made = NODES[node.kind](self, node)
        self.depth -= 1
        return made

    def numbers(self, name: str, node: Piece) -> tuple[list[Op], int]:
        """Ops from the raw columns to the tensor, all numbers; and how many columns it has."""
        op, columns = self.tensor(name)
        before, count = numbers(node, columns)
        if op is None:
            return [*before, *([Single()] if self.single else [])], count
        return [op, *before], count

    def then(self, node: Piece, *ops: Op, width: int | None = None) -> State:
        """The node's first input, then the ops."""
        before, count = self.numbers(_names(node, "inputs")[0], node)
        every = [*before, *ops]
        return (chain(every) if every else None), fresh(count if width is None else width)

    def constant(self, node: Piece, place: int) -> Any:
        names = _names(node, "inputs")
        if place >= len(names) or names[place] not in self.constants:
            raise CannotLift(node.kind, "its second input is computed, where a constant is due")
        return np.asarray(self.constants[names[place]])


def _names(piece: Piece, side: str) -> list[str]:
    found = piece.params.get(side)
    return [str(one) for one in found] if isinstance(found, list) else []


def _array(node: Piece, *names: str) -> Any:
    """The first of the attributes that is there, [] for none."""
    for name in names:
        found = node.arrays.get(name)
        if found is not None and len(found):
            return np.asarray(found)
    return np.zeros(0)


def _number(node: Piece, name: str, default: float) -> float:
    found = node.params.get(name, default)
    return float(found) if isinstance(found, int | float) else default


def _width(node: Piece, array: Any, count: int) -> Any:
    """An attribute for every column: as many, or one for all."""
    flat = np.asarray(array, dtype=np.float64).reshape(-1)
    if len(flat) not in (1, count):
        raise CannotLift(node.kind, f"it has {len(flat)} numbers for {count} columns")
    return np.broadcast_to(flat, count).copy()


def _same(graph: Graph, node: Piece) -> State:
    return graph.tensor(_names(node, "inputs")[0])


def _cast(graph: Graph, node: Piece) -> State:
    op, columns = graph.tensor(_names(node, "inputs")[0])
    to, coded = node.params.get("to"), any(isinstance(column, Code) for column in columns.items)
    if to == WHOLE and op is None and graph.whole:
        # Whole numbers as they come from a column of whole numbers.
        return op, columns
    if to not in ((TEXT,) if coded else (FLOAT, DOUBLE)):
        raise CannotLift(node.kind, f"it casts to the type {to}, which cuts or spells numbers")
    if not coded and to == FLOAT and op is not None:
        return graph.then(node, Single())
    return op, columns


def _scaler(graph: Graph, node: Piece) -> State:
    _, count = graph.numbers(_names(node, "inputs")[0], node)
    arrays = {}
    for step, name in (("subtract", "offset"), ("multiply", "scale")):
        if len(given := _array(node, name)):
            arrays[step] = _width(node, given, count)
    return graph.then(node, Arithmetic({"single": True}, arrays))


def _imputer(graph: Graph, node: Piece) -> State:
    _, count = graph.numbers(_names(node, "inputs")[0], node)
    whole = len(_array(node, "imputed_value_int64s")) > 0
    missing = _number(node, "replaced_value_int64" if whole else "replaced_value_float", 0.0)
    values = _width(node, _array(node, "imputed_value_floats", "imputed_value_int64s"), count)
    return graph.then(node, Fill({"missing": None if np.isnan(missing) else missing}, {"values": values}))


def _normalizer(graph: Graph, node: Piece) -> State:
    return graph.then(node, RowNorm({"norm": str(node.params.get("norm", "MAX")).lower()}))


def _binarizer(graph: Graph, node: Piece) -> State:
    return graph.then(node, Above({"threshold": node.params.get("threshold", 0.0)}))


def _concat(graph: Graph, node: Piece) -> State:
    if _number(node, "axis", 1) not in (1, -1):
        raise CannotLift(node.kind, "it puts rows, not columns, side by side")
    states = [graph.tensor(name) for name in _names(node, "inputs")]
    if all(op is None for op, _ in states):
        items = tuple(item for _, columns in states for item in columns.items)
        return None, Columns(items, states[0][1].width)
    parts = [graph.numbers(name, node) for name in _names(node, "inputs")]
    return Beside({}, {}, [chain(ops) for ops, _ in parts]), fresh(sum(count for _, count in parts))


def _pick(graph: Graph, node: Piece) -> State:
    if node.kind == "onnx.Gather" and _number(node, "axis", 0) not in (1, -1):
        raise CannotLift(node.kind, "it picks rows, not columns")
    chosen = [int(one) for one in np.asarray(graph.constant(node, 1)).reshape(-1)]
    op, columns = graph.tensor(_names(node, "inputs")[0])
    if not all(0 <= one < len(columns) for one in chosen):
        raise CannotLift(node.kind, f"it picks the columns {chosen[:5]} of {len(columns)}")
    return op, columns.pick(chosen)


def _reshape(graph: Graph, node: Piece) -> State:
    op, columns = graph.tensor(_names(node, "inputs")[0])
    if node.kind == "onnx.Flatten":
        fits = _number(node, "axis", 1) == 1
    else:
        shape = [int(one) for one in np.asarray(graph.constant(node, 1)).reshape(-1)]
        fits = len(shape) == 2 and shape[0] in (-1, 0) and shape[1] in (-1, len(columns))
    if not fits:
        raise CannotLift(node.kind, "it changes rows into columns")
    return op, columns


def _one_hot(graph: Graph, node: Piece) -> State:
    given = node.params.get("cats_strings")
    values: list[Any] = list(given) if isinstance(given, list) and given else _array(node, "cats_int64s").tolist()
    strange = np.zeros(len(values)) if _number(node, "zeros", 1) else None
    return _looked_up(graph, node, values, np.eye(len(values)), strange)


def _label_encoder(graph: Graph, node: Piece) -> State:
    keys = node.params.get("keys_strings") or _array(node, "keys_int64s", "keys_floats", "keys_tensor").tolist()
    values = _array(node, "values_floats", "values_int64s", "values_tensor")
    if not isinstance(keys, list) or len(keys) != len(values) or values.dtype.kind not in "fiu":
        raise CannotLift(node.kind, "it makes text, or its keys and values do not pair")
    whole = len(_array(node, "values_int64s")) > 0
    default = node.params.get("default_int64" if whole else "default_float", -1 if whole else -0.0)
    return _looked_up(graph, node, keys, values.astype(np.float64)[:, None], np.array([float(default)]))  # type: ignore[arg-type]


def _looked_up(graph: Graph, node: Piece, values: list[Any], rows: Any, strange: Any) -> State:
    """Each column by lookup. A missing text reaches the graph as the empty one."""
    op, columns = graph.tensor(_names(node, "inputs")[0])
    known: list[Entry] = list(values)
    if "" in values:
        known += [Special.MISSING, Special.NONE]
        rows = np.vstack([rows, rows[values.index("")], rows[values.index("")]])
    parts = [encoded(node, column, known, rows, strange, graph.context) for column in columns.items]
    made = parts[0] if len(parts) == 1 else Beside({}, {}, parts)
    return (made if op is None else chain([op, made])), fresh(len(parts) * rows.shape[1])


STEPS = {"onnx.Add": "add", "onnx.Sub": "subtract", "onnx.Mul": "multiply", "onnx.Div": "divide"}


def _arithmetic(graph: Graph, node: Piece) -> State:
    names = _names(node, "inputs")
    step = STEPS[node.kind]
    if names[0] in graph.constants:
        names, step = names[::-1], "rsubtract" if step == "subtract" else step
        if step == "divide":
            raise CannotLift(node.kind, "it divides a constant by a column")
    swapped = replace(node, params={**node.params, "inputs": list(names)})
    _, count = graph.numbers(names[0], node)
    constant = _width(node, graph.constant(swapped, 1), count)
    return graph.then(swapped, Arithmetic({"single": graph.single}, {step: constant}))


def _product(graph: Graph, node: Piece) -> State:
    weight = np.asarray(graph.constant(node, 1), dtype=np.float64)
    if node.kind == "onnx.Gemm":
        weight = (weight.T if node.params.get("transB") else weight) * _number(node, "alpha", 1.0)
    bias = np.zeros(weight.shape[-1] if weight.ndim else 1)
    if len(_names(node, "inputs")) > 2:
        given = np.asarray(graph.constant(node, 2), dtype=np.float64).reshape(-1)
        bias = bias + given * _number(node, "beta", 1.0)
    _, count = graph.numbers(_names(node, "inputs")[0], node)
    if weight.ndim != 2 or weight.shape[0] != count or node.params.get("transA"):
        raise CannotLift(node.kind, f"its constant has the shape {weight.shape}, and {count} columns reach it")
    ops: list[Op] = [MatMul({}, {"weight": weight, "bias": bias}), *([Single()] if graph.single else [])]
    return graph.then(node, *ops, width=weight.shape[1])


def _clip(graph: Graph, node: Piece) -> State:
    names = [*_names(node, "inputs"), "", ""]
    low = graph.constant(node, 1) if names[1] else node.params.get("min", -np.inf)
    high = graph.constant(node, 2) if names[2] else node.params.get("max", np.inf)
    limits = {
        "low": np.asarray(low, dtype=np.float64).reshape(-1),
        "high": np.asarray(high, dtype=np.float64).reshape(-1),
    }
    return graph.then(node, Clip({}, limits))


Handler = Callable[[Graph, Piece], State]
NODES: dict[str, Handler] = {
    **dict.fromkeys(SAME, _same),
    **dict.fromkeys(STEPS, _arithmetic),
    "onnx.Cast": _cast,
    "onnx.Clip": _clip,
    "onnx.Concat": _concat,
    "onnx.Flatten": _reshape,
    "onnx.Gather": _pick,
    "onnx.Gemm": _product,
    "onnx.MatMul": _product,
    "onnx.Reshape": _reshape,
    "onnx.ml.ArrayFeatureExtractor": _pick,
    "onnx.ml.Binarizer": _binarizer,
    "onnx.ml.FeatureVectorizer": _concat,
    "onnx.ml.Imputer": _imputer,
    "onnx.ml.LabelEncoder": _label_encoder,
    "onnx.ml.Normalizer": _normalizer,
    "onnx.ml.OneHotEncoder": _one_hot,
    "onnx.ml.Scaler": _scaler,
}


MODELS = (*ENSEMBLES, "onnx.ml.LinearClassifier", "onnx.ml.LinearRegressor")


@transformer(*NODES, *MODELS)
def node_alone(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    raise CannotLift(piece.kind, "it stands outside the graph that says what reaches it", "Lift the whole ONNX file")


@predictor("onnx.Graph")
def onnx_graph(piece: Piece, columns: Columns, context: Context) -> Op:
    if not piece.children:
        raise CannotLift(piece.kind, "its nodes were not read", "Install the package onnx (the extra 'models')")
    graph = Graph(piece, columns, context)
    name, shares = _names(piece, "outputs")[-1], False
    # Behind the model stand only what names its answers, and a norm that makes shares of them.
    while (node := graph.makers.get(name)) is not None and node.kind in (*SAME, "onnx.Cast", "onnx.ml.Normalizer"):
        if node.kind == "onnx.ml.Normalizer":
            if node.params.get("norm") != "L1" or context.task == "regression":
                break
            shares = True
        name = _names(node, "inputs")[0]
    if node is not None and node.kind in ENSEMBLES:
        return _trees(graph, node, shares)
    if node is not None and node.kind in MODELS:
        return _linear(graph, node, shares)
    if context.task != "regression":
        kind = "onnx.Graph" if node is None else node.kind
        raise CannotLift(kind, "it gives the classes' scores, and no exact torch form of it is known here")
    ops, count = graph.numbers(name, piece)
    return chain([*ops, answer_op(piece, context, count, raw=False, float32=graph.single)])


def _trees(graph: Graph, node: Piece, shares: bool) -> Op:
    if node.trees is None:
        raise CannotLift(node.kind, str(node.params.get("trees_refused") or "its trees could not be read"))
    before, count = graph.numbers(_names(node, "inputs")[0], node)
    if count < len(node.trees.features):
        raise CannotLift(node.kind, f"its trees ask for {len(node.trees.features)} columns, and {count} reach it")
    if node.params.get("strict") and not graph.single:
        raise CannotLift(node.kind, "it compares float64 inputs with float32 thresholds by <")
    precision: Literal["float32", "float64"] = "float32" if graph.single else "float64"
    trees = replace(node.trees, features=tuple(f"x{number}" for number in range(count)), precision=precision)
    if id(node) not in graph.context.built:
        graph.context.built[id(node)] = ensemble(trees, False)
    return chain([*before, graph.context.built[id(node)], _answer(graph, node, trees.n_outputs, shares)])


def _linear(graph: Graph, node: Piece, shares: bool) -> Op:
    before, count = graph.numbers(_names(node, "inputs")[0], node)
    flat = _array(node, "coefficients").astype(np.float64)
    if len(flat) == 0 or len(flat) % count:
        raise CannotLift(node.kind, f"it has {len(flat)} coefficients for {count} columns")
    weight = flat.reshape(-1, count)
    bias = np.broadcast_to(
        _array(node, "intercepts").astype(np.float64) if len(_array(node, "intercepts")) else 0.0, len(weight)
    )
    product = MatMul({}, {"weight": weight.T.copy(), "bias": np.array(bias)})
    if len(weight) == 1 and graph.context.task != "regression":
        raise CannotLift(
            node.kind, "it has the coefficients of one class for two", "Export it with a row for each class"
        )
    return chain([*before, product, _answer(graph, node, len(weight), shares)])


def _answer(graph: Graph, node: Piece, outputs: int, shares: bool) -> Op:
    """As onnxruntime makes scores and labels of raw sums."""
    how = str(node.params.get("post_transform", "NONE"))
    context, single = graph.context, graph.single
    if context.task == "regression":
        if how not in ("NONE", ""):
            raise CannotLift(node.kind, f"it transforms its sums by {how}")
        return answer_op(node, context, outputs, raw=False, float32=single)
    label: Label = "argmax-raw"
    if outputs == 1:
        if bool(node.params.get("positive")):
            # The sum is the second class's probability: whatever transform is named, none is applied.
            return answer_op(node, context, 1, label="argmax", raw=False, float32=single)
        if how != "LOGISTIC":
            raise CannotLift(node.kind, f"its two classes' scores are sums transformed by {how}, no probabilities")
        return answer_op(node, context, 1, link="sigmoid", label="raw>0", float32=single)
    if how not in LINKS or (shares and how in ("NONE", "") and node.kind not in ENSEMBLES):
        raise CannotLift(node.kind, f"it transforms its sums by {how}, which has no exact form here")
    link = "sigmoid-shares" if shares and how == "LOGISTIC" else LINKS[how]
    return answer_op(node, context, outputs, link=link, label=label, raw=how in ("LOGISTIC", "SOFTMAX"), float32=single)
