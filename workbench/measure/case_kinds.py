"""Which rows of a pair are worth looking at one by one, by what makes them so."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from workbench.measure.cases import CHANGED, NEAREST, RANDOM

FLIPPED = "decided differently"


def kinds(
    rows: int,
    most: int,
    *,
    distance: NDArray[np.float64] | None,
    change: NDArray[np.float64] | None,
    flipped: NDArray[np.bool_] | None,
    groups: Mapping[str, NDArray[np.generic]],
    seed: int = 0,
) -> dict[str, NDArray[np.int64]]:
    """At most `most` of `rows` rows of every kind that has any, worst first; of a group and at random, drawn by seed.

    distance: [rows] from the threshold; change: [rows], candidate - legacy; flipped: [rows]. A row that is not finite
    is of neither kind. A kind of which something is lacking (None) is left out.
    """
    rng = np.random.default_rng(seed)
    found: dict[str, NDArray[np.int64]] = {}
    size = np.abs(change) if change is not None else None
    if flipped is not None:
        places = np.flatnonzero(flipped)
        found[FLIPPED] = places if size is None else places[np.argsort(-np.nan_to_num(size[places]), kind="stable")]
    if distance is not None:
        found[NEAREST] = _smallest(distance, np.isfinite(distance))
    if size is not None:
        found[CHANGED] = _smallest(-size, np.isfinite(size) & (size > 0))
    for name, values in groups.items():
        for value in sorted(set(values.tolist()), key=str):
            found[f"{name}: {value}"] = np.sort(rng.permutation(np.flatnonzero(values == value))[:most])
    found[RANDOM] = np.sort(rng.permutation(rows)[:most])
    return {kind: places[:most] for kind, places in found.items() if len(places)}


def _smallest(key: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.int64]:
    places = np.flatnonzero(known)
    return places[np.argsort(key[places], kind="stable")]
