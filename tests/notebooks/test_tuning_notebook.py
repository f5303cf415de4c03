"""43_tuning runs when it is asked for, and what it wrote is a candidate that parity judges."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from journeys import Event, broken, start, told

from workbench import store
from workbench.evidence import File, Status
from workbench.migration import FILE

QUICK = "audits:\n  tuning: {trials: 3, minutes: 2, rows: 200, seconds: 0.1, batch: 64}\n"


def asked(folder: Path, *names: str) -> list[Event]:
    with start(folder, *(word for name in names for word in ("--only", name))) as process:
        events = list(told(process))
    assert process.returncode in (0, 1, 2), broken(folder, events)
    return events


@pytest.mark.notebook
@pytest.mark.long
def test_it_is_searched_headless_and_its_candidate_is_judged(sample: Path) -> None:
    folder = sample.with_name("tuned")
    shutil.copytree(sample, folder)
    path = folder / FILE
    path.write_text(path.read_text("utf-8").replace("audits:\n", QUICK, 1), "utf-8")
    ended = {one["notebook"]: one["event"] for one in asked(folder, "replatform", "tuning") if one.get("notebook")}
    assert ended == {"42_replatform": "done", "43_tuning": "done"}
    found = store.latest(folder, "tuning")
    assert found is not None
    assert Status.ERROR not in found.evidence.verdict.counts
    made = next(one for one in found.evidence.findings if one.id == "tuning/candidate")
    files = [one for one in made.details if isinstance(one, File)]
    assert {"serving.json"} < {one.title for one in files}, made.reason
    home = next((folder / "models").glob("*/tuned/*/trial-*"))
    uri = next(home.glob("candidate.*")).with_suffix(Path(files[0].path).suffix).relative_to(folder).as_posix()
    path.write_text(path.read_text("utf-8") + f"\ncandidate:\n  uri: {uri}\n", "utf-8")
    asked(folder, "parity")
    judged = store.latest(folder, "parity")
    assert judged is not None
    by = {one.id: one for one in judged.evidence.findings}
    assert by["parity/label-flips"].change.value == 0  # type: ignore[union-attr]
    assert by["parity/score-difference"].change.value <= 1e-6  # type: ignore[union-attr]
