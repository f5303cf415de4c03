# mypy: disable-error-code="no-untyped-call"
"""The operators that torch sees, and who answers them.

`workbench::row_steps`: what happens to a row before the model. `workbench::tree_ensemble`: raw sums of the trees.
`workbench::tree_classes`: a binary ensemble's scores, label and margin in one call, for a single row spends its time on
calls. On a CPU the compiled kernels; where there are none, plain torch operators, with the same bits. They work inside
torch.compile and torch.export as opaque calls, and take the threads that `torch.set_num_threads` gives.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from threading import Thread
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workbench.models.tree_kernel import plain, steps, steps_plain
from workbench.models.tree_kernel.program import HEADER, check

MANY = 32
"""Rows that go through a tree side by side; fewer go one by one."""

THREAD_ROWS = 4_096
"""Rows for each thread, at least."""

Run = Callable[..., None]

_library = torch.library.Library("workbench", "DEF")
_library.define("tree_ensemble(Tensor numbers, Tensor codes, Tensor program, int outputs) -> Tensor")
_library.define(
    "tree_classes(Tensor numbers, Tensor codes, Tensor program, bool single, float scale, int rule)"
    " -> (Tensor, Tensor, Tensor)"
)
_library.define("two_classes(Tensor raw, bool single, float scale, int rule) -> (Tensor, Tensor, Tensor)")
_library.define("votes(Tensor scores) -> Tensor")
_library.define("row_steps(Tensor numbers, Tensor codes, Tensor steps, int width) -> Tensor")


@functools.cache
def compiled() -> Any | None:
    """The module of the compiled kernels; None where numba is not installed, or too old for them."""
    try:
        from workbench.models.tree_kernel import kernels
    except ImportError:
        return None
    return kernels


def tree_ensemble(numbers: Tensor, codes: Tensor, program: Tensor, outputs: int) -> Tensor:
    """numbers float64 [n, F], codes int64 [n, b], program int64 [W] → raw sums float64 [n, outputs].

    The operator, spared torch's own way to it (as long as the kernel takes for a row) where nobody traces.
    """
    if _here(numbers):
        return trees_on_cpu(numbers, codes, program, outputs)
    sums: Tensor = torch.ops.workbench.tree_ensemble.default(numbers, codes, program, outputs)
    return sums


def tree_classes(
    numbers: Tensor, codes: Tensor, program: Tensor, single: bool, scale: float, rule: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Scores [n, 2], label int64 [n] and margin [n] of trees with one output: chance = 1 / (1 + exp(-margin * scale)).

    single: in float32 steps, as XGBoost's. rule: the second class where the margin is > 0 (0), >= 0 (1) or its score is
    the higher one (2).
    """
    if _here(numbers):
        return classes_on_cpu(numbers, codes, program, single, scale, rule)
    found: tuple[Tensor, Tensor, Tensor] = torch.ops.workbench.tree_classes.default(
        numbers, codes, program, single, scale, rule
    )
    return found


def row_steps(numbers: Tensor, codes: Tensor, words: Tensor, width: int) -> Tensor:
    """numbers float64 [n, F], codes int64 [n, b] through the steps in words int64 [W] → float64 [n, width]."""
    if _here(numbers):
        return steps_on_cpu(numbers, codes, words, width)
    found: Tensor = torch.ops.workbench.row_steps.default(numbers, codes, words, width)
    return found


def two_classes(raw: Tensor, single: bool, scale: float, rule: int) -> tuple[Tensor, Tensor, Tensor]:
    """Margins [n, 1] → scores, label and margin, as `tree_classes`; the label of a margin that is NaN is -1."""
    if _here(raw):
        return two_on_cpu(raw, single, scale, rule)
    found: tuple[Tensor, Tensor, Tensor] = torch.ops.workbench.two_classes.default(raw, single, scale, rule)
    return found


def votes(scores: Tensor) -> Tensor:
    """The class with the highest score [n, k], the first of several: int64 [n]."""
    if _here(scores):
        return votes_on_cpu(scores)
    label: Tensor = torch.ops.workbench.votes.default(scores)
    return label


def _here(numbers: Tensor) -> bool:
    return type(numbers) is Tensor and numbers.is_cpu and not torch.compiler.is_compiling()


@dataclass(frozen=True)
class Asks:
    """What words that were held against themselves read (numbers, codes) and give; tests, trees: see `HEADER`."""

    numbers: int
    codes: int
    outputs: int
    tests: int = 1
    trees: int = 1
    registers: int = 1


def asks_of(words: Tensor) -> Asks:
    """Hold a program, or steps, against itself, once: the kernel follows what it says. Raises Refused."""
    try:
        return words._asks  # type: ignore[attr-defined, no-any-return]
    except AttributeError:
        said = words.cpu().numpy()
        if len(said) and said[0] == steps.MAGIC:
            found = Asks(*steps.check(said), registers=int(said[steps.STEPS_HEADER["registers"]]))
        else:
            found = Asks(*check(said), int(said[HEADER["tests"]]), int(said[HEADER["trees"]]))
        words._asks = found  # type: ignore[attr-defined]
        return found


def _hold(numbers: Tensor, codes: Tensor, words: Tensor, outputs: int) -> Asks:
    asks = asks_of(words)
    rows, width = numbers.shape
    if width < asks.numbers or codes.shape[1] < asks.codes or rows != codes.shape[0] or outputs != asks.outputs:
        given = [*numbers.shape], [*codes.shape], outputs
        raise ValueError(f"the words read and give {asks}, and were called with {given}")
    return asks


def _empty(shape: tuple[int, ...], kind: type = np.float64) -> Tensor:
    """By numpy: half the time of torch.empty."""
    return torch.from_numpy(np.empty(shape, dtype=kind))


def _sums(kernels: Any, asks: Asks, numbers: Tensor, codes: Tensor, program: Tensor) -> Tensor:
    numbers, codes = _ready(numbers, codes)
    rows, width = numbers.shape
    out = _empty((rows, asks.outputs))
    given = (program.data_ptr(), numbers.data_ptr(), width, codes.data_ptr(), codes.shape[1], out.data_ptr())
    if rows < MANY:
        scratch = _empty((kernels.room_for_few(asks.tests, asks.trees),))
        kernels.few(*given, 0, rows, scratch.data_ptr())
    else:
        _shared(kernels.many, given, rows, lambda part: kernels.room_for_many(asks.tests, asks.outputs, part))
    return out


def _ready(numbers: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
    if numbers.dtype is not torch.float64 or not numbers.is_contiguous():
        numbers = numbers.double().contiguous()
    return numbers, codes if codes.is_contiguous() else codes.contiguous()


def trees_on_cpu(numbers: Tensor, codes: Tensor, program: Tensor, outputs: int) -> Tensor:
    asks, kernels = _hold(numbers, codes, program, outputs), compiled()
    if kernels is None:
        return plain.tree_ensemble(numbers, codes, program)
    return _sums(kernels, asks, numbers, codes, program)


def steps_on_cpu(numbers: Tensor, codes: Tensor, words: Tensor, width: int) -> Tensor:
    asks, kernels = _hold(numbers, codes, words, width), compiled()
    if kernels is None:
        return steps_plain.row_steps(numbers, codes, words)
    numbers, codes = _ready(numbers, codes)
    out = _empty((numbers.shape[0], width))
    given = (words.data_ptr(), numbers.data_ptr(), numbers.shape[1], codes.data_ptr(), codes.shape[1], out.data_ptr())
    _shared(kernels.stepped, given, numbers.shape[0], lambda part: asks.registers)
    return out


def _shared(run: Run, given: tuple[Any, ...], rows: int, room: Callable[[int], int]) -> None:
    """Rows cut into equal parts, a thread for each, this one included: the kernel holds no lock.

    room: words of scratch for so many rows.
    """
    threads = max(1, min(torch.get_num_threads(), rows // THREAD_ROWS)) if rows >= 2 * THREAD_ROWS else 1
    cuts = [rows * part // threads for part in range(threads + 1)]
    scratch: list[NDArray[np.float64]] = [np.empty(room(stop - start)) for start, stop in pairwise(cuts)]
    parts = [(*given, *pair, own.ctypes.data) for pair, own in zip(pairwise(cuts), scratch)]
    others = [Thread(target=run, args=part) for part in parts[1:]]
    for other in others:
        other.start()
    run(*parts[0])
    for other in others:
        other.join()


@functools.cache
def gpu_kernel() -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Triton's kernel; where there is no Triton, plain torch operators."""
    try:
        from workbench.models.tree_kernel import cuda
    except ImportError:
        return plain.tree_ensemble
    return cuda.tree_ensemble


def _trees_elsewhere(numbers: Tensor, codes: Tensor, program: Tensor, outputs: int) -> Tensor:
    _hold(numbers, codes, program, outputs)
    return gpu_kernel()(numbers, codes, program)


def _steps_elsewhere(numbers: Tensor, codes: Tensor, words: Tensor, width: int) -> Tensor:
    _hold(numbers, codes, words, width)
    return steps_plain.row_steps(numbers, codes, words)


def classes_on_cpu(
    numbers: Tensor, codes: Tensor, program: Tensor, single: bool, scale: float, rule: int
) -> tuple[Tensor, Tensor, Tensor]:
    asks, kernels = _hold(numbers, codes, program, 1), compiled()
    if kernels is None:
        return plain.tree_classes(numbers, codes, program, single, scale, rule)
    raw = _sums(kernels, asks, numbers, codes, program)
    return *_two(kernels, raw, single, scale, rule), raw.squeeze_(1)


def _two(kernels: Any, raw: Tensor, single: bool, scale: float, rule: int) -> tuple[Tensor, Tensor]:
    rows = raw.shape[0]
    chance, scores, label = _empty((rows,)), _empty((rows, 2)), _empty((rows,), np.int64)
    kernels.prepare(raw.data_ptr(), chance.data_ptr(), rows, int(single), float(scale))
    # The exponential is torch's own, so that the portable form has the same bits.
    chance.exp_()
    kernels.finish(raw.data_ptr(), chance.data_ptr(), rows, int(single), rule, scores.data_ptr(), label.data_ptr())
    return scores, label


def two_on_cpu(raw: Tensor, single: bool, scale: float, rule: int) -> tuple[Tensor, Tensor, Tensor]:
    kernels = compiled()
    if kernels is None:
        return _two_elsewhere(raw, single, scale, rule)
    raw = raw.double().contiguous()
    scores, label = _two(kernels, raw, single, scale, rule)
    margin = raw[:, 0].clone()
    return scores, label.masked_fill_(margin.isnan(), -1), margin


def _two_elsewhere(raw: Tensor, single: bool, scale: float, rule: int) -> tuple[Tensor, Tensor, Tensor]:
    scores, label, margin = plain.two_classes(raw, single, scale, rule)
    return scores, torch.where(margin.isnan(), -1, label), margin.clone()


def votes_on_cpu(scores: Tensor) -> Tensor:
    kernels = compiled()
    if kernels is None:
        return scores.argmax(dim=1)
    scores = scores.double().contiguous()
    label = _empty((scores.shape[0],), np.int64)
    kernels.vote(scores.data_ptr(), *scores.shape, label.data_ptr())
    return label


def _votes_elsewhere(scores: Tensor) -> Tensor:
    return scores.argmax(dim=1)


def _classes_elsewhere(
    numbers: Tensor, codes: Tensor, program: Tensor, single: bool, scale: float, rule: int
) -> tuple[Tensor, Tensor, Tensor]:
    return plain.two_classes(_trees_elsewhere(numbers, codes, program, 1), single, scale, rule)


def _sums_shape(numbers: Tensor, codes: Tensor, words: Tensor, outputs: int) -> Tensor:
    return numbers.new_empty((numbers.shape[0], outputs), dtype=torch.float64)


def _classes_shape(
    numbers: Tensor, codes: Tensor, program: Tensor, single: bool, scale: float, rule: int
) -> tuple[Tensor, Tensor, Tensor]:
    return _answers(numbers)


def _two_shape(raw: Tensor, single: bool, scale: float, rule: int) -> tuple[Tensor, Tensor, Tensor]:
    return _answers(raw)


def _answers(of: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    rows, kind = of.shape[0], torch.float64
    label = of.new_empty(rows, dtype=torch.int64)
    return of.new_empty((rows, 2), dtype=kind), label, of.new_empty(rows, dtype=kind)


def _votes_shape(scores: Tensor) -> Tensor:
    return scores.new_empty(scores.shape[0], dtype=torch.int64)


_library.impl("tree_ensemble", trees_on_cpu, "CPU")
_library.impl("tree_ensemble", _trees_elsewhere, "CUDA")
_library.impl("tree_classes", classes_on_cpu, "CPU")
_library.impl("tree_classes", _classes_elsewhere, "CUDA")
_library.impl("row_steps", steps_on_cpu, "CPU")
_library.impl("row_steps", _steps_elsewhere, "CUDA")
_library.impl("two_classes", two_on_cpu, "CPU")
_library.impl("two_classes", _two_elsewhere, "CUDA")
_library.impl("votes", votes_on_cpu, "CPU")
_library.impl("votes", _votes_elsewhere, "CUDA")
torch.library.register_fake("workbench::two_classes", _two_shape, lib=_library)
torch.library.register_fake("workbench::votes", _votes_shape, lib=_library)
torch.library.register_fake("workbench::tree_ensemble", _sums_shape, lib=_library)
torch.library.register_fake("workbench::tree_classes", _classes_shape, lib=_library)
torch.library.register_fake("workbench::row_steps", _sums_shape, lib=_library)

DIRECT: dict[Any, Callable[..., Any]] = {
    torch.ops.workbench.tree_ensemble.default: tree_ensemble,
    torch.ops.workbench.tree_classes.default: tree_classes,
    torch.ops.workbench.row_steps.default: row_steps,
    torch.ops.workbench.two_classes.default: two_classes,
    torch.ops.workbench.votes.default: votes,
}
"""Our operators, and the shorter way to each for a graph that runs outside of torch's tracing."""
