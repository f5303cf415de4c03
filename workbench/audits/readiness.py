"""Readiness: every column, row and label of the migration's data, before anything is concluded from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import Field

from workbench import audit
from workbench.audit import Kind
from workbench.checks.looking import CHECKING, Look
from workbench.data import Table
from workbench.data.checks import CHECKS
from workbench.data.profile import SAMPLE, profile
from workbench.data.trouble import Trouble
from workbench.evidence import DEFAULT, Detail, Finding, Limit, Measure, Status, judge
from workbench.evidence import Table as Rows
from workbench.migration import Limits, Roles, Task
from workbench.models import Input, Model, ModelError

QUESTION = "Can this data carry the move?"
KINDS = tuple(
    Kind(
        id=f"readiness/{check.name}",
        title=check.title,
        why=check.why,
        fix=check.fix,
        source=check.source,
        limit=None if check.limit is None else Limit(value=check.limit, better=check.better),
    )
    for check in CHECKS
)
BLOCKING = frozenset(f"readiness/{check.name}" for check in CHECKS if check.blocks)
"""What by default stops a go-live. The rest warns, until somebody in the team sets the limit and so means it."""


class Params(audit.Params):
    sample: int = Field(SAMPLE, ge=1_000, le=1_000_000, description="rows that shapes, drift and leakage are read from")
    shown: int = Field(12, ge=1, le=200, description="columns shown per kind of finding")


def run(
    holdout: Table,
    train: Table | None,
    production: Table | None,
    legacy: Model | None,
    task: Task,
    roles: Roles,
    limits: Limits,
    params: Params,
) -> Iterator[Finding]:
    """Findings by check, one per column or table that is not in order; what is in order is one finding per check."""
    tables = {"holdout": holdout, "train": train, "production": production}
    seen = {name: profile(table, name, params.sample) for name, table in tables.items() if table is not None}
    look = Look(seen, task, roles, _inputs(legacy))
    for kind in KINDS:
        found = CHECKING[kind.id.split("/")[1]](look)
        if isinstance(found, str):
            yield kind.absent(found[0].upper() + found[1:] + ".")
        elif found is not None:
            yield from _findings(kind, list(found), limits.get(kind.id), params.shown, holdout.rows)


def _inputs(legacy: Model | None) -> tuple[Input, ...]:
    try:
        return legacy.inputs if legacy is not None else ()
    except ModelError:
        return ()  # the audits that need the model say so; the data can be looked at without it


def _findings(kind: Kind, troubles: list[Trouble], limit: Limit | None, shown: int, rows: int) -> Iterator[Finding]:
    """Troubles beyond the limit, worst first, no more than `shown`; without one, a finding that says so."""
    sign = -1 if limit is not None and limit.better == "higher" else 1
    ranked = sorted(troubles, key=lambda trouble: -sign * trouble.measured.value)
    judged = [(trouble, _status(kind, trouble, limit)) for trouble in ranked]
    beyond = [(trouble, status) for trouble, status in judged if status is not Status.PASS]
    for trouble, status in beyond[:shown]:
        yield _finding(kind, trouble, limit, status)
    if rest := beyond[shown:]:
        title = f"{kind.title}: {len(rest)} more ({shown} shown of {len(beyond)})"
        yield kind.found(title, "(others)", status=rest[0][1], details=(_listed([trouble for trouble, _ in rest]),))
    if not beyond:
        yield _in_order(kind, ranked, limit, rows)


def _status(kind: Kind, trouble: Trouble, limit: Limit | None) -> Status:
    if trouble.expected:
        return Status.INFO
    status = Status.PASS if trouble.fine and limit is not None else judge(trouble.measured, limit)
    agreed = limit is not None and limit.set_by != DEFAULT
    advice = trouble.advice or not (kind.id in BLOCKING or agreed)
    return Status.WARN if status is Status.FAIL and advice else status


def _finding(kind: Kind, trouble: Trouble, limit: Limit | None, status: Status) -> Finding:
    measure = trouble.measured
    return kind.found(
        trouble.title,
        trouble.subject,
        legacy=None if trouble.moved else measure,
        change=measure if trouble.moved else None,
        limit=limit,
        status=status,
        reason=trouble.reason,
        fix=trouble.fix,
        details=trouble.details,
    )


def _in_order(kind: Kind, ranked: Sequence[Trouble], limit: Limit | None, rows: int) -> Finding:
    """The worst of what was looked at, which the limit accepts."""
    if not ranked:
        zero = Measure(value=0.0, n=rows, unit="share")
        return kind.found(f"{kind.title}: none found", legacy=zero, limit=limit, status=Status.PASS)
    worst = ranked[0]
    details: tuple[Detail, ...] = (_listed(ranked), *(detail for detail in worst.details if detail.type == "chart"))
    measure = worst.measured
    return kind.found(
        f"{kind.title}: in order, at worst {worst.subject}" if worst.subject else f"{kind.title}: in order",
        legacy=None if worst.moved else measure,
        change=measure if worst.moved else None,
        limit=limit,
        status=Status.PASS,
        details=details,
    )


def _listed(troubles: Sequence[Trouble], most: int = 50) -> Rows:
    rows = tuple((trouble.subject, trouble.measured.value) for trouble in troubles[:most])
    return Rows(title="By column", columns=("of", "value"), rows=rows)
