"""How two models' reasons for the same rows compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.measure.attribution import compare
from workbench.measure.attribution.basics import Attributions, Floats
from workbench.measure.intervals import Estimate, clopper_pearson
from workbench.scored import Scored

Flags = NDArray[np.bool_]
Side = Literal["legacy", "candidate"]
Found = dict[Side, Attributions]
Shares = dict[str, compare.Importance]
BY_ROW = ("measure", "lowest", "1 in 10 rows under", "median", "mean")

DRAWS = 2_000
"""Bootstrap draws of rows."""


def same_answer(scored: Scored) -> NDArray[np.bool_]:
    """Rows [n] both sides answer alike: the same decision, or values closer than 1 % of the legacy values' spread."""
    before, after = scored.legacy, scored.candidate
    if after is None:
        raise ValueError("there is no candidate to compare with")
    if before.value is not None and after.value is not None:
        return np.asarray(np.abs(after.value - before.value) <= 0.01 * np.nanstd(before.value), dtype=bool)
    return np.asarray(before.decision == after.decision, dtype=bool)


@dataclass(frozen=True)
class Agreement:
    """Two sides' reasons for the same n rows. Estimates are over rows; `changed` over the `same` rows answered alike.

    by_row: the columns BY_ROW of each measure that is made per row.
    """

    cosine: Estimate
    top: Estimate
    gap: Estimate
    changed: Estimate
    same: int
    by_row: tuple[tuple[str, float, float, float, float], ...]


def agree(first: Floats, second: Floats, same: Flags, *, top_k: int, changed_below: float, seed: int) -> Agreement:
    """Agreement of attributions [n, M] of two sides; intervals at 0.95, by bootstrap of rows or Clopper and Pearson."""
    weights = compare.bootstrap_weights(len(first), DRAWS, seed)
    cosines, tops = compare.cosine(first, second), compare.top_overlap(first, second, top_k)
    changed, asked = int(compare.changed_reasons(first, second, changed_below, same).sum()), int(same.sum())
    rows = {
        "cosine similarity": cosines,
        f"shared top {top_k}": tops,
        "rank correlation": compare.rank_correlation(first, second),
        "sign agreement": compare.sign_agreement(first, second),
    }
    rate = Estimate(changed / asked, *clopper_pearson(changed, asked)) if asked else Estimate(float("nan"))
    return Agreement(
        cosine=compare.mean_estimate(cosines, weights),
        top=compare.mean_estimate(tops, weights),
        gap=compare.relative_gap(first, second, weights),
        changed=rate,
        same=asked,
        by_row=tuple((name, *_spread(values)) for name, values in rows.items()),
    )


def importances(found: Found, seed: int) -> Shares:
    """Global importance of each side, and where there are "legacy" and "candidate" their "change"."""
    sides = list(found.values())
    weights = compare.bootstrap_weights(len(sides[0].values), DRAWS, seed)
    made: dict[str, tuple[Floats, Floats, Floats]] = {}
    made |= {side: compare.importance(one.values, weights) for side, one in found.items()}
    if {"legacy", "candidate"} <= set(found):
        made["change"] = compare.importance_change(found["legacy"].values, found["candidate"].values, weights)
    return {name: compare.Importance(sides[0].features, *each, len(weights[0])) for name, each in made.items()}


def group_gaps(found: Found, column: pd.Series, least: int) -> tuple[tuple[str | float, ...], ...]:
    """Rows (feature, gap per side), widest first: the largest difference of mean attribution between two groups.

    A feature with a wide gap sets the groups of `column` apart, and may act as its proxy. Groups under `least` rows
    are left out; no rows where fewer than two are left.
    """
    codes, _ = group_codes(column)
    gaps = [compare.group_gap(one.values, codes, least)[0] for one in found.values()]
    if np.isnan(gaps).any():
        return ()
    features = next(iter(found.values())).features
    order = np.argsort(-np.max(gaps, axis=0), kind="stable")
    return tuple((features[j], *(float(gap[j]) for gap in gaps)) for j in order)


def _spread(values: Floats) -> tuple[float, float, float, float]:
    kept = values[~np.isnan(values)]
    if not len(kept):
        return (float("nan"),) * 4
    low, tenth, middle = np.quantile(kept, (0, 0.1, 0.5))
    return float(low), float(tenth), float(middle), float(kept.mean())


def leading_reasons(
    sides: Sequence[Attributions], cases: int, k: int, hidden: Sequence[str]
) -> tuple[tuple[int | str | float, ...], ...]:
    """Rows (case, rank, then feature and contribution per side) of the first cases; a hidden feature is not named."""
    found: list[tuple[int | str | float, ...]] = []
    for case in range(min(cases, len(sides[0].values))):
        for rank in range(min(k, len(sides[0].features))):
            cells: list[int | str | float] = [case + 1, rank + 1]
            for side in sides:
                j = int(np.argsort(-np.abs(side.values[case]), kind="stable")[rank])
                name = side.features[j]
                cells += ["(personal column)" if name in hidden else name, float(side.values[case, j])]
            found.append(tuple(cells))
    return tuple(found)


def group_codes(column: pd.Series, bands: int = 4) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Groups of a protected attribute as codes [n], -1 where missing, and their names.

    A number of more than ten values is cut into quantile bands.
    """
    if pd.api.types.is_numeric_dtype(column) and column.nunique() > 10:
        cut = pd.qcut(column, bands, duplicates="drop")
        named = {band: f"{band.left:.6g} to {band.right:.6g}" for band in cut.cat.categories}
        column = cut.map(named).astype("str").where(column.notna())
    codes, names = pd.factorize(column)
    return codes.astype(np.int64), tuple(map(str, names))
