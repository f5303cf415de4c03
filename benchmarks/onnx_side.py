"""Conversion to ONNX by skl2onnx and onnxmltools, in an environment of its own; onnxruntime then runs where we run."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

from benchmarks.guest import serve

warnings.filterwarnings("ignore")


def convert(file: str, to: str, family: str, features: int) -> dict[str, Any]:
    """Write `to` from a pickled estimator. One float32 input, class probabilities as one tensor."""
    estimator = pickle.loads(Path(file).read_bytes())
    if family == "sklearn":
        from skl2onnx import to_onnx  # type: ignore[import-untyped]
        from skl2onnx.common.data_types import FloatTensorType  # type: ignore[import-untyped]

        given = [("X", FloatTensorType([None, features]))]
        made = to_onnx(estimator, initial_types=given, options={id(estimator): {"zipmap": False}}, target_opset=17)
    else:
        import onnxmltools  # type: ignore[import-not-found]
        from onnxmltools.convert.common.data_types import FloatTensorType  # type: ignore[import-not-found]

        given = [("X", FloatTensorType([None, features]))]
        change = getattr(onnxmltools, f"convert_{family}")
        extra = {"zipmap": False} if family == "lightgbm" else {}
        if family == "xgboost":
            estimator.get_booster().feature_names = None  # it only takes names of the form f0, f1, ...
        made = change(estimator, initial_types=given, target_opset=15, **extra)
    Path(to).write_bytes(made.SerializeToString())
    return {"outputs": [output.name for output in made.graph.output]}


if __name__ == "__main__":
    serve({"convert": convert})
