"""Waivers: a finding that a named person lets pass, with a reason, until a day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime

from workbench import store
from workbench.evidence import Evidence, Finding, Status
from workbench.ledger.chain import LedgerError, append, read
from workbench.ledger.entries import Actor, Entry, Restored, Waived
from workbench.migration import Migration

WAIVABLE = (Status.FAIL, Status.ABSENT, Status.WARN)
"""What broke (ERROR) is run again, and what waits for a person (MANUAL) is answered: neither is waived."""

LONGEST = 366
"""Days a waiver may last: what holds longer is a limit, with an owner, in migration.yaml."""


def waive(
    migration: Migration, audit: str, finding: str, *, reason: str, until: date, actor: Actor, request: str = ""
) -> Entry:
    """Lets a finding of the newest evidence pass until the end of a day (UTC). finding: its key, `id[subject]`.

    Raises LedgerError if there is no such finding, its status cannot be waived, or the day is past or too far away.
    """
    found = store.latest(migration.folder, audit)
    if found is None:
        raise LedgerError(f"There is no evidence of {audit} yet, so nothing of it can be waived. Run it first.")
    one = _named(found.evidence, finding)
    if one.status not in WAIVABLE:
        raise LedgerError(f"{finding} is {one.status}: only fail, absent and warn can be waived. {_instead(one)}")
    _in_time(until)
    body = Waived(
        audit=audit,
        finding=finding,
        status=one.status,
        evidence=found.seal.files[store.EVIDENCE].sha256,
        reason=reason,
        until=until,
    )
    return append(migration.folder, body, actor, migration=migration.name, request=request)


def restore(migration: Migration, number: int, *, reason: str, actor: Actor, request: str = "") -> Entry:
    """Ends the waiver with this number before its day. Raises LedgerError if it is none, or ended already."""
    if all(entry.seq != number for entry in current(read(migration.folder).entries)):
        raise LedgerError(f"Entry {number} is no waiver that holds. See those that do: workbench waive FOLDER")
    return append(
        migration.folder, Restored(of=number, reason=reason), actor, migration=migration.name, request=request
    )


def current(entries: Sequence[Entry], today: date | None = None) -> tuple[Entry, ...]:
    """Entries of the waivers that hold today (UTC): the newest of each finding, not ended, not expired."""
    day = today or datetime.now(UTC).date()
    ended = {entry.body.of for entry in entries if isinstance(entry.body, Restored)}
    newest = {
        (entry.body.audit, entry.body.finding): entry
        for entry in entries
        if isinstance(entry.body, Waived) and entry.seq not in ended and entry.body.until >= day
    }
    return tuple(newest.values())


def applied(evidence: Evidence, waivers: Iterable[Entry]) -> Evidence:
    """The evidence as it counts: a waived finding is a warning that says who let it pass, until when and why.

    A waiver holds for the status it was given for: one given for "not assessed" does not cover a failure.
    """
    known = {
        entry.body.finding: entry
        for entry in waivers
        if isinstance(entry.body, Waived) and entry.body.audit == evidence.audit
    }
    findings = tuple(_covered(finding, known.get(finding.key)) for finding in evidence.findings)
    return evidence if findings == evidence.findings else evidence.model_copy(update={"findings": findings})


def _covered(finding: Finding, entry: Entry | None) -> Finding:
    if entry is None or not isinstance(entry.body, Waived) or entry.body.status is not finding.status:
        return finding
    body = entry.body
    told = f"Waived by {entry.actor.subject} until {body.until}: {body.reason} It was: {finding.status}."
    said = f"{told} {finding.reason}".strip()
    return finding.model_copy(update={"status": Status.WARN, "reason": said})


def _named(evidence: Evidence, key: str) -> Finding:
    found = next((finding for finding in evidence.findings if finding.key == key), None)
    if found is None:
        known = ", ".join(finding.key for finding in evidence.findings if finding.status in WAIVABLE)
        raise LedgerError(f"{evidence.audit} found no {key!r}. What can be waived in it: {known or 'nothing'}.")
    return found


def _instead(finding: Finding) -> str:
    return "Run the audit again." if finding.status is Status.ERROR else "It does not stand in the way."


def _in_time(until: date) -> None:
    days = (until - datetime.now(UTC).date()).days
    if not 0 <= days <= LONGEST:
        raise LedgerError(
            f"A waiver until {until} is {'past' if days < 0 else f'{days} days long'}: name a day from today to "
            f"{LONGEST} days ahead. What is to hold longer is a limit, with who set it, in migration.yaml."
        )
