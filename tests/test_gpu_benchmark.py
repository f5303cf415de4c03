"""The GPU benchmark's own way, walked on a processor at a small size."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from benchmarks import __main__ as command
from benchmarks import gpu, gpu_nets, shapes


@pytest.mark.slow
def test_every_step_of_it_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(shapes, "CACHE", tmp_path)
    monkeypatch.setattr(shapes, "TRAIN", 300)
    monkeypatch.setattr(gpu, "BACKGROUND", 5)
    forest = shapes.Shape("small forest", "sklearn", shapes._forest(4, 4))
    sides = {"engines": ("eager", "portable"), "precisions": ("float32", "bfloat16"), "batches": (1, 50)}
    parts = [
        gpu.networks("cpu", 0.01, **sides, layers=(4, 8, 8, 1)),
        gpu.serving(forest, (1, 40), "cpu", 0.01),
        gpu.explained(forest, 20, "cpu", 0.01),
    ]
    found, left = gpu.measured(parts)
    assert left == 0
    assert list(found.columns) == list(gpu.HEAD)
    assert len(found) == 2 * 4 + 2 * 4 + 2
    assert (found["median, ms"] > 0).all()
    first = found.groupby(["what", "model", "rows"], sort=False).first()
    assert np.allclose(first["times the first side"], 1.0)
    assert list(found["side"][:4]) == ["eager, float32", "portable, float32", "eager, bfloat16", "portable, bfloat16"]


def test_what_does_not_fit_the_time_is_left_out_and_counted():
    def part():
        for rows in (1, 2, 3):
            yield gpu.Measured("serving", "m", rows, "library", 1.0, 1.0)

    found, left = gpu.measured([part(), part()], longest=-1.0)
    assert (len(found), left) == (0, 2)
    found, left = gpu.measured([part(), part()], longest=60.0)
    assert (len(found), left) == (6, 0)


def test_an_engine_that_answers_otherwise_is_not_timed(monkeypatch):
    monkeypatch.setattr(gpu_nets, "TOLERANCES", {"float32": 1e-4, "bfloat16": 1e-9})
    more = {"engines": ("eager",), "batches": (8,), "layers": (4, 8, 1)}
    with pytest.raises(RuntimeError, match="eager, bfloat16 answers 8 rows otherwise"):
        list(gpu_nets.served("cpu", **more))


def test_another_answer_is_never_timed():
    one = {"scores": torch.tensor([[0.5, 0.5]], dtype=torch.float64), "label": torch.tensor([1])}
    gpu.held(one, one, "m")
    for name, other in (
        ("scores", torch.tensor([[0.5, 0.5 + 1e-9]], dtype=torch.float64)),
        ("label", torch.tensor([0])),
    ):
        with pytest.raises(RuntimeError, match=f"{name} on the device differ"):
            gpu.held(one, {**one, name: other}, "m")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_says_so_and_keeps_nothing(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmarks", "gpu"])
    monkeypatch.setattr(gpu, "keep", lambda *given: pytest.fail("it kept a table"))
    command.main()
    assert "There is no GPU here" in capsys.readouterr().out
