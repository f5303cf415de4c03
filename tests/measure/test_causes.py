"""Defects planted in lifted models are named: by experiment where both models can be asked, else from the answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from scipy.special import expit, logit
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from workbench.measure import causes, links
from workbench.measure.causes import CATEGORY, DECISION, FLOAT32, LINK, MISSING, READ, ROUNDED, UNKNOWN, Pair
from workbench.migrate.lift import Lifted, lift_piece
from workbench.models import ModelError, Outputs, Piece
from workbench.models.pieces import sklearn_piece
from workbench.models.sklearn_inputs import asked

Damage = Callable[[Piece], Piece]


def table(n: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Unix seconds, cents, a number with missing values, a category, years; and what they make of a margin."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "opened": 1_600_000_000 + rng.integers(0, 100_000, n),
            "cents": 30_000_000 + rng.integers(0, 2_000_000, n),
            "pay": np.where(rng.random(n) < 0.08, np.nan, rng.normal(0, 1, n)),
            "job": rng.choice(["clerk", "nurse", "pilot", "smith"], n, p=[0.5, 0.3, 0.15, 0.05]),
            "age": rng.integers(18, 80, n),
        }
    )
    job = frame.job.map({"clerk": 0, "nurse": 0.7, "pilot": -1.5, "smith": 2})
    opened, cents = (frame.opened - 1.60005e9) / 2e4, (frame.cents - 31e6) / 7e5
    margin = opened + cents + frame.pay.fillna(1.5) + job + (frame.age - 50) / 20
    return frame, (margin + rng.logistic(size=n)).to_numpy()


TRAIN, HELD = table(3_000, 0), table(1_500, 1)
FEW: dict[str, Any] = {"n_estimators": 12, "random_state": 0}


def _hot(*after: Any) -> Any:
    hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_pipeline(ColumnTransformer([("job", hot, ["job"])], remainder="passthrough"), *after)


def _codes(*after: Any) -> Any:
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return make_pipeline(ColumnTransformer([("job", codes, ["job"])], remainder="passthrough"), *after)


FAMILIES = {
    "forest": _hot(RandomForestClassifier(max_depth=8, **FEW)),
    "histogram": _hot(HistGradientBoostingClassifier(max_iter=15)),
    "lightgbm": _codes(lightgbm.LGBMClassifier(verbose=-1, **FEW)),
    "xgboost": _hot(xgboost.XGBClassifier(base_score=0.2, max_depth=5, **FEW)),
    "linear": _hot(SimpleImputer(add_indicator=True), StandardScaler(), LogisticRegression()),
    "regression": _codes(lightgbm.LGBMRegressor(verbose=-1, **FEW)),
    "histogram regression": _hot(HistGradientBoostingRegressor(max_iter=15)),
    "three classes": _codes(lightgbm.LGBMClassifier(verbose=-1, **FEW)),
}


def _target(family: str, margin: np.ndarray) -> np.ndarray:
    if "regression" in family:
        return margin
    return np.digitize(margin, [-1, 1]) if family == "three classes" else (margin > 0).astype(np.int64)


class Fitted(dict[str, Any]):
    """Each family is fitted when a test first asks for it."""

    def __missing__(self, family: str) -> Any:
        self[family] = clone(FAMILIES[family]).fit(TRAIN[0], _target(family, TRAIN[1]))
        return self[family]


@pytest.fixture(scope="module")
def legacies() -> dict[str, Any]:
    return Fitted()


def _each(piece: Piece, change: Damage) -> Piece:
    below = tuple((name, _each(part, change)) for name, part in piece.children)
    return dataclasses.replace(change(piece), children=below)


def _in_trees(**made: Callable[[Any], Any]) -> Damage:
    """Arrays of every ensemble, made anew from what they were."""

    def change(piece: Piece) -> Piece:
        if piece.trees is None:
            return piece
        new = {name: make(getattr(piece.trees, name)) for name, make in made.items()}
        return dataclasses.replace(piece, trees=dataclasses.replace(piece.trees, **new))

    return change


def _forgotten(piece: Piece) -> Piece:
    """The encoder does not know pilots."""
    known = piece.arrays.get("categories_.0")
    if known is None:
        return piece
    gone = np.array(["nobody" if value == "pilot" else value for value in known], dtype=object)
    return dataclasses.replace(piece, arrays={**piece.arrays, "categories_.0": gone})


def _no_intercept(piece: Piece) -> Piece:
    if "intercept_" not in piece.arrays:
        return piece
    return dataclasses.replace(piece, arrays={**piece.arrays, "intercept_": np.zeros(1)})


DAMAGES: dict[str, Damage] = {
    FLOAT32: _in_trees(threshold=lambda threshold: threshold.astype(np.float32).astype(np.float64)),
    MISSING: _in_trees(default_left=np.logical_not),
    LINK: _in_trees(base=np.zeros_like),
    CATEGORY: _forgotten,
}


def _candidate(legacy: Any, *damages: Damage) -> Lifted:
    whole = piece = sklearn_piece(legacy)
    for damage in damages:
        piece = _each(piece, damage)
    classes = tuple(np.asarray(getattr(legacy, "classes_", ())).tolist())
    task = "regression" if not classes else "binary" if len(classes) == 2 else "multiclass"
    return lift_piece(piece, asked(whole, list(TRAIN[0].columns)).inputs, classes, task)  # type: ignore[arg-type]


def _numbers(outputs: Outputs) -> np.ndarray:
    if outputs.scores is None:
        assert outputs.values is not None
        return outputs.values
    return outputs.scores[:, 1] if outputs.scores.shape[1] == 2 else outputs.scores


def _ask_legacy(legacy: Any) -> causes.Ask:
    def ask(frame: pd.DataFrame) -> np.ndarray:
        if not hasattr(legacy, "classes_"):
            return np.asarray(legacy.predict(frame), dtype=np.float64)
        scores = np.asarray(legacy.predict_proba(frame), dtype=np.float64)
        return scores[:, 1] if scores.shape[1] == 2 else scores

    return ask


def _pair(legacy: Any, candidate: Lifted, frame: pd.DataFrame = HELD[0], asking: bool = True) -> Pair:
    asks = _ask_legacy(legacy), lambda rows: _numbers(candidate.predict(rows))
    one, two = (ask(frame) for ask in asks)
    decided = None if not hasattr(legacy, "classes_") else (_decided(one), _decided(two))
    threshold = 0.5 if decided and one.ndim == 1 else None
    return Pair(frame, one, two, decided, None, threshold, *(asks if asking else (None, None)))


def _decided(scores: np.ndarray) -> np.ndarray:
    return (scores >= 0.5).astype(np.int64) if scores.ndim == 1 else scores.argmax(1)


def _named(pair: Pair) -> dict[str, int]:
    """Rows by cause; every row that differs is under exactly one."""
    found = causes.explain(pair)
    rows = np.sum([cause.rows for cause in found], axis=0) if found else np.zeros(len(pair.frame))
    assert (rows == (pair.moved | pair.flips | pair.own_flips)).all()
    return {cause.kind: int(cause.rows.sum()) for cause in found}


PLANTED = [
    *((family, kind) for family in ("forest", "lightgbm", "regression") for kind in (FLOAT32, MISSING, CATEGORY)),
    *(("xgboost", kind) for kind in (MISSING, CATEGORY, LINK)),
    ("three classes", FLOAT32),
    ("three classes", MISSING),
    ("histogram regression", LINK),
    ("linear", CATEGORY),
]
"""Of families that take longer to fit; each kind is planted in histogram boosting as well."""


@pytest.mark.parametrize(
    "family, kind",
    [*(("histogram", kind) for kind in DAMAGES), *(pytest.param(*case, marks=pytest.mark.slow) for case in PLANTED)],
)
def test_a_planted_defect_is_named_in_every_row(family: str, kind: str, legacies: dict[str, Any]) -> None:
    pair = _pair(legacies[family], _candidate(legacies[family], DAMAGES[kind]))
    named = _named(pair)
    assert set(named) == {kind}
    found = causes.explain(pair)
    column = {FLOAT32: ("opened", "cents"), MISSING: ("pay",), CATEGORY: ("job = pilot",), LINK: ("a constant",)}[kind]
    assert all(cause.what.startswith(column) for cause in found)
    if kind == CATEGORY:
        assert found[0].what.endswith("only the legacy knows it")


@pytest.mark.parametrize(
    "family", [name if name == "histogram" else pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES]
)
def test_clean_pairs_have_no_cause_and_an_honest_retraining_has_an_unknown_one(
    family: str, legacies: dict[str, Any]
) -> None:
    legacy = legacies[family]
    assert _named(_pair(legacy, _candidate(legacy))) == {}
    rows, margin = table(2_000, 2)
    anew = _candidate(clone(FAMILIES[family]).fit(rows, _target(family, margin)))
    for asking in (True, False):
        assert _named(_pair(legacy, anew, asking=asking)) == {UNKNOWN: len(HELD[0])}


@pytest.mark.parametrize(
    "family, kinds",
    [
        ("histogram", (LINK, CATEGORY)),
        ("histogram", (FLOAT32, MISSING)),
        pytest.param("forest", (FLOAT32, MISSING), marks=pytest.mark.slow),
        pytest.param("lightgbm", (MISSING, CATEGORY), marks=pytest.mark.slow),
        pytest.param("xgboost", (LINK, MISSING), marks=pytest.mark.slow),
    ],
)
def test_two_causes_at_once_are_both_named(family: str, kinds: tuple[str, str], legacies: dict[str, Any]) -> None:
    legacy = legacies[family]
    pair = _pair(legacy, _candidate(legacy, *(DAMAGES[kind] for kind in kinds)))
    named = _named(pair)
    assert set(kinds) <= set(named)
    assert set(named) <= {*kinds, f"{kinds[0]} + {kinds[1]}", f"{kinds[1]} + {kinds[0]}"}


def test_rows_that_need_both_mended_are_told_apart(legacies: dict[str, Any]) -> None:
    """Pilots without pay: neither column alone brings the answers together."""
    legacy, frame = legacies["histogram"], HELD[0]
    pair = _pair(legacy, _candidate(legacy, DAMAGES[MISSING], DAMAGES[CATEGORY]))
    [both] = [cause for cause in causes.explain(pair) if " + " in cause.kind]
    assert (frame.job[both.rows] == "pilot").all()
    assert frame.pay[both.rows].isna().all()
    assert "pay" in both.what
    assert "job = pilot" in both.what


@pytest.mark.parametrize("kind", [MISSING, CATEGORY, LINK])
def test_the_answers_alone_tell_what_rows_have_in_common(kind: str, legacies: dict[str, Any]) -> None:
    pair = _pair(legacies["histogram"], _candidate(legacies["histogram"], DAMAGES[kind]), asking=False)
    assert set(_named(pair)) == {kind}
    both = _candidate(legacies["histogram"], DAMAGES[MISSING], DAMAGES[CATEGORY])
    assert set(_named(_pair(legacies["histogram"], both, asking=False))) == {MISSING, CATEGORY}


@pytest.mark.parametrize("side", ["legacy", "candidate"])
def test_one_model_that_can_be_asked_is_enough_for_float32(side: str, legacies: dict[str, Any]) -> None:
    """As where the legacy is a column of old answers."""
    pair = _pair(legacies["histogram"], _candidate(legacies["histogram"], DAMAGES[FLOAT32]))
    alone = dataclasses.replace(pair, **{"ask_legacy" if side == "candidate" else "ask_candidate": None})
    assert set(_named(alone)) == {FLOAT32}


@pytest.mark.slow
def test_an_intercept_that_is_lost(legacies: dict[str, Any]) -> None:
    pair = _pair(legacies["linear"], _candidate(legacies["linear"], _no_intercept))
    assert _named(pair) == {LINK: len(HELD[0])}


def test_a_missing_value_read_as_another_number(legacies: dict[str, Any]) -> None:
    """The candidate fills gaps with 0 before it looks."""
    legacy, lifted = legacies["histogram"], _candidate(legacies["histogram"])
    pair = _pair(legacy, lifted)
    filled = lambda rows: _numbers(lifted.predict(rows.fillna({"pay": 0.0})))  # noqa: E731
    two = filled(HELD[0])
    assert pair.legacy is not None
    wrong = dataclasses.replace(
        pair, candidate=two, ask_candidate=filled, decided=(_decided(pair.legacy), _decided(two))
    )
    assert set(_named(wrong)) == {MISSING}


def test_a_category_that_is_taken_for_another(legacies: dict[str, Any]) -> None:
    legacy, lifted = legacies["histogram"], _candidate(legacies["histogram"])
    mixed = lambda rows: _numbers(lifted.predict(rows.replace({"job": {"smith": "pilot"}})))  # noqa: E731
    pair = dataclasses.replace(_pair(legacy, lifted), candidate=mixed(HELD[0]), ask_candidate=mixed)
    [cause] = causes.explain(pair)
    assert (cause.kind, cause.what) == (READ, "job = smith")


def test_a_number_that_is_read_differently_is_unknown_but_localised(legacies: dict[str, Any]) -> None:
    legacy, lifted = legacies["histogram"], _candidate(legacies["histogram"])
    clipped = lambda rows: _numbers(lifted.predict(rows.assign(age=rows.age.clip(upper=60))))  # noqa: E731
    pair = dataclasses.replace(_pair(legacy, lifted), candidate=clipped(HELD[0]), ask_candidate=clipped)
    found = causes.explain(pair)
    assert {cause.kind for cause in found} == {UNKNOWN}
    assert found[0].what.startswith("bound to age")


def test_a_model_that_refuses_every_question_leaves_the_unknown(legacies: dict[str, Any]) -> None:
    legacy = legacies["histogram"]
    pair = _pair(legacy, _candidate(legacy, DAMAGES[FLOAT32]))
    mute = dataclasses.replace(pair, ask_legacy=lambda rows: np.full(len(rows), np.nan))
    assert set(_named(mute)) == {UNKNOWN}


def _shares(n: int = 1_000) -> np.ndarray:
    return np.random.default_rng(3).uniform(0.02, 0.98, n)


@pytest.mark.parametrize(
    "made, said",
    [
        (lambda p: expit(logit(p) + 0.3), "a constant offset of +0.3 on"),
        (lambda p: expit(0.5 * logit(p) - 1), "log-odds times 0.5 - 1 "),
        (lambda p: 1 - p, "the score is that of the other class"),
        (logit, "log-odds are given for a probability"),
        (expit, "the link is applied twice"),
        (lambda p: 20 * p, "the answer times 20 "),
    ],
)
def test_relations_between_probabilities(made: Callable[[np.ndarray], np.ndarray], said: str) -> None:
    legacy = _shares()
    found = links.find(legacy, made(legacy), "share", 1e-6)
    assert found is not None
    assert found.what.startswith(said)
    odd = made(legacy)
    odd[:400] = np.random.default_rng(4).random(400)
    found = links.find(legacy, odd, "share", 1e-6)
    assert found is not None, "two rows of five that differ for another reason hide it"
    assert not found.explained(legacy, odd)[:400].any()


@pytest.mark.parametrize(
    "made, said",
    [
        (lambda y: y + 100, "a constant offset of +100"),
        (lambda y: y * 1.25, "a constant factor of 1.25"),
        (lambda y: 2 * y + 7, "the answer times 2 + 7"),
        (np.log, "the candidate gives the logarithm"),
        (np.expm1, "the candidate gives exp(x) - 1"),
    ],
)
def test_relations_between_values(made: Callable[[np.ndarray], np.ndarray], said: str) -> None:
    legacy = 1 + 4 * _shares()
    found = links.find(legacy, made(legacy), "value", 5e-6)
    assert found is not None
    assert found.what.startswith(said)


def test_relations_between_classes() -> None:
    legacy = np.random.default_rng(5).dirichlet([1, 2, 3], 500)
    swapped = links.find(legacy, legacy[:, [2, 0, 1]], "share", 1e-6)
    assert swapped is not None
    assert swapped.what == "the classes are in another order: [2, 0, 1]"
    moved = np.exp(np.log(legacy) + np.array([0.5, 0.0, -0.2]))
    offset = links.find(legacy, moved / moved.sum(1, keepdims=True), "share", 1e-6)
    assert offset is not None
    assert offset.what.endswith("+0.4, -0.1, -0.3")


def test_a_stump_learnt_anew_is_no_relation() -> None:
    """Two answers each: some line always goes through them."""
    at = np.random.default_rng(6).random(500)
    legacy, anew = np.where(at < 0.7, 0.2, 0.8), np.where(at < 0.65, 0.25, 0.75)
    assert links.find(legacy, anew, "share", 1e-6) is None
    assert links.find(legacy, _shares(500), "share", 1e-6) is None


def test_decisions_at_another_threshold_and_rounding_at_the_same() -> None:
    score, frame = _shares(), pd.DataFrame({"x": np.arange(1_000)})
    moved = Pair(frame, score, score, (_decided(score), (score >= 0.6).astype(np.int64)), threshold=0.5)
    assert _named(moved) == {DECISION: int(((score >= 0.5) & (score < 0.6)).sum())}
    labels = dataclasses.replace(moved, candidate=None)
    assert _named(labels) == _named(moved), "the other side gives labels only"
    own = Pair(frame, score, score, (_decided(score),) * 2, own=(_decided(score), (score >= 0.6).astype(np.int64)))
    assert _named(own) == _named(moved), "the labels the models give of themselves"
    noise = dataclasses.replace(moved, candidate=None, decided=(_decided(score), _decided(_shares()[::-1])))
    assert set(_named(noise)) == {UNKNOWN}
    edge = score.copy()
    edge[:3] = 0.5
    below = np.where(np.arange(1_000) < 3, edge - 1e-8, edge)
    assert _named(Pair(frame, edge, below, (_decided(edge), _decided(below)), threshold=0.5)) == {ROUNDED: 3}


def test_what_is_told_names_rows_by_place_and_segments() -> None:
    frame = pd.DataFrame({"job": np.where(np.arange(1_000) % 50 == 0, "pilot", "clerk")})
    score = _shares()
    other = np.where(frame.job == "pilot", score / 2, score)
    told = causes.told(
        Pair(frame, score, other, (_decided(score), _decided(other)), threshold=0.5), np.arange(1_000) + 7, 20
    )
    assert told.title == "20 rows differ: category known to one side only"
    first = told.tables["Each row that differs, under its cause"].iloc[0]
    assert (first["rows"], first["rows such as"]) == (20, "7, 57, 107, 157, 207")
    assert first["labels flipped"] == told.flipped == ((score >= 0.5) & (other < 0.5)).sum()
    assert told.tables["Segments each cause touches most"].iloc[0]["value"] == "pilot"


def test_asking_raises_nothing_a_model_refuses() -> None:
    """`Pair` gets NaN where a model cannot read a changed row."""
    from workbench.measure.matched import _ask
    from workbench.migration import Roles, Task
    from workbench.scored import Scored, Side

    class Strict:
        def predict(self, frame: pd.DataFrame) -> Outputs:
            if (frame.x > 9).any():
                raise ModelError("x is beyond what the model knows")
            return Outputs(classes=("no", "yes"), scores=np.column_stack([1 - frame.x / 10, frame.x / 10]))

    frame = pd.DataFrame({"x": [1.0, 2.0]})
    side = Side(Strict().predict(frame))
    task = Task(kind="binary", target="y", positive="yes")
    scored = Scored(frame, np.zeros(2), task, Roles(), ("no", "yes"), side, side, None, 2, "f")
    ask = _ask(Strict, scored)  # type: ignore[arg-type]
    assert ask(frame).tolist() == [0.1, 0.2]
    assert np.isnan(ask(frame * 10)).all()


def _odd_table(n: int = 1_200) -> pd.DataFrame:
    rng = np.random.default_rng(8)
    return pd.DataFrame(
        {
            "kind": pd.Categorical(rng.choice(list("abc"), n)),
            "yes": rng.random(n) < 0.5,
            "when": pd.date_range("2020-01-01", periods=n, freq="h"),
            "note": pd.array(rng.choice(["x", None, "y"], n), dtype="str"),
            "step": pd.array(rng.integers(0, 5, n), dtype="Int64"),
            "size": np.where(rng.random(n) < 0.1, np.inf, 1.0),
            "empty": np.nan,
            "score": rng.random(n),
        }
    )


@pytest.mark.parametrize(
    "wrong, kind, what",
    [
        (lambda rows: rows.note.isna(), MISSING, "note"),
        (lambda rows: rows.kind.astype(object) == "b", READ, "kind = b"),
        (lambda rows: rows.step.fillna(-1) == 3, READ, "step = 3"),
        (lambda rows: rows.yes.astype(bool), READ, "yes = True"),
        (lambda rows: rows["when"] > pd.Timestamp("2020-02-01"), UNKNOWN, "bound to when"),
        (lambda rows: np.isinf(rows["size"]), READ, "size = inf"),
    ],
)
def test_columns_of_every_kind_are_changed_and_asked(
    wrong: Callable[[pd.DataFrame], Any], kind: str, what: str
) -> None:
    """The legacy looks at one column only; that it gives the same answer for every value of another proves nothing."""
    frame = _odd_table()
    legacy = lambda rows: rows.score.to_numpy(dtype=np.float64)  # noqa: E731
    candidate = lambda rows: np.where(np.asarray(wrong(rows), dtype=bool), legacy(rows) / 2, legacy(rows))  # noqa: E731
    one, two = legacy(frame), candidate(frame)
    decided = _decided(one), _decided(two)
    [cause] = causes.explain(Pair(frame, one, two, decided, None, 0.5, legacy, candidate))
    assert cause.kind == kind
    assert cause.what.startswith(what)
    assert (cause.rows == np.asarray(wrong(frame), dtype=bool)).all()


def test_labels_alone_cross_a_threshold_in_float32() -> None:
    frame = pd.DataFrame({"seconds": 1_600_000_000 + np.arange(3_000)})
    cut = 1_600_001_530.5
    legacy = lambda rows: (rows.seconds.to_numpy(dtype=np.float64) <= cut).astype(np.float64)  # noqa: E731
    rounded = float(np.float32(cut))
    candidate = lambda rows: (rows.seconds.to_numpy(dtype=np.float64) <= rounded).astype(np.float64)  # noqa: E731
    labels = legacy(frame).astype(np.int64), candidate(frame).astype(np.int64)
    between = (frame.seconds > min(cut, rounded)) & (frame.seconds <= max(cut, rounded))
    assert between.sum() > 3
    assert _named(Pair(frame, None, None, labels, None, 0.5, legacy, candidate)) == {FLOAT32: int(between.sum())}
    for alone in ((legacy, None), (None, candidate)):
        assert _named(Pair(frame, None, None, labels, None, 0.5, *alone)) == {FLOAT32: int(between.sum())}
    assert set(_named(Pair(frame, None, None, labels, None, 0.5))) == {UNKNOWN}


@pytest.mark.parametrize("n", [1, 3])
def test_a_handful_of_rows_is_no_reason_for_a_name(n: int) -> None:
    frame = pd.DataFrame({"job": ["pilot"] * n})
    score = np.linspace(0.6, 0.9, n)
    assert _named(Pair(frame, score, score / 2, (_decided(score), _decided(score / 2)), threshold=0.5)) == {UNKNOWN: n}
