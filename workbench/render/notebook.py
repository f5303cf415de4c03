"""Evidence in a notebook cell: a static picture that needs no script, and charts that JupyterLab makes interactive.

Charts carry the plotly MIME type and, for places without it (an HTML export, a page without scripts), their table:
a few kilobytes each, where plotly.js inside the notebook would be five megabytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from workbench.evidence import Chart, Evidence
from workbench.render import chart, place, view, words
from workbench.render.text import lines

PLOTLY = "application/vnd.plotly.v1+json"


class Shown:
    """What a cell displays for one evidence."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence

    def _repr_html_(self) -> str:
        head, rest = words.split(self.evidence.verdict.sentence)
        rows = view.rows(self.evidence, asked=False)
        return (
            place.environment()
            .get_template("notebook.html.j2")
            .render(evidence=self.evidence, found=self.evidence.verdict, head=head, rest=rest, groups=view.groups(rows))
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"text/html": self._repr_html_(), "text/plain": repr(self)}

    def __repr__(self) -> str:
        return "\n".join(lines(self.evidence))


class ShownChart:
    """What a cell displays for one chart."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart

    def _repr_html_(self) -> str:
        numbers = view.grid(chart.table(self.chart), view.MOST_POINTS)
        return place.environment().get_template("numbers.html.j2").render(numbers=numbers)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        figure = chart.figure(self.chart)
        return {PLOTLY: figure, "text/html": self._repr_html_(), "text/plain": repr(self)}

    def __repr__(self) -> str:
        return f"{self.chart.kind}: {words.plain(self.chart.title)}"


def show(evidence: Evidence) -> Shown:
    """The verdict and the findings, as a cell's result."""
    return Shown(evidence)


def charts(evidence: Evidence, finding: str = "") -> None:
    """Displays the charts of an evidence, or of the findings with one id (or key)."""
    from IPython.display import display

    for detail in _charts(evidence, finding):
        display(ShownChart(detail))  # type: ignore[no-untyped-call]


def _charts(evidence: Evidence, finding: str) -> Iterable[Chart]:
    for one in evidence.findings:
        if finding in ("", one.id, one.key):
            yield from (detail for detail in one.details if isinstance(detail, Chart))
