"""A review server in a thread of its own, over a small migration with one finished run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ledger_samples import keep, migration_in
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from workbench.evidence import Status
from workbench.ui.review.doors import Doors
from workbench.ui.review.server import LARGEST, application


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = migration_in(tmp_path)
    keep(folder, Status.PASS)
    return folder


Served = Callable[..., str]


@pytest.fixture
def served(folder: Path) -> Iterator[Served]:
    """Call it with doors to serve the folder; gives the address, without a slash at its end."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    servers: list[HTTPServer] = []

    def start(doors: Doors | None = None) -> str:
        sockets = bind_sockets(0, "127.0.0.1")

        async def listen() -> None:
            server = HTTPServer(application(folder, doors or Doors()), max_body_size=LARGEST)
            server.add_sockets(sockets)
            servers.append(server)

        asyncio.run_coroutine_threadsafe(listen(), loop).result(30)
        return f"http://127.0.0.1:{sockets[0].getsockname()[1]}"

    yield start

    async def stop() -> None:
        for server in servers:
            server.stop()
            await server.close_all_connections()

    asyncio.run_coroutine_threadsafe(stop(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(30)
    loop.close()
