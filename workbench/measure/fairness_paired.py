"""What a fairness audit asks of a pair of models: which answers count as selected, and what each group got."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.measure import auc, fairness, quality
from workbench.measure.fairness import GAPS, Floats, SideName
from workbench.measure.fairness_gaps import (
    Comparison,
    Gap,
    GroupChange,
    difference,
    draw,
    extremes,
    largest_t,
    share,
    simultaneous,
    worst_change,
)
from workbench.measure.fairness_groups import Groups
from workbench.measure.intervals import Estimate, clopper_pearson, mean, percentile, wilson
from workbench.measure.matched import Matched
from workbench.measure.quality import Answers
from workbench.migration import Task
from workbench.models import normal

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Reading:
    """Answers read as 0/1 decisions, -1 where the truth is not known.

    name: "" for the task's own decision, else the class meant. gaps: names of GAPS that make sense of it.
    """

    name: str
    target: Ints
    before: Ints
    after: Ints | None
    gaps: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether it is the task's own yes or no."""
        return len(self.gaps) == len(GAPS)


def readings(rows: Matched, task: Task, classes: Sequence[str]) -> list[Reading]:
    """How the answers can be read as decisions; none for regression.

    One class against the rest where a positive one is named; else being right, and for every class (20 at most)
    finding it. classes: names as `normal` spells them.
    """
    before, after = rows.before.decision, None if rows.after is None else rows.after.decision
    if before is None:
        return []
    target = np.where(rows.known, rows.target, -1).astype(np.int64)
    if task.kind == "binary" or (task.positive is not None and normal(task.positive) in classes):
        place = 1 if task.kind == "binary" else list(classes).index(normal(task.positive))
        return [_against(place, "", target, before, after, tuple(GAPS))]
    right, also = ((before == target).astype(np.int64), None if after is None else (after == target).astype(np.int64))
    whole = Reading("", np.where(target >= 0, 1, -1), right, also, ("accuracy",))
    each = (
        _against(place, label, target, before, after, ("equal_opportunity",))
        for place, label in enumerate(classes[:20])
    )
    return [whole, *each]


def _against(place: int, name: str, target: Ints, before: Ints, after: Ints | None, gaps: tuple[str, ...]) -> Reading:
    hit = np.where(target < 0, -1, target == place).astype(np.int64)
    sides = [None if side is None else (side == place).astype(np.int64) for side in (before, after)]
    assert sides[0] is not None
    return Reading(name, hit, sides[0], sides[1], gaps)


def comparison(reading: Reading, groups: Groups, weight: Floats | None, plan: Plan) -> Comparison:
    """Counts and draws of one reading, split by groups."""
    counts = fairness.count(groups, reading.target, reading.before, reading.after, weight)
    # All pairs of very many groups: fewer draws, so that memory and time stay bounded.
    drawn = draw(counts, min(plan.draws, max(500, 1_000_000 // max(1, len(groups.labels)))), plan.seed)
    paired = reading.after is not None
    return Comparison(counts, drawn, counts.n >= plan.least, paired, level=plan.level, seed=plan.seed)


def tables(this: Comparison) -> dict[str, pd.DataFrame]:
    """By title: counts and rates of every group, for each model, and the change of the rates."""
    sides = {f"Counts and rates, {side}": fairness.side_table(this.counts, side) for side in this.sides}
    found = {title: _named(frame, this.keep) for title, frame in sides.items()}
    if this.paired:
        before, after = sides.values()
        moved = (after - before)[[*fairness.RATES, "share_of_selected"]]
        found["Change of rates, candidate - legacy"] = _named(moved, this.keep)
    return found


_FIRST = ("rows", "selected", "selection_rate", "base_rate", "accuracy")
"""What most readers look for; the rest of a wide table follows."""


def _named(frame: pd.DataFrame, keep: NDArray[np.bool_]) -> pd.DataFrame:
    first = [name for name in _FIRST if name in frame]
    return frame[[*first, *(name for name in frame if name not in first)]].reset_index().assign(compared=keep)


@dataclass(frozen=True)
class Assessed:
    """One way to split the rows, measured. small: groups not compared, with their rows; gaps: by the class read ("" is
    the task's decision); ratio: of selection rates; what: the rate that bars show; n: rows in all."""

    name: str
    small: dict[str, int]
    gaps: tuple[tuple[str, Gap], ...]
    ratio: Gap | None
    worst: GroupChange | None
    tables: dict[str, pd.DataFrame]
    bars: tuple[Bars, ...]
    what: str
    n: int


@dataclass(frozen=True)
class Plan:
    """How groups are measured. least: rows a group needs to be compared."""

    least: int = 50
    draws: int = 10_000
    level: float = 0.95
    seed: int = 0


def assess(rows: Matched, groups: Groups, read: Sequence[Reading], plan: Plan) -> Assessed:
    """Everything one split of the rows shows; read is empty for regression."""
    return _decisions(rows, groups, read, plan) if read else _means(rows, groups, plan)


def _decisions(rows: Matched, groups: Groups, read: Sequence[Reading], plan: Plan) -> Assessed:
    each = [comparison(reading, groups, rows.weight, plan) for reading in read]
    first, whole = each[0], read[0].whole
    enough = first.keep.sum() >= 2
    found = [(r.name, difference(this, name)) for r, this in zip(read, each) for name in r.gaps if enough]
    scores = score_table(rows, groups, plan.least) if whole else pd.DataFrame()
    shown = "selection_rate" if whole else "accuracy"
    return Assessed(
        name=groups.name,
        small=_small(groups, plan.least),
        gaps=tuple(found),
        ratio=share(first) if whole and enough else None,
        worst=worst_change(first, "accuracy"),
        tables=tables(first) | _more(first, scores, whole),
        bars=tuple(bars(first, shown)),
        what=shown,
        n=len(rows),
    )


def _more(this: Comparison, scores: pd.DataFrame, whole: bool) -> dict[str, pd.DataFrame]:
    found = {"Score metrics": scores} if len(scores) else {}
    return found | ({"Inequality of benefits": inequality(this)} if whole else {})


def inequality(this: Comparison) -> pd.DataFrame:
    """Generalized entropy (alpha 2, with its interval) and Theil index of all rows, per model and their change."""
    lines: dict[str, list[float]] = {}
    for side in this.sides:
        whole = this.counts.side(side).sum(0)
        lines[side] = [float(fairness.generalized_entropy(whole, alpha)) for alpha in (2, 1)]
    drawn: dict[str, Floats] = {side: this.draws.entropy[:, place] for place, side in enumerate(this.sides)}
    if this.paired:
        lines["change"] = [after - before for before, after in zip(lines["legacy"], lines["candidate"])]
        drawn["change"] = drawn["candidate"] - drawn["legacy"]
    found = [(name, *percentile(two, drawn[name], this.level), theil) for name, (two, theil) in lines.items()]
    return pd.DataFrame(found, columns=["model", "generalized_entropy", "low", "high", "theil"])


def _means(rows: Matched, groups: Groups, plan: Plan) -> Assessed:
    small = _small(groups, plan.least)
    enough = len(groups.labels) - len(small) >= 2
    names = ("mean_prediction", "residual") if rows.known.any() else ("mean_prediction",)
    found = tuple(("", mean_gap(rows, groups, name, plan)) for name in names if enough)
    shown = tuple(_mean_bars(rows, groups, plan, small))
    table = {"Means by group": mean_table(rows, groups)}
    return Assessed(groups.name, small, found, None, None, table, shown, "mean_prediction", len(rows))


def _mean_bars(rows: Matched, groups: Groups, plan: Plan, small: dict[str, int]) -> Iterator[Bars]:
    kept = [place for place, label in enumerate(groups.labels) if label not in small]
    sides: tuple[tuple[SideName, Answers | None], ...] = (("legacy", rows.before), ("candidate", rows.after))
    for name, side in sides:
        if side is not None and side.value is not None:
            found = tuple(mean(side.value[groups.codes == place], plan.level) for place in kept)
            yield Bars(name, tuple(groups.labels[place] for place in kept), found)


def _small(groups: Groups, least: int) -> dict[str, int]:
    n = np.bincount(groups.codes, minlength=len(groups.labels))
    return {label: int(rows) for label, rows in zip(groups.labels, n) if rows < least}


@dataclass(frozen=True)
class Bars:
    """A value per group with its bounds, for one model or the change."""

    name: SideName
    groups: tuple[str, ...]
    estimates: tuple[Estimate, ...]


def bars(this: Comparison, rate: str) -> list[Bars]:
    """A rate per compared group with its Wilson interval, for each model."""
    at, kept = fairness.index(rate), np.flatnonzero(this.keep)
    found = []
    for side in this.sides:
        values, n = fairness.rates(this.counts.side(side))[:, at], this.counts.effective(side)[:, at]
        estimates = [_rate(float(values[group]), float(n[group]), this.level) for group in kept]
        found.append(Bars(side, tuple(this.counts.labels[group] for group in kept), tuple(estimates)))
    return found


def _rate(value: float, n: float, level: float) -> Estimate:
    return Estimate(value, *wilson(value * n, n, level)) if n and not math.isnan(value) else Estimate(value)


def one_answer(rows: Matched, level: float = 0.95) -> list[Estimate]:
    """Per model the share of rows without its most frequent answer, exact interval: 0 where all get the same."""
    found, n = [], len(rows)
    for side in (rows.before, rows.after):
        if side is not None and side.decision is not None:
            rest = n - int(np.unique(side.decision, return_counts=True)[1].max(initial=0))
            found.append(Estimate(rest / n if n else math.nan, *clopper_pearson(rest, n, level)))
    return found


def order(rows: Matched, reading: Reading, level: float = 0.95) -> list[Estimate]:
    """Per model the area under the ROC curve of the scores, or of the bare decisions (then the balanced accuracy).

    Below 0.5 it ranks the wrong way round. DeLong's interval; NaN with fewer than two rows of either class.
    """
    known, found = reading.target >= 0, []
    for side, said in ((rows.before, reading.before), (rows.after, reading.after)):
        if side is None or said is None:
            continue
        scores = side.scores if side.scores is not None and side.scores.ndim == 1 else said.astype(np.float64)
        areas, cov = auc.delong(reading.target[known], scores[known])
        area = float(areas[0]) if np.isfinite(cov[0, 0]) else math.nan
        found.append(auc.area_estimate(area, float(cov[0, 0]), level))
    return found


def score_table(rows: Matched, groups: Groups, least: int) -> pd.DataFrame:
    """Score metrics per compared group and model: AUC, Brier score, calibration error, mean score - base rate."""
    found = []
    for place, label in enumerate(groups.labels):
        inside = (groups.codes == place) & rows.known
        if inside.sum() < least:
            continue
        for name, side in (("legacy", rows.before), ("candidate", rows.after)):
            if side is not None and side.scores is not None and side.scores.ndim == 1:
                found.append({"group": label, "model": name, **_scores(rows, side, inside)})
    return pd.DataFrame(found)


def _scores(rows: Matched, side: Answers, inside: NDArray[np.bool_]) -> dict[str, float]:
    assert side.scores is not None
    weight = None if rows.weight is None else rows.weight[inside]
    target, score = rows.target[inside].astype(np.float64), side.scores[inside]
    figures = quality.evaluate(target, Answers(scores=score), weight)
    return {
        "rows": int(inside.sum()),
        "auc": figures["auc"],
        "brier": figures["brier"],
        "calibration_error": figures["calibration-error"],
        "mean_score_minus_base_rate": float(np.average(score - target, weights=weight)),
    }


def mean_table(rows: Matched, groups: Groups) -> pd.DataFrame:
    """Regression, per group and model: mean prediction, mean residual (prediction - truth), mean absolute error."""
    found = []
    for place, label in enumerate(groups.labels):
        inside = groups.codes == place
        for name, side in (("legacy", rows.before), ("candidate", rows.after)):
            if side is not None and side.value is not None:
                error = (side.value - rows.target.astype(np.float64))[inside & rows.known]
                means = {"mean_prediction": side.value[inside], "mean_residual": error, "mae": np.abs(error)}
                line = {key: float(values.mean()) if len(values) else math.nan for key, values in means.items()}
                found.append({"group": label, "model": name, "rows": int(inside.sum()), **line})
    return pd.DataFrame(found)


def mean_gap(rows: Matched, groups: Groups, name: str, plan: Plan) -> Gap:
    """Gap of group means, "mean_prediction" or "residual", in standard deviations of the truth (of the legacy answers
    where no truth is known). Group means are drawn as normal, both models together."""
    usable = rows.known if name == "residual" else np.ones(len(rows), dtype=bool)
    taken = rows.only(usable)
    codes = groups.codes[usable]
    shift = taken.target.astype(np.float64) if name == "residual" else np.zeros(len(taken))
    sides = [side.value - shift for side in (taken.before, taken.after) if side is not None and side.value is not None]
    scale = _scale(rows)
    means, errors, drawn = _mean_draws(np.stack(sides) / scale, codes, len(groups.labels), taken.weight, plan)
    n = np.bincount(codes, minlength=len(groups.labels))
    keep = n >= plan.least
    means, errors, drawn = (np.where(keep, part, np.nan) for part in (means, errors, drawn))
    estimates, gaps = [], []
    for side in range(len(sides)):
        value = float(fairness.spread(means[side]))
        low, high = simultaneous(means[[side]], drawn[:, [side]], errors[[side]], plan.level)
        estimates.append(Estimate(value, min(low, value), max(high, value)))
        gaps.append(fairness.spread(drawn[:, side]))
    lowest, highest = extremes(means[[-1]], groups.labels)
    return Gap(
        name=name,
        legacy=estimates[0],
        candidate=estimates[1] if len(sides) == 2 else None,
        change=percentile(estimates[1].value - estimates[0].value, gaps[1] - gaps[0], plan.level)
        if len(sides) == 2
        else None,
        lowest=lowest,
        highest=highest,
        p=_equal_means(means[-1], errors[-1], plan),
        left_out=(),
        n=int(n[keep].sum()),
    )


def _scale(rows: Matched) -> float:
    truth = rows.target[rows.known] if rows.known.any() else rows.before.value
    assert truth is not None
    return float(np.std(truth.astype(np.float64))) or 1.0


def _mean_draws(
    values: Floats, codes: Ints, groups: int, weight: Floats | None, plan: Plan
) -> tuple[Floats, Floats, Floats]:
    """Means [S, G] of values [S, n], their standard errors, and draws [D, S, G] with the models' covariance."""
    rng = np.random.default_rng(plan.seed)
    w = np.ones(len(codes)) if weight is None else weight
    models = len(values)
    means, errors = np.full((models, groups), np.nan), np.full((models, groups), np.nan)
    drawn = np.full((plan.draws, models, groups), np.nan)
    for group in range(groups):
        inside = codes == group
        if inside.sum() < 2 or not w[inside].any():
            continue
        means[:, group] = np.average(values[:, inside], axis=1, weights=w[inside])
        effective = w[inside].sum() ** 2 / (w[inside] ** 2).sum()
        cov = np.atleast_2d(np.cov(values[:, inside], aweights=w[inside])) / effective
        errors[:, group] = np.sqrt(np.diag(cov))
        drawn[:, :, group] = means[:, group] + rng.standard_normal((plan.draws, models)) @ _root(cov).T
    return means, errors, drawn


def _root(cov: Floats) -> Floats:
    """A with A Aᵀ = cov, for a covariance that may be singular: equal models move together exactly."""
    values, vectors = np.linalg.eigh(cov)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def _equal_means(means: Floats, errors: Floats, plan: Plan) -> float:
    """p-value of equal means in all groups, by the largest standardized difference of two (max-T)."""
    if np.isfinite(means).sum() < 2:
        return math.nan
    null = np.random.default_rng(plan.seed + 1).standard_normal((plan.draws, 1, len(means))) * errors
    seen = largest_t(means[None], errors[None])
    return (1 + int((largest_t(null, np.broadcast_to(errors, null.shape)) >= seen).sum())) / (plan.draws + 1)
