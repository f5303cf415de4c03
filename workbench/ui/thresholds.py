"""The threshold explorer in a cell: a slider where somebody can use it, else the task's own threshold."""

from __future__ import annotations

from typing import Any

from workbench.evidence import Cell, Evidence, Table
from workbench.ui.explore import cell
from workbench.ui.listing import Listing

FINDING = "bias/thresholds"
BY = "By threshold, "
Curve = dict[float, dict[str, float]]


class Explorer(cell.Cell):
    """Figures of both models at any threshold, by attribute; all of them are stored in the evidence."""

    def __init__(self, evidence: Evidence, own: float, *, interactive: bool) -> None:
        self.interactive = interactive
        self.curves = {
            finding.subject: {
                table.title.removeprefix(BY): _curve(table)
                for table in finding.details
                if isinstance(table, Table) and table.title.startswith(BY)
            }
            for finding in evidence.findings
            if finding.id == FINDING
        }
        known = [at for curves in self.curves.values() for curve in curves.values() for at in curve]
        # What is stored may be of another threshold than today's.
        self.own = min(known, key=lambda at: abs(at - own), default=own)

    def at(self, attribute: str, threshold: float) -> Listing:
        """Accuracy, selection rate and gaps of each model at one of the thresholds."""
        curves = self.curves[attribute]
        figures = [name for name in next(iter(curves.values()))[threshold] if name != "threshold"]
        rows: tuple[tuple[Cell, ...], ...] = tuple(
            (name.replace("_", " "), *(curve[threshold][name] for curve in curves.values())) for name in figures
        )
        units = ("", *["share"] * len(curves))
        title = f"{attribute}: selected from a score of {threshold:g} on"
        return Listing(Table(title=title, columns=("figure", *curves), rows=rows, units=units))

    def __repr__(self) -> str:
        if not self.curves:
            return "There are no scores to move a threshold along: the findings above say why."
        return "\n\n".join(repr(self.at(attribute, self.own)) for attribute in self.curves)

    def _repr_html_(self) -> str:
        return "".join(self.at(attribute, self.own)._html() for attribute in self.curves) or repr(self)

    def widget(self) -> Any:
        """A slider over the thresholds, the attribute to look at, and the figures there."""
        import ipywidgets

        first = next(iter(self.curves), None)
        if first is None:
            return ipywidgets.HTML(cell.paragraph(repr(self)))
        thresholds = sorted(next(iter(self.curves[first].values())))
        attribute = ipywidgets.Dropdown(options=list(self.curves), value=first, description="attribute")
        options = [(f"{value:g}", value) for value in thresholds]
        slider = ipywidgets.SelectionSlider(options=options, value=self.own, description="threshold")
        shown = ipywidgets.HTML(self.at(first, self.own)._html())

        def draw(change: object) -> None:
            shown.value = self.at(attribute.value, slider.value)._html()

        for control in (attribute, slider):
            control.observe(draw, "value")
        return ipywidgets.VBox([attribute, slider, shown])


def _curve(table: Table) -> Curve:
    lines = [dict(zip(table.columns, row)) for row in table.rows]
    numbers = [{name: float("nan") if cell is None else float(cell) for name, cell in line.items()} for line in lines]
    return {line["threshold"]: line for line in numbers}
