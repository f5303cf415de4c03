"""The probe of the machine: its figures hold together, whatever machine it is."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from workbench.measure import hardware
from workbench.measure.speed.environment import environment
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


def test_each_accelerator_is_used_or_says_what_it_takes() -> None:
    import torch

    found = {one.name: one for one in hardware.accelerators()}
    assert len(found) == 5
    assert all(bool(one.needs) != bool(one.found) or "device" in one.found for one in found.values())
    cuda = torch.cuda.is_available() and torch.version.hip is None
    assert (not found["NVIDIA GPU (CUDA)"].needs) == cuda
    amx = "amx_tile" in Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else False
    assert not (amx and found["bfloat16 on the processor"].needs)


def test_the_journeys_page_measures_a_machine_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.ui import hardware as page

    monkeypatch.setattr(page, "BUSY", math.inf)
    first = page.machine(tmp_path)
    kept = tmp_path / ".workbench" / page.KEPT
    figures = json.loads(kept.read_text())["ceilings"]
    monkeypatch.setattr(page, "measured", lambda *_: pytest.fail("it was measured already"))
    again = page.machine(tmp_path)
    told = {row[0]: row[1] for row in again.table.rows}
    [float32] = [one for one in figures if one["what"] == "matrix product, float32" and one["value"] is not None][:1]
    assert told["matrix product, float32"] == f"{float32['value']:,.1f}"
    assert [row[0] for row in first.table.rows] == [row[0] for row in again.table.rows]
    kept.write_text('{"facts": [')
    with pytest.raises(pytest.fail.Exception):
        page.machine(tmp_path)


def test_what_was_measured_while_the_machine_was_busy_says_so_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.ui import hardware as page

    values = iter([(3.0, 9.0), (5.0, 7.0), (0.0, 0.0)])

    def made(*_: object) -> dict[str, object]:
        names = zip(("memory, copied", "matrix product, float32"), next(values))
        figures = [{"device": "cpu", "what": name, "value": one, "unit": "GB/s", "why": ""} for name, one in names]
        return {"facts": environment(), "memory": {}, "ceilings": figures, "accelerators": []}

    monkeypatch.setattr(page, "measured", made)
    monkeypatch.setattr(page, "BUSY", -1)
    assert "measured while busy" in repr(page.machine(tmp_path))
    monkeypatch.setattr(page, "BUSY", math.inf)
    for _ in range(2):
        told = {row[0]: row[1] for row in page.machine(tmp_path).table.rows}
        assert (told["memory, copied"], told["matrix product, float32"]) == ("5.0", "9.0"), "the best of both"
        assert "measured while busy" not in told


def test_the_command_tells_people_and_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hardware", "--seconds", "0.02", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"facts", "memory", "ceilings", "accelerators"} == set(told)
    assert main(["hardware", "--seconds", "0.02"]) == 0
    assert "matrix product, float32" in capsys.readouterr().out
