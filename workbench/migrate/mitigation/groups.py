"""The groups of a protected attribute as a mitigated model reads them: categories, or numbers cut at named edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.models import Label, ModelError

MOST, LEAST = 20, 50
"""Groups at most, and rows a group needs for a rule of its own."""
REST = "(others)"


@dataclass(frozen=True)
class Groups:
    """labels: of the codes, the last one for whoever is in none of the others. values: of a category column, in code
    order; edges: where the bands of a number begin."""

    attribute: str
    labels: tuple[str, ...]
    values: tuple[Label, ...] = ()
    edges: tuple[float, ...] = ()

    def codes(self, frame: pd.DataFrame) -> NDArray[np.int64]:
        """[n], place among labels."""
        column, last = frame[self.attribute], len(self.labels) - 1
        if self.edges:
            numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
            return np.where(np.isnan(numbers), last, np.searchsorted(self.edges, numbers, side="right"))
        place = {value: code for code, value in enumerate(self.values)}
        return np.array([place.get(value, last) for value in column.tolist()], dtype=np.int64)

    def named(self, frame: pd.DataFrame) -> NDArray[np.str_]:
        return np.array(self.labels)[self.codes(frame)]


def groups_of(frame: pd.DataFrame, attribute: str, edges: Sequence[float]) -> Groups:
    """Raises ModelError for an attribute that is not there, or has too many values and no edges."""
    if attribute not in frame.columns:
        raise ModelError(f"the training rows have no column {attribute!r}: name one of roles.protected")
    if edges:
        cuts = tuple(sorted(map(float, edges)))
        between = [f"{low:g} to under {high:g}" for low, high in pairwise(cuts)]
        return Groups(attribute, (f"under {cuts[0]:g}", *between, f"{cuts[-1]:g} and over", REST), edges=cuts)
    counts = frame[attribute].value_counts()
    if len(counts) > MOST:
        raise ModelError(
            f"{attribute!r} has {len(counts)} values, and a rule for each would be a rule for persons: "
            "say where its bands begin, as edges: [25, 40, 60]"
        )
    kept: list[Any] = counts.index[counts >= LEAST].tolist()
    if len(kept) < 2:
        raise ModelError(f"{attribute!r} has fewer than two groups of {LEAST} rows: there is nothing to even out")
    values: tuple[Label, ...] = tuple(sorted(kept, key=str))
    return Groups(attribute, (*map(str, values), REST), values=values)
