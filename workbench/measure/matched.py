"""The rows both models answered, as arrays to measure on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.measure import agreement
from workbench.measure.quality import Answers
from workbench.scored import Scored, Side

Floats = NDArray[np.float64]


class WeightError(ValueError):
    """Sample weights that cannot weigh: missing, infinite or negative."""


@dataclass(frozen=True)
class Matched:
    """n rows that every model answered. place: [n], their places among the scored rows; threshold: binary with scores.

    target: [n], class index or value; known: [n], where the truth is there.
    """

    frame: pd.DataFrame
    place: NDArray[np.int64]
    target: NDArray[np.generic]
    known: NDArray[np.bool_]
    weight: Floats | None
    before: Answers
    after: Answers | None
    threshold: float | None = None

    def __len__(self) -> int:
        return len(self.place)

    def only(self, rows: NDArray[np.bool_]) -> Matched:
        """Some of the rows."""
        return replace(
            self,
            frame=self.frame[rows],
            place=self.place[rows],
            target=self.target[rows],
            known=self.known[rows],
            weight=None if self.weight is None else self.weight[rows],
            before=self.before.only(rows),
            after=None if self.after is None else self.after.only(rows),
        )

    @property
    def numbers(self) -> tuple[Floats, Floats] | None:
        """Scores, or values, of both models; None where one of them only decides or is not there."""
        if self.after is None:
            return None
        for name in ("value", "scores"):
            one, two = getattr(self.before, name), getattr(self.after, name)
            if one is not None and two is not None:
                return one, two
        return None

    @property
    def scaled(self) -> tuple[Floats, Floats, str] | None:
        """`numbers` as shares, and what of: scores are shares already, a value is one of the largest legacy value."""
        both = self.numbers
        if both is None or self.before.value is None:
            return None if both is None else (*both, "")
        size = float(np.abs(both[0]).max(initial=0.0)) or 1.0
        return both[0] / size, both[1] / size, "of the largest answer"

    @property
    def binary_scores(self) -> tuple[Floats, Floats] | tuple[None, None]:
        """P(positive) of both models, None for any other task."""
        both = self.numbers
        return both if both is not None and self.before.value is None and both[0].ndim == 1 else (None, None)


def around(rows: Matched, flipped: NDArray[np.bool_], nearest: int = 10) -> dict[str, pd.DataFrame]:
    """By title: what differing rows have in common, and the rows nearest the threshold, by place, never by content."""
    one, two = rows.binary_scores
    if one is None or two is None or rows.threshold is None:
        found = {"What the differing rows have in common": agreement.causes(rows.frame, flipped)}
    else:
        differs = flipped | (agreement.gaps(one, two) > agreement.ROUNDING)
        near = agreement.nearest(one, two, rows.threshold, nearest)
        found = {
            "What the differing rows have in common": agreement.causes(rows.frame, differs, one, two, rows.threshold),
            "Rows nearest the threshold": near.assign(row=rows.place[near["row"]]),
        }
    return {title: frame for title, frame in found.items() if len(frame)}


def match(scored: Scored) -> Matched:
    """Leaves out the rows that either model did not answer (NaN, or a label that is no class). Raises WeightError."""
    _check_weight(scored.weight)
    sides = [side for side in (scored.legacy, scored.candidate) if side is not None]
    answered = np.ones(len(scored), dtype=bool)
    for side in sides:
        answered &= responded(side)
    target = np.asarray(scored.target)
    answers = [_answers(side, scored.task.kind) for side in sides]
    everything = Matched(
        frame=scored.frame.reset_index(drop=True),
        place=np.arange(len(scored)),
        target=target,
        known=np.isfinite(target) if target.dtype.kind == "f" else target >= 0,
        weight=scored.weight,
        before=answers[0],
        after=answers[1] if len(answers) == 2 else None,
        threshold=scored.task.threshold if scored.task.kind == "binary" else None,
    )
    return everything.only(answered)


def _check_weight(weight: Floats | None) -> None:
    bad = 0 if weight is None else int((~(np.isfinite(weight) & (weight >= 0))).sum())
    if weight is not None and (bad or (len(weight) and not weight.any())):
        seen = f"{bad:,} of {len(weight):,} weights are missing, infinite or negative" if bad else "all weights are 0"
        raise WeightError(f"{seen}: correct the column that roles.weight names, or leave roles.weight out")


def responded(side: Side) -> NDArray[np.bool_]:
    """[n], the rows this model answered. A NaN or an infinite score is no answer, nor is a label that is no class."""
    numbers = side.value if side.value is not None else side.score if side.score is not None else side.outputs.scores
    if numbers is not None:
        return np.asarray(np.isfinite(numbers).all(tuple(range(1, numbers.ndim))))
    assert side.decision is not None
    valid: NDArray[np.bool_] = np.greater_equal(side.decision, 0)
    return valid


def _answers(side: Side, kind: str) -> Answers:
    scores = side.outputs.scores if kind == "multiclass" else side.score
    return Answers(decision=side.decision, scores=scores, value=side.value)
