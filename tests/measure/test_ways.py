"""Exact ways into whole pipelines, held against every coalition of raw columns as the model itself answers them."""

from __future__ import annotations

from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from coalitions import brute_force
from test_tree_shapley import KINDS, ensemble, table

from workbench.measure import attribution as at
from workbench.measure.attribution.ways import InexactError, TreeWay, answered_in
from workbench.models import Outputs, inside, open_model
from workbench.models.door import open_here


def rows_of(n: int, seed: int = 0) -> pd.DataFrame:
    """Text with missing cells and a rare value, a whole number, numbers with missing cells."""
    rng = np.random.default_rng(seed)
    town = rng.choice(["Bonn", "Ulm", "Köln", None], n)
    town[n // 2] = "Sylt"
    return pd.DataFrame(
        {
            "town": pd.Series(town, dtype="str"),
            "age": rng.integers(18, 80, n),
            "debt": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
            "income": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
        }
    )


def truth(frame: pd.DataFrame, classes: int = 2) -> np.ndarray:
    odds = frame["income"].fillna(0) * frame["debt"].fillna(1) + (frame["town"] == "Bonn") - (frame["age"] > 50) * 0.7
    return np.digitize(odds, np.quantile(odds, np.arange(1, classes) / classes))


def before_trees(*more):
    """Steps that treat columns one by one: one-hot, imputed with an indicator, scaled."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), *more)
    text = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return ColumnTransformer([("text", text, ["town"]), ("numbers", numbers, ["income", "debt", "age"])])


def ending(kind: str):
    from sklearn import ensemble as trees
    from sklearn.tree import DecisionTreeClassifier

    small = {"random_state": 0, "max_depth": 3}
    if kind == "xgboost":
        return pytest.importorskip("xgboost").XGBClassifier(n_estimators=6, max_depth=3, n_jobs=1)
    if kind == "lightgbm":
        return pytest.importorskip("lightgbm").LGBMClassifier(n_estimators=6, num_leaves=6, n_jobs=1, verbose=-1)
    return {
        "boosting": trees.GradientBoostingClassifier(n_estimators=6, **small),
        "exponential": trees.GradientBoostingClassifier(n_estimators=6, loss="exponential", **small),
        "histograms": trees.HistGradientBoostingClassifier(max_iter=6, **small),
        "forest": trees.RandomForestClassifier(n_estimators=4, **small),
        "tree": DecisionTreeClassifier(**small),
        "values": trees.HistGradientBoostingRegressor(max_iter=6, **small),
        "counts": trees.HistGradientBoostingRegressor(max_iter=6, loss="poisson", **small),
    }[kind]


ENDS = ("boosting", "exponential", "histograms", "forest", "tree", "values", "counts", "xgboost", "lightgbm")
SPACES = {"forest": "probability", "tree": "probability", "values": "value", "counts": "margin"}


def own_margin(estimator, kind: str, classes: int, column: int):
    """What is explained, by the library alone."""

    def answer(frame: pd.DataFrame) -> np.ndarray:
        if kind in ("values", "counts"):
            values = estimator.predict(frame)
            return np.log(values) if kind == "counts" else values
        scores = estimator.predict_proba(frame).astype(np.float64)
        if SPACES.get(kind) == "probability":
            return scores[:, column]
        logs = np.log(scores)
        return logs[:, 1] - logs[:, 0] if classes == 2 else logs[:, column] - logs.mean(axis=1)

    return answer


def opened(estimator, folder: Path):
    joblib.dump(estimator, folder / "model.joblib")
    return open_here("model.joblib", folder, {})


CASES = [(kind, 2) for kind in ENDS] + [
    (kind, 3) for kind in ("boosting", "histograms", "forest", "xgboost", "lightgbm")
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("kind", "classes"), CASES)
def test_a_pipeline_is_exact_on_raw_columns(kind: str, classes: int, tmp_path: Path) -> None:
    """Against every coalition and every background row, as the library itself answers: 1e-9, float32 sums 1e-5."""
    model, rows, background, oracle, within = piped(kind, classes, tmp_path)
    explained = None if kind in ("values", "counts") else [classes - 1]
    found = at.attribute(model, rows, background, explained=explained)
    assert (found.method, found.inexact) == ("trees", "")
    assert found.space == SPACES.get(kind, "log-odds" if classes == 2 else "margin")
    np.testing.assert_allclose(found.values, oracle, atol=within)
    assert found.additivity_error < within


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("kind", "classes"), CASES)
def test_a_lifted_pipeline_is_exact_on_raw_columns(kind: str, classes: int, tmp_path: Path) -> None:
    """By its own file's program, against what the legacy library answers."""
    from workbench.migrate.lift import lift

    model, rows, background, oracle, within = piped(kind, classes, tmp_path)
    lift(model).save(tmp_path / "lifted.pt2")
    explained = None if kind in ("values", "counts") else [classes - 1]
    found = at.attribute(open_model(str(tmp_path / "lifted.pt2")), rows, background, explained=explained)
    assert (found.method, found.inexact) == ("trees", "")
    np.testing.assert_allclose(found.values, oracle, atol=within)


def piped(kind: str, classes: int, folder: Path):
    """A fitted pipeline as a model, rows and background, the values by all coalitions, and how near they must be."""
    from sklearn.pipeline import make_pipeline

    data = rows_of(300)
    estimator = make_pipeline(before_trees(), ending(kind)).fit(data, truth(data, classes))
    rows, background = data[149:152], data[::60]
    oracle = brute_force(own_margin(estimator, kind, classes, classes - 1), rows, background)
    return opened(estimator, folder), rows, background, oracle, 2e-5 if kind == "xgboost" else 1e-9


@pytest.mark.parametrize("kind", KINDS)
def test_a_torch_program_tells_the_trees_it_runs(kind: str) -> None:
    """Categories, unknown and missing values, thresholds that rows take; and its reasons are those of the source."""
    from workbench.measure.attribution.exact import TreeShapley
    from workbench.migrate.lift.ensemble import ensemble as lifted
    from workbench.models.inside_torch import decoded

    for seed in range(3):
        trees = ensemble(seed, **KINDS[kind])
        told = decoded(lifted(trees, False).program.numpy(), len(trees.features))
        told.validate()
        X = table(trees, 200, seed)
        np.testing.assert_allclose(told.raw(X), trees.raw(X), atol=1e-12)
        found, source = (TreeShapley(one, X[:30]).values(X[30:40]) for one in (told, trees))
        np.testing.assert_allclose(found, source, atol=1e-12)


def test_columns_made_of_several_raw_ones_are_refused_by_name_and_explained_by_permutations(tmp_path: Path) -> None:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures

    data = rows_of(200)
    steps = before_trees(PolynomialFeatures(2, interaction_only=True))
    model = opened(make_pipeline(steps, ending("boosting")).fit(data, truth(data)), tmp_path)
    with pytest.raises(InexactError, match="made of several raw ones"):
        TreeWay(model, data, 0)
    found = at.attribute(model, data[:5], data[100:110])
    assert found.method == "exact"  # four columns: all coalitions
    assert "made of several raw ones" in found.inexact
    assert "its columns work together" in found.inexact


def test_a_column_that_hides_a_second_raw_one_is_found_by_mixing_rows(tmp_path: Path) -> None:
    """It is `age` but for the rows where `flag` is set: changing columns of one ordinary row does not show it."""
    from sklearn.ensemble import GradientBoostingRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    rng = np.random.default_rng(0)
    data = pd.DataFrame({"age": rng.normal(size=400), "flag": (rng.random(400) < 0.03).astype(float)})
    estimator = make_pipeline(FunctionTransformer(hidden), GradientBoostingRegressor(n_estimators=5))
    estimator.fit(data, data["age"] * (1 - data["flag"]))
    refused = 0
    for seed in range(5):
        try:
            TreeWay(Hiding(estimator, data), data, seed)
        except InexactError:
            refused += 1
    assert refused == 5


def hidden(frame: pd.DataFrame) -> np.ndarray:
    return (frame["age"] * (1 - frame["flag"])).to_numpy()[:, None]


class Hiding:
    """The pipeline above, opened: its trees and what they see."""

    format, task, classes, fingerprint = "sklearn", "regression", (), "0" * 64

    def __init__(self, estimator, data: pd.DataFrame) -> None:
        self.estimator, self.inputs = estimator, ()

    def trees(self):
        from workbench.models.estimator_trees import trees_of

        return trees_of(self.estimator[-1])[0]

    def look(self, frame: pd.DataFrame) -> inside.Sight:
        return inside.Sight(self.estimator[:-1].transform(frame), self.estimator.predict(frame)[:, None])

    def predict(self, frame: pd.DataFrame) -> Outputs:
        return Outputs(values=self.estimator.predict(frame))


def test_a_pipeline_in_its_own_environment_is_seen_as_one_here(tmp_path: Path) -> None:
    """What the portable host sends, against the library called here."""
    from sklearn.pipeline import make_pipeline

    from workbench.models.portable.host import Host
    from workbench.models.wire import arrays_from_bytes, frame_to_bytes

    data = rows_of(60)
    model = opened(make_pipeline(before_trees(), ending("boosting")).fit(data, truth(data)), tmp_path)
    host, (about, sent) = Host(), frame_to_bytes(data)
    host.estimator = model.estimator
    header, given = host.handle({"do": "look", **about, "named": True, "none_for": []}, [sent])
    told, here = arrays_from_bytes(header["arrays"], given), inside.look(model, data)
    np.testing.assert_array_equal(told["matrix"], here.matrix)
    np.testing.assert_array_equal(told["margin"], here.margin)


def test_a_leaf_without_a_value_is_told(tmp_path: Path) -> None:
    from dataclasses import replace

    from sklearn.ensemble import GradientBoostingRegressor

    data = rows_of(60)[["age"]].assign(flag=0.0)
    model = Hiding([None, GradientBoostingRegressor(n_estimators=2).fit(data, data["age"])], data)
    trees = model.trees()
    model.trees = lambda: replace(trees, value=np.full_like(trees.value, np.nan))
    with pytest.raises(InexactError, match="has no value"):
        TreeWay(model, data, 0)


def test_an_answer_that_is_more_than_its_trees_is_not_taken_for_them(tmp_path: Path) -> None:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    data = rows_of(200)
    y = truth(data)
    calibrated = make_pipeline(before_trees(), CalibratedClassifierCV(ending("boosting"), cv=2)).fit(data, y)
    with pytest.raises(InexactError, match="is no tree ensemble"):
        TreeWay(opened(calibrated, tmp_path), data, 0)
    started = ending("boosting").set_params(init=LogisticRegression())
    begun = make_pipeline(before_trees(), started).fit(data, y)
    with pytest.raises(InexactError, match="there is more to it than trees"):
        TreeWay(opened(begun, tmp_path), data, 0)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_linear_model_behind_a_pipeline_is_exact(classes: int, tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    data = rows_of(300)
    estimator = make_pipeline(before_trees(), LogisticRegression()).fit(data, truth(data, classes))
    model, rows, background = opened(estimator, tmp_path), data[149:152], data[::60]
    oracle = brute_force(own_margin(estimator, "linear", classes, classes - 1), rows, background)
    found = at.attribute(model, rows, background, explained=[classes - 1])
    assert (found.method, found.space) == ("additive", "log-odds" if classes == 2 else "margin")
    np.testing.assert_allclose(found.values, oracle, atol=1e-9)


@pytest.mark.parametrize("kind", ["xgboost", "lightgbm"])
def test_a_boosters_file_is_exact_in_the_librarys_own_margin(kind: str, tmp_path: Path) -> None:
    data = rows_of(400, 3)[["age", "debt", "income"]].astype(float)
    learner = ending(kind).fit(data, truth(data.assign(town="Bonn")))
    if kind == "xgboost":
        learner.save_model(tmp_path / "model.json")
    else:
        learner.booster_.save_model(tmp_path / "model.txt")
    model = open_model(str(next(tmp_path.iterdir())))
    rows, background = data[:5], data[200:230]
    found = at.attribute(model, rows, background)
    assert found.method == "trees"
    oracle = brute_force(own_margin(learner, kind, 2, 1), rows, background)
    np.testing.assert_allclose(found.values, oracle, atol=2e-5)


def test_sums_of_float32_are_held_to_its_digits_however_large(tmp_path: Path) -> None:
    """House prices: 7 digits of a million are not 1e-4."""
    xgboost = pytest.importorskip("xgboost")
    data = rows_of(300, 5)[["age", "debt", "income"]].astype(float)
    price = 2e6 + 4e5 * truth(data.assign(town="Ulm"), 4)
    xgboost.XGBRegressor(n_estimators=30, max_depth=3, n_jobs=1).fit(data, price).save_model(tmp_path / "model.json")
    found = at.attribute(open_model(str(tmp_path / "model.json")), data[:50], data[100:])
    assert (found.method, found.additivity_error < 1e-6) == ("trees", True)
    assert np.abs(found.output).max() > 1e6


def test_interactions_add_up_to_the_values_and_are_none_where_columns_only_add(tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    from workbench.measure.attribution.ways import exact_way

    data, at_rows, around = rows_of(200), np.arange(10), np.arange(50, 90)
    for end, together in ((ending("boosting"), True), (LogisticRegression(), False)):
        model = opened(make_pipeline(before_trees(), end).fit(data, truth(data)), tmp_path)
        way = exact_way(model, data, None, 10_000, 0)
        pairs = way.interactions(at_rows, around)
        np.testing.assert_allclose(pairs.sum(axis=2), way.values(at_rows, around)[0], atol=1e-9)
        apart = pairs * (1 - np.eye(4))[None, :, :, None]
        assert bool(np.abs(apart).max() > 1e-3) is together


def test_links_are_told_by_the_answers() -> None:
    raw = np.random.default_rng(0).normal(size=(50, 1))
    chance = 1 / (1 + np.exp(-1.7 * raw[:, 0]))
    space, turned = answered_in(raw, Outputs((0, 1), scores=np.stack([1 - chance, chance], axis=1)))
    assert space == "log-odds"
    np.testing.assert_allclose(turned, [[-1.7, 1.7]], atol=1e-9)
    with pytest.raises(InexactError, match="no known function"):
        answered_in(raw, Outputs((0, 1), scores=np.stack([1 - chance**2, chance**2], axis=1)))


@pytest.mark.slow
def test_many_columns_stay_within_bounds(tmp_path: Path) -> None:
    """1,000 raw columns: found out and held in blocks, exact to the margin."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler

    rng = np.random.default_rng(0)
    data = pd.DataFrame(rng.normal(size=(300, 1_000)), columns=[f"c{j}" for j in range(1_000)])
    y = (data["c7"] * data["c500"] > 0).astype(int)
    learner = HistGradientBoostingClassifier(max_iter=5, max_features=0.2, random_state=0)
    found = at.attribute(opened(make_pipeline(MinMaxScaler(), learner).fit(data, y), tmp_path), data[:50], data[100:])
    assert found.method == "trees"
    assert found.additivity_error < 1e-9
