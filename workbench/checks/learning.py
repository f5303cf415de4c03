"""What a learner would make of these rows: balance, leakage, proxies, groups, drift and label noise, column by column.

Numbers come from `separation`, `drift`, `noise` and `intervals`; here they become troubles of the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.data.names import listed
from workbench.data.profile import Profile
from workbench.data.trouble import MIN_CELL, RARE, Trouble, code
from workbench.evidence import Chart, Measure, Series, Table
from workbench.measure import drift, noise, separation
from workbench.measure.drift import Shift
from workbench.measure.fairness_groups import merge_rare, split
from workbench.measure.intervals import Estimate, wilson
from workbench.measure.separation import Separation

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

LEVEL = 0.95
LEAST = 30
"""Rows a statement about a distribution needs at least."""
SURE = 0.97
"""A column that separates less may be a very good feature; one that separates more is the label in other words."""
WIDE = 1_000
"""A text column with more distinct values is an identifier or free text: it has no distribution to compare."""


@dataclass(frozen=True)
class Labels:
    """The truth of a profile's sample. codes: int64 [n], -1 where unknown, None for a regression; binary 1 = positive.

    values: float64 [n] of a regression. names: of the classes.
    """

    codes: NDArray[np.int64] | None
    values: NDArray[np.float64] | None = None
    names: tuple[str, ...] = ()


def columns_of(p: Profile, left_out: frozenset[str]) -> list[str]:
    """Columns that have a distribution: no identifiers, free text or nested values."""
    return [
        name
        for name, facts in p.facts.items()
        if name not in left_out and facts.column.type != "other" and facts.present
        if facts.column.type != "text" or facts.distinct <= WIDE
    ]


def _frame(p: Profile) -> pd.DataFrame:
    """The sample with dates as days, so that they are binned and ranked as numbers."""
    import pandas as pd

    dates = [facts.name for facts in p.of("date", "datetime")]
    origin = pd.Timestamp("1970-01-01")
    return p.frame.assign(**{name: (p.frame[name] - origin) / pd.Timedelta(days=1) for name in dates})


def _many(p: Profile, name: str) -> bool:
    """More distinct texts than groups: each would be a person or two."""
    return p.facts[name].column.type == "text" and p.facts[name].distinct > WIDE


def balance(p: Profile, labels: Labels) -> Iterator[Trouble]:
    """Share of the rarest class."""
    import numpy as np

    if labels.codes is None:
        return
    counts = np.bincount(labels.codes[labels.codes >= 0], minlength=len(labels.names))
    n, least = int(counts.sum()), int(counts.min())
    rows = tuple((name if k >= MIN_CELL else RARE, int(k), k / n) for name, k in zip(labels.names, counts))
    table = Table(title="Labels", columns=("label", "rows", "share"), rows=rows[:50])
    measure = _share(least, n)
    yield Trouble("label-balance", p.name, f"Share of the rarest class in {p.name}", details=(table,), measure=measure)


def _share(k: int, n: int) -> Measure:
    low, high = wilson(k, n, LEVEL)
    return Measure(value=k / n, low=low, high=high, level=LEVEL, n=n, unit="share", method="Wilson")


def _measure(estimate: Estimate, n: int, method: str, unit: str = "") -> Measure:
    return Measure(
        value=estimate.value, low=estimate.low, high=estimate.high, level=LEVEL, n=n, unit=unit, method=method
    )


def leakage(p: Profile, labels: Labels, columns: Sequence[str], read: frozenset[str]) -> list[Trouble]:
    """Columns that alone tell the label, surest first. read: what the model reads ((), if that is not known)."""
    if labels.codes is not None:
        found = separation.single_feature_auc(_frame(p), labels.codes, columns)
        what, method = "AUC", "cross-fitted AUC of one column, DeLong"
    else:
        assert labels.values is not None
        found = separation.correlation(_frame(p), labels.values, columns)
        what, method = "share of rank variance explained", "cross-fitted R² of ranks"
    ranked = _ranked(found)
    chart = _ranking(f"{what} of each column alone, in {p.name}", what, ranked)
    return [
        Trouble(
            "leakage",
            each.column,
            _leak_title(each.column, p.name, read),
            fix=f"frame = frame.drop(columns=[{each.column!r}])  # unless it is known before the decision",
            details=(chart,),
            measure=_measure(each.estimate, each.n, method),
            advice=each.estimate.low < SURE or (bool(read) and each.column not in read),
        )
        for each in ranked
    ]


def _leak_title(name: str, where: str, read: frozenset[str]) -> str:
    unread = "; the legacy model does not read it, a new one might" if read and name not in read else ""
    return f"One column alone tells the label in {where}{unread}"


def _ranked(found: Sequence[Separation]) -> list[Separation]:
    return sorted(
        (each for each in found if each.estimate.value == each.estimate.value), key=lambda s: -s.estimate.value
    )


def _ranking(title: str, axis: str, ranked: Sequence[Separation], most: int = 12) -> Chart:
    top = ranked[:most]
    series = Series(
        name=axis,
        x=tuple(each.column for each in top),
        y=tuple(each.estimate.value for each in top),
        low=tuple(each.estimate.low for each in top),
        high=tuple(each.estimate.high for each in top),
        role="legacy",
    )
    return Chart(kind="interval", title=title, x="column", y=axis, series=(series,))


def proxies(p: Profile, protected: Sequence[str], columns: Sequence[str]) -> list[Trouble]:
    """Columns that tell a protected attribute, by the attribute they tell best."""
    frame, best, charts = _frame(p), dict[str, tuple[str, Separation]](), dict[str, Chart]()
    for attribute in (name for name in protected if name in p.facts and not _many(p, name)):
        codes = merge_rare(split(p.frame[attribute])).codes
        ranked = _ranked(separation.proxies(frame, codes, [name for name in columns if name not in protected]))
        charts[attribute] = _ranking(f"How well each column tells {attribute}, in {p.name}", "Cramér's V", ranked)
        for each in ranked:
            if each.column not in best or each.estimate.value > best[each.column][1].estimate.value:
                best[each.column] = attribute, each
    method = "Cramér's V, bias-corrected (Bergsma 2013), multinomial draws"
    return [
        Trouble(
            "proxy",
            name,
            f"It tells {attribute}, which is protected",
            details=(charts[attribute],),
            measure=_measure(each.estimate, each.n, method),
        )
        for name, (attribute, each) in best.items()
    ]


def groups(p: Profile, protected: Sequence[str], labels: Labels) -> Iterator[Trouble]:
    """By protected attribute: how many rows and which label rate each group has; the smallest speaks."""
    import numpy as np

    positive = labels.codes == 1 if labels.codes is not None and len(labels.names) == 2 else None
    for attribute in (name for name in protected if name in p.facts):
        if _many(p, attribute):
            facts = p.facts[attribute]
            each = Measure(value=facts.present / facts.distinct, n=facts.rows, unit="rows")
            yield Trouble("groups", attribute, f"{facts.distinct:,} distinct values are no groups", measure=each)
            continue
        found = merge_rare(split(p.frame[attribute]), MIN_CELL)
        n = np.bincount(found.codes, minlength=len(found.labels))
        known = labels.codes >= 0 if labels.codes is not None else np.ones(len(p.frame), bool)
        hits = None if positive is None else np.bincount(found.codes[positive & known], minlength=len(n))
        yield _group_trouble(p, attribute, found.labels, n, hits, np.bincount(found.codes[known], minlength=len(n)))


def _group_trouble(
    p: Profile, name: str, labels: tuple[str, ...], n: NDArray[Any], hits: NDArray[Any] | None, known: NDArray[Any]
) -> Trouble:
    small = [label for label, count in zip(labels, n) if count < LEAST]
    title = f"Rows of the smallest group in {p.name}" + (f"; too small to judge: {listed(small)}" if small else "")
    rates = [wilson(int(h), int(k)) if k else None for h, k in zip(hits, known)] if hits is not None else []
    rows = []
    for i, label in enumerate(labels):
        rate = (float(hits[i] / known[i]), *rates[i]) if hits is not None and rates[i] else (None, None, None)  # type: ignore[misc]
        rows.append((label, int(n[i]) if n[i] >= MIN_CELL else None, float(n[i] / n.sum()), *rate))
    columns = ("group", "rows", "share", "label rate", "low", "high")
    details: list[Table | Chart] = [Table(title="Groups", columns=columns, rows=tuple(rows))]
    if hits is not None:
        details.append(_group_chart(name, rows))
    measure = Measure(value=float(n.min()), n=int(n.sum()), unit="rows")
    return Trouble("groups", name, title, details=tuple(details), measure=measure)


def _group_chart(name: str, rows: Sequence[tuple[Any, ...]]) -> Chart:
    shown = [row for row in rows if row[1] is not None and row[3] is not None]
    x, y, low, high = (tuple(row[i] for row in shown) for i in (0, 3, 4, 5))
    series = Series(name="label rate", x=x, y=y, low=low, high=high, role="legacy")
    return Chart(kind="interval", title=f"Label rate by {name}", x=name, y="share of positives", series=(series,))


def moved(check: str, before: Profile, after: Profile, columns: Sequence[str]) -> list[Trouble]:
    """How far each column moved from one table to the other; insignificant after Holm is in order."""
    names = [name for name in columns if name in after.facts and after.facts[name].present]
    first, second = _frame(before), _frame(after)
    return [
        Trouble(
            check,
            shift.column,
            f"Moved between {before.name} and {after.name}",
            fix=_drift_fix(shift),
            details=(_drift_table(shift, before.name, after.name), _drift_chart(shift, before.name, after.name)),
            measure=_measure(shift.psi, len(first) + len(second), "PSI, delta method"),
            moved=True,
            fine=shift.p >= 0.01,
        )
        for shift in drift.shifts(first, second, names)
    ]


def _drift_fix(shift: Shift) -> str:
    if shift.new:
        return f"Find where the new categories of {shift.column!r} come from, and teach them to the model or map them."
    return f"Find what changed in {shift.column!r} (source, unit, population), and judge both models on recent rows."


def _drift_table(shift: Shift, before: str, after: str) -> Table:
    rows: list[tuple[str, float | None, float | None]] = [
        ("missing", *shift.missing),
        ("rows of a category not seen before", 0.0, shift.new),
        ("categories that vanished", None, float(shift.vanished)),
    ]
    if shift.ks == shift.ks:
        rows = [rows[0], ("Kolmogorov-Smirnov", None, shift.ks), ("Wasserstein distance", None, shift.wasserstein)]
    rows.append(("p-value (chi-squared, Holm)", None, shift.p))
    return Table(title="What moved", columns=("", before, after), rows=tuple(rows))


def _drift_chart(shift: Shift, before: str, after: str) -> Chart:
    labels, expected, actual = _shown_bins(shift)
    first, second = (tuple(n / max(sum(counts), 1) for n in counts) for counts in (expected, actual))
    series = (
        Series(name=before, x=labels, y=first, role="legacy"),
        Series(name=after, x=labels, y=second, role="change"),
    )
    return Chart(
        kind="bar", title=f"{shift.column}: {before} and {after}", x=shift.column, y="share of rows", series=series
    )


def _shown_bins(shift: Shift, most: int = 15) -> tuple[tuple[str, ...], list[int], list[int]]:
    """Bins with rows; those too rare to be named, and categories beyond the first, are one bar."""
    shown: list[tuple[str, int, int]] = []
    rest = [0, 0]
    for label, e, a in zip(shift.labels, shift.expected.tolist(), shift.actual.tolist()):
        if e + a >= MIN_CELL and len(shown) < most:
            shown.append((label, e, a))
        else:
            rest = [rest[0] + e, rest[1] + a]
    if sum(rest):
        shown.append(("(all others)", rest[0], rest[1]))
    return tuple(label for label, _, _ in shown), [e for _, e, _ in shown], [a for _, _, a in shown]


def noisy(p: Profile, labels: Labels, columns: Sequence[str], target: str) -> Iterator[Trouble]:
    """Share of labels that contradict what out-of-fold predictions are surest of."""
    assert labels.codes is not None
    found = noise.label_noise(_frame(p), labels.codes, columns)
    method = "errors among the surest 5 % of out-of-fold predictions, Wilson"
    rows = tuple((labels.names[c], n, wrong if wrong >= MIN_CELL else None, flat) for c, n, wrong, flat in found.ends)
    names = ("class", "rows the learner is surest of", "of these labelled otherwise", "as many however sure")
    details = (Table(title="Where the learner is surest", columns=names, rows=rows),) if rows else ()
    yield Trouble(
        "label-noise",
        target,
        f"Labels in {p.name} that contradict what the features say most surely",
        fix=_NOISE_FIX.format(target=target),
        details=(*details, code(_NOISE_FIX.format(target=target))),
        measure=_measure(found.estimate, found.n, method, "share"),
        reason=found.reason,
    )


_NOISE_FIX = """from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import cross_val_predict
scores = cross_val_predict(HistGradientBoostingClassifier(), features, frame[{target!r}], method="predict_proba")
own = scores[range(len(frame)), frame[{target!r}].astype("category").cat.codes]
frame.assign(own=own).nsmallest(200, "own")  # read these rows: is the label right?"""
