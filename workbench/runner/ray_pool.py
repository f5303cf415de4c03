"""The notebooks of a run on a Ray cluster: one actor each, on a machine that has what the audit declares.

What a run is does not change: this machine claims, orders and writes down; an actor only executes one notebook, by the
same worker process as everywhere, into a folder that both see. So the file system must be shared, and the code and
library versions the same: both are looked at on every machine before anything starts.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.audit import Resources
from workbench.catalog.freshness import code_on_disk, environment
from workbench.cluster import VARIABLE, ClusterError, connected
from workbench.runner.engine import GRACE, LOG, died, has_place, late
from workbench.runner.plan import PlanError, Step

PATIENCE = 90.0
"""Seconds every machine has to say what it sees."""
WAITED = 30.0
"""Seconds without a place, after which the run says so."""
PASSED = ("PYTHONPATH", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Of this process's environment, beside what is called WORKBENCH_...: what a worker elsewhere gets, too."""


@dataclass(frozen=True)
class Node:
    """A machine of the cluster. name: its address; cpus, gpus, memory (bytes): what Ray gives out there."""

    id: str
    name: str
    cpus: float
    gpus: float
    memory: float

    def fits(self, needed: Resources) -> bool:
        return self.gpus >= needed.gpus and self.memory >= needed.memory


@contextlib.contextmanager
def cluster(folder: Path, address: str = "") -> Iterator[tuple[Node, ...]]:
    """A connection to the cluster at `address`, else at RAY_ADDRESS, else to one of this machine, started for the run.

    folder: of the migration. Raises PlanError where there is no cluster, or a machine sees other files or other code.
    """
    address = address or os.environ.get(VARIABLE, "")
    if address.startswith("ray://"):
        raise PlanError(
            f"{address} is Ray's client port, over which a run cannot listen to its notebooks: run this on a machine "
            "of the cluster with --ray-address auto, or submit it: ray job submit -- workbench run ... --engine ray"
        )
    try:
        with connected(address) as ray:
            nodes = _nodes(ray)
            _looked_at(ray, nodes, folder)
            yield nodes
    except ClusterError as error:
        raise PlanError(str(error)) from error


def _nodes(ray: Any) -> tuple[Node, ...]:
    found = []
    for one in ray.nodes():
        has = one["Resources"]
        if one["Alive"] and has.get("CPU", 0) > 0:
            place = one["NodeManagerAddress"]
            found.append(Node(one["NodeID"], place, has["CPU"], has.get("GPU", 0.0), has.get("memory", 0.0)))
    if not found:
        raise PlanError("The Ray cluster has no machine with a core to give: add workers, then run again.")
    return tuple(found)


def _looked_at(ray: Any, nodes: tuple[Node, ...], folder: Path) -> None:
    """Every machine reads a file written here, answers beside it, and says which code and versions it has."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    token, place = uuid.uuid4().hex, folder / ".workbench" / "cluster"
    place.mkdir(parents=True, exist_ok=True)
    mark = place / token
    mark.write_text(token)
    try:
        asked = {
            node: ray.remote(num_cpus=0, max_retries=0)(_seen)
            .options(scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False))
            .remote(str(mark), node.id)
            for node in nodes
        }
        deadline = time.monotonic() + PATIENCE
        for node, reference in asked.items():
            try:
                seen = ray.get(reference, timeout=max(1.0, deadline - time.monotonic()))
            except Exception as error:
                raise PlanError(_unanswered(node, error)) from error
            _same(node, seen, mark)
    finally:
        for left in place.glob(f"{token}*"):
            left.unlink(missing_ok=True)


def _unanswered(node: Node, error: Exception) -> str:
    said = str(error).strip().splitlines()
    return (
        f"The machine {node.name} did not say what it sees ({type(error).__name__}: {said[-1][:200] if said else ''}): "
        "install the same workbench there and see that it is free, then run again."
    )


def _seen(mark: str, node: str) -> dict[str, Any]:
    """On a machine of the cluster: what it finds there."""
    path, found = Path(mark), ""
    with contextlib.suppress(OSError):
        found = path.read_text()
        path.with_name(f"{path.name}.{node}").write_text(found)
    return {"token": found, "code": code_on_disk(), "environment": environment()}


def _same(node: Node, seen: Mapping[str, Any], mark: Path) -> None:
    """Raises PlanError naming what differs there."""
    if seen["token"] != mark.name or not mark.with_name(f"{mark.name}.{node.id}").exists():
        raise PlanError(
            f"The machine {node.name} does not see the migration's folder {mark.parents[2]}, or cannot write there: "
            "put it on a file system that every machine of the cluster shares under the same path, then run again."
        )
    if seen["code"] != code_on_disk():
        raise PlanError(
            f"The machine {node.name} has another workbench than this one: install the same version everywhere."
        )
    here = environment()
    other = sorted(name for name in {*here, *seen["environment"]} if here.get(name) != seen["environment"].get(name))
    if other:
        told = ", ".join(
            f"{name} {seen['environment'].get(name, 'none')} (here {here.get(name, 'none')})" for name in other
        )
        raise PlanError(f"The machine {node.name} has other versions, so its numbers could differ: {told}.")


class Notebook:
    """The actor of one notebook: starts its worker process, passes on what it tells, ends it on request."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, job: Mapping[str, object], told: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        yield {"event": "placed"}
        place = Path(str(job["place"]))
        with (place / LOG).open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "workbench.runner.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **told},
            )
        process, last = self._process, {}
        assert process.stdin
        assert process.stdout
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(job).encode() + b"\n")
            process.stdin.flush()
        for line in process.stdout:
            last = json.loads(line)
            yield last
        returned = process.wait()
        if last.get("event") not in ("done", "failed"):
            yield {**last, "event": "failed", "text": died(returned, place)}

    def stop(self) -> None:
        """The worker ends its kernel and itself when its stdin ends."""
        if self._process and self._process.stdin:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()


@dataclass(eq=False)
class Remote:
    """A notebook on the cluster. began: when it got a place, None while it waits for one."""

    step: Step
    place: Path
    key: str
    actor: Any
    told: Any
    asked: float
    began: float | None = None
    warned: bool = False
    last: dict[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return 0.0 if self.began is None else time.monotonic() - self.began


class RayPool:
    """See `engine.Engine`. jobs: notebooks at a time, None for as many as have a place."""

    def __init__(
        self, nodes: tuple[Node, ...], jobs: int | None, timeout: float, environment: Mapping[str, str]
    ) -> None:
        self.nodes, self.jobs, self.timeout, self.environment = nodes, jobs, timeout, environment
        self.workers: list[Remote] = []

    def __enter__(self) -> RayPool:
        return self

    def __exit__(self, *_: object) -> None:
        import ray

        for worker in self.workers:
            worker.actor.stop.remote()
        deadline = time.monotonic() + GRACE
        for worker in self.workers:
            self._drained(worker, deadline)
            ray.kill(worker.actor)

    def has_place(self, alone: bool) -> bool:
        return has_place(self.workers, self.jobs, alone)

    def start(self, step: Step, place: Path, key: str, job: Mapping[str, object]) -> None:
        import ray

        needed = step.resources
        cpus = self._cores(step, needed)
        actor: Any = (
            ray.remote(Notebook)
            .options(num_cpus=cpus, num_gpus=needed.gpus, memory=needed.memory, max_concurrency=2, max_restarts=0)
            .remote()
        )
        own = {name: value for name, value in os.environ.items() if name.startswith("WORKBENCH_") or name in PASSED}
        told = {"OMP_NUM_THREADS": str(max(1, int(cpus))), **own, **self.environment}
        told[VARIABLE] = ray.get_runtime_context().gcs_address  # a search there finds this cluster
        events = actor.run.options(num_returns="streaming").remote(dict(job), told)
        self.workers.append(Remote(step, place, key, actor, events, time.monotonic()))

    def _cores(self, step: Step, needed: Resources) -> float:
        """Of the declared ones as many as the largest machine has; one that measures time gets a whole machine.

        Raises PlanError where no machine has the GPUs or the memory.
        """
        fitting = [node.cpus for node in self.nodes if node.fits(needed)]
        if not fitting:
            best = max(self.nodes, key=lambda node: (node.gpus, node.memory))
            raise PlanError(
                f"{step.part} needs {needed.gpus:g} GPUs and {needed.memory / 2**30:.1f} GiB of memory on one machine, "
                f"and the cluster's largest has {best.gpus:g} and {best.memory / 2**30:.1f} GiB: add a machine, or run "
                "it elsewhere."
            )
        return max(fitting) if step.alone else min(needed.cpus, max(fitting))

    def listen(self, wait: float = 0.5) -> Iterator[tuple[Remote, dict[str, Any]]]:
        import ray

        ready, _ = ray.wait([worker.told for worker in self.workers], num_returns=1, timeout=wait)
        for worker in [worker for worker in self.workers if worker.told in ready]:
            yield from self._heard(worker)
        for worker in list(self.workers):
            if worker.seconds > self.timeout:
                told = {**worker.last, "event": "failed", "text": late(self.timeout, worker.last)}
                self._remove(worker)
                yield worker, told
            elif worker.began is None and not worker.warned and time.monotonic() - worker.asked > WAITED:
                worker.warned = True
                needed = worker.step.resources
                text = f"waits for a place on the cluster: {needed.cpus:g} cores, {needed.gpus:g} GPUs"
                yield worker, {"event": "warning", "text": text}

    def _heard(self, worker: Remote) -> Iterator[tuple[Remote, dict[str, Any]]]:
        import ray

        try:
            told = ray.get(next(worker.told))
        except StopIteration:
            told = {**worker.last, "event": "failed", "text": "its worker ended without a word"}
        except ray.exceptions.RayError as error:
            told = {**worker.last, "event": "failed", "text": _lost(error)}
        if told["event"] == "placed":
            worker.began = time.monotonic()
            return
        worker.last = told
        if told["event"] in ("done", "failed"):
            self._remove(worker)
        yield worker, told

    def _remove(self, worker: Remote) -> None:
        """The last the run hears of it: its worker process has ended by then, or is ended now."""
        import ray

        self.workers.remove(worker)
        worker.actor.stop.remote()
        self._drained(worker, time.monotonic() + GRACE)
        ray.kill(worker.actor)

    def _drained(self, worker: Remote, deadline: float) -> None:
        """Waits until its worker process has ended, no longer than that."""
        import ray

        with contextlib.suppress(StopIteration, ray.exceptions.RayError):
            while (left := deadline - time.monotonic()) > 0:
                ready, _ = ray.wait([worker.told], timeout=left)
                if not ready:
                    return
                ray.get(next(worker.told))


def _lost(error: Exception) -> str:
    """Why an actor is gone, in a sentence."""
    text = str(error)
    if "memory" in text.casefold() and "oom" in text.casefold():
        return "the cluster ended its worker because memory ran out there: declare more memory for it (RESOURCES)"
    return (
        "its worker on the cluster was lost: the process was killed from outside, or its machine went away "
        f"({type(error).__name__}). Run again: what was finished is kept"
    )
