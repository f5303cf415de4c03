"""The sample: every planted truth is in the files, by plain pandas; the clean twin has none; same seed, same bytes."""

from __future__ import annotations

import hashlib
import pickletools
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.demo import FEATURES, FILES, KEY, MODEL, PERSONAL, ROWS, TARGET, Truths, make_demo, read_truths
from workbench.evidence import Limit
from workbench.migration import MigrationError, check, open_migration

Tables = dict[str, pd.DataFrame]


def tables(folder: Path) -> Tables:
    read = {name: folder / file for name, file in FILES.items()}
    return {
        name: pd.read_csv(path, keep_default_na=False, na_values=[""])
        if path.suffix == ".csv"
        else pd.read_parquet(path)
        for name, path in read.items()
    }


@pytest.fixture(scope="module")
def planted(made_once: Callable[..., Path]) -> tuple[Path, Truths, Tables]:
    limits, titles = {"bias/gap": Limit(value=0.8, better="higher")}, {"bias/gap": "A title"}
    folder = made_once("planted", lambda folder: make_demo(folder, limits=limits, titles=titles))
    return folder, read_truths(folder), tables(folder)


@pytest.fixture(scope="module")
def clean(clean_folder: Path) -> tuple[Path, Truths, Tables]:
    return clean_folder, read_truths(clean_folder), tables(clean_folder)


def decisions(folder: Path, frame: pd.DataFrame) -> np.ndarray:
    import joblib

    return joblib.load(folder / MODEL).predict(frame[list(FEATURES)])


def keys(truths: Truths, finding: str, subject: str, table: str) -> set[str]:
    [truth] = [t for t in truths.about(finding) if (t.subject, t.table) == (subject, table)]
    return set(truth.keys)


def test_rows_and_sizes(planted: tuple[Path, Truths, Tables], clean: tuple[Path, Truths, Tables]) -> None:
    for folder, _, found in (planted, clean):
        assert {name: len(frame) for name, frame in found.items()} == ROWS
        assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 10_000_000
        assert "SYNTHETIC" in (folder / "README.txt").read_text()
        assert TARGET not in found["production"]


def test_the_migration_is_valid_and_says_why(planted: tuple[Path, Truths, Tables]) -> None:
    folder, truths, found = planted
    migration = open_migration(folder)
    assert check(migration, ["bias/gap"], []) == []
    assert migration.roles.protected == ("sex", "age_group")
    assert migration.limits["bias/gap"].set_by == "default"
    assert set(migration.roles.personal) == set(PERSONAL) <= set(found["holdout"])
    text = (folder / "migration.yaml").read_text()
    assert "synthetic" in text
    assert "# A title" in text
    assert read_truths(folder) == truths
    with pytest.raises(MigrationError, match="already"):
        make_demo(folder)


def test_the_model_is_one_an_old_bank_could_have(planted: tuple[Path, Truths, Tables]) -> None:
    folder, _, found = planted
    right = decisions(folder, found["holdout"]) == found["holdout"][TARGET]
    assert 0.78 < right.mean() < 0.9
    assert not {*PERSONAL, "collection_calls", "sex", "age_group"} & set(FEATURES)
    opened = pickletools.genops(zlib.decompress((folder / MODEL).read_bytes()))
    said = [arg for op, arg, _ in opened if op.name in ("SHORT_BINUNICODE", "BINUNICODE")]
    modules = {text.split(".")[0] for text in said if text.startswith(("workbench", "__main__", "tests"))}
    assert not modules, "the sample must open without us"


def test_float32_would_lose_cents_and_seconds(clean: tuple[Path, Truths, Tables]) -> None:
    for column in ("income_cents", "account_opened_at"):
        values = clean[2]["train"][column]
        assert (values.astype(np.float32).astype(np.int64) != values).any()


def test_personal_data(planted: tuple[Path, Truths, Tables]) -> None:
    _, truths, found = planted
    assert {truth.subject for truth in truths.about("readiness/personal-data")} == set(PERSONAL)
    frame = found["train"].drop_duplicates(KEY)
    assert frame["email"].str.fullmatch(r"[a-z]+\.[a-z]+\d+@example\.com").all()
    assert frame["email"].is_unique
    assert frame["phone"].str.fullmatch(r"\+1-\d{3}-555-01\d\d").all()


@pytest.mark.parametrize("table", list(ROWS))
def test_disguised_nulls_and_variants(table: str, planted: tuple[Path, Truths, Tables]) -> None:
    _, truths, found = planted
    frame = found[table]
    disguised = frame["purpose"] == "N/A"
    assert set(frame.loc[disguised, KEY]) == keys(truths, "readiness/disguised-nulls", "purpose", table)
    assert disguised.mean() > 0.01
    minus = frame["years_employed"] < 0
    assert set(frame.loc[minus, KEY]) == keys(truths, "readiness/disguised-nulls", "years_employed", table)
    spelt = frame["employment"].str.lower().str.replace("-", " ").str.strip() == "self employed"
    assert frame.loc[spelt, "employment"].nunique() == 4
    other = spelt & (frame["employment"] != "Self-employed")
    assert set(frame.loc[other, KEY]) == keys(truths, "readiness/category-variants", "employment", table)


def test_duplicates_and_overlap(planted: tuple[Path, Truths, Tables]) -> None:
    _, truths, found = planted
    twice = found["train"][found["train"].duplicated()]
    assert len(twice) == 60
    assert set(twice[KEY]) == keys(truths, "readiness/duplicates", "train", "train")
    both = set(found["train"][KEY]) & set(found["holdout"][KEY])
    assert both == keys(truths, "readiness/overlap", "", "holdout")
    assert len(both) == 120
    train = found["train"].drop_duplicates().set_index(KEY).loc[sorted(both), list(FEATURES)]
    holdout = found["holdout"].set_index(KEY).loc[sorted(both), list(FEATURES)]
    pd.testing.assert_frame_equal(train, holdout, check_dtype=False)


def _auc(score: pd.Series, label: pd.Series) -> float:
    """Mann and Whitney's U over the number of pairs."""
    rank = score.rank()
    positives = int(label.sum())
    return float((rank[label == 1].sum() - positives * (positives + 1) / 2) / (positives * (len(label) - positives)))


def test_the_leak_nearly_is_the_label(planted: tuple[Path, Truths, Tables]) -> None:
    for name in ("train", "holdout"):
        frame = planted[2][name]
        assert _auc(-frame["collection_calls"], frame[TARGET]) > 0.93


def test_label_noise(planted: tuple[Path, Truths, Tables]) -> None:
    _, truths, found = planted
    frame = found["train"].drop_duplicates(KEY).set_index(KEY)
    flipped = frame.index.isin(keys(truths, "readiness/label-noise", TARGET, "train"))
    assert 0.03 < flipped.mean() < 0.05
    late = frame["collection_calls"] > 0  # written before the labels were flipped
    assert ((frame[TARGET] == 0) == late)[~flipped].mean() > 0.97
    assert ((frame[TARGET] == 0) == late)[flipped].mean() < 0.03


def test_drift(planted: tuple[Path, Truths, Tables]) -> None:
    train, production = planted[2]["train"], planted[2]["production"]
    assert production["income_cents"].median() < 0.8 * train["income_cents"].median()
    assert (production["employment"] == "Gig work").mean() > 0.1
    assert not (train["employment"] == "Gig work").any()


def test_the_gap_and_the_proxy(planted: tuple[Path, Truths, Tables]) -> None:
    folder, _, found = planted
    holdout = found["holdout"]
    rate = pd.Series(decisions(folder, holdout)).groupby(holdout["sex"]).mean()
    assert rate["female"] / rate["male"] < 0.7
    ages = pd.Series(decisions(folder, holdout)).groupby(holdout["age_group"]).mean()
    assert ages.min() / ages.max() > 0.93
    told = pd.crosstab(found["train"]["customer_segment"], found["train"]["age_group"])
    assert told.max(axis=1).sum() / len(found["train"]) > 0.95


def test_the_clean_twin_has_none_of_it(clean: tuple[Path, Truths, Tables]) -> None:
    folder, truths, found = clean
    assert truths.clean
    assert not truths.planted
    train, holdout, production = found.values()
    for frame in found.values():
        assert not {*PERSONAL, "collection_calls"} & set(frame.columns)
        assert frame[KEY].is_unique
        assert frame["employment"].nunique() == 4
        assert not (frame["purpose"] == "N/A").any()
        assert frame["years_employed"].min() >= 0
    assert not set(train[KEY]) & set(holdout[KEY])
    assert not pd.concat([train, holdout]).drop(columns=KEY).duplicated().any()
    assert abs(production["income_cents"].median() / train["income_cents"].median() - 1) < 0.02
    told = pd.crosstab(train["customer_segment"], train["age_group"])
    assert told.max(axis=1).sum() / len(train) < 0.36
    for group in ("sex", "age_group"):
        rate = pd.Series(decisions(folder, holdout)).groupby(holdout[group]).mean()
        assert rate.min() / rate.max() > 0.95
    for column in set(holdout.select_dtypes("number")) - {TARGET}:
        known = holdout.dropna(subset=column)
        assert abs(_auc(known[column], known[TARGET]) - 0.5) < 0.4


def test_same_seed_same_sample(sample_folder: Path, planted: tuple[Path, Truths, Tables]) -> None:
    assert read_truths(sample_folder) == planted[1]
    for file in FILES.values():
        digests = {hashlib.sha256((folder / file).read_bytes()).digest() for folder in (sample_folder, planted[0])}
        assert len(digests) == 1
    rows = planted[2]["holdout"]
    assert (decisions(sample_folder, rows) == decisions(planted[0], rows)).all()


def test_another_seed_gives_another_sample_within_seconds(tmp_path: Path, sample_folder: Path) -> None:
    started = time.process_time()
    other = make_demo(tmp_path / "other", seed=1)
    assert time.process_time() - started < 20
    assert other.planted != read_truths(sample_folder).planted
