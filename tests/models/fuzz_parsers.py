"""The parsers `fuzz.py` tries, each with whole files to start from and with what reading one means: to answers, where
nothing but our own code answers, so that what a file smuggled past the parser shows."""

from __future__ import annotations

import functools
import io
import json
import pickle
import struct
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Parser:
    """form: how its files are damaged, see fuzz_mutate."""

    form: str
    seeds: Callable[[], list[bytes]]
    read: Callable[[bytes], object]


def rows() -> tuple[pd.DataFrame, Any, Any]:
    """120 rows with missing values and a category; two classes, three classes."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(rng.normal(size=(120, 4)), columns=list("abcd")).mask(rng.random((120, 4)) < 0.1)
    frame["e"] = pd.Categorical(rng.choice(list("xyzw"), 120))
    pull = frame["a"].fillna(0) + (frame["e"] == "x")
    return frame, (pull > 0.3).astype(int).to_numpy(), np.digitize(pull, [0, 0.8])


@functools.cache
def xgboost_boosters() -> tuple[Any, ...]:
    import xgboost

    frame, two, three = rows()
    coded = xgboost.DMatrix(frame, label=two, enable_categorical=True)
    plain = functools.partial(xgboost.DMatrix, frame.drop(columns="e"))
    return (
        xgboost.train({"nthread": 1, "objective": "binary:logistic", "max_depth": 3}, coded, 2),
        xgboost.train(
            {"nthread": 1, "objective": "multi:softprob", "num_class": 3, "base_score": 0.5}, plain(label=three), 2
        ),
        xgboost.train({"nthread": 1, "booster": "dart", "rate_drop": 0.5, "max_depth": 2}, plain(label=two), 3),
        xgboost.train({"nthread": 1, "booster": "gblinear"}, plain(label=two), 2),
    )


def _xgboost(kind: str) -> Callable[[], list[bytes]]:
    return functools.cache(lambda: [bytes(booster.save_raw(kind)) for booster in xgboost_boosters()])


def read_xgboost(data: bytes) -> object:
    from workbench.models.xgboost_file import read_xgboost as read

    booster = read(data)
    return booster.raw(np.zeros((3, len(booster.trees.features)))) if len(booster.trees.features) < 1000 else None


@functools.cache
def lightgbm_files() -> list[bytes]:
    import lightgbm

    frame, two, three = rows()
    base = {"verbosity": -1, "num_threads": 1, "min_data_in_leaf": 3, "num_leaves": 5}
    data = functools.partial(lightgbm.Dataset, free_raw_data=False)
    numbers = frame.drop(columns="e").fillna(0.0)
    return [
        lightgbm.train({**base, "objective": "binary"}, data(frame, two), 2).model_to_string().encode(),
        lightgbm.train({**base, "objective": "multiclass", "num_class": 3}, data(frame, three), 2)
        .model_to_string()
        .encode(),
        lightgbm.train({**base, "objective": "l2", "linear_tree": True}, data(numbers, two), 2)
        .model_to_string()
        .encode(),
    ]  # fmt: skip


def read_lightgbm(data: bytes) -> object:
    from workbench.models.lightgbm_file import read_lightgbm as read

    booster = read(data)
    return booster.raw(np.zeros((3, len(booster.trees.features)))) if len(booster.trees.features) < 1000 else None


@functools.cache
def onnx_files() -> list[bytes]:
    from skl2onnx import to_onnx
    from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    frame, two, three = rows()
    X = frame.drop(columns="e").fillna(0.0).to_numpy(np.float32)
    fitted = (
        make_pipeline(StandardScaler(), LogisticRegression()).fit(X, three),
        RandomForestClassifier(3, max_depth=3, random_state=0).fit(X, two),
        GradientBoostingRegressor(n_estimators=3, max_depth=2).fit(X, two),
    )
    return [bytes(to_onnx(model, X[:1], target_opset=18).SerializeToString()) for model in fitted]


def read_onnx(data: bytes) -> object:
    """Our own reading of the graph; what answers is onnxruntime."""
    import onnx

    from workbench.models import ModelError
    from workbench.models.onnx_graph import graph_piece

    try:
        model = onnx.ModelProto.FromString(data)
    except Exception as error:
        raise ModelError(f"no protobuf, which the door would have found before: {error!r}") from error
    for _, part in graph_piece(model, {}).walk():
        if part.trees is not None:
            part.trees.raw(np.zeros((3, len(part.trees.features))))
    return None


@functools.cache
def catboost_files() -> list[bytes]:
    import catboost

    frame, two, three = rows()
    X = frame.drop(columns="e")
    quiet = {"iterations": 2, "depth": 2, "verbose": 0, "thread_count": 1, "allow_writing_files": False}
    kinds: tuple[tuple[dict[str, Any], Any], ...] = (
        ({}, two),
        ({"loss_function": "MultiClass"}, three),
        ({"grow_policy": "Lossguide"}, two),
    )
    made = []
    with tempfile.TemporaryDirectory() as folder:
        for more, target in kinds:
            path = Path(folder) / "m.json"
            catboost.CatBoostClassifier(**quiet, **more).fit(X, target).save_model(str(path), format="json")
            made.append(path.read_bytes())
    return made


def read_catboost(data: bytes) -> object:
    from workbench.models.catboost_trees import read_catboost as read

    trees = read(data).trees
    return None if trees is None or len(trees.features) > 1000 else trees.raw(np.zeros((3, len(trees.features))))


@functools.cache
def skops_files() -> list[bytes]:
    import skops.io
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.tree import DecisionTreeClassifier

    frame, two, _ = rows()
    X = frame.drop(columns="e").fillna(0.0)
    models = (make_pipeline(StandardScaler(), LogisticRegression()), DecisionTreeClassifier(max_depth=2))
    return [bytes(skops.io.dumps(model.fit(X, two))) for model in models]


def _skops(path: Path) -> object:
    """In this process: the host's walls would hide a crash."""
    from workbench.models.skops_file import open_skops

    return open_skops(path, "", features=None, threads=1)


@functools.cache
def pickles() -> list[bytes]:
    import joblib
    from sklearn.linear_model import LogisticRegression
    from sklearn.tree import DecisionTreeClassifier

    frame, two, _ = rows()
    X = frame.drop(columns="e").fillna(0.0)
    out = [pickle.dumps(LogisticRegression().fit(X, two), protocol=level) for level in (0, 2, 4, 5)]
    sink = io.BytesIO()
    joblib.dump(DecisionTreeClassifier(max_depth=2).fit(X, two), sink)
    return [*out, sink.getvalue()]


def as_file(read: Callable[[Path], object]) -> Callable[[bytes], object]:
    """A reader of paths as one of bytes."""

    def run(data: bytes) -> object:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model"
            path.write_bytes(data)
            return read(path)

    return run


def _inspect(path: Path) -> object:
    from workbench.models.safety import inspect

    return inspect(path)


def _sniff(path: Path) -> object:
    from workbench.models.sniff import sniff

    return sniff(path)


def _feature_map(path: Path) -> object:
    from workbench.models.feature_map import FeatureMap, read_feature_map

    return FeatureMap(read_feature_map(path))


def _open(path: Path) -> object:
    """Through the whole door, to answers."""
    from workbench.models import open_model

    model = open_model(str(path))
    return model.predict(pd.DataFrame({one.name: np.zeros(2) for one in model.inputs}))


def read_pmml(data: bytes) -> object:
    from workbench.models.pmml import open_pmml

    model = open_pmml(data, "")
    model.describe()
    return model.predict(pd.DataFrame({one.name: [0.0, 1.0, np.nan] for one in model.inputs}))


@functools.cache
def torch_files() -> list[bytes]:
    import torch

    program = torch.export.export(torch.nn.Sequential(torch.nn.Linear(4, 1)), (torch.zeros(2, 4),))
    sink = io.BytesIO()
    torch.export.save(program, sink)
    return [sink.getvalue()]


def _torch(path: Path) -> object:
    from workbench.models.torch_file import open_torch

    return open_torch(path, task="regression", inputs=["a", "b", "c", "d"])


def every_seed() -> list[bytes]:
    """One file of each kind, for the sniffer."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("archive/data.pkl", pickles()[1])
    firsts = (_xgboost("json"), _xgboost("ubj"), lightgbm_files, onnx_files, pickles, torch_files, pmml_files)
    return [sink.getvalue(), *(make()[0] for make in (*firsts, catboost_files, skops_files))]


@functools.cache
def pmml_files() -> list[bytes]:
    """The documents of the PMML tests: trees, segments, a table, and every predicate and transformation of theirs."""
    from test_pmml import MADE, PREDICATES, SCHEMA, SEGMENTS, TREE, document, regression

    table = '<RegressionTable intercept="1"><NumericPredictor name="x" coefficient="2"/></RegressionTable>'
    trees = "".join(f'<Node score="1">{predicate}</Node>' for predicate, _ in PREDICATES)
    card = "".join(f'<Attribute partialScore="1">{predicate}</Attribute>' for predicate, _ in PREDICATES)
    fields = "".join(
        f'<DerivedField name="made{number}" optype="continuous" dataType="double">{made}</DerivedField>'
        for number, (made, _) in enumerate(MADE[:-1])
    )
    terms = "".join(f'<NumericPredictor name="made{number}" coefficient="1"/>' for number in range(len(MADE) - 1))
    dictionary = f"<TransformationDictionary>{fields}</TransformationDictionary>"
    return [
        document(TREE.format(how='missingValueStrategy="weightedConfidence"', default="", schema=SCHEMA)),
        document(TREE.format(how='missingValueStrategy="defaultChild"', default='defaultChild="3"', schema=SCHEMA)),
        document(f'<TreeModel functionName="regression">{SCHEMA}<Node><True/>{trees}</Node></TreeModel>'),
        *(document(SEGMENTS.format(method=how, schema=SCHEMA, extra="")) for how in ("sum", "median", "modelChain")),
        document(regression(table, normalizationMethod="exp")),
        document(regression(f'<RegressionTable intercept="0">{terms}</RegressionTable>'), shared=dictionary),
        document(
            f'<Scorecard functionName="regression" initialScore="1">{SCHEMA}<Characteristics><Characteristic>{card}'
            "</Characteristic></Characteristics></Scorecard>"
        ),
    ]


def old_binary(document: dict[str, Any], version: tuple[int, int] = (1, 3)) -> bytes:
    """A model's JSON document in XGBoost's old binary format, as `Learner::Save` of XGBoost 1 wrote it.

    version: (0, 0) for the form before 1.0, which has no magic word.
    """
    learner = document["learner"]
    param, booster = learner["learner_model_param"], learner["gradient_booster"]
    base = np.float32(param["base_score"].strip("[]").split(",")[0])
    classes, features = int(param.get("num_class", 0)), int(param["num_feature"])
    attributes = learner.get("attributes", {})
    head = struct.pack("<fIiiiIIIi100x", base, features, classes, bool(attributes), 0, *version, 1, 0)
    parts = [b"binf" * (version[0] > 0), head, _text(learner["objective"]["name"]), _text(booster["name"])]
    if booster["name"] == "gblinear":
        weights = np.asarray(booster["model"]["weights"], "<f4")
        parts += [struct.pack("<Ii128x", features, max(1, classes)), struct.pack("<Q", len(weights)), weights.tobytes()]
    else:
        parts += _old_trees(booster, features, max(1, classes))
    if attributes:
        parts.append(struct.pack("<Q", len(attributes)))
        parts += [_text(part) for pair in attributes.items() for part in pair]
    return b"".join(parts)


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def _old_trees(booster: dict[str, Any], features: int, groups: int) -> list[bytes]:
    model = booster["model"] if booster["name"] == "gbtree" else booster["gbtree"]["model"]
    trees = model["trees"]
    parallel = int(model["gbtree_model_param"].get("num_parallel_tree", 1))
    parts = [struct.pack("<iiiiqii128x", len(trees), parallel, features, 0, 0, groups, 0)]
    parts += [_old_tree(tree, features) for tree in trees]
    parts.append(np.asarray(model["tree_info"], "<i4").tobytes())
    if booster["name"] == "dart":
        drop = np.asarray(booster["weight_drop"], "<f4")
        parts.append(struct.pack("<Q", len(drop)) + drop.tobytes())
    return parts


def _old_tree(tree: dict[str, Any], features: int) -> bytes:
    from workbench.models.xgboost_old import DEFAULT_LEFT, NODE, STAT

    count = len(tree["left_children"])
    nodes, stats = np.zeros(count, NODE), np.zeros(count, STAT)
    nodes["parent"] = np.asarray(tree["parents"], np.int64).astype("<u4").view("<i4")
    nodes["left"], nodes["right"] = tree["left_children"], tree["right_children"]
    nodes["split"] = np.asarray(tree["split_indices"]) + np.asarray(tree["default_left"], np.int64) * DEFAULT_LEFT
    nodes["info"], stats["hessian"] = tree["split_conditions"], tree["sum_hessian"]
    deleted = int(tree["tree_param"].get("num_deleted", 0))
    return struct.pack("<iiiiii124x", 1, count, deleted, 0, features, 0) + nodes.tobytes() + stats.tobytes()


@functools.cache
def old_files() -> list[bytes]:
    documents = [json.loads(whole) for whole in _xgboost("json")()[1:]]
    return [old_binary(one, version) for one in documents for version in ((0, 0), (1, 3))]


def _map_files() -> list[bytes]:
    return [b"0\ta\tq\n1\tb=x\ti\n2\tb=y\ti\n3\tc\tint\n4\td\ti\n", b"0 a q\n1 b c=1 i\n2 d float\n"]


def _mlflow_files() -> list[bytes]:
    """`MLmodel` as mlflow 3 writes it, for two flavors."""
    head = "artifact_path: model\nmlflow_version: 3.17.2\nmodel_uuid: 0f\nutc_time_created: '2026-01-02 03:04:05'\n"
    python = (
        "  python_function:\n    env: {conda: conda.yaml}\n    loader_module: mlflow.sklearn\n    model_path: model\n"
    )
    flavors = (
        "  sklearn:\n    code: null\n    pickled_model: model\n    serialization_format: cloudpickle\n",
        "  xgboost:\n    data: model\n    model_class: xgboost.sklearn.XGBClassifier\n    model_format: ubj\n",
    )
    return [f"{head}flavors:\n{python}{flavor}".encode() for flavor in flavors]


def _mlflow(path: Path) -> object:
    """The file as the `MLmodel` of a folder that holds one model file."""
    from workbench.models.mlflow_folder import model_file

    path.rename(path.with_name("MLmodel"))
    path.write_bytes(b"")
    return model_file(path.parent)


PARSERS = {
    "xgboost-json": Parser("json", _xgboost("json"), read_xgboost),
    "xgboost-ubj": Parser("ubj", _xgboost("ubj"), read_xgboost),
    "xgboost-old": Parser("words", old_files, read_xgboost),
    "lightgbm": Parser("text", lightgbm_files, read_lightgbm),
    "pickle": Parser("pickle", pickles, as_file(_inspect)),
    "torch": Parser("zip", torch_files, as_file(_torch)),
    "feature-map": Parser("text", _map_files, as_file(_feature_map)),
    "sniff": Parser("", every_seed, as_file(_sniff)),
    "pmml": Parser("xml", pmml_files, read_pmml),
    "onnx": Parser("onnx", onnx_files, read_onnx),
    "catboost": Parser("json", catboost_files, read_catboost),
    "skops": Parser("zip", skops_files, as_file(_skops)),
    "mlflow": Parser("text", _mlflow_files, as_file(_mlflow)),
}
