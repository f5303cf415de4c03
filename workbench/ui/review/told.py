"""What Voila's process is told at its start, and by what it is found: known to both sides, and light."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass

from workbench import places

KERNEL = "X-Workbench-Kernel"
"""Header with the id the next kernel is to have: whoever asks for a page knows whose it is before it exists."""
READY = "ready"


@dataclass(frozen=True)
class Told:
    """root: path under which a browser sees it; idle: seconds until an unused kernel is ended.

    socket "": a port instead, for whoever works on this machine.
    """

    folder: str
    root: str
    secret: str
    idle: int
    socket: str = ""
    port: int = 0

    def line(self) -> str:
        return json.dumps(asdict(self)) + "\n"


def environment() -> dict[str, str]:
    """What the process must find in its environment: our template, where Jupyter looks for templates first."""
    path = os.pathsep.join(filter(None, (str(places.templates()), os.environ.get("JUPYTER_PATH", ""))))
    return os.environ | {"JUPYTER_PATH": path}
