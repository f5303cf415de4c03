"""Several processes on one training: `torchrun ... -m workbench.migrate.retraining.worker FOLDER`.

FOLDER, which every machine sees, holds `rows.npz` and `recipe.json`, as the retrain mover writes them. What the
processes leave there is what one process would leave; the mover then reads it back. The mover starts those of its own
machine, and says what to start on the others (`Processes`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workbench.migrate.retraining.checkpoint import RECIPE, Epoch, curve_of, put_recipe
from workbench.migrate.retraining.prepared import Prepared
from workbench.migrate.retraining.recipe import Recipe
from workbench.migrate.retraining.training import train
from workbench.models import ModelError

ROWS = "rows.npz"
SAID, WHY = "torchrun.log", "failed.txt"
LOOK = 0.2
"""Seconds between two looks at what the processes have written."""


@dataclass(frozen=True)
class Processes:
    """each: of a machine; machines: how many share the training; address: HOST:PORT of the first one, where they meet.

    Raises ValueError for several machines without an address.
    """

    each: int = 1
    machines: int = 1
    address: str = ""

    def __post_init__(self) -> None:
        if self.machines > 1 and not self.address:
            raise ValueError(f"{self.machines} machines must meet somewhere: give address, the first one's HOST:PORT")

    @property
    def count(self) -> int:
        return self.each * self.machines

    def command(self, folder: Path, device: str) -> list[str]:
        """What torchrun takes, the same on every machine."""
        meet = [f"--nnodes={self.machines}", "--rdzv-backend=c10d", f"--rdzv-endpoint={self.address}", "--rdzv-id=1"]
        how = meet if self.machines > 1 else ["--standalone"]
        worker = ["-m", "workbench.migrate.retraining.worker", str(folder), *([device] if device else [])]
        return [*how, f"--nproc-per-node={self.each}", *worker]


def put(folder: Path, recipe: Recipe, prepared: Prepared) -> None:
    """What the processes of a training read."""
    folder.mkdir(parents=True, exist_ok=True)
    prepared.save(folder / ROWS)
    put_recipe(folder, recipe)


def train_together(
    recipe: Recipe,
    prepared: Prepared,
    folder: Path,
    processes: Processes,
    told: Callable[[Epoch], None],
    device: str = "",
) -> None:
    """Train by several processes, the result left in the folder; the rows are not. Raises ModelError with the reason.

    With several machines it waits until the same command runs on each of the others.
    """
    put(folder, recipe, prepared)
    (folder / WHY).unlink(missing_ok=True)
    command = [sys.executable, "-m", "torch.distributed.run", *processes.command(folder, device)]
    with (folder / SAID).open("w", encoding="utf-8") as said:
        running = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, env=_environment(processes.each))
        try:
            _follow(running, folder, told)
        finally:
            running.terminate()
            running.wait()
            (folder / ROWS).unlink(missing_ok=True)
    if running.returncode:
        why = (folder / WHY).read_text("utf-8") if (folder / WHY).exists() else f"{folder / SAID} says more"
        raise ModelError(f"training in {processes.count} processes ended with code {running.returncode}: {why}")


def _environment(processes: int) -> dict[str, str]:
    """Cores shared out evenly, unless somebody has said how many threads."""
    threads = max(1, (os.cpu_count() or 1) // processes)
    return {"OMP_NUM_THREADS": str(threads), **os.environ}


def _follow(running: subprocess.Popen[bytes], folder: Path, told: Callable[[Epoch], None]) -> None:
    seen = 0
    while running.poll() is None:
        time.sleep(LOOK)
        curve = curve_of(folder)
        for epoch in curve[seen:]:
            told(epoch)
        seen = max(seen, len(curve))


def main(folder: Path, device: str = "") -> None:
    """One of the processes; what ends it is left in the folder in a sentence."""
    try:
        _train(folder, device)
    except Exception as error:
        (folder / WHY).write_text(f"{type(error).__name__}: {str(error)[:500]}", "utf-8")
        raise


def _train(folder: Path, device: str) -> None:
    import torch
    from torch import distributed

    on_gpu = device.startswith("cuda") if device else torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if on_gpu else "gloo")
    try:
        recipe = Recipe(**json.loads((folder / RECIPE).read_text("utf-8")))
        train(recipe, Prepared.load(folder / ROWS), folder=folder, device="" if on_gpu else "cpu")
    finally:
        distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")
