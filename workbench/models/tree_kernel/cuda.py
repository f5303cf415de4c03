# mypy: disable-error-code="no-untyped-call, no-untyped-def, untyped-decorator"
"""The GPU kernel, in Triton: every row walks every tree and adds the values in the model's own order.

What nodes compare is made by torch's operators (`plain.tests_of`), so a row takes the same way as on a CPU; sums are
added tree by tree in float64 (or rounded to float32 after each, where the source does), so they have the same bits.
The answer of `tree_classes` goes through the device's exponential, which may differ from a CPU's in the last one.

With TRITON_INTERPRET=1 the same kernel runs on a CPU, row by row: for tests.
"""

from __future__ import annotations

import torch
import triton  # type: ignore[import-not-found]
import triton.language as tl  # type: ignore[import-not-found]
from torch import Tensor

from workbench.models.tree_kernel import plain
from workbench.models.tree_kernel.program import HEADER

BLOCK = 128
"""Rows of one program."""
CELLS = 1 << 28
"""Rows x tests made at once, at most: 2 GiB."""


@triton.jit
def _sum(
    tests, nodes, roots, values, base, out, rows, each, width, divide, limit_bits, test_bits,
    SINGLE: tl.constexpr, WIDE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip  # pragma: no cover - compiled; Triton reads no annotation but these
    """out [n, K] of BLOCK rows and one output. tests [R, n], nodes [N], roots [T], values [P, L], base [K]."""
    row = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    output = tl.program_id(1)
    outputs = tl.num_programs(1)
    inside = row < rows
    limits = (tl.full((), 1, tl.int64) << limit_bits) - 1
    all_tests = (tl.full((), 1, tl.int64) << test_bits) - 1
    up = limit_bits + test_bits
    first = 0 if WIDE else output * each
    total = tl.zeros((BLOCK,), tl.float64)
    for tree in range(each):
        node = tl.load(nodes + tl.load(roots + first + tree)) + tl.zeros((BLOCK,), tl.int64)
        test = (node >> limit_bits) & all_tests
        while tl.max(test, axis=0) > 0:
            asked = tl.load(tests + test * rows + row, mask=inside, other=0)
            node = tl.load(nodes + (node >> up) + (asked > (node & limits)).to(tl.int64))
            test = (node >> limit_bits) & all_tests
        place = (node & limits) * width + (output if WIDE else 0)
        total = total + tl.load(values + place)
        if SINGLE:
            total = total.to(tl.float32).to(tl.float64)
    found = total / tl.load(divide) + tl.load(base + output)
    tl.store(out + row * outputs + output, found, mask=inside)


def tree_ensemble(numbers: Tensor, codes: Tensor, program: Tensor) -> Tensor:
    """Raw sums [n, K] of a checked program, all on one device."""
    head = _head(program)
    rows = max(1, CELLS // head["tests"])
    parts = [_sums(head, program, *part) for part in zip(numbers.double().split(rows), codes.split(rows))]
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def _head(program: Tensor) -> dict[str, int]:
    """The program's sizes, brought from the device once."""
    head: dict[str, int] | None = getattr(program, "_head", None)
    if head is None:
        head = dict(zip(HEADER, program[: len(HEADER)].tolist()))
        program._head = head  # type: ignore[attr-defined]
    return head


def _sums(head: dict[str, int], program: Tensor, numbers: Tensor, codes: Tensor) -> Tensor:
    rows, outputs = len(numbers), head["outputs"]
    out = numbers.new_empty((rows, outputs))
    if not rows:
        return out
    tests = plain.tests_of(head, program, numbers, codes)
    wide = head["width"] > 1
    floats = program.view(torch.float64)
    _sum[(triton.cdiv(rows, BLOCK), outputs)](
        tests,
        program[head["at_nodes"] :],
        program[head["at_roots"] :],
        floats[head["at_values"] :],
        floats[head["at_base"] :],
        out,
        rows,
        head["trees"] if wide else head["trees"] // outputs,
        head["width"],
        floats[HEADER["divide"] :],
        head["limit_bits"],
        head["test_bits"],
        SINGLE=bool(head["single"]),
        WIDE=wide,
        BLOCK=BLOCK,
        enable_fp_fusion=False,
    )
    return out
