"""PMML's transformations: an element becomes a function from the fields in scope to a column."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from workbench.models.pmml.columns import TEXT, Column, Expression, Scope, cast, choose, constant, guess_type
from workbench.models.pmml.document import Element
from workbench.models.pmml.fields import Interval
from workbench.models.pmml.functions import FUNCTIONS, SEES_MISSING, call
from workbench.models.protocol import ModelError

TAGS = ("Constant", "FieldRef", "NormContinuous", "NormDiscrete", "Discretize", "MapValues", "Apply")
KNOWN_BUT_NOT_READ = ("TextIndex", "Aggregate", "Lag")
DEAREST = 100_000
"""Calls that one call of a defined function may come to."""

Functions = dict[str, Callable[[Scope, list[Column]], Column]]
"""The document's own functions."""


def expression(owner: Element, functions: Functions | None = None) -> Expression:
    """The one expression inside an element. Raises ModelError for none, or one that is not read here."""
    inner = owner.first(*TAGS)
    if inner is None:
        odd = next((child.tag for child in owner.children if child.tag in KNOWN_BUT_NOT_READ), "nothing")
        raise ModelError(f"its <{owner.tag}> holds {odd} where one of {', '.join(TAGS)} can be read")
    return compiled(inner, functions or {})


def compiled(element: Element, functions: Functions) -> Expression:
    """An expression element as a function of the scope."""
    made = MAKERS.get(element.tag)
    if made is None:
        raise ModelError(f"it computes with <{element.tag[:40]}>, which is not read here: export the model without it")
    return made(element, functions)


def derived(owner: Element | None, functions: Functions | None = None) -> dict[str, Expression]:
    """The DerivedFields of a TransformationDictionary or LocalTransformations."""
    if owner is None:
        return {}
    return {field.need("name"): _typed(field, functions or {}) for field in owner.all("DerivedField")}


def defined(owner: Element | None) -> Functions:
    """The DefineFunctions of a TransformationDictionary; each may call those before it.

    Raises ModelError where functions call functions so often that a row would never be answered.
    """
    functions: Functions = {}
    cost: dict[str, int] = {}
    for found in owner.all("DefineFunction") if owner else ():
        name = found.need("name")
        cost[name] = 1 + sum(cost.get(call.get("function"), 1) for call in found.below("Apply"))
        if cost[name] > DEAREST:
            raise ModelError(f"its function {name[:40]!r} comes to more than {DEAREST} calls: it was made to hang")
        functions[name] = _own_function(found, dict(functions))
    return functions


def _typed(field: Element, functions: Functions) -> Expression:
    inner, data_type = expression(field, functions), field.get("dataType")
    return lambda scope: cast(inner(scope), data_type)


def _constant(element: Element, _: Functions) -> Expression:
    value = None if element.get("missing") == "true" else element.text
    data_type = element.get("dataType") or guess_type(element.text)
    return lambda scope: constant(value, scope.n, data_type)


def _field(element: Element, _: Functions) -> Expression:
    name, instead = element.need("field"), element.attributes.get("mapMissingTo")
    return lambda scope: _replaced(scope.get(name), instead)


def _replaced(column: Column, instead: str | None) -> Column:
    if instead is None or not column.missing.any():
        return column
    kind = "string" if column.numbers is None else "double"
    return choose(column.missing, constant(instead, len(column), kind), column)


def _norm_continuous(element: Element, _: Functions) -> Expression:
    """Piecewise linear; outside the points on the line of the outermost two, or as `outliers` says."""
    name, outliers = element.need("field"), element.get("outliers", "asIs")
    points = [(point.number("orig"), point.number("norm")) for point in element.all("LinearNorm")]
    x, y = (np.array(values) for values in zip(*points)) if points else (np.zeros(0), np.zeros(0))
    if len(x) < 2 or not (np.diff(x) > 0).all() or outliers not in ("asIs", "asMissingValues", "asExtremeValues"):
        raise ModelError("its NormContinuous has fewer than two rising points, or treats outliers in an unknown way")
    instead = element.attributes.get("mapMissingTo")

    def run(scope: Scope) -> Column:
        value = scope.get(name).need_numbers("NormContinuous")
        place = np.clip(np.searchsorted(x, value, side="right") - 1, 0, len(x) - 2)
        out = y[place] + (value - x[place]) / (x[place + 1] - x[place]) * (y[place + 1] - y[place])
        outside = (value < x[0]) | (value > x[-1])
        if outliers == "asExtremeValues":
            out = np.where(outside, np.where(value < x[0], y[0], y[-1]), out)
        elif outliers == "asMissingValues":
            out = np.where(outside, np.nan, out)
        return _replaced(Column(out), instead)

    return run


def _norm_discrete(element: Element, _: Functions) -> Expression:
    name, value, instead = element.need("field"), element.need("value"), element.attributes.get("mapMissingTo")

    def run(scope: Scope) -> Column:
        column = scope.get(name)
        flag = column.same(value, "NormDiscrete").astype(np.float64)
        return _replaced(Column(np.where(column.missing, np.nan, flag)), instead)

    return run


def _discretize(element: Element, _: Functions) -> Expression:
    name, kind = element.need("field"), element.get("dataType")
    bins = []
    for one in element.all("DiscretizeBin"):
        found = one.first("Interval")
        if found is None:
            raise ModelError("its DiscretizeBin has no Interval: the file is damaged")
        bins.append((Interval.of(found), one.need("binValue")))
    kind = kind or ("string" if any(guess_type(value) in TEXT for _, value in bins) else "double")
    default, instead = element.attributes.get("defaultValue"), element.attributes.get("mapMissingTo")

    def run(scope: Scope) -> Column:
        column = scope.get(name)
        out = constant(default, scope.n, kind)
        for interval, value in reversed(bins):
            out = choose(interval.holds(column), constant(value, scope.n, kind), out)
        return choose(column.missing, constant(instead, scope.n, kind), out) if column.missing.any() else out

    return run


def _map_values(element: Element, _: Functions) -> Expression:
    pairs = [(pair.need("field"), pair.need("column")) for pair in element.all("FieldColumnPair")]
    table, output = element.first("InlineTable"), element.need("outputColumn")
    if table is None or not pairs:
        raise ModelError("its MapValues has no InlineTable or no columns, which is not read here")
    cells = [{cell.tag: cell.text for cell in row.children} for row in table.all("row")]
    rows = [row for row in cells if output in row and all(column in row for _, column in pairs)]
    kind = element.get("dataType")
    kind = kind or ("string" if any(guess_type(row[output]) in TEXT for row in rows) else "double")
    default, instead = element.attributes.get("defaultValue"), element.attributes.get("mapMissingTo")

    def run(scope: Scope) -> Column:
        columns = [scope.get(name) for name, _ in pairs]
        out = constant(default, scope.n, kind)
        for row in reversed(rows):
            hits = [one.same(row[column], "MapValues") for one, (_, column) in zip(columns, pairs)]
            out = choose(np.logical_and.reduce(hits), constant(row[output], scope.n, kind), out)
        missing = np.logical_or.reduce([one.missing for one in columns])
        return choose(missing, constant(instead, scope.n, kind), out) if missing.any() else out

    return run


def _apply(element: Element, functions: Functions) -> Expression:
    name = element.need("function")
    arguments = [compiled(child, functions) for child in element.children]
    if name not in functions and name not in FUNCTIONS:
        call(name, [])
    run = functions[name] if name in functions else _built_in(name)
    default, instead = element.attributes.get("defaultValue"), element.attributes.get("mapMissingTo")
    sees = name in SEES_MISSING or name in functions

    def answer(scope: Scope) -> Column:
        columns = [argument(scope) for argument in arguments]
        out = run(scope, columns)
        gone = np.zeros(scope.n, bool) if sees else np.logical_or.reduce([one.missing for one in columns])
        if gone.any():
            kind = "string" if out.numbers is None else "double"
            out = choose(gone, constant(instead, scope.n, kind), out)
        failed = out.missing & ~gone
        if default is None or not failed.any():
            return out
        return choose(failed, constant(default, scope.n, "string" if out.numbers is None else "double"), out)

    return answer


def _built_in(name: str) -> Callable[[Scope, list[Column]], Column]:
    return lambda _, columns: call(name, columns)


def _own_function(element: Element, functions: Functions) -> Callable[[Scope, list[Column]], Column]:
    names = [one.need("name") for one in element.all("ParameterField")]
    body, data_type = expression(element, functions), element.get("dataType")

    def run(scope: Scope, columns: list[Column]) -> Column:
        if len(columns) != len(names):
            raise ModelError(
                f"its function {element.get('name')!r} takes {len(names)} arguments and gets {len(columns)}"
            )
        return cast(body(Scope(scope.n, dict(zip(names, columns)))), data_type)

    return run


MAKERS: dict[str, Callable[[Element, Functions], Expression]] = {
    "Constant": _constant,
    "FieldRef": _field,
    "NormContinuous": _norm_continuous,
    "NormDiscrete": _norm_discrete,
    "Discretize": _discretize,
    "MapValues": _map_values,
    "Apply": _apply,
}
