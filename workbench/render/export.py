"""Findings as CSV for spreadsheets, with cells that a spreadsheet would run made inert."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from workbench.evidence import Evidence, Finding, Measure, ordered

COLUMNS = (
    "audit", "id", "subject", "status", "title", "reason",
    "legacy", "candidate", "change", "change_low", "change_high", "unit",
    "limit", "better", "margin", "set_by", "why", "fix",
)  # fmt: skip

_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def findings_csv(evidences: Iterable[Evidence]) -> str:
    """One line per finding, worst first within each audit. Numbers are numbers; texts never start a formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for evidence in evidences:
        for finding in ordered(evidence.findings):
            writer.writerow([inert(cell) for cell in _line(evidence, finding)])
    return out.getvalue()


def inert(cell: object) -> object:
    """A text that a spreadsheet would take for a formula gets an apostrophe in front (OWASP, CSV injection)."""
    if not isinstance(cell, str):
        return "" if cell is None else cell
    return f"'{cell}" if cell.lstrip(" ").startswith(_STARTS_A_FORMULA) else cell


def _line(evidence: Evidence, finding: Finding) -> list[object]:
    limit = finding.limit
    return [
        evidence.audit, finding.id, finding.subject, str(finding.status), finding.title, finding.reason,
        _value(finding.legacy), _value(finding.candidate), _value(finding.change),
        finding.change.low if finding.change else None, finding.change.high if finding.change else None,
        finding.shown.unit if finding.shown else "",
        limit.value if limit else None, limit.better if limit else "", limit.margin if limit else None,
        limit.set_by if limit else "", finding.why, finding.fix,
    ]  # fmt: skip


def _value(measure: Measure | None) -> float | None:
    return measure.value if measure else None
