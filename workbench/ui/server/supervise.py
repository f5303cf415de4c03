"""The process that watches one run: it outlives the Jupyter server, and writes down what happens and how it ended.

Run as `python -m workbench.ui.server.supervise FOLDER WORD...`, in a session of its own: FOLDER is the job's, the words
are those behind `workbench`. It writes `events.jsonl`: a line per event, numbered, with its time; the last is `ended`.
SIGINT reaches the run as from a keyboard; SIGTERM kills it. Nothing but the standard library is imported here.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

EVENTS = "events.jsonl"
LOG = "log.txt"
ENDED = "ended"
KILLED = -signal.SIGKILL


class Book:
    """The job's events, numbered from 1."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.n = 0

    def write(self, event: dict[str, Any]) -> None:
        self.n += 1
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._file.write(json.dumps({"n": self.n, "at": at, **event}) + "\n")
        self._file.flush()


def main(folder: Path, words: list[str]) -> int:
    with (folder / EVENTS).open("w", encoding="utf-8") as file, (folder / LOG).open("wb") as log:
        book = Book(file)
        # -P: a file called json.py in the migration must not stand in for Python's own.
        command = [sys.executable, "-P", "-m", "workbench.ui.cli", *words]
        # A function, not SIG_IGN, which the run would inherit; before the run starts, for a server that was itself
        # started in the background of a script ignores SIGINT, and the run would then never hear of a stop.
        signal.signal(signal.SIGINT, lambda *_: None)
        run = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        signal.signal(signal.SIGTERM, lambda *_: run.kill())
        assert run.stdout
        for line in run.stdout:
            if (event := _event(line)) is not None:
                book.write(event)
        code = run.wait()
        book.write({"event": ENDED, "code": code, "text": _last_words(folder / LOG, code)})
    return 0


def _event(line: bytes) -> dict[str, Any] | None:
    """None for what a library printed."""
    try:
        told = json.loads(line)
    except ValueError:
        return None
    return told if isinstance(told, dict) and isinstance(told.get("event"), str) else None


def _last_words(log: Path, code: int) -> str:
    """Why it ended, in the words of the command line."""
    if code in (0, 1, 2):
        return ""
    if code == KILLED:
        return "It was killed: by you, or because memory ran out. What was finished is kept."
    if code < 0:
        return f"It was ended by signal {signal.Signals(-code).name}. What was finished is kept."
    lines = log.read_text(errors="replace").strip().splitlines()
    told = [line.removeprefix("✗ ") for line in lines if line.startswith("✗ ")]
    return told[-1] if told else "" if code == 3 else f"It ended with code {code}."


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
