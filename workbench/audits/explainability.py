"""Both models' reasons for the same rows: how far they agree, and what they lean on.

Reasons are Shapley values (Lundberg and Lee 2017, arXiv:1705.07874), interventional, on raw columns, in log-odds of the
explained class where both models give a score. Both models get the same rows, background, permutations and space.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from workbench import audit
from workbench.audit import Kind
from workbench.evidence import Chart, Detail, Finding, Limit, Measure, Series, Status, Table, Text
from workbench.measure import attribution as reasons
from workbench.measure.attribution import Found, Question, Shares, Side
from workbench.measure.intervals import Estimate
from workbench.migration import Limits, Roles
from workbench.models import Model, ModelError
from workbench.scored import Scored

QUESTION = "Does it decide for the same reasons?"
RETRAIN = "Lift the legacy model exactly, or distil its scores into the candidate; see 44_parity for rows that differ."
LEVEL, CASES, SHOWN, SMALLEST = 0.95, 5, 15, 10
ASKED, COMPARED = {"rows", "background", "evaluations", "seed"}, {"top_k", "changed_below", "seed"}

REASONS = Kind(
    id="explainability/reasons",
    title="What each model looks at",
    why="Reviewers and customers ask why; the columns a model leans on are the first half of the answer.",
    fix="Ask someone who knows the business whether the leading columns make sense, and are allowed.",
)
AGREEMENT = Kind(
    id="explainability/reasons-agreement",
    title="Agreement of reasons, row by row",
    why="A candidate may give the same answers for other reasons, and then part ways on the next customers.",
    fix=RETRAIN,
    limit=Limit(value=0.95, better="higher"),
)
TOP = Kind(
    id="explainability/top-reasons",
    title="Leading reasons that both models share",
    why="The leading reasons are what a customer is told; if they change, letters and appeals change.",
    fix=RETRAIN,
    limit=Limit(value=0.9, better="higher"),
)
CHANGED = Kind(
    id="explainability/changed-reasons",
    title="Rows with the same answer for other reasons",
    why="Tests of answers cannot see these rows; an auditor who asks for reasons will.",
    fix=RETRAIN,
    limit=Limit(value=0.05, better="lower"),
)
IMPORTANCE = Kind(
    id="explainability/importance-change",
    title="No column weighs more or less than before",
    why="A column that weighs more than before may be a proxy, a leak, or a fault of the new preparation of data.",
    fix="Compare how both sides prepare this column (missing values, categories, units); then retrain or lift.",
    limit=Limit(value=0.0, better="equal", margin=0.05),
)
ADDITIVITY = Kind(
    id="explainability/additivity",
    title="Reasons add up to the model's own answer",
    why="Attributions that do not sum to the answer explain some other model.",
    fix="See whether the model answers a row differently alone, in a batch, or when asked again.",
    limit=Limit(value=1e-4, better="lower"),
)
PROTECTED = Kind(
    id="explainability/protected-reliance",
    title="How much it leans on a protected attribute",
    why="Deciding by it is often unlawful; a column that sets its groups apart (see the table) may act as its proxy.",
    fix="Leave the attribute or its proxy out, or have the people responsible agree in writing; then see 51_bias.",
    limit=Limit(value=0.0, better="lower", margin=0.02),
)
STABILITY = Kind(
    id="explainability/background-stability",
    title="How far reasons depend on the background rows",
    why="An explanation that changes with the rows it is compared to is no firmer than this agreement.",
    fix="Raise `background` and `evaluations` until this is well above the agreement you want to show.",
)
UNANSWERED = Kind(
    id="explainability/unanswered",
    title="What-if rows without an answer",
    why="A model that gives no number for a plausible mix of values fails in production on the first such row.",
    fix="Find the column mix it cannot take (often a missing value or a rare category) and handle it in the model.",
    limit=Limit(value=0.0, better="equal"),
)
KINDS = (REASONS, AGREEMENT, TOP, CHANGED, IMPORTANCE, ADDITIVITY, PROTECTED, STABILITY, UNANSWERED)


class Params(audit.Params):
    rows: int = Field(2_000, ge=20, le=20_000, description="rows explained")
    background: int = Field(1_000, ge=20, le=20_000, description="rows an absent column takes its values from")
    evaluations: int = Field(200_000, ge=10_000, description="what-if rows each model answers where it is not exact")
    top_k: int = Field(3, ge=1, description="how many leading reasons are compared")
    changed_below: float = Field(0.8, gt=0, lt=1, description="cosine under which a row's reasons have changed")
    seed: int = Field(0, description="of the sample, the permutations and the bootstrap")


def run(scored: Scored, legacy: Model, candidate: Model | None, limits: Limits, params: Params) -> Iterator[Finding]:
    """Reasons of both models on a sample of the scored rows. Without a candidate only what the legacy leans on."""
    pair: dict[Side, Model] = {"legacy": legacy, "candidate": candidate} if candidate else {"legacy": legacy}
    try:
        question = reasons.question(scored, pair, **params.model_dump(include=ASKED))
    except reasons.UnaskableError as error:
        yield AGREEMENT.absent(str(error))
        return
    found: Found = {}
    for side in pair:
        yield from _ask(question, side, found, limits)
    if not found:
        return
    shares = reasons.importances(found, params.seed)
    yield _overview(found, shares, scored.roles, params)
    if "change" in shares:
        yield from _agreement(found, reasons.same_answer(scored)[question.plan.rows], limits, params)
        yield from _moved(shares, limits)
    else:
        reason = "a model gave no reasons" if candidate else "there is no candidate (run 42_replatform, or name one)"
        yield AGREEMENT.absent(f"{reason}, so there is nothing to compare")
    yield from _protected(scored, question, found, shares, limits)
    if "legacy" in found:
        steady = _measure(*reasons.stability(question, "legacy", found["legacy"]))
        yield STABILITY.found(legacy=steady, limit=limits.get(STABILITY.id))


def _ask(question: Question, side: Side, found: Found, limits: Limits) -> Iterator[Finding]:
    try:
        one = found[side] = question.ask(side)
    except ModelError as error:
        yield UNANSWERED.absent(f"the {side} model refuses what-if rows: {error}", side)
    except reasons.UnansweredError as error:
        yield _sided(UNANSWERED, side, Measure(value=error.share, n=error.asked), limits, str(error))
    else:
        yield _sided(ADDITIVITY, side, Measure(value=one.additivity_error, n=len(one.output)), limits)


def _sided(kind: Kind, side: Side, measure: Measure, limits: Limits, reason: str = "") -> Finding:
    before, after = (measure, None) if side == "legacy" else (None, measure)
    return kind.found("", side, legacy=before, candidate=after, limit=limits.get(kind.id), reason=reason)


def _measure(estimate: Estimate, n: int, method: str = "percentile bootstrap over rows") -> Measure:
    return Measure(value=estimate.value, low=estimate.low, high=estimate.high, level=LEVEL, n=n, method=method)


def _overview(found: Found, shares: Shares, roles: Roles, params: Params) -> Finding:
    """Importance of each side, and the leading reasons of a few rows: names and numbers, never a cell of the data."""
    one = next(iter(found.values()))
    order = np.argsort(-np.sum([shares[side].share for side in found], axis=0), kind="stable")[:SHOWN]
    bars = []
    for side in found:
        x, y, low, high = shares[side].at(order)
        bars.append(Series(name=side, x=x, y=y, low=low, high=high, role=side))
    columns = ("case", "rank", *(f"{side} {what}" for side in found for what in ("reason", "contribution")))
    cases = reasons.leading_reasons(tuple(found.values()), CASES, params.top_k, (*roles.personal, *roles.key))
    details = (
        Chart(kind="bar", title="Share of the whole attribution", x="column", y="share", series=tuple(bars)),
        Table(title="Leading reasons of sampled rows", columns=columns, rows=cases),
        Text(text=f"{len(one.values)} rows, {one.background} background rows; {one.method} values in {one.space}."),
    )
    return REASONS.found(f"It looks most at {one.features[order[0]]}", status=Status.INFO, details=details)


def _agreement(found: Found, same: reasons.Flags, limits: Limits, params: Params) -> Iterator[Finding]:
    before, after = found["legacy"].values, found["candidate"].values
    both = reasons.agree(before, after, same, **params.model_dump(include=COMPARED))
    table = Table(title="Agreement by row", columns=reasons.BY_ROW, rows=both.by_row)
    for kind, estimate, details in ((AGREEMENT, both.cosine, (table,)), (TOP, both.top, ())):
        yield kind.found(change=_measure(estimate, len(before)), limit=limits.get(kind.id), details=details)
    rate = _measure(both.changed, both.same, "Clopper-Pearson")
    reason = "" if both.same else "no explained row has the same answer from both models: see 44_parity"
    yield CHANGED.found(change=rate, limit=limits.get(CHANGED.id), reason=reason)


def _moved(shares: Shares, limits: Limits) -> Iterator[Finding]:
    """Columns whose importance changed beyond the limit, the most changed first; else the most changed one."""
    order = np.argsort(-np.abs(shares["change"].share), kind="stable")[:SHOWN]
    found = [_weighed(IMPORTANCE, shares, shares["change"].features[j], limits) for j in order]
    yield from [one for one in found if one.status in (Status.WARN, Status.FAIL)] or found[:1]


def _protected(scored: Scored, question: Question, found: Found, shares: Shares, limits: Limits) -> Iterator[Finding]:
    rows = scored.frame.iloc[question.plan.rows]
    for name in (name for name in scored.roles.protected if name in rows.columns):
        gaps = reasons.group_gaps(found, rows[name], SMALLEST)[:SHOWN]
        title = f"Largest difference of mean attribution between groups of {name}"
        yield _weighed(PROTECTED, shares, name, limits, (Table(title=title, columns=("column", *found), rows=gaps),))


def _weighed(kind: Kind, shares: Shares, name: str, limits: Limits, details: tuple[Detail, ...] = ()) -> Finding:
    """A column's share of the attribution on each side; a column that is no input has none."""
    before, after, change = (
        _measure(shares[side].of(name), shares[side].n) if side in shares else None
        for side in ("legacy", "candidate", "change")
    )
    title, limit = f"{kind.title}: {name}", limits.get(kind.id) if change else None
    return kind.found(title, name, legacy=before, candidate=after, change=change, limit=limit, details=details)
