"""What a PMML model answers for rows, and what becomes of it: targets, outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from workbench.models.pmml.columns import Bools, Column, Floats, Ints, Scope
from workbench.models.pmml.document import Element
from workbench.models.pmml.expressions import Functions, expression
from workbench.models.protocol import ModelError


@dataclass(frozen=True)
class Answer:
    """value [n] of a regression, NaN for none. Or classes, scores [n, k] (None where it only decides), label [n]:
    places in classes, -1 for none."""

    value: Floats | None = None
    classes: tuple[str, ...] = ()
    scores: Floats | None = None
    label: Ints | None = None

    def column(self) -> Column:
        """The predicted value as a field."""
        if self.value is not None:
            return Column(self.value)
        assert self.label is not None
        return Column(None, self.label, self.classes)


Run = Callable[[Scope], Answer]


def decided(classes: tuple[str, ...], scores: Floats) -> Answer:
    """The most probable class; the first of equal ones. A row with a missing score has no answer."""
    gone: Bools = np.asarray(np.isnan(scores).any(axis=1))
    best = np.where(np.isnan(scores), -np.inf, scores).argmax(axis=1) if scores.shape[1] else np.zeros(len(scores))
    return Answer(None, classes, np.where(gone[:, None], np.nan, scores), np.where(gone, -1, best).astype(np.int64))


def targets(model: Element, run: Run) -> Run:
    """The model with its Targets applied: clipped, times factor, plus constant, rounded; in this order."""
    found = model.first("Targets")
    target = None if found is None else found.first("Target")
    if target is None or model.get("functionName") != "regression":
        return run
    low, high = target.number("min", -np.inf), target.number("max", np.inf)
    factor, constant = target.number("rescaleFactor", 1.0), target.number("rescaleConstant", 0.0)
    rounded = target.get("castInteger")
    if rounded not in ("", *ROUND):
        raise ModelError(f"it rounds its target by {rounded[:40]!r}, which PMML does not know")

    def scaled(scope: Scope) -> Answer:
        answer = run(scope)
        assert answer.value is not None
        value = np.clip(answer.value, low, high) * factor + constant
        return replace(answer, value=ROUND[rounded](value) if rounded else value)

    return scaled


ROUND: dict[str, Callable[[Floats], Floats]] = {
    "round": lambda x: np.floor(x + 0.5),
    "ceiling": np.ceil,
    "floor": np.floor,
}


def outputs(model: Element, functions: Functions) -> Callable[[Answer, Scope], dict[str, Column]]:
    """The Output fields of a model that later models can use, computed in order.

    predictedValue, probability and transformedValue; others (reason codes, ranks) are not fields a model computes with.
    """
    found = model.first("Output")
    fields = [(one.need("name"), one) for one in found.all("OutputField")] if found else []
    made = {
        name: expression(one, functions)
        for name, one in fields
        if one.get("feature") in ("transformedValue", "decision")
    }

    def run(answer: Answer, scope: Scope) -> dict[str, Column]:
        columns: dict[str, Column] = {}
        for name, one in fields:
            feature = one.get("feature", "predictedValue")
            if name in made:
                columns[name] = made[name](Scope(scope.n, columns, parent=scope))
            elif feature == "predictedValue":
                columns[name] = answer.column()
            elif feature == "probability" and answer.scores is not None and one.get("value") in answer.classes:
                columns[name] = Column(answer.scores[:, answer.classes.index(one.get("value"))])
        return columns

    return run
