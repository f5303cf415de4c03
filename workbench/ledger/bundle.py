"""`workbench export`: one file a stranger can check with nothing but a public key.

    report.html, report.pdf           the newest run's report; the PDF where a browser could print it
    evidence/<audit>.json             of every audit, counts of few people withheld (`disclosure`)
    run/…                             the newest finished run, byte by byte, without what is about single rows and what
                                      holds counts that are withheld: run.json has the sha256 of each
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
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench import __version__, catalog, store, uat
from workbench.disclosure import protected
from workbench.ledger import archive, keys
from workbench.ledger.card import model_card
from workbench.ledger.chain import FILE, Ledger, LedgerError, parsed, path_of, read
from workbench.ledger.checking import Verified
from workbench.ledger.decisions import gate, subjects
from workbench.ledger.entries import RunFinished, canonical
from workbench.ledger.merkle import Checkpoint, checkpoint
from workbench.ledger.waivers import applied, current
from workbench.migration import FILE as DECLARED
from workbench.migration import Migration
from workbench.store.records import NOTEBOOK

STATEMENT = "statement.dsse.json"
TYPE = "application/vnd.in-toto+json"
PREDICATE = "https://migration-workbench.dev/evidence/v1"
OF_ROWS = (".parquet", uat.CASES, NOTEBOOK)
"""Files about single rows: reason codes, the cases people judge, and notebooks, in which rows can be looked at."""


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
    content[STATEMENT] = signed_statement(_statement(migration, content, _left_out(run, content)))
    archive.pack(path, content)
    return path


def verify_bundle(path: Path, trusted: Sequence[str] = (), given: Checkpoint | None = None) -> Verified:
    """Every byte of a bundle, offline. Names the file that is not as it was signed. See `checking.verify`."""
    try:
        content, otherwise = archive.unpack(path)
    except (OSError, archive.ArchiveError) as error:
        return Verified((f"{path.name}: {error}",), ())
    problems, signer = _signed(content, trusted)
    ledger = parsed(content.get(FILE, b""), trusted)
    problems += [f"{FILE}: {problem}" for problem in ledger.problems]
    problems += _run_signed(content, ledger) + _ends(ledger, given)
    problems += [f"{path.name}: {otherwise}"] if otherwise and not problems else []
    facts = [f"{len(content)} files, {len(ledger.entries)} entries of the ledger.", f"Checkpoint {ledger.checkpoint}"]
    if not trusted:
        facts.append(
            f"Signed by the key {signer[:12] or 'of nobody'}, which came with the bundle: whoever made the bundle can "
            "have made the key. Give the public key you hold: --key"
        )
    return Verified(tuple(problems), tuple(facts))


def _content(migration: Migration, run: store.Run, ledger: Ledger) -> dict[str, bytes]:
    content = {f"run/{name}": (run.folder / name).read_bytes() for name in _shared(migration, run)}
    if report := content.get("run/report.html"):
        content["report.html"] = report
    found = [store.latest(migration.folder, entry.name) for entry in catalog.discover() if entry.module]
    held, k = current(ledger.entries), migration.privacy.minimum_cell
    evidences = [applied(protected(one.evidence, k), held) for one in found if one]
    for one in found:
        if one:
            content[f"evidence/{one.evidence.audit}.json"] = _protected(one, k)
    content[FILE] = path_of(migration.folder).read_bytes()
    if migration.file:
        content[DECLARED] = migration.file.read_bytes()
    for key, public in ledger.keys.items():
        content[f"keys/{key[:16]}.pub"] = public.encode() + b"\n"
    content["model-card.md"] = model_card(migration, evidences, gate(migration)).encode()
    return content


def _protected(one: store.Stored, k: int) -> bytes:
    """Byte by byte as it lies there where nothing in it is withheld."""
    made = protected(one.evidence, k)
    return (one.folder / store.EVIDENCE).read_bytes() if made is one.evidence else made.to_json().encode()


def _shared(migration: Migration, run: store.Run) -> list[str]:
    """Files of a run that may be passed on: no rows, and no evidence with counts that are withheld."""
    k, names = migration.privacy.minimum_cell, [store.RUN]
    hidden = set[str]()
    for part in run.parts:
        path = part / store.EVIDENCE
        evidence = store.read_evidence(path) if path.exists() else None
        if evidence is not None and protected(evidence, k) is not evidence:
            hidden.add(f"{part.name}/{store.EVIDENCE}")
    for name in sorted(run.record.files if run.record else ()):
        if name not in hidden and not name.endswith(OF_ROWS):
            names.append(name)
    return names


def _left_out(run: store.Run, content: Mapping[str, bytes]) -> dict[str, str]:
    """Files of the run that are not in the bundle, with the sha256 they have where they lie."""
    files = run.record.files if run.record else {}
    return {f"run/{name}": one.sha256 for name, one in files.items() if f"run/{name}" not in content}


def _statement(migration: Migration, content: Mapping[str, bytes], left_out: Mapping[str, str]) -> dict[str, object]:
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
            "leftOut": dict(left_out),
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


def _signed(content: Mapping[str, bytes], trusted: Sequence[str]) -> tuple[list[str], str]:
    """Problems of the statement and of every file it names, and the id of the key that signed."""
    try:
        envelope = json.loads(content[STATEMENT])
        payload = base64.b64decode(envelope["payload"], validate=True)
        signature, public = str(envelope["signatures"][0]["sig"]), str(envelope["publicKey"])
        signer = keys.key_id(public)
        as_signed = canonical(envelope) == content[STATEMENT]
        as_signed = as_signed and envelope["signatures"][0]["keyid"] == signer and envelope["payloadType"] == TYPE
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, RecursionError):
        return [f"{STATEMENT}: missing or damaged"], ""
    if trusted and public not in trusted:
        return [f"{STATEMENT}: signed by the key {signer[:12]}, which is none of those you gave"], signer
    if not as_signed:
        return [f"{STATEMENT}: changed after it was signed"], signer
    if not keys.holds(public, signature, pae(payload)):
        return [f"{STATEMENT}: its signature does not hold"], signer
    try:
        statement = json.loads(payload)
        return [*_named(content, statement), *_run_whole(content, statement)], signer
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return [f"{STATEMENT}: what was signed is no statement about a bundle"], signer


def _run_whole(content: Mapping[str, bytes], statement: Mapping[str, Any]) -> list[str]:
    """Every file that run.json knows is in the bundle as it was written, or was left out by name."""
    left_out = statement["predicate"]["leftOut"]
    problems = []
    for name, sealed in json.loads(content.get(f"run/{store.RUN}", b'{"files": {}}'))["files"].items():
        data = content.get(f"run/{name}")
        found = left_out.get(f"run/{name}") if data is None else hashlib.sha256(data).hexdigest()
        if found is None:
            problems.append(f"run/{name}: missing, and {store.RUN} knows it")
        elif found != sealed["sha256"]:
            problems.append(f"run/{name}: not the one that {store.RUN} was written with")
    return problems


def _named(content: Mapping[str, bytes], statement: Mapping[str, Any]) -> list[str]:
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
