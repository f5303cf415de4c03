"""Isolation forests, boosting from a model, linear leaves and boosters, objectives and boosters of all kinds."""

from __future__ import annotations

import warnings

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from lift_parity import check, lifted
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression

from workbench.migrate.lift import lift, lift_piece
from workbench.models import Input, open_model
from workbench.models.knowledge import known, whole
from workbench.models.pieces import sklearn_piece


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(400, 4)), columns=list("abcd"))
    frame["seen"] = 1.6e9 + rng.integers(0, 10**7, 400)
    gaps = frame.mask(rng.random(frame.shape) < 0.1)
    y = (frame.a + rng.normal(size=400) * 0.5 > 0).to_numpy().astype(int)
    return frame, gaps, y, y + (frame.b > 0.8).to_numpy()


@pytest.mark.parametrize(
    "model",
    [
        IsolationForest(n_estimators=20, random_state=0),
        IsolationForest(n_estimators=10, max_features=0.5, max_samples=64, contamination=0.1, random_state=0),
        IsolationForest(n_estimators=5, max_features=3, bootstrap=True, max_samples=2, random_state=0),
    ],
    ids=str,
)
def test_isolation_forests(model, rows, tmp_path):
    frame, gaps, *_ = rows
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(gaps)
    inputs = [Input(name) for name in frame]
    done = lift_piece(sklearn_piece(model), inputs, (-1, 1), "binary")
    for part in (gaps, frame * 1e6, gaps.iloc[:1], frame.iloc[::-3].astype(np.float32)):
        found = done.predict(part)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert (found.labels == model.predict(part)).all()
            np.testing.assert_allclose(found.raw, model.decision_function(part), rtol=0, atol=1e-15)
    assert len(done.predict(frame.iloc[:0])) == 0
    assert known(sklearn_piece(model)).status == "exact"


@pytest.mark.parametrize("several", [False, True])
def test_boosting_from_a_forest_is_exact(several, rows):
    frame, _, y, three = rows
    for loss in ("log_loss",) if several else ("log_loss", "exponential"):
        model = GradientBoostingClassifier(n_estimators=8, init=RandomForestClassifier(4, random_state=0), loss=loss)
        model.fit(frame, three if several else y)
        check(model, frame, atol=1e-13)
        assert known(sklearn_piece(model)).status == "exact"
    model = GradientBoostingRegressor(n_estimators=8, init=RandomForestRegressor(4)).fit(frame, frame.a**2)
    check(model, frame, atol=1e-13)
    check(GradientBoostingClassifier(n_estimators=5, init="zero").fit(frame, three), frame, atol=1e-15)


def test_boosting_from_a_linear_model_differs_by_its_float32(rows):
    frame, _, y, _ = rows
    frame = frame[list("abcd")]
    for model, target in (
        (GradientBoostingClassifier(n_estimators=8, init=LogisticRegression()), y),
        (GradientBoostingRegressor(n_estimators=8, init=LinearRegression()), frame.a**2),
    ):
        piece = sklearn_piece(model.fit(frame, target))
        assert known(piece).status == whole(piece).status == "difference"
        found = lifted(model, frame).predict(frame)
        if target is y:
            np.testing.assert_allclose(found.scores, model.predict_proba(frame), rtol=0, atol=1e-6)
        else:
            np.testing.assert_allclose(found.values, model.predict(frame), rtol=0, atol=1e-5)


LINEAR = {"n_estimators": 6, "linear_tree": True, "verbose": -1, "n_jobs": 1, "min_child_samples": 10}


@pytest.mark.parametrize(
    "model",
    [
        lightgbm.LGBMClassifier(**LINEAR),
        lightgbm.LGBMRegressor(**LINEAR),
        lightgbm.LGBMRegressor(**LINEAR, objective="poisson"),
        lightgbm.LGBMRegressor(**{**LINEAR, "n_estimators": 1}, max_depth=1),
    ],
    ids=lambda model: str(model)[:90],
)
def test_linear_leaves(model, rows, tmp_path):
    frame, gaps, y, three = rows
    is_classifier = isinstance(model, lightgbm.LGBMClassifier)
    for target in (three, y) if is_classifier else (np.abs(frame.a) + frame.b**2,):
        model.fit(gaps, target)
        done = check(model, gaps, atol=1e-11)
        check(model, gaps, rows=frame.iloc[::-2], atol=1e-11)
        assert whole(sklearn_piece(model)).status == "exact"
    if is_classifier or model.objective != "poisson":
        return
    model.booster_.save_model(tmp_path / "model.txt")
    legacy = open_model(str(tmp_path / "model.txt"))
    done = lift(legacy)
    done.save(tmp_path / "model.pt2")
    again = open_model(str(tmp_path / "model.pt2")).predict(gaps)
    for name in ("scores", "values"):
        expected, ours = getattr(legacy.predict(gaps), name), getattr(done.predict(gaps), name)
        if expected is not None:
            np.testing.assert_allclose(ours, expected, rtol=1e-11, atol=1e-12)
            assert np.array_equal(getattr(again, name), ours)


def test_linear_leaves_beside_categories(rows):
    _, gaps, y, _ = rows
    table = gaps.assign(kind=pd.Categorical(np.random.default_rng(1).choice(list("pqr"), len(gaps))))
    model = lightgbm.LGBMClassifier(**LINEAR).fit(table, y ^ (table.kind == "q"))
    found = lifted(model, table, kinds=False).predict(table)
    assert (found.labels == model.predict(table)).all()
    np.testing.assert_allclose(found.scores, model.predict_proba(table), rtol=0, atol=1e-11)


SMALL = {"n_estimators": 6, "max_depth": 3, "n_jobs": 1}
XGB = [
    (xgboost.XGBClassifier(**SMALL, booster="dart", rate_drop=0.3, random_state=0), "classes"),
    (xgboost.XGBClassifier(n_estimators=6, n_jobs=1, booster="gblinear"), "classes"),
    (xgboost.XGBClassifier(**SMALL, missing=-999.0), "classes"),
    (xgboost.XGBClassifier(**SMALL, num_parallel_tree=3, subsample=0.7, random_state=0), "classes"),
    (xgboost.XGBRFClassifier(**SMALL, random_state=0), "classes"),
    (xgboost.XGBRFRegressor(**SMALL, random_state=0), "values"),
    (xgboost.XGBRegressor(n_estimators=6, n_jobs=1, booster="gblinear"), "values"),
    *[
        (xgboost.XGBRegressor(**SMALL, objective=objective), "values")
        for objective in (
            "reg:squarederror", "reg:squaredlogerror", "reg:absoluteerror", "reg:pseudohubererror", "reg:logistic",
            "count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "rank:pairwise",
        )
    ],
]  # fmt: skip


@pytest.mark.parametrize(("model", "what"), XGB, ids=lambda value: str(getattr(value, "objective", value))[:30])
def test_xgboost_of_all_kinds_to_one_float32_rounding(model, what, rows):
    frame, gaps, y, three = rows
    if model.get_params().get("missing") == -999.0:
        gaps = gaps.fillna(-999.0)
    targets = [y, three] if what == "classes" else [np.clip(np.abs(frame.a) / 4, 0.01, 0.99)]
    for target in targets:
        extra = {"qid": np.zeros(len(gaps), int)} if "rank" in str(model.objective) else {}
        if extra:
            model = xgboost.XGBRanker(**SMALL, objective="rank:pairwise")
            target = three
        model.fit(gaps, target, **extra)
        piece = sklearn_piece(model)
        if extra:
            assert whole(piece).status in ("unknown", "exact")
            continue
        assert whole(piece).status == "exact"
        _alike(model, gaps)
        _alike(model, frame.iloc[::-2])


def _alike(model, rows: pd.DataFrame) -> None:
    found = lifted(model, rows).predict(rows)
    if found.scores is not None:
        np.testing.assert_allclose(found.scores, model.predict_proba(rows), rtol=0, atol=6e-8)
        assert (found.labels == model.predict(rows)).all()
    else:
        np.testing.assert_allclose(found.values, model.predict(rows), rtol=1.2e-7, atol=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.7},
        {"boosting_type": "dart", "drop_rate": 0.3},
        {"extra_trees": True},
        {"objective": "multiclassova"},
    ],
    ids=str,
)
def test_lightgbm_of_all_kinds(options, rows):
    frame, gaps, y, three = rows
    for target in (three,) if "objective" in options else (y, three):
        model = lightgbm.LGBMClassifier(n_estimators=6, verbose=-1, n_jobs=1, **options).fit(gaps, target)
        check(model, gaps, rows=frame.iloc[::-1], atol=1e-14)
        check(model, gaps, atol=1e-14)


@pytest.mark.parametrize(
    "objective",
    ["l1", "l2", "huber", "fair", "quantile", "mape", "poisson", "gamma", "tweedie", "cross_entropy"],
)
def test_lightgbm_objectives(objective, rows):
    frame, gaps, *_ = rows
    target = np.clip(np.abs(frame.a) / 4, 0.01, 0.99)
    model = lightgbm.LGBMRegressor(n_estimators=6, objective=objective, verbose=-1, n_jobs=1).fit(gaps, target)
    check(model, gaps, atol=1e-14)
