"""Coming in and leaving: by a link, through JupyterHub, or as a proxy says."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import replace
from http import HTTPStatus

import tornado.web

from workbench import render
from workbench.ui.review.handlers import COOKIE, Page
from workbench.ui.review.hub import HubError
from workbench.ui.review.people import SESSION

STATE = "workbench-review-state"
"""Cookie that ties a login at the Hub to the browser that was sent there."""


class Login(Page):
    needs_person = False

    async def get(self) -> None:
        if self.house.doors.hub:
            state = secrets.token_urlsafe(32)
            self._cookie(STATE, state, 600)
            self.redirect(self.house.doors.hub.sent_to(state))
            return
        told: tuple[str, ...] = (
            "Open the link you were sent: it lets you in once, and this browser then knows you.",
            "If it was used already, or you have none, ask whoever runs the migration for a new one.",
        )
        if self.house.doors.mode == "header":
            told = ("Log in through your organisation's page first: it tells this server who you are.",)
        self.write(render.notice(self.bar(), "Please log in", told))


class FromHub(Page):
    """Where the Hub sends people back to: they are let in if it was this browser that was sent there."""

    needs_person = False

    async def get(self) -> None:
        given, sent = str(self.get_query_argument("state", "")), self.get_cookie(STATE) or ""
        self.clear_cookie(STATE, path=self.house.doors.root)
        hub, session = self.house.hub, ""
        try:
            if hub is not None and sent and hmac.compare_digest(given.encode(), sent.encode()):
                session = await hub.enter(str(self.get_query_argument("code", "")))
        except HubError as error:
            raise tornado.web.HTTPError(HTTPStatus.BAD_GATEWAY, str(error)) from error
        if session:
            self._cookie(COOKIE, session, int(SESSION))
            self.redirect(self.house.doors.root)
            return
        if not self.house.tries.allows(str(self.request.remote_ip)):
            raise tornado.web.HTTPError(HTTPStatus.TOO_MANY_REQUESTS)
        self.set_status(HTTPStatus.FORBIDDEN)
        told = "JupyterHub did not say who you are, or you may not use this service. Ask whoever runs it."
        self.write(render.notice(self.bar(), "You were not let in", [told]))


class Logout(Page):
    needs_person = False

    async def post(self) -> None:
        if secret := self.get_cookie(COOKIE):
            await self.off(lambda: self.house.people.leave(secret))
            if self.house.hub is not None:
                self.house.hub.leave(secret)
            await self.settings["live"].end_of(self.owner)
        self.clear_cookie(COOKIE, path=self.house.doors.root)
        # Left at the Hub as well: who is still logged in there would be let in again at once.
        hub = self.house.doors.hub
        self.redirect(hub.logout if hub else self.house.doors.root + "login")


class Invitation(Page):
    needs_person = False

    async def get(self, secret: str) -> None:
        login = await self.off(lambda: self.house.people.invited(secret))
        if not login:
            self._used_up()
            return
        migration = self.migration()
        person, bar = migration.review.people.get(login), replace(self.bar(), migration=migration.name)
        self.write(render.welcome(bar, person.name if person and person.name else login, secret))

    async def post(self, secret: str) -> None:
        session = await self.off(lambda: self.house.people.enter(secret))
        if not session:
            self._used_up()
            return
        doors = self.house.doors
        self._cookie(COOKIE, session, int(SESSION))
        self.redirect(doors.root)

    def _used_up(self) -> None:
        # Only what does not work is counted: behind a proxy all reviewers come from one address.
        if not self.house.tries.allows(str(self.request.remote_ip)):
            raise tornado.web.HTTPError(HTTPStatus.TOO_MANY_REQUESTS)
        self.set_status(HTTPStatus.GONE)
        told = "A link lets one person in once, within a week. Ask whoever sent it for a new one."
        self.write(render.notice(self.bar(), "This link no longer works", [told]))
