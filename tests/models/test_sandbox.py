"""Walls around a model that could run code: what a file that runs anything cannot reach, and what is said of it."""

from __future__ import annotations

import builtins
import datetime
import hashlib
import pickle
import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from workbench.models import ModelError, Refused, open_model, sandbox
from workbench.models.client import HostModel
from workbench.models.options import Options
from workbench.models.process import Died, Process, Start
from workbench.models.trust import Trust
from workbench.models.wire import pack

walls = pytest.mark.skipif(not sandbox.protection().walls, reason=f"no walls here: {sandbox.protection().why_not}")


class Runs:
    """Pickles as code that is run as it is loaded, and tells what it saw in an error."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self) -> Any:
        return builtins.exec, (self.code,)


def word(path: Path, **changes: Any) -> dict[str, Any]:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    given = {"by": "Ada Lovelace", "on": "2026-01-01", "sha256": digest, "why": "made by our own team in 2019"}
    return {**given, **changes}


def told_by(code: str, folder: Path, **options: Any) -> str:
    """What the code, run while a trusted pickle is loaded, said in its error."""
    path = folder / "m.pkl"
    path.write_bytes(pickle.dumps(Runs(code)))
    with pytest.raises(ModelError) as caught:
        open_model("m.pkl", folder=folder, trust=word(path), **options)
    return str(caught.value)


@walls
def test_code_in_a_trusted_file_reaches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    canary = tmp_path / "canary"
    monkeypatch.setenv("A_SECRET", "told to nobody")
    with socket.create_server(("127.0.0.1", 0)) as server:
        look = f"""
import os, socket
found = []
try: open({str(canary)!r}, "w")
except OSError: pass  # into its own /tmp it may write
try: open("/etc/canary", "w")
except OSError as error: found.append("etc " + str(error.errno))
try: socket.create_connection(("127.0.0.1", {server.getsockname()[1]}), 2)
except OSError as error: found.append("network " + type(error).__name__)
found.append("home " + str(len(os.listdir(os.path.expanduser("~")))))
found.append("secret " + str(os.environ.get("A_SECRET")))
found.append("user tmp " + str([name for name in os.listdir({str(tmp_path)!r}) if name != "m.pkl"]))
raise SystemError(" | ".join(found))
"""
        (tmp_path / "beside.csv").write_text("a\n1\n")
        said = told_by(look, tmp_path)
    assert not canary.exists()
    assert "etc 30" in said  # read-only file system
    assert "network " in said
    assert "secret None" in said
    assert "beside.csv" not in said


@walls
def test_what_the_code_starts_ends_with_it(tmp_path: Path) -> None:
    """A child that outlives its parent is in the same walls, and falls with them."""
    name = f"left-behind-{time.time_ns()}"
    sleeper = f"[sys.executable, '-c', 'import time; time.sleep(99)', {name!r}]"
    told_by(f"import subprocess, sys; subprocess.Popen({sleeper})", tmp_path)
    time.sleep(0.3)
    running = [path for path in Path("/proc").glob("[0-9]*/cmdline") if name.encode() in _read(path)]
    assert not running


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_without_walls_the_limits_stay_and_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(sandbox.SWITCH, "off")
    assert not sandbox.protection().walls
    assert "no bubblewrap: WORKBENCH_SANDBOX is off" in str(sandbox.protection())
    look = """
import resource
raise SystemError([
    resource.getrlimit(resource.RLIMIT_CORE)[0], resource.getrlimit(resource.RLIMIT_DATA)[0],
    resource.getrlimit(resource.RLIMIT_FSIZE)[0]])
"""
    said = told_by(look, tmp_path, memory_mb=3000)
    assert f"[0, {3000 << 20}, {sandbox.WRITTEN}]" in said


def test_too_much_memory_and_too_much_output(tmp_path: Path) -> None:
    assert "memory" in told_by("x = bytearray(1 << 40)", tmp_path, memory_mb=1500).lower()
    assert "NoneType" in told_by("print('x' * 3_000_000)", tmp_path)


def test_a_callable_keeps_its_rights_and_a_file_without_code_needs_no_walls(tmp_path: Path) -> None:
    (tmp_path / "team.py").write_text("def f(frame): return frame.iloc[:, 0] > 0\n")
    model = open_model("python:team:f", folder=tmp_path)
    assert isinstance(model, HostModel)
    assert model.protection is sandbox.CODE
    assert "team's own code" in str(model.protection)
    model.close()


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"sha256": "0" * 64}, "is not the file that Ada Lovelace vouched for"),
        ({"sha256": "abc"}, "64 hexadecimal digits"),
        ({"by": "Ada"}, "full name"),
        ({"why": "trust me"[:5]}, "says why"),
        ({"on": "yesterday"}, "a day such as"),
        ({"extra": 1}, "trust is"),
    ],
)
def test_a_word_that_is_not_whole_opens_nothing(
    changes: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps(Runs("raise SystemError('ran')")))
    started: list[Any] = []
    monkeypatch.setattr("subprocess.Popen", lambda *a, **k: started.append(a))
    with pytest.raises(ModelError, match=said):
        open_model("m.pkl", folder=tmp_path, trust=word(path, **changes))
    assert not started


def test_the_word_is_for_one_file(tmp_path: Path) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps(Runs("raise SystemError('ran')")))
    given = word(path)
    with pytest.raises(ModelError, match="ran"):
        open_model("m.pkl", folder=tmp_path, trust=given)
    path.write_bytes(pickle.dumps(Runs("raise SystemError('ran too')")))
    with pytest.raises(Refused, match="writes its hash"):
        open_model("m.pkl", folder=tmp_path, trust=given)
    assert str(Trust.read(given)).startswith("Ada Lovelace vouched for this file on 2026-01-01: made by")
    assert Trust.read(given).on == datetime.date(2026, 1, 1)


def hosted(script: str, timeout: float = 20.0, size: int = 9) -> str:
    """How a host that does this instead of answering ends, in words."""
    process = Process(Start((sys.executable, "-c", script), sandbox.DATA), Options())
    start = time.monotonic()
    with pytest.raises(Died) as caught:
        process.exchange(pack({"do": "open"}, bytes(size)), timeout)
    assert time.monotonic() - start < timeout + 10
    assert process.popen.poll() is not None
    return caught.value.sentence("old.pkl", "open", Options())


def test_a_host_that_misbehaves_ends_in_one_sentence() -> None:
    assert "ended by itself (exit status 3)" in hosted("import sys; sys.exit(3)")
    assert "crashed (SIGSEGV)" in hosted("import os; os.kill(os.getpid(), 11)")
    assert "did not keep to the protocol" in hosted("print('x' * 1000, flush=True); import time; time.sleep(60)")
    wrong = "import sys; sys.stdout.buffer.write((9).to_bytes(4, 'little') + b'not json!'); sys.stdout.flush()"
    assert "did not keep to the protocol" in hosted(f"{wrong}; import time; time.sleep(60)")
    assert "did not answer within 1 s" in hosted("import time; time.sleep(60)", 1.0)
    assert "did not answer within 1 s" in hosted("import time; time.sleep(60)", 1.0, 9 << 20)
    assert "old.pkl" in hosted("import os, time; os.close(1); os.close(0); time.sleep(60)")


def test_links_and_files_of_the_walls_are_not_mounted_over(tmp_path: Path) -> None:
    inside = f"{sandbox.HIDDEN[0]}/a/b"
    command = sandbox.walled(["true"], [Path(inside), Path("/usr/lib")], {"X": "1"})
    assert command[-2:] == ["--", "true"]
    assert command[command.index("--ro-bind-try") :][:3] == ["--ro-bind-try", inside, inside]
    assert command.count("--ro-bind-try") == 1
    assert "--unshare-all" in command
    assert "--clearenv" in command
