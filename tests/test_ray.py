"""A run on a real Ray cluster of this machine: the same evidence, and whatever goes wrong is named as it is here."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from test_runner import (  # noqa: F401 (plugin is a fixture)
    ALL,
    answers,
    command,
    events_of,
    evidence,
    make_migration,
    only,
    plugin,
    summed,
    wait_until_nothing_runs,
    workbench,
)

from workbench import store
from workbench.audit import Resources, resources
from workbench.evidence import Status
from workbench.migration import open_migration
from workbench.runner import PlanError
from workbench.runner.engine import engine
from workbench.ui.cli import main

RAY = ("--engine", "ray")


@pytest.fixture
def migration(tmp_path: Path) -> Path:
    return make_migration(tmp_path)


def test_an_engine_that_is_not_known_or_not_installed_is_refused_before_anything_starts(
    migration: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(migration), "--only", "readiness", "--engine", "spark"]) == 3
    assert "use local or ray" in capsys.readouterr().err
    assert main(["run", str(migration), "--only", "readiness", "--ray-address", "auto"]) == 3
    assert "add --engine ray" in capsys.readouterr().err
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ray" else real(name))
    assert main(["run", str(migration), "--only", "readiness", *RAY]) == 3
    assert "pip install 'migration-workbench[scale]'" in capsys.readouterr().err
    assert store.runs(migration) == ()


def test_rays_client_port_is_refused_with_the_way_to_do_it(migration: Path) -> None:
    with pytest.raises(PlanError, match="ray job submit"), engine("ray", open_migration(migration), 2, 60, "ray://h:1"):
        pass


def test_an_audit_declares_what_it_needs_or_gets_the_defaults() -> None:
    class Audit:
        RESOURCES = Resources(cpus=4, gpus=1, memory=2**34)

    assert resources(Audit).gpus == 1
    assert resources(object()) == Resources(cpus=1, gpus=0, memory=2**31)


Both = tuple[Path, dict[str, Any], Path]


@pytest.fixture(scope="module")
def both(plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> Both:  # noqa: F811
    """A run on Ray in which delta's kernel is killed, what it told, and the same run here without delta."""
    there, here = (make_migration(tmp_path_factory.mktemp(where)) for where in ("there", "here"))
    names, mood = [*ALL, *only("delta")], ["-p", "delta.mood=die"]
    done = workbench(plugin, "run", there, *names, *mood, *RAY, "--progress", "json")
    assert done.returncode == 3, done.stdout + done.stderr
    assert workbench(plugin, "run", here, *ALL).returncode == 0
    return there, summed(map(json.loads, done.stdout.splitlines())), here


@pytest.mark.slow
@pytest.mark.long
def test_the_evidence_is_that_of_a_run_here(both: Both) -> None:
    there, outcome, here = both
    assert answers(there) == answers(here)
    assert sorted(outcome["ran"]) == ["alpha", "beta", "delta", "gamma"]
    run = store.runs(there)[0]
    assert run.state == "done"
    assert store.verify(run.folder) == ()
    assert list((there / ".workbench" / "cluster").iterdir()) == [], "what the machines were shown is gone"


@pytest.mark.slow
@pytest.mark.long
def test_a_killed_kernel_on_the_cluster_is_named_with_its_cell(both: Both) -> None:
    there, outcome, _ = both
    assert "the kernel died" in outcome["failed"]["delta"]
    assert "cell 3 of 3" in outcome["failed"]["delta"]
    assert [finding.status for finding in evidence(there, "delta").findings] == [Status.ERROR]


@pytest.mark.slow
@pytest.mark.long
def test_a_lost_worker_is_named_a_second_run_refused_and_ctrl_c_leaves_nothing(
    plugin: Path,  # noqa: F811
    migration: Path,
) -> None:
    moods = ["-p", "alpha.mood=hang", "-p", "delta.mood=hang"]
    names = only("alpha", "gamma", "delta")
    words, environment = command(plugin, "run", migration, *names, *moods, *RAY, "--progress", "json")
    process = subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    )
    lost, ended = "", set()
    for event in events_of(process):
        if event["event"] == "cell" and event["cell"] == 3 and event["notebook"] != "99_gamma" and not lost:
            os.kill(worker_of(process.pid), signal.SIGKILL)
        if event["event"] in ("done", "failed"):
            ended.add(event["notebook"])
            lost = event.get("text", "") if event["event"] == "failed" else lost
        if lost and "99_gamma" in ended:
            break
    assert "killed from outside" in lost
    refused = workbench(plugin, "run", migration, *only("gamma"), "--force")
    assert f"process {process.pid} on" in refused.stderr
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert time.monotonic() - began < 60, "it hangs for 600 s if nobody stops it"
    assert process.returncode == 130, said
    assert "run again and it goes on from there" in said
    wait_until_nothing_runs(migration)
    assert store.runs(migration)[0].state == "crashed"
    assert evidence(migration, "gamma").findings[0].change.value == 3.0, "what was finished is kept"  # type: ignore[union-attr]


def worker_of(run: int) -> int:
    """The process of a notebook of this run, wherever it stands below it."""
    processes = {int(path.name): path for path in Path("/proc").glob("[0-9]*")}
    while processes:
        number, path = processes.popitem()
        try:
            if b"workbench.runner.worker" in (path / "cmdline").read_bytes() and run in forebears(number):
                return number
        except OSError:
            continue
    raise AssertionError("no notebook is at work")


def forebears(process: int) -> list[int]:
    found = []
    while process > 1:
        process = int(Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[1])
        found.append(process)
    return found
