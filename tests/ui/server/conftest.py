"""A real Jupyter server with the extension, below a base URL, over a root with two migrations and traps around them."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from workbench import catalog, store
from workbench.catalog.freshness import PINNED, code
from workbench.evidence import Chart, Evidence, Finding, Limit, Measure, Series, Status, Table
from workbench.migration import open_migration

BASE = "/user/x/"
HIDDEN = "canary-7f3d"
"""In every file that no answer may hold."""
YAML = """\
version: 1
name: credit
data: {holdout: loans.csv}
legacy: {uri: "column:decision"}
task: {kind: binary, target: default, positive: 1}
roles: {protected: [sex]}
"""
CONFIG = """\
from jupyter_server.auth import Authorizer

class Picky(Authorizer):
    def is_authorized(self, handler, user, action, resource):
        return not (resource == "workbench" and handler.request.headers.get("X-Deny") == action)

c.ServerApp.authorizer_class = Picky
# Only ours: what else is installed here takes seconds to start.
others = ("jupyterlab", "jupyter_lsp", "jupyter_server_terminals", "notebook_shim", "voila.server_extension")
c.ServerApp.jpserver_extensions = {name: False for name in others} | {"workbench.ui.server": True}
"""
SLOW_AUDIT = '''\
"""Takes as long as it is told."""
import time
from pydantic import Field
import workbench.audit
from workbench.audit import Kind
from workbench.evidence import Measure

QUESTION = "How long does it take?"
SEEN = Kind(id="dawdle/seen", title="It was looked at", why="A test waits for this to come to its end.",
            fix="Wait for it, or stop it, whatever the test asks for.")
KINDS = (SEEN,)

class Params(workbench.audit.Params):
    seconds: float = Field(0.0, ge=0, description="to take")

def run(task: object, params: Params):
    time.sleep(params.seconds)
    yield SEEN.found(legacy=Measure(value=1.0))
'''


def migration_in(folder: Path, name: str = "credit") -> Path:
    folder.mkdir(parents=True)
    rows = "\n".join(f"{'fm'[n % 2]},{n},{n % 3 % 2},{n % 2}" for n in range(120))
    (folder / "loans.csv").write_text(f"sex,income,default,decision\n{rows}\n")
    (folder / "migration.yaml").write_text(YAML.replace("name: credit", f"name: {name}"))
    return folder


def evidence(folder: Path, status: Status = Status.FAIL, change: float = 0.1) -> Evidence:
    details = (
        Table(title="Groups", columns=("group", "rate"), rows=(("f", 0.4), ("<b>m</b>", 0.5)), units=("", "share")),
        Chart(kind="bar", title="Rates", x="group", y="rate", series=(Series(name="legacy", x=("f",), y=(0.4,)),)),
    )
    finding = Finding(
        id="bias/selection-rate-gap", subject="sex", title="Women are selected less often", status=status,
        change=Measure(value=change, low=change - 0.02, high=change + 0.02, n=120), judged="change",
        limit=Limit(value=0.05, better="lower", set_by="Risk policy 4.2"), why="It matters.", fix="Mend it.",
        details=details,
    )  # fmt: skip
    return Evidence(
        audit="bias", question="Is any group treated worse than before?", migration="credit",
        key=catalog.key(open_migration(folder), "bias"), started=datetime(2026, 1, 2, 3, 4, tzinfo=UTC), seconds=1.0,
        findings=(finding,),
    )  # fmt: skip


def keep(folder: Path, found: Evidence, page: str = "<p>a page</p>") -> str:
    """A finished run with this evidence; its id."""
    with store.open_run(folder) as run:
        place = run.workplace("51_bias")
        store.write(place / store.EVIDENCE, found.to_json())
        store.write(place / "report.html", page)
        run.publish("51_bias", audit=found.audit, key=found.key)
        store.write(run.folder / "report.html", page)
        run.finish()
    return store.runs(folder)[0].id


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """work/credit with two runs; around it what must never be found or read. Anew for each file of tests: strangers'
    requests start runs in it."""
    top = tmp_path_factory.mktemp("top")
    root = top / "root"
    credit = migration_in(root / "work" / "credit")
    keep(credit, evidence(credit))
    keep(credit, evidence(credit, Status.PASS, 0.02))
    outside = migration_in(top / "root-sibling" / "secret", HIDDEN)
    (outside / "model.json").write_text(HIDDEN)
    (root / "work" / "linked").symlink_to(outside)
    (root / "work" / "out.csv").symlink_to(outside / "loans.csv")
    (root / "work" / "borrowed").mkdir()
    (root / "work" / "borrowed" / "migration.yaml").symlink_to(outside / "migration.yaml")
    migration_in(root / ".hidden" / "credit", HIDDEN)
    return root


@pytest.fixture(scope="session")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installed audit that takes as long as it is told."""
    folder = tmp_path_factory.mktemp("plugin")
    info = folder / "dawdle-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dawdle\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[workbench.audits]\ndawdle = dawdle\n")
    (folder / "dawdle.py").write_text(SLOW_AUDIT)
    return folder


@dataclass
class Server:
    """A running Jupyter server."""

    process: subprocess.Popen[bytes]
    origin: str
    token: str
    log: Path

    @property
    def api(self) -> str:
        return f"{self.origin}{BASE}workbench/api"

    def client(self, **headers: str) -> httpx.Client:
        """Authenticated by the token."""
        return httpx.Client(headers={"Authorization": f"token {self.token}", **headers}, timeout=120)

    def browser(self) -> httpx.Client:
        """Authenticated by a cookie, as somebody who logged in; the XSRF token is in its cookies."""
        client = httpx.Client(timeout=120, follow_redirects=True)
        client.get(f"{self.origin}{BASE}login", params={"token": self.token}).raise_for_status()
        client.get(f"{self.origin}{BASE}api/status").raise_for_status()
        return client

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture(scope="module")
def start(root: Path, plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Server]]:
    """Starts a server over the root; every one it started is ended with the tests."""
    started: list[Server] = []

    def make() -> Server:
        started.append(_started(root, plugin, tmp_path_factory.mktemp("home")))
        return started[-1]

    yield make
    for server in started:
        server.stop()


def _started(root: Path, plugin: Path, home: Path) -> Server:
    (home / "config.py").write_text(CONFIG)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    where = {f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "RUNTIME", "DATA")}
    path = os.pathsep.join(filter(None, [str(plugin), os.environ.get("PYTHONPATH", "")]))
    with (home / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyter", "server", f"--config={home / 'config.py'}", "--allow-root",
             "--no-browser", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0",
             f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={root}", f"--ServerApp.base_url={BASE}"],
            env={**os.environ, **where, "PYTHONPATH": path, PINNED: code(), "OMP_NUM_THREADS": "1"}, stdout=log,
            stderr=log,
        )  # fmt: skip
    server = Server(process, f"http://127.0.0.1:{port}", token, home / "log.txt")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{server.origin}{BASE}api", timeout=5).is_success:
                return server
        except httpx.HTTPError:
            assert process.poll() is None, server.log.read_text()
            time.sleep(0.1)
    raise AssertionError(f"no server: {server.log.read_text()}")


@pytest.fixture(scope="module")
def server(start: Callable[[], Server]) -> Server:
    return start()


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture(scope="module")
def credit(server: Server, client: httpx.Client) -> dict[str, Any]:
    """The one migration of the root, as it is listed."""
    found = client.get(f"{server.api}/migrations").json()["migrations"]
    assert [one["path"] for one in found if not one["path"].startswith("runs/")] == ["work/credit"]
    return dict(next(one for one in found if one["name"] == "credit"))
