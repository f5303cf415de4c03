"""What a setting must keep of the candidate's answers, on rows: the hard constraint of the search.

"parity": the labels of the candidate as it is, and scores within a difference of its own. "quality": not worse than it
by more than a margin, shown by the paired interval of the change, against the truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from workbench.measure.agreement import gaps
from workbench.measure.quality import Answers, Compared, compare
from workbench.migration import Task
from workbench.models import Model, ModelError, Outputs, normal

if TYPE_CHECKING:
    import pandas as pd

    from workbench.migrate.tuning import Params

METRIC = {"binary": "log-loss", "multiclass": "log-loss", "regression": "rmse"}
"""What quality is measured by: proper scores, small is good."""
DRAWS = 200


@dataclass(frozen=True)
class Kept:
    """loss: what is lost in answers, 0 is nothing: the largest difference (parity) or the change of the metric
    (quality). reason: why the constraint is broken, "" where it is kept."""

    loss: float
    told: Mapping[str, Any]
    reason: str = ""


@dataclass(frozen=True)
class Rule:
    """The constraint. flips: share of labels that may change; difference: of scores, or of values as a share of their
    spread; margin: of the quality; truth [n]: place of the class, or the value, of the rows it is asked about."""

    hold: Literal["parity", "quality"]
    task: Literal["binary", "multiclass", "regression"]
    truth: NDArray[Any]
    flips: float = 0.0
    difference: float = 1e-6
    margin: float = 0.01
    positive: int = 1
    threshold: float = 0.5

    def kept(self, before: Outputs, after: Outputs) -> Kept:
        """The candidate as it is against the setting, on the same rows."""
        apart = self._apart(before, after)
        flipped = float(np.mean(self._decided(before) != self._decided(after))) if self.task != "regression" else 0.0
        told = {"difference": apart, "flips": flipped}
        if self.hold == "quality":
            return self._quality(before, after, told)
        if flipped > self.flips:
            return Kept(apart, told, f"{flipped:.3%} of the labels change, {self.flips:.3%} may")
        if apart > self.difference:
            return Kept(apart, told, f"answers differ by up to {apart:.2g}, {self.difference:g} is allowed")
        return Kept(apart, told)

    def _quality(self, before: Outputs, after: Outputs, told: Mapping[str, Any]) -> Kept:
        found = self.compared(before, after)
        change = found.change
        assert change is not None
        kept = {**told, "metric": found.metric.name, "change": list(change)}
        # The margin is that of the metric's own: a share for a relative one.
        if not change.high <= self.margin:
            why = f"{found.metric.title} may rise by up to {change.high:.3g}, the margin is {self.margin:g}"
            return Kept(change.value, kept, why)
        return Kept(change.value, kept)

    def compared(self, before: Outputs, after: Outputs) -> Compared:
        """The metric of both on the rows with a known truth, and its paired change."""
        known = np.isfinite(self.truth) if self.task == "regression" else self.truth >= 0
        sides = [self._answers(one).only(known) for one in (before, after)]
        found = compare(self.truth[known], sides[0], sides[1], draws=DRAWS)
        return next(one for one in found if one.metric.name == METRIC[self.task])

    def _answers(self, outputs: Outputs) -> Answers:
        if self.task == "regression":
            return Answers(value=outputs.values)
        assert outputs.scores is not None
        scores = outputs.scores[:, self.positive] if self.task == "binary" else outputs.scores
        return Answers(decision=self._decided(outputs), scores=scores)

    def _decided(self, outputs: Outputs) -> NDArray[np.int64]:
        scores = outputs.scores
        assert scores is not None
        if self.task == "binary":
            return (scores[:, self.positive] >= self.threshold).astype(np.int64)
        return np.asarray(scores.argmax(axis=1), dtype=np.int64)

    def _apart(self, before: Outputs, after: Outputs) -> float:
        if self.task != "regression":
            assert before.scores is not None
            assert after.scores is not None
            return float(gaps(before.scores, after.scores).max())
        assert before.values is not None
        assert after.values is not None
        spread = float(np.nanstd(before.values)) or 1.0
        return float(gaps(before.values, after.values).max()) / spread


def rule_of(model: Model, frame: pd.DataFrame, task: Task, params: Params) -> Rule:
    """The rule on the rows of a frame. Raises ModelError where quality is to be held and the truth is not there."""
    from workbench.scored import truth

    positive, there = 1, task.target in frame
    if task.kind == "binary":
        positive = [normal(label) for label in model.classes].index(normal(task.positive))
    if params.hold == "quality" and not there:
        raise ModelError(f"the training rows have no column {task.target!r}: quality cannot be held (hold: parity)")
    known = truth(frame[task.target], task, model.classes) if there else np.full(len(frame), np.nan)
    limits: dict[str, Any] = {name: getattr(params, name) for name in ("hold", "flips", "difference", "margin")}
    return Rule(task=task.kind, truth=known, positive=positive, threshold=task.threshold or 0.5, **limits)
