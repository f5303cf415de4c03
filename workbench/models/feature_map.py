"""XGBoost's feature maps: from the raw columns a team has to the one-hot inputs an old model was trained on.

A line is `id name type`. Type `q` (quantity), `int`, `float` or `c`: the column `name` as a number. Type `i` with
`column=value`: 1 where the column has the value, missing otherwise. Type `i` with a plain name: the column, 0 meaning
missing, as in the sparse matrices such models were trained on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.models.booster import Booster
from workbench.models.inputs import coded
from workbench.models.protocol import Label, ModelError
from workbench.models.trees import MISSING_ZERO, Trees

NUMBERS = ("q", "int", "float", "c")
LARGEST = 16 << 20


@dataclass(frozen=True)
class Entry:
    """One input of the model: its column, and for an indicator of a value that value. flag: 0 is missing."""

    column: str
    value: str | None = None
    flag: bool = False


def read_feature_map(path: Path) -> tuple[Entry, ...]:
    """The entries in the model's order. Raises ModelError naming the line that is none."""
    if not path.is_file():
        raise ModelError(f"there is no feature map {path}: give the .fmap file the model was saved with")
    if path.stat().st_size > LARGEST:
        raise ModelError(f"{path.name} is larger than {LARGEST >> 20} MiB: that is no feature map")
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ModelError(f"{path.name} is no feature map: it is no text ({error.reason})") from error
    return tuple(_entry(path.name, place, line) for place, line in enumerate(line for line in lines if line.strip()))


def _entry(file: str, place: int, line: str) -> Entry:
    number, _, rest = line.strip().partition("\t" if "\t" in line else " ")
    name, _, kind = rest.strip().rpartition("\t" if "\t" in line else " ")
    if number != str(place) or not name or kind.strip() not in (*NUMBERS, "i"):
        raise ModelError(
            f"{file}, line {place + 1}: {line[:60]!r} is not '{place} <name> <q, int or i>', as a feature map has it"
        )
    column, equals, value = name.strip().partition("=")
    if kind.strip() != "i":
        return Entry(name.strip())
    return Entry(column, value) if equals else Entry(column, flag=True)


class FeatureMap:
    """columns: the raw columns, in the order of their first entry, each with its values, () for a number.

    codes: the place of an indicator's value among its column's, -1 for a number. Raises ModelError where a column
    comes twice.
    """

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self.entries = entries
        values: dict[str, dict[str, int]] = {}
        self.codes: list[int] = []
        for entry in entries:
            known = values.get(entry.column, {})
            if entry.column in values and (entry.value is None or not known or entry.value in known):
                raise ModelError(f"the feature map names {entry.column!r} twice, or as a number and by its values")
            values.setdefault(entry.column, known)
            self.codes.append(-1 if entry.value is None else known.setdefault(entry.value, len(known)))
        self.columns = {name: tuple(known) for name, known in values.items()}

    def names(self, booster: Booster) -> Booster | None:
        """For a model with categorical features of its own: named by the map, coded in the map's order of values.

        None where the map lists the model's inputs one by one. Raises ModelError where a value does not fit.
        """
        if len(self.columns) != len(booster.trees.features) or len(self.entries) == len(booster.trees.features):
            return None
        coded = [name for place, name in enumerate(self.columns) if place in booster.trees.categorical]
        if [name for name, values in self.columns.items() if values] != coded:
            raise ModelError(
                f"the feature map gives values of {[name for name, values in self.columns.items() if values]}, and the "
                f"model's categorical features are {coded}: give the map of this very model"
            )
        known = {new: booster.categories.get(old, ()) for new, old in zip(self.columns, booster.trees.features)}
        for name in coded:
            if known[name] and tuple(map(str, known[name])) != self.columns[name]:
                raise ModelError(f"the feature map and the model disagree about the values of {name!r}: leave it out")
        categories: dict[str, tuple[Label, ...]] = {name: known[name] or self.columns[name] for name in coded}
        return replace(booster, trees=replace(booster.trees, features=tuple(self.columns)), categories=categories)

    def raw(self, booster: Booster) -> Booster:
        """The booster on raw columns: a split on an indicator becomes a split on that value of its column.

        The same leaves, and nothing to compute beforehand. Raises ModelError where map and model do not fit.
        """
        if booster.linear is not None:
            raise ModelError("a feature map is for trees, and this model is a linear one (gblinear): give its inputs")
        if len(self.entries) != len(booster.trees.features):
            raise ModelError(
                f"the feature map has {len(self.entries)} lines, and the model asks for "
                f"{len(booster.trees.features)} inputs: give the map of this very model"
            )
        categories = {name: values for name, values in self.columns.items() if values}
        return replace(booster, trees=self._trees(booster.trees), categories=categories)  # type: ignore[arg-type]

    def _trees(self, trees: Trees) -> Trees:
        names = {name: place for place, name in enumerate(self.columns)}
        inner = trees.feature >= 0
        of = np.array([names[entry.column] for entry in self.entries], dtype=np.int32)
        coded = np.array([entry.value is not None for entry in self.entries])
        flag = np.array([entry.flag for entry in self.entries])
        if (trees.category >= 0).any():
            raise ModelError("the model has categorical splits of its own, and takes no feature map")
        split = np.where(inner, trees.feature, 0)
        indicator = inner & coded[split]
        bits = self._bits(trees, np.flatnonzero(indicator))
        return replace(
            trees,
            features=tuple(names),
            feature=np.where(inner, of[split], -1).astype(np.int32),
            threshold=np.where(indicator, 0.0, trees.threshold),
            missing=np.where(inner & flag[split], MISSING_ZERO, trees.missing).astype(np.uint8),
            category=np.where(indicator, np.cumsum(indicator) - 1, -1).astype(np.int32),
            bits=bits,
            unknown_left=np.where(indicator, trees.default_left, trees.unknown_left),
            categorical=tuple(place for place, name in enumerate(names) if self.columns[name]),
        )

    def _bits(self, trees: Trees, nodes: NDArray[np.intp]) -> NDArray[np.uint32]:
        """[nodes, W]: the value's own bit says where 1 goes, all others where a missing indicator goes."""
        words = max((len(values) + 31) // 32 for values in self.columns.values()) or 1
        code = np.array([max(0, self.codes[place]) for place in range(len(self.entries))])[trees.feature[nodes]]
        away = np.where(trees.default_left[nodes], np.uint32(0xFFFFFFFF), np.uint32(0))
        bits = np.repeat(away[:, None], words, axis=1)
        here = trees.threshold[nodes] > 1.0 if trees.compare == "<" else trees.threshold[nodes] >= 1.0
        rows, word, bit = np.arange(len(nodes)), code // 32, np.left_shift(np.uint32(1), (code % 32).astype(np.uint32))
        bits[rows, word] = np.where(here, bits[rows, word] | bit, bits[rows, word] & ~bit)
        return bits.astype(np.uint32)

    def expand(self, rows: pd.DataFrame) -> NDArray[np.float32]:
        """[n, F] as the library takes it: indicators 1 or NaN, numbers as they are."""
        parts: list[NDArray[np.float64]] = []
        for column, entries in groupby(self.entries, key=lambda entry: entry.column):
            values = self.columns[column]
            found = coded(rows[column], values) if values else rows[column].to_numpy(dtype=np.float64)
            for entry in entries:
                if entry.value is not None:
                    parts.append(np.where(found == self.codes[len(parts)], 1.0, np.nan))
                else:
                    parts.append(np.where(entry.flag & (found == 0), np.nan, found))
        return np.column_stack(parts).astype(np.float32)
