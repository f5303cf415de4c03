"""Which raw columns a fitted estimator asks for, and what each holds, read from its pieces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from workbench.models.pieces import BY_COLUMNS
from workbench.models.protocol import Input, Label, Piece

DISCRETE = ("sklearn2pmml.decoration.CategoricalDomain", "sklearn2pmml.decoration.OrdinalDomain")
CONTINUOUS = "sklearn2pmml.decoration.ContinuousDomain"
MULTI = "sklearn2pmml.decoration.MultiDomain"
LABELS = (
    "sklearn.preprocessing.LabelBinarizer",
    "sklearn.preprocessing.LabelEncoder",
    "sklearn2pmml.preprocessing.PMMLLabelBinarizer",
    "sklearn2pmml.preprocessing.PMMLLabelEncoder",
)
"""Made for targets, and steps of mappers for columns: their classes are then the column's values."""

SAME_SHAPE = (
    "passthrough",
    "sklearn.preprocessing.FunctionTransformer",
    "sklearn.frozen.FrozenEstimator",
    *DISCRETE,
    CONTINUOUS,
    MULTI,
)
"""Steps after which a column is still in its place."""


@dataclass(frozen=True)
class Asked:
    """inputs: in the estimator's order. none_for: columns whose missing values were None in training, not NaN.
    coded: columns that XGBoost or LightGBM took as pandas categories, and those categories in the order of training."""

    inputs: tuple[Input, ...]
    none_for: frozenset[str] = frozenset()
    coded: Mapping[str, tuple[Label, ...]] = field(default_factory=dict)


Use = tuple[str, Piece, int]
"""A raw column, a piece that takes it, and its place there."""


def asked(piece: Piece, names: Sequence[str]) -> Asked:
    """What the estimator asks for: a column goes to an encoder as a category with the values it knows, to anything
    that computes as a number, and is "unknown" where neither is seen."""
    uses: dict[str, list[tuple[Piece, int]]] = {name: [] for name in names}
    for name, part, place in _trace(piece, list(names)):
        uses[name].append((part, place))
    coded = _coded(piece, uses)
    inputs = tuple(
        Input(name, "category", coded[name]) if name in coded else _input(name, uses[name]) for name in names
    )
    return Asked(inputs, frozenset(name for name in names if any(_wants_none(*use) for use in uses[name])), coded)


def _coded(piece: Piece, uses: Mapping[str, Sequence[tuple[Piece, int]]]) -> dict[str, tuple[Label, ...]]:
    """A column is known by its name, also behind steps that hand it on: pandas frames keep names, with a prefix."""
    found: dict[str, tuple[Label, ...]] = {}
    spaced = {name.replace(" ", "_"): name for name in uses}
    for _, part in piece.walk():
        listed = part.params.get("categories")
        if not isinstance(listed, dict) or not part.kind.startswith(("xgboost.", "lightgbm.")):
            continue
        for feature, values in listed.items():
            name = feature if feature in uses else spaced.get(feature, feature.rpartition("__")[2])
            if (
                isinstance(values, list)
                and name in uses
                and all(use is part or _hands_on(use) for use, _ in uses[name])
            ):
                found[name] = tuple(cast("list[Label]", values))
    return found


def _hands_on(piece: Piece) -> bool:
    return piece.kind in SAME_SHAPE[:2] and piece.params.get("func") is None


def _trace(piece: Piece, columns: list[str]) -> Iterator[Use]:
    children = dict(piece.children)
    if piece.kind == "sklearn.pipeline.Pipeline":
        for _, step in piece.children:
            yield from _trace(step, columns)
            if not _keeps_columns(step):
                return
    elif piece.kind == MULTI:
        for name, (_, part) in zip(columns, piece.children):
            yield from _trace(part, [name])
    elif piece.kind in BY_COLUMNS:
        taken = piece.params["columns"]
        for name, part in piece.children:
            chosen = taken.get(name) if isinstance(taken, dict) else None
            yield from _trace(part, [_column(one, columns) for one in chosen] if isinstance(chosen, list) else [])
    elif "_preprocessor" in children:
        yield from _trace(children["_preprocessor"], columns)
        # What its encoder leaves alone, its trees compare.
        yield from ((column, piece, place) for place, column in enumerate(columns))
    elif piece.trees is None and (inside := _inside(piece, len(columns))):
        for part in inside:
            yield from _trace(part, columns)
    elif piece.kind not in ("drop", "passthrough"):
        yield from ((column, piece, place) for place, column in enumerate(columns))


def _column(one: object, columns: list[str]) -> str:
    return one if isinstance(one, str) else columns[int(str(one))]


def _inside(piece: Piece, count: int) -> list[Piece]:
    """The parts that take the columns in its place."""
    if piece.arrays.keys() & {"coef_", "categories_.0", "statistics_"}:
        return []
    return [part for _, part in piece.children if part.kind not in LABELS and _fits(part, count)]


def _fits(piece: Piece, count: int) -> bool:
    return piece.params.get("n_features_in_", count) == count


def _keeps_columns(piece: Piece) -> bool:
    if piece.kind == "sklearn.impute.SimpleImputer":
        return not piece.params.get("add_indicator") and not _has_empty(piece)
    return piece.kind in SAME_SHAPE and piece.params.get("func") is None


def _has_empty(imputer: Piece) -> bool:
    statistics = imputer.arrays.get("statistics_", np.zeros(0))
    return any(value != value for value in statistics.tolist()) and not imputer.params.get("keep_empty_features")


def _input(name: str, uses: list[tuple[Piece, int]]) -> Input:
    for piece, place in uses:
        values = _values(piece, place)
        if values is not None:
            known = tuple(value for value in values.tolist() if not _is_missing(value))
            return Input(name, "bool" if _all_bool(known) else "category", known)
    if any(_computes(piece) for piece, _ in uses):
        return Input(name, "number")
    return Input(name, "text" if any(_holds_text(piece) for piece, _ in uses) else "unknown")


def _values(piece: Piece, place: int) -> NDArray[np.generic] | None:
    """The values a piece knows of a column, None where it knows none."""
    if piece.kind in DISCRETE:
        return piece.arrays.get("data_")
    return piece.arrays.get("classes_" if piece.kind in LABELS else f"categories_.{place}")


def _is_missing(value: object) -> bool:
    return value is None or value != value


def _all_bool(values: tuple[Label, ...]) -> bool:
    return bool(values) and all(isinstance(value, bool) for value in values)


def _computes(piece: Piece) -> bool:
    """It has fitted numbers: means, scales, weights, edges, trees, a selection. An imputer of text has objects."""
    if piece.trees is not None or "support_" in piece.arrays or piece.kind == CONTINUOUS:
        return True
    kinds = [array.dtype.kind for name, array in piece.arrays.items() if name not in ("classes_", "feature_names_in_")]
    return "f" in kinds and not _holds_text(piece)


def _holds_text(piece: Piece) -> bool:
    statistics = piece.arrays.get("statistics_")
    return statistics is not None and statistics.dtype.kind in "OUS"


def _wants_none(piece: Piece, place: int) -> bool:
    if piece.kind == "sklearn.impute.SimpleImputer" and piece.params.get("missing_values", 0) is None:
        return True
    values = piece.arrays.get(f"categories_.{place}")
    return values is not None and any(value is None for value in values.tolist())
