"""Review servers of one folder, each on a port of its own."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Self

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from workbench.ui.review.doors import Doors
from workbench.ui.review.server import LARGEST, application


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
