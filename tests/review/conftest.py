"""A review server in a thread of its own, over a small migration with one finished run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest
from ledger_samples import keep, migration_in
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from workbench.evidence import Status
from workbench.ui.review.doors import Doors
from workbench.ui.review.server import LARGEST, application


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = migration_in(tmp_path)
    keep(folder, Status.PASS)
    return folder


Served = Callable[..., str]


class Serving:
    """Servers of one folder, in a loop of their own; `apps` are their applications."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.loop, self.apps = folder, asyncio.new_event_loop(), list[Application]()
        self.servers: list[HTTPServer] = []
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def start(self, doors: Doors | None = None) -> str:
        """The address, without a slash at its end."""
        sockets = bind_sockets(0, "127.0.0.1")

        async def listen() -> None:
            self.apps.append(application(self.folder, doors or Doors()))
            self.servers.append(HTTPServer(self.apps[-1], max_body_size=LARGEST))
            self.servers[-1].add_sockets(sockets)

        asyncio.run_coroutine_threadsafe(listen(), self.loop).result(30)
        return f"http://127.0.0.1:{sockets[0].getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        async def stop() -> None:
            for server in self.servers:
                server.stop()
                await server.close_all_connections()

        asyncio.run_coroutine_threadsafe(stop(), self.loop).result(30)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(30)
        for app in self.apps:
            app.settings["live"].stop()
        self.loop.close()


@pytest.fixture
def serving(folder: Path) -> Iterator[Serving]:
    with Serving(folder) as serving:
        yield serving


@pytest.fixture
def served(serving: Serving) -> Served:
    """Call it with doors to serve the folder; gives the address, without a slash at its end."""
    return serving.start
