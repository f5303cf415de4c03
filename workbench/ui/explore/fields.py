"""A control for one cell of a row, by the type of its column, and the row with other values in its cells."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from workbench.models import Label
from workbench.ui.explore import cell

FEW = 200
"""A text column of at most this many values offers them."""
EXACT = 2**53
"""Whole numbers beyond it are not told apart by a browser, and are typed as text."""


class Field:
    """A control with a tick for a missing value. hidden: the row's own value is not shown, and can be replaced."""

    def __init__(self, name: str, column: pd.Series[Any], *, known: Sequence[Label] = (), hidden: bool = False) -> None:
        import ipywidgets

        self.name, self.kind, self.hidden = name, "text" if hidden else kind_of(column), hidden
        self._dtype = column.dtype
        self._values = _values(column, known) if self.kind == "choice" else {}
        self._from = column
        self.control = self._control(ipywidgets)
        self.missing = ipywidgets.Checkbox(description="missing", indent=False, layout={"width": "86px"})
        self.missing.tooltip = f"{name} is missing"
        self.widget = ipywidgets.HBox([self.control, self.missing])
        self._putting = False
        self.control.observe(self._given, "value")
        self.put(None)

    def put(self, value: Any) -> None:
        """Shows a value of the row."""
        absent = value is None or bool(pd.isna(value))
        self._putting = True
        if not (self.hidden or absent):
            self.control.value = self._shown(value)
        elif self.kind in ("text", "choice"):
            self.control.value = ""
        self.missing.value = absent and not self.hidden
        self._putting = False

    def _given(self, _: object) -> None:
        """Who types a value does not mean it to be missing."""
        if not self._putting:
            self.missing.value = False

    def read(self) -> Any:
        """What is chosen: None for missing, `KEEP` where the row's own hidden value stays.

        Raises ValueError saying what this column takes.
        """
        if self.missing.value:
            return None
        if self.hidden and not self.control.value:
            return KEEP
        return self._meant(self.control.value)

    def watch(self, changed: Callable[[object], None]) -> None:
        self.control.observe(changed, "value")
        self.missing.observe(changed, "value")

    def _control(self, widgets: Any) -> Any:
        look: dict[str, Any] = {"description": self.name, "style": cell.WIDE, "layout": {"width": "min(100%, 320px)"}}
        look |= {"tooltip": self.name, "description_allow_html": False}
        if self.kind in ("number", "whole"):
            kind = widgets.FloatText if self.kind == "number" else widgets.IntText
            return kind(continuous_update=False, **look)
        if self.kind == "yes":
            return widgets.Dropdown(options=[("yes", True), ("no", False)], **look)
        if self.kind in ("date", "moment"):
            return (widgets.DatePicker if self.kind == "date" else widgets.NaiveDatetimePicker)(**look)
        placeholder = "hidden; type to replace it" if self.hidden else "any value"
        if self.kind == "choice":
            return widgets.Combobox(
                options=list(self._values), placeholder=placeholder, continuous_update=False, **look
            )
        return widgets.Text(placeholder=placeholder, continuous_update=False, **look)

    def _shown(self, value: Any) -> Any:
        if self.kind == "yes":
            return bool(value)
        if self.kind in ("date", "moment"):
            moment = pd.Timestamp(value).tz_localize(None).to_pydatetime()
            return moment.date() if self.kind == "date" else moment
        if self.kind in ("number", "whole"):
            return float(value) if self.kind == "number" else int(value)
        return str(value)

    def _meant(self, shown: Any) -> Any:
        if shown is None or (shown == "" and self.kind != "choice"):
            return None
        if self.kind in ("date", "moment"):
            return pd.Timestamp(shown, tz=getattr(self._dtype, "tz", None))
        if self.kind == "choice":
            return self._values.get(shown, shown) if shown else None
        return _typed(shown, self._from, self.name) if self.kind == "text" else shown


class Keep:
    """The value that is there and is not shown."""


KEEP = Keep()


def kind_of(column: pd.Series[Any]) -> str:
    """How a cell of the column is edited: number, whole, yes (or no), date, moment, choice or text."""
    if pd.api.types.is_bool_dtype(column):
        return "yes"
    if pd.api.types.is_datetime64_any_dtype(column):
        known = column.dropna()
        return "date" if (known == known.dt.normalize()).all() else "moment"
    if pd.api.types.is_numeric_dtype(column):
        if column.abs().max() >= EXACT:
            return "text"
        return "whole" if pd.api.types.is_integer_dtype(column) else "number"
    return "choice" if column.dropna().nunique() <= FEW else "text"


def _values(column: pd.Series[Any], known: Sequence[Label]) -> dict[str, Any]:
    """The column's values and those the models know, by how they are spelt."""
    seen = {str(value): value for value in sorted(column.dropna().unique(), key=str)}
    return seen | {str(label): label for label in known if str(label) not in seen}


def _typed(text: str, column: pd.Series[Any], name: str) -> Any:
    """Text as a value of the column: a number in a column of numbers, a day in one of days, else itself."""
    inside = column.dropna()
    try:
        if pd.api.types.is_integer_dtype(column):
            return int(text)
        if pd.api.types.is_numeric_dtype(column):
            return float(text)
        if pd.api.types.is_datetime64_any_dtype(column):
            return pd.Timestamp(text, tz=getattr(column.dtype, "tz", None))
        if len(inside) and isinstance(inside.iloc[0], datetime.date):
            return datetime.date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name} takes values like {_like(inside)}, and got {text[:40]!r}") from None
    return text


def _like(column: pd.Series[Any]) -> str:
    if pd.api.types.is_datetime64_any_dtype(column) or not pd.api.types.is_numeric_dtype(column):
        return "2026-01-31"
    return "7" if pd.api.types.is_integer_dtype(column) else "0.5"


def edited(row: pd.DataFrame, values: Mapping[str, Any]) -> pd.DataFrame:
    """The row with other values; what is not named stays as it is, to the bit."""
    made = row.copy()
    for name, value in values.items():
        if value is not KEEP:
            made[name] = _cell(value, row[name].dtype, row.index)
    return made


def _cell(value: Any, dtype: Any, index: pd.Index[Any]) -> pd.Series[Any]:
    """In the column's type, or in the nearest that holds it: a missing whole number is a float."""
    if value is None and pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_extension_array_dtype(dtype):
        return pd.Series([float("nan")], index=index)
    plain = pd.Series([value], index=index, dtype=object)
    if isinstance(dtype, pd.CategoricalDtype) and value is not None and value not in dtype.categories:
        return plain
    try:
        return plain.astype(dtype)
    except (ValueError, TypeError, OverflowError):
        return plain
