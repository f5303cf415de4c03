"""What a fairness audit asks of a pair of models: which answers count as selected, and what each group got.

Everything about decisions is made from `Tally`: tables of counts, wherever the rows lie.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.measure import fairness
from workbench.measure.fairness import GAPS, Counts, Floats, SideName
from workbench.measure.fairness_gaps import (
    Comparison,
    Gap,
    GroupChange,
    difference,
    draw,
    share,
    worst_change,
)
from workbench.measure.fairness_thresholds import Bins, Explored, explore, rated
from workbench.measure.intervals import Estimate, percentile
from workbench.measure.matched import Matched
from workbench.migration import Task
from workbench.models import normal

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Reading:
    """Answers read as 0/1 decisions, -1 where the truth is not known.

    name: "" for the task's own decision, else the class meant. gaps: names of GAPS that make sense of it.
    """

    name: str
    target: Ints
    before: Ints
    after: Ints | None
    gaps: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether it is the task's own yes or no."""
        return len(self.gaps) == len(GAPS)


def readings(rows: Matched, task: Task, classes: Sequence[str]) -> list[Reading]:
    """How the answers can be read as decisions; none for regression.

    One class against the rest where a positive one is named; else being right, and for every class (20 at most)
    finding it. classes: names as `normal` spells them.
    """
    before, after = rows.before.decision, None if rows.after is None else rows.after.decision
    if before is None:
        return []
    target = np.where(rows.known, rows.target, -1).astype(np.int64)
    if task.kind == "binary" or (task.positive is not None and normal(task.positive) in classes):
        place = 1 if task.kind == "binary" else list(classes).index(normal(task.positive))
        return [_against(place, "", target, before, after, tuple(GAPS))]
    right, also = ((before == target).astype(np.int64), None if after is None else (after == target).astype(np.int64))
    whole = Reading("", np.where(target >= 0, 1, -1), right, also, ("accuracy",))
    each = (
        _against(place, label, target, before, after, ("equal_opportunity",))
        for place, label in enumerate(classes[:20])
    )
    return [whole, *each]


def _against(place: int, name: str, target: Ints, before: Ints, after: Ints | None, gaps: tuple[str, ...]) -> Reading:
    hit = np.where(target < 0, -1, target == place).astype(np.int64)
    sides = [None if side is None else (side == place).astype(np.int64) for side in (before, after)]
    assert sides[0] is not None
    return Reading(name, hit, sides[0], sides[1], gaps)


@dataclass(frozen=True)
class Part:
    """One `Reading` of the answers, counted by the groups of one split."""

    name: str
    gaps: tuple[str, ...]
    counts: Counts

    @property
    def whole(self) -> bool:
        """Whether it is the task's own yes or no."""
        return len(self.gaps) == len(GAPS)


@dataclass(frozen=True)
class Tally:
    """One way to split the rows, counted: all that the rates, gaps and intervals of its groups are made of.

    scores: score metrics by group and model, empty where there are none; bins: each model's scores, () likewise;
    note: what to know of the score metrics; threshold: from which score on a row is selected.
    """

    name: str
    parts: tuple[Part, ...]
    paired: bool
    scores: pd.DataFrame
    bins: tuple[Bins, ...] = ()
    note: str = ""
    threshold: float = 0.5


def comparison(counts: Counts, paired: bool, plan: Plan) -> Comparison:
    """Counts and their draws."""
    # All pairs of very many groups: fewer draws, so that memory and time stay bounded.
    drawn = draw(counts, min(plan.draws, max(500, 1_000_000 // max(1, len(counts.labels)))), plan.seed)
    return Comparison(counts, drawn, counts.n >= plan.least, paired, level=plan.level, seed=plan.seed)


_NARROW = {
    "Rates": ("rows", "selection_rate", "base_rate", "accuracy", "tpr", "fpr", "ppv", "npv"),
    "Counts": ("rows", "tn", "fp", "fn", "tp", "selected", "share_of_selected"),
    "Rates of error": ("rows", "tnr", "fnr", "fdr", "for"),
}
"""Tables that fit a window: what most readers look for first, then what it is made of."""


def tables(this: Comparison) -> dict[str, pd.DataFrame]:
    """By title: the rates of every group for each model, and their change; then counts, and the complements."""
    sides = {side: fairness.side_table(this.counts, side) for side in this.sides}
    found: dict[str, pd.DataFrame] = {}
    for title, columns in _NARROW.items():
        found |= {f"{title}, {side}": _named(frame[[*columns]], this.keep) for side, frame in sides.items()}
        if title == "Rates" and this.paired:
            moved = sides["candidate"] - sides["legacy"]
            rates = [name for name in columns if name not in ("rows", "base_rate")]
            found["Change of rates, candidate - legacy"] = _named(moved[rates], this.keep)
    return found | {CELLS: cells(this.counts, this.paired)}


CELLS = "Rows by truth and decision"
"""Title of the table that holds every count the others are made of."""


def cells(counts: Counts, paired: bool) -> pd.DataFrame:
    """The table of counts, a line per cell that has rows; what is not known is missing. `counted_again` reads it."""
    at = np.nonzero(counts.rows)
    names = ("truth", "legacy", "candidate") if paired else ("truth", "legacy")
    lines = {"group": np.array(counts.labels, dtype=object)[at[0]]}
    lines |= {name: _known(codes) for name, codes in zip(names, at[1:])}
    lines["rows"] = counts.rows[at]
    if counts.weighted:
        lines |= {"weight": counts.weight[at], "squares": counts.squares[at]}
    return pd.DataFrame(lines)


def _known(codes: Ints) -> NDArray[np.object_]:
    return np.array([None if code == fairness.UNKNOWN else int(code) for code in codes], dtype=object)


def counted_again(lines: pd.DataFrame) -> Counts:
    """The counts that `cells` wrote down, groups in their order there."""
    labels = tuple(dict.fromkeys(lines["group"]))
    parts = [np.array([labels.index(group) for group in lines["group"]], dtype=np.int64)]
    for name in ("truth", "legacy", "candidate"):
        codes = lines[name] if name in lines else pd.Series([None] * len(lines))
        parts.append(np.array([fairness.UNKNOWN if code is None or code != code else int(code) for code in codes]))
    made = []
    for name in ("rows", "weight", "squares"):
        table = np.zeros((len(labels), 3, 3, 3))
        table[tuple(parts)] = lines[name if name in lines else "rows"]
        made.append(table)
    return Counts(labels, made[0].astype(np.int64), made[1], made[2])


def _named(frame: pd.DataFrame, keep: NDArray[np.bool_]) -> pd.DataFrame:
    return frame.reset_index().assign(compared=keep)


@dataclass(frozen=True)
class Assessed:
    """One way to split the rows, measured. small: groups not compared, with their rows; gaps: by the class read ("" is
    the task's decision); ratio: of selection rates; what: the rate that bars show; n: rows in all; explored:
    other thresholds."""

    name: str
    small: dict[str, int]
    gaps: tuple[tuple[str, Gap], ...]
    ratio: Gap | None
    worst: GroupChange | None
    tables: dict[str, pd.DataFrame]
    bars: tuple[Bars, ...]
    what: str
    n: int
    explored: Explored | None = None


@dataclass(frozen=True)
class Plan:
    """How groups are measured. least: rows a group needs to be compared."""

    least: int = 50
    draws: int = 10_000
    level: float = 0.95
    seed: int = 0


def assess(tally: Tally, plan: Plan) -> Assessed:
    """Everything the decisions in one split of the rows show."""
    each = [comparison(part.counts, tally.paired, plan) for part in tally.parts]
    first, whole = each[0], tally.parts[0].whole
    enough = first.keep.sum() >= 2
    found = [(r.name, difference(this, name)) for r, this in zip(tally.parts, each) for name in r.gaps if enough]
    named = {gap.name: gap for _, gap in found}
    shown = "selection_rate" if whole else "accuracy"
    return Assessed(
        name=tally.name,
        small=small(first.counts.labels, first.counts.n, plan.least),
        gaps=tuple(found),
        ratio=share(first) if whole and enough else None,
        worst=worst_change(first, "accuracy"),
        tables=tables(first) | _more(first, tally, whole),
        bars=tuple(bars(first, shown)),
        what=shown,
        n=int(first.counts.n.sum()),
        explored=explore(first, tally.bins, tally.threshold, named) if tally.bins else None,
    )


def _more(this: Comparison, tally: Tally, whole: bool) -> dict[str, pd.DataFrame]:
    found = {f"Score metrics{tally.note}": tally.scores} if len(tally.scores) else {}
    return found | ({"Inequality of benefits": inequality(this)} if whole else {})


def inequality(this: Comparison) -> pd.DataFrame:
    """Generalized entropy (alpha 2, with its interval) and Theil index of all rows, per model and their change."""
    lines: dict[str, list[float]] = {}
    for side in this.sides:
        whole = this.counts.side(side).sum(0)
        lines[side] = [float(fairness.generalized_entropy(whole, alpha)) for alpha in (2, 1)]
    drawn: dict[str, Floats] = {side: this.draws.entropy[:, place] for place, side in enumerate(this.sides)}
    if this.paired:
        lines["change"] = [after - before for before, after in zip(lines["legacy"], lines["candidate"])]
        drawn["change"] = drawn["candidate"] - drawn["legacy"]
    found = [(name, *percentile(two, drawn[name], this.level), theil) for name, (two, theil) in lines.items()]
    return pd.DataFrame(found, columns=["model", "generalized_entropy", "low", "high", "theil"])


def small(labels: tuple[str, ...], n: Ints, least: int) -> dict[str, int]:
    """The groups too small to be compared, and their rows."""
    return {label: int(rows) for label, rows in zip(labels, n) if rows < least}


@dataclass(frozen=True)
class Bars:
    """A value per group with its bounds, for one model or the change."""

    name: SideName
    groups: tuple[str, ...]
    estimates: tuple[Estimate, ...]


def bars(this: Comparison, rate: str) -> list[Bars]:
    """A rate per compared group with its Wilson interval, for each model."""
    at, kept = fairness.index(rate), np.flatnonzero(this.keep)
    found = []
    for side in this.sides:
        values, n = fairness.rates(this.counts.side(side))[:, at], this.counts.effective(side)[:, at]
        estimates = [rated(float(values[group]), float(n[group]), this.level) for group in kept]
        found.append(Bars(side, tuple(this.counts.labels[group] for group in kept), tuple(estimates)))
    return found
