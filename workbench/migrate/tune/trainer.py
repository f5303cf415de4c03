"""A process that trains networks for a search: it may run out of memory or crash, and only its trial is lost.

The parent keeps one such process and starts another where it died. It sends recipes; the process tells of every epoch
and goes on only where the parent says so.
"""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from workbench.migrate.tune.search import Outcome

if TYPE_CHECKING:
    from workbench.migrate.retraining.prepared import Prepared
    from workbench.migrate.retraining.recipe import Recipe

MEMORY = ("not enough memory", "can't allocate memory", "out of memory", "MemoryError", "bad_alloc")
START = "import sys; sys.path.append({root!r}); from workbench.migrate.tune import trainer; trainer.main({given})"
ROOT = str(Path(__file__).resolve().parents[3])


class Epoch(NamedTuple):
    """A training has come this far, and waits to hear whether to go on."""

    number: int
    check: float


class Place(Protocol):
    """Where one network after the other is trained: a process of this machine, or of a cluster."""

    def begin(self, recipe: Recipe) -> Epoch | Outcome: ...

    def go_on(self, stop: bool) -> Epoch | Outcome:
        """After an epoch: stop ends the training there."""


def train_at(place: Place, recipe: Recipe, told: Callable[[int, float], bool]) -> Outcome:
    """One training. told: hears of each epoch and its check, and says True to stop it there."""
    said = place.begin(recipe)
    while isinstance(said, Epoch):
        said = place.go_on(told(said.number, said.check))
    return said


class Trainer:
    """Trains recipes on the rows of `prepared` in a process of its own. folder: for the rows, which it reads there.

    memory_mb: it may take. device: "" is a GPU where there is one.
    """

    def __init__(self, prepared: Prepared, folder: Path, memory_mb: int | None = None, device: str = "") -> None:
        self._rows, self._memory, self._device = folder / "rows.pickle", memory_mb or 0, device
        folder.mkdir(parents=True, exist_ok=True)
        self._rows.write_bytes(pickle.dumps(prepared))
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._last = Epoch(0, 0.0)

    def __call__(self, recipe: Recipe, told: Callable[[int, float], bool]) -> Outcome:
        return train_at(self, recipe, told)

    def begin(self, recipe: Recipe) -> Epoch | Outcome:
        try:
            pipe = self._started()
            pipe.send(asdict(recipe))
            return self._heard(pipe)
        except (EOFError, OSError):
            return self._died()

    def go_on(self, stop: bool) -> Epoch | Outcome:
        assert self._pipe is not None
        try:
            self._pipe.send(stop)
            if not stop:
                return self._heard(self._pipe)
            self._pipe.recv()
        except (EOFError, OSError):
            return self._died()
        number, check = self._last
        return Outcome("pruned", None, {"epochs": number, "check": check}, f"weaker than others after {number} epochs")

    def _heard(self, pipe: Connection) -> Epoch | Outcome:
        kind, what = pipe.recv()
        if kind == "epoch":
            self._last = Epoch(what["epoch"], what["check"])
            return self._last
        return Outcome("done", (what["check"],), what) if kind == "done" else Outcome(kind, None, {}, what)

    def _started(self) -> Connection:
        if self._process is None or self._process.poll() is not None or self._pipe is None:
            ours, theirs = Pipe()
            code = START.format(
                root=ROOT, given=f"{theirs.fileno()}, {str(self._rows)!r}, {self._memory}, {self._device!r}"
            )
            self._process = subprocess.Popen(
                [sys.executable, "-c", code],
                pass_fds=[theirs.fileno()],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            theirs.close()
            self._pipe = ours
        return self._pipe

    def _died(self) -> Outcome:
        assert self._process is not None
        said = self._process.communicate()[1].decode(errors="replace").strip().splitlines()
        code = self._process.returncode
        self._process = None
        words = said[-1][:200] if said else ""
        if code == -9 or any(word in words for word in MEMORY):
            return Outcome("memory", None, {}, f"its process was killed or ran out of memory ({words or 'signal 9'})")
        return Outcome("crashed", None, {}, f"its process ended with {code}: {words}")

    def close(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        self._process = self._pipe = None
        self._rows.unlink(missing_ok=True)


class _Stop(Exception):  # noqa: N818
    """The parent has heard enough."""


def main(end: int, path: str, memory_mb: int, device: str) -> None:
    """The process: one recipe after the other until the parent's end is closed."""
    if memory_mb:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (memory_mb << 20, memory_mb << 20))
    prepared = pickle.loads(Path(path).read_bytes())  # noqa: S301 - written by the process that started this one
    pipe = Connection(end)

    def told(epoch: int, check: float) -> bool:
        pipe.send(("epoch", {"epoch": epoch, "check": check}))
        return bool(pipe.recv())

    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            pipe.send(trained(pipe.recv(), prepared, told, device))


def trained(
    said: Mapping[str, Any], prepared: Any, told: Callable[[int, float], bool], device: str = ""
) -> tuple[str, Any]:
    """One recipe trained in this process: how it ended, and what is known of it or why it did not."""
    import torch

    from workbench.migrate.retraining.recipe import Recipe
    from workbench.migrate.retraining.training import Diverged, train

    # One thread for every training, wherever it runs: their number changes the last bits.
    torch.set_num_threads(1)

    def heard(epoch: Any) -> None:
        if told(epoch.epoch, epoch.check):
            raise _Stop

    try:
        found = train(Recipe(**said), prepared, told=heard, device=device)
    except _Stop:
        return "pruned", ""
    except Diverged as error:
        return "nan", str(error)
    except Exception as error:
        text = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return ("memory" if any(word in text for word in MEMORY) else "crashed"), text
    return "done", {"check": found.best.check, "metric": found.best.metric, "epochs": found.best.epoch}
