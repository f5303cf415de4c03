from __future__ import annotations

import lightgbm
import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, StackingClassifier
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

from workbench.audits import compatibility
from workbench.evidence import Status
from workbench.models import Input
from workbench.models.pieces import sklearn_piece
from workbench.models.protocol import Piece
from workbench.models.sandbox import Protection
from workbench.models.sklearn_inputs import asked
from workbench.models.trust import Trust

CALIBRATED = CalibratedClassifierCV(LinearSVC(), cv=2)


class Described:
    """A model as far as this audit looks at one."""

    def __init__(self, piece: Piece, inputs: tuple[Input, ...]) -> None:
        self.piece, self.inputs = piece, inputs

    def describe(self) -> Piece:
        return self.piece


def _run(model, frame, y, **params):
    piece = sklearn_piece(model.fit(frame, y))
    legacy = Described(piece, asked(piece, list(frame.columns)).inputs)
    findings = list(compatibility.run(legacy, compatibility.Params(**params)))
    assert {finding.id for finding in findings} <= {kind.id for kind in compatibility.KINDS}
    assert len({finding.key for finding in findings}) == len(findings)
    return {finding.key: finding for finding in findings}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "city": rng.choice(["a", "b"], 2_000),
            "seen": 1.6e9 + rng.integers(0, 10**6, 2_000),
            "size": rng.normal(size=2_000),
        }
    )
    return frame, ((frame.seen > 1.6005e9) ^ (frame["size"] > 0)).astype(int)


def _columns(last, *steps):
    numbers = make_pipeline(SimpleImputer(), *steps) if steps else "passthrough"
    return make_pipeline(
        ColumnTransformer([("text", OneHotEncoder(), ["city"]), ("numbers", numbers, ["seen", "size"])]), last
    )


def test_a_model_that_lifts_passes_piece_by_piece(rows):
    frame, y = rows
    found = _run(_columns(HistGradientBoostingClassifier(max_iter=40)), frame, y)
    pieces = {key: finding for key, finding in found.items() if finding.id == "compatibility/piece"}
    assert {finding.status for finding in pieces.values()} == {Status.PASS}
    assert "compatibility/piece[sklearn.preprocessing.OneHotEncoder]" in pieces
    assert all("LabelEncoder" not in key for key in pieces), "not on the way to an answer"
    effort = found["compatibility/effort"]
    assert effort.legacy.value == sum({row[1]: row[4] for row in effort.details[0].rows}.values()) > 0
    assert [row[0] for row in found["compatibility/inputs"].details[0].rows] == ["city", "seen", "size"]


def test_unix_seconds_lose_meaning_in_float32_and_small_numbers_do_not(rows):
    frame, y = rows
    table = _run(_columns(HistGradientBoostingClassifier(max_iter=40)), frame, y)["compatibility/float32"]
    assert table.legacy.value == 1
    seen, size = table.details[0].rows
    assert seen[2] == np.spacing(np.float32(1.6e9)) == 128.0
    assert seen[4] > 1e-2 > 1e-4 > size[4]
    blurred = frame.assign(seen=frame.seen.astype(np.float32).astype(float))
    assert (blurred.seen != frame.seen).mean() > 0.9, "the claim: float32 changes these values"
    forest = _run(_columns(RandomForestClassifier(5)), frame, y)["compatibility/float32"]
    assert "float32 already" in forest.title


def test_what_must_be_retrained_warns_with_advice(rows):
    frame, y = rows
    frame, y = frame[:60], y[:60]
    found = _run(_columns(GaussianProcessClassifier(max_iter_predict=5), StandardScaler()), frame, y)
    worst = found["compatibility/piece[sklearn.gaussian_process.GaussianProcessClassifier]"]
    assert worst.status is Status.WARN
    assert "must be retrained" in worst.title
    assert len(worst.fix) > 20
    model = found["compatibility/model"]
    assert model.status is Status.WARN
    assert model.title == "The model must be retrained: Pipeline > gaussianprocessclassifier"
    assert model.fix == worst.fix
    assert found["compatibility/effort"].legacy.value > 13


def test_one_bad_piece_speaks_for_its_kind(rows):
    frame, y = rows
    steps = (FunctionTransformer(np.log1p), FunctionTransformer(lambda x: x + 1))
    found = _run(_columns(RandomForestClassifier(3), *steps), frame.assign(size=1.0), y)
    finding = found["compatibility/piece[sklearn.preprocessing.FunctionTransformer]"]
    assert finding.status is Status.WARN
    assert [row[2] for row in finding.details[0].rows] == ["lifts exactly", "must be retrained"]


def test_parts_are_named_by_their_place(rows):
    frame, y = rows
    inner = StackingClassifier([("lr", make_pipeline(StandardScaler(), LogisticRegression())), ("cal", CALIBRATED)])
    model = make_pipeline(SimpleImputer(), inner)
    found = _run(model, frame[["seen", "size"]][:200], y[:200])
    rows_ = found["compatibility/effort"].details[0].rows
    places = {row[0] for row in rows_}
    assert "Pipeline > stackingclassifier > lr > standardscaler" in places
    assert "Pipeline > stackingclassifier > cal > fold 2 > model" in places
    assert "Pipeline > stackingclassifier > cal > fold 1 > curve 1" in places
    assert "Pipeline > stackingclassifier > last model" in places
    assert found["compatibility/model"].status is Status.PASS
    assert found["compatibility/model"].title == "The model lifts exactly"


@pytest.mark.parametrize("kind", ["column:score", "python:package.module:predict"])
def test_a_closed_model_is_absent_with_the_reason(kind):
    found = list(compatibility.run(Described(Piece(kind), ()), compatibility.Params()))
    piece, model, effort, inputs, _ = found
    assert piece.status is Status.ABSENT
    assert "without showing its parts" in piece.reason
    assert model.status is Status.ABSENT
    assert effort.legacy.value == 13
    assert inputs.status is Status.ABSENT


def test_a_kind_nobody_knows_is_absent_not_passed(rows):
    frame, y = rows
    stranger = Piece("acme.Scorer", "3.1", {"x": 1}, {"w": np.ones(2)})
    found = list(compatibility.run(Described(stranger, (Input("a"),)), compatibility.Params()))
    assert found[0].status is Status.ABSENT
    assert "acme.Scorer is not known" in found[0].title
    booster = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1)
    assert (
        _run(booster, frame[["seen", "size"]], y)["compatibility/piece[lightgbm.LGBMClassifier]"].status is Status.PASS
    )


def test_how_a_model_was_opened_is_part_of_the_evidence():
    def opened(**facts):
        model = Described(Piece("python.function"), (Input("a"),))
        for name, value in {"answered_by": "scikit-learn 1.2.2", **facts}.items():
            setattr(model, name, value)
        return next(
            (one for one in compatibility.run(model, compatibility.Params()) if one.id == "compatibility/opened"), None
        )

    walls = opened(protection=Protection(True), trust=None)
    assert walls.status is Status.INFO
    assert "no network" in walls.title
    word = {"by": "Ada Lovelace", "on": "2026-01-01", "sha256": "0" * 64, "why": "made by our own team"}
    trusted = opened(protection=Protection(False, "it is not installed"), trust=Trust.read(word))
    assert trusted.status is Status.WARN
    assert "Ada Lovelace vouched for this file on 2026-01-01" in trusted.title
    assert "it is not installed" in str(trusted.details[0].rows)
    assert opened() is None
