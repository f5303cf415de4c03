"""The search itself: ask, try, tell, until a bound is met; killed at any moment it goes on where it was.

Optuna keeps the trials. A trial whose process died is settled as killed and taken up again; one that was told is never
run again. Two processes on one study share its trials and its bounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import optuna
from filelock import FileLock
from optuna.trial import FrozenTrial, TrialState

from workbench.migrate.tune.rounds import Report, side_by_side
from workbench.migrate.tune.sampler import Exhausted, Point, Space, Steady, key
from workbench.migrate.tune.storage import Worker, open_storage

End = Literal["done", "dominated", "pruned", "unfit", "nan", "crashed", "memory", "slow", "killed"]
ENDS: dict[End, str] = {
    "done": "measured",
    "dominated": "stopped: another is better in everything",
    "pruned": "stopped early: others were better by then",
    "unfit": "refused: it does not keep the constraint",
    "nan": "gave NaN",
    "crashed": "crashed",
    "memory": "ran out of memory",
    "slow": "took longer than a trial may",
    "killed": "its process was killed",
}
STATES = {"done": TrialState.COMPLETE} | dict.fromkeys(("dominated", "pruned", "unfit"), TrialState.PRUNED)
"""What Optuna calls an end; the others failed."""
MOST_DEATHS = 5
"""How often the process of a trial may die before the trial is given up."""


@dataclass(frozen=True)
class Outcome:
    """How a trial ended. values: of the objectives, all to be small; None where it was not measured to the end.

    told: plain data kept with the trial. reason: why it was not measured, in a clause.
    """

    end: End
    values: tuple[float, ...] | None = None
    told: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True)
class Trial:
    """A settled trial, or one at work (end None), as plain data. seconds: it took."""

    number: int
    point: Point
    end: End | None
    values: tuple[float, ...] | None
    told: Mapping[str, Any]
    reason: str
    seconds: float


@dataclass(frozen=True)
class Bounds:
    """When a search ends: trials in the study, minutes of computing of all its trials, and what these cost at a price
    per hour. None: no bound."""

    trials: int
    minutes: float | None = None
    money: float | None = None
    price_per_hour: float | None = None

    def met(self, trials: Sequence[Trial]) -> str:
        """Which bound is met, "" where none is."""
        if len(trials) >= self.trials:
            return f"{self.trials} trials"
        spent = sum(one.seconds for one in trials)
        if self.minutes is not None and spent >= 60 * self.minutes:
            return f"{self.minutes:g} minutes"
        if self.money is not None and spent / 3600 * (self.price_per_hour or 0) >= self.money:
            return f"{self.money:g} of money"
        return ""


Objective = Callable[[Point, "Running"], Outcome]


@dataclass(frozen=True)
class Running:
    """What an objective may know of its trial and of the others. report: an intermediate value (low is good) at a
    step, of a study with one objective; True where the pruner would stop here."""

    number: int
    others: Callable[[], tuple[Trial, ...]]
    report: Callable[[int, float], bool]


class Study:
    """One study of a migration. folder: its locks, and its journal where no other storage is given.

    names: of the objectives. Raises StudyError where the storage does not open.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        names: Sequence[str],
        space: Space,
        *,
        storage: str | None = None,
        seed: int = 0,
        startup: int = 8,
        pruner: optuna.pruners.BasePruner | None = None,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.name, self.names, self.space = folder, name, tuple(names), space
        self._lock = FileLock(folder / "asking.lock")
        with self._lock:
            self.optuna = optuna.create_study(
                study_name=name,
                storage=open_storage(folder, storage),
                sampler=Steady(space, seed, startup),
                pruner=pruner or optuna.pruners.NopPruner(),
                directions=["minimize"] * len(names),
                load_if_exists=True,
            )

    def trials(self) -> tuple[Trial, ...]:
        """All that count: settled or at work, those apart whose process was killed and that were taken up again."""
        return tuple(plain(one) for one in self.optuna.get_trials(deepcopy=False) if _counts(one))

    def search(
        self,
        objective: Objective,
        bounds: Bounds,
        *,
        beside: Sequence[Objective] = (),
        told: Callable[[Trial], None] = lambda trial: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> str:
        """Trials until a bound is met; says which. told: hears each trial as it ends.

        beside: objectives that try further trials at the same time, in threads. Such a round is proposed knowing the
        rounds before it, and told as a whole: as many at a time are the same search, whoever is faster.
        """
        worker, objectives = Worker(self.folder), (objective, *beside)
        try:
            while not isinstance(asked := self._round(worker, bounds, len(objectives)), str):
                for trial, (outcome, seconds) in zip(asked, self._tried(asked, objectives, clock)):
                    told(self.tell(trial.number, outcome, seconds))
            return asked
        finally:
            worker.end()

    def _round(self, worker: Worker, bounds: Bounds, most: int) -> list[optuna.Trial] | str:
        """The trials that run next, `most` at most; or which bound ends the search."""
        asked: list[optuna.Trial] = []
        while len(asked) < most:
            one = self.ask(worker, bounds)
            if isinstance(one, str):
                return asked or one
            asked.append(one)
        return asked

    def ask(self, worker: Worker, bounds: Bounds) -> optuna.Trial | str:
        """The next trial, claimed for a worker; or which bound ends the search."""
        with self._lock:
            self._settle(worker)
            if end := bounds.met(self.trials()):
                return end
            try:
                asked = self.optuna.ask(dict(self.space.choices))
            except Exhausted:
                self._drop_unstarted()
                return "every setting of the space"
            asked.set_user_attr("worker", worker.name)
            return asked

    def _drop_unstarted(self) -> None:
        """The empty trial that Optuna had begun when the sampler found nothing left."""
        for one in self.optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if not one.params:
                self._told(one.number, Outcome("killed"), 0.0, again=True)

    def _tried(
        self, asked: Sequence[optuna.Trial], objectives: Sequence[Objective], clock: Callable[[], float]
    ) -> list[tuple[Outcome, float]]:
        """How each ended, and the seconds it took."""

        def trying(objective: Objective) -> Callable[[optuna.Trial, Report], tuple[Outcome, float]]:
            def tried(trial: optuna.Trial, report: Report) -> tuple[Outcome, float]:
                start = clock()
                outcome = objective(dict(trial.params), Running(trial.number, self.trials, report))
                return outcome, clock() - start

            return tried

        return side_by_side(asked, [trying(one) for one in objectives])

    def tell(self, number: int, outcome: Outcome, seconds: float) -> Trial:
        """Settle a trial for good."""
        self._told(number, outcome, seconds)
        return next(one for one in self.trials() if one.number == number)

    def _told(self, number: int, outcome: Outcome, seconds: float, again: bool = False) -> None:
        """Write down how a trial ended; what is known of it first, its state last."""
        kept: dict[str, Any] = {"end": outcome.end, "reason": outcome.reason, "seconds": seconds, **outcome.told}
        kept |= {"killed": True} if again else {}
        trial = next(one for one in self.optuna.get_trials(deepcopy=False) if one.number == number)
        for name, value in kept.items():
            self.optuna._storage.set_trial_user_attr(trial._trial_id, name, value)
        found = STATES.get(outcome.end, TrialState.FAIL)
        values = list(outcome.values) if outcome.values is not None and found is TrialState.COMPLETE else None
        self.optuna.tell(number, values=values, state=found)

    def _settle(self, worker: Worker) -> None:
        """Trials whose process is gone are settled, and taken up again. To be called under the lock."""
        trials = self.optuna.get_trials(deepcopy=False)
        for one in trials:
            if one.state is TrialState.RUNNING and not worker.is_alive(one.user_attrs.get("worker", "")):
                deaths = one.user_attrs.get("deaths", 0) + 1
                known = set(one.params) == set(self.space.choices)  # else it was never begun, and is asked for anew
                self._told(one.number, Outcome("killed"), 0.0, again=not known or deaths < MOST_DEATHS)
        again = {one.user_attrs.get("again of") for one in trials}
        for one in self.optuna.get_trials(deepcopy=False, states=(TrialState.FAIL,)):
            begun = set(one.params) == set(self.space.choices)
            if one.user_attrs.get("killed") and begun and one.number not in again:
                kept = {"again of": one.number, "deaths": one.user_attrs.get("deaths", 0) + 1}
                self.optuna.enqueue_trial(one.params, user_attrs=kept)


def _counts(one: FrozenTrial) -> bool:
    return one.state is not TrialState.WAITING and bool(one.params) and not one.user_attrs.get("killed")


def plain(one: FrozenTrial) -> Trial:
    """A trial of Optuna as plain data."""
    kept = dict(one.user_attrs)
    end, reason, seconds = kept.pop("end", None), kept.pop("reason", ""), float(kept.pop("seconds", 0.0))
    end = None if one.state is TrialState.RUNNING else end
    values = tuple(one.values) if one.state is TrialState.COMPLETE and one.values else None
    return Trial(one.number, dict(one.params), end, values, kept, reason, seconds)


def read_trials(folder: Path, name: str, storage: str | None = None) -> tuple[Trial, ...]:
    """The trials of a study as plain data, for others to show or to track; () where there is none."""
    with suppress(KeyError):
        found = optuna.load_study(study_name=name, storage=open_storage(folder, storage))
        return tuple(plain(one) for one in found.get_trials(deepcopy=False) if _counts(one))
    return ()


__all__ = ["ENDS", "Bounds", "Objective", "Outcome", "Running", "Study", "Trial", "key", "plain", "read_trials"]
