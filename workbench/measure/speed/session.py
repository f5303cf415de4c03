"""One whole measurement of a pair on this machine, from starting both to what each cost."""

from __future__ import annotations

import inspect
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.measure.speed import report
from workbench.measure.speed.cores import Watch
from workbench.measure.speed.energy import Energy
from workbench.measure.speed.serving import Service
from workbench.measure.speed.sides import SWEEP, Pair, Race, Scope, Tail, race, scenarios, sides, tails
from workbench.models import Model

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Session:
    """What was found. starts: seconds from starting a process to its first answer; peaks: MiB; None for a side without
    a process of its own. gpu: the most MiB each allocated on a GPU by torch, 0 where none was used. services, energy:
    None where not asked for, or not to be told. started, device, machine: rows."""

    race: Race
    tails: tuple[Tail, ...]
    starts: tuple[float | None, float | None]
    peaks: tuple[float | None, float | None]
    gpu: tuple[float, float]
    services: tuple[Service, Service] | None
    energy: Energy | None
    started: report.Rows
    device: report.Rows
    machine: tuple[tuple[str, str], ...]


def session(
    frame: pd.DataFrame,
    legacy: Model,
    candidate: Model,
    *,
    batches: tuple[int, ...] = (1_024,),
    sweep: bool = False,
    scope: str = "model",
    seconds: float = 5.0,
    samples: int = 662,
    service_level_ms: float | None = None,
    queries: int = 662,
    tdp_watts: float | None = None,
    seed: int = 0,
) -> Session:
    """Both models timed on the frame's rows, which both take raw and answer alike. Raises ModelError.

    batches: rows at once, besides one; sweep: 1 to 65,536 as well. scope: "model", "whole" or "both". seconds: of each
    scenario. samples: single answers of each side at least, in `seconds` more. service_level_ms: look for the highest
    rate at which 99 of 100 single rows are answered within it. tdp_watts: where no energy counter can be read.
    """
    scopes: tuple[Scope, ...] = (
        ("model", "whole") if scope == "both" else ("whole",) if scope == "whole" else ("model",)
    )
    asked = scenarios((*batches, *(SWEEP if sweep else ())), scopes)
    with sides(legacy, candidate, frame.iloc[:1]) as pair:
        started, watch = report.starts(pair), Watch(lambda: _own(pair))
        raced, calls = race(pair, frame, asked, seconds=seconds, seed=seed)
        tail = tails(pair, frame, calls, samples=samples, seconds=seconds, seed=seed)
        machine = report.machine(pair, watch)
        peaks = pair[0].peak(), pair[1].peak()
        gpu = pair[0].memory()["gpu"], pair[1].memory()["gpu"]
        device = report.on_device(pair, frame, asked, seed) if any(gpu) else ()
        served = None
        if service_level_ms is not None:
            served = report.services(pair, frame, calls, level_ms=service_level_ms, queries=queries, seed=seed)
        energy = report.energy(pair, raced, frame, watts=tdp_watts, cores=os.cpu_count() or 1, seed=seed)
        starts = [side.start.total if side.start else None for side in pair]
        return Session(raced, tail, (starts[0], starts[1]), peaks, gpu, served, energy, started, device, machine)


def _own(pair: Pair) -> float:
    """Seconds of CPU time that this process and both hosts have taken."""
    spent = os.times()
    return spent.user + spent.system + sum(side.computed() for side in pair)


SESSION = frozenset(inspect.signature(session).parameters) - {"frame", "legacy", "candidate"}
"""Names of what may be chosen."""
