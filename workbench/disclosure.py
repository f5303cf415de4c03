"""What leaves a migration: counts of few people are withheld, before a report, a page or a bundle is made of evidence.

Statistical disclosure control by a threshold rule: a *cell* is a number of rows counted by what the data says of them
(a group, a value, a truth, a decision). A cell of 1 to k - 1 rows is not shown, and neither is what it could be worked
out from: the cells beside it in its line, the rates made of them, and where only one line of a table is withheld, one
more line (Hundepool et al., "Statistical Disclosure Control", 2012, sections 3.5 and 4.2). An empty cell is shown, as
is what two programs do (rows that differ, flips), and every status: those were judged on the true numbers.

The evidence on disk keeps the true counts: it lies beside the data they were counted in, for people who hold both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from workbench.evidence import Cell, Chart, Detail, Evidence, Finding, Measure, Table

GROUP, ROWS = "group", "rows"
"""Columns by which a table of groups is told: whom a line is about, and how many rows that is."""
CELLS = ("tn", "fp", "fn", "tp")
"""Rows of a group by truth and decision."""
OF_SELECTED, OF_TRUTH = ("selected", "selection_rate", "share_of_selected"), ("base_rate",)
"""What rests on one margin of the four cells alone: shown where that margin is no small count."""
KEPT = {GROUP, ROWS, "compared", "model", "truth", "legacy", "candidate"}
WITHHELD = "withheld"
NOTE = " (counts under {} are withheld)"
_SIZE = re.compile(r"\(([\d,]+) rows\)")
"""How a finding says in words how large a group is: "Basel (7 rows)"."""
_SMALLEST = "readiness/groups"


def protected(evidence: Evidence, k: int) -> Evidence:
    """The evidence as others may see it. k: the smallest count that is shown; 1 shows everything.

    The same object where there is nothing to withhold.
    """
    hidden = {finding.subject: few for finding in evidence.findings if (few := _few(finding, k))}
    changed = tuple(_finding(finding, hidden, k) for finding in evidence.findings)
    return evidence if changed == evidence.findings else evidence.model_copy(update={"findings": changed})


@dataclass(frozen=True)
class _Few:
    """Groups of one finding: small ones have fewer than k rows themselves, thin ones a cell of fewer; selected and
    truth are those of them of whom few were (or were not) selected, or are (or are not) positive; lines are those whose
    table by truth and both decisions has a small count. beside: their rows are withheld so that those of a small one
    stay so.
    """

    small: frozenset[str] = frozenset()
    thin: frozenset[str] = frozenset()
    selected: frozenset[str] = frozenset()
    truth: frozenset[str] = frozenset()
    lines: frozenset[str] = frozenset()
    beside: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.small or self.thin or self.lines)


def _few(finding: Finding, k: int) -> _Few:
    tables = [detail for detail in finding.details if isinstance(detail, Table) and _is_grouped(detail)]
    rows: dict[str, int] = {}
    thin, lines, selected, truth = set[str](), set[str](), set[str](), set[str]()
    for table in tables:
        for group, line in _lines(table):
            count = _count(line.get(ROWS))
            if "truth" in line:
                lines |= {group} if 0 < count < k else set()
            elif set(CELLS) <= line.keys():
                tn, fp, fn, tp = (_count(line[name]) for name in CELLS)
                selected |= {group} if _any_few(k, tp + fp, tn + fn) else set()
                truth |= {group} if _any_few(k, tp + fn, tn + fp) else set()
                thin |= {group} if _any_few(k, tn, fp, fn, tp) else set()
            if ROWS in line and "truth" not in line:
                rows[group] = count
    small = {group for group, n in rows.items() if 0 < n < k}
    beside = _one_more(small, rows)
    thin = (thin | selected | truth) - small
    thin |= _one_more(thin, {group: n for group, n in rows.items() if group not in small})
    lines |= small | beside
    lines |= _one_more(lines, rows)
    return _Few(*map(frozenset, (small, thin, selected, truth, lines, beside)))


def _any_few(k: int, *counts: int) -> bool:
    return any(0 < count < k for count in counts)


def _one_more(hidden: set[str], rows: Mapping[str, int]) -> set[str]:
    """Where only one group is withheld, its count is what the others leave of the total: the next smallest, too."""
    others = sorted((n, group) for group, n in rows.items() if group not in hidden and n)
    return {others[0][1]} if len(hidden) == 1 and others else set()


def _finding(finding: Finding, hidden: Mapping[str, _Few], k: int) -> Finding:
    few = hidden.get(finding.subject, _Few())
    update: dict[str, object] = {}
    if details := tuple(_detail(detail, few, k) for detail in finding.details):
        update["details"] = details
    if "rows)" in finding.reason:
        update["reason"] = _SIZE.sub(lambda match: _size(match, k), finding.reason)
    if any(one.small and finding.subject.split(", ")[0] == subject for subject, one in hidden.items()):
        update |= {side: _blurred(getattr(finding, side), k) for side in ("legacy", "candidate", "change")}
    if finding.id == _SMALLEST and finding.legacy and finding.legacy.unit == ROWS and 0 < finding.legacy.value < k:
        update["legacy"] = finding.legacy.model_copy(update={"value": float("nan"), "method": f"under {k} rows"})
    made = finding.model_copy(update=update)
    return finding if made.model_dump_json() == finding.model_dump_json() else made


def _size(match: re.Match[str], k: int) -> str:
    return f"(fewer than {k} rows)" if 0 < int(match[1].replace(",", "")) < k else match[0]


def _blurred(measure: Measure | None, k: int) -> Measure | None:
    """Rows compared, to the next lower multiple of k: the total less that is what a small group has."""
    return measure.model_copy(update={"n": measure.n // k * k}) if measure and measure.n else measure


def _detail(detail: Detail, few: _Few, k: int) -> Detail:
    if isinstance(detail, Chart):
        return _chart(detail, few) if few else detail
    if not isinstance(detail, Table):
        return detail
    rows = _by_value(detail, k) if _is_valued(detail) else _grouped(detail, few, k) if _is_grouped(detail) else None
    if rows is None or rows == detail.rows:
        return detail
    return detail.model_copy(update={"rows": rows, "title": detail.title + NOTE.format(k)})


def _chart(chart: Chart, few: _Few) -> Chart:
    """A point of a group whose rates are withheld is not drawn."""
    gone = few.small | (few.selected if chart.y == "selection rate" else few.thin)
    series = []
    for one in chart.series:
        keep = [x not in gone for x in one.x]
        parts = {name: _kept(getattr(one, name), keep) for name in ("x", "y", "low", "high")}
        series.append(one.model_copy(update=parts))
    return chart.model_copy(update={"series": tuple(series)})


def _kept(values: tuple[object, ...], keep: Iterable[bool]) -> tuple[object, ...]:
    return tuple(value for value, stays in zip(values, keep) if stays)


# --------------------------------------------------------------------------- tables of groups


def _is_grouped(table: Table) -> bool:
    return bool(table.columns) and table.columns[0] == GROUP and bool(table.rows)


def _lines(table: Table) -> Iterable[tuple[str, dict[str, Cell]]]:
    return ((str(row[0]), dict(zip(table.columns, row, strict=True))) for row in table.rows)


def _grouped(table: Table, few: _Few, k: int) -> tuple[tuple[Cell, ...], ...]:
    if not few:
        return table.rows
    by_truth = "truth" in table.columns
    made = []
    for group, line in _lines(table):
        if by_truth and group in few.lines:
            continue
        change = _change(group, few, k)
        made.append(tuple(change(line).values()) if change and not by_truth else tuple(line.values()))
    return tuple(made)


def _change(group: str, few: _Few, k: int) -> Callable[[dict[str, Cell]], dict[str, Cell]] | None:
    if group in few.small:
        return lambda line: _small(line, k)
    if group in few.thin:
        shown = {*(() if group in few.selected else OF_SELECTED), *(() if group in few.truth else OF_TRUTH)}
        return lambda line: _thin(line, shown, group in few.beside)
    return _rounded if group in few.beside else None


def _small(line: dict[str, Cell], k: int) -> dict[str, Cell]:
    return {name: f"< {k}" if name == ROWS else value if name in KEPT else None for name, value in line.items()}


def _thin(line: dict[str, Cell], shown: set[str], beside: bool) -> dict[str, Cell]:
    """Counts by truth and decision are withheld together, for three of them and a margin give the fourth, and alike:
    to say which of two are under k, where their sum is known, can say what they are. shown: what else of the line rests
    on no small count."""
    made: dict[str, Cell] = {}
    for name, value in line.items():
        if name in KEPT | shown:
            made[name] = value
        else:
            made[name] = WITHHELD if name in (*CELLS, "selected") else None
    return _rounded(made) if beside else made


def _rounded(line: dict[str, Cell]) -> dict[str, Cell]:
    """Its rows are withheld, so its rates are told to two digits: from more of them the rows could be worked out."""
    counted = (ROWS, *CELLS, "selected")
    return {
        name: WITHHELD if name in counted and _count(value) else round(value, 2) if isinstance(value, float) else value
        for name, value in line.items()
    }


# --------------------------------------------------------------------------- tables of values


def _is_valued(table: Table) -> bool:
    """A line is about one value of a column."""
    return "value" in table.columns and ROWS in table.columns


def _by_value(table: Table, k: int) -> tuple[tuple[Cell, ...], ...]:
    at, named = table.columns.index(ROWS), {"column", "value", ROWS}
    made = []
    for row in table.rows:
        small = 0 < _count(row[at]) < k
        cells = zip(table.columns, row, strict=True)
        made.append(
            tuple(f"< {k}" if name == ROWS else cell if name in named else None for name, cell in cells)
            if small
            else row
        )
    return tuple(made)


def _count(value: Cell) -> int:
    """0 where it is no count: withheld already, or missing."""
    return int(value) if isinstance(value, int | float) and value == value else 0
