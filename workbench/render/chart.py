"""A `Chart` of the evidence as a plotly figure in the house style, as plain data, and as a table.

Figures are built as dictionaries, so that drawing a report never waits for plotly's Python package.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, cast

from workbench.evidence import Cell, Chart, Series, Table
from workbench.render.traces import KINDS, MOST_POINTS, Figure, keys, names_of, safe, step

PALETTE = {
    "ink": "#767676",
    "line": "rgba(128,128,128,0.28)",
    "legacy": "#7d8590",
    "candidate": "#2f81f7",
    "change": "#a371f7",
    "other-0": "#1f9d8a",
    "other-1": "#c4741a",
    "other-2": "#b3589a",
    "other-3": "#6a7ae0",
    "other-4": "#8a8f2a",
    "paper": "rgba(0,0,0,0)",
    "cold": "#2f81f7",
    "warm": "#c4741a",
    "zero": "#d0d7de",
}
"""Colours that can be read on light and dark paper alike, for places whose paper is not ours (JupyterLab)."""


def figure(chart: Chart, palette: dict[str, str] | None = None, titled: bool = True) -> Figure:
    """The chart as plotly data: {"data": [...], "layout": {...}, "config": {...}}.

    palette: colours by role (see PALETTE); values are put into the figure as they are.
    titled: whether the figure carries the title itself (a notebook), or the page does (a report).
    """
    colors = palette or PALETTE
    traces, own = KINDS[chart.kind](chart, colors)
    axes = _axes(chart, own, own.pop("lying", False), colors)
    made = {
        "data": traces,
        "layout": _layout(chart, colors, titled) | own | axes,
        # No TeX: a column may well be called $\frac{.
        "config": {"displayModeBar": False, "responsive": True, "typesetMath": False, "displaylogo": False},
    }
    return cast("Figure", _json_safe(made))


def _json_safe(value: Any) -> Any:
    """Every NaN and infinity as None, which is what JSON and plotly know."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _json_safe(item) for key, item in value.items()}
    return [_json_safe(item) for item in value] if isinstance(value, list | tuple) else value


def draw(chart: Chart) -> Any:
    """The chart as a `plotly.graph_objects.Figure`, for a cell of one's own."""
    import plotly.graph_objects as go

    made = figure(chart)
    return go.Figure(data=made["data"], layout=made["layout"])


def table(chart: Chart) -> Table:
    """The numbers behind the picture: one row per point, one column per series (with its interval, if any)."""
    names = names_of(chart.series)
    where = {name: at for at, name in enumerate(names)}
    columns: list[str] = [chart.x or "x"]
    filled: list[list[Cell]] = [[name for name, _ in names]]
    for series in chart.series:
        for title, values in _columns(series, chart.y):
            cells: list[Cell] = [None] * len(names)
            for key, value in zip(keys(series.x), values, strict=False):
                cells[where[key]] = value
            columns.append(title)
            filled.append(cells)
    return Table(title=chart.title, columns=tuple(columns), rows=tuple(zip(*filled, strict=True)))


def _columns(series: Series, y: str) -> Iterable[tuple[str, Sequence[float | None]]]:
    name = series.name or y
    yield name, series.y
    if series.low:
        yield f"{name}, low", series.low
    if series.high:
        yield f"{name}, high", series.high


def _layout(chart: Chart, colors: dict[str, str], titled: bool) -> Figure:
    layout: Figure = {
        "font": {"family": 'system-ui,-apple-system,"Segoe UI",Roboto,sans-serif', "size": 13, "color": colors["ink"]},
        "paper_bgcolor": colors["paper"],
        "plot_bgcolor": colors["paper"],
        "margin": {"l": 56, "r": 16, "t": 64 if titled else 28, "b": 48},
        "height": 320,
        "showlegend": len(chart.series) > 1 and chart.kind != "heat",
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "hoverlabel": {"align": "left"},
    }
    if titled:
        layout["title"] = {"text": safe(caption(chart)), "x": 0, "xref": "paper", "font": {"size": 15}}
    return layout


def caption(chart: Chart) -> str:
    """The title, and how many of the points are drawn where that is not all."""
    most = max((len(series.x) for series in chart.series), default=0)
    if chart.kind not in ("line", "scatter") or most <= MOST_POINTS:
        return chart.title
    return f"{chart.title} ({len(range(0, most, step(most))):,} of {most:,} points drawn)"


def _axes(chart: Chart, own: Figure, lying: bool, colors: dict[str, str]) -> Figure:
    """Both axes with their titles, joined to what the kind set; lying charts have them swapped."""
    house = {
        "gridcolor": colors["line"],
        "zerolinecolor": colors["line"],
        "linecolor": colors["line"],
        "automargin": True,
    }
    value_axis, name_axis = ("xaxis", "yaxis") if lying else ("yaxis", "xaxis")
    titles = {name_axis: chart.x, value_axis: "" if chart.kind == "heat" else chart.y}
    axes = {
        axis: house
        | own.get(axis, {})
        | {"title": {"text": safe(text) if text else "", "standoff": 8, "font": {"size": 13}}}
        for axis, text in titles.items()
    }
    if chart.log and chart.kind != "heat":
        axes[value_axis] |= {"type": "log", "dtick": 1}
    return axes
