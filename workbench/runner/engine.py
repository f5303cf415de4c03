"""Where notebooks are executed: in processes of this machine, or on a Ray cluster. A run cannot tell which."""

from __future__ import annotations

import contextlib
import importlib.util
import signal
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol

from workbench.catalog.freshness import PINNED, code
from workbench.migration import Migration
from workbench.runner.plan import PlanError, Step

LOCAL, RAY = "local", "ray"
ENGINES = (LOCAL, RAY)
JOBS = 2
"""Notebooks at a time on one machine; on a cluster as many as have a place."""
PIP = "pip install 'migration-workbench[scale]'"
GRACE = 5.0
"""Seconds a worker has to end its kernel before it is killed."""
LOG = ".worker.log"


class Work(Protocol):
    """A notebook at work. seconds: since it was given a place."""

    @property
    def step(self) -> Step: ...
    @property
    def place(self) -> Path: ...
    @property
    def key(self) -> str: ...
    @property
    def seconds(self) -> float: ...


class Engine(Protocol):
    """Used as a context: whatever happens, no worker outlives it."""

    @property
    def workers(self) -> Collection[Work]: ...

    def __enter__(self) -> Engine: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False] | None: ...

    def has_place(self, alone: bool) -> bool:
        """alone: nothing else may run beside it, for it measures time."""

    def start(self, step: Step, place: Path, key: str, job: Mapping[str, object]) -> None: ...

    def listen(self, wait: float = 0.5) -> Iterator[tuple[Work, dict[str, Any]]]:
        """What the workers tell; the last thing of each is `done` or `failed`, and then it is no longer among them."""


Make = Callable[[], Engine]


@contextlib.contextmanager
def engine(name: str, migration: Migration, jobs: int | None, timeout: float, address: str = "") -> Iterator[Make]:
    """What makes the engine of a run, once the migration is claimed. address: of a Ray cluster; see `ray_pool.cluster`.

    Raises PlanError, before anything is claimed, for an engine that is not known, not installed or not reachable.
    """
    environment = {PINNED: code()}
    if name not in ENGINES:
        raise PlanError(f"--engine {name!r} is not known: use {' or '.join(ENGINES)}")
    if address and name != RAY:
        raise PlanError("--ray-address names a Ray cluster: add --engine ray, or leave it out")
    if name == LOCAL:
        from workbench.runner.pool import Pool

        yield lambda: Pool(jobs or JOBS, timeout, environment)
        return
    if importlib.util.find_spec("ray") is None:
        raise PlanError(f"--engine ray needs Ray, which is not installed: {PIP}")
    from workbench.runner.ray_pool import RayPool, cluster

    with cluster(migration.folder.resolve(), address) as nodes:
        yield lambda: RayPool(nodes, jobs, timeout, environment)


def has_place(workers: Collection[Work], jobs: int | None, alone: bool) -> bool:
    if alone or any(worker.step.alone for worker in workers):
        return not workers
    return jobs is None or len(workers) < jobs


def late(seconds: float, last: Mapping[str, Any]) -> str:
    """Why a notebook that took longer than `seconds` was stopped. last: what it told last."""
    where = f" in cell {last['cell']} of {last['of']}" if last.get("cell") else ""
    return f"it was not done after {seconds:,.0f} s{where} and was stopped: raise --timeout, or lower data.sample"


def died(returned: int | None, place: Path) -> str:
    """Why a worker's process ended without a word. returned: its exit status."""
    if returned == -signal.SIGKILL:
        return "its process was killed from outside, most likely because memory ran out: run one at a time (-j 1)"
    log = (place / LOG).read_text(errors="replace").strip().splitlines()
    return f"its process ended with code {returned}{': ' + log[-1] if log else ''}"
