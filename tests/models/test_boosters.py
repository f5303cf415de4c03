"""XGBoost and LightGBM files: our reading against the libraries and against outputs made elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.models import Model, ModelError, Refused
from workbench.models.lightgbm_file import read_lightgbm
from workbench.models.pieces import sklearn_piece
from workbench.models.xgboost_file import read_xgboost

lightgbm = pytest.importorskip("lightgbm")
xgboost = pytest.importorskip("xgboost")

Open = Callable[..., Model]

OLD = [
    ("ClassificationAudit", "Audit"),
    ("ClassificationIris", "Iris"),
    ("ClassificationVersicolor", "Versicolor"),
    ("RegressionAutoDirect", "Auto"),
    ("RegressionHousing", "Housing"),
]


@pytest.mark.parametrize("reader", ["library", "workbench"])
@pytest.mark.parametrize("name, data", OLD)
def test_old_lightgbm_files_give_their_known_answers(
    cases: Path, opened: Open, name: str, data: str, reader: str
) -> None:
    folder = cases / "legacy_models/lightgbm/2.3.0"
    model = opened(f"{name}.txt", folder=folder, reader=reader)
    outputs = model.predict(pd.read_csv(folder / f"input_{data}.csv"))
    want = pd.read_csv(folder / f"{name}.expected.csv")
    if model.task == "regression":
        np.testing.assert_allclose(outputs.values, want["_target"], rtol=0, atol=1e-12)
    else:
        np.testing.assert_allclose(outputs.scores, want.iloc[:, 1:], rtol=0, atol=1e-12)
        np.testing.assert_array_equal(outputs.labels, want["_target"])


def test_text_and_boolean_columns_are_read_by_the_model_s_categories(cases: Path, opened: Open) -> None:
    folder = cases / "legacy_models/lightgbm/2.3.0"
    data = pd.read_csv(folder / "input_Audit.csv").head(200)
    model = opened("ClassificationAudit.txt", folder=folder)
    want = model.predict(data).scores
    dressed = data.assign(
        Age=data["Age"].astype(str),
        Hours=data["Hours"].astype("Int64"),
        Income=data["Income"].astype(object),
        Gender=data["Gender"].astype("category"),
        Marital=data["Marital"].astype("string"),
    )
    np.testing.assert_array_equal(model.predict(dressed).scores, want)
    housing = pd.read_csv(folder / "input_Housing.csv")
    house = opened("RegressionHousing.txt", folder=folder)
    for kind in (str, bool, float, "category"):
        np.testing.assert_array_equal(
            house.predict(housing.assign(CHAS=housing["CHAS"].astype(kind))).values, house.predict(housing).values
        )


LIGHT: list[tuple[dict[str, Any], str]] = [
    ({}, "binary"),
    ({"zero_as_missing": True}, "binary"),
    ({"use_missing": False}, "binary"),
    ({"max_cat_to_onehot": 1}, "multiclass"),
    ({"objective": "multiclassova"}, "multiclass"),
    ({"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}, "binary"),
    ({"boosting": "dart"}, "binary"),
    ({"objective": "poisson"}, "regression"),
    ({"objective": "quantile"}, "regression"),
]


def strange(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with whole columns missing, unknown categories, one value, extremes."""
    frame = rows.copy()
    for column in frame.columns:
        if isinstance(frame[column].dtype, pd.CategoricalDtype):
            frame[column] = frame[column].astype(object)
    frame.loc[:4, :] = np.nan
    frame.loc[5:9, "trade"] = "never seen"
    frame.loc[10:14, "rank"] = 999
    frame.loc[15:19, "seen"] = np.inf
    frame.loc[20:24, "price"] = -np.inf
    return frame


@pytest.mark.parametrize("params, task", LIGHT)
def test_lightgbm_by_its_library_and_by_our_trees(
    params: dict[str, Any], task: str, categories: pd.DataFrame, answers: dict[str, Any], tmp_path: Path, opened: Open
) -> None:
    kind = {"objective": "binary" if task == "binary" else task, "num_class": 3 if task == "multiclass" else 1}
    data = lightgbm.Dataset(categories, answers[task])
    settings = {**kind, **params, "verbosity": -1, "num_threads": 1, "seed": 1}
    booster = lightgbm.train(settings, data, 15)
    booster.save_model(tmp_path / "any.name")
    rows = strange(categories)
    typed = rows.assign(
        **{
            name: pd.Categorical(rows[name].where(rows[name].isin(known)), known)
            for name, known in ((name, categories[name].cat.categories) for name in ("rank", "trade"))
        }
    ).astype({"score": float, "seen": float, "price": float, "cents": float, "debt": float})
    want = booster.predict(typed)
    for reader in ("library", "workbench"):
        outputs = opened("any.name", folder=tmp_path, reader=reader).predict(rows)
        got = outputs.values if outputs.scores is None else outputs.scores
        np.testing.assert_allclose(got[:, 1] if task == "binary" else got, want, rtol=0, atol=1e-13)


CROSS: list[tuple[dict[str, Any], str]] = [
    ({}, "binary"),
    ({"max_cat_to_onehot": 1}, "binary"),
    ({"base_score": 0.1}, "binary"),
    ({"booster": "dart", "rate_drop": 0.3}, "binary"),
    ({"objective": "binary:logitraw"}, "binary"),
    ({}, "multiclass"),
    ({"objective": "multi:softmax"}, "multiclass"),
    ({"objective": "reg:squarederror"}, "regression"),
    ({"objective": "count:poisson"}, "regression"),
    ({"objective": "reg:tweedie"}, "regression"),
    ({"objective": "reg:pseudohubererror"}, "regression"),
    ({"objective": "reg:gamma", "num_parallel_tree": 2, "subsample": 0.5}, "regression"),
]
DEFAULT = {"binary": "binary:logistic", "multiclass": "multi:softprob", "regression": "reg:squarederror"}


@pytest.mark.parametrize("params, task", CROSS)
def test_xgboost_by_its_library_and_by_our_trees(
    params: dict[str, Any], task: str, categories: pd.DataFrame, answers: dict[str, Any], tmp_path: Path, opened: Open
) -> None:
    kind = {"objective": DEFAULT[task], "nthread": 1, **({"num_class": 3} if task == "multiclass" else {})}
    data = xgboost.DMatrix(categories, label=answers[task], enable_categorical=True)
    booster = xgboost.train({**kind, **params}, data, 15)
    margin = booster.predict(data, output_margin=True).reshape(len(categories), -1)
    outputs, odd = {}, {}
    for name in ("model.json", "model.ubj"):
        booster.save_model(tmp_path / name)
        for reader in ("library", "workbench"):
            model = opened(name, folder=tmp_path, reader=reader)
            outputs[name, reader] = model.predict(categories)
            odd[name, reader] = model.predict(strange(categories).replace([np.inf, -np.inf], np.nan))
    raw = outputs["model.ubj", "workbench"].raw
    assert raw is not None
    # The library adds float32 leaves in float32.
    np.testing.assert_allclose(raw.reshape(margin.shape), margin, rtol=0, atol=2e-5)
    library = outputs["model.json", "library"]
    for answered in (outputs, odd):
        for other in answered.values():
            if task == "regression":
                np.testing.assert_allclose(other.values, answered["model.json", "library"].values, rtol=2e-6)
            else:
                np.testing.assert_allclose(other.scores, answered["model.json", "library"].scores, rtol=0, atol=1e-6)
                np.testing.assert_array_equal(other.labels, answered["model.json", "library"].labels)
    if not params and task == "binary":
        np.testing.assert_array_equal(library.scores[:, 1], booster.predict(data).astype(float))


def test_the_learned_base_score_is_counted(numbers: pd.DataFrame, answers: dict[str, Any]) -> None:
    rare = (np.arange(len(numbers)) % 20 == 0).astype(int)
    booster = xgboost.train({"objective": "binary:logistic", "nthread": 1}, xgboost.DMatrix(numbers, label=rare), 1)
    read = read_xgboost(bytes(booster.save_raw("json")))
    np.testing.assert_allclose(read.trees.base, np.log(0.05 / 0.95), atol=1e-4)


def test_a_model_that_stopped_early_answers_with_its_best_rounds_and_says_so(
    numbers: pd.DataFrame, answers: dict[str, Any], tmp_path: Path, opened: Open
) -> None:
    cross = xgboost.XGBClassifier(n_estimators=60, early_stopping_rounds=3, n_jobs=1, learning_rate=1.0)
    cross.fit(
        numbers[:1000], answers["binary"][:1000], eval_set=[(numbers[1000:], answers["binary"][1000:])], verbose=0
    )
    cross.save_model(tmp_path / "m.json")
    best, total = cross.best_iteration + 1, cross.get_booster().num_boosted_rounds()
    assert best < total
    for reader in ("library", "workbench"):
        for rounds in ({}, {"rounds": best}):
            model = opened("m.json", folder=tmp_path, reader=reader, **rounds)
            assert (f"best {best} rounds" in model.answered_by) == (not rounds)  # type: ignore[attr-defined]
            np.testing.assert_allclose(model.predict(numbers).scores, cross.predict_proba(numbers), atol=1e-6)
            assert model.describe().params["rounds"] == best
        whole = opened("m.json", folder=tmp_path, rounds=total, reader=reader).predict(numbers)
        np.testing.assert_allclose(whole.scores[:, 1], cross.get_booster().predict(xgboost.DMatrix(numbers)), atol=1e-6)
    with pytest.raises(ModelError, match="option rounds is 99"):
        opened("m.json", folder=tmp_path, rounds=99)


def test_pruned_nodes_are_left_out(numbers: pd.DataFrame, answers: dict[str, Any]) -> None:
    data = xgboost.DMatrix(numbers, label=answers["binary"])
    settings = {"objective": "binary:logistic", "tree_method": "exact", "gamma": 3.0, "nthread": 1}
    booster = xgboost.train(settings, data, 5)
    document = json.loads(booster.save_raw("json"))
    trees = document["learner"]["gradient_booster"]["model"]["trees"]
    assert sum(int(tree["tree_param"]["num_deleted"]) for tree in trees) > 0, "the sample must have pruned nodes"
    read = read_xgboost(bytes(booster.save_raw("json")))
    margin = booster.predict(data, output_margin=True)
    np.testing.assert_allclose(read.trees.raw(numbers.to_numpy())[:, 0], margin, atol=1e-5)


def test_wrappers_in_a_pipeline_have_trees_up_to_the_best_round(
    categories: pd.DataFrame, numbers: pd.DataFrame, answers: dict[str, Any]
) -> None:
    light = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=1).fit(categories, answers["binary"])
    assert sklearn_piece(light).kind == "lightgbm.LGBMClassifier"
    cross = xgboost.XGBClassifier(n_estimators=60, early_stopping_rounds=2, n_jobs=1, learning_rate=1.0)
    cross.fit(
        numbers[:1000], answers["binary"][:1000], eval_set=[(numbers[1000:], answers["binary"][1000:])], verbose=0
    )
    piece = sklearn_piece(cross)
    assert piece.kind == "xgboost.XGBClassifier"
    assert piece.trees is not None
    assert piece.trees.n_trees == cross.best_iteration + 1 < 60
    got = piece.trees.outputs(numbers.to_numpy())[:, 0]
    np.testing.assert_allclose(got, cross.predict_proba(numbers)[:, 1], atol=1e-6)


@pytest.fixture(scope="module")
def light_text(categories: pd.DataFrame, answers: dict[str, Any]) -> str:
    settings = {"objective": "binary", "verbosity": -1, "num_threads": 1}
    text: str = lightgbm.train(settings, lightgbm.Dataset(categories, answers["binary"]), 3).model_to_string()
    return text


def test_a_damaged_lightgbm_file_is_refused_before_it_answers(light_text: str, tmp_path: Path, opened: Open) -> None:
    (tmp_path / "cut.txt").write_text(light_text[: len(light_text) // 3])
    with pytest.raises(ModelError, match="cut short"):
        opened("cut.txt", folder=tmp_path)
    first = next(line for line in light_text.splitlines() if line.startswith("split_feature="))
    (tmp_path / "feature.txt").write_text(light_text.replace(first, first.replace("=", "=99", 1), 1))
    with pytest.raises(Refused, match=r"feature\.txt: tree 0, node 0: feature is 99"):
        opened("feature.txt", folder=tmp_path)
    children = next(line for line in light_text.splitlines() if line.startswith("left_child="))
    (tmp_path / "child.txt").write_text(light_text.replace(children, children.replace("=", "=7777", 1), 1))
    with pytest.raises(Refused, match=r"tree 0, node 0: left child is"):
        opened("child.txt", folder=tmp_path)
    linear = light_text.replace("is_linear=0", "is_linear=1", 1)
    with pytest.raises(ModelError, match="num_features"):
        read_lightgbm(linear.encode())
    with pytest.raises(ModelError, match="option categorical"):
        read_lightgbm(light_text.encode(), categorical=("rank",))


def test_a_damaged_xgboost_file_is_refused_before_it_answers(
    numbers: pd.DataFrame, answers: dict[str, Any], tmp_path: Path, opened: Open
) -> None:
    booster = xgboost.train({"nthread": 1}, xgboost.DMatrix(numbers, label=answers["regression"]), 3)
    whole = bytes(booster.save_raw("json"))
    document = json.loads(whole)
    tree = document["learner"]["gradient_booster"]["model"]["trees"][1]
    (tmp_path / "cut.json").write_bytes(whole[:-200])
    with pytest.raises(ModelError, match="cut short"):
        opened("cut.json", folder=tmp_path)
    (tmp_path / "cut.ubj").write_bytes(bytes(booster.save_raw("ubj"))[:-200])
    with pytest.raises(ModelError, match="cut short"):
        opened("cut.ubj", folder=tmp_path)
    tree["left_children"][0] = 4000
    (tmp_path / "child.json").write_text(json.dumps(document))
    with pytest.raises(Refused, match=r"child\.json: tree 1, node 0: left child is"):
        opened("child.json", folder=tmp_path)
    tree["left_children"][0] = 0
    (tmp_path / "ring.json").write_text(json.dumps(document))
    with pytest.raises(Refused, match="number of ways to it"):
        opened("ring.json", folder=tmp_path)


def test_names_can_be_given_to_a_model_saved_without_them(
    numbers: pd.DataFrame, answers: dict[str, Any], tmp_path: Path, opened: Open
) -> None:
    booster = xgboost.train({"nthread": 1}, xgboost.DMatrix(numbers.to_numpy(), label=answers["regression"]), 3)
    booster.save_model(tmp_path / "m.ubj")
    with pytest.raises(ModelError, match=r"option features: \[...\]"):
        opened("m.ubj", folder=tmp_path).predict(numbers.assign(more=1))
    by_position = opened("m.ubj", folder=tmp_path).predict(numbers)
    model = opened("m.ubj", folder=tmp_path, features=list(numbers.columns))
    np.testing.assert_array_equal(
        model.predict(numbers.iloc[:, ::-1]).values, booster.predict(xgboost.DMatrix(numbers.to_numpy())).astype(float)
    )
    np.testing.assert_array_equal(by_position.values, model.predict(numbers).values)
    assert len(model.predict(numbers[:0])) == 0
    assert len(model.predict(numbers[:1])) == 1
