"""The Jupyter Server extension: what the panel in JupyterLab asks, over HTTP. Loading it adds nothing to Lab's start.

openapi.yaml says what is asked and answered. `handlers` and `streaming` speak HTTP and nothing else; `asking` answers,
one plain function per operation, in threads. What opens a model and what runs has a process of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "workbench.ui.server"}]


def _load_jupyter_server_extension(server: ServerApp) -> None:
    """Called by the Jupyter server when it starts."""
    from workbench.ui.server import on_demand
    from workbench.ui.server.handlers import add_to

    add_to(server.web_app)
    on_demand.add_to(server.web_app.settings)
