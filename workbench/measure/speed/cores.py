"""Processor cores: which may be used, which is idle, what else is at work on them. Linux; elsewhere nothing is told."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

STAT = Path("/proc/stat")


class Ticks(NamedTuple):
    """Clock ticks of a core since boot. stolen: a hypervisor gave the core to another machine."""

    busy: int
    idle: int
    stolen: int

    def since(self, before: Ticks) -> Ticks:
        return Ticks(*(now - then for now, then in zip(self, before)))


def ticks() -> dict[str, Ticks]:
    """By core ("cpu0"), and of all together ("cpu"); empty where the system does not tell."""
    found = {}
    with suppress(OSError, ValueError):
        for line in STAT.read_text().splitlines():
            name, *counts = line.split()
            if name.startswith("cpu"):
                user, nice, system, idle, wait, irq, soft, steal = [int(count) for count in (*counts, *["0"] * 8)[:8]]
                found[name] = Ticks(user + nice + system + irq + soft, idle + wait, steal)
    return found


def allowed() -> list[int]:
    """The cores this process may use; empty where the system has no such thing."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def quietest(seconds: float = 0.1) -> int:
    """The allowed core that did least in the next `seconds`; of equals the last, since interrupts go to the first."""
    before = ticks()
    time.sleep(seconds)
    after, last = ticks(), allowed()[-1]
    names = [(core, f"cpu{core}") for core in allowed()]
    spent = {core: after[name].since(before[name]) for core, name in names if name in before and name in after}
    return min(spent, key=lambda core: (spent[core].busy + spent[core].stolen, -core), default=last)


class Watch:
    """What else was at work on the machine between its making and `told`. own: s of CPU time that our own processes
    have taken so far."""

    def __init__(self, own: Callable[[], float]) -> None:
        self._spent = own
        self._start, self._ticks, self._own = time.monotonic(), ticks().get("cpu"), own()

    def told(self) -> tuple[tuple[str, str], ...]:
        """Rows (what, cores): taken by others here, and by the hypervisor for other machines; () where not known."""
        after, seconds = ticks().get("cpu"), time.monotonic() - self._start
        if self._ticks is None or after is None or seconds <= 0:
            return ()
        spent, tick = after.since(self._ticks), os.sysconf("SC_CLK_TCK")
        others = max(0.0, spent.busy / tick - (self._spent() - self._own))
        return (
            ("cores busy with other work meanwhile", f"{others / seconds:.2f}"),
            ("cores taken by the hypervisor meanwhile", f"{spent.stolen / tick / seconds:.2f}"),
        )
