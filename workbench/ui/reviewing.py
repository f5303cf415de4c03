"""Commands that let reviewers in: review and invite."""

from __future__ import annotations

from pathlib import Path

from workbench.migration import open_migration, update
from workbench.ui.review.doors import Doors
from workbench.ui.review.people import People
from workbench.ui.say import CliError, emit, out, typed


def review(
    folder: Path, host: str, port: int, url: str, header: str, proxies: tuple[str, ...], *, nobody: bool
) -> None:
    """Serves until Ctrl-C."""
    from workbench.ui.review.server import serve

    migration = open_migration(folder)
    mode = "open" if nobody else "header" if header else "invite"
    doors = Doors(mode, header or Doors.header, proxies or Doors.proxies, url)

    def ready(address: str) -> None:
        out(f"{migration.name} is open for review at {address}")
        if mode == "open":
            out("Nobody logs in, so it is for reading, and on this machine only.")
        elif mode == "invite":
            out(f"People come in by link: workbench invite LOGIN {typed(folder)} --url {address}")
        out("Stop it with Ctrl-C.", style="dim")

    try:
        serve(migration.folder, doors, host, port, ready)
    except KeyboardInterrupt:
        out("Stopped.")


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
