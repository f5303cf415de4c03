"""PMML scorecards and general regressions, lifted to torch, against the reader's own answers and scikit-learn's."""

# ruff: noqa: E501 (a document reads better on one line)

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from test_pmml import FIELDS, document
from test_pmml_general import cells, text

from workbench.migrate.lift import CannotLift, lift
from workbench.migrate.lift.ops import Arrays, from_plain, to_plain
from workbench.models.pmml import open_pmml

NUMBER = FIELDS.replace(
    'name="y" optype="categorical" dataType="string"', 'name="y" optype="continuous" dataType="double"'
).replace('<Value value="no"/><Value value="yes"/>', "")
LINKS = ("identity", "log", "logit", "cloglog", "loglog", "probit", "cauchit", "logc")


def rows(n: int = 120) -> pd.DataFrame:
    """Numbers at, beside and between the constants of the cards below; texts; what is missing and never seen."""
    rng = np.random.default_rng(6)
    points = [-1.0, 0.0, 2.0, np.nextafter(2.0, 9.0), np.nextafter(0.0, -1.0), 5.0, 7.0, -50.0, 1e300, np.nan]
    found = pd.DataFrame({"x": rng.normal(size=n), "z": rng.normal(1, 2, n), "c": rng.choice(["a", "b", "d e"], n)})
    found.loc[: len(points) - 1, "x"] = points
    found.loc[len(points) : 2 * len(points) - 1, "z"] = points
    found.loc[30:34, "c"] = None
    found.loc[35:38, "c"] = "never seen"
    return found


def same(model: object, asked: pd.DataFrame, tolerance: float = 1e-14) -> np.ndarray:
    """The lifted model answers as the reader does; the reader's numbers."""
    want, got = model.predict(asked), lift(model).predict(asked)
    legacy, lifted = (part.values if part.scores is None else part.scores for part in (want, got))
    np.testing.assert_allclose(lifted, legacy, rtol=tolerance, atol=tolerance)
    if want.labels is not None:
        assert got.labels.tolist() == want.labels.tolist()
    for one in (asked.iloc[:1], asked.iloc[:0]):
        np.testing.assert_array_equal(len(lift(model).predict(one)), len(one))
    return legacy


def attribute(score: float, predicate: str) -> str:
    return f'<Attribute partialScore="{score}">{predicate}</Attribute>'


def simple(field: str, operator: str, value: float | str) -> str:
    return f'<SimplePredicate field="{field}" operator="{operator}" value="{value}"/>'


BETWEEN = f'<CompoundPredicate booleanOperator="and">{simple("x", "greaterOrEqual", 0)}{simple("x", "lessThan", 2)}</CompoundPredicate>'
CARD = f"""<Characteristics>
<Characteristic name="one" baselineScore="0">{attribute(5, '<SimplePredicate field="x" operator="isMissing"/>')}
{attribute(-1.25, simple("x", "lessThan", 0))}{attribute(3, BETWEEN)}{attribute(0.1, simple("x", "equal", 2))}{attribute(17, "<True/>")}</Characteristic>
<Characteristic name="two">{attribute(1, simple("z", "lessOrEqual", 5))}{attribute(2, simple("z", "greaterThan", 7))}
{attribute(4, '<SimpleSetPredicate field="z" booleanOperator="isIn"><Array type="real" n="2">5.5 7</Array></SimpleSetPredicate>')}</Characteristic>
<Characteristic name="three">{attribute(8, simple("c", "equal", "d e"))}
{attribute(9, '<SimpleSetPredicate field="c" booleanOperator="isNotIn"><Array type="string" n="1">a</Array></SimpleSetPredicate>')}{attribute(-2, "<True/>")}</Characteristic>
<Characteristic name="four">{attribute(0.5, simple("x", "greaterThan", 5))}{attribute(0.25, "<True/>")}</Characteristic>
</Characteristics>"""


def card(schema: str = "", inner: str = CARD) -> bytes:
    fields = (
        schema or '<MiningField name="x"/><MiningField name="z"/><MiningField name="c" invalidValueTreatment="asIs"/>'
    )
    return document(
        f'<Scorecard functionName="regression" initialScore="100" useReasonCodes="false"><MiningSchema><MiningField name="y" usageType="target"/>{fields}</MiningSchema>{inner}</Scorecard>',
        NUMBER,
    )


def test_a_scorecard_is_steps_and_a_sum() -> None:
    asked = rows()
    legacy = same(open_pmml(card()), asked)
    assert np.isnan(legacy[asked["z"].isna()]).all()
    assert (legacy[asked["x"].isna() & asked["z"].le(5) & asked["c"].eq("a")] == 100 + 5 + 1 - 2 + 0.25).all()


@pytest.mark.parametrize(
    "treated",
    [
        'missingValueReplacement="1.5"',
        'outliers="asExtremeValues" lowValue="-0.5" highValue="1"',
        'outliers="asMissingValues" lowValue="-0.5" highValue="1"',
    ],
)
def test_what_is_missing_or_extreme_is_treated_as_the_card_says(treated: str) -> None:
    schema = (
        f'<MiningField name="x" {treated}/><MiningField name="z" missingValueReplacement="6"/><MiningField name="c"/>'
    )
    legacy = same(open_pmml(card(schema)), rows())
    # A text that is not listed is invalid, and leaves no answer.
    assert np.isnan(legacy[35:39]).all()


def test_cards_that_ask_more_are_refused_with_the_reason() -> None:
    two = f'<CompoundPredicate booleanOperator="and">{simple("x", "lessThan", 0)}{simple("z", "lessThan", 0)}</CompoundPredicate>'
    computed = '<Attribute><True/><ComplexPartialScore><FieldRef field="x"/></ComplexPartialScore></Attribute>'
    for part, why in ((attribute(1, two), "asks 'x, z'"), (computed, "is computed")):
        inner = f'<Characteristics><Characteristic name="one">{part}</Characteristic></Characteristics>'
        with pytest.raises(CannotLift, match=why):
            lift(open_pmml(card("", inner)))


@pytest.mark.parametrize("link", LINKS)
def test_general_regressions_lift(link: str) -> None:
    body = cells(0.3, [0.5, -0.1, 0.7])
    asked = rows().assign(z=lambda table: table["z"].clip(-3, 3), x=lambda table: table["x"].clip(-3, 3))
    more = f'linkFunction="{link}" offsetValue="-0.25"'
    same(open_pmml(text("generalizedLinear", "regression", body, more, NUMBER)), asked, 1e-13)
    offset = f'linkFunction="{link}" offsetVariable="z"'
    same(open_pmml(text("generalizedLinear", "regression", body, offset, NUMBER)), asked, 1e-13)
    for event in ("yes", "no"):
        model = open_pmml(
            text("generalizedLinear", "classification", cells(0.3, [0.5, -0.1, 0.7], event), f'linkFunction="{link}"')
        )
        if event == "no" and link in ("identity", "log", "logc"):
            with pytest.raises(CannotLift, match="first class"):
                lift(model)
        else:
            same(model, asked, 1e-13)


def test_several_classes_are_scikit_learns_own() -> None:
    asked = rows().dropna().query("c != 'never seen'")
    asked = asked[asked[["x", "z"]].abs().max(axis=1) < 100]
    X = np.column_stack([asked["x"], asked["z"] ** 2, asked["x"] * (asked["c"] == "a")])
    fitted = LogisticRegression().fit(X, np.digitize(X[:, 0] + X[:, 2], [-0.5, 0.7]))
    weight, bias = fitted.coef_ - fitted.coef_[2], fitted.intercept_ - fitted.intercept_[2]
    fields = FIELDS.replace(
        '<Value value="no"/><Value value="yes"/>', '<Value value="0"/><Value value="1"/><Value value="2"/>'
    )
    body = cells(bias[0], weight[0], "0") + cells(bias[1], weight[1], "1")
    model = open_pmml(text("multinomialLogistic", "classification", body, "", fields))
    same(model, rows().assign(x=rows()["x"].clip(-9, 9), z=rows()["z"].clip(-9, 9)), 1e-13)
    np.testing.assert_allclose(lift(model).predict(asked).scores, fitted.predict_proba(X), rtol=0, atol=1e-13)


def test_a_lifted_card_is_plain_data() -> None:
    arrays: Arrays = {}
    made = lift(open_pmml(card()))
    again = from_plain(to_plain(made.module.op, arrays), arrays)
    x = torch.linspace(-3, 9, 40, dtype=torch.float64).reshape(20, 2)
    codes = torch.zeros(20, 1, dtype=torch.int64)
    got, want = (op(x, codes)["values"] for op in (again, made.module.op))
    torch.testing.assert_close(got, want, rtol=0, atol=0, equal_nan=True)
