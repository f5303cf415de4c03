"""Troubles a single column may have: gaps, no variation, mixed types, infinities, outliers, digits float32 drops."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.data.profile import Facts, Profile, tally
from workbench.data.trouble import Trouble, worst
from workbench.evidence import Table

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

Profiles = Sequence[Profile]

FENCE = 4.0
"""Distances from the median to the 5 % and 95 % points that reach to the fence: 6.6 standard deviations of a normal
distribution. A skewed column gets the wider of the fences on its own scale and on the logarithmic one, so that a heavy
tail alone is no outlier."""
FEW = 20
"""A number with no more distinct values is a category; it has no outliers."""


def missing(profiles: Profiles, names: Iterable[str]) -> Iterator[Trouble]:
    for name, facts in _facts(profiles, names):
        fix = f"frame[{name + ' is missing'!r}] = frame[{name!r}].isna()  # keep the fact, then impute as in training"
        counts = {p: (f.missing, f.rows) for p, f in facts.items()}
        yield from _some(worst("missing", name, counts, "Values are missing in {where}", fix))


def constant(profiles: Profiles, names: Iterable[str]) -> Iterator[Trouble]:
    """Columns in which one value has all rows, or nearly all (exact for text, from the sample for numbers)."""
    for name, facts in _facts(profiles, names):
        counts = {p.name: _commonest(p, name) for p in profiles if p.name in facts and facts[p.name].present}
        fix = f"frame = frame.drop(columns=[{name!r}])"
        yield from _some(worst("constant", name, counts, "One value has nearly all rows in {where}", fix))


def _commonest(p: Profile, name: str) -> tuple[int, int]:
    facts = p.facts[name]
    if facts.values:
        return facts.values[0][1], facts.rows
    counts = p.frame[name].value_counts(dropna=True)
    return (int(counts.iloc[0]) if len(counts) else 0), len(p.frame)


def infinite(profiles: Profiles, names: Iterable[str]) -> Iterator[Trouble]:
    for name, facts in _facts(profiles, names):
        fix = f"frame[{name!r}] = frame[{name!r}].replace([float('inf'), float('-inf')], float('nan'))"
        counts = {p: (f.infinite, f.rows) for p, f in facts.items()}
        yield from _some(worst("infinite", name, counts, "Values are infinite in {where}", fix))


def mixed(profiles: Profiles, names: Iterable[str], disguised: Mapping[tuple[str, str], int]) -> Iterator[Trouble]:
    """Text columns whose values are mostly numbers or dates, and those that write dates in several ways.

    disguised: by table and column the values that stand for nothing; they are another finding.
    """
    for name, facts in _facts(profiles, names):
        counts: dict[str, tuple[int, int]] = {}
        rows: list[tuple[str, str, int]] = []
        for p, f in facts.items():
            forms = {form: n for form, n in (f.forms or {}).items() if n}
            plain = f.present - sum(forms.values()) - disguised.get((p, name), 0)
            counts[p] = (_odd(forms, max(plain, 0)), f.present)
            rows += [(p, form, n) for form, n in [*forms.items(), ("text", max(plain, 0))] if n]
        table = Table(title="How the values are written", columns=("data", "form", "rows"), rows=tuple(rows))
        fix = f"frame[{name!r}] = pandas.to_numeric(frame[{name!r}], errors='coerce')  # after correcting the others"
        title = "Values in {where} are written unlike the rest"
        yield from _some(worst("mixed-types", name, counts, title, fix, [table]))


def _odd(forms: Mapping[str, int], plain: int) -> int:
    """Values not written in the main form, where the column is mostly numbers or dates; 0 for ordinary text."""
    if not forms or sum(forms.values()) < plain:
        return 0
    return plain + sum(forms.values()) - max(forms.values())


def outliers(profiles: Profiles, names: Iterable[str]) -> Iterator[Trouble]:
    """Values beyond fences set on the sample, counted over all rows."""
    wanted = set(names)
    found: dict[str, dict[str, tuple[int, int]]] = {}
    said: dict[str, list[tuple[str, float, float]]] = {}
    for p in profiles:
        numeric = [f for f in p.of("integer", "number") if f.name in wanted and f.distinct > FEW]
        fences = {f.name: fence for f in numeric if (fence := fences_of(p.frame[f.name])) is not None}
        counts = tally(p.table, {name: _beyond(p.facts[name], fence) for name, fence in fences.items()})
        for name, count in counts.items():
            found.setdefault(name, {})[p.name] = (count, p.rows)
            said.setdefault(name, []).append((p.name, *fences[name]))
    for name, counts_by in found.items():
        columns = ("data", "lowest ordinary value", "highest ordinary value")
        table = Table(title="Fences", columns=columns, rows=tuple(said[name]))
        low, high = said[name][0][1:]
        fix = f"frame[{name!r}] = frame[{name!r}].clip({low:.6g}, {high:.6g})  # or correct them at the source"
        title = "Values lie far outside the rest in {where}"
        yield from _some(worst("outliers", name, counts_by, title, fix, [table]))


def _beyond(facts: Facts, fence: tuple[float, float]) -> Any:
    low, high = fence

    def ask(expr: Any) -> Any:
        values = expr[facts.column.id].cast("float64")
        finite = ~(values.isinf() | values.isnan())
        return (finite & ((values < low) | (values > high))).sum()

    return ask


def fences_of(values: pd.Series[Any], k: float = FENCE) -> tuple[float, float] | None:
    """Fences below and above the median, each side with its own spread (in the spirit of Hubert and Vandervieren 2008,
    Comput. Stat. Data Anal. 52:5186: a skewed column is not full of outliers). None for fewer than 30 values, or
    where nine tenths of them are one.
    """
    import numpy as np

    x = np.asarray(values.dropna(), dtype=np.float64)
    x = x[np.isfinite(x)]
    if len(x) < 30:
        return None
    points = np.quantile(x, [0.05, 0.5, 0.95])
    if points[0] == points[2]:
        return None
    low, high = -_fence(-points[::-1], k), _fence(points, k)
    if points[0] > 0:
        high = max(high, _exp(_fence(np.log(points), k)))
    if points[2] < 0:
        low = min(low, -_exp(_fence(np.log(-points[::-1]), k)))
    return low, high


def _fence(points: NDArray[np.float64], k: float) -> float:
    below, middle, above = points
    return float(middle + k * max(above - middle, (above - below) / 2))


def _exp(power: float) -> float:
    """Finite: an infinite fence is written to no report."""
    import math

    return math.exp(min(power, 700.0))


def float32(profiles: Profiles, names: Iterable[str]) -> Iterator[Trouble]:
    """Values a platform loses by storing them in float32 (24 bits, 3.4e38): whole numbers that change, other numbers
    that become equal to a neighbour or infinite. Of the distinct values in the sample.
    """
    for name, facts in _facts(profiles, names):
        numeric = [p for p in profiles if name in p.facts and facts[p.name].column.type in ("integer", "number")]
        counts = {p.name: _narrowed(p.frame[name]) for p in numeric}
        fix = f"frame[{name!r}] = frame[{name!r}] - frame[{name!r}].median()  # or keep this column in float64"
        yield from _some(worst("float32", name, counts, "Values in {where} are not the same in float32", fix))


def _narrowed(column: pd.Series[Any]) -> tuple[int, int]:
    import numpy as np

    values = np.unique(column.dropna().to_numpy(np.float64))
    values = values[np.isfinite(values)]
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    whole = bool((values == np.floor(values)).all())
    lost = int((narrow != values).sum()) if whole else len(values) - len(np.unique(narrow[np.isfinite(narrow)]))
    # A few neighbours in thousands meet by chance; that is rounding, not loss.
    return (lost if lost > len(values) / 100 else 0), max(len(values), 1)


def identifiers(profiles: Profiles, names: Iterable[str], most: int = 1000) -> Iterator[Trouble]:
    """Text columns with more distinct values than a model can learn from."""
    for name, facts in _facts(profiles, names):
        counts = {
            p: (f.distinct, max(f.present, 1))
            for p, f in facts.items()
            if f.column.type == "text" and f.distinct > most
        }
        title = "More distinct values in {where} than a model can learn from"
        fix = f"frame = frame.drop(columns=[{name!r}])  # or group the values, e.g. by their first part"
        yield from _some(worst("cardinality", name, counts, title, fix))


def _facts(profiles: Profiles, names: Iterable[str]) -> Iterator[tuple[str, dict[str, Facts]]]:
    for name in names:
        if facts := {p.name: p.facts[name] for p in profiles if name in p.facts}:
            yield name, facts


def _some(trouble: Trouble | None) -> Iterator[Trouble]:
    if trouble is not None:
        yield trouble
