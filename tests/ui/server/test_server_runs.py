"""Runs started through the API: events in time, found again after a restart, stopped, and one at a time."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.ui.server.conftest import Server, migration_in

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(root: Path) -> Path:
    return migration_in(root / "runs" / "pace", "pace")


@pytest.fixture(scope="module")
def pace(folder: Path, server: Server, client: httpx.Client) -> str:
    """The address of the migration in which things are run."""
    found = client.get(f"{server.api}/migrations").json()["migrations"]
    return f"{server.api}/migrations/{next(one['id'] for one in found if one['name'] == 'pace')}"


def begun(client: httpx.Client, pace: str, seconds: float, **more: object) -> dict[str, Any]:
    body = {"only": ["dawdle"], "params": {"dawdle": {"seconds": seconds}}, "force": True, **more}
    answer = client.post(f"{pace}/jobs", json=body)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    return job


def heard(client: httpx.Client, pace: str, job: str, after: int = 0) -> Iterator[tuple[int, dict[str, Any], datetime]]:
    """Every event with its id and when it came."""
    headers = {"Last-Event-ID": str(after)}
    with client.stream("GET", f"{pace}/jobs/{job}/events", headers=headers, timeout=180) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        number = 0
        for line in answer.iter_lines():
            if line.startswith("id: "):
                number = int(line[4:])
            elif line.startswith("data: "):
                yield number, json.loads(line[6:]), datetime.now(UTC)


def until(condition: Callable[[], Any], seconds: float = 120) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError("it never happened")


@pytest.fixture(scope="module")
def whole(client: httpx.Client, pace: str) -> tuple[dict[str, Any], list[tuple[int, dict[str, Any], datetime]]]:
    """A run from its start to its end: the job, and its events."""
    job = begun(client, pace, 0.0)
    return job, list(heard(client, pace, job["job"]))


def test_a_run_tells_each_cell_and_comes_to_its_end(
    whole: tuple[dict[str, Any], Any], client: httpx.Client, pace: str, folder: Path
) -> None:
    job, events = whole
    told = [event for _, event, _ in events]
    assert [number for number, _, _ in events] == list(range(1, len(events) + 1)) == [event["n"] for event in told]
    many = ("cell", "warning")  # warned is where the workbench's own code changes under a run
    assert [event["event"] for event in told if event["event"] not in many] == ["run", "start", "done", "end", "ended"]
    cells = [event for event in told if event["event"] == "cell"]
    assert sorted({(event["cell"], event["of"]) for event in cells}) == [(n, 3) for n in (1, 2, 3)]
    assert all(event["elapsed"] >= 0 and "path" not in event for event in told)
    assert str(folder) not in json.dumps(told)
    now = client.get(f"{pace}/jobs/{job['job']}").json()
    assert (now["state"], now["done"], now["of"], now["code"]) == ("done", 1, 1, 0)
    assert now["notebooks"][0]["state"] == "done"
    journey = client.get(pace).json()
    assert journey["active"] is None
    dawdle = next(book for chapter in journey["chapters"] for book in chapter["notebooks"] if book["audit"] == "dawdle")
    assert (dawdle["status"], dawdle["run"]) == ("info", now["run"])
    assert dawdle["expected"] > 0
    assert client.get(f"{pace}/evidence/dawdle").json()["evidence"]["audit"] == "dawdle"


def test_an_event_is_here_within_half_a_second(whole: tuple[Any, list[tuple[int, dict[str, Any], datetime]]]) -> None:
    late = sorted((came - datetime.fromisoformat(event["at"])).total_seconds() for _, event, came in whole[1][1:])
    assert late[len(late) // 2] < 0.5


def test_a_stream_goes_on_where_it_was_cut(
    whole: tuple[dict[str, Any], list[Any]], client: httpx.Client, pace: str
) -> None:
    job, events = whole
    again = list(heard(client, pace, job["job"], after=3))
    assert [number for number, _, _ in again] == list(range(4, len(events) + 1))
    assert list(heard(client, pace, job["job"], after=len(events))) == []


def test_a_second_run_is_refused_and_the_first_survives_the_server(
    start: Callable[[], Server], server: Server, client: httpx.Client, pace: str, folder: Path
) -> None:
    """Started on one server, found, followed and stopped on the next."""
    first = start()
    mine = pace.replace(server.api, first.api)
    with first.client() as before:
        job = begun(before, mine, 300.0)
        refused = client.post(f"{pace}/jobs", json={})
        assert refused.status_code == 409
        assert refused.json()["code"] == "busy"
        assert refused.json()["seen"].startswith("process ")
        until(lambda: before.get(f"{mine}/jobs/{job['job']}").json()["notebooks"])
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    found = client.get(pace).json()["active"]
    assert found["job"] == job["job"]
    events: list[dict[str, Any]] = []
    reader = threading.Thread(target=lambda: events.extend(event for _, event, _ in heard(client, pace, job["job"])))
    reader.start()
    until(lambda: any(event["event"] == "cell" for event in events))
    assert client.get(f"{pace}/jobs/{job['job']}").json()["state"] == "running"
    stopped = client.post(f"{pace}/jobs/{job['job']}/stop", json={})
    assert stopped.status_code == 202
    assert stopped.json()["state"] == "stopping"
    reader.join(60)
    assert events[-1]["event"] == "ended"
    assert "Stopped" in events[-1]["text"]
    now = client.get(f"{pace}/jobs/{job['job']}").json()
    assert (now["state"], now["code"]) == ("stopped", 130)
    assert client.get(pace).json()["active"] is None
    assert client.post(f"{pace}/jobs/{job['job']}/stop", json={}).status_code == 409


def test_a_run_that_is_killed_says_so(client: httpx.Client, pace: str, folder: Path) -> None:
    job = begun(client, pace, 300.0)["job"]
    until(lambda: client.get(f"{pace}/jobs/{job}").json()["state"] == "running")
    assert client.post(f"{pace}/jobs/{job}/stop", json={"force": True}).status_code == 202
    last = list(heard(client, pace, job))[-1][1]
    assert (last["event"], last["code"]) == ("ended", -9)
    assert "killed" in last["text"]
    assert client.get(f"{pace}/jobs/{job}").json()["code"] == 137


def test_a_watcher_that_is_killed_leaves_a_sentence(client: httpx.Client, pace: str, folder: Path) -> None:
    """Nobody wrote how it ended: the stream says that, and ends."""
    job = begun(client, pace, 300.0)["job"]
    until(lambda: client.get(f"{pace}/jobs/{job}").json()["state"] == "running")
    launched = json.loads((folder / ".workbench" / "jobs" / job / "job.json").read_text())
    with contextlib.suppress(ProcessLookupError):
        os.killpg(launched["claim"]["pid"], signal.SIGKILL)
    last = list(heard(client, pace, job))[-1][1]
    assert last["event"] == "ended"
    assert "without a word" in last["text"]
    assert client.get(f"{pace}/jobs/{job}").json()["state"] == "failed"


def test_what_cannot_start_says_why(client: httpx.Client, pace: str) -> None:
    job = client.post(f"{pace}/jobs", json={"only": ["baas"]}).json()["job"]
    last = list(heard(client, pace, job))[-1][1]
    assert (last["event"], last["code"]) == ("ended", 3)
    assert "did you mean 'bias'?" in last["text"]
    assert client.get(f"{pace}/jobs/{job}").json()["state"] == "failed"
    assert client.get(pace).json()["active"] is None
