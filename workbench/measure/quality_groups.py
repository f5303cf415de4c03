"""Non-inferiority group by group: a candidate that is as good overall may have got worse for some."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from workbench.measure.fairness_groups import groups_of, merge_rare
from workbench.measure.intervals import holm
from workbench.measure.matched import Matched
from workbench.measure.quality import Compared, compare, summary

METRICS = ("accuracy", "auc", "brier", "rmse")
"""One of each kind: decisions, order, probabilities, values."""
FEWEST = 30
"""Rows of a group that carry an interval."""
COLUMNS = ("group", "rows", "metric", "legacy", "candidate", "change", "low", "high", "p", "verdict")


def compared(rows: Matched, draws: int, seed: int, level: float = 0.95) -> list[Compared]:
    """Every metric of `quality.compare` on these rows."""
    pair = rows.target, rows.before, rows.after
    return list(compare(*pair, weight=rows.weight, draws=draws, seed=seed, level=level))


def by_group(
    rows: Matched, names: Sequence[str], margins: Mapping[str, float], draws: int = 500, seed: int = 0
) -> pd.DataFrame:
    """A line per group of each attribute and metric, worst change first: columns COLUMNS. Without a candidate none.

    Intervals hold together for all lines (Bonferroni), p is adjusted (Holm 1979). margins: by metric, how much worse is
    not worse; verdict: "not worse", "worse" (the whole interval beyond the margin) or "undecided". Groups of under 30
    rows are put together, and left out where they stay that few.
    """
    chosen = [merge_rare(groups, FEWEST) for groups in groups_of(rows.frame, names)]
    parts = [(f"{g.name} = {label}", g.codes == place) for g in chosen for place, label in enumerate(g.labels)]
    parts = [(name, inside) for name, inside in parts if inside.sum() >= FEWEST and rows.after is not None]
    level = 1 - 0.05 / max(1, len(parts) * sum(name in margins for name in METRICS))
    lines = []
    for name, inside in parts:
        found = compared(rows.only(inside), draws, seed, level)
        lines += [_line(name, item, margins[item.metric.name]) for item in found if _told(item, margins)]
    table = pd.DataFrame(lines, columns=[*COLUMNS[:-1], "worse by", "verdict"])
    table["p"] = holm(table["p"].tolist())
    return table.sort_values("worse by", ascending=False, ignore_index=True)[list(COLUMNS)]


def told(
    rows: Matched,
    found: Sequence[Compared],
    names: Sequence[str],
    margins: Mapping[str, float],
    draws: int,
    seed: int,
) -> tuple[dict[str, pd.DataFrame], str]:
    """Tables by title, overall and by group, and which group is shown to have lost most, in words."""
    table = by_group(rows, names, margins, draws, seed)
    lost = table[table["verdict"] == "worse"]
    tables = {
        "Both models on the same rows; p adjusted for the number of metrics": summary(found),
        "Each group; intervals and p adjusted for the number of lines": table,
    }
    return tables, "" if lost.empty else f"{lost.group.iloc[0]} lost most: {lost.metric.iloc[0]}"


def _told(item: Compared, margins: Mapping[str, float]) -> bool:
    return item.metric.name in METRICS and item.metric.name in margins and not math.isnan(item.legacy.value)


def _line(name: str, item: Compared, margin: float) -> tuple[object, ...]:
    assert item.candidate is not None
    assert item.change is not None
    value, low, high = item.change
    loss = sorted(-bound if item.metric.better == "higher" else bound for bound in (low, high))
    verdict = "worse" if loss[0] > margin else "not worse" if loss[1] <= margin else "undecided"
    worse_by = -value if item.metric.better == "higher" else value
    figures = (item.legacy.value, item.candidate.value, value, low, high, item.p)
    return name, item.n, item.metric.title, *figures, worse_by, verdict
