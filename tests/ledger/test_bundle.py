"""A bundle on a stranger's machine: with the public key alone, every byte."""

from __future__ import annotations

import base64
import json
import zipfile
from pathlib import Path

import pytest

from workbench import ledger
from workbench.ledger import keys
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
    with zipfile.ZipFile(path, "w") as packed:
        for name, data in content.items():
            packed.writestr(name, data)
    return "\n".join(ledger.verify_bundle(path, [public]).problems)


def test_every_flipped_byte_of_the_file_itself_fails_or_changes_nothing_that_is_read(
    bundle: Path, tmp_path: Path
) -> None:
    """zip has bytes that nobody reads (times, attributes): a flip there leaves every file as it was signed."""
    public, whole = ledger.my_key().public, bundle.read_bytes()
    with zipfile.ZipFile(bundle) as packed:
        content = {name: packed.read(name) for name in packed.namelist()}
    path = tmp_path / "flipped.zip"
    for place in range(0, len(whole), 97):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        if not ledger.verify_bundle(path, [public]).problems:
            with zipfile.ZipFile(path) as packed:
                assert {name: packed.read(name) for name in packed.namelist()} == content


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
    monkeypatch.setattr("workbench.ledger.bundle.LARGEST", 1 << 20)
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("x", bytes(2 << 20))
    assert "unpacks to more than 1 MB" in ledger.verify_bundle(bomb).problems[0]
