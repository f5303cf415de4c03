"""The cases people are asked about: rows as they may be seen, with what each model says of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from workbench.measure import cases
from workbench.migration import Roles
from workbench.scored import Scored, Side
from workbench.uat import Case, Masked, Said

HIDDEN = "hidden"


def sampled(scored: Scored, candidate: Side, n: int, seed: int) -> list[Case]:
    """n cases by the plan of `measure.cases`."""
    binary = scored.task.kind == "binary"
    before, after = _number(scored.legacy), _number(candidate)
    groups = {name: scored.frame[name].astype(str).to_numpy() for name in scored.roles.protected}
    picked = cases.sample(
        n, len(scored),
        distance=np.abs(before - scored.task.threshold) if before is not None and binary else None,
        change=after - before if before is not None and after is not None else None,
        groups=groups, seed=seed,
    )  # fmt: skip
    return [case(scored, candidate, row, why) for row, why in picked]


def _number(side: Side) -> np.ndarray | None:
    return side.value if side.value is not None else side.score


def case(scored: Scored, candidate: Side, row: int, why: str) -> Case:
    """One of the scored rows as anyone may see it, with what each model says of it."""
    masked, values = _masked(scored), _values(scored, row)
    open_values = {name: value for name, value in values.items() if name not in masked}
    # Of what is shown only: an id made of a hidden value could be tried out.
    known = hashlib.sha256(json.dumps([scored.holdout, row, open_values]).encode()).hexdigest()[:16]
    shown = {name: _instead(masked[name], known) if name in masked else value for name, value in values.items()}
    return Case(
        id=known, row=row, why=_why(scored.roles, why), shown=shown, masked=masked,
        legacy=said(scored, scored.legacy, row), candidate=said(scored, candidate, row),
    )  # fmt: skip


def withheld(scored: Scored, chosen: Sequence[Case], kinds: frozenset[Masked]) -> dict[str, dict[str, str]]:
    """What is masked of the cases, by case and column, where somebody may see columns of that kind."""
    return {
        one.id: {name: value for name, value in _values(scored, one.row).items() if one.masked.get(name) in kinds}
        for one in chosen
    }


def _masked(scored: Scored) -> dict[str, Masked]:
    """A column that is personal and something else besides is personal."""
    roles = scored.roles
    listed: tuple[tuple[Masked, tuple[str, ...]], ...] = (
        ("protected", roles.protected), ("key", roles.key), ("personal", roles.personal),
    )  # fmt: skip
    return {name: kind for kind, names in listed for name in names}


def _instead(kind: Masked, known: str) -> str:
    """A key is shown as a short name of the row, made of no hidden value: people can speak about it."""
    return f"#{known[:6]}" if kind == "key" else HIDDEN


def _why(roles: Roles, why: str) -> str:
    """Which group a row was taken for is what the masked column says."""
    return next((f"a group of {name}" for name in roles.protected if why.startswith(f"{name}: ")), why)


def _values(scored: Scored, row: int) -> dict[str, str]:
    """The row in words, without the truth, which would answer for those who judge."""
    roles = scored.roles
    left_out = {scored.task.target, *roles.ignore, *(name for name in (roles.weight,) if name)}
    return {
        str(name): "missing" if pd.isna(value) else _plain(_own(value))
        for name, value in scored.frame.iloc[row].items()
        if name not in left_out
    }


def _own(value: object) -> object:
    """numpy's numbers as Python's."""
    return value.item() if hasattr(value, "item") and not isinstance(value, pd.Timestamp) else value


def _plain(value: object) -> str:
    """As people write it: digits in groups of three, a day without its midnight."""
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d}" if value == value.normalize() else f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, float | int) and not isinstance(value, bool):
        return f"{int(value):,}" if float(value).is_integer() else f"{value:,.6g}"
    return str(value)[:200]


def said(scored: Scored, side: Side, row: int) -> Said:
    """What a model says of a row: its decision in words, and its number."""
    number = _number(side)
    score = float(number[row]) if number is not None else None
    if scored.task.kind == "regression" or side.decision is None:
        return Said(answer="no answer" if score is None else f"{score:.6g}", score=score)
    place = int(side.decision[row])
    if place < 0:
        return Said(answer="no answer", score=score)
    if scored.task.kind == "binary":
        positive = str(scored.task.positive)
        others = [str(label) for label in scored.classes if str(label) != positive]
        answer = positive if place else (others[0] if len(others) == 1 else f"not {positive}")
    else:
        answer = str(scored.classes[place])
    return Said(answer=f"{scored.task.target} = {answer}", score=score)
