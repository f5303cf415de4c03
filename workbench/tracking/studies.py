"""Training and search as records: a run with its curve for each training, a run below the study for each trial."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from workbench.migration import Migration
from workbench.tracking.address import ARTIFACTS, HERE
from workbench.tracking.records import Planned, Point, Record

CURVE = "curve.jsonl"
RECIPE = "recipe.json"
EVENTS = "events.out.tfevents*"
"""What TensorBoard reads."""
STEP = "epoch"


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
    recipe = folder / RECIPE
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
        files={"": tuple(sorted({folder / CURVE, *folder.glob(RECIPE), *folder.glob(EVENTS)}))},
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
