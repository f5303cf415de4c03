"""Facts and troubles of columns and rows, against pandas and planted values."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.data import open_data, quality, rows, variants
from workbench.data.disguised import disguised, sentinels
from workbench.data.personal import SIGNS, iban, luhn, national_id, personal
from workbench.data.profile import Profile, profile
from workbench.data.variants import edit_distance, merge

RANDOM = np.random.default_rng(0)


def seen(folder: Path, frame: pd.DataFrame, name: str = "holdout", sample: int = 50_000) -> Profile:
    path = folder / f"{name}.parquet"
    frame.to_parquet(path)
    return profile(open_data(str(path)), name, sample)


def test_facts_are_exact(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": RANDOM.normal(size=9000).round(2), "s": RANDOM.choice(["a", "b", "3", None], 9000)})
    frame.loc[:99, "x"], frame.loc[100:120, "x"] = np.nan, np.inf
    p = seen(tmp_path, frame, sample=1000)
    x, s = p.facts["x"], p.facts["s"]
    assert len(p.frame) == 1000
    assert (x.missing, x.infinite, x.distinct) == (100, 21, frame["x"].nunique())
    assert dict(s.values) == frame["s"].value_counts().to_dict()
    assert (s.forms or {})["number"] == (frame["s"] == "3").sum()
    assert s.present == frame["s"].notna().sum()


def test_values_are_the_same_from_the_engine_and_from_the_sample(tmp_path: Path) -> None:
    frame = pd.DataFrame({"s": RANDOM.choice([f"v{i}" for i in range(300)], 4000), "b": RANDOM.random(4000) < 0.2})
    whole, part = seen(tmp_path, frame), seen(tmp_path, frame, sample=1000)
    assert whole.facts["s"].values == part.facts["s"].values
    assert whole.facts["b"].values == part.facts["b"].values


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([-999.0] * 3 + list(range(100)), [-999]),
        ([-999.0, -999.0, 9999.0, 9999.0, *np.linspace(0, 50, 40)], [-999, 9999]),
        ([99.0] * 5 + [1.0, 2, 3, 4, 5] * 9, [99]),
        ([float(age) for age in range(18, 100)] * 2, []),
        ([-999.0, *np.linspace(0, 50, 40)], []),
        (list(np.random.default_rng(1).normal(-900, 400, 500).round()), []),
        ([9999.0, 9999.0, *np.random.default_rng(2).lognormal(8, 1, 900).round(2)], []),
    ],
)
def test_sentinels_only_where_they_lie_apart(values: list[float], found: list[float]) -> None:
    assert sentinels(np.array(values)) == found


def test_disguised_nulls_by_table_and_column(tmp_path: Path) -> None:
    n = 600
    clean = pd.DataFrame({
        "purpose": RANDOM.choice(["car", "home"], n), "guarantor": RANDOM.choice(["none", "one"], n),
        "age": RANDOM.integers(18, 90, n),
        "day": pd.to_datetime("2020-01-01") + pd.to_timedelta(RANDOM.integers(0, 900, n), "D"),
        "power": RANDOM.integers(40, 200, n).astype(str),
    })  # fmt: skip
    dirty = clean.copy()
    for column, value in {"purpose": "N/A", "age": -999, "day": pd.Timestamp("1900-01-01"), "power": " ? "}.items():
        dirty.loc[dirty.index[:30], column] = value
    assert disguised([seen(tmp_path, clean)], list(clean))[0] == []
    troubles, counts = disguised([seen(tmp_path, clean), seen(tmp_path, dirty, "train")], list(clean))
    assert {t.subject: t.count for t in troubles} == {"purpose": 30, "age": 30, "day": 30, "power": 30}
    assert counts["train", "age"] == 30
    assert counts["holdout", "age"] == 0


def test_category_variants() -> None:
    spellings = Counter({
        "Self-employed": 900, "SELF-EMPLOYED": 20, "self employed ": 15, "Self-empolyed": 3, "Employed": 2000,
        "Zürich": 400, "Zurich": 4, "A11": 500, "A12": 3, "married": 600, "unmarried": 500, "male": 800, "female": 20,
        "N/A": 12, "n/a": 3,
    })  # fmt: skip
    assert merge(spellings) == {
        "Self-employed": ["SELF-EMPLOYED", "self employed ", "Self-empolyed"],
        "Zürich": ["Zurich"],
    }


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [("kitten", "sitting", 3), ("abcd", "acbd", 1), ("", "ab", 2), ("same", "same", 0), ("ca", "abc", 3)],
)
def test_edit_distance(first: str, second: str, distance: int) -> None:
    """Published examples; `ca`, `abc` tells optimal string alignment (3) from unrestricted Damerau (2)."""
    assert edit_distance(first, second, 5) == distance
    assert edit_distance(second, first, 5) == distance


def test_variants_of_free_text_are_no_categories(tmp_path: Path) -> None:
    frame = pd.DataFrame({"note": [f"Call {i}" for i in range(300)] + [f"call {i}" for i in range(300)]})
    assert list(variants.variants([seen(tmp_path, frame)], ["note"])) == []


@pytest.mark.parametrize("draw", ["normal", "lognormal", "exponential", "poisson", "uniform", "beta", "pareto"])
def test_a_heavy_tail_alone_is_no_outlier(tmp_path: Path, draw: str) -> None:
    made = {"lognormal": (0, 1.5), "beta": (0.5, 5), "pareto": (2.5,), "poisson": (30,)}.get(draw, ())
    values = getattr(np.random.default_rng(3), draw)(*made, size=10_000) + (1.0 if draw == "pareto" else 0.0)
    low, high = quality.fences_of(pd.Series(values)) or (-np.inf, np.inf)
    assert ((values < low) | (values > high)).mean() <= 0.001


def test_outliers_are_counted_over_all_rows(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": RANDOM.normal(50, 5, 20_000)})
    frame.loc[:199, "x"] *= 100
    (trouble,) = quality.outliers([seen(tmp_path, frame, sample=2000)], ["x"])
    assert trouble.count == 200


def test_single_columns(tmp_path: Path) -> None:
    n = 500
    frame = pd.DataFrame({
        "same": ["x"] * n, "odd": ["12.5"] * (n - 5) + ["12 oz"] * 5, "text": RANDOM.choice(["a", "b"], n),
        "inf": [np.inf, *RANDOM.normal(size=n - 1)], "when": 1_500_000_000 + np.arange(n), "gap": [None] * n,
        "days": ["2020-01-01"] * (n - 50) + ["01/02/2020"] * 50, "id": [f"{i}" for i in range(n)],
    })  # fmt: skip
    p = [seen(tmp_path, frame)]
    names = list(frame)
    assert [t.subject for t in quality.constant(p, names)][:1] == ["same"]
    assert {t.subject: t.count for t in quality.mixed(p, names, {})} == {"odd": 5, "days": 50}
    assert [(t.subject, t.count) for t in quality.infinite(p, names)] == [("inf", 1)]
    assert [(t.subject, t.measured.value) for t in quality.missing(p, names)] == [("gap", 1.0)]
    (narrow,) = [t for t in quality.float32(p, names) if t.subject == "when"]
    assert narrow.measured.value > 0.9


def test_rows_twice_conflicting_shared_and_keys(tmp_path: Path) -> None:
    n = 3000
    train = pd.DataFrame(
        {"id": np.arange(n), "x": RANDOM.normal(size=n), "z": RANDOM.integers(0, 9, n), "y": RANDOM.integers(0, 2, n)}
    )
    holdout = train.assign(id=np.arange(n) + n, x=RANDOM.normal(size=n))
    train.loc[10:29, ["id", "x", "z", "y"]] = train.loc[0, ["id", "x", "z", "y"]].to_numpy()
    train.loc[40:44, ["x", "z"]] = train.loc[45, ["x", "z"]].to_numpy()
    train.loc[40:44, "y"] = 1 - train.loc[45, "y"]
    holdout.loc[:6, ["x", "z"]] = train.loc[100:106, ["x", "z"]].to_numpy()
    before, after = seen(tmp_path, train.astype({"z": "int64"}), "train"), seen(tmp_path, holdout.astype({"z": float}))
    assert [(t.subject, t.count) for t in rows.duplicates([before, after], ["x", "z", "y"])] == [("train", 24)]
    assert [t.count for t in rows.keys([before, after], ["id"])] == [20]
    assert [t.count for t in rows.conflicts([before, after], ["x", "z"], "y")] == [1]
    shared = rows.overlap(after, before, ["x", "z"])
    assert shared is not None
    assert (shared.count, shared.expected) == (7, False)
    assert rows.overlap(after, before, ["x", "id"]) is None


def test_equal_rows_of_few_categories_are_expected(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": RANDOM.choice(["x", "y"], 900), "b": RANDOM.integers(0, 5, 900)})
    (trouble,) = rows.duplicates([seen(tmp_path, frame)], ["a", "b"])
    assert trouble.expected


def test_two_columns_changing_places_is_another_row(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0, None, 3.0], "b": [2.0, 1.0, 3.0, None]})
    assert list(rows.duplicates([seen(tmp_path, frame)], ["a", "b"])) == []


def test_check_digits_against_published_numbers() -> None:
    assert iban("GB82 WEST 1234 5698 7654 32")
    assert iban("DE89370400440532013000")
    assert not iban("GB82 WEST 1234 5698 7654 33")
    assert luhn("4111 1111 1111 1111")
    assert not luhn("4111 1111 1111 1112")
    for good in (
        "078-05-1120",
        "12345678Z",
        "X1234567L",
        "111222333",
        "44051401359",
        "86095742719",
        "AB123456C",
    ):
        assert national_id(good), good
    for bad in ("000-05-1120", "12345678A", "111222334", "44051401358", "86095742718", "hello"):
        assert not national_id(bad), bad


def test_personal_columns_by_content(tmp_path: Path) -> None:
    n = 200
    digits = RANDOM.integers(0, 10, (n, 8)).astype(str)
    frame = pd.DataFrame({
        "contact": [f"a.{i}@mail.example.org" for i in range(n)], "col7": [f"+49 30 {''.join(d)}" for d in digits],
        "holder": [f"{first} Brook{i}" for i, first in enumerate(RANDOM.choice(["Ada", "Maria", "John", "Wei"], n))],
        "note": ["please write to eva@example.org"] + ["nothing"] * (n - 1),
        "dob": pd.to_datetime("1950-01-01") + pd.to_timedelta(RANDOM.integers(0, 20000, n), "D"),
        "phone": RANDOM.integers(10**9, 10**10, n),
        # not personal
        "telephone": RANDOM.choice(["yes", "none"], n), "beer": [f"Pub Brew {chr(65 + i % 26)}" for i in range(n)],
        "amount": RANDOM.integers(10**9, 10**10, n), "seconds": 1_500_000_000 + RANDOM.integers(0, 10**7, n),
        "city": RANDOM.choice(["Paris", "Rome"], n), "code": [f"L-{i:07d}" for i in range(n)],
    })  # fmt: skip
    found = {t.subject: t.title for t in personal([seen(tmp_path, frame)], list(frame))}
    assert set(found) == {"contact", "col7", "holder", "note", "dob", "phone"}
    assert "e-mail addresses" in found["contact"]
    assert "names of persons" in found["holder"]
    assert len(SIGNS) > 8
