"""Every real old file in the cases' folder, found by listing it: read without the library that wrote it, and lifted,
against what that library answered. A new file there, with its expected answers beside it, is one more test."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.models import Model, open_model

ROOT = Path(__file__).resolve().parents[2]
CASES = Path(os.environ.get("WORKBENCH_CASES", ROOT.parent / "shared" / "cases")) / "legacy_models"
BAR = {"xgboost": 1e-5, "lightgbm": 1e-12, "pmml": 1e-8}
"""How far an answer may be from the expected one: XGBoost adds in float32, absolute up to 10 and relative beyond."""
ABSENT = ("N/A", "NA", "", "NaN")


@dataclass(frozen=True)
class Case:
    """A model, its rows and its answers; feature_map: None where there is none."""

    library: str
    model: Path
    rows: Path
    expected: Path
    feature_map: Path | None

    def __str__(self) -> str:
        return str(self.model.relative_to(CASES))

    def open(self) -> Model:
        options: dict[str, Any] = {} if self.library == "pmml" else {"reader": "workbench"}
        if self.feature_map is not None:
            options["feature_map"] = str(self.feature_map)
        return open_model(str(self.model), **options)

    def data(self) -> pd.DataFrame:
        return pd.read_csv(self.rows, na_values=list(ABSENT), keep_default_na=False)


def listed() -> list[Case]:
    """Models with expected answers and rows: `X.model`, `X.expected.csv`, and `input_D.csv` where X has D in it."""
    return [case for library in BAR for path in sorted((CASES / library).rglob("*")) for case in _case(library, path)]


def _case(library: str, path: Path) -> list[Case]:
    expected = path.with_name(f"{path.stem}.expected.csv")
    if path.suffix in (".csv", ".fmap", ".svm") or not expected.is_file() or _is_dump(path):
        return []
    name = re.sub(r"(_\d+)+$", "", path.stem)
    rows = [one for one in path.parent.glob("input_*.csv") if one.stem.removeprefix("input_") in name]
    if not rows:
        return []
    chosen = max(rows, key=lambda one: len(one.stem))
    feature_map = chosen.with_suffix(".fmap")
    takes = library == "xgboost" and feature_map.is_file()
    return [Case(library, path, chosen, expected, feature_map if takes else None)]


def _is_dump(path: Path) -> bool:
    """XGBoost's dumps lie beside its models, under the same names; another test has them refused."""
    start = path.read_bytes()[:20].lstrip()
    return start.startswith((b"[", b"booster["))


FOUND = listed()

READ = """
import json, sys
for name in ("xgboost", "lightgbm", "pypmml", "sklearn2pmml"):
    sys.modules[name] = None
sys.path.insert(0, sys.argv[1])
import numpy as np
from test_legacy_files import FOUND
for case in FOUND:
    try:
        outputs = case.open().predict(case.data())
        scores = outputs.values if outputs.values is not None else outputs.scores
        labels = None if outputs.labels is None else [str(one) for one in outputs.labels]
        print(json.dumps([str(case), None if scores is None else np.asarray(scores).tolist(), labels, ""]))
    except Exception as error:
        print(json.dumps([str(case), None, None, f"{type(error).__name__}: {error}"]))
"""


@pytest.fixture(scope="module")
def alone() -> dict[str, tuple[Any, Any, str]]:
    """Answers for all files from a process in which the libraries cannot be imported."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", READ, str(Path(__file__).parent)],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return {name: (scores, labels, said) for name, scores, labels, said in map(json.loads, done.stdout.splitlines())}


def held(case: Case, scores: Any, labels: Any, classes: tuple[Any, ...]) -> None:
    """Against the expected file: the target first, then a probability for each class."""
    want = pd.read_csv(case.expected, na_values=list(ABSENT), keep_default_na=False)
    bar = BAR[case.library]
    if labels is None:
        np.testing.assert_allclose(scores, want.iloc[:, 0].astype(float), rtol=bar / 10, atol=bar)
        return
    assert [_plain(one) for one in labels] == [_plain(one) for one in want.iloc[:, 0]]
    if scores is None:
        return
    columns = [name for name in want.columns[1:] if pd.api.types.is_float_dtype(want[name])][: len(classes)]
    np.testing.assert_allclose(np.asarray(scores)[:, -len(columns) :], want[columns], rtol=0, atol=bar)


def _plain(label: object) -> str:
    return "None" if label is None or label != label else re.sub(r"\.0$", "", str(label))


needs = pytest.mark.skipif(not FOUND, reason=f"no real cases at {CASES}: set WORKBENCH_CASES to run this test")


@needs
def test_the_cases_are_found() -> None:
    by_library = {library: sum(case.library == library for case in FOUND) for library in BAR}
    assert by_library["xgboost"] >= 8, "xgboost's old files are not found"
    assert by_library["lightgbm"] >= 5, "lightgbm's old files are not found"


@needs
@pytest.mark.parametrize("case", FOUND, ids=str)
def test_read_without_its_library(case: Case, alone: dict[str, tuple[Any, Any, str]]) -> None:
    scores, labels, said = alone[str(case)]
    assert said == ""
    held(case, scores, labels, case.open().classes)


@needs
@pytest.mark.parametrize("case", FOUND, ids=str)
def test_lifted(case: Case) -> None:
    from workbench.migrate.lift import lift

    model = case.open()
    outputs = lift(model).predict(case.data())
    scores = outputs.values if outputs.values is not None else outputs.scores
    held(case, scores, outputs.labels, model.classes)
