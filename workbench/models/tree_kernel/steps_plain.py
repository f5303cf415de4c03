"""The steps in plain torch operators, from the same words: any device, no compiler, the same bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from workbench.models.tree_kernel.steps import STEP, STEPS_HEADER, WAYS

FIRST = 3
"""Row of a table for code 0: UNKNOWN, NONE and MISSING come before."""


class _Step:
    """One step on all rows: x [n, count] are the registers from src on."""

    def __init__(self, record: list[int], words: Tensor, registers: Tensor, codes: Tensor) -> None:
        said = dict(zip(STEP, record))
        self.src, self.count, self.a, self.b, self.c = (said[name] for name in ("src", "count", "a", "b", "c"))
        self._words, self.registers, self.codes = words, registers, codes

    @property
    def x(self) -> Tensor:
        return self.registers[:, self.src : self.src + self.count]

    def whole(self, at: int, length: int) -> Tensor:
        return self._words[at : at + length]

    def floats(self, at: int, *shape: int) -> Tensor:
        length = 1
        for size in shape:
            length *= size
        return self.whole(at, length).view(torch.float64).view(shape)

    def each(self, at: int) -> Tensor:
        return self.floats(at, self.count)

    @property
    def named(self) -> Tensor:
        """The registers in the list of places."""
        return self.registers.index_select(1, self.whole(self.a, self.count))

    @property
    def number(self) -> Tensor:
        return self.floats(self.b, 1)


def _clip(s: _Step) -> Tensor:
    return torch.minimum(torch.maximum(s.x, s.each(s.a)), s.each(s.b))


def _kept_nan(x: Tensor, found: Tensor) -> Tensor:
    return torch.where(x.isnan(), x, found.double())


def _single_number(s: _Step) -> Tensor:
    rounded = s.x.float().double()
    return rounded.masked_fill(rounded == s.number, float("nan"))


def _code(s: _Step) -> Tensor:
    found = s.codes[:, s.src] + FIRST
    inside = (found >= 0) & (found < s.b)
    return s.floats(s.a, s.b, s.count).index_select(0, torch.where(inside, found, 0))


def _value(s: _Step) -> Tensor:
    x, values = s.registers[:, s.src].contiguous(), s.floats(s.a, s.c)
    at = torch.searchsorted(values, x).clamp(max=s.c - 1)
    row = torch.where(x.isnan(), 1, torch.where(values[at] == x, at + 2, 0))
    return s.floats(s.b, s.c + 2, s.count).index_select(0, row)


def _bins(s: _Step) -> Tensor:
    found = torch.searchsorted(s.floats(s.a, s.count, s.c), s.x.t().contiguous(), right=True).t()
    return _kept_nan(s.x, torch.minimum(found, s.whole(s.b, s.count)))


_WAYS: dict[str, Callable[[_Step], Tensor]] = {
    "take": lambda s: s.named,
    "constant": lambda s: s.each(s.a).expand(len(s.codes), -1),
    "minus": lambda s: s.x - s.each(s.a),
    "over": lambda s: s.x / s.each(s.a),
    "times": lambda s: s.x * s.each(s.a),
    "plus": lambda s: s.x + s.each(s.a),
    "clip": _clip,
    "above": lambda s: _kept_nan(s.x, s.x > s.each(s.a)),
    "fill": lambda s: torch.where(s.x.isnan(), s.each(s.a), s.x),
    "fill-number": lambda s: torch.where(s.x == s.number, s.each(s.a), s.x),
    "flag": lambda s: s.x.isnan().double(),
    "flag-number": lambda s: (s.x == s.number).double(),
    "single": lambda s: s.x.float().double(),
    "single-number": _single_number,
    "code": _code,
    "value": _value,
    "bins": _bins,
    "one-of": lambda s: _kept_nan(s.named, s.named == s.each(s.b)),
    "product": lambda s: s.x * s.named,
}


def row_steps(numbers: Tensor, codes: Tensor, words: Tensor) -> Tensor:
    """The answer [n, width] of checked steps."""
    head: dict[str, Any] = dict(zip(STEPS_HEADER, words[: len(STEPS_HEADER)].tolist()))
    registers = torch.zeros((len(numbers), head["registers"]), dtype=torch.float64, device=numbers.device)
    registers[:, : head["numbers"]] = numbers[:, : head["numbers"]].double()
    start = len(STEPS_HEADER)
    records = words[start : start + head["steps"] * len(STEP)].view(-1, len(STEP)).tolist()
    for record in records:
        dst, count = record[STEP["dst"]], record[STEP["count"]]
        found = _WAYS[WAYS[record[STEP["way"]]]](_Step(record, words, registers, codes))
        registers[:, dst : dst + count] = found
    return registers[:, head["first"] : head["first"] + head["width"]].contiguous()
