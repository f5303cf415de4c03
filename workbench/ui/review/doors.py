"""How people come in, and where they may not."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from workbench.migration import FILE, Migration, open_migration
from workbench.ui.review.hub import Hub, HubSessions
from workbench.ui.review.people import Limiter, People
from workbench.ui.review.reading import Pages

Mode = Literal["invite", "header", "hub", "open"]


class ReviewError(Exception):
    """Why it does not serve, in sentences."""


@dataclass(frozen=True)
class Doors:
    """How people come in.

    mode: "invite" (one-time links), "header" (a proxy in front says who it is), "hub" (JupyterHub does) or "open"
    (nobody logs in, on this machine only, for reading). header: the name of that header; proxies: addresses it is
    believed from; hub: what JupyterHub told this service.
    url: how people reach the server from outside, e.g. https://review.example.org/credit/; "" for this machine only.
    """

    mode: Mode = "invite"
    header: str = "X-Forwarded-User"
    proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    url: str = ""
    hub: Hub | None = None

    @property
    def root(self) -> str:
        path = urlsplit(self.url).path
        return path if path.endswith("/") else path + "/"

    @property
    def secure(self) -> bool:
        return self.url.startswith("https://")

    @property
    def hosts(self) -> frozenset[str]:
        """Names under which a browser may ask: another one means that a foreign page's name leads here."""
        return frozenset({"localhost", "127.0.0.1", "::1", urlsplit(self.url).hostname or "localhost"})


def check_doors(doors: Doors, host: str) -> None:
    """Raises ReviewError where strangers could come in, or what passes could be read on the way."""
    if not _loopback(host) and doors.mode == "open":
        raise ReviewError(
            f"Without a login it serves on this machine only, and {host} can be reached from elsewhere. "
            "Leave --open out and invite people, or serve on 127.0.0.1."
        )
    if doors.url and not doors.secure and not _loopback(urlsplit(doors.url).hostname or ""):
        raise ReviewError(f"{doors.url} is not encrypted: links and sessions could be read on the way. Use https://.")
    if not _loopback(host) and not doors.url:
        raise ReviewError(
            f"{host} can be reached from elsewhere. Say under which address people come (--url https://…), with a "
            "proxy in front that speaks https, or serve on 127.0.0.1."
        )


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class House:
    """What all handlers share. tries: of links that do not work, by address; writes: what a person sends, by login."""

    folder: Path
    doors: Doors
    people: People
    pages: Pages
    tries: Limiter
    writes: Limiter
    hub: HubSessions | None = None

    def migration(self) -> Migration:
        """As its file says now; read again only when that changed, for reading it takes a tenth of a second."""
        return _read(self.folder, (self.folder / FILE).stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _read(folder: Path, changed: int) -> Migration:
    return open_migration(folder)
