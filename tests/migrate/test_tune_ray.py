"""A search for a network on a real Ray of this machine: the trials of a local one, bit by bit."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.cluster import connected
from workbench.data import open_data
from workbench.evidence import Finding, Status, Table
from workbench.migrate import tuning
from workbench.migrate.tune import on_ray
from workbench.migrate.tune.storage import StudyError
from workbench.migration import Roles, Task
from workbench.models import open_model

TASK = Task(kind="binary", target="y", positive="1", threshold=0.5)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(800, 3)), columns=["a", "b", "c"])
    frame.assign(y=(frame.a + frame.b > 0).astype(int)).to_parquet(folder / "train.parquet")
    (folder / "legacy.py").write_text("import numpy as np\ndef score(rows):\n    return 1 / (1 + np.exp(-rows.a))\n")
    return folder


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """A cluster of this machine with cores for three trainings, which what is tried finds connected."""
    found = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        with connected(cores=3):
            yield found


def searched(home: Path, folder: Path, **more: Any) -> list[Finding]:
    legacy = open_model("python:legacy:score", folder=home, task="binary", classes=[0, 1], inputs=["a", "b", "c"])
    params = tuning.Params(stage="train", rows=300, trials=5, minutes=None, epochs=4, at_once=2, **more)
    try:
        train = open_data(str(home / "train.parquet"))
        return list(tuning.run({"legacy": lambda: legacy}, train, TASK, Roles(), folder / "models" / "key", params))
    finally:
        legacy.close()


def story(found: list[Finding]) -> list[tuple[Any, ...]]:
    """Every trial without the seconds it took."""
    [search] = [one for one in found if one.id == "tuning/search"]
    table = next(one for one in search.details if isinstance(one, Table))
    left_out = table.columns.index("seconds")
    return [(*row[:left_out], *row[left_out + 1 :]) for row in table.rows]


def test_what_is_timed_is_not_sent_to_a_cluster(home: Path, tmp_path: Path) -> None:
    for more in ({"engine": "ray"}, {"at_once": 2}):
        params = tuning.Params(**more)  # type: ignore[arg-type]
        train = open_data(str(home / "train.parquet"))
        [found] = tuning.run({"candidate": lambda: None}, train, TASK, Roles(), tmp_path, params)  # type: ignore
        assert found.status is Status.ABSENT
        assert "leave engine and at_once out" in found.reason


@pytest.mark.slow
@pytest.mark.long
def test_a_search_on_ray_is_the_search_it_is_here(ray: Any, home: Path, tmp_path: Path) -> None:
    here, there = searched(home, tmp_path / "here"), searched(home, tmp_path / "there", engine="ray")
    assert story(here) == story(there)
    assert len(story(here)) == 5
    kept = [next(tmp_path.glob(f"{where}/models/*/tuned/*/trial-*/candidate.npz")) for where in ("here", "there")]
    digests = [path.read_bytes() for path in kept]
    assert digests[0] == digests[1], "the same network to the last bit"


@pytest.mark.slow
@pytest.mark.long
def test_what_is_lost_on_the_cluster_loses_its_trial_only(ray: Any, home: Path) -> None:
    """A training process that is killed, and the actor it belongs to."""
    from workbench.migrate.retraining.prepared import prepare
    from workbench.migrate.retraining.recipe import Recipe

    small = Recipe("mlp", width=8, depth=1, epochs=2, embeddings="none", batch_size=64)
    legacy = open_model("python:legacy:score", folder=home, task="binary", classes=[0, 1], inputs=["a", "b", "c"])
    prepared = prepare(legacy, pd.read_parquet(home / "train.parquet"), TASK, Roles())
    legacy.close()
    with on_ray.places(prepared, 1, None, "cpu") as [place]:
        first = place(small, lambda epoch, check: False)
        assert first.end == "done", first.reason

        def kill_training(epoch: int, check: float) -> bool:
            os.kill(mine("workbench.migrate.tune import trainer"), signal.SIGKILL)
            return False

        assert place(small, kill_training).end == "memory"
        assert place(small, lambda epoch, check: False).values == first.values

        def kill_actor(epoch: int, check: float) -> bool:
            os.kill(mine("ray::Training"), signal.SIGKILL)
            return False

        lost = place(small, kill_actor)
        assert (lost.end, lost.values) == ("crashed", None)
        assert "machine of the cluster was lost" in lost.reason
        assert place(small, lambda epoch, check: False).values == first.values


@pytest.mark.slow
@pytest.mark.long
def test_a_cluster_without_room_says_so(ray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: Any = None
    monkeypatch.setattr(on_ray, "PATIENCE", 15.0)
    room = on_ray.places(rows, 4, None, "cpu")
    with pytest.raises(StudyError, match="no place within 15 s: lower at_once"), room:
        raise AssertionError("there is no such room")


def test_another_version_on_the_cluster_is_named() -> None:
    on_ray._same(on_ray.versions())
    with pytest.raises(StudyError, match=r"torch 0\.1 \(here"):
        on_ray._same({**on_ray.versions(), "torch": "0.1"})


def mine(words: str) -> int:
    """The one process below this one whose command line holds the words."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if words.encode() in (path / "cmdline").read_bytes() and os.getpid() in forebears(int(path.name)):
                found.append(int(path.name))
        except OSError:
            continue
    [number] = found
    return number


def forebears(process: int) -> list[int]:
    found = []
    while process > 1:
        process = int(Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[1])
        found.append(process)
    return found
