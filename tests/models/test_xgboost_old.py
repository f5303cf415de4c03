"""XGBoost's old binary files against outputs made by the versions that wrote them, and feature maps."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mutations import holds_out

from workbench.models import Model, ModelError
from workbench.models.feature_map import FeatureMap, read_feature_map
from workbench.models.xgboost_file import read_xgboost

Open = Callable[..., Model]

OLD = [
    (version, name, data)
    for version in ("0.71", "1.3.1")
    for name, data in (
        ("BinomialClassificationAudit", "Audit"),
        ("LinearRegressionAuto", "Auto"),
        ("LogisticRegressionAudit", "Audit"),
        ("MultinomialClassificationIris", "Iris"),
    )
]


@pytest.mark.parametrize("version, name, data", OLD)
def test_old_files_give_their_known_answers(cases: Path, opened: Open, version: str, name: str, data: str) -> None:
    folder = cases / "legacy_models/xgboost" / version
    model = opened(f"{name}.model", folder=folder, feature_map=f"input_{data}.fmap")
    outputs = model.predict(pd.read_csv(folder / f"input_{data}.csv"))
    want = pd.read_csv(folder / f"{name}.expected.csv")
    if model.task == "regression":
        bar = 1e-6 if name.startswith("Logistic") else 1e-5
        np.testing.assert_allclose(outputs.values, want["_target"], rtol=0, atol=bar)
    else:
        np.testing.assert_allclose(outputs.scores, want.iloc[:, 1:], rtol=0, atol=1e-6)
        np.testing.assert_array_equal(outputs.labels, want["_target"])


@pytest.mark.parametrize("version, name, data", OLD)
def test_the_same_inputs_as_the_library_s_own_sparse_file(cases: Path, version: str, name: str, data: str) -> None:
    folder = cases / "legacy_models/xgboost/0.71"
    entries = read_feature_map(folder / f"input_{data}.fmap")
    rows = [line.split()[1:] for line in (folder / f"input_{data}.svm").read_text().splitlines()]
    matrix = np.full((len(rows), len(entries)), np.nan)
    for row, cells in zip(matrix, rows):
        for cell in cells:
            place, value = cell.split(":")
            row[int(place)] = float(value)
    frame = pd.read_csv(folder / f"input_{data}.csv")
    mapped = FeatureMap(entries)
    from workbench.models.inputs import conform

    booster = read_xgboost((cases / "legacy_models/xgboost" / version / f"{name}.model").read_bytes())
    np.testing.assert_array_equal(mapped.expand(conform(frame, mapped.raw(booster).inputs)), matrix.astype(np.float32))


def test_columns_by_position_where_the_model_has_no_names(cases: Path, opened: Open) -> None:
    folder = cases / "legacy_models/xgboost/0.71"
    frame = pd.read_csv(folder / "input_Iris.csv")
    want = pd.read_csv(folder / "MultinomialClassificationIris.expected.csv")
    for host in (False, True):
        model = opened("MultinomialClassificationIris.model", folder=folder, host=host)
        np.testing.assert_allclose(model.predict(frame.iloc[:, :4]).scores, want.iloc[:, 1:], atol=1e-6)
        with pytest.raises(ModelError, match=r"5 columns for its 4.*option features"):
            model.predict(frame)
    named = opened("MultinomialClassificationIris.model", folder=folder, features=list(frame.columns[:4]))
    np.testing.assert_allclose(named.predict(frame.iloc[:, ::-1]).scores, want.iloc[:, 1:], atol=1e-6)


def test_an_old_model_lifts_with_its_feature_map(cases: Path, opened: Open) -> None:
    pytest.importorskip("torch")
    from workbench.migrate.lift import lift

    folder = cases / "legacy_models/xgboost/1.3.1"
    frame = pd.read_csv(folder / "input_Audit.csv").head(300)
    frame.loc[:5, "Occupation"] = np.nan
    frame.loc[6:9, "Occupation"] = "Astronaut"
    model = opened("BinomialClassificationAudit.model", folder=folder, feature_map="input_Audit.fmap")
    want, got = model.predict(frame), lift(model).predict(frame)
    np.testing.assert_allclose(got.scores, want.scores, rtol=0, atol=1e-7)
    np.testing.assert_array_equal(got.labels, want.labels)


def test_other_shells_of_the_same_model(cases: Path) -> None:
    data = (cases / "legacy_models/xgboost/1.3.1/LinearRegressionAuto.model").read_bytes()
    X = np.random.default_rng(1).choice([1.0, 2.0, 80.0, 150.0, np.nan, 3000.0], (200, 13))
    want = read_xgboost(data).trees.raw(X)
    assert read_xgboost(data).trees.base[0] == 0.5
    for other in (data[4:], b"bs64\t" + base64.b64encode(data[4:])):
        np.testing.assert_array_equal(read_xgboost(other).trees.raw(X), want)


def test_the_base_score_is_a_margin_before_version_1_and_a_probability_after(cases: Path) -> None:
    folder = cases / "legacy_models/xgboost"
    old = bytearray((folder / "0.71/BinomialClassificationAudit.model").read_bytes())
    new = bytearray((folder / "1.3.1/BinomialClassificationAudit.model").read_bytes())
    old[0:4] = new[4:8] = struct.pack("<f", 0.25)
    assert read_xgboost(bytes(old)).trees.base[0] == 0.25
    np.testing.assert_allclose(read_xgboost(bytes(new)).trees.base[0], np.log(0.25 / 0.75), rtol=1e-6)


def test_a_dump_is_no_model(cases: Path, opened: Open) -> None:
    folder = cases / "legacy_models/xgboost"
    for file in [*folder.glob("1.3.1/*.json"), *folder.glob("0.71/*.txt")]:
        with pytest.raises(ModelError, match=r"dump of XGBoost trees.*save_model"):
            opened(file.name, folder=file.parent)


def test_a_feature_map_on_a_model_the_library_still_reads(opened: Open, tmp_path: Path) -> None:
    xgboost = pytest.importorskip("xgboost")
    rng, n = np.random.default_rng(3), 800
    trades = [f"trade {number}" for number in range(40)]
    frame = pd.DataFrame(
        {"age": rng.normal(size=n), "trade": rng.choice(trades, n), "member": rng.choice([0.0, 1.0], n)}
    )
    lines = ["0\tage\tq", *(f"{place}\ttrade={name}\ti" for place, name in enumerate(trades, 1)), "41\tmember\ti"]
    (tmp_path / "m.fmap").write_text("\n".join(lines))
    X = np.column_stack([frame["age"], *((frame["trade"] == name) for name in trades), frame["member"]]).astype(float)
    X[:, 1:][X[:, 1:] == 0] = np.nan
    target = frame["trade"].isin(trades[:20]) + frame["member"] * frame["age"]
    booster = xgboost.train({"nthread": 1, "max_depth": 8}, xgboost.DMatrix(X, label=target), 20)
    booster.save_model(tmp_path / "m.ubj")
    frame.loc[:9, "trade"] = np.nan
    frame.loc[10:19, "trade"] = "never seen"
    frame.loc[20:29, "member"] = np.nan
    X[:20, 1:41] = np.nan
    X[20:30, 41] = np.nan
    want = booster.predict(xgboost.DMatrix(X))
    for reader in ("library", "workbench"):
        model = opened("m.ubj", folder=tmp_path, feature_map="m.fmap", reader=reader)
        assert [one.name for one in model.inputs] == ["age", "trade", "member"]
        np.testing.assert_array_equal(model.predict(frame).values, want.astype(float))
    other = opened("m.ubj", folder=tmp_path)
    assert other.fingerprint != model.fingerprint


def test_a_feature_map_is_named_from_the_model_or_from_the_folder(cases: Path, opened: Open) -> None:
    folder = cases / "legacy_models/xgboost"
    rows = pd.read_csv(folder / "0.71/input_Auto.csv")
    names = ["input_Auto.fmap", "0.71/input_Auto.fmap", str(folder / "0.71/input_Auto.fmap")]
    for host in (False, True):
        models = [
            opened("0.71/LinearRegressionAuto.model", folder=folder, feature_map=name, host=host)
            for name in (names if not host else names[1:2])
        ]
        answers = [model.predict(rows).values for model in models]
        np.testing.assert_array_equal(answers, answers[:1] * len(models))


def test_evidence_is_stale_once_the_feature_map_has_changed(tmp_path: Path) -> None:
    from types import SimpleNamespace

    from workbench.catalog.freshness import _model_hash
    from workbench.migration.declared import ModelSource

    (tmp_path / "old").mkdir()
    (tmp_path / "old/m.model").write_bytes(b"binf")
    migration: Any = SimpleNamespace(folder=tmp_path)
    found = []
    for text in ("0 a q", "0 b q", "0 a q"):
        (tmp_path / "old/m.fmap").write_text(text)
        found.append(_model_hash(migration, ModelSource(uri="old/m.model", options={"feature_map": "m.fmap"})))
    assert found[0] == found[2] != found[1]


BAD_MAPS: list[tuple[str, str]] = [
    ("0 a q", "1 lines, and the model asks for 13"),
    ("0 a q\n2 b q", r"line 2: '2 b q' is not '1 <name>"),
    ("0 a x", "line 1"),
    ("0 a q\n1 a=2 i", "names 'a' twice"),
]


@pytest.mark.parametrize("text, said", BAD_MAPS)
def test_a_feature_map_that_does_not_fit(cases: Path, opened: Open, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.fmap").write_text(text)
    model = cases / "legacy_models/xgboost/1.3.1/LinearRegressionAuto.model"
    with pytest.raises(ModelError, match=said):
        opened(model, feature_map=str(tmp_path / "a.fmap"))
    with pytest.raises(ModelError, match="no feature map"):
        opened(model, feature_map="none.fmap")


@pytest.mark.parametrize("file", ["0.71/MultinomialClassificationIris", "1.3.1/MultinomialClassificationIris"])
def test_damaged_files_are_refused(cases: Path, file: str) -> None:
    data = (cases / "legacy_models/xgboost" / f"{file}.model").read_bytes()
    holds_out(read_xgboost, data)
    for size in (10, 140, 170, 400, len(data) // 2, len(data) - 3):
        with pytest.raises(ModelError):
            read_xgboost(data[:size])


def test_damaged_json_is_refused() -> None:
    xgboost = pytest.importorskip("xgboost")
    rng = np.random.default_rng(0)
    X: Any = rng.normal(size=(200, 4))
    booster = xgboost.train({"nthread": 1, "max_depth": 3}, xgboost.DMatrix(X, label=X[:, 0]), 3)
    for form in ("json", "ubj"):
        holds_out(read_xgboost, bytes(booster.save_raw(form)))
