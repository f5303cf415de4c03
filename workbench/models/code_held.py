"""Code that a fitted pipeline carries as text: held to arithmetic before the first answer.

sklearn2pmml's ExpressionTransformer evaluates its `expr` for every row. What is not arithmetic on `X`, comparisons and
functions of numpy and math by name is refused: an expression that can reach anything else could be anything.
"""

from __future__ import annotations

import ast
from typing import Any

from workbench.models.ghosts import walk
from workbench.models.protocol import Refused

CARRIERS = {"ExpressionTransformer": ("expr", "expr_")}
"""Classes with attributes that are code."""

ROOTS = frozenset({"numpy", "np", "math", "pandas"})
FUNCTIONS = """
abs absolute ceil clip cos cosh exp expm1 fabs floor fmod hypot isinf isna isnan isnull log log10 log1p log2 logical_and
logical_not logical_or max maximum min minimum mod negative notna notnull pow power reciprocal round sign sin sinh sqrt
square tan tanh trunc where
"""
NODES = (
    ast.Expression,
    ast.BinOp,
    ast.UnaryOp,
    ast.BoolOp,
    ast.Compare,
    ast.IfExp,
    ast.Constant,
    ast.Name,
    ast.Load,
    ast.Subscript,
    ast.Slice,
    ast.Call,
    ast.Attribute,
    ast.List,
    ast.Tuple,
    ast.operator,
    ast.unaryop,
    ast.boolop,
    ast.cmpop,
)


def hold_code(estimator: Any) -> None:
    """Raises Refused naming an expression that could do more than arithmetic."""
    for ghost in walk(estimator):
        for name in CARRIERS.get(type(ghost).__name__, ()):
            text = vars(ghost).get(name)
            if text is not None and not (isinstance(text, str) and is_arithmetic(text)):
                raise Refused(
                    f"its {type(ghost).__name__} evaluates {str(text)[:120]!r}, which is more than arithmetic on X: "
                    "nothing of it was run. If you trust it, let a named person vouch for the file under `trust`"
                )


def is_arithmetic(text: str) -> bool:
    """True for an expression of X, constants, operators, and functions of numpy and math by name."""
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(_plain(node) for node in ast.walk(tree))


def _plain(node: ast.AST) -> bool:
    if isinstance(node, ast.Name):
        return node.id in ROOTS or node.id in ("X", "abs", "float", "int", "len", "max", "min", "round", "str")
    if isinstance(node, ast.Attribute):
        return isinstance(node.value, ast.Name) and node.value.id in ROOTS and node.attr in FUNCTIONS.split()
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name | ast.Attribute) and not node.keywords
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        # 9 ** 9 ** 9 is arithmetic that never ends.
        return (
            isinstance(node.right, ast.Constant)
            and isinstance(node.right.value, int | float)
            and (abs(node.right.value) <= 64)
        )
    return isinstance(node, NODES)
