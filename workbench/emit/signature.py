"""The candidate's OpenSSF model signature (OMS 1.0): a Sigstore bundle whose envelope names the file's hash.

OMS asks for an elliptic-curve key, which the ledger's Ed25519 key is not: a second key (P-256) lies beside it, and its
public half goes with the signature. Inside a bundle, the bundle's own statement vouches for that public key. Checked by

    model_signing verify key candidate.pt2 --signature candidate.pt2.sig --public_key model-signing.pub

Format: https://github.com/ossf/model-signing-spec
"""

from __future__ import annotations

import base64
import hashlib
import json

from workbench import ledger, store
from workbench.emit.story import Story

KEY = "model-key.pem"
PREDICATE = "https://model_signing/signature/v1.0"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
Plain = dict[str, object]


def signed(story: Story) -> dict[str, bytes]:
    """The signature and the public key that checks it, by file name.

    Raises LedgerError without a candidate file, SigningKeyError.
    """
    path = story.candidate
    if path is None:
        raise ledger.LedgerError("There is no candidate file to sign. Make one: workbench run FOLDER")
    key = ledger.curve_key(KEY)
    payload = json.dumps(_statement(path.name, store.seal_of(path).sha256)).encode()
    envelope: Plain = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": ledger.TYPE,
        "signatures": [{"sig": key.sign(ledger.pae(payload)), "keyid": ""}],
    }
    hint = hashlib.sha256(key.pem).hexdigest()
    made: Plain = {
        "mediaType": BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": hint}, "tlogEntries": []},
        "dsseEnvelope": envelope,
    }
    return {f"{path.name}.sig": json.dumps(made).encode() + b"\n", "model-signing.pub": key.pem}


def _statement(name: str, sha256: str) -> Plain:
    """A model of one file: its only resource is called ".", and the root digest is over that one digest."""
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": hashlib.sha256(bytes.fromhex(sha256)).hexdigest()}}],
        "predicateType": PREDICATE,
        "predicate": {
            "serialization": {
                "method": "files", "hash_type": "sha256", "allow_symlinks": False,
                "ignore_paths": [".git", ".gitattributes", ".github", ".gitignore"],
            },
            "resources": [{"name": ".", "algorithm": "sha256", "digest": sha256}],
        },
    }  # fmt: skip
