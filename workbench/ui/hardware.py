"""The command `hardware`: what this machine is, and what it can do at most."""

from __future__ import annotations

from dataclasses import asdict

from workbench.ui.say import emit, note, out

LABELS = ("processor", "instructions", "cores", "cpu limit", "memory limit", "governor", "load (1, 5, 15 min)")


def hardware(seconds: float, *, as_json: bool) -> None:
    from workbench.measure import hardware as machine
    from workbench.measure.speed.environment import environment

    if not as_json:
        note("Measuring; a machine that is otherwise idle tells the truth ...")
    facts, memory, ceilings = environment(), machine.memory(), machine.ceilings(seconds)
    emit({"facts": facts, "memory": memory, "ceilings": [asdict(one) for one in ceilings]}, as_json)
    if as_json:
        return
    for label in LABELS:
        out(f"{label:<22} {facts.get(label, 'unknown')}", hang=23)
    for name, size in memory.items():
        out(f"{'memory of ' + name:<22} {size / 2**30:,.1f} GiB", hang=23)
    out()
    for one in ceilings:
        told = f"{one.value:,.1f} {one.unit}" if one.value is not None else f"not assessed: {one.why}"
        out(f"{one.what:<28} {told:<18} {one.device}" if one.value is not None else f"{one.device:<22} {told}", hang=23)
