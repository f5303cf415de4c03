"""Remakes the README's pictures from the demo: `make pictures`. Needs Chromium and a finished `make demo`."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


def main(migration: Path) -> None:
    run = max(path.parent for path in (migration / "reports").glob("*/run.json"))
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright, _lab(migration) as lab:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGS)
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 1200, "height": 1000}, color_scheme=scheme)
            page.goto(f"file://{run / 'report.html'}")
            page.wait_for_timeout(1000)
            page.screenshot(path=PICTURES / ("report.png" if scheme == "light" else "report-dark.png"))
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        _notebook(page, f"{lab}&path=", run.relative_to(migration) / "51_bias" / "notebook.ipynb")
        page.screenshot(path=PICTURES / "notebook.png")
        for theme, name in (("JupyterLab Light", "lab.png"), ("JupyterLab Dark", "lab-dark.png")):
            page = browser.new_page(viewport={"width": 1280, "height": 860})
            _panel(page, lab, theme)
            page.screenshot(path=PICTURES / name)
        browser.close()


def _panel(page: Page, lab: str, theme: str) -> None:
    """The panel with the evidence of one audit beside it, nothing left to wait for."""
    page.goto(f"{lab}&reset")
    page.locator('li[data-id="migration-workbench-panel"]').click(timeout=60_000)
    page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    page.locator('.mw-nb[data-notebook="51_bias"] .mw-row').click()
    page.locator(".mw-finding").first.wait_for()
    page.mouse.move(900, 850)
    page.wait_for_timeout(2000)


def _notebook(page: Page, lab: str, path: Path) -> None:
    base, token = lab.split("?", 1)
    page.goto(f"{base}/tree/{path}?{token.removesuffix('&path=')}&reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    page.wait_for_timeout(3000)
    # Lab draws cells as they come into view: the second call finds the heading where it stays.
    for _ in range(2):
        page.get_by_role("heading", name="The answer").evaluate("heading => heading.scrollIntoView({block: 'start'})")
        page.wait_for_timeout(2000)


@contextmanager
def _lab(folder: Path) -> Iterator[str]:
    """A JupyterLab with settings of its own; yields its address with the token."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    with tempfile.TemporaryDirectory() as home:
        where = {name: f"{home}/{name}" for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")}
        where["JUPYTERLAB_WORKSPACES_DIR"] = f"{home}/workspaces"
        where["JUPYTERLAB_SETTINGS_DIR"] = f"{home}/settings"
        quiet = Path(home, "settings", "@jupyterlab", "apputils-extension", "notification.jupyterlab-settings")
        quiet.parent.mkdir(parents=True)
        quiet.write_text('{"fetchNews": "false", "checkForUpdates": false}')
        command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", f"--ServerApp.port={port}"]
        command += [
            f"--IdentityProvider.token={token}",
            f"--ServerApp.root_dir={folder}",
            "--LabApp.expose_app_in_browser=True",
            "--KernelManager.transport=ipc",
        ]
        process = subprocess.Popen(
            command, env={**os.environ, **where}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _wait(f"http://127.0.0.1:{port}/api/status?token={token}")
            yield f"http://127.0.0.1:{port}/lab?token={token}"
        finally:
            process.terminate()
            process.wait(30)


def _wait(address: str) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(address, timeout=2).read()  # noqa: S310 (our own server)
            return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(f"JupyterLab did not answer at {address.split('?')[0]} within a minute")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "demo").resolve())
