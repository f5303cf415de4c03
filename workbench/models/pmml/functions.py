"""PMML's built-in functions on columns of equal length; a missing argument makes a missing result."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from workbench.models.pmml.columns import Bools, Column, Floats, choose, from_text
from workbench.models.protocol import ModelError

Function = Callable[[list[Column]], Column]


def call(name: str, arguments: list[Column]) -> Column:
    """Raises ModelError for a function that is not known here, or the wrong number or type of arguments."""
    if name not in FUNCTIONS:
        raise ModelError(f"it uses the function {name[:40]!r}, which is not read here: export the model without it")
    function, least, most = FUNCTIONS[name]
    if not least <= len(arguments) <= most:
        raise ModelError(f"it gives {len(arguments)} arguments to the function {name!r}: the file is damaged")
    with np.errstate(all="ignore"):
        return function(arguments)


def _numbers(function: Callable[..., Any]) -> Function:
    def run(columns: list[Column]) -> Column:
        return Column(np.asarray(function(*(one.need_numbers("a function") for one in columns)), dtype=np.float64))

    return run


def _folded(function: Callable[[Floats], Floats]) -> Function:
    """Over the arguments side by side [arguments, n], missing ones left out, as PMML says of min, max, sum and avg."""

    def run(columns: list[Column]) -> Column:
        stack = np.stack([one.need_numbers("a function") for one in columns])
        some = ~np.isnan(stack).all(axis=0)
        out = np.full(stack.shape[1], np.nan)
        out[some] = function(stack[:, some])
        return Column(out)

    return run


def _threshold(x: Floats, bound: Floats) -> Floats:
    return np.where(np.isnan(x) | np.isnan(bound), np.nan, x > bound)


def _divide(x: Floats, y: Floats) -> Floats:
    """By zero: an invalid result, which counts as missing."""
    return np.where(y == 0, np.nan, x / np.where(y == 0, 1.0, y))


def _modulo(x: Floats, y: Floats) -> Floats:
    return np.where(y == 0, np.nan, x - np.floor(_divide(x, y)) * y)


def _round(x: Floats) -> Floats:
    """Half away from zero for positive numbers, as XPath's round: floor(x + 0.5)."""
    return np.floor(x + 0.5)


def _compare(test: Callable[[Any, Any], Any], ordered: bool) -> Function:
    def run(columns: list[Column]) -> Column:
        left, right = columns
        if left.numbers is None and right.numbers is None and not ordered:
            found = test(left.text(), right.text())
        else:
            found = test(left.need_numbers("a comparison"), right.need_numbers("a comparison"))
        return Column(np.where(left.missing | right.missing, np.nan, found.astype(np.float64)))

    return run


def _missing(wanted: bool) -> Function:
    return lambda columns: Column((columns[0].missing == wanted).astype(np.float64))


def _truth(columns: list[Column]) -> tuple[list[Bools], list[Bools]]:
    numbers = [one.need_numbers("a condition") for one in columns]
    return [one == 1 for one in numbers], [one == 0 for one in numbers]


def _and(columns: list[Column]) -> Column:
    true, false = _truth(columns)
    return Column(np.where(np.logical_or.reduce(false), 0.0, np.where(np.logical_and.reduce(true), 1.0, np.nan)))


def _or(columns: list[Column]) -> Column:
    true, false = _truth(columns)
    return Column(np.where(np.logical_or.reduce(true), 1.0, np.where(np.logical_and.reduce(false), 0.0, np.nan)))


def _if(columns: list[Column]) -> Column:
    """Two or three arguments: condition, then, else. An unknown condition gives missing."""
    condition = columns[0].need_numbers("a condition")
    n = len(condition)
    other = columns[2] if len(columns) == 3 else Column(np.full(n, np.nan))
    chosen = choose(condition == 1, columns[1], other)
    return choose(np.isnan(condition), Column(np.full(n, np.nan)), chosen) if np.isnan(condition).any() else chosen


def _is_in(wanted: bool) -> Function:
    def run(columns: list[Column]) -> Column:
        first = columns[0]
        same = _compare(lambda a, b: a == b, False)
        found = np.logical_or.reduce([same([first, other]).numbers == 1 for other in columns[1:]])
        return Column(np.where(first.missing, np.nan, (found == wanted).astype(np.float64)))

    return run


def _by_label(function: Callable[[str], str]) -> Function:
    def run(columns: list[Column]) -> Column:
        if columns[0].numbers is not None:
            raise ModelError("it changes the spelling of a number: the file is damaged")
        labels = np.array([*(function(label) for label in columns[0].labels), None], dtype=object)
        return from_text(labels[columns[0].codes])

    return run


def _substring(columns: list[Column]) -> Column:
    start, length = (_single(one, "substring") for one in columns[1:])
    return _by_label(lambda label: label[max(0, int(start) - 1) : max(0, int(start) - 1 + int(length))])(columns[:1])


def _single(column: Column, where: str) -> float:
    numbers = column.need_numbers(where)
    if len(numbers) and not (np.isfinite(numbers[0]) and (numbers == numbers[0]).all()):
        raise ModelError(f"its {where} has bounds that change from row to row, which is not read here")
    return float(numbers[0]) if len(numbers) else 0.0


def _concat(columns: list[Column]) -> Column:
    from workbench.models.pmml.columns import cast

    texts = [cast(one, "string").text() for one in columns]
    gone = np.logical_or.reduce([one.missing for one in columns])
    joined = ["".join(row) if not none else None for none, *row in zip(gone, *texts)]
    return from_text(np.array([*joined, None], dtype=object)[:-1])


def _length(columns: list[Column]) -> Column:
    sizes = np.array([*(float(len(label)) for label in columns[0].labels), np.nan])
    return Column(sizes[columns[0].codes])


def _erf(x: Floats) -> Floats:
    from scipy.special import erf

    return np.asarray(erf(x))


def _normal(x: Floats) -> Floats:
    from scipy.special import ndtr

    return np.asarray(ndtr(x))


MANY = 10**6
UNARY: dict[str, Callable[..., Any]] = {
    "abs": np.abs, "exp": np.exp, "expm1": np.expm1, "floor": np.floor, "ceil": np.ceil, "round": _round,
    "rint": np.rint, "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos,
    "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "stdNormalCDF": _normal, "erf": _erf,
    "sqrt": np.sqrt, "ln": np.log, "log10": np.log10, "ln1p": np.log1p,
    "not": lambda x: np.where(np.isnan(x), np.nan, x == 0),
}  # fmt: skip
BINARY: dict[str, Callable[..., Any]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": _divide, "pow": np.power, "threshold": _threshold,
    "modulo": _modulo, "hypot": np.hypot, "atan2": np.arctan2,
}  # fmt: skip
FOLDED: dict[str, Callable[[Floats], Floats]] = {
    "min": lambda x: np.nanmin(x, axis=0), "max": lambda x: np.nanmax(x, axis=0), "sum": lambda x: np.nansum(x, axis=0),
    "avg": lambda x: np.nanmean(x, axis=0), "median": lambda x: np.nanmedian(x, axis=0),
    "product": lambda x: np.nanprod(x, axis=0),
}  # fmt: skip
COMPARED: dict[str, tuple[Callable[[Any, Any], Any], bool]] = {
    "equal": (lambda a, b: a == b, False), "notEqual": (lambda a, b: a != b, False),
    "lessThan": (lambda a, b: a < b, True), "lessOrEqual": (lambda a, b: a <= b, True),
    "greaterThan": (lambda a, b: a > b, True), "greaterOrEqual": (lambda a, b: a >= b, True),
}  # fmt: skip
FUNCTIONS: dict[str, tuple[Function, int, int]] = {
    **{name: (_numbers(function), 1, 1) for name, function in UNARY.items()},
    **{name: (_numbers(function), 2, 2) for name, function in BINARY.items()},
    **{name: (_folded(function), 1, MANY) for name, function in FOLDED.items()},
    **{name: (_compare(*how), 2, 2) for name, how in COMPARED.items()},
    "isMissing": (_missing(True), 1, 1),
    "isNotMissing": (_missing(False), 1, 1),
    "isValid": (_missing(False), 1, 1),
    "isNotValid": (_missing(True), 1, 1),
    "and": (_and, 1, MANY),
    "or": (_or, 1, MANY),
    "if": (_if, 2, 3),
    "isIn": (_is_in(True), 2, MANY),
    "isNotIn": (_is_in(False), 2, MANY),
    "uppercase": (_by_label(str.upper), 1, 1),
    "lowercase": (_by_label(str.lower), 1, 1),
    "trimBlanks": (_by_label(lambda label: re.sub(r"^\s+|\s+$", "", label)), 1, 1),
    "substring": (_substring, 3, 3),
    "concat": (_concat, 1, MANY),
    "stringLength": (_length, 1, 1),
}
SEES_MISSING = ("isMissing", "isNotMissing", "isValid", "isNotValid", "and", "or", "if", "not", *FOLDED)
"""Functions that are asked even where an argument is missing."""
