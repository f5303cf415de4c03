"""The model host: a process of its own that opens one model and answers for it over stdin and stdout.

Started by `client.HostModel`. What the model prints goes to stderr, so that it cannot break the protocol.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from workbench.models.protocol import ModelError, Piece, Refused
from workbench.models.sandbox import hold

Answer = tuple[dict[str, Any], bytes]


class Host:
    """One model and the requests about it."""

    def __init__(self) -> None:
        self.model: Any = None
        self.held: Held | None = None

    def handle(self, header: dict[str, Any], parts: list[bytes]) -> Answer:
        requests: dict[str, Callable[[dict[str, Any], list[bytes]], Answer]] = {
            "open": self.open,
            "predict": self.predict,
            "describe": self.describe,
            "trees": self.trees,
            "look": self.look,
            "time": self.time,
            "serve": self.serve,
            "place": lambda asked, _: ({"placed": place(int(asked["core"]))}, b""),
            "memory": lambda *_: (memory(), b""),
        }
        return requests[header["do"]](header, parts)

    def open(self, header: dict[str, Any], _: list[bytes]) -> Answer:
        from workbench.models.door import open_here

        self.model = model = open_here(header["uri"], Path(header["folder"]), header["options"])
        about = {
            "format": model.format,
            "fingerprint": model.fingerprint,
            "task": model.task,
            "inputs": [asdict(wanted) for wanted in model.inputs],
            "classes": list(model.classes),
            "answered_by": getattr(model, "answered_by", ""),
            "versions": getattr(model, "versions", {}),
        }
        return about, b""

    def predict(self, header: dict[str, Any], parts: list[bytes]) -> Answer:
        from workbench.models.wire import frame_from_bytes, outputs_to_bytes

        outputs = self.model.predict(frame_from_bytes(header, parts[0]))
        about, data = outputs_to_bytes(outputs)
        return {"outputs": about, "classes": list(outputs.classes)}, data

    def describe(self, *_: Any) -> Answer:
        return _told(self.model.describe())

    def trees(self, *_: Any) -> Answer:
        """The tree ensemble the model ends in, as the piece that holds it."""
        from workbench.models.inside import trees_of

        return _told(Piece("trees", trees=trees_of(self.model)))

    def look(self, header: dict[str, Any], parts: list[bytes]) -> Answer:
        """Rows as the trees see them, and the model's own sums."""
        from workbench.models.inside import look
        from workbench.models.wire import arrays_to_bytes, frame_from_bytes

        seen = look(self.model, frame_from_bytes(header, parts[0]))
        about, data = arrays_to_bytes({"matrix": seen.matrix, "margin": seen.margin})
        return {"arrays": about}, data

    def time(self, header: dict[str, Any], parts: list[bytes]) -> Answer:
        """Each call's wall and CPU nanoseconds, and those of a GPU where one computes. scope "model": of the model
        alone, rows decoded and in its types beforehand; "whole": from the message that brings the rows to the message
        that brings the answers."""
        from workbench.models.device_clock import device_clock

        held, clock = self._hold(header, parts), device_clock()
        ask = held.whole if header.get("scope") == "whole" else held.ask
        wall, cpu, device = [], [], []
        for _ in range(int(header["calls"])):
            busy, start = computed(), time.perf_counter_ns()
            if clock is not None:
                clock.start()
            ask(self.model)
            if clock is not None:
                device.append(clock.stop())
            wall.append(time.perf_counter_ns() - start)
            cpu.append(computed() - busy)
        return {"wall": wall, "cpu": cpu, "device": device}, b""

    def serve(self, header: dict[str, Any], parts: list[bytes]) -> Answer:
        """Answer one query at each arrival (seconds from now), in order, and tell each one's latency in ns.

        Latency counts from the scheduled arrival, so that a queue is seen as what it is to the one who waits.
        """
        held, latencies = self._hold(header, parts), []
        start = time.perf_counter()
        for arrival in header["arrivals"]:
            if (early := start + arrival - time.perf_counter()) > 0:
                time.sleep(early)
            held.ask(self.model)
            latencies.append(int(1e9 * (time.perf_counter() - start - arrival)))
        return {"latencies": latencies}, b""

    def _hold(self, header: dict[str, Any], parts: list[bytes]) -> Held:
        """The rows that came with the request, else those that came with an earlier one."""
        if parts:
            self.held = Held(header, parts[0], self.model.inputs)
        if self.held is None:
            raise ModelError("no rows came to be timed: send them with the first request")
        return self.held


def _told(piece: Piece) -> Answer:
    from workbench.models.wire import arrays_to_bytes, piece_to_plain

    plain, arrays = piece_to_plain(piece)
    about, data = arrays_to_bytes(arrays)
    return {"piece": plain, "arrays": about}, data


class Held:
    """Rows to be asked for again and again: sent once, so that nothing but the model works between two calls."""

    def __init__(self, header: dict[str, Any], data: bytes, inputs: Any) -> None:
        from workbench.models.inputs import conform
        from workbench.models.wire import frame_from_bytes

        self.header, self.data = header, data
        self.rows = conform(frame_from_bytes(header, data), inputs)

    def ask(self, model: Any) -> None:
        model.predict(self.rows)

    def whole(self, model: Any) -> None:
        from workbench.models.wire import frame_from_bytes, outputs_to_bytes, pack

        outputs = model.predict(frame_from_bytes(self.header, self.data))
        about, data = outputs_to_bytes(outputs)
        pack({"outputs": about, "classes": list(outputs.classes)}, data)


def place(core: int) -> bool:
    """Every thread of this process onto one core; False where that is not possible."""
    try:
        for thread in Path("/proc/self/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})
    except (OSError, AttributeError):
        return False
    return True


def memory() -> dict[str, int]:
    """Bytes: pss, what this process holds now with its share of what others hold too; gpu, the most that torch
    allocated on a GPU; 0 where it is not told. cpu: ns this process has computed."""
    found = {"pss": 0, "gpu": 0, "cpu": computed()}
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
        found["pss"] = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        found["gpu"] = int(torch.cuda.max_memory_allocated())
    return found


def computed() -> int:
    """Nanoseconds this process has computed, to the microsecond.

    Not `time.process_time`: where RLIMIT_CPU holds, as here, Linux tells that one in ticks of some milliseconds.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    return round(1e9 * (used.ru_utime + used.ru_stime))


def peak_bytes() -> int:
    """The most memory this process has held, in bytes.

    From /proc where there is one: getrusage counts the parent's memory in, which a process inherits as it starts.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def serve(stream: IO[bytes], out: IO[bytes]) -> None:
    """Answer requests until the other side closes."""
    from workbench.models.wire import pack, receive

    host = Host()
    while (message := receive(stream)) is not None:
        header, parts = message
        allow(header.get("cpu"))
        try:
            reply, data = host.handle(header, parts)
        except MemoryError:
            reply, data = {"error": _out_of_memory(), "kind": "ModelError"}, b""
        except ModelError as error:
            reply, data = {"error": str(error), "kind": "Refused" if isinstance(error, Refused) else "ModelError"}, b""
        except Exception as error:
            traceback.print_exc()
            reply, data = {"error": f"{type(error).__name__}: {error}", "kind": "ModelError"}, b""
        out.write(pack({**reply, "peak": peak_bytes()}, data))
        out.flush()


def _out_of_memory() -> str:
    return (
        f"the model ran out of memory at {peak_bytes() >> 20} MiB: give it more with the option memory_mb, "
        "or fewer rows at once with the option batch"
    )


def allow(seconds: int | None) -> None:
    """Processor time for the next request: a host whose caller is gone must not compute for ever."""
    if seconds is not None:
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        until = int(time.process_time()) + seconds
        resource.setrlimit(resource.RLIMIT_CPU, (until if hard < 0 else min(until, hard), hard))


def main(limits: Mapping[str, int]) -> None:
    """Take stdin and stdout for the protocol, and leave the model a stdout that is stderr."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    hold(limits)
    serve(requests, answers)
    sys.stdout.flush()
