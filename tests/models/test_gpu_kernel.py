"""The GPU kernel: on a GPU where there is one, and its logic through Triton's interpreter on a CPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).resolve().parents[1] / "migrate"

HELD = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np, torch
from random_trees import random_rows, random_trees
from workbench.migrate.lift.ensemble import ensemble
from workbench.models.tree_kernel import cuda, plain

device = sys.argv[2]
seen = set()
for seed, outputs, deep, vectors, float32 in [
    (1, 1, False, False, False), (2, 3, False, False, True), (3, 2, True, True, False), (4, 1, True, False, True),
    (5, 4, False, True, True), (6, 2, True, False, False), (7, 1, True, False, False), (8, 3, True, True, False),
]:
    trees = random_trees(seed, 4, outputs, deep, vectors)
    op = ensemble(trees, float32 and trees.aggregation == "sum").to(device)
    seen.add((trees.compare, trees.precision, bool((trees.category >= 0).any())))
    for rows in (200, 129, 1, 0):
        x = torch.from_numpy(random_rows(seed, rows, 4)).to(device)
        codes = torch.zeros((rows, 0), dtype=torch.int64, device=device)
        assert torch.equal(cuda.tree_ensemble(x, codes, op.program), plain.tree_ensemble(x, codes, op.program)), seed
        if device != "cpu":
            assert torch.equal(op(x, codes).cpu(), plain.tree_ensemble(x.cpu(), codes.cpu(), op.program.cpu())), seed
assert len(seen) > 4 and any(coded for *_, coded in seen), seen
print("same bits")
"""


COMPILED = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from workbench.models.tree_kernel import cuda

kinds = {"tests": "*i64", "nodes": "*i64", "roots": "*i64", "rows": "i64", "each": "i32", "width": "i32"}
kinds |= {"limit_bits": "i32", "test_bits": "i32"} | dict.fromkeys(("values", "base", "out", "divide"), "*fp64")
for wide in (False, True):
    fixed = {"SINGLE": not wide, "WIDE": wide, "BLOCK": cuda.BLOCK}
    asked = ASTSource(cuda._sum, {name: kinds.get(name, "constexpr") for name in cuda._sum.arg_names}, fixed)
    made = triton.compile(asked, target=GPUTarget("cuda", 90, 32), options={"enable_fp_fusion": False})
    assert len(made.asm["cubin"]) > 1000
    assert "div.rn.f64" in made.asm["ptx"] and "fma" not in made.asm["ptx"]
print("compiled")
"""


def _run(code: str, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr[-3000:]


@pytest.mark.slow
def test_the_kernels_logic_gives_the_plain_forms_bits() -> None:
    pytest.importorskip("triton", reason="Triton is not installed")
    assert "same bits" in _run(HELD, str(HERE), "cpu", TRITON_INTERPRET="1")


@pytest.mark.slow
def test_it_compiles_for_a_gpu_without_one_and_fuses_no_rounding_away() -> None:
    pytest.importorskip("triton", reason="Triton is not installed")
    assert "compiled" in _run(COMPILED)


@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_on_a_gpu_it_gives_the_cpus_bits() -> None:
    pytest.importorskip("triton", reason="Triton is not installed")
    assert "same bits" in _run(HELD, str(HERE), "cuda")


def test_without_triton_the_plain_form_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.models.tree_kernel import op, plain

    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, "workbench.models.tree_kernel.cuda", raising=False)
    op.gpu_kernel.cache_clear()
    assert op.gpu_kernel() is plain.tree_ensemble
    op.gpu_kernel.cache_clear()
