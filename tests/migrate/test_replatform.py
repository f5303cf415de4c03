from __future__ import annotations

import hashlib
import json

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from workbench.evidence import File, Status
from workbench.migrate import replatform
from workbench.migration import Task
from workbench.models import ModelError, open_model

TASK = Task(kind="binary", target="y", positive=1)


def _legacy(model, frame, y, folder):
    joblib.dump(model.fit(frame, y), folder / "legacy.joblib")
    return open_model("legacy.joblib", folder=folder)


@pytest.mark.slow
def test_the_candidate_is_written_and_reported(table, tmp_path):
    frame, y = table
    X = frame[["city", "kind"]]
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    legacy = _legacy(make_pipeline(encoder, HistGradientBoostingClassifier(max_iter=20)), X, y, tmp_path)
    made = tmp_path / "models" / "lift"
    findings = list(replatform.run(legacy, TASK, made, replatform.Params()))
    assert [finding.id for finding in findings] == ["replatform/lifted", "replatform/files", "replatform/onnx"]
    assert all(finding.status is Status.INFO for finding in findings), "a mover never judges"
    assert {finding.id for finding in findings} <= {kind.id for kind in replatform.KINDS}
    files = [detail for detail in findings[1].details if isinstance(detail, File)]
    assert {file.path for file in files} == {"candidate.pt2", "candidate.json", "candidate.npz", "candidate.onnx"}
    for file in files:
        assert hashlib.sha256((made / file.path).read_bytes()).hexdigest() == file.sha256
    pieces = findings[0].details[0].rows
    assert {row[1] for row in pieces} >= {"sklearn.pipeline.Pipeline", "sklearn.preprocessing.OneHotEncoder"}
    spec = json.loads((made / "candidate.json").read_text("utf-8"))
    hashes = {file.path: file.sha256 for file in files if file.path != "candidate.json"}
    assert spec["files"] == hashes, "the spec names what lies beside it"
    assert spec["outputs"] == ["scores", "label", "raw"]
    assert set(spec["versions"]) == {"workbench", "torch", "numpy"}
    assert findings[2].candidate.value <= 1e-12
    served = open_model("candidate.onnx", folder=made)
    candidate = open_model("candidate.pt2", folder=made)
    unseen = X.assign(city="Atlantis")
    for rows in (X, unseen, X[:1], X[:0]):
        before, after = legacy.predict(rows), candidate.predict(rows)
        assert np.array_equal(before.labels, after.labels)
        np.testing.assert_allclose(after.scores, before.scores, rtol=0, atol=1e-15)
        assert np.array_equal(served.predict(rows).labels, before.labels)
        np.testing.assert_allclose(served.predict(rows).scores, before.scores, rtol=0, atol=1e-12)
    legacy.close()


def test_what_cannot_be_lifted_is_absent_with_advice_and_writes_nothing(table, tmp_path):
    frame, y = table
    legacy = _legacy(
        make_pipeline(StandardScaler(), GaussianProcessClassifier()), frame[["count", "seen"]][:80], y[:80], tmp_path
    )
    made = tmp_path / "made"
    (finding,) = replatform.run(legacy, TASK, made, replatform.Params(method="lift"))
    assert finding.status is Status.ABSENT
    assert finding.subject == "sklearn.gaussian_process.GaussianProcessClassifier"
    assert "looks at all rows of training" in finding.reason
    assert not finding.reason.endswith("..")
    assert len(finding.fix) > 20
    assert not made.exists()
    legacy.close()


def test_a_task_the_model_does_not_do_is_said(tmp_path):
    frame = pd.DataFrame({"a": np.arange(40.0)})
    legacy = _legacy(HistGradientBoostingClassifier(max_iter=2), frame, np.arange(40) % 2, tmp_path)
    with pytest.raises(ModelError, match=r"correct task\.kind"):
        list(replatform.run(legacy, Task(kind="regression", target="y"), tmp_path / "made", replatform.Params()))
    legacy.close()


def test_only_the_onnx_file_refused_leaves_the_candidate_and_the_reason(tmp_path):
    frame = pd.DataFrame({"a": np.arange(40.0)})
    legacy = _legacy(DummyClassifier(), frame, np.arange(40) % 2, tmp_path)
    findings = list(replatform.run(legacy, TASK, tmp_path / "made", replatform.Params()))
    assert (tmp_path / "made" / "candidate.pt2").is_file()
    assert not (tmp_path / "made" / "candidate.onnx").exists()
    assert findings[2].status is Status.INFO
    assert "reads no column" in findings[2].details[0].text
    legacy.close()
