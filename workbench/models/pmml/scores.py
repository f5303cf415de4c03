"""PMML scorecards as plain tables, where they fit: then they can be lifted.

They fit where every characteristic asks one raw field. A predicate compares a number with constants only, so a partial
score is the same between two constants that follow each other: the reader is asked once at every constant, between and
beyond them, and at a missing value; of a text, at every value that is named. So the tables say what the reader says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from workbench.models.pmml.columns import TEXT, Bools, Floats
from workbench.models.pmml.document import Element, array, as_float
from workbench.models.pmml.fields import DataField, MiningField
from workbench.models.protocol import ModelError, Plain

MOST = 10_000
"""Constants of one field at most."""
STRANGE = "\x00 no value that is named"

Asked = Callable[[str, list[object]], tuple[Floats, Bools]]
"""(field, its values) → partial scores [n, characteristics], the other fields missing, NaN where no attribute takes a
value; and where the value leaves no answer at all [n]."""


@dataclass(frozen=True)
class Card:
    """A scorecard: the field of every characteristic; ask: what the reader gives to values of one field."""

    model: Element
    active: list[MiningField]
    fields: dict[str, DataField]
    ask: Asked


def tables(card: Card) -> dict[str, Plain]:
    """`initial`, and `parts`: field, numbers (sorted constants) or values, and scores.

    Scores of numbers are those below the first constant, at it, between it and the next, …, above the last, and of a
    missing one, [2 C + 2]; of texts one for each value, then of an unlisted and of a missing one. None: no answer.

    Raises ModelError saying what of the scorecard does not fit.
    """
    if card.model.get("functionName") != "regression" or card.model.first("Targets") is not None:
        raise ModelError("its target is rescaled or rounded, or it classifies")
    found = card.model.first("Characteristics")
    owners = [_owner(one, card) for one in found.all("Characteristic")] if found else []
    parts: list[Plain] = []
    for one in card.active:
        places = [place for place, owner in enumerate(owners) if owner == one.name]
        points = _points(one, card)
        scores, spoilt = card.ask(one.name, [*points.asked])
        told = np.where(spoilt, np.nan, scores[:, places].sum(axis=1))
        if places or spoilt.any():
            parts.append({**points.plain(one.name), "scores": [None if np.isnan(s) else float(s) for s in told]})
    return {"initial": card.model.number("initialScore", 0.0), "parts": parts}


def _owner(element: Element, card: Card) -> str:
    if next(element.below("ComplexPartialScore"), None) is not None:
        raise ModelError("a partial score of it is computed, and not a number")
    tests = [*element.below("SimplePredicate"), *element.below("SimpleSetPredicate")]
    names = {one.need("field") for one in tests}
    known = {one.name for one in card.active}
    if len(names) > 1 or not names <= known:
        raise ModelError(f"a characteristic of it asks {', '.join(sorted(names))[:80]!r}, and not one raw field")
    return names.pop() if names else card.active[0].name


@dataclass(frozen=True)
class _Points:
    """What a field is asked about: numbers, or texts."""

    numbers: tuple[float, ...] | None
    values: tuple[str, ...] = ()

    @property
    def asked(self) -> Iterator[object]:
        if self.numbers is None:
            yield from (*self.values, STRANGE, None)
            return
        for low, high in zip((-np.inf, *self.numbers), (*self.numbers, np.inf)):
            if np.isfinite(low):
                yield low
            yield _between(low, high)
        yield np.nan

    def plain(self, name: str) -> dict[str, Plain]:
        if self.numbers is None:
            return {"field": name, "values": list[Plain](self.values)}
        return {"field": name, "numbers": list[Plain](self.numbers)}


def _between(low: float, high: float) -> float:
    """A number strictly between two, where there is one; beyond, where one of them is none."""
    if np.isinf(low):
        return float(np.nextafter(high, -np.inf)) if np.isfinite(high) else 0.0
    return float(np.nextafter(low, np.inf))


def _points(one: MiningField, card: Card) -> _Points:
    field = card.fields[one.name]
    named = [*field.valid, *field.invalid, *field.missing]
    named += [value for value in (one.replacement, one.invalid_value) if value is not None]
    for test in card.model.below("SimplePredicate"):
        if test.need("field") == one.name and test.get("value"):
            named.append(test.need("value"))
    for test in card.model.below("SimpleSetPredicate"):
        listed = test.first("Array")
        if test.need("field") == one.name and listed is not None:
            named += array(listed)
    if field.data_type in TEXT:
        return _Points(None, tuple(dict.fromkeys(named)))
    if field.data_type not in ("double", "integer"):
        raise ModelError(f"its field {one.name[:60]!r} holds numbers of the type {field.data_type!r}")
    limits = [one.low, one.high, *(edge for part in field.intervals for edge in (part.left, part.right))]
    numbers = {as_float(value, "value") for value in named} | set(limits)
    if len(numbers) > MOST:
        raise ModelError(f"its field {one.name[:60]!r} is compared with {len(numbers):,} constants")
    return _Points(tuple(sorted(number for number in numbers if np.isfinite(number))))
