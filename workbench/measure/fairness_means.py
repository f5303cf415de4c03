"""Fairness of a regression, per group: mean prediction, mean error and mean absolute error, and their gaps."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from workbench.measure import fairness
from workbench.measure.fairness import Floats, SideName
from workbench.measure.fairness_gaps import Gap, extremes, largest_t
from workbench.measure.fairness_groups import Groups
from workbench.measure.fairness_paired import Assessed, Bars, Ints, Plan, small
from workbench.measure.fairness_range import Means, largest_difference
from workbench.measure.intervals import Estimate, mean, percentile
from workbench.measure.matched import Matched
from workbench.measure.quality import Answers


def means(rows: Matched, groups: Groups, plan: Plan) -> Assessed:
    few = small(groups.labels, np.bincount(groups.codes, minlength=len(groups.labels)), plan.least)
    enough = len(groups.labels) - len(few) >= 2
    names = ("mean_prediction", "residual") if rows.known.any() else ("mean_prediction",)
    found = tuple(("", mean_gap(rows, groups, name, plan)) for name in names if enough)
    shown = tuple(_mean_bars(rows, groups, plan, few))
    table = {"Means by group": mean_table(rows, groups)}
    return Assessed(groups.name, few, found, None, None, table, shown, "mean_prediction", len(rows))


def _mean_bars(rows: Matched, groups: Groups, plan: Plan, few: dict[str, int]) -> Iterator[Bars]:
    kept = [place for place, label in enumerate(groups.labels) if label not in few]
    sides: tuple[tuple[SideName, Answers | None], ...] = (("legacy", rows.before), ("candidate", rows.after))
    for name, side in sides:
        if side is not None and side.value is not None:
            found = tuple(mean(side.value[groups.codes == place], plan.level) for place in kept)
            yield Bars(name, tuple(groups.labels[place] for place in kept), found)


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
        low, high = largest_difference(Means(means[[side]], errors[[side]], plan.seed), plan.level)
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
