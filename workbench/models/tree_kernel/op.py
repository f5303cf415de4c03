"""`workbench::tree_ensemble`: the operator that torch sees, and who answers it.

On a CPU numba's kernel; where there is none, plain torch operators, with the same bits. It works inside torch.compile
and torch.export as one opaque call, and takes the threads that `torch.set_num_threads` gives.
"""

# mypy: disable-error-code="no-untyped-call"
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
tree_ensemble = torch.ops.workbench.tree_ensemble.default
"""numbers float64 [n, F], codes int64 [n, b], program int64 [W] → raw sums float64 [n, outputs]."""


@functools.cache
def compiled() -> Run | None:
    """The compiled kernel; None where numba is not installed, or too old for it."""
    try:
        from workbench.models.tree_kernel.cpu import run
    except ImportError:
        return None
    kernel: Run = run
    return kernel


def _checked(program: Tensor, numbers: Tensor, codes: Tensor) -> None:
    """Hold a program against itself once, and each call against it: the kernel follows what it says."""
    asks = getattr(program, "_asks", None)
    if asks is None:
        program._asks = asks = check(program.cpu().numpy())  # type: ignore[attr-defined]
    if numbers.shape[1] < asks[0] or codes.shape[1] < asks[1]:
        raise ValueError(f"the trees ask for {asks} numbers and codes, and got {numbers.shape[1]}, {codes.shape[1]}")


def _on_cpu(numbers: Tensor, codes: Tensor, program: Tensor, outputs: int) -> Tensor:
    _checked(program, numbers, codes)
    run = compiled()
    if run is None:
        return plain.tree_ensemble(numbers, codes, program)
    numbers, codes = numbers.double().contiguous(), codes.contiguous()
    rows = numbers.shape[0]
    out = torch.empty((rows, outputs), dtype=torch.float64)
    given = (program.data_ptr(), numbers.data_ptr(), numbers.shape[1], codes.data_ptr(), codes.shape[1], out.data_ptr())
    threads = min(torch.get_num_threads(), rows // THREAD_ROWS)
    if threads > 1:
        _shared(run, given, rows, threads)
    elif rows:
        run(*given, 0, rows)
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


def _elsewhere(numbers: Tensor, codes: Tensor, program: Tensor, outputs: int) -> Tensor:
    _checked(program, numbers, codes)
    return plain.tree_ensemble(numbers, codes, program)


def _shape(numbers: Tensor, codes: Tensor, program: Tensor, outputs: int) -> Tensor:
    return numbers.new_empty((numbers.shape[0], outputs), dtype=torch.float64)


_library.impl("tree_ensemble", _on_cpu, "CPU")
_library.impl("tree_ensemble", _elsewhere, "CUDA")
torch.library.register_fake("workbench::tree_ensemble", _shape, lib=_library)
