"""The review server as a browser, and as someone who is none, meets it."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from pathlib import Path

import pytest
from ledger_samples import keep
from visitor import Visitor, come_in

from workbench import ledger
from workbench.evidence import Status
from workbench.migration import open_migration
from workbench.ui.review.doors import Doors

Served = Callable[..., str]


@pytest.fixture
def ada(folder: Path, served: Served) -> Visitor:
    """Someone who came in by link."""
    visitor = Visitor(served())
    come_in(visitor, folder, "ada")
    return visitor


def decide(visitor: Visitor, decision: str = "approve", **more: str) -> int:
    assert visitor.ask("GET", "/decide") == 200
    form = {name: visitor.field(name) for name in ("_xsrf", "seen", "request", "role")}
    return visitor.ask("POST", "/decide", form | {"decision": decision} | more)


def test_from_link_to_decision(folder: Path, ada: Visitor) -> None:
    assert ada.ask("GET", "/") == 200
    assert "Ready so far" in ada.page
    assert 'href="/notebook/bias"' in ada.page
    assert ada.ask("GET", "/notebook/bias") == 200
    assert decide(ada, comment="Seen all of it") == 200
    assert "Signed, as entry" in ada.page
    entry = ledger.read(folder).entries[-1]
    assert (entry.actor.subject, entry.actor.issuer, entry.body.kind) == ("ada", "workbench-review", "decide")
    assert entry.actor.authenticated is not None
    assert ledger.verify(folder).problems == ()


def test_a_double_click_and_a_replay_are_one_entry(folder: Path, ada: Visitor) -> None:
    ada.ask("GET", "/decide")
    form = {name: ada.field(name) for name in ("_xsrf", "seen", "request", "role")} | {"decision": "approve"}
    before = len(ledger.read(folder).entries)
    assert [ada.ask("POST", "/decide", form) for _ in range(3)] == [200, 200, 200]
    assert len(ledger.read(folder).entries) == before + 1


def test_a_dropped_socket_and_the_click_after_it_are_one_entry(folder: Path, ada: Visitor) -> None:
    """Whoever sends a decision and is cut off before the answer does not know whether it counts: they send it again."""
    ada.ask("GET", "/decide")
    form = {name: ada.field(name) for name in ("_xsrf", "seen", "request", "role")} | {"decision": "approve"}
    before = len(ledger.read(folder).entries)
    for _ in range(3):
        ada.drop("/decide", form)
    assert ada.ask("POST", "/decide", form) == 200
    assert "Signed, as entry" in ada.page
    ada.ask("GET", "/decide")  # behind whatever the dropped ones still had to do
    assert len(ledger.read(folder).entries) == before + 1


def test_what_changed_since_it_was_shown_is_not_signed(folder: Path, ada: Visitor) -> None:
    ada.ask("GET", "/decide")
    form = {name: ada.field(name) for name in ("_xsrf", "seen", "request", "role")} | {"decision": "approve"}
    keep(folder, Status.PASS, value=0.3)
    assert ada.ask("POST", "/decide", form) == 409
    assert "changed since it was shown" in ada.page
    assert ledger.read(folder).entries[-1].body.kind == "refused"


def test_a_decision_is_taken_back_and_made_anew(folder: Path, ada: Visitor) -> None:
    decide(ada, "reject", comment="Not yet")
    form = {"_xsrf": ada.field("_xsrf"), "of": ada.field("of"), "reason": "I see it now"}
    assert ada.ask("POST", "/revoke", form) == 200
    assert decide(ada) == 200
    kinds = [entry.body.kind for entry in ledger.read(folder).entries[-3:]]
    assert kinds == ["decide", "revoke", "decide"]


def test_a_condition_needs_all_of_its_parts(ada: Visitor) -> None:
    assert decide(ada, "approve-with-conditions", what="Watch it") == 409
    assert "A condition needs" in ada.page
    assert decide(ada, "approve-with-conditions", what="Watch it", owner="bob", due="not a day") == 409
    assert "Traceback" not in ada.page
    assert decide(ada, "approve-with-conditions", what="Watch it", owner="bob", due="2027-01-31") == 200


def test_nobody_acts_for_another(folder: Path, served: Served) -> None:
    address = served()
    ada, bob = Visitor(address), Visitor(address)
    come_in(ada, folder, "ada")
    come_in(bob, folder, "bob")
    decide(ada, "reject")
    number = ada.field("of")
    assert bob.ask("GET", "/decide") == 200
    assert 'name="of"' not in bob.page
    assert bob.ask("POST", "/revoke", {"_xsrf": bob.field("_xsrf"), "of": number, "reason": "x"}) == 409
    assert "only they can take it back" in bob.page


STRANGERS = ["GET /", "GET /decide", "GET /notebook/bias", "POST /decide", "POST /revoke"]


@pytest.mark.parametrize("request_line", STRANGERS)
def test_strangers_see_and_do_nothing(folder: Path, served: Served, request_line: str) -> None:
    visitor = Visitor(served())
    method, path = request_line.split()
    before = ledger.path_of(folder).read_bytes()
    for cookies in ({}, {"workbench-review": "x" * 43}):
        visitor.cookies = dict(cookies)
        form = None
        if method == "POST":
            visitor.ask("GET", "/login")
            form = {"_xsrf": visitor.cookies.get("_xsrf", ""), "decision": "approve"}
        assert visitor.ask(method, path, form) in (302, 403)
        assert "Women" not in visitor.page
        visitor.ask("GET", "/login")
        assert "credit" not in visitor.page
    assert ledger.path_of(folder).read_bytes() == before


def test_a_form_from_elsewhere_is_refused(folder: Path, ada: Visitor) -> None:
    before = ledger.path_of(folder).read_bytes()
    ada.ask("GET", "/decide")
    form = {name: ada.field(name) for name in ("seen", "request", "role")} | {"decision": "approve"}
    assert ada.ask("POST", "/decide", form) == 403
    assert ada.ask("POST", "/decide", form | {"_xsrf": "forged"}) == 403
    assert ada.ask("POST", "/logout", {}) == 403
    assert ledger.path_of(folder).read_bytes() == before


@pytest.mark.parametrize(
    "path",
    ["/notebook/../migration.yaml", "/notebook/%2e%2e%2fmigration.yaml", "/notebook/bias%00", "/notebook/nothing",
     "/reports/ledger.jsonl", "/invite/short", "/.workbench/review.db", "/notebook/" + "a" * 5000],
)  # fmt: skip
def test_there_is_no_way_to_a_file(ada: Visitor, path: str) -> None:
    assert ada.ask("GET", path) in (400, 404)
    assert "Traceback" not in ada.page
    assert "credit" not in ada.page or "<title>" in ada.page


def test_wrong_methods_large_bodies_and_foreign_names_are_refused(ada: Visitor) -> None:
    assert ada.ask("PUT", "/decide") in (403, 405)
    assert ada.ask("DELETE", "/") in (403, 405)
    try:
        large = ada.ask("POST", "/decide", {"comment": "x" * 200_000})
    except (ConnectionError, http.client.HTTPException):
        large = 413  # the server hung up while it was still being told
    assert large in (400, 413)
    assert ada.ask("GET", "/", Host="evil.example.org") == 421


def test_headers_keep_the_page_to_itself(ada: Visitor) -> None:
    for path in ("/", "/decide", "/login", "/nowhere"):
        ada.ask("GET", path)
        assert ada.headers["x-frame-options"] == "DENY"
        assert ada.headers["referrer-policy"] == "no-referrer"
        assert ada.headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in ada.headers["content-security-policy"]
        assert "server" not in ada.headers


def test_log_out_ends_the_session_for_good(ada: Visitor) -> None:
    kept = dict(ada.cookies)
    ada.ask("GET", "/")
    assert ada.ask("POST", "/logout", {"_xsrf": ada.field("_xsrf")}) == 302
    ada.cookies = kept
    assert ada.ask("GET", "/") == 302


def test_guessing_links_is_slowed_down(served: Served) -> None:
    visitor = Visitor(served())
    answers = [visitor.ask("GET", f"/invite/{'g' * 30}{n}") for n in range(25)]
    assert answers[0] == 410
    assert answers[-1] == 429


def test_behind_a_proxy_that_says_who_it_is(folder: Path, served: Served) -> None:
    trusted = Visitor(served(Doors("header", url="https://review.example.org/credit/")))
    host = {"Host": "review.example.org"}
    assert trusted.ask("GET", "/credit/", **host) == 302
    assert trusted.ask("GET", "/credit/", **host, **{"X-Forwarded-User": "ada"}) == 200
    assert "strict-transport-security" in trusted.headers
    assert 'href="/credit/decide"' in trusted.page
    believed = Visitor(served(Doors("header", proxies=("10.0.0.1",))))
    assert believed.ask("GET", "/", **{"X-Forwarded-User": "ada"}) == 302


def test_open_is_for_reading_only(folder: Path, served: Served) -> None:
    visitor = Visitor(served(Doors("open")))
    assert visitor.ask("GET", "/") == 200
    assert "nobody logs in" in visitor.page
    visitor.ask("GET", "/decide")
    token = visitor.cookies["_xsrf"]
    assert visitor.ask("POST", "/decide", {"_xsrf": token, "decision": "approve", "role": "risk"}) == 409
    assert "Nobody decides without logging in" in visitor.page


def test_hostile_names_stay_text_and_paths_stay_unseen(folder: Path, ada: Visitor) -> None:
    text = (folder / "migration.yaml").read_text()
    (folder / "migration.yaml").write_text(text.replace("name: credit", "name: '<script>alert(1)</script>'"))
    for path in ("/", "/decide"):
        ada.ask("GET", path)
        assert "<script>alert" not in ada.page
        assert str(folder) not in ada.page


def test_a_page_is_drawn_anew_when_something_was_signed_or_run(folder: Path, ada: Visitor) -> None:
    ada.ask("GET", "/")
    assert "blocks go-live" not in ada.page
    keep(folder, Status.FAIL)
    ada.ask("GET", "/")
    assert "1 thing blocks go-live" in ada.page
    from datetime import UTC, datetime

    actor = ledger.Actor(subject="ada", issuer="t")
    ledger.waive(
        open_migration(folder), "bias", "bias/selection-rate-gap[sex]", reason="Known", actor=actor,
        until=datetime.now(UTC).date(),
    )  # fmt: skip
    ada.ask("GET", "/")
    assert "blocks go-live" not in ada.page
    assert "Waived by ada" in ada.page
