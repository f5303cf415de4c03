"""Hostile pickles are refused before anything of them runs; honest ones of every make load."""

from __future__ import annotations

import builtins
import bz2
import functools
import gzip
import importlib
import io
import lzma
import marshal
import os
import pickle
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder

from workbench.models import ModelError, Refused, open_model
from workbench.models.safety import Found, allowed, inspect, walk
from workbench.models.sklearn_file import load


class Calls:
    """Pickles as a call of anything."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> Any:
        return self.function, self.arguments


def touch(canary: Path) -> str:
    return f"open({str(canary)!r}, 'w').close()"


def short(text: str) -> bytes:
    return pickle.SHORT_BINUNICODE + bytes([len(text)]) + text.encode()


def long_bytes(data: bytes) -> bytes:
    return pickle.BINBYTES + struct.pack("<I", len(data)) + data


def code(canary: Path) -> bytes:
    return marshal.dumps(compile(touch(canary), "x", "exec"))


def hostile(canary: Path) -> dict[str, bytes]:
    """Names and bytes of files that touch the canary when they are loaded as pickles."""
    run, shell = touch(canary), f"touch {canary}"
    evil = pickle.dumps(Calls(builtins.exec, run))
    wrapped = {"model": Calls(os.system, shell), "name": "harmless"}
    stack = b"\x80\x04" + short("os") + short("system") + b"\x93" + short(shell) + b"\x85R."
    # The name of the function is put together by a call, so that nothing in the file spells it.
    built = b"\x80\x04" + short("os") + b"cbuiltins\nstr\n" + short("system") + b"\x85R\x93" + short(shell) + b"\x85R."
    # The memo is filled with an innocent name, then overwritten.
    memo = (
        b"\x80\x04" + short("numpy") + b"\x94" + short("ndarray") + b"q\x01" + short("os") + b"q\x00" + short("system")
        + b"q\x010000h\x00h\x01\x93" + short(shell) + b"\x85R."
    )  # fmt: skip
    inside = joblib_bytes(np.array([Calls(os.system, shell)], dtype=object))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("archive/data.pkl", evil)
    return {
        "reduce_system.pkl": pickle.dumps(Calls(os.system, shell)),
        "protocol0.pkl": pickle.dumps(Calls(os.system, shell), 0),
        "exec.pkl": evil,
        "eval.joblib": pickle.dumps(Calls(builtins.eval, run)),
        "global.pkl": b"cos\nsystem\n(S'" + shell.encode() + b"'\ntR.",
        "inst.pkl": b"(S'" + shell.encode() + b"'\nios\nsystem\n.",
        "obj.pkl": b"(cos\nsystem\nS'" + shell.encode() + b"'\no.",
        "stack_global.pkl": stack,
        "built_name.pkl": built,
        "memo.pkl": memo,
        "importlib.pkl": pickle.dumps(Calls(importlib.import_module, "antigravity")),
        "getattr.pkl": b"c__builtin__\ngetattr\n(cos\nos\nS'system'\ntR.",
        "marshal.pkl": pickle.dumps(Calls(marshal.loads, code(canary))),
        "function.pkl": b"\x80\x04ctypes\nFunctionType\n(cmarshal\nloads\n(" + long_bytes(code(canary)) + b"tR}tR)R.",
        "partial.pkl": pickle.dumps(Calls(functools.partial, os.system, shell)),
        "in_a_dict.pkl": pickle.dumps(wrapped),
        "nested.pkl": pickle.dumps(Calls(pickle.loads, evil)),
        "extension.pkl": b"\x80\x04\x82\x01.",
        "persistent.pkl": b"\x80\x04Pos.system\n.",
        "zlib.joblib": zlib.compress(evil),
        "gzip.joblib": gzip.compress(evil),
        "bz2.joblib": bz2.compress(evil),
        "xz.joblib": lzma.compress(evil),
        "lzma.joblib": lzma.compress(evil, lzma.FORMAT_ALONE),
        "inside_an_array.joblib": inside,
        "torch.pt": archive.getvalue(),
        "model.json": evil,
        "model.onnx": evil,
        "model.txt": stack,
        "two.pkl": pickle.dumps([1, 2])[:-1] + stack[2:],
        "numpy_code.pkl": b"cnumpy.f2py.capi_maps\nload_f2cmap_file\n(S'x'\ntR.",
        "numpy_load.pkl": b"cnumpy\nload\n(S'x'\ntR.",
        "joblib_load.pkl": b"cjoblib.numpy_pickle\nload\n(S'x'\ntR.",
        "torch_load.pkl": b"ctorch\nload\n(S'x'\ntR.",
        "dill_type.pkl": b"cdill._dill\n_load_type\n(S'CodeType'\ntR.",
        "ufunc.pkl": b"cnumpy.core\n_ufunc_reconstruct\n(S'os'\nS'system'\ntR.",
        "ufunc_name.pkl": b"cnumpy.core\n_ufunc_reconstruct\n(S'numpy'\nS'load'\ntR.",
        "nested_twice.joblib": joblib_bytes(
            np.array([np.array([Calls(os.system, shell)], dtype=object), 1], dtype=object)
        ),
        "long_memo.pkl": b"\x80\x02"
        b"cnumpy\nexp\n"
        b"r\x00\x00\x00\x010cos\nsystem\nr\x00\x00\x00\x010"
        b"j\x00\x00\x00\x01(S'" + shell.encode() + b"'\ntR.",
        "attrgetter.pkl": b"coperator\nattrgetter\n(S'system'\ntR.",
    }


def joblib_bytes(value: Any) -> bytes:
    sink = io.BytesIO()
    joblib.dump(value, sink)
    return sink.getvalue()


NAMES = sorted(hostile(Path("/nowhere")))


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_file_is_refused_and_the_canary_lives(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = tmp_path / "canary"
    data = hostile(canary)[name]
    (tmp_path / name).write_bytes(data)
    started: list[Any] = []
    monkeypatch.setattr("subprocess.Popen", lambda *a, **k: started.append(a))
    before = set(sys.modules)
    with pytest.raises(Refused) as caught:
        open_model(name, folder=tmp_path)
    assert name in str(caught.value)
    assert not canary.exists()
    assert not started, "a host was started for it"
    assert "antigravity" not in set(sys.modules) - before


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith((".pkl", ".joblib"))])
def test_the_host_s_own_unpickler_holds_the_same_list(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second wall, with the first one taken away."""
    canary = tmp_path / "canary"
    (tmp_path / name).write_bytes(hostile(canary)[name])
    names = {("joblib.numpy_pickle", "NumpyArrayWrapper")} if name.endswith(".joblib") else set()
    monkeypatch.setattr("workbench.models.sklearn_file.inspect", lambda path: Found(names))
    with pytest.raises(Exception):  # noqa: B017
        load(tmp_path / name)
    assert not canary.exists()


def test_packed_twice_is_no_pickle(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    (tmp_path / "m.joblib").write_bytes(gzip.compress(gzip.compress(hostile(canary)["exec.pkl"])))
    with pytest.raises(ModelError, match="unpack it"):
        open_model("m.joblib", folder=tmp_path)
    assert not canary.exists()


def test_the_samples_are_live(tmp_path: Path) -> None:
    """A canary that cannot die proves nothing: plain pickle does run them."""
    canary = tmp_path / "canary"
    for name in ("exec.pkl", "memo.pkl", "stack_global.pkl", "inst.pkl", "reduce_system.pkl", "built_name.pkl"):
        pickle.loads(hostile(canary)[name])
        assert canary.exists(), name
        canary.unlink()
    joblib.load(io.BytesIO(hostile(canary)["inside_an_array.joblib"]))
    assert canary.exists()


def test_partial_wraps_nothing_but_the_check_of_scikit_learn(tmp_path: Path) -> None:
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(functools.partial(np.exp, 1.0)))
    inspect(tmp_path / "m.pkl")
    with pytest.raises(Refused, match=r"functools\.partial"):
        load(tmp_path / "m.pkl")
    # Made with the function that may be, then told to hold another one.
    plain = functools.partial(sys.modules["sklearn.utils.validation"].check_array)
    turned = pickle.dumps(Turned(plain))
    (tmp_path / "n.pkl").write_bytes(turned)
    with pytest.raises(Refused, match=r"functools\.partial"):
        load(tmp_path / "n.pkl")


class Turned:
    def __init__(self, plain: Any) -> None:
        self.plain = plain

    def __reduce__(self) -> Any:
        return functools.partial, (self.plain.func,), (np.exp, (), {}, None)


def test_a_zip_bomb_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.models.sniff.FREE", 1 << 20)
    body = b"\x80\x04B" + struct.pack("<I", 8 << 20) + bytes(8 << 20) + b"."
    for name, data in (("z", zlib.compress(body, 9)), ("xz", lzma.compress(body)), ("gz", gzip.compress(body, 9))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(Refused, match="zip bomb"):
            open_model(name, folder=tmp_path)
    with zipfile.ZipFile(tmp_path / "p.pt2", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", body)
    with pytest.raises(Refused, match="zip bomb"):
        open_model("p.pt2", folder=tmp_path)


def test_the_list_has_nothing_that_runs_what_it_is_given() -> None:
    dangerous = {"eval", "exec", "getattr", "setattr", "__import__", "compile", "open", "attrgetter", "methodcaller"}
    dangerous |= {"system", "popen", "load", "loads", "reduce", "map", "filter", "apply", "input", "vars", "globals"}
    assert not {name for _, name in allowed()} & dangerous
    assert not {
        module for module, _ in allowed() if module.split(".")[0] in ("os", "sys", "subprocess", "operator", "pickle")
    }


PACKINGS = [0, 3, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)]


@pytest.fixture(scope="module")
def estimators(rows: Any, answers: dict[str, Any]) -> dict[str, Any]:
    encode = ColumnTransformer(
        [
            ("log", FunctionTransformer(np.log1p), ["cents"]),
            ("rank", OneHotEncoder(handle_unknown="ignore"), ["rank"]),
            ("trade", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), ["trade"]),
        ],
        remainder="passthrough",
    )
    trees = HistGradientBoostingClassifier(max_iter=3, categorical_features=[True] + [False] * 4, random_state=0)
    pipeline = make_pipeline(encode, HistGradientBoostingClassifier(max_iter=3, random_state=0))
    numbers = rows[["rank", "score", "seen", "price", "debt"]]
    return {
        "pipeline": pipeline.fit(rows, answers["binary"]),
        "categorical": trees.fit(numbers, answers["binary"]),
        "linear": LogisticRegression(random_state=np.random.RandomState(0)).fit(rows[["rank"]], answers["multiclass"]),
    }


@pytest.mark.parametrize("packing", PACKINGS, ids=str)
def test_honest_joblib_files_load(packing: Any, estimators: dict[str, Any], rows: Any, tmp_path: Path) -> None:
    for name, estimator in estimators.items():
        joblib.dump(estimator, tmp_path / name, compress=packing)
        loaded, found = load(tmp_path / name)
        assert found.versions["scikit-learn"]
        X = rows[list(estimator.feature_names_in_)]
        np.testing.assert_array_equal(loaded.predict_proba(X), estimator.predict_proba(X))


@pytest.mark.parametrize("protocol", range(6))
def test_honest_pickles_load(protocol: int, estimators: dict[str, Any], rows: Any, tmp_path: Path) -> None:
    for name, estimator in estimators.items():
        (tmp_path / name).write_bytes(pickle.dumps(estimator, protocol))
        loaded, _ = load(tmp_path / name)
        X = rows[list(estimator.feature_names_in_)]
        np.testing.assert_array_equal(loaded.predict_proba(X), estimator.predict_proba(X))


def test_old_pickles_get_a_plan(cases: Path) -> None:
    files = sorted((cases / "legacy_models/sklearn").glob("*/*.pkl"))
    assert len(files) == 20
    for file in files:
        with pytest.raises(ModelError) as caught:
            open_model(str(file))
        said, version = str(caught.value), file.parent.name
        assert f"written by scikit-learn {version}, and here is" in said
        assert "needs sklearn2pmml, sklearn_pandas, not installed here" in said
        assert f"requirements: ['scikit-learn=={version}', 'numpy<" in said
        assert ("python: '3." in said) == (version != "1.2.2" or sys.version_info[:2] != (3, 11))
        assert "train the model again" in said


def test_a_cut_file_and_a_file_without_a_model(tmp_path: Path, estimators: dict[str, Any]) -> None:
    whole = pickle.dumps(estimators["linear"])
    (tmp_path / "cut.pkl").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Refused, match="no whole pickle"):
        open_model("cut.pkl", folder=tmp_path)
    packed = zlib.compress(whole)
    (tmp_path / "cut.z").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(ModelError, match="cut short"):
        open_model("cut.z", folder=tmp_path)


def test_the_walk_reads_every_opcode_of_the_standard_library() -> None:
    """What Python itself pickles, walked without losing the place."""
    value = [{1, 2}, frozenset((3,)), (1, (2, (3, (4, 5)))), {"a": [None, True, 2.5, 1 << 80]}, b"x" * 300, "y" * 300]
    check: Callable[[bytes], Any] = lambda data: walk(io.BytesIO(data), Found())  # noqa: E731
    for protocol in range(6):
        check(pickle.dumps(value, protocol))
