"""Which rows a pair of models is asked about, and how both models' reasons for them compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.measure.attribution import compare
from workbench.measure.attribution.shapley import Attributions, Floats, Space, UnansweredError, attribute
from workbench.measure.intervals import Estimate, clopper_pearson
from workbench.models import Label, Model, normal
from workbench.scored import Scored

Flags = NDArray[np.bool_]
Side = Literal["legacy", "candidate"]
Found = dict[Side, Attributions]
Shares = dict[str, compare.Importance]
BY_ROW = ("measure", "lowest", "1 in 10 rows under", "median", "mean")

FEWEST_ROWS = 20
"""Below this many rows, and as many for the background, no interval means anything."""


class UnaskableError(ValueError):
    """No reasons can be had: too few rows, or a model that cannot be asked about rows that are not in the table."""


@dataclass(frozen=True)
class Plan:
    """Positions of the rows explained and of two backgrounds, in the frame, and coalitions asked per row.

    other: a second background of the same size, to see how much the choice of the first decides.
    """

    rows: NDArray[np.intp]
    background: NDArray[np.intp]
    other: NDArray[np.intp]
    masks: int
    seed: int


DRAWS = 2_000
"""Bootstrap draws of rows."""


def plan(n: int, features: int, *, rows: int, background: int, evaluations: int, seed: int) -> Plan:
    """Seeded rows out of n such that one model answers about `evaluations` what-if rows: whole permutations of them.

    Explained rows and background do not overlap where n allows it. More features cost more answers a row, so fewer
    rows are explained then, FEWEST_ROWS at least. Raises UnaskableError under 2 FEWEST_ROWS rows.
    """
    if n < 2 * FEWEST_ROWS:
        raise UnaskableError(
            f"{n} rows are too few to explain and to compare with: {2 * FEWEST_ROWS} are needed; give a larger holdout"
        )
    once = 2 * features + 1
    background = max(FEWEST_ROWS, min(background, n // 3))
    affordable = max(FEWEST_ROWS, evaluations // (once * background))
    rows = max(1, min(rows, affordable, n - background))
    order = np.random.default_rng(seed).permutation(n)
    # The second background may share rows with the first in a small table, never a place in the order.
    others = np.roll(order[rows:], -background)
    return Plan(
        rows=np.sort(order[:rows]),
        background=np.sort(order[rows : rows + background]),
        other=np.sort(others[:background]),
        masks=once * max(1, round(evaluations / (rows * background * once))),
        seed=seed,
    )


@dataclass(frozen=True)
class Question:
    """What both models are asked: rows of a frame, features, space and class."""

    frame: pd.DataFrame
    plan: Plan
    features: tuple[str, ...]
    space: Space
    explained: tuple[Label, ...] | None

    def ask(self, model: Model) -> Attributions:
        """Raises UnansweredError, ModelError."""
        return self._against(model, self.plan.rows, self.plan.background, self.plan.seed)

    def elsewhere(self, model: Model, most: int = 40) -> Floats:
        """Attributions [m, M] of the first `most` rows against the other background, by other permutations."""
        return self._against(model, self.plan.rows[:most], self.plan.other, self.plan.seed + 1).values

    def _against(self, model: Model, rows: NDArray[np.intp], background: NDArray[np.intp], seed: int) -> Attributions:
        explained = self.explained
        if explained is not None and len(explained) > 1:
            explained = explained[: len(rows)]
        return attribute(
            model,
            self.frame.iloc[rows],
            self.frame.iloc[background],
            features=self.features,
            space=self.space,
            explained=explained,
            masks=self.plan.masks,
            seed=seed,
        )


def question(scored: Scored, models: Mapping[Side, Model], **budget: int) -> Question:
    """What the models of a scored pair are asked. budget: as `plan` takes it.

    log-odds where all give scores; the decision where one only decides; the value of a regression. A binary task
    explains the positive class, a multiclass one the class that the legacy model answers, for both.
    Raises UnaskableError.
    """
    if closed := [side for side, model in models.items() if model.format == "column"]:
        raise UnaskableError(
            f"the {' and the '.join(closed)} model is a column of decisions made before: it cannot be asked about rows "
            "that are not in the table; give the model itself to see its reasons"
        )
    task, roles = scored.task, scored.roles
    features = shared_features(scored.frame, tuple(models.values()), (task.target, *roles.key, *roles.ignore))
    chosen = plan(len(scored), len(features), **budget)
    sides = [side for side in (scored.legacy, scored.candidate) if side]
    only_decides = any(side.value is None and side.outputs.scores is None for side in sides)
    space: Space = "value" if task.kind == "regression" else "decision" if only_decides else "log-odds"
    explained: tuple[Label, ...] | None = None
    if task.kind == "binary":
        explained = tuple(label for label in scored.classes if normal(label) == normal(task.positive))
    elif scored.legacy.decision is not None:
        explained = tuple(scored.classes[index] for index in scored.legacy.decision[chosen.rows])
    return Question(scored.frame, chosen, features, space, explained)


def same_answer(scored: Scored) -> NDArray[np.bool_]:
    """Rows [n] both sides answer alike: the same decision, or values closer than 1 % of the legacy values' spread."""
    before, after = scored.legacy, scored.candidate
    if after is None:
        raise ValueError("there is no candidate to compare with")
    if before.value is not None and after.value is not None:
        return np.asarray(np.abs(after.value - before.value) <= 0.01 * np.nanstd(before.value), dtype=bool)
    return np.asarray(before.decision == after.decision, dtype=bool)


@dataclass(frozen=True)
class Agreement:
    """Two sides' reasons for the same n rows. Estimates are over rows; `changed` over the `same` rows answered alike.

    by_row: the columns BY_ROW of each measure that is made per row.
    """

    cosine: Estimate
    top: Estimate
    gap: Estimate
    changed: Estimate
    same: int
    by_row: tuple[tuple[str, float, float, float, float], ...]


def agree(first: Floats, second: Floats, same: Flags, *, top_k: int, changed_below: float, seed: int) -> Agreement:
    """Agreement of attributions [n, M] of two sides; intervals at 0.95, by bootstrap of rows or Clopper and Pearson."""
    weights = compare.bootstrap_weights(len(first), DRAWS, seed)
    cosines, tops = compare.cosine(first, second), compare.top_overlap(first, second, top_k)
    changed, asked = int(compare.changed_reasons(first, second, changed_below, same).sum()), int(same.sum())
    rows = {
        "cosine similarity": cosines,
        f"shared top {top_k}": tops,
        "rank correlation": compare.rank_correlation(first, second),
        "sign agreement": compare.sign_agreement(first, second),
    }
    rate = Estimate(changed / asked, *clopper_pearson(changed, asked)) if asked else Estimate(float("nan"))
    return Agreement(
        cosine=compare.mean_estimate(cosines, weights),
        top=compare.mean_estimate(tops, weights),
        gap=compare.relative_gap(first, second, weights),
        changed=rate,
        same=asked,
        by_row=tuple((name, *_spread(values)) for name, values in rows.items()),
    )


def importances(found: Found, seed: int) -> Shares:
    """Global importance of each side, and where there are "legacy" and "candidate" their "change"."""
    sides = list(found.values())
    weights = compare.bootstrap_weights(len(sides[0].values), DRAWS, seed)
    made: dict[str, tuple[Floats, Floats, Floats]] = {}
    made |= {side: compare.importance(one.values, weights) for side, one in found.items()}
    if {"legacy", "candidate"} <= set(found):
        made["change"] = compare.importance_change(found["legacy"].values, found["candidate"].values, weights)
    return {name: compare.Importance(sides[0].features, *each, len(weights[0])) for name, each in made.items()}


def group_gaps(found: Found, column: pd.Series, least: int) -> tuple[tuple[str | float, ...], ...]:
    """Rows (feature, gap per side), widest first: the largest difference of mean attribution between two groups.

    A feature with a wide gap sets the groups of `column` apart, and may act as its proxy. Groups under `least` rows
    are left out; no rows where fewer than two are left.
    """
    codes, _ = group_codes(column)
    gaps = [compare.group_gap(one.values, codes, least)[0] for one in found.values()]
    if np.isnan(gaps).any():
        return ()
    features = next(iter(found.values())).features
    order = np.argsort(-np.max(gaps, axis=0), kind="stable")
    return tuple((features[j], *(float(gap[j]) for gap in gaps)) for j in order)


def stability(question: Question, model: Model, known: Attributions, most: int = 40) -> tuple[Estimate, int]:
    """Mean cosine of `known` and the reasons against the other background, of the first `most` rows; how many rows.

    NaN and 0 where the model gives no number against the other background.
    """
    try:
        other = question.elsewhere(model, most)
    except UnansweredError:
        return Estimate(float("nan")), 0
    near = compare.cosine(known.values[: len(other)], other)
    return compare.mean_estimate(near, compare.bootstrap_weights(len(near), DRAWS, question.plan.seed)), len(near)


def _spread(values: Floats) -> tuple[float, float, float, float]:
    kept = values[~np.isnan(values)]
    if not len(kept):
        return (float("nan"),) * 4
    low, tenth, middle = np.quantile(kept, (0, 0.1, 0.5))
    return float(low), float(tenth), float(middle), float(kept.mean())


def leading_reasons(
    sides: Sequence[Attributions], cases: int, k: int, hidden: Sequence[str]
) -> tuple[tuple[int | str | float, ...], ...]:
    """Rows (case, rank, then feature and contribution per side) of the first cases; a hidden feature is not named."""
    found: list[tuple[int | str | float, ...]] = []
    for case in range(min(cases, len(sides[0].values))):
        for rank in range(min(k, len(sides[0].features))):
            cells: list[int | str | float] = [case + 1, rank + 1]
            for side in sides:
                j = int(np.argsort(-np.abs(side.values[case]), kind="stable")[rank])
                name = side.features[j]
                cells += ["(personal column)" if name in hidden else name, float(side.values[case, j])]
            found.append(tuple(cells))
    return tuple(found)


def shared_features(frame: pd.DataFrame, models: Sequence[Model], but: Sequence[str]) -> tuple[str, ...]:
    """Columns of the frame that any of the models asks for, in the frame's order.

    A model that does not say what it asks for is taken to ask for every column but `but`.
    """
    wanted: set[str] = set()
    for model in models:
        names = {column.name for column in model.inputs}
        wanted |= names or set(map(str, frame.columns)) - set(but)
    return tuple(name for name in map(str, frame.columns) if name in wanted)


def group_codes(column: pd.Series, bands: int = 4) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Groups of a protected attribute as codes [n], -1 where missing, and their names.

    A number of more than ten values is cut into quantile bands.
    """
    if pd.api.types.is_numeric_dtype(column) and column.nunique() > 10:
        column = pd.qcut(column, bands, duplicates="drop").astype("str").where(column.notna())
    codes, names = pd.factorize(column)
    return codes.astype(np.int64), tuple(map(str, names))
