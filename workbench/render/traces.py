"""The six kinds of chart as plotly traces: names to positions, roles to colours, intervals to whiskers.

Legacy and candidate differ in more than colour: hollow or dashed is legacy, filled or solid is the candidate.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.evidence import Chart, Series
from workbench.render import words

Figure = dict[str, Any]
MOST_POINTS = 4000
"""Points of one series drawn at most; the rest is left out evenly, and the title says so."""

_DASHES = ("dot", "solid", "dashdot", "longdash", "dash")
_SYMBOLS = ("square", "diamond", "triangle-up", "cross", "x")
_LONG_NAME = 24
_DATE = re.compile(r"^\d{4}-\d\d(-\d\d)?")


@dataclass(frozen=True)
class _Style:
    """How a series looks, by its role."""

    color: str
    dash: str
    symbol: str
    hollow: bool


Key = tuple[float | str, int]


def keys(values: Iterable[float | str]) -> list[Key]:
    """Values made distinct by how often they were seen before: two columns of one name stay two."""
    seen: dict[float | str, int] = {}
    keys = []
    for value in values:
        seen[value] = seen.get(value, -1) + 1
        keys.append((value, seen[value]))
    return keys


def names_of(series: Iterable[Series]) -> list[Key]:
    return list(dict.fromkeys(key for one in series for key in keys(one.x)))


def safe(text: str, most: int = 120) -> str:
    """Text that plotly draws as it is: its small HTML, TeX, and our names of colours are defused."""
    escaped = html.escape(words.short(words.plain(text), most), quote=False)
    return escaped.replace("$", "&#36;").replace("var(", "var&#40;")


def _style(chart: Chart, at: int, colors: dict[str, str]) -> _Style:
    role = chart.series[at].role
    if role == "other":
        nth = sum(series.role == "other" for series in chart.series[:at]) % len(_DASHES)
        return _Style(colors[f"other-{nth}"], _DASHES[nth], _SYMBOLS[nth], False)
    dash = {"legacy": "dash", "candidate": "solid", "change": "dot"}[role]
    return _Style(colors[role], dash, "diamond" if role == "change" else "circle", role == "legacy")


def step(points: int) -> int:
    """One in how many points is drawn."""
    return max(math.ceil(points / MOST_POINTS), 1)


def _clean(values: Iterable[float | None]) -> list[float | None]:
    """Six digits are more than a pixel; what is not finite is a gap."""
    return [float(f"{value:.6g}") if value is not None and math.isfinite(value) else None for value in values]


def _whiskers(series: Series) -> Figure | None:
    """Plotly wants distances from the value."""
    if not (series.low or series.high):
        return None
    values = series.y
    lows, highs = series.low or values, series.high or values
    up = [_distance(high, y) for y, high in zip(values, highs, strict=False)]
    down = [_distance(y, low) for y, low in zip(values, lows, strict=False)]
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 1.6, "width": 4}


def _distance(high: float | None, low: float | None) -> float:
    if high is None or low is None or not math.isfinite(high - low):
        return 0.0
    return max(float(f"{high - low:.6g}"), 0.0)


def _ticks(names: Sequence[Key]) -> Figure:
    """Names by position, so that equal, empty and number-like names stay what they are."""
    texts = [safe(str(name), _LONG_NAME) for name, _ in names]
    return {"tickmode": "array", "tickvals": list(range(len(names))), "ticktext": texts}


def _categorical(chart: Chart) -> bool:
    return any(isinstance(value, str) for series in chart.series for value in series.x)


def _dates(chart: Chart) -> bool:
    values = [value for series in chart.series for value in series.x]
    return bool(values) and all(isinstance(value, str) and _DATE.match(value) for value in values)


def _bar(chart: Chart, colors: dict[str, str]) -> tuple[list[Figure], Figure]:
    names = names_of(chart.series)
    longest = max((len(str(name)) for name, _ in names), default=0)
    lying = _categorical(chart) and (len(names) > 8 or longest > 12)
    where = {key: at for at, key in enumerate(names)}
    traces = []
    for at, series in enumerate(chart.series):
        place = [where[key] for key in keys(series.x)]
        traces.append(_bar_trace(series, _style(chart, at, colors), place, lying, colors["ink"]))
    name_axis = _ticks(names) | {"showgrid": False, "zeroline": False}
    own: Figure = {"barmode": "group", "bargap": 0.25, "bargroupgap": 0.08, "lying": lying}
    if lying:
        own["height"] = _tall(len(names), len(chart.series))
        name_axis |= {"autorange": "reversed"}
    own["yaxis" if lying else "xaxis"] = name_axis
    return traces, own


def _bar_trace(series: Series, style: _Style, place: list[int], lying: bool, ink: str) -> Figure:
    values, texts = _clean(series.y), [safe(str(x)) for x in series.x]
    trace: Figure = {"type": "bar", "name": safe(series.name, 60), "hovertext": texts, "hoverinfo": "text+name+x+y"}
    trace |= {"x": values, "y": place, "orientation": "h"} if lying else {"x": place, "y": values}
    trace["hovertemplate"] = "%{hovertext}: %{" + ("x" if lying else "y") + ":.4~g}"
    trace["marker"] = _fill(style)
    whiskers = _whiskers(series)
    if whiskers:
        trace["error_x" if lying else "error_y"] = whiskers | {"color": ink}
    return trace


def _fill(style: _Style) -> Figure:
    """Hollow for legacy: an outline with a light fill; solid for the rest."""
    line = {"color": style.color, "width": 1.4}
    return {"color": style.color, "opacity": 1.0, "line": line} | (
        {"pattern": {"shape": "/", "fgcolor": style.color, "bgcolor": "rgba(0,0,0,0)", "size": 5, "solidity": 0.25}}
        if style.hollow
        else {}
    )


def _tall(names: int, series: int) -> int:
    return int(min(110 + names * (14 + 11 * min(series, 4)), 1600))


def _points(chart: Chart, colors: dict[str, str], mode: str) -> tuple[list[Figure], Figure]:
    by_name = _categorical(chart) and not _dates(chart)
    names = names_of(chart.series) if by_name else []
    where = {key: at for at, key in enumerate(names)}
    traces = []
    for at, series in enumerate(chart.series):
        x = [where[key] for key in keys(series.x)] if by_name else list(series.x)
        traces.append(_point_trace(series, _style(chart, at, colors), x, mode))
    return traces, {"xaxis": _ticks(names) if by_name else {"type": "date" if _dates(chart) else "linear"}}


def _point_trace(series: Series, style: _Style, x: list[Any], mode: str) -> Figure:
    every = step(len(x))
    few = len(x) <= 40
    trace: Figure = {
        "type": "scatter",
        "mode": "lines+markers" if mode == "lines" and few else mode,
        "name": safe(series.name, 60),
        "x": x[::every],
        "y": _clean(series.y[::every]),
        "line": {"color": style.color, "width": 2, "dash": style.dash},
        "marker": _marker(style, 7 if few else 5),
        "hovertemplate": "%{y:.4~g}",
    }
    whiskers = _whiskers(series)
    if whiskers and every == 1:
        trace["error_y"] = whiskers | {"color": style.color}
    return trace


def _marker(style: _Style, size: int) -> Figure:
    symbol = f"{style.symbol}-open" if style.hollow else style.symbol
    return {"symbol": symbol, "size": size, "color": style.color, "line": {"width": 1.6 if style.hollow else 0}}


def _line(chart: Chart, colors: dict[str, str]) -> tuple[list[Figure], Figure]:
    return _points(chart, colors, "lines")


def _scatter(chart: Chart, colors: dict[str, str]) -> tuple[list[Figure], Figure]:
    traces, own = _points(chart, colors, "markers")
    return [trace | {"opacity": 0.75} for trace in traces], own


def _interval(chart: Chart, colors: dict[str, str]) -> tuple[list[Figure], Figure]:
    """Names down the side, values along the bottom; series of one name lie beside each other."""
    names = names_of(chart.series)
    where = {key: at for at, key in enumerate(names)}
    traces = []
    for at, series in enumerate(chart.series):
        style = _style(chart, at, colors)
        aside = (at - (len(chart.series) - 1) / 2) * min(0.24, 0.7 / len(chart.series))
        trace: Figure = {
            "type": "scatter",
            "mode": "markers",
            "name": safe(series.name, 60),
            "x": _clean(series.y),
            "y": [round(where[key] + aside, 3) for key in keys(series.x)],
            "hovertext": [safe(str(x)) for x in series.x],
            "hovertemplate": "%{hovertext}: %{x:.4~g}",
            "marker": _marker(style, 9),
        }
        whiskers = _whiskers(series)
        traces.append(trace | ({"error_x": whiskers | {"color": style.color}} if whiskers else {}))
    side = _ticks(names) | {"autorange": "reversed", "showgrid": False, "zeroline": False}
    return traces, {"lying": True, "height": _tall(len(names), len(chart.series)), "yaxis": side}


def _heat(chart: Chart, colors: dict[str, str]) -> tuple[list[Figure], Figure]:
    """One row of the map per series; white is zero where values have both signs."""
    names = names_of(chart.series)
    where = {key: at for at, key in enumerate(names)}
    rows: list[list[float | None]] = []
    for series in chart.series:
        row: list[float | None] = [None] * len(names)
        for key, value in zip(keys(series.x), _clean(series.y), strict=False):
            row[where[key]] = value
        rows.append(row)
    trace: Figure = {"type": "heatmap", "z": rows, "xgap": 1, "ygap": 1} | _shades(rows, colors)
    trace["colorbar"] = {
        "thickness": 12,
        "outlinewidth": 0,
        "title": {"text": safe(chart.y, 40), "side": "right", "font": {"size": 13}},
    }
    trace["hovertemplate"] = "%{z:.4~g}<extra></extra>"
    if sum(map(len, rows)) <= 150:
        trace["texttemplate"] = "%{z:.3~g}"
    side = _ticks([(series.name, 0) for series in chart.series]) | {"autorange": "reversed", "showgrid": False}
    own = {"xaxis": _ticks(names) | {"showgrid": False}, "yaxis": side, "height": max(260, 130 + 30 * len(rows))}
    return [trace], own


def _shades(rows: list[list[float | None]], colors: dict[str, str]) -> Figure:
    seen = [value for row in rows for value in row if value is not None]
    if seen and min(seen) < 0 < max(seen):
        return {"colorscale": [[0, colors["warm"]], [0.5, colors["zero"]], [1, colors["cold"]]], "zmid": 0}
    return {"colorscale": [[0, colors["zero"]], [1, colors["cold"]]]}


def _hist(chart: Chart, colors: dict[str, str]) -> tuple[list[Figure], Figure]:
    """Overlaid steps: the candidate filled, the legacy an outline on top of it."""
    if _categorical(chart):
        return _bar(chart, colors)
    traces = []
    for at, series in enumerate(chart.series):
        style = _style(chart, at, colors)
        trace: Figure = {"type": "bar", "name": safe(series.name, 60), "x": list(series.x), "y": _clean(series.y)}
        trace["marker"] = _outline(style) if style.hollow else _fill(style) | {"opacity": 0.5}
        trace["hovertemplate"] = "%{x:.4~g}: %{y:.4~g}"
        traces.append(trace)
    # Drawn last, the outline stays visible; the legend keeps the order of the evidence.
    ranked = [trace | {"legendrank": at} for at, trace in enumerate(traces)]
    ranked.sort(key=lambda trace: trace["marker"]["color"] == _CLEAR)
    return ranked, {"barmode": "overlay", "bargap": 0.03, "xaxis": {"type": "linear", "showgrid": False}}


_CLEAR = "rgba(0,0,0,0)"


def _outline(style: _Style) -> Figure:
    return {"color": _CLEAR, "line": {"color": style.color, "width": 1.8}}


KINDS: dict[str, Callable[[Chart, dict[str, str]], tuple[list[Figure], Figure]]] = {
    "bar": _bar,
    "line": _line,
    "scatter": _scatter,
    "interval": _interval,
    "heat": _heat,
    "hist": _hist,
}
