"""The parent's side of the model host: a `Model` that answers from its own process."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, cast

from workbench.models.options import Options
from workbench.models.protocol import Input, Kind, Label, ModelError, Outputs, Piece, Refused
from workbench.models.wire import HEADER, pack

if TYPE_CHECKING:
    import pandas as pd

THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
)
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "TZ", "VIRTUAL_ENV", "NUMBA_CACHE_DIR")
"""What a pickle's host sees of the environment: no tokens, no addresses. A callable, the team's own code, sees all."""

OPENING = 120.0
"""Seconds a host may take to start and open its model, at least: libraries load slowly on a busy machine."""

START = "import sys; sys.path.append({root!r}); from workbench.models.host import main; main({memory})"
ROOT = str(Path(__file__).resolve().parents[2])


class HostModel:
    """A model in a process of its own. It starts again by itself after `close`, or after it died.

    answered_by, versions: as the host says. cold_start_seconds: process start to first answer.
    """

    def __init__(self, uri: str, folder: Path, options: Options) -> None:
        self.uri, self.folder, self.options = uri, folder, options
        self.peak = 0
        self.cold_start_seconds: float | None = None
        self._lock = threading.RLock()
        self._process: _Process | None = None
        self._opening = 0.0
        self._held: tuple[pd.DataFrame, int | None] | None = None
        self._about = self._opened()

    @property
    def format(self) -> str:
        return str(self._about["format"])

    @property
    def fingerprint(self) -> str:
        return str(self._about["fingerprint"])

    @property
    def task(self) -> Kind:
        return cast("Kind", self._about["task"])

    @property
    def inputs(self) -> tuple[Input, ...]:
        return tuple(Input(one["name"], one["kind"], tuple(one["categories"])) for one in self._about["inputs"])

    @property
    def classes(self) -> tuple[Label, ...]:
        return tuple(self._about["classes"])

    @property
    def answered_by(self) -> str:
        return str(self._about["answered_by"])

    @property
    def versions(self) -> dict[str, str]:
        return dict(self._about["versions"])

    def predict(self, frame: pd.DataFrame) -> Outputs:
        """Answers for the frame's rows, sent in batches. Raises ModelError as any model, or where the host died."""
        needed = self._needed(frame)
        starts = range(0, max(1, len(needed)), self.options.batch)
        return _joined([self._predict(needed.iloc[start : start + self.options.batch]) for start in starts])

    def describe(self) -> Piece:
        from workbench.models.wire import arrays_from_bytes, piece_from_plain

        header, parts = self._ask({"do": "describe"})
        return piece_from_plain(header["piece"], arrays_from_bytes(header["arrays"], parts[0]))

    def timed(
        self, frame: pd.DataFrame, calls: int, scope: Literal["model", "whole"] = "model"
    ) -> tuple[list[int], list[int]]:
        """Wall and CPU nanoseconds of each of `calls` predictions of the frame, measured inside the host.

        scope: "whole" counts reading the rows and writing the answers, too. The same frame is sent once.
        """
        header = self._ask_held({"do": "time", "calls": calls, "scope": scope}, frame)
        return header["wall"], header["cpu"]

    def served(self, frame: pd.DataFrame, arrivals: Sequence[float]) -> list[int]:
        """Nanoseconds from each scheduled arrival (s from the start, ascending) of a query to its answer."""
        return list(self._ask_held({"do": "serve", "arrivals": list(arrivals)}, frame)["latencies"])

    def peak_rss(self) -> int:
        """The most memory the host has held, in bytes."""
        self._ask({"do": "memory"})
        return self.peak

    def memory(self) -> dict[str, int]:
        """Bytes held now by the host, shared pages by share ("pss"), and at most on a GPU ("gpu"); 0: not told."""
        header, _ = self._ask({"do": "memory"})
        return {"pss": int(header["pss"]), "gpu": int(header["gpu"])}

    @property
    def pid(self) -> int | None:
        """The host's process number; None while it is closed."""
        return self._process.popen.pid if self._process else None

    def cold_start(self, frame: pd.DataFrame) -> float:
        """Seconds from starting a new process to its first answer for the frame."""
        self.close()
        self._opened()
        start = time.perf_counter()
        self.predict(frame)
        return self._opening + time.perf_counter() - start

    def close(self) -> None:
        """End the host's process."""
        with self._lock:
            if self._process is not None:
                self._process.end()
                self._process = None
            self._held = None

    def _needed(self, frame: pd.DataFrame) -> pd.DataFrame:
        from workbench.models.inputs import choose

        return choose(frame, self.inputs)

    def _ask_held(self, request: dict[str, Any], frame: pd.DataFrame) -> dict[str, Any]:
        """Ask about a frame that the host keeps: sent again only where another frame or process came between."""
        from workbench.models.wire import frame_to_bytes

        with self._lock:
            if self._process is None:
                self._opened()
            if self._held is not None and self._held[0] is frame and self._held[1] == self.pid:
                return self._ask(request)[0]
            about, data = frame_to_bytes(self._needed(frame))
            header, _ = self._ask({**request, **about}, data)
            self._held = (frame, self.pid)
            return header

    def _predict(self, frame: pd.DataFrame) -> Outputs:
        from workbench.models.wire import frame_to_bytes, outputs_from_bytes

        start = time.perf_counter()
        about, data = frame_to_bytes(frame)
        header, parts = self._ask({"do": "predict", **about}, data)
        if self.cold_start_seconds is None:
            self.cold_start_seconds = self._opening + time.perf_counter() - start
        return outputs_from_bytes(header["outputs"], parts[0], tuple(header["classes"]))

    def _opened(self) -> dict[str, Any]:
        with self._lock:
            start = time.perf_counter()
            self._process = _Process(self.options, everything=self.uri.startswith("python:"))
            request = {"do": "open", "uri": self.uri, "folder": str(self.folder), "options": self._passed()}
            header, _ = self._exchange(request)
            self._opening = time.perf_counter() - start
            return header

    def _passed(self) -> dict[str, Any]:
        return {name: value for name, value in self.options.given().items() if name != "host"}

    def _ask(self, request: dict[str, Any], *parts: bytes) -> tuple[dict[str, Any], list[bytes]]:
        with self._lock:
            if self._process is None:
                self._opened()
            return self._exchange(request, *parts)

    def _exchange(self, request: dict[str, Any], *parts: bytes) -> tuple[dict[str, Any], list[bytes]]:
        assert self._process is not None
        try:
            patience = max(self.options.timeout, OPENING if request["do"] == "open" else 0)
            header, data = self._process.exchange(pack(request, *parts), patience)
        except _Died as death:
            self._process = None
            raise ModelError(death.sentence(self.uri, request["do"], self.options)) from None
        self.peak = max(self.peak, int(header.pop("peak", 0)))
        if "error" in header:
            if request["do"] == "open":
                self.close()
            raise (Refused if header["kind"] == "Refused" else ModelError)(header["error"])
        return header, data


class _Died(Exception):  # noqa: N818
    """The host ended, or had to be ended."""

    def __init__(self, reason: str, peak: int, said: str) -> None:
        self.reason, self.peak, self.said = reason, peak, said

    def sentence(self, uri: str, doing: str, options: Options) -> str:
        said = f" Its last words: {self.said}." if self.said else ""
        work = {"open": "while it was opened", "describe": "while it was described"}.get(doing, "while it answered")
        return (
            f"the model {uri} {self.reason} {work}; its process had taken {self.peak >> 20} MiB at most.{said} "
            f"Give it more time or memory, or fewer rows at once (options timeout: {options.timeout:g} s, memory_mb, "
            f"batch: {options.batch})"
        )


class _Process:
    """The host's process and its pipes."""

    def __init__(self, options: Options, everything: bool) -> None:
        self.errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        environment = (
            dict(os.environ) if everything else {name: os.environ[name] for name in KEPT if name in os.environ}
        )
        environment |= dict.fromkeys(THREADS, str(options.threads))
        environment |= {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
        self.popen = subprocess.Popen(
            [sys.executable, "-I", "-c", START.format(root=ROOT, memory=options.memory_mb)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=environment,
        )
        self.finalizer = weakref.finalize(self, _end, self.popen, self.errors)

    def exchange(self, message: bytes, timeout: float) -> tuple[dict[str, Any], list[bytes]]:
        """One request and its reply. Raises _Died where there is none in time."""
        import json

        assert self.popen.stdin is not None
        deadline = time.monotonic() + timeout
        try:
            self.popen.stdin.write(message)
            self.popen.stdin.flush()
        except (BrokenPipeError, OSError):
            raise self.died() from None
        size = HEADER.unpack(self.read(HEADER.size, deadline, timeout))[0]
        header = json.loads(self.read(size, deadline, timeout))
        return header, [self.read(length, deadline, timeout) for length in header.pop("parts")]

    def read(self, size: int, deadline: float, timeout: float) -> bytes:
        assert self.popen.stdout is not None
        pipe, data = self.popen.stdout.fileno(), bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while len(data) < size:
                left = deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    self.popen.kill()
                    raise self.died(f"did not answer within {timeout:g} s and was ended")
                chunk = os.read(pipe, min(1 << 20, size - len(data)))
                if not chunk:
                    raise self.died()
                data += chunk
        return bytes(data)

    def died(self, reason: str = "") -> _Died:
        """Wait for the process, and say how it ended with what it had taken."""
        try:
            _, status, usage = os.wait4(self.popen.pid, 0)
            self.popen.returncode, peak = os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024
        except ChildProcessError:
            peak = 0
        code = self.popen.returncode or 0
        self.errors.seek(0)
        lines = [line for line in self.errors.read().decode(errors="replace").splitlines() if line.strip()]
        self.end()
        return _Died(reason or _ending(code), peak, lines[-1][-300:] if lines else "")

    def end(self) -> None:
        self.finalizer()


def _end(popen: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
    if popen.poll() is None:
        popen.kill()
        popen.wait()
    for pipe in (popen.stdin, popen.stdout, errors):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _ending(code: int) -> str:
    if code == -signal.SIGKILL:
        return "was killed, most likely because the machine ran out of memory,"
    if code < 0:
        return f"crashed ({signal.Signals(-code).name})"
    return f"ended by itself (exit status {code})"


def _joined(parts: list[Outputs]) -> Outputs:
    import numpy as np

    if len(parts) == 1:
        return parts[0]
    names = [name for name in ("scores", "values", "labels", "raw") if getattr(parts[0], name) is not None]
    return Outputs(
        parts[0].classes, **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    )
