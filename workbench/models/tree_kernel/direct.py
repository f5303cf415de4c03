"""The shortest way from a row to its answer: the compiled kernels one after the other, on memory that is ready.

For a single row torch's way to an operator takes as long as an ensemble; here arrays go in and come out, and torch is
asked for one number, its exponential.
"""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workbench.models.tree_kernel.op import Asks, asks_of, compiled

_NO_CODES: NDArray[np.int64] = np.zeros((1, 0), dtype=np.int64)

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Two:
    """An ending in two classes (see `op.tree_classes`)."""

    single: bool
    scale: float
    rule: int


@dataclass(frozen=True)
class Direct:
    """steps: words of what comes before the trees, if anything does; trees: theirs; two: None for an ending in votes.

    Called with numbers [n, a] (anything that becomes float64) and codes int64 [n, b]; gives scores, label and raw.
    Any number of threads may call it.
    """

    steps: Tensor | None
    trees: Tensor
    two: Two | None
    _own: threading.local = field(default_factory=threading.local, compare=False, repr=False)

    def row(self, numbers: NDArray[Any], codes: NDArray[np.int64] | None = None) -> Arrays:
        """The answer to one row: numbers [1, a], and codes [1, b] where categories are read.

        Raises ValueError for another number of rows, or fewer columns than the model reads.
        """
        codes = _NO_CODES if codes is None else codes
        room: _Room | None = getattr(self._own, "room", None)
        if room is None or room.numbers.shape != numbers.shape or room.codes.shape != codes.shape:
            room = self._own.room = _Room(self, numbers.shape, codes.shape)
        room.numbers[:] = numbers
        if codes is not _NO_CODES:
            room.codes[:] = codes
        return room.answer()


class _Room:
    """Memory of one thread for one row, and the calls that fill it."""

    def __init__(self, way: Direct, numbers: tuple[int, ...], codes: tuple[int, ...]) -> None:
        if len(numbers) != 2 or numbers[0] != 1 or len(codes) != 2 or codes[0] != 1:
            raise ValueError(f"one row is numbers [1, a] and codes [1, b]; these are {numbers} and {codes}")
        kernels: Any = compiled()
        self.numbers, self.codes = np.zeros(numbers), np.zeros(codes, dtype=np.int64)
        self._kept: list[NDArray[Any]] = []
        self._two = way.two
        width, at, calls = numbers[1], self.numbers.ctypes.data, []
        for words, run in ((way.steps, kernels.stepped), (way.trees, kernels.few)):
            if words is None:
                continue
            asks = asks_of(words)
            _hold(asks, width, codes[1])
            place, out = self.codes.ctypes.data, self._new((1, asks.outputs))
            room = asks.registers if run is kernels.stepped else kernels.room_for_few(asks.tests, asks.trees)
            scratch = self._new((room,)).ctypes.data
            calls.append((run, (words.data_ptr(), at, width, place, codes[1], out.ctypes.data, 0, 1, scratch)))
            self.raw, width, at = out, asks.outputs, out.ctypes.data
        self._first: list[tuple[Callable[..., None], tuple[Any, ...]]] = calls
        self._end(kernels, at, width)

    def _new(self, shape: tuple[int, ...], kind: type = np.float64) -> NDArray[Any]:
        self._kept.append(np.zeros(shape, dtype=kind))
        return self._kept[-1]

    def _end(self, kernels: Any, raw: int, width: int) -> None:
        self.label = self._new((1,), np.int64)
        if self._two is None:
            self.scores = self.raw
            self._first.append((kernels.vote, (raw, 1, width, self.label.ctypes.data)))
            return
        if width != 1:
            raise ValueError(f"two classes come from one margin, not from {width}")
        two, chance = self._two, self._new((1,))
        self.scores, self._chance = self._new((1, 2)), torch.from_numpy(chance)
        self._first.append((kernels.prepare, (raw, chance.ctypes.data, 1, int(two.single), two.scale)))
        given = (raw, chance.ctypes.data, 1, int(two.single), two.rule)
        self._last = (kernels.finish, (*given, self.scores.ctypes.data, self.label.ctypes.data))

    def answer(self) -> Arrays:
        for run, given in self._first:
            run(*given)
        if self._two is None:
            return {"scores": self.scores.copy(), "label": self.label.copy()}
        # The exponential is torch's own, so that the portable form has the same bits.
        self._chance.exp_()
        run, given = self._last
        run(*given)
        return {"scores": self.scores.copy(), "label": self.label.copy(), "raw": self.raw[0].copy()}


def _hold(asks: Asks, width: int, codes: int) -> None:
    if width < asks.numbers or codes < asks.codes:
        raise ValueError(f"the model reads {asks.numbers} numbers and {asks.codes} codes; a row has {width}, {codes}")
