"""Trees: ours against the libraries that teams use today, on the same rows, in one run.

A side is timed only if it answers as the library that made the model does: every label equal on the rows it is timed
on, and probabilities within ALIKE. Each number of threads is measured by a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import tables
from benchmarks.contestants import Field, Scope, gather
from benchmarks.places import RESULTS, ROOT
from benchmarks.shapes import QUICK, SHAPES, Shape, by_name
from benchmarks.timing import CONTROL, LEAST, OURS, Raced, race
from benchmarks.warm_up import warm_up

ALIKE = 1e-5
CHECKED = 20_000
PACED = 1_000
"""Fewer rows in a call say nothing of how long a large one takes: what a call costs by itself is most of theirs."""
LARGE = 100_000
"""Batches above it: models of the quick selection only, on ready rows."""
SECONDS, LONG = 2.5, 24.0
"""For the sides of one cell, and of one with a large batch: a whole run takes about twelve quiet minutes."""
FEWEST = 2
"""Rounds of a large batch, at least: a call of seconds is steady in itself."""
BATCHES = (1, 64, 1_024, 20_000, 1_000_000)
QUICK_BATCHES = (1, 1_024, 20_000)

Row = dict[str, Any]


def main(batches: Sequence[int] | None, threads: Sequence[int] | None, quick: bool, only: str = "") -> None:
    """Measure, keep the tables, write the page. only: models whose name holds this text; then no page is written."""
    chosen = batches or (QUICK_BATCHES if quick else BATCHES)
    counts = threads or ((1,) if quick else (1, 2))
    begun = time.monotonic()
    parts = [_child(count, chosen, quick, only) for count in counts]
    table = pd.concat([pd.read_parquet(part) for part in parts], ignore_index=True)
    warmed = warm_up([shape for shape in SHAPES if shape.name in QUICK and only in shape.name])
    text = page(table, time.monotonic() - begun, quick, warmed)
    if only:
        print(text)
        return
    raw = pd.concat([pd.read_parquet(f"{part}.raw") for part in parts], ignore_index=True)
    tables.keep("trees", table, raw)
    tables.keep("warm_up", warmed)
    tables.write("benchmarks.md", "trees", text)


def _child(threads: int, batches: Sequence[int], quick: bool, only: str) -> Path:
    """OpenMP reads its number of threads once, when a library is loaded."""
    (RESULTS / "raw").mkdir(parents=True, exist_ok=True)
    to = RESULTS / "raw" / f"trees-{threads}.part"
    limits = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    limits |= {"NUMBA_NUM_THREADS": str(threads)}
    sizes = ",".join(map(str, batches))
    command = [
        sys.executable,
        "-m",
        "benchmarks.trees",
        str(threads),
        sizes,
        "quick" if quick else "full",
        str(to),
        only,
    ]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, **limits})
    return to


def measure(shapes: Sequence[Shape], batches: Sequence[int], threads: int, quick: bool, to: Path) -> None:
    """Summary rows and raw samples, written after every model."""
    found: list[Row] = []
    raw: list[Row] = []
    for shape in shapes:
        if threads > 1 and shape.name not in QUICK:
            continue
        fields = gather(shape, threads)
        for scope, entered in fields.items():
            for rows, samples in _cells(shape, scope, entered, batches, quick):
                found.extend(rows)
                raw.extend(samples)
        for entered in fields.values():
            entered.close()
        pd.DataFrame(found).to_parquet(to)
        pd.DataFrame(raw).to_parquet(f"{to}.raw")


def _cells(
    shape: Shape, scope: Scope, entered: Field, batches: Sequence[int], quick: bool
) -> Iterator[tuple[list[Row], list[Row]]]:
    same, off = agreeing(shape, entered)
    pace: dict[str, float] = {}
    for batch in batches:
        if (batch > LARGE and shape.name not in QUICK) or (scope == "frame" and (batch > LARGE or entered.threads > 1)):
            continue
        cell = {"model": shape.name, "scope": scope, "rows": batch, "threads": entered.threads}
        begun = time.monotonic()
        budget, least = (SECONDS, LEAST) if batch <= LARGE else (LONG, FEWEST)
        slow = {name: f"one call would take about {each * batch:.0f} s" for name, each in pace.items()}
        slow = {name: said for name, said in slow.items() if name != OURS and 2 * least * pace[name] * batch > budget}
        X = shape.rows(batch, 11)
        frame = shape.frame(X)
        sides = {name: entered.sides[name].timed(X, frame) for name in same if name not in slow}
        raced, late = race(sides, block=0.04, seconds=budget, most=12, seed=batch, least=least)
        if batch >= PACED:
            pace |= {name: raced.seconds(name) / batch for name in sides if name in raced.names}
        rows = summary(raced, {**entered.absent, **off, **slow, **late})
        yield [{**cell, **row} for row in rows], [{**cell, **row} for row in samples(raced)]
        said = ", ".join(f"{row['side']} {row['times']:.3g}x" for row in rows if not row["reason"])
        print(f"{shape.name}, {scope}, {batch:,} rows: {said} ({time.monotonic() - begun:.0f} s)", file=sys.stderr)


def agreeing(shape: Shape, entered: Field) -> tuple[list[str], dict[str, str]]:
    """Sides that answer as the model's own library does, ours first, and how far off the others are.

    Raises RuntimeError if ours is one of them: then there is nothing to time.
    """
    X = shape.rows(CHECKED, 11)
    frame = shape.frame(X)
    found = {name: side.answer(X, frame) for name, side in entered.sides.items()}
    own = found["scikit-learn" if shape.family == "sklearn" else shape.family]
    off = {name: differs(own, scores) for name, scores in found.items()}
    if off[OURS]:
        raise RuntimeError(f"{shape.name}: ours {off[OURS]}: nothing is timed before that is mended")
    return [name for name in found if not off[name]], {name: said for name, said in off.items() if said}


def differs(own: Any, scores: Any) -> str:
    """ "" where two sets of probabilities [n, k] are alike, else how they are not."""
    flips = int((own.argmax(axis=1) != scores.argmax(axis=1)).sum())
    furthest = float(np.abs(own - scores).max())
    if not flips and furthest <= ALIKE:
        return ""
    return f"answers differ: {flips:,} of {len(own):,} labels, probabilities by up to {furthest:.2g}"


def summary(raced: Raced, told: dict[str, str]) -> list[Row]:
    """A row per side: how many times faster ours is, with interval; NaN and the reason for a side that is not timed."""
    control = raced.ratio(CONTROL)
    shared = {"rounds": len(raced.wall), "control_low": control.low, "control_high": control.high}
    shared |= {"stable": raced.stable, "ours_seconds": raced.seconds(OURS)}
    rows: list[Row] = []
    for name in (name for name in raced.names if name not in (OURS, CONTROL)):
        wall, cpu = raced.ratio(name), raced.ratio(name, "cpu")
        ratios = {"times": wall.value, "low": wall.low, "high": wall.high}
        busy = {"cpu_times": cpu.value, "cpu_low": cpu.low, "cpu_high": cpu.high}
        rows.append({"side": name, "seconds": raced.seconds(name), **ratios, **busy, **shared, "reason": ""})
    return rows + [{"side": name, **shared, "reason": reason} for name, reason in told.items()]


def samples(raced: Raced) -> Iterator[Row]:
    for number, (walls, cpus) in enumerate(zip(raced.wall, raced.cpu)):
        for name, wall, cpu in zip(raced.names, walls, cpus):
            yield {"round": number, "side": name, "wall": wall, "cpu": cpu}


def page(table: pd.DataFrame, seconds: float, quick: bool, warmed: pd.DataFrame) -> str:
    """The section of the docs: the machine, then a table per scope and number of threads."""
    lines = [f"Measured in {seconds / 60:.0f} minutes{', the quick selection' if quick else ''}, on:", ""]
    lines += [f"- {line}" for line in tables.machine()]
    for (scope, threads), part in table.groupby(["scope", "threads"], sort=False):
        what = "Model only" if scope == "model" else "End to end, from a pandas table"
        lines += ["", f"### {what}: {threads} thread{'s' if str(threads) != '1' else ''}", "", _grid(part)]
    lines += ["", "### From a cold start: processor seconds of the first answers", "", _cold(warmed)]
    cells = table.drop_duplicates(["model", "scope", "rows", "threads"])
    unsteady = f"{int((~cells.stable).sum())} of {len(cells)} cells were unsteady (marked ~)"
    lines += ["", f"{unsteady}: there ours, timed against itself in the same rounds, left 1 ± 5 %."]
    reasons = table[table.reason != ""].drop_duplicates(["model", "scope", "side", "reason"])
    kept = [
        (
            row["model"],
            row["scope"],
            row["side"],
            f"{row['rows']:,}" if "one call" in row["reason"] else "all",
            row["reason"],
        )
        for row in reasons.to_dict("records")
    ]
    lines += ["", "Not timed:", "", tables.markdown(("model", "scope", "side", "rows", "why"), kept)]
    return "\n".join(lines)


def _cold(warmed: pd.DataFrame) -> str:
    head = ("model", "nothing compiled", "compiled before", "of which: importing numba")
    rows = [(str(r["model"]), r["fresh"], r["kept"], r["imports"]) for r in warmed.to_dict("records")]
    return tables.markdown(head, rows)


def _grid(part: pd.DataFrame) -> str:
    """A line per model and batch, a column per other side: times faster [interval], CPU time in brackets."""
    sides = [
        side for side in ("scikit-learn", "xgboost", "lightgbm", "onnxruntime", "hummingbird") if side in set(part.side)
    ]
    rows = []
    for (model, batch), cell in part.groupby(["model", "rows"], sort=False):
        first = cell.iloc[0]
        steady = "" if first.stable else " ~"
        found = cell.set_index("side")
        rows.append(
            (
                model,
                f"{batch:,}{steady}",
                f"{1e6 * first.ours_seconds / batch:,.3g}",
                *(_times(found, side) for side in sides),
            )
        )
    return tables.markdown(("model", "rows", "ours, µs a row", *(f"vs {side}" for side in sides)), rows)


def _times(found: pd.DataFrame, side: str) -> str:
    if side not in found.index:
        return ""
    row: Any = found.loc[side]
    if row.reason:
        return "not timed"
    low, high, cpu = (tables.number(float(value)) for value in (row.low, row.high, row.cpu_times))
    return f"**{tables.number(float(row.times))}×** [{low}, {high}], CPU {cpu}×"


if __name__ == "__main__":
    _threads, _sizes, _much, _to, _only = sys.argv[1:]
    _chosen = [by_name(name) for name in QUICK] if _much == "quick" else SHAPES
    _chosen = [shape for shape in _chosen if _only in shape.name]
    measure(_chosen, [int(size) for size in _sizes.split(",")], int(_threads), _much == "quick", Path(_to))
