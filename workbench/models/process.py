"""A model host's process and its pipes: started with what it may have, ended in time, its end told in a sentence."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from workbench.models import sandbox
from workbench.models.options import Options
from workbench.models.sandbox import CODE, Protection
from workbench.models.wire import HEADER

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
"""What a host without walls sees of the environment: no tokens, no addresses. A callable, the team's own code, all."""

START = "import sys; sys.path.append({root!r}); from workbench.models.host import main; main({limits!r})"
ROOT = str(Path(__file__).resolve().parents[2])

LONGEST_HEADER = 256 << 20
"""Bytes: what a host announces beyond that is no answer of ours."""


@dataclass(frozen=True)
class Start:
    """How a host is started. readable: what it must see of folders that walls hide."""

    command: tuple[str, ...]
    protection: Protection
    readable: tuple[Path, ...] = ()

    @classmethod
    def here(cls, options: Options, protection: Protection, path: Path | None = None) -> Start:
        """With our own interpreter and libraries. path: the model's file."""
        code = protection is CODE and options.memory_mb is None
        limits = {"RLIMIT_CORE": 0} if code else sandbox.limits(options.memory_mb)
        command = (sys.executable, "-I", "-c", START.format(root=ROOT, limits=limits))
        readable = [*sandbox.own_folders(), Path(ROOT) / "workbench", *([path] if path else [])]
        return cls(command, protection, tuple(readable))

    def all(self, options: Options) -> tuple[list[str], Mapping[str, str]]:
        """(command, environment), walls included."""
        shared = dict.fromkeys(THREADS, str(options.threads))
        shared |= {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
        if self.protection.walls:
            language = {name: os.environ[name] for name in sandbox.LANGUAGE if name in os.environ}
            return sandbox.walled(self.command, self.readable, language | shared), {}
        kept = (
            os.environ if self.protection is CODE else {name: os.environ[name] for name in KEPT if name in os.environ}
        )
        return list(self.command), {**kept, **shared}


class Died(Exception):  # noqa: N818
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


class Process:
    """The host's process and its pipes."""

    def __init__(self, start: Start, options: Options) -> None:
        self.errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        command, environment = start.all(options)
        self.popen = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, env=environment
        )
        self.finalizer = weakref.finalize(self, _end, self.popen, self.errors)

    def exchange(self, message: bytes, timeout: float) -> tuple[dict[str, Any], list[bytes]]:
        """One request and its reply. Raises Died where there is none in time, or one that is no reply."""
        deadline = time.monotonic() + timeout
        try:
            self.send(message, deadline, timeout)
        except (BrokenPipeError, OSError):
            raise self.died() from None
        size = HEADER.unpack(self.read(HEADER.size, deadline, timeout))[0]
        if size > LONGEST_HEADER:
            self.popen.kill()
            raise self.died("did not keep to the protocol and was ended")
        header = self.read(size, deadline, timeout)
        try:
            reply = json.loads(header)
            lengths = [int(length) for length in reply.pop("parts")]
        except (ValueError, TypeError, KeyError, AttributeError):
            self.popen.kill()
            raise self.died("did not keep to the protocol and was ended") from None
        return reply, [self.read(length, deadline, timeout) for length in lengths]

    def send(self, message: bytes, deadline: float, timeout: float) -> None:
        """In pieces the pipe takes, so that a host that does not read cannot hold the caller."""
        assert self.popen.stdin is not None
        pipe, view = self.popen.stdin.fileno(), memoryview(message)
        os.set_blocking(pipe, False)
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_WRITE)
            while view:
                left = deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    self.popen.kill()
                    raise self.died(f"did not answer within {timeout:g} s and was ended")
                with contextlib.suppress(BlockingIOError):
                    view = view[os.write(pipe, view[: 1 << 20]) :]

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

    def died(self, reason: str = "") -> Died:
        """Wait for the process, and say how it ended with what it had taken."""
        try:
            status, usage = self.waited()
            self.popen.returncode, peak = os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024
        except ChildProcessError:
            peak = 0
        code = self.popen.returncode or 0
        self.errors.seek(0)
        lines = [line for line in self.errors.read().decode(errors="replace").splitlines() if line.strip()]
        self.end()
        return Died(reason or _ending(code), peak, lines[-1][-300:] if lines else "")

    def waited(self) -> tuple[int, Any]:
        """Its status and usage; a host that only closed its pipe is ended."""
        for _ in range(100):
            process, status, usage = os.wait4(self.popen.pid, os.WNOHANG)
            if process:
                return status, usage
            time.sleep(0.02)
        self.popen.kill()
        return os.wait4(self.popen.pid, 0)[1:]

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
    """Bubblewrap passes a signal on as 128 and its number, as shells do."""
    number = -code if code < 0 else code - 128 if code > 128 else 0
    if number == signal.SIGKILL:
        return "was killed, most likely because the machine ran out of memory,"
    if number == signal.SIGXCPU:
        return "took more processor time than it may have"
    if number in {one.value for one in signal.Signals}:
        return f"crashed ({signal.Signals(number).name})"
    return f"ended by itself (exit status {code})"
