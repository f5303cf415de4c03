"""Every kind of LightGBM model against LightGBM: objectives and their links, forests, linear trees, damage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mutations import holds_out

from workbench.models import Model, Refused
from workbench.models.lightgbm_file import read_lightgbm
from workbench.models.pieces import sklearn_piece

lightgbm = pytest.importorskip("lightgbm")

Open = Callable[..., Model]
QUIET = {"verbosity": -1, "num_threads": 1, "seed": 1, "num_leaves": 12}

KINDS: list[dict[str, Any]] = [
    *({"objective": name} for name in ("regression", "regression_l1", "huber", "fair", "quantile", "mape")),
    *({"objective": name} for name in ("poisson", "gamma", "tweedie", "cross_entropy", "cross_entropy_lambda")),
    {"objective": "regression", "reg_sqrt": True},
    {"objective": "regression_l1", "reg_sqrt": True},
    {"objective": "binary", "sigmoid": 0.7},
    {"objective": "multiclassova", "num_class": 3, "sigmoid": 1.3},
    {"objective": "regression", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
    {"objective": "poisson", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
    {"objective": "multiclass", "num_class": 3, "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
    {"objective": "regression", "linear_tree": True},
    {"objective": "poisson", "linear_tree": True, "linear_lambda": 0.1},
    {"objective": "binary", "linear_tree": True},
    {"objective": "multiclass", "num_class": 3, "linear_tree": True},
]


def _target(kind: dict[str, Any], answers: dict[str, Any]) -> Any:
    if kind["objective"].startswith("multiclass"):
        return answers["multiclass"]
    if kind["objective"] == "binary" or kind["objective"].startswith("cross"):
        return answers["binary"]
    return answers["regression"]


def _named(kind: dict[str, Any]) -> str:
    return " ".join(str(value) for value in kind.values())


@pytest.mark.parametrize("kind", KINDS, ids=_named)
def test_each_kind_answers_as_lightgbm(
    kind: dict[str, Any], numbers: pd.DataFrame, answers: dict[str, Any], tmp_path: Path, opened: Open
) -> None:
    # The values of a linear leaf add up: unix seconds would drown the rest in their own rounding.
    data = numbers.assign(seen=(numbers["seen"] - 1.7e9) / 1e8)
    booster = lightgbm.train({**QUIET, **kind}, lightgbm.Dataset(data, _target(kind, answers)), 12)
    booster.save_model(tmp_path / "m.txt")
    odd = data.copy()
    odd.iloc[:5] = np.nan
    want = booster.predict(odd)
    for reader in ("library", "workbench"):
        outputs = opened("m.txt", folder=tmp_path, reader=reader).predict(odd)
        got = outputs.values if outputs.scores is None else outputs.scores
        got = got[:, 1] if kind["objective"] == "binary" else got
        np.testing.assert_allclose(got, want, rtol=1e-11 if kind.get("linear_tree") else 1e-13, atol=1e-13)
    if kind.get("linear_tree"):
        constant = read_lightgbm(booster.model_to_string().encode()).trees.raw(odd.to_numpy())
        raw = booster.predict(odd, raw_score=True).reshape(constant.shape)
        assert np.abs(constant - raw).max() > 1e-3, "the sample must need its linear part"


@pytest.mark.parametrize("kind", [{"objective": "regression", "reg_sqrt": True}, {"objective": "cross_entropy_lambda"}])
def test_links_lift(
    kind: dict[str, Any], numbers: pd.DataFrame, answers: dict[str, Any], tmp_path: Path, opened: Open
) -> None:
    pytest.importorskip("torch")
    from workbench.migrate.lift import lift

    booster = lightgbm.train({**QUIET, **kind}, lightgbm.Dataset(numbers, _target(kind, answers)), 12)
    booster.save_model(tmp_path / "m.txt")
    lifted = lift(opened("m.txt", folder=tmp_path))
    np.testing.assert_allclose(lifted.predict(numbers).values, booster.predict(numbers), rtol=1e-12)


def test_linear_trees_lift_with_their_linear_part(
    numbers: pd.DataFrame, answers: dict[str, Any], tmp_path: Path, opened: Open
) -> None:
    pytest.importorskip("torch")
    from workbench.migrate.lift import lift

    wrapper = lightgbm.LGBMRegressor(n_estimators=5, linear_tree=True, verbose=-1, n_jobs=1)
    wrapper.fit(numbers, answers["regression"])
    assert sklearn_piece(wrapper).trees is None
    wrapper.booster_.save_model(tmp_path / "m.txt")
    model = opened("m.txt", folder=tmp_path)
    assert model.describe().trees is None
    np.testing.assert_allclose(lift(model).predict(numbers).values, wrapper.predict(numbers), rtol=1e-12)


def test_damaged_text_is_refused(numbers: pd.DataFrame, answers: dict[str, Any]) -> None:
    data = lightgbm.Dataset(numbers, answers["regression"])
    booster = lightgbm.train({**QUIET, "objective": "regression", "linear_tree": True}, data, 3)
    text = booster.model_to_string()
    holds_out(read_lightgbm, text[: text.index("parameters:")].encode())
    line = next(line for line in text.splitlines() if line.startswith("leaf_features=") and line[14:].strip())
    with pytest.raises(Refused, match="linear leaf"):
        read_lightgbm(text.replace(line, line.replace("=", "=9", 1)).encode())
