from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from columns_parity import lifted_columns, same_columns
from sklearn.preprocessing import FunctionTransformer

from workbench.migrate.lift import CannotLift
from workbench.migrate.lift.functions import NAMES, WITH_ARGUMENTS
from workbench.models.knowledge import known, table
from workbench.models.pieces import sklearn_piece

ODD = pd.DataFrame(
    {
        "a": [0.0, -0.0, 1.5, -1.5, 2.5, np.nan, np.inf, -np.inf, 1e308, 5e-324, 700.0, -3.0, 0.5, 1.6e9, 12345.67],
        "b": np.arange(-7.0, 8.0),
    }
)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", sorted(set(NAMES) - {"clip"}))
def test_every_named_function_on_odd_values(name):
    same_columns(FunctionTransformer(getattr(np, name)), ODD, ODD, rtol=1e-15, mixed=False)
    same_columns(FunctionTransformer(getattr(np, name)), ODD.abs(), ODD.abs(), rtol=1e-15, mixed=False)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (np.clip, {"a_min": -1, "a_max": 2}),
        (np.clip, {"a_min": None, "a_max": 0.25}),
        (np.clip, {"min": 0, "max": None}),
        (np.nan_to_num, {"nan": -1.0}),
        (np.nan_to_num, {"nan": 0.5, "posinf": 7.0, "neginf": -7.0, "copy": True}),
        (np.round, {"decimals": 1}),
        (np.around, {"decimals": -2}),
    ],
)
def test_arguments(function, arguments):
    same_columns(FunctionTransformer(function, kw_args=arguments), ODD, ODD, mixed=False)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_whole_numbers_and_truth_values():
    frame = pd.DataFrame({"n": np.arange(1, 9), "m": np.arange(8, dtype=np.int32)})
    for name in ("log1p", "sqrt", "abs", "exp", "square", "sign", "floor", "negative"):
        same_columns(FunctionTransformer(getattr(np, name)), frame, frame, rtol=1e-15)


def test_the_table_names_the_same_functions():
    need = table()["pieces"]["sklearn.preprocessing.FunctionTransformer"]["needs"]
    assert need[0]["one_of"] == [None, *(f"numpy.{name}" for name in NAMES)]
    assert sorted(need[1]["unless"]["func"]) == [f"numpy.{name}" for name in WITH_ARGUMENTS]


@pytest.mark.parametrize(
    ("function", "arguments"),
    [(np.cbrt, None), (lambda x: x, None), (np.clip, {"a_min": 0, "out": None}), (np.log, {"where": True})],
    ids=["cbrt", "lambda", "clip", "log"],
)
def test_what_is_refused(function, arguments):
    step = FunctionTransformer(function, kw_args=arguments)
    if function is not np.clip:
        assert known(sklearn_piece(step)).status == "retrain"
    with pytest.raises(CannotLift):
        lifted_columns(step, ODD)
