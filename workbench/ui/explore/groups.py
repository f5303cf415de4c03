"""The group picker: what any choice of groups gets from both models, and the gaps between them, from stored counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from workbench.audit import measured
from workbench.evidence import Chart, Evidence, Finding, Measure, Status, Table
from workbench.measure import fairness, fairness_gaps
from workbench.measure.fairness import Counts
from workbench.measure.fairness_paired import CELLS, Plan, comparison, counted_again
from workbench.measure.intervals import Estimate, paired, percentile, wilson
from workbench.ui.explore import cell
from workbench.ui.listing import Listing

RATES = {
    "selection_rate": "selection rate",
    "tpr": "true positive rate",
    "fpr": "false positive rate",
    "ppv": "precision",
    "accuracy": "accuracy",
}
GAPS = {
    "demographic_parity": "selection-rate-gap",
    "equal_opportunity": "equal-opportunity-gap",
    "equalized_odds": "equalized-odds-gap",
    "predictive_parity": "predictive-parity-gap",
    "accuracy": "accuracy-gap",
}
SAID = {
    "selection-rate-gap": "Gap of selection rates",
    "equal-opportunity-gap": "Gap of true positive rates",
    "equalized-odds-gap": "Gap of error rates",
    "predictive-parity-gap": "Gap of precision",
    "accuracy-gap": "Gap of accuracy",
}
TOGETHER, OTHERS = "(chosen together)", "(all others)"
JUDGES_NOTHING = (
    "Groups that were picked after looking show where to look next; they prove nothing, and are judged by no limit. "
    "Counts are those of the stored evidence: no model was asked."
)
NONE = (
    "There are no counts of decisions to pick groups from: a regression has none, its means by group are above; else "
    "the findings above say why."
)


@dataclass(frozen=True)
class Split:
    """One way to split the rows, as stored. right: its decisions are whether an answer was right, no yes or no."""

    counts: Counts
    paired: bool
    right: bool

    @property
    def rates(self) -> tuple[str, ...]:
        return ("accuracy",) if self.right else tuple(RATES)


class Choice(NamedTuple):
    """groups: names, at least one. together: taken as one; others: all that are not chosen as one more group."""

    groups: tuple[str, ...]
    rate: str
    together: bool = False
    others: bool = False


@dataclass(frozen=True)
class Picked:
    """What a choice of groups gets: a finding for each group and each gap, and the same as a table."""

    rates: tuple[Finding, ...]
    gaps: tuple[Finding, ...]

    @property
    def table(self) -> Table:
        rows = tuple((one.title, _n(one), *cell.said(one)) for one in (*self.rates, *self.gaps))
        return Table(title="The same as numbers", columns=("of", "rows", *cell.SAID), rows=rows)


class Groups(cell.Cell):
    """Shows every group of the first attribute; in JupyterLab any choice of groups of any attribute."""

    def __init__(self, evidence: Evidence, *, interactive: bool) -> None:
        self.interactive = interactive
        asked = evidence.params
        self.plan = Plan(*(asked[name] for name in ("min_group", "draws", "level", "seed") if name in asked))  # type: ignore[arg-type]
        self.splits = dict(_splits(evidence))

    def at(self, attribute: str, choice: Choice) -> Picked:
        """Rates with their intervals, and the gaps as 51_bias measures them, of the groups chosen."""
        split = self.splits[attribute]
        counts = chosen(split.counts, choice)
        this = comparison(counts, split.paired, self.plan)
        rates = tuple(_rate(split, counts, this, place, choice.rate) for place in range(len(counts.labels)))
        enough = int(this.keep.sum()) >= 2
        names = ("accuracy",) if split.right else tuple(GAPS)
        gaps = tuple(_gap(fairness_gaps.difference(this, name), self.plan) for name in names) if enough else ()
        return Picked(rates, gaps)

    def first(self, attribute: str) -> Choice:
        """What is shown before anybody chose: every group that is large enough."""
        split = self.splits[attribute]
        large = tuple(label for label, n in zip(split.counts.labels, split.counts.n) if n >= self.plan.least)
        return Choice(large or split.counts.labels, split.rates[0])

    def html(self, attribute: str, choice: Choice) -> str:
        from workbench.render.explore import explored

        found = self.at(attribute, choice)
        title = f"{RATES[choice.rate].capitalize()} by {attribute}, and the gaps between these groups"
        alone = "" if found.gaps else f"A gap takes two groups of {self.plan.least} rows or more. "
        return explored(title, (*found.rates, *found.gaps), (found.table,), alone + JUDGES_NOTHING)

    def __repr__(self) -> str:
        if not self.splits:
            return NONE
        return "\n\n".join(repr(Listing(self.at(name, self.first(name)).table)) for name in list(self.splits)[:1])

    def _repr_html_(self) -> str:
        return self.html(name, self.first(name)) if (name := next(iter(self.splits), "")) else cell.paragraph(NONE)

    def widget(self) -> Any:
        """Attribute, groups, rate, and how to take them; below, what they get."""
        import ipywidgets

        first = next(iter(self.splits), None)
        if first is None:
            return ipywidgets.HTML(self._repr_html_())
        attribute = ipywidgets.Dropdown(
            options=list(self.splits), value=first, description="attribute", style=cell.WIDE, layout=cell.FIELD
        )
        groups = ipywidgets.SelectMultiple(
            description="groups", style=cell.WIDE, layout=cell.FIELD, tooltip="hold Ctrl or Shift to choose several"
        )
        rate = ipywidgets.Dropdown(description="rate", style=cell.WIDE, layout=cell.FIELD)
        together = ipywidgets.Checkbox(description="the chosen groups as one", indent=False)
        others = ipywidgets.Checkbox(description="all others as one more group", indent=False)
        shown = ipywidgets.HTML()

        def draw(_: object = None) -> None:
            if groups.value and rate.value:
                choice = Choice(tuple(groups.value), rate.value, together.value, others.value)
                shown.value = self.html(attribute.value, choice)

        def offer(_: object = None) -> None:
            split = self.splits[attribute.value]
            # Options first: a new list of groups has none chosen, so that the choice below is what draws, once.
            groups.options = [(f"{label} ({n:,} rows)", label) for label, n in _sizes(split.counts)]
            groups.rows = min(8, max(3, len(split.counts.labels)))
            rate.options = [(RATES[name], name) for name in split.rates]
            rate.value = split.rates[0]
            groups.value = self.first(attribute.value).groups

        attribute.observe(offer, "value")
        for control in (groups, rate, together, others):
            control.observe(draw, "value")
        offer()
        return ipywidgets.VBox([attribute, groups, rate, ipywidgets.HBox([together, others]), shown])


def _splits(evidence: Evidence) -> Iterator[tuple[str, Split]]:
    for finding in evidence.findings:
        if finding.id == "bias/groups":
            charts = [detail for detail in finding.details if isinstance(detail, Chart)]
            for table in finding.details:
                if isinstance(table, Table) and table.title.startswith(CELLS) and (seen := _seen(table)).rows:
                    yield finding.subject, _split(seen, any(chart.y == "accuracy" for chart in charts))


def _seen(table: Table) -> Table:
    """Without the groups of which a count is withheld: what is left of them is no group."""
    at, named = table.columns.index("rows"), table.columns.index("group")
    gone = {row[named] for row in table.rows if not isinstance(row[at], int | float)}
    return table.model_copy(update={"rows": tuple(row for row in table.rows if row[named] not in gone)})


def _split(table: Table, right: bool) -> Split:
    import pandas as pd

    lines = pd.DataFrame(list(table.rows), columns=list(table.columns), dtype=object)
    return Split(counted_again(lines), "candidate" in table.columns, right)


def _sizes(counts: Counts) -> Iterator[tuple[str, int]]:
    return zip(counts.labels, map(int, counts.n))


def chosen(counts: Counts, choice: Choice) -> Counts:
    """The counts of the groups chosen, put together as asked. Raises ValueError for a group that is not there."""
    if unknown := [name for name in choice.groups if name not in counts.labels]:
        raise ValueError(f"there is no group {unknown[0]!r}: the groups are {', '.join(counts.labels)}")
    mine = [place for place, label in enumerate(counts.labels) if label in choice.groups]
    rest = [place for place in range(len(counts.labels)) if place not in mine]
    parts = [(TOGETHER, mine)] if choice.together else [(counts.labels[place], [place]) for place in mine]
    if choice.others and rest:
        parts.append((OTHERS, rest))
    tables = (
        np.stack([table[places].sum(0) for _, places in parts])
        for table in (counts.rows, counts.weight, counts.squares)
    )
    return Counts(tuple(name for name, _ in parts), *tables)


def _rate(split: Split, counts: Counts, this: fairness_gaps.Comparison, place: int, rate: str) -> Finding:
    """One group's rate: Wilson's interval for each model, and for the change on the same rows Tango's."""
    level, n = this.level, int(counts.n[place])
    sides = {
        side: measured(_wilson(counts, side, place, rate, level), n, "Wilson score", level=level, unit="share")
        for side in this.sides
    }
    change = None
    if split.paired:
        change = measured(_change(this, counts, place, rate), n, "on the same rows", level=level, unit="share")
    return Finding(
        id="bias/groups", subject=f"{n:,} rows", title=counts.labels[place], status=Status.INFO,
        legacy=_defined(sides["legacy"]), candidate=_defined(sides.get("candidate")), change=_defined(change),
    )  # fmt: skip


def _wilson(counts: Counts, side: fairness.SideName, place: int, rate: str, level: float) -> Estimate:
    at = fairness.index(rate)
    value = float(fairness.rates(counts.side(side))[place, at])
    n = float(counts.effective(side)[place, at])
    return Estimate(value) if value != value else Estimate(value, *wilson(value * n, n, level))


def _change(this: fairness_gaps.Comparison, counts: Counts, place: int, rate: str) -> Estimate:
    at = fairness.index(rate)
    before, after = (float(fairness.rates(counts.side(side))[place, at]) for side in this.sides)
    if counts.weighted or rate == "ppv":
        # Both models' precisions rest on different rows: only the draws know how they move together.
        drawn = this.draws.rates[:, :, place, fairness_gaps.RESAMPLED.index(rate)]
        return percentile(after - before, drawn[:, 1] - drawn[:, 0], this.level)
    gained, lost, n = moved(counts.rows[place], rate)
    return Estimate((gained - lost) / n, *paired(gained, lost, n, this.level)) if n else Estimate(float("nan"))


def moved(table: np.ndarray, rate: str) -> tuple[float, float, float]:
    """(rows that newly count, rows that no longer do, rows looked at) for a rate over rows that both models share.

    table: [3, 3, 3], rows by truth, legacy and candidate decision.
    """
    known = table[:, :2, :2]
    if rate == "accuracy":
        gained, lost, n = known[0, 1, 0] + known[1, 0, 1], known[0, 0, 1] + known[1, 1, 0], known[:2].sum()
    else:
        looked = {"selection_rate": known, "tpr": known[1:2], "fpr": known[0:1]}[rate]
        gained, lost, n = looked[:, 0, 1].sum(), looked[:, 1, 0].sum(), looked.sum()
    return float(gained), float(lost), float(n)


def _gap(gap: fairness_gaps.Gap, plan: Plan) -> Finding:
    name = GAPS[gap.name]
    legacy, candidate, change = (
        _defined(None if one is None else measured(one, gap.n, level=plan.level, unit="share"))
        for one in (gap.legacy, gap.candidate, gap.change)
    )
    between = f"{gap.lowest} to {gap.highest}" if gap.lowest else "too few rows behind this rate"
    return Finding(
        id=f"bias/{name}", subject=between, title=SAID[name], status=Status.INFO,
        legacy=legacy, candidate=candidate, change=change,
    )  # fmt: skip


def _defined(measure: Measure | None) -> Measure | None:
    return None if measure is None or measure.value != measure.value else measure


def _n(finding: Finding) -> int | None:
    return next((one.n for one in (finding.legacy, finding.candidate, finding.change) if one), None)
