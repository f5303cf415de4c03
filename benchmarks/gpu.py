"""Lifted trees, their Shapley values and a small network on a GPU: one command, within LONGEST; without a GPU it says
so and claims nothing.

Serving is measured from rows in the host's memory to scores in the host's memory, and on the device alone. Beside it
stand the library itself on all cores, and the compiled kernel of the workbench on all cores. Before anything is timed
the device's answers are held against the processor's: labels equal, scores and values within TOLERANCE.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.gpu_nets import served
from benchmarks.shapes import THREADS, Shape, by_name
from benchmarks.tables import keep, machine, markdown

SERVED = ("forest 200 x depth 12", "HistGB 300, missing, categories", "XGBoost 300 x depth 6, 5 classes")
BATCHES = (1, 1_024, 20_000, 1_000_000)
BACKGROUND, ROWS = 100, 200_000
SECONDS = 3.0
"""For each timing, of some sixty."""
LONGEST = 450.0
"""Seconds after which nothing more is begun; what was left out is named."""
TOLERANCE = 1e-12
MOST = 200
HEAD = ("what", "model", "rows", "side", "first call, s", "median, ms", "rows per second", "times the first side")


@dataclass(frozen=True)
class Measured:
    what: str
    model: str
    rows: int
    side: str
    first: float
    median: float


def timed(call: Callable[[], object], seconds: float) -> tuple[float, float]:
    """Seconds of the first call, and the median of those after it."""
    start = time.perf_counter()
    call()
    first, found, end = time.perf_counter() - start, list[float](), time.perf_counter() + seconds
    while not found or (time.perf_counter() < end and len(found) < MOST):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return first, float(np.median(found))


def serving(shape: Shape, batches: tuple[int, ...], device: str, seconds: float) -> Iterator[Measured]:
    """Raises RuntimeError where the device answers otherwise than the processor."""
    import torch

    from workbench.migrate.lift import lift
    from workbench.models import open_model

    path, estimator = shape.made()
    if hasattr(estimator, "n_jobs"):
        estimator.set_params(n_jobs=os.cpu_count())
    model = open_model(str(path))
    lifted = lift(model)
    model.close()
    here, there = lifted.module, lift_again(lifted).to(device)
    for rows in batches:
        X = shape.rows(rows, 9)
        frame = shape.frame(X)
        numbers, codes = (torch.from_numpy(part) for part in lifted.card.edge.encode(frame).values())
        kept = numbers.to(device), codes.to(device)
        held(here(numbers, codes), there(*kept), shape.name)

        def across(numbers: Any = numbers, codes: Any = codes) -> object:
            return {name: part.cpu() for name, part in there(numbers.to(device), codes.to(device)).items()}

        def alone(kept: Any = kept) -> None:
            there(*kept)
            settled(device)

        sides: dict[str, Callable[[], object]] = {
            "library, all cores": lambda frame=frame: estimator.predict_proba(frame),  # type: ignore[misc]
            "workbench, all cores": lambda rows=(numbers, codes): here(*rows),  # type: ignore[misc]
            f"{device}, transfer included": across,
            f"{device}, rows already there": alone,
        }
        for side, call in sides.items():
            with torch.inference_mode():
                yield Measured("serving", shape.name, rows, side, *timed(call, seconds))


def lift_again(lifted: Any) -> Any:
    """The same module in memory of its own: moving it must leave the other where it is."""
    from workbench.migrate.lift.lifted import Module
    from workbench.migrate.lift.ops import from_plain, to_plain

    arrays: dict[str, Any] = {}
    plain = to_plain(lifted.module.op, arrays)
    return Module(from_plain(plain, arrays)).eval()


def settled(device: str) -> None:
    import torch

    if device.startswith("cuda"):
        torch.cuda.synchronize()


def held(expected: dict[str, Any], found: dict[str, Any], model: str) -> None:
    for name, values in expected.items():
        other = found[name].cpu()
        if name == "label":
            same = bool((values == other).all())
        else:
            same = np.allclose(values.numpy(), other.numpy(), rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
        if not same:
            raise RuntimeError(f"{model}: {name} on the device differ from the processor's: nothing is measured")


def explained(shape: Shape, rows: int, device: str, seconds: float) -> Iterator[Measured]:
    """Interventional Shapley values by the exact engine, on the processor and on the device."""
    from workbench.measure.attribution.exact import TreeShapley
    from workbench.models import open_model

    path, _ = shape.made()
    model = open_model(str(path))
    trees = model.describe().trees
    model.close()
    if trees is None:
        raise RuntimeError(f"{shape.name} is described without trees")
    X, background = shape.rows(rows, 5), shape.rows(BACKGROUND, 6)
    threads = os.cpu_count() or 1
    here = TreeShapley(trees, background, threads=threads)
    there = TreeShapley(trees, background, threads=threads, device=device)
    part = X[:200]
    if not np.allclose(here.values(part), there.values(part), rtol=1e-9, atol=1e-9):
        raise RuntimeError(f"{shape.name}: values on the device differ from the processor's: nothing is measured")
    for side, engine in (("workbench, all cores", here), (device, there)):
        run = timed(lambda engine=engine: engine.values(X), seconds)  # type: ignore[misc]
        yield Measured("attribution", shape.name, rows, side, *run)


def table(found: list[Measured]) -> pd.DataFrame:
    """One row each; against the first side measured with the same model and rows."""
    base = {(one.what, one.model, one.rows): one.median for one in reversed(found)}
    rows = [
        (one.what, one.model, one.rows, one.side, one.first, 1e3 * one.median, one.rows / one.median,
         base[one.what, one.model, one.rows] / one.median)
        for one in found
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=HEAD)


def networks(device: str, seconds: float, **more: Any) -> Iterator[Measured]:
    """A small network by every engine; the first side is torch's own operators, one by one. more: see `served`."""
    for rows, side, first, call in served(device, **more):
        yield Measured("small network", "3 layers of 256", rows, side, first, timed(call, seconds)[1])


def measured(parts: Iterable[Iterator[Measured]], longest: float = LONGEST) -> tuple[pd.DataFrame, int]:
    """The table of all parts, and how many of them were cut off, or not begun, for want of time."""
    found, left, end = list[Measured](), 0, time.monotonic() + longest
    for part in parts:
        while time.monotonic() < end and (one := next(part, None)) is not None:
            found.append(one)
        left += time.monotonic() >= end
    return table(found), left


def boosted() -> Shape:
    """100 trees of depth 6, by which the rate of attributions is told."""

    def fit(X: Any, y: Any) -> Any:
        from xgboost import XGBClassifier

        return XGBClassifier(n_estimators=100, max_depth=6, learning_rate=0.1, n_jobs=THREADS, random_state=0).fit(X, y)

    return Shape("XGBoost 100 x depth 6", "xgboost", fit)


def main() -> None:
    import torch

    if not torch.cuda.is_available():
        print("There is no GPU here: nothing was measured, and nothing is claimed.")
        return
    torch.set_num_threads(os.cpu_count() or 1)
    from workbench.models.tree_kernel import op, plain

    kernel = "torch operators" if op.gpu_kernel() is plain.tree_ensemble else "Triton"
    parts = [
        networks("cuda", SECONDS),
        explained(boosted(), ROWS, "cuda", SECONDS),
        *(serving(by_name(name), BATCHES, "cuda", SECONDS) for name in SERVED),
    ]
    done, left = measured(parts)
    name = torch.cuda.get_device_name()
    keep("gpu", done.assign(gpu=name))
    print("\n".join([f"GPU: {name}", f"trees on the GPU: {kernel}", *machine()]))
    print(markdown(HEAD, [tuple(row) for row in done.itertuples(index=False)]))
    if left:
        print(f"{left} of {len(parts)} parts were cut short: {LONGEST:g} s were over.")
