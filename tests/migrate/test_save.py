from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from lift_parity import lifted
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from workbench.migrate.lift import Lifted
from workbench.migrate.lift.tree_op import TreeEnsemble
from workbench.models import ModelError, Refused
from workbench.models.torch_file import CARD, open_torch
from workbench.models.tree_kernel import op as kernel
from workbench.models.tree_kernel.program import HEADER


def _pipeline(last) -> object:
    text = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    return make_pipeline(
        ColumnTransformer([("text", text, ["city", "kind"]), ("numbers", numbers, ["amount", "cents", "seen"])]), last
    )


@pytest.fixture(scope="module")
def saved(table, tmp_path_factory) -> tuple[Lifted, Path, pd.DataFrame]:
    frame, y = table
    model = lifted(_pipeline(HistGradientBoostingClassifier(max_iter=30)).fit(frame, y), frame)
    path = tmp_path_factory.mktemp("saved") / "candidate.pt2"
    model.save(path)
    return model, path, frame


def _same(one, other) -> bool:
    parts = ("scores", "values", "labels", "raw")
    pairs = [(getattr(one, part), getattr(other, part)) for part in parts]
    return all(a is b is None or np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("rows", [4_000, 1_501, 2, 1, 0])
def test_file_and_plain_spec_give_the_same_bits(saved, rows):
    model, path, frame = saved
    part = frame[:rows]
    expected = model.predict(part)
    assert len(expected) == rows
    assert _same(open_torch(path).predict(part), expected)
    assert _same(Lifted.load_spec(path).predict(part), expected)


@pytest.mark.slow
def test_a_fresh_process_that_never_saw_the_mover_gives_the_same_bits(saved, tmp_path):
    model, path, frame = saved
    frame.to_pickle(tmp_path / "rows.pkl")
    code = f"""
import sys, numpy as np, pandas as pd
from workbench.models.torch_file import open_torch
found = open_torch({str(path)!r}).predict(pd.read_pickle({str(tmp_path / "rows.pkl")!r}))
np.save({str(tmp_path / "scores.npy")!r}, found.scores)
assert not any(name.startswith(("workbench.migrate", "sklearn")) for name in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert np.array_equal(np.load(tmp_path / "scores.npy"), model.predict(frame).scores)


def test_any_torch_reads_the_file_and_the_compiled_form_inside_gives_its_bits(saved, monkeypatch):
    _, path, frame = saved
    opened = open_torch(path)
    calls = {node.target for node in opened._program.graph.nodes if node.op == "call_function"}
    assert torch.ops.workbench.tree_classes.default in calls
    plain = torch.export.load(path)
    assert not any("workbench" in str(node.target) for node in plain.graph.nodes)
    monkeypatch.setattr(kernel, "compiled", lambda: None)
    without = open_torch(path)
    assert torch.ops.workbench.tree_classes.default not in {node.target for node in without._program.graph.nodes}
    assert _same(without.predict(frame), opened.predict(frame))


def test_two_forms_that_disagree_are_not_saved(saved, tmp_path):
    model = Lifted.load_spec(saved[1])
    trees = next(part for part in model.module.op.modules() if isinstance(part, TreeEnsemble))
    trees.program[HEADER["at_values"]] += len(trees.program)
    with pytest.raises(Refused, match="out of range"):
        model.save(tmp_path / "x.pt2")
    model = Lifted.load_spec(saved[1])
    trees = next(part for part in model.module.op.modules() if isinstance(part, TreeEnsemble))
    values = slice(int(trees.program[HEADER["at_values"]]), int(trees.program[HEADER["at_base"]]))
    trees.program[values] = (trees.program[values].view(torch.float64) * (1 + 1e-15)).view(torch.int64)
    with pytest.raises(ModelError, match="differs from its portable form in 'scores'"):
        model.save(tmp_path / "x.pt2")
    assert not (tmp_path / "x.pt2").exists()


def test_the_spec_is_plain_data_and_says_what_the_file_says(saved):
    model, path, _ = saved
    said = json.loads(path.with_suffix(".json").read_text())
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
        assert arrays.files
        assert all(arrays[name].dtype != object for name in arrays.files)
    with zipfile.ZipFile(path) as archive:
        card = json.loads(archive.read(f"{path.stem}/extra/{CARD}"))
    assert {name: said[name] for name in card} == card
    assert said["format"] == 1
    opened = open_torch(path)
    assert opened.inputs == model.inputs
    assert opened.describe().kind == "torch.export"
    assert opened.describe().params["spec"]["module"]["op"] == "chain"


@pytest.mark.slow
def test_regression_and_linear_models_are_saved_too(table, tmp_path):
    frame, y = table
    for number, last in enumerate((RandomForestRegressor(5, random_state=0), LogisticRegression())):
        model = lifted(_pipeline(last).fit(frame, y), frame)
        path = model.save(tmp_path / f"{number}.pt2")[0]
        for rows in (frame, frame[:1], frame[:0]):
            assert _same(open_torch(path).predict(rows), model.predict(rows))


def test_a_missing_column_is_named(saved):
    _, path, frame = saved
    with pytest.raises(ModelError, match="cents"):
        open_torch(path).predict(frame.drop(columns="cents"))


class Small(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.layer(x))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("foreign") / "net.pt2"
    rows = torch.export.Dim("rows", min=2)
    torch.export.save(torch.export.export(Small(), (torch.zeros(4, 3),), dynamic_shapes=({0: rows},)), path)
    return path


def test_a_foreign_file_says_which_options_it_needs_and_answers_with_them(foreign):
    with pytest.raises(ModelError, match="give the option inputs"):
        open_torch(foreign)
    model = open_torch(foreign, inputs=["a", "b", "c"], classes=["no", "yes"])
    assert model.task == "binary"
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(5, 3)), columns=["c", "a", "b"])
    for part in (rows, rows[:1], rows[:0]):
        found = model.predict(part)
        wanted = torch.tensor(part[["a", "b", "c"]].to_numpy(np.float32))
        expected = torch.export.load(foreign).module()(torch.cat([wanted, wanted, torch.zeros(2, 3)]))[: len(part), 0]
        np.testing.assert_allclose(found.scores[:, 1], expected.detach().numpy(), atol=1e-7)
        assert set(found.labels) <= {"no", "yes"}
    assert open_torch(foreign, inputs=["a", "b", "c"]).task == "regression"
    other = open_torch(foreign, inputs=["b", "a", "c"], classes=["no", "yes"])
    assert other.fingerprint != model.fingerprint, "the options decide the answers"
    with pytest.raises(ModelError, match="check the option inputs"):
        open_torch(foreign, inputs=["a"], classes=[0, 1]).predict(rows)


def _changed(source: Path, target: Path, name: str, change) -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for member in old.namelist():
            data = old.read(member)
            new.writestr(member, change(data) if member.endswith(name) else data)
    return target


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data.replace(b"torch.ops.aten.sigmoid.default", b"torch.hub.load_state_dict_from_url"), "calls"),
        (lambda data: data.replace(b"Symbol('s", b"__import__('os').system('echo s"), "size"),
    ],
)
def test_a_file_that_would_make_torch_run_code_is_refused(foreign, tmp_path, change, words):
    path = _changed(foreign, tmp_path / "bad.pt2", "models/model.json", change)
    with pytest.raises(Refused, match=words):
        open_torch(path, inputs=["a", "b", "c"])


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('it ran')",)


def test_a_pickle_inside_is_held_to_tensors(foreign, tmp_path):
    import pickle

    trap = pickle.dumps(Trap())
    path = _changed(foreign, tmp_path / "bad.pt2", "sample_inputs/model.pt", lambda data: trap)
    with pytest.raises(Refused, match="asks for more than tensors"):
        open_torch(path, inputs=["a", "b", "c"])


def test_what_is_no_torch_file_says_so(tmp_path):
    path = tmp_path / "x.pt2"
    path.write_bytes(b"not a zip")
    with pytest.raises(ModelError, match=r"x\.pt2 is no torch\.export file"):
        open_torch(path)
