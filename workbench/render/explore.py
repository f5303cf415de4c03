"""Figures that somebody asks for in a cell, drawn as findings are: the pair as a picture, its numbers as a table."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.evidence import Finding, Table
from workbench.render import place, view


def explored(title: str, findings: Sequence[Finding] = (), tables: Sequence[Table] = (), note: str = "") -> str:
    """HTML for a cell. Every text of the data stays text."""
    rows = [view.row(finding, "", finding.id.split("/")[0]) for finding in findings]
    grids = [view.grid(table) for table in tables if table.rows]
    template = place.environment().get_template("explore.html.j2")
    return template.render(title=title, rows=rows, grids=grids, note=view.prose(note))
