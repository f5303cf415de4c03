"""Networks of a search trained on a Ray cluster: the search stays where it is and asks and tells as ever.

A place is an actor with a core (or a GPU) of its own, that keeps the same training process as a place of this machine.
Rows and recipes go through Ray, so nothing has to be shared; the versions that make the numbers must be the same.
"""

from __future__ import annotations

import contextlib
import importlib.util
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.cluster import ClusterError, connected
from workbench.migrate.tune.search import Outcome
from workbench.migrate.tune.storage import INSTALL, StudyError
from workbench.migrate.tune.trainer import Epoch, Trainer, train_at

if TYPE_CHECKING:
    from workbench.migrate.retraining.prepared import Prepared
    from workbench.migrate.retraining.recipe import Recipe

PATIENCE = 120.0
"""Seconds until every trial has a place on the cluster."""
MAKE_THE_NUMBERS = ("migration-workbench", "torch", "numpy", "scikit-learn")


def versions() -> dict[str, str]:
    """Of what decides a training's bits, in this process."""
    return {name: version(name) for name in MAKE_THE_NUMBERS}


class Training:
    """The actor. Its process is trained in by one trial after the other, and may die alone."""

    def __init__(self, prepared: Prepared, memory_mb: int | None, device: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._trainer = Trainer(prepared, Path(self._folder.name), memory_mb, device)

    def versions(self) -> dict[str, str]:
        return versions()

    def begin(self, recipe: Recipe) -> Epoch | Outcome:
        return self._trainer.begin(recipe)

    def go_on(self, stop: bool) -> Epoch | Outcome:
        return self._trainer.go_on(stop)

    def close(self) -> None:
        self._trainer.close()
        self._folder.cleanup()


class Remote:
    """A place on the cluster; where its machine is lost, the trial is, and the next one gets another place."""

    def __init__(self, ray: Any, made: Callable[[], Any]) -> None:
        self._ray, self._made = ray, made
        self._actor = made()
        self._sound = False

    def __call__(self, recipe: Recipe, told: Callable[[int, float], bool]) -> Outcome:
        return train_at(self, recipe, told)

    def placed(self, deadline: float) -> None:
        """Waits for its place. Raises StudyError where there is none by then, or another version is there."""
        try:
            seen = self._ray.get(self._actor.versions.remote(), timeout=max(1.0, deadline - time.monotonic()))
        except self._ray.exceptions.GetTimeoutError:
            raise StudyError(
                f"the cluster gave a trial no place within {PATIENCE:.0f} s: lower at_once, free cores there, or add "
                "machines"
            ) from None
        except self._ray.exceptions.RayError as error:
            said = (str(error).strip().splitlines() or [""])[-1][:200]
            raise StudyError(
                f"a machine of the cluster cannot train ({said}): install the same workbench there"
            ) from error
        _same(seen)
        self._sound = True

    def begin(self, recipe: Recipe) -> Epoch | Outcome:
        if not self._sound:
            self._actor = self._made()
            self.placed(time.monotonic() + PATIENCE)
        return self._answered(self._actor.begin.remote(recipe))

    def go_on(self, stop: bool) -> Epoch | Outcome:
        return self._answered(self._actor.go_on.remote(stop))

    def _answered(self, asked: Any) -> Epoch | Outcome:
        try:
            found: Epoch | Outcome = self._ray.get(asked)
        except self._ray.exceptions.RayError as error:
            self._sound = False
            return Outcome("crashed", None, {}, f"its machine of the cluster was lost ({type(error).__name__})")
        return found

    def close(self) -> None:
        """Ends the training process with the actor."""
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.get(self._actor.close.remote(), timeout=10)
        self._ray.kill(self._actor)


def _same(seen: Mapping[str, str]) -> None:
    here = versions()
    other = [f"{name} {seen.get(name, 'none')} (here {here[name]})" for name in here if seen.get(name) != here[name]]
    if other:
        raise StudyError(
            f"a machine of the cluster has other versions, so its numbers could differ: {', '.join(other)}"
        )


@contextlib.contextmanager
def places(prepared: Prepared, count: int, memory_mb: int | None, device: str) -> Iterator[list[Remote]]:
    """As many places on the cluster that RAY_ADDRESS names, else on one of this machine. device: "cuda" or "cpu".

    Raises StudyError where Ray is not installed, no cluster answers, or it has not the room.
    """
    if importlib.util.find_spec("ray") is None:
        raise StudyError(f"the engine ray needs Ray: {INSTALL}, or leave engine at local")
    try:
        with connected() as ray:
            yield from _placed(ray, prepared, count, memory_mb, device)
    except ClusterError as error:
        raise StudyError(str(error)) from error


def _placed(ray: Any, prepared: Prepared, count: int, memory_mb: int | None, device: str) -> Iterator[list[Remote]]:
    rows = ray.put(prepared)
    needed = {"num_cpus": 1, "num_gpus": int(device == "cuda"), "memory": (memory_mb or 0) << 20 or None}
    actor = ray.remote(Training).options(max_restarts=0, **needed)
    deadline = time.monotonic() + PATIENCE
    found = [Remote(ray, lambda: actor.remote(rows, memory_mb, device)) for _ in range(count)]
    try:
        for one in found:
            one.placed(deadline)
        yield found
    finally:
        for one in found:
            one.close()
