"""Tree attributions against brute force over all coalitions, and against xgboost's and shap's own."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from coalitions import interaction, shapley

from workbench.measure.attribution.exact import TreeShapley
from workbench.models.trees import MISSING_NAN, MISSING_NONE, MISSING_ZERO, Nodes, Trees, assemble


def grow(rng: np.random.Generator, features: int, depth: int, categorical: tuple[int, ...], wide: int) -> Nodes:
    """A random tree: half of the inner nodes at each level end early; thresholds are values that rows take."""
    rows: list[dict[str, object]] = []

    def node(level: int, cover: float) -> int:
        here = len(rows)
        rows.append({"feature": -1, "threshold": 0.0, "left": -1, "right": -1, "cover": cover, "bits": None})
        rows[here]["value"] = np.zeros(wide)
        if level == depth or (level and rng.random() < 0.15):
            rows[here]["value"] = rng.normal(size=wide)
            return here
        feature, share = int(rng.integers(features)), rng.uniform(0.1, 0.9)
        rows[here]["feature"] = feature
        if feature in categorical:
            rows[here]["bits"] = rng.integers(0, 2**6, size=1).astype(np.uint32)
        else:
            rows[here]["threshold"] = float(rng.integers(-2, 3))
        rows[here]["left"] = node(level + 1, cover * share)
        rows[here]["right"] = node(level + 1, cover * (1 - share))
        return here

    node(0, 100.0)
    sets = [row["bits"] for row in rows if row["bits"] is not None]
    place = itertools.count()
    return Nodes(
        feature=np.array([row["feature"] for row in rows]),
        threshold=np.array([row["threshold"] for row in rows]),
        left=np.array([row["left"] for row in rows]),
        right=np.array([row["right"] for row in rows]),
        default_left=rng.random(len(rows)) < 0.5,
        value=np.stack([row["value"] for row in rows]),
        cover=np.array([row["cover"] for row in rows]),
        missing=rng.choice([MISSING_NAN, MISSING_NONE, MISSING_ZERO], len(rows)).astype(np.uint8),
        category=np.array([-1 if row["bits"] is None else next(place) for row in rows]),
        bits=np.stack(sets) if sets else None,
        unknown_left=rng.random(len(rows)) < 0.5,
    )


def ensemble(seed: int, *, depth: int = 4, features: int = 5, outputs: int = 1, wide: bool = False, **options) -> Trees:
    rng = np.random.default_rng(seed)
    categorical = (1,) if features > 1 else ()
    grown = [grow(rng, features, depth, categorical, outputs if wide else 1) for _ in range(3 * outputs)]
    return assemble(
        grown,
        features=tuple(f"f{j}" for j in range(features)),
        base=rng.normal(size=outputs),
        tree_output=None if wide else np.arange(3 * outputs) % outputs,
        weight=rng.uniform(0.5, 1.5, len(grown)),
        categorical=categorical,
        **options,
    )


def table(trees: Trees, n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    X = rng.choice(
        [-3.0, -2.0, -1.5, -1.0, -0.0, 0.0, 1e-36, 0.5, 1.0, 2.0, np.inf, -np.inf, np.nan], (n, len(trees.features))
    )
    for column in trees.categorical:
        X[:, column] = rng.choice([0, 1, 2, 3, 5, 40, -1, np.nan], n)
    return X


def mixed(trees: Trees, row: np.ndarray, background: np.ndarray, owner: np.ndarray):
    """The interventional game of a row, by the trees' own answers."""

    def game(S: tuple[int, ...]) -> np.ndarray:
        X = background.copy()
        X[:, np.isin(owner, S)] = row[np.isin(owner, S)]
        return trees.raw(X).mean(axis=0)

    return game


def by_cover(trees: Trees, row: np.ndarray, owner: np.ndarray):
    """The path-dependent game of a row: an absent feature goes both ways, by cover."""
    from workbench.models.tree_walk import _goes_left

    def below(node: int, S: tuple[int, ...]) -> np.ndarray:
        if trees.feature[node] < 0:
            return trees.value[node]
        left, right = int(trees.left[node]), int(trees.right[node])
        if owner[trees.feature[node]] in S:
            with np.errstate(over="ignore"):
                x = (
                    np.float64(np.float32(row[trees.feature[node]]))
                    if trees.precision == "float32"
                    else row[trees.feature[node]]
                )
            return below(left if _goes_left(trees, np.array([node]), np.array([x]))[0] else right, S)
        share = trees.cover[left] / trees.cover[node]
        return share * below(left, S) + (1 - share) * below(right, S)

    def game(S: tuple[int, ...]) -> np.ndarray:
        total, count = np.zeros(trees.n_outputs), np.zeros(trees.n_outputs)
        for root, output, weight in zip(trees.roots, trees.tree_output, trees.weight):
            where = slice(None) if output < 0 else slice(output, output + 1)
            total[where] += weight * below(int(root), S)
            count[where] += 1
        return trees.base + (total / count if trees.aggregation == "mean" else total)

    return game


KINDS = {
    "plain": {},
    "less than": {"compare": "<"},
    "float32": {"precision": "float32", "compare": "<"},
    "mean of classes": {"outputs": 3, "wide": True, "aggregation": "mean"},
    "one output a tree": {"outputs": 3},
    "one feature": {"features": 1},
    "two features, deep": {"features": 2, "depth": 7},
}


@pytest.mark.parametrize("most_bits", [10, 3, 1], ids=["in tables", "partly deep", "nearly all deep"])
@pytest.mark.parametrize("kind", KINDS)
def test_values_are_those_of_all_coalitions(kind: str, most_bits: int) -> None:
    for seed in range(3):
        trees = ensemble(seed, **KINDS[kind])
        owner = np.arange(len(trees.features))
        rows, background = table(trees, 4, seed), table(trees, 7, seed + 100)
        explain = TreeShapley(trees, background, most_bits=most_bits)
        path = TreeShapley(trees, most_bits=most_bits)
        for row, values, along in zip(rows, explain.values(rows), path.values(rows)):
            np.testing.assert_allclose(values, shapley(mixed(trees, row, background, owner), len(owner)), atol=1e-12)
            np.testing.assert_allclose(along, shapley(by_cover(trees, row, owner), len(owner)), atol=1e-12)


@pytest.mark.parametrize("most_bits", [10, 2])
def test_features_of_one_player_move_together(most_bits: int) -> None:
    trees, owner = ensemble(5, features=6), np.array([0, 1, 0, 2, 2, 1])
    rows, background = table(trees, 4, 1), table(trees, 7, 2)
    explain, path = (
        TreeShapley(trees, background, players=owner, most_bits=most_bits),
        TreeShapley(trees, players=owner, most_bits=most_bits),
    )
    for row, values, along in zip(rows, explain.values(rows), path.values(rows)):
        np.testing.assert_allclose(values, shapley(mixed(trees, row, background, owner), 3), atol=1e-12)
        np.testing.assert_allclose(along, shapley(by_cover(trees, row, owner), 3), atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_interactions_are_those_of_all_coalitions(kind: str) -> None:
    trees = ensemble(8, **KINDS[kind])
    owner = np.arange(len(trees.features))
    rows, background = table(trees, 3, 3), table(trees, 7, 4)
    found, along = TreeShapley(trees, background).interactions(rows), TreeShapley(trees).interactions(rows)
    deep = [TreeShapley(trees, background, most_bits=bits).interactions(rows) for bits in (3, 1)]
    for place, row in enumerate(rows):
        true = interaction(mixed(trees, row, background, owner), len(owner))
        for one in (found, *deep):
            np.testing.assert_allclose(one[place], true, atol=1e-12)
        np.testing.assert_allclose(along[place], interaction(by_cover(trees, row, owner), len(owner)), atol=1e-12)


@pytest.mark.parametrize("most_bits", [8, 3])
def test_values_and_base_add_up_to_the_raw_sums(most_bits: int) -> None:
    trees = ensemble(11, depth=9, features=40, outputs=2)
    rows, background = table(trees, 50, 5), table(trees, 30, 6)
    for explain in (TreeShapley(trees, background, most_bits=most_bits), TreeShapley(trees, most_bits=most_bits)):
        np.testing.assert_allclose(explain.values(rows).sum(axis=1) + explain.base, trees.raw(rows), atol=1e-11)


def real_rows(n: int, features: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, features)).astype(np.float32).astype(np.float64)
    X[rng.random(X.shape) < 0.05] = np.nan
    return X


def target(X: np.ndarray) -> np.ndarray:
    Z = np.nan_to_num(X)
    return (Z[:, 0] * Z[:, 1] + Z[:, 2] - 0.5 * Z[:, 3] ** 2 > 0).astype(int)


@pytest.mark.parametrize("depth", [3, 16], ids=["shallow", "deep"])
def test_path_dependent_values_are_those_of_xgboost(depth: int, tmp_path) -> None:
    xgboost = pytest.importorskip("xgboost")
    from workbench.models import open_model

    X = real_rows(2_000, 8, 0)
    model = xgboost.XGBClassifier(n_estimators=20, max_depth=depth, n_jobs=1, min_child_weight=0).fit(X, target(X))
    model.save_model(tmp_path / "model.json")
    trees = open_model(str(tmp_path / "model.json")).describe().trees
    rows = xgboost.DMatrix(X[:200], nthread=1)
    theirs = model.get_booster().predict(rows, pred_contribs=True)
    ours = TreeShapley(trees)
    np.testing.assert_allclose(ours.values(X[:200])[:, :, 0], theirs[:, :-1], atol=1e-5)
    np.testing.assert_allclose(ours.base, theirs[0, -1], atol=1e-5)
    pairs = model.get_booster().predict(rows, pred_interactions=True)[:, :-1, :-1]
    if depth == 3:
        np.testing.assert_allclose(ours.interactions(X[:200])[..., 0], pairs, atol=2e-5)


def fitted(kind: str, X: np.ndarray, y: np.ndarray):
    from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier

    if kind == "lightgbm":
        lightgbm = pytest.importorskip("lightgbm")
        return lightgbm.LGBMClassifier(n_estimators=10, n_jobs=1, verbose=-1).fit(X, y)
    if kind == "boosting":
        return GradientBoostingClassifier(n_estimators=10, max_depth=4, random_state=0).fit(X, y)
    if kind == "histograms":
        return HistGradientBoostingClassifier(max_iter=10, categorical_features=[0], random_state=0).fit(X, y)
    depth = 5 if kind == "forest" else None
    return RandomForestClassifier(n_estimators=5, max_depth=depth, random_state=0).fit(X, y)


def read(model) -> Trees:
    from workbench.models.estimator_trees import trees_of

    trees, why = trees_of(model)
    assert trees is not None, why
    return trees


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
@pytest.mark.parametrize("kind", ["forest", "deep forest", "boosting", "lightgbm"])
def test_values_are_those_of_shap_where_shap_is_right(kind: str) -> None:
    import shap

    X = np.nan_to_num(real_rows(600, 6, 1))
    model = fitted(kind, X, target(X))
    trees, background = read(model), X[-50:]
    explainer = shap.TreeExplainer(model, shap.maskers.Independent(background, max_samples=50))
    theirs = explainer.shap_values(X[:20], check_additivity=False)
    theirs = theirs[:, :, None] if theirs.ndim == 2 else theirs
    np.testing.assert_allclose(TreeShapley(trees, background).values(X[:20]), theirs, atol=1e-6)
    if kind == "boosting":
        theirs = shap.TreeExplainer(model).shap_values(X[:20])
        np.testing.assert_allclose(TreeShapley(trees).values(X[:20])[:, :, 0], theirs, atol=1e-6)


def test_categories_of_histogram_boosting_are_exact_where_shap_is_wrong() -> None:
    """shap takes a category's code for a number; every value here is held against all coalitions."""
    X = np.nan_to_num(real_rows(600, 5, 2))
    X[:, 0] = np.random.default_rng(3).integers(0, 12, len(X))
    model = fitted("histograms", X, ((X[:, 0] % 3 == 0) ^ (X[:, 1] > 0)).astype(int))
    trees, background = read(model), X[-30:]
    values = TreeShapley(trees, background).values(X[:5])

    def game(row: np.ndarray):
        def worth(S: tuple[int, ...]) -> np.ndarray:
            rows = background.copy()
            rows[:, list(S)] = row[list(S)]
            return model.decision_function(rows).mean(keepdims=True)

        return worth

    for row, found in zip(X[:5], values):
        np.testing.assert_allclose(found, shapley(game(row), 5), atol=1e-9)


@pytest.mark.parametrize("device", ["cpu:0", "cuda"])
@pytest.mark.parametrize("kind", KINDS)
def test_torch_gives_the_same_values(kind: str, device: str) -> None:
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no GPU here")
    trees = ensemble(21, **KINDS[kind])
    rows, background = table(trees, 40, 1), table(trees, 9, 2)
    for most_bits in (10, 3):
        here = TreeShapley(trees, background, most_bits=most_bits).values(rows)
        there = TreeShapley(trees, background, most_bits=most_bits, device=device).values(rows)
        np.testing.assert_allclose(there, here, atol=1e-12)


def test_threads_and_turns_change_nothing() -> None:
    trees = ensemble(22, features=4)
    rows, background = table(trees, 40_000, 1), table(trees, 9, 2)
    one, two = (TreeShapley(trees, background, threads=threads).values(rows) for threads in (1, 2))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one[-3:], TreeShapley(trees, background).values(rows[-3:]))


def test_what_cannot_be_explained_is_said() -> None:
    trees = ensemble(23)
    with pytest.raises(ValueError, match="how many training rows"):
        TreeShapley(dataclasses.replace(trees, cover=np.zeros_like(trees.cover)))
    with pytest.raises(ValueError, match="no value"):
        TreeShapley(dataclasses.replace(trees, value=np.full_like(trees.value, np.nan)))
    with pytest.raises(ValueError, match="5 columns"):
        TreeShapley(trees, table(trees, 3, 0)).values(np.zeros((2, 4)))
