"""Folders as MLflow writes them: the file they name is opened by its content."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.models import Model, ModelError, Refused

Open = Callable[..., Model]

DESCRIBED = """artifact_path: model
flavors:
  python_function:
    data: model.xgb
    env: {{conda: conda.yaml}}
    loader_module: mlflow.{flavor}
  {flavor}:
    {key}: {file}
mlflow_version: 2.9.2
model_uuid: 6f1c
"""


def folder(path: Path, flavor: str, key: str, file: str) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / "MLmodel").write_text(DESCRIBED.format(flavor=flavor, key=key, file=file))
    return path


def test_boosters_and_pickles_in_a_folder(tmp_path: Path, opened: Open) -> None:
    xgboost = pytest.importorskip("xgboost")
    joblib = pytest.importorskip("joblib")
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(200, 3)), columns=list("abc"))
    y = (rows["a"] > 0).astype(int)
    booster = xgboost.train({"nthread": 1, "objective": "binary:logistic"}, xgboost.DMatrix(rows, label=y), 5)
    made = folder(tmp_path / "boosted", "xgboost", "data", "model.xgb")
    booster.save_model(made / "model.ubj")
    (made / "model.ubj").rename(made / "model.xgb")
    model = opened("boosted", folder=tmp_path)
    assert model.format == "xgboost"
    scores = model.predict(rows).scores
    assert scores is not None
    np.testing.assert_array_equal(scores[:, 1], booster.predict(xgboost.DMatrix(rows)).astype(float))
    linear = LogisticRegression().fit(rows, y)
    made = folder(tmp_path / "linear", "sklearn", "pickled_model", "model.pkl")
    joblib.dump(linear, made / "model.pkl")
    np.testing.assert_array_equal(opened("linear", folder=tmp_path).predict(rows).scores, linear.predict_proba(rows))


def test_folders_that_are_no_model(tmp_path: Path, opened: Open) -> None:
    folder(tmp_path / "spark", "spark", "model_data", "sparkml")
    with pytest.raises(ModelError, match="flavors python_function, spark: only sklearn"):
        opened("spark", folder=tmp_path)
    (tmp_path / "secret.pkl").write_bytes(b"x")
    folder(tmp_path / "out", "sklearn", "pickled_model", "../secret.pkl")
    with pytest.raises(Refused, match="outside its folder"):
        opened("out", folder=tmp_path)
    folder(tmp_path / "gone", "lightgbm", "data", "model.lgb")
    with pytest.raises(ModelError, match=r"'model\.lgb', which is not there"):
        opened("gone", folder=tmp_path)
    folder(tmp_path / "broken", "lightgbm", "data", "model.lgb")
    for text, said in (
        ("a: [", "no readable YAML"),
        ("a: 1", "names no flavors"),
        ("!!python/object:os.system x", "YAML"),
    ):
        (tmp_path / "broken/MLmodel").write_text(text)
        with pytest.raises(ModelError, match=said):
            opened("broken", folder=tmp_path)
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain/model.txt").write_text("x")
    with pytest.raises(ModelError, match="is a folder"):
        opened("plain", folder=tmp_path)
