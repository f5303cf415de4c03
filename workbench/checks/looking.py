"""Every check of the data room on one migration's tables: what is looked at, by which check, and why it cannot be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from workbench.checks import learning, schema
from workbench.checks.learning import LEAST, Labels
from workbench.data import disguised, personal, quality, rows, variants
from workbench.data.names import listed, shown
from workbench.data.profile import Profile
from workbench.data.trouble import Trouble
from workbench.evidence import Measure
from workbench.migration import Roles, Task
from workbench.models import Input, normal

Found = Iterable[Trouble] | str | None
"""Troubles, or why nobody could look, in a sentence; None where the question does not arise."""

NO_TRAIN = "no training rows given: name them under data.train in migration.yaml"
NO_PRODUCTION = "no production rows given: name them under data.production in migration.yaml"


@dataclass
class Look:
    """What the checks look at: profiles by name ("holdout" is always there), what columns are for, what is read."""

    given: dict[str, Profile]
    task: Task
    roles: Roles
    inputs: tuple[Input, ...] = ()

    @property
    def profiles(self) -> list[Profile]:
        return list(self.given.values())

    @property
    def holdout(self) -> Profile:
        return self.given["holdout"]

    @property
    def learnt(self) -> Profile:
        """The rows a model learns from, or else the rows it is judged on."""
        return self.given.get("train", self.holdout)

    @property
    def labelled(self) -> list[Profile]:
        return [p for p in self.profiles if self.task.target in p.facts]

    @cached_property
    def columns(self) -> list[str]:
        """Every column somebody looks at, in order."""
        names = dict.fromkeys(name for p in self.profiles for name in p.facts)
        return [name for name in names if name not in self.roles.ignore]

    @property
    def plain(self) -> list[str]:
        """Columns but the target, which has checks of its own."""
        return [name for name in self.columns if name != self.task.target]

    @cached_property
    def personal(self) -> list[Trouble]:
        asked = [name for name in self.columns if name not in (*self.roles.key, self.task.target)]
        read = {each.name for each in self.inputs}
        return list(personal.personal(self.profiles, asked, read, self.roles.personal))

    @cached_property
    def hidden(self) -> frozenset[str]:
        return frozenset({*self.roles.personal, *(trouble.subject for trouble in self.personal)})

    @cached_property
    def disguised(self) -> tuple[list[Trouble], dict[tuple[str, str], int]]:
        return disguised.disguised(self.profiles, self.columns)

    @cached_property
    def special(self) -> frozenset[str]:
        roles = self.roles
        named = (self.task.target, roles.time, roles.weight, *roles.key, *roles.ignore)
        return frozenset(name for name in named if name)

    @cached_property
    def features(self) -> list[str]:
        """What decides: the model's inputs, or else every column without another role."""
        read = [each.name for each in self.inputs if each.name in self.holdout.facts and each.name not in self.special]
        return read or [name for name in self.columns if name not in self.special]

    @cached_property
    def shaped(self) -> list[str]:
        return learning.columns_of(self.learnt, self.special | self.hidden)

    @cached_property
    def labels(self) -> Labels | str:
        return labels_of(self.learnt, self.task)


def labels_of(p: Profile, task: Task) -> Labels | str:
    """Codes of the sample's labels, or a sentence why there are none to learn from."""
    if task.target not in p.facts:
        return f"the {p.name} has no column {shown(task.target)}, the target; it has {listed(list(p.facts), 8)}"
    column = p.frame[task.target]
    if task.kind == "regression":
        column = pd.to_numeric(column, errors="coerce")
    known = int(column.notna().sum())
    if known < LEAST:
        return f"{known} of {len(column):,} rows of the {p.name} have a usable label; at least {LEAST} are needed"
    return Labels(None, column.to_numpy("float64")) if task.kind == "regression" else _classes(p, column, task)


def _classes(p: Profile, column: pd.Series, task: Task) -> Labels | str:
    names = column.map(normal, na_action="ignore").astype(object)
    classes = sorted(names.dropna().unique())
    positive = normal(task.positive)
    if task.kind == "binary" and positive not in classes:
        return f"no row of the {p.name} has the label {positive!r}, the positive class; it has {listed(classes)}"
    if len(classes) < 2:
        return f"every row of the {p.name} has the label {classes[0]!r}: nothing can be learnt or judged from it"
    if task.kind == "binary":
        others = [name for name in classes if name != positive]
        classes = [others[0] if len(others) == 1 else f"not {positive}", positive]
        codes = (names == positive).astype("int64").where(names.notna(), -1)
    else:
        codes = names.map({name: i for i, name in enumerate(classes)}).fillna(-1)
    return Labels(codes.to_numpy().astype(np.int64), None, tuple(classes))


def _schema(look: Look) -> Iterator[Trouble]:
    for p in look.profiles:
        if look.inputs and (trouble := schema.lacking(p, look.inputs)):
            yield trouble
    roles = look.roles
    named = [("target", look.task.target), ("time", roles.time), ("weight", roles.weight)]
    named += [(role, name) for role in ("protected", "key", "personal") for name in getattr(roles, role)]
    yield from schema.undeclared(look.holdout, [(role, name) for role, name in named if name])


def _volume(look: Look) -> Iterator[Trouble]:
    for p in look.profiles:
        yield Trouble("volume", p.name, f"Rows of the {p.name}", measure=Measure(value=p.rows, n=p.rows, unit="rows"))


def _target(look: Look) -> Iterator[Trouble]:
    """Rows without a label, by table; a table of which nothing can be learnt is wholly without."""
    for p in [look.holdout, *(p for p in look.labelled if p.name == "train")]:
        labels = labels_of(p, look.task)
        if isinstance(labels, str):
            yield Trouble("target", p.name, labels[0].upper() + labels[1:], p.rows, p.rows)
        else:
            yield Trouble(
                "target", p.name, f"Rows of the {p.name} without a label", _unlabelled(p, labels), len(p.frame)
            )


def _unlabelled(p: Profile, labels: Labels) -> int:
    values = labels.codes if labels.codes is not None else labels.values
    assert values is not None
    return int((values < 0).sum() if labels.codes is not None else (values != values).sum())


def _outliers(look: Look) -> Found:
    kept = look.roles.key if look.task.kind == "regression" else (*look.roles.key, look.task.target)
    sentinels = {name for (_, name), count in look.disguised[1].items() if count}
    return quality.outliers(look.profiles, [name for name in look.columns if name not in sentinels.union(kept)])


def _conflicts(look: Look) -> Found:
    if look.task.kind == "regression":
        return None  # equal features may have different values
    return rows.conflicts([p for p in look.labelled if p.name != "production"], look.features, look.task.target)


def _noise(look: Look) -> Found:
    if isinstance(look.labels, str):
        return look.labels
    if look.labels.codes is None:
        return None
    read = [name for name in look.shaped if name in look.features] or look.shaped
    return learning.noisy(look.learnt, look.labels, read, look.task.target)


def _leakage(look: Look) -> Found:
    if isinstance(look.labels, str):
        return look.labels
    return learning.leakage(look.learnt, look.labels, look.shaped, frozenset(each.name for each in look.inputs))


def _overlap(look: Look) -> Found:
    if "train" not in look.given:
        return f"{NO_TRAIN}. Whether the models have seen holdout rows cannot be said"
    if not set(look.features) & set(look.given["train"].facts):
        return "the training rows and the holdout have no feature in common"
    return [trouble] if (trouble := rows.overlap(look.holdout, look.given["train"], look.features)) else []


def _moved(check: str, before: Profile, after: Profile, look: Look, target: bool) -> Found:
    if min(len(before.frame), len(after.frame)) < LEAST:
        return f"too few rows to compare ({before.rows:,} and {after.rows:,}); at least {LEAST} are needed"
    names = learning.columns_of(before, look.special | look.hidden)
    dates = {facts.name for facts in before.of("date", "datetime")}
    chosen = [name for name in names if name not in dates] + ([look.task.target] if target else [])
    return learning.moved(check, before, after, [name for name in chosen if name in before.facts])


def _split(look: Look) -> Found:
    if "train" not in look.given:
        return NO_TRAIN
    return _moved("split", look.given["train"], look.holdout, look, target=True)


def _drift(look: Look) -> Found:
    if "production" not in look.given:
        return NO_PRODUCTION
    return _moved("drift", look.holdout, look.given["production"], look, target=False)


def _groups(look: Look) -> Found:
    if not look.roles.protected:
        return "no protected attribute is declared: name them under roles.protected in migration.yaml"
    labels = labels_of(look.holdout, look.task)
    return learning.groups(look.holdout, look.roles.protected, Labels(None) if isinstance(labels, str) else labels)


def _proxies(look: Look) -> Found:
    if not look.roles.protected:
        return "no protected attribute is declared: name them under roles.protected in migration.yaml"
    if len(look.learnt.frame) < LEAST:
        return f"{look.learnt.rows} rows are too few to tell; at least {LEAST} are needed"
    return learning.proxies(look.learnt, look.roles.protected, look.shaped)


def _balance(look: Look) -> Found:
    if look.task.kind == "regression":
        return None
    return look.labels if isinstance(look.labels, str) else learning.balance(look.learnt, look.labels)


def _keys(look: Look) -> Found:
    if not look.roles.key:
        title = "No key is declared: name the columns that identify a row under roles.key in migration.yaml"
        return [Trouble("key", "", title, expected=True)]
    return rows.keys(look.profiles, look.roles.key)


CHECKING: dict[str, Callable[[Look], Found]] = {
    "schema": _schema,
    "reading": lambda look: [t for p in look.profiles if (t := schema.read_notes(p))],
    "volume": _volume,
    "target": _target,
    "input-type": lambda look: schema.unreadable(look.profiles, look.inputs),
    "unseen-categories": lambda look: schema.unseen(look.profiles, look.inputs, look.hidden),
    "missing": lambda look: quality.missing(look.profiles, look.plain),
    "disguised-nulls": lambda look: look.disguised[0],
    "constant": lambda look: quality.constant(look.profiles, look.plain),
    "mixed-types": lambda look: quality.mixed(look.profiles, look.columns, look.disguised[1]),
    "category-variants": lambda look: variants.variants(look.profiles, look.columns, look.hidden),
    "outliers": _outliers,
    "infinite": lambda look: quality.infinite(look.profiles, look.columns),
    "float32": lambda look: quality.float32(look.profiles, look.features),
    "cardinality": lambda look: quality.identifiers(look.profiles, [n for n in look.features if n not in look.hidden]),
    "duplicates": lambda look: rows.duplicates(look.profiles, [n for n in look.columns if n not in look.roles.key]),
    "key": _keys,
    "label-balance": _balance,
    "conflicting-labels": _conflicts,
    "label-noise": _noise,
    "leakage": _leakage,
    "overlap": _overlap,
    "split": _split,
    "drift": _drift,
    "groups": _groups,
    "proxy": _proxies,
    "personal-data": lambda look: look.personal,
}
"""By name of the check (`data.checks.CHECKS`)."""
