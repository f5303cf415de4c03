"""An ONNX graph as it grows: nodes, constants, and names that meet no column's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

OPSET, ML_OPSET = 18, 5
"""ai.onnx 18 has what is used; ai.onnx.ml 5 is the first whose trees are given as tensors of float64."""

ML = "ai.onnx.ml"
LARGEST = 1 << 30
"""Bytes of constants: a protobuf ends at 2 GiB."""


class NoForm(Exception):  # noqa: N818 - reads as the sentence it is
    """What has no exact form in ONNX's standard operators; the sentence says what."""


class Graph:
    """Names inside start with "/", so that a column of any other name can be an input."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self._known: dict[tuple[object, ...], str] = {}
        self._bytes = 0

    def add(self, kind: str, *inputs: str, domain: str = "", name: str = "", outputs: int = 1, **given: Any) -> Any:
        """A node; the name of its output, a tuple of names for several."""
        from onnx import helper

        number = len(self.nodes)
        made = [f"/{kind}_{number}" if outputs == 1 else f"/{kind}_{number}.{place}" for place in range(outputs)]
        node = helper.make_node(kind, list(inputs), made, name or f"/{kind}_{number}", domain=domain, **given)
        self.nodes.append(node)
        return made[0] if outputs == 1 else tuple(made)

    def constant(self, value: Any, dtype: Any = None) -> str:
        """The name of a constant, the same for the same value. Raises NoForm where all are too large for a file."""
        array = np.array(value, dtype=dtype, order="C")
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._bytes += array.nbytes
            if self._bytes > LARGEST:
                raise NoForm(f"its constants take more than {LARGEST >> 20} MiB, and an ONNX file ends at 2 GiB")
            self._known[key] = f"/constant_{len(self._known)}"
            self.constants[self._known[key]] = array
        return self._known[key]

    def ints(self, *values: int) -> str:
        return self.constant(values, np.int64)

    def beside(self, names: Sequence[str], axis: int = 1) -> str:
        joined: str = names[0] if len(names) == 1 else self.add("Concat", *names, axis=axis)
        return joined

    def cast(self, name: str, dtype: Any) -> str:
        from onnx import helper

        cast: str = self.add("Cast", name, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
        return cast
