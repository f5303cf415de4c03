"""The people a pair of models decides about: rows in memory here, rows that stay where they lie in `fairness_whole`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import pandas as pd

from workbench.measure import fairness
from workbench.measure.fairness_groups import Groups, groups_of, merge_rare
from workbench.measure.fairness_means import means
from workbench.measure.fairness_paired import Assessed, Part, Plan, Tally, assess, readings
from workbench.measure.fairness_scores import histograms, one_answer, order, score_table
from workbench.measure.intervals import Estimate
from workbench.measure.matched import match
from workbench.models import normal
from workbench.scored import Scored


class People(Protocol):
    """Rows every model answered. n: how many; known: those with a truth; columns: what they can be split by.

    decides: whether the answers are decisions (no regression); whole: whether they are the task's own yes or no.
    """

    @property
    def n(self) -> int: ...
    @property
    def known(self) -> int: ...
    @property
    def columns(self) -> frozenset[str]: ...
    @property
    def decides(self) -> bool: ...
    @property
    def whole(self) -> bool: ...
    def one_answer(self) -> list[Estimate]: ...
    def order(self) -> list[Estimate]: ...
    def assessed(self, names: Sequence[str], depth: int, plan: Plan) -> Iterator[Assessed]: ...


class Sampled:
    """The scored rows, in memory."""

    def __init__(self, scored: Scored) -> None:
        self._rows = match(scored)
        self._read = readings(self._rows, scored.task, [normal(label) for label in scored.classes])
        self.n, self.known = len(self._rows), int(self._rows.known.sum())
        self.columns = frozenset(map(str, self._rows.frame.columns))
        self.decides, self.whole = bool(self._read), bool(self._read) and self._read[0].whole

    def one_answer(self) -> list[Estimate]:
        return one_answer(self._rows)

    def order(self) -> list[Estimate]:
        return order(self._rows, self._read[0])

    def assessed(self, names: Sequence[str], depth: int, plan: Plan) -> Iterator[Assessed]:
        for groups in map(merge_rare, groups_of(self._rows.frame, names, depth)):
            yield assess(self.tally(groups, plan), plan) if self.decides else means(self._rows, groups, plan)

    def tally(self, groups: Groups, plan: Plan) -> Tally:
        rows = self._rows
        parts = [
            Part(one.name, one.gaps, fairness.count(groups, one.target, one.before, one.after, rows.weight))
            for one in self._read
        ]
        return Tally(
            name=groups.name,
            parts=tuple(parts),
            paired=rows.after is not None,
            scores=score_table(rows, groups, plan.least) if self.whole else pd.DataFrame(),
            bins=histograms(rows, groups) if self.whole else (),
            threshold=0.5 if rows.threshold is None else rows.threshold,
        )
