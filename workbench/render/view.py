"""Evidence laid out for drawing: rows in groups, worst first, every text still text. Templates only place it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from workbench.evidence import (
    ORDER,
    Chart,
    Detail,
    Evidence,
    File,
    Finding,
    Measure,
    Status,
    Table,
    Text,
    Verdict,
    verdict,
)
from workbench.render import chart, words
from workbench.render.pair import Pair, pair

MOST_ROWS = 200
"""Rows of one table drawn at most; the evidence holds all of them."""

MOST_POINTS = 60
"""Rows of the table beside a chart: the picture shows the rest."""

_OPEN = frozenset((Status.FAIL, Status.ERROR, Status.ABSENT, Status.MANUAL, Status.WARN))


@dataclass(frozen=True)
class Prose:
    """A stretch of text: plain, `inline` code, or a block of code."""

    kind: str
    text: str


@dataclass(frozen=True)
class Grid:
    """A table in words. shown: how many of its `total` rows are here."""

    title: str
    columns: tuple[str, ...]
    right: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]
    total: int


@dataclass(frozen=True)
class Picture:
    """A chart as a plotly figure with the table of its numbers."""

    title: str
    figure: dict[str, Any]
    numbers: Grid


@dataclass(frozen=True)
class Row:
    """One finding, or one question that nobody has answered yet."""

    anchor: str
    status: Status
    title: str
    under: tuple[tuple[Prose, ...], ...]
    number: str
    between: str
    limit: str
    pair: Pair | None = None
    measures: Grid | None = None
    why: tuple[Prose, ...] = ()
    fix: tuple[Prose, ...] = ()
    details: tuple[tuple[str, Any], ...] = ()
    meta: tuple[str, ...] = ()
    key: str = ""

    @property
    def opens(self) -> bool:
        return bool(self.why or self.fix or self.details or self.measures or self.meta)


@dataclass(frozen=True)
class Group:
    """The rows of one status. total: how many there are, which may be more than are shown."""

    status: Status
    title: str
    rows: tuple[Row, ...]
    total: int

    @property
    def open(self) -> bool:
        return self.status in _OPEN or len(self.rows) <= 8


@dataclass(frozen=True)
class Entry:
    """One notebook of the journey."""

    name: str
    question: str
    status: Status
    brief: str
    sentence: str
    when: datetime | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Stage:
    """One chapter of the journey, for the strip and for the list at the end."""

    number: int
    title: str
    status: Status
    brief: str
    rest: str
    entries: tuple[Entry, ...] = field(default=())


def rows(evidence: Evidence, *, asked: bool = True) -> list[Row]:
    """The findings of one evidence as rows. asked: whether each row names the evidence's question."""
    return [row(finding, evidence.question if asked else "", evidence.audit) for finding in evidence.findings]


def row(finding: Finding, question: str, audit: str) -> Row:
    """One finding in words and pixels."""
    change = words.is_change(finding)
    unit = finding.shown.unit if finding.shown else ""
    code = _fix_as_code(finding)
    return Row(
        anchor=anchor(audit, finding.key),
        key=finding.key,
        status=finding.status,
        title=words.plain(finding.title).strip() or finding.id,
        under=tuple(
            (Prose("plain", words.plain(text)),) if text is not finding.reason else _inline(words.plain(text))
            for text in (question, finding.subject, finding.reason)
            if text.strip()
        ),
        number=words.shown(finding),
        between=words.interval(finding.shown, change),
        limit=words.limit(finding.limit, unit, change),
        pair=pair(finding),
        measures=_measures(finding),
        why=prose(finding.why),
        fix=(Prose("block", finding.fix),) if code else prose(finding.fix),
        details=tuple((detail.type, _detail(detail)) for detail in finding.details if detail is not code),
        meta=_meta(finding),
    )


def for_reviewer(row: Row) -> Row:
    """The row without what only those who make the migration can use: how to fix it, and code."""
    kept = tuple(
        (kind, detail)
        for kind, detail in row.details
        if kind in ("table", "chart") or (kind == "text" and all(part.kind == "plain" for part in detail[1]))
    )
    return replace(row, fix=(), details=kept)


def _fix_as_code(finding: Finding) -> Text | None:
    """The detail that holds the fix as code, which is then not said twice."""
    texts = (detail for detail in finding.details if isinstance(detail, Text) and detail.code)
    return next((text for text in texts if text.text.strip() == finding.fix.strip()), None)


def unanswered(name: str, question: str, reason: str) -> Row:
    """A question of the journey without evidence, as a row of its own: silence must not look like success."""
    return Row(
        anchor=anchor(name, "missing"),
        status=Status.ABSENT,
        title=question or name,
        under=((Prose("plain", name),), _inline(words.plain(reason))),
        number=words.STATUS[Status.ABSENT],
        between="",
        limit="",
    )


def groups(rows: Iterable[Row]) -> tuple[Group, ...]:
    """Rows by status, worst first; empty groups are left out."""
    found = list(rows)
    made = []
    for status in ORDER:
        mine = tuple(row for row in found if row.status is status)
        if mine:
            made.append(Group(status, words.GROUPS[status], mine, len(mine)))
    return tuple(made)


def entry(name: str, question: str, evidence: Evidence | None, missing: str) -> Entry:
    """One notebook's line in the journey."""
    if evidence is None:
        return Entry(name, question, Status.ABSENT, words.STATUS[Status.ABSENT], missing)
    found = evidence.verdict
    return Entry(
        name,
        question or evidence.question,
        found.status,
        words.brief(found),
        found.sentence,
        evidence.started,
        evidence.seconds,
    )


def stage(number: int, title: str, entries: Sequence[Entry], evidences: Sequence[Evidence]) -> Stage:
    """A chapter: the verdict of its findings, and how many of its questions have an answer."""
    found = verdict(finding for evidence in evidences for finding in evidence.findings)
    if not evidences:
        return Stage(number, title, Status.ABSENT, words.STATUS[Status.ABSENT], "no evidence yet", tuple(entries))
    without = len(entries) - len(evidences)
    incomplete = without > 0 and found.status in (Status.MANUAL, Status.WARN, Status.PASS, Status.INFO)
    status = Status.ABSENT if incomplete else found.status
    brief = f"{without} not assessed" if incomplete else words.brief(found)
    return Stage(number, title, status, brief, _rest(found, brief), tuple(entries))


def _rest(found: Verdict, brief: str) -> str:
    """What else the chapter's verdict says, after what `brief` said already."""
    passed = found.counts.get(Status.PASS, 0)
    others = [
        words.brief(found.model_copy(update={"status": status}))
        for status, n in found.counts.items()
        if status not in (Status.PASS, Status.INFO, found.status) and n
    ]
    if passed:
        others.append(f"{passed} passed")
    return ", ".join(text for text in others if text != brief)


def anchor(audit: str, key: str) -> str:
    """A stable id for links: readable, and distinct for any subject."""
    readable = re.sub(r"[^a-z0-9]+", "-", f"{audit}-{key}".lower()).strip("-")[:60]
    return f"f-{readable}-{hashlib.sha256(f'{audit} {key}'.encode('utf-8', 'replace')).hexdigest()[:6]}"


def prose(text: str) -> tuple[Prose, ...]:
    """Text with ``` blocks, lines that start with "$ ", and `inline` code told apart."""
    parts: list[Prose] = []
    for at, piece in enumerate(re.split(r"```[a-z]*\n?", text)):
        if at % 2:
            parts.append(Prose("block", piece.strip("\n")))
        else:
            parts += _lines(piece)
    return tuple(part for part in parts if part.text.strip())


def _inline(text: str) -> tuple[Prose, ...]:
    return tuple(Prose("inline" if at % 2 else "plain", part) for at, part in enumerate(text.split("`")) if part)


def _lines(text: str) -> list[Prose]:
    parts: list[Prose] = []
    for piece in re.split(r"(?m)^[ \t]*(\$ .+)$", text):
        if piece.startswith("$ "):
            parts.append(Prose("block", piece[2:].strip()))
        else:
            parts += _inline(piece)
    return parts


def grid(table: Table, most: int = MOST_ROWS) -> Grid:
    """A table of the evidence in words, cut at `most` rows."""
    shown = table.rows[:most]
    units = table.units or ("",) * len(table.columns)
    columns = [
        words.column([line[at] for line in shown], unit, "" if at else "(empty)") for at, unit in enumerate(units)
    ]
    return Grid(
        title=words.plain(table.title),
        columns=tuple(words.heading(name, unit) for name, unit in zip(table.columns, units, strict=True)),
        right=tuple(_numeric([line[at] for line in shown]) for at in range(len(units))),
        rows=tuple(zip(*columns, strict=True)),
        total=len(table.rows),
    )


def _numeric(cells: Sequence[object]) -> bool:
    numbers = [cell for cell in cells if cell is not None]
    return bool(numbers) and all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in numbers)


def _measures(finding: Finding) -> Grid | None:
    """The pair as a table: value, interval and rows of legacy, candidate and change; one number alone needs none."""
    found: list[tuple[str, Measure]] = []
    for name in ("legacy", "candidate", "change"):
        measure = getattr(finding, name)
        if measure is not None:
            found.append((name, measure))
    if len(found) < 2:
        return None
    signed = words.is_difference(finding)
    lines = [(name, *_in_words(measure, signed and name == "change")) for name, measure in found]
    columns = ("model", "value", words.level(next((m for _, m in found if m.level), None)), "n")
    return Grid("", columns, (False, True, True, True), tuple(lines), len(lines))


def _in_words(measure: Measure, change: bool) -> tuple[str, str, str]:
    n = words.NOTHING if measure.n is None else f"{measure.n:,}"
    return words.measure(measure, change), words.interval(measure, change) or words.NOTHING, n


def _detail(detail: Detail) -> Any:
    if isinstance(detail, Table):
        return grid(detail)
    if isinstance(detail, Chart):
        return Picture(
            words.plain(detail.title), chart.figure(detail, _VARIABLES, False), grid(chart.table(detail), MOST_POINTS)
        )
    if isinstance(detail, File):
        return f"{words.plain(detail.path)} ({detail.media}, sha256 {detail.sha256[:12]})"
    assert isinstance(detail, Text)
    block = (Prose("block", detail.text),) if detail.code else prose(detail.text)
    return words.plain(detail.title), block


def _meta(finding: Finding) -> tuple[str, ...]:
    """id, n and method: what an auditor cites."""
    measured = finding.shown
    parts = [words.plain(finding.key)]
    if measured and measured.n is not None:
        parts.append(f"n = {measured.n:,}")
    methods = dict.fromkeys(m.method for m in (finding.change, finding.candidate, finding.legacy) if m and m.method)
    return (*parts, *(words.plain(method) for method in methods))


_VARIABLES = {role: color if role == "paper" else f"var(--c-{role})" for role, color in chart.PALETTE.items()}
"""The page's own colours by name: the script puts in what light, dark or paper make of them."""
