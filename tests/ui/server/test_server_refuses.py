"""Every handler, and everything it must refuse: nothing is leaked, nothing is written, nothing breaks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.ui.server.conftest import BASE, HIDDEN, Server
from workbench.ui.server.base import MOST_BYTES

pytestmark = pytest.mark.slow

FILE = Path(__file__).resolve().parents[3] / "workbench" / "ui" / "server" / "openapi.yaml"
SPEC = yaml.safe_load(FILE.read_text())
EVERY = [(method, path) for path, item in SPEC["paths"].items() for method in ("get", "post") if method in item]
WRITING = [(method, path) for method, path in EVERY if method == "post"]
SHAPE = {"code", "what", "seen", "do", "message"}
NAMES = {
    "run": "20260101T000000Z-0001", "job": "20260101T000000Z-0123abcd", "audit": "bias", "kind": "selection-rate-gap",
    "name": "migration", "page": "decide",
}  # fmt: skip


def address(path: str, credit: dict[str, Any], **names: str) -> str:
    return path.format(**{**NAMES, "migration": credit["id"], **names})


def refused(answer: httpx.Response, *statuses: int) -> dict[str, Any]:
    """The error, which must tell nothing but what happened, what was seen and what to do."""
    assert answer.status_code in statuses, (answer.status_code, answer.text)
    told: dict[str, Any] = answer.json()
    assert set(told) == SHAPE
    assert told["what"]
    assert told["message"]
    for leak in ("Traceback", 'File "', HIDDEN, "/pytest-"):
        assert leak not in answer.text, leak
    return told


@pytest.fixture(scope="module")
def logged_in(server: Server) -> Iterator[httpx.Client]:
    client = server.browser()
    yield client
    client.close()


@pytest.mark.parametrize(("method", "path"), EVERY)
def test_strangers(method: str, path: str, server: Server, credit: dict[str, Any]) -> None:
    url = f"{server.api}{address(path, credit)}"
    for headers in ({}, {"Authorization": "token wrong"}, {"Authorization": "Bearer x"}):
        answer = httpx.request(method, url, headers=headers, json={} if method == "post" else None, timeout=60)
        told = refused(answer, 403)
        assert told["code"] == "forbidden"
        assert "credit" not in answer.text


@pytest.mark.parametrize(("method", "path"), EVERY)
def test_people_whom_the_authorizer_denies(
    method: str, path: str, server: Server, client: httpx.Client, credit: dict[str, Any]
) -> None:
    url = f"{server.api}{address(path, credit)}"
    action = "read" if method == "get" else "execute" if path.endswith(("/jobs", "/stop", "/proposals")) else "write"
    answer = client.request(method, url, headers={"X-Deny": action}, json={} if method == "post" else None)
    refused(answer, 403)


@pytest.mark.parametrize(("method", "path"), EVERY)
def test_other_sites(method: str, path: str, server: Server, logged_in: httpx.Client, credit: dict[str, Any]) -> None:
    """A page from elsewhere, in the browser of somebody who is logged in."""
    url = f"{server.api}{address(path, credit)}"
    headers = {"Origin": "https://evil.example", "X-XSRFToken": logged_in.cookies["_xsrf"]}
    answer = logged_in.request(method, url, headers=headers, json={} if method == "post" else None)
    refused(answer, 403, 404)
    assert "evil" not in str(answer.headers)


@pytest.mark.parametrize(("method", "path"), WRITING)
def test_forged_requests(
    method: str, path: str, server: Server, logged_in: httpx.Client, credit: dict[str, Any]
) -> None:
    """A cookie alone changes nothing: without the XSRF token, or with a wrong one."""
    url = f"{server.api}{address(path, credit)}"
    for headers in ({}, {"X-XSRFToken": "wrong"}):
        refused(logged_in.request(method, url, json={}, headers=headers), 403)


def test_with_the_xsrf_token_a_cookie_is_enough(
    server: Server, logged_in: httpx.Client, credit: dict[str, Any]
) -> None:
    headers = {"X-XSRFToken": logged_in.cookies["_xsrf"]}
    answer = logged_in.post(f"{server.api}/migrations/{credit['id']}/notebooks", json={}, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["folder"] == "work/credit/notebooks"


@pytest.mark.parametrize("path", SPEC["paths"])
def test_other_methods(path: str, server: Server, client: httpx.Client, credit: dict[str, Any]) -> None:
    known = {method for method, other in EVERY if other == path}
    for method in {"get", "post", "put", "patch", "delete"} - known:
        refused(client.request(method, f"{server.api}{address(path, credit)}"), 405)


@pytest.mark.parametrize(("method", "path"), WRITING)
def test_bodies_that_are_not_understood(
    method: str, path: str, server: Server, client: httpx.Client, credit: dict[str, Any]
) -> None:
    url = f"{server.api}{address(path, credit)}"
    refused(client.post(url, content=b"{}", headers={"Content-Type": "text/plain"}), 415)
    refused(client.post(url, data={"a": "b"}), 415)
    for content in (b"{", b"[]", b"null", b'"x"', b"[" * 50_000, b"\xff\xfe", b'{"stranger": 1}', b'{"only": "x"}'):
        told = refused(client.post(url, content=content, headers={"Content-Type": "application/json"}), 400, 404)
        assert told["code"] in ("invalid", "not-found"), (content[:20], told)


@pytest.mark.parametrize(("method", "path"), WRITING)
def test_bodies_that_are_too_large(
    method: str, path: str, server: Server, client: httpx.Client, credit: dict[str, Any]
) -> None:
    url = f"{server.api}{address(path, credit)}"
    large = json.dumps({"data": "x" * MOST_BYTES}).encode()
    headers = {"Content-Type": "application/json"}

    refused(client.post(url, content=large, headers=headers), 413)
    refused(client.post(url, content=iter([large[:100_000], large[100_000:]]), headers=headers), 413)


def sent_raw(server: Server, method: str, path: str) -> tuple[int, str]:
    """Status and text of a request whose path nobody tidied."""
    connection = HTTPConnection(httpx.URL(server.origin).netloc.decode(), timeout=60)
    headers = {"Authorization": f"token {server.token}", "Content-Type": "application/json"}
    connection.request(method.upper(), path, "{}" if method == "post" else None, headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


ESCAPES = (
    "..", "../..", "%2e%2e", "%2e%2e%2f%2e%2e", "..%2f..%2froot-sibling%2fsecret", "%00", "a%00b", "work%2flinked",
    "/etc/passwd", "%2fetc%2fpasswd", "....//", "%5c..%5c", "a" * 5000,
)  # fmt: skip


@pytest.mark.parametrize("path", [path for path in SPEC["paths"] if "{" in path])
def test_ids_that_would_lead_somewhere(path: str, server: Server, credit: dict[str, Any]) -> None:
    method = "get" if ("get", path) in EVERY else "post"
    for place in [part[1:-1] for part in path.split("/") if part.startswith("{")]:
        for escape in ESCAPES:
            raw = f"{BASE}workbench/api{address(path, credit, **{place: escape})}"
            status, text = sent_raw(server, method, raw)
            assert status in (400, 403, 404, 405), (escape, status)
            assert HIDDEN not in text
            assert "root:" not in text


OUTSIDE = (
    "../root-sibling/secret/loans.csv", "work/../../root-sibling/secret/loans.csv", "work/out.csv",
    "work/linked/loans.csv",
    "/etc/passwd", "~/x.csv", "work\\..\\x", "a\0b", ".hidden/credit/loans.csv", "work/credit/.workbench/x",
    "file:///etc/passwd", "http://example.org/x.csv", "python:os:system", "work/nothing.csv", "work", "", "x" * 4096,
)  # fmt: skip


@pytest.mark.parametrize("name", OUTSIDE, ids=lambda name: repr(name)[:40])
def test_files_that_are_not_below_the_root(name: str, server: Server, client: httpx.Client) -> None:
    good = "work/credit/loans.csv"
    for body in (
        {"data": [name], "model": good},
        {"data": [good], "model": name},
        {"data": [good], "model": good, "train": [name]},
    ):
        if name == "work" and body["model"] == "work":
            continue  # a folder may hold a model
        refused(client.post(f"{server.api}/proposals", json=body), 400, 404)


@pytest.mark.parametrize(
    "folder", ["../out", "/elsewhere/out", "work/linked/new", ".hidden/new", "a\0b", "work/credit", "work/out.csv"]
)
def test_folders_that_a_migration_cannot_be_made_in(folder: str, server: Server, client: httpx.Client) -> None:
    body = {"data": ["work/credit/loans.csv"], "model": "column:decision", "folder": folder}
    refused(client.post(f"{server.api}/proposals", json=body), 404, 409)


def test_the_api_has_no_other_addresses(server: Server, client: httpx.Client) -> None:
    for path in ("", "/", "/nothing", "/migrations/", "/migrations/0000000000000000/x", "/openapi.yaml", "/about/x"):
        told = refused(client.get(f"{server.api}{path}"), 404)
        assert told["code"] == "not-found"
        refused(httpx.get(f"{server.api}{path}"), 403)


def test_what_is_not_there_is_a_sentence(server: Server, client: httpx.Client, credit: dict[str, Any]) -> None:
    mine = f"{server.api}/migrations/{credit['id']}"
    for path in (
        f"{server.api}/migrations/{'0' * 16}", f"{mine}/runs/{NAMES['run']}", f"{mine}/jobs/{NAMES['job']}",
        f"{mine}/evidence/nothing", f"{server.api}/kinds/bias/nothing", f"{mine}/report?audit=parity",
        f"{mine}/jobs/{NAMES['job']}/events", f"{mine}/evidence/bias?run={NAMES['run']}",
    ):  # fmt: skip
        told = refused(client.get(path), 404)
        assert told["do"] or told["seen"], path
    for query in ("run=x", "run=../../x", "run=%00"):
        refused(client.get(f"{mine}/evidence/bias?{query}"), 400)
    for number in ("x", "-1", "1e9", "9" * 20):
        refused(client.get(f"{mine}/jobs/{NAMES['job']}/events", headers={"Last-Event-ID": number}), 400)


def test_schemathesis_finds_no_server_error(server: Server, credit: dict[str, Any], tmp_path: Path) -> None:
    """Requests made from the description, right and wrong; every answer as described."""
    made = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", str(FILE), "--url", server.api, "--header",
         f"Authorization: token {server.token}", "--checks",
         "not_a_server_error,content_type_conformance,response_schema_conformance", "--phases",
         "coverage,fuzzing", "--max-examples", "3", "--seed", "7", "--suppress-health-check", "all",
         "--request-timeout", "60", "--no-color", "--exclude-path", "/migrations/{migration}/jobs/{job}/events"],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout[-6000:] + made.stderr[-2000:]
