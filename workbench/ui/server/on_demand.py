"""Plotly's JupyterLab extension is fetched for the first chart, not when JupyterLab starts.

It comes with plotly, which we need, and is one file of 4.8 MB that JupyterLab fetches and compiles before it shows
anything, chart or not. Here it is left out of what a page loads at its start and named in an option of its own:
`extension/src/plotly.ts` stands in for it, and loads it as it is when there is something to draw.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

OURS, THEIRS = "migration-workbench", "jupyterlab-plotly"
STAND_IN = f"{OURS}:plotly"
OPTION = "plotlyOnDemand"

Page = dict[str, Any]
Hook = Callable[[object, Page], Page]


def add_to(settings: dict[str, Any]) -> None:
    """Looks at the configuration of every page of JupyterLab, after whoever does so already."""
    before: Hook | None = settings.get("page_config_hook")
    settings["page_config_hook"] = lambda handler, page: on_demand(before(handler, page) if before else page)


def on_demand(page: Page) -> Page:
    """The configuration with plotly's extension set aside, where ours can stand in for it; else as it was."""
    found = {one["name"]: one for one in page.get("federated_extensions", ())}
    ours, theirs = found.get(OURS, {}), found.get(THEIRS, {})
    disabled = {OURS, STAND_IN, THEIRS} & set(page.get("disabledExtensions", ()))
    # A plotly that is more than a renderer is not known here, and left alone.
    if disabled or "mimeExtension" not in ours or "mimeExtension" not in theirs or "extension" in theirs:
        return {name: value for name, value in page.items() if name != OPTION}
    rest = [one for name, one in found.items() if name != THEIRS]
    return page | {"federated_extensions": rest, OPTION: theirs}
