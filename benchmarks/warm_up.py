"""What the first answers cost: a fresh process, with nothing compiled before, and with the kernels on disk."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.places import ROOT
from benchmarks.shapes import Shape, by_name

ROWS = 1_024


def warm_up(shapes: Sequence[Shape]) -> pd.DataFrame:
    """Processor seconds of one row and ROWS rows through a lifted model.

    fresh: with an empty folder of compiled code; kept: with what the first process left there; imports: of numba, in
    the first process (in `fresh` already).
    """
    found = []
    for shape in shapes:
        with tempfile.TemporaryDirectory() as folder:
            (fresh, imports), (kept, _) = _run(shape, Path(folder)), _run(shape, Path(folder))
        found.append({"model": shape.name, "fresh": fresh, "kept": kept, "imports": imports})
    return pd.DataFrame(found)


def _run(shape: Shape, folder: Path) -> tuple[float, float]:
    command = [sys.executable, "-m", "benchmarks.warm_up", shape.name]
    env = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    first, second = done.stdout.split()[-2:]
    return float(first), float(second)


def _answer(shape: Shape) -> tuple[float, float]:
    """(Processor seconds from before numba is imported to the last answer, those of the import)."""
    from workbench.migrate.lift import lift
    from workbench.models import open_model

    X = shape.rows(ROWS, 11)
    frame = shape.frame(X)
    model = open_model(str(shape.made()[0]))
    lifted = lift(model)
    model.close()
    start = time.process_time()
    import numba  # noqa: F401 - the clock runs

    imported = time.process_time()
    lifted.predict(frame[:1])
    lifted.predict(frame)
    return time.process_time() - start, imported - start


if __name__ == "__main__":
    print(*_answer(by_name(sys.argv[1])))
