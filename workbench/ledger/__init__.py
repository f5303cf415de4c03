"""Who decided what, and that nothing was changed since: an append-only, signed chain beside the runs.

    reports/ledger.jsonl   one entry a line: RFC 8785 JSON with `seq`, `prev` (sha256) and an Ed25519 signature

Entries: runs finished, findings waived, sign-offs and their revocation, promotion, overrides, refusals, keys.
A chain shows what was changed, removed or reordered before its end. That its end was cut off, only a checkpoint
shows that is kept elsewhere: every run.json and report holds one (`merkle`).
"""

from __future__ import annotations

from workbench.ledger.bundle import TYPE, export, pae, signed_statement, verify_bundle
from workbench.ledger.card import model_card
from workbench.ledger.chain import FILE, Ledger, LedgerError, append, parsed, path_of, read
from workbench.ledger.checking import Verified, verify
from workbench.ledger.decisions import (
    GATE,
    Gate,
    RefusedError,
    candidate_sha,
    criteria,
    decide,
    gate,
    promote,
    revoke,
    subjects,
)
from workbench.ledger.entries import (
    Actor,
    Body,
    Condition,
    Decided,
    Entry,
    KeyAccepted,
    Overridden,
    RunFinished,
    Waived,
)
from workbench.ledger.keys import SigningKeyError, curve_key, key_id, my_key, read_public
from workbench.ledger.merkle import Checkpoint, checkpoint
from workbench.ledger.runs import enter_runs
from workbench.ledger.waivers import applied, current, restore, waive
from workbench.ledger.who import actor_here

__all__ = [
    "FILE",
    "GATE",
    "TYPE",
    "Actor",
    "Body",
    "Checkpoint",
    "Condition",
    "Decided",
    "Entry",
    "Gate",
    "KeyAccepted",
    "Ledger",
    "LedgerError",
    "Overridden",
    "RefusedError",
    "RunFinished",
    "SigningKeyError",
    "Verified",
    "Waived",
    "actor_here",
    "append",
    "applied",
    "candidate_sha",
    "checkpoint",
    "criteria",
    "current",
    "curve_key",
    "decide",
    "enter_runs",
    "export",
    "gate",
    "key_id",
    "model_card",
    "my_key",
    "pae",
    "parsed",
    "path_of",
    "promote",
    "read",
    "read_public",
    "restore",
    "revoke",
    "signed_statement",
    "subjects",
    "verify",
    "verify_bundle",
    "waive",
]
