"""ONNX graphs as models, answered by onnxruntime.

Two shapes of input are known: one tensor [n, F] of all features (their names by the option `features`), and one
tensor [n, 1] per raw column, as skl2onnx writes pipelines. Of the outputs, a label and probabilities (a tensor, or
ZipMap's list of mappings), or one tensor of values.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.models.base import OpenModel, from_scores
from workbench.models.inputs import as_number
from workbench.models.options import Options
from workbench.models.protocol import Input, Kind, Label, ModelError, Outputs, Piece, Plain
from workbench.models.torch_file import CARD, Card

NUMBERS = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}

LABELS = ("tensor(int64)", "tensor(int32)", "tensor(string)")


class OnnxModel(OpenModel):
    format = "onnx"

    def __init__(self, path: Path, session: Any, options: Options) -> None:
        import onnxruntime

        self.path, self.session = path, session
        self.ports = session.get_inputs()
        self.graph = _graph(path)
        card = _card(session)
        if card is None:
            inputs = _inputs(self.ports, options.features)
            task, classes = _task(session.get_outputs(), self.graph, options)
        else:
            named = {one.name: one for one in card.inputs}
            inputs = tuple(named[port.name] for port in self.ports)
            task, classes = options.task or card.task, options.classes or card.classes
        self.wide, self.ours = len(self.ports) == 1 and len(inputs) != 1, card is not None
        super().__init__(
            fingerprint=options.fingerprint(path),
            task=task,
            inputs=inputs,
            classes=classes,
            answered_by=f"onnxruntime {onnxruntime.__version__}",
        )
        self.decides = task != "regression" and session.get_outputs()[-1].type in LABELS

    def _run(self, rows: pd.DataFrame) -> list[Any]:
        if self.wide:
            matrix = rows.to_numpy(dtype=NUMBERS.get(self.ports[0].type, object))
            feed = {self.ports[0].name: matrix}
        else:
            feed = {
                port.name: _tensor(rows[one.name], port.type) for port, one in zip(self.ports, self.inputs, strict=True)
            }
        answers: list[Any] = self.session.run(None, feed)
        return answers

    def answer(self, rows: pd.DataFrame) -> Outputs:
        answers = self._run(rows)
        if self.task == "regression":
            return Outputs(values=np.asarray(answers[-1], dtype=np.float64).reshape(len(rows), -1)[:, 0])
        scores = _scores(answers)
        if self.ours:
            return Outputs(self.classes, scores=scores, labels=_or_none(_labels(answers[0]), self.classes))
        if scores is None:
            return Outputs(self.classes, labels=_labels(answers[0]))
        outputs = from_scores(self.classes, scores)
        if len(answers) > 1 and _is_label(answers[0]):
            # The graph's own decision, which float32 may place differently from ours.
            return Outputs(
                self.classes, scores=outputs.scores, labels=_renamed(_labels(answers[0]), answers, self.classes)
            )
        return outputs

    def describe(self) -> Piece:
        meta = self.session.get_modelmeta()
        params: dict[str, Plain] = {"producer": meta.producer_name, "graph": meta.graph_name, **self.graph}
        try:
            import onnx
        except ImportError:
            return Piece("onnx.Graph", str(meta.version), params)
        from workbench.models.onnx_graph import graph_piece

        return graph_piece(onnx.load(str(self.path)), params, str(meta.version))


def open_onnx(path: Path, options: Options) -> OnnxModel:
    """Raises ModelError without onnxruntime, or where it cannot load the graph."""
    try:
        import onnxruntime
    except ImportError:
        raise ModelError(f"{path.name} is an ONNX model: install onnxruntime (the extra 'models') to open it") from None
    session_options = onnxruntime.SessionOptions()
    session_options.intra_op_num_threads = session_options.inter_op_num_threads = options.threads
    session_options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(str(path), session_options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(
            f"{path.name} starts like an ONNX model, but onnxruntime {onnxruntime.__version__} cannot load it "
            f"({' '.join(str(error).split())[:200]}): it was cut short, or needs a newer onnxruntime"
        ) from error
    return OnnxModel(path, session, options)


def _card(session: Any) -> Card | None:
    """What a file of ours says of itself; None for one of another program."""
    said = session.get_modelmeta().custom_metadata_map.get(CARD)
    if not said:
        return None
    try:
        return Card.from_plain(json.loads(said))
    except (ValueError, RecursionError, AttributeError) as error:
        raise ModelError(f"the ONNX file's {CARD} is no JSON ({str(error)[:200]}): make the file anew") from error


def _inputs(ports: Sequence[Any], features: tuple[str, ...] | None) -> tuple[Input, ...]:
    if len(ports) == 1 and len(ports[0].shape) == 2 and ports[0].shape[1] != 1:
        count = ports[0].shape[1]
        if not isinstance(count, int) and features is None:
            raise ModelError("the ONNX graph takes any number of columns: name them with the option features: [...]")
        names = features or tuple(f"x{number}" for number in range(count))
        if isinstance(count, int) and len(names) != count:
            raise ModelError(f"the option features names {len(names)} columns, and the graph asks for {count}")
        return tuple(Input(name, "text" if ports[0].type == "tensor(string)" else "number") for name in names)
    wide = [port.name for port in ports if len(port.shape) != 2 or port.shape[1] not in (1, None, "N")]
    if wide:
        raise ModelError(f"the ONNX graph takes several tensors, and {wide[:3]} hold more than one column each: "
                         "export it with one input per column, or with one for all")  # fmt: skip
    return tuple(Input(port.name, "text" if port.type == "tensor(string)" else "number") for port in ports)


def _tensor(series: pd.Series[Any], kind: str) -> NDArray[Any]:
    if kind == "tensor(string)":
        text = series.astype(object).where(series.notna(), "")
        return np.array([str(value) for value in text] + [""], dtype=object)[:-1].reshape(-1, 1)
    if kind not in NUMBERS:
        raise ModelError(f"the ONNX graph asks for {kind} in {series.name!r}, which is not read here")
    numbers = as_number(series, str(series.name)).to_numpy(dtype=np.float64)
    if np.isnan(numbers).any() and kind not in ("tensor(float)", "tensor(double)"):
        raise ModelError(f"the ONNX graph asks for whole numbers in {series.name!r}; the data has missing values there")
    return np.asarray(numbers.astype(NUMBERS[kind]).reshape(-1, 1))


def _is_label(answer: Any) -> bool:
    return isinstance(answer, np.ndarray) and answer.dtype.kind in "iuOUS" and answer.size == len(answer)


def _labels(answer: Any) -> NDArray[np.generic]:
    labels = np.asarray(answer).reshape(-1)
    return np.asarray(labels.astype(object)) if labels.dtype.kind in "OUS" else labels


def _or_none(labels: NDArray[np.generic], classes: tuple[Label, ...]) -> NDArray[np.generic]:
    """Labels as the caller's classes; None where the file gives none of them, for a row without an answer."""
    place = dict(zip(classes, classes))
    named = [place.get(label) for label in labels.tolist()]
    plain = None not in named and not any(isinstance(one, str) for one in classes)
    return np.array(named) if plain else np.array([*named, None], dtype=object)[:-1]


def _renamed(labels: NDArray[np.generic], answers: list[Any], classes: tuple[Label, ...]) -> NDArray[np.generic]:
    """Labels in the caller's names for the classes, where the graph counts 0, 1, ... instead."""
    if all(label in classes for label in dict.fromkeys(labels.tolist())):
        return labels
    return np.array([classes[int(label)] for label in labels.tolist()] + [None], dtype=object)[:-1]


def _scores(answers: list[Any]) -> NDArray[np.float64] | None:
    """Probabilities [n, k] or [n, 1] among the outputs, None where there are none."""
    last = answers[-1]
    if isinstance(last, list) and last and isinstance(last[0], dict):
        return np.array([list(row.values()) for row in last], dtype=np.float64)
    if isinstance(last, np.ndarray) and last.dtype.kind == "f":
        return last.astype(np.float64).reshape(len(last), -1)
    return None


def _task(ports: Sequence[Any], graph: dict[str, Plain], options: Options) -> tuple[Kind, tuple[Label, ...]]:
    """From the outputs' types: a label, or a mapping by class, is a classifier; the graph's nodes name its classes.

    Raises ModelError where the classes are neither named nor counted.
    """
    last = ports[-1]
    named = graph.get("classes")
    classes = options.classes or (tuple(cast("list[Label]", named)) if isinstance(named, list) else ())
    wide = last.shape[1] if len(last.shape or ()) == 2 and isinstance(last.shape[1], int) else 0
    classifies = last.type.startswith("seq(map") or any(port.type in LABELS for port in ports) or wide > 1
    task = options.task or (
        "regression" if not classifies else "multiclass" if max(wide, len(classes)) > 2 else "binary"
    )
    if task == "regression":
        return task, ()
    if not classes and not wide and task == "multiclass":
        raise ModelError(
            "the ONNX graph does not say how many classes it has: name them with the option classes: [...]"
        )
    return task, classes or tuple(range(max(2, wide)))


def _graph(path: Path) -> dict[str, Plain]:
    """Opsets, operators and class labels, where the package onnx is there to read them."""
    try:
        import onnx
    except ImportError:
        return {}
    model = onnx.load(str(path), load_external_data=False)
    operators = sorted({f"{node.domain or 'ai.onnx'}.{node.op_type}" for node in model.graph.node})
    about: dict[str, Plain] = {
        "opset": {(entry.domain or "ai.onnx"): int(entry.version) for entry in model.opset_import},
        "operators": list[Plain](operators),
        "ir": int(model.ir_version),
    }
    labels = [
        onnx.helper.get_attribute_value(attribute)
        for node in model.graph.node
        for attribute in node.attribute
        if attribute.name.startswith("classlabels_")
    ]
    if labels:
        about["classes"] = [one.decode() if isinstance(one, bytes) else int(one) for one in labels[-1]]
    return about
