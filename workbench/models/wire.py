"""How parent and model host talk: a JSON header and binary parts, each with its length. Never a pickle."""

from __future__ import annotations

import io
import json
import struct
from dataclasses import fields
from typing import IO, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.models.protocol import Outputs, Piece
from workbench.models.trees import Trees

Arrays = dict[str, NDArray[np.generic]]
HEADER = struct.Struct("<I")


def pack(header: dict[str, Any], *parts: bytes) -> bytes:
    """One message: length, header, and the parts whose lengths the header lists."""
    text = json.dumps({**header, "parts": [len(part) for part in parts]}).encode()
    return b"".join([HEADER.pack(len(text)), text, *parts])


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], list[bytes]] | None:
    """The next message, or None where the other side has closed."""
    size = stream.read(HEADER.size)
    if len(size) < HEADER.size:
        return None
    header: dict[str, Any] = json.loads(stream.read(HEADER.unpack(size)[0]))
    return header, [stream.read(length) for length in header.pop("parts")]


def frame_to_bytes(frame: pd.DataFrame) -> tuple[dict[str, Any], bytes]:
    """Arrow IPC. Columns Arrow has no one type for (numbers and text mixed) go as JSON, named in the header."""
    import pyarrow as pa

    try:
        table, mixed = pa.Table.from_pandas(frame, preserve_index=False), []
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        mixed = [name for name in frame.columns if frame[name].dtype == object]
        as_text = {name: [json.dumps(_item(value)) for value in frame[name]] for name in mixed}
        table = pa.Table.from_pandas(frame.assign(**as_text), preserve_index=False)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return {"mixed": mixed, "rows": len(frame)}, sink.getvalue()


def frame_from_bytes(header: dict[str, Any], data: bytes) -> pd.DataFrame:
    """The frame `frame_to_bytes` wrote."""
    import pyarrow as pa

    frame: pd.DataFrame = pa.ipc.open_stream(data).read_all().to_pandas()
    for name in header.get("mixed", ()):
        frame[name] = np.array([json.loads(text) for text in frame[name]] + [None], dtype=object)[:-1]
    return frame


def _item(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return None if value is pd.NA or value is pd.NaT else str(value)


def arrays_to_bytes(arrays: Arrays) -> tuple[dict[str, Any], bytes]:
    """npz for numbers and text; arrays of objects as JSON in the header, item by item."""
    objects = {name: array for name, array in arrays.items() if array.dtype == object}
    sink = io.BytesIO()
    # Numbered, because npz reads a slash or an argument's name in a key as its own.
    plain = [(name, array) for name, array in arrays.items() if name not in objects]
    numbered: dict[str, Any] = {f"a{number}": array for number, (_, array) in enumerate(plain)}
    np.savez(sink, **numbered)
    listed = {
        name: {"shape": list(array.shape), "items": [_item(value) for value in array.ravel().tolist()]}
        for name, array in objects.items()
    }
    return {"names": [name for name, _ in plain], "objects": listed}, sink.getvalue()


def arrays_from_bytes(header: dict[str, Any], data: bytes) -> Arrays:
    """The arrays `arrays_to_bytes` wrote."""
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        arrays: Arrays = {name: stored[f"a{number}"] for number, name in enumerate(header["names"])}
    for name, listed in header["objects"].items():
        items = np.empty(len(listed["items"]), dtype=object)
        items[:] = listed["items"]
        arrays[name] = items.reshape(listed["shape"])
    return arrays


OUTPUT_PARTS = ("scores", "values", "labels", "raw")


def outputs_to_bytes(outputs: Outputs) -> tuple[dict[str, Any], bytes]:
    """Outputs without their classes, which the other side knows."""
    return arrays_to_bytes({name: part for name in OUTPUT_PARTS if (part := getattr(outputs, name)) is not None})


def outputs_from_bytes(header: dict[str, Any], data: bytes, classes: tuple[Any, ...]) -> Outputs:
    """The outputs `outputs_to_bytes` wrote."""
    return Outputs(classes, **arrays_from_bytes(header, data))  # type: ignore[arg-type]


def piece_to_plain(piece: Piece) -> tuple[dict[str, Any], Arrays]:
    """A piece as JSON-ready data, and its arrays (trees' included) by the names the data gives them."""
    arrays: Arrays = {}
    return _flat(piece, "", arrays), arrays


def _flat(piece: Piece, path: str, arrays: Arrays) -> dict[str, Any]:
    arrays |= {f"{path}/{name}": array for name, array in piece.arrays.items()}
    return {
        "kind": piece.kind,
        "version": piece.version,
        "params": piece.params,
        "arrays": list(piece.arrays),
        "children": [
            [name, _flat(child, f"{path}/{number}", arrays)] for number, (name, child) in enumerate(piece.children)
        ],
        "trees": None if piece.trees is None else _flat_trees(piece.trees, f"{path}/trees", arrays),
    }


def _flat_trees(trees: Trees, path: str, arrays: Arrays) -> dict[str, Any]:
    parts = {part.name: getattr(trees, part.name) for part in fields(trees)}
    arrays |= {f"{path}/{name}": value for name, value in parts.items() if isinstance(value, np.ndarray)}
    return {name: value for name, value in parts.items() if not isinstance(value, np.ndarray)}


def piece_from_plain(plain: dict[str, Any], arrays: Arrays, path: str = "") -> Piece:
    """The piece `piece_to_plain` took apart."""
    children = tuple(
        (name, piece_from_plain(child, arrays, f"{path}/{number}"))
        for number, (name, child) in enumerate(plain["children"])
    )
    own = {name: arrays[f"{path}/{name}"] for name in plain["arrays"]}
    trees = plain["trees"] and _trees(plain["trees"], arrays, f"{path}/trees/")
    return Piece(plain["kind"], plain["version"], plain["params"], own, children, trees)


def _trees(plain: dict[str, Any], arrays: Arrays, path: str) -> Trees:
    parts = {name[len(path) :]: array for name, array in arrays.items() if name.startswith(path)}
    listed = {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}
    return Trees(**parts, **listed)  # type: ignore[arg-type]
