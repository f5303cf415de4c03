"""A prediction already in the data as a model: `column:NAME`, or `column:NAME OP LITERAL` for a decision.

`column:score_text != "Low"` selects the rows where that holds: binary, classes (0, 1), no scores.
`column:probability` with numbers between 0 and 1 is P(positive); with 0 and 1, or labels, the model's decision; for a
regression the value.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.models.base import OpenModel, from_scores
from workbench.models.inputs import as_number
from workbench.models.options import Options
from workbench.models.protocol import Input, Label, ModelError, Outputs, Piece, normal

PREFIX = "column:"
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
DECISION = re.compile(r"(?P<name>.+?)\s*(?P<sign>==|!=|>=|<=|>|<)\s*(?P<literal>\S.*)")


class ColumnModel(OpenModel):
    """Answers what the column says. A row where it says nothing gets NaN, or no label."""

    format = "column"

    def __init__(self, uri: str, options: Options) -> None:
        self.uri = uri
        self.column, self.sign, self.literal = _parsed(uri)
        task = "binary" if self.sign else options.task or "binary"
        self.given = () if task == "regression" else options.classes or ((0, 1) if task == "binary" else ())
        self.decides = bool(self.sign)
        super().__init__(
            fingerprint=options.fingerprint(uri.encode()),
            task=task,
            inputs=(Input(self.column),),
            classes=self.given,
            answered_by="the data",
        )

    def answer(self, rows: pd.DataFrame) -> Outputs:
        values = rows[self.column]
        if self.sign:
            return Outputs(self.classes, labels=self._decision(values))
        if self.task == "regression":
            return Outputs(values=as_number(values, self.column).to_numpy(dtype=np.float64, na_value=np.nan))
        numbers = _numbers(values)
        known = numbers is not None and not np.isnan(numbers).all()
        if self.task == "binary" and numbers is not None and known and _between(numbers):
            return from_scores(self.classes, numbers)
        return self._labels(values, numbers)

    def _decision(self, values: pd.Series[Any]) -> NDArray[np.generic]:
        absent = values.isna().to_numpy(dtype=bool)
        if isinstance(self.literal, int | float) and not isinstance(self.literal, bool):
            values = as_number(values, self.column)
        elif isinstance(self.literal, str):
            values = values.astype(object).map(lambda value: value if value != value else str(value))
        known = values[~absent]
        try:
            held = np.asarray(OPERATORS[self.sign](known, self.literal), dtype=np.int64)
        except TypeError as error:
            raise ModelError(
                f"{self.uri}: {self.column!r} cannot be compared with {self.literal!r} ({error}): "
                f"it holds values such as {pd.unique(known)[:3].tolist()}"
            ) from error
        if not absent.any():
            return held
        labels = np.full(len(values), None, dtype=object)
        labels[~absent] = held
        return labels

    def _labels(self, values: pd.Series[Any], numbers: NDArray[np.float64] | None) -> Outputs:
        """Each value as the class it spells."""
        classes = self.classes or _distinct(values)
        spelled = {normal(label): label for label in classes}
        absent = values.isna().to_numpy(dtype=bool)
        labels = np.full(len(values), None, dtype=object)
        labels[~absent] = [spelled.get(normal(value), value) for value in values[~absent].tolist()]
        foreign = [label for label in pd.unique(labels) if label is not None and label not in classes]
        if foreign:
            raise ModelError(
                f"{self.uri}: {self.column!r} holds {foreign[:3]}, which are neither probabilities between 0 and 1 nor "
                f"among the classes {list(classes)[:10]}. Say which values select, as {PREFIX}{self.column} >= 5"
            )
        whole = all(label is not None for label in labels)
        return Outputs(tuple(classes), labels=np.array(labels.tolist()) if whole and _same_type(classes) else labels)

    def describe(self) -> Piece:
        return Piece("workbench.Column", params={"uri": self.uri})


def _parsed(uri: str) -> tuple[str, str, Label | None]:
    text = uri.removeprefix(PREFIX).strip()
    if not text:
        raise ModelError(f"{uri!r} names no column: write {PREFIX}NAME or {PREFIX}NAME >= 0.5")
    found = DECISION.fullmatch(text)
    if found is None:
        return text.strip("`"), "", None
    try:
        literal = ast.literal_eval(found["literal"])
    except (ValueError, SyntaxError):
        raise ModelError(
            f'{uri!r}: {found["literal"]} is no number and no text in quotes: write "{found["literal"]}"'
        ) from None
    if not isinstance(literal, str | int | float | bool):
        raise ModelError(f"{uri!r}: compare with one number, text or True/False")
    return found["name"].strip("`"), found["sign"], literal


def _numbers(values: pd.Series[Any]) -> NDArray[np.float64] | None:
    try:
        return np.asarray(as_number(values, "").to_numpy(dtype=np.float64, na_value=np.nan))
    except ModelError:
        return None


def _between(numbers: NDArray[np.float64]) -> bool:
    """Probabilities: within 0 and 1, and not only 0 and 1."""
    known = numbers[~np.isnan(numbers)]
    return bool(((known >= 0) & (known <= 1)).all() and not np.isin(known, (0, 1)).all())


def _distinct(values: pd.Series[Any]) -> tuple[Label, ...]:
    return tuple(sorted(pd.unique(values.dropna()).tolist(), key=lambda value: (str(type(value)), value)))


def _same_type(classes: tuple[Label, ...]) -> bool:
    return len({type(label) for label in classes}) == 1 and not isinstance(next(iter(classes), ""), str)
