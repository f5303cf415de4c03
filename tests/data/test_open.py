"""The door to tables, against pandas, the csv module and plain arithmetic."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.data import Column, DataError, open_data, source
from workbench.data.table import choose


def write(folder: Path, text: str | bytes, name: str = "rows.csv") -> str:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def types(uri: str) -> dict[str, str]:
    return {column.name: column.type for column in open_data(uri).columns}


def test_importing_the_door_is_light() -> None:
    code = "import sys, workbench.data; print([m for m in ('pandas', 'numpy', 'duckdb', 'ibis') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_types_and_pandas_dtypes(tmp_path: Path) -> None:
    uri = write(
        tmp_path,
        "i,gap,x,s,b,bg,d,t,z,empty\n"
        "1,1,1.5,a,TRUE,true,2020-01-31,2020-01-31 10:00:00,2020-01-31T10:00:00+02:00,\n"
        "2,,-2e3,b,FALSE,,2021-02-28,2021-02-28 11:30:00,2020-01-31T10:00:00Z,\n",
    )
    assert types(uri) == {
        "i": "integer", "gap": "integer", "x": "number", "s": "text", "b": "bool", "bg": "bool", "d": "date",
        "t": "datetime", "z": "datetime", "empty": "number",
    }  # fmt: skip
    frame = open_data(uri).frame()
    assert [str(kind) for kind in frame.dtypes] == [
        "int64", "float64", "float64", "str", "bool", "object", "datetime64[us]", "datetime64[us]", "datetime64[us]",
        "float64",
    ]  # fmt: skip
    assert frame["z"].tolist() == [pd.Timestamp("2020-01-31 08:00"), pd.Timestamp("2020-01-31 10:00")]
    assert frame["bg"].tolist()[0] is True
    assert frame["bg"].isna().tolist() == [False, True]


@pytest.mark.parametrize("value", ["t", "yes", "0x10", "1_000", "12,5", "N/A", "?", "2020", "31.01.2020", "1 2"])
def test_what_pandas_calls_text_stays_text(tmp_path: Path, value: str) -> None:
    found = types(write(tmp_path, f'a,b\n1,"{value}"\n2,"{value}"\n'))["b"]
    assert found == ("integer" if value == "2020" else "text")


def test_one_odd_value_after_many_rows_makes_the_column_text(tmp_path: Path) -> None:
    uri = write(tmp_path, "a,b\n" + "1,2.5\n" * 30_000 + "1,?\n")
    assert types(uri) == {"a": "integer", "b": "text"}
    assert open_data(uri).frame(["b"], limit=None)["b"].iloc[-1] == "?"


def test_disguised_nulls_stay_visible(tmp_path: Path) -> None:
    frame = open_data(write(tmp_path, 'a,b\nNA,1\nnull,\n"",3\n')).frame()
    assert frame["a"].tolist()[:2] == ["NA", "null"]
    assert frame["a"].isna().tolist() == [False, False, True]
    assert frame["b"].isna().tolist() == [False, True, False]


def test_numbers_are_read_to_the_last_bit(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=2000) * 10.0 ** np.random.default_rng(1).integers(-20, 20, 2000)
    uri = write(tmp_path, "x\n" + "\n".join(map(repr, values.tolist())))
    assert open_data(uri).frame()["x"].to_numpy().tobytes() == values.tobytes()


def test_duplicate_and_empty_headers_are_renamed_and_reported(tmp_path: Path) -> None:
    table = open_data(write(tmp_path, "x,x,x_1,,A,a\n1,2,3,4,5,6\n7,8,9,10,11,12\n"))
    assert [column.name for column in table.columns] == ["x", "x_2", "x_1", "Unnamed: 3", "A", "a"]
    assert len(table.notes) == 2
    assert "'x' more than once" in table.notes[0]
    assert table.frame().iloc[1].tolist() == [7, 8, 9, 10, 11, 12]


def test_quoted_newlines_and_delimiters(tmp_path: Path) -> None:
    rows = [["a;b", "c\nd"], ['say "hi"', "x\r\ny"], ["plain", "z"]] * 500
    text = io.StringIO()
    csv.writer(text, delimiter=";").writerows([["first", "second\nline"], *rows])
    frame = open_data(write(tmp_path, text.getvalue())).frame()
    assert list(frame.columns) == ["first", "second\nline"]
    assert frame.to_numpy().tolist() == rows


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    table = open_data(write(tmp_path, "näme,b\nMüller,1\nÅse,2\n".encode(encoding)))
    assert table.frame()["näme"].tolist() == ["Müller", "Åse"]
    assert bool(table.notes) == (encoding in ("latin-1", "utf-16"))


def test_a_file_without_header_says_what_to_do(tmp_path: Path) -> None:
    table = open_data(write(tmp_path, "".join(f"A{i % 3} {i} B{i % 2} {i * 2}\n" for i in range(40)), "old.data"))
    assert [column.name for column in table.columns] == ["column_0", "column_1", "column_2", "column_3"]
    assert table.rows == 40
    assert "Write the names as the first line" in table.notes[0]


def test_headers_that_are_numbers_above_text_or_a_count_are_headers(tmp_path: Path) -> None:
    assert list(types(write(tmp_path, "id,2019,2020\n1,5,6\n2,7,8\n"))) == ["id", "2019", "2020"]
    assert list(types(write(tmp_path, "0,1,2\n5,5,6\n2,7,8\n"))) == ["0", "1", "2"]


def test_hostile_column_names_stay_text(tmp_path: Path) -> None:
    names = ["<img src=x onerror=alert(1)>", "</script>", "a'b\"c", "‮abc", "n" * 10_000, "x; DROP TABLE t", "{0}", "?"]
    text = io.StringIO()
    csv.writer(text).writerows([names, *[[str(i)] * len(names) for i in range(5)]])
    table = open_data(write(tmp_path, text.getvalue()))
    assert [column.name for column in table.columns] == names
    assert table.sample(3)[names[2]].between(0, 4).all()
    frame = pd.DataFrame({name: [1, 2] for name in [*names, "A", "a", "row", "c0", "file_row_number"]})
    frame.to_parquet(tmp_path / "h.parquet")
    pd.testing.assert_frame_equal(open_data(str(tmp_path / "h.parquet")).frame(), frame)


def test_parquet_equals_pandas(tmp_path: Path) -> None:
    frame = pd.DataFrame({"i": [3, 1, 2], "x": [0.5, np.nan, np.inf], "s": ["a", None, "b"], "b": [True, False, True]})
    frame["t"] = pd.to_datetime(["2020-01-01", None, "2021-01-01"]).astype("datetime64[us]")
    frame["c"] = frame["s"].astype("category")
    frame.to_parquet(tmp_path / "a.parquet")
    table = open_data("a.parquet", tmp_path)
    assert [column.type for column in table.columns] == ["integer", "number", "text", "bool", "datetime", "text"]
    expected = frame.astype({"c": "str"})
    pd.testing.assert_frame_equal(table.frame(), expected, check_dtype=True)


def test_lists_and_globs_in_order_and_by_name(tmp_path: Path) -> None:
    write(tmp_path, "a,b\n1,x\n", "1.csv")
    write(tmp_path, "b,a\ny,2.5\n", "2.csv")
    for uri in ("*.csv", ["1.csv", "2.csv"]):
        frame = open_data(uri, tmp_path).frame()
        assert frame["a"].tolist() == [1.0, 2.5]
        assert frame["b"].tolist() == ["x", "y"]
    for i, part in enumerate(np.array_split(np.arange(100), 3)):
        pd.DataFrame({"n": part}).to_parquet(tmp_path / f"{i}.parquet")
    assert open_data("*.parquet", tmp_path).frame()["n"].tolist() == list(range(100))


def test_files_that_differ_are_named(tmp_path: Path) -> None:
    write(tmp_path, "a,b\n1,x\n", "1.csv")
    write(tmp_path, "a,c\n1,x\n", "2.csv")
    with pytest.raises(DataError, match=r"2\.csv lacks 'b' and has also 'c'"):
        open_data("*.csv", tmp_path)


def test_gzip(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}).to_csv(tmp_path / "a.csv.gz", index=False)
    assert open_data("a.csv.gz", tmp_path).frame()["b"].tolist() == ["x", "y"]


def test_sample_is_bounded_seeded_nested_and_in_file_order(tmp_path: Path) -> None:
    pd.DataFrame({"n": np.arange(50_000), "s": np.arange(50_000).astype(str)}).to_parquet(
        tmp_path / "a.parquet", row_group_size=3_000
    )
    pd.DataFrame({"n": np.arange(50_000), "s": np.arange(50_000).astype(str)}).to_csv(tmp_path / "a.csv", index=False)
    table, text = open_data("a.parquet", tmp_path), open_data("a.csv", tmp_path)
    small, large = table.sample(500)["n"], table.sample(5_000)["n"]
    assert len(small) == 500
    assert small.is_monotonic_increasing
    assert set(small) <= set(large)
    assert text.sample(500)["n"].tolist() == small.tolist()
    assert table.sample(500, seed=1)["n"].tolist() != small.tolist()
    assert len(table.sample(60_000)) == 50_000
    # uniform: each tenth of the file gets its share (binomial, 5 standard deviations)
    assert np.abs(np.histogram(large, 10)[0] - 500).max() < 5 * np.sqrt(500 * 0.9)


def test_sample_does_not_depend_on_threads(tmp_path: Path) -> None:
    pd.DataFrame({"n": np.arange(40_000)}).to_parquet(tmp_path / "a.parquet", row_group_size=2_048)
    code = (
        "import sys; from workbench.data import engine, open_data; engine.THREADS = int(sys.argv[2])\n"
        "print(open_data(sys.argv[1]).sample(300)['n'].sum(), open_data(sys.argv[1]).sample(300)['n'].iloc[17])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-W", "error", "-c", code, str(tmp_path / "a.parquet"), threads],
            capture_output=True, text=True, check=True,
        ).stdout
        for threads in ("1", "2")
    }  # fmt: skip
    assert len(outputs) == 1


def test_choice_of_rows_is_fixed_for_ever() -> None:
    """A change here silently changes which rows every stored evidence was made of."""
    assert choose(1000, 5).tolist() == sorted(choose(1000, 5).tolist())
    assert hashlib.sha256(choose(3_000_000, 1000, 7).astype("<i8").tobytes()).hexdigest()[:16] == "a44e01515d8b934e"


def test_fingerprint_is_of_the_content_and_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = write(tmp_path, "a,b\n1,2\n")
    expected = hashlib.sha256(Path(uri).read_bytes()).hexdigest()
    assert open_data(uri, cache=tmp_path / "cache").fingerprint == expected
    with monkeypatch.context() as patch:
        patch.setattr(source, "_sha256", lambda path: pytest.fail("read again"))
        assert open_data(uri, cache=tmp_path / "cache").fingerprint == expected
    write(tmp_path, "a,b\n1,3\n")
    assert open_data(uri, cache=tmp_path / "cache").fingerprint != expected
    next((tmp_path / "cache").iterdir()).write_text("torn")
    assert open_data(uri, cache=tmp_path / "cache").fingerprint == open_data(uri).fingerprint


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"a,b\n", "no rows"),
        (b"PK\x03\x04 and so on", "Excel workbook"),
        (b"\x00\x01\x02binary", "binary file"),
        (b"\x80\x04\x95pickle", "can run code"),
        (b"PAR1 cut short", "not a whole Parquet file"),
        (b"a,b\n1,2\n3,4,5,6\n", "line|Line"),
        (b"\n\n\n", "no rows|cannot be read"),
    ],
)
def test_bad_files_end_in_a_sentence(tmp_path: Path, content: bytes, told: str) -> None:
    with pytest.raises(DataError, match=told) as caught:
        open_data(write(tmp_path, content))
    assert str(caught.value).rstrip().endswith(".")


def test_a_refused_row_is_not_quoted(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        open_data(write(tmp_path, "name,b\nx,1\nSECRET PERSON,2,3,4\n" + "y,2\n" * 50))
    assert "SECRET" not in str(caught.value)


def test_missing_files_folders_and_urls(tmp_path: Path) -> None:
    write(tmp_path, "a\n1\n", "loans.csv")
    with pytest.raises(DataError, match=r"Did you mean loans\.csv\?"):
        open_data("loan.csv", tmp_path)
    (tmp_path / "credit").mkdir()
    with pytest.raises(DataError) as missing:
        open_data("../nope.csv", tmp_path / "credit")
    assert f"There is no file ../nope.csv in {tmp_path.name}/. It holds loans.csv." in str(missing.value)
    assert str(tmp_path.parent) not in str(missing.value), "the sentence is kept as evidence"
    with pytest.raises(DataError, match=r"in there/\. That folder does not exist either"):
        open_data("there/nope.csv", tmp_path)
    with pytest.raises(DataError, match="is a folder"):
        open_data(".", tmp_path)
    with pytest.raises(DataError, match="only local files"):
        open_data("https://example.org/a.csv")
    with pytest.raises(DataError, match="list is empty"):
        open_data([])
    with pytest.raises(DataError, match=r"has no column .aa.\. Did you mean .a."):
        open_data("loans.csv", tmp_path).frame(["aa"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_file(tmp_path: Path) -> None:
    uri = write(tmp_path, "a\n1\n")
    Path(uri).chmod(0)
    with pytest.raises(DataError, match="permissions"):
        open_data(uri)


def test_a_forgotten_table_leaves_the_engine(tmp_path: Path) -> None:
    from workbench.data import engine

    table = open_data(write(tmp_path, "a\n1\n"))
    name = table.expr.get_name()
    del table
    with pytest.raises(Exception, match="does not exist"):
        engine.query(f"SELECT * FROM {name}")


def test_real_files_equal_pandas(cases: Path) -> None:
    for name in ("legacy_models/lightgbm/2.3.0/input_Audit.csv", "fairness/german/german_data_credit_lequy.csv"):
        expected = pd.read_csv(cases / name, keep_default_na=False)
        pd.testing.assert_frame_equal(open_data(name, cases).frame(), expected)


def test_compas_duplicated_headers(cases: Path) -> None:
    table = open_data("fairness/compas/compas-scores-two-years.deid.csv", cases)
    assert table.rows == 7214
    assert len(table.notes) == 2
    assert table.column("priors_count_1") == Column("priors_count_1", "integer", "c41")


@pytest.mark.parametrize("seed", range(8))
def test_random_files_equal_the_csv_module(tmp_path: Path, seed: int) -> None:
    """Quotes, line breaks and delimiters inside cells, both line endings, header names with line breaks."""
    draw = np.random.default_rng(seed)
    width, rows = int(draw.integers(2, 6)), int(draw.choice([2, 300, 3000]))
    parts = ["a", "b", '"', "'", "\n", "\r\n", ",", ";", "\t", " ", "é", "-2.5", "#", "/"]
    cells = [["".join(draw.choice(parts, draw.integers(0, 4))) for _ in range(width)] for _ in range(rows)]
    wanted = [row for row in cells if any(row)]
    header = [f"h{i}\n" if draw.random() < 0.2 else f"h{i}" for i in range(width)]
    text = io.StringIO()
    ending, mark = str(draw.choice(["\n", "\r\n"])), str(draw.choice([",", ";", "\t", "|"]))
    csv.writer(text, delimiter=mark, lineterminator=ending).writerows([header, *wanted])
    table = open_data(write(tmp_path, text.getvalue()))
    assert table.rows == len(wanted)
    for column, values in zip(table.columns, zip(*wanted)):
        if column.type == "text":
            read = table.frame([column.name])[column.name]
            assert read.astype(object).where(read.notna(), "").tolist() == list(values)
