"""The probe of the machine: its figures hold together, whatever machine it is."""

from __future__ import annotations

import json

import pytest

from workbench.measure import hardware
from workbench.ui.cli import main


def test_ceilings_are_measured_and_what_is_lacking_says_why() -> None:
    found = hardware.ceilings(0.02)
    assert {one.unit for one in found if one.value is not None} == {"GB/s", "GFLOP/s"}
    assert all(one.value > 0 if one.value is not None else one.why for one in found)
    import torch

    if not torch.cuda.is_available():
        absent = [one for one in found if one.device == "GPU"]
        assert len(absent) == 1
        assert "CUDA" in absent[0].why or "NVIDIA" in absent[0].why


def test_a_copy_moves_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against numpy's own copy of the same block, timed here: the same order of magnitude."""
    import time

    import numpy as np

    one = next(one for one in hardware.ceilings(0.1) if one.what == "memory, copied")
    source = np.ones(hardware.LARGE // 4, dtype=np.float32)
    target = np.empty_like(source)
    np.copyto(target, source)
    times = []
    for _ in range(10):
        start = time.perf_counter()
        np.copyto(target, source)
        times.append(time.perf_counter() - start)
    assert one.value is not None
    assert 0.05 < one.value / (2 * hardware.LARGE / min(times) / 1e9) < 20


def test_the_command_tells_people_and_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hardware", "--seconds", "0.02", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"facts", "memory", "ceilings"} == set(told)
    assert main(["hardware", "--seconds", "0.02"]) == 0
    assert "matrix product, float32" in capsys.readouterr().out
