"""Trials side by side: those of a round begin, report and are told together, so that who was faster changes nothing.

What a pruner hears it hears step by step, in the order of the trials' numbers: as many trials at a time on another
machine, or on a cluster, are the same search.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import optuna

Report = Callable[[int, float], bool]
Found = TypeVar("Found")


class StoppedError(Exception):
    """The search was ended while a trial was at work."""


class Abreast:
    """The reports of a round: a trial that told a step waits until all others told one too, or have ended."""

    def __init__(self, trials: Sequence[optuna.Trial]) -> None:
        self._trials = {one.number: one for one in trials}
        self._changed = threading.Condition()
        self._said: dict[int, tuple[int, float]] = {}
        self._stops: dict[int, bool] = {}
        self._broken: BaseException | None = None

    def reporter(self, number: int) -> Report:
        """What the trial of that number reports with: True where it is to stop."""

        def report(step: int, value: float) -> bool:
            with self._changed:
                self._said[number] = step, value
                self._settle()
                self._changed.wait_for(lambda: number in self._stops or self._broken is not None)
                if self._broken is not None:
                    raise StoppedError from self._broken
                return self._stops.pop(number)

        return report

    def leave(self, number: int) -> None:
        """That trial has ended: nobody waits for it."""
        with self._changed:
            del self._trials[number]
            self._settle()

    def stop(self, why: BaseException) -> BaseException:
        """Every trial ends where it reports next. The first reason that was given."""
        with self._changed:
            self._broken = self._broken or why
            self._changed.notify_all()
            return self._broken

    def _settle(self) -> None:
        """Where all have spoken: the pruner hears them, and they hear the pruner."""
        if self._broken is not None or set(self._said) != set(self._trials):
            return
        try:
            for number in sorted(self._said):
                step, value = self._said[number]
                self._trials[number].report(value, step)
                self._stops[number] = self._trials[number].should_prune()
        except Exception as error:
            self._broken = error
        self._said.clear()
        self._changed.notify_all()


def side_by_side(
    trials: Sequence[optuna.Trial], tried: Sequence[Callable[[optuna.Trial, Report], Found]]
) -> list[Found]:
    """Each trial tried by one of `tried`, in threads; what was found, in the trials' order.

    What goes wrong in one of them, or ends the search, ends all.
    """
    abreast = Abreast(trials)

    def one(trial: optuna.Trial, how: Callable[[optuna.Trial, Report], Found]) -> Found:
        try:
            return how(trial, abreast.reporter(trial.number))
        except BaseException as error:
            abreast.stop(error)
            raise
        finally:
            abreast.leave(trial.number)

    if len(trials) == 1:
        return [one(trials[0], tried[0])]
    with ThreadPoolExecutor(len(trials)) as pool:
        begun = [pool.submit(one, trial, how) for trial, how in zip(trials, tried)]
        try:
            return [each.result() for each in begun]
        except BaseException as error:
            raise abreast.stop(error) from None
