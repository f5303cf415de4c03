"""The other end of a side that lives in an environment of its own: JSON lines in, JSON lines out.

Imported there too, so nothing but numpy and the standard library.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

Call = Callable[[], Any]


def timed(call: Call, calls: int) -> tuple[int, int]:
    """Wall and CPU nanoseconds of `calls` calls in a row; CPU time is of all threads of this process."""
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    for _ in range(calls):
        call()
    return time.perf_counter_ns() - wall, time.process_time_ns() - cpu


class GuestError(RuntimeError):
    """What the other side said it could not do."""


class Guest:
    """A process in another environment that runs `module`, and answers one command at a time."""

    def __init__(self, python: Path, module: str, threads: int) -> None:
        limits = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        self._process = subprocess.Popen(
            [str(python), "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            text=True,
            env={**os.environ, **limits, "PYTHONWARNINGS": "ignore"},
        )

    def ask(self, do: str, **said: Any) -> dict[str, Any]:
        """Raises GuestError with the other side's own words."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(json.dumps({"do": do, **said}), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise GuestError(f"the process ended with {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise GuestError(answer["error"])
        return answer

    def close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait(timeout=30)


def serve(commands: Mapping[str, Callable[..., dict[str, Any]]]) -> None:
    """Answer commands until the input ends; an exception is an answer. What libraries print goes to stderr."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        said = json.loads(line)
        try:
            answer = commands[said.pop("do")](**said)
        except Exception as error:
            first = str(error).strip().splitlines() or [""]
            answer = {"error": f"{type(error).__name__}: {first[0][:300]}"}
        print(json.dumps(answer), file=out, flush=True)
