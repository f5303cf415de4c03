"""Worker processes, one per notebook: started, listened to, ended."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.runner.engine import GRACE, LOG, died, has_place, late
from workbench.runner.plan import Step


@dataclass
class Worker:
    """A notebook at work. last: the newest thing it told; problem: why it failed, None while it runs."""

    step: Step
    place: Path
    key: str
    process: subprocess.Popen[bytes]
    began: float
    last: dict[str, Any] = field(default_factory=dict)
    rest: bytes = b""

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began


class Pool:
    """Used as a context: whatever happens, no worker outlives it."""

    def __init__(self, jobs: int, timeout: float, environment: Mapping[str, str]) -> None:
        self.jobs, self.timeout, self.environment = jobs, timeout, environment
        self.workers: list[Worker] = []
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            _hang_up(worker)
        deadline = time.monotonic() + GRACE
        for worker in self.workers:
            _end(worker, deadline)
        self._selector.close()

    def has_place(self, alone: bool) -> bool:
        return has_place(self.workers, self.jobs, alone)

    def start(self, step: Step, place: Path, key: str, job: Mapping[str, object]) -> None:
        threads = str(max(1, (os.cpu_count() or 1) // self.jobs))
        environment = {"OMP_NUM_THREADS": threads, "PYTHONUNBUFFERED": "1", **os.environ, **self.environment}
        with (place / LOG).open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "workbench.runner.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
            )
        worker = Worker(step, place, key, process, time.monotonic())
        self.workers.append(worker)
        assert process.stdin
        with contextlib.suppress(BrokenPipeError):  # it died at once: its end is read like any other
            process.stdin.write(json.dumps(job).encode() + b"\n")
            process.stdin.flush()
        assert process.stdout
        self._selector.register(process.stdout, selectors.EVENT_READ, worker)

    def listen(self, wait: float = 0.5) -> Iterator[tuple[Worker, dict[str, Any]]]:
        """What the workers tell; the last thing of each is `done` or `failed`, and then it is no longer in the pool."""
        for key, _ in self._selector.select(wait):
            yield from self._read(key.data)
        for worker in [worker for worker in self.workers if worker.seconds > self.timeout]:
            told = {**worker.last, "event": "failed", "text": late(self.timeout, worker.last)}
            _hang_up(worker)
            self._remove(worker)
            yield worker, told

    def _read(self, worker: Worker) -> Iterator[tuple[Worker, dict[str, Any]]]:
        assert worker.process.stdout
        block = os.read(worker.process.stdout.fileno(), 1 << 16)
        *lines, worker.rest = (worker.rest + block).split(b"\n")
        for line in lines:
            worker.last = json.loads(line)
            if worker.last["event"] == "cell":
                yield worker, worker.last
        if not block:
            self._remove(worker)
            if worker.last.get("event") not in ("done", "failed"):
                worker.last = {**worker.last, "event": "failed", "text": died(worker.process.returncode, worker.place)}
            yield worker, worker.last

    def _remove(self, worker: Worker) -> None:
        self._selector.unregister(worker.process.stdout)  # type: ignore[arg-type]
        self.workers.remove(worker)
        _end(worker, time.monotonic() + GRACE)


def _hang_up(worker: Worker) -> None:
    """The worker ends its kernel and itself when its stdin ends."""
    assert worker.process.stdin
    with contextlib.suppress(BrokenPipeError):
        worker.process.stdin.close()


def _end(worker: Worker, deadline: float) -> None:
    try:
        worker.process.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        worker.process.kill()
        worker.process.wait()
    _hang_up(worker)
    assert worker.process.stdout
    worker.process.stdout.close()
