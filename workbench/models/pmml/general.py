"""PMML's GeneralRegressionModel: generalised linear and multinomial models by parameters, as R's glm is exported.

A parameter's value in a row is the product of its cells: a covariate to a power, a factor's value or not; a parameter
without cells is 1. Source: https://dmg.org/pmml/v4-4-1/GeneralRegression.html.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import expit, ndtr, softmax

from workbench.models.pmml.answers import Answer, Run, decided
from workbench.models.pmml.columns import TEXT, Floats, Scope
from workbench.models.pmml.document import Element
from workbench.models.pmml.fields import DataField, MiningField
from workbench.models.pmml.linear import checked
from workbench.models.protocol import ModelError, Plain

TYPES = ("regression", "generalLinear", "generalizedLinear", "logLinear", "multinomialLogistic")
LINKS: dict[str, Callable[[Floats], Floats]] = {
    "identity": lambda x: x,
    "log": np.exp,
    "logit": lambda x: np.asarray(expit(x)),
    "logc": lambda x: 1.0 - np.exp(x),
    "cloglog": lambda x: -np.expm1(-np.exp(x)),
    "loglog": lambda x: np.exp(-np.exp(-x)),
    "probit": lambda x: np.asarray(ndtr(x)),
    "cauchit": lambda x: 0.5 + np.arctan(x) / np.pi,
}
"""From the linear predictor to the mean."""
Term = Callable[[Scope], Floats]


def general(model: Element, classes: tuple[str, ...]) -> Run:
    """A GeneralRegressionModel as a function of the fields. classes: () for a regression."""
    kind = model.get("modelType")
    if kind not in TYPES:
        raise ModelError(f"its general regression is of the type {kind[:40]!r}, which is not read here: {TYPES}")
    for tag in ("BaseCumHazardTables", "EventValues"):
        if model.first(tag) is not None:
            raise ModelError(
                f"its general regression has <{tag}>, which is not read here: give its answers as column:NAME"
            )
    for name in ("trialsVariable", "trialsValue"):
        if model.get(name):
            raise ModelError(f"its general regression counts trials ({name}), which is not read here")
    terms, betas = _terms(model), _betas(model)
    sums = {category: _sum(model, terms, cells) for category, cells in betas.items()}
    if kind == "multinomialLogistic":
        return _multinomial(model, classes, sums)
    if len(sums) != 1 or (not classes and list(sums) != [""]):
        raise ModelError("its general regression has coefficients of several categories, which its type does not have")
    link, (event, total) = _link(model, kind), next(iter(sums.items()))
    if not classes:
        return lambda scope: Answer(link(total(scope)))
    return _binary(model, classes, event, total, link)


def _link(model: Element, kind: str) -> Callable[[Floats], Floats]:
    name = {"generalizedLinear": model.get("linkFunction", "identity"), "logLinear": "log"}.get(kind, "identity")
    if name == "power":
        power = model.number("linkParameter")
        return (lambda x: np.exp(x)) if power == 0 else (lambda x: np.power(x, 1.0 / power))
    if name not in LINKS:
        raise ModelError(f"its general regression has the link {name[:40]!r}, which is not read here: {list(LINKS)}")
    return LINKS[name]


def _terms(model: Element) -> dict[str, Term]:
    """By parameter: its value in each row."""
    factors = _listed(model, "FactorList")
    covariates = _listed(model, "CovariateList")
    found: dict[str, list[Term]] = {}
    listed = model.first("ParameterList")
    for one in listed.all("Parameter") if listed else ():
        found.setdefault(one.need("name"), [])
    matrix = model.first("PPMatrix")
    for cell in matrix.all("PPCell") if matrix else ():
        if cell.get("targetCategory"):
            raise ModelError("a parameter of its general regression depends on the category, which is not read here")
        name = cell.need("predictorName")
        if name not in factors and name not in covariates:
            raise ModelError(f"its general regression names the predictor {name[:60]!r}, which it does not list")
        term = _factor(cell, name) if name in factors else _covariate(cell, name)
        found.setdefault(cell.need("parameterName"), []).append(term)
    return {name: _product(terms) for name, terms in found.items()}


def _listed(model: Element, tag: str) -> set[str]:
    found = model.first(tag)
    predictors = list(found.all("Predictor")) if found else []
    if any(one.first("Categories", "Matrix") is not None for one in predictors):
        raise ModelError("a factor of its general regression has a contrast matrix, which is not read here")
    return {one.need("name") for one in predictors}


def _factor(cell: Element, name: str) -> Term:
    """1 where the factor has the value, 0 where another; missing stays missing."""
    value = cell.need("value")

    def term(scope: Scope) -> Floats:
        column = scope.get(name)
        return np.where(column.missing, np.nan, column.same(value, f"factor {name!r}"))

    return term


def _covariate(cell: Element, name: str) -> Term:
    power = cell.number("value")

    def term(scope: Scope) -> Floats:
        x = scope.get(name).need_numbers(f"the covariate {name!r}")
        with np.errstate(all="ignore"):
            return x if power == 1.0 else np.power(x, power)

    return term


def _product(terms: list[Term]) -> Term:
    def product(scope: Scope) -> Floats:
        out = np.ones(scope.n)
        for term in terms:
            out = out * term(scope)
        return out

    return product


def _betas(model: Element) -> dict[str, list[tuple[str, float]]]:
    """By category ("" where none is named): parameter and coefficient."""
    matrix = model.first("ParamMatrix")
    found: dict[str, list[tuple[str, float]]] = {}
    for cell in matrix.all("PCell") if matrix else ():
        found.setdefault(cell.get("targetCategory"), []).append((cell.need("parameterName"), cell.number("beta")))
    if not found:
        raise ModelError("its general regression has no coefficients: the file was cut short")
    return found


def _sum(model: Element, terms: dict[str, Term], cells: list[tuple[str, float]]) -> Term:
    """The linear predictor, its offset included."""
    strange = [name for name, _ in cells if name not in terms]
    if strange:
        raise ModelError(
            f"its general regression has a coefficient of {strange[0][:60]!r}, which is no parameter of it"
        )
    fixed, variable = model.number("offsetValue", 0.0), model.get("offsetVariable")

    def total(scope: Scope) -> Floats:
        out = np.full(scope.n, fixed)
        if variable:
            out = out + scope.get(variable).need_numbers("the offset")
        for name, beta in cells:
            out = out + beta * terms[name](scope)
        return out

    return total


def _binary(model: Element, classes: tuple[str, ...], event: str, total: Term, link: Callable[[Floats], Floats]) -> Run:
    """The mean is the probability of the category that the coefficients name, else of the one that is not the
    reference, else of the last."""
    reference = model.get("targetReferenceCategory")
    event = _event(model, classes, event)
    if len(classes) != 2 or event not in classes or event == reference or (reference and reference not in classes):
        raise ModelError(f"its general regression is for {event[:40]!r}, and its classes are {list(classes)[:8]}")
    second = classes.index(event) == 1

    def run(scope: Scope) -> Answer:
        with np.errstate(over="ignore"):
            p = link(total(scope))
        scores = np.column_stack([1.0 - p, p])
        return decided(classes, scores if second else scores[:, ::-1])

    return run


def _multinomial(model: Element, classes: tuple[str, ...], sums: dict[str, Term]) -> Run:
    """Softmax over the linear predictors, the reference category's being 0."""
    reference = model.get("targetReferenceCategory")
    without = [label for label in classes if label not in sums]
    if not classes or set(sums) - set(classes) or (without != [reference] if reference else len(without) > 1):
        raise ModelError(f"its coefficients are for {list(sums)[:8]}, and its classes are {list(classes)[:8]}")

    def run(scope: Scope) -> Answer:
        parts = [sums[label](scope) if label in sums else np.zeros(scope.n) for label in classes]
        return decided(classes, np.asarray(softmax(np.column_stack(parts), axis=1)))

    return run


def parameters(
    model: Element, classes: tuple[str, ...], active: list[MiningField], fields: dict[str, DataField]
) -> dict[str, Plain]:
    """A general regression as plain data, where it fits: then it can be lifted.

    `covariates` [[field, power]], `factors` [[field, value]], `terms`: of each parameter the places of its cells in
    both lists, one after the other; `betas` [parameters][K] for the K `tables` (categories); `offset`, `offsets` (the
    field that is added, ""); `link`, of a classification `event` (the category whose probability it gives, "" for a
    softmax); `strict`, `listed` as in `linear`. The document was read before. Raises ModelError saying what does not
    fit.
    """
    known = {one.name: fields[one.name] for one in active}
    strict = [one.name for one in active if checked(one, known[one.name])]
    kind, betas = model.get("modelType"), _betas(model)
    cells: dict[str, list[tuple[str, str, float]]] = {}
    for one in model.below("Parameter"):
        cells.setdefault(one.need("name"), [])
    factors = _listed(model, "FactorList")
    for cell in model.below("PPCell"):
        name = cell.need("predictorName")
        if name not in known or (known[name].data_type in TEXT) != (name in factors):
            raise ModelError(f"its predictor {name[:60]!r} is no raw number, or no raw text's value")
        made = (name, cell.need("value"), 1.0) if name in factors else (name, "", cell.number("value"))
        cells.setdefault(cell.need("parameterName"), []).append(made)
    if (offset := model.get("offsetVariable")) and (offset not in known or known[offset].data_type in TEXT):
        raise ModelError(f"its offset {offset[:60]!r} is no raw number")
    used = [name for name in cells if any(name == one for table in betas.values() for one, _ in table)]
    every = list(dict.fromkeys(cell for name in used for cell in cells[name]))
    covariates, listed = [cell for cell in every if not cell[1]], [cell for cell in every if cell[1]]
    order = {cell: place for place, cell in enumerate([*covariates, *listed])}
    rows = {category: dict[str, float]() for category in betas}
    for category, table in betas.items():
        for name, beta in table:
            rows[category][name] = rows[category].get(name, 0.0) + beta
    link = "softmax" if kind == "multinomialLogistic" else _name(model, kind)
    return {
        "covariates": [[name, power] for name, _, power in covariates],
        "factors": [[name, value] for name, value, _ in listed],
        "terms": [[order[cell] for cell in cells[name]] for name in used],
        "betas": [[rows[category].get(name, 0.0) for category in rows] for name in used],
        "tables": list[Plain](rows),
        "offset": model.number("offsetValue", 0.0),
        "offsets": offset,
        "link": link,
        "event": "" if not classes or link == "softmax" else _event(model, classes, next(iter(betas))),
        "strict": list[Plain](strict),
        "listed": {name: list[Plain](known[name].valid) for name in known if known[name].data_type in TEXT},
    }


def _name(model: Element, kind: str) -> str:
    """The link by its own name; a power of 0 is the logarithm."""
    name = {"generalizedLinear": model.get("linkFunction", "identity"), "logLinear": "log"}.get(kind, "identity")
    if name == "power" and model.number("linkParameter") != 0:
        raise ModelError("its link is a power")
    return "log" if name == "power" else name


def _event(model: Element, classes: tuple[str, ...], named: str) -> str:
    others = [label for label in classes if label != model.get("targetReferenceCategory")]
    return named or others[-1]
