"""Which setting is tried next: Optuna's multivariate TPE, drawn from the study's history alone.

A sampler that keeps a random state of its own gives another search after a kill, and proposes settings again. This one
is seeded anew for every trial by how many were begun before it, so that a search that was killed goes on exactly as it
would have, and it never proposes a setting of a finite space that was tried or is being tried.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

Point = Mapping[str, Any]
TRIES = 12
"""Proposals of TPE before a setting is drawn from all that are left."""
BEGUN = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


@dataclass(frozen=True)
class Space:
    """What may be chosen. points: all settings of a finite space; () where some choice is a number of a range.

    first: settings that are tried before any other, in this order.
    """

    choices: Mapping[str, BaseDistribution]
    points: tuple[Point, ...] = ()
    first: tuple[Point, ...] = ()

    @classmethod
    def of(cls, points: Sequence[Point], first: Sequence[Point] = ()) -> Space:
        """A finite space: the choices of every name are those that some point has, in the points' order."""
        names = list(points[0])
        made = {name: CategoricalDistribution(tuple(dict.fromkeys(point[name] for point in points))) for name in names}
        return cls(made, tuple(points), tuple(first))


class Steady(BaseSampler):
    """See the module. startup: settings drawn at random before TPE learns from them."""

    def __init__(self, space: Space, seed: int = 0, startup: int = 8) -> None:
        self.space, self.seed, self.startup = space, seed, startup

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return dict(self.space.choices)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if "fixed_params" in trial.system_attrs:
            return {}  # a trial that is taken up again: Optuna gives it its own setting
        others = [one for one in study.get_trials(deepcopy=False) if one.number != trial.number]
        taken = {key(one.params) for one in others if one.state in BEGUN}
        begun = sum(one.state in BEGUN and not one.user_attrs.get("killed") for one in others)
        for point in self.space.first:
            if key(point) not in taken:
                return dict(point)
        known = {key(point) for point in self.space.points}
        for attempt in range(TRIES):
            drawn = self._proposed(study, trial, search_space, begun, attempt)
            if key(drawn) not in taken and (not known or key(drawn) in known):
                return drawn
        return self._left(study, trial, taken, begun) if known else drawn

    def _proposed(
        self, study: optuna.Study, trial: FrozenTrial, space: dict[str, BaseDistribution], begun: int, attempt: int
    ) -> dict[str, Any]:
        seed = _seed(self.seed, begun, attempt)
        if begun < self.startup:
            drawn: BaseSampler = RandomSampler(seed)
        else:
            drawn = TPESampler(seed=seed, n_startup_trials=self.startup, multivariate=True, constant_liar=False)
            if found := drawn.sample_relative(study, trial, space):
                return found
        return {name: drawn.sample_independent(study, trial, name, space[name]) for name in sorted(space)}

    def _left(self, study: optuna.Study, trial: FrozenTrial, taken: set[str], begun: int) -> dict[str, Any]:
        left = [point for point in self.space.points if key(point) not in taken]
        if not left:
            raise Exhausted("every setting of the space was tried")
        choice = RandomSampler(_seed(self.seed, begun, TRIES)).sample_independent(
            study, trial, "left", CategoricalDistribution(tuple(range(len(left))))
        )
        return dict(left[choice])

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        raise AssertionError(f"{param_name} is not in the space")


class Exhausted(Exception):  # noqa: N818
    """There is nothing left to try."""


def key(point: Point) -> str:
    """One spelling per setting."""
    return repr(sorted(point.items()))


def _seed(*parts: int) -> int:
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "little")
