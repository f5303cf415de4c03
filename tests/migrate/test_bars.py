"""The bars of an exact lift: 20,000 rows with unix seconds, cents, missing values and categories, no label flips."""

from __future__ import annotations

from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from lift_parity import lifted
from sklearn.ensemble import HistGradientBoostingClassifier

from workbench.migrate.lift import lift
from workbench.models import open_model

ROWS = 20_000


@pytest.fixture(scope="module")
def rows() -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "branch": pd.Categorical(rng.choice([f"b{i}" for i in range(40)], ROWS)),
            "income": np.round(rng.lognormal(8, 1, ROWS), 2),
            "cents": rng.integers(0, 10**9, ROWS),
            "opened": 1.6e9 + rng.integers(0, 10**7, ROWS),
            "late": rng.integers(0, 5, ROWS).astype(float),
        }
    )
    frame.loc[rng.random(ROWS) < 0.1, "income"] = np.nan
    frame.loc[rng.random(ROWS) < 0.3, "late"] = np.nan
    frame.loc[rng.random(ROWS) < 0.05, "branch"] = None
    code = frame.branch.cat.codes.to_numpy()
    signal = (
        np.log(frame.income.fillna(900)) / 4 + (code % 3 == 0) + (frame.opened > 1.605e9) - frame.late.fillna(1) / 3
    )
    return frame, (signal + rng.normal(size=ROWS) * 0.4 > 2.2).to_numpy().astype(int)


def _holds(found, expected) -> None:
    assert (found.scores.argmax(axis=1) == expected.argmax(axis=1)).all(), "a label flipped"
    assert np.abs(found.scores - expected).max() <= 1e-6


@pytest.mark.parametrize("columns", [["income", "cents", "opened", "late"], None], ids=["missing", "categorical"])
def test_histogram_boosting(columns, rows):
    frame, y = rows
    X = frame[columns] if columns else frame
    model = HistGradientBoostingClassifier(max_iter=100, categorical_features="from_dtype").fit(X, y)
    found = lifted(model, X).predict(X)
    _holds(found, model.predict_proba(X))
    assert np.abs(found.scores - model.predict_proba(X)).max() <= 1e-15


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [("numbers", "json"), ("numbers", "ubj"), ("categories", "ubj"), ("classes", "json"), ("dart", "ubj")],
)
def test_xgboost_with_learned_base_score(kind, suffix, rows, tmp_path):
    frame, y = rows
    X = frame if kind == "categories" else frame.drop(columns="branch")
    target = y + (frame.late == 0) if kind == "classes" else y
    options = {"booster": "dart", "rate_drop": 0.2, "n_estimators": 12} if kind == "dart" else {"n_estimators": 100}
    model = xgboost.XGBClassifier(enable_categorical=True, max_depth=6, n_jobs=1, **options).fit(X, target)
    model.save_model(tmp_path / f"model.{suffix}")
    found = lift(open_model(f"model.{suffix}", folder=tmp_path)).predict(X)
    expected = model.predict_proba(X).astype(np.float64)
    _holds(found, expected)
    assert np.abs(found.scores - expected).max() <= 2e-7, "float32 sums are the library's own"
    if kind == "numbers":
        assert np.array_equal(found.raw.astype(np.float32), model.predict(X, output_margin=True))


@pytest.mark.parametrize("kind", ["binary", "classes", "zero", "ova"])
def test_lightgbm_with_missing_and_categories(kind, rows, tmp_path):
    frame, y = rows
    target = y + (frame.late == 0) if kind in ("classes", "ova") else y
    options = {"zero": {"zero_as_missing": True}, "ova": {"objective": "multiclassova"}}.get(kind, {})
    model = lightgbm.LGBMClassifier(n_estimators=40, n_jobs=1, verbose=-1, **options).fit(frame, target)
    model.booster_.save_model(tmp_path / "model.txt")
    door = open_model("model.txt", folder=tmp_path)
    lift_ = lift(door)
    _holds(lift_.predict(frame), model.predict_proba(frame))
    unseen = frame.assign(branch=pd.Categorical(["new" if i % 4 == 0 else b for i, b in enumerate(frame.branch)]))
    _holds(lift_.predict(unseen), model.predict_proba(unseen))
    as_text = frame.assign(branch=frame.branch.astype(object))
    assert np.array_equal(lift_.predict(as_text).scores, lift_.predict(frame).scores)


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_wrappers_code_their_categories_by_place(library, rows):
    """Categories that are numbers: taken for codes they would answer, wrongly and without a word."""
    frame, y = rows
    late = frame.late.fillna(9).astype(int) * 10
    X = frame[["income", "cents"]].assign(late=pd.Categorical(late))
    model = {
        "lightgbm": lightgbm.LGBMClassifier(n_estimators=20, verbose=-1, n_jobs=1),
        "xgboost": xgboost.XGBClassifier(n_estimators=20, enable_categorical=True, n_jobs=1),
    }[library].fit(X, y ^ late.isin([10, 30]))
    assert (np.abs(lifted(model, X).predict(X.assign(late=late)).scores - model.predict_proba(X)) <= 1e-6).all()


def test_lightgbm_regression_and_log_odds(rows, tmp_path):
    frame, y = rows
    X = frame.drop(columns="branch")
    model = lightgbm.LGBMRegressor(n_estimators=40, objective="poisson", n_jobs=1, verbose=-1).fit(X, y + 0.1)
    model.booster_.save_model(tmp_path / "model.txt")
    np.testing.assert_allclose(
        lift(open_model("model.txt", folder=tmp_path)).predict(X).values, model.predict(X), 1e-14
    )
    odds = xgboost.XGBClassifier(objective="binary:logitraw", n_estimators=20, n_jobs=1).fit(X, y)
    odds.save_model(tmp_path / "model.json")
    door = open_model("model.json", folder=tmp_path)
    _holds(lift(door).predict(X), door.predict(X).scores)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("ClassificationAudit", "Audit"),
        ("ClassificationIris", "Iris"),
        ("RegressionAutoDirect", "Auto"),
        ("RegressionHousing", "Housing"),
    ],
)
def test_real_files_of_lightgbm_2_3(name, data, cases: Path):
    folder = cases / "legacy_models" / "lightgbm" / "2.3.0"
    expected = pd.read_csv(folder / f"{name}.expected.csv")
    found = lift(open_model(f"{name}.txt", folder=folder)).predict(pd.read_csv(folder / f"input_{data}.csv"))
    if found.values is not None:
        np.testing.assert_allclose(found.values, expected.iloc[:, 0], rtol=0, atol=1e-6)
    else:
        _holds(found, expected.iloc[:, 1:].to_numpy())
