"""What stands before the trees, compiled: the same bits as torch's own operators, the source library's answers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lift_parity import lifted
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)

from workbench.migrate.lift import Lifted
from workbench.migrate.lift.fuse import Prepared
from workbench.migrate.lift.tree_op import one_form
from workbench.models import ModelError, Refused, open_model
from workbench.models.edge import EdgeColumn, EdgeSpec
from workbench.models.edge_rows import RowReader
from workbench.models.protocol import Input
from workbench.models.tree_kernel import op as kernel
from workbench.models.tree_kernel import steps_plain
from workbench.models.tree_kernel.program import thresholds
from workbench.models.tree_kernel.steps import Steps, check

ODD = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, -5e-324, 2.2e-308, 1e-36, 1.7e308, 1.6e9, 16777217.0, 0.1])
NUMBERS = ["amount", "seen", "cents", "count"]


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Bit for bit, save which NaN it is."""
    bits = [torch.where(each.isnan(), 7, each.view(torch.int64)) for each in (one.double(), other.double())]
    return torch.equal(*bits)


def _near(values: np.ndarray) -> np.ndarray:
    """The values and their neighbours, one unit in the last place away."""
    values = np.asarray(values, dtype=np.float64)
    return np.concatenate([values, np.nextafter(values, np.inf), np.nextafter(values, -np.inf)])


def _random_steps(seed: int) -> tuple[Steps, list[int], np.ndarray]:
    """A program of every way in a random order, and the constants in it."""
    rng = np.random.default_rng(seed)
    steps, places = Steps(4, 2), [0, 1, 2, 3]
    used: list[np.ndarray] = []

    def drawn(*shape: int) -> np.ndarray:
        used.append(
            np.where(rng.random(shape) < 0.2, rng.choice([1e-300, 3.0, 1.6e9, -2.0], shape), rng.normal(size=shape))
        )
        return used[-1]

    def wide(way: str) -> list[int]:
        row, n = steps.row(places), len(places)
        given = {
            "clip": lambda: (np.sort(drawn(2, n), axis=0)[0], np.abs(used[-1]).max(0) + 1),
            "fill-number": lambda: (drawn(n), np.array([0.0])),
            "flag-number": lambda: (0, np.array([-0.0])),
            "single-number": lambda: (0, np.array([3.0])),
            "bins": lambda: (np.sort(drawn(n, 5), axis=1), rng.integers(1, 6, n), 5),
            "take": lambda: (rng.permutation(places),),
            "product": lambda: (rng.permutation(places),),
            "one-of": lambda: (np.array(places), drawn(n)),
            **dict.fromkeys(("flag", "single"), tuple),
        }.get(way, lambda: (drawn(n),))()
        return steps.add(way, 0 if way in ("take", "one-of") else row, n, *given)

    ways = ["minus", "over", "times", "plus", "clip", "above", "fill", "fill-number", "flag", "flag-number", "single"]
    for way in rng.permutation([*ways, "single-number", "bins", "one-of", "product", "take", "constant"]):
        made = wide(str(way))
        places = [*made[:3], *places[:3]] if rng.random() < 0.8 else made
        if rng.random() < 0.4:
            places = [*places[:4], *steps.add("code", int(rng.integers(2)), 2, drawn(6, 2), 6)]
        if rng.random() < 0.4:
            places = [*places[:4], *steps.add("value", places[0], 3, np.unique(drawn(4)), drawn(6, 3), 4)]
    return steps, places, np.concatenate([each.ravel() for each in used])


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.sampled_from([0, 1, 40]))
def test_compiled_steps_are_torch_s_bit_for_bit(seed, rows):
    steps, places, used = _random_steps(seed)
    words = torch.from_numpy(steps.words(places))
    rng = np.random.default_rng(seed)
    numbers = torch.from_numpy(rng.choice(np.concatenate([_near(used), ODD, rng.normal(size=20)]), (rows, 4)))
    codes = torch.from_numpy(rng.integers(-5, 6, (rows, 2)))
    found = kernel.row_steps(numbers, codes, words, len(places))
    assert _same(found, steps_plain.row_steps(numbers, codes, words))
    if rows:
        wide = torch.from_numpy(np.asfortranarray(np.repeat(numbers.numpy(), 2, axis=0)))[::2]
        assert _same(kernel.row_steps(wide, codes, words, len(places)), found)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.integers(0, 300), st.lists(st.tuples(st.integers(0, 10**6), st.integers(-(2**62), 2**62)), max_size=3))
def test_changed_steps_are_refused_or_stay_inside(seed, changes):
    steps, places, _ = _random_steps(seed)
    words = steps.words(places)
    for place, value in changes:
        at = place % len(words)
        words[at] = value if place % 2 else int(words[at]) + value % 7 - 3
    try:
        width = check(words)[2]
        found = kernel.row_steps(
            torch.ones((3, 4)), torch.zeros((3, 2), dtype=torch.int64), torch.from_numpy(words), width
        )
        assert found.shape == (3, width)
    except (Refused, ValueError):
        assert changes


def _before(kind: str):
    text = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    if kind == "scaled":
        numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
        return make_column_transformer((numbers, NUMBERS), (text, ["city"]), ("passthrough", ["flag"]))
    if kind == "binned":
        bins = make_pipeline(SimpleImputer(), KBinsDiscretizer(5, encode="onehot-dense", subsample=None))
        place = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)
        return make_column_transformer((bins, ["amount", "cents"]), (place, ["city", "kind"]), (Binarizer(), ["count"]))
    twice = make_pipeline(SimpleImputer(), MinMaxScaler(clip=True), PolynomialFeatures(2))
    return make_column_transformer(
        (twice, ["amount", "count"]), (TargetEncoder(cv=3), ["city"]), (RobustScaler(), ["seen"])
    )


def _model(kind: str):
    if kind == "scaled":
        return HistGradientBoostingClassifier(max_iter=20, random_state=0)
    if kind == "binned":
        return RandomForestClassifier(12, max_depth=7, random_state=0)
    return LogisticRegression(max_iter=200)


@pytest.fixture(scope="module", params=["scaled", "binned", "polynomial"])
def fused(request, table):
    frame, y = table
    frame, y = frame[:1_200], y[:1_200]
    pipeline = make_pipeline(_before(request.param), _model(request.param)).fit(frame, y)
    return request.param, pipeline, frame, lifted(pipeline, frame)


def _hard(frame: pd.DataFrame, model: Lifted) -> pd.DataFrame:
    """Rows whose numbers lie on the thresholds of the trees, traced back through the scaler, and beside them."""
    parts = [part for part in model.module.op.modules() if hasattr(part, "program")]
    rows = frame.iloc[np.arange(900) % len(frame)].reset_index(drop=True)
    rng = np.random.default_rng(0)
    for name in ("amount", "seen", "cents"):
        column = frame[name].astype(float)
        edges = thresholds(parts[0].program.numpy()) if parts else rng.normal(size=50)
        back = _near(edges * column.std(ddof=0) + column.mean())
        rows[name] = rng.choice(np.concatenate([back, column.to_numpy()[:300]]), len(rows))
    rows.loc[::7, "amount"] = np.nan
    rows.loc[::11, "city"] = "unseen"
    rows.loc[::13, "city"] = None
    return rows


def test_a_fused_pipeline_answers_as_the_library_and_as_torch(fused):
    _, pipeline, frame, model = fused
    assert any(isinstance(part, Prepared) for part in model.module.op.modules())
    rows = _hard(frame, model)
    found = model.predict(rows)
    assert (found.labels == pipeline.predict(rows)).all()
    np.testing.assert_allclose(found.scores, pipeline.predict_proba(rows), rtol=0, atol=1e-12)
    read = model.card.edge.encode(rows)
    numbers, codes = (torch.from_numpy(read[name]) for name in ("numbers", "codes"))
    compiled, portable = model.module(numbers, codes), one_form(model.module.op, True)(numbers, codes)
    assert all(_same(compiled[name], portable[name]) for name in portable)
    empty = model.predict(rows[:0])
    assert empty.scores.shape == (0, 2)


def test_one_row_alone_is_the_row_among_others(fused):
    kind, _, frame, model = fused
    rows = _hard(frame, model)
    read = model.card.edge.encode(rows)
    many = model.ask(read["numbers"], read["codes"])
    assert (model._direct is None) == (kind == "polynomial")
    for row in range(0, 900, 45):
        numbers, codes = read["numbers"][row : row + 1], read["codes"][row : row + 1]
        alone = model.ask(numbers, codes)
        if kind == "polynomial":  # a matrix product of two rows adds otherwise than one of 900
            np.testing.assert_allclose(alone["scores"], many["scores"][row : row + 1], rtol=0, atol=1e-15)
            continue
        assert all(np.array_equal(alone[name], many[name][row : row + 1], equal_nan=True) for name in many)
        frames = model.predict(rows[row : row + 1])
        assert np.array_equal(frames.scores, alone["scores"])
        assert np.array_equal(frames.labels, np.array(model.classes)[alone["label"]])


@pytest.mark.slow
def test_a_saved_pipeline_takes_the_short_way_too(fused, tmp_path):
    kind, _, frame, model = fused
    model.save(tmp_path / "candidate.pt2")
    opened, rebuilt = open_model(str(tmp_path / "candidate.pt2")), Lifted.load_spec(tmp_path / "candidate.pt2")
    rows = _hard(frame, model)
    assert (opened._direct is None) == (kind == "polynomial")
    for part in (rows, rows[:1], rows[4:5], rows[:0]):
        expected = model.predict(part)
        for other in (opened, rebuilt):
            found = other.predict(part)
            assert np.array_equal(found.scores, expected.scores)
            assert np.array_equal(found.labels, expected.labels)
    with pytest.raises(ModelError, match="city"):
        opened.predict(rows[:1].drop(columns="city"))


def test_any_width_and_layout_threads_and_wrong_shapes(table):
    frame, y = table
    X = frame[["amount", "count"]]
    model = lifted(HistGradientBoostingClassifier(max_iter=10).fit(X, y), X)
    rows = X.to_numpy()
    expected = model.ask(rows)["scores"]
    wide = np.asfortranarray(np.repeat(rows, 2, axis=1))[:, ::2]
    assert np.array_equal(model.ask(wide)["scores"], expected)
    narrow = rows[:50].astype(np.float32)
    assert np.array_equal(model.ask(narrow)["scores"], model.ask(narrow.astype(np.float64))["scores"])
    with ThreadPoolExecutor(4) as pool:
        alone = list(pool.map(lambda row: model.ask(rows[row : row + 1])["scores"][0], range(400)))
    assert np.array_equal(alone, expected[:400])
    kept = model.ask(rows[:1])["scores"]
    before = kept.copy()
    model.ask(rows[1:2])
    assert np.array_equal(kept, before), "an answer is the caller's own"
    for wrong in (rows[:1, :1], rows[0]):
        with pytest.raises(ValueError, match="row"):
            model.ask(wrong) if wrong.ndim == 2 else model._direct.row(wrong)


AGE, CITY = EdgeColumn("age", "number"), EdgeColumn("city", "category", ("Bonn", "Köln"))
ASKED = (Input("age", "number"), Input("city", "category", ("Bonn", "Köln")))
PLAIN = {"age": [1.5, np.nan, 3.0, 4.0], "city": ["Köln", None, "Ulm", "Bonn"]}


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(PLAIN),
        pd.DataFrame(PLAIN)[["city", "age"]].assign(more=1),
        pd.DataFrame(PLAIN).astype({"city": object}),
        pd.DataFrame(PLAIN).astype({"city": "category"}),
        pd.DataFrame({**PLAIN, "age": np.array([1, 2, 3, 4], dtype=np.uint8)}),
        pd.DataFrame({**PLAIN, "age": [True, False, True, True]}),
        pd.DataFrame(np.asfortranarray(np.arange(8.0).reshape(4, 2)), columns=["other", "age"]).assign(city="Köln"),
        pd.DataFrame(PLAIN)[::-1],
        pd.DataFrame(PLAIN)[::2],
    ],
    ids=["mixed", "order", "objects", "categorical", "small", "bools", "blocks", "backwards", "every-other"],
)
def test_a_few_rows_are_read_as_many_are(frame):
    spec = EdgeSpec((AGE, CITY))
    reader = RowReader(spec, ASKED)
    for part in (frame, frame[:1], frame[1:2], frame.copy()):
        numbers, codes = reader.read(part)
        expected = spec.encode(part)
        assert np.array_equal(numbers, expected["numbers"], equal_nan=True)
        assert np.array_equal(codes, expected["codes"])


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(PLAIN)
        .astype({"age": "Int64"}, errors="ignore")
        .assign(age=pd.array([1, None, 3, 4], dtype="Int64")),
        pd.DataFrame({**PLAIN, "age": ["1", "2", "3", "4"]}),
        pd.DataFrame({**PLAIN, "city": [1, 2, 3, 4]}),
        pd.DataFrame({**PLAIN, "city": pd.array(["Bonn", None, "Ulm", "Bonn"], dtype="string")}),
        pd.DataFrame(PLAIN)[["age"]],
        pd.concat([pd.DataFrame(PLAIN), pd.DataFrame(PLAIN)[["age"]]], axis=1),
        pd.concat([pd.DataFrame(PLAIN)] * 5),
        pd.DataFrame(PLAIN)[:0],
    ],
    ids=["nullable", "text", "numbers", "na", "lacking", "twice", "many", "none"],
)
def test_what_is_not_plain_is_left_to_the_edge(frame):
    assert RowReader(EdgeSpec((AGE, CITY)), ASKED).read(frame) is None


def test_what_the_model_refuses_is_left_to_the_edge():
    strict = EdgeColumn("city", "category", ("Bonn", "Köln"), ("unknown",))
    reader = RowReader(EdgeSpec((AGE, strict)), ASKED)
    frame = pd.DataFrame(PLAIN)
    assert reader.read(frame[:1]) is not None
    assert reader.read(frame[2:3]) is None
    assert RowReader(EdgeSpec((EdgeColumn("age", "number", (), ("missing",)), CITY)), ASKED).read(frame) is None


@pytest.mark.slow
def test_torch_takes_the_steps_as_one_call(fused):
    _, _, frame, model = fused
    read = model.card.edge.encode(_hard(frame, model))
    numbers, codes = (torch.from_numpy(read[name]) for name in ("numbers", "codes"))
    compiled = torch.compile(model.module, backend="aot_eager", fullgraph=True, dynamic=True)
    found, expected = compiled(numbers, codes), model.module(numbers, codes)
    assert all(_same(found[name], expected[name]) for name in expected)
    for part in model.module.op.modules():
        if isinstance(part, Prepared):
            torch.library.opcheck(
                torch.ops.workbench.row_steps.default, (numbers, codes, part.steps, part.config["width"])
            )
    torch.library.opcheck(torch.ops.workbench.votes.default, (expected["scores"],))
    torch.library.opcheck(
        torch.ops.workbench.two_classes.default, (numbers[:, :1].contiguous().nan_to_num(), False, 1.0, 0)
    )
