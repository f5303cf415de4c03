"""Universal Binary JSON, draft 12, as XGBoost writes it: numbers big-endian, typed arrays read in one go."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from workbench.models.protocol import ModelError

NUMBERS = {b"i": ">i1", b"U": ">u1", b"I": ">i2", b"l": ">i4", b"L": ">i8", b"d": ">f4", b"D": ">f8"}
CONSTANTS = {b"Z": None, b"T": True, b"F": False}
DEEPEST = 64


def loads(data: bytes) -> Any:
    """The value in `data`; a typed array is a numpy array.

    Raises ModelError where the bytes end too early, nest too deep or are no UBJSON.
    """
    reader = _Reader(data)
    try:
        return reader.value(reader.take(1), 0)
    except (struct.error, UnicodeDecodeError, KeyError) as error:
        raise ModelError(f"it is no readable UBJSON at byte {reader.at}: {repr(error)[:200]}") from error


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        if size < 0 or self.at + size > len(self.data):
            raise ModelError(f"it ends at byte {len(self.data)}, in the middle of a value: the file was cut short")
        self.at += size
        return self.data[self.at - size : self.at]

    def peek(self) -> bytes:
        return self.data[self.at : self.at + 1]

    def number(self, marker: bytes) -> int | float:
        kind = np.dtype(NUMBERS[marker])
        found: int | float = np.frombuffer(self.take(kind.itemsize), kind)[0].item()
        return found

    def length(self) -> int:
        return int(self.number(self.take(1)))

    def text(self) -> str:
        return self.take(self.length()).decode()

    def value(self, marker: bytes, depth: int) -> Any:
        if depth > DEEPEST:
            raise ModelError(f"it nests deeper than {DEEPEST}: no model does")
        if marker in NUMBERS:
            return self.number(marker)
        if marker in CONSTANTS:
            return CONSTANTS[marker]
        if marker == b"S":
            return self.text()
        if marker == b"C":
            return self.take(1).decode()
        if marker == b"[":
            return self.array(depth)
        if marker == b"{":
            return self.object(depth)
        raise ModelError(f"it is no readable UBJSON: byte {self.at} is {marker!r}")

    def array(self, depth: int) -> Any:
        kind = None
        if self.peek() == b"$":
            self.take(1)
            kind = self.take(1)
        if self.peek() != b"#":
            return list(self._until(b"]", depth))
        self.take(1)
        count = self.length()
        if kind in NUMBERS:
            dtype = np.dtype(NUMBERS[kind])
            return np.frombuffer(self.take(count * dtype.itemsize), dtype).astype(dtype.newbyteorder("="))
        if count > len(self.data):
            raise ModelError(f"it says an array has {count} items, more than the file has bytes")
        return [self.value(kind or self.take(1), depth + 1) for _ in range(count)]

    def _until(self, end: bytes, depth: int) -> Any:
        while (marker := self.take(1)) != end:
            yield self.value(marker, depth + 1)

    def object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self.peek() != b"}":
            name = self.text()
            found[name] = self.value(self.take(1), depth + 1)
        self.take(1)
        return found
