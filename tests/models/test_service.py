"""A running service of the Open Inference Protocol: against a real HTTP server that answers for a fitted model."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from workbench.models import Model, ModelError, open_model
from workbench.models.service import PAUSE

Open = Callable[..., Model]
Reply = tuple[int, Any]


class Server:
    """models: by name, their metadata and what answers; trouble: statuses to give before the next good answer."""

    def __init__(self) -> None:
        self.models: dict[str, tuple[dict[str, Any], Callable[[dict[str, Any]], Any]]] = {}
        self.trouble: list[int] = []
        self.seen: list[dict[str, Any]] = []
        self.tokens: list[str | None] = []
        self.delay = 0.0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.give(lambda found: found[0])

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.seen.append(body)
                self.give(lambda found: found[1](body))

            def give(self, answer: Callable[[Any], Any]) -> None:
                outer.tokens.append(self.headers.get("Authorization"))
                time.sleep(outer.delay)
                name = self.path.split("/")[3]
                status = outer.trouble.pop(0) if outer.trouble else 200 if name in outer.models else 404
                told = answer(outer.models[name]) if status == 200 else {"error": "the row of Ada Lovelace is odd"}
                data = told if isinstance(told, bytes) else json.dumps(told).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                if status == 302:
                    self.send_header("Location", "http://elsewhere.invalid/")
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/v2/models/{name}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("workbench.models.service.PAUSE", PAUSE / 10)
    made = Server()
    yield made
    made.server.shutdown()
    made.server.server_close()


def tensor(name: str, datatype: str, *shape: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [-1, *shape]}


def output(name: str, datatype: str, data: Any) -> dict[str, Any]:
    array = np.asarray(data)
    return {"name": name, "datatype": datatype, "shape": list(array.shape), "data": array.ravel().tolist()}


def matrix(body: dict[str, Any]) -> Any:
    """A request's inputs as one matrix."""
    parts = [np.array(one["data"], dtype=float).reshape(one["shape"][0], -1) for one in body["inputs"]]
    return np.column_stack(parts)


@pytest.fixture(scope="module")
def data() -> tuple[pd.DataFrame, Any]:
    rng = np.random.default_rng(5)
    X = pd.DataFrame(rng.normal(size=(300, 3)), columns=["age", "income", "debt"])
    return X, (X["age"] + X["debt"] > 0).map({True: "good", False: "bad"}).to_numpy()


def test_one_tensor_per_column_and_one_for_all(server: Server, data: tuple[pd.DataFrame, Any], opened: Open) -> None:
    X, y = data
    fitted = LogisticRegression().fit(X.to_numpy(), y)

    def answer(body: dict[str, Any]) -> Any:
        rows = matrix(body)
        label = output("label", "BYTES", fitted.predict(rows).tolist())
        return {"model_name": "m", "outputs": [label, output("scores", "FP64", fitted.predict_proba(rows))]}

    outs = [tensor("label", "BYTES", 1), tensor("scores", "FP64", 2)]
    apart = [tensor(name, "FP64", *shape) for name, shape in (("age", ()), ("income", (1,)), ("debt", (1,)))]
    server.models["apart"] = ({"name": "m", "versions": ["3"], "inputs": apart, "outputs": outs}, answer)
    server.models["wide"] = ({"name": "m", "inputs": [tensor("X", "FP64", 3)], "outputs": outs}, answer)
    classes = ["bad", "good"]
    rows = X.iloc[:, ::-1].assign(more="ignored")
    for name, options in (("apart", {}), ("wide", {"features": list(X.columns)})):
        model = opened(server.url(name), classes=classes, batch=128, **options)
        server.seen.clear()
        outputs = model.predict(rows)
        np.testing.assert_allclose(outputs.scores, fitted.predict_proba(X.to_numpy()), rtol=0, atol=1e-15)
        np.testing.assert_array_equal(outputs.labels, fitted.predict(X.to_numpy()))
        assert [body["inputs"][0]["shape"][0] for body in server.seen] == [128, 128, 44]
        assert len(model.predict(rows.head(0))) == 0
    assert opened(server.url("apart") + "/versions/3", classes=classes).task == "binary"
    with pytest.raises(ModelError, match=r"the option features"):
        opened(server.url("wide"), classes=classes).predict(rows)


def test_a_regression_in_float32_and_missing_values(
    server: Server, data: tuple[pd.DataFrame, Any], opened: Open
) -> None:
    X, _ = data
    fitted = LinearRegression().fit(X.to_numpy(np.float32), X["age"])

    def answer(body: dict[str, Any]) -> Any:
        rows = np.nan_to_num(matrix(body).astype(np.float32))
        return {"outputs": [output("y", "FP32", fitted.predict(rows).astype(np.float32))]}

    inputs = [tensor(name, "FP32") for name in X.columns]
    server.models["r"] = ({"name": "r", "inputs": inputs, "outputs": [tensor("y", "FP32")]}, answer)
    model = opened(server.url("r"))
    assert (model.task, model.classes) == ("regression", ())
    values = model.predict(X).values
    np.testing.assert_allclose(values, fitted.predict(X.to_numpy(np.float32)), rtol=0, atol=1e-6)
    holes = X.mask(X > 1)
    np.testing.assert_allclose(
        model.predict(holes).values, fitted.predict(holes.fillna(0).to_numpy(np.float32)), rtol=1e-5, atol=1e-5
    )
    with pytest.raises(ModelError, match="infinite values in 'age'"):
        model.predict(X.assign(age=np.inf))
    whole = {"name": "w", "inputs": [tensor("age", "INT64")], "outputs": [tensor("y", "FP32")]}
    server.models["w"] = (whole, answer)
    with pytest.raises(ModelError, match="whole numbers in 'age'"):
        opened(server.url("w")).predict(pd.DataFrame({"age": [1.0, np.nan]}))


def test_the_token_goes_with_every_request_and_nowhere_else(
    server: Server, data: tuple[pd.DataFrame, Any], opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    outs = [tensor("label", "INT64")]
    answer = {"outputs": [output("label", "INT64", [1] * len(data[0]))]}
    about = {"name": "m", "inputs": [tensor(name, "FP64") for name in data[0].columns], "outputs": outs}
    server.models["m"] = (about, lambda _: answer)
    options = {"classes": ["no", "yes"], "token_from": "CREDIT_TOKEN"}
    with pytest.raises(ModelError, match="variable CREDIT_TOKEN is empty"):
        opened(server.url("m"), **options)
    fingerprints = set()
    for token, sent in (("s3cret", "Bearer s3cret"), ("Basic abc", "Basic abc")):
        monkeypatch.setenv("CREDIT_TOKEN", token)
        server.tokens.clear()
        model = opened(server.url("m"), **options)
        outputs = model.predict(data[0])
        assert set(server.tokens) == {sent}
        assert outputs.labels is not None
        assert set(outputs.labels.tolist()) == {"yes"}
        assert outputs.scores is None
        told = f"{model.describe()} {model.fingerprint} {model.answered_by} {model.versions}"  # type: ignore[attr-defined]
        assert token not in told
        fingerprints.add(model.fingerprint)
    assert len(fingerprints) == 1
    server.trouble = [401]
    with pytest.raises(ModelError, match="check the token in CREDIT_TOKEN") as caught:
        model.predict(data[0])
    assert "abc" not in str(caught.value)


def test_trouble_is_a_sentence_and_a_busy_service_is_asked_again(server: Server, opened: Open) -> None:
    about = {"name": "m", "inputs": [tensor("a", "FP64")], "outputs": [tensor("y", "FP64")]}
    rows = pd.DataFrame({"a": [1.0, 2.0]})
    server.models["m"] = (about, lambda body: {"outputs": [output("y", "FP64", body["inputs"][0]["data"])]})
    model = opened(server.url("m"), timeout=2)
    server.trouble = [503, 429]
    np.testing.assert_array_equal(model.predict(rows).values, [1, 2])
    for trouble, said in (
        ([503] * 9, r"status 503.* in 4 attempts"),
        ([500], "refused 2 rows .status 500"),
        ([302], "sends elsewhere"),
        ([404], "no such model"),
    ):
        server.trouble = trouble
        with pytest.raises(ModelError, match=said) as caught:
            model.predict(rows)
        assert "Lovelace" not in str(caught.value)
        server.trouble = []
    bad: list[tuple[Any, str]] = [
        (b"<html>", "answered no JSON"),
        ({"predictions": [1]}, "without outputs"),
        ({"outputs": [output("y", "FP64", [1.0])]}, "answered 1 values of 'y' for 2 rows"),
        ({"outputs": [{"name": "y", "datatype": "FP64", "data": ["x", "y"]}]}, "no FP64"),
    ]
    for reply, said in bad:
        server.models["m"] = (about, lambda _, reply=reply: reply)
        with pytest.raises(ModelError, match=said):
            model.predict(rows)
    server.delay = 1.0
    with pytest.raises(ModelError, match=r"within 0\.2 s"):
        opened(server.url("m"), timeout=0.2)
    server.delay = 0.0


def test_addresses_and_models_that_do_not_fit(server: Server) -> None:
    server.models["silent"] = ({"name": "m", "inputs": [tensor("a", "FP64")], "outputs": []}, lambda _: {})
    server.models["blank"] = ({"name": "m", "inputs": []}, lambda _: {})
    server.models["odd"] = ({"name": "m", "inputs": [tensor("a", "COMPLEX")]}, lambda _: {})
    port = server.server.server_port
    for url, said in (
        (server.url("none"), "has no such model"),
        (server.url("silent"), "does not say whether it classifies"),
        (server.url("blank"), "does not say which inputs"),
        (server.url("odd"), "'COMPLEX', which is not read"),
        (f"http://127.0.0.1:{port}/predict", "is not the address of a model"),
        (f"http://ada:secret@127.0.0.1:{port}/v2/models/m", "holds no user, password"),
        ("http://127.0.0.1:9/v2/models/m", "cannot be reached.* in 4 attempts"),
    ):
        with pytest.raises(ModelError, match=said) as caught:
            open_model(url)
        assert "secret" not in str(caught.value)
