"""The model card: what was moved, how it was judged, what nobody looked at, in Markdown for people.

Sections after Mitchell et al., "Model Cards for Model Reporting" (2019), as far as the evidence answers them.
"""

from __future__ import annotations

from collections.abc import Sequence

from workbench.evidence import Evidence, Status, verdict
from workbench.ledger.decisions import Gate
from workbench.migration import Migration


def model_card(migration: Migration, evidences: Sequence[Evidence], gate: Gate) -> str:
    findings = [finding for one in evidences for finding in one.findings]
    task = migration.task
    lines = [
        f"# Model card: {_plain(migration.name)}",
        "",
        verdict(findings).sentence,
        f"Sign-off: {_plain(gate.sentence)}",
        "",
        "## What it is",
        f"- Task: {task.kind}, predicts `{_plain(task.target)}`"
        + (f", selected from {task.threshold} on" if task.kind == "binary" else ""),
        f"- Moved from: `{_plain(migration.legacy.uri)}`",
        f"- Watched for unequal treatment: {_plain(', '.join(migration.roles.protected)) or 'nothing declared'}",
        "",
        "## What was judged",
        *(f"- **{_plain(one.question or one.audit)}** {one.verdict.sentence}" for one in evidences),
    ]
    for status, title in (
        (Status.FAIL, "What stands in the way"),
        (Status.ERROR, "What broke"),
        (Status.ABSENT, "What was not assessed"),
        (Status.WARN, "Warnings"),
    ):
        told = [finding for finding in findings if finding.status is status]
        lines += ["", f"## {title}"] if told else []
        lines += [f"- {_plain(finding.title)} {_plain(finding.reason)}".rstrip() for finding in told]
    lines += ["", "## What it rests on"]
    rests = {f"{name}: `{sha}`" for one in evidences for name, sha in one.subjects.items()}
    return "\n".join([*lines, *(f"- {_plain(text)}" for text in sorted(rests)), ""])


def _plain(text: str) -> str:
    """Names come from data and files: no line breaks, no markup."""
    return " ".join(text.split()).replace("<", "&lt;").replace("[", "\\[")
