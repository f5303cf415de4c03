"""Bias: what each group of the protected attributes gets from both models, and whether the move made it worse.

Gaps are judged on their paired change, the four-fifths rule on the candidate as it stands. An uncertain ratio warns
only where groups differ beyond chance (calibrated test, Holm over all gaps); else it says how many rows would do.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from workbench import audit
from workbench.audit import Kind, measured, tabled
from workbench.checks.fairness import bars, explored
from workbench.evidence import Detail, Finding, Limit, Status
from workbench.measure import fairness_gaps as gaps
from workbench.measure.fairness_paired import Assessed, Plan
from workbench.measure.fairness_people import People, Sampled
from workbench.measure.fairness_whole import counted
from workbench.measure.intervals import Estimate, holm, rows_to_decide
from workbench.migration import Limits, Roles
from workbench.scored import Scored

Judged = Literal["legacy", "candidate", "change"]
QUESTION = "Is any group treated worse than before?"
_NONE_YET = "there is no candidate: run 42_replatform; where it cannot make one, set candidate in migration.yaml"
_COMPARE = "Compare the rates of the groups named, then look in 52_explainability at what the model leans on for them."


def _gap_kind(name: str, rate: str, why: str) -> Kind:
    title, source = f"{rate}: no gap between groups grows", "fairlearn.metrics; max-T over all pairs of groups"
    limit = Limit(value=0, better="lower", margin=0.02)
    return Kind(id=f"bias/{name}", title=title, why=why, fix=_COMPARE, source=source, limit=limit)


GROUPS = Kind(
    id="bias/groups",
    title="What each group gets",
    why="A mean over everybody hides whom the errors fall on.",
    fix="Declare the attributes no group of which may be treated worse: roles.protected in migration.yaml.",
)
SMALL = Kind(
    id="bias/small-groups",
    title="Groups too small to compare",
    why="Of a few rows no rate can be told; a group that is never assessed is never protected.",
    fix="Collect more rows of these groups for the holdout, or judge these cases one by one.",
)
RATIO = Kind(
    id="bias/selection-rate-ratio",
    title="Four-fifths rule: every group is selected at least 0.8 times as often as any other",
    why="Below four fifths, US authorities take a selection procedure as evidence of adverse impact.",
    fix=_COMPARE,
    source="29 CFR 1607.4(D), which leaves out differences that are not statistically significant; log-ratio, max-T",
    limit=Limit(value=0.8, better="higher"),
)
WORST = Kind(
    id="bias/group-accuracy",
    title="No group loses accuracy",
    why="A gap can stay the same while everybody, or the group that was best, gets worse.",
    fix="Look at the flips of the group named in 44_parity.",
    limit=Limit(value=0, better="higher", margin=0.02),
)
SAME = Kind(
    id="bias/one-answer",
    title="The model does not give everybody the same answer",
    why="A model that selects nobody, or everybody, has no gap at all, and no use.",
    fix="Check task.threshold and task.positive, then the model's output.",
    limit=Limit(value=0.001, better="higher"),
)
ORDER = Kind(
    id="bias/order",
    title="The model ranks the right way round",
    why="With inverted scores those who deserve it least are selected first, in every group alike.",
    fix="Check which class task.positive names, and the order of the candidate's classes.",
    source="area under the ROC curve, DeLong et al. 1988",
    limit=Limit(value=0.5, better="higher"),
)
THRESHOLDS = Kind(
    id="bias/thresholds",
    title="What other thresholds would give",
    why="Accuracy and gaps depend on where the line between yes and no is drawn, and the line is often moved later.",
    fix="Choose the threshold with the owner of the process, set task.threshold in migration.yaml, and run this again.",
)
GAPS = {
    "demographic_parity": _gap_kind("selection-rate-gap", "Selection rate", "Who is selected less often gets less."),
    "equal_opportunity": _gap_kind(
        "equal-opportunity-gap", "True positive rate", "The deserving of one group miss out."
    ),
    "equalized_odds": _gap_kind("equalized-odds-gap", "Error rates", "One group bears more of the errors."),
    "predictive_parity": _gap_kind("predictive-parity-gap", "Precision", "A yes is worth less for one group."),
    "accuracy": _gap_kind("accuracy-gap", "Accuracy", "The model knows one group better than another."),
    "mean_prediction": _gap_kind("mean-prediction-gap", "Mean prediction", "One group is rated higher than another."),
    "residual": _gap_kind("residual-gap", "Mean error", "One group is overrated against the truth."),
}
KINDS = (GROUPS, SMALL, RATIO, WORST, SAME, ORDER, THRESHOLDS, *GAPS.values())


class Params(audit.Params):
    min_group: int = Field(50, ge=10, le=100_000, description="rows a group needs to be compared")
    depth: int = Field(1, ge=1, le=3, description="2 compares intersections of two attributes too, and so on")
    draws: int = Field(10_000, ge=200, le=100_000, description="replicates behind intervals and tests")
    level: float = Field(0.95, gt=0.5, lt=1, description="confidence level")
    seed: int = Field(0, description="seed of the replicates")


def run(scored: Scored, roles: Roles, limits: Limits, params: Params) -> Iterator[Finding]:
    """Whole-model checks first, then every protected attribute, then their intersections."""
    people: People = counted(scored, roles.protected, params.depth) or Sampled(scored)
    yield from _whole(people, limits)
    if not roles.protected or not people.n:
        none = "no protected attribute is declared: set roles.protected in migration.yaml"
        yield GROUPS.absent(none if not roles.protected else "no row was answered by every model: see 44_parity")
        return
    for name in (name for name in roles.protected if name not in people.columns):
        yield GROUPS.absent(f"the holdout has no column {name!r}: correct roles.protected in migration.yaml", name)
    names = [name for name in roles.protected if name in people.columns]
    plan = Plan(params.min_group, params.draws, params.level, params.seed)
    found = list(people.assessed(names, params.depth, plan))
    adjusted = iter(holm([gap.p for item in found for _, gap in item.gaps]))
    for item in found:
        yield from _split(item, [next(adjusted) for _ in item.gaps], limits, params)


def _whole(people: People, limits: Limits) -> Iterator[Finding]:
    if people.decides:
        yield _model(SAME, people.one_answer(), people.n, limits)
    if people.whole:
        yield _model(ORDER, people.order(), people.known, limits)


def _model(kind: Kind, estimates: list[Estimate], n: int, limits: Limits) -> Finding:
    if math.isnan(estimates[0].value):
        return kind.absent("no answered rows, or fewer than two with a known truth of either class")
    legacy, candidate = (*(measured(estimate, n) for estimate in estimates), None)[:2]
    return kind.found(legacy=legacy, candidate=candidate, limit=limits.get(kind.id))


def _split(item: Assessed, p: list[float], limits: Limits, params: Params) -> Iterator[Finding]:
    shown: list[Detail] = [bars(item)] if item.bars and item.bars[0].groups else []
    shown += [tabled(title, frame) for title, frame in item.tables.items()]
    yield GROUPS.found(f"What each group of {item.name} gets", item.name, status=Status.INFO, details=tuple(shown))
    if item.small:
        named = ", ".join(f"{label} ({n:,} rows)" for label, n in list(item.small.items())[:10])
        yield SMALL.absent(f"{params.min_group} rows are needed to compare {named}", item.name)
    if item.explored is not None:
        yield THRESHOLDS.found(subject=item.name, status=Status.INFO, details=explored(item.explored, item.name))
    for (name, gap), chance in zip(item.gaps, p):
        yield _gap(GAPS[gap.name], f"{item.name}, {name}" if name else item.name, gap, chance, limits, params.level)
    if item.ratio is not None:
        yield _gap(RATIO, item.name, item.ratio, p[0], limits, params.level)
    if item.worst is not None:
        yield _worst(item.name, item.worst, limits, params.level)
    elif len(item.bars) < 2:
        yield WORST.absent(_NONE_YET, item.name)


def _worst(subject: str, worst: gaps.GroupChange, limits: Limits, level: float) -> Finding:
    title = f"Accuracy falls most for {worst.group}" if worst.change.value < 0 else ""
    parts = (worst.legacy, worst.candidate, worst.change)
    legacy, candidate, change = (measured(part, worst.n, "bootstrap, max-T over groups", level=level) for part in parts)
    limit = limits.get(WORST.id)
    return WORST.found(title, subject, legacy=legacy, candidate=candidate, change=change, limit=limit)


def _gap(kind: Kind, subject: str, gap: gaps.Gap, p: float, limits: Limits, level: float) -> Finding:
    """The four-fifths ratio is judged on the candidate as it is, every other gap on its change."""
    without = f"; without {', '.join(gap.left_out)} (under ten rows for this rate)" if gap.left_out else ""
    method = f"max-T over pairs of groups; p = {p:.2g} of no gap{without}"
    absolute, both = kind is RATIO, (gap.legacy, gap.candidate, gap.change)
    legacy, candidate, change = (part and measured(part, gap.n, method, level=level) for part in both)
    if any(part and math.isnan(part.value) for part in both):
        found = kind.absent("a model selects nobody, or under ten rows of all groups but one have this rate", subject)
        return found.model_copy(update={"legacy": legacy, "candidate": candidate})
    limit = limits.get(kind.id) if absolute or change else None
    judged: Judged = "change" if change and not absolute else "candidate" if candidate else "legacy"
    title = f"{kind.title.split(':')[0]}: lowest for {gap.lowest}, highest for {gap.highest}"
    found = kind.found(title, subject, legacy=legacy, candidate=candidate, change=change, limit=limit, judged=judged)
    return _undecided(found, absolute and p > 1 - level)


def _undecided(found: Finding, by_chance: bool) -> Finding:
    """Says how many rows would decide a straddling interval; what may well be chance is no warning."""
    shown, limit = found.shown, found.limit
    if found.status is not Status.WARN or limit is None or shown is None or shown.low is None or shown.high is None:
        return found
    bound = limit.accepted[0] if limit.better == "higher" else limit.accepted[1]
    more = rows_to_decide(Estimate(shown.value, shown.low, shown.high), bound, shown.n or 0)
    changes: dict[str, object] = {"fix": f"About {more:,} rows would decide it. {found.fix}"} if more else {}
    if by_chance:
        changes |= {"status": Status.INFO, "reason": "the groups do not differ beyond chance in these rows"}
    return found.model_copy(update=changes)
