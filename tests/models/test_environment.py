"""A model's own environment: what pip is told, what a pickle's stamps ask for, and the model as it answers there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC

from workbench.migration import Data, Migration, MigrationError, ModelSource, Task, open_migration, render
from workbench.models import Model, ModelError, Refused, environment, open_model
from workbench.models.code_held import is_arithmetic
from workbench.models.environment import Built, Environment
from workbench.models.environment_model import EnvironmentModel
from workbench.models.ghosts import Raised
from workbench.models.interpreters import HERE, find_python
from workbench.models.older import renew
from workbench.models.options import Options
from workbench.models.pieces import sklearn_piece
from workbench.models.portable.state import Reader
from workbench.models.safety import Found, survey
from workbench.models.stamps import eras, plan
from workbench.models.wire import piece_to_plain
from workbench.proposal.sources import ProposalError, home_of

HOSTILE = [
    "-r other.txt",
    "--index-url=https://example.org",
    "-e .",
    "git+https://example.org/a.git",
    "a @ https://example.org/a.whl",
    "./local",
    "/etc/passwd",
    "../up",
    "a.whl/..",
    "scikit-learn==1.2.2\n--pre",
    "scikit-learn==1.2.2 --pre",
    "scikit-learn;os_name=='posix'",
    "file:///a",
    "",
    " ",
    "a" * 300,
    "паckage==1",
    "a==1 b==2",
    "${HOME}",
    "a==$(id)",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_pip_is_told_packages_and_nothing_else(text: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no plain requirement"):
        open_model("m.pkl", folder=tmp_path, environment={"requirements": ["scikit-learn==1.2.2", text]})
    declared = json.dumps(["scikit-learn==1.2.2", text])
    (tmp_path / "migration.yaml").write_text(DECLARED.format(environment=f"{{requirements: {declared}}}"))
    with pytest.raises(MigrationError, match=r"migration\.yaml:\d+:.*no plain requirement"):
        open_migration(tmp_path)


DECLARED = """\
version: 1
name: credit
data:
  holdout: loans.csv
legacy:
  uri: m.pkl
  environment: {environment}
task:
  kind: binary
  target: default
  positive: 1
"""


@pytest.mark.parametrize(
    "text, said",
    [
        ("{python: 3.10, requirements: [a]}", "in quotes"),
        ("{python: '2.7', requirements: [a]}", "python"),
        ("{python: '3.9'}", "requirements"),
        ("{requirements: []}", "requirements"),
        ("{requirements: [a], index: b}", "'index' is not a key"),
    ],
)
def test_a_section_that_cannot_be_used_says_its_line(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "migration.yaml").write_text(DECLARED.format(environment=text))
    with pytest.raises(MigrationError, match=rf"migration\.yaml:\d+:.*{said}"):
        open_migration(tmp_path)


def test_plain_requirements_are_taken() -> None:
    texts = [
        "scikit-learn==1.2.2",
        "numpy<2",
        "pandas >=1.5, <2",
        "uvicorn[standard]~=0.20",
        "six",
        "a!=1.0.*",
        "b==1.0+cpu",
    ]
    one = Environment.read({"requirements": texts})
    assert one.requirements == tuple(texts)
    assert {"numpy<2", "pyarrow<15"} <= set(one.installed)
    assert one.key == Environment(tuple(texts[::-1])).key
    assert one.key != Environment(tuple(texts[1:])).key
    assert one.key != Environment(tuple(texts), "3.9").key
    assert Environment(("a",)).key == Environment(("a",), HERE).key
    with pytest.raises(ModelError, match=r"no Python 3\.77 on this machine.*pyenv install 3\.77"):
        environment.build(Environment(("a",), "3.77"))
    with pytest.raises(ModelError, match=r"3\.6 at least"):
        environment.build(Environment(("a",), "3.5"))


def test_every_era_has_a_plan_that_pip_can_read() -> None:
    for minor in eras()["scikit-learn"]:
        for modules in (["sklearn.tree", "numpy"], ["sklearn.tree", "sklearn2pmml", "sklearn_pandas", "xgboost.core"]):
            made = plan([(module, "x") for module in modules], {"scikit-learn": f"{minor}.1"})
            assert made is not None
            assert made.environment is not None
            assert Environment.read(made.environment.plain()) == made.environment
            assert f"scikit-learn=={minor}.1" in made.environment.requirements
            assert "environment: {" in made.advice
            assert made.missing or find_python(made.environment.python or HERE)


def test_a_module_nobody_knows_is_never_looked_up_at_pip() -> None:
    made = plan([("sklearn.tree", "x"), ("evil_package.model", "x")], {"scikit-learn": "1.2.2"})
    assert made is not None
    assert made.environment is None
    assert made.absent == ("evil_package",)
    assert "evil_package" in made.advice
    assert "requirements" not in made.advice


def test_what_is_saved_here_needs_no_environment(tmp_path: Path) -> None:
    joblib.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path / "m")
    found, broken = survey(tmp_path / "m")
    assert not broken
    assert plan(found.names, found.versions) is None
    numbers = plan([("sklearn.tree", "x"), ("numpy._core.multiarray", "scalar")], {"scikit-learn": "1.5.0"})
    assert numbers is not None
    assert numbers.environment is not None
    assert "numpy>=2,<2.2" in numbers.environment.requirements


def test_a_booster_says_its_version(tmp_path: Path) -> None:
    xgboost = pytest.importorskip("xgboost")
    X, y = np.arange(20.0).reshape(10, 2), np.arange(10) % 2
    joblib.dump(xgboost.XGBClassifier(n_estimators=2).fit(X, y), tmp_path / "m")
    assert survey(tmp_path / "m")[0].versions["xgboost"] == xgboost.__version__


@pytest.mark.parametrize(
    "text, plain",
    [
        ("(X[0] / X[1]) + 0.5", True),
        ("X[:, 0] * 2 if X[1] > 0 else numpy.log(X[0])", True),
        ("X['a'] + '-01-01'", True),
        ("__import__('os').system('id')", False),
        ("X.__class__.__mro__", False),
        ("numpy.load('x')", False),
        ("numpy.lib.npyio.os.system('id')", False),
        ("(lambda: 1)()", False),
        ("[x for x in X]", False),
        ("9 ** 9 ** 9", False),
        ("X[0] if", False),
        ("eval('1')", False),
        ("getattr(X, 'a')", False),
        ("X[__import__('os')]", False),
        ("f'{X}'", False),
    ],
)
def test_code_in_a_pipeline_is_arithmetic_or_refused(text: str, plain: bool) -> None:
    assert is_arithmetic(text) is plain


def test_an_interrupted_build_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(environment.PLACE, str(tmp_path))
    run = environment._run

    def cut(command: Any, wanted: Environment) -> str:
        if "pip" in command:
            assert [path.suffix for path in tmp_path.iterdir() if path.is_dir()] == [".part"]
            raise KeyboardInterrupt
        return run([*command, "--without-pip"], wanted)

    monkeypatch.setattr(environment, "_run", cut)
    with pytest.raises(KeyboardInterrupt):
        environment.build(Environment(("scikit-learn==1.2.2",)))
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
    assert environment.existing(Environment(("scikit-learn==1.2.2",))) is None


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every environment is the one these tests run in: the way through another interpreter without building one."""
    monkeypatch.setattr("workbench.models.environment_model.build", lambda _: Built(Path(sys.prefix), {}))


OURS = {"requirements": ["scikit-learn"]}


def kinds(rows: pd.DataFrame, answers: dict[str, Any]) -> dict[str, Any]:
    numbers = rows[["score", "seen", "price"]].fillna(0.0)
    columns = ColumnTransformer(
        [
            ("log", make_pipeline(SimpleImputer(), FunctionTransformer(np.log1p)), ["cents"]),
            ("rank", OneHotEncoder(handle_unknown="ignore"), ["rank"]),
            ("trade", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), ["trade"]),
            ("scale", make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), ["price", "debt"]),
        ]
    )
    few = GradientBoostingClassifier(n_estimators=3, random_state=0)
    return {
        "columns": make_pipeline(columns, SelectKBest(k=5), LogisticRegression()).fit(rows, answers["binary"]),
        "words": make_pipeline(columns, few).fit(rows, np.where(answers["binary"] == 1, "good", "bad")),
        "histogram": HistGradientBoostingClassifier(max_iter=3, random_state=0).fit(numbers, answers["multiclass"]),
        "forest": RandomForestClassifier(3, random_state=0).fit(numbers, answers["multiclass"]),
        "line": GradientBoostingRegressor(n_estimators=3, random_state=0).fit(numbers, answers["regression"]),
        "clusters": make_pipeline(StandardScaler(), KMeans(3, random_state=0, n_init=1)).fit(numbers),
        "margin": SVC().fit(numbers[:200], answers["binary"][:200]),
    }


def test_a_description_from_state_alone_is_that_of_the_estimator(rows: pd.DataFrame, answers: dict[str, Any]) -> None:
    """As it crosses the border: JSON and arrays, read there, raised here."""
    for name, estimator in kinds(rows, answers).items():
        reader = Reader()
        node = json.loads(json.dumps(reader.node(estimator)))
        same_piece(sklearn_piece(estimator), sklearn_piece(Raised(reader.arrays, renew).value(node)), name)


@pytest.mark.usefixtures("here")
def test_a_model_in_another_interpreter_answers_as_it_does_here(
    rows: pd.DataFrame, answers: dict[str, Any], tmp_path: Path, opened: Callable[..., Model]
) -> None:
    estimator = kinds(rows, answers)["words"]
    joblib.dump(estimator, tmp_path / "m", compress=3)
    model = opened("m", folder=tmp_path, environment=OURS, batch=400)
    assert isinstance(model, EnvironmentModel)
    assert (model.task, model.classes, model.format) == ("binary", ("bad", "good"), "sklearn")
    assert "in an environment of its own" in model.answered_by
    outputs = model.predict(rows)
    np.testing.assert_array_equal(outputs.scores, estimator.predict_proba(rows))
    np.testing.assert_array_equal(outputs.labels, estimator.predict(rows))
    dressed = rows.assign(rank=rows["rank"].astype(str), price=rows["price"].astype(str), more=1)
    np.testing.assert_array_equal(model.predict(dressed).scores, outputs.scores)
    assert model.predict(rows[:0]).scores.shape == (0, 2)
    wall, cpu = model.timed(rows[:5], 3)
    assert len(wall) == len(cpu) == 3
    assert min(wall) > 10_000
    assert len(model.served(rows[:1], [0.0, 0.01])) == 2
    assert model.peak_rss() > 50 << 20
    same_piece(sklearn_piece(estimator), model.describe(), "words")
    model.close()
    np.testing.assert_array_equal(model.predict(rows[:9]).scores, outputs.scores[:9])
    assert Options().fingerprint(tmp_path / "m") != model.fingerprint


@pytest.mark.usefixtures("here")
def test_what_is_damaged_or_off_the_list_never_answers(
    numbers: pd.DataFrame, answers: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forest = RandomForestClassifier(2, max_depth=2, random_state=0).fit(numbers, answers["binary"])
    state = forest.estimators_[1].tree_.__getstate__()
    state["nodes"] = state["nodes"].copy()
    state["nodes"]["left_child"][0] = 10**6
    forest.estimators_[1].tree_.__setstate__(state)
    joblib.dump(forest, tmp_path / "m.pkl")
    with pytest.raises(Refused, match="tree 1, node 0: left child is"):
        open_model("m.pkl", folder=tmp_path, environment=OURS)
    # The second wall, with the first one taken away.
    monkeypatch.setattr("workbench.models.environment_model.inspect", lambda path: Found())
    (tmp_path / "n.pkl").write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "canary").encode() + b"'\ntR.")
    with pytest.raises(Refused, match=r"asks for os\.system, which is not on the list"):
        open_model("n.pkl", folder=tmp_path, environment=OURS)
    assert not (tmp_path / "canary").exists()


def same_piece(one: Any, other: Any, name: str) -> None:
    (plain, arrays), (there, moved) = piece_to_plain(one), piece_to_plain(other)
    assert json.loads(json.dumps(plain, default=str)) == json.loads(json.dumps(there, default=str)), name
    assert arrays.keys() == moved.keys(), name
    for key, array in arrays.items():
        np.testing.assert_array_equal(array, moved[key], err_msg=f"{name} {key}")


MAKE = """
import sys, joblib, numpy as np, pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import *
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
rows = pd.read_csv("rows.csv")
prepare = lambda: ColumnTransformer([
    ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), ["score", "price", "debt"]),
    ("trade", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["trade"]),
])
y, z = rows.pop("binary"), rows.pop("multiclass")
words = np.where(y == 1, "good", "bad")
seed = {"random_state": 0}
models = {
    "logistic": make_pipeline(prepare(), LogisticRegression()).fit(rows, words),
    "forest": make_pipeline(prepare(), RandomForestClassifier(5, **seed)).fit(rows, z),
    "extra": make_pipeline(prepare(), ExtraTreesClassifier(5, **seed)).fit(rows, z),
    "boosting": make_pipeline(prepare(), GradientBoostingClassifier(n_estimators=5, **seed)).fit(rows, z),
    "values": make_pipeline(prepare(), GradientBoostingRegressor(n_estimators=5, **seed)).fit(rows, y * 1.5),
    "histogram": HistGradientBoostingClassifier(max_iter=5, **seed).fit(rows[["score", "price", "debt"]], y),
    "network": make_pipeline(prepare(), MLPClassifier((5,), max_iter=20, **seed)).fit(rows, y),
}
for name, model in models.items():
    X = rows[list(model.feature_names_in_)]
    joblib.dump(model, name, compress=3)
    np.save(name + ".npy", model.predict(X) if name == "values" else model.predict_proba(X))
"""


@pytest.mark.slow
def test_pipelines_of_1_2_2_answer_and_lift_alike(
    built: tuple[Environment, Built],
    rows: pd.DataFrame,
    answers: dict[str, Any],
    tmp_path: Path,
    opened: Callable[..., Model],
) -> None:
    """Made by 1.2.2 in a process of its own, which also says what is right."""
    from workbench.migrate.lift import lift

    wanted, there = built
    rows.assign(binary=answers["binary"], multiclass=answers["multiclass"]).to_csv(tmp_path / "rows.csv", index=False)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run([str(there.python), "-I", "-c", MAKE], cwd=tmp_path, check=True, env=kept)
    frame = pd.read_csv(tmp_path / "rows.csv")
    for truth in sorted(tmp_path.glob("*.npy")):
        model = opened(truth.stem, folder=tmp_path, environment=wanted.plain())
        outputs, expected = model.predict(frame), np.load(truth)
        given = outputs.values if outputs.scores is None else outputs.scores
        np.testing.assert_allclose(given, expected, rtol=0, atol=1e-12, err_msg=truth.stem)
        lifted = lift(model).predict(frame)
        moved = lifted.values if lifted.scores is None else lifted.scores
        np.testing.assert_allclose(moved, expected, rtol=0, atol=1e-12, err_msg=truth.stem)
        model.close()


@pytest.mark.slow
def test_a_build_that_fails_says_what_pip_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(environment.PLACE, str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(ModelError, match=r"could not be built\. pip said: .*scikit-learn==1\.2\.2.*migration\.yaml"):
        environment.build(Environment(("scikit-learn==1.2.2",)))
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_a_proposal_carries_the_environment_or_says_why_there_is_none(
    cases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without building one: what is written for a file of 1.2.2, and what is said where pip fails."""
    file = str(cases / "legacy_models/sklearn/1.2.2/KMeansWheat.pkl")
    monkeypatch.setattr(environment, "build", lambda wanted: Built(Path(sys.prefix), {}))
    home = home_of(file)
    assert home.environment is not None
    assert "scikit-learn==1.2.2" in home.environment.requirements
    assert "written by scikit-learn 1.2.2" in home.why
    said = {"legacy.environment": home.why}
    task = Task(kind="regression", target="y")
    source = ModelSource(uri=file, environment=home.environment)
    text = render(Migration(name="m", data=Data(holdout="a.csv"), legacy=source, task=task), said)
    assert "# it was written by scikit-learn 1.2.2" in text
    assert '- "scikit-learn==1.2.2"' in text

    def fails(_: Environment) -> Built:
        raise ModelError("pip said no")

    monkeypatch.setattr(environment, "build", fails)
    with pytest.raises(ProposalError, match=r"written by scikit-learn 1\.2\.2.*pip said no"):
        home_of(file)
