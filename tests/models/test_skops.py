"""skops files: estimators of the lists answer as they did; a type on no list is refused by name, and never built."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from workbench.models import Model, ModelError, Refused
from workbench.models.skops_file import open_skops

io_of_skops = pytest.importorskip("skops.io")

Open = Callable[..., Model]


@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(FunctionTransformer(np.log1p), StandardScaler(), LogisticRegression()),
        RandomForestClassifier(5, max_depth=4, random_state=0),
        HistGradientBoostingClassifier(max_iter=5),
    ],
    ids=["pipeline", "forest", "histogram"],
)
def test_what_the_lists_hold_answers_as_it_did(
    estimator: Any, numbers: pd.DataFrame, answers: dict[str, Any], tmp_path: Path
) -> None:
    X = numbers.fillna(0.0).abs()
    estimator.fit(X, answers["binary"])
    io_of_skops.dump(estimator, tmp_path / "m.skops")
    model = open_skops(tmp_path / "m.skops", "", features=None, threads=1)
    np.testing.assert_allclose(model.predict(X).scores, estimator.predict_proba(X), rtol=0, atol=1e-14)
    assert model.versions["skops"]
    assert model.describe().children or model.describe().trees is not None


@pytest.mark.slow
def test_it_answers_from_a_host(numbers: pd.DataFrame, answers: dict[str, Any], tmp_path: Path, opened: Open) -> None:
    X = numbers.fillna(0.0)
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, answers["binary"])
    io_of_skops.dump(fitted, tmp_path / "any.name")
    model = opened("any.name", folder=tmp_path)
    np.testing.assert_allclose(model.predict(X).scores, fitted.predict_proba(X), rtol=0, atol=1e-14)
    assert hasattr(model, "peak_rss")


def _changed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(members["schema.json"])
    change(schema)
    members["schema.json"] = json.dumps(schema).encode()
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, part in members.items():
            archive.writestr(name, part)
    path.write_bytes(sink.getvalue())


def test_a_type_on_no_list_is_refused_before_it_is_built(tmp_path: Path) -> None:
    path, canary = tmp_path / "m.skops", tmp_path / "touched"
    io_of_skops.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), path)
    _changed(path, lambda schema: schema.update(__class__="Popen", __module__="subprocess"))
    with pytest.raises(Refused, match=r"asks for subprocess\.Popen.*nothing was built"):
        open_skops(path, "", features=None, threads=1)
    assert not canary.exists()


def test_what_is_no_estimator_or_damaged_gets_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "m.skops"
    io_of_skops.dump({"a": 1}, path)
    with pytest.raises(ModelError, match="holds a dict, not an estimator"):
        open_skops(path, "", features=None, threads=1)
    io_of_skops.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), path)
    _changed(path, lambda schema: schema.pop("content"))
    with pytest.raises(ModelError, match=r"parts missing|cannot be loaded"):
        open_skops(path, "", features=None, threads=1)
    io_of_skops.dump(LogisticRegression, path)
    with pytest.raises(ModelError, match=r"holds a (ABCMeta|type)"):
        open_skops(path, "", features=None, threads=1)
    _changed(path, lambda schema: schema.clear())
    with pytest.raises(ModelError, match="names no type"):
        open_skops(path, "", features=None, threads=1)
    for data in (path.read_bytes()[:-30], path.read_bytes().replace(b"schema.json", b"scheme.json")):
        path.write_bytes(data)
        with pytest.raises(ModelError, match="no schema that can be read"):
            open_skops(path, "", features=None, threads=1)
