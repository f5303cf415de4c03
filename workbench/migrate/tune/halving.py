"""Which trainings are not worth going on with: asynchronous successive halving (Li et al. 2018), decided by Optuna."""

from __future__ import annotations

from typing import Any

import optuna
from optuna.pruners import SuccessiveHalvingPruner
from optuna.trial import FrozenTrial


class Halving(SuccessiveHalvingPruner):
    """A trial whose process was killed, and that was taken up again, competes once: else a kill changed the search."""

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        living: Any = _Living(study)
        return super().prune(living, trial)


class _Living:
    """A study without what was killed, as far as a pruner asks it."""

    def __init__(self, study: optuna.Study) -> None:
        self._study = study
        self._storage = study._storage
        self.direction = study.direction

    def get_trials(self, deepcopy: bool = True) -> list[FrozenTrial]:
        return [one for one in self._study.get_trials(deepcopy=deepcopy) if not one.user_attrs.get("killed")]
