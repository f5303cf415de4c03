"""Findings as JUnit XML, which CI systems show: one suite an audit, one case a finding that has something to judge.

    fail -> failure, error -> error, absent and manual -> skipped with the reason; a warning passes and says so in
    system-out, as does a waived finding, with who let it pass; what only informs is no case.

There is no standard: elements and attributes are those that Jenkins, GitLab and pytest agree on
(https://github.com/testmoapp/junitxml).
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Mapping

from workbench.evidence import Evidence, Finding, Status
from workbench.render.words import interval, measure
from workbench.render.words import limit as limit_in_words

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, not even escaped."""
_OUTCOME = {
    Status.FAIL: "failure",
    Status.ERROR: "error",
    Status.ABSENT: "skipped",
    Status.MANUAL: "skipped",
}


def xml(name: str, evidences: Iterable[Evidence], silent: Mapping[str, str] | None = None) -> bytes:
    """evidences: as they count, waivers applied. silent: audits without evidence, {name: question}."""
    suites = [_suite(one) for one in evidences] + [_silent(*one) for one in (silent or {}).items()]
    root = ET.Element("testsuites", {"name": _text(name)} | _sums(suites))
    root.extend(suites)
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _suite(evidence: Evidence) -> ET.Element:
    judged = [finding for finding in evidence.findings if finding.status is not Status.INFO]
    suite = ET.Element("testsuite", {"name": evidence.audit, "timestamp": f"{evidence.started:%Y-%m-%dT%H:%M:%S}"})
    properties = ET.SubElement(suite, "properties")
    facts = {"question": evidence.question, "verdict": evidence.verdict.sentence}
    facts |= {f"sha256 of {name}": sha for name, sha in evidence.subjects.items()}
    for name, value in facts.items():
        ET.SubElement(properties, "property", {"name": _text(name), "value": _text(value)})
    suite.extend(_case(evidence.audit, finding) for finding in judged)
    suite.attrib |= _counts(judged) | {"time": f"{evidence.seconds:.3f}"}
    return suite


def _silent(name: str, question: str) -> ET.Element:
    suite = ET.Element("testsuite", {"name": name, "tests": "1", "failures": "0", "errors": "0", "skipped": "1"})
    case = ET.SubElement(suite, "testcase", {"classname": name, "name": _text(question or name), "time": "0"})
    ET.SubElement(case, "skipped", {"message": "not assessed: it has not run"})
    suite.set("time", "0.000")
    return suite


def _case(audit: str, finding: Finding) -> ET.Element:
    case = ET.Element("testcase", {"classname": audit, "name": _text(finding.key), "time": "0"})
    said = _said(finding)
    if outcome := _OUTCOME.get(finding.status):
        told = ET.SubElement(case, outcome, {"message": _text(finding.reason or finding.title)})
        if outcome != "skipped":
            told.set("type", str(finding.status))
        told.text = _text(said)
    elif finding.status is Status.WARN:
        ET.SubElement(case, "system-out").text = _text(f"warning: {said}")
    return case


def _said(finding: Finding) -> str:
    """Title, number against limit, and what to do."""
    shown = finding.shown
    number = f"{measure(shown)} {interval(shown)}".strip() if shown else ""
    limit = limit_in_words(finding.limit, shown.unit if shown else "", finding.judged == "change")
    lines = (finding.title, number and f"{number}; accepted: {limit or 'no limit'}", finding.reason, finding.fix)
    return "\n".join(line for line in lines if line)


def _counts(findings: Iterable[Finding]) -> dict[str, str]:
    kinds = Counter(_OUTCOME.get(finding.status, "passed") for finding in findings)
    return {
        "tests": str(kinds.total()), "failures": str(kinds["failure"]), "errors": str(kinds["error"]),
        "skipped": str(kinds["skipped"]),
    }  # fmt: skip


def _sums(suites: Iterable[ET.Element]) -> dict[str, str]:
    total: Counter[str] = Counter()
    seconds = 0.0
    for suite in suites:
        total.update({name: int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")})
        seconds += float(suite.get("time", "0"))
    return {name: str(n) for name, n in total.items()} | {"time": f"{seconds:.3f}"}


def _text(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
