"""hummingbird-ml, run by a process in an environment of its own: it needs an older onnx than the rest."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.guest import serve, timed

warnings.filterwarnings("ignore")
_open: dict[str, Any] = {}


def open_model(file: str, rows: str, threads: int) -> dict[str, Any]:
    """Convert a pickled estimator; TorchScript where it can be traced, which is its fast form, else plain torch."""
    import torch
    from hummingbird.ml import convert  # type: ignore[import-not-found]

    torch.set_num_threads(threads)
    estimator = pickle.loads(Path(file).read_bytes())
    X = np.load(rows)
    try:
        model, backend = convert(estimator, "torch.jit", X[:100]), "torch.jit"
        model.predict_proba(X[:3])
    except Exception:
        model, backend = convert(estimator, "torch", X[:100]), "torch"
    _open.update(model=model)
    return {"backend": backend}


def take(rows: str) -> dict[str, Any]:
    """The rows that are asked about from now on."""
    _open["X"] = np.load(rows)
    return {}


def answer(rows: int, to: str) -> dict[str, Any]:
    """Probabilities [rows, k], written to a .npy file; in blocks, for the memory's sake."""
    X = _open["X"]
    found = [_open["model"].predict_proba(X[start : start + 5_000]) for start in range(0, rows, 5_000)]
    np.save(to, np.concatenate(found)[:rows])
    return {}


def time(rows: int, calls: int) -> dict[str, Any]:
    X = _open["X"][:rows]
    wall, cpu = timed(lambda: _open["model"].predict_proba(X), calls)
    return {"wall": wall, "cpu": cpu}


if __name__ == "__main__":
    serve({"open": open_model, "take": take, "answer": answer, "time": time})
