"""PMML's predicates, in three values: 1 true, 0 false, -1 unknown, because a value it asks for is missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.models.pmml.columns import Ints, Scope
from workbench.models.pmml.document import Element, array
from workbench.models.protocol import ModelError

Truth = NDArray[np.int8]
Predicate = Callable[[Scope, Ints], Truth]
"""(scope, rows) → the truth for each of these rows."""

TAGS = ("True", "False", "SimplePredicate", "SimpleSetPredicate", "CompoundPredicate")
ORDER: dict[str, Callable[[Any, Any], Any]] = {
    "lessThan": np.less,
    "lessOrEqual": np.less_equal,
    "greaterThan": np.greater,
    "greaterOrEqual": np.greater_equal,
}


def predicate(owner: Element) -> Predicate:
    """The predicate of a node, segment or attribute. Raises ModelError where it has none."""
    found = owner.first(*TAGS)
    if found is None:
        raise ModelError(f"its <{owner.tag}> has no predicate: the file is damaged")
    return compiled(found)


def compiled(element: Element) -> Predicate:
    if element.tag in ("True", "False"):
        value = np.int8(element.tag == "True")
        return lambda _, rows: np.full(len(rows), value, np.int8)
    if element.tag == "SimplePredicate":
        return _simple(element)
    if element.tag == "SimpleSetPredicate":
        return _set(element)
    return _compound(element)


def _simple(element: Element) -> Predicate:
    name, operator = element.need("field"), element.need("operator")
    if operator in ("isMissing", "isNotMissing"):
        wanted = operator == "isMissing"
        return lambda scope, rows: (scope.get(name).missing[rows] == wanted).astype(np.int8)
    value = element.need("value")
    if operator in ("equal", "notEqual"):
        return _equal(name, value, operator == "equal")
    if operator not in ORDER:
        raise ModelError(f"its predicate compares by {operator[:40]!r}, which PMML does not know")
    compare = ORDER[operator]

    def run(scope: Scope, rows: Ints) -> Truth:
        column = scope.get(name)
        numbers = column.need_numbers(f"a comparison of {name!r}")[rows]
        with np.errstate(invalid="ignore"):
            found = compare(numbers, column.read(value, "predicate")).astype(np.int8)
        found[np.isnan(numbers)] = -1
        return np.asarray(found)

    return run


def _equal(name: str, value: str, wanted: bool) -> Predicate:
    def run(scope: Scope, rows: Ints) -> Truth:
        column = scope.get(name).at(rows)
        found = (column.same(value, "predicate") == wanted).astype(np.int8)
        found[column.missing] = -1
        return np.asarray(found)

    return run


def _set(element: Element) -> Predicate:
    name, operator, listed = element.need("field"), element.need("booleanOperator"), element.first("Array")
    if listed is None or operator not in ("isIn", "isNotIn"):
        raise ModelError("its set predicate has no Array, or an operator that PMML does not know")
    values = array(listed)

    def run(scope: Scope, rows: Ints) -> Truth:
        column = scope.get(name).at(rows)
        found = np.zeros(len(rows), dtype=bool)
        if column.numbers is None:
            inside = np.array([*(label in members for label in column.labels), False])
            found = inside[column.codes]
        else:
            found = np.isin(column.numbers, [column.read(value, "set") for value in values])
        truth = (found == (operator == "isIn")).astype(np.int8)
        truth[column.missing] = -1
        return np.asarray(truth)

    members = frozenset(values)
    return run


def _compound(element: Element) -> Predicate:
    operator = element.need("booleanOperator")
    parts = [compiled(child) for child in element.all(*TAGS)]
    if operator not in ("and", "or", "xor", "surrogate") or not parts:
        raise ModelError(f"its compound predicate joins {len(parts)} parts by {operator[:40]!r}: the file is damaged")

    def run(scope: Scope, rows: Ints) -> Truth:
        found = np.stack([part(scope, rows) for part in parts])
        return JOINS[operator](found)

    return run if operator != "surrogate" else _surrogate(parts)


def _surrogate(parts: list[Predicate]) -> Predicate:
    """The first predicate that is not unknown."""

    def run(scope: Scope, rows: Ints) -> Truth:
        truth = np.full(len(rows), -1, dtype=np.int8)
        for part in parts:
            open_ = np.flatnonzero(truth < 0)
            if not len(open_):
                break
            truth[open_] = part(scope, rows[open_])
        return truth

    return run


def _and(found: Truth) -> Truth:
    return np.where((found == 0).any(axis=0), 0, np.where((found == 1).all(axis=0), 1, -1)).astype(np.int8)


def _or(found: Truth) -> Truth:
    return np.where((found == 1).any(axis=0), 1, np.where((found == 0).all(axis=0), 0, -1)).astype(np.int8)


def _xor(found: Truth) -> Truth:
    return np.where((found < 0).any(axis=0), -1, (found == 1).sum(axis=0) % 2).astype(np.int8)


JOINS: dict[str, Callable[[Truth], Truth]] = {"and": _and, "or": _or, "xor": _xor}
