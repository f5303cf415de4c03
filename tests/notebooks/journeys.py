"""A run of the journey, started, listened to, and read back without what may differ between two runs: times."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench import store
from workbench.evidence import Evidence

Event = dict[str, Any]


@dataclass(frozen=True)
class Journey:
    """A migration after its run, and what the run told on its way."""

    folder: Path
    events: list[Event]


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    """`workbench run` on a folder, as the leader of a process group."""
    return subprocess.Popen(
        [sys.executable, "-m", "workbench.ui.cli", "run", str(folder), "--progress", "json", *words],
        env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def told(process: subprocess.Popen[str]) -> Iterator[Event]:
    assert process.stdout
    return map(json.loads, process.stdout)


def run(folder: Path) -> tuple[int, list[Event]]:
    """To its end: exit code and events."""
    with start(folder) as process:
        events = list(told(process))
    return process.returncode, events


def wait_until_nothing_runs(folder: Path, seconds: float = 60) -> None:
    """Until no process works in the folder: workers, kernels and model hosts end when their run is gone."""
    deadline = time.monotonic() + seconds
    while left := [line for line in _processes() if str(folder) in line]:
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.2)


def _processes() -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            yield f"{os.readlink(process / 'cwd')} {line}"
        except OSError:
            continue


def stored(folder: Path) -> dict[str, Any]:
    """By notebook: all evidence of the newest run, but for times, and of the benchmark only what it looked at."""
    run = store.runs(folder)[0].folder
    return {path.parent.name: _timeless(store.read_evidence(path)) for path in sorted(run.glob(f"*/{store.EVIDENCE}"))}


def _timeless(evidence: Evidence) -> Any:
    if evidence.audit == "benchmark":
        return sorted((finding.id, finding.subject) for finding in evidence.findings)
    plain = evidence.model_dump(mode="json", exclude={"started", "seconds"})
    for finding in plain["findings"]:
        for side in ("legacy", "candidate", "change"):
            if finding[side] and finding[side]["unit"] == "s":
                finding[side] = "a time"
    return json.dumps(plain, indent=1, sort_keys=True).splitlines()  # as text: NaN is no equal of itself


def broken(folder: Path, events: list[Event]) -> list[str]:
    """Why a run broke: notebooks that failed or were skipped, and findings that are errors."""
    told = [f"{event['notebook']}: {event['text']}" for event in events if event["event"] in ("failed", "skipped")]
    found = store.runs(folder)[0].folder.glob(f"*/{store.EVIDENCE}")
    every = [finding for path in found for finding in store.read_evidence(path).findings]
    return told + [f"{finding.key}: {finding.reason}" for finding in every if finding.status == "error"]


def half_written(folder: Path) -> list[str]:
    """Files and folders that somebody began to write and never finished."""
    odd = (path for path in folder.rglob("*") if path.name == "tmp" or ".part" in path.name)
    return [path.relative_to(folder).as_posix() for path in odd]
