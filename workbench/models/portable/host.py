"""The host in a model's own environment: it opens a pickle there and answers for it over stdin and stdout.

It gets the bytes of the pickle, unpacked and walked, and knows nothing of models beyond their methods; what it loaded
is sent over as plain data, and judged on the other side (`environment_model`) before the first answer.
"""

import io
import json
import os
import resource
import struct
import sys
import time
import traceback
import warnings
from typing import IO, Any

import numpy as np

from .state import Reader, methods
from .unpickler import Refused, Unpickler

HEADER = struct.Struct("<I")
LIBRARIES = ("sklearn", "numpy", "scipy", "pandas", "xgboost", "lightgbm", "sklearn2pmml", "sklearn_pandas")


class Host:
    """One estimator and the requests about it."""

    def __init__(self) -> None:
        self.estimator: Any = None
        self.held: Any = None

    def handle(self, header: "dict[str, Any]", parts: "list[bytes]") -> "tuple[dict[str, Any], bytes]":
        requests: Any = {"open": self.open, "call": self.call, "time": self.time, "serve": self.serve}
        requests["look"] = self.look
        answer: Any = requests[header["do"]](header, parts) if header["do"] in requests else ({"pss": 0, "gpu": 0}, b"")
        return answer  # type: ignore[no-any-return]

    def open(self, header: "dict[str, Any]", parts: "list[bytes]") -> "tuple[dict[str, Any], bytes]":
        allowed = header["allowed"]
        names = None if allowed is None else frozenset((module, name) for module, name in allowed)
        estimator = Unpickler(io.BytesIO(parts[0]), names).load()
        _pin_jobs(estimator, header["threads"])
        self.estimator = estimator
        reader = Reader()
        about = {"state": reader.node(estimator), "kind": _kind(estimator), "versions": _versions()}
        about["has"] = methods(estimator)
        about["arrays"], data = _to_npz(reader.arrays)
        return about, data

    def call(self, header: "dict[str, Any]", parts: "list[bytes]") -> "tuple[dict[str, Any], bytes]":
        reader = Reader()
        answer = reader.node(np.asarray(getattr(self.estimator, header["method"])(_rows(header, parts[0]))))
        names, data = _to_npz(reader.arrays)
        return {"answer": answer, "arrays": names}, data

    def look(self, header: "dict[str, Any]", parts: "list[bytes]") -> "tuple[dict[str, Any], bytes]":
        """Rows as the last step of a pipeline sees them, and its own sums for them."""
        X, end = _rows(header, parts[0]), self.estimator
        while hasattr(end, "steps"):
            for _, step in end.steps[:-1]:
                X = X if step is None or isinstance(step, str) else step.transform(X)
            end = end.steps[-1][1]
        X = end._preprocess_X(X, reset=False) if hasattr(end, "_preprocess_X") else X
        answers = next(name for name in ("decision_function", "predict_proba", "predict") if hasattr(end, name))
        sums = np.asarray(getattr(end, answers)(X), dtype=np.float64)
        matrix = np.asarray(X.toarray() if hasattr(X, "toarray") else X, dtype=np.float64)
        _, data = _to_npz({"a0": matrix, "a1": sums.reshape(len(sums), -1)})
        return {"arrays": {"names": ["matrix", "margin"], "objects": {}}}, data

    def time(self, header: "dict[str, Any]", parts: "list[bytes]") -> "tuple[dict[str, Any], bytes]":
        """Each call's wall and CPU nanoseconds. scope "whole": reading the rows and writing the answers, too."""
        ask, wall, cpu = self.asked(header, parts), [], []
        for _ in range(int(header["calls"])):
            busy, start = time.process_time(), time.perf_counter()
            ask()
            wall.append(int((time.perf_counter() - start) * 1e9))
            cpu.append(int((time.process_time() - busy) * 1e9))
        return {"wall": wall, "cpu": cpu}, b""

    def serve(self, header: "dict[str, Any]", parts: "list[bytes]") -> "tuple[dict[str, Any], bytes]":
        """Nanoseconds from each scheduled arrival of a query to its answer."""
        ask, latencies, start = self.asked(header, parts), [], time.perf_counter()
        for arrival in header["arrivals"]:
            time.sleep(max(0.0, start + arrival - time.perf_counter()))
            ask()
            latencies.append(int(1e9 * (time.perf_counter() - start - arrival)))
        return {"latencies": latencies}, b""

    def asked(self, header: "dict[str, Any]", parts: "list[bytes]") -> Any:
        """The call to be timed, about rows that came now or with an earlier request."""
        if parts:
            self.held = (header, parts[0])
        about, data = self.held
        if header.get("scope") == "whole":
            return lambda: self.call(about, [data])
        X, method = _rows(about, data), getattr(self.estimator, about["method"])
        return lambda: method(X)


def _kind(estimator: Any) -> str:
    """As every version of scikit-learn says it: "classifier", "regressor", "clusterer", "" for anything else."""
    end = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
    held: Any = (estimator, end, getattr(end, "estimator", None), getattr(end, "estimator_", None))
    for one in held:
        kind = getattr(one, "_estimator_type", None)
        if kind is None and hasattr(one, "__sklearn_tags__"):
            kind = one.__sklearn_tags__().estimator_type
        if kind:
            return str(kind)
    return ""


def _versions() -> "dict[str, str]":
    """Of the libraries that were loaded, by the name they are imported by."""
    found = {name: str(getattr(sys.modules[name], "__version__", "")) for name in LIBRARIES if name in sys.modules}
    return {**found, "python": sys.version.split()[0]}


def _pin_jobs(estimator: Any, threads: int) -> None:
    """An estimator saved with n_jobs=-1 would take the whole machine, and be timed with it."""
    try:
        params = estimator.get_params(deep=True)
        jobs = {name: threads for name, value in params.items() if name.rsplit("__", 1)[-1] == "n_jobs" and value}
        if jobs:
            estimator.set_params(**jobs)
    except Exception:
        traceback.print_exc()


def _rows(header: "dict[str, Any]", data: bytes) -> Any:
    """The rows as the model was trained on them: a frame, or a matrix where it knows no names."""
    import pandas as pd
    import pyarrow as pa

    table = pa.ipc.open_stream(data).read_all()
    # Column by column: Arrow's own way to a frame wants a newer pandas than the model may have.
    frame = pd.DataFrame({name: _column(table.column(place)) for place, name in enumerate(table.schema.names)})
    for name in header.get("mixed", ()):
        frame[name] = np.array([json.loads(text) for text in frame[name]] + [None], dtype=object)[:-1]
    for name in frame.columns:
        if frame[name].dtype == object and name not in header["none_for"]:
            frame[name] = frame[name].where(frame[name].notnull(), np.nan)
    return frame if header["named"] else frame.values


def _column(column: Any) -> Any:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_timestamp(kind):
        chunks = [chunk.to_numpy(zero_copy_only=False) for chunk in column.chunks]
        return np.concatenate(chunks) if chunks else np.zeros(0)
    values = column.to_pylist()
    return (
        np.array(values) if pa.types.is_boolean(kind) and None not in values else np.array([*values, None], object)[:-1]
    )


def _to_npz(arrays: "dict[str, Any]") -> "tuple[list[str], bytes]":
    sink = io.BytesIO()
    np.savez(sink, **arrays)
    return list(arrays), sink.getvalue()


def _peak() -> int:
    """The most memory this process has held, in bytes."""
    with open("/proc/self/status") as file:
        held = [line for line in file if line.startswith("VmHWM:")]
    return int(held[0].split()[1]) * 1024 if held else 0


def serve(stream: IO[bytes], out: IO[bytes]) -> None:
    """Answer requests until the other side closes."""
    host = Host()
    while True:
        size = stream.read(HEADER.size)
        if len(size) < HEADER.size:
            return
        header = json.loads(stream.read(HEADER.unpack(size)[0]).decode())
        parts = [stream.read(length) for length in header.pop("parts")]
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + header["cpu"], hard))
        reply, data = _answered(host, header, parts)
        text = json.dumps({**reply, "peak": _peak(), "parts": [len(data)]}).encode()
        out.write(HEADER.pack(len(text)) + text + data)
        out.flush()


def _answered(host: Host, header: "dict[str, Any]", parts: "list[bytes]") -> "tuple[dict[str, Any], bytes]":
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return host.handle(header, parts)
    except Refused as error:
        return {"error": str(error), "kind": "Refused"}, b""
    except BaseException as error:
        traceback.print_exc()
        told = f"{type(error).__name__}: {error}" if header["do"] == "open" else type(error).__name__
        more = ": give it more with the option memory_mb" if isinstance(error, MemoryError) else ""
        return {"error": f"{told} in its own environment ({_place(error)}){more}", "kind": "ModelError"}, b""


def _place(error: BaseException) -> str:
    """Where it happened: the text of an error may quote a cell, and what is told here is kept as evidence."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"line {frame[1]} of {os.path.basename(frame[0])}"


def main(limits: "dict[str, int]") -> None:
    """Take stdin and stdout for the protocol, and leave the model a stdout that is stderr."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    for name, value in limits.items():
        limit, (_, hard) = getattr(resource, name), resource.getrlimit(getattr(resource, name))
        resource.setrlimit(limit, (value if hard < 0 else min(value, hard),) * 2)
    serve(requests, answers)
