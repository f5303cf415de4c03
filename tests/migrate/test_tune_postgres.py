"""A study in a real PostgreSQL: two processes share it, one is killed, and no setting is lost or tried twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workbench.migrate.tune.sampler import Space, key
from workbench.migrate.tune.search import Bounds, Outcome, Running, Study, read_trials
from workbench.migrate.tune.storage import StudyError, open_storage

pytestmark = pytest.mark.slow

POINTS = [{"engine": engine, "threads": threads} for engine in ("eager", "portable", "onnx") for threads in (1, 2, 4)]
OWNER = "postgres"


def program(name: str) -> str:
    """Of PostgreSQL's server; Debian keeps them out of PATH."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which(name) or next((str(place / name) for place in places if (place / name).is_file()), "")
    if not found:
        pytest.skip(f"no PostgreSQL here ({name} is not found): apt-get install postgresql")
    return found


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A private cluster on a socket of its own; its URL. The server refuses root, so root takes the system's user."""
    pytest.importorskip("psycopg", reason="no driver for PostgreSQL: pip install 'migration-workbench[scale]'")
    initdb, postgres = program("initdb"), program("postgres")
    root: dict[str, Any] = {"user": OWNER} if os.getuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # a socket's path has a hundred letters at most
    try:
        if root:
            try:
                shutil.chown(folder, OWNER)
            except LookupError:
                pytest.skip(f"PostgreSQL does not run as root, and there is no user {OWNER}")
        make = [initdb, "-D", str(folder / "data"), "-A", "trust", "-U", OWNER, "-N", "--locale=C", "-E", "UTF8"]
        subprocess.run(make, check=True, capture_output=True, cwd=folder, **root)
        run = [postgres, "-D", str(folder / "data"), "-k", str(folder), "-c", "listen_addresses=", "-c", "fsync=off"]
        with (folder.with_suffix(".log")).open("wb") as log:
            running = subprocess.Popen(run, stdout=log, stderr=log, cwd=folder, **root)
        try:
            yield answering(running, f"postgresql+psycopg://{OWNER}@/postgres?host={folder}")
        finally:
            running.send_signal(signal.SIGINT)  # its fast shutdown
            running.wait(60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_suffix(".log").unlink(missing_ok=True)


def answering(running: subprocess.Popen[bytes], url: str) -> str:
    """The URL, once somebody answers there."""
    import psycopg

    for _ in range(600):
        assert running.poll() is None, "the server ended"
        try:
            psycopg.connect(url.replace("+psycopg", "")).close()
            return url
        except psycopg.OperationalError:
            time.sleep(0.1)
    raise AssertionError("PostgreSQL did not answer within a minute")


def searching(folder: Path, url: str, seconds: float) -> int:
    """A process that takes part; each trial takes `seconds` and leaves a line behind. Its number."""
    number = os.fork()
    if number:
        return number

    def slow(point: Any, running: Running) -> Outcome:
        time.sleep(seconds)
        with (folder / "ran.txt").open("a") as file:
            file.write(json.dumps(point) + "\n")
        return Outcome("done", (float(point["threads"]),))

    try:
        Study(folder, "serve", ("a",), Space.of(POINTS, POINTS[:1]), storage=url).search(slow, Bounds(9))
    finally:
        os._exit(0)


def test_two_processes_share_a_study_and_one_may_be_killed(server: str, tmp_path: Path) -> None:
    killed, other = searching(tmp_path, server, 0.3), searching(tmp_path, server, 0.3)
    ran = tmp_path / "ran.txt"
    for _ in range(6_000):
        if ran.exists() and len(ran.read_text().splitlines()) >= 3:
            break
        time.sleep(0.02)
    os.kill(killed, signal.SIGKILL)
    for number in (killed, other):
        os.waitpid(number, 0)
    found = read_trials(tmp_path, "serve", server)
    assert sorted(key(one.point) for one in found) == sorted(map(key, POINTS)), "each setting once, none lost"
    assert {one.end for one in found} == {"done"}
    assert all(one.values == (float(one.point["threads"]),) for one in found)


def test_a_server_that_does_not_answer_is_told_without_its_address(tmp_path: Path) -> None:
    program("postgres")
    with pytest.raises(StudyError, match="postgresql\\+psycopg database of the study does not open") as error:
        open_storage(tmp_path, f"postgresql+psycopg://{OWNER}@/secret?host={tmp_path}")
    assert "secret" not in str(error.value)
