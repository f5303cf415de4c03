"""What a ledger entry says. Closed data: an unknown key is refused, so nothing is signed that nobody can read."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from typing import Annotated, Literal

from pydantic import Field, field_serializer

from workbench.evidence import Plain, Status

LEDGER = 1
"""Version of the entries. A newer one is refused."""

START = "0" * 64
"""`prev` of the first entry."""

Sha = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Public = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{43}=$")]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Said = Annotated[str, Field(min_length=1, max_length=4000)]
Verb = Literal["approve", "approve-with-conditions", "reject"]


class Actor(Plain):
    """Who did it, and who says so.

    subject: the name they are known by; issuer: what vouches for that name ("os:build-7", "workbench-review",
    "jupyterhub"); authenticated: when they last proved it, None where the machine's own login is all there is.
    """

    subject: Name
    issuer: Name
    authenticated: datetime | None = None

    @property
    def same_as(self) -> str:
        """Under which two actors are one person: a name is one person whoever vouches for it, so that nobody is
        counted twice by coming through two doors."""
        return self.subject.casefold()


class Opened(Plain):
    """The first entry: whose ledger this is, and the key that began it (raw Ed25519, base64)."""

    kind: Literal["opened"] = "opened"
    migration: Name
    public: Public


class KeyAccepted(Plain):
    """A key that may sign from here on, because one that already may says so."""

    kind: Literal["key"] = "key"
    public: Public
    owner: Name


class RunFinished(Plain):
    """digest: sha256 of run.json, which holds the sha256 of everything else; by: who ran it."""

    kind: Literal["run"] = "run"
    run: Name
    digest: Sha
    by: str = ""


class Waived(Plain):
    """A finding that a person lets pass until a day. evidence: sha256 of the evidence it was read in."""

    kind: Literal["waive"] = "waive"
    audit: Name
    finding: Name
    status: Status
    evidence: Sha
    reason: Said
    until: date


class Restored(Plain):
    """The end of a waiver before its day. of: number of its entry."""

    kind: Literal["restore"] = "restore"
    of: int
    reason: Said


class Condition(Plain):
    text: Said
    owner: Name
    due: date


class Decided(Plain):
    """A sign-off on exactly what `subjects` names: {what: sha256}. criteria: sha256 of migration.yaml, which holds the
    limits; gate: what the decision opens."""

    kind: Literal["decide"] = "decide"
    gate: Name
    decision: Verb
    role: Name
    subjects: dict[str, Sha]
    criteria: Sha
    conditions: tuple[Condition, ...] = ()
    comment: str = Field("", max_length=4000)


class Revoked(Plain):
    """A decision taken back. of: number of its entry."""

    kind: Literal["revoke"] = "revoke"
    of: int
    reason: Said


class Promoted(Plain):
    """The candidate takes over. approvals: numbers of the decisions that allow it."""

    kind: Literal["promote"] = "promote"
    gate: Name
    candidate: Sha
    approvals: tuple[int, ...]


class Refused(Plain):
    """Something that was asked for and not allowed, and why."""

    kind: Literal["refused"] = "refused"
    asked: Name
    why: Said


class Overridden(Plain):
    """A named person's word for a file that is refused otherwise (`trust` in migration.yaml), as a run used it."""

    kind: Literal["override"] = "override"
    by: Name
    sha256: Sha
    why: Said


Body = Annotated[
    Opened | KeyAccepted | RunFinished | Waived | Restored | Decided | Revoked | Promoted | Refused | Overridden,
    Field(discriminator="kind"),
]


class Entry(Plain):
    """One line of the ledger.

    seq: from 1; prev: sha256 of the line before; request: what the asker called this request, so that asking twice
    (a double click, a replay) is one entry; key: sha256 of the public key; signature: Ed25519 over `message`, base64.
    """

    version: int = LEDGER
    seq: int = Field(ge=1)
    prev: Sha
    at: datetime
    actor: Actor
    request: str = Field("", max_length=200)
    body: Body
    key: Sha
    signature: str = ""

    @field_serializer("at")
    def _utc(self, at: datetime) -> str:
        return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    @property
    def message(self) -> bytes:
        """What is signed: a context of its own, so that no other signature of the key fits, then RFC 8785 JSON."""
        return b"migration-workbench ledger entry 1\n" + canonical(self.model_dump(mode="json", exclude={"signature"}))

    @property
    def line(self) -> bytes:
        """As it stands in the file, without the line's end."""
        return canonical(self.model_dump(mode="json"))

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.line).hexdigest()


def canonical(plain: dict[str, object]) -> bytes:
    """RFC 8785 (JSON Canonicalization Scheme): equal data is equal bytes."""
    import rfc8785

    return bytes(rfc8785.dumps(plain))  # type: ignore[arg-type]
