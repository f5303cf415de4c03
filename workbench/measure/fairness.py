"""Fairness of decisions, per group: every rate from one table of counts.

The table counts rows by group × truth × legacy decision × candidate decision. A *selection rate* is the share that
gets the positive decision; *demographic parity* asks it to be equal across groups, *equal opportunity* asks that of
the true positive rate, *equalized odds* of the true and the false positive rate (Hardt, Price, Srebro 2016),
*predictive parity* of the precision (Chouldechova 2017). Rates and gaps are those of `fairlearn.metrics`, save that
a rate without rows is NaN, not 0, and a gap leaves such groups out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from workbench.measure.fairness_groups import Groups, groups_of

SideName = Literal["legacy", "candidate"]
Floats = NDArray[np.float64]

UNKNOWN = 2
"""Code of a truth that is missing or a decision that was not given; 0 and 1 are themselves."""

_CELLS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "selection_rate": (("-1",), ("-0", "-1")),
    "tpr": (("11",), ("10", "11")),
    "tnr": (("00",), ("00", "01")),
    "fpr": (("01",), ("00", "01")),
    "fnr": (("10",), ("10", "11")),
    "ppv": (("11",), ("01", "11")),
    "npv": (("00",), ("00", "10")),
    "fdr": (("01",), ("01", "11")),
    "for": (("10",), ("00", "10")),
    "accuracy": (("00", "11"), ("00", "01", "10", "11")),
    "base_rate": (("1-",), ("0-", "1-")),
}
"""Rate: cells counted, of cells looked at. A cell is truth then decision; "-" is any, unknown too."""

RATES = tuple(_CELLS)

GAPS: dict[str, tuple[str, ...]] = {
    "demographic_parity": ("selection_rate",),
    "equal_opportunity": ("tpr",),
    "equalized_odds": ("tpr", "fpr"),
    "predictive_parity": ("ppv",),
    "accuracy": ("accuracy",),
}
"""Gap: the rates it compares. A gap over several rates is the largest of theirs."""


@dataclass(frozen=True)
class Counts:
    """Rows by group × truth × legacy decision × candidate decision, each 0, 1 or UNKNOWN.

    rows: int64 [G, 3, 3, 3]; weight: float64, the sum of sample weights in the cell (its rows where there are none);
    squares: float64, the sum of squared weights.
    """

    labels: tuple[str, ...]
    rows: NDArray[np.int64]
    weight: Floats
    squares: Floats

    def side(self, side: SideName) -> Floats:
        """Weighted confusion table of one model, [G, truth, decision]."""
        return _one_side(self.weight, side)

    @property
    def n(self) -> NDArray[np.int64]:
        """Rows per group."""
        return np.asarray(self.rows.sum((1, 2, 3)))

    @property
    def everyone(self) -> Counts:
        """All groups as one."""
        parts = (part.sum(0, keepdims=True) for part in (self.rows, self.weight, self.squares))
        return Counts(("(all)",), *parts)

    @property
    def weighted(self) -> bool:
        return not np.array_equal(self.weight, self.rows)

    def behind(self, side: SideName) -> Floats:
        """Rows behind each rate, [G, M], whatever they weigh."""
        return np.asarray(_one_side(self.rows.astype(np.float64), side).reshape(-1, 9) @ _MASKS[1].T)

    def effective(self, side: SideName) -> Floats:
        """Effective rows behind each rate, [G, M]: (Σ w)² / Σ w² (Kish 1965); plain rows where there are no weights."""
        sums = _one_side(self.weight, side).reshape(-1, 9) @ _MASKS[1].T
        squares = _one_side(self.squares, side).reshape(-1, 9) @ _MASKS[1].T
        return np.divide(sums**2, squares, out=np.zeros_like(sums), where=squares > 0)


def _one_side(table: Floats, side: SideName) -> Floats:
    return np.asarray(table.sum(-1 if side == "legacy" else -2))


def _mask(cells: tuple[str, ...]) -> Floats:
    """[9], 1 where a cell of the 3 × 3 table is meant."""
    mask = np.zeros((3, 3))
    for cell in cells:
        truth, decision = tuple(cell)
        mask[slice(None) if truth == "-" else int(truth), slice(None) if decision == "-" else int(decision)] = 1
    return mask.ravel()


_MASKS = (
    np.stack([_mask(top) for top, _ in _CELLS.values()]),
    np.stack([_mask(bottom) for _, bottom in _CELLS.values()]),
)


def count(
    groups: Groups,
    target: ArrayLike,
    legacy: ArrayLike | None = None,
    candidate: ArrayLike | None = None,
    weight: ArrayLike | None = None,
) -> Counts:
    """The table of counts, in one pass over n rows.

    target, legacy, candidate: [n], 0 or 1; anything else (-1, NaN) is unknown, None is unknown throughout.
    weight: [n], finite and not negative. Raises ValueError if lengths differ or a weight is neither.
    """
    shape = (len(groups.labels), 3, 3, 3)
    n = len(groups.codes)
    parts = [groups.codes, *(_codes(part, n) for part in (target, legacy, candidate))]
    cell = np.ravel_multi_index(parts, shape) if n else np.zeros(0, dtype=np.int64)
    size = int(np.prod(shape))
    rows = np.bincount(cell, minlength=size).reshape(shape)
    if weight is None:
        return Counts(groups.labels, rows, rows.astype(np.float64), rows.astype(np.float64))
    w = _weights(weight, n)
    sums, squares = (
        np.bincount(cell, weights=part, minlength=size).reshape(shape).astype(np.float64) for part in (w, w * w)
    )
    return Counts(groups.labels, rows, sums, squares)


def _codes(values: ArrayLike | None, n: int) -> NDArray[np.int64]:
    if values is None:
        return np.full(n, UNKNOWN)
    array = np.asarray(values)
    if array.shape != (n,):
        raise ValueError(
            f"expected one value per row, {n} of them, got shape {array.shape}: give 1-d arrays of one length"
        )
    return np.where(array == 1, 1, np.where(array == 0, 0, UNKNOWN)).astype(np.int64)


def _weights(weight: ArrayLike, n: int) -> Floats:
    array = np.asarray(weight, dtype=np.float64)
    if array.shape != (n,):
        raise ValueError(f"expected one weight per row, {n} of them, got shape {array.shape}: give a 1-d array")
    if n and not (np.isfinite(array).all() and array.min() >= 0):
        raise ValueError("sample weights must be finite and not negative: look for missing values in the weight column")
    return array


def rates(table: Floats) -> Floats:
    """Every rate of RATES from confusion tables [..., 3, 3], as [..., M]; NaN where there is nothing to divide by."""
    flat = table.reshape(*table.shape[:-2], 9)
    top, bottom = flat @ _MASKS[0].T, flat @ _MASKS[1].T
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)


def index(rate: str) -> int:
    """Place of a rate on the last axis of `rates`."""
    return RATES.index(rate)


def spread(values: Floats) -> Floats:
    """Largest minus smallest along the last axis, NaN left out; NaN where fewer than two are known."""
    known = np.isfinite(values)
    high = np.where(known, values, -np.inf).max(-1)
    low = np.where(known, values, np.inf).min(-1)
    return np.asarray(np.where(known.sum(-1) >= 2, high - low, np.nan))


def lowest_share(values: Floats) -> Floats:
    """Smallest over largest along the last axis, NaN left out; NaN where fewer than two are known or all are 0."""
    known = np.isfinite(values)
    high = np.where(known, values, -np.inf).max(-1)
    low = np.where(known, values, np.inf).min(-1)
    usable = (known.sum(-1) >= 2) & (high > 0)
    return np.asarray(np.divide(low, high, out=np.full_like(high, np.nan), where=usable))


def gap(table: Floats, name: str) -> Floats:
    """Difference of a gap in GAPS, from confusion tables [..., G, 3, 3]: the largest over the rates it compares."""
    found = np.stack([spread(rates(table)[..., index(rate)]) for rate in GAPS[name]])
    return np.where(np.isnan(found).any(0), np.nan, found.max(0))


def gap_ratio(table: Floats, name: str) -> Floats:
    """Smallest over largest rate, the least over the rates compared. For demographic parity: disparate impact."""
    found = np.stack([lowest_share(rates(table)[..., index(rate)]) for rate in GAPS[name]])
    return np.where(np.isnan(found).any(0), np.nan, found.min(0))


_BENEFIT = np.array([[1.0, 2.0], [0.0, 1.0]])
"""decision - truth + 1, by truth × decision: what a person gets beyond what was due."""


def generalized_entropy(table: Floats, alpha: float = 2.0) -> Floats:
    """Inequality of benefits b = decision - truth + 1 (Speicher et al. 2018), from tables [..., 3, 3].

    0 is equal. alpha = 1 is the Theil index. Rows with an unknown truth or decision are left out; NaN without rows.
    Raises ValueError for alpha = 0, which has no value where a benefit is 0.
    """
    if alpha == 0:
        raise ValueError("alpha = 0 is undefined, as wrongly refused rows have benefit 0: use 1 (Theil) or 2")
    known = table[..., :2, :2]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = known / known.sum((-1, -2), keepdims=True)
        relative = _BENEFIT / (share * _BENEFIT).sum((-1, -2), keepdims=True)
        if alpha == 1:
            part = np.where(relative > 0, relative * np.log(np.where(relative > 0, relative, 1.0)), 0.0)
        else:
            part = (relative**alpha - 1) / (alpha * (alpha - 1))
        return np.asarray((share * part).sum((-1, -2)))


def fairness_table(
    target: ArrayLike,
    decision: ArrayLike,
    groups: pd.DataFrame | pd.Series | Mapping[str, ArrayLike],
    *,
    weight: ArrayLike | None = None,
    depth: int = 1,
) -> pd.DataFrame:
    """Counts and rates of 0/1 decisions, one line per group of every attribute, "(all)" first.

    target, decision: [n], 0 or 1, anything else unknown. groups: attributes by name, [n] each; depth: 2 adds the
    intersections of two attributes, and so on. Indexed by (attribute, group); columns: rows, tn, fp, fn, tp, selected,
    every rate of RATES and share_of_selected, the group's part of all selected rows.
    Raises ValueError if lengths differ or a weight is missing or negative.
    """
    frame = groups.to_frame() if isinstance(groups, pd.Series) else pd.DataFrame(dict(groups))
    n = len(frame)
    everyone = Groups("(all)", ("(all)",), np.zeros(n, dtype=np.int64))
    splits = [everyone, *groups_of(frame, list(frame.columns), depth)]
    return pd.concat([_lines(split, count(split, target, decision, None, weight)) for split in splits])


def _lines(split: Groups, counts: Counts) -> pd.DataFrame:
    values = side_table(counts, "legacy")
    values.index = pd.MultiIndex.from_product([[split.name], counts.labels], names=["attribute", "group"])
    return values


def side_table(counts: Counts, side: SideName) -> pd.DataFrame:
    """Counts and rates of one model, a line per group."""
    table = counts.side(side)
    selected = table[:, :, 1].sum(1)
    columns: dict[str, NDArray[np.generic]] = {"rows": counts.n}
    for name, (truth, decision) in {"tn": (0, 0), "fp": (0, 1), "fn": (1, 0), "tp": (1, 1)}.items():
        columns[name] = _whole(table[:, truth, decision], counts.weighted)
    columns["selected"] = _whole(selected, counts.weighted)
    columns |= dict(zip(RATES, rates(table).T))
    total = selected.sum()
    columns["share_of_selected"] = selected / total if total else np.full(len(selected), np.nan)
    return pd.DataFrame(columns, index=pd.Index(counts.labels, name="group"))


def _whole(sums: Floats, weighted: bool) -> NDArray[np.generic]:
    return sums if weighted else sums.astype(np.int64)
