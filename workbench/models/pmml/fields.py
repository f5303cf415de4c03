"""DataDictionary and MiningSchema: what comes in, and what becomes of missing, invalid and extreme values.

Order per value, as PMML 4.4 (Mining Schema): what counts as missing or invalid; the invalid value's treatment;
outliers; the replacement of what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from workbench.models.pmml.columns import NUMERIC, TEXT, Bools, Column, cast, choose, constant, from_text
from workbench.models.pmml.document import Element
from workbench.models.protocol import Input, ModelError

TREATMENTS = ("returnInvalid", "asIs", "asMissing", "asValue")
OUTLIERS = ("asIs", "asMissingValues", "asExtremeValues")


@dataclass(frozen=True)
class Interval:
    left: float
    right: float
    closure: str

    @classmethod
    def of(cls, element: Element) -> Interval:
        closure = element.need("closure")
        if closure not in ("openOpen", "openClosed", "closedOpen", "closedClosed"):
            raise ModelError(f"its interval has the closure {closure[:40]!r}, which PMML does not know")
        return cls(element.number("leftMargin", -np.inf), element.number("rightMargin", np.inf), closure)

    def holds(self, column: Column) -> Bools:
        x = column.need_numbers("an interval")
        above = x >= self.left if self.closure.startswith("closed") else x > self.left
        below = x <= self.right if self.closure.endswith("Closed") else x < self.right
        return np.asarray(above & below)


@dataclass(frozen=True)
class DataField:
    """valid, invalid, missing: listed values, by property; intervals: of valid numbers."""

    name: str
    optype: str
    data_type: str
    valid: tuple[str, ...] = ()
    invalid: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    intervals: tuple[Interval, ...] = ()

    @classmethod
    def of(cls, element: Element) -> DataField:
        listed: dict[str, list[str]] = {"valid": [], "invalid": [], "missing": []}
        for value in element.all("Value"):
            listed.setdefault(value.get("property", "valid"), []).append(value.need("value"))
        return cls(
            element.need("name"),
            element.get("optype", "continuous"),
            element.get("dataType", "double"),
            tuple(listed["valid"]),
            tuple(listed["invalid"]),
            tuple(listed["missing"]),
            tuple(Interval.of(part) for part in element.all("Interval")),
        )

    @property
    def input(self) -> Input:
        """The raw column. Raises ModelError for dates and times, which are not read here."""
        if self.data_type in TEXT:
            if not self.valid:
                return Input(self.name, "text")
            return Input(self.name, "category", (*self.valid, *self.invalid, *self.missing))
        if self.data_type not in NUMERIC:
            raise ModelError(
                f"its field {self.name!r} holds values of the type {self.data_type!r}, which is not read here: "
                "export the model with numbers in their place"
            )
        return Input(self.name, "number")

    def read(self, series: pd.Series[Any]) -> Column:
        if self.data_type in TEXT:
            return from_text(series.to_numpy(dtype=object))
        return cast(Column(series.to_numpy(dtype=np.float64)), self.data_type)

    def is_invalid(self, column: Column) -> Bools:
        wrong = np.zeros(len(column), dtype=bool)
        if self.valid:
            wrong |= ~_among(column, self.valid)
        if self.intervals:
            wrong |= ~np.logical_or.reduce([interval.holds(column) for interval in self.intervals])
        return np.asarray((wrong | _among(column, self.invalid)) & ~column.missing)


def _among(column: Column, values: tuple[str, ...]) -> Bools:
    found = np.zeros(len(column), dtype=bool)
    for value in values:
        found |= column.same(value, "value of a field")
    return found


@dataclass(frozen=True)
class MiningField:
    """What a model does with a field's values before it uses them."""

    name: str
    usage: str = "active"
    invalid: str = ""
    invalid_value: str | None = None
    replacement: str | None = None
    outliers: str = "asIs"
    low: float = -np.inf
    high: float = np.inf

    @classmethod
    def of(cls, element: Element) -> MiningField:
        invalid, outliers = element.get("invalidValueTreatment"), element.get("outliers", "asIs")
        if invalid not in ("", *TREATMENTS) or outliers not in OUTLIERS:
            raise ModelError(f"it treats invalid values or outliers by {invalid or outliers!r}, which is not read here")
        replacement = element.attributes.get("missingValueReplacement")
        if element.get("missingValueTreatment") == "returnInvalid" and replacement is None:
            raise ModelError(
                "it refuses missing values (missingValueTreatment='returnInvalid'), which is not read here"
            )
        return cls(
            element.need("name"),
            element.get("usageType", "active"),
            invalid,
            element.attributes.get("invalidValueReplacement"),
            replacement,
            outliers,
            element.number("lowValue", -np.inf),
            element.number("highValue", np.inf),
        )

    def prepare(self, column: Column, field: DataField | None, top: bool) -> tuple[Column, Bools]:
        """The treated column, and the rows whose answer is invalid because of it.

        top: the outermost model, where an invalid value makes the answer invalid unless something else is said.
        """
        none = np.zeros(len(column), dtype=bool)
        treatment, spoilt = self.invalid or ("returnInvalid" if top else "asIs"), none
        if field is not None:
            column = _without(column, _among(column, field.missing))
            wrong = field.is_invalid(column)
            if treatment == "returnInvalid":
                spoilt = wrong if top else none
                column = _without(column, wrong) if top else column
            elif treatment == "asMissing":
                column = _without(column, wrong)
            elif treatment == "asValue" and wrong.any():
                column = choose(wrong, constant(self.invalid_value, len(column), field.data_type), column)
        if self.outliers != "asIs" and column.numbers is not None:
            column = self._within(column)
        if self.replacement is not None and column.missing.any():
            kind = "string" if column.numbers is None else "double"
            single = column.single
            column = choose(column.missing, constant(self.replacement, len(column), kind), column)
            column = cast(column, "float") if single else column
        return column, spoilt

    def _within(self, column: Column) -> Column:
        x = column.need_numbers("an outlier")
        if self.outliers == "asExtremeValues":
            return Column(np.clip(x, self.low, self.high), single=column.single)
        return Column(np.where((x < self.low) | (x > self.high), np.nan, x), single=column.single)


def _without(column: Column, rows: Bools) -> Column:
    if not rows.any():
        return column
    if column.numbers is None:
        return Column(None, np.where(rows, -1, column.codes), column.labels)
    return Column(np.where(rows, np.nan, column.numbers), single=column.single)


def dictionary(root: Element) -> dict[str, DataField]:
    """The fields of the DataDictionary by name. Raises ModelError where there is none."""
    found = root.first("DataDictionary")
    if found is None:
        raise ModelError("it is PMML without a DataDictionary: it was cut short, or is no model")
    fields = [DataField.of(element) for element in found.all("DataField")]
    return {field.name: field for field in fields}


def schema(model: Element) -> dict[str, MiningField]:
    """The fields of a model's MiningSchema by name."""
    found = model.first("MiningSchema")
    fields = [MiningField.of(element) for element in found.all("MiningField")] if found else []
    return {field.name: field for field in fields}


def target_of(fields: Mapping[str, MiningField]) -> str:
    """The name of the target, "" where none is named."""
    return next((field.name for field in fields.values() if field.usage in ("target", "predicted")), "")
