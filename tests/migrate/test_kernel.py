"""One ensemble, four ways to answer it: compiled, in torch operators alone, by its words in torch, by a plain walk."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_trees import random_rows, random_trees

from workbench.migrate.lift.ensemble import ensemble
from workbench.models import Refused, tree_walk
from workbench.models.tree_kernel import op as kernel
from workbench.models.tree_kernel import plain
from workbench.models.tree_kernel.program import HEADER, check


def _codes(rows: int) -> torch.Tensor:
    return torch.zeros((rows, 0), dtype=torch.int64)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 3), st.booleans(), st.booleans(), st.booleans(),
    st.sampled_from([0, 1, 2, 31, 32, 33, 80]),
)  # fmt: skip
def test_four_ways_to_the_same_bits(seed, features, outputs, deep, vectors, float32, rows):
    trees = random_trees(seed, features, outputs, deep, vectors)
    trees = dataclasses.replace(trees, base=trees.base.astype(np.float32).astype(np.float64))
    X = random_rows(seed, rows, features)
    x, codes = torch.from_numpy(X), _codes(rows)
    float32 = float32 and trees.aggregation == "sum"  # no library averages in float32
    module = ensemble(trees, float32)
    found = module(x, codes)
    assert found.shape == (rows, outputs)
    assert torch.equal(found, plain.tree_ensemble(x, codes, module.program))
    if rows:
        assert torch.equal(found, module.parts[0](x, codes))
    # An output without a tree: the walk adds the base before the other outputs' trees, the lift after them.
    exact = (outputs == 1 or not float32) if vectors else len(set(trees.tree_output.tolist())) == outputs
    close = 0.0 if exact else 1e-6 if float32 else 1e-14
    np.testing.assert_allclose(found.numpy(), tree_walk.raw(trees, X, float32), rtol=close, atol=close)


def test_rows_of_any_layout_and_width():
    trees = random_trees(8, 4, 2, True)
    module, X = ensemble(trees), random_rows(1, 100, 4)
    expected = module(torch.from_numpy(X), _codes(100))
    wide = torch.from_numpy(np.asfortranarray(np.repeat(X, 2, axis=0)))[::2]
    assert not wide.is_contiguous()
    assert torch.equal(module(wide, _codes(100)), expected)
    narrow = np.clip(X, -1e30, 1e30).astype(np.float32)
    assert torch.equal(
        module(torch.from_numpy(narrow), _codes(100)), module(torch.from_numpy(narrow.astype(np.float64)), _codes(100))
    )


def test_the_threads_are_the_callers_and_change_no_bit(monkeypatch):
    monkeypatch.setattr(kernel, "THREAD_ROWS", 100)
    trees = random_trees(11, 5, 3, True)
    x = torch.from_numpy(random_rows(2, 1_000, 5))
    module, started = ensemble(trees), []
    expected = module(x, _codes(1_000))

    class Counted(kernel.Thread):
        def start(self) -> None:
            started.append(self)
            super().start()

    monkeypatch.setattr(kernel, "Thread", Counted)
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        started.clear()
        assert torch.equal(module(x, _codes(1_000)), expected)
        assert len(started) == threads - 1
    torch.set_num_threads(1)


def test_without_numba_it_answers_the_same(monkeypatch):
    trees = random_trees(5, 3, 2, False)
    x = torch.from_numpy(random_rows(3, 50, 3))
    module = ensemble(trees)
    expected = module(x, _codes(50))
    monkeypatch.setattr(kernel, "compiled", lambda: None)
    assert torch.equal(module(x, _codes(50)), expected)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.integers(0, 300),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(-(2**62), 2**62)), max_size=3),
    st.booleans(),
)
def test_a_changed_program_is_refused_or_stays_inside_its_words(seed, changes, near):
    trees = random_trees(seed, 3, 2, seed % 2 == 0)
    words = ensemble(trees).program.clone()
    for place, value in changes:
        at = place % (60 if near else len(words))
        words[at] = int(words[at]) + value % 7 - 3 if near else value
    x = torch.from_numpy(random_rows(seed, 40, 3))
    try:
        for rows in (40, 1):
            assert kernel.tree_ensemble(x[:rows], _codes(rows), words, 2).shape == (rows, 2)
    except (Refused, ValueError):
        assert changes


@pytest.mark.parametrize("name", ["magic", "words", "trees", "nodes", "at_nodes", "limit_bits", "leaves"])
def test_a_header_that_lies_is_refused(name):
    words = ensemble(random_trees(4, 3, 1, True)).program.numpy().copy()
    check(words)
    words[HEADER[name]] += -1 if name == "leaves" else 1
    with pytest.raises(Refused, match="make the candidate anew"):
        check(words)


@pytest.mark.parametrize("rule", [0, 1, 2])
@pytest.mark.parametrize("single", [False, True])
def test_two_classes_in_one_call(single, rule):
    trees = dataclasses.replace(random_trees(2, 3, 1, True), base=np.zeros(1))
    # Margins on the edge, far out, and too small for a chance but one half.
    edge = np.array([0.0, -0.0, 5e-324, -5e-324, 40.0, -800.0, 800.0, 1e-17, 0.3, -90.0])
    trees = dataclasses.replace(trees, value=np.resize(edge, trees.value.shape), weight=np.ones(trees.n_trees))
    module = ensemble(trees, single)
    for rows in (0, 1, 40):
        x = torch.from_numpy(random_rows(rule, rows, 3))
        found = kernel.tree_classes(x, _codes(rows), module.program, single, 0.7, rule)
        expected = plain.tree_classes(x, _codes(rows), module.program, single, 0.7, rule)
        for one, other in zip(found, expected):
            assert torch.equal(one, other)


def test_torch_finds_nothing_wrong_with_the_operator():
    module = ensemble(random_trees(4, 3, 2, True))
    x = torch.from_numpy(random_rows(4, 40, 3))
    torch.library.opcheck(torch.ops.workbench.tree_ensemble.default, (x, _codes(40), module.program, 2))
    one = ensemble(random_trees(4, 3, 1, True)).program
    torch.library.opcheck(torch.ops.workbench.tree_classes.default, (x, _codes(40), one, True, 1.0, 0))


@pytest.mark.slow
def test_torch_compile_takes_it_as_one_call():
    module = ensemble(random_trees(4, 3, 2, True))
    x = torch.from_numpy(random_rows(4, 40, 3))
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True, dynamic=True)
    assert torch.equal(compiled(x, _codes(40)), module(x, _codes(40)))


@pytest.mark.slow
def test_every_kernel_is_found_compiled_by_the_next_process(tmp_path):
    """What a fresh process compiles, the next reads from numba's files (how long it takes: `benchmarks trees`)."""
    code = (
        "from numba import int64 as i, float64 as f; from workbench.models.tree_kernel import op; k = op.compiled()\n"
        "runs = ((k.few, (i,) * 9), (k.many, (i,) * 9), (k.stepped, (i,) * 9),"
        " (k.prepare, (i, i, i, i, f)), (k.finish, (i,) * 7))\n"
        "for run, takes in runs: run.compile(takes)\n"
        "print(*[sum(run.stats.cache_hits.values()) for run, _ in runs])"
    )
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    hits = [
        subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout.split()
        for _ in range(2)
    ]
    assert hits == [["0"] * 5, ["1"] * 5]


@pytest.mark.slow
def test_a_kernel_is_compiled_anew_when_what_it_is_written_with_changes(tmp_path):
    package = Path(kernel.__file__).parent
    code = (
        "import sys; from workbench.models.tree_kernel import kernels as k; from numba import int64 as i\n"
        "k.vote.compile((i,) * 4); print(sum(k.vote.stats.cache_hits.values()))"
    )
    copy = tmp_path / "workbench"
    shutil.copytree(package.parents[1], copy, ignore=shutil.ignore_patterns("__pycache__", "notebooks", "*.pyc"))
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)}

    def hits() -> int:
        done = subprocess.run([sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True)
        assert not done.returncode, done.stderr
        return int(done.stdout)

    assert (hits(), hits()) == (0, 1)
    with open(copy / "models" / "tree_kernel" / "lanes.py", "a") as file:
        file.write("# changed\n")
    assert hits() == 0
