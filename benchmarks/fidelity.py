"""Fidelity: what other routes answer, against the library that made the model, with ours beside them.

Each case fits a small model, sends it through another tool and through ours, and counts the rows whose label changed.
"""

from __future__ import annotations

import itertools
import math
import pickle
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import tables
from benchmarks.contestants import both, hummingbird
from benchmarks.guest import Guest, GuestError
from benchmarks.places import CannotBuildError, python_of
from benchmarks.shapes import CODED, Floats, names, rows, truth

TESTED = 5_000
TRAINED = 10_000


@dataclass(frozen=True)
class Case:
    """What one tool made of one model. flips: labels of `rows`; off: largest difference of probability (log-odds for
    attributions); both NaN where it refused, and `said` tells how."""

    case: str
    tool: str
    rows: int
    flips: float
    off: float
    ours_flips: float
    ours_off: float
    said: str = ""


@dataclass(frozen=True)
class Made:
    """A fitted model in its file, the rows it is asked about, and what its own library answers: P [n, k]."""

    estimator: Any
    file: Path
    pickled: Path
    X: Floats
    frame: pd.DataFrame
    own: Floats


Rival = Callable[[Made], tuple[str, Floats]]


def cases(*, folder: Path) -> list[Case]:
    """Every case, in turn; folder: where models are written. A tool that is not here is left out, saying so."""
    return [make(folder / str(number)) for number, make in enumerate(CASES)]


def compared(case: str, tool: str, made: Made, rival: Rival, asked: pd.DataFrame | None = None) -> Case:
    """asked: the table that ours is given, where it is not the one the library answered."""
    from workbench.migrate.lift import lift
    from workbench.models import open_model

    model = open_model(str(made.file))
    lifted = lift(model).predict(made.frame if asked is None else asked).scores
    model.close()
    assert lifted is not None
    ours = _off(made.own, lifted)
    try:
        said, scores = rival(made)
    except (CannotBuildError, GuestError) as error:
        return Case(case, tool, len(made.X), math.nan, math.nan, *ours, str(error))
    return Case(case, tool, len(made.X), *_off(made.own, scores), *ours, said)


def _off(own: Floats, scores: Floats) -> tuple[int, float]:
    return int((own.argmax(axis=1) != scores.argmax(axis=1)).sum()), float(np.abs(own - scores).max())


def _by_hummingbird(made: Made) -> tuple[str, Floats]:
    side = hummingbird(made.pickled, made.X[:100], 1)
    try:
        return side.how, side.answer(made.X, made.frame)
    finally:
        side.guest.close()


def _made(estimator: Any, folder: Path, X: Floats, frame: pd.DataFrame, own: Any) -> Made:
    """Write a fitted estimator as a team would have it, and as a pickle for tools that take estimators."""
    folder.mkdir(parents=True, exist_ok=True)
    pickled = folder / "model.pkl"
    pickled.write_bytes(pickle.dumps(estimator))
    file = pickled
    if type(estimator).__module__.startswith("xgboost"):
        estimator.save_model(file := folder / "model.json")
    if type(estimator).__module__.startswith("lightgbm"):
        estimator.booster_.save_model(file := folder / "model.txt")
    return Made(estimator, file, pickled, X, frame, np.asarray(own, dtype=np.float64))


def _hist(folder: Path, *, missing: bool, coded: bool) -> Made:
    from sklearn.ensemble import HistGradientBoostingClassifier

    train, test = (rows(n, seed, missing=missing, coded=coded) for n, seed in ((TRAINED, 1), (TESTED, 2)))
    kinds = [f"f{column}" for column in CODED] if coded else None
    learner = HistGradientBoostingClassifier(max_iter=100, early_stopping=False, random_state=0)
    learner.set_params(categorical_features=kinds).fit(pd.DataFrame(train, columns=names()), truth(train, 2, 3))
    frame = pd.DataFrame(test, columns=names())
    return _made(learner, folder, test, frame, learner.predict_proba(frame))


def xgboost_base_score(folder: Path) -> Case:
    from xgboost import XGBClassifier

    train, test = rows(TRAINED, 1), rows(TESTED, 2)
    learner = XGBClassifier(n_estimators=50, max_depth=4, n_jobs=1).fit(train, truth(train, 2, 3))
    made = _made(learner, folder, test, pd.DataFrame(test, columns=names()), learner.predict_proba(test))
    return compared("XGBoost 3.2, base score learned from the labels", "hummingbird 0.4.12", made, _by_hummingbird)


def hist_missing(folder: Path) -> Case:
    made = _hist(folder, missing=True, coded=False)
    return compared("HistGradientBoosting, missing values", "hummingbird 0.4.12", made, _by_hummingbird)


def hist_categories(folder: Path) -> Case:
    made = _hist(folder, missing=False, coded=True)
    return compared("HistGradientBoosting, categorical features", "hummingbird 0.4.12", made, _by_hummingbird)


def lightgbm_missing(folder: Path) -> Case:
    from lightgbm import LGBMClassifier

    train, test = rows(TRAINED, 1, missing=True), rows(TESTED, 2, missing=True)
    learner = LGBMClassifier(n_estimators=100, n_jobs=1, random_state=0, verbose=-1)
    learner.fit(pd.DataFrame(train, columns=names()), truth(train, 2, 3))
    frame = pd.DataFrame(test, columns=names())
    made = _made(learner, folder, test, frame, learner.predict_proba(frame))
    return compared("LightGBM, missing values", "hummingbird 0.4.12", made, _by_hummingbird)


def hist_onnx(folder: Path) -> Case:
    made = _hist(folder, missing=True, coded=True)
    return compared("HistGradientBoosting, missing values and categories", "skl2onnx 1.20", made, _by_onnx("sklearn"))


def _by_onnx(family: str) -> Rival:
    def answer(made: Made) -> tuple[str, Floats]:
        import onnxruntime

        to = made.pickled.with_suffix(".onnx")
        guest = Guest(python_of("onnx"), "benchmarks.onnx_side", 1)
        try:
            guest.ask("convert", file=str(made.pickled), to=str(to), family=family, features=made.X.shape[1])
        finally:
            guest.close()
        session = onnxruntime.InferenceSession(to, providers=["CPUExecutionProvider"])
        wanted = [output.name for output in session.get_outputs() if "prob" in output.name]
        return "float32 inputs", np.asarray(session.run(wanted, {"X": made.X.astype(np.float32)})[0], dtype=np.float64)

    return answer


def lightgbm_float32(folder: Path) -> Case:
    """Unix seconds and prices with two decimals, which float32 cannot tell apart or hold."""
    from lightgbm import LGBMClassifier

    def drawn(n: int, seed: int) -> Floats:
        rng = np.random.default_rng(seed)
        X = rows(n, seed)
        X[:, 3] = 1_700_000_000 + rng.integers(0, 30_000, n)
        X[:, 4] = np.round(rng.gamma(2.0, 400.0, n), 2)
        X[:, 5] = rng.integers(0, 90_000_000, n)
        return X

    def labels(X: Floats) -> Any:
        Z = X.copy()
        Z[:, 3] = (X[:, 3] - 1_700_015_000) / 8_000
        Z[:, 4] = (X[:, 4] - 800) / 500
        Z[:, 5] = (X[:, 5] - 45_000_000) / 26_000_000
        return truth(Z, 2, 3)

    train, test = drawn(TRAINED, 1), drawn(TESTED, 2)
    learner = LGBMClassifier(n_estimators=300, n_jobs=1, random_state=0, verbose=-1, max_bin=4095, min_child_samples=5)
    learner.fit(pd.DataFrame(train, columns=names()), labels(train))
    frame = pd.DataFrame(test, columns=names())
    made = _made(learner, folder, test, frame, learner.predict_proba(frame))
    case = "LightGBM; unix seconds, cents and prices as features"
    return compared(case, "onnxmltools 1.16 + onnxruntime", made, _by_onnx("lightgbm"))


def lightgbm_raw_categories(folder: Path) -> Case:
    """A column of category numbers, given as numbers: the file says which code each stands for, the library's matrix
    route does not look."""
    from lightgbm import Booster, LGBMClassifier

    labels = np.array([70, 10, 55, 20, 90, 35, 15, 60])

    def table(n: int, seed: int) -> tuple[pd.DataFrame, Any]:
        X = rows(n, seed)
        codes = np.random.default_rng(seed).integers(0, len(labels), n)
        frame = pd.DataFrame(X, columns=names())
        frame["f0"] = pd.Categorical(labels[codes])
        X[:, 0] = codes
        return frame, truth(X, 2, 3)

    train, y = table(TRAINED, 1)
    test, _ = table(TESTED, 2)
    learner = LGBMClassifier(n_estimators=100, n_jobs=1, random_state=0, verbose=-1).fit(train, y)
    numbers = test.assign(f0=test.f0.astype(float))
    made = _made(learner, folder, numbers.to_numpy(np.float64), test, learner.predict_proba(test))

    def raw(made: Made) -> tuple[str, Floats]:
        return "no warning", both(np.asarray(Booster(model_file=str(made.file)).predict(made.X), dtype=np.float64))

    case = "LightGBM, a categorical column given as the numbers it was trained on"
    return compared(case, "lightgbm 4.7, Booster.predict", made, raw, asked=numbers)


def pipeline_strings(folder: Path) -> Case:
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    def table(n: int, seed: int) -> tuple[pd.DataFrame, Any]:
        X = rows(n, seed, coded=True)
        frame = pd.DataFrame(X, columns=names())
        frame["f0"] = np.array(["north", "south", "east", "west", "middle"])[X[:, 0].astype(int)]
        return frame, truth(X, 2, 3)

    train, y = table(TRAINED, 1)
    test, _ = table(TESTED, 2)
    rest = names()[3:]
    text = ("text", OneHotEncoder(handle_unknown="ignore"), ["f0"])
    columns = ColumnTransformer([text, ("rest", StandardScaler(), rest)])
    learner = make_pipeline(columns, LogisticRegression(max_iter=500)).fit(train, y)
    numbers = test.drop(columns="f0").to_numpy(np.float64)
    made = _made(learner, folder, numbers, test, learner.predict_proba(test))
    return compared("Pipeline with a ColumnTransformer on text", "hummingbird 0.4.12", made, _by_hummingbird)


def hist_attribution(folder: Path) -> Case:
    """Shapley values by shap's TreeExplainer and by ours, against the definition; its own additivity check is on.

    Four columns of twenty categories that matter: the more they do, the further it is off.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    import workbench
    from workbench.models import open_model

    rng, coded, many = np.random.default_rng(3), 4, 20
    X = rng.normal(size=(4_000, 7))
    X[:, :coded] = rng.integers(0, many, (len(X), coded))
    effects = rng.normal(0, 6, (coded, many))
    columns = names(7)
    margin = effects[np.arange(coded), X[:, :coded].astype(int)].sum(axis=1) + X[:, coded]
    y = (rng.random(len(X)) < 1 / (1 + np.exp(-margin))).astype(int)
    learner = HistGradientBoostingClassifier(max_iter=100, early_stopping=False, random_state=0)
    learner.set_params(categorical_features=list(range(coded))).fit(X, y)
    asked, background = X[:20], X[1_000:1_060]
    found = by_definition(lambda part: learner.decision_function(part), asked, background)
    made = _made(learner, folder, asked, pd.DataFrame(asked, columns=columns), learner.predict_proba(asked))
    model = open_model(str(made.file))
    taken = [column.name for column in model.inputs]
    ours = workbench.attribute(model, pd.DataFrame(asked, columns=taken), pd.DataFrame(background, columns=taken))
    model.close()
    said, theirs = _by_shap(learner, asked, background)
    off = float(np.abs(theirs - found).max())
    flips = math.nan
    return Case(
        "HistGradientBoosting, four columns of 20 categories: Shapley values, log-odds",
        "shap 0.51, TreeExplainer",
        len(asked),
        flips,
        off,
        flips,
        float(np.abs(ours.values - found).max()),
        said,
    )


def _by_shap(learner: Any, asked: Floats, background: Floats) -> tuple[str, Floats]:
    import shap

    masker = shap.maskers.Independent(background, max_samples=len(background))
    explainer = shap.TreeExplainer(learner, masker, feature_perturbation="interventional")
    try:
        return "its additivity check passes", np.asarray(explainer.shap_values(asked, check_additivity=True))
    except shap.utils._exceptions.ExplainerError as error:
        found = np.asarray(explainer.shap_values(asked, check_additivity=False))
        return f"its additivity check refuses: {str(error)[:80]}", found


def by_definition(ask: Callable[[Floats], Floats], asked: Floats, background: Floats) -> Floats:
    """Interventional Shapley values [n, M] from their definition: all 2^M coalitions, all background rows."""
    n, features = asked.shape
    worth = np.zeros((2**features, n))
    for number in range(2**features):
        inside = np.array([bool(number >> column & 1) for column in range(features)])
        mixed = np.where(inside, asked[:, None, :], background[None, :, :])
        worth[number] = ask(mixed.reshape(-1, features)).reshape(n, len(background)).mean(axis=1)
    values = np.zeros((n, features))
    for column in range(features):
        others = [other for other in range(features) if other != column]
        for size in range(features):
            weight = 1 / (features * math.comb(features - 1, size))
            for chosen in itertools.combinations(others, size):
                number = sum(1 << other for other in chosen)
                values[:, column] += weight * (worth[number | 1 << column] - worth[number])
    return values


CASES: Sequence[Callable[[Path], Case]] = (
    xgboost_base_score,
    hist_missing,
    hist_categories,
    lightgbm_missing,
    pipeline_strings,
    hist_onnx,
    lightgbm_float32,
    lightgbm_raw_categories,
    hist_attribution,
)


def main() -> None:
    """All cases; keeps the table and writes the page."""
    with tempfile.TemporaryDirectory() as folder:
        found = cases(folder=Path(folder))
    table = pd.DataFrame(found)
    tables.keep("fidelity", table)
    tables.write("benchmarks.md", "fidelity", page(found))


def page(found: Sequence[Case]) -> str:
    head = (
        "model",
        "tool",
        "rows",
        "labels changed",
        "largest difference",
        "it says",
        "ours: changed",
        "ours: largest",
    )
    lines = [
        (
            *(c.case, c.tool, c.rows, "refused" if math.isnan(c.off) else _count(c.flips), _far(c.off), c.said),
            *(_count(c.ours_flips), _far(c.ours_off)),
        )
        for c in found
    ]
    shown = tables.markdown(head, lines)
    return (
        f"Differences are of probabilities; of Shapley values where it says so, against their definition (every "
        f"coalition, every background row). The tools' own versions are in `benchmarks/places.py`.\n\n{shown}"
    )


def _count(flips: float) -> str:
    return "" if math.isnan(flips) else f"{int(flips):,}"


def _far(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2g}"
