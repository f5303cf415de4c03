"""Both models of a pair, each timed in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.measure.speed.timing import Timed
from workbench.models import Model, in_host

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Side:
    """A model that is timed. hosted: in a process of its own; else here, beside everything else that runs here."""

    model: Model
    timed: Timed
    hosted: bool

    def cold_starts(self, row: pd.DataFrame, times: int) -> list[float]:
        """Seconds from starting a process to its first answer; [] for a model without a process of its own."""
        model: Any = self.model
        return [float(model.cold_start(row)) for _ in range(times)] if self.hosted else []

    def peak(self) -> int | None:
        """The most memory the model's process has held, in bytes; None without a process of its own."""
        model: Any = self.model
        return int(model.peak_rss()) if self.hosted else None


@contextmanager
def sides(legacy: Model, candidate: Model) -> Iterator[tuple[Side, Side]]:
    """Both models ready to be timed; processes that were started for it end with it. Raises ModelError."""
    opened: list[Model] = []
    try:
        for model in (legacy, candidate):
            opened.append(in_host(model))
        yield _side(opened[0]), _side(opened[1])
    finally:
        for model, own in zip(opened, (legacy, candidate)):
            if model is not own:
                model.close()


def _side(model: Model) -> Side:
    timed = getattr(model, "timed", None)
    return Side(model, timed or _timed_here(model), timed is not None)


def _timed_here(model: Model) -> Timed:
    def timed(frame: pd.DataFrame, calls: int) -> tuple[Sequence[int], Sequence[int]]:
        wall, cpu = [], []
        for _ in range(calls):
            busy, start = time.process_time_ns(), time.perf_counter_ns()
            model.predict(frame)
            wall.append(time.perf_counter_ns() - start)
            cpu.append(time.process_time_ns() - busy)
        return wall, cpu

    return timed


@dataclass(frozen=True)
class Scenario:
    """What is asked at once: its name and how many rows."""

    name: str
    rows: int

    def frame(self, frame: pd.DataFrame, seed: int) -> pd.DataFrame:
        """The scenario's rows, seeded; a larger scenario holds the rows of a smaller one."""
        order = np.random.default_rng(seed).permutation(len(frame))[: self.rows]
        return frame.iloc[order].reset_index(drop=True)


def scenarios(rows: int, batches: Sequence[int]) -> tuple[Scenario, ...]:
    """One row, then each batch; a batch larger than the table is the whole table."""
    sizes = sorted({min(size, rows) for size in batches} | {1})
    return tuple(Scenario("1 row" if size == 1 else f"{size:,} rows", size) for size in sizes)
