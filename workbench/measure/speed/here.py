"""Timing a model that has no process of its own: here, beside everything else that runs here."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from workbench.models import Model

if TYPE_CHECKING:
    import pandas as pd


class Here:
    """Times a model as a model host does."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def timed(
        self, frame: pd.DataFrame, calls: int, scope: Literal["model", "whole"] = "model"
    ) -> tuple[list[int], list[int]]:
        """Wall and CPU nanoseconds of each call. Nothing is read or written on the way: both scopes are the same."""
        wall, cpu = [], []
        for _ in range(calls):
            busy, start = time.process_time_ns(), time.perf_counter_ns()
            self.model.predict(frame)
            wall.append(time.perf_counter_ns() - start)
            cpu.append(time.process_time_ns() - busy)
        return wall, cpu

    def served(self, frame: pd.DataFrame, arrivals: Sequence[float]) -> list[int]:
        """Nanoseconds from each scheduled arrival (s) of a query to its answer."""
        return serve(lambda: self.model.predict(frame), arrivals)


def serve(ask: Callable[[], object], arrivals: Sequence[float]) -> list[int]:
    """Asks at each arrival (s from now), in order; nanoseconds from the scheduled arrival to the answer."""
    latencies, start = [], time.perf_counter()
    for arrival in arrivals:
        if (early := start + arrival - time.perf_counter()) > 0:
            time.sleep(early)
        ask()
        latencies.append(int(1e9 * (time.perf_counter() - start - arrival)))
    return latencies
