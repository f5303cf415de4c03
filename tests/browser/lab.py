"""A real JupyterLab with settings, kernels and workspaces of its own: for tests, pictures and measurements."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
PACKAGE = Path(__file__).resolve().parents[2] / "workbench"
OWN = ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "JUPYTERLAB_WORKSPACES_DIR")
WITHOUT = "--ServerApp.jpserver_extensions={'workbench.ui.server': False}"
"""A Lab without our part of the server."""


@dataclass
class Lab:
    """A running JupyterLab. origin: scheme, host and port; base: its base URL; seconds: until it first answered."""

    process: subprocess.Popen[bytes]
    origin: str
    base: str
    token: str
    log: Path
    seconds: float = 0.0

    def address(self, place: str = "", more: str = "") -> str:
        """place: behind /lab, as "/tree/x.ipynb"; more: of the query, as "&reset"."""
        return f"{self.origin}{self.base}lab{place}?token={self.token}{more}"

    def stop(self, patience: float = 60) -> None:
        """Ends it and everything of its process group. Raises TimeoutError where a thread of it is held in our code."""
        self.process.terminate()
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            said = self._aborted()
            # On a machine that does much else, Python's own last collection can take longer, after all of ours ended.
            if str(PACKAGE) in said:
                raise TimeoutError(f"JupyterLab did not end within {patience} s:\n{said}") from None
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _aborted(self) -> str:
        """What every thread was doing."""
        self.process.send_signal(signal.SIGABRT)  # faulthandler writes the threads' stacks
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        return self.log.read_text(errors="replace").rpartition("Fatal Python error")[2]


def start(folder: Path, home: Path, base: str = "/", options: Sequence[str] = ()) -> Lab:
    """home: an empty folder for what is Lab's own."""
    for name, values in SETTINGS.items():
        write(home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings", values)
    where = {name: str(home / name.lower()) for name in OWN} | {"JUPYTERLAB_SETTINGS_DIR": str(home / "settings")}
    port, token = free_port(), secrets.token_hex(16)
    command = [
        sys.executable, "-X", "faulthandler", "-m", "jupyterlab", "--no-browser", "--allow-root",
        "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}", f"--ServerApp.base_url={base}",
        "--LabApp.expose_app_in_browser=True", "--KernelManager.transport=ipc", *options,
    ]  # fmt: skip
    log = home / "log.txt"
    with log.open("wb") as file:
        environment = os.environ | where | {"OMP_NUM_THREADS": "1"}
        # A group of its own: what it leaves behind ends with it.
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file, start_new_session=True)
    lab = Lab(process, f"http://127.0.0.1:{port}", base, token, log)
    lab.seconds = wait(process, f"{lab.origin}{base}api/status?token={token}", log)
    return lab


def write(path: Path, values: Mapping[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait(process: subprocess.Popen[bytes], address: str, log: Path) -> float:
    """Seconds until the server answered. Raises RuntimeError or TimeoutError with the end of its log."""
    began = time.monotonic()
    while time.monotonic() - began < 180:
        if process.poll() is not None:
            raise RuntimeError(f"JupyterLab ended with {process.returncode}: {log.read_text()[-2000:]}")
        try:
            urllib.request.urlopen(address, timeout=2).read()
            return time.monotonic() - began
        except OSError:
            time.sleep(0.05)
    process.kill()
    raise TimeoutError(f"JupyterLab did not answer within three minutes: {log.read_text()[-2000:]}")
