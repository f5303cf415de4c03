"""Models made of models, against scikit-learn: members of all kinds, labels of all kinds, members that saw less."""

from __future__ import annotations

import warnings

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from lift_parity import check, lifted
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from workbench.migrate.lift import CannotLift, Lifted
from workbench.models import open_model
from workbench.models.knowledge import known
from workbench.models.pieces import sklearn_piece

Logistic = LogisticRegression


def _tree() -> DecisionTreeClassifier:
    return DecisionTreeClassifier(max_depth=4, random_state=0)


def _forest() -> RandomForestClassifier:
    return RandomForestClassifier(4, max_depth=4, random_state=0)


def _xgb() -> xgboost.XGBClassifier:
    return xgboost.XGBClassifier(n_estimators=4, max_depth=3, n_jobs=1)


def _lgb() -> lightgbm.LGBMClassifier:
    return lightgbm.LGBMClassifier(n_estimators=4, verbose=-1, n_jobs=1)


THREE = [("a", Logistic()), ("b", _tree()), ("c", make_pipeline(StandardScaler(), Logistic()))]
ANY = [
    VotingClassifier(THREE, voting="soft"),
    VotingClassifier(THREE, voting="soft", weights=[1, 2, 0.5]),
    VotingClassifier(THREE),
    VotingClassifier([*THREE, ("d", "drop")], weights=[1, 2, 0.5, 3]),
    VotingClassifier([("x", _xgb()), ("y", _xgb())], voting="soft"),
    VotingClassifier([("x", _xgb()), ("y", _lgb()), ("l", Logistic())], voting="soft"),
    StackingClassifier(THREE, cv=2),
    StackingClassifier(THREE, cv=2, passthrough=True, stack_method="predict"),
    StackingClassifier([("l", LinearSVC()), ("f", _forest())], final_estimator=_forest(), cv=2),
    StackingClassifier([("x", _xgb()), ("y", _lgb()), ("l", Logistic())], cv=2),
    StackingClassifier([("x", _xgb())], final_estimator=_forest(), cv=2),
    BaggingClassifier(n_estimators=4, random_state=0),
    BaggingClassifier(n_estimators=4, max_features=0.5, bootstrap_features=True, max_samples=12, random_state=0),
    BaggingClassifier(LinearSVC(), n_estimators=4, random_state=0),
    BaggingClassifier(Logistic(), n_estimators=4, max_features=2, random_state=0),
    AdaBoostClassifier(n_estimators=8),
    AdaBoostClassifier(Logistic(), n_estimators=4),
    CalibratedClassifierCV(LinearSVC(), cv=2),
    CalibratedClassifierCV(LinearSVC(), method="isotonic", cv=2, ensemble=False),
    CalibratedClassifierCV(_forest(), method="isotonic", cv=2),
    CalibratedClassifierCV(_lgb(), cv=2),
    CalibratedClassifierCV(Logistic(), method="temperature", cv=2),
    CalibratedClassifierCV(_forest(), method="temperature", cv=2),
    OneVsRestClassifier(LinearSVC()),
    OneVsRestClassifier(Logistic()),
    OneVsRestClassifier(_forest()),
    OneVsRestClassifier(LinearRegression()),
    OneVsRestClassifier(_xgb()),
    OneVsOneClassifier(Logistic()),
    OneVsOneClassifier(_tree()),
    OneVsOneClassifier(LinearSVC()),
    GridSearchCV(make_pipeline(StandardScaler(), Logistic()), {"logisticregression__C": [1, 10]}, cv=2),
    RandomizedSearchCV(_tree(), {"max_depth": [1, 2, 3]}, n_iter=2, cv=2, random_state=0),
    DummyClassifier(),
    DummyClassifier(strategy="most_frequent"),
]


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(240, 4)), columns=list("abcd"))
    y = (frame.a + rng.normal(size=240) * 0.5 > 0).to_numpy().astype(int)
    return frame, y, y + (frame.b > 0.8).to_numpy()


def _fitted(model, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, y)


@pytest.mark.parametrize("target", ["binary", "text", "gaps"])
@pytest.mark.parametrize("model", ANY, ids=lambda model: str(model).replace("\n", "")[:70])
def test_committees_of_classifiers(model, target, rows):
    frame, y, three = rows
    if target == "gaps" and isinstance(model, OneVsRestClassifier | OneVsOneClassifier):
        three = three % 2
    labels = {"binary": y, "text": np.array(["u", "v", "w"])[three], "gaps": three * 2 - 3}[target]
    # XGBoost's own probabilities hold to one float32 rounding, on another machine's libm at least.
    check(_fitted(model, frame, labels), frame, atol=1e-6 if "XGB" in str(model) else 1e-12)


REGRESSORS = [("a", LinearRegression()), ("b", DecisionTreeRegressor(max_depth=4)), ("c", Ridge())]
BOOSTED = xgboost.XGBRegressor(n_estimators=4, max_depth=3, n_jobs=1)


@pytest.mark.parametrize(
    "model",
    [
        VotingRegressor(REGRESSORS),
        VotingRegressor([*REGRESSORS, ("d", "drop")], weights=[1, 2, 3, 4]),
        VotingRegressor([("a", BOOSTED), ("b", BOOSTED)]),
        StackingRegressor(REGRESSORS, cv=2),
        StackingRegressor(REGRESSORS, passthrough=True, final_estimator=RandomForestRegressor(4), cv=2),
        StackingRegressor([("a", FrozenEstimator(LinearRegression()))], cv="prefit"),
        BaggingRegressor(n_estimators=4),
        BaggingRegressor(LinearRegression(), n_estimators=4, max_features=0.5),
        BaggingRegressor(BOOSTED, n_estimators=3),
        AdaBoostRegressor(n_estimators=8),
        AdaBoostRegressor(LinearRegression(), n_estimators=6),
        DummyRegressor(strategy="median"),
        GridSearchCV(Ridge(), {"alpha": [1, 2]}, cv=2),
    ],
    ids=lambda model: str(model).replace("\n", "")[:70],
)
def test_committees_of_regressors(model, rows):
    frame = rows[0]
    target = frame.a * 3 + frame.b**2
    if isinstance(model, StackingRegressor) and model.cv == "prefit":
        model = StackingRegressor([("a", LinearRegression().fit(frame, target))], cv="prefit")
    check(_fitted(model, frame, target), frame)


def test_xgboost_members_to_one_float32_rounding_where_curves_enlarge_it(rows):
    frame, y, three = rows
    for model in (CalibratedClassifierCV(_xgb(), method="isotonic", cv=2), CalibratedClassifierCV(_xgb(), cv=2)):
        for target in (y, three):
            check(_fitted(model, frame, target), frame, atol=1e-6)


@pytest.mark.parametrize(
    ("model", "positive"),
    [
        (FixedThresholdClassifier(Logistic(), threshold=0.3), None),
        (FixedThresholdClassifier(Logistic(), threshold=0.3, pos_label="no", response_method="predict_proba"), "no"),
        (FixedThresholdClassifier(LinearSVC(), threshold=0.3), None),
        (FixedThresholdClassifier(LinearSVC(), threshold=0.3, pos_label="no"), "no"),
        (TunedThresholdClassifierCV(Logistic(), cv=2), None),
        (TunedThresholdClassifierCV(LinearSVC(), cv=2, scoring="accuracy"), None),
    ],
    ids=lambda value: str(value).replace("\n", "")[:70],
)
def test_thresholds_decide_and_scores_stay(model, positive, rows):
    frame, y, _ = rows
    labels = np.array(["no", "yes"])[y] if positive or "Fixed" in str(model) else y
    check(_fitted(model, frame, labels), frame)


def test_one_target_in_a_wrapper_for_several(rows):
    frame, y, _ = rows
    one = MultiOutputClassifier(Logistic()).fit(frame, y[:, None])
    piece = sklearn_piece(one)
    from workbench.migrate.lift import lift_piece
    from workbench.models import Input

    found = lift_piece(piece, [Input(name) for name in frame], (0, 1), "binary").predict(frame)
    np.testing.assert_allclose(found.scores, one.predict_proba(frame)[0], atol=1e-12)
    several = MultiOutputRegressor(LinearRegression()).fit(frame, np.column_stack([y, y]))
    with pytest.raises(CannotLift, match="2 targets, and a migration has one"):
        lifted(several, frame)
    assert known(sklearn_piece(several)).status == "retrain"


def _members_of_raw_columns():
    text = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["city", "kind"]),
        (make_pipeline(SimpleImputer(), StandardScaler()), ["amount", "cents", "seen"]),
    )
    numbers = make_column_transformer(("passthrough", ["amount", "seen"]))
    return [
        ("linear", make_pipeline(text, Logistic(max_iter=50))),
        ("boosted", make_pipeline(numbers, HistGradientBoostingClassifier(max_iter=5))),
        ("light", make_pipeline(numbers, _lgb())),
    ]


def _strange(frame: pd.DataFrame) -> pd.DataFrame:
    rows = frame.iloc[:60].copy()
    rows["city"] = ["new" if i % 5 == 0 else city for i, city in enumerate(rows.city)]
    rows["kind"] = rows["kind"].astype(object)
    rows.loc[rows.index[::7], "amount"] = np.nan
    rows.loc[rows.index[::11], "cents"] = 10**12
    return rows


SLOW = pytest.mark.slow


@pytest.mark.parametrize("how", [pytest.param("vote", marks=SLOW), pytest.param("stack", marks=SLOW), "calibrate"])
def test_members_that_read_text_missing_values_and_unseen_categories(how, table, tmp_path):
    frame, y = table
    frame, y = frame.iloc[:600], y[:600]
    parts = _members_of_raw_columns()
    model = {
        "vote": VotingClassifier(parts, voting="soft"),
        "stack": StackingClassifier(parts, cv=2, final_estimator=Logistic()),
        "calibrate": CalibratedClassifierCV(parts[0][1], cv=2),
    }[how]
    _fitted(model, frame, y)
    rows = _strange(frame)
    found = check(model, frame, rows=rows)
    check(model, frame, rows=rows.astype({"amount": np.float32}).iloc[::-2], atol=1e-6)
    found.save(tmp_path / "model.pt2")
    again, rebuilt = open_model(str(tmp_path / "model.pt2")), Lifted.load_spec(tmp_path / "model.pt2")
    expected = found.predict(rows)
    for other in (again, rebuilt):
        answers = other.predict(rows)
        assert np.array_equal(answers.scores, expected.scores)
        assert np.array_equal(answers.labels, expected.labels)


def test_what_committees_refuse_is_what_is_known_of_them(rows):
    frame, y, three = rows
    refused = {
        "float32 only": StackingClassifier([("a", _xgb()), ("b", _xgb())], cv=2),
        "temperature is applied in float32": CalibratedClassifierCV(_xgb(), method="temperature", cv=2),
        "by chance": DummyClassifier(strategy="stratified"),
    }
    for why, model in refused.items():
        _fitted(model, frame, y)
        with pytest.raises(CannotLift, match=why):
            lifted(model, frame)
        assert "retrain" in [known(part).status for _, part in sklearn_piece(model).walk()]
    labels = np.column_stack([y, three > 0, y])
    several = _fitted(OneVsRestClassifier(Logistic()), frame, labels)
    assert known(sklearn_piece(several)).status == "retrain"
    with pytest.raises(CannotLift, match="several labels a row"):
        lifted(several, frame)
