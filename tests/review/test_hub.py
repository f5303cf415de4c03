"""Coming in through JupyterHub, against a small authorization server that holds to RFC 6749."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import tornado.web
from review_server import Serving
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from visitor import Visitor

from workbench import ledger
from workbench.ui.review import hub as hubs
from workbench.ui.review.doors import Doors
from workbench.ui.review.hub import Hub, HubError, HubSessions

TOLD = {
    "JUPYTERHUB_API_URL": "http://127.0.0.1:8081/hub/api", "JUPYTERHUB_API_TOKEN": "the-secret",
    "JUPYTERHUB_CLIENT_ID": "service-review", "JUPYTERHUB_SERVICE_PREFIX": "/services/review/",
    "JUPYTERHUB_SERVICE_NAME": "review", "JUPYTERHUB_BASE_URL": "/", "JUPYTERHUB_HOST": "",
}  # fmt: skip
SCOPE = "access:services!service=review"


class Stub:
    """Codes are for one use and one client; tokens are of people; who is shut out has no scope."""

    def __init__(self, api: str) -> None:
        self.codes: dict[str, str] = {}
        self.tokens: dict[str, str] = {}
        self.shut_out: set[str] = set()
        self.down = False
        self.asked = 0
        self.hub = Hub.told(TOLD | {"JUPYTERHUB_API_URL": api})

    def login(self, sent_to: str, name: str) -> str:
        """What a browser is sent back to, once this person has logged in and agreed."""
        asked = {key: values[0] for key, values in parse_qs(urlsplit(sent_to).query).items()}
        assert asked["client_id"] == "service-review"
        assert asked["response_type"] == "code"
        code = secrets.token_hex(8)
        self.codes[code] = name
        return f"{asked['redirect_uri']}?code={code}&state={asked['state']}"

    def answer(self, path: str, form: dict[str, str], bearer: str) -> tuple[int, dict[str, Any]]:
        if self.down:
            return 503, {}
        if path.endswith("/oauth2/token"):
            client = (form["client_id"], form["client_secret"], form["grant_type"], form["redirect_uri"])
            known = ("service-review", "the-secret", "authorization_code", "/services/review/oauth_callback")
            name = self.codes.pop(form["code"], "") if client == known else ""
            if not name:
                return 400, {"error": "invalid_grant"}
            token = secrets.token_hex(8)
            self.tokens[token] = name
            return 200, {"access_token": token, "token_type": "Bearer"}
        self.asked += 1
        name = self.tokens.get(bearer, "")
        if not name:
            return 403, {}
        return 200, {"kind": "user", "name": name, "scopes": [] if name in self.shut_out else [SCOPE, "self"]}


class Answering(tornado.web.RequestHandler):
    def initialize(self, stubs: list[Stub]) -> None:
        self.stubs = stubs

    def get(self) -> None:
        form = {name: str(self.get_body_argument(name)) for name in self.request.body_arguments}
        bearer = self.request.headers.get("Authorization", "").removeprefix("Bearer ")
        status, found = self.stubs[0].answer(self.request.path, form, bearer)
        self.set_status(status)
        self.write(json.dumps(found))

    post = get


@pytest.fixture
def stub(serving: Serving) -> Stub:
    stubs: list[Stub] = []
    sockets = bind_sockets(0, "127.0.0.1")

    async def listen() -> None:
        serving.servers.append(HTTPServer(tornado.web.Application([(r"/.*", Answering, {"stubs": stubs})])))
        serving.servers[-1].add_sockets(sockets)

    asyncio.run_coroutine_threadsafe(listen(), serving.loop).result(30)
    stubs.append(Stub(f"http://127.0.0.1:{sockets[0].getsockname()[1]}/hub/api"))
    return stubs[0]


@pytest.fixture
def visitor(stub: Stub, served: Callable[..., str]) -> Visitor:
    return Visitor(served(Doors("hub", url="http://127.0.0.1/services/review/", hub=stub.hub)))


def come_in(visitor: Visitor, stub: Stub, name: str) -> int:
    assert visitor.ask("GET", "/services/review/login") == 302
    return visitor.ask("GET", stub.login(visitor.headers["location"], name))


def test_from_the_hub_to_a_decision_that_names_it(folder: Path, visitor: Visitor, stub: Stub) -> None:
    assert visitor.ask("GET", "/services/review/") == 302
    assert come_in(visitor, stub, "ada") == 302
    assert visitor.ask("GET", "/services/review/decide") == 200
    form = {name: visitor.field(name) for name in ("_xsrf", "seen", "request", "role")} | {"decision": "approve"}
    assert visitor.ask("POST", "/services/review/decide", form) == 200
    actor = ledger.read(folder).entries[-1].actor
    assert (actor.subject, actor.issuer) == ("ada", "jupyterhub:service-review")
    assert not any(token in json.dumps(visitor.cookies) for token in (*stub.tokens, "the-secret"))


def test_a_state_that_is_not_this_browsers_lets_nobody_in(visitor: Visitor, stub: Stub) -> None:
    """An attacker's link must not log somebody in as the attacker (RFC 6749, section 10.12)."""
    visitor.ask("GET", "/services/review/login")
    back = stub.login(visitor.headers["location"], "mallory")
    other = Visitor(f"http://{visitor.host}")
    assert other.ask("GET", back) == 403
    other.ask("GET", "/services/review/login")
    assert other.ask("GET", back) == 403
    assert other.ask("GET", "/services/review/oauth_callback?code=&state=") == 403
    assert other.ask("GET", "/services/review/") == 302


def test_a_code_works_once_and_a_made_up_one_never(visitor: Visitor, stub: Stub) -> None:
    visitor.ask("GET", "/services/review/login")
    back = stub.login(visitor.headers["location"], "ada")
    kept = dict(visitor.cookies)
    assert visitor.ask("GET", back) == 302
    visitor.cookies = kept
    assert visitor.ask("GET", back) == 403
    visitor.cookies = kept
    assert visitor.ask("GET", back.replace("code=", "code=x")) == 403


def test_who_may_not_use_the_service_stays_out(visitor: Visitor, stub: Stub) -> None:
    stub.shut_out.add("eve")
    assert come_in(visitor, stub, "eve") == 403
    assert "You were not let in" in visitor.page
    assert visitor.ask("GET", "/services/review/") == 302


def test_a_hub_that_is_down_is_said_and_shows_nothing(visitor: Visitor, stub: Stub) -> None:
    stub.down = True
    assert come_in(visitor, stub, "ada") == 502
    assert "JupyterHub does not answer" in visitor.page
    assert "Traceback" not in visitor.page


def test_logging_out_leaves_the_hub_too(visitor: Visitor, stub: Stub) -> None:
    come_in(visitor, stub, "ada")
    visitor.ask("GET", "/services/review/")
    kept = dict(visitor.cookies)
    assert visitor.ask("POST", "/services/review/logout", {"_xsrf": visitor.field("_xsrf")}) == 302
    assert visitor.headers["location"] == "/hub/logout"
    visitor.cookies = kept
    assert visitor.ask("GET", "/services/review/") == 302, "the session is over, not only its cookie"


def test_the_hub_is_asked_again_and_who_was_shut_out_there_is_out_here(stub: Stub, monkeypatch: Any) -> None:
    now = [1e9]

    async def answered(request: Any) -> dict[str, Any]:
        form = {key: values[0] for key, values in parse_qs((request.body or b"").decode()).items()}
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return stub.answer(urlsplit(request.url).path, form, bearer)[1]

    monkeypatch.setattr(hubs, "_asked", answered)

    async def days() -> None:
        sessions = HubSessions(stub.hub, lambda: now[0])
        stub.codes["c"] = "ada"
        secret = await sessions.enter("c")
        assert await sessions.enter("c") == ""
        asked = stub.asked
        for _ in range(5):
            now[0] += 10
            found = await sessions.session(secret)
            assert found is not None
            assert found.login == "ada"
        assert stub.asked == asked, "not at every click"
        stub.shut_out.add("ada")
        now[0] += 61
        assert await sessions.session(secret) is None
        stub.shut_out.clear()
        assert await sessions.session(secret) is None, "once out, they come in again through the Hub"
        assert await sessions.session("guess") is None

    asyncio.run(days())


def test_what_the_hub_did_not_say_is_named() -> None:
    with pytest.raises(HubError, match="JUPYTERHUB_API_TOKEN"):
        Hub.told({name: value for name, value in TOLD.items() if name != "JUPYTERHUB_API_TOKEN"})
    assert "the-secret" not in repr(Hub.told(TOLD))
    assert Hub.told(TOLD | {"JUPYTERHUB_BASE_URL": "/jh/"}).authorize == "/jh/hub/api/oauth2/authorize"
