"""Evidence as one HTML file: offline, without a script needed to read it, and safe whatever the data is called."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

from workbench.evidence import Evidence, Verdict, verdict
from workbench.render import place, view, words
from workbench.render.review import Bar


@dataclass(frozen=True)
class Chapter:
    """One chapter of the journey. entries: (name, question, evidence), the evidence None where nothing has run."""

    number: int
    title: str
    entries: tuple[tuple[str, str, Evidence | None], ...] = ()


JOURNEY = ("Plan", "Data", "Platform", "Model", "Trust", "Validate")
"""The six chapters, for those who pass none."""

NOT_RUN = "not run yet"


def report(
    title: str,
    evidences: Sequence[Evidence],
    *,
    chapters: Sequence[Chapter] = (),
    run: str = "",
    started: datetime | None = None,
    missing: Mapping[str, str] | None = None,
    facts: Mapping[str, str] | None = None,
    bar: Bar | None = None,
) -> str:
    """The whole migration as one HTML page: verdict, chapters, what blocks, what is not assessed, and the rest.

    chapters: the journey, in order; a chapter or entry without evidence is shown as not assessed.
    missing: why an entry has no evidence, by its name; "not run yet" where nothing is said.
    facts: what else the page rests on, by name. bar: what stands above it for a reviewer; a file has none.
    """
    reasons = dict(missing or {})
    stages = [_stage(chapter, reasons) for chapter in chapters or _empty()]
    rows = [row for evidence in evidences for row in view.rows(evidence)]
    rows += [row for chapter in chapters for row in _unanswered(chapter, reasons)]
    found = verdict(finding for evidence in evidences for finding in evidence.findings)
    gaps = sum(evidence is None for chapter in chapters for _, _, evidence in chapter.entries)
    empty = sum(not chapter.entries for chapter in chapters)
    head, rest = headline(found, gaps, empty)
    rests_on = _facts(evidences) | ({"run": run} if run else {}) | dict(facts or {})
    return _page(
        "report.html.j2", title, rows, head=head, rest=rest, stages=stages, found=found, facts=rests_on, run=run,
        started=started, kicker=title, bar=bar,
    )  # fmt: skip


def page(evidence: Evidence, *, title: str = "", run: str = "", question: str = "", bar: Bar | None = None) -> str:
    """One notebook's evidence as one HTML page, in the same look."""
    head, rest = words.split(evidence.verdict.sentence)
    asked = question or evidence.question
    return _page(
        "evidence.html.j2",
        f"{title or evidence.migration}: {evidence.audit}",
        view.rows(evidence, asked=False),
        head=head,
        rest=rest,
        stages=[],
        found=evidence.verdict,
        facts=_facts([evidence]) | ({"run": run} if run else {}),
        run=run,
        started=evidence.started,
        kicker=asked or evidence.audit,
        params=evidence.params,
        seconds=evidence.seconds,
        bar=bar,
    )


def headline(found: Verdict, gaps: int = 0, empty: int = 0) -> tuple[str, str]:
    """The verdict's sentence, and the rest of it. "Ready" is never said while questions have no answer.

    gaps: entries of the journey without evidence; empty: chapters without a notebook.
    """
    head, rest = words.split(found.sentence)
    open_questions = [
        text
        for n, text in (
            (gaps, words.count(gaps, "question") + " without an answer"),
            (empty, words.count(empty, "chapter") + " without a notebook"),
        )
        if n
    ]
    if open_questions and head.startswith("Ready") and not head.startswith("Ready so far"):
        head = head.replace("Ready", "Ready so far", 1)
    return head, ", ".join(part for part in (rest.rstrip("."), *open_questions) if part) + (
        "." if rest or open_questions else ""
    )


def _stage(chapter: Chapter, reasons: Mapping[str, str]) -> view.Stage:
    entries = [
        view.entry(name, question, evidence, reasons.get(name, NOT_RUN)) for name, question, evidence in chapter.entries
    ]
    evidences = [evidence for _, _, evidence in chapter.entries if evidence is not None]
    return view.stage(chapter.number, chapter.title, entries, evidences)


def _empty() -> tuple[Chapter, ...]:
    return tuple(Chapter(number, title) for number, title in enumerate(JOURNEY, 1))


def _unanswered(chapter: Chapter, reasons: Mapping[str, str]) -> list[view.Row]:
    return [
        view.unanswered(name, question, reasons.get(name, NOT_RUN))
        for name, question, evidence in chapter.entries
        if evidence is None
    ]


def _facts(evidences: Sequence[Evidence]) -> dict[str, str]:
    """What the evidence rests on: sha256 of each subject, and the environment, the values that differ joined."""
    facts: dict[str, dict[str, None]] = {}
    for evidence in evidences:
        named = {f"{name} sha256": sha for name, sha in evidence.subjects.items()} | evidence.environment
        for name, value in named.items():
            facts.setdefault(words.plain(name), {})[words.plain(value)] = None
    return {name: " / ".join(values) for name, values in facts.items()}


def _page(template: str, title: str, rows: Sequence[view.Row], *, bar: Bar | None, **context: Any) -> str:
    from markupsafe import Markup

    rows = [view.for_reviewer(row) for row in rows] if bar else rows
    has_charts = any(kind == "chart" for row in rows for kind, _ in row.details)
    script = place.text("page.js")
    return (
        place.environment()
        .get_template(template)
        .render(
            title=title,
            groups=view.groups(rows),
            n=len(rows),
            csp=_policy(script, has_charts, forms="'self'" if bar else "'none'"),
            bar=bar,
            # Our own file, never data: it must reach the browser byte by byte, as its hash is in the policy.
            script=Markup(script),  # noqa: S704
            plotly=_plotly()[1] if has_charts else "",
            **{"params": {}, "seconds": None} | context,
        )
    )


def _policy(script: str, has_charts: bool, forms: str) -> str:
    """Nothing may load from anywhere; only our two scripts may run, told by their hash."""
    hashes = [_hash(script.encode())] + ([_plotly()[0]] if has_charts else [])
    sources = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {sources}; style-src 'unsafe-inline'; img-src data:; "
        f"base-uri 'none'; form-action {forms}"
    )


def _hash(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


@cache
def _plotly() -> tuple[str, str]:
    """plotly.js from the installed package: its hash, and itself packed to a third of its size."""
    content = files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()
    return _hash(content), base64.b64encode(gzip.compress(content, 6, mtime=0)).decode()
