"""What the server answers, page by page."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from http import HTTPStatus
from typing import Any, TypeVar, cast, get_args
from urllib.parse import urlsplit

import tornado.web

from workbench import ledger, render, store
from workbench.ledger.entries import Verb
from workbench.migration import Migration, MigrationError
from workbench.ui.review import commenting
from workbench.ui.review.doors import House
from workbench.ui.review.hub import HubError
from workbench.ui.review.judging import docket, judge, shown, waits
from workbench.ui.review.live import owner_of
from workbench.ui.review.people import Session
from workbench.ui.review.reading import LINKS, choice, seen_of

COOKIE = "workbench-review"
ISSUER = "workbench-review"

T = TypeVar("T")


class Page(tornado.web.RequestHandler):
    """What every page does: says who it is, keeps strangers out, and never shows a traceback."""

    needs_person = True

    def initialize(self, house: House) -> None:
        self.house = house
        self.session: Session | None = None

    def set_default_headers(self) -> None:
        self.set_header("Content-Security-Policy", render.policy())
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("X-Frame-Options", "DENY")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cross-Origin-Opener-Policy", "same-origin")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")
        self.clear_header("Server")

    async def prepare(self) -> None:
        host = urlsplit(f"//{self.request.host}").hostname
        if host not in self.house.doors.hosts:
            raise tornado.web.HTTPError(HTTPStatus.MISDIRECTED_REQUEST)
        if self.house.doors.secure:
            self.set_header("Strict-Transport-Security", "max-age=31536000")
        self.session = await self.identified()
        if self.request.method == "POST" and self.session and not self.house.writes.allows(self.login):
            raise tornado.web.HTTPError(HTTPStatus.TOO_MANY_REQUESTS)
        if self.session is None and self.needs_person and self.house.doors.mode != "open":
            if self.request.method not in ("GET", "HEAD"):
                raise tornado.web.HTTPError(HTTPStatus.FORBIDDEN)
            self.redirect(self.house.doors.root + "login")

    async def identified(self) -> Session | None:
        """Who asks, as known at this moment."""
        if self.house.hub is None:
            return await self.off(self._identified)
        try:
            return await self.house.hub.session(self.get_cookie(COOKIE) or "")
        except HubError as error:
            raise tornado.web.HTTPError(HTTPStatus.BAD_GATEWAY, str(error)) from error

    def _identified(self) -> Session | None:
        doors = self.house.doors
        if doors.mode == "header":
            name = self.request.headers.get(doors.header, "")
            known = self.request.remote_ip in doors.proxies and 0 < len(name) <= 200
            return Session(name, datetime.now(UTC).timestamp()) if known else None
        secret = self.get_cookie(COOKIE) or ""
        return self.house.people.session(secret) if doors.mode == "invite" and secret else None

    def _cookie(self, name: str, value: str, seconds: int) -> None:
        doors = self.house.doors
        self.set_cookie(
            name, value, path=doors.root, httponly=True, samesite="Lax", secure=doors.secure, max_age=seconds
        )

    async def off(self, work: Callable[[], T]) -> T:
        """Work that reads files, beside the loop that serves everybody."""
        return await asyncio.get_running_loop().run_in_executor(None, work)

    @property
    def login(self) -> str:
        return self.session.login if self.session else ""

    @property
    def owner(self) -> str:
        """Stands for this session: another one of the same person is another owner."""
        return owner_of(self.login, self.get_cookie(COOKIE) or "")

    def bar(self, here: str = "") -> render.Bar:
        doors = self.house.doors
        inside = self.session is not None or doors.mode == "open"
        links = LINKS if inside else ()
        note = "Open on this machine, for reading: nobody logs in." if doors.mode == "open" else ""
        name = self.migration().name if inside else "Review"  # what is under review is no stranger's business
        return render.Bar(
            doors.root, name, who=self.login, links=links, here=here, note=note,
            xsrf=self.xsrf_token.decode(),
        )  # fmt: skip

    def migration(self) -> Migration:
        return self.house.migration()

    async def waits(self, audit: str) -> bool:
        """Whether this person has to judge cases before they read that page; then the page says so instead."""
        login = self.login
        if not await self.off(lambda: waits(self.migration(), login, audit)):
            return False
        told = ["Here stands what others said of the cases. Judge yours first, so that your word is your own."]
        self.write(render.notice(self.bar("cases"), "Your cases come first", told, [("cases", "Judge your cases")]))
        return True

    def write_error(self, status_code: int, **_: Any) -> None:
        self.set_header("Content-Security-Policy", render.policy())
        title, told = _SORRY.get(status_code, _SORRY[500])
        bar = render.Bar(self.house.doors.root, "Review", here="-", links=(("", "Evidence"),))
        self.finish(render.notice(bar, title, [told], bar.links))

    def log_exception(self, *seen: Any) -> None:
        if not isinstance(seen[1], tornado.web.HTTPError):
            super().log_exception(*seen)


_SORRY = {
    403: ("Not allowed", "Your session has ended, or this form is too old. Go back to the evidence and try again."),
    404: ("Nothing here", "There is no such page, or nothing of it has been run yet."),
    405: ("Not like this", "This address answers to another kind of request."),
    421: ("Wrong address", "This server is not reached under that name."),
    429: ("Too many tries", "Wait a minute, then try again."),
    502: ("JupyterHub does not answer", "It knows who you are, and this server does not. Try again in a minute."),
    500: ("Something broke", "It has been written down for whoever runs this server. Nothing was decided or changed."),
}


class Journey(Page):
    async def get(self) -> None:
        bar = self.bar("")
        _send(self, await self.off(lambda: self.house.pages.journey(bar)))


class Notebook(Page):
    async def get(self, name: str) -> None:
        if await self.waits(name):
            return
        bar = self.bar(f"notebook/{name}")
        page = await self.off(lambda: self.house.pages.notebook(name, bar))
        if page is None:
            raise tornado.web.HTTPError(HTTPStatus.NOT_FOUND)
        _send(self, page)


def _send(handler: Page, page: str) -> None:
    """A page of evidence carries its own policy, with the hashes of its two scripts."""
    handler.set_header("Content-Security-Policy", "frame-ancestors 'none'")
    handler.set_header("Content-Type", "text/html; charset=utf-8")
    handler.write(page)


class Cases(Page):
    async def get(self) -> None:
        login = self.login
        given = await self.off(lambda: docket(self.house.folder, login))
        if given.open:
            self.redirect(f"{self.house.doors.root}cases/{given.open[0]}")
            return
        told, links = (
            ["You have judged all of them. Thank you."],
            [("decide", "Decide"), ("cases/1", "Look at them again")],
        )
        if not given.cases:
            told = ["No cases were sampled yet: whoever runs the migration runs its acceptance notebook first."]
            links = [("", "Back to the evidence")]
        self.write(render.notice(self.bar("cases"), "Cases", told, links))


class Case(Page):
    async def get(self, number: str) -> None:
        await self._show(int(number))

    async def post(self, number: str) -> None:
        given = {name: str(self.get_body_argument(name, "")) for name in ("case", "choice", "reason")}
        house, login = self.house, self.login
        try:
            following = await self.off(
                lambda: judge(house.folder, house.people.salt(), self.migration(), login, int(number), given)
            )
        except ledger.LedgerError as error:
            self.set_status(HTTPStatus.CONFLICT)
            await self._show(int(number), str(error))
            return
        self.redirect(f"{house.doors.root}cases{f'/{following}' if following else ''}", status=303)

    async def _show(self, number: int, wrong: str = "") -> None:
        house, login, bar = self.house, self.login, self.bar("cases")
        one = await self.off(lambda: shown(house.folder, house.people.salt(), self.migration(), login, number))
        if one is None:
            raise tornado.web.HTTPError(HTTPStatus.NOT_FOUND)
        self.write(render.case(bar, one, wrong))


class Comments(Page):
    async def get(self) -> None:
        await self._show(str(self.get_query_argument("about", "")))

    async def post(self) -> None:
        given = {name: str(self.get_body_argument(name, "")) for name in ("id", "about", "text", "how")}
        try:
            await self.off(lambda: commenting.keep(self.migration(), self.login, given))
        except ledger.LedgerError as error:
            self.set_status(HTTPStatus.CONFLICT)
            await self._show(given["about"], str(error), given["text"])
            return
        self.redirect(self.house.doors.root + "comments", status=303)

    async def _show(self, about: str, wrong: str = "", text: str = "") -> None:
        bar, login = self.bar("comments"), self.login
        shown = await self.off(lambda: commenting.shown(self.migration(), login, about, wrong, text))
        self.write(render.comments(bar, shown))


class Decide(Page):
    async def get(self) -> None:
        await self._show()

    async def post(self) -> None:
        try:
            entry = await self.off(self._decided)
        except (ledger.LedgerError, ledger.SigningKeyError, store.StoreError, ValueError) as error:
            self.set_status(HTTPStatus.CONFLICT)
            await self._show(wrong=_sentence(error))
            return
        await self._show(said=f"Signed, as entry {entry.seq} of the ledger. Thank you.")

    async def _show(self, said: str = "", wrong: str = "") -> None:
        bar, login = self.bar("decide"), self.login
        self.write(await self.off(lambda: render.decision(bar, choice(self.migration(), login, said, wrong))))

    def _decided(self) -> ledger.Entry:
        migration, given, actor = self.migration(), self._given, self._actor()
        now = ledger.subjects(migration)
        # What was shown is told by one hash: if it is another, the person saw something else than lies there now.
        seen = now if given("seen") == seen_of(now) else {}
        verb = given("decision")
        if verb not in get_args(Verb):
            raise ValueError("Choose one of the three decisions.")
        if not given("request"):  # by it a double click is known
            raise ValueError("The form was not filled in as asked. Nothing was signed.")
        return ledger.decide(
            migration, actor=actor, decision=cast("Verb", verb), role=given("role"), seen=seen,
            comment=given("comment"), conditions=self._conditions(verb), request=f"review/{given('request')}"[:200],
        )  # fmt: skip

    def _conditions(self, verb: str) -> list[ledger.Condition]:
        what, owner, due = (self._given(name) for name in ("what", "owner", "due"))
        if verb != "approve-with-conditions":
            return []
        if not (what and owner and due):
            raise ValueError("A condition needs what is to be done, who sees to it, and by which day.")
        return [ledger.Condition(text=what, owner=owner, due=date.fromisoformat(due))]

    def _given(self, name: str) -> str:
        return str(self.get_body_argument(name, ""))

    def _actor(self) -> ledger.Actor:
        if self.session is None:
            raise ledger.LedgerError("Nobody decides without logging in.")
        doors = self.house.doors
        issuer = {"header": f"proxy:{doors.header}", "hub": f"jupyterhub:{doors.hub.client if doors.hub else ''}"}.get(
            doors.mode, ISSUER
        )
        return ledger.Actor(
            subject=self.session.login, issuer=issuer, authenticated=datetime.fromtimestamp(self.session.began, UTC)
        )


class Revoke(Decide):
    async def get(self) -> None:
        self.redirect(self.house.doors.root + "decide")

    async def post(self) -> None:
        try:
            number = int(self._given("of"))
            reason = self._given("reason") or "No reason given"
            actor = self._actor()
            await self.off(lambda: ledger.revoke(self.migration(), number, reason=reason, actor=actor))
        except (ledger.LedgerError, ledger.SigningKeyError, store.StoreError, ValueError) as error:
            self.set_status(HTTPStatus.CONFLICT)
            await self._show(wrong=_sentence(error))
            return
        await self._show(said="Your decision is taken back. You can decide anew.")


class Alive(Page):
    needs_person = False

    async def get(self) -> None:
        self.set_header("Content-Type", "application/json")
        self.write(json.dumps({"ok": True}))


class Nowhere(Page):
    async def prepare(self) -> None:
        raise tornado.web.HTTPError(HTTPStatus.NOT_FOUND)


def _sentence(error: Exception) -> str:
    if isinstance(error, MigrationError | ledger.LedgerError | ledger.SigningKeyError | store.StoreError):
        return str(error)
    text = str(error)
    return (
        text if text.endswith(".") and "\n" not in text else "The form was not filled in as asked. Nothing was signed."
    )
