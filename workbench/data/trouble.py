"""What a check hands back: a trouble is rows concerned of rows looked at, what it means, and a fix as code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from workbench.evidence import Cell, Detail, Measure, Table, Text

MIN_CELL = 10
"""A value that fewer rows have is not shown: it could point to a person."""
RARE = "(in fewer than 10 rows)"
HIDDEN = "(personal, not shown)"


@dataclass(frozen=True)
class Trouble:
    """`count` of `n` rows (or values) of column `subject` are concerned, unless `measure` says something else.

    expected: what any such data would show, so no more than information. advice: never a blocker by default.
    fine: looked at and found in order, whatever the number. moved: the measure is of a change. reason: why the measure
    is NaN.
    """

    check: str
    subject: str
    title: str
    count: int = 0
    n: int = 0
    fix: str = ""
    details: tuple[Detail, ...] = ()
    measure: Measure | None = None
    expected: bool = False
    advice: bool = False
    fine: bool = False
    moved: bool = False
    reason: str = ""

    @property
    def measured(self) -> Measure:
        return self.measure or Measure(value=self.count / self.n if self.n else 0.0, n=self.n, unit="share")


def worst(
    check: str,
    subject: str,
    counts: Mapping[str, tuple[int, int]],
    title: str,
    fix: str = "",
    details: Iterable[Detail] = (),
) -> Trouble | None:
    """One trouble of a column that several tables may have: the largest share speaks, all are in the table.

    counts: by table (rows concerned, rows); title may name {where} it is worst. None where no table has it.
    """
    where = max(counts, key=lambda name: counts[name][0] / max(counts[name][1], 1), default="")
    if not where or not counts[where][0]:
        return None
    count, n = counts[where]
    rows = tuple((name, hit, total, hit / total) for name, (hit, total) in counts.items() if total)
    table = Table(title="Where", columns=("data", "rows concerned", "rows", "share"), rows=rows)
    return Trouble(
        check, subject, title.replace("{where}", where), count, n, fix, (table, *details, *([code(fix)] if fix else []))
    )


def code(fix: str) -> Text:
    return Text(title="A fix in pandas", text=fix, code=True)


def values_table(title: str, rows: Sequence[tuple[str, int]], hidden: bool = False, most: int = 20) -> Table:
    """Values with their counts; rare and personal ones are not spelled out."""
    shown: list[tuple[Cell, ...]] = []
    for value, count in rows[:most]:
        shown.append((HIDDEN if hidden else RARE if count < MIN_CELL else value, count if count >= MIN_CELL else None))
    return Table(title=title, columns=("value", "rows"), rows=tuple(shown))
