"""The models that are measured: made here, from seeded data, and kept in a cache folder.

Numbers lie on a grid of 2^-16, so that float32 holds them and the thresholds between them exactly: tools which only
know float32 are asked the same question, and can give the same answers.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.places import CACHE, THREADS

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]

TRAIN = 20_000
FEATURES = 20
CODED = (0, 1, 2)
"""Columns that hold category codes where there are any, of WIDTHS categories each."""
WIDTHS = (5, 12, 60)


def names(features: int = FEATURES) -> list[str]:
    return [f"f{number}" for number in range(features)]


def rows(n: int, seed: int, *, missing: bool = False, coded: bool = False, features: int = FEATURES) -> Floats:
    """Seeded rows float64 [n, features]: normal numbers on the grid, a tenth missing, codes 0, 1, ..."""
    rng = np.random.default_rng(seed)
    X = np.round(rng.standard_normal((n, features), dtype=np.float32).astype(np.float64) * 2**16) / 2**16
    if coded:
        for column, width in zip(CODED, WIDTHS):
            X[:, column] = rng.integers(0, width, n)
    if missing:
        X[rng.random((n, features), dtype=np.float32) < 0.1] = np.nan
    return X


def truth(X: Floats, classes: int, seed: int) -> NDArray[np.int64]:
    """Labels that need depth: interactions, steps, and noise; a category means something of its own."""
    rng = np.random.default_rng(seed)
    Z = np.nan_to_num(X, nan=0.7)
    step = np.sin(3 * Z[:, 3]) + Z[:, 4] * Z[:, 5] + np.where(Z[:, 6] > 0.3, Z[:, 7], -Z[:, 8])
    step += (
        0.8 * np.sin(1.7 * Z[:, 0]) + 0.5 * np.cos(2.3 * Z[:, 1]) + 0.6 * np.sin(0.9 * Z[:, 2]) + 0.3 * Z[:, 9:].sum(1)
    )
    step += rng.standard_normal(len(X))
    edges = np.quantile(step, np.linspace(0, 1, classes + 1)[1:-1]) if classes > 2 else [0.8]
    return np.searchsorted(np.asarray(edges), step)


@dataclass(frozen=True)
class Shape:
    """One model. family: "sklearn", "xgboost" or "lightgbm"; fit: from X [n, F], y [n] to the fitted estimator."""

    name: str
    family: str
    fit: Callable[[pd.DataFrame, NDArray[np.int64]], Any]
    classes: int = 2
    missing: bool = False
    coded: bool = False
    bars: tuple[tuple[str, float], ...] = ()
    """What is asked of batches of 1,024 rows and more, on one thread: (other side, at least so many times faster)."""

    def rows(self, n: int, seed: int) -> Floats:
        return rows(n, seed, missing=self.missing, coded=self.coded)

    def frame(self, X: Floats) -> pd.DataFrame:
        """Rows as a table a team would have: numbers, and categories where LightGBM needs to be told of them."""
        import pandas as pd

        frame = pd.DataFrame(X, columns=names(X.shape[1]))
        if self.coded and self.family == "lightgbm":
            for column, width in zip(CODED, WIDTHS):
                codes = np.where(np.isnan(X[:, column]), -1, np.nan_to_num(X[:, column])).astype(np.int64)
                labels = [f"c{code:02}" for code in range(width)]
                frame[f"f{column}"] = pd.Categorical.from_codes(codes, categories=pd.Index(labels))
        return frame

    @property
    def key(self) -> str:
        """Changes with whatever decides what is fitted."""
        source = "".join(inspect.getsource(part) for part in (rows, truth, self.fit)) + json.dumps(_versions())
        return f"{self.name.replace(' ', '-').replace(',', '')}-{hashlib.sha256(source.encode()).hexdigest()[:10]}"

    def made(self) -> tuple[Path, Any]:
        """The model's file as a team would have it, and the fitted estimator. Fitted once, kept in the cache."""
        CACHE.mkdir(parents=True, exist_ok=True)
        kept = CACHE / f"{self.key}.pkl"
        if not kept.exists():
            X = self.rows(TRAIN, 1)
            made = self.fit(self.frame(X), truth(X, self.classes, 2))
            part = kept.with_suffix(".part")
            part.write_bytes(pickle.dumps(made))
            part.rename(kept)
        estimator = pickle.loads(kept.read_bytes())
        return self._file(kept, estimator), estimator

    def _file(self, kept: Path, estimator: Any) -> Path:
        if self.family == "sklearn":
            return kept
        path = kept.with_suffix(".json" if self.family == "xgboost" else ".txt")
        if not path.exists():
            estimator.save_model(path) if self.family == "xgboost" else estimator.booster_.save_model(path)
        return path


def _versions() -> list[str]:
    from importlib.metadata import version

    return [version(name) for name in ("scikit-learn", "xgboost-cpu", "lightgbm")]


def _forest(trees: int, depth: int | None) -> Callable[[Any, Any], Any]:
    def fit(X: Any, y: Any) -> Any:
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(trees, max_depth=depth, random_state=0, n_jobs=THREADS).fit(X, y)

    return fit


def _hist(coded: bool) -> Callable[[Any, Any], Any]:
    def fit(X: Any, y: Any) -> Any:
        from sklearn.ensemble import HistGradientBoostingClassifier

        kind = [f"f{column}" for column in CODED] if coded else None
        learner = HistGradientBoostingClassifier(max_iter=300, early_stopping=False, random_state=0)
        return learner.set_params(categorical_features=kind).fit(X, y)

    return fit


def _xgboost() -> Callable[[Any, Any], Any]:
    def fit(X: Any, y: Any) -> Any:
        from xgboost import XGBClassifier

        return XGBClassifier(n_estimators=300, max_depth=6, learning_rate=0.1, n_jobs=THREADS, random_state=0).fit(X, y)

    return fit


def _lightgbm() -> Callable[[Any, Any], Any]:
    def fit(X: Any, y: Any) -> Any:
        from lightgbm import LGBMClassifier

        learner = LGBMClassifier(n_estimators=300, num_leaves=31, n_jobs=THREADS, random_state=0, verbose=-1)
        return learner.fit(X, y)

    return fit


FOREST_BARS = (("scikit-learn", 4.0), ("onnxruntime", 4.0))
BOOSTING_BARS = (("xgboost", 1.3), ("lightgbm", 1.3), ("scikit-learn", 2.0), ("onnxruntime", 1.3))

SHAPES = (
    Shape("forest 200 x depth 12", "sklearn", _forest(200, 12), bars=FOREST_BARS),
    Shape("forest 100 x unlimited", "sklearn", _forest(100, None), bars=FOREST_BARS),
    Shape("forest 100 x unlimited, missing", "sklearn", _forest(100, None), missing=True, bars=FOREST_BARS),
    Shape("HistGB 300", "sklearn", _hist(False), bars=BOOSTING_BARS),
    Shape("HistGB 300, missing, categories", "sklearn", _hist(True), missing=True, coded=True, bars=BOOSTING_BARS),
    Shape("XGBoost 300 x depth 6", "xgboost", _xgboost(), bars=BOOSTING_BARS),
    Shape("XGBoost 300 x depth 6, missing", "xgboost", _xgboost(), missing=True, bars=BOOSTING_BARS),
    Shape("XGBoost 300 x depth 6, 5 classes", "xgboost", _xgboost(), classes=5, bars=BOOSTING_BARS),
    Shape("LightGBM 300 x 31 leaves", "lightgbm", _lightgbm(), bars=BOOSTING_BARS),
    Shape(
        "LightGBM 300 x 31 leaves, missing, categories",
        "lightgbm",
        _lightgbm(),
        missing=True,
        coded=True,
        bars=BOOSTING_BARS,
    ),
)

QUICK = ("forest 200 x depth 12", "HistGB 300", "XGBoost 300 x depth 6", "LightGBM 300 x 31 leaves")


@functools.cache
def by_name(name: str) -> Shape:
    return next(shape for shape in SHAPES if shape.name == name)
