"""Why two models answer differently: each row that differs under the first known cause that explains it.

Known causes: a base score or link (one relation explains most rows), a decision threshold, rounding at the threshold,
a threshold crossed in float32, a category only one side knows, the path of a missing value. What none of them explains
is "unknown", as after an honest retraining.

Where both models can be asked, the last three are experiments, not guesses: the row is asked again with one column
changed, and the cause is what made the difference go away (see `repairs`). From the answers alone they are named where
the differing rows have a value in common and (nearly) no other row differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.measure import agreement, links
from workbench.measure.agreement import ROUNDING
from workbench.measure.links import Link, apart

if TYPE_CHECKING:
    from workbench.models import Model

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ask = Callable[[pd.DataFrame], Floats]
Doors = Mapping[str, "Callable[[], Model]"]
"""Both models by side, each opened when it is first asked for."""

LINK = "base score or link"
DECISION = "decision threshold"
ROUNDED = "rounding at the threshold"
FLOAT32 = "float32 threshold"
CATEGORY = "category known to one side only"
READ = "category read differently"
MISSING = "missing-value path"
UNKNOWN = "unknown"
KNOWN = (LINK, DECISION, ROUNDED, FLOAT32, CATEGORY, READ, MISSING)


@dataclass(frozen=True)
class Cause:
    """kind: of the above; what: of which column or value, in words; rows: [n]; known: how it is known."""

    kind: str
    what: str
    rows: Flags
    known: str


@dataclass(frozen=True)
class Pair:
    """Both models' answers on the same n rows of frame.

    legacy, candidate: [n] probabilities of the positive class, [n, k] of k classes, or [n] values; None for a side that
    only decides. decided: [n] class index of both, None for a regression. own: [n] the label each model gives of
    itself, where it does. threshold: of a binary task. ask_legacy, ask_candidate: give the same kind of answers for
    changed rows, NaN for rows that are refused; None where the model cannot be asked.
    """

    frame: pd.DataFrame
    legacy: Floats | None
    candidate: Floats | None
    decided: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
    own: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
    threshold: float | None = None
    ask_legacy: Ask | None = None
    ask_candidate: Ask | None = None
    seed: int = 0
    tolerance: float = field(init=False)

    def __post_init__(self) -> None:
        size = 1.0
        if self.scale == "value" and self.legacy is not None:
            size = float(np.abs(self.legacy).max(initial=0.0)) or 1.0
        object.__setattr__(self, "tolerance", ROUNDING * size)

    @property
    def scale(self) -> links.Scale:
        return "value" if self.decided is None else "share"

    @property
    def flips(self) -> Flags:
        """[n], rows decided differently."""
        if self.decided is None:
            return np.zeros(len(self.frame), dtype=bool)
        return np.asarray(self.decided[0] != self.decided[1])

    @property
    def own_flips(self) -> Flags:
        """[n], rows to which the models give another label of themselves while the decision is the same."""
        if self.own is None:
            return np.zeros(len(self.frame), dtype=bool)
        return np.asarray((self.own[0] != self.own[1]) & (self.own[0] >= 0) & (self.own[1] >= 0)) & ~self.flips

    @property
    def moved(self) -> Flags:
        """[n], rows whose scores or values differ by more than rounding."""
        if self.legacy is None or self.candidate is None:
            return np.zeros(len(self.frame), dtype=bool)
        return apart(self.legacy, self.candidate) > self.tolerance


def explain(pair: Pair) -> list[Cause]:
    """Every row that differs, under exactly one cause; most rows first, the unknown last."""
    left = pair.moved | pair.flips | pair.own_flips
    found: list[Cause] = []

    def take(cause: Cause) -> None:
        rows = cause.rows & left
        if rows.any():
            found.append(Cause(cause.kind, cause.what, rows, cause.known))
            left[rows] = False

    link = _linked(pair)
    for cause in _of_answers(pair, link):
        take(cause)
    if left.any():
        for cause in _of_rows(pair, link, left.copy()):
            take(cause)
    named = sorted(found, key=lambda cause: -int(cause.rows.sum()))
    return [*named, Cause(UNKNOWN, "no known cause explains these rows", left, "")] if left.any() else named


class Told(NamedTuple):
    """title: what explains the rows that differ, in a line; unknown: rows no cause explains; flipped: rows whose label,
    or whose own label, differs; tables: by title."""

    title: str
    unknown: int
    flipped: int
    tables: Mapping[str, pd.DataFrame]


def told(pair: Pair, place: NDArray[np.int64], most: int, groups: Sequence[str] = ()) -> Told:
    """What `explain` finds, to be read. place: [n], the number a row is known by. most, groups: as of
    `agreement.segments`."""
    found = explain(pair)
    rows = {kind: sum(int(one.rows.sum()) for one in found if one.kind == kind) for kind in {one.kind for one in found}}
    differ, unknown = sum(rows.values()), rows.get(UNKNOWN, 0)
    known = dict.fromkeys(kind for one in found for kind in one.kind.split(" + ") if kind != UNKNOWN)
    title = "No row differs beyond rounding"
    if differ:
        rest = f"; {unknown:,} unexplained" if known and unknown else ""
        rows_differ = "1 row differs" if differ == 1 else f"{differ:,} rows differ"
        title = f"{rows_differ}: {', '.join(known) or 'no known cause explains it'}{rest}"
    tables = {
        "Each row that differs, under its cause": _table(pair, found, place),
        "Segments each cause touches most": _segments(pair, found, most, groups),
    }
    flipped = int((pair.flips | pair.own_flips).sum())
    return Told(title, unknown, flipped, {name: table for name, table in tables.items() if len(table)})


def _table(pair: Pair, found: list[Cause], place: NDArray[np.int64], such: int = 5) -> pd.DataFrame:
    """A line per cause, with the first rows by place."""
    flips = pair.flips | pair.own_flips
    return pd.DataFrame(
        {
            "cause": [cause.kind for cause in found],
            "what": [cause.what for cause in found],
            "rows": [int(cause.rows.sum()) for cause in found],
            "labels flipped": [int((cause.rows & flips).sum()) for cause in found],
            "rows such as": [", ".join(map(str, place[cause.rows][:such])) for cause in found],
            "known by": [cause.known for cause in found],
        }
    )


MOST_ROWS = 0.9


def _segments(pair: Pair, found: list[Cause], most: int, groups: Sequence[str], top: int = 3) -> pd.DataFrame:
    """The segments that each cause touches most; of a cause that touches all rows, or two, there is none to tell."""
    parts = []
    for cause in (one for one in found if one.rows.sum() > 2 and one.rows.mean() < MOST_ROWS):
        part = agreement.segments(pair.frame, cause.rows, most, groups=groups).head(top)
        part.insert(0, "cause", f"{cause.kind}: {cause.what}")
        parts.append(part.rename(columns={"flips": "differ"}))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _linked(pair: Pair) -> Link | None:
    if pair.legacy is None or pair.candidate is None:
        return None
    return links.find(pair.legacy, pair.candidate, pair.scale, pair.tolerance)


ANSWERS = "the answers of all rows"


def _of_answers(pair: Pair, link: Link | None) -> Iterator[Cause]:
    """What the answers alone prove."""
    if pair.legacy is None or pair.candidate is None:
        yield from _cut(pair)
        return
    if link is not None:
        yield Cause(LINK, link.what, link.explained(pair.legacy, pair.candidate) & pair.moved, ANSWERS)
    same = ~pair.moved
    crossing = np.zeros(len(same), dtype=bool)
    if pair.threshold is not None:
        crossing = (pair.legacy >= pair.threshold) != (pair.candidate >= pair.threshold)
    yield Cause(ROUNDED, "the scores are equal but for the last digits, and the threshold lies between",
                same & crossing & pair.flips, ANSWERS)  # fmt: skip
    yield Cause(DECISION, "the scores are equal, the labels are not", same & (pair.flips | pair.own_flips), ANSWERS)


def _cut(pair: Pair) -> Iterator[Cause]:
    """One side only decides: does it decide by the other's score, at another threshold?"""
    scores = pair.legacy if pair.legacy is not None else pair.candidate
    if scores is None or scores.ndim != 1 or pair.threshold is None or not pair.flips.any():
        return
    among = scores[pair.flips]
    low, high = float(among.min()), float(among.max())
    if not (low >= pair.threshold or high < pair.threshold):
        return
    between = (scores >= low) & (scores <= high)
    # One row alone lies between its own score and itself: two are the fewest that show a band.
    if pair.flips.sum() >= 2 and pair.flips[between].all():
        other = high if low >= pair.threshold else low
        what = (
            f"all rows with a score between {pair.threshold:g} and {other:.6g} are decided the other way, and no other"
        )
        yield Cause(DECISION, what, pair.flips, ANSWERS)


def _of_rows(pair: Pair, link: Link | None, left: Flags) -> Iterator[Cause]:
    """Causes that lie in single columns: by asking again where that is possible, else by what they have in common."""
    from workbench.measure import repairs

    asked = repairs.Experiment(pair, link, left)
    yield from asked.float32()
    if asked.both:
        yield from asked.missing_and_categories()
        yield from asked.float32()
        yield from asked.float32_beside()
        yield from asked.localised()
    else:
        common = in_common(pair, asked.left)
        yield from (Cause(kind, what, rows, "what the rows have in common") for kind, what, rows in common)


INSIDE, OUTSIDE, TIMES = 0.9, 0.02, 20


def in_common(pair: Pair, differs: Flags) -> list[tuple[str, str, Flags]]:
    """(kind, what, rows) of values of columns whose rows (nearly) all differ while (nearly) no other row does; where
    differences of scores are known, of values whose rows differ much more often than all others do."""
    found: list[tuple[str, str, Flags]] = []
    open_ = np.ones(len(differs), dtype=bool)
    least = 1.0
    while (differs & open_).any():
        best = max(_values(pair, differs, open_), key=lambda one: one[0], default=None)
        if best is None:
            break
        _, share, kind, what, rows = best
        found.append((kind, what, rows & differs & open_))
        open_ &= ~rows
        least = min(least, share)
    # Values explain nothing where other rows differ too, nor where they are most of the rows.
    rest = float(differs[open_].mean()) if open_.any() else 1.0
    return found if rest <= min(OUTSIDE, least / TIMES) and open_.mean() >= 0.5 else []


def _values(pair: Pair, differs: Flags, open_: Flags) -> Iterator[tuple[float, float, str, str, Flags]]:
    """Values in which differing rows gather, among the rows that are open: the log of how unlikely that is by chance
    (hypergeometric), the share of the value's rows that differ, and what it is."""
    from scipy.stats import hypergeom

    scored = pair.legacy is not None and pair.candidate is not None
    n, hits = int(open_.sum()), int((differs & open_).sum())
    for name in pair.frame.columns:
        codes, values = pd.factorize(pair.frame[name], use_na_sentinel=True)
        size = np.bincount(codes[open_] + 1, minlength=len(values) + 1)
        inside = np.bincount(codes[open_ & differs] + 1, minlength=len(values) + 1)
        share = inside / np.maximum(1, size)
        often = scored & ((hits - inside) / np.maximum(1, n - size) * TIMES <= share)
        for place in np.flatnonzero((inside >= 2) & ((share >= INSIDE) | often)):
            weight = -float(hypergeom.logsf(inside[place] - 1, n, size[place], hits))
            if weight > np.log(1e6 * max(1, len(values))):
                kind = MISSING if place == 0 else CATEGORY if share[place] >= INSIDE else READ
                what = str(name) if place == 0 else f"{name} = {values[int(place) - 1]}"
                yield weight, float(share[place]), kind, what, codes + 1 == place
