"""What a training leaves in its folder: a checkpoint that is whole or not there, and a line for every epoch."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from workbench.migrate.retraining.recipe import Recipe

CHECKPOINT = "checkpoint.pt"
CURVE = "curve.jsonl"
RECIPE = "recipe.json"
EVENTS = "tensorboard"
EVERY = 1.0
"""Seconds between two checkpoints, at least: what a kill costs."""


@dataclass(frozen=True)
class Epoch:
    """One pass over the rows to fit on.

    loss: mean on these rows, while the weights moved. check: log-loss on the rows to check on, or the root mean squared
    error in standard deviations of the truth: lower is better. metric: area under the ROC curve, accuracy, or R², on
    the same rows. rate: learning rate at its end. seconds: since training began, pauses left out. left: seconds to the
    last epoch at this pace; training may end earlier.
    """

    epoch: int
    loss: float
    check: float
    metric: float
    rate: float
    seconds: float
    left: float


class Kept:
    """The folder of one training; None keeps nothing. key: what it trains; a checkpoint of another is not taken up."""

    def __init__(self, folder: Path | None, recipe: Recipe, key: str, writes: bool = True) -> None:
        self.folder, self.key = folder, key
        self._writes = writes and folder is not None
        self._written = 0.0
        self._events: Any = None
        self.note = ""
        if self._writes and folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            put_recipe(folder, recipe)

    def read(self) -> dict[str, Any] | None:
        """The state to go on from; None where there is none, or what is there is of another training or torch."""
        path = self.folder / CHECKPOINT if self.folder else None
        if path is None or not path.exists():
            return None
        try:
            found: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
        except Exception:
            self.note = f"{CHECKPOINT} could not be read: training began anew"
            return None
        if found.get("key") != self.key:
            self.note = f"{CHECKPOINT} is of another recipe, other rows, libraries or device: training began anew"
            return None
        return found

    def write(self, state: dict[str, Any], at_once: bool = False) -> None:
        """Whole or not at all, also where the machine stops; not more often than every second, unless at once."""
        if not self._writes or self.folder is None or (not at_once and time.monotonic() - self._written < EVERY):
            return
        path = self.folder / CHECKPOINT
        part = path.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as file:
            torch.save({**state, "key": self.key}, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _settle(self.folder)
        self._written = time.monotonic()

    def begin(self, curve: Sequence[Epoch]) -> None:
        """The lines of the epochs that are done, and no others: a kill may have left later ones."""
        if not self._writes or self.folder is None:
            return
        lines = "".join(json.dumps(asdict(one)) + "\n" for one in curve)
        part = (self.folder / CURVE).with_suffix(f".{os.getpid()}.part")
        part.write_text(lines, "utf-8")
        part.replace(self.folder / CURVE)
        self._events = _events(self.folder / EVENTS, len(curve) + 1)
        self.note = self.note or ("" if self._events else "no TensorBoard files: pip install tensorboard to have them")

    def add(self, epoch: Epoch) -> None:
        if not self._writes or self.folder is None:
            return
        with (self.folder / CURVE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(epoch)) + "\n")
        if self._events:
            for name in ("loss", "check", "metric", "rate"):
                self._events.add_scalar(name, getattr(epoch, name), epoch.epoch)
            self._events.flush()

    def close(self) -> None:
        if self._events:
            self._events.close()


def put_recipe(folder: Path, recipe: Recipe) -> None:
    """Beside the curve, so that whoever reads it knows what was tried; left alone where it says this already."""
    said, path = json.dumps(asdict(recipe)), folder / RECIPE
    if not path.exists() or path.read_text("utf-8") != said:
        path.write_text(said, "utf-8")


def _settle(folder: Path) -> None:
    """The new name itself on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _events(folder: Path, first: int) -> Any:
    """torch's writer of TensorBoard files; None where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=first)


def curve_of(folder: Path) -> tuple[Epoch, ...]:
    """The epochs written so far; a line that is still being written is left out."""
    path = folder / CURVE
    lines = path.read_text("utf-8").splitlines(keepends=True) if path.exists() else []
    return tuple(Epoch(**json.loads(line)) for line in lines if line.endswith("\n"))
