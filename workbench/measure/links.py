"""How one model's answers are made of the other's, where (nearly) every row tells the same: base score, scale, link.

A relation is only called so where it gives back at least half of all rows to rounding, so that rows which differ for
another reason as well do not hide it; what it cannot give back has another cause.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Scale = Literal["share", "value"]

FEWEST = 10
"""Rows that a relation must explain."""
DISTINCT = {"offset": 5, "scale": 8}
"""Different answers of the legacy model among them: through few points some line always goes."""
CLASSES = 6
"""Most classes whose orders are all tried."""


@dataclass(frozen=True)
class Link:
    """what: in words. apply: the legacy's answers as the candidate would give them if nothing else differed, to within
    tolerance."""

    what: str
    apply: Callable[[Floats], Floats]
    tolerance: float

    def explained(self, legacy: Floats, candidate: Floats) -> NDArray[np.bool_]:
        """[n], rows of which it gives the candidate's answer."""
        return apart(self.apply(legacy), candidate) <= self.tolerance


def apart(one: Floats, two: Floats) -> Floats:
    """[n] absolute difference per row, the largest over classes; infinite where an answer is missing."""
    with np.errstate(invalid="ignore"):
        found = np.where(one == two, 0.0, np.abs(two - one))
    found = np.where(np.isnan(found), np.inf, found)
    return found if found.ndim == 1 else np.asarray(found.max(1))


def find(legacy: Floats, candidate: Floats, scale: Scale, tolerance: float) -> Link | None:
    """The first relation that holds between two models' answers [n] or, of k classes, [n, k]; None where none does.

    scale: "share" for probabilities, "value" for a regression. tolerance: up to which two answers are the same.
    """
    differs = apart(legacy, candidate) > tolerance
    if differs.sum() < max(FEWEST, len(legacy) / 4):
        return None
    tried = _of_classes if legacy.ndim == 2 else _of_shares if scale == "share" else _of_values
    with np.errstate(all="ignore"):
        for link, points in tried(legacy, candidate, tolerance):
            hit = link.explained(legacy, candidate)
            if (
                hit.mean() >= 0.5
                and 2 * (hit & differs).sum() >= differs.sum()
                and _varied(legacy[hit & differs], points)
            ):
                return link
    return None


Tried = Iterator[tuple[Link, int]]


def _varied(answers: Floats, points: int) -> bool:
    return len(answers) >= FEWEST and len(np.unique(np.round(answers, 9), axis=0)) >= points


def _of_shares(legacy: Floats, candidate: Floats, tolerance: float) -> Tried:
    points = DISTINCT["offset"]
    yield Link("the score is that of the other class", lambda p: 1 - p, tolerance), points
    yield Link("log-odds are given for a probability (no link)", _logit, _grown(tolerance, 3)), points
    yield Link("the link is applied twice", _expit, tolerance), points
    moved = _middle(_logit(candidate) - _logit(legacy))
    what = f"a constant offset of {moved:+.6g} on the log-odds (base score or intercept)"
    yield Link(what, lambda p: _expit(_logit(p) + moved), _grown(tolerance, moved)), points
    slope, start = _line(_logit(legacy), _logit(candidate))
    what = f"log-odds times {slope:.6g}{_plus(start)} (scale of the link, or a calibration)"
    wide = _grown(tolerance, abs(start) + abs(math.log(abs(slope) or 1.0)))
    yield Link(what, lambda p: _expit(slope * _logit(p) + start), wide), DISTINCT["scale"]
    yield _straight(legacy, candidate, tolerance), DISTINCT["scale"]


def _of_values(legacy: Floats, candidate: Floats, tolerance: float) -> Tried:
    moved = _middle(candidate - legacy)
    yield Link(f"a constant offset of {moved:+.6g} (base score or intercept)", lambda y: y + moved, tolerance), 5
    times = _middle(candidate / legacy)
    what = f"a constant factor of {times:.6g} (base score under a logarithmic link, or a unit)"
    yield Link(what, lambda y: y * times, tolerance * max(1.0, abs(times))), DISTINCT["offset"]
    for name, function in LINKS.items():
        with np.errstate(all="ignore"):
            size = float(
                np.nanmax(np.abs(np.where(np.isfinite(image := function(legacy)), image, np.nan)), initial=1.0)
            )
        what = f"the candidate gives {name} of the legacy's answer (link, or a transformed target)"
        yield Link(what, function, max(tolerance, 1e-6 * size)), DISTINCT["offset"]
    yield _straight(legacy, candidate, tolerance), DISTINCT["scale"]


LINKS: dict[str, Callable[[Floats], Floats]] = {
    "the logarithm": np.log,
    "the exponential": np.exp,
    "log(1 + x)": np.log1p,
    "exp(x) - 1": np.expm1,
    "the square root": np.sqrt,
    "the square": np.square,
}


def _of_classes(legacy: Floats, candidate: Floats, tolerance: float) -> Tried:
    k = legacy.shape[1]
    for order in permutations(range(k)) if k <= CLASSES else ():
        if order != tuple(range(k)):
            places = list(order)
            yield Link(f"the classes are in another order: {places}", lambda p, at=places: p[:, at], tolerance), 5  # type: ignore[misc]
    logs = _centred(candidate) - _centred(legacy)
    moved = np.array([_middle(logs[:, place]) for place in range(k)])
    what = f"a constant offset per class on the log-odds (base scores): {', '.join(f'{one:+.4g}' for one in moved)}"
    yield Link(what, lambda p: _softmax(_centred(p) + moved), _grown(tolerance, float(np.ptp(moved)))), 5


def _straight(legacy: Floats, candidate: Floats, tolerance: float) -> Link:
    slope, start = _line(legacy, candidate)
    what = f"the answer times {slope:.6g}{_plus(start)} (a sum for a mean, a scale, or another link)"
    return Link(what, lambda y: slope * y + start, tolerance * max(1.0, abs(slope)))


def _plus(start: float) -> str:
    return f" {'+' if start >= 0 else '-'} {abs(start):.6g}"


def _grown(tolerance: float, moved: float) -> float:
    """A rounding of a probability is up to exp(moved) times as large after its log-odds have moved."""
    return tolerance * (1 + math.exp(min(abs(moved), 6.0))) if math.isfinite(moved) else tolerance


def _middle(values: Floats) -> float:
    """The median, refined among the values that equal it nearly: half of them must not."""
    known = values[np.isfinite(values)]
    if not len(known):
        return math.nan
    middle = float(np.median(known))
    near = known[np.abs(known - middle) <= 1e-3 * max(1e-3, abs(middle))]
    return float(np.median(near)) if len(near) else middle


def _line(x: Floats, y: Floats, most: int = 2_000) -> tuple[float, float]:
    """Slope and start of the line through most points: the median of slopes between distant pairs (Theil 1950)."""
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known][:most], y[known][:most]
    order = np.argsort(x, kind="stable")
    half = len(x) // 2
    low, high = order[:half], order[len(x) - half :]
    steps = x[high] - x[low]
    usable = steps > 1e-9
    if not usable.any():
        return math.nan, math.nan
    slope = float(np.median((y[high] - y[low])[usable] / steps[usable]))
    return slope, _middle(y - slope * x)


def _logit(p: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(p) - np.log1p(-p))


def _expit(x: Floats) -> Floats:
    from scipy.special import expit

    return np.asarray(expit(x))


def _centred(p: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(p)
        return np.asarray(logs - logs.mean(1, keepdims=True))


def _softmax(x: Floats) -> Floats:
    from scipy.special import softmax

    return np.asarray(softmax(x, axis=1))
