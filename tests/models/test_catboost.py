"""CatBoost files against CatBoost: every loss function and tree shape the reader knows, missing values, categories."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mutations import holds_out

from workbench.migrate.lift import lift
from workbench.migrate.lift.columns import CannotLift
from workbench.models import Model, ModelError
from workbench.models.catboost_file import CatBoostModel, open_catboost
from workbench.models.catboost_trees import read_catboost
from workbench.models.options import Options
from workbench.models.sniff import sniff

catboost = pytest.importorskip("catboost")

Open = Callable[..., Model]
QUIET = {"iterations": 15, "depth": 4, "verbose": 0, "thread_count": 1, "allow_writing_files": False}
OLD = [("ClassificationVersicolor", "Versicolor"), ("RegressionAuto", "Auto")]

KINDS: list[tuple[dict[str, Any], str]] = [
    ({}, "binary"),
    ({"loss_function": "CrossEntropy"}, "binary"),
    ({"loss_function": "MultiClass"}, "multiclass"),
    ({"loss_function": "MultiClassOneVsAll"}, "multiclass"),
    ({"loss_function": "RMSE", "nan_mode": "Max"}, "regression"),
    ({"loss_function": "Poisson"}, "regression"),
    ({"loss_function": "Quantile:alpha=0.7"}, "regression"),
    ({"grow_policy": "Lossguide"}, "regression"),
    ({"grow_policy": "Depthwise", "loss_function": "MultiClass"}, "multiclass"),
]


def fitted(params: dict[str, Any], task: str, X: pd.DataFrame, y: Any) -> Any:
    kind = catboost.CatBoostRegressor if task == "regression" else catboost.CatBoostClassifier
    return kind(**QUIET, **params).fit(X, y)


def agree(outputs: Any, model: Any, X: Any, atol: float = 1e-12) -> None:
    if outputs.values is not None:
        np.testing.assert_allclose(outputs.values, model.predict(X), rtol=atol, atol=atol)
        return
    np.testing.assert_allclose(outputs.scores, model.predict_proba(X), rtol=0, atol=atol)
    np.testing.assert_array_equal(outputs.labels, np.ravel(model.predict(X)))


@pytest.mark.parametrize("params, task", KINDS)
def test_each_kind_by_the_library_by_our_trees_and_lifted(
    params: dict[str, Any], task: str, numbers: pd.DataFrame, answers: dict[str, Any], tmp_path: Path
) -> None:
    model = fitted(params, task, numbers, answers[task])
    for form in ("cbm", "json"):
        path = tmp_path / f"m.{form}"
        model.save_model(str(path), format=form)
        opened = open_catboost(path, "", Options())
        agree(opened.predict(numbers), model, numbers)
        agree(opened.shaped(opened.our_sums(numbers)), model, numbers)
    agree(open_catboost(tmp_path / "m.json", "", Options(reader="workbench")).predict(numbers), model, numbers)
    assert opened.versions == {"catboost": catboost.__version__}
    agree(lift(opened).predict(numbers), model, numbers)


@pytest.mark.parametrize("name, data", OLD)
@pytest.mark.parametrize("host", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_old_files_answer_and_lift(cases: Path, opened: Open, name: str, data: str, host: bool) -> None:
    folder = cases / "legacy_models/catboost/2019"
    rows, want = pd.read_csv(folder / f"input_{data}.csv"), pd.read_csv(folder / f"{name}.expected.csv")
    file = folder / f"{name}.cbm"
    model = opened(file) if host else open_catboost(file, "", Options())
    for outputs in (model.predict(rows), lift(model).predict(rows)):
        got = want.iloc[:, 0] if outputs.values is not None else want.iloc[:, 1:]
        np.testing.assert_allclose(outputs.values if outputs.scores is None else outputs.scores, got, rtol=0, atol=1e-9)


def test_categories_answer_and_are_not_lifted(rows: pd.DataFrame, answers: dict[str, Any], tmp_path: Path) -> None:
    X = rows.assign(rank=rows["rank"].astype(str))
    for params in ({}, {"one_hot_max_size": 20}):
        model = fitted({"cat_features": ["rank", "trade"], **params}, "binary", X, answers["binary"])
        model.save_model(str(tmp_path / "m.cbm"))
        opened = open_catboost(tmp_path / "m.cbm", "", Options())
        # A category keeps its meaning, whatever the table's type for it.
        for frame in (X, rows, rows.assign(rank=rows["rank"].astype(float), trade=rows["trade"].astype("category"))):
            agree(opened.predict(frame), model, X)
        with pytest.raises(CannotLift, match="categor"):
            lift(opened)
        with pytest.raises(ModelError, match="'trade' has missing values"):
            opened.predict(rows.assign(trade=None))


def test_json_is_read_without_the_library(numbers: pd.DataFrame, answers: dict[str, Any], tmp_path: Path) -> None:
    model = fitted({}, "binary", numbers, answers["binary"])
    model.save_model(str(tmp_path / "m.json"), format="json")
    model.save_model(str(tmp_path / "m.cbm"))
    numbers.head(20).to_csv(tmp_path / "rows.csv", index=False)
    code = """
import sys; sys.modules["catboost"] = None
from pathlib import Path
import pandas as pd
from workbench.models.catboost_file import open_catboost
from workbench.models.options import Options
from workbench.models.sniff import sniff
from workbench.models import ModelError
print(open_catboost(Path("m.json"), "", Options()).predict(pd.read_csv("rows.csv")).scores[:, 1].tolist())
try:
    open_catboost(Path("m.cbm"), "", Options())
except ModelError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    scores, said = done.stdout.splitlines()
    np.testing.assert_allclose(json.loads(scores), model.predict_proba(numbers.head(20))[:, 1], atol=1e-12)
    assert "install catboost" in said


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_damaged_files_are_refused(numbers: pd.DataFrame, answers: dict[str, Any], tmp_path: Path) -> None:
    assert sniff(_written(tmp_path / "start.cbm", b"CBM1 and so on")).format == "catboost"
    assert sniff(_written(tmp_path / "start.json", b'{\n"features_info": {')).format == "catboost"
    model = fitted({"grow_policy": "Lossguide"}, "binary", numbers, answers["binary"])
    model.save_model(str(tmp_path / "m.json"), format="json")
    model.save_model(str(tmp_path / "m.cbm"))
    holds_out(read_catboost, (tmp_path / "m.json").read_bytes())
    (tmp_path / "cut.cbm").write_bytes((tmp_path / "m.cbm").read_bytes()[:-50])
    with pytest.raises(ModelError, match=r"cut\.cbm starts like a CatBoost model.*cut short"):
        open_catboost(tmp_path / "cut.cbm", "", Options())
    document = json.loads((tmp_path / "m.json").read_bytes())
    document["trees"][0]["split"]["float_feature_index"] = 77
    with pytest.raises(ModelError, match="missing or unreadable"):
        read_catboost(json.dumps(document).encode())
    with pytest.raises(ModelError, match="names 3 classes"):
        CatBoostModel(read_catboost((tmp_path / "m.json").read_bytes()), None, "", Options(classes=(1, 2, 3)))
