"""A notebook with controls that work: Voila's page behind the review server's own doors.

A page is asked for by a signed-in person, gets a kernel of its own, and hears of no other. Its websocket passes what
`messages` allows. Its script can reach nothing of this server but itself: it cannot decide, judge or read cases.
"""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import Any

import tornado.web
from tornado.httpclient import HTTPClientError
from tornado.websocket import WebSocketClientConnection, WebSocketClosedError, WebSocketHandler

from workbench import catalog, render
from workbench.ui.review import messages
from workbench.ui.review.doors import House
from workbench.ui.review.handlers import Page
from workbench.ui.review.live import AGAIN, BusyError, Kernel, Live
from workbench.ui.review.reading import lead
from workbench.ui.review.told import KERNEL

log = logging.getLogger("workbench.review")
REFUSED = 20
"""Refused messages after which a websocket is closed: a page sends none."""


class Exploring(Page):
    """What all of it shares. Nobody explores without having come in: `--open` is for reading."""

    live: Live

    def initialize(self, house: House) -> None:
        super().initialize(house)
        self.live = self.settings["live"]

    async def prepare(self) -> None:
        await super().prepare()
        if self.session is None and not self._finished:
            raise tornado.web.HTTPError(HTTPStatus.FORBIDDEN)

    def kernel(self, number: str) -> Kernel:
        """Raises HTTPError 404 for a kernel that is not this session's, as for one that is not there."""
        found = self.live.owned(number, self.owner)
        if found is None:
            raise tornado.web.HTTPError(HTTPStatus.NOT_FOUND)
        return found

    async def above(self, name: str) -> tuple[catalog.Entry, render.Lead]:
        known = {entry.name: entry for entry in catalog.discover() if entry.notebook}
        found = await self.off(lambda: lead(self.migration(), known[name])) if name in known else None
        if found is None:
            raise tornado.web.HTTPError(HTTPStatus.NOT_FOUND)
        return known[name], found


class Connecting(Exploring):
    """Drawn at once; it leads on to the live page, which a browser shows when it is there."""

    async def get(self, name: str) -> None:
        _, above = await self.above(name)
        if await self.waits(name):
            return
        self.write(render.connecting(self.bar(), above))


class LivePage(Exploring):
    """Voila's page, passed on while it is made."""

    gone = False

    async def get(self, name: str) -> None:
        entry, above = await self.above(name)
        if await self.waits(name):
            return
        try:
            kernel = await self.live.take(self.owner)
        except BusyError as busy:
            self.set_status(HTTPStatus.SERVICE_UNAVAILABLE)
            self.set_header("Retry-After", str(AGAIN))
            self.write(render.connecting(self.bar(), above, render.Line(busy.ahead, AGAIN)))
            return
        self.set_header("Content-Security-Policy", self.policy())
        self.set_header("Content-Type", "text/html; charset=utf-8")
        try:
            async with self.live.making:
                if not self.gone:
                    await self.live.fetch(
                        f"voila/render/{entry.stem}.ipynb", headers={KERNEL: kernel.id}, streaming_callback=self._passed
                    )
            if self.gone:  # the reader went away meanwhile: nobody is there to end it
                await self.live.end(kernel.id)
        except Exception as error:
            log.warning("a page with controls was not made: %s", type(error).__name__)
            await self.live.end(kernel.id)
            if not self._headers_written:
                raise tornado.web.HTTPError(HTTPStatus.INTERNAL_SERVER_ERROR) from error

    def _passed(self, part: bytes) -> None:
        if not self.gone:
            self.write(part)
            self.flush()

    def on_connection_close(self) -> None:
        self.gone = True

    def policy(self) -> str:
        """Only the explorer's own paths, and no way out of the page: no form, no window, no frame, no other origin."""
        host, web = self.request.host, "https" if self.house.doors.secure else self.request.protocol
        own = f"{web}://{host}{self.live.root}"
        wire = own.replace("http", "ws", 1)
        return (
            f"default-src 'none'; script-src {own} 'unsafe-inline' 'unsafe-eval'; style-src {own} 'unsafe-inline'; "
            f"img-src {own} data: blob:; font-src {own} data:; connect-src {own} {wire}; base-uri 'none'; "
            "form-action 'none'; frame-src 'none'; worker-src 'none'; frame-ancestors 'none'; "
            "sandbox allow-scripts allow-same-origin"
        )


class Asset(Exploring):
    """Scripts and styles of Voila's own."""

    async def get(self, path: str) -> None:
        if ".." in path:
            raise tornado.web.HTTPError(HTTPStatus.NOT_FOUND)
        try:
            found = await self.live.fetch(f"voila/{path}")
        except HTTPClientError as error:
            raise tornado.web.HTTPError(HTTPStatus.NOT_FOUND) from error
        kind = found.headers.get("Content-Type", "application/octet-stream")
        self.set_header("Content-Type", kind)
        self.set_header("Cache-Control", "private, max-age=3600")
        self.write(found.body)


class KernelInfo(Exploring):
    """Whether the kernel lives."""

    async def get(self, number: str) -> None:
        self.kernel(number)
        self.set_header("Content-Type", "application/json")
        self.write(json.dumps({"id": number, "name": "python3", "execution_state": "idle", "connections": 1}))


class Shutdown(Exploring):
    """A page that is closed ends its kernel."""

    def check_xsrf_cookie(self) -> None:
        """Not needed: a kernel's id is known to its own page only, and all that can be done is to end it."""

    async def post(self, number: str) -> None:
        self.kernel(number)
        await self.live.end(number)
        self.set_status(HTTPStatus.NO_CONTENT)


class Wire(WebSocketHandler, Exploring):
    """The websocket between a page and its kernel."""

    upstream: WebSocketClientConnection | None = None
    refused = 0
    number = ""

    async def prepare(self) -> None:
        await Exploring.prepare(self)
        if not self._finished:
            self.kernel(self.path_args[0])

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return messages.PROTOCOL if messages.PROTOCOL in subprotocols else None

    async def open(self, number: str) -> None:
        self.number = number
        if self.selected_subprotocol is None:
            self.close(1002, "protocol")
            return
        self.kernel(number).closers.append(self.close)
        self.upstream = await self.live.connect(number, self._from_kernel)
        if self.ws_connection is None:  # the page was closed meanwhile
            self.upstream.close()

    async def on_message(self, message: str | bytes) -> None:
        if self.refused > REFUSED:
            return
        passed, kind = messages.to_kernel(message)
        if self.live.owned(self.number, self.owner) is None or not await self._still_in():
            self.close(1008, "ended")
        elif passed is not None and self.upstream is not None:
            await self.upstream.write_message(passed, binary=True)
        else:
            self._refuse(kind)

    async def _still_in(self) -> bool:
        """A session that was ended, or a person who was shut out, is so at once, also where a page is open."""
        return await self.identified() is not None

    def _refuse(self, kind: str) -> None:
        self.refused += 1
        shown = kind if kind.isidentifier() and len(kind) < 50 else "something"
        log.warning("%s sent %s to a kernel: dropped", self.login, shown)
        if self.refused == 1:
            self.house.people.note(self.login, f"sent {shown} to a kernel: dropped")
        if self.refused > REFUSED:
            self.close(1008, "refused")

    def _from_kernel(self, message: str | bytes | None) -> None:
        if message is None:
            self.close()
        elif (passed := messages.to_browser(message)) is not None:
            try:
                self.write_message(passed, binary=True)
            except WebSocketClosedError:
                return

    def on_close(self) -> None:
        if self.upstream is not None:
            self.upstream.close()


PART = r"(?:static|templates|labextensions|api/themes)/[A-Za-z0-9@._/-]{1,300}"
NUMBER = r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"


def routes(house: House, root: str) -> list[Any]:
    """Under `root`, which ends with explore/."""
    paths = {
        r"([a-z][a-z0-9_]{0,63})": Connecting,
        r"([a-z][a-z0-9_]{0,63})/live": LivePage,
        rf"voila/({PART})": Asset,
        rf"voila/api/shutdown/{NUMBER}": Shutdown,
        rf"api/kernels/{NUMBER}": KernelInfo,
        rf"api/kernels/{NUMBER}/channels": Wire,
    }
    return [(root + path, handler, {"house": house}) for path, handler in paths.items()]
