# mypy: disable-error-code="no-untyped-call"
"""The operators that torch sees, and who answers them.

`workbench::tree_ensemble`: raw sums of the trees. `workbench::two_classes`: scores and label of a binary model from its
margin and its chance. On a CPU numba's kernels; where there are none, plain torch operators, with the same bits.
They work inside torch.compile and torch.export as opaque calls, and take the threads `torch.set_num_threads` gives.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from itertools import pairwise
from threading import Thread
from typing import Any

import torch
from torch import Tensor

from workbench.models.tree_kernel import plain
from workbench.models.tree_kernel.program import check

THREAD_ROWS = 4_096
"""Rows for each thread, at least."""

Run = Callable[..., None]

_library = torch.library.Library("workbench", "DEF")
_library.define("tree_ensemble(Tensor numbers, Tensor codes, Tensor program, int outputs) -> Tensor")
_library.define("two_classes(Tensor raw, Tensor chance, bool single, int rule) -> (Tensor, Tensor)")


@functools.cache
def compiled() -> tuple[Run, Run] | None:
    """The compiled kernels; None where numba is not installed, or too old for them."""
    try:
        from workbench.models.tree_kernel import cpu
    except ImportError:
        return None
    return cpu.run, cpu.two_classes


def tree_ensemble(numbers: Tensor, codes: Tensor, program: Tensor, outputs: int) -> Tensor:
    """numbers float64 [n, F], codes int64 [n, b], program int64 [W] → raw sums float64 [n, outputs].

    The operator, spared torch's own way to it (as long as the kernel takes for a row) where nobody traces.
    """
    if type(numbers) is Tensor and numbers.is_cpu and not torch.compiler.is_compiling():
        return trees_on_cpu(numbers, codes, program, outputs)
    sums: Tensor = torch.ops.workbench.tree_ensemble.default(numbers, codes, program, outputs)
    return sums


def two_classes(raw: Tensor, chance: Tensor, single: bool, rule: int) -> tuple[Tensor, Tensor]:
    """raw, chance float64 [n, 1] → scores [n, 2], label int64 [n].

    single: scores are rounded to float32. rule: the second class where raw > 0 (0), raw >= 0 (1) or its score is the
    higher (2).
    """
    if type(raw) is Tensor and raw.is_cpu and not torch.compiler.is_compiling():
        return classes_on_cpu(raw, chance, single, rule)
    both: tuple[Tensor, Tensor] = torch.ops.workbench.two_classes.default(raw, chance, single, rule)
    return both


def _asks(program: Tensor) -> tuple[int, int]:
    """Hold a program against itself, once: the kernel follows what it says."""
    try:
        asks: tuple[int, int] = program._asks  # type: ignore[attr-defined]
    except AttributeError:
        program._asks = asks = check(program.cpu().numpy())  # type: ignore[attr-defined]
    return asks


def _hold(numbers: Tensor, codes: Tensor, program: Tensor) -> None:
    asks = _asks(program)
    if numbers.shape[1] < asks[0] or codes.shape[1] < asks[1] or numbers.shape[0] != codes.shape[0]:
        raise ValueError(f"the trees ask for {asks} numbers and codes, got {[*numbers.shape]} and {[*codes.shape]}")


def trees_on_cpu(numbers: Tensor, codes: Tensor, program: Tensor, outputs: int) -> Tensor:
    _hold(numbers, codes, program)
    kernels = compiled()
    if kernels is None:
        return plain.tree_ensemble(numbers, codes, program)
    if numbers.dtype is not torch.float64 or not numbers.is_contiguous():
        numbers = numbers.double().contiguous()
    if not codes.is_contiguous():
        codes = codes.contiguous()
    rows, width = numbers.shape
    out = torch.empty((rows, outputs), dtype=torch.float64)
    given = (program.data_ptr(), numbers.data_ptr(), width, codes.data_ptr(), codes.shape[1], out.data_ptr())
    if rows < 2 * THREAD_ROWS or (threads := min(torch.get_num_threads(), rows // THREAD_ROWS)) < 2:
        kernels[0](*given, 0, rows)
    else:
        _shared(kernels[0], given, rows, threads)
    return out


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
    _hold(numbers, codes, program)
    return plain.tree_ensemble(numbers, codes, program)


def classes_on_cpu(raw: Tensor, chance: Tensor, single: bool, rule: int) -> tuple[Tensor, Tensor]:
    kernels, rows = compiled(), raw.shape[0]
    if kernels is None or not (raw.is_contiguous() and chance.is_contiguous()):
        return plain.two_classes(raw, chance, single, rule)
    scores, label = torch.empty((rows, 2), dtype=torch.float64), torch.empty(rows, dtype=torch.int64)
    kernels[1](raw.data_ptr(), chance.data_ptr(), rows, int(single), rule, scores.data_ptr(), label.data_ptr())
    return scores, label


def _sums_shape(numbers: Tensor, codes: Tensor, program: Tensor, outputs: int) -> Tensor:
    return numbers.new_empty((numbers.shape[0], outputs), dtype=torch.float64)


def _classes_shape(raw: Tensor, chance: Tensor, single: bool, rule: int) -> tuple[Tensor, Tensor]:
    return raw.new_empty((raw.shape[0], 2)), raw.new_empty(raw.shape[0], dtype=torch.int64)


_library.impl("tree_ensemble", trees_on_cpu, "CPU")
_library.impl("tree_ensemble", _trees_elsewhere, "CUDA")
_library.impl("two_classes", classes_on_cpu, "CPU")
_library.impl("two_classes", plain.two_classes, "CUDA")
torch.library.register_fake("workbench::tree_ensemble", _sums_shape, lib=_library)
torch.library.register_fake("workbench::two_classes", _classes_shape, lib=_library)

DIRECT: dict[Any, Callable[..., Any]] = {
    torch.ops.workbench.tree_ensemble.default: tree_ensemble,
    torch.ops.workbench.two_classes.default: two_classes,
}
"""Our operators, and the shorter way to each for a graph that runs outside of torch's tracing."""
