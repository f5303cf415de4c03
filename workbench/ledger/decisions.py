"""Sign-off: who may decide, on what exactly, and what the decisions come to today."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from workbench import catalog, store
from workbench.evidence import Status
from workbench.ledger import waivers
from workbench.ledger.chain import LedgerError, append, read
from workbench.ledger.entries import (
    Actor,
    Body,
    Condition,
    Decided,
    Entry,
    Promoted,
    Refused,
    Revoked,
    RunFinished,
    Verb,
)
from workbench.migration import FILE, Migration, Review

GATE = "go-live"
CANDIDATE = "candidate"


class RefusedError(LedgerError):
    """A decision that was not allowed; the refusal itself is in the ledger."""


@dataclass(frozen=True)
class Gate:
    """What the decisions come to.

    status: "approved"; "rejected" by someone whose no stands; "stale": there are approvals, of something that has
    changed since; "open". approvals: entries that count; missing: people still needed, by role; stale: entries that
    count no more, with what changed.
    """

    status: Literal["approved", "rejected", "stale", "open"]
    approvals: tuple[Entry, ...]
    rejections: tuple[Entry, ...]
    missing: Mapping[str, int]
    stale: Mapping[int, str]

    @property
    def sentence(self) -> str:
        if self.status == "approved":
            names = ", ".join(f"{entry.actor.subject} ({_decided(entry).role})" for entry in self.approvals)
            return f"Approved by {names}{_conditions(self.approvals)}."
        if self.status == "rejected":
            return f"Rejected by {', '.join(entry.actor.subject for entry in self.rejections)}."
        needed = [f"{n} from {role}" for role, n in self.missing.items()]
        total = sum(self.missing.values())
        stale = f" No longer holds: {'; '.join(self.stale.values())}." if self.stale else ""
        head = f"Waits for {total or 'a'} decision{'' if total < 2 else 's'}"
        return f"{head}{f': {_and(needed)}' if needed else ''}.{stale}"


def subjects(migration: Migration) -> dict[str, str]:
    """What a decision is about, {what: sha256}: the newest evidence of each audit, the candidate's file, and the
    migration as declared."""
    found = {}
    for entry in catalog.discover():
        stored = store.latest(migration.folder, entry.name) if entry.module else None
        if stored:
            found[f"evidence of {entry.name}"] = stored.seal.files[store.EVIDENCE].sha256
    if candidate := candidate_sha(migration):
        found[CANDIDATE] = candidate
    return found | {FILE: criteria(migration)}


def criteria(migration: Migration) -> str:
    """sha256 of migration.yaml: the limits are in it."""
    if migration.file is None:
        raise LedgerError("A migration made in memory cannot be signed: write its migration.yaml first.")
    return store.seal_of(migration.file).sha256


def candidate_sha(migration: Migration) -> str | None:
    source = catalog.candidate_source(migration)
    path = migration.folder / source.uri if source else None
    return store.seal_of(path).sha256 if path and path.is_file() else None


def gate(migration: Migration, name: str = GATE) -> Gate:
    """What the decisions in the ledger come to for the migration as it stands now."""
    return _gate(migration, read(migration.folder).entries, name, subjects(migration))


def decide(
    migration: Migration,
    *,
    actor: Actor,
    decision: Verb,
    role: str,
    seen: Mapping[str, str],
    comment: str = "",
    conditions: Sequence[Condition] = (),
    request: str = "",
    name: str = GATE,
) -> Entry:
    """Records a decision. seen: the subjects as they were shown to the person, from `subjects`.

    Raises RefusedError, and records the refusal, if the person may not decide in this role, made the evidence, has
    decided already, if anything changed since it was shown, or if something still blocks what they approve. Raises
    LedgerError where the same request was about something else.
    """
    entries = read(migration.folder).entries
    if known := next((entry for entry in entries if request and entry.request == request), None):
        return _once_more(known, entries, actor, decision, role)
    now = subjects(migration)
    why = (
        _not_theirs(migration.review, actor, role)
        or _own_work(entries, actor, now, migration)
        or _changed(seen, now)
        or _twice(entries, actor, name, now)
        or _blocked(migration, entries, decision, conditions)
    )
    if why:
        _refuse(migration, actor, f"to {decision} ({name})", why, request)
    body = Decided(
        gate=name, decision=decision, role=role, subjects=now, criteria=criteria(migration),
        conditions=tuple(conditions), comment=comment,
    )  # fmt: skip
    return append(migration.folder, body, actor, migration=migration.name, request=request)


def revoke(migration: Migration, number: int, *, reason: str, actor: Actor, request: str = "") -> Entry:
    """Takes one's own decision back, by a new entry. Raises RefusedError."""
    entries = read(migration.folder).entries
    found = next((entry for entry in entries if entry.seq == number and isinstance(entry.body, Decided)), None)
    if found is None or number in _revoked(entries):
        raise LedgerError(f"Entry {number} is no decision that could be revoked.")
    if found.actor.same_as != actor.same_as:
        why = f"entry {number} is the decision of {found.actor.subject}, and only they can take it back"
        _refuse(migration, actor, f"to revoke entry {number}", why, request)
    return append(migration.folder, Revoked(of=number, reason=reason), actor, migration=migration.name, request=request)


def promote(migration: Migration, *, actor: Actor, request: str = "", name: str = GATE) -> Entry:
    """Records that the candidate takes over. Raises RefusedError unless the gate is approved as things stand."""
    candidate, now = candidate_sha(migration), gate(migration, name)
    if candidate is None:
        raise LedgerError("There is no candidate file to promote. Make one: workbench run FOLDER --only replatform")
    if now.status != "approved":
        _refuse(migration, actor, "to promote the candidate", f"{name} is not approved: {now.sentence}", request)
    body = Promoted(gate=name, candidate=candidate, approvals=tuple(entry.seq for entry in now.approvals))
    return append(migration.folder, body, actor, migration=migration.name, request=request)


def _gate(migration: Migration, entries: Sequence[Entry], name: str, now: Mapping[str, str]) -> Gate:
    revoked = _revoked(entries)
    made = [e for e in entries if isinstance(e.body, Decided) and e.body.gate == name and e.seq not in revoked]
    stale = {e.seq: f"entry {e.seq} of {e.actor.subject}, {why}" for e in made if (why := _moved(_decided(e), now))}
    held = [entry for entry in made if entry.seq not in stale]
    rejections = tuple(entry for entry in held if _decided(entry).decision == "reject")
    approvals = _once(entry for entry in held if _decided(entry).decision != "reject")
    missing = _missing(migration.review, approvals)
    status: Literal["approved", "rejected", "stale", "open"] = "stale" if stale else "open"
    if rejections:
        status = "rejected"
    elif approvals and not missing:
        status = "approved"
    return Gate(status, approvals, rejections, missing, stale)


def _decided(entry: Entry) -> Decided:
    assert isinstance(entry.body, Decided)
    return entry.body


def _once(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """One approval per person, the newest."""
    return tuple({entry.actor.same_as: entry for entry in entries}.values())


def _missing(review: Review, approvals: Sequence[Entry]) -> dict[str, int]:
    have = [_decided(entry).role for entry in approvals if _decided(entry).role in review.roles_of(entry.actor.subject)]
    return {role: n - have.count(role) for role, n in review.quorum.items() if have.count(role) < n}


def _moved(body: Decided, now: Mapping[str, str]) -> str:
    changed = sorted(name for name in {*body.subjects, *now} if body.subjects.get(name) != now.get(name))
    return f"because {_and(changed)} changed since" if changed else ""


def _revoked(entries: Sequence[Entry]) -> set[int]:
    return {entry.body.of for entry in entries if isinstance(entry.body, Revoked)}


def _not_theirs(review: Review, actor: Actor, role: str) -> str:
    if not review.quorum:
        return "migration.yaml names nobody who signs off: add `review` with people, roles and a quorum"
    roles = review.roles_of(actor.subject)
    if role in roles:
        return ""
    held = f"holds {_and(sorted(roles))}" if roles else "is not among the people under `review` in migration.yaml"
    return f"{actor.subject} {held}, and the role asked for is {role!r}"


def _own_work(entries: Sequence[Entry], actor: Actor, now: Mapping[str, str], migration: Migration) -> str:
    """Four eyes: nobody signs off a run they started themselves, as far as it still stands behind the evidence."""
    made = {run for name in _audits(now) if (found := store.latest(migration.folder, name)) for run in [found.origin]}
    ran = {e.body.run for e in entries if isinstance(e.body, RunFinished) and e.body.by.casefold() == actor.same_as}
    own = sorted(made & (ran | store.runs_by(migration.folder, actor.subject)))
    return f"{actor.subject} made the evidence (run {_and(own)}), and another pair of eyes is asked for" if own else ""


def _audits(now: Mapping[str, str]) -> list[str]:
    return [name.removeprefix("evidence of ") for name in now if name.startswith("evidence of ")]


def _once_more(known: Entry, entries: Sequence[Entry], actor: Actor, decision: Verb, role: str) -> Entry:
    """A double click is what was signed the first time; another wish under the same request is not taken for it."""
    body = known.body
    same = isinstance(body, Decided) and (body.decision, body.role) == (decision, role)
    if not same or known.actor.same_as != actor.same_as or known.seq in _revoked(entries):
        raise LedgerError(f"This form was sent before, as entry {known.seq}. Nothing was signed: open it again.")
    return known


def _changed(seen: Mapping[str, str], now: Mapping[str, str]) -> str:
    changed = sorted(name for name in {*seen, *now} if seen.get(name) != now.get(name))
    return f"{_and(changed)} changed since it was shown: look again" if changed else ""


def _twice(entries: Sequence[Entry], actor: Actor, name: str, now: Mapping[str, str]) -> str:
    revoked = _revoked(entries)
    for entry in entries:
        body = entry.body
        if not isinstance(body, Decided) or body.gate != name or entry.seq in revoked or _moved(body, now):
            continue
        if entry.actor.same_as == actor.same_as:
            return f"{actor.subject} decided already (entry {entry.seq}): revoke that first"
    return ""


def _blocked(migration: Migration, entries: Sequence[Entry], decision: Verb, conditions: Sequence[Condition]) -> str:
    if decision == "approve-with-conditions" and not conditions:
        return "an approval with conditions needs at least one: what, who owns it, and by when"
    if decision != "approve":
        return ""
    held = waivers.current(entries)
    stored = [store.latest(migration.folder, entry.name) for entry in catalog.discover() if entry.module]
    counted = [waivers.applied(found.evidence, held) for found in stored if found]
    if not counted:
        return "there is no evidence yet"
    worst = [f for one in counted for f in one.findings if f.status in (Status.FAIL, Status.ERROR)]
    if worst:
        return f"{_and([finding.key for finding in worst][:5])} still blocks: mend it, waive it, or name conditions"
    return ""


def _refuse(migration: Migration, actor: Actor, asked: str, why: str, request: str) -> None:
    body: Body = Refused(asked=asked[:200], why=why[:4000])
    append(migration.folder, body, actor, migration=migration.name, request=request and f"{request}/refused")
    raise RefusedError(f"Refused, and recorded: {why}.")


def _conditions(approvals: Sequence[Entry]) -> str:
    n = sum(len(_decided(entry).conditions) for entry in approvals)
    return f", with {n} condition{'' if n == 1 else 's'}" if n else ""


def _and(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1] if names else "nothing"
