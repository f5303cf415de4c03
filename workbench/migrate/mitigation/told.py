"""What a mitigation tells: the front of accuracy against the gap, and the files of the candidate that was made."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.audit import Kind
from workbench.evidence import Chart, File, Finding, Measure, Series, Status, Table, Text

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Rule:
    """One point of the front. decide: raw rows to 0/1; save: writes it as a candidate."""

    strength: float
    decide: Callable[[pd.DataFrame], NDArray[np.int64]]
    save: Callable[[Path], tuple[Path, ...]]


Points = Sequence[tuple[float, float, float, float]]
"""Strength, accuracy, gap, share selected."""


def front(kind: Kind, points: Points, constraint: str, attribute: str, n: int) -> Finding:
    """Accuracy against the gap, a point for each strength, from n held-out rows."""
    what = constraint.replace("_", " ")
    strength, accuracy, gap, selected = (tuple(part) for part in zip(*points))
    chart = Chart(
        kind="scatter",
        title=f"Accuracy against the gap of {what}, by strength of the mitigation, on {n:,} held-out rows",
        x=f"gap of {what} between groups of {attribute}",
        y="accuracy",
        series=tuple(
            Series(name=f"strength {one:g}", x=(x,), y=(y,), role="other") for one, x, y in zip(strength, gap, accuracy)
        ),
    )
    columns = ("strength", "accuracy", f"gap of {what}", "share selected")
    rows = tuple(zip(strength, accuracy, gap, selected))
    table = Table(title="The front", columns=columns, rows=rows, units=("", *["share"] * 3))
    return kind.found(
        f"Evening out {attribute} takes the gap from {gap[0]:.3f} to {gap[-1]:.3f}, accuracy from {accuracy[0]:.3f} to "
        f"{accuracy[-1]:.3f}, on rows the fit never saw",
        attribute,
        status=Status.INFO,
        details=(chart, table),
    )


def written(kind: Kind, files: Sequence[Path], folder: Path, what: str, needed: str) -> Finding:
    """The files, the lines that make them the candidate, and whether the attribute must be known of who is judged."""
    home = folder.parent.parent
    uri = files[0].relative_to(home).as_posix()
    asks = (
        f"It asks for {needed} of everybody it decides about: treating people by it may need a legal ground of its own."
        if needed
        else "It does not ask for the attribute unless the candidate did: the attribute was used in fitting only."
    )
    said = [Text(title="What it needs", text=asks)]
    said.append(Text(title="To judge it as the candidate", text=f"candidate:\n  uri: {uri}", code=True))
    size = sum(path.stat().st_size for path in files)
    return kind.found(
        f"A candidate by {what} is written" + (f", which asks for {needed}" if needed else ""),
        status=Status.INFO,
        candidate=Measure(value=float(size), unit="bytes"),
        details=(*said, *(_file(path, folder) for path in files)),
    )


def _file(path: Path, folder: Path) -> File:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return File(title=path.name, path=path.relative_to(folder).as_posix(), sha256=digest)
