"""Findings as OSCAL assessment results (NIST, version 1.1.3): https://pages.nist.gov/OSCAL-Reference/

Every finding is an observation with its evidence file; what was to be judged is a finding of its own. Only what passed
is "satisfied": a warning is not proof, and neither is what nobody looked at. A failure or a warning is a risk, open, or
with an approved deviation where a waiver covers it. The assessment plan is migration.yaml: it holds the limits.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from workbench import __version__, ledger
from workbench.emit.story import HOME, Story, Told, utc, uuid_of
from workbench.evidence import Finding, Status
from workbench.migration import FILE

Plain = dict[str, object]
OSCAL = "1.1.3"
_REASONS = {Status.PASS: "pass", Status.FAIL: "fail"}
_RISKY = (Status.FAIL, Status.WARN)
_METHODS = {Status.MANUAL: "INTERVIEW"}


def assessment(story: Story) -> bytes:
    """As JSON."""
    return json.dumps({"assessment-results": _results(story)}, indent=1, ensure_ascii=False).encode() + b"\n"


def _results(story: Story) -> Plain:
    plan = uuid_of("plan", story.name, story.run.id)
    return {
        "uuid": uuid_of("oscal", story.name, story.run.id, story.checkpoint),
        "metadata": {
            "title": f"{_line(story.name)}: migration evidence",
            "last-modified": utc(story.finished),
            "version": story.run.id,
            "oscal-version": OSCAL,
            "props": [_prop("workbench", __version__)],
            "roles": [{"id": "assessor", "title": "Assessor"}],
            "parties": [{"uuid": uuid_of("assessor"), "type": "organization", "name": "Migration Workbench"}],
        },
        "import-ap": {"href": f"#{plan}"},
        "results": [_result(story)],
        "back-matter": {"resources": [_plan(story, plan), *(_resource(story, one) for one in story.told)]},
    }


def _result(story: Story) -> Plain:
    started = min((one.asked.started for one in story.told), default=story.finished)
    pairs = [(one, finding) for one in story.told for finding in one.counted.findings]
    judged = [(one, finding) for one, finding in pairs if finding.status is not Status.INFO]
    found: Plain = {
        "uuid": uuid_of("result", story.name, story.run.id),
        "title": f"Run {story.run.id}",
        "description": _line(f"{story.gate.sentence} {_silent(story)}"),
        "start": utc(started),
        "end": utc(story.finished),
        "props": [_prop("ledger-checkpoint", story.checkpoint)] if story.checkpoint else [],
        "reviewed-controls": {"control-selections": [{"description": "Every limit of the plan", "include-all": {}}]},
        "observations": [_observation(story, one, finding) for one, finding in pairs],
        "risks": list(_risks(story, judged)),
        "findings": [_finding(story, one, finding) for one, finding in judged],
    }
    # OSCAL knows no empty lists: what is not there is left out.
    return {name: value for name, value in found.items() if value != []}


def _silent(story: Story) -> str:
    return f"Without evidence: {', '.join(story.silent)}." if story.silent else "Every question has evidence."


def _observation(story: Story, told: Told, finding: Finding) -> Plain:
    return {
        "uuid": _id("observation", story, finding),
        "title": _line(finding.title),
        "description": _line(f"{finding.key}: {finding.status}. {finding.reason}"),
        "methods": [_METHODS.get(finding.status, "TEST")],
        "types": ["finding"],
        "relevant-evidence": [
            {"href": f"#{_resource_id(story, told)}", "description": f"Evidence of {told.counted.audit}"}
        ],
        "collected": utc(told.asked.started),
    }


def _finding(story: Story, told: Told, finding: Finding) -> Plain:
    passed = finding.status is Status.PASS
    waived = finding.key in told.waived
    status: Plain = {"state": "satisfied" if passed else "not-satisfied"}
    status["reason"] = _REASONS.get(finding.status, "other")
    if not passed:
        status["remarks"] = _line(f"{finding.status}{', waived' if waived else ''}. {finding.reason}")
    made: Plain = {
        "uuid": _id("finding", story, finding),
        "title": _line(finding.title),
        "description": _line(finding.why or finding.title),
        "target": {"type": "objective-id", "target-id": finding.id.replace("/", "."), "status": status},
        "related-observations": [{"observation-uuid": _id("observation", story, finding)}],
    }
    if finding.subject:
        made["target"] |= {"title": _line(finding.subject)}  # type: ignore[operator]
    if finding.status in _RISKY:
        made["related-risks"] = [{"risk-uuid": _id("risk", story, finding)}]
    return made


def _risks(story: Story, judged: Iterable[tuple[Told, Finding]]) -> Iterator[Plain]:
    for told, finding in judged:
        if finding.status in _RISKY:
            yield {
                "uuid": _id("risk", story, finding),
                "title": _line(finding.title),
                "description": _line(finding.why or finding.title),
                "statement": _line(finding.reason or finding.fix or finding.title),
                "status": "deviation-approved" if finding.key in told.waived else "open",
                "related-observations": [{"observation-uuid": _id("observation", story, finding)}],
            }


def _plan(story: Story, plan: str) -> Plain:
    made: Plain = {"uuid": plan, "title": "What was to be shown, and within which limits", "rlinks": [{"href": FILE}]}
    if story.migration.file:
        made["rlinks"] = [{"href": FILE, "hashes": [_sha(ledger.criteria(story.migration))]}]
    return made


def _resource(story: Story, told: Told) -> Plain:
    return {
        "uuid": _resource_id(story, told),
        "title": f"Evidence of {told.counted.audit}",
        "rlinks": [{"href": told.path, "media-type": "application/json", "hashes": [_sha(told.sha256)]}],
    }


def _resource_id(story: Story, told: Told) -> str:
    return uuid_of("evidence", story.name, told.path, told.sha256)


def _id(kind: str, story: Story, finding: Finding) -> str:
    return uuid_of(kind, story.name, story.run.id, finding.key)


def _sha(sha256: str) -> Plain:
    return {"algorithm": "SHA-256", "value": sha256}


def _prop(name: str, value: str) -> Plain:
    return {"name": name, "ns": HOME, "value": value}


def _line(text: str) -> str:
    """OSCAL's markup-line: no line breaks, no markup."""
    return " ".join(text.split()).replace("<", "&lt;").replace("*", "\\*") or "none"
