"""The GPU benchmark's own way, walked on a processor at a small size."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from benchmarks import __main__ as command
from benchmarks import gpu, shapes


@pytest.mark.slow
def test_every_step_of_it_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(shapes, "CACHE", tmp_path)
    monkeypatch.setattr(shapes, "TRAIN", 300)
    monkeypatch.setattr(gpu, "BACKGROUND", 5)
    forest = shapes.Shape("small forest", "sklearn", shapes._forest(4, 4))
    found = gpu.measured((forest,), (forest,), (1, 40), 20, "cpu", 0.01)
    assert list(found.columns) == list(gpu.HEAD)
    assert len(found) == 2 * 4 + 2
    assert (found["median, ms"] > 0).all()
    first = found.groupby(["what", "model", "rows"], sort=False).first()
    assert np.allclose(first["times the library"], 1.0)


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
