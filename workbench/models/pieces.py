"""Reading a fitted estimator as plain data, where it lives: no per-class code beyond the tables below.

What a `Piece` holds for an estimator:
- kind: the public class name, "sklearn.preprocessing.StandardScaler", never the private module it is written in.
- params: constructor parameters, then every fitted scalar, string or list of these, by attribute name, private ones
  (`_infrequent_enabled`) included. A callable or an unfitted template is its qualified name.
- arrays: every fitted array; a list of arrays becomes `categories_.0`, `categories_.1`, ...; a sparse matrix becomes
  `coef_.data`, `.indices`, `.indptr`, `.shape`; a None inside a list of arrays is left out. A list of splines becomes
  `bsplines_.0.t` (knots) and `.c` (coefficients); a feature selector has `support_`, the mask of what it keeps.
- children: pipeline steps, transformers and estimators, named as the library names them. A part that is only a word
  is a piece of kind "passthrough" or "drop".
- a ColumnTransformer's `params["columns"]` says for each child, in output order, which input columns it takes:
  names where the transformer was fitted on names, else positions.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from workbench.models.portable.stand_ins import SECOND
from workbench.models.protocol import Piece, Plain

FITTED_IN_PARAMS = {
    "sklearn.pipeline.Pipeline": "steps",
    "sklearn.pipeline.FeatureUnion": "transformer_list",
    "sklearn.frozen.FrozenEstimator": "estimator",
    "sklearn2pmml.decoration.MultiDomain": "domains",
}
"""Estimators that fit the parts they were given, instead of copies."""

BY_COLUMNS = ("sklearn.compose.ColumnTransformer", "sklearn_pandas.DataFrameMapper")
"""What gives each of its parts columns of its own."""

REPLACED_BY_TREES = ("estimators_", "tree_", "_predictors", "_bin_mapper", "_Booster", "init_", "estimator_")

TEMPLATES = ("estimator", "base_estimator", "estimator_", "base_estimator_")
"""What the members of a committee were cloned from; it is not fitted."""

CHECK_ONLY = "partial:sklearn.utils.validation.check_array"
"""The function HistGradientBoosting puts on its numeric columns: it checks them and changes nothing."""

EXPERIMENTAL = {
    "sklearn.impute._iterative": "sklearn.impute",
    "sklearn.model_selection._search_successive_halving": "sklearn.model_selection",
}
"""Modules whose classes are offered only on request, and where they are then."""

Named = tuple[tuple[str, Any], ...]


def sklearn_piece(estimator: Any) -> Piece:
    """A fitted estimator with the scikit-learn interface, and all parts in it, as plain data.

    Trees, forests and boosting (scikit-learn's, XGBoost's, LightGBM's) come with `trees`; an ensemble the IR cannot
    hold (several targets, linear leaves) has `trees` None, its parts as children and the reason in
    `params["trees_refused"]`.
    """
    from workbench.models import estimator_trees

    if isinstance(estimator, str) or estimator is None:
        return Piece(estimator or "passthrough")
    kind = public_name(type(estimator))
    trees, refused = estimator_trees.trees_of(estimator)
    hidden: tuple[str, ...] = REPLACED_BY_TREES if trees is not None else ()
    hidden += TEMPLATES if "estimators_" in vars(estimator) else ()
    params, arrays, parts = _read(estimator, kind, hidden)
    _read_answers(estimator, params, arrays)
    linear = estimator_trees.linear_parts(estimator) if refused else ()
    if refused and not linear:
        params["trees_refused"] = refused
    if params.get("func") == CHECK_ONLY:
        params["func"] = None
    trees_of = trees if not linear else linear[0][1].trees
    if trees_of is not None and trees_of.categorical and kind.startswith(("xgboost.", "lightgbm.")):
        params["categories"] = estimator_trees.categories_of(estimator)
    if kind in BY_COLUMNS:
        parts, params["columns"] = _columns(estimator)
    if trees is not None:
        parts = (*_before_trees(estimator), *parts)
    if hasattr(estimator, "imputation_sequence_"):
        parts = _imputations(estimator, parts, arrays)
    support = _support(estimator)
    if support is not None:
        # What it looked at to select is not on the way from a row to its answer.
        arrays["support_"], parts = support, ()
    children = (*linear, *((name, sklearn_piece(part)) for name, part in parts))
    return Piece(kind, version_of(type(estimator)), params, arrays, children, trees)


ANSWERS = ("predict", "predict_proba", "decision_function")


def _read_answers(estimator: Any, params: dict[str, Plain], arrays: dict[str, NDArray[np.generic]]) -> None:
    """What only properties tell: `responds_`, the ways a model answers; its classes; what a committee or a threshold
    makes of its options."""
    if not hasattr(estimator, "predict"):
        return
    params["responds_"] = [name for name in ANSWERS if hasattr(estimator, name)]
    if isinstance(classes := getattr(estimator, "classes_", None), np.ndarray):
        arrays.setdefault("classes_", classes)
    if params.get("weights") is not None and hasattr(estimator, "_weights_not_none"):
        params["weights_"] = plain(estimator._weights_not_none)
    if hasattr(estimator, "_weights_not_none") or hasattr(estimator, "stack_method_"):
        params["members_"] = [name for name, part in estimator.estimators if not isinstance(part, str)]
    if hasattr(estimator, "multilabel_"):
        params["multilabel_"] = plain(estimator.multilabel_)
    if hasattr(estimator, "best_params_") and not hasattr(estimator, "best_estimator_"):
        params["refit_"] = False
    if hasattr(estimator, "_curve_scorer"):
        params["pos_label_"] = plain(_tuned_for(estimator._curve_scorer))


def _tuned_for(scorer: Any) -> Any:
    """The positive class of a threshold's scorer; one in an environment of its own only shows its attributes."""
    ask = getattr(scorer, "_get_pos_label", None)
    if ask is not None:
        return ask()
    return scorer.options.get("pos_label", 1 if scorer.metric in SECOND else None)


def public_name(cls: type) -> str:
    """The shortest public module that offers the class, and its name: how a reader would import it."""
    parts = cls.__module__.split(".")
    for depth in range(1, len(parts) + 1):
        module = sys.modules.get(".".join(parts[:depth]))
        # vars, not getattr: a lazy package would import what nobody asked for.
        if module is not None and vars(module).get(cls.__name__) is cls:
            return f"{EXPERIMENTAL.get(module.__name__, module.__name__)}.{cls.__qualname__}"
    return f"{cls.__module__}.{cls.__qualname__}"


def version_of(cls: type) -> str:
    """Version of the library a class comes from, "" where it has none."""
    told = getattr(cls, "library_version", None)
    if isinstance(told, str):
        return told
    return str(getattr(import_module(cls.__module__.split(".")[0]), "__version__", ""))


def is_part(value: object) -> bool:
    """True for a nested estimator. scikit-learn's losses also predict, but hold nothing fitted."""
    if isinstance(value, type) or type(value).__module__.startswith("sklearn._loss"):
        return False
    return hasattr(value, "fit") or type(value).__name__ == "_CalibratedClassifier"


def _read(
    estimator: Any, kind: str, hidden: tuple[str, ...]
) -> tuple[dict[str, Plain], dict[str, NDArray[np.generic]], Named]:
    """(params, arrays, parts) of one estimator, without going into the parts."""
    params: dict[str, Plain] = {}
    arrays: dict[str, NDArray[np.generic]] = {}
    parts: list[tuple[str, Any]] = []
    given = estimator.get_params(deep=False) if hasattr(estimator, "get_params") else {}
    fitted_in = FITTED_IN_PARAMS.get(kind, "")
    for name, value in {**given, **vars(estimator)}.items():
        if name in hidden or name.startswith(("_sklearn_", "named_")):
            continue
        inside = tuple(_parts(name, value))
        if inside:
            if name not in given or name == fitted_in:
                parts.extend(inside)
            elif not isinstance(value, list | tuple):
                params[name] = public_name(type(value))
        elif not _read_arrays(name, value, arrays):
            _read_plain(name, value, name in given, params)
    return params, arrays, tuple(parts)


def _parts(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Nested estimators in an attribute, with the names their owner gives them."""
    if is_part(value):
        yield name, value
    elif isinstance(value, Mapping):
        if any(is_part(part) for part in value.values()):
            yield from ((str(key), part) for key, part in value.items())
    elif isinstance(value, list | tuple | np.ndarray) and (not isinstance(value, np.ndarray) or value.dtype == object):
        items = list(np.ravel(value)) if isinstance(value, np.ndarray) else list(value)
        named = [item for item in items if isinstance(item, tuple) and len(item) >= 2 and isinstance(item[0], str)]
        if named and len(named) == len(items):
            if any(is_part(item[1]) for item in named):
                yield from ((item[0], item[1]) for item in named)
        elif any(is_part(item) for item in items):
            yield from ((f"{name}.{number}", item) for number, item in enumerate(items))


def _read_arrays(name: str, value: Any, arrays: dict[str, NDArray[np.generic]]) -> bool:
    """Put an array, a list of arrays or a sparse matrix into `arrays`; False if it is none of these."""
    if isinstance(value, np.ndarray) and value.dtype.names is not None:
        return True
    if isinstance(value, np.ndarray) and not (value.dtype == object and _holds_arrays(value)):
        arrays[name] = value
        return True
    if hasattr(value, "tocsr") and hasattr(value, "nnz"):
        matrix = value.tocsr()
        arrays |= {f"{name}.{part}": getattr(matrix, part) for part in ("data", "indices", "indptr")}
        arrays[f"{name}.shape"] = np.asarray(matrix.shape, dtype=np.int64)
        return True
    if isinstance(value, list) and value and all(type(item).__name__ == "BSpline" for item in value):
        for number, curve in enumerate(value):
            arrays |= {f"{name}.{number}.t": curve.t, f"{name}.{number}.c": curve.c}
        return True
    if isinstance(value, list | tuple | np.ndarray) and _holds_arrays(value):
        for number, item in enumerate(value):
            if item is not None:
                arrays[f"{name}.{number}"] = np.asarray(item)
        return True
    return False


def _holds_arrays(value: Any) -> bool:
    return any(isinstance(item, np.ndarray) for item in value)


def _read_plain(name: str, value: Any, given: bool, params: dict[str, Plain]) -> None:
    try:
        params[name] = plain(value)
    except TypeError:
        if given:
            params[name] = public_name(type(value))


def plain(value: Any) -> Plain:
    """A scalar, list or mapping as plain data; a callable or a class as its qualified name.

    Raises TypeError for anything else.
    """
    if isinstance(value, np.generic):
        return plain(value.item())
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.dtype):
        return str(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, slice):
        return {"start": plain(value.start), "stop": plain(value.stop), "step": plain(value.step)}
    if isinstance(value, np.ndarray):
        return cast("Plain", [plain(item) for item in value.tolist()])
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if type(value).__name__ == "NAType":
        return "pandas.NA"
    if isinstance(value, type):
        return public_name(value)
    if isinstance(value, np.ufunc):
        return f"numpy.{value.__name__}"
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    if callable(value) and hasattr(value, "func"):
        return f"partial:{plain(value.func)}"
    raise TypeError(f"{type(value).__qualname__} is not plain data")


def _imputations(estimator: Any, parts: Named, arrays: dict[str, NDArray[np.generic]]) -> Named:
    """The steps of an iterative imputer as parts `steps.0`, `steps.1`, ...: `steps` says which column each fills, and
    `neighbours.0`, ... from which others."""
    sequence = estimator.imputation_sequence_
    arrays["steps"] = np.array([step.feat_idx for step in sequence], dtype=np.int64)
    for number, step in enumerate(sequence):
        arrays[f"neighbours.{number}"] = np.asarray(step.neighbor_feat_idx, dtype=np.int64)
    kept = tuple((name, part) for name, part in parts if name != "_estimator")
    return (*kept, *((f"steps.{number}", step.estimator) for number, step in enumerate(sequence)))


def _support(estimator: Any) -> NDArray[np.generic] | None:
    """Which columns a feature selector keeps, as a mask; None for anything else, and where it cannot say."""
    if not hasattr(estimator, "get_support"):
        return None
    try:
        return np.asarray(estimator.get_support(), dtype=np.bool_)
    except Exception:  # whatever an estimator within it raises: the lift then asks for a newer description
        return None


def _columns(transformer: Any) -> tuple[Named, dict[str, Plain]]:
    """The fitted parts of a ColumnTransformer in output order, and the input columns of each."""
    names = getattr(transformer, "feature_names_in_", None)
    known = list(names) if names is not None else list(range(getattr(transformer, "n_features_in_", 0)))
    parts = tuple((name, part) for name, part, _ in transformer.transformers_)
    columns: dict[str, Plain] = {name: _resolve(chosen, known) for name, _, chosen in transformer.transformers_}
    return parts, columns


def _resolve(chosen: Any, known: list[Any]) -> Plain:
    """Names, positions, a slice or a mask as a list of columns, as scikit-learn reads them."""
    if isinstance(chosen, slice):
        if isinstance(chosen.start, str) or isinstance(chosen.stop, str):
            # Label slices include their end, as in pandas.
            start = None if chosen.start is None else known.index(chosen.start)
            stop = None if chosen.stop is None else known.index(chosen.stop) + 1
            chosen = slice(start, stop, chosen.step)
        return plain(known[chosen])
    listed = [chosen] if isinstance(chosen, str | int | np.integer) else list(chosen)
    if listed and all(isinstance(item, bool | np.bool_) for item in listed):
        return plain([column for column, taken in zip(known, listed) if taken])
    return plain([item if isinstance(item, str) else known[int(item)] for item in listed])


def _before_trees(estimator: Any) -> Iterator[tuple[str, Any]]:
    """A model that gradient boosting starts from; a constant prior is in the trees' base."""
    init = getattr(estimator, "init_", None)
    if is_part(init) and not type(init).__name__.startswith("Dummy"):
        yield "init_", init
