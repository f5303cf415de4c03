"""A fitted estimator as nodes of JSON with arrays beside them: what it is, never what it could do.

Nothing is known of any class here but how to read it without running it; `ghosts` makes of it, on the other side, what
`pieces` can read as if the estimator were there.
"""

import functools
import inspect
import sys
import traceback
import types
from typing import Any

import numpy as np

TREE = "children_left children_right feature threshold value weighted_n_node_samples missing_go_to_left n_outputs"
METHODS = ("predict", "predict_proba", "decision_function", "transform")
WIDTHS = ("n_features_in_", "n_features_", "n_features")
PLAIN = (bool, int, float, str)


class Reader:
    """An object as nodes of JSON, its arrays beside them: what it is, never what it could do."""

    def __init__(self) -> None:
        self.arrays: dict[str, Any] = {}
        self.above: list[int] = []

    def node(self, value: Any) -> Any:
        if isinstance(value, np.generic) and value.dtype.kind in "biuf":
            value = value.item()
        if value is None or isinstance(value, PLAIN):
            return value
        if id(value) in self.above or len(self.above) > 60:
            return {"t": "opaque", "name": _public_name(type(value))}
        self.above.append(id(value))
        try:
            return self.inside(value)
        finally:
            self.above.pop()

    def inside(self, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return self.array(value)
        if isinstance(value, (list, tuple, set, frozenset)):
            kind = "tuple" if isinstance(value, tuple) else "list"
            return {"t": kind, "v": [self.node(item) for item in value]}
        if isinstance(value, dict):
            return {"t": "dict", "v": [[self.node(key), self.node(item)] for key, item in value.items()]}
        if isinstance(value, slice):
            return {"t": "slice", "v": [self.node(part) for part in (value.start, value.stop, value.step)]}
        if isinstance(value, (bytes, bytearray)):
            return self.array(np.frombuffer(bytes(value), dtype=np.uint8))
        if hasattr(value, "tocsr") and hasattr(value, "nnz"):
            matrix = value.tocsr()
            parts = [self.array(np.asarray(getattr(matrix, part))) for part in ("data", "indices", "indptr")]
            return {"t": "sparse", "v": parts, "shape": list(matrix.shape)}
        if type(value).__module__.split(".")[0] == "pandas" and hasattr(value, "to_numpy"):
            return self.array(np.asarray(value))
        return self.named(value)

    def named(self, value: Any) -> Any:
        if isinstance(value, np.dtype):
            return {"t": "dtype", "name": str(value)}
        if isinstance(value, type):
            return {"t": "class", "name": _public_name(value)}
        if isinstance(value, np.ufunc):
            return {"t": "function", "name": "numpy." + value.__name__}
        if isinstance(value, (types.FunctionType, types.BuiltinFunctionType, types.MethodType)):
            return {"t": "function", "name": f"{value.__module__}.{value.__qualname__}"}
        if isinstance(value, functools.partial):
            return {"t": "partial", "func": self.node(value.func)}
        return self.object(value)

    def array(self, value: Any) -> Any:
        if value.dtype.hasobject or value.dtype.kind == "M":
            items = [self.node(item) for item in value.ravel().tolist()]
            return {"t": "objects", "shape": list(value.shape), "v": items}
        name = f"a{len(self.arrays)}"
        self.arrays[name] = value
        return {"t": "array", "name": name}

    def object(self, value: Any) -> Any:
        cls = type(value)
        if hasattr(value, "children_left") and hasattr(value, "node_count"):
            held = {name: getattr(value, name) for name in TREE.split() if hasattr(value, name)}
        else:
            held = dict(getattr(value, "__dict__", {}))
        if cls.__module__.startswith(("numpy.", "xgboost.core", "lightgbm.basic")):
            held = {}
        return {
            "t": "object",
            "name": _public_name(cls),
            "bases": [base.__name__ for base in cls.__mro__[1:-1]],
            "version": str(getattr(sys.modules.get(cls.__module__.split(".")[0]), "__version__", "")),
            "given": list(value.get_params(deep=False)) if hasattr(value, "get_params") else [],
            "has": methods(value),
            "vars": [[str(name), self.node(item)] for name, item in held.items()],
            "extra": {name: self.node(item) for name, item in _extra(value).items()},
        }


def methods(value: Any) -> "list[str]":
    """What it can be asked: a pipeline may have a method that its end has not."""
    steps = getattr(value, "steps", None)
    end = steps[-1][1] if isinstance(steps, list) and steps and isinstance(steps[-1], tuple) else value
    return [name for name in ("fit", *METHODS) if hasattr(value, name) and (name == "transform" or hasattr(end, name))]


PROPERTIES = ("classes_", "feature_names_in_", "n_features_in_")


def _extra(value: Any) -> "dict[str, Any]":
    """What only methods and properties say: the prior of gradient boosting, the trees of XGBoost and LightGBM."""
    found: dict[str, Any] = {}
    if not hasattr(value, "fit") or isinstance(value, type):
        return found
    try:
        held = vars(value)
        found = {name: getattr(value, name) for name in PROPERTIES if name not in held and hasattr(value, name)}
        found.update(_asked(value))
    except Exception:
        traceback.print_exc()
    return found


def _asked(value: Any) -> "dict[str, Any]":
    first = getattr(value, "_raw_predict_init", None) or getattr(value, "_init_decision_function", None)
    if first is not None and _is_constant(getattr(value, "init_", None)):
        width = next(getattr(value, name) for name in WIDTHS if hasattr(value, name))
        return {"prior": np.asarray(first(np.zeros((1, int(width)), dtype=np.float32)), dtype=np.float64).ravel()}
    if hasattr(value, "get_booster"):
        booster = value.get_booster()
        newer = "raw_format" in inspect.signature(booster.save_raw).parameters
        raw = booster.save_raw("ubj") if newer else booster.save_raw()
        return {"booster": bytes(raw), "best": getattr(value, "best_iteration", None)}
    if hasattr(value, "booster_"):
        return {"booster": value.booster_.model_to_string().encode()}
    if hasattr(value, "get_support"):
        return {"support": np.asarray(value.get_support(), dtype=bool)}
    return {}


def _is_constant(init: Any) -> bool:
    """A prior that looks at no row, so that asking it runs nothing that was not checked yet."""
    name = type(init).__name__
    return name.startswith("Dummy") or (name.endswith("Estimator") and "gradient_boosting" in type(init).__module__)


def _public_name(cls: type) -> str:
    """The shortest public module that offers the class, and its name."""
    parts = cls.__module__.split(".")
    for depth in range(1, len(parts) + 1):
        module = sys.modules.get(".".join(parts[:depth]))
        if module is not None and vars(module).get(cls.__name__) is cls:
            return f"{module.__name__}.{cls.__qualname__}"
    return f"{cls.__module__}.{cls.__qualname__}"
