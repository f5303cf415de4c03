"""Both models' reasons for the same rows: how far they agree, and what they lean on.

Reasons are Shapley values (Lundberg and Lee 2017, arXiv:1705.07874), interventional, on raw columns, of the margin:
exact for trees and additive models, else from what-if rows. Both models get the same rows, background and space.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydantic import Field

from workbench import audit
from workbench.audit import Kind, measured
from workbench.checks import reason_kinds
from workbench.checks import reasons as tell
from workbench.checks.reason_kinds import (
    ADDITIVITY,
    AGREEMENT,
    CHANGED,
    DRIFT,
    FAITHFUL,
    IMPORTANCE,
    PROTECTED,
    REASONS,
    STABILITY,
    SURROGATE,
    TOGETHER,
    TOP,
    UNANSWERED,
)
from workbench.data import Table
from workbench.evidence import Detail, Finding, Measure, Status
from workbench.evidence import Table as Shown
from workbench.measure import attribution as reasons
from workbench.measure.attribution import Found, Question, Shares, Side
from workbench.migration import Limits, Roles
from workbench.models import Model, ModelError
from workbench.scored import Scored

QUESTION = "Does it decide for the same reasons?"
BOOTSTRAP, SMALLEST = "percentile bootstrap over rows", 10
ASKED, COMPARED = {"rows", "background", "evaluations", "seed"}, {"top_k", "changed_below", "seed"}
KINDS = reason_kinds.KINDS
SILENT = (reasons.UnansweredError, reasons.InexactError, reasons.UnaskableError, ModelError)


class Params(audit.Params):
    rows: int = Field(2_000, ge=20, le=20_000, description="rows explained")
    background: int = Field(1_000, ge=20, le=5_000, description="rows an absent column takes its values from")
    evaluations: int = Field(200_000, ge=10_000, description="what-if rows each model answers where it is not exact")
    top_k: int = Field(3, ge=1, description="how many leading reasons are compared")
    changed_below: float = Field(0.8, gt=0, lt=1, description="cosine under which a row's reasons have changed")
    seed: int = Field(0, description="of the sample, the permutations and the bootstrap")


def run(
    scored: Scored, legacy: Model, candidate: Model | None, production: Table | None, limits: Limits,
    artifacts: Path | None, params: Params,
) -> Iterator[Finding]:  # fmt: skip
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
    details = tuple(tell.overview(question, found, shares, scored.roles, params.top_k, artifacts))
    first = next(iter(found.values())).features[tell.leading(found, shares)[0]]
    yield REASONS.found(f"It looks most at {first}", status=Status.INFO, details=details)
    if "change" in shares:
        yield from _agreement(
            question, found, reasons.same_answer(scored)[question.plan.rows], scored.roles, limits, params
        )
        yield from _moved(IMPORTANCE, shares, limits)
    else:
        reason = "a model gave no reasons" if candidate else "there is no candidate (run 42_replatform, or name one)"
        yield AGREEMENT.absent(f"{reason}, so there is nothing to compare")
    yield from _together(question, found, limits)
    yield from _protected(scored, question, found, shares, limits)
    for side in found:
        yield from _sanity(question, side, found, limits)
    if production is not None:
        yield from _drift(question, found, production, limits)


def _ask(question: Question, side: Side, found: Found, limits: Limits) -> Iterator[Finding]:
    try:
        one = found[side] = question.ask(side)
    except ModelError as error:
        yield UNANSWERED.absent(f"the {side} model refuses what-if rows: {error}", side)
    except reasons.UnansweredError as error:
        yield _sided(UNANSWERED, side, Measure(value=error.share, n=error.asked), limits, str(error))
    else:
        yield _sided(ADDITIVITY, side, Measure(value=one.additivity_error, n=len(one.output)), limits)


def _sided(
    kind: Kind, side: Side, measure: Measure, limits: Limits, reason: str = "", details: tuple[Detail, ...] = ()
) -> Finding:
    before, after = (measure, None) if side == "legacy" else (None, measure)
    limit = limits.get(kind.id)
    return kind.found("", side, legacy=before, candidate=after, limit=limit, reason=reason, details=details)


def _agreement(
    question: Question, found: Found, same: reasons.Flags, roles: Roles, limits: Limits, params: Params
) -> Iterator[Finding]:
    before, after = found["legacy"].values, found["candidate"].values
    both = reasons.agree(before, after, same, **params.model_dump(include=COMPARED))
    table = Shown(title="Agreement by row", columns=reasons.BY_ROW, rows=both.by_row)
    tables = (table, tell.parts(question, found, roles, SMALLEST))
    for kind, estimate, details in ((AGREEMENT, both.cosine, tables), (TOP, both.top, ())):
        change = measured(estimate, len(before), BOOTSTRAP)
        yield kind.found(change=change, limit=limits.get(kind.id), details=details)
    reason = "" if both.same else "no explained row has the same answer from both models: see 44_parity"
    rate = measured(both.changed, both.same, "Clopper-Pearson")
    yield CHANGED.found(change=rate, limit=limits.get(CHANGED.id), reason=reason)


def _moved(kind: Kind, shares: Shares, limits: Limits, details: tuple[Detail, ...] = ()) -> Iterator[Finding]:
    """What changed beyond the limit, the most changed first; else what changed most."""
    order = np.argsort(-np.abs(shares["change"].share), kind="stable")[: tell.SHOWN]
    found = [_weighed(kind, shares, shares["change"].features[j], limits, details) for j in order]
    yield from [one for one in found if one.status in (Status.WARN, Status.FAIL)] or found[:1]


def _together(question: Question, found: Found, limits: Limits) -> Iterator[Finding]:
    try:
        shares = reasons.interactions(question)
    except SILENT as error:
        yield TOGETHER.absent(f"exact interactions are not open to both: {error}")
        return
    details = (tell.pairs(shares),)
    if "change" in shares:
        yield from _moved(TOGETHER, shares, limits, details)
    else:
        yield TOGETHER.found("Columns that work together", status=Status.INFO, details=details)


def _sanity(question: Question, side: Side, found: Found, limits: Limits) -> Iterator[Finding]:
    try:
        faithful = reasons.faithfulness(question, side, found[side])
        surrogate, n = reasons.surrogate(question, side, found[side])
    except SILENT as error:
        yield FAITHFUL.absent(str(error), side)
        return
    gain = measured(faithful.gain, faithful.n, BOOTSTRAP)
    yield _sided(FAITHFUL, side, gain, limits, details=(tell.curves(faithful.curves),))
    yield _sided(SURROGATE, side, measured(surrogate, n, BOOTSTRAP), limits)
    steady = measured(*reasons.stability(question, side, found[side]), BOOTSTRAP)
    yield _sided(STABILITY, side, steady, limits)


def _drift(question: Question, found: Found, production: Table, limits: Limits) -> Iterator[Finding]:
    """Of the model that will answer production rows: the candidate, where there is one."""
    side: Side = "candidate" if "candidate" in found else "legacy"
    try:
        drift = reasons.drift(question, side, found[side], production.sample(len(question.plan.rows) + 100))
    except SILENT as error:
        yield DRIFT.absent(f"recent rows cannot be explained: {error}", side)
        return
    name = drift.change.features[int(np.abs(drift.change.share).argmax())]
    change = measured(drift.change.of(name), drift.change.n, BOOTSTRAP)
    title = f"{DRIFT.title}; most changed: {name}"
    limit, details = limits.get(DRIFT.id), (tell.moved(drift.then, drift.now),)
    yield DRIFT.found(title, side, change=change, limit=limit, details=details)


def _protected(scored: Scored, question: Question, found: Found, shares: Shares, limits: Limits) -> Iterator[Finding]:
    rows = scored.frame.iloc[question.plan.rows]
    for name in (name for name in scored.roles.protected if name in rows.columns):
        gaps = reasons.group_gaps(found, rows[name], SMALLEST)[: tell.SHOWN]
        title = f"Largest difference of mean attribution between groups of {name}"
        yield _weighed(PROTECTED, shares, name, limits, (Shown(title=title, columns=("column", *found), rows=gaps),))


def _weighed(kind: Kind, shares: Shares, name: str, limits: Limits, details: tuple[Detail, ...] = ()) -> Finding:
    """A share of the attribution on each side; a column that is no input has none."""
    before, after, change = (
        measured(shares[side].of(name), shares[side].n, BOOTSTRAP) if side in shares else None
        for side in ("legacy", "candidate", "change")
    )
    title, limit = f"{kind.title}: {name}", limits.get(kind.id) if change else None
    return kind.found(title, name, legacy=before, candidate=after, change=change, limit=limit, details=details)
