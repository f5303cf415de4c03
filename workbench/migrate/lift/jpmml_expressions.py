"""Arithmetic that sklearn2pmml's pipelines carry: aggregates, powers, and expressions of X written as Python.

An expression is read into a tree of plain data and computed from that, on tensors or on the few words a column can
hold; it is never evaluated as code. numpy's rules hold: missing numbers spread, comparisons of them are false. Where
the legacy model stops at a division by zero, the result is NaN.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from workbench.migrate.lift.columns import (
    CannotLift,
    Columns,
    Context,
    Number,
    chain,
    fresh,
    kept,
    numbers,
    transformer,
)
from workbench.migrate.lift.functions import MORE
from workbench.migrate.lift.jpmml_casts import REAL, WHOLE
from workbench.migrate.lift.jpmml_words import START, few, made
from workbench.migrate.lift.ops import FUNCTIONS, Op
from workbench.migrate.lift.preprocess import older
from workbench.models.protocol import Piece, Plain

Node = list[Any]
"""["x", column] | ["=", constant] | [operation, node, ...]."""

BINARY: dict[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
}
COMPARE: dict[type[ast.AST], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
ALIASES = {"fabs": "abs", "absolute": "abs", "isna": "isnan", "isnull": "isnan", "notna": "notnull", "float": "+1"}
UNARY = (FUNCTIONS.keys() | MORE.keys()) - {"nan_to_num"}
MANY = {"maximum": 2, "minimum": 2, "power": 2, "where": 3, "logical_and": 2, "logical_or": 2}
"""Functions of several numbers, of how many."""


def tree_of(piece: Piece, text: str) -> Node:
    """An expression as plain data. Raises CannotLift for anything that has no exact form here."""
    try:
        return _Reader(piece).read(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise CannotLift(piece.kind, f"{text[:80]!r} is no expression: {error}") from error


class _Reader:
    def __init__(self, piece: Piece) -> None:
        self.piece = piece

    def read(self, node: ast.AST) -> Node:
        name = type(node).__name__.lower()
        reader: Callable[[Any], Node] | None = getattr(self, f"on_{name}", None)
        if reader is None:
            raise self.refused(ast.unparse(node))
        return reader(node)

    def refused(self, what: str) -> CannotLift:
        advice = "Write it with numbers, comparisons and numpy's functions, or compute the column before the model"
        return CannotLift(self.piece.kind, f"{what[:80]!r} in its expression has no exact form here", advice)

    def on_constant(self, node: ast.Constant) -> Node:
        if not isinstance(node.value, int | float | str):
            raise self.refused(ast.unparse(node))
        return ["=", node.value]

    def on_subscript(self, node: ast.Subscript) -> Node:
        place = node.slice.elts[-1] if isinstance(node.slice, ast.Tuple) and len(node.slice.elts) == 2 else node.slice
        rows = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) else None
        every = rows is None or (isinstance(rows, ast.Slice) and not (rows.lower or rows.upper or rows.step))
        named = isinstance(node.value, ast.Name) and node.value.id == "X"
        if not (named and every and isinstance(place, ast.Constant) and type(place.value) is int and place.value >= 0):
            raise self.refused(ast.unparse(node))
        return ["x", place.value]

    def on_binop(self, node: ast.BinOp) -> Node:
        if type(node.op) not in BINARY:
            raise self.refused(ast.unparse(node))
        return [BINARY[type(node.op)], self.read(node.left), self.read(node.right)]

    def on_unaryop(self, node: ast.UnaryOp) -> Node:
        names = {ast.USub: "negative", ast.UAdd: "+1", ast.Not: "not"}
        if type(node.op) not in names:
            raise self.refused(ast.unparse(node))
        return [names[type(node.op)], self.read(node.operand)]

    def on_boolop(self, node: ast.BoolOp) -> Node:
        read = [self.read(value) for value in node.values]
        name, whole = "and" if isinstance(node.op, ast.And) else "or", read[-1]
        for one in reversed(read[:-1]):
            whole = [name, one, whole]
        return whole

    def on_compare(self, node: ast.Compare) -> Node:
        if len(node.ops) != 1 or type(node.ops[0]) not in COMPARE:
            raise self.refused(ast.unparse(node))
        return [COMPARE[type(node.ops[0])], self.read(node.left), self.read(node.comparators[0])]

    def on_ifexp(self, node: ast.IfExp) -> Node:
        return ["if", self.read(node.test), self.read(node.body), self.read(node.orelse)]

    def on_call(self, node: ast.Call) -> Node:
        library = node.func.value.id if isinstance(node.func, ast.Attribute) else ""  # type: ignore[attr-defined]
        called = node.func.attr if isinstance(node.func, ast.Attribute) else cast("ast.Name", node.func).id
        name = ALIASES.get(called, called)
        known = name in UNARY or name in ("+1", "notnull") or (name in MANY and library in ("numpy", "np"))
        words = name in ("str", "len") and not library
        if len(node.args) != MANY.get(name, 1) or not (known or words):
            raise self.refused(ast.unparse(node))
        read = [self.read(argument) for argument in node.args]
        return ["stops", [name, *read]] if library == "math" else [name, *read]


class Expression(Op):
    """Numbers [n, m] → [n, 1] by a tree of plain data.

    config: tree; divides: a division by zero stops the legacy model; if_missing, if_none: what stands for a row with a
    missing number, and for a result that is missing, None for neither; forgives: a stop only makes the result missing.
    """

    name = "expression"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        run = _Run(x, bool(self.config["divides"]))
        result = run.value(cast("Node", self.config["tree"]), torch.ones_like(x[:, 0], dtype=torch.bool))
        result = torch.where(run.stopped, torch.nan, result.double().expand(x.shape[0]))
        if self.config["if_none"] is not None:
            empty = result.isnan() if self.config["forgives"] else result.isnan() & ~run.stopped
            result = torch.where(empty, float(str(self.config["if_none"])), result)
        if self.config["if_missing"] is not None:
            result = torch.where(x.isnan().any(1), float(str(self.config["if_missing"])), result)
        return result[:, None]


class _Run:
    """One pass over a tree: values [n], and the rows at which the legacy model stops."""

    def __init__(self, x: Tensor, divides: bool) -> None:
        self.x, self.divides = x, divides
        self.stopped = torch.zeros_like(x[:, 0], dtype=torch.bool)

    def value(self, node: Node, asked: Tensor) -> Tensor:
        """asked [n]: the rows for which this part is computed at all."""
        name, *parts = node
        if name == "x":
            return self.x[:, parts[0]]
        if name == "=":
            return torch.full_like(self.x[:, 0], float(parts[0]))
        if name in ("if", "and", "or"):
            return self.choice(name, parts, asked)
        if name == "stops":
            return self.strict(parts[0], asked)
        values = [self.value(part, asked).double() for part in parts]
        result = self.computed(name, values)
        if self.divides and name in ("/", "//", "power", "**", "log", "log2", "log10", "log1p"):
            finite = torch.stack([value.isfinite() for value in values]).all(0)
            self.stopped = self.stopped | (asked & finite & result.isinf() & self.at_zero(name, values))
        return result

    def at_zero(self, name: str, values: list[Tensor]) -> Tensor:
        """Where an infinity comes from a zero, not from a number too large."""
        if name in ("/", "//"):
            return values[1] == 0
        return values[0] == (-1 if name == "log1p" else 0)

    def choice(self, name: str, parts: list[Node], asked: Tensor) -> Tensor:
        first = self.value(parts[0], asked).double()
        true = first != 0
        if name == "if":
            return torch.where(true, self.value(parts[1], asked & true), self.value(parts[2], asked & ~true).double())
        other = self.value(parts[1], asked & (true if name == "and" else ~true)).double()
        return torch.where(true, other, first) if name == "and" else torch.where(true, first, other)

    def strict(self, node: Node, asked: Tensor) -> Tensor:
        """Of the module math, which stops where a finite number has no finite result."""
        given = self.value(node[1], asked).double()
        result = self.computed(node[0], [given])
        self.stopped = self.stopped | (asked & given.isfinite() & ~result.isfinite())
        return result

    def computed(self, name: str, values: list[Tensor]) -> Tensor:
        if name in OPERATIONS:
            return OPERATIONS[name](*values).double()
        return FUNCTIONS[name](*values).double()


OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": torch.floor_divide,
    "%": torch.remainder,
    "**": torch.pow,
    "power": torch.pow,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "not": lambda x: x == 0,
    "+1": lambda x: x,
    "notnull": lambda x: ~x.isnan(),
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "where": lambda test, x, y: torch.where(test != 0, x, y),
    "logical_and": lambda x, y: (x != 0) & (y != 0),
    "logical_or": lambda x, y: (x != 0) | (y != 0),
}


@transformer(f"{START}ExpressionTransformer")
def expression(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    text = piece.params.get("expr", piece.params.get("expr_"))
    if not isinstance(text, str):
        raise CannotLift(piece.kind, "its expression is code, not text")
    tree = tree_of(piece, text)
    _in_range(piece, tree, len(columns))
    if any(isinstance(column, Number) and column.words for column in columns.items):
        return _of_words(piece, tree, columns, context)
    if _has_words(tree):
        raise CannotLift(piece.kind, "it handles text, and numbers reach it", "Cast them to text first, and fit again")
    dtype = piece.params.get("dtype")
    truth = tree[0] in TRUTH
    if dtype not in (None, *REAL) and not (truth and dtype in (*WHOLE, "builtins.bool", "numpy.bool_", "bool")):
        raise CannotLift(piece.kind, f"it casts its result to {dtype}", "Leave out dtype, and fit again")
    treatment = piece.params.get("invalid_value_treatment")
    config: dict[str, Plain] = {
        "tree": cast("Plain", tree),
        "divides": not older(piece, 0, 74),
        "if_missing": _number(piece, "map_missing_to"),
        "if_none": _number(piece, "default_value"),
        "forgives": treatment == "as_missing",
    }
    before, _ = numbers(piece, columns)
    plain = truth and config["if_missing"] is None and config["if_none"] is None
    return chain([*before, Expression(config)]), Columns((Number(0, among=(0, 1) if plain else ()),), 1)


TRUTH = frozenset({"==", "!=", "<", "<=", ">", ">=", "not", "isnan", "notnull", "logical_and", "logical_or"})


def _number(piece: Piece, name: str) -> float | None:
    given = piece.params.get(name)
    if given is not None and not isinstance(given, int | float):
        raise CannotLift(piece.kind, f"its {name} is {given!r}, no number")
    return given


def _in_range(piece: Piece, tree: Node, count: int) -> None:
    if tree[0] == "x" and tree[1] >= count:
        raise CannotLift(piece.kind, f"it asks for column {tree[1]}, and {count} reach it")
    for part in tree[1:]:
        if isinstance(part, list):
            _in_range(piece, part, count)


def _has_words(tree: Node) -> bool:
    if tree[0] in ("str", "len") or (tree[0] == "=" and isinstance(tree[1], str)):
        return True
    return any(_has_words(part) for part in tree[1:] if isinstance(part, list))


def _of_words(piece: Piece, tree: Node, columns: Columns, context: Context) -> tuple[Op, Columns]:
    if piece.params.get("dtype") not in (None, "builtins.str", "str"):
        raise CannotLift(piece.kind, f"it casts text to {piece.params['dtype']}", "Cast in a step of its own")
    op, number = made(piece, few(piece, columns, context), lambda values: _worded(piece, tree, values))
    return op, Columns((number,), 1)


WORDED: dict[str, Callable[..., Any]] = {
    "+": operator.add,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "not": operator.not_,
    "str": str,
    "len": len,
}


def _worded(piece: Piece, tree: Node, values: tuple[Any, ...]) -> Any:
    """One row of known values: joining, comparing and measuring text."""
    name, *parts = tree
    if name == "x":
        return values[parts[0]]
    if name == "=":
        return parts[0]
    if name == "if":
        return _worded(piece, parts[1 if _worded(piece, parts[0], values) else 2], values)
    if name not in WORDED:
        raise CannotLift(piece.kind, f"{name!r} in its expression has no exact form for text here")
    try:
        return WORDED[name](*(_worded(piece, part, values) for part in parts))
    except TypeError as error:
        raise CannotLift(piece.kind, f"its expression stops at {values!r}: {error}") from error


class Aggregate(Op):
    """Columns [n, m] → [n, 1]. config: function; skips: missing numbers are left out, else they spread."""

    name = "aggregate"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        missing = x.isnan()
        skips = bool(self.config["skips"])
        start = {"min": torch.inf, "max": -torch.inf, "prod": 1.0}.get(str(self.config["function"]), 0.0)
        columns = (torch.where(missing, start, x) if skips else x).unbind(1)
        total = columns[0]
        for column in columns[1:]:
            total = TOGETHER[str(self.config["function"])](total, column)
        count = (~missing).sum(1) if skips else x.shape[1]
        if self.config["function"] == "mean":
            total = total / count
        if skips and self.config["function"] in ("min", "max"):
            total = torch.where(missing.all(1), torch.nan, total)
        return total[:, None]


TOGETHER: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "min": torch.minimum,
    "max": torch.maximum,
    "sum": operator.add,
    "mean": operator.add,
    "prod": operator.mul,
}


@transformer(f"{START}Aggregator")
def aggregator(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    function = str(piece.params.get("function"))
    function = {"avg": "mean", "product": "prod"}.get(function, function)
    if function not in TOGETHER:
        raise CannotLift(piece.kind, f"function={function!r} is not known here")
    before, count = numbers(piece, columns)
    if not count:
        raise CannotLift(piece.kind, "no columns reach it")
    if older(piece, 0, 50) and not older(piece, 0, 48):
        raise CannotLift(piece.kind, f"what version {piece.version} does with missing numbers is not known here")
    return chain([*before, Aggregate({"function": function, "skips": not older(piece, 0, 50)})]), fresh(1)


class Power(Op):
    """Numbers to a whole power, as the C library's `pow` does it."""

    name = "whole-power"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        return torch.pow(x, float(str(self.config["power"])))


@transformer(f"{START}PowerFunctionTransformer")
def power(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    before, count = numbers(piece, columns)
    return chain([*before, Power({"power": int(str(piece.params["power"]))})]), fresh(count)


@transformer(f"{START}DataFrameConstructor")
def framed(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    """The columns under other names."""
    names, dtype = piece.params.get("columns"), piece.params.get("dtype")
    if dtype not in (None, *REAL):
        raise CannotLift(piece.kind, f"it casts to {dtype}", "Give float64, and fit again")
    if not isinstance(names, list) or len(names) != len(columns):
        raise CannotLift(piece.kind, f"it names other columns than the {len(columns)} that reach it")
    op, moved = kept(columns)
    return op, Columns(moved.items, moved.width, tuple(map(str, names)))
