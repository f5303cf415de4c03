"""PMML's RegressionModel and Scorecard."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import expit, ndtr, softmax

from workbench.models.pmml.answers import Answer, Run, decided
from workbench.models.pmml.columns import Floats, Scope
from workbench.models.pmml.document import Element
from workbench.models.pmml.expressions import TAGS, Functions, expression
from workbench.models.pmml.predicates import predicate
from workbench.models.protocol import ModelError

Term = Callable[[Scope], Floats]

LINKS: dict[str, Callable[[Floats], Floats]] = {
    "none": lambda y: y,
    "logit": lambda y: np.asarray(expit(y)),
    "probit": lambda y: np.asarray(ndtr(y)),
    "cloglog": lambda y: -np.expm1(-np.exp(y)),
    "loglog": lambda y: np.exp(-np.exp(-y)),
    "cauchit": lambda y: 0.5 + np.arctan(y) / np.pi,
    "exp": np.exp,
    # PMML 4.4: for a regression, softmax is the logistic function.
    "softmax": lambda y: np.asarray(expit(y)),
}
"""From a linear sum to the answer (PMML 4.4, RegressionModel, normalizationMethod)."""


def regression(model: Element, classes: tuple[str, ...]) -> Run:
    """A RegressionModel as a function of the fields. classes: () for a regression."""
    method = model.get("normalizationMethod", "none")
    if method not in (*LINKS, "simplemax"):
        raise ModelError(f"its regression is normalised by {method[:40]!r}, which PMML does not know")
    tables = list(model.all("RegressionTable"))
    if not tables:
        raise ModelError("its RegressionModel has no RegressionTable: the file was cut short")
    if classes:
        return _classified(tables, classes, method)
    if len(tables) > 1 or method == "simplemax":
        raise ModelError(f"its regression has {len(tables)} tables and is normalised by {method!r}: it is damaged")
    total = _table(tables[0])

    def run(scope: Scope) -> Answer:
        with np.errstate(over="ignore"):
            return Answer(LINKS[method](total(scope)))

    return run


def _table(table: Element) -> Term:
    """Intercept plus terms, added in the document's order. A missing number makes the sum missing."""
    intercept = table.number("intercept")
    terms = [TERMS[child.tag](child) for child in table.children if child.tag in TERMS]

    def total(scope: Scope) -> Floats:
        out = np.full(scope.n, intercept)
        for term in terms:
            out = out + term(scope)
        return out

    return total


def _numeric(element: Element) -> Term:
    name, exponent, coefficient = element.need("name"), element.number("exponent", 1.0), element.number("coefficient")

    def term(scope: Scope) -> Floats:
        x = scope.get(name).need_numbers(f"the numeric predictor {name!r}")
        return coefficient * (x if exponent == 1.0 else x**exponent)

    return term


def _categorical(element: Element) -> Term:
    """The coefficient where the field has the value, else 0; where it is missing, 0 too."""
    name, value, coefficient = element.need("name"), element.need("value"), element.number("coefficient")
    return lambda scope: np.where(scope.get(name).same(value, "categorical predictor"), coefficient, 0.0)


def _product(element: Element) -> Term:
    names, coefficient = [one.need("field") for one in element.all("FieldRef")], element.number("coefficient")

    def term(scope: Scope) -> Floats:
        out = np.full(scope.n, coefficient)
        for name in names:
            out = out * scope.get(name).need_numbers(f"the predictor term of {name!r}")
        return out

    return term


TERMS: dict[str, Callable[[Element], Term]] = {
    "NumericPredictor": _numeric,
    "CategoricalPredictor": _categorical,
    "PredictorTerm": _product,
}


def _classified(tables: list[Element], classes: tuple[str, ...], method: str) -> Run:
    named = [table.need("targetCategory") for table in tables]
    if sorted(named) != sorted(set(named) & set(classes)) or len(named) != len(classes) or method == "exp":
        raise ModelError(f"its regression has tables for {named[:8]}, and its classes are {list(classes)[:8]}")
    order = [named.index(label) for label in classes]
    totals = [_table(table) for table in tables]

    def run(scope: Scope) -> Answer:
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            scores = _normalised(np.column_stack([total(scope) for total in totals]), method)
        return decided(classes, scores[:, order])

    return run


def _normalised(y: Floats, method: str) -> Floats:
    """Sums [n, k] as probabilities. With two classes a link gives the first, and the second is the rest."""
    if method == "softmax":
        return np.asarray(softmax(y, axis=1))
    if method == "simplemax":
        return np.asarray(y / y.sum(axis=1, keepdims=True))
    p = LINKS[method](y)
    if method == "none" or y.shape[1] == 2:
        p[:, -1] = 1.0 - p[:, :-1].sum(axis=1)
    return p


def scorecard(model: Element, functions: Functions) -> Run:
    """Initial score plus, of each characteristic, the partial score of the first attribute that is true.

    A row that no attribute of a characteristic takes has no answer.
    """
    parts, initial = characteristics(model, functions), model.number("initialScore", 0.0)

    def run(scope: Scope) -> Answer:
        out = np.full(scope.n, initial)
        for part in parts:
            out = out + part(scope)
        return Answer(out)

    return run


def characteristics(model: Element, functions: Functions) -> list[Term]:
    """The partial scores of a Scorecard, NaN where no attribute takes a row."""
    found = model.first("Characteristics")
    parts = [_characteristic(one, functions) for one in found.all("Characteristic")] if found else []
    if not parts:
        raise ModelError("its Scorecard has no characteristics: the file was cut short")
    return parts


def _characteristic(element: Element, functions: Functions) -> Term:
    attributes = [(predicate(one), _partial(one, functions)) for one in element.all("Attribute")]

    def term(scope: Scope) -> Floats:
        out, rows = np.full(scope.n, np.nan), np.arange(scope.n)
        for test, score in attributes:
            hit = test(scope, rows) == 1
            out[rows[hit]] = score(scope)[rows[hit]]
            rows = rows[~hit]
        return out

    return term


def _partial(attribute: Element, functions: Functions) -> Term:
    complex_ = attribute.first("ComplexPartialScore")
    if complex_ is None or complex_.first(*TAGS) is None:
        score = attribute.number("partialScore")
        return lambda scope: np.full(scope.n, score)
    computed = expression(complex_, functions)
    return lambda scope: computed(scope).need_numbers("a partial score")
