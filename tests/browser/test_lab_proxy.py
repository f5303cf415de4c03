"""Behind a hub's proxy, on its one port: the panel, a run with its events, and a notebook with its kernel."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.browser.lab import Lab
from tests.browser.panel import declared, opened, row, taken

pytestmark = [pytest.mark.browser, pytest.mark.long]

PROXY = Path(__file__).with_name("proxy.py")
RUN_FIRST = """async () => {
    const panel = window.jupyterapp.shell.currentWidget;
    await panel.context.ready;
    await panel.sessionContext.ready;
    panel.content.activeCellIndex = panel.content.widgets.findIndex(cell => cell.model.type === 'code');
    await window.jupyterapp.commands.execute('notebook:run-cell');
}"""


@pytest.fixture(scope="module")
def proxied(lab: Lab) -> Iterator[Lab]:
    """The same Lab, reached through a proxy that sends on only what is below /user/ada/."""
    command = [sys.executable, str(PROXY), "/user/ada/", lab.origin.removeprefix("http://")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield replace(lab, origin=f"http://127.0.0.1:{process.stdout.readline().strip()}")
        process.terminate()


def test_everything_comes_through_the_one_port(proxied: Lab, migrations: Path, page: Any) -> None:
    declared(migrations / "proxied", "proxied")
    asked: set[str] = set()
    page.on("request", lambda request: asked.add(request.url.split("/user/ada/")[0]))
    page.on("websocket", lambda socket: asked.add(socket.url.split("/user/ada/")[0].replace("ws:", "http:")))
    panel = opened(page, proxied)
    taken(panel, "proxied")
    bias = row(panel, "51_bias")
    bias.hover()
    bias.get_by_role("button", name="Run Bias").click()
    bias.locator(".mw-told", has_text="Cell ").wait_for()  # an event, while the run goes on
    bias.locator(".mw-told", has_text="Ready: 1 check passed").wait_for()
    bias.hover()
    bias.get_by_role("button", name="Open the notebook of Bias").click()
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    page.evaluate(RUN_FIRST)
    page.locator(".jp-CodeCell .jp-InputPrompt", has_text="[1]:").wait_for()
    assert {url for url in asked if url.startswith("http")} == {proxied.origin}
