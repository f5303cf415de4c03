"""A PMML document behind the door: raw columns in, outputs out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from workbench.models.base import OpenModel, label_array
from workbench.models.pmml.answers import Answer, Run, outputs, targets
from workbench.models.pmml.columns import Bools, Column, Floats, Scope
from workbench.models.pmml.document import Element, parse
from workbench.models.pmml.ensemble import ensemble
from workbench.models.pmml.expressions import Functions, defined, derived
from workbench.models.pmml.fields import DataField, MiningField, dictionary, schema, target_of
from workbench.models.pmml.general import general, parameters
from workbench.models.pmml.linear import coefficients
from workbench.models.pmml.mining import Made, mining
from workbench.models.pmml.regression import characteristics, regression, scorecard
from workbench.models.pmml.scores import Card, tables
from workbench.models.pmml.trees import tree
from workbench.models.protocol import Kind, Label, ModelError, Outputs, Piece, Plain

PLAIN = ("RegressionModel", "GeneralRegressionModel", "Scorecard")
"""Models that are sums of plain terms, where they fit."""
MODELS = ("TreeModel", "MiningModel", "RegressionModel", "GeneralRegressionModel", "Scorecard")
NOT_MODELS = ("Header", "MiningBuildTask", "DataDictionary", "TransformationDictionary")


@dataclass(frozen=True)
class Document:
    """The parts every model in a document shares."""

    fields: dict[str, DataField]
    functions: Functions
    shared: Element | None

    def classes(self, model: Element, otherwise: tuple[str, ...]) -> tuple[str, ...]:
        """Of a classification, in the target's order, else as first met; () for a regression."""
        if model.get("functionName") != "classification":
            return ()
        target = self.fields.get(target_of(schema(model)))
        if target is not None and target.valid:
            return target.valid
        return otherwise or tuple(dict.fromkeys(_met(model)))

    def made(self, model: Element, above: tuple[str, ...]) -> Made:
        """A nested model and its outputs. above: the classes of the model it is in."""
        return self.run(model, above), outputs(model, self.functions)

    def run(self, model: Element, above: tuple[str, ...] = (), inner: bool = True) -> Run:
        """A model as a function of the fields around it."""
        if model.tag not in MODELS:
            raise ModelError(f"it is PMML with a <{model.tag[:60]}>, which is not read here: only {', '.join(MODELS)}")
        if model.get("functionName") not in ("regression", "classification"):
            raise ModelError(f"its function is {model.get('functionName')[:40]!r}: only regression and classification")
        classes = self.classes(model, above)
        run = targets(model, self._kind(model, classes))
        if not inner:
            return run
        fields = schema(model)
        local = derived(model.first("LocalTransformations"), self.functions)
        return lambda scope: run(Scope(scope.n, {}, local, scope, self._treated(fields)))

    def _kind(self, model: Element, classes: tuple[str, ...]) -> Run:
        if model.tag == "TreeModel":
            return tree(model, classes)
        if model.tag == "RegressionModel":
            return regression(model, classes)
        if model.tag == "GeneralRegressionModel":
            return general(model, classes)
        if model.tag == "Scorecard":
            return scorecard(model, self.functions)
        return mining(model, classes, self.made)

    def _treated(self, fields: dict[str, MiningField]) -> Callable[[str, Column], Column]:
        def prepare(name: str, column: Column) -> Column:
            found = fields.get(name)
            return column if found is None else found.prepare(column, self.fields.get(name), top=False)[0]

        return prepare


def _met(model: Element) -> list[str]:
    shares = [one.need("value") for one in model.below("ScoreDistribution")]
    tables = [one.need("targetCategory") for one in model.below("RegressionTable") if one.get("targetCategory")]
    nodes = [one.get("score") for one in model.below("Node") if one.get("score")] if not shares else []
    cells = [one.get("targetCategory") for one in model.below("PCell") if one.get("targetCategory")]
    return [*shares, *tables, *nodes, *cells]


class PmmlModel(OpenModel):
    """root: the parsed document."""

    format = "pmml"

    def __init__(self, root: Element, fingerprint: str) -> None:
        self.element = _model(root)
        shared = root.first("TransformationDictionary")
        self.document = Document(dictionary(root), defined(shared), shared)
        self.schema = schema(self.element)
        self.target = target_of(self.schema)
        self.active = [one for one in self.schema.values() if one.usage == "active"]
        lacking = [one.name for one in self.active if one.name not in self.document.fields]
        if lacking:
            raise ModelError(
                f"its MiningSchema names {lacking[0][:60]!r}, which its DataDictionary lacks: it is damaged"
            )
        self.labels = self.document.classes(self.element, ())
        self.derived = {
            **derived(shared, self.document.functions),
            **derived(self.element.first("LocalTransformations"), self.document.functions),
        }
        self.run = self.document.run(self.element, inner=False)
        self.about: dict[str, Plain] = {"model": self.element.tag, "pmml": root.get("version"), **_exporter(root)}
        super().__init__(
            fingerprint=fingerprint,
            task=_task(self.labels, self.element),
            inputs=tuple(self.document.fields[one.name].input for one in self.active),
            classes=tuple(self._typed(label) for label in self.labels),
            answered_by="workbench's PMML reader",
        )
        # Asking no rows finds a field that is named and never defined, and a document that computes in a circle.
        probe = self.run(self._scope(pd.DataFrame({one.name: [] for one in self.inputs}, dtype=float))[0])
        self.decides = probe.value is None and probe.scores is None

    def _typed(self, label: str) -> Label:
        field = self.document.fields.get(self.target)
        kind = "string" if field is None else field.data_type
        if kind == "boolean" and label.lower() in ("true", "false"):
            return label.lower() == "true"
        if kind in ("integer", "double", "float"):
            number = float(label)
            return int(number) if number.is_integer() else number
        return label

    def _scope(self, rows: pd.DataFrame) -> tuple[Scope, Bools]:
        columns, spoilt = {}, np.zeros(len(rows), dtype=bool)
        for one in self.active:
            field = self.document.fields[one.name]
            columns[one.name], wrong = one.prepare(field.read(rows[one.name]), field, top=True)
            spoilt |= wrong
        return Scope(len(rows), columns, self.derived), spoilt

    def answer(self, rows: pd.DataFrame) -> Outputs:
        scope, spoilt = self._scope(rows)
        answer = self.run(scope)
        if self.task == "regression":
            assert answer.value is not None
            return Outputs(values=np.where(spoilt, np.nan, answer.value))
        return self._classified(answer, spoilt)

    def _classified(self, answer: Answer, spoilt: Bools) -> Outputs:
        assert answer.label is not None
        label = np.where(spoilt, -1, answer.label)
        labels: Any = label_array(self.classes, np.maximum(label, 0))
        if (label < 0).any():
            labels = labels.astype(object)
            labels[label < 0] = None
        scores = None if answer.scores is None else np.where(spoilt[:, None], np.nan, answer.scores)
        return Outputs(self.classes, scores=scores, labels=labels)

    def describe(self) -> Piece:
        """`pmml.<model>`, with its trees where they fit the IR, else why not in `params["trees_refused"]`."""
        kind, version = f"pmml.{self.element.tag}", str(self.about["pmml"])
        if self.element.tag in PLAIN:
            return Piece(kind, version, {**self.about, **self._plain()})
        try:
            trees = ensemble(self.element, self.labels, self.active, self.document.fields)
        except ModelError as error:
            return Piece(kind, version, {**self.about, "trees_refused": str(error)})
        return Piece(kind, version, self.about, trees=trees)

    def _plain(self) -> dict[str, Plain]:
        """Of sums that can be lifted, else why they cannot, as `trees_refused`."""
        given = (self.element, self.labels, self.active, self.document.fields)
        try:
            if self.element.tag == "Scorecard":
                found = tables(Card(self.element, self.active, self.document.fields, self._partial))
            else:
                found = parameters(*given) if self.element.tag == "GeneralRegressionModel" else coefficients(*given)
        except ModelError as error:
            return {"trees_refused": str(error)}
        return {**found, "classes": list(self.labels)}

    def _partial(self, name: str, values: list[object]) -> tuple[Floats, Bools]:
        """Partial scores [n, characteristics] of a scorecard at values of one field, and where those are invalid."""
        rows = pd.DataFrame({one.name: values if one.name == name else [None] * len(values) for one in self.active})
        scope, spoilt = self._scope(rows)
        parts = np.column_stack([part(scope) for part in characteristics(self.element, self.document.functions)])
        return parts, spoilt


def _model(root: Element) -> Element:
    found = [child for child in root.children if child.tag not in NOT_MODELS]
    if not found:
        raise ModelError("it is PMML without a model: it was cut short, or holds only transformations")
    return found[0]


def _task(classes: tuple[str, ...], model: Element) -> Kind:
    if model.get("functionName") != "classification":
        return "regression"
    if len(classes) < 2:
        raise ModelError(f"it classifies into {list(classes)}: a model has at least two classes")
    return "binary" if len(classes) == 2 else "multiclass"


def _exporter(root: Element) -> dict[str, Plain]:
    header = root.first("Header")
    program = None if header is None else header.first("Application")
    return {} if program is None else {"exporter": f"{program.get('name')} {program.get('version')}".strip()}


def open_pmml(data: bytes, fingerprint: str = "") -> PmmlModel:
    """A PMML document's bytes as a model.

    Raises Refused for XML that attacks its reader, ModelError for a part that is not read here, by its name.
    """
    try:
        return PmmlModel(parse(data), fingerprint)
    except (ValueError, OverflowError, RecursionError, KeyError) as error:
        raise ModelError(f"it is PMML that cannot be read ({repr(error)[:300]}): export the model anew") from error
