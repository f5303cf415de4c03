"""What older scikit-learn called differently, in today's words: names, options and attributes with the same meaning.

Only what keeps its meaning is renamed; where an older class computes otherwise, it keeps its old name and is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
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
    "sklearn2pmml.decoration.Alias": ("transformer_", "transformer"),
}
"""What passes everything on to the part it holds, the fitted one first."""

GONE = ("min_impurity_split", "presort", "normalize", "sparse", "iid", "positive_only", "pass_y")
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
    if name in FOREIGN:
        return FOREIGN[name](attributes)
    if not name.startswith("sklearn."):
        return name
    if version and _numbers(version) < (1, 3):
        for option in GONE:
            attributes.pop(option, None)
        _width(attributes)
    if short in PRIORS:
        return "sklearn.dummy.DummyRegressor"
    if name == "sklearn.preprocessing.Imputer" and attributes.get("axis") == 0:
        return _imputer(attributes)
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


def _mapper(attributes: Attributes) -> str:
    """sklearn-pandas' table of (columns, transformer, options), as a ColumnTransformer says it."""
    rows = attributes.pop("built_features", None) or attributes.get("features") or []
    for name in ("features", "build_features", "built_default", "transformed_names_"):
        attributes.pop(name, None)
    taken: list[tuple[str, Any, Any]] = []
    for columns, part, *options in rows:
        name = columns if isinstance(columns, str) else ", ".join(map(str, columns))
        same = sum(other.partition(" #")[0] == name for other, _, _ in taken)
        taken.append((f"{name} #{same + 1}" if same else name, part, columns))
        attributes["input_df"] = attributes.get("input_df") or bool(options and options[0].get("input_df"))
    attributes["transformers_"] = taken
    return "sklearn_pandas.DataFrameMapper"


def _steps(attributes: Attributes) -> str:
    steps = attributes.get("steps")
    attributes.clear()
    attributes["steps"] = steps
    return "sklearn.pipeline.Pipeline"


def _lookup(name: str) -> Callable[[Attributes], str]:
    """A mapping as pairs: what is looked up may be several values at once, which no name of a JSON object can be."""

    def pairs(attributes: Attributes) -> str:
        mapping = attributes.get("mapping")
        if isinstance(mapping, Mapping):
            attributes["mapping"] = [[list(key) if isinstance(key, tuple) else key, v] for key, v in mapping.items()]
        return name

    return pairs


LOOKUPS = ("LookupTransformer", "FilterLookupTransformer", "MultiLookupTransformer")
FOREIGN: dict[str, Callable[[Attributes], str]] = {
    "sklearn_pandas.DataFrameMapper": _mapper,
    "sklearn_pandas.dataframe_mapper.DataFrameMapper": _mapper,
    "sklearn_pandas.pipeline.TransformerPipeline": _steps,
    "sklearn_pandas.TransformerPipeline": _steps,
    **{f"sklearn2pmml.preprocessing.{name}": _lookup(f"sklearn2pmml.preprocessing.{name}") for name in LOOKUPS},
}
"""Classes of other packages that are told in words of ours."""


def _imputer(attributes: Attributes) -> str:
    """The imputer before 0.20, which wrote NaN as a word."""
    attributes.pop("axis")
    if attributes.get("missing_values") == "NaN":
        attributes["missing_values"] = np.nan
    return "sklearn.impute.SimpleImputer"


def _one_hot(attributes: Attributes, version: tuple[int, ...]) -> None:
    """Before 0.20 a category was a whole number from 0 on, and one below the largest that was never seen no category:
    it is all zeros, whatever handle_unknown says."""
    active, starts = attributes.get("active_features_"), attributes.get("feature_indices_")
    if version >= (0, 20) or active is None or starts is None or attributes.get("categorical_features") != "all":
        return
    for name in ("categorical_features", "n_values", "active_features_", "feature_indices_"):
        attributes.pop(name, None)
    active, starts = np.asarray(active), np.asarray(starts)
    seen = [active[(active >= low) & (active < high)] - low for low, high in pairwise(starts)]
    attributes["categories_"] = seen
    attributes["drop_idx_"] = None
    attributes["below_"] = attributes.pop("n_values_", None)


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
    "OneHotEncoder": _one_hot,
}
