"""Notebook cells: small, static where they must be, and the same words as everywhere."""

from __future__ import annotations

import json

import nbformat
import pytest
from nbconvert import HTMLExporter
from render_samples import HOSTILE, bias, hostile

from workbench.render import charts, show
from workbench.render.notebook import PLOTLY, ShownChart


def displayed(monkeypatch: pytest.MonkeyPatch, *args: object) -> list[ShownChart]:
    got: list[ShownChart] = []
    monkeypatch.setattr("IPython.display.display", lambda *shown: got.extend(shown))
    charts(*args)  # type: ignore[arg-type]
    return got


def test_a_cell_shows_the_verdict_and_every_finding() -> None:
    bundle = show(bias())._repr_mimebundle_()
    for finding in bias().findings:
        assert finding.title in bundle["text/html"]
        assert finding.title in bundle["text/plain"]
    assert "Not ready: 1 thing blocks go-live." in bundle["text/html"]
    assert "<script" not in bundle["text/html"]
    assert len(bundle["text/html"]) < 60_000


def test_styles_stay_in_the_cell() -> None:
    """Every rule is about .wb, so that JupyterLab keeps its own look."""
    html = show(bias())._repr_html_()
    style = html[html.index("<style>") + 7 : html.index("</style>")]
    for rule in style.split("}"):
        selectors = rule.rsplit("{", 1)[0].rsplit("{", 1)[-1]
        assert all(".wb" in one or one.strip().startswith("@") or not one.strip() for one in selectors.split(",")), rule


def test_charts_are_plotly_data_with_a_table_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = displayed(monkeypatch, bias())
    assert len(shown) == 6
    for one in shown:
        bundle = one._repr_mimebundle_()
        assert json.loads(json.dumps(bundle[PLOTLY], allow_nan=False))["data"]
        assert "<table>" in bundle["text/html"]
        assert len(json.dumps(bundle)) < 80_000, "plotly.js does not travel in the cell"


def test_charts_of_one_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(displayed(monkeypatch, bias(), "bias/equal-opportunity-gap")) == 6
    assert len(displayed(monkeypatch, bias(), "bias/equal-opportunity-gap[sex]")) == 6
    assert displayed(monkeypatch, bias(), "bias/small-group") == []


def test_an_html_export_shows_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without JupyterLab's plotly renderer the table stands in: nothing is lost offline."""
    outputs = [
        nbformat.v4.new_output("display_data", data=one._repr_mimebundle_())
        for one in (show(bias()), *displayed(monkeypatch, bias()))
    ]
    cell = nbformat.v4.new_code_cell("show(evidence)", outputs=outputs)
    notebook = nbformat.v4.new_notebook(cells=[cell])
    nbformat.validate(notebook)
    html, _ = HTMLExporter(exclude_input=True).from_notebook_node(notebook)
    assert "Women who would repay" in html
    assert html.count("<table>") >= 6


def test_hostile_names_stay_text_in_a_cell() -> None:
    html = show(hostile())._repr_html_()
    assert "<img" not in html
    assert "<script" not in html
    assert "&lt;img src=x onerror=alert(1)&gt;" in html
    assert HOSTILE[4] in html
