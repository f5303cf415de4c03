"""The pair on the same rows: targets, decisions, caching, and models that answer what they must not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from workbench.migration import open_migration
from workbench.models import ModelError
from workbench.scored import Scored, score

MODEL = """
import numpy as np
from pathlib import Path

def fair(frame):
    with open(Path(__file__).with_name("asked.txt"), "a") as log:
        log.write(f"{len(frame)}\\n")
    return frame["x"].to_numpy() / 100

def nan(frame):
    score = frame["x"].to_numpy() / 100
    return np.where(frame["x"] > 90, np.nan, score)

def short(frame):
    return frame["x"].to_numpy()[:-1] / 100

def high(frame):
    score = np.where(frame["x"] > 90, np.inf, frame["x"].to_numpy() / 100)
    return np.column_stack([1 - np.minimum(score, 1), score])

def beyond(frame):
    score = frame["x"].to_numpy() / 90
    return np.column_stack([1 - score, score])

def apart(frame):
    score = frame["x"].to_numpy() / 100
    return np.column_stack([score, score])

def dice(frame):
    return np.random.default_rng().random(len(frame))
"""


def _migration(folder: Path, legacy: str, truth: str = "good", positive: str = "good", **more: str) -> Scored:
    rows = "".join(f"{n},{truth if n % 3 else 'bad'}\n" for n in range(100))
    (folder / "rows.csv").write_text("x,truth\n" + rows)
    (folder / "models_of_test.py").write_text(MODEL)
    text = f"""
version: 1
name: tiny
data: {{holdout: rows.csv}}
legacy: {{uri: "{legacy}", options: {{classes: [bad, good]}}}}
task: {{kind: binary, target: truth, positive: {positive}, threshold: 0.5}}
"""
    (folder / "migration.yaml").write_text(text + "".join(f"{key}: {value}\n" for key, value in more.items()))
    return score(open_migration(folder))


def test_the_pair_is_scored_at_the_migrations_threshold(tmp_path: Path) -> None:
    scored = _migration(tmp_path, "python:models_of_test:fair")
    assert len(scored) == scored.total == 100
    assert scored.target.tolist() == [int(n % 3 != 0) for n in range(100)]
    assert scored.legacy.score is not None
    np.testing.assert_allclose(scored.legacy.score, np.arange(100) / 100)
    assert scored.legacy.decision is not None
    assert scored.legacy.decision.tolist() == [int(n >= 50) for n in range(100)]
    assert scored.candidate is None
    assert not scored.problems


def test_a_model_is_asked_once_for_the_same_rows(tmp_path: Path) -> None:
    first = _migration(tmp_path, "python:models_of_test:fair")
    asked = (tmp_path / "asked.txt").read_text()
    again = score(open_migration(tmp_path))
    assert (tmp_path / "asked.txt").read_text() == asked
    np.testing.assert_array_equal(first.legacy.score, again.legacy.score)
    assert first.fingerprint == again.fingerprint
    assert again.classes == first.classes


def test_nan_answers_are_named(tmp_path: Path) -> None:
    (problem,) = _migration(tmp_path, "python:models_of_test:nan").problems
    assert (problem.side, problem.kind, problem.rows) == ("legacy", "nan", 9)


@pytest.mark.parametrize(
    ("function", "kind", "rows"), [("high", "infinite", 9), ("beyond", "range", 9), ("apart", "sum", 99)]
)
def test_scores_that_are_no_probabilities_are_named(tmp_path: Path, function: str, kind: str, rows: int) -> None:
    (problem,) = _migration(tmp_path, f"python:models_of_test:{function}").problems
    assert (problem.side, problem.kind, problem.rows) == ("legacy", kind, rows)
    assert problem.message.startswith("the legacy model answers ")


def test_a_row_without_a_label_is_no_decision_against_it(tmp_path: Path) -> None:
    scored = _migration(tmp_path, "column:truth", truth="")
    assert [(problem.kind, problem.rows) for problem in scored.problems] == [("nan", 66)]
    assert scored.legacy.decision is not None
    assert scored.legacy.decision.tolist() == [-1 if n % 3 else 0 for n in range(100)]


def test_answers_that_change_are_named(tmp_path: Path) -> None:
    (problem,) = _migration(tmp_path, "python:models_of_test:dice").problems
    assert problem.kind == "unrepeatable"
    assert problem.rows > 90


def test_a_dropped_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"99|shape|rows"):
        _migration(tmp_path, "python:models_of_test:short")


def test_a_target_the_holdout_lacks_is_named_with_the_nearest(tmp_path: Path) -> None:
    _migration(tmp_path, "python:models_of_test:fair")
    path = tmp_path / "migration.yaml"
    path.write_text(path.read_text().replace("target: truth", "target: trth"))
    with pytest.raises(ModelError, match="Did you mean 'truth'"):
        score(open_migration(tmp_path))


def test_classes_that_disagree_with_the_data_name_both_sides(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"fine.*bad.*good"):
        _migration(tmp_path, "python:models_of_test:fair", truth="fine")
    with pytest.raises(ModelError, match=r"task\.positive"):
        _migration(tmp_path, "python:models_of_test:fair", positive="excellent")
