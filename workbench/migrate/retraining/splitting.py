"""Rows to fit on and rows to check on: later than them where time is declared, and never of the same key."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.migration import Roles
from workbench.models import ModelError

FEWEST = 20
"""Rows to check on, at least."""


def split(
    frame: pd.DataFrame, strata: NDArray[np.int64] | None, roles: Roles, held_out: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[str, ...]]:
    """Places of the rows to fit on and of those to check on, and what was done, in sentences.

    With a time role the last `held_out` of the rows in time are checked on; else a seeded draw, by class where strata
    [n] are given. Rows of one key are never on both sides. Raises ModelError where too few rows are left.
    """
    groups = _groups(frame, roles)
    if roles.time and roles.time in frame.columns and frame[roles.time].notna().any():
        fit, check, notes = _by_time(frame[roles.time], groups, held_out, roles)
    elif groups is not None:
        fit, check, notes = _by_group(groups, held_out, seed, roles)
    else:
        fit, check, notes = _at_random(len(frame), strata, held_out, seed)
    if len(check) < FEWEST or len(fit) < FEWEST:
        raise ModelError(
            f"of {len(frame):,} training rows {len(fit):,} are left to fit on and {len(check):,} to check on, and each "
            f"needs {FEWEST}: give more rows"
        )
    return fit, check, notes


def _groups(frame: pd.DataFrame, roles: Roles) -> NDArray[np.int64] | None:
    """A number for each key; None where no key is declared, or every row has its own."""
    names = [name for name in roles.key if name in frame.columns]
    if not names:
        return None
    numbers = np.asarray(frame.groupby(names, sort=False, dropna=False).ngroup(), dtype=np.int64)
    return numbers if len(np.unique(numbers)) < len(numbers) else None


def _by_time(
    column: pd.Series, groups: NDArray[np.int64] | None, held_out: float, roles: Roles
) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[str, ...]]:
    rank = column.rank(method="min", na_option="top").to_numpy(dtype=np.float64)
    # Rows of the moment at the border are all checked on: what happened at once is not before and after itself.
    border = np.sort(rank)[int(len(rank) * (1 - held_out))]
    late = rank >= border
    notes = [f"checked on the last {late.mean():.0%} of the rows by {roles.time}"]
    fit = ~late
    if groups is not None:
        known = np.isin(groups, np.unique(groups[late])) & fit
        fit &= ~known
        notes += [f"{known.sum():,} earlier rows of the same {_named(roles)} are left out"] if known.any() else []
    return np.flatnonzero(fit), np.flatnonzero(late), tuple(notes)


def _by_group(
    groups: NDArray[np.int64], held_out: float, seed: int, roles: Roles
) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[str, ...]]:
    drawn = np.random.default_rng(seed).permutation(int(groups.max()) + 1)
    sizes = np.bincount(groups)[drawn]
    chosen = drawn[np.cumsum(sizes) - sizes < held_out * len(groups)]
    late = np.isin(groups, chosen)
    notes = (f"checked on {late.mean():.0%} of the rows, each {_named(roles)} on one side",)
    return np.flatnonzero(~late), np.flatnonzero(late), notes


def _named(roles: Roles) -> str:
    return " and ".join(roles.key)


def _at_random(
    n: int, strata: NDArray[np.int64] | None, held_out: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[str, ...]]:
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    if strata is not None:
        # Within each class the first ones drawn: the order of the draw, class by class.
        place = pd.Series(strata[order]).groupby(strata[order]).cumcount().to_numpy()
        size = np.bincount(strata)[strata[order]]
        taken = order[place < np.round(size * held_out)]
    else:
        taken = order[: round(n * held_out)]
    late = np.zeros(n, dtype=bool)
    late[taken] = True
    notes = (f"checked on {late.mean():.0%} of the rows, drawn at random",)
    return np.flatnonzero(~late), np.flatnonzero(late), notes
