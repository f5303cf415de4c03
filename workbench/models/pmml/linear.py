"""PMML regressions as plain coefficients, where they fit: then they can be lifted.

They fit where every term is a raw number or a raw text's value, and nothing is replaced or rescaled on the way.
"""

from __future__ import annotations

from workbench.models.pmml.columns import TEXT
from workbench.models.pmml.document import Element
from workbench.models.pmml.fields import DataField, MiningField
from workbench.models.protocol import ModelError, Plain

LINKS = {"none": "identity", "exp": "exp", "logit": "sigmoid", "softmax": "softmax"}


def coefficients(
    model: Element, classes: tuple[str, ...], active: list[MiningField], fields: dict[str, DataField]
) -> dict[str, Plain]:
    """`link`, `intercepts` of the K tables, `tables` (their categories), `numbers` {field: [K]} and `values`
    {field: {value: [K]}}; `strict`: the text fields in which a value that is not listed leaves no answer.

    Raises ModelError saying what of the model does not fit.
    """
    tables = list(model.all("RegressionTable"))
    link = LINKS.get(model.get("normalizationMethod", "none"))
    if (
        link is None
        or (classes and link in ("identity", "exp"))
        or (classes and link == "sigmoid" and len(classes) > 2)
    ):
        raise ModelError(f"its regression is normalised by {model.get('normalizationMethod')!r}")
    if not classes and model.first("Targets") is not None:
        raise ModelError("its target is rescaled or rounded")
    known = {one.name: fields[one.name] for one in active}
    strict = [one.name for one in active if checked(one, known[one.name])]
    numbers: dict[str, list[float]] = {}
    values: dict[str, dict[str, list[float]]] = {name: {} for name in strict}
    for place, table in enumerate(tables):
        for term in table.children:
            if term.tag == "PredictorTerm":
                raise ModelError("it multiplies predictors with each other")
            if term.tag not in ("NumericPredictor", "CategoricalPredictor"):
                continue
            name = term.need("name")
            if name not in known or (known[name].data_type in TEXT) != (term.tag == "CategoricalPredictor"):
                raise ModelError(f"its term of {name[:60]!r} is no raw number, or no raw text's value")
            if term.tag == "NumericPredictor":
                if term.number("exponent", 1.0) != 1.0:
                    raise ModelError("it has a predictor to a power")
                row = numbers.setdefault(name, [0.0] * len(tables))
            else:
                row = values.setdefault(name, {}).setdefault(term.need("value"), [0.0] * len(tables))
            row[place] += term.number("coefficient")
    return {
        "link": "sigmoid" if not classes and link == "softmax" else link,
        "intercepts": [table.number("intercept") for table in tables],
        "tables": [table.get("targetCategory") for table in tables],
        "numbers": {name: list[Plain](row) for name, row in numbers.items()},
        "values": {name: _listed(known[name], rows, len(tables)) for name, rows in values.items()},
        "strict": list[Plain](strict),
    }


def checked(one: MiningField, field: DataField) -> bool:
    """Whether a value of a text field that is not listed leaves no answer. Raises ModelError where values change."""
    changed = one.replacement is not None or one.outliers != "asIs" or field.missing or field.invalid or field.intervals
    if changed or one.invalid not in ("", "returnInvalid", "asIs"):
        raise ModelError(f"its field {one.name[:60]!r} replaces missing, invalid or extreme values")
    if field.data_type not in TEXT:
        if field.valid or field.data_type == "float":
            raise ModelError(f"its field {one.name[:60]!r} has listed or float32 numbers")
        return False
    return bool(field.valid) and one.invalid != "asIs"


def _listed(field: DataField, rows: dict[str, list[float]], count: int) -> dict[str, Plain]:
    """A row for every value that is listed, 0 where it has no term."""
    every = dict.fromkeys((*field.valid, *rows))
    return {value: list[Plain](rows.get(value, [0.0] * count)) for value in every}
