"""PMML regressions of raw numbers and texts, lifted to torch, against the reader's own sums."""

# ruff: noqa: E501 (a document reads better on one line)

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from test_pmml import SCHEMA, document

from workbench.migrate.lift import CannotLift, lift
from workbench.models.pmml import open_pmml

TERMS = """<NumericPredictor name="x" coefficient="2"/><NumericPredictor name="z" coefficient="-0.3"/>
<CategoricalPredictor name="c" value="a" coefficient="1.5"/><CategoricalPredictor name="c" value="d e" coefficient="-4"/>"""
TABLES = f"""<RegressionTable targetCategory="{{first}}" intercept="0.25">{TERMS}</RegressionTable>
<RegressionTable targetCategory="{{second}}" intercept="0"/>"""
REGRESSIONS = [
    ("regression", how, f'<RegressionTable intercept="0.25">{TERMS}</RegressionTable>', invalid)
    for how in ("none", "exp", "logit", "softmax")
    for invalid in ("asIs", "returnInvalid")
] + [
    ("classification", how, TABLES.format(first=first, second=second), "asIs")
    for how in ("logit", "softmax")
    for first, second in (("yes", "no"), ("no", "yes"))
]  # fmt: skip


@pytest.mark.parametrize("function, how, tables, invalid", REGRESSIONS)
def test_regressions_of_raw_columns_lift(function: str, how: str, tables: str, invalid: str) -> None:
    schema = SCHEMA.replace("asIs", invalid)
    text = f'<RegressionModel functionName="{function}" normalizationMethod="{how}">{schema}{tables}</RegressionModel>'
    model = open_pmml(document(text))
    rng = np.random.default_rng(1)
    rows = pd.DataFrame({"x": rng.normal(size=60), "z": rng.normal(size=60), "c": rng.choice(["a", "b", "d e"], 60)})
    rows.loc[:4, "c"] = None
    rows.loc[5:9, "c"] = "never seen"
    rows.loc[10:14, "x"] = np.nan
    want, got = model.predict(rows), lift(model).predict(rows)
    legacy, lifted = (part.values if part.scores is None else part.scores for part in (want, got))
    np.testing.assert_allclose(lifted, legacy, rtol=1e-13, atol=1e-14)
    assert np.isnan(legacy[10:15]).all()
    assert np.isnan(legacy[5:10]).all() == (invalid == "returnInvalid")
    if want.labels is not None:
        assert got.labels is not None
        assert got.labels.tolist() == want.labels.tolist()


def test_regressions_that_compute_more_are_not_lifted() -> None:
    for table, why in (
        (TERMS.replace('"x" coefficient', '"x" exponent="2" coefficient'), "power"),
        ('<PredictorTerm coefficient="1"><FieldRef field="x"/><FieldRef field="z"/></PredictorTerm>', "multiplies"),
    ):
        text = f'<RegressionModel functionName="regression">{SCHEMA}<RegressionTable intercept="1">{table}</RegressionTable></RegressionModel>'
        with pytest.raises(CannotLift, match=why):
            lift(open_pmml(document(text)))
