"""What every handler shares: who may ask, how much may be sent, JSON both ways, errors in sentences.

Nothing heavy is imported here, nor in a handler: Lab waits for this when it starts. The rest comes in the threads.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado import web

from workbench.ui.server.problems import ApiError, explained, of_status
from workbench.ui.server.rooted import Root

ROOT = "workbench_root"
"""In the server's settings: the folder below which everything lies."""
RESOURCE = "workbench"
"""What an authorizer is asked about."""
MOST_BYTES = 256 * 1024
"""Of a request's body; what is asked here is small."""
RUN_ID = re.compile(r"^\d{8}T\d{6}Z-\d{4,9}$")
F = TypeVar("F", bound=Callable[..., Any])
THREADS = ThreadPoolExecutor(8, thread_name_prefix="workbench")


def answered(root: Root, operation: str, *arguments: Any) -> Any:
    """What `asking` answers to an operation of openapi.yaml; called in a thread, which imports it the first time."""
    asking = importlib.import_module("workbench.ui.server.asking")
    return getattr(asking, operation)(asking.desk_of(root), *arguments)


def executing(method: F) -> F:
    """As `authorized`, for what starts a process."""
    return cast("F", authorized("execute")(method))


class Endpoint(APIHandler):
    """A handler of ours."""

    auth_resource = RESOURCE

    async def prepare(self) -> None:  # type: ignore[override]  # as Jupyter's own
        if len(self.request.body) > MOST_BYTES:
            raise web.HTTPError(413)
        await super().prepare()

    @property
    def root(self) -> Root:
        return cast("Root", self.settings[ROOT])

    async def ask(self, operation: str, *arguments: Any) -> Any:
        """The answer, made in a thread: files are never read in the event loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(THREADS, answered, self.root, operation, *arguments)

    async def tell(self, operation: str, *arguments: Any, status: int = 200) -> None:
        """The answer as JSON; what goes wrong, as an error in sentences."""
        told = await self.ask(operation, *arguments)
        self.set_status(status)
        self.finish(json.dumps(told, default=str, allow_nan=False))

    def sent(self) -> bytes:
        """The body. Raises ApiError where it says that it is no JSON."""
        kind = self.request.headers.get("Content-Type", "")
        if kind.split(";")[0].strip().lower() != "application/json":
            raise ApiError(415, "This is not JSON.", kind[:80], "Send application/json.")
        return self.request.body

    def asked(self, name: str) -> str | None:
        """One value of the query."""
        return self.get_query_argument(name, None)

    def asked_run(self, name: str) -> str | None:
        """The id of a run in the query. Raises ApiError where it is none."""
        run = self.asked(name)
        if run is not None and not RUN_ID.match(run):
            raise ApiError(400, "This is not the id of a run.", repr(run[:40]), "Take it from the history.")
        return run

    def update_api_activity(self) -> None:
        """Looking is no activity: a panel left open must not keep a hub from ending an idle server. A click is."""
        if self.request.method == "POST":
            super().update_api_activity()

    def write_error(self, status_code: int, **said: Any) -> None:
        error = said.get("exc_info", (None, None, None))[1]
        told = of_status(status_code)
        if isinstance(error, Exception) and not isinstance(error, web.HTTPError):
            told = explained(error, self.root.scrub)
            self.set_status(told.status)
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps(told.plain()))

    def log_exception(self, kind: Any, value: Any, trace: Any) -> None:
        """A refusal is no fault of the server's, and fills no log with tracebacks."""
        if not type(value).__module__.startswith("workbench."):
            super().log_exception(kind, value, trace)
