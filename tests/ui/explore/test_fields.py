"""A control for every type of column: what it shows is what the row holds, and what it gives has the column's type."""

from __future__ import annotations

import datetime

import ipywidgets
import numpy as np
import pandas as pd
import pytest

from workbench.ui.explore.fields import KEEP, Field, edited, kind_of

FRAME = pd.DataFrame(
    {
        "amount": [1.5, np.nan, 3.25],
        "term": [12, 24, 36],
        "big": [2**60, 1, 2],
        "owner": [True, False, True],
        "city": ["Bern", None, "<b>Ulm</b>"],
        "code": pd.Series([1, "1a", None], dtype=object),
        "day": pd.to_datetime(["2024-01-31", None, "2023-06-01"]),
        "moment": pd.to_datetime(["2024-01-31 10:30", "2024-01-31 11:00", None]),
        "zone": pd.to_datetime(["2024-01-31 10:30", "2024-01-31 11:00", None]).tz_localize("Europe/Zurich"),
        "kind": pd.Categorical(["a", "b", None]),
        "born": pd.Series([datetime.date(2000, 1, 2), None, datetime.date(1990, 3, 4)], dtype=object),
    }
)
KINDS = {
    "amount": ("number", ipywidgets.FloatText), "term": ("whole", ipywidgets.IntText),
    "big": ("text", ipywidgets.Text), "owner": ("yes", ipywidgets.Dropdown), "city": ("choice", ipywidgets.Combobox),
    "code": ("choice", ipywidgets.Combobox), "day": ("date", ipywidgets.DatePicker),
    "moment": ("moment", ipywidgets.NaiveDatetimePicker), "zone": ("moment", ipywidgets.NaiveDatetimePicker),
    "kind": ("choice", ipywidgets.Combobox), "born": ("choice", ipywidgets.Combobox),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_a_control_that_fits_and_gives_back_what_it_was_given(name: str) -> None:
    assert kind_of(FRAME[name]) == KINDS[name][0]
    field = Field(name, FRAME[name])
    assert type(field.control) is KINDS[name][1]
    assert field.control.description == name
    for place in range(3):
        own = FRAME[name].iloc[place]
        field.put(own)
        row = FRAME.iloc[[place]]
        again = edited(row, {name: field.read()})
        assert field.missing.value == pd.isna(own)
        pd.testing.assert_frame_equal(again.astype(object), row.astype(object), check_dtype=False)
        if pd.notna(own):
            assert again[name].dtype == row[name].dtype


@pytest.mark.parametrize(
    ("name", "typed", "meant"),
    [
        ("amount", 7.5, 7.5), ("term", 7, 7), ("big", str(2**61), 2**61), ("city", "Oslo", "Oslo"), ("code", "1", 1),
        ("code", "new", "new"), ("owner", False, False), ("kind", "c", "c"),
        ("day", datetime.date(2020, 2, 29), pd.Timestamp("2020-02-29")),
        ("zone", datetime.datetime(2020, 2, 29, 8), pd.Timestamp("2020-02-29 08:00", tz="Europe/Zurich")),
        ("born", "1990-03-04", datetime.date(1990, 3, 4)),
    ],
)  # fmt: skip
def test_a_typed_value_is_meant_in_the_columns_type(name: str, typed: object, meant: object) -> None:
    field = Field(name, FRAME[name])
    field.control.value = typed
    made = edited(FRAME.iloc[[0]], {name: field.read()})
    assert made[name].iloc[0] == meant
    others = [column for column in FRAME if column != name]
    pd.testing.assert_frame_equal(made[others], FRAME.iloc[[0]][others])


def test_missing_is_one_tick_and_typing_takes_it_back() -> None:
    field = Field("term", FRAME["term"])
    field.put(12)
    field.missing.value = True
    made = edited(FRAME.iloc[[0]], {"term": field.read()})
    assert made["term"].dtype == np.float64
    assert made["term"].isna().all()
    field.control.value = 13
    assert (field.missing.value, field.read()) == (False, 13)


def test_what_is_hidden_is_not_shown_and_stays_until_it_is_replaced() -> None:
    field = Field("city", FRAME["city"], hidden=True)
    field.put("Bern")
    assert (field.control.value, field.read()) == ("", KEEP)
    assert "Bern" not in str(field.control.get_state())
    assert edited(FRAME.iloc[[0]], {"city": field.read()})["city"].iloc[0] == "Bern"
    field.control.value = "Rom"
    assert edited(FRAME.iloc[[0]], {"city": field.read()})["city"].iloc[0] == "Rom"


def test_what_a_column_does_not_take_is_said_in_words() -> None:
    field = Field("big", FRAME["big"])
    field.control.value = "twelve"
    with pytest.raises(ValueError, match="big takes values like 7, and got 'twelve'"):
        field.read()


def test_known_categories_are_offered_beside_those_of_the_data() -> None:
    field = Field("city", FRAME["city"], known=("Genf", "Bern"))
    assert list(field.control.options) == ["<b>Ulm</b>", "Bern", "Genf"]
    many = pd.Series([f"v{n}" for n in range(500)])
    assert type(Field("id", many).control) is ipywidgets.Text, "nobody reads a list of 500"
