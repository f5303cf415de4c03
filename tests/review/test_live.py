"""A notebook with controls, as a reviewer opens it, and as somebody with a bare websocket meets it."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from ledger_samples import keep, migration_in
from review_server import Serving
from test_messages import packed
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect
from visitor import Visitor, come_in

from workbench import ledger, places
from workbench.evidence import Status
from workbench.ui.review.live import Live
from workbench.ui.review.messages import ANSWERED, PROTOCOL
from workbench.ui.review.people import People

pytestmark = pytest.mark.slow

CANARY = "canary-4711"


class House:
    """A server with Voila behind it, one person who opened a page, and what they were shown."""

    def __init__(self, folder: Path, address: str, live: Live) -> None:
        self.folder, self.address, self.live = folder, address, live
        self.ada, self.bob = Visitor(address), Visitor(address)
        come_in(self.ada, folder, "ada")
        come_in(self.bob, folder, "bob")
        assert self.ada.ask("GET", "/explore/bias") == 200
        self.waiting = self.ada.page
        assert self.ada.ask("GET", "/explore/bias/live") == 200
        self.page, self.policy = self.ada.page, self.ada.headers["content-security-policy"]
        found = re.search(r'"kernelId": "([0-9a-f-]{36})"', self.page)
        assert found, self.page[-2000:]
        self.kernel = found[1]

    async def wire(self, visitor: Visitor) -> WebSocketClientConnection:
        cookies = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
        url = f"{self.address.replace('http', 'ws')}/explore/api/kernels/{self.kernel}/channels"
        return await websocket_connect(HTTPRequest(url, headers={"Cookie": cookies}), subprotocols=[PROTOCOL])


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = migration_in(tmp_path_factory.mktemp("live"))
    rows = (folder / "loans.csv").read_text()
    (folder / "loans.csv").write_text(rows + f"{CANARY},0,1\n")
    keep(folder, Status.PASS)
    with Serving(folder) as serving:
        address = serving.start()
        yield House(folder, address, serving.apps[0].settings["live"])


def test_the_page_says_the_verdict_first_and_hides_code_paths_and_rows(house: House) -> None:
    assert "url=/explore/bias/live" in house.waiting
    assert "Ready" in house.waiting
    top = house.page.index("Is any group treated worse?")
    assert top < house.page.index("Ready") < house.page.index("How to read it")
    for hidden in ("from workbench", "guide(", "Traceback", str(house.folder), CANARY, "https://cdn", "audit.form"):
        assert hidden not in house.page, hidden
    assert "sandbox allow-scripts allow-same-origin" in house.policy
    assert "form-action 'none'" in house.policy
    connect = re.search(r"connect-src ([^;]*);", house.policy)
    assert connect is not None
    assert all(source.endswith("/explore/") for source in connect[1].split())


@pytest.mark.parametrize("path", sorted(places.notebooks().glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_reader_is_told_of_no_command_and_no_call(path: Path) -> None:
    from workbench.ui.review.dashboards import for_readers

    cells = for_readers(nbformat.read(path, as_version=4).cells)
    prose = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert prose.startswith("# ")
    assert "**You need**" not in prose
    assert not re.findall(r"`workbench [^`]*`|`[a-z_.]+\([^`]*\)`", prose)
    for text, following in itertools.pairwise(cells):
        empty = text.cell_type == following.cell_type == "markdown" and len(text.source.splitlines()) == 1
        assert not empty, f"a heading without anything under it: {text.source}"


def test_nobody_else_reaches_the_kernel(house: House) -> None:
    stranger = Visitor(house.address)
    path = f"/explore/api/kernels/{house.kernel}"
    assert stranger.ask("GET", "/explore/bias") == 302
    assert stranger.ask("GET", "/explore/bias/live") == 302
    assert stranger.ask("GET", path) == 302
    assert house.bob.ask("GET", path) == 404
    assert house.bob.ask("POST", f"/explore/voila/api/shutdown/{house.kernel}", {}) == 404
    for visitor in (stranger, house.bob):
        with pytest.raises(HTTPClientError):
            asyncio.run(house.wire(visitor))
    foreign = Visitor(house.address)
    come_in(foreign, house.folder, "ada")
    assert foreign.ask("GET", path) == 404, "another session of the same person is another one"


def test_only_what_voila_needs_is_passed_on(house: House) -> None:
    for path in (
        "voila/tree", "voila/render/51_bias.ipynb", "voila/files/51_bias.ipynb", "api/contents", "api/kernels",
        "voila/api/contents/51_bias.ipynb", "voila/static/../../../x", "voila/static/%2e%2e/%2e%2e/x", "login",
    ):  # fmt: skip
        assert house.ada.ask("GET", f"/explore/{path}") in (400, 404), path
    assert house.ada.ask("DELETE", f"/explore/api/kernels/{house.kernel}") in (403, 405)
    assert house.ada.ask("GET", "/explore/voila/static/voila.js") == 200
    assert "javascript" in house.ada.headers["content-type"]


def test_voila_itself_wants_a_secret_and_lies_in_a_folder_of_its_own(house: House) -> None:
    place = house.live._place
    assert place is not None
    assert Path(place.name).stat().st_mode & 0o077 == 0
    assert (Path(place.name) / "voila").stat().st_mode & 0o077 == 0

    async def unasked() -> int:
        house.live._secret, kept = "guess", house.live._secret
        try:
            await house.live.fetch("voila/render/51_bias.ipynb")
        except HTTPClientError as error:
            return error.code
        finally:
            house.live._secret = kept
        return 200

    assert asyncio.run(unasked()) in (302, 403)


def test_a_bare_websocket_runs_no_code_and_sees_no_row(house: House) -> None:
    before, mark = ledger.path_of(house.folder).read_bytes(), house.folder / "ran"
    code = {"code": f"open({str(mark)!r}, 'w').close()", "silent": False, "allow_stdin": True}

    async def talk() -> list[bytes]:
        wire, heard = await house.wire(house.ada), []
        for kind, channel in (
            ("execute_request", "shell"), ("execute_request", "control"), ("debug_request", "control"),
            ("inspect_request", "shell"), ("complete_request", "shell"), ("history_request", "shell"),
            ("is_complete_request", "shell"), ("input_reply", "stdin"), ("shutdown_request", "control"),
            ("interrupt_request", "control"),
        ):  # fmt: skip
            await wire.write_message(packed(kind, code, channel), binary=True)
        await wire.write_message(json.dumps({"channel": "shell", "header": {"msg_type": "execute_request"}}))
        await wire.write_message(packed("comm_info_request", {}), binary=True)
        until = time.monotonic() + 60
        while not any(b"comm_info_reply" in one for one in heard):
            assert time.monotonic() < until
            message = await asyncio.wait_for(wire.read_message(), 60)
            assert isinstance(message, bytes), "it was closed"
            heard.append(message)
        wire.close()
        return heard

    heard = asyncio.run(talk())
    for message in heard:
        kinds = re.findall(rb'"msg_type": "([a-z_]+)"', message)
        assert kinds[0].decode() in ANSWERED
        assert CANARY.encode() not in message
        assert str(house.folder).encode() not in message
    assert not mark.exists()
    assert ledger.path_of(house.folder).read_bytes() == before
    assert [what for _, who, what in People(house.folder).noted() if who == "ada"] == [
        "sent execute_request to a kernel: dropped"
    ]


def test_one_who_keeps_trying_is_cut_off(house: House) -> None:
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect
    from websockets.typing import Subprotocol

    cookies = "; ".join(f"{name}={value}" for name, value in house.ada.cookies.items())
    url = f"{house.address.replace('http', 'ws')}/explore/api/kernels/{house.kernel}/channels"
    with connect(url, additional_headers={"Cookie": cookies}, subprotocols=[Subprotocol(PROTOCOL)]) as wire:

        def talk() -> None:
            for _ in range(30):
                wire.send(packed("execute_request", {"code": "1"}))
            while True:
                wire.recv(60)

        with pytest.raises(ConnectionClosed) as ended:
            talk()
        assert ended.value.rcvd is not None
        assert ended.value.rcvd.code == 1008


def test_who_finds_all_places_taken_waits_in_line_on_a_page_with_the_verdict(house: House) -> None:
    house.live.most, most = len(house.live.kernels), house.live.most
    try:
        assert house.bob.ask("GET", "/explore/bias/live") == 503
    finally:
        house.live.most = most
    assert "You are next" in house.bob.page
    assert "Ready" in house.bob.page
    assert 'content="10;url=/explore/bias/live"' in house.bob.page
    assert house.bob.headers["retry-after"] == "10"


def test_closing_the_page_or_leaving_ends_the_kernel(house: House) -> None:
    """The last one here: it ends what the others use."""
    bob = house.bob
    assert bob.ask("GET", "/explore/bias/live") == 200
    assert len(house.live.kernels) == 2
    bob.ask("GET", "/")
    assert bob.ask("POST", "/logout", {"_xsrf": bob.field("_xsrf")}) == 302
    assert set(house.live.kernels) == {house.kernel}
    assert house.ada.ask("POST", f"/explore/voila/api/shutdown/{house.kernel}", {}) == 204
    assert house.ada.ask("GET", f"/explore/api/kernels/{house.kernel}") == 404
    assert house.live.kernels == {}
