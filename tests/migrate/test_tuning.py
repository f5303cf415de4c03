"""Tuning a candidate: settings are files that say how they are served, trials die alone, the choice is confirmed."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.gpu_nets import network
from workbench import catalog
from workbench.data import open_data
from workbench.evidence import File, Finding, Status
from workbench.migrate import tuning
from workbench.migrate.lift import Lifted
from workbench.migrate.tune.batches import batches, best
from workbench.migrate.tune.constraint import Rule
from workbench.migrate.tune.narrow import members, narrowable, narrowed
from workbench.migrate.tune.racing import race
from workbench.migrate.tune.search import Outcome
from workbench.migrate.tune.space import Candidate, Machine, Setting, space
from workbench.migrate.tune.trainer import Trainer
from workbench.migration import Roles, Task
from workbench.models import ModelError, Outputs, open_model
from workbench.models.serving import BESIDE, Serving, threads_of, write_served

TASK = Task(kind="binary", target="y", positive="1", threshold=0.5)
HERE = Machine(4, "no GPU", "", "", "")


# --------------------------------------------------------------------------------- files that say how they are served


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network with random weights, written as 42_replatform writes candidates."""
    path = tmp_path_factory.mktemp("net") / "candidate.pt2"
    network((6, 16, 16, 1)).save(path)
    return path


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    values = np.random.default_rng(0).normal(size=(300, 6))
    frame = pd.DataFrame(values, columns=[f"x{place}" for place in range(6)])
    return frame.assign(y=(values[:, 0] > 0).astype(int))


def test_a_served_file_says_so_and_answers_the_same(net: Path, rows: pd.DataFrame, tmp_path: Path) -> None:
    plain = open_model(str(net))
    files = write_served(net, tmp_path / "candidate.pt2", Serving("portable", threads=3, rows=64))
    assert {path.name for path in files} == {"candidate.pt2", "candidate.json", "candidate.npz", BESIDE}
    served: Any = open_model(str(tmp_path / "candidate.pt2"))
    assert served.serving == Serving("portable", threads=3, rows=64)
    assert (served.predict(rows).scores == plain.predict(rows).scores).all()
    assert served.fingerprint != plain.fingerprint, "evidence about one is none about the other"
    assert Lifted.load_spec(tmp_path / "candidate.pt2").predict(rows).scores is not None
    assert threads_of(tmp_path / "candidate.pt2") == 3
    said = json.loads((tmp_path / BESIDE).read_text())
    assert said["means"].startswith("torch's own operators")


def test_threads_are_of_that_very_file_and_a_persons_word_goes_before(net: Path, tmp_path: Path) -> None:
    path = write_served(net, tmp_path / "candidate.pt2", Serving(threads=3))[0]
    model: Any = open_model(str(path))
    assert model.address[2].threads == 3
    model = open_model(str(path), threads=1)
    assert model.address[2].threads == 1
    path.write_bytes(net.read_bytes())
    assert threads_of(path) == 1, "the file was replaced: what lies beside it is of another"


@pytest.mark.parametrize(
    "said",
    [
        '{"engine": "rocket"}',
        '{"device": "moon"}',
        '{"rows": -1}',
        '{"threads": 0}',
        '{"engine": "eager", "x": 1}',
        "[",
    ],
)
def test_settings_that_are_not_known_are_refused(said: str) -> None:
    with pytest.raises(ModelError, match=r"tune the candidate again|update the workbench"):
        Serving.read(said)
    assert Serving.read(b"") is None


@pytest.mark.slow
def test_a_network_computes_in_fewer_bits_and_reads_back_the_same(rows: pd.DataFrame, tmp_path: Path) -> None:
    made = network((6, 32, 32, 1))
    assert narrowable(made)
    assert members(made) == 0
    before = made.predict(rows).scores
    apart = {}
    for precision in ("float32", "bfloat16", "float16", "int8"):
        narrow = narrowed(made, precision, 0)
        narrow.save(tmp_path / precision / "candidate.pt2")
        answers = narrow.predict(rows).scores
        assert (open_model(str(tmp_path / precision / "candidate.pt2")).predict(rows).scores == answers).all()
        assert (Lifted.load_spec(tmp_path / precision / "candidate.pt2").predict(rows).scores == answers).all()
        apart[precision] = float(np.abs(answers - before).max())  # type: ignore[operator]
    assert 0 < apart["float32"] < 1e-6 < apart["float16"] < apart["bfloat16"] < 0.02
    assert 1e-5 < apart["int8"] < 0.05


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("engine", ["inductor", "aot"])
def test_a_compiled_network_answers_as_the_file_does(
    engine: str, net: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    """In a process of its own, as a trial asks it; torch's compilers write C++, so a compiler has to be there."""
    if why := Machine.here().compiler:
        pytest.skip(why)
    plain = open_model(str(net)).predict(rows).scores
    path = write_served(net, tmp_path / "candidate.pt2", Serving(engine))[0]
    served: Any = open_model(str(path), host=True, timeout=300)
    try:
        for many in (len(rows), 1):
            answers = served.predict(rows.head(many)).scores
            assert np.abs(answers - plain[:many]).max() < 1e-12  # type: ignore[index]
    finally:
        served.close()


# --------------------------------------------------------------------------------- what is searched, and what is not


def test_only_what_the_machine_can_do_is_searched_and_the_rest_is_named(net: Path) -> None:
    trees = Candidate(net, trees=True, network=False, members=0, onnx=None)
    found, absent = space(trees, HERE, 1_024)
    assert {point["engine"] for point in found.points} == {"eager", "portable"}
    assert {point["precision"] for point in found.points} == {"as made"}
    assert {point["threads"] for point in found.points} == {1, 2, 4}
    assert found.points[0] == Setting().point
    said = {one.what: one.why for one in absent}
    assert "no GPU" in said["GPU: eager, torch.compile, CUDA graphs, TensorFloat-32, half precision"]
    assert "a rounded threshold flips labels" in said["lower precision"]
    assert "42_replatform says why" in said["ONNX Runtime"]
    tabm = Candidate(net, trees=False, network=True, members=16, onnx=net)
    found, absent = space(tabm, HERE, 1_024)
    assert {point["engine"] for point in found.points} == {"eager", "inductor", "aot", "onnx"}
    assert {point["members"] for point in found.points} == {0, 1, 4, 8}
    assert {point["precision"] for point in found.points} == {"as made", "float32", "int8", "bfloat16"}
    without = Machine(1, "no GPU", "no compiler", "no onnxruntime", "emulated")
    found, absent = space(tabm, without, 1_024)
    assert {point["engine"] for point in found.points} == {"eager"}
    assert {"no compiler", "no onnxruntime", "emulated", "no GPU"} <= {one.why for one in absent}
    with_gpu = Machine(1, "", "", "", "")
    found, absent = space(tabm, with_gpu, 1_024)
    assert {"cuda-graphs", "inductor-max"} <= {point["engine"] for point in found.points if point["device"] == "cuda"}
    assert "tf32" in {point["precision"] for point in found.points}
    assert len({repr(point) for point in found.points}) == len(found.points)


def _outputs(scores: list[float]) -> Outputs:
    one = np.array(scores)
    return Outputs((0, 1), scores=np.column_stack([1 - one, one]))


def test_the_constraint_is_hard() -> None:
    truth = np.array([0, 1] * 200)
    same = np.where(truth == 1, 0.8, 0.2)
    rule = Rule("parity", "binary", truth, difference=1e-3)
    assert rule.kept(_outputs(list(same)), _outputs(list(same))).loss == 0
    assert "differ by up to 0.01" in rule.kept(_outputs(list(same)), _outputs(list(same + 0.01))).reason
    flipped = same.copy()
    flipped[0] = 0.5
    assert "0.250% of the labels change" in rule.kept(_outputs(list(same)), _outputs(list(flipped))).reason
    quality = Rule("quality", "binary", truth, margin=0.01)
    better, worse = np.where(truth == 1, 0.9, 0.1), np.where(truth == 1, 0.7, 0.3)
    assert quality.kept(_outputs(list(same)), _outputs(list(better))).reason == ""
    assert "may rise by up to" in quality.kept(_outputs(list(same)), _outputs(list(worse))).reason
    values = Rule("parity", "regression", np.zeros(3), difference=0.01)
    before, after = (Outputs(values=np.array(each)) for each in ([0.0, 1.0, 2.0], [0.0, 1.0, 2.1]))
    assert "differ" in values.kept(before, after).reason


# --------------------------------------------------------------------------------- racing


class Clocked:
    """A side of known times, by a clock of its own."""

    def __init__(self, clock: list[float], micros: float, seed: int) -> None:
        self.clock, self.micros, self.rng, self.calls = clock, micros, np.random.default_rng(seed), 0

    def __call__(self, frame: Any, calls: int) -> tuple[list[int], list[int]]:
        wall = (1e3 * self.micros * self.rng.lognormal(0, 0.05, calls)).astype(int).tolist()
        self.clock[0] += sum(wall) / 1e9
        self.calls += calls
        return wall, wall


def test_a_race_gives_the_ratio_and_stops_what_is_beaten() -> None:
    clock = [0.0]
    reference, side = Clocked(clock, 100.0, 1), Clocked(clock, 150.0, 2)
    found = race(reference, side, pd.DataFrame({"x": [1.0]}), seconds=2.0, clock=lambda: clock[0])
    assert found.ratio.low <= 1.5 <= found.ratio.high
    assert found.reference == pytest.approx(1e-4, rel=0.05)
    assert not found.stopped
    slow = Clocked(clock, 400.0, 3)
    lost = race(reference, slow, pd.DataFrame(), seconds=2.0, beaten=lambda r: r.low > 3, clock=lambda: clock[0])
    assert lost.stopped
    assert lost.ratio.high < 5


class Small:
    """Answers as fast for any rows, and dies of more than a thousand."""

    def timed(self, frame: pd.DataFrame, calls: int) -> tuple[list[int], list[int]]:
        if len(frame) > 1_000:
            raise ModelError("the model was killed, most likely because the machine ran out of memory")
        return [10_000 + len(frame)] * calls, [1] * calls


def test_the_batch_that_fits_and_the_one_that_pays() -> None:
    tried = list(batches(Small(), pd.DataFrame({"x": [1.0, 2.0]}), seconds=10))
    assert [one.rows for one in tried] == [16, 64, 256, 1024]
    assert tried[-1].rate is None
    assert "ran out of memory" in tried[-1].reason
    taken = best(tried)
    assert taken is not None
    assert taken.rows == 256
    assert best([]) is None


# --------------------------------------------------------------------------------- the mover


def test_it_is_no_part_of_the_journey_and_has_a_notebook() -> None:
    assert "tuning" not in [entry.name for entry in catalog.discover()]
    assert catalog.entry("tuning").stem == "43_tuning"
    assert catalog.find("tuning/front").title == "What can be had"


@pytest.mark.parametrize(
    ("doors", "params", "said"),
    [
        ({}, {}, "run 42_replatform first"),
        ({}, {"stage": "train"}, "no legacy model"),
        ({"candidate": 0}, {"money": 3.0}, "set price_per_hour"),
    ],
)
def test_without_what_it_needs_it_says_what(
    doors: Any, params: dict[str, Any], said: str, net: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    rows.to_parquet(tmp_path / "train.parquet")
    train = open_data(str(tmp_path / "train.parquet"))
    [found] = tuning.run(doors, train, TASK, Roles(), tmp_path, tuning.Params(**params))
    assert found.status is Status.ABSENT
    assert said in found.reason


@pytest.fixture(scope="module")
def tuned(net: Path, rows: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Finding]]:
    home = tmp_path_factory.mktemp("tuned")
    rows.to_parquet(home / "train.parquet")
    folder = home / "models" / "key"
    params = tuning.Params(rows=200, batch=64, trials=4, minutes=None, seconds=0.1, hold="quality", margin=0.2)
    train = open_data(str(home / "train.parquet"))
    found = list(tuning.run({"candidate": lambda: open_model(str(net))}, train, TASK, Roles(), folder, params))
    return folder, found


@pytest.mark.slow
def test_a_candidate_is_tuned_confirmed_and_written(tuned: tuple[Path, list[Finding]], rows: pd.DataFrame) -> None:
    folder, found = tuned
    by = {one.id: one for one in found}
    assert by["tuning/search"].candidate is not None
    assert by["tuning/search"].candidate.value == 4
    assert by["tuning/confirmed"].change is not None
    assert by["tuning/confirmed"].change.n == 150, "half of the rows chose nothing"
    assert {one.id for one in found if one.status is Status.ABSENT} >= {"tuning/not-searched"}
    files = [one for one in by["tuning/candidate"].details if isinstance(one, File)]
    path = folder / next(one.path for one in files if one.title.startswith("candidate."))
    answers = open_model(str(path)).predict(rows).scores
    assert answers is not None
    assert np.isfinite(answers).all()


def _rows(home: Path) -> Any:
    """Prepared rows of a tiny task for the trainer."""
    from workbench.migrate.retraining.prepared import prepare

    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(400, 3)), columns=["a", "b", "c"])
    frame["y"] = (frame.a + frame.b > 0).astype(int)
    (home / "legacy.py").write_text("import numpy as np\ndef score(rows):\n    return 1 / (1 + np.exp(-rows.a))\n")
    legacy = open_model("python:legacy:score", folder=home, task="binary", classes=[0, 1], inputs=["a", "b", "c"])
    try:
        return prepare(legacy, frame, TASK, Roles())
    finally:
        legacy.close()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    return _rows(tmp_path_factory.mktemp("prepared"))


@pytest.mark.slow
def test_a_training_that_dies_loses_its_trial_only(prepared: Any, tmp_path: Path) -> None:
    """A crash, a lack of memory by a real limit, NaN: each is told as what it is, and the next recipe trains."""
    from workbench.migrate.retraining.recipe import Recipe

    small = Recipe("mlp", width=8, depth=1, epochs=2, embeddings="none", batch_size=64)
    trainer = Trainer(prepared, tmp_path)
    try:

        def crash(epoch: int, check: float) -> bool:
            os.kill(trainer._process.pid, signal.SIGSEGV)  # type: ignore[union-attr]
            return False

        crashed = trainer(small, crash)
        assert (crashed.end, crashed.values) == ("crashed", None)
        first = trainer(small, lambda epoch, check: False)
        assert first.end == "done", first.reason
        again = trainer(small, lambda epoch, check: False)
        assert again.values == first.values, "the same recipe, the same network"
        stopped = trainer(small, lambda epoch, check: True)
        assert (stopped.end, stopped.reason) == ("pruned", "weaker than others after 1 epochs")
        wild = trainer(Recipe("mlp", 8, 1, learning_rate=1e30, clip=1e30, epochs=3), lambda epoch, check: False)
        assert wild.end == "nan", wild
    finally:
        trainer.close()
    tight = Trainer(prepared, tmp_path, memory_mb=900)
    try:
        huge: Outcome = tight(Recipe("mlp", width=20_000, depth=3, epochs=1), lambda epoch, check: False)
        assert huge.end == "memory", huge
        assert tight(small, lambda epoch, check: False).end == "done"
    finally:
        tight.close()
