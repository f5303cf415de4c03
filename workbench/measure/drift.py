"""How far one set of rows is from another, column by column: PSI, KS, Wasserstein, chi-squared.

The edges of the bins are set once, on the reference, and both sides are counted into them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from workbench.measure.intervals import Estimate, holm, z_value

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

BINS = 10
CATEGORIES = 50
"""Categories kept apart; rarer ones are one bin."""
MISSING, OTHER, NEW = "(missing)", "(other)", "(new)"


@dataclass(frozen=True)
class Bins:
    """How a column is cut. edges: inner edges of a number's bins, else None; categories: those kept apart."""

    edges: NDArray[np.float64] | None
    categories: tuple[Any, ...] = ()
    known: frozenset[Any] = frozenset()

    @property
    def labels(self) -> tuple[str, ...]:
        if self.edges is None:
            return (*(str(value) for value in self.categories), OTHER, NEW, MISSING)
        inner = [f"{edge:.4g}" for edge in self.edges]
        return (*_ranges(inner), MISSING)

    def counts(self, values: pd.Series[Any]) -> NDArray[np.int64]:
        """Rows per label."""
        import numpy as np

        return np.bincount(self.codes(values), minlength=len(self.labels)).astype(np.int64)

    def codes(self, values: pd.Series[Any]) -> NDArray[np.int64]:
        """Index into labels of every row."""
        import numpy as np
        import pandas as pd

        gone = values.isna().to_numpy()
        if self.edges is not None:
            numbers = pd.to_numeric(values, errors="coerce").to_numpy(np.float64, na_value=np.nan)
            # A number that cannot be read as one is not there.
            gone = gone | np.isnan(numbers)
            codes = np.searchsorted(self.edges, np.where(gone, 0.0, numbers), side="left")
            return np.where(gone, len(self.edges) + 1, codes).astype(np.int64)
        codes, found = pd.factorize(values)
        place, k = {value: i for i, value in enumerate(self.categories)}, len(self.categories)
        known = [place.get(value, k if value in self.known else k + 1) for value in found]
        # The last entry is for -1, the code of a missing value.
        return np.array([*known, k + 2], dtype=np.int64)[codes]


def _ranges(inner: list[str]) -> list[str]:
    if not inner:
        return ["all"]
    middle = [f"{low} – {high}" for low, high in pairwise(inner)]
    return [f"≤ {inner[0]}", *middle, f"> {inner[-1]}"]


def fit_bins(reference: pd.Series[Any], bins: int = BINS, categories: int = CATEGORIES) -> Bins:
    """Quantile bins of a number (its values as they are, if there are no more than `bins`), or its categories."""
    import numpy as np
    import pandas as pd

    values = reference.dropna()
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        numbers = values.to_numpy(np.float64)
        numbers = numbers[np.isfinite(numbers)]
        if not len(numbers):
            return Bins(edges=np.empty(0))
        distinct = np.unique(numbers)
        if len(distinct) <= bins:
            return Bins(edges=distinct[:-1])
        return Bins(edges=np.unique(np.quantile(numbers, np.linspace(0, 1, bins + 1)[1:-1])))
    counts = values.value_counts()
    return Bins(None, tuple(counts.index[:categories]), frozenset(counts.index))


def psi(expected: NDArray[Any], actual: NDArray[Any], level: float = 0.95) -> Estimate:
    """Population stability index, Σ (q - p) ln(q / p), of counts in the same bins (Lewis 1994, An Introduction to
    Credit Scoring; the symmetrised Kullback-Leibler divergence of Jeffreys 1946).

    Half a row is added to every bin, so that an empty one is large but not infinite. Bins empty on both sides are
    left out. The bias of two samples of one population, (bins - 1)(1/n + 1/m) (Yurdakul 2018), is subtracted, and the
    interval is the delta method's. NaN where a side has no rows.
    """
    import numpy as np

    used = (np.asarray(expected) + np.asarray(actual)) > 0
    first, second = np.asarray(expected, float)[used], np.asarray(actual, float)[used]
    n, m = first.sum(), second.sum()
    if not n or not m:
        return Estimate(float("nan"))
    p, q = (first + 0.5) / (n + 0.5 * len(first)), (second + 0.5) / (m + 0.5 * len(second))
    value = float(((q - p) * np.log(q / p)).sum()) - (len(p) - 1) * (1 / n + 1 / m)
    by_p, by_q = np.log(p / q) + 1 - q / p, np.log(q / p) + 1 - p / q
    variance = (_spread(by_p, p) / n) + (_spread(by_q, q) / m)
    half = z_value(level) * float(np.sqrt(variance))
    return Estimate(max(0.0, value), max(0.0, value - half), max(0.0, value + half))


def _spread(gradient: NDArray[np.float64], p: NDArray[np.float64]) -> float:
    """Variance of the gradient under the shares: the multinomial's delta method, times n."""
    mean = float((gradient * p).sum())
    return float((p * (gradient - mean) ** 2).sum())


def chi_squared(expected: NDArray[Any], actual: NDArray[Any]) -> float:
    """p-value of Pearson's chi-squared test that two sets of counts come from one distribution (Pearson 1900).

    Bins in which fewer than 5 rows would be expected are put together first (Cochran 1954). 1.0 where fewer than two
    bins or no rows remain.
    """
    import numpy as np
    from scipy.special import gammaincc

    table = np.stack([np.asarray(expected, float), np.asarray(actual, float)])
    sides, bins, total = table.sum(axis=1), table.sum(axis=0), table.sum()
    if not sides.all():
        return 1.0
    rare = bins * sides.min() / total < 5
    kept = np.hstack([table[:, ~rare], table[:, rare].sum(axis=1, keepdims=True)])
    kept = kept[:, kept.sum(axis=0) > 0]
    wanted = np.outer(sides, kept.sum(axis=0)) / total
    freedom = kept.shape[1] - 1
    return float(gammaincc(freedom / 2, ((kept - wanted) ** 2 / wanted).sum() / 2)) if freedom else 1.0


def ks(reference: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[float, float]:
    """Two-sample Kolmogorov-Smirnov statistic and asymptotic p-value (Smirnov 1939). NaN, 1 where a side is empty."""
    import numpy as np
    from scipy.special import kolmogorov

    first, second = np.sort(_finite(reference)), np.sort(_finite(other))
    if not len(first) or not len(second):
        return float("nan"), 1.0
    points = np.concatenate([first, second])
    gaps = np.searchsorted(first, points, "right") / len(first) - np.searchsorted(second, points, "right") / len(second)
    statistic = float(np.abs(gaps).max())
    n = len(first) * len(second) / (len(first) + len(second))
    return statistic, float(kolmogorov(np.sqrt(n) * statistic))


def wasserstein(reference: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """First Wasserstein (earth mover's) distance, in the column's unit: the area between the two distribution
    functions (Vallender 1974). NaN where a side is empty.
    """
    import numpy as np

    first, second = np.sort(_finite(reference)), np.sort(_finite(other))
    if not len(first) or not len(second):
        return float("nan")
    points = np.sort(np.concatenate([first, second]))
    gaps = np.searchsorted(first, points[:-1], "right") / len(first)
    gaps = gaps - np.searchsorted(second, points[:-1], "right") / len(second)
    return float((np.abs(gaps) * np.diff(points)).sum())


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    import numpy as np

    numbers = np.asarray(values, dtype=np.float64)
    return numbers[np.isfinite(numbers)]


@dataclass(frozen=True)
class Shift:
    """One column on both sides. expected, actual: rows by label. p: chi-squared, after Holm over all columns.

    ks, wasserstein: of numbers, else NaN. new: share of the other side's rows whose category the reference lacks.
    vanished: categories of the reference the other side lacks. missing: share of missing values on both sides.
    """

    column: str
    labels: tuple[str, ...]
    expected: NDArray[np.int64]
    actual: NDArray[np.int64]
    psi: Estimate
    p: float
    ks: float
    wasserstein: float
    new: float
    vanished: int
    missing: tuple[float, float]


def shifts(reference: pd.DataFrame, other: pd.DataFrame, columns: Sequence[str]) -> list[Shift]:
    """How every column moved from the reference rows to the others; p-values are Holm's over these columns."""
    bins = {name: fit_bins(reference[name]) for name in columns}
    counts = {name: (bins[name].counts(reference[name]), bins[name].counts(other[name])) for name in columns}
    adjusted = holm([chi_squared(*counts[name]) for name in columns])
    return [
        _shift(name, bins[name], *counts[name], p, reference[name], other[name]) for name, p in zip(columns, adjusted)
    ]


def _shift(
    name: str,
    bins: Bins,
    expected: NDArray[np.int64],
    actual: NDArray[np.int64],
    p: float,
    before: pd.Series[Any],
    after: pd.Series[Any],
) -> Shift:
    nan = float("nan")
    numeric = bins.edges is not None
    numbers = [_numbers(side) for side in (before, after)] if numeric else []
    gone = (expected[-1] / max(expected.sum(), 1), actual[-1] / max(actual.sum(), 1))
    k = len(bins.categories)
    return Shift(
        column=name,
        labels=bins.labels,
        expected=expected,
        actual=actual,
        psi=psi(expected, actual),
        p=p,
        ks=ks(*numbers)[0] if numeric else nan,
        wasserstein=wasserstein(*numbers) if numeric else nan,
        new=0.0 if numeric else float(actual[k + 1] / max(actual.sum(), 1)),
        vanished=0 if numeric else int(((expected[:k] > 0) & (actual[:k] == 0)).sum()),
        missing=(float(gone[0]), float(gone[1])),
    )


def _numbers(values: pd.Series[Any]) -> NDArray[np.float64]:
    import numpy as np
    import pandas as pd

    return pd.to_numeric(values, errors="coerce").to_numpy(np.float64, na_value=np.nan)
