"""Torch models saved by torch.export (`.pt2`): opened with nothing but torch and what the file says of itself.

A file of ours carries `workbench.json`: task, classes, inputs, the edge (how raw columns become tensors), the names of
the outputs and how many rows to give at once. With trees it also carries a second program, in which they are our
compiled operator: that one is run wherever the operator is compiled, with the same bits (held when the file is made).
A foreign file needs the options `inputs`, `task` and `classes`; then all its inputs are numbers, given as one float32
or float64 tensor [n, columns].
"""

from __future__ import annotations

import base64
import hashlib
import inspect
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from workbench.models.edge import EdgeColumn, EdgeSpec
from workbench.models.edge_rows import RowReader
from workbench.models.inputs import conform
from workbench.models.protocol import Input, Kind, Label, ModelError, Outputs, Piece, Plain
from workbench.models.torch_check import refuse_code

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from workbench.models.tree_kernel.direct import Direct

FORMAT = 1
"""Version of what `workbench.json` says. A newer one is refused."""

CARD = "workbench.json"
COMPILED = "workbench.compiled"
"""Name of the second program in the file: a `.pt2` in base64, for torch takes only text beside its own."""

ROWS = 16_384
"""Rows given to a model at once, at most: it bounds the memory."""

Call = Callable[[Any, Any], Mapping[str, Any]]


@dataclass(frozen=True)
class Card:
    """What a torch file says of itself. rows: how many rows it is given at once."""

    task: Kind
    classes: tuple[Label, ...]
    inputs: tuple[Input, ...]
    edge: EdgeSpec
    rows: int = ROWS
    source: str = ""
    """What it was lifted from: kind and version."""

    @cached_property
    def reader(self) -> RowReader:
        return RowReader(self.edge, self.inputs)

    @cached_property
    def labels(self) -> NDArray[np.generic]:
        """The classes as an array of their own type; mixed ones as objects, so that 1 stays a number beside "a"."""
        one_type = len({type(value) for value in self.classes}) == 1 and not isinstance(self.classes[0], str)
        return np.array(list(self.classes), dtype=None if one_type else object)

    def to_plain(self) -> dict[str, Plain]:
        inputs: list[Plain] = [
            {"name": i.name, "kind": i.kind, "categories": cast("Plain", list(i.categories))} for i in self.inputs
        ]
        return {
            "format": FORMAT,
            "task": self.task,
            "classes": cast("Plain", list(self.classes)),
            "inputs": inputs,
            "edge": self.edge.to_plain(),
            "rows": self.rows,
            "source": self.source,
        }

    @classmethod
    def from_plain(cls, said: Mapping[str, Any]) -> Card:
        """Raises ModelError for a newer format, or one that lacks a part."""
        if int(said.get("format", 0)) != FORMAT:
            raise ModelError(
                f"the file's {CARD} has format {said.get('format')}, this version reads {FORMAT}: update the workbench"
            )
        try:
            inputs = tuple(Input(i["name"], i["kind"], tuple(i["categories"])) for i in said["inputs"])
            edge = EdgeSpec.from_plain(said["edge"])
            return cls(said["task"], tuple(said["classes"]), inputs, edge, int(said["rows"]), str(said["source"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"the file's {CARD} lacks or garbles {error}: make the file anew") from error


def answers(
    call: Call, card: Card, frame: pd.DataFrame, at_once: int | None = None, direct: Direct | None = None
) -> Outputs:
    """A module's answers to raw rows, block by block; 0 rows give empty answers of the right shapes.

    call: numbers [n, a], codes [n, b] → named outputs ("scores" or "values", "label", "raw"). at_once: rows of a block,
    as the card says if left out. direct: the same for one row, where there is a shorter way.
    Raises ModelError for rows the edge cannot read.
    """
    numbers, codes = card.reader.read(frame) or _encoded(card, frame)
    if direct is not None and len(numbers) == 1:
        return _outputs(card, direct.row(numbers, codes))
    return _outputs(card, asked(call, numbers, codes, at_once or card.rows))


def _encoded(card: Card, frame: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    read = card.edge.encode_plain(frame) or card.edge.encode(conform(frame, card.inputs))
    return read["numbers"], read["codes"]


def asked(call: Call, numbers: NDArray[np.float64], codes: NDArray[np.int64], at_once: int) -> dict[str, NDArray[Any]]:
    """A module's named outputs for numbers [n, a] and codes [n, b], at most `at_once` rows at a time."""
    import torch

    found: list[Mapping[str, NDArray[Any]]] = []
    with torch.inference_mode():
        for block, code, rows in _blocks(numbers, codes, at_once):
            named = call(torch.from_numpy(block), torch.from_numpy(code))
            found.append({name: tensor.detach().cpu().numpy()[:rows] for name, tensor in named.items()})
    if len(found) == 1:
        return dict(found[0])
    return {name: np.concatenate([block[name] for block in found]) for name in found[0]}


def ask(
    call: Call,
    direct: Direct | None,
    numbers: NDArray[Any],
    codes: NDArray[np.int64] | None = None,
    at_once: int = ROWS,
) -> dict[str, NDArray[Any]]:
    """Rows that are arrays already, as named arrays: the way of one row that costs least.

    numbers [n, a]: the edge's number columns in its order, NaN where missing, of any width and layout; codes int64
    [n, b]: places in its vocabularies (see `edge`), left out where it reads none. "scores" [n, k] or "values" [n],
    "label" [n] (places of classes), "raw": what the model has.
    """
    numbers = np.asarray(numbers)
    if direct is not None and len(numbers) == 1:
        return direct.row(numbers, codes)
    ready = np.ascontiguousarray(numbers, dtype=np.float64)
    return asked(call, ready, np.zeros((len(ready), 0), dtype=np.int64) if codes is None else codes, at_once)


def _blocks(
    numbers: NDArray[np.float64], codes: NDArray[np.int64], rows: int
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.int64], int]]:
    """Blocks of at least two rows, the last one filled up by repeating: exported graphs may fix the sizes 0 and 1."""
    for start in range(0, max(1, len(numbers)), rows):
        block, code = numbers[start : start + rows], codes[start : start + rows]
        count = len(block)
        if count < 2:
            block = (
                np.concatenate([block, np.zeros((2, numbers.shape[1]))])[:2] if not count else np.repeat(block, 2, 0)
            )
            code = np.full((2, codes.shape[1]), -1, dtype=np.int64) if not count else np.repeat(code, 2, 0)
        yield block, code, count


def _outputs(card: Card, found: Mapping[str, NDArray[Any]]) -> Outputs:
    label = found.get("label")
    if card.task != "regression" and label is None and "scores" in found:
        label = found["scores"].argmax(axis=1)
    return Outputs(
        classes=card.classes,
        scores=_float64(found.get("scores")),
        values=_float64(found.get("values")),
        labels=None if label is None or not card.classes else _decided(card.labels, label),
        raw=_float64(found.get("raw")),
    )


def _decided(labels: NDArray[np.generic], label: NDArray[Any]) -> NDArray[np.generic]:
    """Classes of their places; None for -1, a row without an answer."""
    named: NDArray[Any] = labels[label]
    if not len(label) or label.min() >= 0:
        return named
    named = named.astype(object)
    named[label < 0] = None
    return named


def _float64(array: NDArray[Any] | None) -> NDArray[np.float64] | None:
    return None if array is None else np.asarray(array, dtype=np.float64)


class TorchModel:
    """A torch.export program behind the model door. It runs no code but torch's operators, so it stays in process."""

    format = "torch"

    def __init__(
        self,
        path: Path,
        card: Card,
        program: torch.export.ExportedProgram,
        foreign: bool = False,
        compiled: bool = False,
    ) -> None:
        self.path, self.card, self._program, self._foreign = path, card, program, foreign
        self._at_once = ROWS if compiled else None

    @cached_property
    def fingerprint(self) -> str:
        digest = hashlib.sha256(self.path.read_bytes())
        if self._foreign:
            digest.update(json.dumps(self.card.to_plain(), sort_keys=True).encode())
        return digest.hexdigest()

    @property
    def task(self) -> Kind:
        return self.card.task

    @property
    def inputs(self) -> tuple[Input, ...]:
        return self.card.inputs

    @property
    def classes(self) -> tuple[Label, ...]:
        return self.card.classes

    @cached_property
    def module(self) -> torch.nn.Module:
        # Guards are source text in the file that torch would run; the operators check sizes themselves.
        guards = "check_guards" in inspect.signature(self._program.module).parameters
        return self._program.module(**({"check_guards": False} if guards else {}))

    @cached_property
    def _named(self) -> Call:
        from workbench.models.torch_run import flat

        return flat(self._program) or self.module

    @cached_property
    def _direct(self) -> Direct | None:
        from workbench.models.torch_run import direct

        return direct(self._program) if self._at_once else None

    def predict(self, frame: pd.DataFrame) -> Outputs:
        """Raises ModelError naming columns that are missing or cannot be read."""
        return answers(self._call, self.card, frame, self._at_once, self._direct)

    def ask(self, numbers: NDArray[Any], codes: NDArray[np.int64] | None = None) -> dict[str, NDArray[Any]]:
        """Rows that are arrays already (see `ask`)."""
        return ask(self._call, self._direct, numbers, codes, self._at_once or self.card.rows)

    def _call(self, numbers: torch.Tensor, codes: torch.Tensor) -> Mapping[str, torch.Tensor]:
        if not self._foreign:
            return self._named(numbers, codes)
        import torch

        wanted = _first_dtype(self._program) or torch.float32
        try:
            raw = self.module(numbers.to(wanted))
        except Exception as error:
            raise ModelError(
                f"{self.path.name} did not take a tensor {tuple(numbers.shape)} of {wanted} ({error}): "
                "check the option inputs, in the order of training"
            ) from error
        return _named(self.card, raw, self.path.name)

    def describe(self) -> Piece:
        """Kind "torch.export", with the plain spec in its params where that lies beside the file."""
        params: dict[str, Plain] = {"file": self.path.name, "source": self.card.source}
        spec = self.path.with_suffix(".json")
        if spec.is_file() and not self._foreign:
            params["spec"] = cast("Plain", json.loads(spec.read_text("utf-8")))
        return Piece("torch.export", _torch_version(), params)

    def close(self) -> None:
        """Nothing runs beside this process."""


def _torch_version() -> str:
    import torch

    return str(torch.__version__)


def _first_dtype(program: torch.export.ExportedProgram) -> torch.dtype | None:
    """Type of the first user input."""
    name = next(iter(program.graph_signature.user_inputs), None)
    node = next((n for n in program.graph.nodes if n.op == "placeholder" and n.name == name), None)
    return None if node is None else node.meta["val"].dtype


def _named(card: Card, raw: Any, name: str) -> Mapping[str, torch.Tensor]:
    """A foreign model's tensor as outputs: [n] or [n, 1] is P(second class) or a value, [n, k] are scores."""
    import torch

    raw = next(iter(raw.values())) if isinstance(raw, Mapping) else raw[0] if isinstance(raw, tuple | list) else raw
    flat = raw[:, 0] if raw.ndim == 2 and raw.shape[1] == 1 else raw
    if card.task == "regression" and flat.ndim == 1:
        return {"values": flat.double()}
    if card.task != "regression" and flat.ndim == 1 and len(card.classes) == 2:
        flat = torch.stack([1.0 - flat, flat], dim=1)
    if card.task == "regression" or flat.ndim != 2 or flat.shape[1] != len(card.classes):
        raise ModelError(f"{name} answers {tuple(raw.shape)}, which does not fit {card.task} with {card.classes}")
    off = (flat.double().sum(1) - 1.0).abs()
    if bool(((flat < 0) | (off[:, None] > 1e-3)).any()):
        raise ModelError(f"{name} answers no probabilities (they do not add up to 1): end the model in a softmax")
    return {"scores": flat.double()}


def open_torch(path: str | Path, **options: Any) -> TorchModel:
    """Open a `.pt2` file.

    options, for a file that was not made here: inputs (column names in order), classes, task (left out: regression
    without classes, else binary or multiclass by their number).
    Raises ModelError if it cannot be read, or is foreign and the options are missing; Refused if it holds code.
    """
    import torch

    from workbench.models.serving import SERVING, Serving
    from workbench.models.serving_run import ServedModel

    path = Path(path)
    unknown = set(options) - {"inputs", "classes", "task"}
    if unknown:
        raise ModelError(f"a torch file takes the options inputs, classes, task; {sorted(unknown)} is none of them")
    try:
        refuse_code(path)
        said, serving = _extra(path, CARD), Serving.read(_extra(path, SERVING))
        compiled = _compiled(path) if said and (serving is None or serving.engine != "portable") else None
        program = compiled or torch.export.load(path)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"{path.name} is no torch.export file that torch {_torch_version()} reads ({repr(error)[:300]}): "
            "save it again with torch.export.save"
        ) from error
    if said:
        card, kernels = Card.from_plain(json.loads(said)), compiled is not None
        return (
            ServedModel(path, card, program, kernels, serving)
            if serving
            else TorchModel(path, card, program, compiled=kernels)
        )
    return TorchModel(path, _declared(path, options), program, foreign=True)


def _extra(path: Path, name: str) -> bytes:
    """A part of the file beside torch's own; empty where there is none."""
    with zipfile.ZipFile(path) as archive:
        found = [member for member in archive.namelist() if member.endswith(f"/extra/{name}")]
        return archive.read(found[0]) if found else b""


def packed(program: torch.export.ExportedProgram) -> str:
    """A program as the text that `COMPILED` holds."""
    import torch

    file = io.BytesIO()
    torch.export.save(program, file)
    return base64.b64encode(file.getvalue()).decode("ascii")


def _compiled(path: Path) -> torch.export.ExportedProgram | None:
    """The second program; None where there is none, or nothing here compiles its operator."""
    import torch

    text = _extra(path, COMPILED)
    if not text:
        return None
    from workbench.models.tree_kernel import op

    if op.compiled() is None:
        return None
    inner = base64.b64decode(text, validate=True)
    refuse_code(path, io.BytesIO(inner))
    return torch.export.load(io.BytesIO(inner))


def _declared(path: Path, options: Mapping[str, Any]) -> Card:
    if not options.get("inputs"):
        raise ModelError(
            f"{path} was made by another program and does not say which columns it reads: give the option "
            "inputs (column names in order), and for a classifier classes"
        )
    classes = tuple(options.get("classes") or ())
    guess = "regression" if not classes else "binary" if len(classes) == 2 else "multiclass"
    inputs = tuple(Input(str(name), "number") for name in options["inputs"])
    edge = EdgeSpec(tuple(EdgeColumn(i.name, "number") for i in inputs))
    return Card(cast("Kind", options.get("task") or guess), classes, inputs, edge, source="another program")
