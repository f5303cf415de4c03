"""From the edge's tensors to what a network takes: fitted on the rows to fit on, and one op from then on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.migrate.lift.columns import chain, take
from workbench.migrate.lift.curves import EDGE, Quantiles
from workbench.migrate.lift.ops import Affine, Beside, Fill, Lookup, MissingFlag, Op
from workbench.migrate.lift.tabular import Calendar, SoftClip
from workbench.models import ModelError
from workbench.models.edge import FIRST, MISSING, EdgeSpec

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Scaling = Literal["quantile", "robust"]
LIMIT = 3.0
"""Of the smooth clipping after robust scaling (Holzmüller et al. 2024)."""


@dataclass(frozen=True)
class Features:
    """op: raw numbers [n, a] and codes [n, b] → [n, m] float64, the first `numbers` of them numbers without gaps, then
    flags and one-hot columns in groups of `widths`."""

    op: Op
    numbers: int
    widths: tuple[int, ...]

    def of(self, numbers: Floats, codes: Ints) -> NDArray[np.float32]:
        """[n, m], in the type networks are trained in."""
        with torch.inference_mode():
            made = self.op(torch.from_numpy(numbers), torch.from_numpy(codes))
        return np.asarray(made.float().numpy())


def fitted(edge: EdgeSpec, numbers: Floats, codes: Ints, scaling: Scaling) -> Features:
    """Features learnt from these rows alone. numbers [n, a], codes [n, b]: as the edge reads them.

    Numbers: dates opened to their parts, then ranks as normal deviates, or robust scaling with smooth clipping; what is
    missing becomes the median, with a flag beside it where any was missing. Categories: one column for each value, and
    one for missing where that was seen; what is unknown has none. A column with one value only is left out.
    Raises ModelError where nothing is left.
    """
    parts, kept, widths = [], 0, []
    opened = _opened(edge)
    wide = _run(opened, numbers, codes) if opened else numbers
    if varied := _varied(wide):
        scaled = chain([*([opened] if opened else []), take(varied), *_scaled(wide[:, varied], scaling)])
        # Values that differ may be one in float32.
        seen = _run(scaled, numbers, codes).astype(np.float32)
        if apart := [int(at) for at in np.flatnonzero((seen != seen[:1]).any(axis=0))]:
            parts.append(chain([scaled, take(apart)]))
            kept = len(apart)
    if gaps := [int(at) for at in np.flatnonzero(_mixed(np.isnan(numbers)))]:
        parts.append(chain([take(gaps), MissingFlag({"missing": None})]))
        widths += [1] * len(gaps)
    for place, column in enumerate(c for c in edge.columns if c.read == "category"):
        table = _one_hot(len(column.values), codes[:, place])
        if table.shape[1]:
            parts.append(Lookup({"column": place}, {"table": table}))
            widths.append(table.shape[1])
    if not parts:
        raise ModelError("every column has one value only in the training rows: there is nothing to learn from")
    return Features(Beside({}, {}, parts), kept, tuple(widths))


def _run(op: Op, numbers: Floats, codes: Ints) -> Floats:
    with torch.inference_mode():
        return np.asarray(op(torch.from_numpy(numbers), torch.from_numpy(codes)).numpy())


def _opened(edge: EdgeSpec) -> Op | None:
    """Dates as their parts, after the other numbers; None where there is no date."""
    read = [column for column in edge.columns if column.read == "number"]
    dates = [at for at, column in enumerate(read) if column.of == "seconds"]
    plain = [at for at, column in enumerate(read) if column.of != "seconds"]
    if not dates:
        return None
    calendar = chain([take(dates), Calendar()])
    return Beside({}, {}, [take(plain), calendar]) if plain else calendar


def _varied(wide: Floats) -> list[int]:
    """Columns with two finite values or more."""
    finite = np.where(np.isfinite(wide), wide, np.nan)
    known = ~np.isnan(finite)
    low = np.where(known, finite, np.inf).min(axis=0, initial=np.inf)
    high = np.where(known, finite, -np.inf).max(axis=0, initial=-np.inf)
    return [int(at) for at in np.flatnonzero(low < high)]


def _mixed(flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(flags.any(axis=0) & ~flags.all(axis=0))


def _scaled(wide: Floats, scaling: Scaling) -> list[Op]:
    finite = np.where(np.isfinite(wide), wide, np.nan)
    made = _quantiles(finite) if scaling == "quantile" else _robust(finite)
    return [*made, Fill({"missing": None}, {"values": np.zeros(wide.shape[1])})]


def _quantiles(columns: Floats) -> list[Op]:
    """scikit-learn's QuantileTransformer to normal deviates, with a quantile for every 30 rows, 10 to 1,000 of them."""
    from scipy.special import ndtri
    from sklearn.preprocessing import QuantileTransformer

    count = min(max(min(len(columns) // 30, 1_000), 10), len(columns))
    fit = QuantileTransformer(n_quantiles=count, output_distribution="normal", subsample=None).fit(columns)
    near = EDGE - np.spacing(1)
    table = np.ascontiguousarray(fit.quantiles_.astype(np.float64).T)
    ends: list[float] = [float(ndtri(near)), float(ndtri(1 - near))]
    return [Quantiles({"normal": list(ends)}, {"quantiles": table, "reference": fit.references_.astype(np.float64)})]


def _robust(columns: Floats) -> list[Op]:
    """Median and quartiles; the range where these are one; then smooth clipping."""
    low, middle, high = np.nanpercentile(columns, [25, 50, 75], axis=0)
    spread, whole = high - low, (np.nanmax(columns, axis=0) - np.nanmin(columns, axis=0)) / 2
    scale = np.where(spread > 0, spread, whole)
    return [Affine({}, {"shift": middle, "scale": scale}), SoftClip({"limit": LIMIT})]


def _one_hot(values: int, codes: Ints) -> Floats:
    """Table [values + 3, m] of a Lookup: UNKNOWN, NONE, MISSING, then the values; what was not seen has no column."""
    missing = bool((codes == MISSING).any())
    table = np.zeros((values + FIRST, values + missing))
    table[FIRST:, :values] = np.eye(values)
    if missing:
        table[FIRST + MISSING, values] = 1.0
    seen = [column for column in range(values) if (codes == column).any()] + [values] * missing
    table = np.ascontiguousarray(table[:, seen])
    # A column that every row shares tells nothing.
    reached = table[codes + FIRST]
    return np.ascontiguousarray(table[:, (reached != reached[:1]).any(axis=0)])
