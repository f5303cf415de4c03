"""Commands about the ledger: waive, sign, promote, verify, key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

from workbench import ledger
from workbench.ledger.entries import Verb
from workbench.migration import open_migration
from workbench.ui.say import CliError, emit, out
from workbench.ui.tracking import after

if TYPE_CHECKING:
    from workbench.migration import Migration


@dataclass(frozen=True)
class Signed:
    """What was said on the command line."""

    decision: str = ""
    role: str = ""
    comment: str = ""
    conditions: tuple[str, ...] = ()
    revoke: int = 0
    reason: str = ""


def waive(folder: Path, finding: str, *, reason: str, until: str, end: int, as_json: bool) -> None:
    migration = open_migration(folder)
    if end:
        entry = ledger.restore(migration, end, reason=_needed(reason, "--reason"), actor=ledger.actor_here())
        _told(entry, f"Waiver {end} has ended (entry {entry.seq}).", as_json)
    elif finding:
        day = _day(_needed(until, "--until"))
        audit = finding.split("/", 1)[0]
        given = _needed(reason, "--reason")
        entry = ledger.waive(migration, audit, finding, reason=given, until=day, actor=ledger.actor_here())
        _told(entry, f"{finding} is waived until {day} (entry {entry.seq}). It now counts as a warning.", as_json)
    else:
        _waivers(migration, as_json)


def _waivers(migration: Migration, as_json: bool) -> None:
    held = ledger.current(ledger.read(migration.folder).entries)
    emit([entry.model_dump(mode="json") for entry in held], as_json)
    if as_json:
        return
    for entry in held:
        assert isinstance(entry.body, ledger.Waived)
        body = entry.body
        out(f"{entry.seq:>4}  {body.finding} until {body.until}, by {entry.actor.subject}: {body.reason}", hang=6)
    if not held:
        out("Nothing is waived.")


def sign(folder: Path, said: Signed, *, as_json: bool) -> None:
    """Decides, takes a decision back, or says where the sign-off stands."""
    migration = open_migration(folder)
    actor = ledger.actor_here()
    if said.revoke:
        entry = ledger.revoke(migration, said.revoke, reason=_needed(said.reason, "--reason"), actor=actor)
        _told(entry, f"Decision {said.revoke} is revoked (entry {entry.seq}).", as_json)
        after(migration)
    elif said.decision:
        if said.decision not in get_args(Verb):
            raise CliError(f"--decision {said.decision!r} is not read: {', '.join(get_args(Verb))}")
        conditions = [_condition(text) for text in said.conditions]
        # At the command line the evidence is what lies there now: nothing older was shown.
        entry = ledger.decide(
            migration, actor=actor, decision=cast("Verb", said.decision), role=_role(migration, actor, said.role),
            seen=ledger.subjects(migration), comment=said.comment, conditions=conditions,
        )  # fmt: skip
        _told(entry, f"{actor.subject}: {said.decision} (entry {entry.seq}).", as_json)
    _stand(migration, as_json and not (said.decision or said.revoke), quiet=as_json)


def _stand(migration: Migration, as_json: bool, quiet: bool) -> None:
    now = ledger.gate(migration)
    emit({"gate": ledger.GATE, "status": now.status, "sentence": now.sentence, "missing": now.missing}, as_json)
    if not quiet:
        out(f"{ledger.GATE}: {now.sentence}", style="bold")


def promote(folder: Path, *, as_json: bool) -> None:
    migration = open_migration(folder)
    entry = ledger.promote(migration, actor=ledger.actor_here())
    _told(entry, f"The candidate is promoted (entry {entry.seq}).", as_json)
    after(migration)


def verify(where: Path, given: Sequence[str], checkpoint: str, *, as_json: bool) -> bool:
    """Whether everything is as it was written, of a migration's folder or an exported bundle."""
    trusted = [ledger.read_public(one) for one in given]
    try:
        mark = ledger.Checkpoint.parse(checkpoint) if checkpoint else None
    except ValueError as error:
        raise CliError(str(error)) from error
    if not where.exists():
        raise CliError(f"{where} does not exist: name the migration's folder, or a bundle that was exported.")
    check = ledger.verify_bundle if where.is_file() else ledger.verify
    found = check(where, trusted, mark)
    emit({"ok": not found.problems, "problems": found.problems, "facts": found.facts}, as_json)
    if not as_json:
        for problem in found.problems:
            out(f"✗ {problem}", style="fail")
        for fact in found.facts:
            out(fact, style="dim")
        count = len(found.problems)
        out(f"✗ {count} not as it was written." if count else "✓ Everything is as it was written.", style="bold")
    return not found.problems


def key(folder: Path, accept: str, owner: str, *, as_json: bool) -> None:
    """Your public key, or another one that may sign in this migration's ledger from now on."""
    if accept:
        migration, public = open_migration(folder), ledger.read_public(accept)
        body = ledger.KeyAccepted(public=public, owner=_needed(owner, "--owner"))
        known = ledger.key_id(public)
        entry = ledger.append(
            migration.folder, body, ledger.actor_here(), migration=migration.name, request=f"key/{known}"
        )
        _told(entry, f"The key {known[:12]} of {owner} may sign here from now on (entry {entry.seq}).", as_json)
        return
    mine = ledger.my_key()
    emit({"public key": mine.public, "id": mine.id}, as_json)
    if not as_json:
        out(mine.public)


def _told(entry: ledger.Entry, sentence: str, as_json: bool) -> None:
    emit(entry.model_dump(mode="json"), as_json)
    if not as_json:
        out(sentence)


def _role(migration: Migration, actor: ledger.Actor, given: str) -> str:
    """As said, else the only one the person has."""
    roles = sorted(migration.review.roles_of(actor.subject))
    return given or (roles[0] if len(roles) == 1 else "reviewer")


def _needed(value: str, name: str) -> str:
    if not value.strip():
        raise CliError(f"{name} is missing: the ledger keeps it for whoever reads this later.")
    return value


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise CliError(f"{text!r} is no day: write it as 2026-12-31.") from error


def _condition(text: str) -> ledger.Condition:
    parts = [part.strip() for part in text.split(";")]
    if len(parts) != 3 or not all(parts):
        raise CliError(f"--condition {text[:80]!r} is not read: write 'what; who owns it; 2026-12-31'")
    return ledger.Condition(text=parts[0], owner=parts[1], due=_day(parts[2]))
