"""Torch's operators, as an exported program names them, in ONNX's: the table of what is translated.

Elementwise operators give the same numbers; matrix products, sums over columns and softmax are added in onnxruntime's
own order, which is why every file is held against torch before it is kept. What is not in the table is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from workbench.migrate.export.graph import Graph, NoForm

Node = torch.fx.Node
DTYPES: dict[torch.dtype, Any] = {
    torch.float64: np.float64,
    torch.float32: np.float32,
    torch.int64: np.int64,
    torch.int32: np.int32,
    torch.bool: np.bool_,
}


class Walk:
    """One graph of torch's operators on its way into an ONNX graph. rows: name of an int64 [1], the number of rows."""

    def __init__(self, graph: Graph, rows: str) -> None:
        self.graph, self.rows = graph, rows
        self.made: dict[Node, Any] = {}

    def add(self, kind: str, *inputs: str, **given: Any) -> Any:
        return self.graph.add(kind, *inputs, **given)

    def constant(self, value: Any, dtype: Any = None) -> str:
        return self.graph.constant(value, dtype)

    def of(self, value: Any, dtype: torch.dtype | None = None) -> str:
        """The name of a tensor, or of a number as one of the type."""
        if isinstance(value, Node):
            name: str = self.made[value]
            own = dtype_of(value)
            return name if dtype in (None, own) else self.graph.cast(name, DTYPES[dtype or own])
        return self.graph.constant(value, DTYPES[dtype or torch.float64])

    def shape(self, shape: Sequence[Any]) -> str:
        """Name of an int64 tensor of the sizes, each a number or a multiple of the rows."""
        if all(isinstance(size, int) for size in shape):
            return self.graph.ints(*shape)
        return str(self.add("Concat", *(self.size(size) for size in shape), axis=0))

    def size(self, size: Any) -> str:
        if isinstance(size, int):
            return self.graph.ints(size)
        values = [int(size.node.expr.subs(dict.fromkeys(size.node.expr.free_symbols, n))) for n in (7, 8, 19)]
        slope, rest = values[1] - values[0], 8 * values[0] - 7 * values[1]
        if 19 * slope + rest != values[2]:
            raise NoForm(f"a tensor of the size {size}")
        made = self.rows if slope == 1 else self.add("Mul", self.rows, self.graph.ints(slope))
        return str(self.add("Add", made, self.graph.ints(rest)) if rest else made)


Emit = Callable[[Walk, Node], Any]
OPERATORS: dict[str, Emit] = {}


def dtype_of(node: Node) -> torch.dtype:
    dtype: torch.dtype = node.meta["val"].dtype
    return dtype


def shape_of(node: Any) -> Sequence[Any]:
    shape: Sequence[Any] = node.meta["val"].shape
    return shape


def given(node: Node, place: int, name: str, default: Any = None) -> Any:
    return node.args[place] if len(node.args) > place else node.kwargs.get(name, default)


def translates(*names: str) -> Callable[[Emit], Emit]:
    def register(emit: Emit) -> Emit:
        OPERATORS.update(dict.fromkeys(names, emit))
        return emit

    return register


def _elementwise(kind: str) -> Emit:
    """All operands in the type of the answer."""

    def emit(walk: Walk, node: Node) -> Any:
        return walk.add(kind, *(walk.of(one, dtype_of(node)) for one in node.args))

    return emit


def _comparison(kind: str) -> Emit:
    def emit(walk: Walk, node: Node) -> Any:
        first, second = node.args[:2]
        dtype = _together(first, second)
        a, b = walk.of(first, dtype), walk.of(second, dtype)
        return walk.add("Not", walk.add("Equal", a, b)) if kind == "Not" else walk.add(kind, a, b)

    return emit


def _together(first: Any, second: Any) -> torch.dtype:
    values = [one.meta["val"] if isinstance(one, Node) else one for one in (first, second)]
    dtype = torch.result_type(*values)
    # ONNX compares bools only for equality.
    return torch.int64 if dtype is torch.bool else dtype


UNARY = {
    "abs": "Abs", "ceil": "Ceil", "cos": "Cos", "exp": "Exp", "floor": "Floor", "log": "Log", "neg": "Neg",
    "round": "Round", "sign": "Sign", "sin": "Sin", "sqrt": "Sqrt", "tanh": "Tanh",
    "reciprocal": "Reciprocal", "relu": "Relu", "logical_not": "Not", "bitwise_not": "Not",
}  # fmt: skip
BINARY = {
    "mul": "Mul", "div": "Div", "pow": "Pow", "maximum": "Max", "minimum": "Min", "logical_and": "And",
    "logical_or": "Or", "logical_xor": "Xor", "bitwise_and": "And",
    "bitwise_or": "Or", "__and__": "And", "__or__": "Or",
}  # fmt: skip
COMPARED = {
    "eq": "Equal", "ne": "Not", "lt": "Less", "le": "LessOrEqual", "gt": "Greater", "ge": "GreaterOrEqual",
}  # fmt: skip
FORMS = ("default", "Tensor", "Scalar", "Tensor_Tensor", "Tensor_Scalar", "Scalar_Tensor")
for _made, _table in ((_elementwise, UNARY), (_elementwise, BINARY), (_comparison, COMPARED)):
    for _name, _kind in _table.items():
        OPERATORS.update({f"aten.{_name}.{form}": _made(_kind) for form in FORMS})


@translates("aten.isnan.default")
def _isnan(walk: Walk, node: Node) -> Any:
    return walk.add("IsNaN", walk.of(node.args[0]))


@translates("aten.add.Tensor", "aten.sub.Tensor", "aten.add.Scalar", "aten.sub.Scalar", "aten.rsub.Scalar")
def _add(walk: Walk, node: Node) -> Any:
    if node.kwargs.get("alpha", 1) != 1:
        raise NoForm("a sum with alpha")
    first, second = (walk.of(one, dtype_of(node)) for one in node.args[:2])
    kind = "Add" if "add" in str(node.target) else "Sub"
    return walk.add(kind, second, first) if "rsub" in str(node.target) else walk.add(kind, first, second)


@translates("aten.linear.default", "aten.addmm.default")
def _linear(walk: Walk, node: Node) -> Any:
    if "addmm" in str(node.target):
        bias, x, weight = (walk.of(one) for one in node.args[:3])
        return walk.add("Add", walk.add("Gemm", x, weight), bias)
    made = walk.add("Gemm", walk.of(node.args[0]), walk.of(node.args[1]), transB=1)
    bias = given(node, 2, "bias")
    return made if bias is None else walk.add("Add", made, walk.of(bias))


@translates("aten.matmul.default", "aten.mm.default", "aten.bmm.default")
def _matmul(walk: Walk, node: Node) -> Any:
    """Gemm where it can be: onnxruntime joins a MatMul with a division before it, and keeps the divisor in float32."""
    flat = all(len(shape_of(one)) == 2 for one in node.args[:2])
    return walk.add("Gemm" if flat else "MatMul", *(walk.of(one) for one in node.args[:2]))


@translates("aten.sigmoid.default")
def _sigmoid(walk: Walk, node: Node) -> Any:
    """Written out: onnxruntime's own loses the last digits of small probabilities (1e-3 of a chance of 5e-14)."""
    one = walk.of(1.0, dtype_of(node))
    power = walk.add("Exp", walk.add("Neg", walk.of(node.args[0], dtype_of(node))))
    return walk.add("Div", one, walk.add("Add", one, power))


@translates("aten.isfinite.default")
def _isfinite(walk: Walk, node: Node) -> Any:
    x = walk.of(node.args[0])
    return walk.add("Not", walk.add("Or", walk.add("IsNaN", x), walk.add("IsInf", x)))


@translates("aten.logit.default")
def _logit(walk: Walk, node: Node) -> Any:
    if given(node, 1, "eps") is not None:
        raise NoForm("a logit with eps")
    x = walk.of(node.args[0])
    return walk.add("Log", walk.add("Div", x, walk.add("Sub", walk.of(1.0), x)))


@translates("aten.cdist.default")
def _cdist(walk: Walk, node: Node) -> Any:
    """Column by column, so that memory holds one number for each pair of rows."""
    first, second, power = node.args[0], node.args[1], given(node, 2, "p", 2.0)
    width = int(shape_of(first)[-1])
    if power not in STEPS or width > WIDEST:
        raise NoForm(f"distances of power {power} over {width} columns (powers 1, 2 and inf, {WIDEST} columns at most)")
    each, together = STEPS[power]
    points = walk.add("Transpose", walk.of(second), perm=[1, 0])
    total = ""
    for column in range(width):
        at = walk.graph.ints(column)
        x, point = walk.add("Gather", walk.of(first), at, axis=1), walk.add("Gather", points, at, axis=0)
        apart = walk.add("Sub", x, point)
        apart = walk.add("Mul", apart, apart) if each == "Mul" else walk.add(each, apart)
        total = walk.add(together, total, apart) if total else apart
    return walk.add("Sqrt", total) if power == 2 else total


STEPS = {1.0: ("Abs", "Add"), 2.0: ("Mul", "Add"), math.inf: ("Abs", "Max")}
"""Power of a distance: what is done to each column's difference, and how these come together."""
WIDEST = 128


@translates("aten.square.default")
def _square(walk: Walk, node: Node) -> Any:
    x = walk.of(node.args[0])
    return walk.add("Mul", x, x)


@translates("aten.exp2.default")
def _exp2(walk: Walk, node: Node) -> Any:
    return walk.add("Pow", walk.of(2.0), walk.of(node.args[0]))


@translates("aten.log2.default", "aten.log10.default")
def _other_log(walk: Walk, node: Node) -> Any:
    base = math.log(2.0 if "log2" in str(node.target) else 10.0)
    return walk.add("Div", walk.add("Log", walk.of(node.args[0])), walk.of(base))


@translates("aten.tan.default")
def _tan(walk: Walk, node: Node) -> Any:
    x = walk.of(node.args[0])
    return walk.add("Div", walk.add("Sin", x), walk.add("Cos", x))


@translates("aten.trunc.default")
def _trunc(walk: Walk, node: Node) -> Any:
    x = walk.of(node.args[0])
    down, up = walk.add("Floor", x), walk.add("Ceil", x)
    return walk.add("Where", walk.add("Less", x, walk.of(0.0)), up, down)


@translates("aten.log1p.default")
def _log1p(walk: Walk, node: Node) -> Any:
    """log(u) x / (u - 1) for u = 1 + x, which keeps what rounding took from u (Kahan; Higham 2002, section 1.14)."""
    x, one = walk.of(node.args[0]), walk.of(1.0)
    u = walk.add("Add", x, one)
    log = walk.add("Log", u)
    exact = walk.add("Div", walk.add("Mul", log, x), walk.add("Sub", u, one))
    plain = walk.add("Or", walk.add("IsInf", u), walk.add("Equal", u, walk.of(0.0)))
    return walk.add("Where", walk.add("Equal", u, one), x, walk.add("Where", plain, log, exact))


@translates("aten.expm1.default")
def _expm1(walk: Walk, node: Node) -> Any:
    """(u - 1) x / log(u) for u = exp(x), see `_log1p`."""
    x, one = walk.of(node.args[0]), walk.of(1.0)
    u = walk.add("Exp", x)
    less = walk.add("Sub", u, one)
    exact = walk.add("Div", walk.add("Mul", less, x), walk.add("Log", u))
    plain = walk.add("Or", walk.add("IsInf", u), walk.add("Equal", less, walk.of(-1.0)))
    return walk.add("Where", walk.add("Equal", u, one), x, walk.add("Where", plain, less, exact))


@translates("aten.nan_to_num.default")
def _nan_to_num(walk: Walk, node: Node) -> Any:
    x, largest = walk.of(node.args[0]), float(np.finfo(np.float64).max)
    nan, high, low = (given(node, place, name) for place, name in ((1, "nan"), (2, "posinf"), (3, "neginf")))
    filled = walk.add("Where", walk.add("IsNaN", x), walk.of(float(nan or 0.0)), x)
    for sign, said, bound in ((1, high, largest), (0, low, -largest)):
        endless = walk.add("IsInf", filled, detect_positive=sign, detect_negative=1 - sign)
        filled = walk.add("Where", endless, walk.of(bound if said is None else float(said)), filled)
    return filled


@translates("aten.clamp.default", "aten.clamp.Tensor", "aten.clamp_min.default", "aten.clamp_max.default")
def _clamp(walk: Walk, node: Node) -> Any:
    name = str(node.target)
    low = None if "clamp_max" in name else given(node, 1, "min")
    high = given(node, 1, "max") if "clamp_max" in name else given(node, 2, "max")
    x = walk.of(node.args[0], dtype_of(node))
    for bound, kind in ((low, "Less"), (high, "Greater")):
        if bound is not None:
            limit = walk.of(bound, dtype_of(node))
            x = walk.add("Where", walk.add(kind, x, limit), limit, x)
    return x


@translates("aten.where.self", "aten.where.ScalarSelf", "aten.where.ScalarOther", "aten.where.Scalar")
def _where(walk: Walk, node: Node) -> Any:
    dtype = dtype_of(node)
    return walk.add("Where", *(walk.of(one, kind) for one, kind in zip(node.args, (torch.bool, dtype, dtype))))


@translates("aten.searchsorted.Tensor")
def _searchsorted(walk: Walk, node: Node) -> Any:
    """How many edges lie below each value, by halving: as many steps as the number of edges has bits."""
    edges, values = node.args[:2]
    right = bool(given(node, 3, "right", False))
    count, flat = int(shape_of(edges)[-1]), len(shape_of(edges)) == 1
    steps = count.bit_length()
    padding = (1 << steps) - 1 - count
    table, x = walk.of(edges), walk.of(values, dtype_of(edges))  # type: ignore[arg-type]
    if padding:
        shape = [*shape_of(edges)[:-1], padding]
        table = walk.add("Concat", table, walk.constant(np.full(shape, np.inf)), axis=len(shape) - 1)
    at = walk.add("ConstantOfShape", walk.shape(shape_of(values)), value=_tensor(np.zeros(1, np.int64)))
    for step in reversed(range(steps)):
        last = walk.add("Add", at, walk.constant((1 << step) - 1, np.int64))
        edge = walk.add("Gather", table, last, axis=0) if flat else walk.add("GatherElements", table, last, axis=1)
        # NaN is above every edge, as torch has it.
        above = walk.add("Not", walk.add("Greater" if right else "GreaterOrEqual", edge, x))
        at = walk.add("Where", above, walk.add("Add", last, walk.constant(1, np.int64)), at)
    return walk.add("Min", at, walk.constant(count, np.int64))


def _tensor(array: Any) -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(array)


@translates("workbench.tree_ensemble.default")
def _tree_ensemble(walk: Walk, node: Node) -> Any:
    from workbench.migrate.export.trees import ensemble

    numbers, codes, words = (walk.of(one) for one in node.args[:3])
    return ensemble(walk.graph, walk.graph.constants[words], numbers, codes)
