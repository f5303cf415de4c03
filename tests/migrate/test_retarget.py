from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lift_parity import check, lifted
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, RANSACRegressor, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from workbench.migrate.lift import CannotLift

pytestmark = pytest.mark.filterwarnings("ignore:invalid value encountered in power", "ignore:Some values in column")


@pytest.fixture(scope="module")
def rows() -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(8)
    frame = pd.DataFrame({"a": rng.normal(size=500), "b": 1.6e9 + rng.integers(0, 10**6, 500)})
    return frame, np.exp(frame.a + rng.normal(size=500) / 5).to_numpy()


TRANSFORMERS = [
    None,
    StandardScaler(),
    StandardScaler(with_mean=False),
    MinMaxScaler((-2, 3)),
    RobustScaler(),
    RobustScaler(with_scaling=False),
    MaxAbsScaler(),
    PowerTransformer(),
    PowerTransformer(standardize=False),
    PowerTransformer(method="box-cox"),
    QuantileTransformer(n_quantiles=40),
    QuantileTransformer(n_quantiles=40, output_distribution="normal"),
    make_pipeline(FunctionTransformer(np.log, np.exp), StandardScaler()),
]


@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=lambda one: str(one)[:60])
def test_a_target_and_its_way_back(transformer, rows):
    frame, y = rows
    inner = make_pipeline(StandardScaler(), Ridge())
    model = TransformedTargetRegressor(inner, transformer=transformer).fit(frame, y)
    beyond = pd.concat([frame, frame.iloc[:20] * [6, 1]])
    check(model, frame, rows=beyond)


@pytest.mark.parametrize(("there", "back"), [(np.log1p, np.expm1), (np.sqrt, np.square), (np.log10, None)])
def test_a_target_by_functions(there, back, rows):
    frame, y = rows
    inner = make_pipeline(StandardScaler(), LinearRegression())
    model = TransformedTargetRegressor(inner, func=there, inverse_func=back or _tenth, check_inverse=False)
    model.fit(frame, y)
    if back is None:
        with pytest.raises(CannotLift, match="is code, not data"):
            lifted(model, frame)
    else:
        check(model, frame)


def _tenth(values):
    return 10**values


def test_powers_with_special_exponents(rows):
    frame, y = rows
    for power in (0.0, 2.0, 1.0, -0.5):
        model = TransformedTargetRegressor(make_pipeline(StandardScaler(), Ridge()), transformer=PowerTransformer())
        model.fit(frame, y)
        model.transformer_.lambdas_[:] = power
        with np.errstate(invalid="ignore"):
            check(model, frame)


def test_inside_a_pipeline_and_around_trees(rows):
    frame, y = rows
    model = TransformedTargetRegressor(HistGradientBoostingRegressor(max_iter=5), func=np.log, inverse_func=np.exp)
    check(make_pipeline(StandardScaler(), model).fit(frame, y), frame)


def test_a_consensus_answers_as_its_refitted_model(rows):
    frame, y = rows
    inner = make_pipeline(StandardScaler(), LinearRegression())
    check(RANSACRegressor(inner, min_samples=50, random_state=0).fit(frame, y), frame)


def test_an_inverse_nobody_knows_is_refused(rows):
    frame, y = rows
    model = TransformedTargetRegressor(Ridge(), transformer=Normalizer(), check_inverse=False)
    with pytest.raises((CannotLift, AttributeError)):
        lifted(model.fit(frame, y), frame)
