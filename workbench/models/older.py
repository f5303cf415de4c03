"""What older scikit-learn called differently, in today's words: names, options and attributes with the same meaning.

Only what keeps its meaning is renamed; where an older class computes otherwise, it keeps its old name and is unknown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Attributes = dict[str, Any]

LOSSES = {"deviance": "log_loss", "ls": "squared_error", "lad": "absolute_error"}
PRIORS = (
    "MeanEstimator",
    "QuantileEstimator",
    "LogOddsEstimator",
    "ScaledLogOddsEstimator",
    "PriorProbabilityEstimator",
    "ZeroEstimator",
)
"""Priors of gradient boosting before 0.21: constants, as DummyRegressor and DummyClassifier are today."""

PROXIES = {
    "sklearn2pmml.EstimatorProxy": ("estimator_", "estimator"),
    "sklearn2pmml.SelectorProxy": ("selector_", "selector"),
}
"""What passes everything on to the part it holds, the fitted one first."""

GONE = ("min_impurity_split", "presort", "normalize", "sparse", "iid", "positive_only")
"""Options that do not change what a fitted model answers, and are no more."""

WIDTHS = ("n_features_", "n_features", "n_input_features_")
WIDE = ("coef_", "mean_", "scale_", "center_", "components_", "cluster_centers_", "statistics_", "theta_", "coefs_")


def renew(name: str, attributes: Attributes, version: str) -> Any:
    """Rewrites the attributes of one object as a newer version would have them.

    The name it goes by today, or what it only wraps.
    """
    short = name.rpartition(".")[2]
    if name in ("sklearn2pmml.pipeline.PMMLPipeline", "sklearn2pmml.PMMLPipeline"):
        return _pmml_pipeline(attributes)
    if name in PROXIES:
        return next(attributes[held] for held in PROXIES[name] if held in attributes)
    if not name.startswith("sklearn."):
        return name
    if version and _numbers(version) < (1, 3):
        for option in GONE:
            attributes.pop(option, None)
        _width(attributes)
    if short in PRIORS:
        return "sklearn.dummy.DummyRegressor"
    change = CHANGES.get(short)
    if change is not None and version:
        change(attributes, _numbers(version))
    return name


def _pmml_pipeline(attributes: Attributes) -> str:
    """A Pipeline that knows the columns of its frame, and checks its own answers elsewhere."""
    fields = attributes.get("active_fields")
    kept: Attributes = {name: attributes[name] for name in ("steps", "memory", "verbose") if name in attributes}
    attributes.clear()
    attributes.update(kept)
    if fields is not None:
        attributes["feature_names_in_"] = np.asarray(fields, dtype=object)
    return "sklearn.pipeline.Pipeline"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def _width(attributes: Attributes) -> None:
    """`n_features_in_` came with 0.24."""
    if "n_features_in_" in attributes:
        return
    known = next((attributes[name] for name in WIDTHS if isinstance(attributes.get(name), int)), None)
    if known is None:
        for name in WIDE:
            value = attributes.get(name)
            value = value[0].T if name == "coefs_" and isinstance(value, list) and value else value
            if isinstance(value, np.ndarray) and value.ndim:
                known = int(value.shape[-1])
                break
    if known is not None:
        attributes["n_features_in_"] = known


def _tree(attributes: Attributes, version: tuple[int, ...]) -> None:
    """Before 1.3 leaves held weighted counts per class, and `predict_proba` made shares of them."""
    tree = attributes.get("tree_")
    if version >= (1, 3) or tree is None or not attributes.get("n_classes_"):
        return
    value = np.asarray(tree.value, dtype=np.float64)
    total = value.sum(axis=2, keepdims=True)
    tree.__dict__["value"] = value / np.where(total == 0.0, 1.0, total)


def _boosting(attributes: Attributes, _: tuple[int, ...]) -> None:
    attributes["loss"] = LOSSES.get(attributes.get("loss", ""), attributes.get("loss"))


CHANGES: dict[str, Callable[[Attributes, tuple[int, ...]], None]] = {
    "DecisionTreeClassifier": _tree,
    "ExtraTreeClassifier": _tree,
    "GradientBoostingClassifier": _boosting,
    "GradientBoostingRegressor": _boosting,
}
