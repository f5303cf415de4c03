"""What a pair of models is asked: the same rows, background, space and class, each by the best way both can take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.measure.attribution import compare
from workbench.measure.attribution.asking import by_asking, by_way
from workbench.measure.attribution.basics import Attributions, Space, UnansweredError
from workbench.measure.attribution.paired import DRAWS, Side
from workbench.measure.attribution.ways import AdditiveWay, InexactError, TreeWay, exact_way
from workbench.measure.intervals import Estimate
from workbench.models import Label, Model, ModelError, normal
from workbench.scored import Scored

Way = TreeWay | AdditiveWay
Places = NDArray[np.intp]

FEWEST_ROWS = 20
"""Below this many rows, and as many for the background, no interval means anything."""

SAMPLED_BACKGROUND = 50
"""Background rows where every one of them costs answers."""


class UnaskableError(ValueError):
    """No reasons can be had: too few rows, or a model that cannot be asked about rows that are not in the table."""


@dataclass(frozen=True)
class Plan:
    """Positions of the rows explained and of two backgrounds, in the frame; masks: coalitions asked per row, 0 for all.

    other: a second background of the same size, to see how much the choice of the first decides.
    """

    rows: Places
    background: Places
    other: Places
    seed: int
    masks: int = 0


def plan(n: int, *, rows: int, background: int, seed: int) -> Plan:
    """Seeded rows out of n. Explained rows and background do not overlap where n allows it.

    Raises UnaskableError under 2 FEWEST_ROWS rows.
    """
    if n < 2 * FEWEST_ROWS:
        raise UnaskableError(
            f"{n} rows are too few to explain and to compare with: {2 * FEWEST_ROWS} are needed; give a larger holdout"
        )
    background = max(FEWEST_ROWS, min(background, n // 3))
    rows = max(1, min(rows, n - background))
    order = np.random.default_rng(seed).permutation(n)
    # The second background may share rows with the first in a small table, never a place in the order.
    others = np.roll(order[rows:], -background)
    return Plan(
        rows=np.sort(order[:rows]),
        background=np.sort(order[rows : rows + background]),
        other=np.sort(others[:background]),
        seed=seed,
    )


def afforded(whole: Plan, features: int, evaluations: int) -> Plan:
    """Some of a plan's rows such that one model answers about `evaluations` what-if rows: whole permutations of them.

    More features cost more answers a row, so fewer rows are explained then, FEWEST_ROWS at least.
    """
    rng, once = np.random.default_rng(whole.seed), 2 * features + 1

    def some(places: Places, most: int) -> Places:
        return places if len(places) <= most else np.sort(rng.choice(places, most, replace=False))

    background, other = some(whole.background, SAMPLED_BACKGROUND), some(whole.other, SAMPLED_BACKGROUND)
    rows = some(whole.rows, max(FEWEST_ROWS, evaluations // (once * len(background))))
    masks = once * max(1, round(evaluations / (len(rows) * len(background) * once)))
    return replace(whole, rows=rows, background=background, other=other, masks=masks)


@dataclass(frozen=True)
class Question:
    """What both models are asked: rows of a frame, features, space and class.

    ways: the exact ways open to the models, about the rows `used` (positions in the frame, ascending). inexact: why
    there is none.
    """

    frame: pd.DataFrame
    plan: Plan
    features: tuple[str, ...]
    space: Space
    explained: tuple[Label, ...] | None
    models: Mapping[Side, Model]
    used: Places
    ways: Mapping[Side, Way] = field(default_factory=dict)
    inexact: Mapping[Side, str] = field(default_factory=dict)

    @property
    def exact(self) -> bool:
        """Whether every model is explained exactly."""
        return set(self.ways) == set(self.models)

    def ask(self, side: Side) -> Attributions:
        """Raises UnansweredError, ModelError."""
        return self.against(side, self.plan.rows, self.plan.background)

    def against(self, side: Side, rows: Places, background: Places, seed: int | None = None) -> Attributions:
        """Attributions of some of the plan's rows against some of its background rows."""
        explained = self.classes_of(rows)
        if way := self.ways.get(side):
            here, around = np.searchsorted(self.used, rows), np.searchsorted(self.used, background)
            return by_way(way, self.models[side], self.features, here, around, explained)
        names = list(self.features)
        return by_asking(
            self.models[side],
            self.frame.iloc[rows][names],
            self.frame.iloc[background][names],
            self.space,
            explained,
            self.plan.masks,
            "auto",
            self.plan.seed if seed is None else seed,
            self.inexact.get(side, ""),
        )

    def classes_of(self, rows: Places) -> tuple[Label, ...] | None:
        """The class explained, one for all or one for each of these rows."""
        if self.explained is None or len(self.explained) == 1:
            return self.explained
        return tuple(self.explained[row] for row in rows)


def question(
    scored: Scored, models: Mapping[Side, Model], *, rows: int, background: int, evaluations: int, seed: int
) -> Question:
    """What the models of a scored pair are asked.

    rows, background: as far as the table goes, where all models can be explained exactly; else fewer, so that each
    answers about `evaluations` what-if rows. A binary task explains the positive class, a multiclass one the class that
    the legacy model answers, for both. Raises UnaskableError, ModelError.
    """
    if closed := [side for side, model in models.items() if model.format == "column"]:
        raise UnaskableError(
            f"the {' and the '.join(closed)} model is a column of decisions made before: it cannot be asked about rows "
            "that are not in the table; give the model itself to see its reasons"
        )
    task, roles = scored.task, scored.roles
    features = shared_features(scored.frame, tuple(models.values()), (task.target, *roles.key, *roles.ignore))
    whole = plan(len(scored), rows=rows, background=background, seed=seed)
    used = np.unique(np.concatenate([whole.rows, whole.background, whole.other]))
    frame = scored.frame.iloc[used][list(features)].reset_index(drop=True)
    ways, inexact = _ways(models, frame, evaluations, seed)
    space = _space(scored, models, ways)
    for side, way in list(ways.items()):
        if way.space != space:
            del ways[side]
            inexact[side] = f"it would be explained in {way.space}, and the other model in {space}"
    asked = Question(scored.frame, whole, features, space, _classes(scored), models, used, ways, inexact)
    return asked if asked.exact else replace(asked, plan=afforded(whole, len(features), evaluations))


def _ways(
    models: Mapping[Side, Model], used: pd.DataFrame, evaluations: int, seed: int
) -> tuple[dict[Side, Way], dict[Side, str]]:
    """The exact way of each model, and why others have none."""
    ways: dict[Side, Way] = {}
    inexact: dict[Side, str] = {}
    for side, model in models.items():
        try:
            ways[side] = exact_way(model, used, None, evaluations, seed)
        except (InexactError, ModelError) as error:
            inexact[side] = str(error)
    return ways, inexact


def _space(scored: Scored, models: Mapping[Side, Model], ways: Mapping[Side, Way]) -> Space:
    """One for all: that of the first exact way where the others can follow, else log-odds.

    The decision where one only decides, the value of a regression.
    """
    sides = [side for side in (scored.legacy, scored.candidate) if side]
    if any(side.value is None and side.outputs.scores is None for side in sides):
        return "decision"
    spaces = [way.space for way in ways.values()]
    if scored.task.kind == "regression":
        return spaces[0] if spaces and len(spaces) == len(models) and len(set(spaces)) == 1 else "value"
    return spaces[0] if spaces else "log-odds"


def _classes(scored: Scored) -> tuple[Label, ...] | None:
    """The class explained, or that of each row of the frame."""
    if scored.task.kind == "binary":
        return tuple(label for label in scored.classes if normal(label) == normal(scored.task.positive))
    if scored.legacy.decision is None:
        return None
    return tuple(scored.classes[index] for index in scored.legacy.decision)


def stability(asked: Question, side: Side, known: Attributions, most: int = 400) -> tuple[Estimate, int]:
    """Mean cosine of `known` and the reasons against the other background; how many rows: `most`, 40 where each costs.

    NaN and 0 where the model gives no number against the other background.
    """
    rows = asked.plan.rows[: most if side in asked.ways else 40]
    try:
        other = asked.against(side, rows, asked.plan.other, asked.plan.seed + 1).values
    except UnansweredError:
        return Estimate(float("nan")), 0
    near = compare.cosine(known.values[: len(other)], other)
    return compare.mean_estimate(near, compare.bootstrap_weights(len(near), DRAWS, asked.plan.seed)), len(near)


def shared_features(frame: pd.DataFrame, models: Sequence[Model], but: Sequence[str]) -> tuple[str, ...]:
    """Columns of the frame that any of the models asks for, in the frame's order.

    A model that does not say what it asks for is taken to ask for every column but `but`.
    """
    wanted: set[str] = set()
    for model in models:
        names = {column.name for column in model.inputs}
        wanted |= names or set(map(str, frame.columns)) - set(but)
    return tuple(name for name in map(str, frame.columns) if name in wanted)
