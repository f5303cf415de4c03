"""A candidate with a threshold for each group: the same torch module, and one op after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workbench.migrate.lift import Lifted
from workbench.migrate.lift.group_thresholds import GroupThresholds
from workbench.migrate.lift.lifted import Module
from workbench.migrate.lift.ops import Op
from workbench.migrate.mitigation.groups import Groups
from workbench.models.edge import FIRST, EdgeColumn, EdgeSpec
from workbench.models.protocol import Input, ModelError

Floats = NDArray[np.float64]


def nearest(scores: Floats, share: float) -> float:
    """The threshold whose share of scores at or above it is nearest to the one asked for: midway between two scores.

    It is off by half the share of rows with one score at most. Without scores, and for all or none of them: 0 or 1.
    """
    ordered = np.unique(scores)
    cuts = np.concatenate([[0.0], (ordered[1:] + ordered[:-1]) / 2, [1.0]])
    above = 1 - np.searchsorted(np.sort(scores), cuts) / max(1, len(scores))
    above[-1] = (scores >= 1).mean() if len(scores) else 0.0
    return float(cuts[np.abs(above - share).argmin()])


def with_thresholds(path: Path, groups: Groups, thresholds: Sequence[float], threshold: float, positive: int) -> Lifted:
    """The candidate written at `path`, deciding by each group's threshold (in the order of the groups' labels).

    Raises ModelError for a candidate without a plain spec beside it.
    """
    if not path.with_suffix(".json").exists():
        raise ModelError(f"{path.name} has no plain spec (.json, .npz) beside it: give one that 42_replatform made")
    inner = Lifted.load_spec(path)
    edge, own = inner.card.edge.columns, np.asarray(thresholds, dtype=np.float64)
    if groups.edges:
        column, table, kind = EdgeColumn(groups.attribute, "number"), own, "number"
    else:
        column = EdgeColumn(groups.attribute, "category", groups.values)
        table, kind = np.concatenate([np.full(FIRST, own[-1]), own[:-1]]), "category"
    config = {
        "threshold": threshold,
        "positive": positive,
        "numbers": sum(c.read == "number" for c in edge),
        "codes": sum(c.read == "category" for c in edge),
        "banded": bool(groups.edges),
    }
    arrays = {"thresholds": table, "edges": np.array(groups.edges or (0.0,), dtype=np.float64)}
    inside = inner.module.op
    assert isinstance(inside, Op)
    op = GroupThresholds(config, arrays, [inside])
    inputs = inner.card.inputs
    if all(known.name != groups.attribute for known in inputs):
        inputs = (*inputs, Input(groups.attribute, kind, groups.values))  # type: ignore[arg-type]
    source = f"{inner.card.source}, a threshold for each group of {groups.attribute}"
    card = replace(inner.card, edge=EdgeSpec((*edge, column)), inputs=inputs, source=source)
    return Lifted(Module(op).eval(), card)
