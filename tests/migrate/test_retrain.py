"""Retraining: what is learnt from, networks against their authors' own, and the same result twice."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rtdl_num_embeddings
import tabm
import torch
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.preprocessing import QuantileTransformer

from workbench import catalog
from workbench.data import open_data
from workbench.evidence import Chart, File, Finding, Status, Table
from workbench.migrate import retrain
from workbench.migrate.lift import Lifted
from workbench.migrate.lift.tabular import Calendar, Network, fewer_members
from workbench.migrate.retraining.checkpoint import CHECKPOINT, CURVE, EVENTS, Epoch, curve_of
from workbench.migrate.retraining.exporting import lifted
from workbench.migrate.retraining.features import fitted
from workbench.migrate.retraining.networks import build
from workbench.migrate.retraining.prepared import Prepared, prepare
from workbench.migrate.retraining.recipe import Recipe, recipe_of
from workbench.migrate.retraining.splitting import split
from workbench.migrate.retraining.training import Diverged, answers_of, figures, train
from workbench.migrate.retraining.worker import Processes
from workbench.migration import Roles, Task
from workbench.models import ModelError, open_model
from workbench.models.edge import FIRST, UNKNOWN, EdgeColumn, EdgeSpec

pytestmark = pytest.mark.slow

TASK = Task(kind="binary", target="bought", positive="yes")
SMALL = Recipe(width=16, depth=1, members=4, embedding_width=4, bins=6, epochs=2, batch_size=128)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """600 rows of numbers, unix seconds, rare categories, text, dates, gaps; who buys, and what it costs."""
    rng, n = np.random.default_rng(5), 600
    frame = pd.DataFrame(
        {
            "amount": rng.normal(size=n),
            "seen": 1.6e9 + rng.integers(0, 10**7, n),
            "city": rng.choice(["Bonn", "Köln", "Ulm"], n, p=[0.5, 0.3, 0.2]),
            "flag": rng.random(n) < 0.5,
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 700, n), unit="D"),
            "note": [" ".join(["word"] * k) + str(i) for i, k in enumerate(rng.integers(1, 9, n))],
            "same": 1.0,
        }
    )
    signal = frame.amount + (frame.city == "Bonn") + 0.2 * frame.note.str.split().str.len() - 1.4
    chance = 1 / (1 + np.exp(-3 * signal))
    frame["bought"] = np.where(rng.random(n) < chance, "yes", "no")
    frame["kind"] = np.where(signal > 0.8, "c", np.where(signal > -0.4, "b", "a"))
    frame["price"] = 1000 + 50 * signal + rng.normal(size=n)
    frame["score"] = chance
    frame.loc[rng.random(n) < 0.1, "amount"] = np.nan
    frame.loc[rng.random(n) < 0.1, "city"] = None
    frame.loc[3, "city"] = "Trier"
    return frame


def _prepared(rows: pd.DataFrame, task: Task = TASK, **options: Any) -> Prepared:
    left = rows.drop(columns=[name for name in ("bought", "kind", "price") if name != task.target])
    uri = "column:score" if task.kind == "binary" else f"column:{task.target}"
    classes = {"binary": ["no", "yes"], "multiclass": ["a", "b", "c"]}.get(task.kind)
    legacy = open_model(uri, task=task.kind, **({"classes": classes} if classes else {}))
    return prepare(legacy, left, task, Roles(ignore=("same",)), **options)


@pytest.fixture(scope="module")
def binary(rows: pd.DataFrame) -> Prepared:
    return _prepared(rows)


TASKS = {
    "binary": TASK,
    "multiclass": Task(kind="multiclass", target="kind"),
    "regression": Task(kind="regression", target="price"),
}


@pytest.mark.parametrize(
    ("name", "value"),
    [("width", 0), ("dropout", 1.0), ("distill", 1.1), ("learning_rate", 0.0), ("weight_decay", -1), ("family", "x")],
)
def test_a_recipe_out_of_range_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        replace(Recipe(), **{name: value})
    assert Recipe().key != recipe_of("mlp").key


def test_dates_are_opened_as_pandas_opens_them() -> None:
    rng = np.random.default_rng(0)
    stamps = pd.Series(pd.to_datetime(rng.integers(-5 * 10**9, 5 * 10**9, 3000), unit="s"))
    edges = pd.Series(
        pd.to_datetime(
            ["1970-01-01", "2000-02-29 23:59:59", "1900-03-01", "2100-02-28", "1969-12-31"], format="ISO8601"
        )
    )
    dates = pd.concat([stamps, edges], ignore_index=True)
    spec = EdgeSpec((EdgeColumn("day", "number", of="seconds"),))
    seconds = spec.encode(pd.DataFrame({"day": dates}))["numbers"]
    found = Calendar()(torch.from_numpy(seconds), torch.zeros(0)).numpy()
    hours = dates.dt.hour + dates.dt.minute / 60 + dates.dt.second / 3600
    expected = [seconds[:, 0], dates.dt.month, dates.dt.day, dates.dt.day_of_week, hours]
    np.testing.assert_allclose(found, np.column_stack(expected), rtol=0, atol=1e-9)
    assert np.array_equal(seconds[:, 0], (dates - pd.Timestamp(0)).dt.total_seconds())


def test_dates_and_texts_at_the_edge() -> None:
    spec = EdgeSpec((EdgeColumn("d", "number", of="seconds"), EdgeColumn("t", "number", of="words")))
    assert EdgeSpec.from_plain(json.loads(json.dumps(spec.to_plain()))) == spec
    frame = pd.DataFrame({"d": ["2024-01-01", None, "1970-01-02T00:00:00+01:00"], "t": ["a bc", None, ""]})
    expected = [[1704067200.0, 2], [np.nan, np.nan], [82800.0, 0]]
    np.testing.assert_array_equal(spec.encode(frame)["numbers"], expected)
    assert spec.encode(frame[:0])["numbers"].shape == (0, 2)
    for wrong in ("soon", 17.5):
        with pytest.raises(ModelError, match=r"'d'.*dates"):
            spec.encode(pd.DataFrame({"d": [wrong], "t": ["x"]}))


def test_the_truth_keys_and_weights_are_never_learnt_from(rows: pd.DataFrame) -> None:
    frame = rows.assign(id=np.arange(len(rows)) // 2, weight=1.0)
    roles = Roles(key=("id",), weight="weight", time="day", ignore=("kind", "price"))
    made = prepare(open_model("column:score", classes=["no", "yes"]), frame, TASK, roles)
    assert not {"bought", "score", "id", "weight", "day", "kind"} & set(made.card.edge.names)
    assert made.fit.legacy is not None
    np.testing.assert_array_equal(made.fit.legacy[:, 1], frame.score[_places(made, frame)])


def _places(made: Prepared, frame: pd.DataFrame) -> np.ndarray:
    """Where the rows to fit on came from, by a column that is unlike in every row."""
    column = [c.name for c in made.card.edge.columns if c.read == "number"].index("seen")
    known = pd.Series(np.arange(len(frame)), index=frame.seen.to_numpy(np.float64))
    assert known.index.is_unique
    return known.loc[made.fit.numbers[:, column]].to_numpy()


def test_later_rows_are_checked_on_and_no_key_is_on_both_sides() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"id": rng.integers(0, 300, 1000), "at": rng.permutation(1000) // 3})
    fit, check, notes = split(frame, None, Roles(key=("id",), time="at"), 0.2, 0)
    assert frame["at"].iloc[fit].max() < frame["at"].iloc[check].min()
    assert not set(frame["id"].iloc[fit]) & set(frame["id"].iloc[check])
    assert len(check) >= 200
    assert f"{1000 - len(fit) - len(check):,} earlier rows of the same id" in notes[1]
    fit, check, _ = split(frame, None, Roles(key=("id",)), 0.2, 0)
    assert not set(frame["id"].iloc[fit]) & set(frame["id"].iloc[check])
    assert len(fit) + len(check) == 1000
    classes = np.array([0] * 900 + [1] * 100)
    fit, check, _ = split(frame, classes, Roles(), 0.2, 0)
    assert np.bincount(classes[check]).tolist() == [180, 20]
    assert sorted([*fit, *check]) == list(range(1000))
    with pytest.raises(ModelError, match="give more rows"):
        split(frame.head(30), None, Roles(), 0.2, 0)


def test_nothing_is_learnt_from_the_rows_to_check_on(rows: pd.DataFrame) -> None:
    roles = Roles(time="day", ignore=("kind", "price"))
    legacy = open_model("column:score", classes=["no", "yes"])
    made = prepare(legacy, rows, TASK, roles)
    late = rows.day >= rows.day.sort_values().iloc[int(len(rows) * 0.8)]
    changed = rows.assign(
        amount=rows.amount.mask(late, 1e9), city=rows.city.mask(late, "Paris"), seen=rows.seen.mask(late, -1.0)
    )
    other = prepare(legacy, changed, TASK, roles)
    assert other.card == made.card
    assert len(made.check) == late.sum()
    for scaling in ("quantile", "robust"):
        one, two = made.features(scaling), other.features(scaling)  # type: ignore[arg-type]
        assert all(torch.equal(a, b) for a, b in zip(one.op.buffers(), two.op.buffers(), strict=True))


def test_numbers_are_scaled_as_scikit_learn_and_the_paper_say(binary: Prepared) -> None:
    edge, fit = binary.card.edge, binary.fit
    at = [c.name for c in edge.columns if c.read == "number"].index("amount")
    amount = fit.numbers[:, [at]]
    quantile = QuantileTransformer(n_quantiles=len(fit) // 30, output_distribution="normal", subsample=None)
    expected = np.nan_to_num(quantile.fit_transform(amount)[:, 0])
    found = binary.features("quantile").of(fit.numbers, fit.codes)
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-6)
    low, middle, high = np.nanpercentile(amount, [25, 50, 75])
    scaled = (amount[:, 0] - middle) / (high - low)
    expected = np.nan_to_num(scaled / np.sqrt(1 + (scaled / 3) ** 2))
    found = binary.features("robust").of(fit.numbers, fit.codes)
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-6)
    far = binary.fit.numbers[:3].copy()
    far[:, at] = np.inf, -np.inf, 1e300
    for scaling in ("quantile", "robust"):
        assert np.isfinite(binary.features(scaling).of(far, fit.codes[:3])).all()  # type: ignore[arg-type]


def test_categories_have_a_column_each_and_unknown_ones_have_none() -> None:
    edge = EdgeSpec((EdgeColumn("a", "number"), EdgeColumn("c", "category", ("x", "y", "z"))))
    numbers, codes = np.array([[1.0], [np.nan], [2.0], [1.0]]), np.array([[0], [-1], [1], [0]])
    made = fitted(edge, numbers, codes, "quantile")
    assert (made.numbers, made.widths) == (1, (1, 3))
    new = np.array([[0], [1], [-1], [UNKNOWN], [2]])
    found = made.of(np.ones((5, 1)), new)[:, 2:]
    np.testing.assert_array_equal(found, [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]])
    assert FIRST == 3
    with pytest.raises(ModelError, match="nothing to learn"):
        fitted(edge, np.ones((4, 1)), np.zeros((4, 1), np.int64), "quantile")


def test_tabm_is_its_authors_tabm(binary: Prepared) -> None:
    """The network of this house against `tabm.TabM` with the same seed, on rows of numbers."""
    features = binary.features("quantile")
    x = torch.from_numpy(features.of(binary.fit.numbers, binary.fit.codes)[:, : features.numbers])
    plain = replace(features, widths=())
    torch.manual_seed(3)
    ours = build(SMALL, plain, x, binary.card).eval()
    torch.manual_seed(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a column of two values has one bin
        bins = rtdl_num_embeddings.compute_bins(x, n_bins=SMALL.bins)
        embedded = rtdl_num_embeddings.PiecewiseLinearEmbeddings(bins, 4, activation=False, version="B")
    chosen: Any = {"n_blocks": 1, "d_block": 16, "dropout": 0.1, "k": 4, "d_out": 1, "num_embeddings": embedded}
    theirs = tabm.TabM.make(n_num_features=features.numbers, **chosen).eval()
    with torch.no_grad():
        for parameter in embedded.linear.parameters():
            parameter.normal_()
        ours.embedding.linear.weight.copy_(embedded.linear.weight)  # type: ignore[union-attr, operator, arg-type]
        assert torch.equal(ours(x), theirs(x))


@pytest.mark.parametrize(
    ("task", "family", "embeddings"),
    [
        *((task, "tabm", "piecewise") for task in TASKS),
        *((task, "realmlp", "periodic") for task in TASKS),
        ("multiclass", "mlp", "periodic"),
        ("binary", "tabm", "none"),
        ("regression", "mlp", "piecewise"),
    ],
)
def test_what_is_written_is_what_was_trained(rows: pd.DataFrame, task: str, family: Any, embeddings: Any) -> None:
    """`lifted` holds both against each other; here the raw rows go through the whole module as well."""
    made = _prepared(rows, TASKS[task])
    recipe = recipe_of(family, width=8, depth=2, members=2, embeddings=embeddings, epochs=1, embedding_width=3, bins=4)
    trained = train(recipe, made)
    module = lifted(trained, made)
    strange = rows.head(40).assign(city="Rom", amount=np.nan, note=None)
    strange.loc[0, "day"] = pd.NaT
    for part in (rows, strange, rows[:1], rows[:0]):
        outputs = module.predict(part)
        answers = outputs.values if task == "regression" else outputs.scores
        assert answers is not None
        assert len(answers) == len(part)
        assert np.isfinite(answers).all()
    encoded = made.card.edge.encode(rows)
    features = made.features("robust" if family == "realmlp" else "quantile").of(encoded["numbers"], encoded["codes"])
    expected = answers_of(trained.module, torch.from_numpy(features), task)
    mean, scale = made.scale
    outputs = module.predict(rows)
    found = outputs.scores if outputs.scores is not None else (outputs.values - mean) / scale  # type: ignore[operator]
    np.testing.assert_allclose(found, expected, atol=2e-5)
    # One row alone answers as among the others.
    alone = module.predict(rows[7:8])
    first = alone.scores if alone.scores is not None else (alone.values - mean) / scale  # type: ignore[operator]
    np.testing.assert_allclose(first[0], found[7], atol=1e-10)


def test_fewer_members_are_the_first_ones(binary: Prepared) -> None:
    trained = train(replace(SMALL, epochs=1), binary)
    network = next(part for part in lifted(trained, binary).module.modules() if isinstance(part, Network))
    x = torch.from_numpy(binary.features("quantile").of(binary.check.numbers, binary.check.codes)).double()
    few = fewer_members(network, 3)
    codes = torch.zeros(0)
    assert torch.equal(few(x, codes), network(x, codes)[:, :3])
    single = few.float()(x, codes)
    assert single.dtype == torch.float64
    assert 0 < (single - few.double()(x, codes)).abs().max() < 1e-4
    with pytest.raises(ValueError, match="from 1"):
        fewer_members(network, 5)


def test_the_figures_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(2)
    truth, weight = rng.integers(0, 2, 200), torch.from_numpy(rng.random(200))
    chance = rng.random(200)
    both = np.column_stack([1 - chance, chance])
    found = figures(both, truth, weight, "binary")
    assert found[0] == pytest.approx(log_loss(truth, both, sample_weight=weight.numpy()), abs=1e-12)
    assert found[1] == pytest.approx(roc_auc_score(truth, chance, sample_weight=weight.numpy()), abs=1e-12)


def test_the_same_seed_gives_the_same_bits_and_another_one_does_not(binary: Prepared) -> None:
    heard: list[Epoch] = []
    before = torch.random.get_rng_state()
    one, two = train(SMALL, binary, told=heard.append), train(SMALL, binary)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert [(e.loss, e.check) for e in one.curve] == [(e.loss, e.check) for e in two.curve]
    assert heard == list(one.curve)
    assert all(torch.equal(a, b) for a, b in zip(one.module.parameters(), two.module.parameters()))
    other = train(replace(SMALL, seed=1), binary)
    assert other.curve[0].check != one.curve[0].check


def test_the_loss_mixes_labels_and_the_legacy_scores(binary: Prepared) -> None:
    """With legacy scores against the labels, the weight decides whom the network follows."""
    against = replace(binary.fit, legacy=np.eye(2)[1 - binary.fit.truth])
    turned = replace(binary, fit=against)
    recipe = replace(SMALL, epochs=12, learning_rate=0.01)
    metrics = [train(replace(recipe, distill=share), turned).best.metric for share in (0.0, 1.0)]
    assert metrics[0] > 0.75
    assert metrics[1] < 0.25
    unknown = replace(binary, fit=replace(binary.fit, legacy=np.full((len(binary.fit), 2), np.nan)))
    assert train(replace(recipe, distill=1.0, epochs=3), unknown).best.metric > 0.6


def test_it_stops_early_and_keeps_the_best_weights(binary: Prepared) -> None:
    trained = train(replace(SMALL, epochs=200, patience=3, learning_rate=0.05, ema=0.0), binary)
    assert len(trained.curve) < 200
    assert trained.best.epoch == len(trained.curve) - 3
    assert trained.best.check == min(epoch.check for epoch in trained.curve)
    features = binary.features("quantile").of(binary.check.numbers, binary.check.codes)
    found = answers_of(trained.module, torch.from_numpy(features), "binary")
    kept = figures(found, binary.check.truth, torch.from_numpy(binary.check.weight), "binary")[0]
    assert kept == pytest.approx(trained.best.check, abs=1e-9)


def test_a_loss_that_is_no_number_ends_it_in_a_sentence(binary: Prepared) -> None:
    with pytest.raises(Diverged, match="lower learning_rate"):
        train(replace(SMALL, learning_rate=1e30, ema=0.0, epochs=20), binary)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_learns_the_same_a_little_rounded(binary: Prepared, precision: Any) -> None:
    """On a CPU; not measured on a GPU."""
    plain = train(replace(SMALL, ema=0.0), binary)
    mixed = train(replace(SMALL, ema=0.0, precision=precision), binary)
    assert mixed.best.check == pytest.approx(plain.best.check, abs=0.02)
    assert mixed.best.check != plain.best.check
    assert all(parameter.dtype == torch.float32 for parameter in mixed.module.parameters())


def test_rows_of_weight_zero_teach_nothing(rows: pd.DataFrame) -> None:
    """With labels turned in rows of weight 0, and the batch drawn from all, the network learns the rest."""
    rng = np.random.default_rng(0)
    turned = rng.random(len(rows)) < 0.6
    frame = rows.assign(
        heavy=np.where(turned, 0.0, 3.0),
        bought=np.where(turned, np.where(rows.bought == "yes", "no", "yes"), rows.bought),
    )
    legacy = open_model("column:score", classes=["no", "yes"])
    recipe = replace(SMALL, epochs=10, learning_rate=0.01)
    roles = Roles(ignore=("kind", "price"))
    weighted = prepare(legacy, frame, TASK, roles.model_copy(update={"weight": "heavy"}), distill=False)
    assert weighted.fit.weight.mean() == pytest.approx(1.0)
    assert train(recipe, weighted).best.metric > 0.75
    plain = prepare(legacy, frame.drop(columns="heavy"), TASK, roles, distill=False)
    assert train(recipe, plain).best.metric < 0.75
    with pytest.raises(ModelError, match="weights in 'heavy'"):
        prepare(legacy, frame.assign(heavy=-1.0), TASK, roles.model_copy(update={"weight": "heavy"}))


def test_several_machines_need_a_place_to_meet(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give address"):
        Processes(2, machines=2)
    command = Processes(4, 2, "first:29400").command(tmp_path, "")
    assert command[:2] == ["--nnodes=2", "--rdzv-backend=c10d"]
    assert command[-3:] == ["-m", "workbench.migrate.retraining.worker", str(tmp_path)]


class Stop(Exception):
    pass


def test_a_training_that_was_stopped_goes_on_to_the_same_bits(binary: Prepared, tmp_path: Path) -> None:
    recipe = replace(SMALL, epochs=4)
    whole = train(recipe, binary)

    def stop(epoch: Epoch) -> None:
        if epoch.epoch == 2:
            raise Stop

    with pytest.raises(Stop):
        train(recipe, binary, folder=tmp_path, told=stop)
    with (tmp_path / CURVE).open("a") as file:
        file.write('{"epoch": 3, "lo')
    heard: list[int] = []
    again = train(recipe, binary, folder=tmp_path, told=lambda epoch: heard.append(epoch.epoch))
    assert heard[-1] == 4
    assert heard[0] > 1
    assert [(e.epoch, e.loss, e.check) for e in again.curve] == [(e.epoch, e.loss, e.check) for e in whole.curve]
    assert all(torch.equal(a, b) for a, b in zip(again.module.parameters(), whole.module.parameters()))
    assert [epoch.epoch for epoch in curve_of(tmp_path)] == [1, 2, 3, 4]
    assert list((tmp_path / EVENTS).glob("events.*"))
    # What has ended is read back; another recipe does not take it up, nor is a damaged file trusted.
    assert train(recipe, binary, folder=tmp_path, told=stop).curve == again.curve
    other = train(replace(recipe, epochs=1), binary, folder=tmp_path)
    assert "of another recipe" in other.notes[0]
    (tmp_path / CHECKPOINT).write_bytes(b"half")
    assert "could not be read" in train(replace(recipe, epochs=1), binary, folder=tmp_path).notes[0]


def test_rows_are_saved_whole_and_without_pickles(binary: Prepared, tmp_path: Path) -> None:
    binary.save(tmp_path / "rows.npz")
    again = Prepared.load(tmp_path / "rows.npz")
    assert again.fingerprint == binary.fingerprint
    assert again.card == binary.card
    assert again.notes == binary.notes


def test_what_cannot_be_learnt_from_is_said(rows: pd.DataFrame) -> None:
    legacy = open_model("column:score", classes=["no", "yes"])
    for frame, said in (
        (rows.head(60), "60 of 60 training rows have a known 'bought'"),
        (rows[rows.bought == "yes"], "one of the classes"),
        (rows.drop(columns="bought"), "no column 'bought'"),
        (rows.assign(bought=None), "0 of 600"),
        (rows.assign(bought="maybe"), "legacy.options.classes"),
    ):
        with pytest.raises(ModelError, match=said):
            prepare(legacy, frame, TASK, Roles())
    with pytest.raises(ModelError, match="answers"):
        prepare(legacy, rows, TASK.model_copy(update={"positive": "maybe"}), Roles())


def test_choices_of_the_recipe_are_checked_before_anything_runs() -> None:
    recipe = retrain.Params(family="mlp", epochs=3, more=("width=64", "ema = 0.5", "embeddings=none")).recipe
    assert (recipe.family, recipe.epochs, recipe.width, recipe.ema, recipe.embeddings) == ("mlp", 3, 64, 0.5, "none")
    for wrong in ("wdth=64", "width", "family=mlp", "width=wide"):
        with pytest.raises(ValueError, match="more"):
            retrain.Params(more=(wrong,))


def test_it_is_no_part_of_the_journey_and_runs_by_its_name(tmp_path: Path) -> None:
    assert "retrain" not in [entry.name for entry in catalog.discover()]
    assert catalog.entry("retrain").kind == "mover"
    legacy = open_model("column:score")
    [found] = retrain.run(legacy, None, TASK, Roles(), tmp_path, retrain.Params())
    assert (found.status, found.id) == (Status.ABSENT, "retrain/refused")
    assert "data.train" in found.reason


@pytest.fixture(scope="module")
def world(rows: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("retrained")
    rows.drop(columns=["kind", "price"]).to_parquet(folder / "train.parquet")
    return folder


def _run(world: Path, **params: object) -> dict[str, Finding]:
    legacy = open_model("column:score", folder=world, classes=["no", "yes"])
    train_rows, roles = open_data("train.parquet", world), Roles(ignore=("same",))
    more = ("width=16", "embedding_width=4")
    chosen = retrain.Params.model_validate({"epochs": 2, "members": 2, "more": more, **params})
    home = world / "models" / "key"
    return {one.id: one for one in retrain.run(legacy, train_rows, TASK, roles, home, chosen)}


@pytest.mark.slow
def test_the_mover_writes_a_candidate_with_its_curve(world: Path, rows: pd.DataFrame) -> None:
    found = _run(world)
    assert set(found) == {"retrain/rows", "retrain/curve", "retrain/candidate"}
    charts = [one for one in found["retrain/curve"].details if isinstance(one, Chart)]
    table = next(one for one in found["retrain/curve"].details if isinstance(one, Table))
    assert [len(series.x) for chart in charts for series in chart.series] == [2, 2, 2]
    assert len(table.rows) == 2
    files = [one for one in found["retrain/candidate"].details if isinstance(one, File)]
    assert [Path(one.path).suffix for one in files] == [".pt2", ".json", ".npz"]
    uri = next(one for one in found["retrain/candidate"].details if one.type == "text").text.split("uri: ")[1]
    candidate, spec = open_model(uri, folder=world), Lifted.load_spec(world / uri)
    strange = rows.assign(city="Rom", amount=np.nan)
    for part in (rows, strange, rows[:1], rows[:0]):
        one, two = candidate.predict(part), spec.predict(part)
        assert one.scores is not None
        assert np.array_equal(one.scores, two.scores)  # type: ignore[arg-type]
        assert len(one.scores) == len(part)
    assert candidate.classes == ("no", "yes")
    # Asked again, it reads back what was trained.
    again = _run(world)
    assert again["retrain/curve"].details[2] == table
    assert [one.sha256 for one in again["retrain/candidate"].details if isinstance(one, File)][2] == files[2].sha256


def test_what_cannot_be_trained_is_absent_with_the_reason(world: Path) -> None:
    found = _run(world, more=("dropout=2",))
    assert "dropout" in found["retrain/refused"].reason
    found = _run(world, device="cuda:7")
    assert "no device 'cuda:7'" in found["retrain/refused"].reason
