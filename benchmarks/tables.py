"""Tables of results: kept as CSV and Parquet, and written into pages between markers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.places import RESULTS, ROOT


def keep(name: str, table: pd.DataFrame, raw: pd.DataFrame | None = None) -> None:
    """The summary, committed as results/<name>.csv; the raw samples as results/raw/<name>.parquet, left out of git."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    table.to_csv(RESULTS / f"{name}.csv", index=False, float_format="%.6g")
    if raw is not None:
        (RESULTS / "raw").mkdir(exist_ok=True)
        raw.to_parquet(RESULTS / "raw" / f"{name}.parquet", index=False)


def write(page: str, section: str, text: str) -> Path:
    """Put `text` between the section's markers of docs/<page>; the page must have them."""
    path = ROOT / "docs" / page
    start, end = f"<!-- {section} -->", f"<!-- /{section} -->"
    before, found, rest = path.read_text("utf-8").partition(start)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"docs/{page} has no section between {start} and {end}: add both lines")
    path.write_text(f"{before}{start}\n{text.strip()}\n{end}{after}", "utf-8")
    return path


def markdown(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A pipe table; numbers to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    right = [bool(rows) and all(isinstance(row[at], int | float) for row in rows) for at in range(len(head))]
    rule = ["---:" if side else "---" for side in right]
    return "\n".join("| " + " | ".join(line) + " |" for line in ([*head], rule, *cells))


def _cell(value: object) -> str:
    return number(value) if isinstance(value, int | float) else str(value).replace("|", "\\|")


def number(value: float) -> str:
    """Three digits that count."""
    if isinstance(value, int) or math.isinf(value):
        return f"{value:,}"
    if math.isnan(value):
        return ""
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
        return f"{value:,.{digits}f}"
    return f"{value:.1e}"


TOLD = ("processor", "instructions", "cores", "load (1, 5, 15 min)", "python")


def machine() -> list[str]:
    """The machine in lines that name no host: processor, cores, load, versions."""
    from workbench.measure.speed import environment, gpu
    from workbench.measure.speed.environment import PACKAGES

    found = environment()
    lines = [f"{name}: {found[name]}" for name in (*TOLD, *PACKAGES) if found.get(name, "unknown") != "unknown"]
    system = found.get("system", "unknown").split("-")[0]
    return [*lines, f"system: {system}", "GPU: present" if gpu() else "not measured on a GPU: none here"]
