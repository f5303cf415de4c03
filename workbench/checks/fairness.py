"""What a bias audit shows beside its numbers: each group's rate with its interval, and figures along the thresholds."""

from __future__ import annotations

import math

import pandas as pd

from workbench.audit import tabled
from workbench.evidence import Chart, Detail, Series
from workbench.measure.fairness import SideName
from workbench.measure.fairness_paired import Assessed
from workbench.measure.fairness_thresholds import Explored

CURVE = "By threshold, {}"
"""Title of the table of one model's figures, a line for each threshold."""
_SHOWN = {
    "accuracy": "Accuracy by threshold",
    "demographic_parity_gap": "Gap of selection rates by threshold, {}",
    "equalized_odds_gap": "Gap of error rates by threshold, {}",
}


def bars(item: Assessed) -> Chart:
    """Each compared group's rate with its interval, for both models."""
    series, what = [], item.what.replace("_", " ")
    for side in item.bars:
        value, low, high = (tuple(None if math.isnan(x) else x for x in part) for part in zip(*side.estimates))
        series.append(Series(name=side.name, x=side.groups, y=value, low=low, high=high, role=side.name))
    title = f"{what} by {item.name}".capitalize()
    return Chart(kind="interval", title=title, x=item.name, y=what, series=tuple(series))


def explored(found: Explored, attribute: str) -> tuple[Detail, ...]:
    """A chart of each figure, the figures at the task's own threshold with their intervals, and every line behind."""
    charts = [_chart(found, figure, title.format(attribute)) for figure, title in _SHOWN.items()]
    there = found.there.assign(figure=found.there["figure"].str.replace("_", " "))
    own = tabled(f"At the task's threshold, {found.threshold:g}", there)
    units = ("", *["share"] * (len(next(iter(found.curve.values())).columns) - 1))
    curves = [tabled(CURVE.format(side), frame, units) for side, frame in found.curve.items()]
    return (*(chart for chart in charts if chart.series), own, *curves)


def _chart(found: Explored, figure: str, title: str) -> Chart:
    series = [_series(side, frame, figure) for side, frame in found.curve.items() if frame[figure].notna().any()]
    y = "share of rows" if figure == "accuracy" else "difference of rates"
    title = f"{title}; the task's is {found.threshold:g}"
    return Chart(kind="line", title=title, x="threshold", y=y, series=tuple(series))


def _series(side: SideName, frame: pd.DataFrame, figure: str) -> Series:
    y = tuple(None if math.isnan(value) else float(value) for value in frame[figure])
    return Series(name=side, x=tuple(frame["threshold"].tolist()), y=y, role=side)
