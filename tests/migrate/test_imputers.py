from __future__ import annotations

import joblib
import numpy as np
import pandas as pd
import pytest
from columns_parity import lifted_columns, same_columns, shown, transformed
from lift_parity import check
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from workbench.migrate.lift import CannotLift, lift
from workbench.models import open_model
from workbench.models.knowledge import known
from workbench.models.pieces import sklearn_piece

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore:Skipping features without", "ignore:An ill-conditioned"
)


@pytest.fixture(scope="module")
def rows() -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(13)
    n = 400
    frame = pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n) * 1e8, "e": np.arange(n) % 7.0})
    frame = frame.assign(c=1.6e9 + rng.integers(0, 10**6, n), d=frame.a * 2 + frame.b / 1e8)
    holes = frame.where((rng.random(frame.shape) > 0.2) | (frame.columns == "e"))
    return holes.iloc[:250], holes.iloc[250:]


IMPUTERS = [
    IterativeImputer(max_iter=3),
    IterativeImputer(max_iter=2, add_indicator=True, initial_strategy="median"),
    IterativeImputer(max_iter=3, min_value=-1, max_value=[0.5, 1e8, 9, 2e9, 2]),
    IterativeImputer(max_iter=3, n_nearest_features=2, random_state=0),
    IterativeImputer(Ridge(), max_iter=2, imputation_order="random", skip_complete=True, random_state=0),
    IterativeImputer(ExtraTreesRegressor(4, max_depth=4, random_state=0), max_iter=2),
    IterativeImputer(make_pipeline(StandardScaler(), Ridge()), max_iter=2),
    IterativeImputer(max_iter=0),
]


@pytest.mark.parametrize("imputer", IMPUTERS, ids=lambda one: str(one)[:80])
def test_rounds_of_models(imputer, rows):
    train, new = rows
    same_columns(imputer, train, new, rtol=1e-12)
    assert known(sklearn_piece(imputer)).status == "difference"


@pytest.mark.parametrize("keep", [False, True])
def test_a_column_that_is_always_missing(rows, keep):
    train, new = (frame.assign(empty=np.nan) for frame in rows)
    imputer = IterativeImputer(max_iter=2, keep_empty_features=keep).fit(train)
    model = lifted_columns(imputer, train)
    for part in (new, new.assign(empty=3.0)):
        np.testing.assert_allclose(shown(model, part), transformed(imputer, part.copy()), rtol=1e-12)


def test_a_number_that_stands_for_missing(rows):
    train, new = (frame.fillna(-1.0) for frame in rows)
    same_columns(IterativeImputer(missing_values=-1.0, max_iter=2, add_indicator=True), train, new, rtol=1e-12)


def test_the_named_difference_and_nothing_more(rows):
    """A wholly empty row is filled alike alone and among others; scikit-learn's own two answers differ."""
    train, new = rows
    imputer = IterativeImputer(max_iter=3).fit(train)
    empty = new.iloc[:3].copy()
    empty.iloc[0] = np.nan
    model = lifted_columns(imputer, train)
    among, alone = transformed(imputer, empty)[0], transformed(imputer, empty.iloc[:1])[0]
    assert not np.allclose(among, alone, rtol=1e-9)
    np.testing.assert_allclose(shown(model, empty)[0], among, rtol=1e-12)
    np.testing.assert_allclose(shown(model, empty.iloc[:1])[0], among, rtol=1e-12)


def test_from_a_file_read_where_nobody_asked_for_the_experiment(rows, tmp_path):
    """The model's own process knows it by its public name as well."""
    train, new = rows
    model = make_pipeline(IterativeImputer(max_iter=2), StandardScaler(), LogisticRegression())
    joblib.dump(model.fit(train, train.e > 3), tmp_path / "model.joblib")
    opened = open_model(str(tmp_path / "model.joblib"))
    try:
        found = lift(opened).predict(new)
    finally:
        opened.close()
    np.testing.assert_allclose(found.scores, model.predict_proba(new), rtol=0, atol=1e-10)


def test_before_a_model(rows):
    train, new = rows
    y = (train.e > 3).astype(int)
    model = make_pipeline(IterativeImputer(max_iter=2), StandardScaler(), LogisticRegression())
    check(model.fit(train, y), train, rows=new, atol=1e-10)


def test_drawn_values_and_nearest_donors_are_refused_as_the_table_says(rows):
    train, _ = rows
    for imputer, words in ((IterativeImputer(sample_posterior=True, max_iter=1), "random"), (KNNImputer(), "donors")):
        what = known(sklearn_piece(imputer.fit(train)))
        assert what.status == "retrain"
        assert words in what.why
        with pytest.raises(CannotLift, match=words):
            lifted_columns(imputer, train)
