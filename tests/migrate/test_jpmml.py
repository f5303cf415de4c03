"""sklearn2pmml's and sklearn-pandas' pieces, against values worked out by hand; `test_environment_lift` holds them
against the packages themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.migrate.lift import CannotLift, Lifted, lift_piece
from workbench.models import ModelError, Piece
from workbench.models.sklearn_inputs import asked

D, P = "sklearn2pmml.decoration.", "sklearn2pmml.preprocessing."
COLORS = ["amber", "blue", "red"]


def piece(kind: str, version: str = "0.92.2", children: Any = (), **said: Any) -> Piece:
    arrays = {name: np.asarray(value) for name, value in said.items() if isinstance(value, np.ndarray)}
    return Piece(kind, version, {name: value for name, value in said.items() if name not in arrays}, arrays, children)


def colors(**said: Any) -> Piece:
    return piece(D + "CategoricalDomain", data_=np.array(COLORS, dtype=object), **said)


def years(**said: Any) -> Piece:
    return piece(D + "CategoricalDomain", data_=np.array([1970, 1977, 1982]), **said)


def weights(**said: Any) -> Piece:
    said = {"data_min_": np.array([1.0]), "data_max_": np.array([9.0]), **said}
    return piece(D + "ContinuousDomain", **said)


def one_hot(*values: str) -> Piece:
    return piece("sklearn.preprocessing.OneHotEncoder", "1.2.2", **{"categories_.0": np.array(values, dtype=object)})


def model(*features: tuple[list[str], list[Piece]], width: int = 1) -> Lifted:
    """A mapper of the features, and a sum that weighs its outputs 1, 10, 100, ... so that each can be told."""
    parts = tuple(
        (str(at), Piece("sklearn.pipeline.Pipeline", children=tuple((str(i), step) for i, step in enumerate(steps))))
        for at, (_, steps) in enumerate(features)
    )
    taken = {str(at): list(columns) for at, (columns, _) in enumerate(features)}
    mapper = Piece("sklearn_pandas.DataFrameMapper", "2.2.0", {"columns": taken, "default": False}, {}, parts)
    coef = 10.0 ** np.arange(width)
    line = piece("sklearn.linear_model.LinearRegression", "1.2.2", coef_=coef, intercept_=0.0)
    whole = Piece("sklearn.pipeline.Pipeline", children=(("mapper", mapper), ("line", line)))
    names = list(dict.fromkeys(name for columns, _ in features for name in columns))
    return lift_piece(whole, asked(whole, names).inputs, (), "regression")


def values(lifted: Lifted, **columns: Any) -> list[float]:
    found = lifted.predict(pd.DataFrame(columns)).values
    assert found is not None
    return found.tolist()


def test_text_is_looked_up_value_by_value() -> None:
    cut = model(
        (["c"], [colors(), piece(P + "SubstringTransformer", begin=0, end=2), one_hot("am", "bl", "re")]), width=3
    )
    assert values(cut, c=["red", "amber", "blue"]) == [100.0, 1.0, 10.0]
    long = model((["c"], [colors(), piece(P + "StringLengthTransformer")]))
    assert values(long, c=COLORS) == [5.0, 4.0, 3.0]
    short = piece(P + "ReplaceTransformer", pattern="[aeiou]", replacement="")
    assert values(model((["c"], [colors(), short, one_hot("bl", "mbr", "rd")]), width=3), c=COLORS) == [
        10.0,
        1.0,
        100.0,
    ]
    has = [colors(), piece(P + "MatchesTransformer", pattern="^b"), piece(P + "CastTransformer", dtype="builtins.int")]
    assert values(model((["c"], has)), c=COLORS) == [0.0, 1.0, 0.0]
    loud = [colors(), piece(P + "StringNormalizer", function="upper"), one_hot("AMBER", "BLUE", "RED")]
    assert values(model((["c"], loud), width=3), c=["blue"]) == [10.0]


def test_what_a_domain_stops_at_is_named() -> None:
    lifted = model((["c"], [colors(), one_hot(*COLORS)]), (["w"], [weights()]), width=4)
    assert values(lifted, c=["red", "red"], w=[1.0, 9.0]) == [1100.0, 9100.0]
    with pytest.raises(ModelError, match="'c' holds 'green' at row 1"):
        values(lifted, c=["red", "green"], w=[1.0, 1.0])
    with pytest.raises(ModelError, match=r"'w' holds 9\.5 at row 0.*knows 1 to 9"):
        values(lifted, c=["red"], w=[9.5])
    with pytest.raises(ModelError, match="'c' holds nothing at row 0"):
        values(lifted, c=[None], w=[2.0])
    old = model((["w"], [weights()]))
    assert np.isnan(values(old, w=[np.nan])).all()


def test_treatments_of_the_missing_the_invalid_and_the_outlying() -> None:
    kind = weights(missing_value_replacement=-5.0, invalid_value_treatment="as_value", invalid_value_replacement=-7.0)
    assert values(model((["w"], [kind])), w=[np.nan, 0.0, 4.0, 99.0]) == [-5.0, -7.0, 4.0, -7.0]
    missing = weights(missing_value_replacement=-5.0, invalid_value_treatment="as_missing")
    assert values(model((["w"], [missing])), w=[np.nan, 0.0, 9.0]) == [-5.0, -5.0, 9.0]
    near = weights(
        outlier_treatment="as_extreme_values", low_value=2.0, high_value=8.0, invalid_value_treatment="as_is"
    )
    assert values(model((["w"], [near])), w=[1.0, 5.0, 9.0, 99.0]) == [2.0, 5.0, 8.0, 99.0]
    gone = weights(outlier_treatment="as_missing_values", low_value=2.0, high_value=8.0, missing_value_replacement=0.5)
    assert values(model((["w"], [gone])), w=[1.0, 5.0, np.nan]) == [0.5, 5.0, 0.5]
    coded = weights(missing_values=-999, missing_value_replacement=3.0)
    lifted = model((["w"], [coded]))
    assert values(lifted, w=[-999.0, 4.0]) == [3.0, 4.0]
    with pytest.raises(ModelError, match="holds nothing"):
        values(lifted, w=[np.nan])
    text = colors(missing_value_replacement="blue", invalid_value_treatment="as_value", invalid_value_replacement="red")
    assert values(model((["c"], [text, one_hot(*COLORS)]), width=3), c=["x", None, "amber"]) == [100.0, 10.0, 1.0]
    either = [piece(D + "MultiDomain", children=(("domains.0", Piece("passthrough")), ("domains.1", weights())))]
    assert values(model((["a", "b"], either), width=2), a=[99.0], b=[2.0]) == [119.0]


def test_before_0_51_every_value_passed() -> None:
    assert values(model((["w"], [weights(version="0.44.0")])), w=[99.0]) == [99.0]
    label = piece(
        "sklearn.preprocessing.LabelBinarizer", "0.20.2", classes_=np.array(COLORS), neg_label=-1, pos_label=1
    )
    lifted = model((["c"], [colors(version="0.44.0"), label]), width=3)
    assert values(lifted, c=["red", "green"]) == [100.0 - 10 - 1, -111.0]
    with pytest.raises(CannotLift, match=r"version 0\.52\.0"):
        model((["w"], [weights(version="0.52.0")]))


def test_several_columns_at_once() -> None:
    pairs = [[[1970, "red"], "old red"], [[1982, "blue"], "new blue"]]
    look = piece(P + "MultiLookupTransformer", mapping=pairs, default_value="other")
    lifted = model((["y", "c"], [look, one_hot("new blue", "old red", "other")]), width=3)
    assert values(lifted, y=[1970, 1982, 1970, 5], c=["red", "blue", "blue", None]) == [10.0, 1.0, 100.0, 100.0]
    join = piece(P + "ConcatTransformer", separator="/")
    domains = piece(D + "MultiDomain", children=(("domains.0", years()), ("domains.1", colors())))
    known = sorted(f"{year}/{color}" for year in (1970, 1977, 1982) for color in COLORS)
    lifted = model((["y", "c"], [domains, join, one_hot(*known)]), width=9)
    assert values(lifted, y=[1977.0], c=["blue"]) == [10.0 ** known.index("1977/blue")]
    with pytest.raises(CannotLift, match="it stops at '1982/red'"):
        model((["y", "c"], [domains, join, one_hot(*known[:-1])]), width=8)
    with pytest.raises(CannotLift, match="any value may reach it"):
        model((["y", "c"], [join, one_hot(*known)]), width=9)
    filtered = piece(P + "FilterLookupTransformer", mapping=[["red", "blue"]], default_value=None)
    assert values(model((["c"], [colors(), filtered, one_hot("amber", "blue")]), width=2), c=COLORS) == [
        1.0,
        10.0,
        10.0,
    ]


def test_dates_of_known_text() -> None:
    text = [years(), piece(P + "CastTransformer", dtype="builtins.str")]
    day = piece(P + "ExpressionTransformer", expr="X[0] + '-03-01'")
    since = [*text, day, piece(P + "CastTransformer", dtype="datetime64[D]")]
    days = model((["y"], [*since, piece(P + "DaysSinceYearTransformer", year=1977)]))
    assert values(days, y=[1977, 1970]) == [59.0, 59.0 - 365 * 7 - 2]
    seconds = model((["y"], [*since, piece(P + "SecondsSinceYearTransformer", year=1977)]))
    assert values(seconds, y=[1977]) == [59.0 * 86400]
    with pytest.raises(CannotLift, match="as a date"):
        model((["y"], [*text, piece(P + "CastTransformer", dtype="datetime64[D]")]))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("X[0] / X[1] + 0.5", [2.5, np.nan, np.nan, 0.0]),
        ("X[:, 0] % 3", [1.0, 2.0, np.nan, 2.0]),
        ("X[0] > 2", [1.0, 1.0, 0.0, 0.0]),
        ("X[0] / X[1] if X[1] != 0 else -1", [2.0, -1.0, np.nan, -0.5]),
        ("X[1] and X[0] / X[1]", [2.0, 0.0, np.nan, -0.5]),
        ("numpy.log(X[1]) - 1", [np.log(2.0) - 1, np.nan, np.log(2.0) - 1, np.log(2.0) - 1]),
        ("math.sqrt(X[0])", [2.0, np.sqrt(5.0), np.nan, np.nan]),
        ("-numpy.maximum(X[0], X[1])", [-4.0, -5.0, np.nan, -2.0]),
        ("pandas.isnull(X[0]) or X[0] < 0", [0.0, 0.0, 1.0, 1.0]),
        ("X[0] // X[1]", [2.0, np.nan, np.nan, -1.0]),
        ("X[0] ** 2", [16.0, 25.0, np.nan, 1.0]),
    ],
)
def test_expressions(text: str, expected: list[float]) -> None:
    lifted = model((["a", "b"], [piece(P + "ExpressionTransformer", expr=text)]))
    found = values(lifted, a=[4.0, 5.0, np.nan, -1.0], b=[2.0, 0.0, 2.0, 2.0])
    np.testing.assert_allclose(found, expected, rtol=1e-15, atol=0)


def test_expressions_with_treatments() -> None:
    rows: dict[str, Any] = {"a": [4.0, 5.0, np.nan], "b": [2.0, 0.0, 2.0]}
    divided = {"expr": "X[0] / X[1]"}
    kind = piece(P + "ExpressionTransformer", **divided, map_missing_to=-1.0, default_value=-2.0)
    np.testing.assert_equal(values(model((["a", "b"], [kind])), **rows), [2.0, np.nan, -1.0])
    forgiving = piece(P + "ExpressionTransformer", **divided, default_value=-2.0, invalid_value_treatment="as_missing")
    assert values(model((["a", "b"], [forgiving])), **rows) == [2.0, -2.0, -2.0]
    old = piece(P + "ExpressionTransformer", "0.44.0", **divided)
    np.testing.assert_equal(values(model((["a", "b"], [old])), **rows), [2.0, np.inf, np.nan])


@pytest.mark.parametrize(
    "text", ["X[0].real", "X[5]", "X[-1]", "[1 for x in X]", "max(X[0], X[1])", "1 < X[0] < 2", "X['a']"]
)
def test_expressions_without_an_exact_form_are_refused(text: str) -> None:
    with pytest.raises(CannotLift, match="ExpressionTransformer"):
        model((["a", "b"], [piece(P + "ExpressionTransformer", expr=text)]))


def test_aggregates_and_powers() -> None:
    rows: dict[str, Any] = {"a": [4.0, np.nan, np.nan], "b": [2.0, 3.0, np.nan]}
    for function, expected in {"min": [2.0, 3.0, np.nan], "max": [4.0, 3.0, np.nan], "sum": [6.0, 3.0, 0.0],
                               "prod": [8.0, 3.0, 1.0], "avg": [3.0, 3.0, np.nan]}.items():  # fmt: skip
        found = values(model((["a", "b"], [piece(P + "Aggregator", function=function)])), **rows)
        np.testing.assert_equal(found, expected)
    old = piece(P + "Aggregator", "0.44.0", function="mean")
    np.testing.assert_equal(values(model((["a", "b"], [old])), **rows), [3.0, np.nan, np.nan])
    cube = model((["a", "b"], [piece(P + "PowerFunctionTransformer", power=3)]), width=2)
    assert values(cube, a=[2.0], b=[3.0]) == [278.0]


def test_text_that_reaches_what_computes_is_refused() -> None:
    word = piece(P + "SubstringTransformer", begin=0, end=1)
    with pytest.raises(CannotLift, match="text made by an earlier step"):
        model((["c"], [colors(), word]))
    with pytest.raises(CannotLift, match="any value may reach it"):
        model((["c"], [word, one_hot("a", "b", "r")]), width=3)
    for pattern in ("(a+)+$", r"(a)\1", "a*b*c*d*e*", "[", "(?=a)"):
        with pytest.raises(CannotLift, match="MatchesTransformer"):
            model((["c"], [colors(), piece(P + "MatchesTransformer", pattern=pattern)]))


def test_a_lifted_mapper_is_saved_and_comes_back(tmp_path: Any) -> None:
    from workbench.models import open_model

    look = piece(P + "MultiLookupTransformer", mapping=[[[1970, "red"], 5.0]], default_value=1.0)
    features = [(["y", "c"], [look]), (["w"], [weights(), piece(P + "ExpressionTransformer", expr="X[0] % 2 > 0")])]
    lifted = model(*features, width=2)  # type: ignore[arg-type]
    lifted.save(tmp_path / "m.pt2")
    again = open_model(str(tmp_path / "m.pt2"))
    rows = pd.DataFrame({"y": [1970, 3], "c": ["red", "red"], "w": [3.0, 4.0]})
    assert again.predict(rows).values.tolist() == lifted.predict(rows).values.tolist() == [15.0, 1.0]
    assert Lifted.load_spec(tmp_path / "m.pt2").predict(rows).values.tolist() == [15.0, 1.0]
    with pytest.raises(ModelError, match="knows 1 to 9"):
        again.predict(rows.assign(w=[3.0, 40.0]))
    again.close()
