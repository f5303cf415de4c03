"""PMML's scorecards and general regressions of raw numbers and texts: steps, products and one sum."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workbench.migrate.lift.answer import answer_op
from workbench.migrate.lift.columns import CannotLift, Columns, Context, Entry, Special, chain, numbers, predictor, take
from workbench.migrate.lift.encode import encoded
from workbench.migrate.lift.ops import Beside, MatMul, Monomials, Op
from workbench.models.protocol import Piece

Floats = NDArray[np.float64]


class Steps(Op):
    """A number's score: values [C] sorted, table [2 C + 2] below the first, at it, between it and the next, …, above
    the last, and of a missing one."""

    name = "steps"
    values: Tensor
    table: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        column = x.contiguous()
        below = torch.searchsorted(self.values, column)
        at = self.values[below.clamp(max=len(self.values) - 1)] == column
        place = torch.where(column.isnan(), len(self.table) - 1, 2 * below + at.long())
        return self.table[place]


class Powers(Op):
    """Each column to its own power [m]."""

    name = "powers"
    power: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        return torch.where(self.power == 1.0, x, torch.pow(x, self.power))


@predictor("pmml.Scorecard")
def scorecard(piece: Piece, columns: Columns, context: Context) -> Op:
    said = _said(piece, "parts")
    parts = [_part(piece, columns, context, part) for part in said["parts"]]
    bias = np.array([float(said["initial"])])
    total = MatMul({}, {"weight": np.ones((len(parts), 1)), "bias": bias})
    return chain([Beside({}, {}, parts), total, answer_op(piece, context, 1, raw=False, unanswered=True)])


def _said(piece: Piece, needs: str) -> dict[str, Any]:
    if not piece.params.get(needs):
        raise CannotLift(piece.kind, str(piece.params.get("trees_refused") or "it reads no column"))
    return dict(piece.params)


def _part(piece: Piece, columns: Columns, context: Context, part: dict[str, Any]) -> Op:
    """The score of one field."""
    place = (columns.names or ()).index(part["field"])
    scores = np.array([np.nan if score is None else score for score in part["scores"]], dtype=np.float64)
    if "values" in part:
        # The last two: a value that is not listed, and a missing one.
        known: list[Entry] = [*part["values"], Special.MISSING, Special.NONE]
        table = np.append(scores[:-2], [scores[-1]] * 2)[:, None]
        return encoded(piece, columns.items[place], known, table, scores[[-2]], context)
    before, _ = numbers(piece, columns.pick([place]))
    # Without a constant there is one step, whatever the number.
    values = np.array(part["numbers"] or [0.0], dtype=np.float64)
    table = scores if part["numbers"] else scores[[0, 0, 0, 1]]
    return chain([*before, Steps({}, {"values": values, "table": table})])


@predictor("pmml.GeneralRegressionModel")
def general(piece: Piece, columns: Columns, context: Context) -> Op:
    said = _said(piece, "betas")
    cells = [*_covariates(piece, columns, said), *_factors(piece, columns, context, said)]
    terms, betas = [list(term) for term in said["terms"]], np.array(said["betas"], dtype=np.float64)
    count = len(said["covariates"]) + len(said["factors"])
    if said["offsets"]:
        cells.append(_take(piece, columns, [said["offsets"]]))
        terms.append([count])
        betas, count = np.vstack([betas, np.ones((1, betas.shape[1]))]), count + 1
    if not cells:
        raise CannotLift(piece.kind, "it reads no column")
    degree = max(1, *map(len, terms))
    # Past the last cell lies a 1, which leaves a product as it is.
    factors = np.array([term + [count] * (degree - len(term)) for term in terms], dtype=np.int64)
    order, sign, link = _classed(piece, context, said)
    bias = np.full(len(order), float(said["offset"])) * sign
    betas = np.column_stack([betas[:, place] if place >= 0 else np.zeros(len(betas)) for place in order])
    product = MatMul({}, {"weight": betas * sign, "bias": np.where(np.array(order) < 0, 0.0, bias)})
    answer = answer_op(piece, context, len(order), link=link, raw=False, unanswered=True)
    return chain([Beside({}, {}, cells), Monomials({}, {"factors": factors}), product, answer])


def _take(piece: Piece, columns: Columns, names: list[str]) -> Op:
    """Raw numbers side by side."""
    known = columns.names or ()
    before, _ = numbers(piece, columns.pick([known.index(name) for name in names]))
    return chain(before) if before else take(range(len(names)))


def _covariates(piece: Piece, columns: Columns, said: dict[str, Any]) -> list[Op]:
    if not said["covariates"]:
        return []
    names, powers = zip(*said["covariates"])
    taken = _take(piece, columns, list(names))
    if set(powers) == {1.0}:
        return [taken]
    return [chain([taken, Powers({}, {"power": np.array(powers, dtype=np.float64)})])]


def _factors(piece: Piece, columns: Columns, context: Context, said: dict[str, Any]) -> list[Op]:
    """One flag for each factor's value: 1 where the field has it, 0 where another, NaN where it is missing."""
    found = []
    for name, value in said["factors"]:
        item = columns.items[(columns.names or ()).index(name)]
        known: list[Entry] = [*dict.fromkeys([*said["listed"][name], value]), Special.MISSING, Special.NONE]
        table = np.array([[float(one == value)] for one in known[:-2]] + [[np.nan]] * 2)
        strange = np.array([np.nan if name in said["strict"] else 0.0])
        found.append(encoded(piece, item, known, table, strange, context))
    return found


LINKS = {"identity": "identity", "log": "exp", "logit": "sigmoid", "cloglog": "one-minus-exp"}
OTHER = {"sigmoid": "sigmoid", "one-minus-exp": "loglog", "loglog": "one-minus-exp", "probit": "probit"}
OTHER |= {"cauchit": "cauchit"}
"""Links whose answer to -x is 1 less that of another to x."""


def _classed(piece: Piece, context: Context, said: dict[str, Any]) -> tuple[list[int], float, str]:
    """Which table gives each sum (-1: none, it is 0), its sign, and the link."""
    named = [str(one) for one in said["tables"]]
    link = LINKS.get(said["link"], said["link"])
    if context.task == "regression":
        return [0], 1.0, link
    classes = [str(one) for one in said["classes"]]
    if link == "softmax":
        return [named.index(one) if one in named else -1 for one in classes], 1.0, link
    if said["event"] == classes[1]:
        return [0], 1.0, link
    if link not in OTHER:
        raise CannotLift(piece.kind, f"its link {said['link']!r} gives the probability of its first class")
    return [0], -1.0, OTHER[link]
