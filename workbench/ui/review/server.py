"""`workbench review`: the migration for people who do not program, behind a login, from stored evidence.

A server of its own, never part of a Jupyter server: who holds a token there can run code. No model and no table is
reachable from here; a kernel takes messages of widgets only, and is started where somebody explores; a decision goes
from the browser to a handler that knows who it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tornado.netutil
import tornado.web
from tornado.httpserver import HTTPServer

from workbench import render
from workbench.migration import open_migration
from workbench.ui.review import entering, exploring, messages
from workbench.ui.review import handlers as pages
from workbench.ui.review.doors import Doors, House, ReviewError, check_doors
from workbench.ui.review.hub import HubSessions
from workbench.ui.review.live import Live
from workbench.ui.review.people import Limiter, People
from workbench.ui.review.reading import LINKS, Pages

LARGEST = 64 * 1024
"""Bytes of a request's body: the decision form is the largest."""


def application(folder: Path, doors: Doors) -> tornado.web.Application:
    """The tornado application; raises MigrationError if there is no migration in `folder`."""
    open_migration(folder)
    hub = HubSessions(doors.hub) if doors.hub else None
    house = House(folder, doors, People(folder), Pages(folder), Limiter(20, 60.0), Limiter(120, 60.0), hub)
    root = doors.root
    handlers: list[Any] = [
        (rf"{root}", pages.Journey),
        (rf"{root}notebook/([a-z][a-z0-9_]{{0,63}})", pages.Notebook),
        (rf"{root}cases", pages.Cases),
        (rf"{root}cases/([1-9]\d{{0,3}})", pages.Case),
        (rf"{root}comments", pages.Comments),
        (rf"{root}decide", pages.Decide),
        (rf"{root}revoke", pages.Revoke),
        (rf"{root}login", entering.Login),
        (rf"{root}oauth_callback", entering.FromHub),
        (rf"{root}logout", entering.Logout),
        (rf"{root}invite/([A-Za-z0-9_-]{{20,100}})", entering.Invitation),
        (rf"{root}alive", pages.Alive),
    ]
    live = Live(folder, f"{root}explore/")
    return tornado.web.Application(
        [*((path, handler, {"house": house}) for path, handler in handlers), *exploring.routes(house, live.root)],
        default_handler_class=pages.Nowhere,
        default_handler_args={"house": house},
        xsrf_cookies=True,
        xsrf_cookie_kwargs={"httponly": True, "samesite": "Strict", "secure": doors.secure, "path": root},
        house=house,
        live=live,
        websocket_max_message_size=messages.LARGEST,
        websocket_ping_interval=30,
        websocket_ping_timeout=30,
        log_function=_log,
    )


def _log(handler: tornado.web.RequestHandler) -> None:
    """Method, status and time; the path only where it holds no secret."""
    path = handler.request.path
    shown = path if "/invite/" not in path else path.split("/invite/")[0] + "/invite/…"
    logging.getLogger("workbench.review").info(
        "%s %s %d %.0f ms", handler.request.method, shown, handler.get_status(), 1000 * handler.request.request_time()
    )


def _draw(folder: Path, app: tornado.web.Application) -> None:
    """What takes seconds the first time, before anybody comes."""
    house: House = app.settings["house"]
    house.pages.journey(render.Bar(house.doors.root, open_migration(folder).name, who="nobody", links=LINKS))


def serve(folder: Path, doors: Doors, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serves until it is stopped. ready: told the address once it listens. Raises ReviewError, MigrationError."""
    check_doors(doors, host)
    app = application(folder, doors)
    _draw(folder, app)

    async def main() -> None:
        loop, here = asyncio.get_running_loop(), asyncio.current_task()
        assert here is not None
        loop.add_signal_handler(signal.SIGTERM, here.cancel)  # Voila and its kernels are not left behind
        server = HTTPServer(app, xheaders=False, max_body_size=LARGEST, max_buffer_size=2 * LARGEST)
        try:
            sockets = tornado.netutil.bind_sockets(port, host)
        except (OSError, socket.gaierror) as error:
            raise ReviewError(
                f"{host}:{port} cannot be listened on ({error.strerror}). Name another --port."
            ) from error
        server.add_sockets(sockets)
        ready(doors.url or f"http://{host}:{sockets[0].getsockname()[1]}{doors.root}")
        while True:
            await asyncio.sleep(30)
            await app.settings["live"].sweep()

    try:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(main())
    finally:
        app.settings["live"].stop()
