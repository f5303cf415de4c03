"""Logging in at a JupyterHub of which the review server is a service: OAuth 2, authorization code grant (RFC 6749).

What a service is told, and by which names: https://jupyterhub.readthedocs.io/en/stable/reference/services.html
The Hub's tokens stay in this process's memory; a browser only holds the secret of a session here.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.httputil import url_concat

from workbench.ui.review.people import SESSION, UNUSED, Session

ASKED_AGAIN = 60.0
"""Seconds after which the Hub is asked anew whether a person may still come in."""
WAIT = 10.0
NEEDED = ("JUPYTERHUB_API_URL", "JUPYTERHUB_API_TOKEN", "JUPYTERHUB_CLIENT_ID", "JUPYTERHUB_SERVICE_PREFIX")


class HubError(Exception):
    """Why the Hub let nobody in, in a sentence."""


@dataclass(frozen=True)
class Hub:
    """api: where the Hub answers; token: the service's own, also its client secret; client: its name as a client;
    authorize: where a browser is sent to log in, and logout: to log out; callback: where the Hub sends it back;
    scopes: any of these lets in."""

    api: str
    token: str = field(repr=False)
    client: str
    authorize: str
    logout: str
    callback: str
    scopes: frozenset[str]

    @classmethod
    def told(cls, environ: Mapping[str, str]) -> Hub:
        """From what the Hub sets for a service. Raises HubError naming what is missing."""
        if missing := [name for name in NEEDED if not environ.get(name)]:
            raise HubError(
                f"--hub is for a service of a JupyterHub, which sets {', '.join(missing)}: declare it under "
                "c.JupyterHub.services, or leave --hub out"
            )
        prefix = environ["JUPYTERHUB_SERVICE_PREFIX"]
        base = environ.get("JUPYTERHUB_HOST", "") + environ.get("JUPYTERHUB_BASE_URL", "/").rstrip("/") + "/hub/"
        name = environ.get("JUPYTERHUB_SERVICE_NAME", "")
        known = json.loads(environ.get("JUPYTERHUB_OAUTH_ACCESS_SCOPES") or "[]")
        return cls(
            api=environ["JUPYTERHUB_API_URL"].rstrip("/"),
            token=environ["JUPYTERHUB_API_TOKEN"],
            client=environ["JUPYTERHUB_CLIENT_ID"],
            authorize=f"{base}api/oauth2/authorize",
            logout=f"{base}logout",
            callback=environ.get("JUPYTERHUB_OAUTH_CALLBACK_URL") or f"{prefix.rstrip('/')}/oauth_callback",
            scopes=frozenset(map(str, known)) or frozenset({"access:services", f"access:services!service={name}"}),
        )

    def sent_to(self, state: str) -> str:
        """Where a browser goes to log in."""
        asked = {"client_id": self.client, "redirect_uri": self.callback, "response_type": "code", "state": state}
        return url_concat(self.authorize, asked)

    async def exchanged(self, code: str) -> str:
        """The token for a code. Raises HubError."""
        form = {
            "client_id": self.client, "client_secret": self.token, "grant_type": "authorization_code", "code": code,
            "redirect_uri": self.callback,
        }  # fmt: skip
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        found = await _asked(
            HTTPRequest(f"{self.api}/oauth2/token", method="POST", body=urlencode(form), headers=headers)
        )
        return str(found.get("access_token") or "")

    async def who(self, token: str) -> str:
        """The name of the person the token is of; "" if they may not come in (any more). Raises HubError."""
        found = await _asked(HTTPRequest(f"{self.api}/user", headers={"Authorization": f"Bearer {token}"}))
        allowed = self.scopes & {str(scope) for scope in found.get("scopes") or ()}
        return str(found.get("name") or "") if allowed and found.get("kind", "user") == "user" else ""


async def _asked(request: HTTPRequest) -> dict[str, Any]:
    """What the Hub answers; {} where it refuses. Raises HubError where it cannot be reached."""
    request.request_timeout = request.connect_timeout = WAIT
    request.follow_redirects = False
    try:
        answer = await AsyncHTTPClient().fetch(request)
        found: Any = json.loads(answer.body)
    except HTTPClientError as error:
        if error.code in (400, 401, 403, 404):
            return {}
        raise HubError(f"JupyterHub answered with {error.code}") from error
    except (OSError, ValueError) as error:
        raise HubError("JupyterHub does not answer") from error
    return found if isinstance(found, dict) else {}


@dataclass
class _Known:
    session: Session
    token: str
    asked: float
    seen: float


class HubSessions:
    """Who came in by the Hub: in memory, so a restart sends everybody through the Hub once. now: seconds since 1970."""

    def __init__(self, hub: Hub, now: Callable[[], float] = time.time) -> None:
        self.hub, self.now = hub, now
        self._known: dict[str, _Known] = {}

    async def enter(self, code: str) -> str:
        """The secret of a new session; "" if the Hub lets this person not in. Raises HubError."""
        token = await self.hub.exchanged(code)
        name = await self.hub.who(token) if token else ""
        if not name:
            return ""
        now = self.now()
        self._known = {key: one for key, one in self._known.items() if self._holds(one)}
        secret = secrets.token_urlsafe(32)
        self._known[secret] = _Known(Session(name, now), token, now, now)
        return secret

    def _holds(self, one: _Known) -> bool:
        return self.now() - one.session.began < SESSION and self.now() - one.seen < UNUSED

    async def session(self, secret: str) -> Session | None:
        """The session while it holds and the Hub, asked once a minute, lets the person in. Raises HubError."""
        one = self._known.get(secret)
        if one is None or not self._holds(one):
            self._known.pop(secret, None)
            return None
        one.seen = self.now()
        if self.now() - one.asked > ASKED_AGAIN:
            if await self.hub.who(one.token) != one.session.login:
                self._known.pop(secret, None)
                return None
            one.asked = self.now()
        return one.session

    def leave(self, secret: str) -> None:
        self._known.pop(secret, None)
