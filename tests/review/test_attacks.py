"""Who means harm, at the review server's doors: roles not theirs, links and forms of others, forged headers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from review_server import Serving
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect
from visitor import Visitor, come_in

from workbench import ledger
from workbench.ui.cli import main
from workbench.ui.review.doors import Doors
from workbench.ui.review.live import Kernel, owner_of
from workbench.ui.review.people import People

Served = Callable[..., str]


@pytest.fixture
def address(served: Served) -> str:
    return served()


def inside(address: str, folder: Path, login: str) -> Visitor:
    visitor = Visitor(address)
    come_in(visitor, folder, login)
    return visitor


def form(visitor: Visitor, **more: str) -> dict[str, str]:
    assert visitor.ask("GET", "/decide") == 200
    return {name: visitor.field(name) for name in ("_xsrf", "seen", "request", "role")} | {"decision": "approve"} | more


@pytest.mark.parametrize("role", ["business", "RISK", "", "risk,business", "risk business", "\u202erisk"])
def test_nobody_decides_in_a_role_that_is_not_theirs(role: str, address: str, folder: Path) -> None:
    ada = inside(address, folder, "ada")
    assert ada.ask("POST", "/decide", form(ada, role=role)) == 409
    last = ledger.read(folder).entries[-1]
    assert (last.body.kind, last.actor.subject) == ("refused", "ada")
    assert ledger.verify(folder).problems == ()


def test_whoever_is_not_named_has_no_role_however_they_write_themselves(folder: Path, served: Served) -> None:
    proxied = served(Doors("header"))
    for name in ("mallory", "ada,bob", "ada bob", "ad\u00e4", "ada/", "*"):
        visitor = Visitor(proxied)
        assert visitor.ask("GET", "/decide", **{"X-Forwarded-User": name.encode().decode("latin-1")}) == 200
        assert "Sign the decision" not in visitor.page, name
        given = {"_xsrf": visitor.cookies["_xsrf"], "decision": "approve", "role": "risk", "seen": "", "request": "x"}
        assert visitor.ask("POST", "/decide", given, **{"X-Forwarded-User": name.encode().decode("latin-1")}) == 409
    assert not [entry for entry in ledger.read(folder).entries if entry.body.kind == "decide"]


def test_a_link_is_used_up_for_whoever_comes_second(address: str, folder: Path) -> None:
    link = f"/invite/{People(folder).invite('ada')}"
    thief, ada = Visitor(address), Visitor(address)
    assert [thief.ask("GET", link), ada.ask("GET", link)] == [200, 200], "looking at it uses nothing up"
    assert thief.ask("POST", link, {}) == 403, "a form of another page's"
    assert ada.ask("POST", link, {"_xsrf": ada.field("_xsrf")}) == 302
    assert thief.ask("POST", link, {"_xsrf": thief.cookies["_xsrf"]}) == 410
    assert thief.ask("GET", "/decide") == 302
    assert ada.ask("POST", link, {"_xsrf": ada.cookies["_xsrf"]}) == 410


def test_the_form_of_another_person_signs_nothing(address: str, folder: Path) -> None:
    ada, bob = inside(address, folder, "ada"), inside(address, folder, "bob")
    sent = form(ada)
    assert ada.ask("POST", "/decide", sent) == 200
    before = ledger.path_of(folder).read_bytes()
    assert bob.ask("POST", "/decide", sent) == 403, "its token is of another browser"
    assert bob.ask("POST", "/decide", form(bob, request=sent["request"])) == 409
    assert "Signed, as entry" not in bob.page
    assert ledger.path_of(folder).read_bytes() == before


def test_an_old_form_with_another_wish_is_told_so_and_not_taken_for_the_first(address: str, folder: Path) -> None:
    ada = inside(address, folder, "ada")
    sent = form(ada)
    assert ada.ask("POST", "/decide", sent) == 200
    assert ada.ask("POST", "/decide", sent | {"decision": "reject"}) == 409
    assert "sent before" in ada.page
    assert ada.ask("POST", "/revoke", {"_xsrf": sent["_xsrf"], "of": ada.field("of"), "reason": "No"}) == 200
    assert ada.ask("POST", "/decide", sent) == 409, "what was taken back is not signed by sending the form again"
    assert ada.ask("POST", "/decide", form(ada, request="")) == 409
    kinds = [entry.body.kind for entry in ledger.read(folder).entries]
    assert kinds[-2:] == ["decide", "revoke"]


FORGED = (
    {"X-Forwarded-User": "ada"}, {"X-Forwarded-For": "10.0.0.1", "X-Forwarded-User": "ada"}, {"X-Real-Ip": "10.0.0.1"},
    {"Remote-User": "ada"}, {"Authorization": "Basic YWRhOg=="}, {"Authorization": "token x"}, {"X-User": "ada"},
    {"Cookie": "workbench-review=ada"}, {"Cookie": "workbench-review=" + "A" * 4000}, {"Cookie": '"; ='},
    {"X-Http-Method-Override": "POST"},
)  # fmt: skip


@pytest.mark.parametrize("doors", [Doors(), Doors("header", proxies=("10.0.0.1",))], ids=["invite", "header"])
def test_headers_that_anyone_can_write_let_nobody_in(doors: Doors, served: Served) -> None:
    address = served(doors)
    for headers in FORGED:
        for path in ("/", "/decide", "/explore/bias/live"):
            assert Visitor(address).ask("GET", path, **headers) in (302, 400), headers


def test_a_login_that_another_header_repeats_is_nobodys(folder: Path, served: Served) -> None:
    """Two such headers come as one with both names: neither of them is let in as a person with a role."""
    import http.client

    connection = http.client.HTTPConnection(Visitor(served(Doors("header"))).host, timeout=30)
    connection.putrequest("GET", "/decide")
    for name in ("ada", "bob"):
        connection.putheader("X-Forwarded-User", name)
    connection.endheaders()
    page = connection.getresponse().read().decode()
    connection.close()
    assert "Sign the decision" not in page


def test_a_page_from_elsewhere_opens_no_websocket(address: str, serving: Serving, folder: Path) -> None:
    """Though its browser sends the person's cookies, and the kernel is theirs."""
    ada, live, number = inside(address, folder, "ada"), serving.apps[0].settings["live"], str(uuid.uuid4())
    live.kernels[number] = Kernel(number, owner_of("ada", ada.cookies["workbench-review"]), live.now())
    assert ada.ask("GET", f"/explore/api/kernels/{number}") == 200
    cookies = "; ".join(f"{name}={value}" for name, value in ada.cookies.items())
    url = f"{address.replace('http', 'ws')}/explore/api/kernels/{number}/channels"
    for origin in ("https://evil.example.org", f"{address}.evil.example.org", "null"):
        with pytest.raises(HTTPClientError) as refused:
            asyncio.run(_connected(url, {"Cookie": cookies, "Origin": origin}))
        assert refused.value.code == 403


async def _connected(url: str, headers: dict[str, str]) -> object:
    return await websocket_connect(HTTPRequest(url, headers=headers))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
@pytest.mark.parametrize("words", [["--open"], []])
def test_without_a_login_or_encryption_it_is_not_served_to_others(
    host: str, words: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["review", str(folder), "--host", host, *words]) == 3
    said = " ".join(capsys.readouterr().err.split())
    assert f"{host} can be reached from elsewhere" in said
    assert "Traceback" not in said
