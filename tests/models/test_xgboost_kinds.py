"""XGBoost's linear booster and its hinge, which have no trees or no probability, against XGBoost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mutations import holds_out

from workbench.models import Model, ModelError, Refused
from workbench.models.pieces import sklearn_piece
from workbench.models.xgboost_file import read_xgboost

xgboost = pytest.importorskip("xgboost")

Open = Callable[..., Model]

LINEAR = [
    ({"objective": "reg:squarederror"}, "regression"),
    ({"objective": "count:poisson"}, "regression"),
    ({"objective": "binary:logistic"}, "binary"),
    ({"objective": "multi:softprob", "num_class": 3}, "multiclass"),
]


def _small(numbers: pd.DataFrame) -> pd.DataFrame:
    """Numbers a linear sum can hold in float32."""
    return numbers.assign(
        seen=(numbers["seen"] - 1.7e9) / 1e8, price=numbers["price"] / 1e4, cents=numbers["cents"] / 1e7
    )


@pytest.mark.parametrize("params, task", LINEAR)
def test_a_linear_booster_answers_as_xgboost(
    params: dict[str, Any], task: str, numbers: pd.DataFrame, answers: dict[str, Any], tmp_path: Path, opened: Open
) -> None:
    data = _small(numbers)
    settings = {"booster": "gblinear", "nthread": 1, "updater": "coord_descent", "base_score": 0.3, **params}
    booster = xgboost.train(settings, xgboost.DMatrix(data, label=answers[task]), 20)
    want = booster.predict(xgboost.DMatrix(data))
    for name in ("m.json", "m.ubj"):
        booster.save_model(tmp_path / name)
        for reader in ("library", "workbench"):
            model = opened(name, folder=tmp_path, reader=reader)
            outputs = model.predict(data)
            got = outputs.values if outputs.scores is None else outputs.scores
            np.testing.assert_allclose(got[:, 1] if task == "binary" else got, want, rtol=2e-6, atol=1e-6)
    piece = model.describe()
    assert piece.trees is None
    assert [name for name, _ in piece.children] == ["linear"]
    with pytest.raises(ModelError, match="option rounds is for trees"):
        opened("m.ubj", folder=tmp_path, rounds=3)


def test_a_linear_booster_in_a_wrapper_is_never_an_ensemble_of_no_trees(
    numbers: pd.DataFrame, answers: dict[str, Any]
) -> None:
    wrapper = xgboost.XGBRegressor(booster="gblinear", n_estimators=3, n_jobs=1).fit(
        _small(numbers), answers["regression"]
    )
    piece = sklearn_piece(wrapper)
    assert piece.trees is None
    assert [name for name, _ in piece.children] == ["linear"]


def test_a_hinge_only_decides(numbers: pd.DataFrame, answers: dict[str, Any], tmp_path: Path, opened: Open) -> None:
    booster = xgboost.train(
        {"objective": "binary:hinge", "nthread": 1}, xgboost.DMatrix(numbers, label=answers["binary"]), 8
    )
    booster.save_model(tmp_path / "m.ubj")
    want = booster.predict(xgboost.DMatrix(numbers))
    assert 0 < want.mean() < 1
    for reader in ("library", "workbench"):
        outputs = opened("m.ubj", folder=tmp_path, reader=reader, classes=["no", "yes"]).predict(numbers)
        assert outputs.scores is None
        np.testing.assert_array_equal(outputs.labels, np.where(want > 0, "yes", "no"))
    margin = booster.predict(xgboost.DMatrix(numbers), output_margin=True)
    np.testing.assert_array_equal(outputs.raw, margin.astype(float))


def test_damaged_linear_boosters_are_refused(numbers: pd.DataFrame, answers: dict[str, Any]) -> None:
    label = answers["regression"]
    booster = xgboost.train({"booster": "gblinear", "nthread": 1}, xgboost.DMatrix(_small(numbers), label=label), 2)
    text = bytes(booster.save_raw("json"))
    holds_out(read_xgboost, text)
    at = text.index(b'"weights":[') + len(b'"weights":[')
    with pytest.raises(Refused, match="finite"):
        read_xgboost(text[:at] + b"1e99" + text[text.index(b",", at) :])
    with pytest.raises(ModelError, match="weights for 5 features"):
        read_xgboost(text[:at] + b"1.0," + text[at:])


@pytest.mark.parametrize("path, value", [("tree_info", [[0]]), ("num_parallel_tree", "-0"), ("num_parallel_tree", "0")])
def test_what_a_fuzzer_found(numbers: pd.DataFrame, answers: dict[str, Any], path: str, value: Any) -> None:
    booster = xgboost.train({"nthread": 1}, xgboost.DMatrix(numbers, label=answers["regression"]), 2)
    document = json.loads(booster.save_raw("json"))
    model = document["learner"]["gradient_booster"]["model"]
    (model if path == "tree_info" else model["gbtree_model_param"])[path] = value
    if path == "num_parallel_tree":
        assert np.isfinite(read_xgboost(json.dumps(document).encode()).raw(np.zeros((2, 5)))).all()
        return
    with pytest.raises(Refused, match="2 trees, but 1 outputs"):
        read_xgboost(json.dumps(document).encode())


def test_an_objective_that_is_no_name_is_told_in_a_sentence(numbers: pd.DataFrame, answers: dict[str, Any]) -> None:
    booster = xgboost.train({"nthread": 1}, xgboost.DMatrix(numbers, label=answers["regression"]), 2)
    document = json.loads(booster.save_raw("json"))
    document["learner"]["objective"]["name"] = document["learner"]["gradient_booster"]["model"]["trees"] * 9
    with pytest.raises(ModelError, match="is not one this workbench can answer for") as caught:
        read_xgboost(json.dumps(document).encode())
    assert len(str(caught.value)) < 1_000


def test_a_hinge_lifts_to_its_decisions(
    numbers: pd.DataFrame, answers: dict[str, Any], tmp_path: Path, opened: Open
) -> None:
    from workbench.migrate.lift import lift

    settings = {"objective": "binary:hinge", "nthread": 1}
    xgboost.train(settings, xgboost.DMatrix(numbers, label=answers["binary"]), 6).save_model(tmp_path / "m.ubj")
    model = opened("m.ubj", folder=tmp_path)
    legacy, lifted = model.predict(numbers), lift(model).predict(numbers)
    assert lifted.scores is None
    np.testing.assert_array_equal(lifted.labels, legacy.labels)
