"""The command `hardware`, and what the journey's page shows of it: what this machine is, and what it can do at most."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from workbench import store
from workbench.evidence import Cell
from workbench.ui.listing import Listing
from workbench.ui.say import emit, note, out

LABELS = ("processor", "instructions", "cores", "cpu limit", "memory limit", "governor", "load (1, 5, 15 min)")
KEPT = "hardware.json"
QUICK = 0.1
"""Seconds for each figure of the journey's page, which is measured once for a machine."""
SAME = ("machine", "torch", "cpu limit", "cores")
WHOLE = {"facts", "memory", "ceilings", "accelerators", "busy"}
BUSY = 1.5
"""Processes that want a core, by core: from there on a figure says more about them than about the machine."""
Told = Mapping[str, Any]
"""facts, memory, ceilings and accelerators as plain data."""


def hardware(seconds: float, *, as_json: bool) -> None:
    if not as_json:
        note("Measuring; a machine that is otherwise idle tells the truth ...")
    told = measured(seconds)
    emit(told, as_json)
    if as_json:
        return
    for label in LABELS:
        out(f"{label:<22} {told['facts'].get(label, 'unknown')}", hang=23)
    for name, size in told["memory"].items():
        out(f"{'memory of ' + name:<22} {size / 2**30:,.1f} GiB", hang=23)
    out()
    for one in told["ceilings"]:
        shown = _ceiling(one)
        out(f"{one['what']:<28} {shown:<18} {one['device']}" if one["value"] is not None else
            f"{one['device']:<22} {shown}", hang=23)  # fmt: skip
    out()
    for one in told["accelerators"]:
        out(f"{one['name']:<26} {_accelerator(one)}", hang=27)


def measured(seconds: float, threads: int = 0) -> Told:
    """Now, on this machine. seconds: for each figure; threads: see `measure.hardware.ceilings`."""
    from workbench.measure import hardware as machine
    from workbench.measure.speed.environment import environment

    return {
        "facts": environment(),
        "memory": machine.memory(),
        "ceilings": [asdict(one) for one in machine.ceilings(seconds, threads)],
        "accelerators": [asdict(one) for one in machine.accelerators()],
    }


def machine(folder: Path) -> Listing:
    """What this machine is and can do at most; its ceilings as they were measured, at best, while nothing else ran.

    folder: of the migration; one that cannot be written is passed over.
    """
    told = _kept(folder / ".workbench" / KEPT)
    return Listing.of(("what", "here", "unit", "where"), _rows(told))


def _kept(path: Path) -> Told:
    """The figures of this very machine and torch. Those taken while it was busy are tried again, and the best kept."""
    from workbench.measure.speed.cores import allowed
    from workbench.measure.speed.environment import environment

    now, known = environment(), _read(path)
    same = all(known.get("facts", {}).get(name) == now.get(name) for name in SAME)
    if same and not known["busy"]:
        return {**known, "facts": now}
    cores = len(allowed()) or os.cpu_count() or 1
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    told = {**measured(QUICK, cores), "busy": f"{load:.1f} on {cores} cores" if load > BUSY * cores else ""}
    if same:
        told["ceilings"] = [_better(one, known["ceilings"]) for one in told["ceilings"]]
    with contextlib.suppress(store.StoreError):
        store.write(path, json.dumps(told))
    return told


def _read(path: Path) -> dict[str, Any]:
    """What is kept, if it is whole."""
    try:
        known = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    whole = isinstance(known, dict) and known.keys() >= WHOLE and isinstance(known["facts"], dict)
    return known if whole else {}


def _better(one: dict[str, Any], known: list[dict[str, Any]]) -> dict[str, Any]:
    """A ceiling is the best that was ever seen."""
    before = [old for old in known if (old["what"], old["device"]) == (one["what"], one["device"])]
    return max([one, *before], key=lambda seen: seen["value"] or 0.0)


def _rows(told: Told) -> Iterator[Mapping[str, Cell]]:
    for label in LABELS:
        yield {"what": label, "here": told["facts"].get(label, "unknown"), "unit": "", "where": "machine"}
    for name, size in told["memory"].items():
        yield {"what": "memory", "here": f"{size / 2**30:,.1f}", "unit": "GiB", "where": name}
    for one in told["ceilings"]:
        if one["value"] is not None:
            shown = f"{one['value']:,.1f}"
            yield {"what": one["what"], "here": shown, "unit": one["unit"], "where": one["device"]}
    if told["busy"]:
        here = f"at a load of {told['busy']}: the figures above are too low, look again when it is idle"
        yield {"what": "measured while busy", "here": here, "unit": "", "where": "machine"}
    for one in told["accelerators"]:
        yield {"what": one["name"], "here": _accelerator(one), "unit": "", "where": "accelerator"}


def _ceiling(one: Told) -> str:
    return f"{one['value']:,.1f} {one['unit']}" if one["value"] is not None else f"not assessed: {one['why']}"


def _accelerator(one: Told) -> str:
    if not one["needs"]:
        return f"used: {one['found']}"
    return f"not used{', though there is ' + one['found'] if one['found'] else ''}: {one['needs']}"
