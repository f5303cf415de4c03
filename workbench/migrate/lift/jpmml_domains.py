"""Pieces that sklearn2pmml and sklearn-pandas put before a model: which columns go where, and which values may.

A domain knows the values or the range of its training data, and says what becomes of a missing value, of one it never
saw and of an outlier. Before sklearn2pmml 0.51 it only wrote these rules into PMML and let every value pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workbench.migrate.lift.columns import (
    CannotLift,
    Code,
    Column,
    Columns,
    Context,
    Entry,
    Number,
    Special,
    chain,
    kept,
    reread,
    take,
    transformer,
)
from workbench.migrate.lift.compose import column_transformer
from workbench.migrate.lift.encode import as_number, entries, entry, numeric
from workbench.migrate.lift.ops import Arrays, Beside, Op, is_missing
from workbench.migrate.lift.preprocess import older
from workbench.migrate.lift.selection import selection
from workbench.models.protocol import Piece

DISCRETE = ("sklearn2pmml.decoration.CategoricalDomain", "sklearn2pmml.decoration.OrdinalDomain")
CONTINUOUS = "sklearn2pmml.decoration.ContinuousDomain"
MULTI = "sklearn2pmml.decoration.MultiDomain"
FLOATS = (None, "builtins.float", "numpy.float64", "float64", "float")
"""What a column of numbers may be cast to, and stay what it is here."""
ABSENT = (Special.NONE, Special.MISSING)

transformer("sklearn_pandas.DataFrameMapper")(column_transformer)
transformer("sklearn2pmml.feature_selection.SelectUnique")(selection)


class Held(Op):
    """One column of numbers by the rules of a domain; arrays that are not there are rules it does not have.

    config: missing, None for NaN, else the number that stands for it. low, high [1]: the range of valid numbers, or
    values [k]; strange [1]: what any other becomes. least, most [1]: beyond them is an outlier, which becomes the
    nearer of them, or `outlier` [1]. fill [1]: what a missing one becomes.
    """

    name = "held"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        missing = is_missing(x, self.config["missing"])
        valid = self._valid(x) & ~missing
        out = x
        if "least" in self.arrays:
            out = torch.where(valid, self._within(x), out)
        if "strange" in self.arrays:
            out = torch.where(valid | missing, out, self.get_buffer("strange"))
        return torch.where(missing, self.get_buffer("fill"), out) if "fill" in self.arrays else out

    def _valid(self, x: Tensor) -> Tensor:
        if "values" in self.arrays:
            return (x[:, :, None] == self.get_buffer("values")).any(2)
        if "low" in self.arrays:
            return (x >= self.get_buffer("low")) & (x <= self.get_buffer("high"))
        return torch.ones_like(x, dtype=torch.bool)

    def _within(self, x: Tensor) -> Tensor:
        least, most = self.get_buffer("least"), self.get_buffer("most")
        if "outlier" not in self.arrays:
            return torch.minimum(torch.maximum(x, least), most)
        return torch.where((x < least) | (x > most), self.get_buffer("outlier"), x)


@dataclass(frozen=True)
class Rules:
    """What a domain does with one column.

    stands: what says missing. fill: what that becomes, None to leave it. values, between: what is valid, None for all.
    strange: what becomes of anything else: None to leave it. stops: "missing", "strange", at which the legacy stops.
    """

    piece: Piece
    stands: Entry
    fill: Entry | None
    values: tuple[Entry, ...] | None
    between: tuple[float, float] | None
    strange: Entry | None
    stops: frozenset[str]

    @property
    def limited(self) -> bool:
        return self.values is not None or self.between is not None


def rules(piece: Piece, place: int) -> Rules:
    """Of the column at a place. Raises CannotLift for what no column can follow."""
    said = piece.params
    stands, fill = said.get("missing_values"), said.get("missing_value_replacement")
    if isinstance(stands, list):
        raise CannotLift(piece.kind, "several values say missing", "Map them to one before the domain, and fit again")
    if older(piece, 0, 53) and not older(piece, 0, 51):
        raise CannotLift(piece.kind, f"what version {piece.version} does with values it never saw is not known here")
    values, between = (None, None) if older(piece, 0, 51) else _known(piece, place)
    how = str(said.get("invalid_value_treatment", "return_invalid"))
    stops = {"strange"} if how == "return_invalid" and (values is not None or between is not None) else set()
    stops |= (
        {"missing"} if said.get("missing_value_treatment") == "return_invalid" and not older(piece, 0, 51) else set()
    )
    strange = {"as_value": said.get("invalid_value_replacement"), "as_missing": fill}.get(how)
    missing = Special.MISSING if stands is None else entry(stands)
    return Rules(piece, missing, _given(fill), values, between, _given(strange), frozenset(stops))


def _given(value: Any) -> Entry | None:
    return None if value is None else entry(value)


def _known(piece: Piece, place: int) -> tuple[tuple[Entry, ...] | None, tuple[float, float] | None]:
    if piece.kind in DISCRETE:
        return (tuple(entries(piece.arrays["data_"])) if "data_" in piece.arrays else None), None
    low, high = (_limit(piece, name, place) for name in ("data_min_", "data_max_"))
    return None, None if low is None or high is None else (low, high)


def _limit(piece: Piece, name: str, place: int) -> float | None:
    found = piece.arrays.get(name, piece.params.get(name))
    if found is None:
        return None
    limits = np.asarray(found, dtype=np.float64).ravel()
    return float(limits[place if len(limits) > 1 else 0])


@transformer(*DISCRETE, CONTINUOUS)
def domain(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    return _each([piece] * len(columns), columns, context)


@transformer(MULTI)
def multi_domain(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    parts = [part for _, part in piece.children]
    if len(parts) != len(columns):
        raise CannotLift(piece.kind, f"it has {len(parts)} domains, and {len(columns)} columns reach it")
    return _each(parts, columns, context, alone=True)


def _each(parts: Sequence[Piece], columns: Columns, context: Context, alone: bool = False) -> tuple[Op, Columns]:
    """alone: each part sees one column, and its limits are of that one."""
    ops: list[Op] = []
    items: list[Column] = []
    for place, (part, column) in enumerate(zip(parts, columns.items)):
        ruled: Callable[..., tuple[Op | None, Column]] = _left if part.kind == "passthrough" else _ruled
        op, item = ruled(part, 0 if alone else place, column, len(ops))
        ops += [op] if op is not None else []
        items.append(item)
    return (Beside({}, {}, ops) if ops else take([])), Columns(tuple(items), len(ops), columns.names)


def _left(part: Piece, place: int, column: Column, at: int) -> tuple[Op | None, Column]:
    op, moved = kept(Columns((column,), 0))
    if isinstance(column, Code):
        return None, column
    return op, Number(at, column.source, column.filled, column.among, column.words) if moved else column


def _ruled(piece: Piece, place: int, column: Column, at: int) -> tuple[Op | None, Column]:
    rule = rules(piece, place)
    if isinstance(column, Number) and column.words:
        raise CannotLift(piece.kind, "text made by an earlier step reaches it", "Put the domain first, and fit again")
    text = [*(_known(piece, place)[0] or ()), *(one for one in (rule.fill, rule.strange) if one is not None)]
    wants_text = piece.kind in DISCRETE and not numeric(text)
    if isinstance(column, Code):
        if not wants_text and rule.limited:
            reread([column.source], "number", piece)
        return None, _named(rule, column)
    if wants_text:
        if column.source is None:
            raise CannotLift(piece.kind, "it knows text, and computed numbers reach it")
        reread([column.source], "category", piece)
    return _numbered(rule, column, at)


def _named(rule: Rules, column: Code) -> Code:
    """A column of text: what each of its values becomes."""
    source = column.source
    source.learn([*(rule.values or ()), rule.stands])
    now = {raw: column.replaced.get(raw, raw) for raw in [*Special, *source.vocabulary]}
    absent = {raw for raw, value in now.items() if _absent(rule, value)}
    strange = {
        raw for raw, value in now.items() if raw not in absent and rule.values is not None and value not in rule.values
    }
    for word, raws in (("missing", absent), ("strange", strange)):
        if word in rule.stops:
            source.refuses.update({raw.value: None for raw in raws if isinstance(raw, Special)})
            source.bar(raw for raw in raws if not isinstance(raw, Special))
    changed = dict.fromkeys(absent, rule.fill) | dict.fromkeys(strange, rule.strange)
    return Code(source, {**column.replaced, **{raw: value for raw, value in changed.items() if value is not None}})


def _absent(rule: Rules, value: Entry) -> bool:
    return value in ABSENT if rule.stands is Special.MISSING else value == rule.stands


def _numbered(rule: Rules, column: Number, at: int) -> tuple[Op, Number]:
    piece, said = rule.piece, rule.piece.params
    if said.get("dtype") not in FLOATS:
        raise CannotLift(piece.kind, f"it casts to {said['dtype']}", "Cast in a step of its own, to float")
    _stop(rule, column)
    if column.source is not None:
        column.source.used = True
    arrays = _held_arrays(rule)
    stands = None if rule.stands is Special.MISSING else float(rule.stands)  # type: ignore[arg-type]
    known = tuple(float(v) if isinstance(v, bool) else v for v in rule.values or () if not isinstance(v, Special | str))
    among = known if "strange" in rule.stops and not column.among else column.among
    if not arrays.keys() - {"values", "low", "high"}:
        return take([column.at]), Number(at, column.source, column.filled, among)
    same = column.source if arrays.keys() <= {"values", "low", "high", "fill"} and stands is None else None
    return chain([take([column.at]), Held({"missing": stands}, arrays)]), Number(
        at, same, column.filled or "fill" in arrays
    )


def _held_arrays(rule: Rules) -> Arrays:
    said, arrays = rule.piece.params, dict[str, Any]()
    if rule.values is not None:
        arrays["values"] = [float(v) for v in rule.values if not isinstance(v, Special | str)]
    if rule.between is not None:
        arrays["low"], arrays["high"] = ([limit] for limit in rule.between)
    if rule.limited and rule.strange is not None:
        arrays["strange"] = [as_number(rule.strange)]  # type: ignore[arg-type]
    if rule.fill is not None:
        arrays["fill"] = [as_number(rule.fill)]  # type: ignore[arg-type]
    treatment = said.get("outlier_treatment", "as_is")
    if treatment != "as_is" and not older(rule.piece, 0, 51):
        arrays["least"], arrays["most"] = [as_number(said["low_value"])], [as_number(said["high_value"])]
        if treatment == "as_missing_values":
            stands = math.nan if rule.stands is Special.MISSING else float(rule.stands)  # type: ignore[arg-type]
            arrays["outlier"] = arrays.get("fill", [stands])
    return {name: np.array(value, dtype=np.float64) for name, value in arrays.items()}


def _stop(rule: Rules, column: Number) -> None:
    """What the legacy stops at is refused where the raw column is read."""
    if not rule.stops:
        return
    outliers_stop = rule.piece.params.get("outlier_treatment") == "as_missing_values" and "missing" in rule.stops
    if column.source is None or outliers_stop:
        raise CannotLift(rule.piece.kind, "it stops at values it never saw, and computed numbers reach it")
    besides = [] if rule.stands is Special.MISSING else [float(rule.stands)]  # type: ignore[arg-type]
    sentinel_stops = "missing" in rule.stops and bool(besides)
    besides = [] if sentinel_stops else besides
    if "strange" in rule.stops:
        if rule.values is not None:
            known = [v for v in rule.values if not isinstance(v, Special)]
            column.source.allow([*known, *besides])
        elif rule.between is not None:
            column.source.hold(*rule.between, besides)
    elif sentinel_stops:
        raise CannotLift(rule.piece.kind, "it stops at a number that says missing, and at no other")
    stops_at_nan = "missing" in rule.stops if rule.stands is Special.MISSING else "strange" in rule.stops
    if stops_at_nan and not column.filled:
        column.source.refuses["missing"] = None
