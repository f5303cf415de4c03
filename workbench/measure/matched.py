"""The rows both models answered, as arrays to measure on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.measure import agreement
from workbench.measure.causes import Ask, Doors, Pair
from workbench.measure.quality import Answers
from workbench.models import Label, ModelError, Outputs, normal
from workbench.scored import Scored, Side

if TYPE_CHECKING:
    from workbench.models import Model

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


def nearest(rows: Matched, k: int = 10) -> pd.DataFrame:
    """The rows nearest the threshold, by place, never by content; none without scores of both models."""
    one, two = rows.binary_scores
    if one is None or two is None or rows.threshold is None:
        return pd.DataFrame()
    near = agreement.nearest(one, two, rows.threshold, k)
    return near.assign(row=rows.place[near["row"]])


NOT_ASKED = ("column", "service")
"""Formats that are not asked about changed rows: a column holds answers to its own rows, a service may be in use."""


def compared(scored: Scored, rows: Matched, doors: Doors | None, seed: int = 0) -> Pair:
    """What `causes.explain` needs of the rows both models answered. doors: to ask them again, None not to."""
    assert rows.after is not None
    assert scored.candidate is not None
    decided = (rows.before.decision, rows.after.decision)
    asks = [
        _ask(doors[name], scored) if doors and name in doors and side.format not in NOT_ASKED else None
        for name, side in (("legacy", scored.legacy), ("candidate", scored.candidate))
    ]
    both = None if decided[0] is None or decided[1] is None else (decided[0], decided[1])
    own = [_places(side.outputs, scored.classes) for side in (scored.legacy, scored.candidate)]
    return Pair(
        rows.frame.reset_index(drop=True),
        _numbers_of(rows.before),
        _numbers_of(rows.after),
        both,
        None if own[0] is None or own[1] is None else (own[0][rows.place], own[1][rows.place]),
        rows.threshold,
        asks[0],
        asks[1],
        seed,
    )


def _numbers_of(answers: Answers) -> Floats | None:
    return answers.value if answers.value is not None else answers.scores


def _places(outputs: Outputs, classes: Sequence[Label]) -> NDArray[np.int64] | None:
    """[n] the class a model names itself, -1 where that is none; None for a model that gives no labels."""
    if outputs.labels is None:
        return None
    known = {normal(label): place for place, label in enumerate(classes)}
    codes, values = pd.factorize(outputs.labels)
    return np.array([*(known.get(normal(value), -1) for value in values), -1], dtype=np.int64)[codes]


def _ask(door: Callable[[], Model], scored: Scored) -> Ask:
    """Answers to changed rows in the form of `Matched.numbers`; NaN for all rows of a question that is refused."""
    names = [normal(label) for label in scored.classes]
    positive = names.index(normal(scored.task.positive)) if scored.task.kind == "binary" else None
    width = len(names) if scored.task.kind == "multiclass" else 0

    def ask(frame: pd.DataFrame) -> Floats:
        try:
            outputs = door().predict(frame)
        except (ModelError, ValueError, TypeError, KeyError, RuntimeError):
            # A value no row has had may be more than a model, or its library, can read.
            return np.full((len(frame), width) if width else len(frame), np.nan)
        if outputs.values is not None:
            return outputs.values
        if outputs.scores is not None:
            return outputs.scores if positive is None else outputs.scores[:, positive]
        places = _places(outputs, scored.classes)
        assert places is not None
        return (places if positive is None else places == positive).astype(np.float64)

    return ask


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
    if weight is not None:
        bad = int((~(np.isfinite(weight) & (weight >= 0))).sum())
        refuse_weights(bad, len(weight), bool(weight.any()) or not len(weight))


def refuse_weights(bad: int, n: int, some: bool) -> None:
    """Raises WeightError where `bad` of n weights are missing, infinite or negative, or not even some are above 0."""
    if bad or not some:
        seen = f"{bad:,} of {n:,} weights are missing, infinite or negative" if bad else "all weights are 0"
        raise WeightError(f"{seen}: correct the column that roles.weight names, or leave roles.weight out")


def unanswered(scored: Scored, name: str, side: Side) -> tuple[int, str]:
    """Rows without a usable answer, or with another one when asked twice, and what is wrong, in a line."""
    missing = int((~responded(side)).sum())
    told = [f"no usable answer for {missing:,} of {len(scored):,} rows"] if missing else []
    odd = [one for one in scored.problems if one.side == name and one.kind in ("unrepeatable", "range", "sum")]
    told += [one.message for one in odd]
    # One class against the rest is no fault.
    count = missing + sum(one.rows for one in odd if one.kind != "sum")
    return count, f"{name.capitalize()}: {'; '.join(told)}" if told else ""


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
