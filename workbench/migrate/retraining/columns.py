"""Which columns a network reads, and how: the legacy model's own, never the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import pandas as pd

from workbench.migration import Roles, Task
from workbench.models import Label, Model, ModelError
from workbench.models.edge import EdgeColumn, EdgeSpec
from workbench.models.protocol import Input

MOST_VALUES = 256
"""Categories told apart in one column; the rarest beyond it count as unknown."""
LEAST_ROWS = 3
"""Rows a category needs among those trained on; a rarer one counts as unknown, which so is learnt too."""
TEXT_SHARE = 0.3
"""A column of words with more distinct values than this share of its rows is text, not a category."""


@dataclass(frozen=True)
class Columns:
    """inputs: as the model declares them; edge: how they are read; notes: what was left out, in sentences."""

    inputs: tuple[Input, ...]
    edge: EdgeSpec
    notes: tuple[str, ...]


def asked(legacy: Model, frame: pd.DataFrame, task: Task, roles: Roles) -> tuple[tuple[Input, ...], tuple[str, ...]]:
    """The inputs of the legacy model that may be learnt from, and notes on those that may not.

    Where its predictions are a column of the data (`column:`), every column but that one.
    Raises ModelError where nothing is left, or a column is not among the training rows.
    """
    inputs = legacy.inputs
    if legacy.format == "column" or not inputs:
        taken = {one.name for one in inputs}
        inputs = tuple(Input(str(name)) for name in frame.columns if name not in taken | {*_apart(roles)})
    barred = {task.target: "the truth", **dict.fromkeys(roles.key, "a key of rows")}
    barred |= {roles.weight: "the weight of rows"} if roles.weight else {}
    notes = tuple(f"{one.name} is not learnt from: it is {barred[one.name]}" for one in inputs if one.name in barred)
    kept = tuple(one for one in inputs if one.name not in barred)
    missing = [one.name for one in kept if one.name not in frame.columns]
    if missing:
        raise ModelError(
            f"the training rows lack {', '.join(map(repr, missing[:5]))}, which the legacy model reads: "
            "name its columns as in training (option features), or give the rows it was trained on"
        )
    if not kept:
        raise ModelError("nothing is left to learn from: the legacy model reads only the truth, keys or weights")
    return kept, notes


def _apart(roles: Roles) -> tuple[str, ...]:
    return (*roles.ignore, *roles.personal, *((roles.time,) if roles.time else ()))


def read(inputs: Sequence[Input], rows: pd.DataFrame, notes: tuple[str, ...] = ()) -> Columns:
    """How each column is read, learnt from the rows to fit on alone. rows: conformed to the inputs."""
    declared, columns, said = [], [], list(notes)
    for one in inputs:
        kind = _kind(one, rows[one.name])
        if kind == "category":
            values, rare = _vocabulary(rows[one.name])
            columns.append(EdgeColumn(one.name, "category", values))
            said += [f"{rare} rare values of {one.name} count as unknown"] if rare else []
            declared.append(replace(one, kind="category", categories=values))
            continue
        ways = {"number": ("value",), "date": ("seconds",), "text": ("characters", "words")}[kind]
        columns += [EdgeColumn(one.name, "number", of=of) for of in ways]  # type: ignore[arg-type]
        said += [f"of the text {one.name} only its length is read, in characters and words"] if kind == "text" else []
        declared.append(Input(one.name, kind))  # type: ignore[arg-type]
    return Columns(tuple(declared), EdgeSpec(tuple(columns)), tuple(said))


def _kind(declared: Input, column: pd.Series) -> str:
    if pd.api.types.is_datetime64_any_dtype(column.dtype) or declared.kind == "date":
        return "date"
    if declared.kind in ("number", "category"):
        return declared.kind
    known = column.dropna()
    if pd.api.types.is_numeric_dtype(column.dtype) or all(isinstance(value, bool) for value in known):
        return "number"
    if isinstance(column.dtype, pd.CategoricalDtype):
        return "category"
    return "text" if known.nunique() > max(MOST_VALUES, TEXT_SHARE * len(known)) else "category"


def _vocabulary(column: pd.Series) -> tuple[tuple[Label, ...], int]:
    """Values seen often enough, most frequent first (ties by their spelling), and how many were not."""
    counts = column.value_counts(dropna=True)
    named = sorted(((-int(n), str(value), value) for value, n in counts.items() if n), key=lambda one: one[:2])
    kept = [value for n, _, value in named if -n >= LEAST_ROWS][:MOST_VALUES]
    plain = [value.item() if hasattr(value, "item") else value for value in kept]
    return cast("tuple[Label, ...]", tuple(plain)), len(named) - len(kept)
