"""`workbench export`: one file a stranger can check with nothing but a public key.

    report.html, report.pdf           the newest run's report; the PDF where a browser could print it
    evidence/<audit>.json             of every audit, as it counts for the sign-off
    run/…                             the newest finished run, byte by byte
    ledger.jsonl                      who decided what
    migration.yaml                    the limits it was judged by
    keys/<id>.pub                     public keys that may sign, for reading: trust the one you hold
    model-card.md                     what was moved, how it was judged, what nobody looked at
    statement.dsse.json               in-toto Statement over all of the above, in a DSSE envelope, signed (Ed25519)

Formats: https://github.com/in-toto/attestation (Statement v1), https://github.com/secure-systems-lab/dsse (PAE v1).
"""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from workbench import __version__, catalog, store
from workbench.ledger import keys
from workbench.ledger.card import model_card
from workbench.ledger.chain import FILE, Ledger, LedgerError, parsed, path_of, read
from workbench.ledger.checking import Verified
from workbench.ledger.decisions import gate, subjects
from workbench.ledger.entries import RunFinished, canonical
from workbench.ledger.merkle import Checkpoint, checkpoint
from workbench.ledger.waivers import applied, current
from workbench.migration import FILE as DECLARED
from workbench.migration import Migration

STATEMENT = "statement.dsse.json"
TYPE = "application/vnd.in-toto+json"
PREDICATE = "https://migration-workbench.dev/evidence/v1"
LARGEST = 512 * 1024**2
"""Bytes a bundle's files may have together: a reader must not be filled by what it checks."""


def export(migration: Migration, path: Path, more: Mapping[str, bytes] | None = None) -> Path:
    """Writes the bundle. more: further files by name, e.g. report.pdf.

    Raises LedgerError where there is no finished run, or the ledger is damaged.
    """
    run = next((run for run in store.runs(migration.folder) if run.state == "done"), None)
    ledger = read(migration.folder)
    if run is None or not ledger.entries:
        raise LedgerError("There is no finished run to export yet. Make one: workbench run FOLDER")
    if wrong := [*ledger.problems, *store.verify(run.folder)]:
        raise LedgerError(f"What is stored is not as it was written: {wrong[0]}. See all: workbench verify FOLDER")
    content = _content(migration, run, ledger) | dict(more or {})
    content[STATEMENT] = signed_statement(_statement(migration, content))
    _zip(path, content)
    return path


def verify_bundle(path: Path, trusted: Sequence[str] = (), given: Checkpoint | None = None) -> Verified:
    """Every byte of a bundle, offline. Names the file that is not as it was signed. See `checking.verify`."""
    try:
        content = _unzipped(path)
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        return Verified((f"{path.name} is no bundle, or it is damaged: {error}",), ())
    problems, signer = _signed(content, trusted)
    ledger = parsed(content.get(FILE, b""), trusted)
    problems += [f"{FILE}: {problem}" for problem in ledger.problems]
    problems += _run_signed(content, ledger) + _ends(ledger, given)
    facts = [f"{len(content)} files, {len(ledger.entries)} entries of the ledger.", f"Checkpoint {ledger.checkpoint}"]
    if not trusted:
        facts.append(
            f"Signed by the key {signer[:12] or 'of nobody'}, which came with the bundle: whoever made the bundle can "
            "have made the key. Give the public key you hold: --key"
        )
    return Verified(tuple(problems), tuple(facts))


def _content(migration: Migration, run: store.Run, ledger: Ledger) -> dict[str, bytes]:
    content = {
        f"run/{file.relative_to(run.folder).as_posix()}": file.read_bytes()
        for file in sorted(run.folder.rglob("*"))
        if file.is_file()
    }
    if report := content.get("run/report.html"):
        content["report.html"] = report
    found = [store.latest(migration.folder, entry.name) for entry in catalog.discover() if entry.module]
    held = current(ledger.entries)
    evidences = [applied(one.evidence, held) for one in found if one]
    for one in found:
        if one:
            content[f"evidence/{one.evidence.audit}.json"] = (one.folder / store.EVIDENCE).read_bytes()
    content[FILE] = path_of(migration.folder).read_bytes()
    if migration.file:
        content[DECLARED] = migration.file.read_bytes()
    for key, public in ledger.keys.items():
        content[f"keys/{key[:16]}.pub"] = public.encode() + b"\n"
    content["model-card.md"] = model_card(migration, evidences, gate(migration)).encode()
    return content


def _statement(migration: Migration, content: Mapping[str, bytes]) -> dict[str, object]:
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"name": name, "digest": {"sha256": hashlib.sha256(data).hexdigest()}}
            for name, data in sorted(content.items())
        ],
        "predicateType": PREDICATE,
        "predicate": {
            "migration": migration.name,
            "workbench": __version__,
            "made": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "gate": gate(migration).status,
            "judged": subjects(migration),
        },
    }


def signed_statement(statement: dict[str, object]) -> bytes:
    """An in-toto Statement in a DSSE envelope, signed with your key, whose public half lies beside. Raises
    SigningKeyError."""
    key, payload = keys.my_key(), canonical(statement)
    envelope: dict[str, object] = {
        "payloadType": TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": key.id, "sig": key.sign(pae(payload))}],
    }
    return canonical(envelope | {"publicKey": key.public})


def pae(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: type and payload with their lengths, so that neither can pose as part of
    the other."""
    return b"DSSEv1 %d %s %d %s" % (len(TYPE), TYPE.encode(), len(payload), payload)


def _zip(path: Path, content: Mapping[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, data in sorted(content.items()):
            # One fixed time: equal content is equal bytes.
            bundle.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    temporary.replace(path)


def _unzipped(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as bundle:
        infos = bundle.infolist()
        if sum(info.file_size for info in infos) > LARGEST:
            raise zipfile.BadZipFile(f"it unpacks to more than {LARGEST // 1024**2} MB")
        names = [info.filename for info in infos]
        if twice := {name for name in names if names.count(name) > 1}:
            raise zipfile.BadZipFile(f"{sorted(twice)[0]} is in it twice")
        return {info.filename: _member(bundle, info) for info in infos}


def _member(bundle: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    try:
        return bundle.read(info)
    except Exception as error:  # zlib and zipfile each have their own for a flipped byte
        raise zipfile.BadZipFile(f"{info.filename} is damaged ({error})") from error


def _signed(content: Mapping[str, bytes], trusted: Sequence[str]) -> tuple[list[str], str]:
    """Problems of the statement and of every file it names, and the id of the key that signed."""
    try:
        envelope = json.loads(content[STATEMENT])
        payload = base64.b64decode(envelope["payload"], validate=True)
        signature, public = envelope["signatures"][0]["sig"], envelope["publicKey"]
        signer = keys.key_id(public)
        canonical_form = canonical(envelope) == content[STATEMENT]
    except (KeyError, ValueError, TypeError, IndexError):
        return [f"{STATEMENT}: missing or damaged"], ""
    if trusted and public not in trusted:
        return [f"{STATEMENT}: signed by the key {signer[:12]}, which is none of those you gave"], signer
    if not canonical_form or envelope["signatures"][0]["keyid"] != signer or envelope["payloadType"] != TYPE:
        return [f"{STATEMENT}: changed after it was signed"], signer
    if not keys.holds(public, signature, pae(payload)):
        return [f"{STATEMENT}: its signature does not hold"], signer
    return _named(content, json.loads(payload)), signer


def _named(content: Mapping[str, bytes], statement: Mapping[str, list[Mapping[str, Mapping[str, str]]]]) -> list[str]:
    signed = {str(one["name"]): one["digest"]["sha256"] for one in statement["subject"]}
    problems = [f"{name}: missing" for name in sorted(signed.keys() - content.keys())]
    strangers = content.keys() - signed.keys() - {STATEMENT}
    problems += [f"{name}: not part of the bundle (it was added later)" for name in sorted(strangers)]
    return problems + [
        f"{name}: changed after it was signed"
        for name, digest in sorted(signed.items())
        if name in content and hashlib.sha256(content[name]).hexdigest() != digest
    ]


def _run_signed(content: Mapping[str, bytes], ledger: Ledger) -> list[str]:
    """The run in the bundle is one that the ledger signed."""
    record = content.get(f"run/{store.RUN}")
    if record is None:
        return [f"run/{store.RUN}: missing"]
    known = {entry.body.digest for entry in ledger.entries if isinstance(entry.body, RunFinished)}
    return [] if hashlib.sha256(record).hexdigest() in known else [f"run/{store.RUN}: the ledger did not sign this run"]


def _ends(ledger: Ledger, given: Checkpoint | None) -> list[str]:
    if given is None:
        return []
    if len(ledger.lines) < given.size:
        return [f"{FILE}: its end was cut off: {given.size} entries were there, {len(ledger.lines)} are left"]
    same = checkpoint(ledger.lines[: given.size]).root == given.root
    return [] if same else [f"{FILE}: its first {given.size} entries are not those of the checkpoint"]
