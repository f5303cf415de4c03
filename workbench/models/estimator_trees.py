"""scikit-learn's own tree ensembles as the tree IR; the wrappers of XGBoost and LightGBM through their file readers.

scikit-learn's trees round the input to float32 and compare it with a float64 threshold; HistGradientBoosting compares
float64. Both go left at `x <= threshold`, and know at each node where a missing value goes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.models.protocol import ModelError, Piece, Plain, Refused
from workbench.models.trees import MISSING_NAN, Link, Nodes, Trees, assemble

Floats = NDArray[np.float64]


def trees_of(estimator: Any) -> tuple[Trees | None, str]:
    """The estimator's trees in the IR, or None and, where it has trees the IR cannot hold, the reason.

    Raises Refused naming the node where a tree is damaged.
    """
    reader = _reader(estimator)
    if reader is None:
        return None, ""
    try:
        trees = reader(estimator)
        trees.validate()
    except Refused:
        raise
    except ModelError as error:
        return None, str(error)
    return trees, ""


def _reader(estimator: Any) -> Callable[[Any], Trees] | None:
    if hasattr(estimator, "tree_"):
        return _single
    if hasattr(estimator, "_predictors") and hasattr(estimator, "_bin_mapper"):
        return _histogram
    if hasattr(estimator, "init_") and hasattr(estimator, "estimators_"):
        return _boosting
    if hasattr(estimator, "get_booster"):
        return _xgboost
    if hasattr(estimator, "booster_"):
        return _lightgbm
    return _forest if _is_forest(estimator) else None


def _is_forest(estimator: Any) -> bool:
    return any(
        base.__name__ in ("ForestClassifier", "ForestRegressor") for base in type(estimator).__mro__
    ) and hasattr(estimator, "estimators_")


def _names(estimator: Any) -> tuple[str, ...]:
    names = getattr(estimator, "feature_names_in_", None)
    return tuple(map(str, names)) if names is not None else tuple(f"x{n}" for n in range(estimator.n_features_in_))


def _nodes(tree: Any, value: Floats) -> Nodes:
    """One `sklearn.tree._tree.Tree`; value: [nodes, L]."""
    leaf = tree.children_left < 0
    missing = getattr(tree, "missing_go_to_left", None)
    return Nodes(
        feature=np.where(leaf, -1, tree.feature),
        threshold=np.where(leaf, 0.0, tree.threshold),
        left=np.where(leaf, -1, tree.children_left),
        right=np.where(leaf, -1, tree.children_right),
        default_left=np.zeros(len(leaf), bool) if missing is None else missing.astype(bool) & ~leaf,
        value=np.where(leaf[:, None], value, 0.0),
        cover=tree.weighted_n_node_samples,
    )


def _leaf_values(tree: Any, classifier: bool) -> Floats:
    """[nodes, K] class shares or [nodes, 1] values. Shares are what `predict_proba` of scikit-learn >= 1.3 answers."""
    if tree.n_outputs > 1:
        raise ModelError(f"its trees predict {tree.n_outputs} targets at once, and the tree IR holds one")
    return np.asarray(tree.value[:, 0, :] if classifier else tree.value[:, 0, :1], dtype=np.float64)


def _many(estimator: Any, parts: Sequence[Any]) -> Trees:
    classifier = hasattr(estimator, "classes_")
    nodes = [_nodes(part.tree_, _leaf_values(part.tree_, classifier)) for part in parts]
    outputs = nodes[0].value.shape[1]
    return assemble(
        nodes,
        features=_names(estimator),
        base=np.zeros(outputs),
        tree_output=None if classifier else np.zeros(len(nodes), np.int32),
        precision="float32",
        aggregation="mean",
    )


def _single(estimator: Any) -> Trees:
    return _many(estimator, [estimator])


def _forest(estimator: Any) -> Trees:
    return _many(estimator, estimator.estimators_)


def _boosting(estimator: Any) -> Trees:
    """GradientBoosting: prior + learning rate x sum of regression trees (Friedman 2001)."""
    stages = estimator.estimators_
    outputs = stages.shape[1]
    return assemble(
        [_nodes(part.tree_, _leaf_values(part.tree_, classifier=False)) for part in stages.ravel()],
        features=_names(estimator),
        base=_prior(estimator, outputs),
        tree_output=np.tile(np.arange(outputs, dtype=np.int32), len(stages)),
        weight=np.full(stages.size, float(estimator.learning_rate)),
        precision="float32",
        link=_class_link(estimator, outputs),
        # The exponential loss is half a logit: expit(2 x raw).
        link_scale=2.0 if estimator.loss == "exponential" else 1.0,
    )


def _prior(estimator: Any, outputs: int) -> Floats:
    """Raw score before the first tree: constant for a Dummy prior; a fitted `init` is a child piece that adds to it."""
    if not type(estimator.init_).__name__.startswith("Dummy"):
        return np.zeros(outputs)
    row = np.zeros((1, estimator.n_features_in_), dtype=np.float32)
    return np.asarray(estimator._raw_predict_init(row), dtype=np.float64).reshape(outputs)


def _class_link(estimator: Any, outputs: int) -> Link:
    if not hasattr(estimator, "classes_"):
        return "identity"
    return "sigmoid" if outputs == 1 else "softmax"


def _histogram(estimator: Any) -> Trees:
    """HistGradientBoosting: its columns come categories first, as its own `_preprocessor` orders them."""
    stages = estimator._predictors
    outputs = len(stages[0]) if stages else int(np.size(estimator._baseline_prediction))
    names, categorical = _encoded(estimator)
    link = _class_link(estimator, outputs)
    if link == "identity" and estimator.loss in ("poisson", "gamma"):
        link = "exp"
    return assemble(
        [_histogram_nodes(tree) for stage in stages for tree in stage],
        features=names,
        base=np.asarray(estimator._baseline_prediction, dtype=np.float64).reshape(-1),
        tree_output=np.tile(np.arange(outputs, dtype=np.int32), len(stages)),
        link=link,
        categorical=categorical,
    )


def _encoded(estimator: Any) -> tuple[tuple[str, ...], tuple[int, ...]]:
    names = _names(estimator)
    mask = estimator.is_categorical_
    if mask is None:
        return names, ()
    if getattr(estimator, "_preprocessor", None) is None:
        raise ModelError(
            "it was made by scikit-learn before 1.4, whose categories are coded differently: train it again"
        )
    coded = [name for name, is_code in zip(names, mask) if is_code]
    return (*coded, *(name for name, is_code in zip(names, mask) if not is_code)), tuple(range(len(coded)))


def _histogram_nodes(tree: Any) -> Nodes:
    nodes = tree.nodes
    leaf = nodes["is_leaf"].astype(bool)
    coded = nodes["is_categorical"].astype(bool) & ~leaf
    default = nodes["missing_go_to_left"].astype(bool) & ~leaf
    return Nodes(
        feature=np.where(leaf, -1, nodes["feature_idx"]),
        threshold=np.where(leaf | coded, 0.0, nodes["num_threshold"]),
        left=np.where(leaf, -1, nodes["left"].astype(np.int64)),
        right=np.where(leaf, -1, nodes["right"].astype(np.int64)),
        default_left=default,
        value=np.where(leaf, nodes["value"], 0.0)[:, None],
        cover=nodes["count"].astype(np.float64),
        missing=np.full(len(nodes), MISSING_NAN, np.uint8),
        category=np.where(coded, nodes["bitset_idx"].astype(np.int64), -1),
        bits=np.asarray(tree.raw_left_cat_bitsets, dtype=np.uint32).reshape(-1, 8),
        unknown_left=default,
    )


def _xgboost(estimator: Any) -> Trees:
    """The rounds the wrapper predicts with: up to the best one where training stopped early."""
    from workbench.models.xgboost_file import read_xgboost

    booster, best = estimator.get_booster(), getattr(estimator, "early_stopping_rounds", None)
    if best is not None and hasattr(estimator, "best_iteration"):
        booster = booster[: estimator.best_iteration + 1]
    if estimator.get_params().get("booster") == "gblinear":
        raise ModelError("it is a linear model (booster gblinear) and has no trees")
    return read_xgboost(bytes(booster.save_raw("ubj")), rounds=booster.num_boosted_rounds()).trees


def _lightgbm(estimator: Any) -> Trees:
    from workbench.models.lightgbm_file import read_lightgbm
    from workbench.models.linear_leaves import REFUSED

    booster = read_lightgbm(estimator.booster_.model_to_string().encode())
    if booster.linear is not None:
        raise ModelError(REFUSED)
    return booster.trees


def linear_parts(estimator: Any) -> tuple[tuple[str, Piece], ...]:
    """The linear models of an XGBoost or LightGBM wrapper whose leaves, or which itself, are such; () otherwise."""
    from workbench.models.lightgbm_file import read_lightgbm
    from workbench.models.xgboost_file import read_xgboost

    if hasattr(estimator, "get_booster") and estimator.get_params().get("booster") == "gblinear":
        return read_xgboost(bytes(estimator.get_booster().save_raw("ubj"))).linear_parts()
    if hasattr(estimator, "booster_"):
        return read_lightgbm(estimator.booster_.model_to_string().encode()).linear_parts()
    return ()


def categories_of(estimator: Any) -> dict[str, Plain]:
    """Values that an XGBoost or LightGBM wrapper codes by their place, by feature; {} where it takes codes as such."""
    from workbench.models.lightgbm_file import read_lightgbm
    from workbench.models.xgboost_file import read_xgboost

    if hasattr(estimator, "get_booster"):
        booster = estimator.get_booster()
        found = read_xgboost(bytes(booster.save_raw("ubj")), rounds=booster.num_boosted_rounds()).categories
    else:
        found = read_lightgbm(estimator.booster_.model_to_string().encode()).categories
    return {name: list(values) for name, values in found.items()}
