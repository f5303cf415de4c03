"""Which rows people should look at, and how far those who looked agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, islice, repeat

import numpy as np
from numpy.typing import NDArray

NEAREST, CHANGED, RANDOM = "near the threshold", "biggest change", "at random"


def sample(
    n: int,
    rows: int,
    *,
    distance: NDArray[np.float64] | None,
    change: NDArray[np.float64] | None,
    groups: Mapping[str, NDArray[np.generic]],
    seed: int,
) -> list[tuple[int, str]]:
    """n of `rows` rows with why each was taken, in an order that tells nothing; fewer only where there are fewer.

    A quarter each: smallest `distance` [rows] from the threshold, largest |change| [rows], each group of each
    attribute in turn, and at random. What one of them lacks (None, no groups) goes to the random ones.
    """
    rng = np.random.default_rng(seed)
    chance = rng.permutation(rows)
    share = max(n // 4, 1)
    taken: dict[int, str] = {}
    for key, why in ((distance, NEAREST), (None if change is None else -np.abs(change), CHANGED)):
        if key is not None:
            _take(taken, zip(_order(key, chance), repeat(why)), min(len(taken) + share, n))
    _take(taken, _by_group(groups, chance, taken), min(len(taken) + share, n))
    _take(taken, ((int(row), RANDOM) for row in chance), min(n, rows))
    picked = list(taken.items())
    return [picked[place] for place in rng.permutation(len(picked))]


def _order(key: NDArray[np.float64], chance: NDArray[np.int64]) -> Iterator[int]:
    """Rows by key, smallest first, ties by chance, rows without a key left out."""
    known = chance[np.isfinite(key[chance])]
    yield from (int(row) for row in known[np.argsort(key[known], kind="stable")])


def _by_group(
    groups: Mapping[str, NDArray[np.generic]], chance: NDArray[np.int64], taken: Mapping[int, str]
) -> Iterator[tuple[int, str]]:
    """One row of each group of each attribute, then another of each, and so on."""
    piles = [
        zip(rows, repeat(f"{name}: {value}"))
        for name, values in groups.items()
        for value in sorted(set(values.tolist()), key=str)
        for rows in [chance[values[chance] == value].tolist()]
    ]
    for pile in islice(cycle(piles), len(piles) * len(chance)) if piles else ():
        # A row that stands in another pile too was taken for that one: this group still gets a row of its own.
        if (one := next((one for one in pile if one[0] not in taken), None)) is not None:
            yield one


def _take(taken: dict[int, str], offered: Iterator[tuple[int, str]], until: int) -> None:
    while len(taken) < until and (one := next(offered, None)) is not None:
        taken.setdefault(*one)


def cohen_kappa(first: Sequence[str], second: Sequence[str]) -> float:
    """Agreement of two raters beyond chance (Cohen 1960); NaN where chance alone explains all of it."""
    n = len(first)
    seen = sum(one == two for one, two in zip(first, second, strict=True)) / n if n else float("nan")
    one, two = Counter(first), Counter(second)
    expected = sum(one[value] * two[value] for value in one) / n**2 if n else float("nan")
    return (seen - expected) / (1 - expected) if expected < 1 else float("nan")


def fleiss_kappa(counts: NDArray[np.int64]) -> float:
    """Agreement of m raters beyond chance (Fleiss 1971). counts: [cases, categories], each row adds up to m >= 2."""
    cases, raters = len(counts), int(counts[0].sum()) if len(counts) else 0
    if raters < 2 or not (counts.sum(1) == raters).all():
        return float("nan")
    agreed = ((counts**2).sum(1) - raters) / (raters * (raters - 1))
    expected = float(((counts.sum(0) / (cases * raters)) ** 2).sum())
    return float((agreed.mean() - expected) / (1 - expected)) if expected < 1 else float("nan")
