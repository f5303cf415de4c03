"""A browser's bare bones."""

from __future__ import annotations

import http.client
import re
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from workbench.ui.review.people import People


class Visitor:
    """Cookies and forms; no redirect is followed."""

    def __init__(self, address: str, patience: float = 60) -> None:
        """patience: seconds for one answer."""
        self.host, self.patience = urlsplit(address).netloc, patience
        self.cookies: dict[str, str] = {}
        self.page = ""
        self.headers: dict[str, str] = {}

    def drop(self, path: str, form: dict[str, str]) -> None:
        """Posts, and is gone before the answer."""
        connection = http.client.HTTPConnection(self.host, timeout=30)
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Cookie": cookies, "Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", path, urlencode(form), headers)
        connection.close()

    def ask(self, method: str, path: str, form: dict[str, str] | None = None, **headers: str) -> int:
        connection = http.client.HTTPConnection(self.host, timeout=self.patience)
        given = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} | headers
        body = None
        if form is not None:
            body = urlencode(form)
            given.setdefault("Content-Type", "application/x-www-form-urlencoded")
        connection.request(method, path, body, given)
        answer = connection.getresponse()
        self.page = answer.read().decode("utf-8", "replace")
        self.headers = {name.lower(): value for name, value in answer.getheaders()}
        for cookie in answer.msg.get_all("Set-Cookie") or []:
            name, _, value = cookie.split(";")[0].partition("=")
            self.cookies[name] = value
        connection.close()
        return answer.status

    def field(self, name: str) -> str:
        found = re.search(rf'name="{name}" value="([^"]*)"', self.page)
        assert found, f"no field {name}"
        return found[1]


def come_in(visitor: Visitor, folder: Path, login: str) -> None:
    path = f"/invite/{People(folder).invite(login)}"
    assert visitor.ask("GET", path) == 200
    assert visitor.ask("POST", path, {"_xsrf": visitor.field("_xsrf")}) == 302
