"""PMML's MiningModel: segments, each a model with a predicate, and how their answers become one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.models.pmml.answers import Answer, Run, decided
from workbench.models.pmml.columns import Bools, Column, Floats, Scope
from workbench.models.pmml.document import Element
from workbench.models.pmml.predicates import Predicate, predicate
from workbench.models.protocol import ModelError

Made = tuple[Run, Callable[[Answer, Scope], dict[str, Column]]]

NUMBERS = ("sum", "weightedSum", "x-weightedSum", "average", "weightedAverage", "median", "max")
CLASSES = ("majorityVote", "weightedMajorityVote", "average", "weightedAverage", "max")
FIRST = ("selectFirst", "modelChain")


@dataclass(frozen=True)
class Segment:
    predicate: Predicate
    weight: float
    run: Run
    outputs: Callable[[Answer, Scope], dict[str, Column]]


def mining(model: Element, classes: tuple[str, ...], make: Callable[[Element, tuple[str, ...]], Made]) -> Run:
    """A MiningModel as a function of the fields. make: a segment's own model, given this one's classes."""
    found = model.first("Segmentation")
    if found is None:
        raise ModelError("its MiningModel has no Segmentation, which is not read here: export it with segments")
    method, missing = found.need("multipleModelMethod"), found.get("missingPredictionTreatment", "continue")
    if method not in (*(CLASSES if classes else NUMBERS), *FIRST):
        raise ModelError(
            f"it joins {'classifications' if classes else 'regressions'} by {method[:40]!r}, which is not read here"
        )
    if missing not in ("continue", "skipSegment", "returnMissing") or found.number("missingThreshold", 1.0) != 1.0:
        raise ModelError(f"it treats missing predictions by {missing[:40]!r} or a threshold, which is not read here")
    segments = [_segment(one, classes, make) for one in found.all("Segment")]
    if not segments:
        raise ModelError("its Segmentation has no Segment: the file was cut short")
    if method == "modelChain":
        return lambda scope: _chained(segments, scope)
    if method == "selectFirst":
        return lambda scope: _first(segments, scope)
    single = model.get("x-mathContext") == "float"
    if classes:
        return lambda scope: _voted(segments, scope, method, classes, missing == "skipSegment")
    return lambda scope: _joined(segments, scope, method, missing == "skipSegment", single)


def _segment(element: Element, classes: tuple[str, ...], make: Callable[[Element, tuple[str, ...]], Made]) -> Segment:
    inner = next((child for child in element.children if child.tag.endswith(("Model", "Scorecard", "RuleSet"))), None)
    if inner is None:
        raise ModelError("a Segment of it holds no model: the file was cut short")
    return Segment(predicate(element), element.number("weight", 1.0), *make(inner, classes))


def _takes(segment: Segment, scope: Scope) -> Bools:
    return np.asarray(segment.predicate(scope, np.arange(scope.n)) == 1)


def _chained(segments: list[Segment], scope: Scope) -> Answer:
    """One after the other; each sees what those before put out. The last one that takes a row answers it."""
    scope, answer = Scope(scope.n, parent=scope), None
    for segment in segments:
        takes = _takes(segment, scope)
        found = _only(segment.run(scope), takes)
        put = {name: _kept(column, takes) for name, column in segment.outputs(found, scope).items()}
        scope = Scope(scope.n, put, parent=scope)
        same = answer is not None and (answer.value is None) == (found.value is None) and not takes.all()
        answer = _merged(found, answer, takes) if same and answer is not None else found
    assert answer is not None
    return answer


def _kept(column: Column, rows: Bools) -> Column:
    if column.numbers is None:
        return Column(None, np.where(rows, column.codes, -1), column.labels)
    return Column(np.where(rows, column.numbers, np.nan))


def _only(answer: Answer, rows: Bools) -> Answer:
    """Nothing for the other rows."""
    if answer.value is not None:
        return Answer(np.where(rows, answer.value, np.nan))
    assert answer.label is not None
    scores = None if answer.scores is None else np.where(rows[:, None], answer.scores, np.nan)
    return Answer(None, answer.classes, scores, np.where(rows, answer.label, -1))


def _merged(new: Answer, old: Answer, rows: Bools) -> Answer:
    """new where rows, else old."""
    if new.value is not None and old.value is not None:
        return Answer(np.where(rows, new.value, old.value))
    if new.classes != old.classes or (new.scores is None) != (old.scores is None):
        raise ModelError("its segments answer different classes, or only some give probabilities: not read here")
    assert new.label is not None
    assert old.label is not None
    scores = None if new.scores is None or old.scores is None else np.where(rows[:, None], new.scores, old.scores)
    return Answer(None, new.classes, scores, np.where(rows, new.label, old.label))


def _first(segments: list[Segment], scope: Scope) -> Answer:
    """Of each row the first segment that takes it."""
    open_, answer = np.ones(scope.n, dtype=bool), None
    for segment in segments:
        takes = _takes(segment, scope) & open_
        found = _only(segment.run(scope), takes)
        answer = found if answer is None else _merged(found, answer, takes)
        open_ &= ~takes
    assert answer is not None
    return answer


def _joined(segments: list[Segment], scope: Scope, method: str, skip: bool, single: bool) -> Answer:
    """Values of segments as one: over the segments that take a row, in their order.

    single: the sum runs in float32 (JPMML's x-mathContext), as the library the model comes from does.
    """
    takes = np.stack([_takes(segment, scope) for segment in segments])
    values = np.stack([_value(segment.run(scope)) for segment in segments])
    takes = takes & ~np.isnan(values) if skip else takes
    weight = np.array([segment.weight if "eighted" in method else 1.0 for segment in segments])[:, None] * takes
    if method == "median":
        return Answer(_median(values, takes))
    if method == "max":
        return Answer(np.where(takes.any(axis=0), np.where(takes, values, -np.inf).max(axis=0), np.nan))
    total = _sum(np.where(takes, values, 0.0) * weight, single)
    if "verage" in method:
        with np.errstate(invalid="ignore", divide="ignore"):
            total = total / weight.sum(axis=0)
    return Answer(np.where(takes.any(axis=0), total, np.nan))


def _median(values: Floats, takes: NDArray[np.bool_]) -> Floats:
    out, sure = np.full(values.shape[1], np.nan), takes.any(axis=0) & ~(np.isnan(values) & takes).any(axis=0)
    out[sure] = np.nanmedian(np.where(takes, values, np.nan)[:, sure], axis=0)
    return out


def _sum(values: Floats, single: bool) -> Floats:
    """Over the first axis, one by one."""
    out = np.zeros(values.shape[1:], dtype=np.float32 if single else np.float64)
    for row in values:
        out += row.astype(out.dtype)
    return out.astype(np.float64)


def _value(answer: Answer) -> Floats:
    if answer.value is None:
        raise ModelError("a segment classifies where the model adds numbers: the file is damaged")
    return answer.value


def _voted(segments: list[Segment], scope: Scope, method: str, classes: tuple[str, ...], skip: bool) -> Answer:
    total, weights = np.zeros((scope.n, len(classes))), np.zeros(scope.n)
    best = np.zeros((scope.n, len(classes)))
    for segment in segments:
        scores = _shares(segment.run(scope), classes, method)
        takes = _takes(segment, scope)
        takes = takes & ~np.isnan(scores).any(axis=1) if skip else takes
        weight = (segment.weight if method.startswith("weighted") else 1.0) * takes
        total += np.where(takes[:, None], scores, 0.0) * weight[:, None]
        weights += weight
        if method == "max":
            better = takes & (np.where(takes, scores.max(axis=1), -1.0) > best.max(axis=1))
            best = np.where(better[:, None], scores, best)
    if method == "max":
        return decided(classes, np.where(weights[:, None] > 0, best, np.nan))
    with np.errstate(invalid="ignore", divide="ignore"):
        return decided(classes, np.where(weights[:, None] > 0, total / weights[:, None], np.nan))


def _shares(answer: Answer, classes: tuple[str, ...], method: str) -> Floats:
    """A segment's probabilities, or for a vote its label as one; NaN where it has no answer."""
    if answer.label is None or answer.classes != classes:
        raise ModelError("a segment answers other classes than the model it belongs to: not read here")
    if method not in ("majorityVote", "weightedMajorityVote"):
        if answer.scores is None:
            raise ModelError("a segment gives no probabilities, and the model averages them: the file is damaged")
        return answer.scores
    votes = np.zeros((len(answer.label), len(classes)))
    votes[np.arange(len(votes)), answer.label] = 1.0
    votes[answer.label < 0] = np.nan
    return votes
