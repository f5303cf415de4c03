"""A model behind a running service that speaks the Open Inference Protocol v2 (KServe, Triton, MLServer).

Protocol: https://github.com/kserve/open-inference-protocol, `GET v2/models/NAME[/versions/V]` says inputs and outputs,
`POST .../infer` answers. A token is read from an environment variable for each request, and is never kept, told or
part of a fingerprint.
"""

from __future__ import annotations

import json
import math
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any, cast
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.models.base import OpenModel, from_scores, label_array
from workbench.models.inputs import as_number
from workbench.models.options import Options
from workbench.models.protocol import Input, Kind, Label, ModelError, Outputs, Piece, normal

TRIES, PAUSE, LARGEST, MOST_ROWS = 4, 0.25, 256 << 20, 5_000
"""Attempts and seconds between the first two, bytes of an answer, rows of one request."""
AGAIN = (429, 502, 503, 504)
TYPES: dict[str, type] = {
    "BOOL": np.bool_,
    **{f"FP{bits}": getattr(np, f"float{bits}") for bits in (16, 32, 64)},
    **{f"INT{bits}": getattr(np, f"int{bits}") for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": getattr(np, f"uint{bits}") for bits in (8, 16, 32, 64)},
}
TEXT = ("BYTES",)
ADDRESS = re.compile(r"/v2/models/[^/]+(/versions/[^/]+)?/?")


class Service:
    """Requests to one address. Raises ModelError in a sentence for whatever does not come back well."""

    def __init__(self, url: str, timeout: float, token_from: str | None) -> None:
        parts = urlsplit(url)
        if parts.username or parts.password or parts.query:
            raise ModelError(
                "the address of a service holds no user, password or query, which would be kept in the evidence: "
                "put a token in an environment variable and name it with the option token_from"
            )
        if not ADDRESS.fullmatch(parts.path):
            raise ModelError(
                f"{url} is not the address of a model: the Open Inference Protocol has "
                "http(s)://host/v2/models/NAME or http(s)://host/v2/models/NAME/versions/V; any other service is "
                "reached by python:package.module:function"
            )
        self.url, self.timeout, self.token_from = url.rstrip("/"), timeout, token_from
        self.opener = urllib.request.build_opener(_NoRedirect())

    def ask(self, path: str = "", body: Mapping[str, Any] | None = None) -> Any:
        """The JSON answer to a GET, or to a POST of body."""
        data = None if body is None else json.dumps(body, allow_nan=False).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=self.headers())  # noqa: S310
        for attempt in range(1, TRIES + 1):
            status, answer, again = self._once(request)
            if status == 200:
                return _parsed(answer, self.url)
            if not again or attempt == TRIES:
                break
            time.sleep(PAUSE * 2 ** (attempt - 1))
        tried = f" in {attempt} attempts" if attempt > 1 else ""
        raise ModelError(f"the service at {self.url} {self._said(status, answer, body)}{tried}")

    def headers(self) -> dict[str, str]:
        found = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.token_from is not None:
            token = os.environ.get(self.token_from, "").strip()
            if not token:
                raise ModelError(f"the environment variable {self.token_from} is empty: put the service's token in it")
            found["Authorization"] = token if " " in token else f"Bearer {token}"
        return found

    def _once(self, request: urllib.request.Request) -> tuple[int, bytes, bool]:
        """Status (0 for no connection), body or reason, and whether another try may help."""
        try:
            with self.opener.open(request, timeout=self.timeout) as reply:
                answer = reply.read(LARGEST + 1)
                return (200, answer, False) if reply.status == 200 else (reply.status, b"", False)
        except urllib.error.HTTPError as error:
            return error.code, error.read(2000), error.code in AGAIN
        except TimeoutError:
            return 0, f"did not answer within {self.timeout:g} s (option timeout)".encode(), False
        except (urllib.error.URLError, HTTPException, OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                return 0, f"did not answer within {self.timeout:g} s (option timeout)".encode(), False
            return (
                0,
                f"cannot be reached ({type(reason).__name__}): is it running, and the address right?".encode(),
                True,
            )

    def _said(self, status: int, answer: bytes, body: Mapping[str, Any] | None) -> str:
        if status == 0:
            return answer.decode()
        if status in (401, 403):
            named = f"the token in {self.token_from}" if self.token_from else "a token (option token_from)"
            return f"refuses the request (status {status}): check {named}"
        if 300 <= status < 400:
            return f"sends elsewhere (status {status}): give the address it sends to"
        if status == 404:
            return "has no such model (status 404): check its name and version"
        if body is None:
            return f"failed (status {status}: {_text(answer)})"
        # What it says of rows may quote a cell, and is kept as evidence: its status alone is told.
        absent = ", sent with missing values as null" if _has_null(body) else ""
        return f"refused {_rows(body)} rows{absent} (status {status}): its own log says why"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the token to another host."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _parsed(answer: bytes, url: str) -> Any:
    if len(answer) > LARGEST:
        raise ModelError(
            f"the service at {url} answered more than {LARGEST >> 20} MiB: ask for fewer rows (option batch)"
        )
    try:
        return json.loads(answer)
    except (ValueError, RecursionError):
        raise ModelError(
            f"the service at {url} answered no JSON (it starts with {_text(answer)[:40]!r}): is the address a model's?"
        ) from None


def _text(answer: bytes) -> str:
    return " ".join(answer.decode(errors="replace").split())[:200]


def _has_null(body: Mapping[str, Any]) -> bool:
    return any(None in tensor["data"] for tensor in body["inputs"])


def _rows(body: Mapping[str, Any]) -> int:
    return int(body["inputs"][0]["shape"][0])


class ServiceModel(OpenModel):
    """metadata: as the service gave it. wide: one tensor takes all columns, by their order."""

    format = "service"

    def __init__(self, service: Service, metadata: dict[str, Any], options: Options) -> None:
        self.service, self.metadata = service, metadata
        self.tensors = _tensors(metadata, "inputs")
        self.answers = _tensors(metadata, "outputs")
        self.batch = min(options.batch, MOST_ROWS)
        inputs, self.wide = _inputs(self.tensors, options.features or options.inputs)
        task, classes = _task(self.answers, options)
        self.decides = task != "regression" and not any(_is_score(tensor, len(classes)) for tensor in self.answers)
        told = json.dumps([service.url, metadata], sort_keys=True, default=str)
        super().__init__(
            fingerprint=options.fingerprint(told.encode()),
            task=task,
            inputs=inputs,
            classes=classes,
            answered_by=f"the service at {service.url}",
            versions={str(metadata.get("platform") or "service"): ", ".join(map(str, metadata.get("versions") or ()))},
        )

    def answer(self, rows: pd.DataFrame) -> Outputs:
        parts = [self._part(rows.iloc[at : at + self.batch]) for at in range(0, len(rows), self.batch)]
        return Outputs(
            self.classes,
            **{
                name: np.concatenate([getattr(part, name) for part in parts])
                for name in ("scores", "values", "labels")
                if getattr(parts[0], name) is not None
            },
        )

    def _part(self, rows: pd.DataFrame) -> Outputs:
        reply = self.service.ask("/infer", {"inputs": self._sent(rows)})
        found = {str(tensor["name"]): _array(tensor, len(rows)) for tensor in _replied(reply)}
        wanted = [found[name] for name in (tensor["name"] for tensor in self.answers) if name in found]
        arrays = wanted or list(found.values())
        if self.task == "regression":
            value = next((one for one in arrays if one.dtype.kind == "f" and one[0].size == 1), None)
            if value is None:
                raise ModelError(f"the service answered no number per row in {sorted(found)}: is it a classifier?")
            return Outputs(values=value.reshape(len(rows)).astype(np.float64))
        return self._classified(arrays, len(rows))

    def _classified(self, arrays: list[NDArray[Any]], n: int) -> Outputs:
        scores = next((one for one in arrays if one.dtype.kind == "f" and one[0].size in (1, len(self.classes))), None)
        label = next((one for one in arrays if one.dtype.kind in "iubO" and one[0].size == 1), None)
        if scores is None and label is None:
            raise ModelError(
                "the service answered neither scores nor labels for its classes: name them with classes: [...]"
            )
        if scores is None:
            assert label is not None
            return Outputs(self.classes, labels=self._labels(label.reshape(n)))
        outputs = from_scores(self.classes, scores.reshape(n, -1))
        if label is None:
            return outputs
        return Outputs(self.classes, scores=outputs.scores, labels=self._labels(label.reshape(n)))

    def _labels(self, found: NDArray[Any]) -> NDArray[np.generic]:
        """The service's labels as our classes: by their spelling, or as their place."""
        place = {normal(one): number for number, one in enumerate(self.classes)}
        spelled = [normal(one) for one in found.tolist()]
        if all(one in place for one in spelled):
            return label_array(self.classes, np.array([place[one] for one in spelled], dtype=np.int64))
        if found.dtype.kind in "iu" and len(found) and found.min() >= 0 and found.max() < len(self.classes):
            return label_array(self.classes, found.astype(np.int64))
        raise ModelError(f"the service answered a label that is none of its classes {list(self.classes)[:10]}")

    def _sent(self, rows: pd.DataFrame) -> list[dict[str, Any]]:
        if not self.wide:
            return [
                {**_named(tensor, (len(rows), *tensor["shape"][1:])), "data": _cells(rows[wanted.name], tensor)}
                for wanted, tensor in zip(self.inputs, self.tensors)
            ]
        tensor = self.tensors[0]
        columns = [_cells(rows[wanted.name], tensor) for wanted in self.inputs]
        data = [cell for row in zip(*columns) for cell in row]
        return [{**_named(tensor, (len(rows), len(columns))), "data": data}]

    def describe(self) -> Piece:
        listed = {
            side: [f"{one['name']} {one['datatype']}" for one in _tensors(self.metadata, side)]
            for side in ("inputs", "outputs")
        }
        params: dict[str, Any] = {"platform": str(self.metadata.get("platform", "")), **listed}
        return Piece("service.OpenInference", params=params)


def _tensors(metadata: dict[str, Any], side: str) -> list[dict[str, Any]]:
    found = metadata.get(side) or []
    for tensor in found:
        if (
            not isinstance(tensor, dict)
            or not {"name", "datatype", "shape"} <= set(tensor)
            or not isinstance(tensor["shape"], list)
        ):
            raise ModelError(f"the service describes its {side} without name, datatype or shape: it is no v2 service")
        if tensor["datatype"] not in (*TYPES, *TEXT):
            raise ModelError(
                f"the service has {tensor['name']!r} of the type {tensor['datatype']!r}, which is not read here"
            )
    return cast("list[dict[str, Any]]", found)


def _inputs(tensors: list[dict[str, Any]], names: tuple[str, ...] | None) -> tuple[tuple[Input, ...], bool]:
    """The columns, and whether one tensor takes them all."""
    if not tensors:
        raise ModelError("the service does not say which inputs it takes: describe the model's inputs in its settings")
    kind = [cast("Any", "text" if tensor["datatype"] in TEXT else "number") for tensor in tensors]
    if len(tensors) == 1 and (wide := tensors[0]["shape"][1:]) and wide != [1]:
        count = wide[0] if len(wide) == 1 else 0
        if count < 1 and names is None:
            raise ModelError("the service takes one tensor of any number of columns: name them with features: [...]")
        chosen = names or tuple(f"x{number}" for number in range(count))
        if 0 < count != len(chosen):
            raise ModelError(f"the option features names {len(chosen)} columns, and the service asks for {count}")
        return tuple(Input(name, kind[0]) for name in chosen), True
    several = [tensor["name"] for tensor in tensors if tensor["shape"][1:] not in ([], [1])]
    if several:
        raise ModelError(f"the service takes several tensors, and {several[:3]} hold more than one column each")
    if names is not None and len(names) != len(tensors):
        raise ModelError(f"the option features names {len(names)} columns, and the service asks for {len(tensors)}")
    chosen = names or tuple(str(tensor["name"]) for tensor in tensors)
    return tuple(Input(name, one) for name, one in zip(chosen, kind)), False


def _task(outputs: list[dict[str, Any]], options: Options) -> tuple[Kind, tuple[Label, ...]]:
    widths = [tensor["shape"][1] for tensor in outputs if _is_float(tensor) and len(tensor["shape"]) == 2]
    wide = max([width for width in widths if isinstance(width, int)], default=0)
    labelled = any(tensor["datatype"] not in ("FP16", "FP32", "FP64") for tensor in outputs)
    classes = options.classes or (tuple(range(wide)) if wide > 1 else ())
    if options.task == "regression" or (options.task is None and not classes and not labelled and outputs):
        return "regression", ()
    if not classes and options.task == "binary":
        classes = (0, 1)
    if not classes:
        raise ModelError(
            "the service does not say whether it classifies, and into which classes: give the option task, and for a "
            "classifier classes: [...]"
        )
    return ("binary" if len(classes) == 2 else "multiclass"), classes


def _is_float(tensor: dict[str, Any]) -> bool:
    return str(tensor["datatype"]).startswith("FP")


def _is_score(tensor: dict[str, Any], classes: int) -> bool:
    return _is_float(tensor) and (tensor["shape"][1:] in ([], [1], [-1], [classes]))


def _named(tensor: dict[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    return {"name": tensor["name"], "shape": [abs(size) for size in shape], "datatype": tensor["datatype"]}


def _cells(series: pd.Series[Any], tensor: dict[str, Any]) -> list[Any]:
    """The column as JSON: text as it is, numbers in the tensor's type, missing as null."""
    if tensor["datatype"] in TEXT:
        return [None if value is None or value != value else str(value) for value in series.astype(object)]
    numbers = as_number(series, str(series.name)).to_numpy(dtype=np.float64)
    if np.isinf(numbers).any():
        raise ModelError(f"the data has infinite values in {series.name!r}, which JSON cannot carry to a service")
    kind = TYPES[tensor["datatype"]]
    if not np.issubdtype(kind, np.floating):
        if np.isnan(numbers).any():
            raise ModelError(
                f"the service asks for whole numbers in {series.name!r}; the data has missing values there"
            )
        return cast("list[Any]", numbers.astype(kind).tolist())
    # The shortest digits of a float32 come back as the same float32.
    return [None if math.isnan(value) else value for value in map(float, numbers.astype(kind).astype(str))]


def _replied(reply: Any) -> list[dict[str, Any]]:
    outputs = reply.get("outputs") if isinstance(reply, dict) else None
    if not isinstance(outputs, list) or not all(
        isinstance(one, dict) and {"name", "data"} <= set(one) for one in outputs
    ):
        raise ModelError("the service answered without outputs: it does not speak the Open Inference Protocol v2")
    return outputs


def _array(tensor: dict[str, Any], n: int) -> NDArray[Any]:
    """[n, ...] of a reply's tensor, flat or nested. Raises ModelError where it has not one part per row."""
    kind = tensor.get("datatype")
    data = np.array(tensor["data"], dtype=object).reshape(-1)
    if len(data) == 0 or len(data) % n:
        raise ModelError(f"the service answered {len(data)} values of {tensor['name']!r} for {n} rows")
    try:
        data = data if kind in TEXT or kind not in TYPES else data.astype(TYPES[kind])
    except (ValueError, TypeError, OverflowError):
        raise ModelError(f"the service answered values of {tensor['name']!r} that are no {kind}") from None
    return data.reshape(n, -1)


def open_service(url: str, options: Options) -> ServiceModel:
    """The model at an address of the Open Inference Protocol. Raises ModelError where it cannot be asked."""
    service = Service(url, options.timeout, options.token_from)
    metadata = service.ask()
    if not isinstance(metadata, dict) or "name" not in metadata:
        raise ModelError(f"the service at {service.url} does not describe a model: it is no v2 service")
    return ServiceModel(service, metadata, options)
