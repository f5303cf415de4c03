"""HTTP, and nothing else: each handler checks who asks, reads ids and words, and asks one operation of openapi.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.utils import url_path_join
from tornado.web import Application, authenticated

from workbench.ui.server.apart import answer_of
from workbench.ui.server.base import ROOT, THREADS, Endpoint, answered, executing
from workbench.ui.server.problems import ApiError
from workbench.ui.server.rooted import Root
from workbench.ui.server.streaming import EventsHandler

MIGRATION = r"(?P<migration>[0-9a-f]{16})"
RUN = r"(?P<run>\d{8}T\d{6}Z-\d{4,9})"
JOB = r"(?P<job>\d{8}T\d{6}Z-[0-9a-f]{8})"
AUDIT = r"(?P<audit>[a-z][a-z0-9_]{0,63})"
"""What an id may be: none of them can name a path."""
API = "workbench/api"
"""Below the server's base URL."""
QUIET = 1.0
"""Seconds after the server's start until what the first request needs is read: Lab's own files go first."""
SANDBOX = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data:; font-src data:; frame-ancestors 'self'"
)


class AboutHandler(Endpoint):
    @authenticated
    @authorized
    async def get(self) -> None:
        await self.tell("about")


class SchemaHandler(Endpoint):
    @authenticated
    @authorized
    async def get(self, name: str) -> None:
        await self.tell("schema", name)


class KindHandler(Endpoint):
    @authenticated
    @authorized
    async def get(self, audit: str, kind: str) -> None:
        await self.tell("explain", f"{audit}/{kind}")


class MigrationsHandler(Endpoint):
    @authenticated
    @authorized
    async def get(self) -> None:
        await self.tell("list_migrations")

    @authenticated
    @authorized
    async def post(self) -> None:
        await self.tell("create_migration", self.sent(), status=201)


class ProposalsHandler(Endpoint):
    """Opens a model, so it counts as executing, and is done by another process."""

    @authenticated
    @executing
    async def post(self) -> None:
        wanted = await self.ask("begin_proposal", self.sent())
        await self.tell("end_proposal", wanted, await answer_of(wanted, self.root))


class JourneyHandler(Endpoint):
    @authenticated
    @authorized
    async def get(self, migration: str) -> None:
        await self.tell("journey", migration)


class NotebooksHandler(Endpoint):
    @authenticated
    @authorized
    async def post(self, migration: str) -> None:
        await self.tell("copy_notebooks", migration, self.sent())


class RunsHandler(Endpoint):
    @authenticated
    @authorized
    async def get(self, migration: str) -> None:
        await self.tell("list_runs", migration)


class RunHandler(Endpoint):
    @authenticated
    @authorized
    async def get(self, migration: str, run: str) -> None:
        await self.tell("read_run", migration, run)


class JobsHandler(Endpoint):
    @authenticated
    @authorized
    async def get(self, migration: str) -> None:
        await self.tell("list_jobs", migration)

    @authenticated
    @executing
    async def post(self, migration: str) -> None:
        await self.tell("start_job", migration, self.sent(), status=202)


class JobHandler(Endpoint):
    @authenticated
    @authorized
    async def get(self, migration: str, job: str) -> None:
        await self.tell("read_job", migration, job)


class StopHandler(Endpoint):
    @authenticated
    @executing
    async def post(self, migration: str, job: str) -> None:
        await self.tell("stop_job", migration, job, self.sent(), status=202)


class EvidenceHandler(Endpoint):
    @authenticated
    @authorized
    async def get(self, migration: str, audit: str) -> None:
        await self.tell("read_evidence", migration, audit, self.asked_run("run"))


class FindingsHandler(Endpoint):
    @authenticated
    @authorized
    async def get(self, migration: str) -> None:
        chosen = {name: value for name in ("audit", "status", "text") if (value := self.asked(name))}
        await self.tell("list_findings", migration, self.asked_run("run"), chosen)


class CompareHandler(Endpoint):
    @authenticated
    @authorized
    async def get(self, migration: str) -> None:
        before, after = self.asked_run("before"), self.asked_run("after")
        if before is None or after is None:
            raise ApiError(400, "Two runs are compared.", "before or after is left out", "Give the ids of both runs.")
        await self.tell("compare_runs", migration, before, after)


class PageEndpoint(Endpoint):
    """A page may show whatever a column is called: it stands in a sandbox, without an origin or a network."""

    async def show(self, operation: str, *arguments: Any) -> None:
        page = await self.ask(operation, *arguments)
        self.set_header("Content-Security-Policy", SANDBOX)
        self.set_header("Cache-Control", "no-store")
        self.finish(page, set_content_type="text/html; charset=utf-8")

    def below(self, migration: str) -> str:
        """Address of the preview's first page, on this server."""
        return url_path_join(self.base_url, API, "migrations", migration, "preview") + "/"


class ReportHandler(PageEndpoint):
    @authenticated
    @authorized
    async def get(self, migration: str) -> None:
        await self.show("report", migration, self.asked_run("run"), self.asked("audit"))


class PreviewHandler(PageEndpoint):
    @authenticated
    @authorized
    async def get(self, migration: str) -> None:
        await self.show("preview", migration, self.below(migration))


class PreviewAsideHandler(PageEndpoint):
    @authenticated
    @authorized
    async def get(self, migration: str, page: str) -> None:
        await self.show("preview_aside", migration, self.below(migration), page)


class PreviewNotebookHandler(PageEndpoint):
    @authenticated
    @authorized
    async def get(self, migration: str, audit: str) -> None:
        await self.show("preview_notebook", migration, self.below(migration), audit)


class WaiversHandler(Endpoint):
    @authenticated
    @authorized
    async def post(self, migration: str) -> None:
        await self.tell("waive", migration, self.sent(), self.current_user.username, status=201)


class LedgerHandler(Endpoint):
    @authenticated
    @authorized
    async def get(self, migration: str) -> None:
        await self.tell("ledger", migration)


class UnknownHandler(Endpoint):
    """Everything else below the API's address."""

    @authenticated
    @authorized
    async def get(self) -> None:
        self._refuse()

    @authenticated
    @authorized
    async def post(self) -> None:
        self._refuse()

    def _refuse(self) -> None:
        raise ApiError(404, "There is nothing at this address.", do="openapi.yaml in the package lists what there is.")


ROUTES: tuple[tuple[str, type[Endpoint]], ...] = (
    ("/about", AboutHandler),
    ("/schemas/(?P<name>migration|evidence)", SchemaHandler),
    (f"/kinds/{AUDIT}/(?P<kind>[a-z0-9][a-z0-9-]{{0,63}})", KindHandler),
    ("/proposals", ProposalsHandler),
    ("/migrations", MigrationsHandler),
    (f"/migrations/{MIGRATION}", JourneyHandler),
    (f"/migrations/{MIGRATION}/notebooks", NotebooksHandler),
    (f"/migrations/{MIGRATION}/runs", RunsHandler),
    (f"/migrations/{MIGRATION}/runs/{RUN}", RunHandler),
    (f"/migrations/{MIGRATION}/jobs", JobsHandler),
    (f"/migrations/{MIGRATION}/jobs/{JOB}", JobHandler),
    (f"/migrations/{MIGRATION}/jobs/{JOB}/stop", StopHandler),
    (f"/migrations/{MIGRATION}/jobs/{JOB}/events", EventsHandler),
    (f"/migrations/{MIGRATION}/evidence/{AUDIT}", EvidenceHandler),
    (f"/migrations/{MIGRATION}/findings", FindingsHandler),
    (f"/migrations/{MIGRATION}/compare", CompareHandler),
    (f"/migrations/{MIGRATION}/report", ReportHandler),
    (f"/migrations/{MIGRATION}/preview/", PreviewHandler),
    (f"/migrations/{MIGRATION}/preview/(?P<page>cases|decide)", PreviewAsideHandler),
    (f"/migrations/{MIGRATION}/preview/notebook/{AUDIT}", PreviewNotebookHandler),
    (f"/migrations/{MIGRATION}/waivers", WaiversHandler),
    (f"/migrations/{MIGRATION}/ledger", LedgerHandler),
    ("(?:/.*)?", UnknownHandler),
)


def add_to(application: Application) -> None:
    """Adds the API below the server's own base URL, and reads ahead once the server is up."""
    from tornado.ioloop import IOLoop

    settings: dict[str, Any] = application.settings
    root = Root(Path(settings["server_root_dir"]).expanduser())
    settings[ROOT] = root
    base = url_path_join(settings["base_url"], API)
    application.add_handlers(".*$", [(base + pattern, handler) for pattern, handler in ROUTES])
    # The future is let go: a failure here is met again, and told, by the first request.
    IOLoop.current().call_later(QUIET, lambda: THREADS.submit(answered, root, "list_migrations") and None)
