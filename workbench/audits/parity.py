"""Both models on the same rows: answer by answer, label by label, and in quality against the truth.

The limits are those of an exact lift. Without a flip in 921 rows the flip rate's exact interval ends at 0.004; on
fewer rows that limit warns, for they cannot show it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import pandas as pd
from pydantic import Field

from workbench import audit
from workbench.audit import Kind, measured, tabled
from workbench.evidence import Chart, Detail, Finding, Limit, Measure, Series, Status
from workbench.measure import agreement, causes, quality, quality_groups
from workbench.measure.intervals import rows_to_decide
from workbench.measure.matched import Matched, compared, match, nearest, unanswered
from workbench.migration import Limits
from workbench.scored import Scored, Side

QUESTION = "Does the candidate answer as the legacy model did?"
_NONE_YET = "there is no candidate: run 42_replatform; where it cannot make one, set candidate in migration.yaml"
_LIFT = "Run 41_compatibility to see which piece is not lifted exactly, or agree on a wider limit with the team."

ANSWERS = Kind(
    id="parity/answers",
    title="Every row gets an answer, and the same one twice",
    why="Rows without an answer, or with another one each time, stop a process and cannot be compared at all.",
    fix="Look for missing values and unseen categories in these rows; switch dropout off and fix the seeds.",
    limit=Limit(value=0, better="lower"),
)
FLIPS = Kind(
    id="parity/label-flips",
    title="Labels stay the same",
    why="Each flipped label is a case that gets another decision only because the platform changed.",
    fix=_LIFT,
    limit=Limit(value=0, better="lower", margin=0.004),
)
DIFFERENCE = Kind(
    id="parity/score-difference",
    title="Scores stay the same",
    why="Thresholds, prices and rankings downstream see a difference that no label shows.",
    fix=_LIFT,
    limit=Limit(value=1e-6, better="lower"),
)
EQUIVALENCE = Kind(
    id="parity/equivalence",
    title="The mean answer is equivalent",
    why="A small shift in one direction moves every budget and rate that is computed from the scores.",
    fix="Look for a constant offset (base score, intercept), then for a shifted input such as another imputation.",
    source="two one-sided tests, Schuirmann 1987",
    limit=Limit(value=0, better="equal", margin=0.01),
)
RANKS = Kind(
    id="parity/rank-agreement",
    title="Rows keep their order",
    why="Where the best or worst cases are picked first, the order decides, not the score.",
    fix=_LIFT,
    limit=Limit(value=0.99, better="higher"),
)
SEGMENTS = Kind(
    id="parity/flips-by-segment",
    title="Flips by segment",
    why="A small overall rate can sit in one group, for whom it is not small.",
    fix="Start with the segment named: its rows may share the cause.",
)
QUALITY = Kind(
    id="parity/quality",
    title="Quality against the truth",
    why="The same answers are no aim in themselves: what must not get worse is being right.",
    fix="See the findings of the metrics that got worse.",
    source="McNemar 1947, DeLong et al. 1988, paired bootstrap; Holm 1979 across metrics",
)
CAUSES = Kind(
    id="parity/causes",
    title="What explains the rows that differ",
    why="A difference whose cause has a name can be mended; one without a name can come back anywhere.",
    fix="Mend what is named and lift again. A model that learnt anew leaves the unknown: then ask who is decided anew.",
)
METRICS = {
    metric.name: Kind(
        id=f"parity/{metric.name}",
        title=f"{metric.title}: not worse than before",
        why="Non-inferiority: the interval of the change must stay inside a margin declared beforehand.",
        fix="Look at 51_bias for the groups that lost, then retrain; widen the margin only with its owner's yes.",
        limit=Limit(value=0, better=metric.better, margin=0.01),
    )
    for metric in quality.METRICS
}
KINDS = (ANSWERS, FLIPS, DIFFERENCE, EQUIVALENCE, RANKS, SEGMENTS, CAUSES, QUALITY, *METRICS.values())


class Params(audit.Params):
    draws: int = Field(500, ge=100, le=20_000, description="bootstrap draws of the quality metrics")
    categories: int = Field(20, ge=2, le=200, description="columns with at most this many values are segments")
    nearest: int = Field(10, ge=1, le=100, description="rows nearest the threshold to list")
    seed: int = Field(0, description="seed of the bootstrap")


def run(scored: Scored, doors: causes.Doors | None, limits: Limits, params: Params) -> Iterator[Finding]:
    """Answers, labels, order, causes and quality. Without a candidate only the legacy's own figures."""
    yield _answers(scored, "legacy", scored.legacy, limits)
    if scored.candidate is not None:
        yield _answers(scored, "candidate", scored.candidate, limits)
    rows = match(scored)
    if rows.after is None or not len(rows):
        reason = _NONE_YET if rows.after is None else "no row was answered by both models: see parity/answers"
        yield from (kind.absent(reason) for kind in (FLIPS, DIFFERENCE, EQUIVALENCE, RANKS, SEGMENTS, CAUSES))
    else:
        yield from _labels(rows, limits, params, scored.roles.protected)
        yield from _scores(rows, limits)
        yield _causes(scored, rows, doors, params)
    yield from _quality(rows.only(rows.known), limits, params, scored.roles.protected)


def _answers(scored: Scored, name: str, side: Side, limits: Limits) -> Finding:
    if not len(scored):
        return ANSWERS.absent("no rows were scored: give a holdout that has some", name)
    count, title = unanswered(scored, name, side)
    measure = Measure(value=count, n=len(scored), unit="rows")
    before, after = (measure, None) if name == "legacy" else (None, measure)
    return ANSWERS.found(title, name, legacy=before, candidate=after, limit=limits.get(ANSWERS.id))


def _labels(rows: Matched, limits: Limits, params: Params, groups: tuple[str, ...]) -> Iterator[Finding]:
    if rows.before.decision is None or rows.after is None or rows.after.decision is None:
        return
    flipped = rows.before.decision != rows.after.decision
    n, count, limit = len(flipped), int(flipped.sum()), limits.get(FLIPS.id)
    rate = agreement.flip_rate(flipped)
    title = f"{count:,} of {n:,} labels flip" if count else f"No label flips in {n:,} rows"
    details = _tables({"Rows nearest the threshold": nearest(rows, params.nearest)})
    finding = FLIPS.found(title, change=measured(rate, n, "Clopper-Pearson"), limit=limit, details=details)
    more = rows_to_decide(rate, limit.accepted[1], n) if limit and finding.status is Status.WARN else None
    yield finding.model_copy(update={"fix": f"About {more:,} rows would decide it. {FLIPS.fix}"}) if more else finding
    table = agreement.segments(rows.frame, flipped, params.categories, groups=groups)
    if table.empty:
        return (yield SEGMENTS.found("No segment has a flip", change=measured(rate, n, "Clopper-Pearson")))
    worst, most = table.iloc[0], tabled("Segments with flips, most affected first", table.head(20))
    change = measured((worst.rate, worst.low, worst.high), int(worst.rows), "Clopper-Pearson, Bonferroni")
    yield SEGMENTS.found(f"{worst.column} = {worst.value} flips most", change=change, details=(most,))


def _scores(rows: Matched, limits: Limits) -> Iterator[Finding]:
    if rows.scaled is None:
        reason = "a model gives labels only: give one that answers with probabilities to compare them"
        return (yield from (kind.absent(reason) for kind in (DIFFERENCE, EQUIVALENCE, RANKS)))
    legacy, candidate, unit = rows.scaled
    apart = agreement.differences(legacy, candidate)
    x, y = agreement.histogram(legacy, candidate)
    bars = (Series(name="rows", x=x, y=y, role="change"),)
    chart = Chart(kind="bar", title="Distance of the two answers", x="difference", y="share of rows", series=bars)
    change = Measure(value=apart.largest, n=apart.n, unit=unit, method="largest absolute difference")
    details = (*_tables({"Absolute differences": apart.table()}), chart)
    yield DIFFERENCE.found(change=change, limit=limits.get(DIFFERENCE.id), details=details)
    limit = limits.get(EQUIVALENCE.id)
    test = agreement.equivalence(candidate - legacy, margin := (limit.margin if limit else 0) or 0.01)
    told = f"two one-sided t-tests, p = {test.p:.3g} for {margin:g} or more either way"
    yield EQUIVALENCE.found(change=measured(test.mean, test.n, told, level=test.level, unit=unit), limit=limit)
    if legacy.ndim == 1:  # more than two classes have no one order
        order = agreement.ranks(legacy, candidate)
        tau = Measure(value=order.tau, n=len(legacy), method=f"Kendall tau-b (Spearman {order.rho.value:.6f})")
        nothing = RANKS.absent("a model gives every row the same score, so that there is no order to compare")
        yield nothing if math.isnan(order.tau) else RANKS.found(change=tau, limit=limits.get(RANKS.id))


def _causes(scored: Scored, rows: Matched, doors: causes.Doors | None, params: Params) -> Finding:
    told = causes.told(
        compared(scored, rows, doors, params.seed), rows.place, params.categories, scored.roles.protected
    )
    change, status = Measure(value=told.unknown, n=len(rows), unit="rows unexplained"), (Status.INFO, Status.WARN)
    return CAUSES.found(told.title, change=change, status=status[told.flipped > 0], details=_tables(told.tables))


def _tables(tables: Mapping[str, pd.DataFrame]) -> tuple[Detail, ...]:
    return tuple(tabled(title, frame) for title, frame in tables.items() if len(frame))


def _quality(rows: Matched, limits: Limits, params: Params, groups: tuple[str, ...]) -> Iterator[Finding]:
    if not len(rows):
        return (yield QUALITY.absent("no answered row has a known truth: fill the target column of the holdout"))
    found = quality_groups.compared(rows, params.draws, params.seed)
    margins = {name: one.margin for name, kind in METRICS.items() if (one := limits.get(kind.id, kind.limit))}
    tables, lost = quality_groups.told(rows, found, groups, margins, params.draws, params.seed)
    yield QUALITY.found(lost, details=_tables(tables), status=Status.WARN if lost else Status.INFO)
    yield from (_metric(item, limits) for item in found if rows.after is not None)


def _metric(item: quality.Compared, limits: Limits) -> Finding:
    kind = METRICS[item.metric.name]
    if math.isnan(item.legacy.value) or item.candidate is None or item.change is None:
        return kind.absent("it is undefined on these rows: one class only, or a constant target")
    if item.n < quality_groups.FEWEST:
        return kind.absent(f"{item.n} rows with a known truth carry no interval: give at least {quality_groups.FEWEST}")
    legacy, candidate = (measured(side, item.n, item.method) for side in (item.legacy, item.candidate))
    change = measured(item.change, item.n, item.method, unit="of the legacy's" if item.metric.relative else "")
    return kind.found(legacy=legacy, candidate=candidate, change=change, limit=limits.get(kind.id), judged="change")
