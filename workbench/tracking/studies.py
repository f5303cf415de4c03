"""Training and search as records: a run with its curve for each training, a run below the study for each trial."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.migration import Migration
from workbench.tracking.address import ARTIFACTS, HERE
from workbench.tracking.records import Planned, Point, Record

CURVE = "curve.jsonl"
RECIPE = "recipe.json"
if TYPE_CHECKING:
    from workbench.migrate.tune.journals import Ended, Journal

EVENTS = "events.out.tfevents*"
"""What TensorBoard reads."""
BOARD = "tensorboard"
STEP = "epoch"
FAILED = {"nan", "crashed", "memory", "slow", "killed"}
"""How a trial ends that says nothing of what it tried."""


def trainings(migration: Migration) -> Iterator[Planned]:
    """Each folder under `models` or `.workbench` in which a network was trained."""
    for top in ("models", HERE):
        for curve in sorted((migration.folder / top).rglob(CURVE)):
            if ARTIFACTS in curve.parts:
                continue  # what was recorded of one before
            name = curve.parent.relative_to(migration.folder).as_posix()
            digest = hashlib.sha256(curve.read_bytes()).hexdigest()
            yield Planned(f"training/{name}", digest, lambda curve=curve, name=name: _training(curve.parent, name))  # type: ignore[misc]


def _training(folder: Path, name: str) -> Record:
    epochs = _lines(folder / CURVE)
    recipe, board = folder / RECIPE, folder / BOARD
    # When it began is written once; when the curve grows, what was recorded of it keeps its time.
    began = datetime.fromtimestamp((recipe if recipe.exists() else folder / CURVE).stat().st_mtime, UTC)
    took = max((_number(one.get("seconds")) or 0.0 for one in epochs), default=0.0)
    return Record(
        f"training/{name}",
        name,
        "training",
        began,
        began + timedelta(seconds=took),
        failed=not epochs,
        params=_object(recipe),
        points=tuple(_points(epochs)),
        tags={"workbench.folder": name},
        files={"": tuple(sorted({folder / CURVE, *folder.glob(RECIPE)})), BOARD: tuple(sorted(board.glob(EVENTS)))},
    )


def searches(migration: Migration) -> Iterator[Planned]:
    """Each study of tuning, with a run below it for every trial that has ended."""
    if not any((migration.folder / "models").glob("*/tuned")):
        return
    from workbench.migrate.tune.journals import studies

    for study in studies(migration.folder):
        name = f"{study.file.parent.relative_to(migration.folder).as_posix()} {study.stage}"
        trials = tuple(_trial(name, trial) for trial in study.trials)
        whole = hashlib.sha256("".join(trial.digest for trial in trials).encode()).hexdigest()
        yield Planned(f"study/{name}", whole, lambda name=name, study=study, trials=trials: _study(name, study, trials))  # type: ignore[misc]


def _study(name: str, study: Journal, trials: tuple[Record, ...]) -> Record:
    ended = [trial.ended for trial in trials]
    states = Counter(trial.tags["workbench.state"] for trial in trials)
    return Record(
        f"study/{name}",
        name,
        "study",
        min((trial.began for trial in trials), default=datetime.fromtimestamp(study.file.stat().st_mtime, UTC)),
        max(ended, default=datetime.fromtimestamp(study.file.stat().st_mtime, UTC)),
        params={"stage": study.stage},
        tags={f"workbench.trials.{state}": str(count) for state, count in states.items()},
        children=trials,
    )


def _trial(name: str, trial: Ended) -> Record:
    values = (*trial.values.items(), *(("curve", value) for _, value in trial.curve))
    steps = (*(0 for _ in trial.values), *(step for step, _ in trial.curve))
    return Record(
        f"study/{name}/{trial.number}",
        f"trial {trial.number}",
        "trial",
        trial.began,
        trial.ended or trial.began,
        failed=trial.state in FAILED,
        params=trial.params,
        points=tuple(Point(what, value, step) for (what, value), step in zip(values, steps) if math.isfinite(value)),
        tags={"workbench.state": trial.state} | ({"workbench.reason": trial.reason} if trial.reason else {}),
        digest=hashlib.sha256(repr(trial).encode()).hexdigest(),
    )


def _points(epochs: list[dict[str, Any]]) -> Iterator[Point]:
    for place, one in enumerate(epochs):
        step, after = int(_number(one.get(STEP)) or place), _number(one.get("seconds")) or 0.0
        for name, told in one.items():
            value = _number(told)
            if name != STEP and value is not None:
                yield Point(name, value, step, after)


def _number(told: object) -> float | None:
    """A finite number, else None."""
    plain = isinstance(told, int | float) and not isinstance(told, bool)
    return float(told) if plain and math.isfinite(told) else None  # type: ignore[arg-type]


def _lines(path: Path) -> list[dict[str, Any]]:
    """Its JSON objects; a line that a kill has cut is left out."""
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            plain = json.loads(line)
        except ValueError:
            continue
        found += [plain] if isinstance(plain, dict) else []
    return found


def _object(path: Path) -> dict[str, Any]:
    try:
        plain = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return plain if isinstance(plain, dict) else {}
