"""A real JupyterLab, with settings, kernels and workspaces of its own, and a page that reaches nothing else."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
PATIENCE = 180_000
"""Milliseconds until something is there; on an idle machine nothing takes 10,000."""

Serve = Callable[[Path, str], str]


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Starts a JupyterLab on a folder, below a base URL; gives its address with a place for what is opened."""
    started: list[subprocess.Popen[bytes]] = []

    def start(folder: Path, base: str = "/") -> str:
        home = tmp_path_factory.mktemp("home")
        for name, values in SETTINGS.items():
            path = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        token = secrets.token_hex(16)
        own = ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "JUPYTERLAB_WORKSPACES_DIR")
        where = {name: str(home / name.lower()) for name in own} | {"JUPYTERLAB_SETTINGS_DIR": str(home / "settings")}
        options = [f"--ServerApp.port={port}", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}"]
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1",
             "--LabApp.expose_app_in_browser=True", f"--ServerApp.base_url={base}", *options],
            env=os.environ | where | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        started.append(process)
        wait(process, f"http://127.0.0.1:{port}{base}api/status?token={token}")
        return f"http://127.0.0.1:{port}{base}lab{{}}?token={token}"

    try:
        yield start
    finally:
        for process in started:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                # A kernel that was just being started can hold Jupyter's own shutdown up for minutes.
                process.kill()
                process.wait(20)


def wait(process: subprocess.Popen[bytes], address: str) -> None:
    for _ in range(900):
        assert process.poll() is None, f"JupyterLab ended with {process.returncode}"
        try:
            urllib.request.urlopen(address, timeout=2).read()
            return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError("JupyterLab did not answer within three minutes")


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that reaches nothing but this machine; whatever else it asks for fails the test."""
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    context.set_default_timeout(PATIENCE)
    outside: list[str] = []

    def route(route: Any) -> None:
        if route.request.url.startswith(("http://127.0.0.1", "data:", "blob:")):
            route.continue_()
        else:
            outside.append(route.request.url)
            route.abort()

    context.route("**/*", route)
    yield context.new_page()
    context.close()
    assert outside == []
