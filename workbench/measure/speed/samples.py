"""Every single timed answer, as a Parquet file with the machine it was timed on; and ratios of two such files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from workbench.measure.intervals import Estimate
from workbench.measure.speed.sides import Race
from workbench.measure.speed.statistics import geometric_mean as mean
from workbench.measure.speed.statistics import quotient
from workbench.measure.speed.timing import SIDES

KEY = b"workbench"


class OtherMachineError(ValueError):
    """Times of two machines were to be compared: a ratio of them says nothing about two models."""


def write_samples(path: Path, race: Race, machine: Mapping[str, str]) -> None:
    """One row per timed answer: scenario, round, side, wall_ns, cpu_ns, in the order they were timed.

    machine: what the times depend on, kept in the file's metadata; its entry "machine" tells machines apart.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    timed = [(one.scenario.name, call) for one in race.timings if one.found for call in one.found.raw]
    numbers = np.array([call for _, call in timed], dtype=np.int64).reshape(-1, 4)
    columns = {
        "scenario": pa.array([name for name, _ in timed], pa.string()).dictionary_encode(),
        "round": numbers[:, 0].astype(np.int32),
        "side": pa.array([SIDES[side] for side in numbers[:, 1]], pa.string()).dictionary_encode(),
        "wall_ns": numbers[:, 2],
        "cpu_ns": numbers[:, 3],
    }
    said = {KEY: json.dumps({"machine": dict(machine)}).encode()}
    pq.write_table(pa.table(columns).replace_schema_metadata(said), path, compression="zstd")


def read_samples(path: Path) -> tuple[Any, dict[str, str]]:
    """The timed answers as a frame, and the machine they were timed on."""
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    said = json.loads((table.schema.metadata or {}).get(KEY, b"{}"))
    return table.to_pandas(), dict(said.get("machine", {}))


def between_runs(before: Path, after: Path, scenario: str, side: str = "candidate") -> Estimate:
    """How many times faster a model was in the second run than in the first, in one scenario, by typical wall time.

    Runs of another hour are not interleaved: the interval is conservative, and blind to a machine that changed pace.
    Raises OtherMachineError where the two were not timed on the same machine, ValueError for an unknown scenario.
    """
    (first, one), (second, other) = read_samples(before), read_samples(after)
    told = one.get("machine"), other.get("machine")
    if not told[0] or told[0] != told[1]:
        raise OtherMachineError(
            f"{before.name} was timed on machine {told[0] or 'unknown'}, {after.name} on {told[1] or 'unknown'}: no "
            "ratio is made across two machines. Time both models in one run on the machine that counts"
        )
    return quotient(_typical(first, scenario, side), _typical(second, scenario, side))


def _typical(frame: Any, scenario: str, side: str) -> Estimate:
    of = frame[(frame["scenario"] == scenario) & frame["side"].isin((side, f"{side} again"))]
    if of.empty:
        known = ", ".join(map(repr, frame["scenario"].unique()))
        raise ValueError(f"there is no {scenario!r} of {side}: the scenarios are {known}")
    blocks = of.groupby("round", observed=True)["wall_ns"].median().to_numpy(dtype=np.float64)
    return mean(np.log(blocks))
