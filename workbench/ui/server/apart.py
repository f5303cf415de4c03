"""One question to a process of its own, which ends with everything it started when it takes too long."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

from workbench.ui.server.problems import ApiError
from workbench.ui.server.rooted import Root

SECONDS = 300.0
AT_ONCE = 2
"""Questions at a time: each holds a model in memory."""
_open = 0


async def answer_of(wanted: Mapping[str, Any], root: Root) -> dict[str, Any]:
    """What `propose_here` says to it. Raises ApiError where it says nothing, or others are being answered."""
    global _open
    if _open >= AT_ONCE:
        raise ApiError(429, "Other proposals are being made.", f"{AT_ONCE} at a time", "Try again in a minute.")
    _open += 1
    try:
        return await _asked(wanted, root)
    finally:
        _open -= 1


async def _asked(wanted: Mapping[str, Any], root: Root) -> dict[str, Any]:
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        # -P: a file called json.py in the root must not stand in for Python's own.
        sys.executable, "-P", "-m", "workbench.ui.server.propose_here", stdin=pipe, stdout=pipe, stderr=nothing,
        cwd=root.real, start_new_session=True, limit=1 << 24,
    )  # fmt: skip
    try:
        told, _ = await asyncio.wait_for(process.communicate(json.dumps(wanted).encode()), SECONDS)
    except TimeoutError:
        do = "Give fewer rows, or make the migration in a terminal: workbench new."
        raise ApiError(422, "The model did not answer in time.", f"waited {SECONDS:.0f} s", do) from None
    finally:
        # Its model may answer from a process of its own: all of them are one group.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    if not told.strip():
        seen = f"its process ended with {process.returncode}"
        raise ApiError(422, "Opening the model broke.", seen, "Try in a terminal, which says more: workbench new.")
    return dict(json.loads(told.splitlines()[-1]))
