"""Models in a process of their own: pickles, callables, and what happens when the process misbehaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

from workbench.models import Model, ModelError, Refused, in_host
from workbench.models.client import HostModel
from workbench.models.sklearn_file import open_sklearn
from workbench.models.trees import Trees

Open = Callable[..., Model]


@pytest.fixture(scope="module")
def pipeline(rows: pd.DataFrame, answers: dict[str, Any]) -> Any:
    prepare = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), ["score", "price", "debt"]),
            (
                "trade",
                make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")),
                ["trade"],
            ),
            ("rank", OneHotEncoder(handle_unknown="ignore"), ["rank"]),
        ]
    )
    labels = np.where(answers["binary"] == 1, "good", "bad")
    return make_pipeline(prepare, HistGradientBoostingClassifier(max_iter=10, random_state=0)).fit(rows, labels)


def test_a_pickle_answers_from_its_own_process(pipeline: Any, rows: pd.DataFrame, tmp_path: Path, opened: Open) -> None:
    joblib.dump(pipeline, tmp_path / "legacy.bin", compress=3)
    model = opened("legacy.bin", folder=tmp_path, batch=400)
    assert isinstance(model, HostModel)
    assert (model.format, model.task, model.classes) == ("sklearn", "binary", ("bad", "good"))
    asked = {one.name: (one.kind, one.categories) for one in model.inputs}
    assert asked["score"] == ("number", ())
    assert asked["trade"] == ("category", tuple(sorted("qwertyuiopas")))
    assert asked["rank"] == ("category", (3, 7, 11, 20))
    assert asked["cents"] == ("unknown", ())
    outputs = model.predict(rows.assign(more=1))
    np.testing.assert_array_equal(outputs.scores, pipeline.predict_proba(rows))
    np.testing.assert_array_equal(outputs.labels, pipeline.predict(rows))

    # The same values in other clothes, and rows at the edge.
    dressed = rows.assign(
        rank=rows["rank"].astype(str), price=rows["price"].astype(str), trade=rows["trade"].astype("category")
    )
    np.testing.assert_array_equal(model.predict(dressed[:50]).scores, outputs.scores[:50])
    odd = rows[:3].astype({"trade": object}).assign(trade=["?", None, np.nan], score=np.nan, rank=[3.0, np.nan, 99])
    np.testing.assert_array_equal(model.predict(odd).scores, pipeline.predict_proba(odd.fillna({"trade": np.nan})))
    assert model.predict(rows[:0]).scores.shape == (0, 2)
    assert len(model.predict(rows[:1])) == 1
    with pytest.raises(ModelError, match=r"the model asks for .*'score'.*; the data has .*Not there: 'score'.*'Score'"):
        model.predict(rows.rename(columns={"score": "Score"}))
    with pytest.raises(ModelError, match=r"numbers in 'price'.*'free'"):
        model.predict(rows.assign(price="free"))

    # What it is made of came over as data.
    trees = [piece.trees for _, piece in model.describe().walk() if piece.trees is not None]
    assert len(trees) == 1
    assert isinstance(trees[0], Trees)

    # What it costs is measured inside.
    wall, cpu = model.timed(rows[:5], 4)
    assert len(wall) == len(cpu) == 4
    assert min(wall) > 10_000
    assert min(cpu) > 0
    assert model.peak_rss() > 50 << 20
    assert model.cold_start_seconds is not None
    assert model.cold_start_seconds > 0.1

    # Ended, it starts again when asked; killed, it says so and starts again.
    first = process_of(model)
    model.close()
    np.testing.assert_array_equal(model.predict(rows[:9]).scores, outputs.scores[:9])
    assert process_of(model) != first
    os.kill(process_of(model), signal.SIGKILL)
    with pytest.raises(ModelError, match=r"was killed.*MiB at most.*memory_mb"):
        model.predict(rows)
    assert len(model.predict(rows[:2])) == 2


def process_of(model: HostModel) -> int:
    assert model._process is not None
    return model._process.popen.pid


SCRIPT = """
import os, sys, time
import numpy as np
import pandas as pd

def noisy(frame):
    print("x" * 100_000)
    os.write(1, b"straight to the descriptor")
    sys.stdout.flush()
    return 1 / (1 + np.exp(-frame["score"].fillna(0)))

def shares(frame): return np.tile([0.2, 0.3, 0.5], (len(frame), 1))
def words(frame): return np.where(frame["score"] > 0, "up", "down")
def values(frame): return frame[["price"]].to_numpy() * 2
def wide(frame): return np.zeros((len(frame), 7))
def sleepy(frame): time.sleep(60)
def crashing(frame): os._exit(7)
def segfault(frame): os.kill(os.getpid(), 11)
def greedy(frame): return np.ones(10**11)[: len(frame)]
def broken(frame): return frame["no such column"]
def changing(frame): return np.random.default_rng().random(len(frame))
def threads(frame): return np.full(len(frame), float(os.environ["OMP_NUM_THREADS"]))
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    (tmp_path / "team").mkdir()
    (tmp_path / "team" / "__init__.py").write_text("")
    (tmp_path / "team" / "old_model.py").write_text(SCRIPT)
    return tmp_path


def test_a_callable_that_prints_answers_all_the_same(rows: pd.DataFrame, script: Path, opened: Open) -> None:
    model = opened("python:team.old_model:noisy", folder=script)
    want = 1 / (1 + np.exp(-rows["score"].fillna(0)))
    np.testing.assert_array_equal(model.predict(rows).scores[:, 1], want)
    assert (model.task, model.classes) == ("binary", (0, 1))
    before = model.fingerprint
    model.close()
    (script / "team" / "old_model.py").write_text(SCRIPT + "\n")
    assert opened("python:team.old_model:noisy", folder=script).fingerprint != before


@pytest.mark.parametrize(
    "name, options, said",
    [
        ("sleepy", {"timeout": 1.0}, "did not answer within 1 s"),
        ("crashing", {}, r"ended by itself \(exit status 7\)"),
        ("segfault", {}, r"crashed \(SIGSEGV\).*MiB"),
        ("greedy", {"memory_mb": 2000}, r"out of memory at \d+ MiB.*memory_mb"),
    ],
)
def test_a_process_that_fails_ends_in_one_sentence(
    name: str, options: dict[str, Any], said: str, rows: pd.DataFrame, script: Path, opened: Open
) -> None:
    model = opened(f"python:team.old_model:{name}", folder=script, **options)
    start = time.monotonic()
    with pytest.raises(ModelError, match=said):
        model.predict(rows[:10])
    assert time.monotonic() - start < 55, "the slowest of them sleeps a minute"


def test_what_a_callable_may_answer(rows: pd.DataFrame, script: Path) -> None:
    """In this process, as the host does it: a process each would take the time of the suite."""
    from workbench.models.door import open_here

    def ask(name: str, **options: Any) -> Any:
        return open_here(f"python:team.old_model:{name}", script, options).predict(rows[:20])

    np.testing.assert_array_equal(ask("shares", classes=["a", "b", "c"]).labels, ["c"] * 20)
    up = ask("words", classes=["down", "up"])
    assert up.scores is None
    np.testing.assert_array_equal(up.labels, np.where(rows["score"][:20] > 0, "up", "down"))
    np.testing.assert_array_equal(ask("values", task="regression").values, rows["price"][:20] * 2)
    with pytest.raises(ModelError, match=r"answered \['.*not among the classes \[0, 1\].*option classes"):
        ask("words")
    with pytest.raises(ModelError, match=r"shape \(20, 7\)"):
        ask("wide")
    with pytest.raises(ModelError, match=r"KeyError at line \d+ of old_model.py"):
        ask("broken")
    with pytest.raises(ModelError, match="no function 'nothing'"):
        ask("nothing")
    with pytest.raises(ModelError, match="looked for in"):
        open_here("python:no_such_module:f", script, {})


def test_a_native_file_answers_the_same_from_a_host(rows: pd.DataFrame, tmp_path: Path, opened: Open) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    numbers = rows[["score", "price"]]
    settings = {"objective": "regression", "verbosity": -1, "num_threads": 1}
    lightgbm.train(settings, lightgbm.Dataset(numbers, rows["debt"].fillna(0)), 5).save_model(tmp_path / "m")
    here = opened("m", folder=tmp_path)
    there = in_host(here)
    assert isinstance(there, HostModel)
    assert in_host(there) is there
    assert here.fingerprint == there.fingerprint
    np.testing.assert_array_equal(here.predict(rows).values, there.predict(rows).values)
    assert there.inputs == here.inputs
    there.close()


def here(estimator: Any, path: Path, **options: Any) -> Any:
    """As the host opens it, without a process."""
    joblib.dump(estimator, path)
    return open_sklearn(path, "", features=options.get("features"), threads=1)


def test_estimators_of_every_kind(numbers: pd.DataFrame, answers: dict[str, Any], tmp_path: Path) -> None:
    X = numbers.fillna(0.0)
    line = LinearRegression().fit(X, answers["regression"])
    model = here(line, tmp_path / "line")
    assert (model.task, model.classes) == ("regression", ())
    np.testing.assert_allclose(model.predict(X).values, line.predict(X), atol=1e-14)
    assert len(model.predict(X[:0]).values) == 0
    decides = make_pipeline(StandardScaler(), LinearSVC()).fit(X, answers["multiclass"])
    outputs = here(decides, tmp_path / "svc").predict(X)
    assert outputs.scores is None
    np.testing.assert_array_equal(outputs.labels, decides.predict(X))
    np.testing.assert_array_equal(outputs.raw, decides.decision_function(X))
    nameless = RandomForestClassifier(5, n_jobs=-1, random_state=0).fit(X.to_numpy(), answers["binary"])
    with pytest.raises(ModelError, match="option features"):
        here(nameless, tmp_path / "rf").predict(X.assign(more=1))  # as many columns would be taken by position
    named = here(nameless, tmp_path / "rf", features=tuple(X.columns))
    assert named.estimator.n_jobs == 1
    np.testing.assert_array_equal(named.predict(X.iloc[:, ::-1]).scores, nameless.predict_proba(X.to_numpy()))
    with pytest.raises(ModelError, match="StandardScaler, not an estimator"):
        here(StandardScaler().fit(X), tmp_path / "scaler")
    with pytest.raises(ModelError, match=r"holds a dict with \['model'\]"):
        here({"model": line}, tmp_path / "dict")


def test_hostile_column_names_are_names_like_any(
    numbers: pd.DataFrame, answers: dict[str, Any], tmp_path: Path, opened: Open
) -> None:
    names = ["<img src=x onerror=alert(1)>", "</script>", "$\\frac{1}{2}$", "\u202egnp.exe", "x" * 10_000]
    X = numbers.fillna(0.0).set_axis(names, axis=1)
    line = make_pipeline(StandardScaler(), LinearRegression()).fit(X, answers["regression"])
    joblib.dump(line, tmp_path / "m")
    model = opened("m", folder=tmp_path)
    np.testing.assert_allclose(model.predict(X.assign(**{"": 1.0})).values, line.predict(X), atol=1e-14)
    assert [one.name for one in model.inputs] == names
    assert model.describe().children[0][1].arrays["feature_names_in_"].tolist() == names
    with pytest.raises(ModelError) as caught:
        model.predict(numbers)
    assert len(str(caught.value)) < 2000


def test_a_tree_that_leads_out_of_its_arrays_never_answers(
    numbers: pd.DataFrame, answers: dict[str, Any], tmp_path: Path, opened: Open
) -> None:
    forest = RandomForestClassifier(3, max_depth=3, random_state=0).fit(numbers, answers["binary"])
    tree = forest.estimators_[1].tree_
    state = tree.__getstate__()
    state["nodes"] = state["nodes"].copy()
    state["nodes"]["left_child"][0] = 10**6
    tree.__setstate__(state)
    joblib.dump(forest, tmp_path / "m.pkl")
    with pytest.raises(Refused, match="tree 1, node 0: left child is"):
        opened("m.pkl", folder=tmp_path)


BUSY = """
import resource
from workbench.models.host import computed
resource.setrlimit(resource.RLIMIT_CPU, (1_000, 1_000))
seen = [computed() for _ in range(20_000)]
print(min(later - sooner for sooner, later in zip(seen, seen[1:]) if later > sooner))
"""


def test_what_was_computed_is_told_finer_than_the_kernels_ticks() -> None:
    """Under a limit of processor time, as a host is, `time.process_time` moves by some milliseconds at once."""
    step = subprocess.run([sys.executable, "-c", BUSY], capture_output=True, text=True, check=True).stdout
    assert 0 < int(step) < 500_000
