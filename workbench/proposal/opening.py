"""The legacy model, opened as it has to be: with its feature map, as a probability, as the kind of task it answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.models import ModelError, normal, open_model
from workbench.proposal.seen import ANSWERED, Proposed, listed, spelled
from workbench.proposal.target import auc

if TYPE_CHECKING:
    import pandas as pd

    from workbench.models import Model

TELLS = 0.6
"""Area under the ROC curve from which a model's numbers count as the probabilities of a column's two values."""
BOOSTERS = ("xgboost", "lightgbm")
"""Formats whose probability of two classes becomes a binary model by naming them."""


@dataclass(frozen=True)
class Opened:
    """values: what had to be said for it, as it stands in migration.yaml. kind: why it is no regression, "" if so."""

    model: Model
    values: tuple[Proposed, ...] = ()
    kind: str = ""


def opened(
    uri: str, folder: Path, rows: pd.DataFrame, task: str | None, target: str | None, options: Mapping[str, object]
) -> Opened:
    """The model, open. Raises ModelError.

    One that does not say what it does is asked as each kind of task in turn; one whose inputs are not in the rows is
    looked up in the feature maps beside it; one that answers numbers between 0 and 1 which tell a column's two values
    apart is a model of two classes, whatever its objective is called.
    """
    if uri.startswith(("python:", "column:")):
        home = folder if uri.startswith("python:") and folder.is_dir() else Path()
        return Opened(_of_some_task(uri, home, rows, task, options))
    found = _by_a_map(Opened(open_model(uri, folder=Path(), **options)), uri, rows, options)
    try:
        return found if task == "regression" else _as_probability(found, uri, rows, target, options)
    except ModelError:
        found.model.close()
        raise


def _of_some_task(uri: str, home: Path, rows: pd.DataFrame, task: str | None, options: Mapping[str, object]) -> Model:
    said: list[ModelError] = []
    for kind in [task] if task else ["binary", "multiclass", "regression"]:
        model = open_model(uri, folder=home, **{**options, "task": kind})
        try:
            model.predict(rows.iloc[:ANSWERED])
            return model
        except ModelError as error:
            said.append(error)
            model.close()
    raise said[0]


def _by_a_map(found: Opened, uri: str, rows: pd.DataFrame, options: Mapping[str, object]) -> Opened:
    lacking = [wanted.name for wanted in found.model.inputs if wanted.name not in rows.columns]
    if found.model.format != "xgboost" or "feature_map" in options or not lacking:
        return found
    fitting = dict(_fitting(uri, rows, options))
    if not fitting:
        return found
    found.model.close()
    name, *others = fitting
    for other in others:
        fitting[other].close()
    why = f"it asks for {listed(lacking, 3)}, which this feature map beside it makes of columns of the data"
    why += f"; {listed(others)} would fit as well" if others else ""
    value = Proposed(key="legacy.options.feature_map", value=name, confidence="low" if others else "high", why=why)
    return Opened(fitting[name], (value,))


def _fitting(uri: str, rows: pd.DataFrame, options: Mapping[str, object]) -> Iterator[tuple[str, Model]]:
    """Feature maps beside the model that fit it and the rows, by name, each with the model opened by it."""
    from workbench.models.door import find
    from workbench.models.feature_map import read_feature_map

    for path in sorted(find(uri, Path()).parent.glob("*.fmap")):
        try:
            if {entry.column for entry in read_feature_map(path)} <= set(rows.columns):
                yield path.name, open_model(uri, folder=Path(), **{**options, "feature_map": path.name})
        except ModelError:
            continue


def _as_probability(
    found: Opened, uri: str, rows: pd.DataFrame, target: str | None, options: Mapping[str, object]
) -> Opened:
    """The model with two classes where its numbers are the probabilities of a column's two values."""
    if found.model.task != "regression":
        return found
    told = _told_apart(found.model, rows.iloc[:ANSWERED], target)
    if told is None:
        return found
    column, area = told
    why = f"its numbers lie between 0 and 1 and tell the two values of {column} apart (AUC {area:.2f})"
    if found.model.format not in BOOSTERS:
        return Opened(found.model, found.values, f"{why}: are they probabilities? It says it is a regression")
    given = {value.key.removeprefix("legacy.options."): value.value for value in found.values}
    again = open_model(uri, folder=Path(), **{**options, **given, "classes": [0, 1]})
    if again.task != "binary":
        again.close()
        return found
    found.model.close()
    why += ": a probability, so two classes and no regression"
    classes = Proposed(key="legacy.options.classes", value=[0, 1], confidence="high", why=why)
    return Opened(again, (*found.values, classes), why)


def _told_apart(model: Model, rows: pd.DataFrame, target: str | None) -> tuple[str, float] | None:
    """The column of two values that the model's numbers order best, with the area under the ROC curve."""
    answers = model.predict(rows).values
    if answers is None or not ((answers >= 0) & (answers <= 1)).all():
        return None
    read = {wanted.name for wanted in model.inputs}
    areas: dict[str, float] = {}
    for name in [target] if target in rows.columns else rows.columns.difference(list(read)):
        column: pd.Series[Any] = rows[name]
        values = sorted(map(normal, column.dropna().unique()))
        if len(values) != 2:
            continue
        area = auc(answers, (spelled(column) == values[1]).to_numpy(), column)
        areas[str(name)] = 0.5 if area is None else max(area, 1 - area)
    best = max(areas, key=areas.__getitem__, default=None)
    return (best, areas[best]) if best is not None and areas[best] >= TELLS else None
