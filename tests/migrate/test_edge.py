from __future__ import annotations

import decimal
import json

import numpy as np
import pandas as pd
import pytest

from workbench.models import ModelError
from workbench.models.edge import MISSING, NONE, UNKNOWN, EdgeColumn, EdgeSpec

CITY = EdgeColumn("city", "category", ("Bonn", "Köln", "1"))
AGE = EdgeColumn("age", "number")


@pytest.mark.parametrize(
    "values",
    [
        np.array([1, 2, 3], dtype=np.int8),
        np.array([1, 2, 3], dtype=np.uint64),
        np.array([1, 2, 3], dtype=np.float32),
        pd.array([1, 2, 3], dtype="Int64"),
        np.array(["1", "2.0", "3"], dtype=object),
        np.array([decimal.Decimal(1), decimal.Decimal(2), 3], dtype=object),
        pd.Categorical([1, 2, 3]),
        pd.Categorical(["1", "2", "3"]),
        np.arange(6)[::2] // 2 + 1,
    ],
    ids=lambda values: str(values.dtype),
)
def test_numbers_of_every_kind_become_float64(values):
    found = EdgeSpec((AGE,)).encode(pd.DataFrame({"age": values}))
    assert found["numbers"].dtype == np.float64
    assert found["numbers"].tolist() == [[1.0], [2.0], [3.0]]
    assert found["codes"].shape == (3, 0)


def test_unix_seconds_and_cents_stay_exact():
    exact = [1_700_000_000.123456, 123_456_789_012.34, 2.0**53 - 1]
    assert EdgeSpec((AGE,)).encode(pd.DataFrame({"age": exact}))["numbers"][:, 0].tolist() == exact


def test_missing_numbers_and_bools():
    spec = EdgeSpec((AGE, EdgeColumn("flag", "number")))
    frame = pd.DataFrame({"age": pd.array([1, None], dtype="Int64"), "flag": [True, False]})
    assert np.array_equal(spec.encode(frame)["numbers"], [[1.0, 1.0], [np.nan, 0.0]], equal_nan=True)
    nullable = pd.DataFrame({"age": [None, "4"], "flag": pd.array([True, None], dtype="boolean")})
    assert np.array_equal(spec.encode(nullable)["numbers"], [[np.nan, 1.0], [4.0, np.nan]], equal_nan=True)


@pytest.mark.parametrize("kind", ["str", "object", "category"])
def test_categories_unknown_and_missing_are_kept_apart(kind):
    frame = pd.DataFrame({"city": pd.Series(["Köln", "Ulm", None, "Bonn", "1"], dtype=kind)})
    assert EdgeSpec((CITY,)).encode(frame)["codes"][:, 0].tolist() == [1, UNKNOWN, MISSING, 0, 2]
    none = EdgeSpec((EdgeColumn("city", "category", ("Köln",), none=True),))
    assert none.encode(frame)["codes"][:, 0].tolist() == [0, UNKNOWN, NONE, UNKNOWN, UNKNOWN]


def test_text_one_is_not_the_number_one():
    mixed = EdgeSpec((EdgeColumn("city", "category", ("1", 2, "x")),))
    frame = pd.DataFrame({"city": pd.Series([1, "1", 2, 2.0, "2"], dtype=object)})
    assert mixed.encode(frame)["codes"][:, 0].tolist() == [UNKNOWN, 0, 1, 1, UNKNOWN]


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(rows):
    spec = EdgeSpec((AGE, CITY))
    for frame in (
        pd.DataFrame({"age": [3], "city": ["Bonn"], "more": [1]})[:rows],
        pd.DataFrame({"age": pd.Series([3], dtype=object), "city": pd.Categorical(["Bonn"])})[:rows],
    ):
        found = spec.encode(frame)
        assert found["numbers"].shape == found["codes"].shape == (rows, 1)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        (AGE, "many", "'age' must hold numbers"),
        (AGE, pd.Timestamp("2024-01-01"), "'age' holds dates"),
        (EdgeColumn("age", "number", (1, 2), ("unknown", "missing")), 3.0, "holds 3.0 at row 1.*it knows 1, 2"),
        (EdgeColumn("age", "number", (1, 2), ("unknown", "missing")), None, "holds nothing at row 1"),
        (EdgeColumn("age", "category", ("a",), ("unknown",)), "b", "holds 'b' at row 1"),
        (EdgeColumn("age", "category", ("a",), ("missing",)), None, "holds nothing at row 1"),
    ],
)
def test_what_cannot_be_read_is_named_with_what_to_do(column, value, words):
    first = column.values[0] if column.values else 1
    series = pd.Series([first, value], dtype=object if not isinstance(value, pd.Timestamp) else None)
    if isinstance(value, pd.Timestamp):
        series = pd.Series([value, value])
    with pytest.raises(ModelError, match=words):
        EdgeSpec((column,)).encode(pd.DataFrame({"age": series}))


def test_the_short_way_reads_what_the_long_way_reads():
    spec = EdgeSpec((AGE, EdgeColumn("flag", "number")))
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"flag": rng.random(50) < 0.5, "more": "x", "age": rng.integers(0, 9, 50).astype(np.float32)})
    for rows in (frame, frame[::-2], frame[:1], frame[:0]):
        short, long = spec.encode_plain(rows), spec.encode(rows)
        assert short is not None
        assert np.array_equal(short["numbers"], long["numbers"])
        assert short["numbers"].dtype == np.float64
        assert short["codes"].shape == long["codes"].shape
    assert spec.encode_plain(frame.astype({"age": str})) is None
    assert spec.encode_plain(frame.drop(columns="age")) is None
    assert EdgeSpec((AGE, CITY)).encode_plain(frame.assign(city="Bonn")) is None
    assert EdgeSpec((EdgeColumn("age", "number", (1,), ("unknown",)),)).encode_plain(frame) is None


def test_columns_that_are_not_there_are_named():
    with pytest.raises(ModelError, match=r"lacks 1 of the model's 2 columns: city; it has age, town"):
        EdgeSpec((AGE, CITY)).encode(pd.DataFrame({"age": [1], "town": ["x"]}))


def test_plain_form_gives_the_same_spec():
    spec = EdgeSpec(
        (AGE, CITY, EdgeColumn("n", "number", (1, 2.5, True), ("missing",)), EdgeColumn("c", "category", none=True))
    )
    assert EdgeSpec.from_plain(json.loads(json.dumps(spec.to_plain()))) == spec
