"""What each pattern of passed tests gives to each player of one leaf.

A leaf pays its value to a coalition S of players iff all tests above it hold when the players in S take the row's
values and the others the background's. Over the leaf's k players, let X be those whose tests the row passes and G(A)
the share of the background that fails exactly at A. Only A within X can count (a test that both fail is lost), and

    i in X:      sum over A within X with i in A of G(A) (|A|-1)! c! / (|A|+c)!
    i not in X: -sum over A within X             of G(A) |A|! (c-1)! / (|A|+c)!        c = k - |X|

the Shapley value (Shapley 1953) of the game of one row and one background row (Lundberg et al. 2020,
doi:10.1038/s42256-019-0138-9), summed over the background. Both weights are integrals over [0, 1] of t^a (1-t)^b.
So with Gauss-Legendre points t the sums over A are sums of G(A) t^|A| over all subsets of X, which one pass per player
gives for all X at once. The Shapley interaction index (Grabisch and Roubens 1999) has the same form:

    i, j in X:           sum over A within X with i, j in A of G(A) (|A|-2)! c! / (|A|+c-1)!
    i in X, j not in X: -sum over A within X with i in A    of G(A) (|A|-1)! (c-1)! / (|A|+c-1)!
    i, j not in X:       sum over A within X                of G(A) |A|! (c-2)! / (|A|+c-1)!

Path-dependent values are those for a background in which each player fails independently, by the cover of the nodes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


def quadrature(players: int) -> Any:
    """Points and weights [2, p] on [0, 1], exact for polynomials of degree `players` - 1."""
    points, weights = np.polynomial.legendre.leggauss(max(1, (players + 1) // 2))
    return np.stack([(points + 1) / 2, weights / 2])


@njit(cache=True)
def ones(bits: int) -> int:  # pragma: no cover - compiled
    """Number of bits set."""
    count = 0
    while bits:
        bits &= bits - 1
        count += 1
    return count


@njit(cache=True)
def powers(base: float, k: int) -> Any:  # pragma: no cover - compiled
    """[k + 1]: base^0 … base^k."""
    found = np.ones(k + 1)
    for i in range(k):
        found[i + 1] = found[i] * base
    return found


@njit(cache=True)
def subset_sums(failing: Any, k: int, t: float, sizes: Any, sums: Any) -> None:  # pragma: no cover - compiled
    """sums [2^k]: for each X the sum over A within X of G(A) t^|A|; sizes: |A|."""
    power = powers(t, k)
    for A in range(1 << k):
        sums[A] = failing[A] * power[sizes[A]]
    for i in range(k):
        half = 1 << i
        for start in range(half, 1 << k, 2 * half):
            for X in range(start, start + half):
                sums[X] += sums[X - half]


@njit(cache=True)
def shares_of_leaf(
    failing: Any, k: int, rule: Any, start: int, stop: int, pairs: bool, out: Any
) -> None:  # pragma: no cover - compiled
    """Add to out [k, 2^k] the value of each player of a leaf worth 1, for each X; rule: points start … stop for k.

    pairs: to out [k (k-1) / 2, 2^k] the interaction of each pair i < j instead, in that order.
    """
    sums, sizes = np.empty(1 << k), np.empty(1 << k, np.int64)
    for X in range(1 << k):
        sizes[X] = ones(X)
    for q in range(start, stop):
        t, weight = rule[0, q], rule[1, q]
        subset_sums(failing, k, t, sizes, sums)
        left = powers(1.0 - t, k)
        if pairs:
            _interactions(k, t, left, weight, sums, sizes, out)
        else:
            _values(k, t, left, weight, sums, sizes, out)


@njit(cache=True)
def _values(
    k: int, t: float, left: Any, weight: float, sums: Any, sizes: Any, out: Any
) -> None:  # pragma: no cover - compiled
    """left: powers of 1 - t."""
    gain, lose = np.empty(1 << k), np.zeros(1 << k)
    for X in range(1 << k):
        c = k - sizes[X]
        gain[X] = weight * left[c] / t
        lose[X] = weight * left[c - 1] * sums[X] if c else 0.0
    for i in range(k):
        half, column = 1 << i, out[i]
        for start in range(0, 1 << k, 2 * half):
            for X in range(start, start + half):
                column[X] -= lose[X]
            for X in range(start + half, start + 2 * half):
                column[X] += gain[X] * (sums[X] - sums[X - half])


@njit(cache=True)
def _interactions(
    k: int, t: float, left: Any, weight: float, sums: Any, sizes: Any, out: Any
) -> None:  # pragma: no cover - compiled
    for X in range(1 << k):
        c, pair = k - sizes[X], 0
        for i in range(k):
            for j in range(i + 1, k):
                one, two = 1 << i, 1 << j
                both = (X >> i & 1) + (X >> j & 1)
                if both == 2:
                    alive = sums[X] - sums[X ^ one] - sums[X ^ two] + sums[X ^ one ^ two]
                    out[pair, X] += weight * left[c] / t**2 * alive
                elif both == 1:
                    own = one if X & one else two
                    out[pair, X] -= weight * left[c - 1] / t * (sums[X] - sums[X ^ own])
                else:
                    out[pair, X] += weight * left[c - 2] * sums[X]
                pair += 1
