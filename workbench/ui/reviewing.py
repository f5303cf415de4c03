"""Commands that let reviewers in: review, invite and dashboard."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import time
import webbrowser
from pathlib import Path

from workbench import catalog
from workbench.migration import open_migration, update
from workbench.ui.review.doors import Doors, Mode
from workbench.ui.review.hub import Hub
from workbench.ui.review.people import People
from workbench.ui.say import CliError, emit, out, typed


def way(header: str, *, hub: bool, nobody: bool) -> Mode:
    """How people come in. Raises CliError where two ways are asked for at once."""
    asked = [name for name, given in (("--header", bool(header)), ("--hub", hub), ("--open", nobody)) if given]
    if len(asked) > 1:
        raise CliError(f"{' and '.join(asked)} are different ways to come in: choose one.")
    return "open" if nobody else "hub" if hub else "header" if header else "invite"


def doors(mode: Mode, url: str, header: str, proxies: tuple[str, ...]) -> Doors:
    if mode != "hub":
        return Doors(mode, header or Doors.header, proxies or Doors.proxies, url)
    if not url:
        raise CliError("With --hub, say under which address people reach it: --url https://hub.example.org/services/…/")
    return Doors(mode, url=url, hub=Hub.told(os.environ))


def review(folder: Path, host: str, port: int, doors: Doors, *, isolated: bool) -> None:
    """Serves until Ctrl-C."""
    from workbench.ui.review.selfcheck import checked
    from workbench.ui.review.server import serve

    migration = open_migration(folder)
    said = checked(migration, doors, People(migration.folder), isolated=isolated)

    def ready(address: str) -> None:
        out(f"{migration.name} is open for review at {address}")
        if doors.mode == "open":
            out("Nobody logs in, so it is for reading, and on this machine only.")
        elif doors.mode == "invite":
            out(f"People come in by link: workbench invite LOGIN {typed(folder)} --url {address}")
        for sentence in said:
            out(sentence, style="dim")
        out("Stop it with Ctrl-C.", style="dim")

    try:
        serve(migration.folder, doors, host, port, ready)
    except KeyboardInterrupt:
        out("Stopped.")


def dashboard(folder: Path, name: str, port: int, *, browser: bool) -> None:
    """Serves one notebook by Voila until Ctrl-C."""
    from workbench.ui.review.told import Told, environment

    migration = open_migration(folder)
    entry = catalog.entry(name)
    if entry.notebook is None:
        raise CliError(f"{entry.name} has no notebook to show.")
    secret = secrets.token_urlsafe(16)
    told = Told(str(migration.folder.resolve()), "/", secret, 3600, port=port)
    child = subprocess.Popen(
        [sys.executable, "-m", "workbench.ui.review.dashboards"], stdin=subprocess.PIPE, text=True, env=environment()
    )
    assert child.stdin is not None
    child.stdin.write(told.line())
    child.stdin.flush()
    address = f"http://127.0.0.1:{port}/voila/render/{entry.stem}.ipynb?token={secret}"
    while child.poll() is None and not _listens(port):
        time.sleep(0.2)
    if child.poll() is not None:
        raise CliError(f"Voila did not start on port {port}. Name another --port.")
    out(address, hang=4)
    out("As a reviewer explores it; for you alone, on this machine. Stop it with Ctrl-C.", style="dim")
    if browser:
        webbrowser.open(address)
    try:
        child.wait()
    except KeyboardInterrupt:
        child.terminate()
        child.wait()
        out("Stopped.")


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def invite(folder: Path, login: str, role: str, url: str, *, shut_out: bool, as_json: bool) -> None:
    migration = open_migration(folder)
    people = People(migration.folder)
    if shut_out:
        ended = people.shut_out(login)
        emit({"login": login, "ended": ended}, as_json)
        if not as_json:
            out(f"{login} is shut out: {ended} session{'' if ended == 1 else 's'} ended, and unused links with them.")
        return
    known = {one.casefold(): one for one in migration.review.people}
    if login.casefold() not in known:
        _add(folder, login, role)
    link = f"{url.rstrip('/')}/invite/{people.invite(known.get(login.casefold(), login))}"
    emit({"login": login, "link": link}, as_json)
    if not as_json:
        out(link)
        out(f"It lets {login} in once, within a week. Send it to nobody else: whoever opens it is taken for {login}.")


def _add(folder: Path, login: str, role: str) -> None:
    if not role:
        raise CliError(
            f"{login} is not among the people under `review` in migration.yaml. Say what they answer for, and they are "
            "added: --role risk"
        )
    review: dict[str, object] = {"people": {login: {"role": role}}}
    if role not in open_migration(folder).review.quorum:
        review["quorum"] = {role: 1}
    update(folder, {"review": review})
