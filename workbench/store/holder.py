"""Who holds a migration: process, machine and boot, told apart from a later process with the same number."""

from __future__ import annotations

import getpass
import os
import socket
from datetime import UTC, datetime
from pathlib import Path

from workbench.evidence import Plain


class Claim(Plain):
    """process: when the process started, as the system counts it (ticks since boot), "" where it does not say.

    user: who runs it, as the hub or the machine knows them.
    """

    run: str
    pid: int
    host: str
    boot: str
    process: str
    since: datetime
    user: str = ""

    @classmethod
    def mine(cls, run: str) -> Claim:
        pid = os.getpid()
        return cls(
            run=run, pid=pid, host=socket.gethostname(), boot=boot(), process=started(pid), since=datetime.now(UTC),
            user=user()[0],
        )  # fmt: skip

    @property
    def holder(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since:%Y-%m-%d %H:%M:%S} UTC"


def gone(claim: Claim) -> str:
    """How we know that the claim's process has ended; "" if it lives, or nobody can tell from here."""
    if claim.host != socket.gethostname():
        return ""
    if claim.boot and boot() and claim.boot != boot():
        return f"{claim.host} was restarted since"
    if not _alive(claim.pid):
        return f"process {claim.pid} ended without finishing"
    if claim.process and started(claim.pid) != claim.process:
        return f"process {claim.pid} ended, and its number now belongs to another process"
    return ""


def user() -> tuple[str, str]:
    """Who is behind this process, and what says so: the hub one is logged in to, else the machine."""
    if hub := os.environ.get("JUPYTERHUB_USER"):
        return hub, "jupyterhub"
    try:
        return getpass.getuser(), f"os:{socket.gethostname()}"
    except (OSError, KeyError):
        return f"uid {os.getuid()}", f"os:{socket.gethostname()}"


def boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def started(pid: int) -> str:
    try:
        # The name in brackets may hold spaces and brackets itself: count the fields behind the last one.
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return ""


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _state(pid) != "Z"  # killed, and only not yet collected by its parent


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (OSError, IndexError):
        return ""
