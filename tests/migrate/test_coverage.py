from __future__ import annotations

from pathlib import Path

import pytest

from workbench.migrate.lift import PREDICTORS, TRANSFORMERS
from workbench.migrate.lift.coverage import GROUPS, page
from workbench.models.knowledge import LIFTS, table

ROOT = Path(__file__).resolve().parents[2]
ROWS = table()["pieces"]

PROMISED = """
    StandardScaler MinMaxScaler RobustScaler MaxAbsScaler Normalizer Binarizer KBinsDiscretizer PolynomialFeatures
    SimpleImputer OneHotEncoder OrdinalEncoder TargetEncoder FunctionTransformer PowerTransformer QuantileTransformer
    SplineTransformer PCA TruncatedSVD SelectKBest SelectPercentile SelectFpr SelectFdr SelectFwe SelectFromModel
    GenericUnivariateSelect SequentialFeatureSelector RFE RFECV VarianceThreshold ColumnTransformer FeatureUnion
    Pipeline LinearRegression Ridge Lasso ElasticNet LogisticRegression SGDClassifier SGDRegressor LinearSVC LinearSVR
    LinearDiscriminantAnalysis QuadraticDiscriminantAnalysis PoissonRegressor GammaRegressor TweedieRegressor Perceptron
    GaussianNB BernoulliNB MultinomialNB MLPClassifier MLPRegressor KMeans TransformedTargetRegressor
"""


def test_the_page_is_what_the_code_says():
    written = (ROOT / "docs/coverage.md").read_text("utf-8")
    assert written == page(), "remake it: python -m workbench.migrate.lift.coverage > docs/coverage.md"


def test_every_kind_is_on_the_page_once_and_in_a_group_of_its_own():
    lines = [line for line in page().splitlines() if line.startswith("| `")]
    assert len(lines) == len(ROWS)
    assert all(line.count(" | ") == 4 for line in lines)
    starts = [start for group in GROUPS.values() for start in group if start]
    assert all(any(kind.startswith(start) for kind in ROWS) for start in starts)


@pytest.mark.parametrize("name", PROMISED.split())
def test_what_was_promised_lifts(name):
    kinds = [kind for kind in ROWS if kind.startswith("sklearn.") and kind.endswith(f".{name}")]
    assert len(kinds) == 1
    assert ROWS[kinds[0]]["status"] in LIFTS
    assert kinds[0] in PREDICTORS or kinds[0] in TRANSFORMERS


def test_what_must_be_retrained_says_what_to_do_about_it():
    """Advice names a way on: another piece that lifts, the data pipeline, or a model trained on its answers."""
    ways = [kind.rpartition(".")[2] for kind, row in ROWS.items() if row["status"] in LIFTS]
    ways += ["pipeline", "torch", "Distil", "exported from", "one migration per target"]
    for kind, row in ROWS.items():
        if row["status"] == "retrain":
            assert any(way in row["advice"] for way in ways), f"{kind}: {row['advice']}"
