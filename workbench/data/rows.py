"""Troubles of whole rows: repeated, contradicting, shared by training and holdout, keys that identify nobody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workbench.data import engine
from workbench.data.profile import Profile, row_hash
from workbench.data.table import Column
from workbench.data.trouble import Trouble, code, worst

if TYPE_CHECKING:
    import pandas as pd


def duplicates(profiles: Sequence[Profile], names: Sequence[str]) -> Iterator[Trouble]:
    """By table: rows equal to an earlier row in every given column."""
    for p in profiles:
        columns = [p.table.column(name) for name in names if name in p.facts]
        hashes = row_hash(p.table, columns) if columns else None
        count = p.rows - _one(hashes.aggregate(n=hashes.hash.nunique())) if hashes is not None else 0
        if count:
            fix = "frame = frame.drop_duplicates(" + (f"subset={list(names)!r}" if len(names) < 30 else "") + ")"
            title = f"Rows in {p.name} repeat an earlier row"
            trouble = Trouble("duplicates", p.name, title, count, p.rows, fix, (code(fix),))
            yield _expected(trouble, coincidence(p, p, [c.name for c in columns]) * p.rows / 2 >= 0.1)


def keys(profiles: Sequence[Profile], names: Sequence[str]) -> Iterator[Trouble]:
    """Rows whose key is another row's, or missing."""
    counts = {}
    for p in profiles:
        columns = [p.table.column(name) for name in names if name in p.facts]
        if columns:
            hashes = row_hash(p.table, columns)
            missing = max(p.facts[column.name].missing for column in columns)
            counts[p.name] = (min(p.rows, p.rows - _one(hashes.aggregate(n=hashes.hash.nunique())) + missing), p.rows)
    fix = f"frame[frame.duplicated({list(names)!r}, keep=False)]  # look at them: which row is the right one?"
    trouble = worst("key", ", ".join(names), counts, "Rows in {where} share their key or have none", fix)
    if trouble:
        yield trouble


def conflicts(profiles: Sequence[Profile], features: Sequence[str], target: str) -> Iterator[Trouble]:
    """Rows with the features of another row but the minority label among those rows."""
    counts, chance = {}, 0.0
    for p in profiles:
        columns = [p.table.column(name) for name in features if name in p.facts]
        if columns and target in p.facts:
            counts[p.name] = (_minority(p, columns, p.table.column(target)), p.rows)
            chance = max(chance, coincidence(p, p, [column.name for column in columns]) * p.rows / 2)
    fix = f"frame[frame.duplicated({list(features)[:30]!r}, keep=False)].sort_values({list(features)[:30]!r})"
    title = "Rows in {where} have the features of another row and a different label"
    trouble = worst("conflicting-labels", target, counts, title, fix)
    if trouble:
        yield _expected(trouble, chance >= 0.1)


def _minority(p: Profile, columns: list[Column], target: Column) -> int:
    labels = row_hash(p.table, [target]).rename(label="hash")
    both = row_hash(p.table, columns).join(labels, "row")
    cells = both.group_by(["hash", "label"]).aggregate(n=lambda rows: rows.count())
    groups = cells.group_by("hash").aggregate(rest=lambda rows: rows.n.sum() - rows.n.max())
    return _one(groups.aggregate(n=groups.rest.sum()))


def overlap(holdout: Profile, train: Profile, features: Sequence[str]) -> Trouble | None:
    """Holdout rows whose features are those of a training row. Raises ValueError if they share no column."""
    names = [name for name in features if name in holdout.facts and name in train.facts]
    if not names:
        raise ValueError("the training rows and the holdout have no feature in common")
    own = row_hash(holdout.table, [holdout.table.column(name) for name in names])
    other = row_hash(train.table, [train.table.column(name) for name in names])
    shared = own.semi_join(other, "hash")
    count = _one(shared.aggregate(n=shared.count()))
    if not count:
        return None
    fix = (
        f"features = {names[:30]!r}\n"
        "holdout = holdout[~holdout.set_index(features).index.isin(train.set_index(features).index)]"
    )
    title = "Rows of the holdout are training rows"
    natural = coincidence(holdout, train, names) * train.rows >= 0.01
    return _expected(Trouble("overlap", "", title, count, holdout.rows, fix, (code(fix),)), natural)


def coincidence(first: Profile, second: Profile, names: Sequence[str]) -> float:
    """Odds that a row of one table equals a row of the other in all columns by chance, the columns being independent.

    An underestimate where columns hang together; it tells tables of a few categories, in which equal rows are
    ordinary, from tables in which they are copies.
    """
    odds = 1.0
    for name in names:
        own, other = (_shares(p, name) for p in (first, second))
        odds *= float(own.mul(other, fill_value=0.0).sum())
        if odds < 1e-15:
            break
    return odds


def _shares(p: Profile, name: str) -> pd.Series[Any]:
    column = p.frame[name]
    if column.dtype == object:
        column = column.astype("str")
    return column.value_counts(dropna=False, normalize=True)


def _expected(trouble: Trouble, natural: bool) -> Trouble:
    if not natural:
        return trouble
    return replace(trouble, title=trouble.title + ", as rows of so few different values must", expected=True)


def _one(expr: Any) -> int:
    return int(engine.fetch(expr).to_pylist()[0]["n"] or 0)
