"""From the columns the data has to the columns a model asks for: chosen by name, converted by what it declares."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.models.protocol import Input, Label, ModelError

BLANK = frozenset({"", "na", "n/a", "nan", "null", "none", "<na>"})
"""Words that say a number is missing."""
WORDS = {"true": 1.0, "false": 0.0}


def conform(frame: pd.DataFrame, inputs: Sequence[Input]) -> pd.DataFrame:
    """The columns the model asks for, in its order, as numbers, its category values, or text; others are left out.

    A category value keeps its meaning, not its type: 1, "1" and 1.0 are the same category. Missing is NaN. An unknown
    category stays as it is. Without inputs the frame goes through as it is.
    A model that was saved without column names takes as many columns, by position.
    Raises ModelError naming columns the data lacks, and text where the model asks for numbers.
    """
    if not inputs:
        return frame
    chosen = _chosen(frame, inputs)
    columns = {name: _column(series, wanted) for (name, series), wanted in zip(chosen, inputs)}
    if all(columns[name] is series for name, series in chosen) and list(frame.columns) == list(columns):
        return frame
    return pd.DataFrame(columns, index=frame.index, copy=False)


def choose(frame: pd.DataFrame, inputs: Sequence[Input]) -> pd.DataFrame:
    """The columns the model asks for by name, unconverted. Raises ModelError naming those the data lacks."""
    return pd.DataFrame(dict(_chosen(frame, inputs)), index=frame.index, copy=False) if inputs else frame


def _chosen(frame: pd.DataFrame, inputs: Sequence[Input]) -> list[tuple[str, pd.Series[Any]]]:
    have = [str(column) for column in frame.columns]
    places = {name: place for place, name in enumerate(have)}
    # LightGBM writes underscores for the spaces in a name.
    spaced = {name.replace(" ", "_"): place for name, place in places.items() if " " in name}
    wanted = [wish.name for wish in inputs]
    missing = [name for name in wanted if name not in places and name not in spaced]
    if len(missing) == len(wanted) == len(have) and _nameless(wanted):
        return [(name, frame.iloc[:, place]) for place, name in enumerate(wanted)]
    if missing:
        raise ModelError(_missing(missing, wanted, have))
    twice = sorted({name for name in wanted if have.count(name) > 1})
    if twice:
        raise ModelError(f"the data has two columns named {twice[0]!r}, and the model asks for one: rename the other")
    return [(name, frame.iloc[:, places.get(name, spaced.get(name, -1))]) for name in wanted]


def _missing(missing: list[str], wanted: list[str], have: list[str]) -> str:
    close = {name: difflib.get_close_matches(name, have, 1, 0.6) for name in missing}
    close |= {name: [other for other in have if other.lower() == name.lower()] or near for name, near in close.items()}
    hints = [f"{name!r} may be {near[0]!r}" for name, near in close.items() if near]
    hint = (
        f"Did you mean: {'; '.join(hints[:5])}? Rename the column in the data" if hints else "Give data that has them"
    )
    if _nameless(wanted):
        hint = (
            f"The model was saved without column names, and the data has {len(have)} columns for its {len(wanted)}: "
            "name the model's, in its order, with the option features: [...]"
        )
    return f"the model asks for {_few(wanted)}; the data has {_few(have)}. Not there: {_few(missing)}. {hint}."


def _nameless(wanted: Sequence[str]) -> bool:
    """Names that libraries make up for a model trained on a plain matrix: it takes its columns by position."""
    start = next((start for start in ("Column_", "f", "x") if wanted and wanted[0] == f"{start}0"), None)
    return start is not None and all(name == f"{start}{place}" for place, name in enumerate(wanted))


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:80]) for name in names[:12])
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "") or "no columns"


def _column(series: pd.Series[Any], wanted: Input) -> Any:
    if wanted.kind == "number":
        return as_number(series, wanted.name)
    if wanted.kind in ("category", "bool") and wanted.categories:
        return as_values(series, wanted.categories)
    if wanted.kind == "text" or isinstance(series.dtype, pd.StringDtype):
        return _objects(series)
    return series


def as_number(series: pd.Series[Any], name: str) -> pd.Series[Any]:
    """Numbers as they are; booleans, nullable columns and numbers written as text as float64, missing as NaN.

    Raises ModelError for dates, and for text that is no number, showing some of it.
    """
    kind = series.dtype.kind if isinstance(series.dtype, np.dtype) else ""
    if kind in ("f", "i", "u"):
        return series
    if isinstance(series.dtype, pd.CategoricalDtype):
        return as_number(series.astype(object), name)
    if pd.api.types.is_numeric_dtype(series.dtype):
        return pd.Series(series.to_numpy(dtype="float64", na_value=np.nan), index=series.index)
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        raise ModelError(
            f"the model asks for a number in {name!r}; the data has dates: give them as the model had them"
        )
    return pd.Series(_parsed(series, name), index=series.index)


def _parsed(series: pd.Series[Any], name: str) -> NDArray[np.float64]:
    absent = series.isna().to_numpy(dtype=bool)
    text = series.astype(object).map(lambda value: str(value).strip())
    words = text.str.lower()
    parsed = pd.to_numeric(words.map(WORDS).where(words.isin(WORDS), text), errors="coerce")
    numbers = np.array(parsed, dtype=np.float64)
    numbers[absent] = np.nan
    wrong = np.isnan(numbers) & ~absent & ~words.isin(BLANK).to_numpy(dtype=bool)
    if wrong.any():
        seen = ", ".join(repr(value[:40]) for value in pd.unique(text[wrong])[:3])
        raise ModelError(
            f"the model asks for numbers in {name!r}; the data has text in {int(wrong.sum())} of {len(series)} rows, "
            f"such as {seen}: clean it, or give the column the model was trained on"
        )
    return numbers


def as_values(series: pd.Series[Any], categories: Sequence[Label]) -> pd.Series[Any]:
    """The column in the type of the categories: text as objects, numbers as numbers, booleans as booleans."""
    if all(isinstance(value, str) for value in categories):
        return _as_text(series, frozenset(map(str, categories)))
    if all(isinstance(value, bool | np.bool_) for value in categories):
        return _objects(series).map(_as_bool).astype(object)
    if all(isinstance(value, int | float | np.number) for value in categories):
        whole = all(isinstance(value, int | np.integer) for value in categories)
        return _as_whole(_as_code(series)) if whole else _as_code(series)
    return _objects(series)


def _objects(series: pd.Series[Any]) -> pd.Series[Any]:
    """As Python objects with NaN for whatever says missing."""
    values = series.astype(object)
    return values.where(values.notna(), np.nan)


def _as_text(series: pd.Series[Any], known: frozenset[str]) -> pd.Series[Any]:
    if series.dtype == object and pd.api.types.infer_dtype(series, skipna=False) == "string":
        return series
    values = _objects(series)
    if isinstance(series.dtype, pd.StringDtype) or pd.api.types.infer_dtype(values, skipna=True) in ("string", "empty"):
        return values
    spelled = values.map(lambda value: value if isinstance(value, str) or value != value else _spelled(value, known))
    return spelled.astype(object)


def _spelled(value: Any, known: frozenset[str]) -> str:
    """The way a value that is no text is spelled among the known categories."""
    ways = [str(value)]
    if isinstance(value, bool | np.bool_):
        ways += [str(value).lower(), str(value).upper(), str(int(value))]
    elif isinstance(value, float | np.floating) and float(value).is_integer():
        ways.insert(0, str(int(value)))
    elif isinstance(value, int | np.integer):
        ways.append(f"{value}.0")
    return next((way for way in ways if way in known), ways[0])


def _as_bool(value: Any) -> Any:
    if isinstance(value, str):
        number = WORDS.get(value.strip().lower())
        return value if number is None else bool(number)
    return value if value != value or value not in (0, 1) else bool(value)


def _as_code(series: pd.Series[Any]) -> pd.Series[Any]:
    """Numbers; text that is none is an unknown category, and so NaN."""
    if isinstance(series.dtype, np.dtype) and series.dtype.kind in ("f", "i", "u"):
        return series
    values = _objects(series)
    values = values.map(lambda value: WORDS.get(value.strip().lower(), value) if isinstance(value, str) else value)
    return pd.to_numeric(values, errors="coerce").astype("float64")


def _as_whole(series: pd.Series[Any]) -> pd.Series[Any]:
    """Whole numbers that a missing value elsewhere, or the file, made floats: a model may write them out as text."""
    values = series.to_numpy()
    if (
        values.dtype.kind != "f"
        or not (np.isfinite(values) & (values == np.trunc(values)) & (abs(values) < 2**53)).all()
    ):
        return series
    return series.astype("int64")


def coded(series: pd.Series[Any], categories: Sequence[Label]) -> NDArray[np.float64]:
    """Places of the values in `categories` as float64, NaN for missing and unknown ones."""
    place = {value: float(number) for number, value in enumerate(categories)}
    return np.asarray(as_values(series, categories).map(place).to_numpy(dtype="float64", na_value=np.nan))
