"""Who is compared: the groups of protected attributes and of their intersections.

Numbers with many values become named bands; a missing value is a group of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MISSING = "(missing)"
FEW = 10
"""Numbers with at most this many distinct values are groups as they are."""
_AGES = (25, 35, 45, 55, 65)
_BANDS = 4


@dataclass(frozen=True)
class Groups:
    """One way to split the rows. codes: [n], index into labels; labels: every group that occurs, sorted."""

    name: str
    labels: tuple[str, ...]
    codes: NDArray[np.int64]


def groups_of(frame: pd.DataFrame, names: Sequence[str], depth: int = 1) -> list[Groups]:
    """Every attribute, then every intersection of 2 … depth of them. Raises KeyError for a column that is not there."""
    single = [split(frame[name], name) for name in names]
    return [
        intersect(chosen) for size in range(1, max(1, depth) + 1) for chosen in combinations(single, size) if chosen
    ]


def split(column: pd.Series, name: str = "") -> Groups:
    """The groups of one column: its values, or named bands of its values."""
    name = name or str(column.name)
    values = _banded(column, name)
    text = values.astype(object).map(_label).fillna(MISSING).to_numpy(dtype=object)
    labels, codes = np.unique(text, return_inverse=True) if len(text) else (np.array([]), np.array([]))
    return Groups(name, tuple(map(str, _in_order(labels, values))), _reorder(labels, values, codes))


def intersect(parts: Sequence[Groups]) -> Groups:
    """Groups of all given attributes at once; only combinations that occur."""
    if len(parts) == 1:
        return parts[0]
    stacked = np.stack([part.codes for part in parts])
    seen, codes = np.unique(stacked, axis=1, return_inverse=True)
    labels = [" × ".join(part.labels[code] for part, code in zip(parts, column)) for column in seen.T]
    return Groups(" × ".join(part.name for part in parts), tuple(labels), codes.ravel().astype(np.int64))


def merge_rare(groups: Groups, least: int = 10) -> Groups:
    """Groups of fewer rows than `least` become one: a rare value may name a person, and nothing can be said of it."""
    labels, place = merged(groups.labels, np.bincount(groups.codes, minlength=len(groups.labels)), least)
    return Groups(groups.name, labels, place[groups.codes]) if labels != groups.labels else groups


def merged(labels: tuple[str, ...], n: NDArray[np.int64], least: int = 10) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """`merge_rare` of groups of n rows each: the labels there are then, and where each group's rows go."""
    rare = n < least
    kept = tuple(label for label, few in zip(labels, rare) if not few)
    place = np.where(rare, len(kept), np.cumsum(~rare) - 1)
    return (*kept, f"(values with fewer than {least} rows)") if rare.any() else kept, place


def _label(value: object) -> object:
    """One spelling per group: 1.0 and 1 are the same."""
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _banded(column: pd.Series, name: str) -> pd.Series:
    """Bands as an ordered categorical where the column holds many numbers or dates, else the column as it is."""
    if pd.api.types.is_datetime64_any_dtype(column):
        column = column.dt.year
    if pd.api.types.is_bool_dtype(column) or not pd.api.types.is_numeric_dtype(column):
        return column
    numbers = pd.to_numeric(column).astype("float64").replace([np.inf, -np.inf], np.nan)
    if numbers.nunique() <= FEW:
        return numbers
    edges = edges_of(name, numbers.min(), numbers.max(), lambda shares: [float(numbers.quantile(at)) for at in shares])
    return pd.cut(numbers, [-np.inf, *edges, np.inf], right=False, labels=band_names(edges))


def edges_of(
    name: str, low: float, high: float, quantiles: Callable[[Sequence[float]], Sequence[float]]
) -> list[float]:
    """Where the bands of a column with many numbers begin: the usual ages for an age, else its quartiles.

    low, high: smallest and largest number; quantiles: those of the column at the shares asked for.
    """
    if re.search(r"(^|[_\W])age($|[_\W])", name.lower()) and low >= 0 and high <= 120:
        return [float(edge) for edge in _AGES if low < edge <= high]
    return sorted(set(quantiles([part / _BANDS for part in range(1, _BANDS)])) - {float(low)})


def band_names(edges: Sequence[float]) -> list[str]:
    """One name more than there are edges."""
    if not edges:
        return ["all"]
    between = [f"{low:g} to under {high:g}" for low, high in pairwise(edges)]
    return [f"under {edges[0]:g}", *between, f"{edges[-1]:g} and over"]


def _in_order(labels: NDArray[np.object_], values: pd.Series) -> list[object]:
    """Bands keep their order, names are sorted; the missing come last."""
    if isinstance(values.dtype, pd.CategoricalDtype) and values.cat.ordered:
        order = [str(band) for band in values.cat.categories]
    elif pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        order = sorted((str(label) for label in labels if label != MISSING), key=float)
    else:
        order = sorted(str(label) for label in labels if label != MISSING)
    present = set(labels)
    return [label for label in [*order, MISSING] if label in present]


def _reorder(labels: NDArray[np.object_], values: pd.Series, codes: NDArray[np.int64]) -> NDArray[np.int64]:
    place = {label: index for index, label in enumerate(_in_order(labels, values))}
    return np.array([place[label] for label in labels], dtype=np.int64)[codes.astype(np.int64)]
