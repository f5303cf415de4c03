"""Events of a job as server-sent events (HTML standard, 9.2): resumed by number, kept open by comments."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

from jupyter_server._tz import utcnow
from jupyter_server.auth.decorator import authorized
from tornado.iostream import StreamClosedError
from tornado.web import authenticated

from workbench.ui.server.base import Endpoint
from workbench.ui.server.problems import ApiError

LOOK = 0.1
"""Seconds between two looks at the file: a fifth of what an event may take to reach the screen."""
HEARTBEAT = 15.0
MOST = 64
"""Streams at a time: each looks at its file ten times a second."""


class EventsHandler(Endpoint):
    """One stream; it ends after `ended`, or when nobody listens any more."""

    streams = 0
    left = False

    @authenticated
    @authorized
    async def get(self, migration: str, job: str) -> None:
        after = self.request.headers.get("Last-Event-ID") or "0"
        if not (after.isascii() and after.isdigit() and len(after) < 10):
            raise ApiError(400, "Last-Event-ID is not a number.", after[:20], "Send the id of the last event.")
        if EventsHandler.streams >= MOST:
            raise ApiError(429, "Too many streams are open.", f"{MOST} at a time", "Close a window and try again.")
        EventsHandler.streams += 1
        try:
            await self._stream(await self.ask("follow", migration, job, int(after)))
        except StreamClosedError:
            return
        finally:
            EventsHandler.streams -= 1

    async def _stream(self, follower: Any) -> None:
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-cache")
        self.set_header("X-Accel-Buffering", "no")
        self.write(": open\n\n")
        await self.flush()
        spoke = time.monotonic()
        while not self.left:
            told = await self.ask("more_events", follower)
            text = "".join(map(_said, told))
            if told:  # while a run goes on, a hub must not take the machine away under it
                self.settings["api_last_activity"] = utcnow()
            if text or time.monotonic() - spoke > HEARTBEAT:
                self.write(text or ": still here\n\n")
                spoke = time.monotonic()
                await self.flush()
            if follower.over:
                break
            await asyncio.sleep(LOOK)
        self.finish(set_content_type="text/event-stream")

    def on_connection_close(self) -> None:
        self.left = True
        super().on_connection_close()


def _said(event: Mapping[str, Any]) -> str:
    return f"id: {event['n']}\nevent: progress\ndata: {json.dumps(event)}\n\n"
