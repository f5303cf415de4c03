"""Killed at random moments and run again, the eight real notebooks leave the evidence of an undisturbed run."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from journeys import Journey, broken, half_written, run, start, stored, told, wait_until_nothing_runs

from workbench import store

pytestmark = pytest.mark.notebook

KILLS = 3
SEED = int(os.environ.get("WORKBENCH_SEED") or time.time_ns() % 2**32)


def killed(folder: Path, event: int, after: float) -> bool:
    """Starts a run and kills its process group `after` seconds behind this event; False if it ended before."""
    with start(folder) as process:
        for number, _ in enumerate(told(process), 1):
            if number == event:
                time.sleep(after)
                os.killpg(process.pid, signal.SIGKILL)
                break
    wait_until_nothing_runs(folder)
    return process.returncode == -signal.SIGKILL


def kept(folder: Path) -> set[str]:
    """Notebooks that a killed run had finished."""
    return {path.parent.name for path in (folder / store.REPORTS).glob("*/[0-9][0-9]_*/seal.json")}


def test_killed_at_random_moments_and_run_again_the_evidence_is_the_same(sample: Path, journey: Journey) -> None:
    print(f"seed {SEED}: repeat with WORKBENCH_SEED={SEED}")
    moments = random.Random(SEED)
    folder = sample.with_name("killed")
    shutil.copytree(sample, folder)
    events = len(journey.events)
    for _ in range(KILLS):
        done = kept(folder)
        event, after = moments.randint(1, events // 2), moments.uniform(0, 2)
        print(f"kill {after:.2f} s after event {event} of {events}, with {sorted(done)} done")
        if not killed(folder, event, after):
            break
        assert store.runs(folder)[0].state == "crashed", "a run that was killed must never look done"
        assert kept(folder) >= done, "what was finished is never lost"
    done = kept(folder)
    code, said = run(folder)
    assert code in (0, 1, 2), broken(folder, said)
    assert {one["notebook"] for one in said if one["event"] == "fresh"} == done
    assert {one["notebook"] for one in said if one["event"] == "done"} | done == set(stored(folder)) | {"00_journey"}
    assert stored(folder) == stored(journey.folder)
    last = store.runs(folder)[0]
    assert last.state == "done"
    assert store.verify(last.folder) == ()
    assert half_written(folder) == []
