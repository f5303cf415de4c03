"""Searches and thresholds hold scorers, metrics and distributions, which are read as names: what is saved with them
answers and lifts as it did, and nothing can be made of the names."""

from __future__ import annotations

import inspect
import os
import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from sklearn import metrics
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from workbench.migrate.lift import lift_piece
from workbench.models import Model, ModelError, Refused, open_model
from workbench.models.pieces import sklearn_piece
from workbench.models.portable.stand_ins import MODULES, SECOND
from workbench.models.safety import allowed
from workbench.models.safety import inspect as inspected
from workbench.models.sklearn_file import load
from workbench.models.sklearn_inputs import asked


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(rng.normal(size=(80, 3)), columns=["a", "b", "c"])


@pytest.fixture(scope="module")
def made(frame: pd.DataFrame) -> dict[str, Any]:
    y = (frame["a"] + np.random.default_rng(1).normal(size=80) > 0).astype(int)
    words = np.where(y == 1, "bad", "good")
    line, grid = LogisticRegression(), {"C": [0.1, 1.0]}
    beta = metrics.make_scorer(metrics.fbeta_score, beta=2)
    bad = metrics.make_scorer(metrics.f1_score, pos_label="bad")
    pipe = make_pipeline(StandardScaler(), line)
    drawn = {"C": scipy.stats.loguniform(0.1, 1.0), "tol": scipy.stats.uniform(1e-4, 1e-4)}
    return {
        "grid": GridSearchCV(pipe, {"logisticregression__C": [0.1, 1.0]}, cv=2).fit(frame, y),
        "auc": GridSearchCV(line, grid, cv=2, scoring="roc_auc").fit(frame, y),
        "several": GridSearchCV(line, grid, cv=2, scoring=["roc_auc", "accuracy"], refit="roc_auc").fit(frame, y),
        "own metric": GridSearchCV(line, grid, cv=2, scoring=beta).fit(frame, y),
        "values": GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=2, scoring="r2").fit(frame, frame["a"] * 2),
        "random": RandomizedSearchCV(line, drawn, cv=KFold(2), n_iter=2, random_state=0).fit(frame, y),
        "halving": HalvingGridSearchCV(line, grid, cv=2).fit(frame, y),
        "tuned": TunedThresholdClassifierCV(line, cv=2).fit(frame, y),
        "tuned on words": TunedThresholdClassifierCV(line, cv=2, scoring=bad).fit(frame, words),
        "tuned on the first": TunedThresholdClassifierCV(
            line, cv=2, scoring=metrics.make_scorer(metrics.recall_score, pos_label=0)
        ).fit(frame, y),
        "fixed": FixedThresholdClassifier(GridSearchCV(line, grid, cv=2), threshold=0.3).fit(frame, y),
    }


@pytest.mark.parametrize("way", ["joblib", "packed", 0, 2, 5])
def test_they_load_answer_and_lift(way: str | int, made: dict[str, Any], frame: pd.DataFrame, tmp_path: Path) -> None:
    for name, estimator in made.items():
        file = tmp_path / name
        if isinstance(way, int):
            file.write_bytes(pickle.dumps(estimator, way))
        else:
            joblib.dump(estimator, file, compress=3 if way == "packed" else 0)
        loaded, _ = load(file)
        answers = "predict" if name == "values" else "predict_proba"
        np.testing.assert_array_equal(loaded.predict(frame), estimator.predict(frame), err_msg=name)
        np.testing.assert_array_equal(getattr(loaded, answers)(frame), getattr(estimator, answers)(frame))
        if way == 5:
            lifts(loaded, estimator, frame)


def lifts(loaded: Any, estimator: Any, frame: pd.DataFrame) -> None:
    piece = sklearn_piece(loaded)
    classes = tuple(getattr(estimator, "classes_", np.array([])).tolist())
    inputs = asked(piece, list(frame.columns)).inputs
    outputs = lift_piece(piece, inputs, classes, "binary" if classes else "regression").predict(frame)
    if not classes:
        np.testing.assert_allclose(outputs.values, estimator.predict(frame), rtol=1e-12)
        return
    assert outputs.labels is not None
    assert (outputs.labels == estimator.predict(frame)).all()
    np.testing.assert_allclose(outputs.scores, estimator.predict_proba(frame), rtol=0, atol=1e-12)


def test_the_door_opens_them(made: dict[str, Any], frame: pd.DataFrame, tmp_path: Path) -> None:
    joblib.dump(made["tuned on words"], tmp_path / "m.joblib")
    model: Model = open_model("m.joblib", folder=tmp_path)
    assert model.predict(frame).labels.tolist() == made["tuned on words"].predict(frame).tolist()
    assert model.describe().params["pos_label_"] == "bad"
    model.close()


def test_the_positive_class_is_the_metric_s_own() -> None:
    """What a scorer's metric takes where nothing is said, against the signatures of the library."""
    for name, function in vars(metrics).items():
        if inspect.isfunction(function) and name.endswith("score"):
            known = inspect.signature(function).parameters
            said = known["pos_label"].default if "pos_label" in known else None
            assert (1 if name in SECOND else None) == said, name


class Calls:
    """A pickle that makes an object of a class, or calls a function, and gives it a state."""

    def __init__(self, what: Any, *arguments: Any, state: Any = None) -> None:
        self.told = (what, arguments) if state is None else (what, arguments, state)

    def __reduce__(self) -> Any:
        return self.told


def named(module: str, name: str, *, argument: str = "x") -> bytes:
    """A call of module.name with one text."""
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + b"(S'" + argument.encode() + b"'\ntR."


def hostile(canary: Path) -> dict[str, bytes]:
    run = f"open({str(canary)!r}, 'w').close()"
    drawn = scipy.stats.norm(0, 1)
    drawn.dist._parse_arg_template = run
    scorer = metrics.make_scorer(metrics.accuracy_score)
    scorer._kwargs = {"pos_label": Calls(os.system, f"touch {canary}")}
    return {
        "metric": named("sklearn.metrics._classification", "f1_score"),
        "make_scorer": named("sklearn.metrics._scorer", "make_scorer"),
        "get_scorer": named("sklearn.metrics._scorer", "get_scorer"),
        "no metric": named("sklearn.metrics._classification", "warnings"),
        "dotted": b"\x80\x04\x8c\x1fsklearn.metrics._classification\x8c\x0cnp.f2py.main\x93.",
        "scipy": named("scipy.stats._distn_infrastructure", "instancemethod"),
        "masked": named("numpy.ma.core", "_frommethod"),
        "in a scorer": pickle.dumps(scorer),
        "a metric with a state": b"\x80\x02csklearn.metrics._classification\nf1_score\n}b.",
        "made by a metric": b"\x80\x02csklearn.metrics._classification\nf1_score\n)\x81.",
        "built by copyreg": b"ccopyreg\n_reconstructor\n(csklearn.metrics._ranking\nauc\nc__builtin__\nobject\nNtR.",
    }


@pytest.mark.parametrize("name", sorted(hostile(Path("/nowhere"))))
def test_nothing_can_be_made_of_a_stand_in(name: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    (tmp_path / "m.pkl").write_bytes(hostile(canary)[name])
    with pytest.raises(ModelError):
        load(tmp_path / "m.pkl")
    assert not canary.exists()


def test_the_code_of_a_distribution_is_not_run(tmp_path: Path, frame: pd.DataFrame) -> None:
    """scipy runs a text of the state when a distribution is unpickled: plain pickle falls for it, this does not."""
    canary = tmp_path / "canary"
    run = f"open({str(canary)!r}, 'w').close()\n{scipy.stats.norm._parse_arg_template}"
    drawn = scipy.stats.uniform(0.1, 1.0)
    drawn.dist._parse_arg_template = run
    search = RandomizedSearchCV(LogisticRegression(), {"C": drawn}, cv=2, n_iter=2, random_state=0)
    data = pickle.dumps(search.fit(frame, frame["a"] > 0))
    canary.unlink(missing_ok=True)
    pickle.loads(data)
    assert canary.exists(), "a canary that cannot die proves nothing"
    canary.unlink()
    (tmp_path / "m.pkl").write_bytes(data)
    inspected(tmp_path / "m.pkl")
    loaded, _ = load(tmp_path / "m.pkl")
    assert loaded.predict(frame).tolist() == search.predict(frame).tolist()
    assert not canary.exists()


def test_a_stand_in_in_the_place_of_a_part_is_no_model(tmp_path: Path, made: dict[str, Any]) -> None:
    search = made["auc"]
    state = {**vars(search), "best_estimator_": search.scorer_}
    broken = GridSearchCV.__new__(GridSearchCV)
    broken.__dict__.update(state)
    joblib.dump(broken, tmp_path / "m.joblib")
    with pytest.raises(ModelError):
        open_model("m.joblib", folder=tmp_path)


def test_stand_ins_answer_for_names_only() -> None:
    """No name of these modules is imported, and none is on the list that only its own code could honour."""
    listed = {module for module, _ in allowed()} & MODULES
    assert listed == MODULES
    dangerous = {name for module, name in allowed() if module in MODULES and not name[0].islower() and name[0] != "_"}
    assert dangerous == {"MaskedArray"}


def test_skops_builds_none_of_them(tmp_path: Path, made: dict[str, Any]) -> None:
    skops = pytest.importorskip("skops.io")
    skops.dump(made["random"], tmp_path / "m.skops")
    with pytest.raises(Refused, match=r"scipy\.stats"):
        open_model("m.skops", folder=tmp_path)
