"""Old pipelines of sklearn2pmml and sklearn-pandas: as their own packages answer, and lifted."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from old_environments import environment_of

from workbench.migrate.lift import Lifted, lift, lift_piece
from workbench.models import Model, ModelError, Outputs
from workbench.models.environment import Built, Environment
from workbench.models.environment_model import PORTABLE
from workbench.models.ghosts import Raised
from workbench.models.knowledge import LIFTS, whole
from workbench.models.older import renew
from workbench.models.pieces import sklearn_piece
from workbench.models.sklearn_inputs import asked

pytestmark = pytest.mark.slow

BAR = 1e-12
FILES = {"1.2.2": 6, "0.20.2": 6, "0.19.0": 8}


@pytest.mark.parametrize("version", FILES)
def test_files_of_old_answer_in_their_environment_and_lift(
    version: str, cases: Path, opened: Callable[..., Model]
) -> None:
    files = sorted((cases / "legacy_models/sklearn" / version).glob("*.pkl"))
    assert len(files) == FILES[version]
    environment, there = environment_of(files[0])
    assert there.installed["scikit-learn"] == version
    for file in files:
        model = opened(file, environment=environment.plain())
        assert f"scikit-learn {version}" in model.answered_by
        data = next(name for name in ("Audit", "Auto", "Iris", "Wheat") if file.stem.endswith(name))
        read: dict[str, Any] = {"keep_default_na": False, "na_values": ["N/A", "NA", ""]}
        rows = pd.read_csv(file.with_name(f"input_{data}.csv"), **read)
        expected = pd.read_csv(file.with_name(f"{file.stem}.expected.csv"), **read)
        assert whole(model.describe()).status in LIFTS
        lifted = lift(model)
        for outputs in (model.predict(rows), lifted.predict(rows), lifted.predict(rows.iloc[[5]])):
            held(outputs, expected.iloc[[5]] if len(outputs) == 1 else expected)
        assert len(lifted.predict(rows[:0])) == 0
        model.close()


def held(outputs: Outputs, expected: pd.DataFrame) -> None:
    if outputs.values is not None:
        np.testing.assert_allclose(outputs.values, expected.iloc[:, 0], rtol=0, atol=BAR)
    else:
        assert outputs.labels is not None
        assert (outputs.labels.astype(str) == expected.iloc[:, 0].astype(str)).all()
    if outputs.scores is not None:
        np.testing.assert_allclose(outputs.scores, expected.iloc[:, 1 : 1 + len(outputs.classes)], rtol=0, atol=BAR)


MAKE = """
import json, sys, types, warnings
warnings.simplefilter("ignore")
import numpy as np, pandas as pd
from sklearn.linear_model import Ridge
from sklearn.preprocessing import LabelBinarizer, LabelEncoder, OneHotEncoder, StandardScaler, Binarizer
from sklearn.impute import SimpleImputer
from sklearn2pmml.decoration import Alias, CategoricalDomain, ContinuousDomain, MultiDomain, OrdinalDomain
from sklearn2pmml.feature_selection import SelectUnique
from sklearn2pmml.pipeline import PMMLPipeline
from sklearn2pmml.preprocessing import *
from sklearn_pandas import DataFrameMapper

package = types.ModuleType("portable")
package.__path__ = [sys.argv[1]]
sys.modules["portable"] = package
from portable.state import Reader

train = pd.read_csv("train.csv")
rows = pd.read_csv("rows.csv")
rng = np.random.default_rng(5)
y = rng.normal(size=len(train))
CD, ND = CategoricalDomain, ContinuousDomain
hot = lambda: OneHotEncoder(sparse_output=False)
other = lambda value: dict(invalid_value_treatment="as_value", invalid_value_replacement=value)
beyond = lambda how: dict(outlier_treatment=how, low_value=1.0, high_value=6.0, missing_value_replacement=2.0)
words = {
    "plain": [CD(), hot()],
    "ignores": [CD(invalid_value_treatment="as_is"), OneHotEncoder(handle_unknown="ignore")],
    "filled": [CD(missing_value_replacement="red", **other("blue")), hot()],
    "as missing": [CD(missing_value_replacement="red", invalid_value_treatment="as_missing"), hot()],
    "sentinel": [CD(missing_values="?", missing_value_replacement="red"), hot()],
    "refuses missing": [CD(missing_value_treatment="return_invalid"), hot()],
    "cut": [CD(), SubstringTransformer(1, 3), hot()],
    "replaced": [CD(), ReplaceTransformer("[aeiou]+", "_"), hot()],
    "matched": [CD(), MatchesTransformer("^b.*e$"), CastTransformer(int)],
    "upper": [CD(), StringNormalizer("upper"), hot()],
    "labels": [CD(), LabelBinarizer(neg_label=-1)],
    "label": [CD(), LabelEncoder()],
    "pmml labels": [CD(), PMMLLabelBinarizer()],
    "pmml label": [CD(), PMMLLabelEncoder(missing_values=-1)],
    "looked up": [LookupTransformer({"red": 1.5, "blue": 2.5}, 0.5)],
    "filtered": [CD(), FilterLookupTransformer({"red": "blue"}), hot()],
}
numbers = {
    "range": [ND()],
    "filled": [ND(missing_value_replacement=2.5)],
    "value": [ND(missing_value_replacement=2.5, **other(-3.0))],
    "missing": [ND(missing_value_replacement=2.5, invalid_value_treatment="as_missing")],
    "as is": [ND(invalid_value_treatment="as_is", missing_value_replacement=0.0)],
    "extreme": [ND(**beyond("as_extreme_values"))],
    "outliers": [ND(**beyond("as_missing_values"))],
    "sentinel": [ND(missing_values=-999.0, missing_value_replacement=0.5, invalid_value_treatment="as_is")],
    "float": [ND(dtype=float), SimpleImputer(), StandardScaler()],
    "bins": [ND(), Binarizer(threshold=3)],
    "power": [ND(), PowerFunctionTransformer(3)],
}
whole = {
    "domain": [CD(dtype=None)],
    "ordinal": [OrdinalDomain(), hot()],
    "text": [CD(), CastTransformer(str), hot()],
    "days": [CD(), CastTransformer(str), ExpressionTransformer("X[0] + '-12-31'")],
    "odd": [CD(), Alias(ExpressionTransformer("X[0] % 2.0 > 0.0", dtype=np.int8), "odd", prefit=True)],
    "cast": [CD(), CastTransformer(float)],
}
whole["days"] += [CastTransformer("datetime64[D]"), DaysSinceYearTransformer(1975)]
map_to = dict(map_missing_to=-1.0, default_value=-2.0)
several = {
    "average": (["price", "weight"], [Aggregator("mean")]),
    "least": (["price", "weight"], [Aggregator("min")]),
    "product": (["price", "weight"], [Aggregator("prod")]),
    "sum": (["price", "weight"], [Aggregator("sum")]),
    "ratio": (["price", "weight"], [ExpressionTransformer("X[0] / X[1] - 0.5", dtype=float)]),
    "guarded": (["price", "weight"], [ExpressionTransformer("X[0] / X[1] if X[1] > 0 else -1.0")]),
    "filled": (["price", "weight"], [ExpressionTransformer("numpy.sqrt(X[0]) + abs(X[1])", **map_to)]),
    "mapped": (["year", "color"], [MultiLookupTransformer({(1970, "red"): "a", (1977, "blue"): "b"}, "c"), hot()]),
    "joined": (["year", "color"], [MultiDomain([CD(), CD()]), ConcatTransformer("/"), hot()]),
    "twice": (["price", "weight", "price"], [MultiDomain([ND(), None, None]), StandardScaler()]),
}
features = {"word " + name: (["color"], steps) for name, steps in words.items()}
features.update({"number " + name: (["price"], steps) for name, steps in numbers.items()})
features.update({"year " + name: (["year"], steps) for name, steps in whole.items()})
features.update({"several " + name: given for name, given in several.items()})
said = {}
for name, (columns, steps) in features.items():
    mapper = DataFrameMapper([(columns, steps)])
    model = PMMLPipeline([("mapper", mapper), ("unique", SelectUnique()), ("line", Ridge())])
    model.fit(train.copy(), y)
    reader, answers = Reader(), []
    node = json.loads(json.dumps(reader.node(model)))
    np.savez(name + ".npz", **reader.arrays)
    for place in range(len(rows)):
        row = rows.iloc[[place]].copy()
        try:
            answers.append(float(model.predict(row)[0]))
        except Exception as error:
            answers.append("%s: %s" % (type(error).__name__, error))
    said[name] = [answers, node]
json.dump(said, open("said.json", "w"))
"""


def samples() -> tuple[pd.DataFrame, pd.DataFrame]:
    """What the pipelines are trained on, and rows to ask: in range, at its edges, beyond it, unseen and missing."""
    rng = np.random.default_rng(3)
    train = pd.DataFrame(
        {
            "color": rng.choice(["red", "blue", "beige", "amber"], 200),
            "price": rng.uniform(0.5, 8.0, 200).round(2),
            "weight": rng.uniform(0.5, 8.0, 200),
            "year": rng.choice([1970, 1977, 1982], 200),
        }
    )
    rows = train.iloc[:14].reset_index(drop=True)
    strange = {"color": ["green", None, "?"], "year": [1999, 1971], "weight": [0.0, np.nan, -2.0]}
    strange["price"] = [99.0, np.nan, -999.0, train.price.max()]
    more = [rows.iloc[[at]].assign(**{name: value}) for name, many in strange.items() for at, value in enumerate(many)]
    return train, pd.concat([rows, *more], ignore_index=True)


def test_each_piece_lifts_as_its_package_answers(built: tuple[Environment, Built], tmp_path: Path) -> None:
    """Row by row: the same number, or both stop; where only the package stops, the lifted answer is NaN."""
    train, rows = samples()
    train.to_csv(tmp_path / "train.csv", index=False)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    made = [str(built[1].python), "-I", "-c", MAKE, str(PORTABLE)]
    done = subprocess.run(made, cwd=tmp_path, check=False, env=kept, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads((tmp_path / "said.json").read_text())
    assert len(said) > 40
    wrong = {}
    for name, (expected, node) in said.items():
        lifted = described(node, tmp_path / f"{name}.npz")
        answers = [one(lifted, rows.iloc[[place]]) for place in range(len(rows))]
        off = [(e, a) for e, a in zip(expected, answers, strict=True) if not agree(e, a)]
        if off:
            wrong[name] = off[:4]
    assert not wrong


def described(node: Any, arrays: Path) -> Lifted:
    """As the model door reads what the model's own environment tells."""
    with np.load(arrays) as found:
        ghost = Raised(dict(found), renew).value(node)
    piece = sklearn_piece(ghost)
    return lift_piece(piece, asked(piece, list(ghost.feature_names_in_)).inputs, (), "regression")


def one(lifted: Lifted, row: pd.DataFrame) -> float | str:
    try:
        values = lifted.predict(row).values
    except ModelError as error:
        return str(error)
    assert values is not None
    return float(values[0])


def agree(expected: float | str, answer: float | str) -> bool:
    if isinstance(expected, str):
        return isinstance(answer, str) or bool(np.isnan(answer))
    return isinstance(answer, float) and bool(np.isclose(answer, expected, rtol=BAR, atol=BAR))
