from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from columns_parity import lifted_columns, same_columns, shown, transformed
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PowerTransformer, QuantileTransformer, SplineTransformer, StandardScaler

from workbench.migrate.lift import CannotLift
from workbench.models.knowledge import known
from workbench.models.pieces import sklearn_piece


@pytest.fixture(scope="module")
def rows() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training rows, and rows that go beyond them: missing, far out, cents and seconds."""
    rng = np.random.default_rng(3)
    n = 500
    train = pd.DataFrame(
        {
            "amount": rng.normal(size=n),
            "cents": rng.integers(0, 10**8, n).astype(float),
            "seen": 1.6e9 + rng.integers(0, 10**7, n),
            "count": rng.integers(0, 4, n).astype(float),
        }
    )
    beyond = train.sample(300, random_state=0).reset_index(drop=True) * [1.3, 1.1, 1.001, 2]
    beyond.iloc[0] = [1e12, 1e15, -1e15, 0.0]
    beyond.iloc[1] = [-1e12, 0.0, 0.0, -5.0]
    return train, beyond


def _holes(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.where(np.random.default_rng(4).random(frame.shape) > 0.1)


@pytest.mark.parametrize("standardize", [True, False])
def test_yeo_johnson(rows, standardize):
    train, beyond = rows
    same_columns(PowerTransformer(standardize=standardize), _holes(train), _holes(beyond), rtol=1e-13)


@pytest.mark.parametrize("power", [0.0, 1e-17, 1.0, 2.0, 2.0 + 1e-17, 5.0, -3.0])
def test_yeo_johnson_at_the_powers_where_its_formula_changes(rows, power):
    train, beyond = rows
    step = PowerTransformer(standardize=False).fit(train)
    step.lambdas_[:] = power
    beyond = beyond.clip(-1e6, 1e6)
    np.testing.assert_allclose(
        shown(lifted_columns(step, train), beyond), transformed(step, beyond), rtol=1e-13, atol=1e-13
    )


@pytest.mark.parametrize("standardize", [True, False])
def test_box_cox_and_the_values_it_stops_at(rows, standardize):
    train, beyond = (frame.abs() + 0.5 for frame in rows)
    step = PowerTransformer(method="box-cox", standardize=standardize)
    model = same_columns(step, _holes(train), _holes(beyond), rtol=1e-13)
    with pytest.raises(ValueError, match="strictly positive"):
        step.transform(-beyond)
    assert np.isnan(shown(model, -beyond)).all()


@pytest.mark.parametrize("power", [0.0, 1e-20, 1e-3, 40.0, -40.0])
def test_box_cox_far_out(rows, power):
    train, beyond = (frame.abs() + 0.5 for frame in rows)
    step = PowerTransformer(method="box-cox", standardize=False).fit(train)
    step.lambdas_[:] = power
    np.testing.assert_allclose(shown(lifted_columns(step, train), beyond), transformed(step, beyond), rtol=1e-12)


@pytest.mark.parametrize("count", [1, 2, 10, 500])
def test_ranks_bit_by_bit(rows, count):
    train, beyond = rows
    same_columns(QuantileTransformer(n_quantiles=count), _holes(train), _holes(beyond))


@pytest.mark.parametrize("count", [2, 77])
def test_normal_deviates_of_ranks(rows, count):
    train, beyond = rows
    step = QuantileTransformer(n_quantiles=count, output_distribution="normal")
    same_columns(step, _holes(train), _holes(beyond), rtol=1e-14)


def test_ranks_beside_their_ends(rows):
    train, _ = rows
    for distribution in ("uniform", "normal"):
        step = QuantileTransformer(n_quantiles=20, output_distribution=distribution).fit(train)
        ends = np.concatenate([step.quantiles_[[0, -1]] + away for away in (0.0, 5e-8, -5e-8, 2e-7, -2e-7)])
        frame = pd.DataFrame(ends, columns=train.columns)
        np.testing.assert_allclose(shown(lifted_columns(step, train), frame), transformed(step, frame), rtol=1e-14)


@pytest.mark.parametrize("knots", ["uniform", "quantile"])
@pytest.mark.parametrize("extrapolation", ["constant", "linear", "continue", "periodic"])
@pytest.mark.parametrize("degree", [1, 2, 3, 5])
def test_splines_bit_by_bit(rows, degree, extrapolation, knots):
    train, beyond = rows
    step = SplineTransformer(
        n_knots=6, degree=degree, extrapolation=extrapolation, knots=knots, include_bias=degree != 2
    )
    same_columns(step, train, beyond if extrapolation != "continue" else beyond.iloc[2:])


@pytest.mark.parametrize(
    "step",
    [
        SplineTransformer(n_knots=2),
        SplineTransformer(sparse_output=True),
        SplineTransformer(knots=np.array([[-9.0, 0, 0, 0], [1, 1e7, 1e9, 1], [3, 1e8, 2e9, 3]])),
        SplineTransformer(handle_missing="zeros"),
        SplineTransformer(handle_missing="zeros", extrapolation="linear"),
    ],
    ids=str,
)
def test_splines_with_other_options(rows, step):
    train, beyond = (_holes(frame) for frame in rows) if step.handle_missing == "zeros" else rows
    same_columns(step, train, beyond)


def test_where_splines_stop_there_is_no_answer(rows):
    train, beyond = rows
    step = SplineTransformer(extrapolation="error")
    model = lifted_columns(step.fit(train), train)
    assert np.array_equal(shown(model, train), transformed(step, train))
    with pytest.raises(ValueError, match="beyond the limits"):
        step.transform(beyond)
    assert np.isnan(shown(model, beyond)[:2]).any()
    holes = shown(lifted_columns(SplineTransformer().fit(train), train), train.assign(amount=np.nan))
    assert np.isnan(holes[:, :7]).all()
    assert not np.isnan(holes[:, 7:]).any()


def test_a_step_function_is_refused_as_the_table_says(rows):
    train, _ = rows
    step = SplineTransformer(degree=0).fit(train)
    assert known(sklearn_piece(step)).status == "retrain"
    with pytest.raises(CannotLift, match="degree=0"):
        lifted_columns(step, train)


def test_a_table_all_in_float32_is_computed_in_float64(rows):
    """The named difference of every piece: scikit-learn then computes in float32, the lift never does."""
    train, beyond = rows
    single = beyond.iloc[2:].astype(np.float32)
    for step in (PowerTransformer(), QuantileTransformer(n_quantiles=50), SplineTransformer(), StandardScaler()):
        step = make_pipeline(step, StandardScaler())
        model = lifted_columns(step.fit(train), train)
        np.testing.assert_allclose(
            shown(model, single), transformed(step, single.astype(np.float64)), rtol=1e-12, atol=1e-12
        )


def test_behind_them_a_model_answers_alike(rows):
    from lift_parity import check

    train, beyond = rows
    y = (train.amount + train["count"] > 1).to_numpy().astype(int)
    for step in (PowerTransformer(), QuantileTransformer(n_quantiles=50), SplineTransformer()):
        check(make_pipeline(step, StandardScaler(), LogisticRegression()).fit(train, y), train, rows=beyond)
