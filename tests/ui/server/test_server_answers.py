"""What the API answers when it answers: as the files on disk say, and as openapi.yaml describes."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
import yaml

from tests.ui.server.conftest import BASE, Server, evidence, keep, migration_in
from workbench import store
from workbench.evidence import Evidence
from workbench.ui.server.handlers import ROUTES

FILE = Path(__file__).resolve().parents[3] / "workbench" / "ui" / "server" / "openapi.yaml"
SPEC = yaml.safe_load(FILE.read_text())


def described(name: str, found: object) -> Any:
    """The answer, if it is as the description says."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": SPEC["components"]}
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(found)
    return found


def test_every_operation_of_the_description_has_its_handler_and_none_is_missing_there() -> None:
    described = {
        (re.sub(r"\{(\w+)\}", r"<\1>", path), method)
        for path, item in SPEC["paths"].items()
        for method in ("get", "post")
        if method in item
    }
    handled = {
        (re.sub(r"\(\?P(<\w+>)[^)]*\)", r"\1", pattern), method)
        for pattern, handler in ROUTES[:-1]
        for method in ("get", "post")
        if method in vars(handler)
    }
    assert handled == described


@pytest.mark.slow
def test_the_list_and_the_journey(server: Server, client: httpx.Client, credit: dict[str, Any]) -> None:
    described("Migrations", client.get(f"{server.api}/migrations").json())
    described("About", client.get(f"{server.api}/about").json())
    assert credit["file"] == "work/credit/migration.yaml"
    assert credit["last_run"].endswith("-0002")
    assert credit["problem"] == ""
    assert "51_bias" not in [*credit["stale"], *credit["unrun"]]
    journey = described("Journey", client.get(f"{server.api}/migrations/{credit['id']}").json())
    assert [chapter["title"] for chapter in journey["chapters"] if chapter["number"]] == [
        "Plan", "Data", "Platform", "Model", "Trust", "Validate",
    ]  # fmt: skip
    books = {book["notebook"]: book for chapter in journey["chapters"] for book in chapter["notebooks"]}
    bias = books["51_bias"]
    assert (bias["status"], bias["fresh"], bias["run"]) == ("pass", True, credit["last_run"])
    assert bias["executed"] is None
    assert books["21_readiness"]["missing"] == []


@pytest.mark.slow
def test_what_is_needed_and_not_there_is_named(server: Server, client: httpx.Client, root: Path) -> None:
    folder = migration_in(root / "odd" / "lost", "lost")
    (folder / "loans.csv").rename(folder / "credits.csv")
    broken = migration_in(root / "odd" / "broken", "broken")
    (broken / "migration.yaml").write_text("name: 1\n")
    found = {one["path"]: one for one in client.get(f"{server.api}/migrations").json()["migrations"]}
    told = found["odd/broken"]
    assert told["status"] == "absent"
    assert "migration.yaml" in told["problem"]
    assert str(root) not in json.dumps(told)
    assert described("Journey", client.get(f"{server.api}/migrations/{told['id']}").json())["chapters"] == []
    journey = client.get(f"{server.api}/migrations/{found['odd/lost']['id']}").json()
    books = [book for chapter in journey["chapters"] for book in chapter["notebooks"]]
    assert any("There is no file loans.csv" in missing for book in books for missing in book["missing"])
    shutil.rmtree(root / "odd")
    gone = client.get(f"{server.api}/migrations/{told['id']}")
    assert gone.status_code == 404
    assert len(client.get(f"{server.api}/migrations").json()["migrations"]) == len(found) - 2


@pytest.mark.slow
def test_evidence_findings_and_what_changed(server: Server, client: httpx.Client, credit: dict[str, Any]) -> None:
    mine = f"{server.api}/migrations/{credit['id']}"
    runs = described("Runs", client.get(f"{mine}/runs").json())["runs"]
    new, old = (run["run"] for run in runs)
    assert [run["state"] for run in runs] == ["done", "done"]
    detail = described("RunDetail", client.get(f"{mine}/runs/{old}").json())
    assert (detail["status"], [part["notebook"] for part in detail["notebooks"]]) == ("fail", ["51_bias"])
    newest = described("EvidenceView", client.get(f"{mine}/evidence/bias").json())
    before = described("EvidenceView", client.get(f"{mine}/evidence/bias", params={"run": old}).json())
    assert (newest["status"], newest["run"], before["status"]) == ("pass", new, "fail")
    assert Evidence.model_validate(before["evidence"]).findings[0].subject == "sex"
    row = before["groups"][0]["rows"][0]
    assert row["number"] == "0.100"
    assert [detail["type"] for detail in row["details"]] == ["table", "chart"]
    assert row["details"][1]["figure"]["data"]
    findings = described("Findings", client.get(f"{mine}/findings").json())
    assert (findings["shown"], findings["of"], findings["problems"]) == (1, 1, [])
    for query, shown in (({"status": "fail,error"}, 0), ({"text": "WOMEN"}, 1), ({"audit": "parity"}, 0)):
        assert client.get(f"{mine}/findings", params=query).json()["shown"] == shown
    assert client.get(f"{mine}/findings", params={"run": old, "status": "fail"}).json()["shown"] == 1
    changes = described("Comparison", client.get(f"{mine}/compare", params={"before": old, "after": new}).json())
    assert [change["moved"] for change in changes["changes"]] == ["better"]
    back = client.get(f"{mine}/compare", params={"before": new, "after": old}).json()
    assert [change["moved"] for change in back["changes"]] == ["worse"]
    assert client.get(f"{mine}/compare", params={"before": new, "after": new}).json()["same"] == 1
    assert client.get(f"{mine}/compare", params={"before": new}).status_code == 400


@pytest.mark.slow
def test_the_report_stands_in_a_sandbox(server: Server, client: httpx.Client, credit: dict[str, Any]) -> None:
    for query in ({}, {"audit": "bias"}, {"run": credit["last_run"]}):
        page = client.get(f"{server.api}/migrations/{credit['id']}/report", params=query)
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        policy = page.headers["content-security-policy"]
        assert policy.startswith("sandbox allow-scripts")
        assert "allow-same-origin" not in policy
        assert "default-src 'none'" in policy
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.text == "<p>a page</p>"


@pytest.mark.slow
def test_the_preview_is_a_reviewers_page_with_one_more_script(
    server: Server, client: httpx.Client, credit: dict[str, Any]
) -> None:
    below = f"{BASE}workbench/api/migrations/{credit['id']}/preview/"
    for page, said in {
        "": "Preview:",
        "notebook/bias": "Women are selected",
        "cases": "blind",
        "decide": "sign",
    }.items():
        answer = client.get(f"{server.origin}{below}{page}")
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-security-policy"].startswith("sandbox allow-scripts; ")
        assert said in answer.text
        assert f'href="{below}cases"' in answer.text
        policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', answer.text)
        assert policy
        *_, script = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        directives = html.unescape(policy[1]).split(";")
        [allowed] = [part for part in directives if part.strip().startswith("script-src ")]
        assert f"'sha256-{digest}'" in allowed
        assert "unsafe-inline" not in allowed
    nothing = client.get(f"{server.origin}{below}notebook/parity")
    assert (nothing.status_code, nothing.json()["do"]) == (404, "Run it first.")


@pytest.mark.slow
def test_damaged_evidence_is_named_without_a_path(server: Server, client: httpx.Client, root: Path) -> None:
    folder = migration_in(root / "odd" / "damaged", "damaged")
    run = keep(folder, evidence(folder))
    (folder / store.REPORTS / run / "51_bias" / "evidence.json").write_text("{}")
    found = client.get(f"{server.api}/migrations").json()["migrations"]
    mine = f"{server.api}/migrations/{next(one['id'] for one in found if one['name'] == 'damaged')}"
    findings = client.get(f"{mine}/findings").json()
    assert "bytes" in findings["problems"][0]
    said = [client.get(f"{mine}/{path}") for path in ("evidence/bias", f"evidence/bias?run={run}")]
    assert [answer.status_code for answer in said] == [422, 422]
    detail = client.get(f"{mine}/runs/{run}")
    assert "was changed after it was written" in detail.json()["problems"][0]
    (folder / store.REPORTS / run / "report.html").write_text("<p>all is well</p>")
    (folder / store.REPORTS / run / "51_bias" / "report.html").write_text("<p>all is well</p>")
    forged = [client.get(f"{mine}/report{query}") for query in ("", "?audit=bias", f"?run={run}")]
    assert [answer.status_code for answer in forged] == [422, 422, 422]
    for answer in (*said, detail, *forged, client.get(f"{mine}/compare?before={run}&after={run}")):
        assert str(root) not in answer.text
        assert "all is well" not in answer.text
    shutil.rmtree(root / "odd")


@pytest.mark.slow
def test_a_waiver_is_signed_for_by_who_is_logged_in(server: Server, client: httpx.Client, root: Path) -> None:
    folder = migration_in(root / "odd" / "waived", "waived")
    run = keep(folder, evidence(folder))
    found = client.get(f"{server.api}/migrations").json()["migrations"]
    mine = f"{server.api}/migrations/{next(one['id'] for one in found if one['name'] == 'waived')}"
    day = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    key = "bias/selection-rate-gap[sex]"
    body = {"key": key, "run": run, "reason": "Agreed with the works council.", "expires": day, "request": "click-1"}
    first = client.post(f"{mine}/waivers", json=body)
    assert first.status_code == 201, first.text
    described("Waived", first.json())
    assert client.post(f"{mine}/waivers", json=body).json()["seq"] == first.json()["seq"]
    entries = described("Ledger", client.get(f"{mine}/ledger").json())["entries"]
    assert entries[0]["body"]["finding"] == key
    user = client.get(f"{server.origin}{BASE}api/me").json()["identity"]["username"]
    assert entries[0]["actor"]["subject"] == user
    finding = client.get(f"{mine}/findings").json()["findings"][0]
    assert (finding["status"], finding["waived"]) == ("warn", day)
    wrong: tuple[tuple[dict[str, str], int], ...] = (
        ({"run": "20200101T000000Z-0001"}, 409), ({"key": "bias/none"}, 422), ({"expires": "2020-01-01"}, 422),
        ({"reason": "short"}, 400), ({"expires": "soon"}, 400), ({"actor": "Ada"}, 400),
    )  # fmt: skip
    for changed, status in wrong:
        answer = client.post(f"{mine}/waivers", json={**body, "request": "", **changed})
        assert answer.status_code == status, answer.text
    shutil.rmtree(root / "odd")


@pytest.mark.slow
def test_from_two_files_to_a_migration(server: Server, client: httpx.Client, root: Path) -> None:
    place = root / "new"
    migration_in(place)
    (place / "migration.yaml").unlink()
    body = {"data": ["new/loans.csv"], "model": "column:decision", "target": "default"}
    answer = client.post(f"{server.api}/proposals", json=body)
    assert answer.status_code == 200, answer.text
    proposal = described("Proposal", answer.json())
    assert proposal["folder"] == "new/loans-migration"
    assert proposal["columns"] == ["sex", "income", "default", "decision"]
    values = {value["key"]: value for value in proposal["values"]}
    assert values["task.kind"]["value"] == "binary"
    assert values["task.target"]["confidence"] == "given"
    assert all(value["why"] for value in values.values())
    assert not (place / "loans-migration").exists()
    made = client.post(f"{server.api}/migrations", json={"proposal": proposal["proposal"]})
    assert made.status_code == 201, made.text
    summary = described("Summary", made.json())
    assert (root / summary["file"]).read_text() == proposal["text"]
    assert (root / summary["path"] / "notebooks" / "51_bias.ipynb").exists()
    assert client.get(f"{server.api}/migrations/{summary['id']}").json()["problem"] == ""
    again = client.post(f"{server.api}/migrations", json={"proposal": proposal["proposal"]})
    assert (again.status_code, again.json()["code"]) == (410, "gone")
    taken = client.post(f"{server.api}/proposals", json={**body, "folder": "new/loans-migration"})
    assert (taken.status_code, taken.json()["code"]) == (409, "exists")
    nothing = client.post(f"{server.api}/proposals", json={**body, "target": "defalt"})
    assert nothing.status_code == 422
    assert "Did you mean 'default'?" in nothing.json()["seen"]
    shutil.rmtree(place)
