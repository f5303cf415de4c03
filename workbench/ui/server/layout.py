"""Evidence laid out for JupyterLab: the report's own groups, rows, words and pair plots as plain JSON.

So the panel says a number as the report says it, and no number is put into words twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from workbench.evidence import Chart, Evidence, Finding
from workbench.render import chart, view


def groups(evidence: Evidence) -> list[dict[str, Any]]:
    """The findings by status, worst first: `groups` of `EvidenceView` in the OpenAPI file."""
    laid = [(finding, view.row(finding, "", evidence.audit)) for finding in evidence.findings]
    told = {id(row): _told(finding, row) for finding, row in laid}
    return [
        {
            "status": group.status,
            "title": group.title,
            "total": group.total,
            "rows": [told[id(row)] for row in group.rows],
        }
        for group in view.groups(row for _, row in laid)
    ]


def row(finding: Finding, audit: str) -> dict[str, Any]:
    """One finding: `Row` in the OpenAPI file."""
    return _told(finding, view.row(finding, "", audit))


def _told(finding: Finding, laid: view.Row) -> dict[str, Any]:
    charts = (detail for detail in finding.details if isinstance(detail, Chart))
    details = [_detail(kind, part, charts) for kind, part in laid.details]
    return asdict(laid) | {"key": finding.key, "id": finding.id, "details": details}


def _detail(kind: str, laid: Any, charts: Iterator[Chart]) -> dict[str, Any]:
    if kind == "chart":
        # The report's figure names colours of its own page; Lab's paper is light or dark as the person likes.
        figure = chart.figure(next(charts), titled=False)
        return {"type": kind, "title": laid.title, "figure": figure, "grid": asdict(laid.numbers)}
    if kind == "table":
        return {"type": kind, "title": laid.title, "grid": asdict(laid)}
    if kind == "text":
        title, prose = laid
        return {"type": kind, "title": title, "prose": [asdict(part) for part in prose]}
    return {"type": kind, "title": laid}
