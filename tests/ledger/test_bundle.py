"""A bundle on a stranger's machine: with the public key alone, every byte."""

from __future__ import annotations

import base64
import json
import warnings
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from workbench import ledger, store
from workbench.evidence import Evidence, Finding, Status, Table
from workbench.ledger import archive, keys
from workbench.migration import open_migration


@pytest.fixture
def bundle(ready: Path, tmp_path: Path) -> Path:
    return ledger.export(open_migration(ready), tmp_path / "credit.zip")


def test_it_holds_with_the_public_key_alone(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    public = ledger.my_key().public
    monkeypatch.setenv("WORKBENCH_KEYS", str(tmp_path / "nobody"))
    assert ledger.verify_bundle(bundle, [public]).problems == ()
    assert not (tmp_path / "nobody").exists()
    assert any("whoever made the bundle" in fact for fact in ledger.verify_bundle(bundle).facts)


def test_any_file_that_is_changed_removed_or_added_is_named(bundle: Path, tmp_path: Path) -> None:
    public = ledger.my_key().public
    with zipfile.ZipFile(bundle) as packed:
        content = {name: packed.read(name) for name in packed.namelist()}
    assert {"ledger.jsonl", "model-card.md", "evidence/bias.json", "run/run.json"} <= set(content)
    for name, data in content.items():
        flipped = data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]
        assert name in problems(tmp_path, content | {name: flipped}, public), name
        without = {other: data for other, data in content.items() if other != name}
        assert name in problems(tmp_path, without, public), name
    assert "extra.txt: not part" in problems(tmp_path, content | {"extra.txt": b"x"}, public)


def problems(tmp_path: Path, content: dict[str, bytes], public: str) -> str:
    path = tmp_path / "changed.zip"
    archive.pack(path, content)
    return "\n".join(ledger.verify_bundle(path, [public]).problems)


def test_the_archive_is_a_zip_that_others_read(bundle: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(bundle) as packed:
        assert packed.testzip() is None
        content = {name: packed.read(name) for name in packed.namelist()}
    assert archive.packed(content) == bundle.read_bytes()
    odd = {"a": b"", "\N{SNOWMAN}/b": b"x" * 70_000}
    archive.pack(tmp_path / "odd.zip", odd)
    with zipfile.ZipFile(tmp_path / "odd.zip") as packed:
        assert {info.filename: packed.read(info) for info in packed.infolist()} == odd
    assert archive.unpack(tmp_path / "odd.zip") == (odd, "")


def test_one_byte_changed_anywhere_is_named_with_its_file(bundle: Path, tmp_path: Path) -> None:
    """In every file, in what the archive says of it, between and behind: no byte is without a meaning."""
    public, whole = ledger.my_key().public, bundle.read_bytes()
    with zipfile.ZipFile(bundle) as packed:
        infos = packed.infolist()
    directory = whole.index(b"PK\1\2")
    ends = {info.filename: info.header_offset + 30 + len(info.filename) + info.file_size for info in infos}
    places = {info.header_offset + step: info.filename for info in infos for step in (4, 6, 8, 10, 12, 14, 18, 26, 28)}
    places |= {ends[info.filename] - back: info.filename for info in infos for back in (1, 2, 9)}
    places |= dict.fromkeys([*range(directory, len(whole), 7), len(whole) - 1], "")
    path = tmp_path / "flipped.zip"
    for place, name in places.items():
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        found = "\n".join(ledger.verify_bundle(path, [public]).problems)
        assert found, (place, name)
        assert name in found or "no bundle, or damaged" in found or "leads out" in found, (place, name, found)


@pytest.mark.parametrize("where", ["before", "behind", "comment"])
def test_bytes_that_belong_to_no_file_are_named(where: str, bundle: Path) -> None:
    whole = bundle.read_bytes()
    if where == "comment":
        with zipfile.ZipFile(bundle, "a") as packed:
            packed.comment = b"hidden"
    else:
        bundle.write_bytes(b"hidden" + whole if where == "before" else whole + b"hidden")
    assert ledger.verify_bundle(bundle).problems


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../outside", "leads out"), ("/etc/passwd", "leads out"), ("a/../../b", "leads out"), ("c:evil", "leads out"),
        ("a\\..\\b", "leads out"), ("a\0b", "leads out"), ("folder/", "a link or a folder"),
        ("REPORT.HTML", "one file on some systems"), ("report.html", "in it twice"), ("link", "a link or a folder"),
    ],
)  # fmt: skip
def test_an_archive_that_would_harm_whoever_unpacks_it_is_refused(name: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as packed, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        packed.writestr("report.html", b"fine")
        info = zipfile.ZipInfo("x" * len(name))
        info.filename = name
        info.external_attr = 0o120777 << 16 if name == "link" else 0o100644 << 16
        packed.writestr(info, b"target")
    found = ledger.verify_bundle(path).problems
    assert len(found) == 1
    assert said in found[0], found


def test_the_statement_may_hold_anything_and_is_still_answered_with_a_sentence(bundle: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(bundle) as packed:
        content = {name: packed.read(name) for name in packed.namelist()}
    name = "statement.dsse.json"
    whole = json.loads(content[name])
    odd: list[object] = [None, 7, [], {}, "x", [[]], {"sig": 3}, [{"sig": 3, "keyid": 4}], "\u00e9", "A" * 44]
    for key in (*whole, "all"):
        for value in odd:
            made = value if key == "all" else whole | {key: value}
            text = json.dumps(made).encode()
            assert name in problems(tmp_path, content | {name: text}, ""), (key, value)
    for text in (b"", b"[" * 100_000, b"\xff", b"NaN"):
        assert name in problems(tmp_path, content | {name: text}, ""), text[:10]


def test_a_signed_statement_about_something_else_is_no_pass(bundle: Path, tmp_path: Path) -> None:
    """Whoever holds the key may sign anything: it must still be a statement about these files."""
    with zipfile.ZipFile(bundle) as packed:
        content = {name: packed.read(name) for name in packed.namelist()}
    for odd in ({}, {"subject": 3}, {"subject": []}, {"subject": [], "predicate": {"leftOut": []}}):
        made = content | {"statement.dsse.json": ledger.signed_statement(odd)}
        assert problems(tmp_path, made, ledger.my_key().public), odd


def test_what_is_about_single_rows_or_few_people_stays_at_home_and_is_said(ready: Path, tmp_path: Path) -> None:
    """The run's own files are those the ledger signed, or are named as left out with their hash."""
    migration = open_migration(ready)
    lines = (("f", 200, 90, 20, 30, 60), ("m", 100, 50, 16, 30, 4))
    table = Table(title="Counts, legacy", columns=("group", "rows", "tn", "fp", "fn", "tp"), rows=lines)
    finding = Finding(id="bias/groups", subject="sex", title="Groups", status=Status.INFO, details=(table,))
    with store.open_run(ready) as run:
        place = run.workplace("51_bias")
        (place / "notebook.ipynb").write_text("4 men")
        (place / "reasons.parquet").write_bytes(b"row by row")
        (place / "report.html").write_text("a page")
        evidence = Evidence(
            audit="bias", migration="credit", started=datetime(2026, 1, 2, tzinfo=UTC), seconds=1.0, findings=(finding,)
        )
        store.write(place / store.EVIDENCE, evidence.to_json())
        run.publish("51_bias", audit="bias")
        run.finish()
    ledger.enter_runs(migration)
    path = ledger.export(migration, tmp_path / "credit.zip")
    public = ledger.my_key().public
    assert ledger.verify_bundle(path, [public]).problems == ()
    content, _ = archive.unpack(path)
    assert {name for name in content if name.startswith("run/")} == {
        "run/run.json", "run/51_bias/report.html", "run/51_bias/seal.json",
    }  # fmt: skip
    assert b'"withheld"' in content["evidence/bias.json"]
    assert b"4," not in content["evidence/bias.json"].split(b'"rows"', 1)[1]
    signed = json.loads(base64.b64decode(json.loads(content["statement.dsse.json"])["payload"]))
    left = signed["predicate"]["leftOut"]
    assert set(left) == {f"run/51_bias/{name}" for name in ("evidence.json", "notebook.ipynb", "reasons.parquet")}
    assert left["run/51_bias/reasons.parquet"] == store.sha256(b"row by row")
    without = {name: data for name, data in content.items() if name != "run/51_bias/seal.json"}
    statement = signed | {"subject": [one for one in signed["subject"] if one["name"] != "run/51_bias/seal.json"]}
    made = without | {"statement.dsse.json": ledger.signed_statement(statement)}
    assert "run/51_bias/seal.json: missing, and run.json knows it" in problems(tmp_path, made, public)


def test_another_key_than_the_one_you_hold_is_named(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_KEYS", str(tmp_path / "other"))
    assert "none of those you gave" in ledger.verify_bundle(bundle, [ledger.my_key().public]).problems[0]


def test_the_envelope_is_dsse_over_an_in_toto_statement(bundle: Path) -> None:
    """Built by hand from the two specifications, and checked by the cryptography library alone."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    with zipfile.ZipFile(bundle) as packed:
        envelope = json.loads(packed.read("statement.dsse.json"))
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"].encode()
    signed = b"DSSEv1 " + str(len(kind)).encode() + b" " + kind + b" " + str(len(payload)).encode() + b" " + payload
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(keys.my_key().public))
    key.verify(base64.b64decode(envelope["signatures"][0]["sig"]), signed)
    statement = json.loads(payload)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert {"name", "digest"} == set(statement["subject"][0])


def test_what_is_no_bundle_or_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "no.zip").write_bytes(b"nothing")
    assert "no bundle" in ledger.verify_bundle(tmp_path / "no.zip").problems[0]
    monkeypatch.setattr("workbench.ledger.archive.LARGEST", 1 << 20)
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("x", bytes(2 << 20))
    assert "unpacks to more than 1 MB" in ledger.verify_bundle(bomb).problems[0]
