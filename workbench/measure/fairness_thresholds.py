"""What other thresholds would give: accuracy, selection rate and gaps along the scores, from one histogram of them.

The histogram counts rows by group × truth × bin of the score. Thresholds lie on the edges of its bins, so every figure
is exact; at the task's own threshold the figures are those of the decisions themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.measure import fairness
from workbench.measure.fairness import GAPS, Floats, SideName, rates, spread
from workbench.measure.fairness_gaps import Comparison, Gap, largest, usable
from workbench.measure.intervals import Estimate, wilson

BINS = 1_000
"""Of a histogram of scores; STEPS divides it, so that thresholds are edges."""
STEPS = 100
"""Thresholds from 0 to 1 are a hundredth apart."""
OVERALL = ("accuracy", "selection_rate")
FOLLOWED = ("demographic_parity", "equal_opportunity", "equalized_odds")
"""Gaps followed along the thresholds: the groups behind their rates do not change with the threshold."""


@dataclass(frozen=True)
class Bins:
    """One model's scores, counted. weight: [G, 3, BINS + 1] by group, truth (0, 1, unknown) and k of
    k / BINS <= score < (k + 1) / BINS; rows: the same without weights; sums, squares: weighted sums of the scores and
    of their squares, where they were asked for."""

    weight: Floats
    rows: Floats
    sums: Floats | None = None
    squares: Floats | None = None


@dataclass(frozen=True)
class Explored:
    """Figures along the thresholds. curve: by model, a line for each threshold, ascending; threshold: the task's own;
    there: figures of both models at it, with intervals."""

    curve: dict[SideName, pd.DataFrame]
    threshold: float
    there: pd.DataFrame


def explore(this: Comparison, bins: Sequence[Bins], threshold: float, gaps: Mapping[str, Gap]) -> Explored:
    """Every model's figures at each threshold. bins: a model's each, as in `this.sides`; gaps: at the task's own."""
    curves = {side: _curve(this, side, histogram, threshold) for side, histogram in zip(this.sides, bins)}
    return Explored(curves, threshold, _there(this, gaps))


def _curve(this: Comparison, side: SideName, bins: Bins, threshold: float) -> pd.DataFrame:
    at, tables = np.arange(STEPS + 1) / STEPS, confusions(bins.weight)
    place = int(np.searchsorted(at, threshold))
    exact = at[place] == threshold
    at = np.insert(at, place, threshold) if not exact else at
    own = this.counts.side(side)
    tables = np.concatenate([tables[:place], own[None], tables[place + exact :]])
    whole = rates(tables.sum(1))
    figures = {"threshold": at} | {name: whole[:, fairness.index(name)] for name in OVERALL}
    for name in FOLLOWED:
        values = rates(tables)[..., [fairness.index(rate) for rate in GAPS[name]]]
        figures[f"{name}_gap"] = largest(spread(np.moveaxis(np.where(usable(this, name).T, values, np.nan), 1, -1)))
    return pd.DataFrame(figures)


def confusions(weight: Floats) -> Floats:
    """Confusion tables [T, G, truth, decision] at each of STEPS + 1 thresholds, from a histogram [G, 3, BINS + 1]."""
    above = np.flip(np.cumsum(np.flip(weight, -1), -1), -1)[..., :: BINS // STEPS]
    cells = np.stack([weight.sum(-1, keepdims=True) - above, above, np.zeros_like(above)], axis=2)
    return np.moveaxis(cells, -1, 0)


def _there(this: Comparison, gaps: Mapping[str, Gap]) -> pd.DataFrame:
    everyone, lines = this.counts.everyone, []
    for name in OVERALL:
        at = fairness.index(name)
        for side in this.sides:
            value, n = float(rates(everyone.side(side))[0, at]), float(everyone.effective(side)[0, at])
            lines.append((name, side, *(rated(value, n, this.level))))
    for name in FOLLOWED:
        both = (gaps[name].legacy, gaps[name].candidate) if name in gaps else ()
        lines += [(f"{name}_gap", side, *estimate) for side, estimate in zip(this.sides, both) if estimate is not None]
    return pd.DataFrame(lines, columns=["figure", "model", "value", "low", "high"])


def rated(value: float, n: float, level: float) -> Estimate:
    """A rate of n (effective) rows with its Wilson interval."""
    return Estimate(value, *wilson(value * n, n, level)) if n and np.isfinite(value) else Estimate(value)
