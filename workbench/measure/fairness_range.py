"""Bounds of the largest gap between groups, by inverting its test: every gap that the counts do not contradict.

A gap of size d is contradicted where T(d), the largest (difference - d) / standard error of any two groups, is further
from 0 than it is in 95 of 100 draws from the likeliest world that has a gap of just d. For d = 0 that is the test of
equal rates; and where the gap comes from two groups alone, it is not charged for all the pairs there are, as
simultaneous intervals are. Errors are those of the restricted world (score test: Miettinen and Nurminen 1985, Stat.
Med. 4:213), which serve for few counts too; a test calibrated at the restricted maximum of the likelihood: Lloyd 2008,
Biometrics 64:716.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.measure.intervals import Interval

Floats = NDArray[np.float64]

DRAWS, FEWEST = 1_000, 200
PAIRS = 2_000_000
"""Draws times pairs of groups held in one test: very many groups get fewer draws, at least FEWEST."""
CLOSE = 1e-4
"""How closely a bound is found, as a rate."""
GRID = 128


class Law(Protocol):
    """How estimates [F, G] of F families of groups scatter; NaN for a group left out.

    seen: the estimates; draw: [D, F, G] for a world of true values [F, G]; errors: its standard errors; misfit: what
    each estimate speaks against true values [..., F, G], as half a deviance.
    """

    @property
    def seen(self) -> Floats: ...
    def draw(self, world: Floats, draws: int) -> Floats: ...
    def errors(self, world: Floats) -> Floats: ...
    def misfit(self, world: Floats) -> Floats: ...
    @property
    def most(self) -> float: ...


@dataclass(frozen=True)
class Rates:
    """Rates out of n rows [F, G] each, every group's rows drawn on their own."""

    seen: Floats
    n: NDArray[np.int64]
    seed: int = 0
    most: float = 1.0

    def draw(self, world: Floats, draws: int) -> Floats:
        known = np.isfinite(world)
        p = np.clip(np.where(known, world, 0.0), 0.0, 1.0)
        k = np.random.default_rng(self.seed).binomial(self.n, p, (draws, *p.shape))
        return np.asarray(np.divide(k, self.n, out=np.full(k.shape, np.nan), where=known & (self.n > 0)))

    def errors(self, world: Floats) -> Floats:
        n = np.maximum(self.n, 1)
        # A quarter of a row more, so that a rate of 0 or 1 is not taken for certain.
        return np.asarray(np.sqrt(np.clip(world * (1 - world), 0.0, None) / n + 0.25 / n**2))

    def misfit(self, world: Floats) -> Floats:
        p = np.clip(world, 1e-12, 1 - 1e-12)
        return np.asarray(-self.n * (self.seen * np.log(p) + (1 - self.seen) * np.log1p(-p)))


@dataclass(frozen=True)
class Means:
    """Normal estimates with known errors [F, G]."""

    seen: Floats
    known: Floats
    seed: int = 0
    most: float = np.inf

    def draw(self, world: Floats, draws: int) -> Floats:
        noise = np.random.default_rng(self.seed).standard_normal((draws, *world.shape))
        return np.asarray(world + noise * self.known)

    def errors(self, world: Floats) -> Floats:
        return self.known

    def misfit(self, world: Floats) -> Floats:
        return np.asarray((self.seen - world) ** 2 / (2 * np.maximum(self.known, np.finfo(float).tiny) ** 2))


def furthest(values: Floats, errors: Floats, share: float, gap: float) -> Floats:
    """[...]: over all pairs of groups the largest (share * higher - lower - gap) / error, for values [..., F, G]."""
    largest = np.full(values.shape[:-2], -np.inf)
    variance = errors**2
    for one in range(values.shape[-1] - 1):
        a, b = values[..., [one]], values[..., one + 1 :]
        va, vb = variance[..., [one]], variance[..., one + 1 :]
        high, low = np.maximum(a, b), np.minimum(a, b)
        spread = np.sqrt(np.where(a > b, share**2 * va + vb, share**2 * vb + va) if share != 1 else va + vb)
        t = (share * high - low - gap) / spread
        largest = np.maximum(largest, np.nanmax(np.where(np.isnan(t), -np.inf, t), axis=(-1, -2), initial=-np.inf))
    return largest


def largest_difference(law: Law, level: float) -> Interval:
    """Bounds of the largest difference between two groups of one family."""
    seen = float(np.nanmax(np.nanmax(law.seen, -1) - np.nanmin(law.seen, -1)))

    def beyond(gap: float) -> float:
        return beyond_difference(law, gap, level)

    reach = 2 * seen + 10 * float(np.nanmax(law.errors(law.seen)))
    return Interval(_edge(beyond, seen, 0.0), _edge(beyond, seen, min(law.most, reach)))


def beyond_difference(law: Law, gap: float, level: float) -> float:
    """Above 0 where a largest difference of `gap` is contradicted: how much further from 0 the test statistic is than
    it is in `level` of the draws from the likeliest world with such a gap."""
    seen = float(np.nanmax(np.nanmax(law.seen, -1) - np.nanmin(law.seen, -1)))
    world = _stretched(law, 1.0, gap) if gap > seen else _drawn_in(law, lambda low: low + gap)
    return _beyond(law, world, 1.0, gap, level)


def smallest_share(law: Law, level: float) -> Interval:
    """Bounds of the smallest ratio of two groups' values, which are not negative."""
    seen = float(np.nanmin(np.nanmin(law.seen, -1) / np.nanmax(law.seen, -1)))

    def beyond(share: float) -> float:
        return beyond_share(law, share, level)

    # Of a group of which nobody was selected the test says nothing at a share of 0 itself.
    return Interval(_edge(beyond, seen, 0.0), _edge(beyond, max(seen, CLOSE), 1.0))


def beyond_share(law: Law, share: float, level: float) -> float:
    """As `beyond_difference`, of a smallest ratio."""
    seen = float(np.nanmin(np.nanmin(law.seen, -1) / np.nanmax(law.seen, -1)))
    world = _stretched(law, share, 0.0) if share < seen else _drawn_in(law, lambda low: low / share)
    return _beyond(law, world, share, 0.0, level)


def _beyond(law: Law, world: Floats, share: float, gap: float, level: float) -> float:
    errors = law.errors(world)
    pairs = world.size * (world.shape[-1] - 1) // 2
    drawn = law.draw(world, int(np.clip(PAIRS // max(1, pairs), FEWEST, DRAWS)))
    usual = np.quantile(np.abs(furthest(drawn, errors, share, gap)), level, method="higher")
    return float(np.abs(furthest(law.seen, errors, share, gap)) - usual)


def _edge(beyond: Callable[[float], float], inside: float, outside: float) -> float:
    """Where `beyond` passes 0 on the way from inside to outside; outside where it does not."""
    from scipy.optimize import brentq

    if inside == outside or beyond(outside) <= 0:
        return outside
    if beyond(inside) > 0:
        return inside
    return float(brentq(beyond, inside, outside, xtol=CLOSE, maxiter=50))


def _drawn_in(law: Law, above: Callable[[Floats], Floats]) -> Floats:
    """Every family's values moved into the range, lowest to above(lowest), that contradicts them least."""
    low, high = np.nanmin(law.seen, -1), np.nanmax(law.seen, -1)
    floor = low + (high - low) * np.linspace(0, 1, GRID + 1)[:, None]
    worlds = np.clip(law.seen, floor[..., None], np.maximum(floor, above(floor))[..., None])
    best = np.nansum(law.misfit(worlds), -1).argmin(axis=0)
    return np.asarray(worlds[best, np.arange(len(low))])


def _stretched(law: Law, share: float, gap: float) -> Floats:
    """The pair of groups that is least far from it moved apart, each by its variance; the others kept between."""
    variance = law.errors(law.seen) ** 2
    family, high, low = _nearest_pair(law.seen, variance, share, gap)
    top, bottom = law.seen[family, high], law.seen[family, low]
    up, down = share * variance[family, high], variance[family, low]
    top = min(law.most, top + (gap - share * top + bottom) * up / (share * up + down))
    bottom = share * top - gap
    if bottom < 0 and law.most == 1.0:
        top, bottom = min(1.0, gap / share), 0.0
    world = law.seen.copy()
    world[family] = np.clip(world[family], bottom, top)
    world[family, high], world[family, low] = top, bottom
    return world


def _nearest_pair(seen: Floats, variance: Floats, share: float, gap: float) -> tuple[int, int, int]:
    """Family, higher and lower group of the pair that comes nearest to such a gap, by its standard error."""
    best, found = -np.inf, (0, 0, 0)
    for family, (values, own) in enumerate(zip(seen, variance)):
        with np.errstate(invalid="ignore", divide="ignore"):
            t = (share * values[:, None] - values - gap) / np.sqrt(share**2 * own[:, None] + own)
        np.fill_diagonal(t, np.nan)
        if np.isnan(t).all():  # one group is left of the family: it has no pair
            continue
        high, low = np.unravel_index(int(np.nanargmax(t)), t.shape)
        if t[high, low] > best:
            best, found = float(t[high, low]), (family, int(high), int(low))
    return found
