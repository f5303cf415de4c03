"""PMML's regressions of raw numbers and raw texts: one matrix product over numbers and looked-up values."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.migrate.lift.answer import answer_op
from workbench.migrate.lift.columns import CannotLift, Columns, Context, Entry, Special, chain, numbers, predictor, take
from workbench.migrate.lift.encode import encoded
from workbench.migrate.lift.ops import Beside, MatMul, Op
from workbench.models.protocol import Piece


@predictor("pmml.RegressionModel")
def regression(piece: Piece, columns: Columns, context: Context) -> Op:
    if "link" not in piece.params:
        raise CannotLift(piece.kind, str(piece.params.get("trees_refused") or "its coefficients were not read"))
    said: dict[str, Any] = dict(piece.params)
    order, sign = _tables(piece, context, said)
    parts, weights = _parts(piece, columns, context, said, order)
    bias = np.array(said["intercepts"], dtype=np.float64)[order] * sign
    if not parts:
        raise CannotLift(piece.kind, "it reads no column")
    product = MatMul({}, {"weight": np.concatenate(weights) * sign, "bias": bias})
    answer = answer_op(piece, context, len(order), link=said["link"], raw=False, unanswered=True)
    return chain([parts[0] if len(parts) == 1 else Beside({}, {}, parts), product, answer])


def _tables(piece: Piece, context: Context, said: dict[str, Any]) -> tuple[list[int], float]:
    """Which tables give the sums, in the classes' order; and -1 where the only one is the first class's.

    With a logit link and two classes the first table gives its class's probability, and the other is the rest.
    """
    if context.task == "regression":
        return [0], 1.0
    named = [str(one) for one in said["tables"]]
    classes = [str(one) for one in said["classes"]]
    if said["link"] == "sigmoid":
        return [0], 1.0 if named[0] == classes[1] else -1.0
    return [named.index(one) for one in classes], 1.0


def _parts(
    piece: Piece, columns: Columns, context: Context, said: dict[str, Any], order: list[int]
) -> tuple[list[Op], list[Any]]:
    """Ops side by side, and the rows of the weight for what they give."""
    names = columns.names or ()
    parts: list[Op] = []
    weights: list[Any] = []
    used = [place for place, name in enumerate(names) if name in said["numbers"]]
    if used:
        before, _ = numbers(piece, columns.pick(used))
        if before:
            parts.append(chain(before))
        else:
            parts.append(take(range(len(used))))
        weights.append(np.array([said["numbers"][names[place]] for place in used], dtype=np.float64)[:, order])
    for name, rows in said["values"].items():
        table = np.array([rows[value] for value in rows], dtype=np.float64).reshape(len(rows), -1)[:, order]
        # A missing value adds nothing; one that is not listed leaves no answer where the field says so.
        known: list[Entry] = [*rows, Special.MISSING, Special.NONE]
        table = np.vstack([table, np.zeros((2, len(order)))])
        strange = np.full(len(order), np.nan if name in said["strict"] else 0.0)
        parts.append(encoded(piece, columns.items[names.index(name)], known, table, strange, context))
        weights.append(np.eye(len(order)))
    return parts, weights
