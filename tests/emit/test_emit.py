"""Every format read back by somebody else's reader: XML parsers, CycloneDX's schema, OpenLineage's and in-toto's own
classes, securesystemslib, model-signing."""

from __future__ import annotations

import base64
import importlib
import json
import re
import sys
import xml.etree.ElementTree as ET
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ledger_samples import migration_in

from workbench import catalog, emit, ledger, store
from workbench.emit import cyclonedx, oscal, statement
from workbench.evidence import Evidence, Finding, Limit, Measure, Status
from workbench.migration import open_migration
from workbench.ui.cli import main

HOSTILE = '<img src=x>&"]]>\x00\x1b[31m\ud83d\u202e*[x](y)' + "\N{PILE OF POO}"
ODD = HOSTILE.encode("utf-8", "replace").decode()
WAIVED = "bias/selection-rate-gap[sex]"


def found(word: str, status: Status, subject: str = "", **more: Any) -> Finding:
    said = {"title": f"{word} was looked at", "why": f"{ODD} matters", "fix": "mend it"} | more
    return Finding(id=f"bias/{word}", subject=subject, status=status, **said)


FINDINGS = (
    found("selection-rate-gap", Status.FAIL, "sex", change=Measure(value=0.1, low=0.05, high=0.2, n=40),
          limit=Limit(value=0.05, better="lower", set_by="Risk"), judged="change"),
    found("order", Status.FAIL, ODD, candidate=Measure(value=0.4), limit=Limit(value=0.5, better="higher")),
    found("one-answer", Status.PASS, candidate=Measure(value=0.3, unit="share")),
    found("accuracy-gap", Status.WARN, "sex", change=Measure(value=float("nan"))),
    found("small-groups", Status.ABSENT, reason="too few rows"),
    found("crashed", Status.ERROR, reason="MemoryError at line 3"),
    found("cases", Status.MANUAL),
    found("groups", Status.INFO, "sex", candidate=Measure(value=1.0)),
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with a finding of every status, one of them waived, and a candidate's file."""
    folder = migration_in(tmp_path_factory.mktemp("emit"))
    (folder / "candidate.pt2").write_bytes(b"a program of torch")
    path = folder / "migration.yaml"
    path.write_text(path.read_text() + "candidate: {uri: candidate.pt2}\n")
    migration = open_migration(folder)
    evidence = Evidence(
        audit="bias", question="Is any group treated worse?", migration="credit", key=catalog.key(migration, "bias"),
        subjects={"holdout": "ab" * 32, "legacy": "cd" * 32}, environment={"torch": "2.13.0+cpu", "python": "3.11"},
        started=datetime(2026, 1, 2, tzinfo=UTC), seconds=1.5, findings=FINDINGS,
    )  # fmt: skip
    with store.open_run(folder) as run:
        store.write(run.workplace("51_bias") / store.EVIDENCE, evidence.to_json())
        run.publish("51_bias", audit="bias", key=evidence.key)
        run.finish()
    ledger.enter_runs(migration)
    until = date.today() + timedelta(days=5)
    actor = ledger.Actor(subject="ada", issuer="review")
    ledger.waive(migration, "bias", WAIVED, reason="Agreed in the committee", until=until, actor=actor)
    return folder


@pytest.fixture(scope="module")
def told(folder: Path) -> emit.Story:
    return emit.gather(open_migration(folder))


@pytest.fixture(scope="module")
def made(told: emit.Story) -> dict[str, bytes]:
    with pytest.MonkeyPatch.context() as patch:
        # jsonschema builds a parser for internationalised addresses whenever it finds this package: 2.5 s, unused.
        patch.setitem(sys.modules, "rfc3987_syntax", None)
        made = emit.everything(told)
    assert not made.without
    return made.files


def test_every_format_is_there_and_equal_evidence_gives_equal_bytes(told: emit.Story, made: dict[str, bytes]) -> None:
    assert len(made) == len(emit.FORMATS) + 1  # the model signature brings its key
    for name in ("junit", "oscal", "openlineage", "in-toto", "model-card"):
        for file, content in emit.emit(told, name).items():
            assert content == made[file], file
    with pytest.raises(emit.NoFormatError, match="junit, cyclonedx"):
        emit.emit(told, "pdf")


def test_nothing_of_this_machine_is_in_any_of_them(folder: Path, made: dict[str, bytes]) -> None:
    for name, content in made.items():
        assert str(folder).encode() not in content, name


def test_hostile_names_are_text_in_every_format(made: dict[str, bytes]) -> None:
    """Markup stays escaped or inside JSON's own quotes; a character that turns text round changes no structure."""
    assert b"<img" not in made["findings.junit.xml"]
    assert "<img" not in made["model-card.md"].decode()
    assert "<img" not in "".join(_titles(json.loads(made["assessment-results.json"])))
    for name in ("bom.cdx.json", "assessment-results.json", "test-result.dsse.json"):
        json.loads(made[name])
    for line in made["lineage.jsonl"].splitlines():
        assert json.loads(line)["job"]["namespace"] == "migration-workbench"


def _titles(plain: dict[str, Any]) -> list[str]:
    """What OSCAL calls markup."""
    return [str(one["title"]) for one in plain["assessment-results"]["results"][0]["findings"]]


def test_a_spreadsheet_runs_nothing_of_the_findings(told: emit.Story) -> None:
    import csv

    runs = ("=HYPERLINK(1)", "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", " =1", "\uff1d1")
    odd = tuple(found("order", Status.FAIL, subject, title=subject) for subject in runs)
    one = told.told[0]
    counted = one.counted.model_copy(update={"findings": odd})
    story = emit.Story(**vars(told) | {"told": (type(one)(counted, counted, one.path, one.sha256),)})
    text = emit.emit(story, "csv")["findings.csv"].decode("utf-8-sig")
    lines = list(csv.reader(text.splitlines(keepends=True)))
    assert len(lines) == 1 + len(runs)
    for line in lines[1:]:
        for cell in line:
            assert not cell.lstrip().startswith(("=", "+", "-", "@", "\uff1d")), cell


# --------------------------------------------------------------------------- JUnit


def test_junit_says_every_status_as_ci_systems_read_it(made: dict[str, bytes]) -> None:
    root = ET.fromstring(made["findings.junit.xml"])
    bias = next(suite for suite in root if suite.get("name") == "bias")
    cases = {case.get("name", ""): case for case in bias.iter("testcase")}
    outcome = {name: next((c.tag for c in case if c.tag != "system-out"), "passed") for name, case in cases.items()}
    assert len(cases) == len(FINDINGS) - 1, "what only informs is no case"
    assert outcome["bias/one-answer"] == "passed"
    assert [name for name, tag in outcome.items() if tag == "failure"] == [next(n for n in cases if "order" in n)]
    assert outcome["bias/crashed"] == "error"
    assert (outcome["bias/small-groups"], outcome["bias/cases"]) == ("skipped", "skipped")
    assert cases["bias/small-groups"][0].get("message") == "too few rows"
    assert "Waived by ada" in (cases[WAIVED].findtext("system-out") or "")
    counts = {"tests": len(cases), "failures": 1, "errors": 1, "skipped": 2}
    assert {name: int(bias.get(name, "")) for name in counts} == counts
    for name in counts:
        assert int(root.get(name, "")) == sum(int(suite.get(name, "")) for suite in root)
    silent = [suite for suite in root if suite.get("name") == "parity"]
    assert silent[0].find("testcase/skipped") is not None, "an audit that has not run is no success"


# --------------------------------------------------------------------------- CycloneDX


def test_the_bill_of_materials_follows_the_schema_and_says_what_nobody_declared(made: dict[str, bytes]) -> None:
    bom = json.loads(made["bom.cdx.json"])
    assert cyclonedx.invalid(made["bom.cdx.json"].decode()) == ""
    assert cyclonedx.invalid(json.dumps(bom | {"version": "one"})), "the schema was not looked at"
    candidate = bom["metadata"]["component"]
    assert candidate["hashes"][0]["content"] == store.sha256(b"a program of torch")
    assert {part["name"] for part in bom["components"]} == {"credit: legacy model", "credit: holdout", "torch"}
    unlicensed = [candidate, *(part for part in bom["components"] if part["type"] != "library")]
    for part in unlicensed:
        assert any(p["name"] == "workbench:licence" and "unknown" in p["value"] for p in part["properties"])
    metrics = candidate["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    gap = next(one for one in metrics if one["type"].startswith("bias/selection-rate-gap"))
    assert gap["confidenceInterval"] == {"lowerBound": "0.05", "upperBound": "0.2"}
    assert not [one for one in metrics if "nan" in one["value"]]
    assert any("too few rows" in said for said in candidate["modelCard"]["considerations"]["technicalLimitations"])


def test_references_inside_the_bill_of_materials_lead_somewhere(made: dict[str, bytes]) -> None:
    bom = json.loads(made["bom.cdx.json"])
    known = {"candidate", *(part["bom-ref"] for part in bom["components"])}
    named = {ref for one in bom["dependencies"] for ref in (one["ref"], *one["dependsOn"])}
    named |= {one["ref"] for one in bom["metadata"]["component"]["modelCard"]["modelParameters"]["datasets"]}
    assert named <= known
    assert len(known) == 1 + len(bom["components"])


# --------------------------------------------------------------------------- OSCAL

TOKEN = re.compile(r"^(\p{L}|_)".replace(r"\p{L}", "[A-Za-z]") + r"[A-Za-z0-9.\-_]*$")
UUID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-[45][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
ASKED = {
    "assessment-results": {"uuid", "metadata", "import-ap", "results"},
    "metadata": {"title", "last-modified", "version", "oscal-version"},
    "results": {"uuid", "title", "description", "start", "reviewed-controls"},
    "observations": {"uuid", "description", "methods", "collected"},
    "findings": {"uuid", "title", "description", "target"},
    "risks": {"uuid", "title", "description", "statement", "status"},
    "target": {"type", "target-id", "status"},
}
"""Required members, from NIST's metaschema of version 1.1.3."""


def test_oscal_has_what_the_metaschema_asks_for_and_every_reference_leads_somewhere(made: dict[str, bytes]) -> None:
    whole = json.loads(made["assessment-results.json"])
    for name, part in _parts("", whole):
        assert ASKED.get(name, set()) <= part.keys(), name
        assert all(value != [] for value in part.values()), f"{name} holds an empty list"
    text = json.dumps(whole)
    result = whole["assessment-results"]["results"][0]
    known = {one["uuid"] for name in ("observations", "risks") for one in result[name]}
    known |= {one["uuid"] for one in whole["assessment-results"]["back-matter"]["resources"]}
    assert all(UUID.match(one) for one in known)
    assert set(re.findall(r'"(?:observation|risk)-uuid": "([^"]+)"', text)) <= known
    assert {one.removeprefix("#") for one in re.findall(r'"href": "(#[^"]+)"', text)} <= known
    for one in result["findings"]:
        assert TOKEN.match(one["target"]["target-id"]), one["target"]["target-id"]


def _parts(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        yield name, value
        for key, inner in value.items():
            yield from _parts(key, inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _parts(name, inner)


def test_only_what_passed_is_satisfied_and_a_waiver_is_an_approved_deviation(made: dict[str, bytes]) -> None:
    result = json.loads(made["assessment-results.json"])["assessment-results"]["results"][0]
    states = {one["target"]["target-id"]: one["target"]["status"] for one in result["findings"]}
    assert {name for name, one in states.items() if one["state"] == "satisfied"} == {"bias.one-answer"}
    assert states["bias.order"]["reason"] == "fail"
    assert states["bias.small-groups"]["reason"] == "other"
    assert "bias.groups" not in states, "what only informs is an observation"
    assert len(result["observations"]) == len(FINDINGS)
    risks = {one["title"]: one["status"] for one in result["risks"]}
    assert risks["selection-rate-gap was looked at"] == "deviation-approved"
    assert risks["order was looked at"] == "open"


# --------------------------------------------------------------------------- OpenLineage


def test_openlineage_reads_its_events_back(made: dict[str, bytes], told: emit.Story) -> None:
    events = pytest.importorskip("openlineage.client.event_v2", reason="openlineage-python is not installed")
    plain = [json.loads(line) for line in made["lineage.jsonl"].splitlines()]
    for one in plain:
        run, job = one["run"], one["job"]
        events.RunEvent(
            eventTime=one["eventTime"], eventType=events.RunState[one["eventType"]], producer=one["producer"],
            run=events.Run(runId=run["runId"], facets={n: _facet(f) for n, f in run["facets"].items()}),
            job=events.Job(job["namespace"], job["name"], {n: _facet(f) for n, f in job["facets"].items()}),
            inputs=[
                events.InputDataset(
                    i["namespace"], i["name"], {n: _facet(f) for n, f in i["inputFacets"].items()},
                    facets={n: _facet(f) for n, f in i["facets"].items()},
                )
                for i in one["inputs"]
            ],
            outputs=[
                events.OutputDataset(
                    o["namespace"], o["name"], {}, facets={n: _facet(f) for n, f in o["facets"].items()}
                )
                for o in one["outputs"]
            ],
        )  # fmt: skip
    of = {kind: {one["run"]["runId"] for one in plain if one["eventType"] == kind} for kind in ("START", "COMPLETE")}
    broke = [one for one in plain if one["eventType"] == "FAIL"]
    assert [one["job"]["name"] for one in broke] == ["credit.bias"]
    assert broke[0]["run"]["facets"]["errorMessage"]["message"] == "MemoryError at line 3"
    assert of["START"] == of["COMPLETE"] | {one["run"]["runId"] for one in broke}, "what started also ended"
    assert [one["eventTime"] for one in plain] == sorted(one["eventTime"] for one in plain)
    assert broke[0]["outputs"][0]["name"] == told.told[0].path
    assertions = broke[0]["inputs"][0]["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert {one["assertion"]: one["success"] for one in assertions}["bias/order"] is False


def _facet(plain: dict[str, Any]) -> Any:
    """By the class that the facet's own schema URL names: an unknown member is refused."""
    file, name = plain["_schemaURL"].rsplit("/", 1)
    module = re.sub(r"(?<!^)(?=[A-Z])", "_", name.removesuffix("Facet")).lower()
    assert file.startswith("https://openlineage.io/spec/facets/")
    made = getattr(importlib.import_module(f"openlineage.client.generated.{module}"), name)
    assert made._get_schema().rsplit("/", 3)[1:] == plain["_schemaURL"].rsplit("/", 3)[1:]
    return made(**{key: value for key, value in plain.items() if not key.startswith("_")})


# --------------------------------------------------------------------------- in-toto, OMS


def test_the_test_result_is_an_in_toto_statement_that_securesystemslib_verifies(made: dict[str, bytes]) -> None:
    dsse = pytest.importorskip("securesystemslib.dsse", reason="securesystemslib is not installed")
    signer = importlib.import_module("securesystemslib.signer")
    plain = json.loads(made["test-result.dsse.json"])
    public = base64.b64decode(plain["publicKey"])
    keyid = plain["signatures"][0]["keyid"]
    key = signer.SSlibKey(keyid, "ed25519", "ed25519", {"public": public.hex()})
    parts = {name: plain[name] for name in ("payload", "payloadType", "signatures")}
    envelope = dsse.Envelope.from_dict(json.loads(json.dumps(parts)))
    assert list(envelope.verify([key], 1)) == [keyid]
    payload = json.loads(envelope.payload)
    assert payload["subject"] == [{"name": "candidate.pt2", "digest": {"sha256": store.sha256(b"a program of torch")}}]
    assert payload["predicate"]["failedTests"][:2] == [f"bias/order[{ODD}]", "bias/crashed"]
    assert payload["predicate"]["warnedTests"] == [WAIVED, "bias/accuracy-gap[sex]"]
    assert payload["predicate"]["result"] == "FAILED"


def test_in_toto_attestation_reads_the_statement_and_its_predicate(made: dict[str, bytes]) -> None:
    base = "in_toto_attestation"
    result = pytest.importorskip(f"{base}.predicates.test_result.v0.test_result_pb2", reason="it is not installed")
    plain, pb, form = (
        importlib.import_module(name)
        for name in (f"{base}.v1.statement", f"{base}.v1.statement_pb2", "google.protobuf.json_format")
    )
    payload = base64.b64decode(json.loads(made["test-result.dsse.json"])["payload"])
    plain.Statement.copy_from_pb(form.Parse(payload, pb.Statement())).validate()
    assert form.ParseDict(json.loads(payload)["predicate"], result.TestResult()).result == "FAILED"


def test_passed_is_said_only_where_every_question_has_evidence(told: emit.Story) -> None:
    one = told.told[0]
    fine = one.counted.model_copy(update={"findings": (FINDINGS[2],)})
    whole = emit.Story(**vars(told) | {"told": (type(one)(fine, fine, one.path, one.sha256),), "silent": {}})
    assert statement.result(whole) == "PASSED"
    assert statement.result(emit.Story(**vars(whole) | {"silent": told.silent})) == "FAILED"
    assert statement.result(told) == "FAILED"


def test_model_signing_itself_verifies_the_signature_and_names_a_changed_model(
    made: dict[str, bytes], folder: Path, tmp_path: Path
) -> None:
    verifying = pytest.importorskip("model_signing.verifying", reason="model-signing is not installed")
    for name in ("candidate.pt2.sig", "model-signing.pub"):
        (tmp_path / name).write_bytes(made[name])
    check = verifying.Config().use_elliptic_key_verifier(public_key=tmp_path / "model-signing.pub")
    check.verify(folder / "candidate.pt2", tmp_path / "candidate.pt2.sig")
    changed = tmp_path / "candidate.pt2"
    changed.write_bytes(b"another program of torch")
    with pytest.raises(ValueError, match="Hash mismatch"):
        check.verify(changed, tmp_path / "candidate.pt2.sig")


# --------------------------------------------------------------------------- the command


def test_one_format_alone_is_written_where_it_was_asked_for(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(folder), "--format", "junit", "-o", "ci/findings.xml"]) == 0
    assert ET.parse(tmp_path / "ci" / "findings.xml").getroot().tag == "testsuites"
    assert main(["export", str(folder), "--format", "model-signature", "--json"]) == 0
    assert (tmp_path / "candidate.pt2.sig").exists()
    assert (tmp_path / "model-signing.pub").exists()
    capsys.readouterr()
    assert main(["export", str(folder), "--format", "pdf"]) == 3
    assert "'pdf' is no format" in capsys.readouterr().err


def test_the_bundle_holds_every_format_and_what_it_says_of_the_model_is_signed_with_it(
    folder: Path, tmp_path: Path, made: dict[str, bytes]
) -> None:
    migration = open_migration(folder)
    path = ledger.export(migration, tmp_path / "credit.zip", made)
    found = ledger.verify_bundle(path, [ledger.my_key().public])
    assert found.problems == ()


def test_without_a_candidate_what_speaks_of_it_is_left_out_with_the_reason(tmp_path: Path) -> None:
    folder = migration_in(tmp_path)
    with pytest.raises(ledger.LedgerError, match="no finished run"):
        emit.gather(open_migration(folder))
    with store.open_run(folder) as run:
        run.finish()
    story = emit.gather(open_migration(folder))
    found = dict.fromkeys(("in-toto", "model-signature"))
    for name in found:
        with pytest.raises(ledger.LedgerError, match="no candidate file"):
            emit.emit(story, name)
    assert oscal.assessment(story)
    assert ET.fromstring(emit.emit(story, "junit")["findings.junit.xml"]).get("failures") == "0"
