"""XGBoost and LightGBM files as models. The library answers where it is installed, so that the legacy side owes nothing
to this workbench's own reading; the tree IR answers where it is not, or with the option `reader: workbench`."""

from __future__ import annotations

import contextlib
import io
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.models.base import OpenModel, from_scores, label_array
from workbench.models.booster import Booster
from workbench.models.inputs import coded
from workbench.models.protocol import Kind, Label, ModelError, Outputs, Piece

if TYPE_CHECKING:
    from workbench.models.feature_map import Entry, FeatureMap

Floats = NDArray[np.float64]


class BoosterModel(OpenModel):
    """booster: as read by this workbench (inputs, classes, trees). live: the library's own object, or None."""

    def __init__(self, booster: Booster, live: Any, fingerprint: str, classes: tuple[Label, ...] | None) -> None:
        version = getattr(import_module(booster.library), "__version__", "") if live is not None else ""
        task, found = _classified(booster, classes)
        super().__init__(
            fingerprint=fingerprint,
            task=task,
            inputs=booster.inputs,
            classes=found,
            answered_by=_answers(booster, version if live is not None else None),
            versions={booster.library: booster.version} if booster.version else {},
        )
        self.format, self.booster, self.live = booster.library, booster, live
        self.decides = booster.objective == "binary:hinge"

    def answer(self, rows: pd.DataFrame) -> Outputs:
        if self.live is not None:
            return self.shaped(np.asarray(self.library_answers(rows), dtype=np.float64), None)
        from workbench.models.tree_walk import through_link

        raw = self.booster.raw(self.matrix(rows))
        return self.shaped(through_link(self.booster.trees, raw), raw)

    def library_answers(self, rows: pd.DataFrame) -> Any:
        raise NotImplementedError

    def library_margin(self, rows: pd.DataFrame) -> Any:
        """The library's own sums [n] or [n, K], before the link."""
        raise NotImplementedError

    def matrix(self, rows: pd.DataFrame) -> Floats:
        """[n, F] with category codes, NaN for what is missing or unknown."""
        if not self.booster.categories:
            return np.asarray(rows.to_numpy(dtype=np.float64))
        parts = [
            coded(rows[name], values) if (values := self.booster.categories.get(name)) else rows[name].to_numpy(float)
            for name in rows.columns
        ]
        return np.column_stack(parts)

    def typed(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows with pandas categories, for the library to code by itself; an unknown value is missing to it."""
        from workbench.models.inputs import as_values

        known = rows.copy(deep=False)
        for name, values in self.booster.categories.items():
            column = as_values(rows[name], values)
            known[name] = pd.Categorical(column.where(column.isin(values)), categories=list(values))
        return known

    def shaped(self, answers: Floats, raw: Floats | None) -> Outputs:
        raw = raw[:, 0] if raw is not None and raw.shape[1] == 1 else raw
        if self.decides:
            # The library answers the class itself; our sums are margins. Both are above zero for the second class.
            chosen = (answers.reshape(-1) > 0).astype(np.int64)
            return Outputs(self.classes, labels=label_array(self.classes, chosen), raw=raw)
        if self.task == "regression":
            return Outputs(values=answers.reshape(len(answers), -1)[:, 0], raw=raw)
        if self.booster.objective == "binary:logitraw":
            margin = answers.reshape(-1)
            from scipy.special import expit

            return from_scores(self.classes, expit(margin), margin)
        return from_scores(self.classes, answers, raw)

    def describe(self) -> Piece:
        return self.booster.piece()


def _answers(booster: Booster, version: str | None) -> str:
    """Who answers, and with which rounds where that was not said by the caller but read from the file."""
    who = "workbench's trees" if version is None else f"{booster.library} {version}"
    rounds = booster.params.get("rounds")
    return who + (f", its best {rounds} rounds (option rounds)" if booster.params.get("best_round") else "")


def _classified(booster: Booster, classes: tuple[Label, ...] | None) -> tuple[Kind, tuple[Label, ...]]:
    """Task and classes; the caller's names for the classes, where there are as many.

    A regression through a sigmoid (XGBoost's reg:logistic, LightGBM's cross_entropy) answers a probability: of the
    second of two classes, where the caller names them.
    """
    if classes is None:
        return booster.task, booster.classes
    if booster.task == "regression":
        probability = booster.trees.link == "sigmoid" and len(classes) == 2
        return ("binary", classes) if probability else ("regression", booster.classes)
    if len(classes) != len(booster.classes):
        raise ModelError(f"the option classes names {len(classes)} classes, and the model has {len(booster.classes)}")
    return booster.task, classes


class XGBoostModel(BoosterModel):
    def library_answers(self, rows: pd.DataFrame) -> Any:
        if self.booster.objective == "multi:softmax":
            from workbench.models.tree_walk import through_link

            return through_link(self.booster.trees, np.asarray(self._predict(rows, True), dtype=np.float64))
        return self._predict(rows, False)

    def library_margin(self, rows: pd.DataFrame) -> Any:
        return self._predict(rows, True)

    def _predict(self, rows: pd.DataFrame, margin: bool) -> Any:
        import xgboost

        trees = self.booster.trees
        if self.booster.linear is not None:
            data = xgboost.DMatrix(rows.to_numpy(dtype=np.float32), nthread=self.threads)
            return self.live.predict(data, output_margin=margin, validate_features=False)
        if not trees.categorical or self.mapped is not None:
            X = rows.to_numpy(dtype=np.float32) if self.mapped is None else self.mapped.expand(rows)
            kind = "margin" if margin else "value"
            return self.live.inplace_predict(X, predict_type=kind, validate_features=False, missing=np.nan)
        if self.booster.categories:
            data = xgboost.DMatrix(self.typed(rows), enable_categorical=True, nthread=self.threads)
        else:
            types = ["c" if number in trees.categorical else "float" for number in range(len(trees.features))]
            names = list(trees.features) if self.live.feature_names else None
            X = rows.to_numpy(dtype=np.float32)
            data = xgboost.DMatrix(
                X, feature_names=names, feature_types=types, enable_categorical=True, nthread=self.threads
            )
        return self.live.predict(data, output_margin=margin)

    threads = 1
    mapped: FeatureMap | None = None


class LightGBMModel(BoosterModel):
    threads = 1

    def library_answers(self, rows: pd.DataFrame) -> Any:
        return self._predict(rows, False)

    def library_margin(self, rows: pd.DataFrame) -> Any:
        return self._predict(rows, True)

    def _predict(self, rows: pd.DataFrame, margin: bool) -> Any:
        X = self.typed(rows) if self.booster.categories else rows.to_numpy(dtype=np.float64)
        return self.live.predict(X, raw_score=margin, num_threads=self.threads)


def open_xgboost(
    data: bytes,
    fingerprint: str,
    *,
    threads: int = 1,
    classes: tuple[Label, ...] | None = None,
    features: tuple[str, ...] | None = None,
    reader: str = "library",
    rounds: int | None = None,
    feature_map: tuple[Entry, ...] | None = None,
) -> XGBoostModel:
    """A model file's bytes as a model. rounds: how many boosting rounds answer, None for all.

    feature_map: the model's inputs in terms of raw columns, which then are the model's.
    """
    from workbench.models.xgboost_file import read_xgboost

    booster, mapped = _named(read_xgboost(data, rounds), features), None
    if feature_map is not None:
        booster, mapped = _mapped(booster, feature_map)
        features = booster.trees.features if mapped is None else features
    answering = booster.params.get("rounds")
    rounds = answering if isinstance(answering, int) else None
    live = _live_xgboost(data, threads, rounds, None if mapped else features) if reader == "library" else None
    model = XGBoostModel(booster, live, fingerprint, classes)
    model.threads, model.mapped = threads, mapped
    return model


def _mapped(booster: Booster, entries: tuple[Entry, ...]) -> tuple[Booster, FeatureMap | None]:
    """The booster on the map's raw columns, and the map where it is needed to make the library's inputs of them."""
    from workbench.models.feature_map import FeatureMap

    feature_map = FeatureMap(entries)
    named = feature_map.names(booster)
    return (feature_map.raw(booster), feature_map) if named is None else (named, None)


def _live_xgboost(data: bytes, threads: int, rounds: int | None, features: tuple[str, ...] | None) -> Any:
    """The library's own model; None without the library, or where it no longer reads the old binary format."""
    from workbench.models.xgboost_old import is_old

    xgboost = _library("xgboost")
    if xgboost is None or (is_old(data) and tuple(map(int, xgboost.__version__.split(".")[:2])) >= (3, 1)):
        return None
    live = xgboost.Booster(params={"nthread": threads})
    try:
        live.load_model(bytearray(data))
    except xgboost.core.XGBoostError:
        # A file of a newer version, with an objective this one lacks; its trees were read and checked above.
        return None
    live = live if rounds is None else live[:rounds]
    live.set_param({"nthread": threads})
    if features is not None:
        live.feature_names = list(features)
    return live


def open_lightgbm(
    data: bytes,
    fingerprint: str,
    *,
    threads: int = 1,
    classes: tuple[Label, ...] | None = None,
    features: tuple[str, ...] | None = None,
    categorical: tuple[str, ...] | None = None,
    reader: str = "library",
) -> LightGBMModel:
    """A text model file's bytes as a model."""
    from workbench.models.lightgbm_file import read_lightgbm

    booster = _named(read_lightgbm(data, categorical), features)
    live = None
    if reader == "library" and (lightgbm := _library("lightgbm")) is not None:
        # It prints a line for every training parameter that a newer version has dropped.
        # One from before 2.0.6 it does not read, and ours does.
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(lightgbm.basic.LightGBMError):
            live = lightgbm.Booster(model_str=data.decode())
    model = LightGBMModel(booster, live, fingerprint, classes)
    model.threads = threads
    return model


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None


def _named(booster: Booster, features: tuple[str, ...] | None) -> Booster:
    """The booster with the caller's names for its features, in its order."""
    from dataclasses import replace

    if features is None:
        return booster
    old = booster.trees.features
    if len(features) != len(old):
        raise ModelError(f"the option features names {len(features)} columns, and the model asks for {len(old)}")
    categories = {new: booster.categories[name] for new, name in zip(features, old) if name in booster.categories}
    return replace(booster, trees=replace(booster.trees, features=features), categories=categories)
