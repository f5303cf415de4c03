"""The edge between raw columns and tensors: what of a table a torch model reads, as plain data, and the reading itself.

A number column becomes float64 with NaN where a value is missing: numbers of any width as they are, bools as 0 and 1,
text that spells a number as that number; dates are refused. float64 all the way: unix seconds and cents stay exact.
It may also be read as the length of a text, or as the seconds of a date (`EdgeColumn.of`).
A category column becomes its place in the stored vocabulary, or one of three codes below it that are kept apart:
UNKNOWN (a value that is not in it), MISSING, and NONE (missing, in a column where the model was trained on None, which
scikit-learn tells from NaN).
Values equal as in Python are one value (1, 1.0 and True; never "1").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from workbench.models.protocol import Label, ModelError, Plain

if TYPE_CHECKING:
    import pandas as pd

MISSING, NONE, UNKNOWN = -1, -2, -3
FIRST = 3
"""Row of a lookup table for code 0: rows 0, 1 and 2 are UNKNOWN, NONE and MISSING."""


@dataclass(frozen=True)
class EdgeColumn:
    """One raw column. values: a category's vocabulary, in code order. none: what is missing is None to the model.

    refuses: what the legacy model stops at: "unknown" (a value outside `values`), "missing", "none", "outside" (a
    number outside `between`: the least and the largest, then others that are let through).
    of: which number a raw value gives: its own; the characters or words of a text; the seconds of a date since 1970.
    """

    name: str
    read: Literal["number", "category"]
    values: tuple[Label, ...] = ()
    refuses: tuple[str, ...] = ()
    none: bool = False
    between: tuple[float, ...] | None = None
    of: Literal["value", "characters", "words", "seconds"] = "value"


@dataclass(frozen=True)
class EdgeSpec:
    """The columns a model reads, numbers in the order of the first tensor, categories of the second."""

    columns: tuple[EdgeColumn, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def encode(self, frame: pd.DataFrame) -> dict[str, NDArray[Any]]:
        """{"numbers": float64 [n, a], "codes": int64 [n, b]} for n rows, n = 0 included.

        Raises ModelError naming the columns that are not there, and values that cannot be read.
        """
        absent = [name for name in self.names if name not in frame.columns]
        if absent:
            raise ModelError(
                f"the table lacks {len(absent)} of the model's {len(self.columns)} columns: {', '.join(absent[:8])}; "
                f"it has {', '.join(map(str, frame.columns[:12]))}. Rename or add them"
            )
        read = [(column, frame[column.name]) for column in self.columns]
        numbers = [_numbers(column, series) for column, series in read if column.read == "number"]
        codes = [_codes(column, series) for column, series in read if column.read == "category"]
        return {"numbers": _beside(numbers, len(frame), np.float64), "codes": _beside(codes, len(frame), np.int64)}

    def encode_plain(self, frame: pd.DataFrame) -> dict[str, NDArray[Any]] | None:
        """As `encode`, at once, where all that is read are number columns of plain numbers; else None.

        It spares a single row most of its way.
        """
        if any(c.read != "number" or c.refuses or c.of != "value" for c in self.columns) or not frame.columns.is_unique:
            return None
        if not all(name in frame.columns for name in self.names):
            return None
        chosen = frame[list(self.names)]
        if not all(isinstance(kind, np.dtype) and kind.kind in "fiub" for kind in chosen.dtypes):
            return None
        numbers = np.array(chosen.to_numpy(dtype=np.float64), order="C")
        return {"numbers": numbers, "codes": np.empty((len(frame), 0), dtype=np.int64)}

    def to_plain(self) -> dict[str, Plain]:
        return {"columns": [_to_plain(column) for column in self.columns]}

    @classmethod
    def from_plain(cls, spec: Mapping[str, Any]) -> EdgeSpec:
        return cls(
            tuple(
                EdgeColumn(
                    c["name"],
                    c["read"],
                    tuple(c["values"]),
                    tuple(c["refuses"]),
                    bool(c["none"]),
                    tuple(c["between"]) if "between" in c else None,
                    c.get("of", "value"),
                )
                for c in spec["columns"]
            )
        )


def _to_plain(column: EdgeColumn) -> Plain:
    said: dict[str, Plain] = {"name": column.name, "read": column.read, "values": list(column.values)}
    said |= {"refuses": list(column.refuses), "none": column.none}
    said |= {} if column.of == "value" else {"of": column.of}
    return said if column.between is None else {**said, "between": list(column.between)}


def _beside(columns: list[NDArray[Any]], rows: int, kind: type) -> NDArray[Any]:
    out: NDArray[Any] = np.empty((rows, len(columns)), dtype=kind)
    for number, column in enumerate(columns):
        out[:, number] = column
    return out


def _numbers(column: EdgeColumn, series: pd.Series[Any]) -> NDArray[np.float64]:
    out = _READERS[column.of](column.name, series)
    if column.values or column.refuses:
        _refuse_numbers(column, out)
    return out


def as_float64(name: str, series: pd.Series[Any]) -> NDArray[np.float64]:
    """The column as float64 [n], NaN where missing. Raises ModelError for dates and for text that spells no number."""
    import pandas as pd

    kind = series.dtype
    if isinstance(kind, np.dtype) and kind.kind in "fiub":
        return series.to_numpy().astype(np.float64)
    if isinstance(kind, pd.CategoricalDtype):
        series = series.astype(kind.categories.dtype if len(kind.categories) else object)
        return as_float64(name, series) if not isinstance(series.dtype, pd.CategoricalDtype) else series.to_numpy()
    if getattr(kind, "kind", "O") in "mM":
        raise ModelError(f"column {name!r} holds dates, the model reads numbers: convert it as in training")
    try:
        return pd.to_numeric(series).to_numpy(dtype=np.float64, na_value=np.nan)
    except (ValueError, TypeError) as error:
        raise ModelError(f"column {name!r} must hold numbers: {error}. Correct the value or the column") from error


def _as_seconds(name: str, series: pd.Series[Any]) -> NDArray[np.float64]:
    """Seconds since 1970 UTC, NaN where missing; a date without a zone is UTC. Raises ModelError for no date."""
    import pandas as pd

    if getattr(series.dtype, "kind", "O") in "biufc" and series.notna().any():
        raise ModelError(f"column {name!r} holds numbers, the model reads dates: give them as in training")
    try:
        stamps = pd.to_datetime(series, utc=True, format="ISO8601")
    except (ValueError, TypeError) as error:
        raise ModelError(f"column {name!r} must hold dates (2026-01-31): {error}. Correct the value") from error
    return np.asarray((stamps - pd.Timestamp(0, tz="UTC")).dt.total_seconds(), dtype=np.float64)


def _counted(count: Callable[[str], int], series: pd.Series[Any]) -> NDArray[np.float64]:
    absent = series.isna().to_numpy(dtype=bool)
    out = np.full(len(series), np.nan)
    out[~absent] = [float(count(str(value))) for value in series[~absent].tolist()]
    return out


_READERS: dict[str, Callable[[str, pd.Series[Any]], NDArray[np.float64]]] = {
    "value": as_float64,
    "seconds": _as_seconds,
    "characters": lambda name, series: _counted(len, series),
    "words": lambda name, series: _counted(lambda text: len(text.split()), series),
}


def _refuse_numbers(column: EdgeColumn, values: NDArray[np.float64]) -> None:
    absent = np.isnan(values)
    if "missing" in column.refuses and absent.any():
        raise _refused(column, "nothing", int(np.argmax(absent)))
    if "unknown" in column.refuses:
        strange = ~absent & ~np.isin(values, np.array(column.values, dtype=np.float64))
        if strange.any():
            raise _refused(column, repr(float(values[strange][0])), int(np.argmax(strange)))
    if "outside" in column.refuses and column.between is not None:
        low, high, *besides = column.between
        outside = ~absent & ~((values >= low) & (values <= high)) & ~np.isin(values, np.array(besides, np.float64))
        if outside.any():
            raise _refused(column, repr(float(values[outside][0])), int(np.argmax(outside)), f"{low:g} to {high:g}")


def _codes(column: EdgeColumn, series: pd.Series[Any]) -> NDArray[np.int64]:
    import pandas as pd

    if isinstance(series.dtype, pd.CategoricalDtype):
        own = _places(column, pd.Series(series.cat.categories))
        codes = np.append(own, NONE if column.none else MISSING)[series.cat.codes.to_numpy()]
    else:
        codes = _places(column, series)
    for word, code in (("unknown", UNKNOWN), ("missing", MISSING), ("none", NONE)):
        if word in column.refuses and (codes == code).any():
            row = int(np.argmax(codes == code))
            raise _refused(column, repr(series.iloc[row]) if code == UNKNOWN else "nothing", row)
    return codes


def _places(column: EdgeColumn, series: pd.Series[Any]) -> NDArray[np.int64]:
    """Codes by one lookup per distinct value; as objects, so that the text "1" and the number 1 never meet."""
    import pandas as pd

    seen, distinct = pd.factorize(series, use_na_sentinel=True)
    place = {value: code for code, value in enumerate(column.values)}
    codes = [place.get(value, UNKNOWN) for value in distinct.tolist()]
    return np.array([*codes, NONE if column.none else MISSING], dtype=np.int64)[seen]


def _refused(column: EdgeColumn, seen: str, row: int, known: str = "") -> ModelError:
    known = known or ", ".join(repr(value) for value in column.values[:8]) + (", …" if len(column.values) > 8 else "")
    return ModelError(
        f"column {column.name!r} holds {seen} at row {row}, which the model never saw in training and refuses "
        f"(it knows {known}): correct the value, or leave the row out"
    )
