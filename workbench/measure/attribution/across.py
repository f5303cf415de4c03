"""Reasons across columns, groups of rows and time: which columns work together, where two models part, what moved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from workbench.measure.attribution import compare
from workbench.measure.attribution.basics import Attributions, Floats, explained_column
from workbench.measure.attribution.paired import DRAWS, Found, Side, group_codes
from workbench.measure.attribution.questions import FEWEST_ROWS, Question, UnaskableError, Way, plan
from workbench.measure.attribution.ways import InexactError, exact_way

PAIRED_ROWS, PAIRED_CELLS = 300, 20_000_000
"""Rows whose interactions are computed, and numbers at once: every row has one for each pair of columns."""


def interactions(asked: Question, rows: int = PAIRED_ROWS) -> dict[str, compare.Importance]:
    """Share of the whole attribution that each pair of columns carries together, by side, and their "change".

    Shapley interaction values (Grabisch and Roubens 1999; Lundberg et al. 2020), both halves of a pair together, mean
    over rows of their size. Only where every model is explained exactly: raises InexactError with the reason.
    """
    if not asked.exact:
        raise InexactError("; ".join(asked.inexact.values()))
    rows = min(rows, PAIRED_CELLS // len(asked.features) ** 2)
    if rows < FEWEST_ROWS:
        raise InexactError(f"{len(asked.features):,} columns make too many pairs")
    chosen = asked.plan.rows[:rows]
    here, around = (np.searchsorted(asked.used, places) for places in (chosen, asked.plan.background))
    i, j = np.triu_indices(len(asked.features), 1)
    names = tuple(f"{asked.features[a]} × {asked.features[b]}" for a, b in zip(i, j))
    strengths: dict[str, tuple[Floats, Floats]] = {}
    for side, way in asked.ways.items():
        column = explained_column(asked.classes_of(chosen), asked.models[side], way.own[here])
        found = way.interactions(here, around)[np.arange(len(chosen)), :, :, column]
        pairs = np.abs(2 * found[:, i, j])
        strengths[side] = pairs, pairs.sum(axis=1) + np.abs(np.einsum("nii->ni", found)).sum(axis=1)
    weights = compare.bootstrap_weights(len(chosen), DRAWS, asked.plan.seed)
    return {
        name: compare.Importance(names, share, low, high, len(chosen))
        for name, share, low, high in _shares(strengths, weights)
    }


def _shares(
    strengths: dict[str, tuple[Floats, Floats]], weights: Floats
) -> Iterator[tuple[str, Floats, Floats, Floats]]:
    drawn = {}
    for side, (pairs, whole) in strengths.items():
        even = np.full((1, len(pairs)), 1 / len(pairs))
        drawn[side] = [(w @ pairs) / np.maximum(w @ whole, np.finfo(float).tiny)[:, None] for w in (even, weights)]
    if {"legacy", "candidate"} <= set(drawn):
        drawn["change"] = [after - before for before, after in zip(drawn["legacy"], drawn["candidate"])]
    for name, (share, replicates) in drawn.items():
        low, high = compare.settled(np.quantile(replicates, (0.025, 0.975), axis=0))
        yield name, compare.settled(share[0]), low, high


def cohorts(
    frame: pd.DataFrame, near: Floats, columns: Sequence[str], least: int
) -> tuple[tuple[str, str, int, float, float], ...]:
    """Rows (column, group, rows, mean agreement, lowest), worst first: where the reasons of two models part.

    near: float64 [n], an agreement by row. A number is cut into quantile bands; groups under `least` rows are left out.
    """
    found: list[tuple[str, str, int, float, float]] = []
    for name in columns:
        codes, names = group_codes(frame[name])
        sizes = np.bincount(codes[codes >= 0], minlength=len(names))
        for group in np.flatnonzero(sizes >= least):
            own = near[codes == group]
            found.append((name, names[group], len(own), float(own.mean()), float(own.min())))
    return tuple(sorted(found, key=lambda row: compare.settled(row[3])))


@dataclass(frozen=True)
class Drift:
    """Importance then and now, and its change, of n rows each. rank: nDCG of the columns' order, 1 for the same."""

    then: compare.Importance
    now: compare.Importance
    change: compare.Importance
    rank: float


def drift(asked: Question, side: Side, known: Attributions, recent: pd.DataFrame) -> Drift:
    """How far a model leans on other columns for recent rows than for the holdout, against the same background.

    Intervals by independent bootstraps of the two tables. rank: the order of today's importances, valued by yesterday's
    (Järvelin and Kekäläinen 2002). Raises UnansweredError, ModelError, UnaskableError where recent rows are too few.
    """
    later = attributions_of(asked, side, recent)
    seed = asked.plan.seed
    weights = [
        compare.bootstrap_weights(len(one.values), DRAWS, seed + place) for place, one in enumerate((known, later))
    ]
    drawn = [compare.shares(one.values, weight) for one, weight in zip((known, later), weights)]
    share = [compare.importance(one.values, weight) for one, weight in zip((known, later), weights)]
    low, high = np.quantile(drawn[1] - drawn[0], (0.025, 0.975), axis=0)
    counts = len(known.values), len(later.values)
    then, now = (compare.Importance(known.features, *each, n) for each, n in zip(share, counts))
    change = compare.Importance(known.features, now.share - then.share, low, high, min(counts))
    return Drift(then, now, change, _ndcg(then.share, now.share))


def attributions_of(asked: Question, side: Side, recent: pd.DataFrame) -> Attributions:
    """Attributions of other rows as the holdout's were made: same background, space and way, as many rows at most.

    A multiclass model is explained for each row's own answer. Raises UnaskableError for too few rows or columns that
    are not there, InexactError where the holdout's way is not open for them; UnansweredError, ModelError.
    """
    if absent := [name for name in asked.features if name not in recent.columns]:
        raise UnaskableError(f"the rows lack {', '.join(absent[:5])}")
    names, seed = list(asked.features), asked.plan.seed
    around = asked.frame.iloc[asked.plan.background][names]
    chosen = plan(len(recent), rows=len(asked.plan.rows), background=1, seed=seed).rows
    frame = pd.concat([recent.iloc[chosen][names], around], ignore_index=True)
    ways: dict[Side, Way] = {}
    if side in asked.ways:
        ways[side] = exact_way(asked.models[side], frame, asked.space, len(frame) * len(names), seed)
    explained = asked.explained if asked.explained and len(asked.explained) == 1 else None
    later = replace(asked, frame=frame, explained=explained, used=np.arange(len(frame)), ways=ways)
    return later.against(side, np.arange(len(chosen)), np.arange(len(chosen), len(frame)))


def _ndcg(then: Floats, now: Floats) -> float:
    discount = 1 / np.log2(np.arange(len(then)) + 2)
    best = float(np.sort(then)[::-1] @ discount)
    return float(then[np.argsort(-now, kind="stable")] @ discount) / best if best else 1.0


def by_rows(found: Found, rows: Sequence[int], k: int, hidden: Sequence[str]) -> pd.DataFrame:
    """Reason codes: of each row its k leading reasons and their contributions, side by side; for other programs.

    row: position in the scored table. A hidden column is not named.
    """
    table: dict[str, object] = {"row": np.asarray(rows)}
    for side, one in found.items():
        order = np.argsort(-np.abs(one.values), axis=1, kind="stable")[:, :k]
        names = np.array(["(personal column)" if name in hidden else name for name in one.features], dtype=object)
        table[f"{side} answer"] = one.output
        for rank in range(order.shape[1]):
            table[f"{side} reason {rank + 1}"] = names[order[:, rank]]
            table[f"{side} contribution {rank + 1}"] = np.take_along_axis(one.values, order, axis=1)[:, rank]
    return pd.DataFrame(table)
