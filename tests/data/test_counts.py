"""Counting in place against pandas on the same rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.data import DataError, open_data
from workbench.data.counts import AtLeast, Binned, Cells, Cut, Listed, Rows, binned, count, distinct, spread, weights

KEYS = {
    "group": Listed("group", {"a": 0, "b": 1}, 3),
    "band": Cut("age", (25.0, 40.0)),
    "yes": AtLeast("score", 0.3),
    "bin": Binned("score", 100),
}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    score = np.where(rng.random(3000) < 0.5, rng.integers(0, 101, 3000) / 100, rng.random(3000))
    made = pd.DataFrame({"group": rng.choice(["a", "b", "c"], 3000), "age": rng.integers(18, 80, 3000).astype(float)})
    made = made.assign(score=score, w=rng.exponential(size=3000))
    made.loc[:30, "group"], made.loc[20:60, "age"], made.loc[50:80, "score"] = None, np.nan, np.nan
    made.loc[81, "age"], made.loc[82, "score"] = np.inf, -0.5
    return made


@pytest.fixture(scope="module", params=["parquet", "csv"])
def rows(request: pytest.FixtureRequest, frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "csv":
        frame.to_csv(folder / "rows.csv", index=False)
        return Rows(open_data("rows.csv", folder))
    frame.iloc[:1000].to_parquet(folder / "part0.parquet")
    frame.iloc[1000:].to_parquet(folder / "part1.parquet")
    frame[["score"]].rename(columns={"score": "kept"}).to_parquet(folder / "beside.parquet")
    return Rows(open_data("part*.parquet", folder), open_data("beside.parquet", folder))


def _expected(frame: pd.DataFrame, *, keys: tuple[str, ...]) -> pd.DataFrame:
    score = frame.score.to_numpy()
    with np.errstate(invalid="ignore"):
        # Each score is held against every edge as it is, so that no rounding can hide.
        held = (score[:, None] >= np.arange(101) / 100).sum(1) - 1
    coded = pd.DataFrame(
        {
            "group": frame.group.map({"a": 0, "b": 1}).fillna(2).astype(int),
            "band": np.where(np.isfinite(frame.age), np.digitize(frame.age, [25, 40]), 3),
            "yes": np.where(np.isfinite(score), score >= 0.3, 2),
            "bin": np.where((score >= 0) & (score <= 1), held, 101),
            "w": frame.w,
            "square": frame.w**2,
            "moment": frame.w * frame.age,
        }
    )
    return coded[coded.yes < 2].groupby(list(keys))


def _frame(cells: Cells, keys: tuple[str, ...]) -> pd.DataFrame:
    found = pd.DataFrame(dict(zip(keys, cells.codes))).assign(n=cells.rows, w=cells.weight, square=cells.squares)
    return found.sort_values(list(keys)).set_index(list(keys))


def test_cells_are_those_of_pandas_in_one_scan(rows: Rows, frame: pd.DataFrame) -> None:
    groupings = [("group", "yes"), ("group", "band", "bin"), ("band",)]
    for weight in (None, "w"):
        found = count(rows, KEYS, groupings, answered=("yes",), weight=weight)
        for keys, cells in zip(groupings, found):
            mine, expected = _frame(cells, keys), _expected(frame, keys=keys)
            assert mine.n.to_dict() == expected.size().to_dict()
            sums = expected[["w", "square"]].sum() if weight else expected.size().to_frame("w").assign(square=mine.n)
            np.testing.assert_allclose(mine[["w", "square"]], sums, rtol=1e-12)


def test_moments_are_sums_of_a_column(rows: Rows, frame: pd.DataFrame) -> None:
    [cells] = count(rows, KEYS, [("group", "yes")], answered=("yes",), weight="w", moments=("w",))
    expected = frame[np.isfinite(frame.score)]
    assert cells.sums["w"][0].sum() == pytest.approx((expected.w**2).sum())
    assert cells.sums["w"][1].sum() == pytest.approx((expected.w**3).sum())


def test_every_edge_of_every_number_of_bins_is_exact() -> None:
    for bins in (7, 10, 100, 1000, 1500):
        edges = np.arange(bins + 1) / bins
        near = np.concatenate([edges, np.nextafter(edges[1:], 0), np.nextafter(edges[:-1], 1)])
        assert (binned(near, bins) == (near[:, None] >= edges).sum(1) - 1).all()
    assert binned(np.array([np.nan, -0.1, 1.1, np.inf]), 10).tolist() == [11] * 4


def test_what_a_column_holds(rows: Rows, frame: pd.DataFrame) -> None:
    values = distinct(rows, "group")
    assert values is not None
    assert set(values.dropna()) == {"a", "b", "c"}
    assert values.isna().sum() == 1
    assert distinct(rows, "w", most=100) is None
    finite = frame.age[np.isfinite(frame.age) & np.isfinite(frame.score)]
    found = spread(rows, "age", (0.25, 0.7), where=("score",))
    assert found == pytest.approx((finite.min(), finite.max(), finite.quantile(0.25), finite.quantile(0.7)))
    assert weights(rows, "w") == (0, 3000, True)
    assert weights(rows, "score") == (32, 3000, True)


def test_answers_beside_a_table_count_as_its_own(rows: Rows) -> None:
    if rows.beside is None:
        pytest.skip("the answers are in the table itself")
    keys = KEYS | {"same": Binned("kept", 100)}
    first, second = count(rows, keys, [("group", "bin"), ("group", "same")])
    assert dict(zip(first.place.tolist(), first.rows.tolist())) == dict(
        zip(second.place.tolist(), second.rows.tolist())
    )


def test_answers_of_other_rows_are_refused(rows: Rows, tmp_path: Path) -> None:
    pd.DataFrame({"kept": [0.5]}).to_parquet(tmp_path / "short.parquet")
    with pytest.raises(DataError, match="row by row"):
        Rows(rows.table, open_data("short.parquet", tmp_path))


def test_a_scan_holds_bounded_memory(tmp_path: Path) -> None:
    import duckdb

    from workbench.data import engine

    duckdb.sql("SELECT range % 97 AS g, random() AS score FROM range(3_000_000)").write_parquet(
        str(tmp_path / "many.parquet")
    )
    held = engine.query("SELECT sum(memory_usage_bytes) FROM duckdb_memory()")[0][0]
    keys = {"g": Listed("g", {i: i for i in range(97)}, 98), "bin": Binned("score", 100)}
    [cells] = count(Rows(open_data("many.parquet", tmp_path)), keys, [("g", "bin")])
    assert (len(cells.place), cells.rows.sum()) == (9700, 3_000_000)
    assert engine.query("SELECT sum(memory_usage_bytes) FROM duckdb_memory()")[0][0] - held < 50e6
