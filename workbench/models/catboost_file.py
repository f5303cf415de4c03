"""CatBoost files, `.cbm` and JSON, as models. The library answers, in the model host; our reading of its JSON export
gives the tree IR, and answers a JSON file where the library is not installed or with the option `reader: workbench`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.models.base import OpenModel, from_scores
from workbench.models.catboost_trees import CatBoostTrees, read_catboost
from workbench.models.options import Options
from workbench.models.protocol import Input, ModelError, Outputs, Piece

MAGIC = b"CBM1"


class CatBoostModel(OpenModel):
    """read: what we read of it. live: the library's own object, or None."""

    format = "catboost"

    def __init__(self, read: CatBoostTrees, live: Any, fingerprint: str, options: Options) -> None:
        import importlib

        version = "" if live is None else importlib.import_module("catboost").__version__
        classes = read.classes if options.classes is None or read.task == "regression" else options.classes
        if len(classes) != len(read.classes):
            raise ModelError(f"the option classes names {len(classes)} classes, and the model has {len(read.classes)}")
        super().__init__(
            fingerprint=fingerprint,
            task=read.task,
            inputs=tuple(Input(name, "text" if name in read.categorical else "number") for name in read.features),
            classes=classes,
            answered_by=f"catboost {version}" if live is not None else "workbench's trees",
            versions={"catboost": read.version} if read.version else {},
        )
        self.read, self.live, self.threads = read, live, options.threads

    def answer(self, rows: pd.DataFrame) -> Outputs:
        if self.live is None:
            return self.shaped(self.our_sums(rows))
        sums = self.live.predict(self.prepared(rows), prediction_type="RawFormulaVal", thread_count=self.threads)
        return self.shaped(np.asarray(sums, dtype=np.float64).reshape(len(rows), -1))

    def our_sums(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        from workbench.models.tree_walk import raw

        assert self.read.trees is not None
        return raw(self.read.trees, rows.to_numpy(dtype=np.float64))

    def prepared(self, rows: pd.DataFrame) -> Any:
        """As the library takes them: float32 numbers; categories as text, whole numbers without a point."""
        if not self.read.categorical:
            return rows.to_numpy(dtype=np.float32)
        columns = {name: self._column(rows[name]) for name in rows.columns}
        return pd.DataFrame(columns, index=rows.index)

    def _column(self, series: pd.Series[Any]) -> Any:
        if series.name not in self.read.categorical:
            return series.astype("float32")
        if series.isna().any():
            raise ModelError(
                f"the category column {series.name!r} has missing values, which CatBoost does not take: fill them with "
                "the value they had in training"
            )
        whole = [int(v) if isinstance(v, float) and v.is_integer() else v for v in series.astype(object)]
        return pd.Series([str(v) for v in whole], index=series.index, dtype=object)

    def shaped(self, sums: NDArray[np.float64]) -> Outputs:
        """Outputs of raw sums [n, K], by the loss function's link."""
        from scipy.special import expit, softmax

        margin = sums[:, 0] if sums.shape[1] == 1 else sums
        if self.task == "regression":
            exponential = self.read.loss in ("Poisson", "Tweedie")
            return Outputs(values=np.exp(sums[:, 0]) if exponential else sums[:, 0], raw=margin)
        scores = softmax(sums, axis=1) if self.read.loss == "MultiClass" else expit(sums)
        return from_scores(self.classes, scores, margin)

    def describe(self) -> Piece:
        params: dict[str, Any] = {"objective": self.read.loss, "categories": {}}
        if self.read.trees is None:
            params["trees_refused"] = self.read.refused
        return Piece("catboost.Booster", self.read.version, params, trees=self.read.trees)


def open_catboost(path: Path, fingerprint: str, options: Options) -> CatBoostModel:
    """The model in a `.cbm` or JSON file. Call it in the model host only: the library's parser is no Python.

    Raises ModelError where the library is needed and not installed, or cannot read the file.
    """
    with path.open("rb") as file:
        native = file.read(4) == MAGIC
    live = _live(path, native) if native or options.reader == "library" else None
    if native and live is None:
        raise ModelError(
            f"{path.name} is a CatBoost model: install catboost (the extra 'catboost'), "
            "or export it with save_model('model.json', format='json')"
        )
    read = read_catboost(_exported(live) if native else path.read_bytes())
    if live is None and read.trees is None:
        raise ModelError(f"{path.name}: {read.refused}: install catboost (the extra 'catboost') to have it answer")
    if live is not None and len(live.feature_names_ or ()) == len(read.features):
        _names_agree(tuple(map(str, live.feature_names_)), read.features)
    return CatBoostModel(read, live, fingerprint, options)


def _names_agree(theirs: tuple[str, ...], ours: tuple[str, ...]) -> None:
    if theirs != ours:
        raise ModelError(f"CatBoost names its features {theirs[:5]}, and its JSON export {ours[:5]}: export it anew")


def _live(path: Path, native: bool) -> Any:
    try:
        import catboost
    except ImportError:
        return None
    try:
        return catboost.CatBoost().load_model(str(path), format="cbm" if native else "json")
    except (catboost.CatBoostError, ValueError, TypeError, KeyError) as error:
        raise ModelError(
            f"{path.name} starts like a CatBoost model, but catboost {catboost.__version__} cannot load it "
            f"({' '.join(str(error).split())[:200]}): it was cut short or changed; save it again"
        ) from error


def _exported(live: Any) -> bytes:
    """The library's JSON export; for statistics of categories it wants the training data and then has none."""
    import catboost

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        try:
            live.save_model(str(path), format="json")
        except catboost.CatBoostError as error:
            raise ModelError(f"catboost cannot export it ({' '.join(str(error).split())[:200]})") from error
        return path.read_bytes()
