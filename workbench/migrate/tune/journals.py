"""The studies of a migration as plain data, for whoever tracks them: nothing of Optuna crosses this door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.trial import FrozenTrial

from workbench.migrate.tune.search import plain
from workbench.migrate.tune.storage import JOURNAL, open_storage

NAMES: Mapping[str, tuple[str, ...]] = {
    "serve": ("loss", "p99 ms", "core-seconds per million"),
    "train": ("check",),
}
"""The objectives of each stage."""


@dataclass(frozen=True)
class Ended:
    """A settled trial. state: how it ended, as `search.End`. values: by objective; {} where it was not measured.

    curve: (step, value) where training told one. folder: None; a trial keeps no files of its own.
    """

    number: int
    state: str
    params: dict[str, object]
    values: dict[str, float]
    began: datetime
    ended: datetime | None
    reason: str = ""
    curve: tuple[tuple[int, float], ...] = ()
    folder: Path | None = None


@dataclass(frozen=True)
class Journal:
    """A study. file: its journal."""

    name: str
    stage: Literal["train", "serve"]
    file: Path
    trials: tuple[Ended, ...]


def studies(folder: Path) -> tuple[Journal, ...]:
    """Every study kept in a journal under the migration's folder, oldest first; () where there is none.

    Settled trials only. Nothing is made; a study in a database is not in a journal, and is not told.
    """
    found = []
    for file in sorted(folder.glob(f"models/*/tuned/*/{JOURNAL}"), key=lambda path: path.stat().st_mtime):
        storage = open_storage(file.parent)
        for study in storage.get_all_studies():
            trials = storage.get_all_trials(study._study_id, deepcopy=False)
            ended = tuple(_ended(one, study.study_name) for one in trials if _settled(one))
            stage: Any = study.study_name
            found.append(Journal(file.parent.name, stage, file, ended))
    return tuple(found)


def _settled(one: FrozenTrial) -> bool:
    return one.state.is_finished() and bool(one.params) and not one.user_attrs.get("killed")


def _ended(one: FrozenTrial, stage: str) -> Ended:
    told = plain(one)
    began = one.datetime_start or one.datetime_complete or datetime.now()
    return Ended(
        number=one.number,
        state=told.end or "done",
        params=dict(one.params),
        values=dict(zip(NAMES.get(stage, ()), told.values or ())),
        began=began.astimezone(UTC),
        ended=one.datetime_complete.astimezone(UTC) if one.datetime_complete else None,
        reason=told.reason,
        curve=tuple(sorted((int(step), float(value)) for step, value in one.intermediate_values.items())),
    )


optuna.logging.set_verbosity(optuna.logging.ERROR)
