"""Commands for those who review, and for whoever lets them in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.ui.options import Folder, Json, option


def add(app: typer.Typer) -> None:
    app.command(short_help="Serve the evidence to reviewers, behind a login")(review)
    app.command(short_help="A one-time link that lets a reviewer in")(invite)
    app.command(short_help="A notebook as a reviewer explores it, on this machine")(dashboard)


def review(
    folder: Folder = Path(),
    host: Annotated[str, option("ADDRESS", "to listen on")] = "127.0.0.1",
    port: Annotated[int, option("PORT", "0 takes a free one")] = 8899,
    url: Annotated[str, option("URL", "under which people reach it, e.g. https://review.example.org/")] = "",
    header: Annotated[str, option("NAME", "a proxy in front says in this header who it is")] = "",
    proxy: Annotated[list[str] | None, option("ADDRESS", "the header is believed from; repeatable")] = None,
    hub: Annotated[bool, typer.Option("--hub", help="people log in at the JupyterHub this is a service of")] = False,
    isolated: Annotated[
        bool, typer.Option("--isolated", help="refuse to serve as a user who can read raw data or the legacy model")
    ] = False,
    open_: Annotated[bool, typer.Option("--open", help="nobody logs in: for reading, on this machine only")] = False,
) -> None:
    """Serve the stored evidence to people who do not program: they log in, read, explore, and sign a decision."""
    from workbench.ui import reviewing

    way = reviewing.way(header, hub=hub, nobody=open_)
    reviewing.review(folder, host, port, reviewing.doors(way, url, header, tuple(proxy or ())), isolated=isolated)


def invite(
    login: Annotated[str, typer.Argument(metavar="LOGIN", help="of a person under `review` in migration.yaml")],
    folder: Folder = Path(),
    role: Annotated[str, option("ROLE", "what they answer for: adds them to migration.yaml where they are not")] = "",
    url: Annotated[str, option("URL", "under which people reach the server")] = "http://127.0.0.1:8899/",
    shut_out: Annotated[bool, typer.Option("--shut-out", help="end every session and link of theirs instead")] = False,
    as_json: Json = False,
) -> None:
    """Make a link that lets a reviewer in, once, within a week; or shut them out."""
    from workbench.ui import reviewing

    reviewing.invite(folder, login, role, url, shut_out=shut_out, as_json=as_json)


def dashboard(
    name: Annotated[str, typer.Argument(metavar="NAME", help="of a notebook, e.g. bias")],
    folder: Folder = Path(),
    port: Annotated[int, option("PORT", "to listen on")] = 8866,
    browser: Annotated[bool, typer.Option("--open", help="open it in the browser")] = False,
) -> None:
    """Show a notebook as a reviewer explores it: stored evidence, code hidden, by Voila, on this machine only."""
    from workbench.ui import reviewing

    reviewing.dashboard(folder, name, port, browser=browser)
