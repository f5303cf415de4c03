"""The store against kill -9, a full disk, a second writer, stale claims and flipped bytes."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from workbench import store
from workbench.evidence import SCHEMA, Evidence, Finding, Measure, Status
from workbench.store import holder, records

NAN = float("nan")


def evidence(audit: str = "bias", key: str = "k1", value: float = 0.25) -> Evidence:
    finding = Finding(id=f"{audit}/gap", title="A gap", status=Status.INFO, change=Measure(value=value))
    return Evidence(
        audit=audit,
        migration="credit",
        key=key,
        started=datetime(2026, 1, 2, tzinfo=UTC),
        seconds=1.5,
        findings=(finding,),
    )


def publish(run: store.Writer, audit: str = "bias", key: str = "k1", number: int = 51) -> Path:
    place = run.workplace(f"{number}_{audit}")
    store.write(place / store.EVIDENCE, evidence(audit, key).to_json())
    store.write(place / "notebook.ipynb", "{}")
    return run.publish(f"{number}_{audit}", audit=audit, key=key)


def finished(folder: Path, *audits: str) -> store.Run:
    with store.open_run(folder) as run:
        for number, audit in enumerate(audits, 51):
            publish(run, audit, number=number)
        run.finish()
    return store.runs(folder)[0]


# ------------------------------------------------------------------------------------- written and read back


def test_evidence_comes_back_as_it_was_written(tmp_path: Path) -> None:
    with store.open_run(tmp_path) as run:
        place = run.workplace("51_bias")
        written = evidence(value=NAN)
        store.write(place / store.EVIDENCE, written.to_json())
        run.publish("51_bias", audit="bias", key="k1")
        run.finish()
    stored = store.latest(tmp_path, "bias", "k1")
    assert stored is not None
    assert stored.evidence.to_json() == written.to_json()
    assert stored.run == run.id
    assert [one.state for one in store.runs(tmp_path)] == ["done"]
    assert store.verify(run.folder) == ()
    assert not (run.folder / "tmp").exists()


def test_another_key_is_not_fresh_and_the_newest_comes_first(tmp_path: Path) -> None:
    first, second = finished(tmp_path, "bias"), finished(tmp_path, "bias")
    assert store.latest(tmp_path, "bias", "other") is None
    assert store.latest(tmp_path, "parity") is None
    found = store.latest(tmp_path, "bias")
    assert found is not None
    assert found.run == second.id != first.id


def test_run_ids_sort_by_sequence_even_when_the_clock_goes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = finished(tmp_path, "bias")
    future = tmp_path / store.REPORTS / "20990101T000000Z-0002"
    first.folder.rename(first.folder.with_name("20990101T000000Z-0001"))
    second = finished(tmp_path, "bias")
    assert second.id.endswith("-0002")
    assert second.id < future.name, "this run was written with an earlier clock"
    assert store.runs(tmp_path)[0].id == second.id


def test_newer_evidence_is_refused_with_what_to_install(tmp_path: Path) -> None:
    path = tmp_path / "evidence.json"
    path.write_text(json.dumps(json.loads(evidence().to_json()) | {"schema": SCHEMA + 1}))
    with pytest.raises(store.TooNewError, match=rf"schema {SCHEMA + 1}.*pip install --upgrade"):
        store.read_evidence(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"schema": 1}', b"\x00\xff"])
def test_what_is_not_evidence_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "evidence.json"
    path.write_bytes(content)
    with pytest.raises(store.DamagedError, match=r"evidence\.json"):
        store.read_evidence(path)


def test_an_earlier_part_is_carried_into_a_new_run_whole(tmp_path: Path) -> None:
    first = finished(tmp_path, "bias")
    stored = store.latest(tmp_path, "bias", "k1")
    assert stored is not None
    with store.open_run(tmp_path) as run:
        run.carry(stored)
        record = run.finish()
    assert record.parts == {"51_bias": first.id}
    assert store.verify(run.folder) == ()
    again = store.latest(tmp_path, "bias", "k1")
    assert again is not None
    assert (again.run, again.seal.came_from) == (run.id, first.id)
    assert again.evidence == stored.evidence


# ------------------------------------------------------------------------------------- kill -9 anywhere

WRITES_A_RUN = """
    import os, signal, sys
    from pathlib import Path
    fsync = os.fsync
    def counted(descriptor):
        global count
        count += 1
        if count == kill_at and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        fsync(descriptor)
        if count == kill_at and after:
            os.kill(os.getpid(), signal.SIGKILL)
    os.fsync = counted
    from tests.test_store import publish
    from workbench import store
    def whole(folder):
        with store.open_run(folder) as run:
            publish(run, "parity", number=44)
            publish(run, "bias")
            run.finish()
    for kill_at in map(int, sys.argv[2].split(",")):
        after, count = kill_at % 2, 0
        folder = Path(sys.argv[1]) / str(kill_at)
        folder.mkdir()
        child = os.fork()
        if not child:
            whole(folder)
            print(count)
            sys.exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def killed(folder: Path, *points: int) -> list[int]:
    """A process per point, killed there (odd: after the fsync, even: before; 0: never): what it printed and its end."""
    root = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(WRITES_A_RUN), str(folder), ",".join(map(str, points))],
        cwd=root, env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [int(line) for line in done.stdout.split()]


@pytest.fixture(scope="module")
def fsyncs(tmp_path_factory: pytest.TempPathFactory) -> int:
    count, code = killed(tmp_path_factory.mktemp("whole"), 0)
    assert code == 0
    return count


def test_killed_at_every_fsync_there_is_never_a_false_done(tmp_path: Path, fsyncs: int) -> None:
    assert fsyncs >= 18, "two parts of three files each, a claim and run.json: file and folder"
    done = 0
    points = range(1, fsyncs + 1)
    assert killed(tmp_path, *points) == [-signal.SIGKILL] * fsyncs
    for folder in (tmp_path / str(point) for point in points):
        for run in store.runs(folder):
            assert run.state != "running", "its process is dead"
            if run.state == "done":
                done += 1
                assert store.verify(run.folder) == ()
        for path in (folder / store.REPORTS).rglob("*.json"):
            json.loads(path.read_bytes())  # under its final name, every file is whole
        kept = {name for name in ("bias", "parity") if store.latest(folder, name, "k1")}
        again = finished(folder, "bias")
        assert again.state == "done"
        assert {name for name in ("bias", "parity") if store.latest(folder, name, "k1")} == kept | {"bias"}
    assert done <= 1, "only when killed after run.json had its final name"


def test_a_killed_run_is_taken_over_and_that_is_recorded(tmp_path: Path, fsyncs: int) -> None:
    killed(tmp_path, fsyncs - 3)
    tmp_path = tmp_path / str(fsyncs - 3)
    crashed = store.runs(tmp_path)[0]
    assert crashed.state == "crashed"
    assert store.latest(tmp_path, "parity", "k1") is not None, "a finished notebook of a crashed run counts"
    with store.open_run(tmp_path) as run:
        record = run.finish()
    assert record.takeover is not None
    assert record.takeover.claim.run == crashed.id
    assert "ended without finishing" in record.takeover.reason


# ------------------------------------------------------------------------------------- no room


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_disk_full_at_any_write_leaves_old_evidence_and_no_truncated_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fsyncs: int, code: int
) -> None:
    before = finished(tmp_path, "bias", "parity")
    fsync = os.fsync
    for fail_at in range(1, fsyncs + 1):
        count = 0

        def full(descriptor: int, fail_at: int = fail_at) -> None:
            nonlocal count
            count += 1
            if count >= fail_at:
                raise OSError(code, os.strerror(code))
            fsync(descriptor)

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            with pytest.raises(store.StoreError, match="could not be written"):
                finished(tmp_path, "parity", "bias")
        for path in (tmp_path / store.REPORTS).rglob("*.json"):
            json.loads(path.read_bytes())
        assert store.verify(before.folder) == ()
        newest = store.runs(tmp_path)[0]
        assert newest.state != "running", "nobody writes any more"
        assert store.latest(tmp_path, "bias", "k1") is not None


def test_a_write_past_the_file_size_limit_of_the_system_keeps_the_old_file(tmp_path: Path) -> None:
    code = """
        import resource, signal, sys
        from pathlib import Path
        from workbench import store
        path = Path(sys.argv[1])
        store.write(path, "old")
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        try:
            store.write(path, "x" * 100_000)
        except store.StoreError as error:
            print(error)
    """
    path = tmp_path / "evidence.json"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(path)], capture_output=True, text=True, check=True
    )
    assert "larger than this system allows" in done.stdout
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["evidence.json"]


def test_a_run_is_refused_while_the_disk_is_nearly_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.store.writing.ROOM", 1 << 62)
    with pytest.raises(store.StoreError, match=r"MB are free .* are needed"), store.open_run(tmp_path):
        pass
    assert store.runs(tmp_path) == ()


def test_a_read_only_place_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / store.REPORTS).write_text("a file where the folder should be")
    with pytest.raises(store.StoreError, match="No run can start"), store.open_run(tmp_path):
        pass


# ------------------------------------------------------------------------------------- one writer


def second(folder: Path) -> subprocess.CompletedProcess[str]:
    code = "import pathlib, sys; from workbench import store; store.open_run(pathlib.Path(sys.argv[1])).__enter__()"
    return subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False)


def test_a_second_process_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    with store.open_run(tmp_path) as run:
        refused = second(tmp_path)
        assert store.runs(tmp_path)[0].state == "running"
        assert refused.returncode != 0
        assert f"process {os.getpid()} on" in refused.stderr
        assert "since" in refused.stderr
        publish(run)
        run.finish()
    assert second(tmp_path).returncode == 0, "free again"


def test_readers_are_not_blocked(tmp_path: Path) -> None:
    finished(tmp_path, "bias")
    with store.open_run(tmp_path) as run:
        assert store.latest(tmp_path, "bias", "k1") is not None
        publish(run, key="k2")
        assert store.latest(tmp_path, "bias", "k2") is not None, "dependents read what this run has finished"


def test_a_run_left_by_an_exception_is_crashed_not_running(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="boom"), store.open_run(tmp_path):
        raise ValueError("boom")
    assert store.runs(tmp_path)[0].state == "crashed"


def claimed(folder: Path, **changes: object) -> holder.Claim:
    """A run claimed and left, as the claim file of another process would show it."""
    run = folder / store.REPORTS / "20260101T000000Z-0001"
    run.mkdir(parents=True)
    claim = holder.Claim.mine(run.name).model_copy(update=changes)
    (run / records.CLAIM).write_text(claim.model_dump_json())
    return claim


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"boot": "another-boot"}, "restarted"),
        ({"process": "1"}, "now belongs to another process"),
        ({"pid": 2**22 + 12345}, "ended without finishing"),
    ],
)
def test_stale_claims_are_told_apart_and_taken_over(tmp_path: Path, changes: dict[str, object], reason: str) -> None:
    claimed(tmp_path, **changes)
    assert store.runs(tmp_path)[0].state == "crashed"
    with store.open_run(tmp_path) as run:
        record = run.finish()
    assert record.takeover is not None
    assert reason in record.takeover.reason


def test_a_claim_nobody_can_check_needs_a_person(tmp_path: Path) -> None:
    claimed(tmp_path, host="elsewhere")
    assert store.runs(tmp_path)[0].state == "running"
    with pytest.raises(store.BusyError, match=r"on elsewhere since .*--take-over"), store.open_run(tmp_path):
        pass
    with store.open_run(tmp_path, take_over=True) as run:
        record = run.finish()
    assert record.takeover is not None


def test_a_living_claim_is_respected_even_where_locks_do_not_work(tmp_path: Path) -> None:
    claimed(tmp_path)
    with pytest.raises(store.BusyError, match=str(os.getpid())), store.open_run(tmp_path):
        pass


# ------------------------------------------------------------------------------------- verify


def test_verify_names_a_flipped_a_cut_a_missing_and_an_added_file(tmp_path: Path) -> None:
    run = finished(tmp_path, "bias", "parity").folder
    flipped, cut, missing = run / "51_bias/evidence.json", run / "51_bias/notebook.ipynb", run / "52_parity/seal.json"
    cut.chmod(0o644)
    content = bytearray(flipped.read_bytes())
    content[content.index(b"0.25")] ^= 1
    flipped.write_bytes(content)
    cut.write_bytes(cut.read_bytes()[:-1])
    missing.unlink()
    (run / "52_parity" / "note.txt").write_text("added")
    problems = "\n".join(store.verify(run))
    assert "51_bias/evidence.json: changed" in problems
    assert "51_bias/notebook.ipynb: 1 bytes, 2 were written" in problems
    assert "52_parity/seal.json: missing" in problems
    assert "52_parity/note.txt: not part of the run" in problems
    assert store.latest(tmp_path, "bias", "k1") is None, "damaged evidence is never fresh"
    with pytest.raises(store.DamagedError, match="51_bias/evidence"):
        store.latest(tmp_path, "bias")


def test_an_executed_notebook_is_for_reading_and_one_saved_again_is_told_so(tmp_path: Path) -> None:
    run = finished(tmp_path, "bias").folder
    book = run / "51_bias/notebook.ipynb"
    assert book.stat().st_mode & 0o777 == 0o444
    assert (run / "51_bias/evidence.json").stat().st_mode & 0o200
    book.chmod(0o644)
    book.write_text("[]")
    [problem] = store.verify(run)
    assert "51_bias/notebook.ipynb: changed after it was written: it was saved again, as JupyterLab does" in problem
    assert "notebooks/" in problem


@pytest.mark.parametrize("spoil", ["seconds", "digest", "cut"])
def test_a_changed_run_json_is_no_longer_done(tmp_path: Path, spoil: str) -> None:
    run = finished(tmp_path, "bias")
    path = run.folder / records.RUN
    plain = json.loads(path.read_bytes())
    text = json.dumps(plain | {"seconds": 99.0}) if spoil == "seconds" else json.dumps(plain | {"digest": "0" * 64})
    path.write_text(path.read_text()[:-5] if spoil == "cut" else text)
    assert store.runs(tmp_path)[0].state == "crashed"
    assert store.verify(run.folder) != ()


# ------------------------------------------------------------------------------------- clocks and places


@pytest.mark.parametrize("hours", [-24, 5])
def test_a_clock_that_is_set_during_a_run_changes_no_duration_and_no_order_and_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    finished(tmp_path, "bias")
    with store.open_run(tmp_path) as run:
        publish(run, key="k2")
        real = datetime.now(UTC)

        class Moved(datetime):
            @classmethod
            def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
                return real + timedelta(hours=hours)

        monkeypatch.setattr("workbench.store.writing.datetime", Moved)
        record = run.finish()
    assert 0 <= record.seconds < 60
    assert record.clock_moved == pytest.approx(hours * 3600, abs=60)
    with store.open_run(tmp_path) as after:
        publish(after, key="k3")
        after.finish()
    assert [one.record.seq for one in store.runs(tmp_path) if one.record] == [3, 2, 1]
    found = store.latest(tmp_path, "bias")
    assert found is not None
    assert found.seal.key == "k3", "the newest is the one written last, whatever its date says"


@pytest.mark.parametrize(
    ("code", "word"),
    [
        (errno.EROFS, "read-only"),
        (errno.ENOLCK, "has no locks"),
        (errno.EACCES, "may not write"),
        (errno.ENOSYS, "locks"),
    ],
)
def test_a_place_that_cannot_hold_a_run_is_refused_at_the_start_with_the_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, word: str
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("workbench.store.writing.FileLock.acquire", refused)
    with pytest.raises(store.StoreError, match=f"No run can start.*{word}"), store.open_run(tmp_path):
        pass
    assert store.runs(tmp_path) == ()


def test_a_folder_that_vanishes_during_a_run_is_named(tmp_path: Path) -> None:
    with store.open_run(tmp_path) as run:
        place = run.workplace("51_bias")
        store.write(place / store.EVIDENCE, evidence().to_json())
        shutil.rmtree(tmp_path / store.REPORTS)
        with pytest.raises(store.StoreError, match="the folder is gone"):
            run.publish("51_bias", audit="bias")
    assert store.runs(tmp_path) == ()
