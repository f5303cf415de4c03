"""What the review server finds about itself before it serves: what it refuses, and what it says."""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from workbench import places
from workbench.migration import Migration
from workbench.ui.review.doors import Doors, ReviewError
from workbench.ui.review.live import MOST
from workbench.ui.review.people import DAY, People

VOILA = ("voila", "voila.server_extension")
PROCESS, KERNEL = 0.2, 0.17
"""Gigabytes that Voila and one kernel take, as measured."""


def checked(migration: Migration, doors: Doors, people: People, *, isolated: bool) -> tuple[str, ...]:
    """What is worth knowing, in sentences. Raises ReviewError where it must not serve."""
    if _inside_a_server():
        raise ReviewError(
            "This is a process of a Jupyter server, where whoever holds a token can run code. Start `workbench review` "
            "on its own."
        )
    for place in (places.templates(), *places.templates().rglob("*")):
        if place.stat().st_mode & stat.S_IWOTH and not place.is_symlink():
            raise ReviewError(f"Anyone on this machine can change {place}: pages are made of it. chmod -R o-w it.")
    if people.path.stat().st_mode & 0o077:
        raise ReviewError(f"Others on this machine can read {people.path}, which holds sessions: chmod 600 it.")
    if isolated and (seen := [path for path in _raw(migration) if os.access(path, os.R_OK)]):
        names = ", ".join(str(path) for path in seen[:3]) + (" and more" if len(seen) > 3 else "")
        raise ReviewError(
            f"--isolated: this user can read {names}. Serve as another user, who may read {migration.folder}, its "
            "reports and the candidate, and nothing of the data or the legacy model."
        )
    if isolated and (files := _extension_files()):
        raise ReviewError(
            f"--isolated: Voila is an extension of the Jupyter servers of this machine ({files[0]}), where whoever "
            "holds a token can run code. Turn it off: jupyter server extension disable voila.server_extension"
        )
    return tuple(_told(doors, people, isolated))


def _told(doors: Doors, people: People, isolated: bool) -> Iterator[str]:
    if isolated:
        yield "Isolated: raw data and the legacy model cannot be read from here."
    elif files := _extension_files():
        yield (
            "Jupyter servers of this machine have Voila as an extension; give reviewers no token of theirs, or turn it "
            f"off ({files[0].name}): jupyter server extension disable voila.server_extension"
        )
    if doors.mode == "header":
        yield f"{doors.header} is believed from {', '.join(doors.proxies)} only."
    if doors.mode != "open":
        most = PROCESS + MOST * KERNEL
        yield f"Up to {MOST} pages with controls at a time: {most:.1f} GB of memory at most; none until one is opened."
    if tried := people.noted(time.time() - 7 * DAY):
        _, who, what = tried[-1]
        yield f"Refused within a week: {len(tried)}; the last: {who} {what}."


def _raw(migration: Migration) -> list[Path]:
    """Files of the data and of the legacy model; the candidate is what people sign, and is read to be hashed."""
    from workbench.data.source import DataError, resolve

    data, found = migration.data, []
    model = migration.legacy.uri
    for uri in (data.holdout, data.train, data.production, None if ":" in model.split("/")[0] else model):
        try:
            found += resolve(uri, migration.folder) if uri else []
        except DataError:
            continue  # what this user cannot even see
    return found


def _inside_a_server() -> bool:
    known = sys.modules.get("jupyter_server.serverapp")
    return bool(known and known.ServerApp.initialized())


def _extension_files() -> list[Path]:
    """Settings files that make Voila an extension of Jupyter servers here."""
    from jupyter_core.paths import jupyter_config_path

    found = []
    for folder in map(Path, jupyter_config_path()):
        for path in (*folder.glob("jupyter_server_config.d/*.json"), folder / "jupyter_server_config.json"):
            try:
                enabled = json.loads(path.read_text()).get("ServerApp", {}).get("jpserver_extensions", {})
            except (OSError, ValueError, AttributeError):
                continue
            found += [path] if any(enabled.get(name) for name in VOILA) else []
    return found
