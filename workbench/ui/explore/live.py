"""Both models of a migration, each in its own process, asked about a row nobody has seen, within a bounded time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLateError
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeVar

from workbench import catalog
from workbench.catalog.freshness import answers_key
from workbench.migration import Migration, ModelSource
from workbench.models import Label, Model, ModelError, normal
from workbench.scored import Asked, Scored, Side, open_source, score, side_of

if TYPE_CHECKING:
    import pandas as pd

    from workbench.measure.attribution import Space

Told = TypeVar("Told")
Name = Literal["legacy", "candidate"]
SIDES: tuple[Name, Name] = ("legacy", "candidate")
COLUMN = "column:"
PATIENCE = 15.0
"""Seconds a model may take for the row of a person who waits."""
BACKGROUND = 100
"""Rows an absent column takes its values from, in reasons that somebody waits for."""


@dataclass(frozen=True)
class Reasons:
    """Why a model answers n rows as it does. values: [n, M], in `space`."""

    features: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    space: str


class Live:
    """The pair of a migration. Models open when they are first asked for; `close` ends their processes."""

    def __init__(self, migration: Migration) -> None:
        self.migration = migration
        found = {"legacy": migration.legacy, "candidate": catalog.candidate_source(migration)}
        self.sources: dict[Name, ModelSource] = {side: source for side in SIDES if (source := found[side])}
        # A thread that stays: a host behind walls ends with the thread that started it.
        self._workers = {side: ThreadPoolExecutor(1, f"ask-{side}") for side in self.sources}
        self._opened: dict[Name, Future[Model]] = {}

    @cached_property
    def scored(self) -> Scored:
        """The rows, with the answers kept from the run. Raises ModelError, DataError."""

        def opened(side: Name) -> Model:
            source = self.sources[side]
            return open_source(self.migration, source) if source.uri.startswith(COLUMN) else self.model(side)

        def asked(side: Name) -> Asked:
            return Asked(side, lambda: opened(side), answers_key(self.migration, self.sources[side]))

        candidate = asked("candidate") if "candidate" in self.sources else None
        return score(self.migration, legacy=asked("legacy"), candidate=candidate)

    def open(self) -> dict[Name, str]:
        """Opens both at once, also one that could not be opened before; by side, why one cannot be asked."""
        for side, opened in list(self._opened.items()):
            if opened.done() and opened.exception():
                del self._opened[side]
        for side in self.sources:
            self._opening(side)
        return {side: why for side in self.sources if (why := self._closed(side))}

    def model(self, side: Name) -> Model:
        """Raises ModelError where it cannot be opened."""
        return self._opening(side).result()

    def ask(self, row: pd.DataFrame) -> dict[Name, Side | str]:
        """Each model's answer to one row, or in a sentence why there is none; both are asked at once."""
        return self._both(lambda side: self._answer(side, row))

    def reasons(self, rows: pd.DataFrame) -> dict[Name, Reasons | str]:
        """Why each model answers these rows as it does, against the same background and in the same space, or why that
        cannot be told."""
        around = sampled(self.scored.frame[list(self.features)])
        found = self._both(lambda side: self._explained(side, rows, around, None))
        spaces = {one.space for one in found.values() if isinstance(one, Reasons)}
        if len(spaces) < 2:
            return found
        common: Space = "decision" if "decision" in spaces else "value" if "value" in spaces else "log-odds"
        return self._both(lambda side: self._explained(side, rows, around, common))

    @cached_property
    def features(self) -> tuple[str, ...]:
        """The columns that either model reads, in the data's order."""
        from workbench.measure.attribution import shared_features

        roles, task = self.migration.roles, self.migration.task
        models = [self.model(side) for side in self.sources if not self._closed(side)]
        return shared_features(self.scored.frame, models, (task.target, *roles.key, *roles.ignore, roles.weight or ""))

    def close(self) -> None:
        for side, worker in self._workers.items():
            opened = self._opened.get(side)
            if opened is not None and opened.done() and not opened.exception():
                opened.result().close()
            worker.shutdown(wait=False, cancel_futures=True)

    def _opening(self, side: Name) -> Future[Model]:
        if side not in self._opened:
            self._opened[side] = self._workers[side].submit(self._open, side)
        return self._opened[side]

    def _closed(self, side: Name) -> str:
        """Why this side cannot be opened; "" where it is."""
        try:
            self.model(side)
        except ModelError as error:
            return str(error)
        return ""

    def _open(self, side: Name) -> Model:
        source = self.sources[side]
        if source.uri.startswith(COLUMN):
            raise ModelError(
                f"the {side} model is a column of answers given before: it cannot be asked about a row that is not in "
                "the data; name the model itself in migration.yaml"
            )
        given = source.options.get("timeout")
        timeout = min(float(given), PATIENCE) if isinstance(given, int | float) else PATIENCE
        bounded = source.model_copy(update={"options": {**source.options, "timeout": timeout}})
        return open_source(self.migration, bounded, hosted=True)

    def _both(self, ask: Callable[[Name], Told]) -> dict[Name, Told | str]:
        """Both sides at once, each in its own thread, which has opened its model before."""
        for side in self.sources:
            self._opening(side)
        asked = {side: self._workers[side].submit(ask, side) for side in self.sources}
        found: dict[Name, Told | str] = {}
        for side, future in asked.items():
            told = _in_time(side, future)
            found[side] = told
        return found

    def _answer(self, side: Name, row: pd.DataFrame) -> Side:
        return side_of(self.model(side).predict(row), self.migration.task, self.scored.classes)

    def _explained(self, side: Name, rows: pd.DataFrame, around: pd.DataFrame, space: Space | None) -> Reasons:
        from workbench.measure.attribution import UnansweredError, attribute

        names = list(self.features)
        try:
            found = attribute(
                self.model(side), rows[names], around, features=names, space=space, explained=self._explained_class()
            )
        except (UnansweredError, ValueError) as error:
            raise ModelError(str(error)) from error
        return Reasons(found.features, tuple(map(tuple, found.values.tolist())), found.space)

    def _explained_class(self) -> list[Label] | None:
        task = self.migration.task
        if task.kind != "binary":
            return None
        return [label for label in self.scored.classes if normal(label) == normal(task.positive)]


_PAIRS: dict[str, Live] = {}
"""The open pair of this process: one at a time, so that a cell that is run again starts no more processes."""


def pair_of(migration: Migration) -> Live:
    """The open pair of this migration while nothing about it has changed, else a new one, and the old is closed."""
    candidate = catalog.candidate_source(migration)
    key = (
        f"{migration.folder.resolve()} {candidate} {migration.model_dump_json(exclude={'limits', 'audits', 'review'})}"
    )
    if key not in _PAIRS:
        for other in list(_PAIRS):
            _PAIRS.pop(other).close()
        _PAIRS[key] = Live(migration)
    return _PAIRS[key]


def sampled(frame: pd.DataFrame) -> pd.DataFrame:
    from workbench.measure.attribution import sampled_rows

    return sampled_rows(frame, BACKGROUND, 0)


def _in_time(side: Name, future: Future[Told]) -> Told | str:
    try:
        return future.result(PATIENCE + 5)
    except TooLateError:
        return f"the {side} model has not answered within {PATIENCE + 5:g} s: it may still be starting, try again"
    except ModelError as error:
        return str(error)
