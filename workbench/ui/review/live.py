"""Voila's process behind the review server, and whose kernel is whose."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tornado.httpclient import HTTPRequest, HTTPResponse
from tornado.netutil import Resolver
from tornado.simple_httpclient import SimpleAsyncHTTPClient
from tornado.websocket import WebSocketClientConnection, websocket_connect

from workbench.ui.review.messages import PROTOCOL

BASE = "http://dashboards"
"""Any name does: the client connects to a socket."""
MOST, EACH, IDLE = 8, 2, 900
"""Kernels in all, of one person, and seconds until an unused one is ended. A kernel takes about 0.15 GB."""
PATIENCE = 180.0
"""Seconds for one answer of Voila's: a page with many cells, on a machine that is busy."""
AGAIN = 10
"""Seconds after which a page that waits in line asks again; who asks no more for three times as long has left it."""
AT_ONCE = max(2, os.cpu_count() or 2)
"""Pages made at a time: twenty kernels that start together would all be late, and so would the pages without one."""


class BusyError(Exception):
    """All kernels are in use. ahead: people who wait in line before this one."""

    def __init__(self, ahead: int) -> None:
        super().__init__(ahead)
        self.ahead = ahead


class _Socket(Resolver):
    """Every name is one Unix socket."""

    def initialize(self, path: str) -> None:
        self.path = path

    async def resolve(self, host: str, port: int, family: Any = socket.AF_UNSPEC) -> list[tuple[int, Any]]:
        return [(socket.AF_UNIX, self.path)]


@dataclass
class Kernel:
    """owner: stands for one person's session; used: when it last heard something, in seconds of `Live.now`."""

    id: str
    owner: str
    used: float
    closers: list[Callable[[], None]] = field(default_factory=list)


class Live:
    """Starts Voila when somebody first asks for it. now: monotonic seconds."""

    def __init__(self, folder: Path, root: str, *, most: int = MOST, idle: int = IDLE) -> None:
        self.folder, self.root, self.most, self.idle = folder, root, most, idle
        self.now: Callable[[], float] = time.monotonic
        self.kernels: dict[str, Kernel] = {}
        self.making = asyncio.Semaphore(AT_ONCE)
        self._line: dict[str, float] = {}
        self._process: subprocess.Popen[str] | None = None
        self._place: tempfile.TemporaryDirectory[str] | None = None
        self._secret = ""
        self._starting = asyncio.Lock()

    @property
    def _resolver(self) -> Resolver:
        assert self._place is not None
        made: Resolver = _Socket(path=str(Path(self._place.name) / "voila"))
        return made

    async def take(self, owner: str) -> Kernel:
        """A place for one more kernel of this person; their oldest makes room. Who comes when all are taken waits in
        line, and keeps their turn by asking again. Raises BusyError."""
        self._bury()
        await self.sweep()
        mine = sorted((one for one in self.kernels.values() if one.owner == owner), key=lambda one: one.used)
        for one in mine[: len(mine) - EACH + 1]:
            await self.end(one.id)
        if (ahead := self._queued(owner)) >= self.most - len(self.kernels):
            raise BusyError(ahead)
        del self._line[owner]
        taken = Kernel(str(uuid.uuid4()), owner, self.now())
        self.kernels[taken.id] = taken
        return taken

    def _queued(self, owner: str) -> int:
        """How many wait before this person, who is in the line now."""
        now = self.now()
        self._line = {who: asked for who, asked in self._line.items() if asked > now - 3 * AGAIN}
        self._line[owner] = now  # a name that is there already keeps its place
        return list(self._line).index(owner)

    def owned(self, kernel: str, owner: str) -> Kernel | None:
        """The kernel, if it is this person's; being asked counts as using it."""
        found = self.kernels.get(kernel)
        if found is None or found.owner != owner:
            return None
        found.used = self.now()
        return found

    async def sweep(self) -> None:
        """Ends kernels nobody has used for a while."""
        since = self.now() - self.idle
        for one in [one for one in self.kernels.values() if one.used < since]:
            await self.end(one.id)

    async def end(self, kernel: str) -> None:
        gone = self.kernels.pop(kernel, None)
        if gone is None:
            return
        for close in gone.closers:
            close()
        with contextlib.suppress(Exception):  # one that never started, or died, is ended too
            await self.fetch(f"voila/api/shutdown/{kernel}", method="POST", body="")

    async def end_of(self, owner: str) -> None:
        """Ends all kernels of a person who left."""
        self._line.pop(owner, None)
        for one in [one for one in self.kernels.values() if one.owner == owner]:
            await self.end(one.id)

    async def fetch(self, path: str, *, headers: dict[str, str] | None = None, **more: Any) -> HTTPResponse:
        """What Voila answers under its root; raises what tornado's client raises."""
        await self.started()
        client = SimpleAsyncHTTPClient(force_instance=True, resolver=self._resolver)
        try:
            asked = HTTPRequest(
                f"{BASE}{self.root}{path}", headers=self._authorized(headers), request_timeout=PATIENCE,
                connect_timeout=PATIENCE, follow_redirects=False, **more,
            )  # fmt: skip
            return await client.fetch(asked)
        finally:
            client.close()

    async def connect(self, kernel: str, on_message: Callable[[str | bytes | None], None]) -> WebSocketClientConnection:
        """A websocket to a kernel of Voila's."""
        await self.started()
        url = f"{BASE.replace('http', 'ws', 1)}{self.root}api/kernels/{kernel}/channels?session_id={uuid.uuid4()}"
        return await websocket_connect(
            HTTPRequest(url, headers=self._authorized(None)), subprotocols=[PROTOCOL], resolver=self._resolver,
            on_message_callback=on_message, max_message_size=32 * 1024**2,
        )  # fmt: skip

    def _authorized(self, headers: dict[str, str] | None) -> dict[str, str]:
        return {"Authorization": f"token {self._secret}", **(headers or {})}

    async def started(self) -> None:
        """Raises RuntimeError where Voila does not start."""
        async with self._starting:
            self._bury()
            if self._process is None:
                await asyncio.get_running_loop().run_in_executor(None, self._start)

    def _bury(self) -> None:
        """Where Voila has died, its kernels are gone with it."""
        if self._process is not None and self._process.poll() is not None:
            self.stop()

    def _start(self) -> None:
        # Imported where it is used: Voila and its server are heavy, and most visitors need neither.
        from workbench.ui.review.told import READY, Told, environment

        self._place = tempfile.TemporaryDirectory(prefix="workbench-review-")  # for its owner only (0700)
        self._secret = secrets.token_urlsafe(32)
        told = Told(
            folder=str(self.folder.resolve()), root=self.root, secret=self._secret, idle=2 * self.idle,
            socket=str(Path(self._place.name) / "voila"),
        )  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, "-m", "workbench.ui.review.dashboards"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(), cwd=self._place.name,
            start_new_session=os.name == "posix",
        )  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(told.line())
        self._process.stdin.flush()
        if self._process.stdout.readline().strip() != READY:
            raise RuntimeError("Voila did not start")

    def stop(self) -> None:
        """Ends Voila and every kernel."""
        self.kernels.clear()
        process, self._process = self._process, None
        if process is not None:
            for stream in (process.stdin, process.stdout):
                if stream:
                    stream.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._place is not None:
            self._place.cleanup()
            self._place = None


def owner_of(*parts: str) -> str:
    """What stands for a session where it is kept: never the secret itself."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
