"""PMML's general regressions: scikit-learn's fitted coefficients written as R's glm is exported, and read back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, PoissonRegressor
from test_pmml import FIELDS, document

from workbench.models import ModelError
from workbench.models.pmml import open_pmml

SCHEMA = '<MiningSchema><MiningField name="y" usageType="target"/><MiningField name="x"/><MiningField name="z"/><MiningField name="c"/></MiningSchema>'  # noqa: E501
PARTS = """<ParameterList><Parameter name="p0"/><Parameter name="p1"/><Parameter name="p2"/><Parameter name="p3"/></ParameterList>
<FactorList><Predictor name="c"/></FactorList><CovariateList><Predictor name="x"/><Predictor name="z"/></CovariateList>
<PPMatrix><PPCell value="1" predictorName="x" parameterName="p1"/><PPCell value="2" predictorName="z" parameterName="p2"/>
<PPCell value="1" predictorName="x" parameterName="p3"/><PPCell value="a" predictorName="c" parameterName="p3"/></PPMatrix>
"""  # noqa: E501


@pytest.fixture(scope="module")
def table() -> tuple[pd.DataFrame, Any]:
    """Rows, and the parameters' values in them: x, z squared, and x where c is a."""
    rng = np.random.default_rng(4)
    rows = pd.DataFrame({"x": rng.normal(size=200), "z": rng.normal(size=200), "c": rng.choice(["a", "b", "d e"], 200)})
    return rows, np.column_stack([rows["x"], rows["z"] ** 2, rows["x"] * (rows["c"] == "a")])


def text(kind: str, function: str, cells: str, more: str = "", fields: str = FIELDS) -> bytes:
    model = f'<GeneralRegressionModel modelType="{kind}" functionName="{function}" {more}>{SCHEMA}{PARTS}'
    return document(f"{model}<ParamMatrix>{cells}</ParamMatrix></GeneralRegressionModel>", fields)


def cells(intercept: float, coefficients: Any, category: str = "") -> str:
    named = f'targetCategory="{category}" ' if category else ""
    return "".join(
        f'<PCell {named}parameterName="p{number}" beta="{float(beta)!r}"/>'
        for number, beta in enumerate([intercept, *coefficients])
    )


def test_two_classes_with_and_without_a_named_category(table: tuple[pd.DataFrame, Any]) -> None:
    rows, X = table
    y = np.where(X[:, 0] + X[:, 2] + X[:, 1] > 0.8, "yes", "no")
    fitted = LogisticRegression().fit(X, y)
    want = fitted.predict_proba(X)
    given = (fitted.intercept_[0], fitted.coef_[0])
    link = 'distribution="binomial" linkFunction="logit"'
    for body, more in (
        (cells(*given), ""),
        (cells(*given, "yes"), ""),
        (cells(*given), 'targetReferenceCategory="no"'),
        (cells(-given[0], -given[1]), 'targetReferenceCategory="yes"'),
        (cells(-given[0], -given[1], "no"), ""),
    ):
        outputs = open_pmml(text("generalizedLinear", "classification", body, f"{link} {more}")).predict(rows)
        np.testing.assert_allclose(outputs.scores, want, rtol=0, atol=1e-14)
        np.testing.assert_array_equal(outputs.labels, fitted.predict(X))
    with pytest.raises(ModelError, match="is for 'maybe'"):
        open_pmml(text("generalizedLinear", "classification", cells(*given, "maybe"), link))


def test_several_classes_against_a_reference(table: tuple[pd.DataFrame, Any]) -> None:
    rows, X = table
    y = np.digitize(X[:, 0] + X[:, 2], [-0.5, 0.7])
    fitted = LogisticRegression().fit(X, y)
    fields = FIELDS.replace(
        '<Value value="no"/><Value value="yes"/>', '<Value value="0"/><Value value="1"/><Value value="2"/>'
    )
    # Against the last class: its own coefficients taken from all.
    weight, bias = fitted.coef_ - fitted.coef_[2], fitted.intercept_ - fitted.intercept_[2]
    body = cells(bias[0], weight[0], "0") + cells(bias[1], weight[1], "1")
    for more in ("", 'targetReferenceCategory="2"'):
        outputs = open_pmml(text("multinomialLogistic", "classification", body, more, fields)).predict(rows)
        np.testing.assert_allclose(outputs.scores, fitted.predict_proba(X), rtol=0, atol=1e-14)


def test_links_of_a_regression(table: tuple[pd.DataFrame, Any]) -> None:
    rows, X = table
    fitted = PoissonRegressor(alpha=0).fit(X, np.exp(X[:, 0] / 2) + 0.1)
    body = cells(fitted.intercept_, fitted.coef_)
    number = FIELDS.replace(
        'name="y" optype="categorical" dataType="string"', 'name="y" optype="continuous" dataType="double"'
    )
    number = number.replace('<Value value="no"/><Value value="yes"/>', "")
    linear = fitted.intercept_ + X @ fitted.coef_
    from scipy.stats import norm

    want = {
        "log": fitted.predict(X),
        "identity": linear,
        "probit": norm.cdf(linear),
        "cloglog": 1 - np.exp(-np.exp(linear)),
        "loglog": np.exp(-np.exp(-linear)),
    }
    for link, values in want.items():
        model = open_pmml(text("generalizedLinear", "regression", body, f'linkFunction="{link}"', number))
        np.testing.assert_allclose(model.predict(rows).values, values, rtol=1e-12, err_msg=link)
        assert np.isnan(model.predict(rows.assign(c=None)).values).all()
    moved = open_pmml(text("generalLinear", "regression", body, 'offsetValue="10"', number)).predict(rows).values
    np.testing.assert_allclose(moved, linear + 10, rtol=1e-12)
    for more, said in (('linkFunction="odd"', "has the link 'odd'"), ('trialsValue="3"', "counts trials")):
        with pytest.raises(ModelError, match=said):
            open_pmml(text("generalizedLinear", "regression", body, more, number))
    with pytest.raises(ModelError, match="of the type 'CoxRegression'"):
        open_pmml(text("CoxRegression", "regression", body, "", number))
