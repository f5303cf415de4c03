# mypy: disable-error-code="no-untyped-call"
"""The operators that torch sees, and who answers them.

`workbench::tree_ensemble`: raw sums of the trees. `workbench::tree_classes`: a binary model's scores, label and margin
in one call, for a single row spends its time on calls. On a CPU numba's kernels; where there are none, plain torch
operators, with the same bits. They work inside torch.compile and torch.export as opaque calls, and take the threads
that `torch.set_num_threads` gives.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from itertools import pairwise
from threading import Thread
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workbench.models.tree_kernel import plain
from workbench.models.tree_kernel.program import check

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


@functools.cache
def compiled() -> tuple[Run, Run, Run, Run] | None:
    """The compiled kernels; None where numba is not installed, or too old for them."""
    try:
        from workbench.models.tree_kernel import cpu
    except ImportError:
        return None
    return cpu.few, cpu.many, cpu.prepare, cpu.finish


def tree_ensemble(numbers: Tensor, codes: Tensor, program: Tensor, outputs: int) -> Tensor:
    """numbers float64 [n, F], codes int64 [n, b], program int64 [W] → raw sums float64 [n, outputs].

    The operator, spared torch's own way to it (as long as the kernel takes for a row) where nobody traces.
    """
    if type(numbers) is Tensor and numbers.is_cpu and not torch.compiler.is_compiling():
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
    if type(numbers) is Tensor and numbers.is_cpu and not torch.compiler.is_compiling():
        return classes_on_cpu(numbers, codes, program, single, scale, rule)
    found: tuple[Tensor, Tensor, Tensor] = torch.ops.workbench.tree_classes.default(
        numbers, codes, program, single, scale, rule
    )
    return found


def _asks(program: Tensor) -> tuple[int, int, int]:
    """Hold a program against itself, once: the kernel follows what it says."""
    try:
        asks: tuple[int, int, int] = program._asks  # type: ignore[attr-defined]
    except AttributeError:
        program._asks = asks = check(program.cpu().numpy())  # type: ignore[attr-defined]
    return asks


def _hold(numbers: Tensor, codes: Tensor, program: Tensor, outputs: int) -> None:
    asks = _asks(program)
    rows, width = numbers.shape
    if width < asks[0] or codes.shape[1] < asks[1] or rows != codes.shape[0] or outputs != asks[2]:
        given = [*numbers.shape], [*codes.shape], outputs
        raise ValueError(f"the trees read (numbers, codes) and give (outputs): {asks}, and were called with {given}")


def _empty(shape: tuple[int, ...], kind: type = np.float64) -> Tensor:
    """By numpy: half the time of torch.empty."""
    return torch.from_numpy(np.empty(shape, dtype=kind))


def _sums(kernels: tuple[Run, ...], numbers: Tensor, codes: Tensor, program: Tensor, outputs: int) -> Tensor:
    if numbers.dtype is not torch.float64 or not numbers.is_contiguous():
        numbers = numbers.double().contiguous()
    if not codes.is_contiguous():
        codes = codes.contiguous()
    rows, width = numbers.shape
    out = _empty((rows, outputs))
    given = (program.data_ptr(), numbers.data_ptr(), width, codes.data_ptr(), codes.shape[1], out.data_ptr())
    if rows < MANY:
        kernels[0](*given, 0, rows)
    elif rows < 2 * THREAD_ROWS or (threads := min(torch.get_num_threads(), rows // THREAD_ROWS)) < 2:
        kernels[1](*given, 0, rows)
    else:
        _shared(kernels[1], given, rows, threads)
    return out


def trees_on_cpu(numbers: Tensor, codes: Tensor, program: Tensor, outputs: int) -> Tensor:
    _hold(numbers, codes, program, outputs)
    kernels = compiled()
    if kernels is None:
        return plain.tree_ensemble(numbers, codes, program)
    return _sums(kernels, numbers, codes, program, outputs)


def _shared(run: Run, given: tuple[Any, ...], rows: int, threads: int) -> None:
    """Rows cut into equal parts, a thread for each, this one included: the kernel holds no lock."""
    cuts = [rows * part // threads for part in range(threads + 1)]
    others = [Thread(target=run, args=(*given, *pair)) for pair in pairwise(cuts[1:])]
    for other in others:
        other.start()
    run(*given, cuts[0], cuts[1])
    for other in others:
        other.join()


def _trees_elsewhere(numbers: Tensor, codes: Tensor, program: Tensor, outputs: int) -> Tensor:
    _hold(numbers, codes, program, outputs)
    return plain.tree_ensemble(numbers, codes, program)


def classes_on_cpu(
    numbers: Tensor, codes: Tensor, program: Tensor, single: bool, scale: float, rule: int
) -> tuple[Tensor, Tensor, Tensor]:
    _hold(numbers, codes, program, 1)
    kernels = compiled()
    if kernels is None:
        return plain.tree_classes(numbers, codes, program, single, scale, rule)
    raw = _sums(kernels, numbers, codes, program, 1)
    rows = numbers.shape[0]
    chance, scores, label = _empty((rows,)), _empty((rows, 2)), _empty((rows,), np.int64)
    kernels[2](raw.data_ptr(), chance.data_ptr(), rows, int(single), float(scale))
    # The exponential is torch's own, so that the portable form has the same bits.
    _ = chance.exp_() if single else chance.sigmoid_()
    kernels[3](raw.data_ptr(), chance.data_ptr(), rows, int(single), rule, scores.data_ptr(), label.data_ptr())
    return scores, label, raw.squeeze_(1)


def _classes_elsewhere(
    numbers: Tensor, codes: Tensor, program: Tensor, single: bool, scale: float, rule: int
) -> tuple[Tensor, Tensor, Tensor]:
    _hold(numbers, codes, program, 1)
    return plain.tree_classes(numbers, codes, program, single, scale, rule)


def _sums_shape(numbers: Tensor, codes: Tensor, program: Tensor, outputs: int) -> Tensor:
    return numbers.new_empty((numbers.shape[0], outputs), dtype=torch.float64)


def _classes_shape(
    numbers: Tensor, codes: Tensor, program: Tensor, single: bool, scale: float, rule: int
) -> tuple[Tensor, Tensor, Tensor]:
    rows, kind = numbers.shape[0], torch.float64
    label = numbers.new_empty(rows, dtype=torch.int64)
    return numbers.new_empty((rows, 2), dtype=kind), label, numbers.new_empty(rows, dtype=kind)


_library.impl("tree_ensemble", trees_on_cpu, "CPU")
_library.impl("tree_ensemble", _trees_elsewhere, "CUDA")
_library.impl("tree_classes", classes_on_cpu, "CPU")
_library.impl("tree_classes", _classes_elsewhere, "CUDA")
torch.library.register_fake("workbench::tree_ensemble", _sums_shape, lib=_library)
torch.library.register_fake("workbench::tree_classes", _classes_shape, lib=_library)

DIRECT: dict[Any, Callable[..., Any]] = {
    torch.ops.workbench.tree_ensemble.default: tree_ensemble,
    torch.ops.workbench.tree_classes.default: tree_classes,
}
"""Our operators, and the shorter way to each for a graph that runs outside of torch's tracing."""
