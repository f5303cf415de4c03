"""Notebooks as Voila dashboards, in a process of their own: `python -m workbench.ui.review.dashboards`.

Never an extension of a Jupyter server. It listens on a Unix socket in a folder only its owner may open, and wants a
secret besides; both come by stdin, so that no list of processes and no kernel knows them. When stdin closes, whoever
started it is gone, and it ends with all its kernels. Each page shows stored evidence and computes nothing.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from pathlib import Path
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_unix_socket
from traitlets.config import Config
from voila.app import Voila

from workbench import catalog, places, render
from workbench.migration import open_migration
from workbench.runner.kernel import DASHBOARD
from workbench.ui.review.messages import ASKED
from workbench.ui.review.reading import LINKS, lead, steps
from workbench.ui.review.told import KERNEL, READY, Told

WIDGETS = ("@voila-dashboards/widgets-manager8", "@jupyter-widgets/jupyterlab-manager", "jupyterlab-plotly")
REMOVED = "analyst"
"""Tag of cells, and of text, that are for whoever makes the migration."""
NEEDED = re.compile(r"\n\n\*\*You need\*\*.*?(?=\n\n|\Z)", re.S)
"""What it takes to run a notebook: nothing to somebody who reads it."""


class Dashboards(Voila):  # type: ignore[misc]
    """Voila on a Unix socket, whose kernels take nothing but messages of widgets."""

    told: Told

    def init_settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = super().init_settings()
        self.kernel_manager.allowed_message_types = sorted(ASKED)
        return settings

    def listen(self) -> None:
        if not self.told.socket:
            super().listen()
            return
        HTTPServer(self.app).add_socket(bind_unix_socket(self.told.socket, mode=0o600))
        print(READY, flush=True)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a kernel prints is read by nobody, and must not fill a pipe
        self.ioloop = IOLoop.current()
        threading.Thread(target=self._until_alone, daemon=True).start()
        try:
            self.ioloop.start()
        finally:
            self.stop()

    def _until_alone(self) -> None:
        while sys.stdin.readline():
            pass
        self.ioloop.add_callback(self.ioloop.stop)


def settings(told: Told) -> Config:
    """Voila's own, whatever a settings file on this machine says."""
    from workbench.ui.review.kernels import Kernels, OwnPython

    return Config(
        {
            "Voila": {
                "base_url": told.root,
                "root_dir": str(places.notebooks()),
                "token": told.secret,
                "port": told.port,
                "ip": "127.0.0.1",
                "open_browser": False,
                "port_retries": 0,
                "config_file_paths": [],
                "log_level": "ERROR",
            },
            "VoilaConfiguration": {
                "template": "workbench",
                "allow_template_override": "NO",
                "allow_theme_override": "NO",
                "extension_allowlist": list(WIDGETS),
                "file_allowlist": [],
                "http_header_envs": [KERNEL],
                "multi_kernel_manager_class": Kernels,
                "kernel_spec_manager_class": OwnPython,
                "prelaunch_hook": prepared,
                "show_tracebacks": False,
            },
            "MappingKernelManager": {"cull_idle_timeout": told.idle, "cull_interval": 30, "cull_connected": True},
            "KernelManager": {"transport": "ipc"},
        }
    )


def prepared(handler: Any, notebook: Any, cwd: str) -> Any:
    """The notebook as a reviewer sees it: without what is for analysts, under the verdict as stored."""
    told = Dashboards.instance().told
    name = Path(handler.request.path).stem.partition("_")[2]
    notebook.cells = for_readers(notebook.cells)
    migration = open_migration(Path(told.folder))
    entry = catalog.entry(name)
    above = lead(migration, entry) or render.Lead(name, entry.question, "Not run yet.")
    root = told.root.removesuffix("explore/")
    bar = render.Bar(
        root, migration.name, links=LINKS if told.socket else (), here=f"explore/{name}",
        steps=steps(migration.folder, "explore") if told.socket else (),
    )  # fmt: skip
    notebook.metadata["workbench"] = render.live(bar, above)
    return notebook


def for_readers(cells: list[Any]) -> list[Any]:
    """Without cells for analysts, text that leads to nothing but those, and what it takes to run them."""
    sections: list[list[Any]] = []
    for cell in cells:
        if cell.cell_type == "markdown" or not sections:
            sections.append([])
        sections[-1].append(cell)
    kept = [cell for section in sections if not _for_analysts(section) for cell in section if not _tagged(cell)]
    for cell in kept:
        if cell.cell_type == "markdown":
            cell.source = NEEDED.sub("", cell.source)
    return kept


def _for_analysts(section: list[Any]) -> bool:
    code = [cell for cell in section if cell.cell_type == "code"]
    return bool(code) and all(map(_tagged, code))


def _tagged(cell: Any) -> bool:
    return REMOVED in cell.metadata.get("tags", [])


def main() -> None:
    told = Told(**json.loads(sys.stdin.readline()))
    os.environ[DASHBOARD] = told.folder
    if os.name == "posix":
        os.nice(5)  # kernels inherit it: pages of the evidence come first, controls wake up beside them
    app = Dashboards.instance(config=settings(told))
    app.told = told
    app.initialize([])
    app.start()


if __name__ == "__main__":
    from workbench.ui.review import dashboards  # under its own name, not as __main__: one class, one hook

    dashboards.main()
