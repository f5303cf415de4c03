"""How good a model is, for legacy and candidate on the same rows, and whether the candidate is worse.

Figures are those of `sklearn.metrics`. Tests of the difference are paired: McNemar's exact test for accuracy, DeLong's
for the area under the ROC curve, the bootstrap of rows for the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.measure.auc import area_estimate, delong, normal_estimate
from workbench.measure.intervals import Estimate, Interval, holm, paired, percentile, wilson, z_value

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
BINS = 10
"""Equal-width bins of the calibration error."""


@dataclass(frozen=True)
class Answers:
    """One model's answers on n rows with known truth.

    decision: [n], class index. scores: [n] P(class 1), or [n, k] for k > 2 classes. value: [n], regression.
    """

    decision: Ints | None = None
    scores: Floats | None = None
    value: Floats | None = None

    def __len__(self) -> int:
        return len(next(part for part in (self.decision, self.scores, self.value) if part is not None))

    def only(self, rows: NDArray[np.bool_]) -> Answers:
        """Some of the rows."""
        return Answers(
            decision=None if self.decision is None else self.decision[rows],
            scores=None if self.scores is None else self.scores[rows],
            value=None if self.value is None else self.value[rows],
        )


@dataclass(frozen=True)
class Metric:
    """A figure of quality. relative: its change is a share of the legacy's figure, as it carries the target's unit."""

    name: str
    title: str
    better: Literal["higher", "lower"]
    needs: Literal["decision", "scores", "value"]
    binary: bool = False
    relative: bool = False


METRICS = (
    Metric("accuracy", "Accuracy", "higher", "decision"),
    Metric("balanced-accuracy", "Balanced accuracy", "higher", "decision"),
    Metric("f1", "F1 score", "higher", "decision"),
    Metric("auc", "Area under the ROC curve", "higher", "scores", binary=True),
    Metric("average-precision", "Average precision", "higher", "scores", binary=True),
    Metric("log-loss", "Log-loss", "lower", "scores"),
    Metric("brier", "Brier score", "lower", "scores"),
    Metric("calibration-error", "Expected calibration error", "lower", "scores"),
    Metric("rmse", "Root mean squared error", "lower", "value", relative=True),
    Metric("mae", "Mean absolute error", "lower", "value", relative=True),
    Metric("r2", "R²", "higher", "value"),
)


@dataclass(frozen=True)
class Compared:
    """One metric for the pair. change: candidate - legacy (a share of the legacy's, if relative); p: of no difference,
    two-sided, not adjusted for the number of metrics; method: of interval and test."""

    metric: Metric
    legacy: Estimate
    candidate: Estimate | None
    change: Estimate | None
    p: float
    method: str
    n: int


def metrics_of(answers: Answers) -> list[Metric]:
    """The metrics that these answers allow."""
    given = {name for name in ("decision", "scores", "value") if getattr(answers, name) is not None}
    two = answers.scores is not None and answers.scores.ndim == 1
    return [metric for metric in METRICS if metric.needs in given and (two or not metric.binary)]


def evaluate(target: NDArray[np.generic], answers: Answers, weight: Floats | None = None) -> dict[str, float]:
    """Every metric these answers allow; NaN where it is undefined (one class, a constant target)."""
    return _Figures(np.asarray(target), answers)(_ones(weight, len(answers)))


def _ones(weight: Floats | None, n: int) -> Floats:
    return np.ones(n) if weight is None else np.asarray(weight, dtype=np.float64)


class _Figures:
    """What does not change between replicates (order of the scores, bins), so that one replicate costs one pass."""

    def __init__(self, target: NDArray[np.generic], answers: Answers) -> None:
        self._parts: list[Callable[[Floats], dict[str, float]]] = []
        if answers.decision is not None:
            self._parts.append(_decided(target.astype(np.int64), answers.decision))
        if answers.scores is not None and len(answers):
            self._parts.append(_probable(target.astype(np.int64), answers.scores))
            if answers.scores.ndim == 1:
                self._parts.append(_ranked(target.astype(np.int64), answers.scores))
        if answers.value is not None:
            self._parts.append(_valued(target.astype(np.float64), answers.value))

    def __call__(self, weight: Floats) -> dict[str, float]:
        return {name: value for part in self._parts for name, value in part(weight).items()}


def _ratio(top: float, bottom: float) -> float:
    return float(top / bottom) if bottom else math.nan


def _decided(target: Ints, decision: Ints) -> Callable[[Floats], dict[str, float]]:
    k = int(max(target.max(initial=0), decision.max(initial=0), 1)) + 1
    cell = target * k + decision

    def figures(weight: Floats) -> dict[str, float]:
        table = np.bincount(cell, weights=weight, minlength=k * k).reshape(k, k)
        hit, truth, said = table.diagonal(), table.sum(1), table.sum(0)
        recall = hit[truth > 0] / truth[truth > 0]
        seen = truth + said > 0
        f1 = 2 * hit[seen] / (truth + said)[seen]
        one = _ratio(2 * hit[1], truth[1] + said[1]) if k == 2 else math.nan
        return {
            "accuracy": _ratio(hit.sum(), table.sum()),
            "balanced-accuracy": float(recall.mean()) if len(recall) else math.nan,
            "f1": one if k == 2 else float(f1.mean()) if len(f1) else math.nan,
        }

    return figures


def _probable(target: Ints, scores: Floats) -> Callable[[Floats], dict[str, float]]:
    """Log-loss, Brier score, expected calibration error (Naeini et al. 2015; of the top class for k > 2)."""
    two = scores.ndim == 1
    table = np.column_stack([1 - scores, scores]) if two else scores
    truth = np.eye(table.shape[1])[target]
    tiny = np.finfo(np.float64).eps
    surprise = -np.log(np.clip(table[np.arange(len(target)), target], tiny, 1 - tiny))
    error = ((table - truth) ** 2).sum(1) / (2 if two else 1)
    sure = scores if two else table.max(1)
    hit = (target == 1 if two else table.argmax(1) == target).astype(np.float64)
    bins = np.clip((sure * BINS).astype(np.int64), 0, BINS - 1)

    def figures(weight: Floats) -> dict[str, float]:
        total = float(weight.sum())
        off = np.bincount(bins, weights=weight * (hit - sure), minlength=BINS)
        return {
            "log-loss": _ratio(float(weight @ surprise), total),
            "brier": _ratio(float(weight @ error), total),
            "calibration-error": _ratio(np.abs(off).sum(), total),
        }

    return figures


def _ranked(target: Ints, score: Floats) -> Callable[[Floats], dict[str, float]]:
    """Area under the ROC curve and average precision, ties counted as ties."""
    order = np.argsort(-score, kind="stable")
    hit = target[order] == 1
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)

    def figures(weight: Floats) -> dict[str, float]:
        w = weight[order]
        true, false = np.cumsum(np.where(hit, w, 0.0))[last], np.cumsum(np.where(hit, 0.0, w))[last]
        new_true, new_false = np.diff(true, prepend=0.0), np.diff(false, prepend=0.0)
        area = float(((true - new_true / 2) * new_false).sum())
        precision = np.divide(true, true + false, out=np.zeros_like(true), where=true + false > 0)
        return {
            "auc": _ratio(area, true[-1] * false[-1]),
            "average-precision": _ratio((new_true * precision).sum(), true[-1]),
        }

    return figures


def _valued(target: Floats, value: Floats) -> Callable[[Floats], dict[str, float]]:
    error = value - target

    def figures(weight: Floats) -> dict[str, float]:
        total = float(weight.sum())
        squares = float(weight @ error**2)
        centre = _ratio(float(weight @ target), total)
        return {
            "rmse": math.sqrt(_ratio(squares, total)),
            "mae": _ratio(float(weight @ np.abs(error)), total),
            "r2": 1 - _ratio(squares, float(weight @ (target - centre) ** 2)),
        }

    return figures


def mcnemar(gained: int, lost: int) -> float:
    """Exact two-sided p-value that as many rows got right as got wrong (McNemar 1947, exact binomial)."""
    from scipy.special import bdtr

    n = gained + lost
    return min(1.0, 2 * float(bdtr(min(gained, lost), n, 0.5))) if n else 1.0


def compare(
    target: NDArray[np.generic],
    legacy: Answers,
    candidate: Answers | None = None,
    *,
    weight: Floats | None = None,
    draws: int = 500,
    seed: int = 0,
    level: float = 0.95,
) -> Iterator[Compared]:
    """Every metric both models allow, with intervals and a paired test.

    target: [n], class index or value, known in every row; weight: [n] or None.
    """
    allowed = metrics_of(legacy)
    if candidate is not None:
        also = {metric.name for metric in metrics_of(candidate)}
        allowed = [metric for metric in allowed if metric.name in also]
    replicates = _Replicates(np.asarray(target), legacy, candidate, _ones(weight, len(legacy)), draws, seed)
    for metric in allowed:
        if weight is None and metric.name == "accuracy":
            yield _accuracy(metric, target, legacy, candidate, level)
        elif weight is None and metric.name == "auc":
            yield _area(metric, target, legacy, candidate, level)
        else:
            yield replicates.compared(metric, level)


def summary(found: Sequence[Compared]) -> pd.DataFrame:
    """A line per metric; p is adjusted for the number of metrics (Holm)."""
    return pd.DataFrame(
        {
            "metric": [item.metric.title for item in found],
            "legacy": [item.legacy.value for item in found],
            "candidate": [math.nan if item.candidate is None else item.candidate.value for item in found],
            "change": [math.nan if item.change is None else item.change.value for item in found],
            "p": holm([item.p for item in found]),
            "method": [item.method for item in found],
        }
    )


def _accuracy(
    metric: Metric, target: NDArray[np.generic], legacy: Answers, candidate: Answers | None, level: float
) -> Compared:
    before, n = np.equal(_decision(legacy), target), len(target)
    first = _with(float(before.mean()) if n else math.nan, wilson(int(before.sum()), n, level))
    if candidate is None:
        return Compared(metric, first, None, None, math.nan, "Wilson", n)
    after = np.equal(_decision(candidate), target)
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    change = _with(_ratio(gained - lost, n), paired(gained, lost, n, level))
    second = _with(float(after.mean()) if n else math.nan, wilson(int(after.sum()), n, level))
    return Compared(
        metric, first, second, change, mcnemar(gained, lost), "paired score interval, exact McNemar test", n
    )


def _decision(answers: Answers) -> Ints:
    assert answers.decision is not None
    return answers.decision


def _with(value: float, bounds: Interval) -> Estimate:
    return Estimate(value, *bounds)


def _area(
    metric: Metric, target: NDArray[np.generic], legacy: Answers, candidate: Answers | None, level: float
) -> Compared:
    sides = [answers.scores for answers in (legacy, candidate) if answers is not None and answers.scores is not None]
    areas, cov = delong(target.astype(np.int64), *sides)
    z = z_value(level)
    each = [area_estimate(float(area), float(cov[i, i]), level) for i, area in enumerate(areas)]
    if candidate is None:
        return Compared(metric, each[0], None, None, math.nan, "DeLong", len(target))
    variance = float(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1])
    change = normal_estimate(float(areas[1] - areas[0]), variance, z, (-1.0, 1.0))
    error = math.sqrt(max(0.0, variance)) if variance == variance else math.nan
    # Two models with the same ranks differ by a rounding error of nothing.
    p = math.nan if math.isnan(error) else 1.0 if error < 1e-12 else math.erfc(abs(change.value) / error / math.sqrt(2))
    return Compared(metric, each[0], each[1], change, p, "DeLong", len(target))


class _Replicates:
    """The bootstrap of rows, the same rows for both models, made when the first metric asks for it."""

    def __init__(
        self,
        target: NDArray[np.generic],
        legacy: Answers,
        candidate: Answers | None,
        weight: Floats,
        draws: int,
        seed: int,
    ) -> None:
        self._sides = [_Figures(target, answers) for answers in (legacy, candidate) if answers is not None]
        self._same = candidate is not None and _equal(legacy, candidate)
        self._weight, self._draws, self._seed = weight, draws, seed
        self._seen: list[list[dict[str, float]]] = []

    def compared(self, metric: Metric, level: float) -> Compared:
        point, *drawn = self._all()
        values = np.array([[side[metric.name] for side in row] for row in drawn]).reshape(-1, len(point))
        first = percentile(point[0][metric.name], values[:, 0], level)
        if len(point) == 1:
            return Compared(metric, first, None, None, math.nan, "bootstrap of rows", len(self._weight))
        second = percentile(point[1][metric.name], values[:, 1], level)
        scale, scales = (first.value, values[:, 0]) if metric.relative else (1.0, np.ones(len(values)))
        moved = np.divide(values[:, 1] - values[:, 0], scales, out=np.full(len(values), np.nan), where=scales != 0)
        change = percentile(_share(second.value - first.value, scale), moved, level)
        return Compared(metric, first, second, change, _sign_p(moved), "paired bootstrap of rows", len(self._weight))

    def _all(self) -> list[list[dict[str, float]]]:
        if not self._seen:
            rng, n = np.random.default_rng(self._seed), len(self._weight)
            self._seen = [self._one(self._weight)]
            for _ in range(self._draws if n else 0):
                self._seen.append(self._one(np.bincount(rng.integers(0, n, n), minlength=n) * self._weight))
        return self._seen

    def _one(self, weight: Floats) -> list[dict[str, float]]:
        first = self._sides[0](weight)
        if self._same:
            return [first, first]
        return [first, *(side(weight) for side in self._sides[1:])]


def _equal(one: Answers, two: Answers) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(two, name), equal_nan=True)
        if getattr(one, name) is not None and getattr(two, name) is not None
        else getattr(one, name) is getattr(two, name)
        for name in ("decision", "scores", "value")
    )


def _share(change: float, of: float) -> float:
    """A change as a share; none of nothing is none, some of nothing has no share."""
    return change / of if of else (0.0 if change == 0 else math.nan)


def _sign_p(moved: Floats) -> float:
    """Two-sided bootstrap p-value of no change."""
    known = moved[np.isfinite(moved)]
    if not len(known):
        return math.nan
    return min(1.0, 2 * (1 + min(int((known <= 0).sum()), int((known >= 0).sum()))) / (len(known) + 1))
