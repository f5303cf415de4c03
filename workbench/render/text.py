"""Evidence as lines of text, for a terminal, a log, or a notebook that shows no HTML."""

from __future__ import annotations

from typing import NamedTuple

from workbench.evidence import Evidence, Finding, Status, ordered
from workbench.render import words

SIGNS = {
    Status.FAIL: "✗",
    Status.ERROR: "■",
    Status.ABSENT: "○",
    Status.MANUAL: "☐",
    Status.WARN: "!",
    Status.PASS: "✓",
    Status.INFO: "·",
}
"""Status as a sign beside its word, for those who see no colour."""


defaults = words.defaults


class Line(NamedTuple):
    """A line, and the status that may colour it. The text is data: print it without markup."""

    text: str
    status: Status | None = None


def lines(evidence: Evidence, *, full: bool = False) -> list[str]:
    """The evidence as plain lines: verdict, then findings worst first. full: with why and how to fix."""
    return [line.text for line in marked(evidence, full=full)]


def marked(evidence: Evidence, *, full: bool = False) -> list[Line]:
    """The same lines, each with its status."""
    found = evidence.verdict
    made = [Line(f"{words.plain(evidence.audit)}: {words.plain(evidence.question)}".rstrip(": "))]
    made.append(Line(found.sentence, found.status))
    if found.defaults:
        made.append(Line(words.defaults(found.defaults, found.limits)))
    for finding in ordered(evidence.findings):
        made += _finding(finding, full)
    return made


def _finding(finding: Finding, full: bool) -> list[Line]:
    status = finding.status
    title = words.short(words.plain(finding.title), 160)
    subject = f" [{words.short(words.plain(finding.subject), 80)}]" if finding.subject else ""
    made = [Line(f"{SIGNS[status]} {words.STATUS[status]}: {title}{subject}", status)]
    made += [Line(f"    {text}") for text in (_numbers(finding), words.plain(finding.reason)) if text]
    if full or status is Status.FAIL:
        made += [Line(f"    {name}: {words.plain(text)}") for name, text in _advice(finding, full) if text]
    return made


def _advice(finding: Finding, full: bool) -> list[tuple[str, str]]:
    fix = ("fix", finding.fix)
    return [("why", finding.why), fix, ("id", finding.key)] if full else [fix]


def _numbers(finding: Finding) -> str:
    """ "+0.040 (0.021 to 0.059), limit 0.05, Risk policy 4.2; legacy 0.027, candidate 0.067" """
    if finding.shown is None:
        return ""
    change = words.is_change(finding)
    between = words.interval(finding.shown, change)
    judged = words.shown(finding) + (f" ({between})" if between else "")
    limit = words.limit(finding.limit, finding.shown.unit, change)
    pair = [
        f"{name} {words.measure(measure)}"
        for name, measure in (("legacy", finding.legacy), ("candidate", finding.candidate))
        if measure is not None and measure is not finding.shown
    ]
    parts = [", ".join(part for part in (judged, limit) if part), ", ".join(pair)]
    return "; ".join(part for part in parts if part).replace(words.SPACE, " ")
