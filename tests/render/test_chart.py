"""Charts: plotly itself checks every figure, and the table beside it holds every number."""

from __future__ import annotations

import json
import math

import pytest
from render_samples import HOSTILE, hostile, six_charts

from workbench.evidence import Chart, Series
from workbench.render import chart as drawing

KINDS = {one.kind: one for one in six_charts()}
EVIL = [detail for finding in hostile().findings for detail in finding.details if isinstance(detail, Chart)]


@pytest.mark.parametrize("chart", [*KINDS.values(), *EVIL], ids=lambda chart: chart.kind)
def test_plotly_accepts_the_figure(chart: Chart) -> None:
    """`graph_objects` refuses any property or value that plotly does not know."""
    figure = drawing.draw(chart)
    assert len(figure.data) >= 1
    json.dumps(drawing.figure(chart), allow_nan=False)


@pytest.mark.parametrize("kind", KINDS)
def test_axes_and_title_say_what_is_shown(kind: str) -> None:
    chart = KINDS[kind]
    text = json.dumps(drawing.figure(chart))
    assert all(json.dumps(word)[1:-1] in text for word in (chart.title, chart.x, chart.y))


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_holds_every_number(kind: str) -> None:
    chart = KINDS[kind]
    cells = {cell for row in drawing.table(chart).rows for cell in row}
    for series in chart.series:
        assert set(series.y) <= cells
        assert set(series.x) <= cells
        assert set(series.low) <= cells
        assert set(series.high) <= cells


def test_whiskers_end_where_the_interval_ends() -> None:
    series = Series(name="a", x=("g", "h"), y=(0.5, 0.6), low=(0.4, 0.5), high=(0.7, 0.9))
    trace = drawing.figure(Chart(kind="interval", title="t", x="x", y="y", series=(series,)))["data"][0]
    assert trace["error_x"]["array"] == pytest.approx([0.2, 0.3])
    assert trace["error_x"]["arrayminus"] == pytest.approx([0.1, 0.1])


def test_names_that_are_equal_stay_two() -> None:
    series = Series(name="a", x=("age", "age", ""), y=(1.0, 2.0, 3.0))
    for kind in ("bar", "line", "interval", "heat"):
        chart = Chart(kind=kind, title="t", x="column", y="y", series=(series,))
        assert len(drawing.table(chart).rows) == 3
        axis = drawing.figure(chart)["layout"]["yaxis" if kind == "interval" else "xaxis"]
        assert axis["ticktext"] == ["age", "age", "(empty)"]


def test_what_is_not_finite_is_a_gap() -> None:
    series = Series(name="a", x=(math.nan, 1.0, math.inf), y=(math.nan, math.inf, None), low=(0.0, 0.0, None))
    for kind in ("bar", "line", "scatter", "hist", "interval", "heat"):
        json.dumps(drawing.figure(Chart(kind=kind, title="t", x="x", y="y", series=(series,))), allow_nan=False)


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_chart_is_drawn_empty(kind: str) -> None:
    for series in ((), (Series(name="a", x=(), y=()),)):
        chart = Chart(kind=kind, title="t", x="x", y="y", series=series)
        drawing.draw(chart)
        assert drawing.table(chart).rows == ()


def test_legacy_and_candidate_differ_without_colour() -> None:
    for kind in ("line", "scatter", "interval"):
        roles = (Series(name=role, role=role, x=(1.0,), y=(1.0,)) for role in ("legacy", "candidate"))
        old, new = drawing.figure(Chart(kind=kind, title="t", x="x", y="y", series=tuple(roles)))["data"]
        assert old["marker"]["symbol"].endswith("-open")
        assert not new["marker"]["symbol"].endswith("-open")


def test_a_thinned_cloud_says_so() -> None:
    many = tuple(float(at) for at in range(10_000))
    chart = Chart(kind="scatter", title="cloud", x="x", y="y", series=(Series(name="a", x=many, y=many),))
    figure = drawing.figure(chart)
    assert len(figure["data"][0]["x"]) <= drawing.MOST_POINTS
    assert f"{len(figure['data'][0]['x']):,} of 10,000 points" in figure["layout"]["title"]["text"]


def test_markup_and_tex_are_defused() -> None:
    assert [drawing.safe(text) for text in ("<b>$x$</b>", "var(--c-ink)")] == [
        "&lt;b&gt;&#36;x&#36;&lt;/b&gt;",
        "var&#40;--c-ink)",
    ]
    assert not any("<" in drawing.safe(text) or "$" in drawing.safe(text) for text in HOSTILE)
