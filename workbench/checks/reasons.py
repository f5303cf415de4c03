"""What `52_explainability` shows beside its judgements: tables, charts and the file of reason codes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from workbench.evidence import Chart, Detail, File, Series, Table, Text
from workbench.measure import attribution as reasons
from workbench.measure.attribution import Found, Importance, Question, Shares
from workbench.migration import Roles

SHOWN, CASES = 12, 4
CODES, PARQUET = "reasons.parquet", "application/vnd.apache.parquet"
CURVES = ("inserted in order", "deleted in order", "inserted at random", "deleted at random")


def leading(found: Found, shares: Shares) -> list[int]:
    """The columns that weigh most on any side."""
    order = np.argsort(-np.sum([shares[side].share for side in found], axis=0), kind="stable")
    return [int(place) for place in order[:SHOWN]]


def overview(
    asked: Question, found: Found, shares: Shares, roles: Roles, k: int, artifacts: Path | None
) -> Iterator[Detail]:
    """Importance of each side, the leading reasons of a few rows, and of all rows as a file: names and numbers only."""
    order, hidden = np.array(leading(found, shares)), (*roles.personal, *roles.key)
    yield Chart(
        kind="bar", title="Share of the whole attribution", x="column", y="share", series=bars(found, shares, order)
    )
    columns = ("case", "rank", *(f"{side} {what}" for side in found for what in ("reason", "contribution")))
    cases = reasons.leading_reasons(tuple(found.values()), CASES, k, hidden)
    yield Table(title="Leading reasons of sampled rows", columns=columns, rows=cases)
    yield Text(text=" ".join(_how(asked, found)))
    if artifacts is not None:
        path = artifacts / CODES
        reasons.by_rows(found, asked.plan.rows.tolist(), k, hidden).to_parquet(path, index=False)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        yield File(
            title="Reason codes of every explained row",
            path=path.name,
            sha256=digest,
            media="application/vnd.apache.parquet",
        )


def bars(found: Found, shares: Shares, order: np.ndarray) -> tuple[Series, ...]:
    series = []
    for side in found:
        x, y, low, high = shares[side].at(order)
        series.append(Series(name=side, x=x, y=y, low=low, high=high, role=side))
    return tuple(series)


HOW = {
    "trees": "exact, from its trees",
    "additive": "exact, for its columns only add up",
    "exact": "exact, by asking about all coalitions",
    "permutation": "by asking about permutations",
}


def _how(asked: Question, found: Found) -> Iterator[str]:
    one = next(iter(found.values()))
    yield f"{len(one.values):,} rows against {one.background:,} background rows, in {one.space}."
    for side, each in found.items():
        why = f" (exact values are not open to it: {each.inexact})" if each.inexact and each.method != "exact" else ""
        off = f"; their standard error is {each.sampling_error:.1%} of their size" if each.error is not None else ""
        yield f"The {side} model's values are {HOW[each.method]}{off}{why}."


def pairs(shares: Shares) -> Table:
    """The pairs of columns that carry most together."""
    sides = [side for side in ("legacy", "candidate") if side in shares]
    order = np.argsort(-np.sum([shares[side].share for side in sides], axis=0), kind="stable")[:SHOWN]
    names = shares[sides[0]].features
    rows = tuple((names[j], *(float(shares[side].share[j]) for side in sides)) for j in order)
    return Table(
        title="Columns that work together: share of the whole attribution", columns=("pair", *sides), rows=rows
    )


def parts(asked: Question, found: Found, roles: Roles, least: int) -> Table:
    """Groups of rows for which the two models' reasons agree least; personal columns and keys make no groups."""
    near = reasons.cosine(found["legacy"].values, found["candidate"].values)
    frame = asked.frame.iloc[asked.plan.rows]
    shown = [name for name in asked.features if name not in (*roles.personal, *roles.key)]
    rows = reasons.cohorts(frame, near, shown, least)[:SHOWN]
    return Table(
        title="Groups of rows where reasons agree least",
        columns=("column", "group", "rows", "mean", "lowest"),
        rows=rows,
    )


def curves(told: Sequence[tuple[float, ...]]) -> Chart:
    """Insertion and deletion curves, in order and at random."""
    x = tuple(point[0] for point in told)
    series = tuple(
        Series(name=name, x=x, y=tuple(point[1 + place] for point in told)) for place, name in enumerate(CURVES)
    )
    title = "From the background's answer (0) to the row's own (1)"
    return Chart(kind="line", title=title, x="share of columns", y="answer", series=series)


def moved(then: Importance, now: Importance) -> Table:
    """Importance in the holdout and in production, the most changed columns first."""
    order = np.argsort(-np.abs(now.share - then.share), kind="stable")[:SHOWN]
    rows = tuple((then.features[j], float(then.share[j]), float(now.share[j])) for j in order)
    return Table(title="Share of the whole attribution", columns=("column", "holdout", "production"), rows=rows)
