"""What comes through the door, what is sent back, and with which words."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest

from workbench.models import Input, Model, ModelError, Outputs, open_model
from workbench.models.checked import check_outputs
from workbench.models.inputs import conform

Open = Callable[..., Model]


def zipped(*names: str) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return sink.getvalue()


FOREIGN = [
    ("empty.pkl", b"", "is empty"),
    ("model.txt", b"what is this", "no model file this workbench knows.*It reads scikit-learn pickles"),
    ("dump.json", b'[ { "nodeid": 0, "leaf": 0.1 } ]', "dump of XGBoost trees.*save_model"),
    ("dump.txt", b"booster[0]:\n0:[f0<1] yes=1,no=2,missing=1\n", "text dump.*save_model"),
    ("light.json", json.dumps({"name": "tree", "feature_names": [], "tree_info": []}).encode(), "LightGBM.*save_model"),
    ("other.json", b'{"a": 1}', "no XGBoost model"),
    ("cut.json", b'{"learner": {"attributes": ', "cut short"),
    ("list.json", b"[1, 2]", "JSON list"),
    ("model.pmml", b'<?xml version="1.0"?><PMML version="4.4">', "no whole XML document"),
    ("model.h5", b"\x89HDF\r\n\x1a\n", "HDF5"),
    ("model.npy", b"\x93NUMPY\x01\x00", "column:NAME"),
    ("old.model", b"binf\x00\x00\x00\x3f", r"old XGBoost model that ends at byte 4"),
    ("model.keras", zipped("config.json", "metadata.json", "model.weights.h5"), "Keras"),
    ("model.skops", zipped("schema.json"), "skops"),
    ("thing.zip", zipped("a.txt"), "no model this workbench knows"),
    ("broken.zip", b"PK\x03\x04 and then nothing", "damaged zip"),
    ("newer.zip", zipped("a.txt").replace(b"PK\x01\x02\x14\x03\x14", b"PK\x01\x02\x14\x03\x50"), "damaged zip"),
    ("named.zip", zipped("ä.txt").replace("ä".encode(), b"\xff\xff"), "damaged zip"),
    ("text.gz", __import__("gzip").compress(b"tree\nversion=v3\n"), "unpack it"),
    ("model.zst", b"\x28\xb5\x2f\xfd....", "zstd"),
    ("rows.csv", b"a,b\n1,2\n", "no model file"),
]


@pytest.mark.parametrize("name, data, said", FOREIGN, ids=[name for name, _, _ in FOREIGN])
def test_what_is_no_model_gets_a_sentence(name: str, data: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ModelError, match=said) as caught:
        open_model(name, folder=tmp_path)
    assert name in str(caught.value)


def test_real_files_of_formats_that_are_not_read(cases: Path) -> None:
    folder = cases / "legacy_models"
    said = {"*.json": "dump of XGBoost"}
    for pattern, sentence in said.items():
        files = sorted(folder.rglob(pattern))
        assert files
        for file in files:
            with pytest.raises(ModelError, match=sentence):
                open_model(str(file))


def test_addresses_that_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "model.txt").write_text("x")
    with pytest.raises(ModelError, match=r"no model file modle\.txt: did you mean 'model\.txt'"):
        open_model("modle.txt", folder=tmp_path)
    with pytest.raises(ModelError, match="is a folder"):
        open_model(".", folder=tmp_path)
    with pytest.raises(ModelError, match="address on a network"):
        open_model("s3://bucket/model", folder=tmp_path)
    with pytest.raises(ModelError, match="is not the address of a model"):
        open_model("https://example.org/model", folder=tmp_path)
    with pytest.raises(ModelError, match="no option 'clases': did you mean 'classes'"):
        open_model("model.txt", folder=tmp_path, clases=[0, 1])
    with pytest.raises(ModelError, match="classes is a list"):
        open_model("model.txt", folder=tmp_path, classes="ab")
    with pytest.raises(ModelError, match="option task"):
        open_model("model.txt", folder=tmp_path, task="guess")


def test_the_room_is_light() -> None:
    heavy = "sklearn torch xgboost lightgbm onnxruntime pandas pyarrow scipy joblib"
    code = (
        "import sys; import workbench.models; from workbench.models import open_model, Outputs; "
        f"print([name for name in {heavy.split()!r} if name in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_the_parent_of_a_pickle_imports_no_model_library(tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression

    joblib.dump(LogisticRegression().fit([[0.0], [1.0], [2.0]], [0, 1, 1]), tmp_path / "m")
    code = (
        "import sys; from workbench.models import open_model; import pandas as pd; "
        f"m = open_model('m', folder=__import__('pathlib').Path({str(tmp_path)!r}), features=['a']); "
        "m.predict(pd.DataFrame({'a': [1.0]})); m.describe(); m.close(); print('sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("False", "")


def test_columns_are_taken_by_name_and_meaning() -> None:
    frame = pd.DataFrame(
        {
            "number": ["1", " 2.5", "", "NA", "true"],
            "nullable": pd.array([1, None, 3, 4, 5], dtype="Int64"),
            "flag": pd.array([True, False, None, True, False], dtype="boolean"),
            "code": ["1", "2.0", "x", None, "True"],
            "text": [1, 2.0, True, None, "b"],
            "my name": [1, 2, 3, 4, 5],
        }
    )
    inputs = (
        Input("my_name", "number"),
        Input("number", "number"),
        Input("nullable", "number"),
        Input("flag", "number"),
        Input("code", "category", (1, 2, 3)),
        Input("text", "category", ("1", "2", "TRUE", "b")),
    )
    got = conform(frame, inputs)
    assert list(got.columns) == [one.name for one in inputs]
    np.testing.assert_array_equal(got["number"], [1, 2.5, np.nan, np.nan, 1])
    np.testing.assert_array_equal(got["nullable"], [1, np.nan, 3, 4, 5])
    np.testing.assert_array_equal(got["flag"], [1, 0, np.nan, 1, 0])
    np.testing.assert_array_equal(got["code"], [1, 2, np.nan, np.nan, 1])
    assert got["text"].tolist()[:3] == ["1", "2", "TRUE"]
    assert got["text"].tolist()[4] == "b"
    assert np.isnan(got["text"].tolist()[3])
    flags = conform(pd.DataFrame({"f": ["FALSE", "True", None, 1, 0.0]}), (Input("f", "bool", (False, True)),))
    assert flags["f"].tolist()[:2] == [False, True]
    assert flags["f"].tolist()[3:] == [True, False]
    with pytest.raises(ModelError, match="has dates"):
        conform(pd.DataFrame({"d": pd.to_datetime(["2020-01-01"])}), (Input("d", "number"),))
    with pytest.raises(ModelError, match="two columns named 'a'"):
        conform(pd.DataFrame([[1, 2]], columns=["a", "a"]), (Input("a", "number"),))
    hostile = "<img src=x onerror=alert(1)>" * 500
    with pytest.raises(ModelError) as caught:
        conform(pd.DataFrame({hostile: [1]}), (Input("a", "number"),))
    assert len(str(caught.value)) < 1000


COLUMN = pd.DataFrame(
    {
        "risk": ["Low", "High", "Medium", "Low"],
        "chance": [0.1, 0.9, 0.5, 1.0],
        "decided": [0, 1, 1, 0],
        "flag": ["TRUE", "false", "True", "FALSE"],
        "decile": [1, 10, 5, 2],
        "gap": ["Low", None, "High", "Low"],
    }
)


def answer(uri: str, **options: Any) -> Outputs:
    return open_model(uri, **options).predict(COLUMN)


def test_a_column_is_a_model() -> None:
    decided = answer('column:risk != "Low"')
    assert decided.scores is None
    assert decided.classes == (0, 1)
    assert decided.labels.tolist() == [0, 1, 1, 0]
    assert answer("column:decile >= 5").labels.tolist() == [0, 1, 1, 0]
    np.testing.assert_array_equal(answer("column:chance").scores, [[0.9, 0.1], [1 - 0.9, 0.9], [0.5, 0.5], [0, 1.0]])
    assert answer("column:decided").labels.tolist() == [0, 1, 1, 0]
    assert answer("column:decided").scores is None
    assert answer("column:flag").labels.tolist() == [1, 0, 1, 0]
    many = answer("column:risk", task="multiclass", classes=["Low", "Medium", "High"])
    assert many.labels.tolist() == ["Low", "High", "Medium", "Low"]
    assert answer("column:decile", task="regression").values.tolist() == [1.0, 10.0, 5.0, 2.0]
    named = answer("column:risk", classes=["Low", "High"]) if False else answer("column:decided", classes=["0", "1"])
    assert named.labels.tolist() == ["0", "1", "1", "0"]


def test_a_column_that_cannot_decide_says_why() -> None:
    with pytest.raises(ModelError, match=r"holds \[10?.*column:decile >= 5"):
        answer("column:decile")
    with pytest.raises(ModelError, match="no number and no text in quotes"):
        open_model("column:risk != Low")
    with pytest.raises(ModelError, match="names no column"):
        open_model("column:")
    with pytest.raises(ModelError, match=r"Not there: 'rsk'.*'risk'"):
        answer('column:rsk == "Low"')
    with pytest.raises(ModelError, match="asks for numbers in 'risk'"):
        answer("column:risk > 3")


def test_a_gap_in_a_decision_is_no_decision() -> None:
    outputs = answer('column:gap != "Low"')
    assert outputs.labels.tolist() == [0, None, 1, 0]
    problems = check_outputs(outputs, 4, (0, 1))
    assert [(problem.kind, problem.rows) for problem in problems] == [("nan", 1)]


def test_wrong_answers_are_named() -> None:
    good = Outputs((0, 1), scores=np.array([[0.4, 0.6], [1.0, 0.0]]), labels=np.array([1, 0]))
    assert check_outputs(good, 2, (0, 1)) == ()
    kinds = {
        "nan": Outputs((0, 1), scores=np.array([[np.nan, np.nan], [1.0, 0.0]])),
        "infinite": Outputs(values=np.array([np.inf, 1.0])),
        "range": Outputs((0, 1), scores=np.array([[-0.2, 1.2], [1.0, 0.0]])),
        "sum": Outputs((0, 1), scores=np.array([[0.2, 0.2], [1.0, 0.0]])),
        "label": Outputs((0, 1), labels=np.array([7, 0])),
        "shape": Outputs((0, 1), scores=np.array([[1.0, 0.0]])),
    }
    for kind, outputs in kinds.items():
        (wrong,) = check_outputs(outputs, 2, outputs.classes)
        assert (wrong.kind, wrong.rows) == (kind, 2 if kind == "shape" else 1)
        assert kind == "shape" or wrong.clause.endswith("for 1 of 2 rows")
    assert check_outputs(Outputs(), 2)[0].kind == "shape"
    assert check_outputs(Outputs((0, 1), scores=np.zeros((0, 2)), labels=np.zeros(0)), 0, (0, 1)) == ()


def test_labels_of_one_spelling_are_the_class() -> None:
    assert check_outputs(Outputs(("0", "1"), labels=np.array([True, False])), 2, ("0", "1")) == ()


def test_onnx_graphs_answer_as_the_pipeline_they_were_made_from(
    rows: pd.DataFrame, answers: dict[str, Any], tmp_path: Path, opened: Open
) -> None:
    pytest.importorskip("onnxruntime")
    skl2onnx = pytest.importorskip("skl2onnx")
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    data = rows[["score", "debt", "trade"]].fillna({"score": 0.0, "debt": 0.0}).astype({"trade": object})
    encode = ColumnTransformer([("n", StandardScaler(), ["score", "debt"]), ("c", OneHotEncoder(), ["trade"])])
    fitted = make_pipeline(encode, LogisticRegression(max_iter=500)).fit(data, answers["multiclass"])
    types = [
        ("score", FloatTensorType([None, 1])),
        ("debt", FloatTensorType([None, 1])),
        ("trade", StringTensorType([None, 1])),
    ]
    for zipmap in (True, False):
        graph = skl2onnx.to_onnx(fitted, initial_types=types, options={"zipmap": zipmap})
        (tmp_path / "pipe").write_bytes(graph.SerializeToString())
        model = opened("pipe", folder=tmp_path)
        assert (model.format, model.task, model.classes) == ("onnx", "multiclass", (0, 1, 2))
        np.testing.assert_allclose(model.predict(data).scores, fitted.predict_proba(data), atol=2e-6)
        assert len(model.predict(data[:0])) == 0
        assert len(model.predict(data[:1])) == 1
    X = data[["score", "debt"]]
    line = LinearRegression().fit(X.to_numpy(), answers["regression"])
    graph = skl2onnx.to_onnx(line, X.to_numpy(dtype=np.float32)[:1])
    (tmp_path / "line.txt").write_bytes(graph.SerializeToString())
    wide = opened("line.txt", folder=tmp_path, features=["score", "debt"])
    assert wide.task == "regression"
    np.testing.assert_allclose(wide.predict(data).values, line.predict(X.to_numpy()), atol=1e-5)
    assert "ai.onnx.ml.LinearRegressor" in wide.describe().params["operators"]  # type: ignore[operator]
    (tmp_path / "cut").write_bytes(graph.SerializeToString()[:40])
    with pytest.raises(ModelError, match="cut"):
        opened("cut", folder=tmp_path)


def test_fingerprints_follow_the_content_and_the_options(tmp_path: Path, cases: Path) -> None:
    file = cases / "legacy_models/lightgbm/2.3.0/ClassificationVersicolor.txt"
    one = open_model(str(file)).fingerprint
    assert one == __import__("hashlib").sha256(file.read_bytes()).hexdigest()
    assert open_model(str(file), classes=["no", "yes"]).fingerprint != one
    assert open_model(str(file), threads=2).fingerprint == one
    assert open_model("column:a").fingerprint != open_model("column:b").fingerprint
