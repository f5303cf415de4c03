"""Who may decide, on what, and what holds after something changed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from ledger_samples import ADA, BOB, GAP, keep

from workbench import ledger, store
from workbench.evidence import Status
from workbench.ledger.entries import Verb
from workbench.migration import open_migration

TODAY = datetime.now(UTC).date()


def decided(folder: Path, actor: ledger.Actor, role: str, decision: Verb = "approve", **more: object) -> ledger.Entry:
    migration = open_migration(folder)
    given = {"seen": ledger.subjects(migration)} | more
    return ledger.decide(migration, actor=actor, decision=decision, role=role, **given)  # type: ignore[arg-type]


def refused(folder: Path) -> str:
    last = ledger.read(folder).entries[-1].body
    assert last.kind == "refused"
    return last.why


def test_it_takes_every_role_and_different_people(ready: Path) -> None:
    decided(ready, ADA, "risk")
    now = ledger.gate(open_migration(ready))
    assert (now.status, now.missing) == ("open", {"business": 1})
    decided(ready, BOB, "business")
    now = ledger.gate(open_migration(ready))
    assert now.status == "approved"
    assert now.sentence == "Approved by ada (risk), bob (business)."
    assert ledger.verify(ready).problems == ()


def test_whoever_made_the_evidence_is_refused_and_that_is_recorded(ready: Path) -> None:
    me = store.user()[0]
    text = (ready / "migration.yaml").read_text()
    (ready / "migration.yaml").write_text(text.replace("    ada: {name: Ada Lovelace,", f"    {me}: {{"))
    with pytest.raises(ledger.RefusedError, match="made the evidence"):
        decided(ready, ledger.Actor(subject=me, issuer="review"), "risk")
    assert "another pair of eyes" in refused(ready)


def test_one_person_twice_and_through_two_doors_counts_once(ready: Path) -> None:
    decided(ready, ADA, "risk")
    with pytest.raises(ledger.RefusedError, match="decided already"):
        decided(ready, ledger.Actor(subject="Ada", issuer="jupyterhub"), "risk")
    assert "revoke that first" in refused(ready)


def test_a_stranger_and_a_role_that_is_not_theirs_are_refused(ready: Path) -> None:
    with pytest.raises(ledger.RefusedError, match="not among the people"):
        decided(ready, ledger.Actor(subject="mallory", issuer="review"), "risk")
    with pytest.raises(ledger.RefusedError, match="holds business"):
        decided(ready, BOB, "risk")


def test_a_decision_on_what_was_shown_before_a_change_is_refused(ready: Path) -> None:
    seen = ledger.subjects(open_migration(ready))
    keep(ready, Status.PASS, value=0.2)
    with pytest.raises(ledger.RefusedError, match="evidence of bias changed since it was shown"):
        decided(ready, ADA, "risk", seen=seen)


def test_any_change_makes_a_decision_stale_at_once(ready: Path) -> None:
    decided(ready, ADA, "risk")
    decided(ready, BOB, "business")
    text = (ready / "migration.yaml").read_text()
    (ready / "migration.yaml").write_text(text + "limits: {bias/selection-rate-gap: {value: 0.5, better: lower}}\n")
    now = ledger.gate(open_migration(ready))
    assert now.status == "stale"
    assert "migration.yaml changed since" in now.sentence
    (ready / "migration.yaml").write_text(text)
    assert ledger.gate(open_migration(ready)).status == "approved"


def test_a_blocked_migration_is_approved_only_with_a_waiver_or_conditions(credit: Path) -> None:
    with pytest.raises(ledger.RefusedError, match="still blocks"):
        decided(credit, ADA, "risk")
    with pytest.raises(ledger.RefusedError, match="needs at least one"):
        decided(credit, ADA, "risk", "approve-with-conditions")
    owed = ledger.Condition(text="Watch the gap monthly", owner="bob", due=date(2027, 1, 1))
    decided(credit, ADA, "risk", "approve-with-conditions", conditions=[owed])
    migration = open_migration(credit)
    ledger.waive(migration, "bias", GAP, reason="Small, and known", until=TODAY, actor=BOB)
    decided(credit, BOB, "business")
    assert ledger.gate(migration).sentence == "Approved by ada (risk), bob (business), with 1 condition."


def test_a_no_stands_until_it_is_taken_back_by_who_said_it(ready: Path) -> None:
    entry = decided(ready, ADA, "risk", "reject", comment="Not yet")
    decided(ready, BOB, "business")
    migration = open_migration(ready)
    assert ledger.gate(migration).status == "rejected"
    with pytest.raises(ledger.RefusedError, match="only they can take it back"):
        ledger.revoke(migration, entry.seq, reason="No", actor=BOB)
    ledger.revoke(migration, entry.seq, reason="Seen now", actor=ADA)
    decided(ready, ADA, "risk")
    assert ledger.gate(migration).status == "approved"
    with pytest.raises(ledger.LedgerError, match="no decision that could be revoked"):
        ledger.revoke(migration, entry.seq, reason="Again", actor=ADA)


def test_a_double_click_is_one_decision(ready: Path) -> None:
    first = decided(ready, ADA, "risk", request="form-1")
    assert decided(ready, ADA, "risk", request="form-1") == first


def test_promotion_needs_a_candidate_and_an_approval_that_holds(ready: Path) -> None:
    with pytest.raises(ledger.LedgerError, match="no candidate file"):
        ledger.promote(open_migration(ready), actor=ADA)
    text = (ready / "migration.yaml").read_text()
    (ready / "model.bin").write_bytes(b"weights")
    (ready / "migration.yaml").write_text(text + "candidate: {uri: model.bin}\n")
    keep(ready, Status.PASS)
    with pytest.raises(ledger.RefusedError, match="is not approved"):
        ledger.promote(open_migration(ready), actor=ADA)
    decided(ready, ADA, "risk")
    decided(ready, BOB, "business")
    entry = ledger.promote(open_migration(ready), actor=ADA)
    assert entry.body.kind == "promote"
    (ready / "model.bin").write_bytes(b"other weights")
    with pytest.raises(ledger.RefusedError, match="is not approved"):
        ledger.promote(open_migration(ready), actor=ADA)


# ------------------------------------------------------------------------------------------------ waivers


def test_a_waived_failure_counts_as_a_warning_that_says_who_until_when_and_why(credit: Path) -> None:
    migration = open_migration(credit)
    until = TODAY + timedelta(days=30)
    entry = ledger.waive(migration, "bias", GAP, reason="Accepted by the board", until=until, actor=ADA)
    found = store.latest(credit, "bias")
    assert found is not None
    counted = ledger.applied(found.evidence, ledger.current(ledger.read(credit).entries)).findings[0]
    assert counted.status is Status.WARN
    assert counted.reason == f"Waived by ada until {until}: Accepted by the board It was: fail."
    assert ledger.current(ledger.read(credit).entries, until + timedelta(days=1)) == ()
    ledger.restore(migration, entry.seq, reason="Mended", actor=BOB)
    assert ledger.current(ledger.read(credit).entries) == ()


def test_a_waiver_for_one_status_does_not_cover_a_worse_one(credit: Path) -> None:
    keep(credit, Status.ABSENT)
    ledger.waive(open_migration(credit), "bias", GAP, reason="No data", until=TODAY, actor=ADA)
    keep(credit, Status.FAIL)
    found = store.latest(credit, "bias")
    assert found is not None
    held = ledger.current(ledger.read(credit).entries)
    assert ledger.applied(found.evidence, held).findings[0].status is Status.FAIL


def test_what_cannot_be_waived_says_what_to_do(credit: Path) -> None:
    migration = open_migration(credit)
    for audit, finding, until, said in (
        ("bias", "bias/other", TODAY, "What can be waived in it: bias/selection-rate-gap"),
        ("parity", "parity/x", TODAY, "no evidence of parity"),
        ("bias", GAP, TODAY - timedelta(days=1), "is past"),
        ("bias", GAP, TODAY + timedelta(days=900), "900 days long"),
    ):
        with pytest.raises(ledger.LedgerError, match=said):
            ledger.waive(migration, audit, finding, reason="r", until=until, actor=ADA)
    keep(credit, Status.ERROR)
    with pytest.raises(ledger.LedgerError, match="Run the audit again"):
        ledger.waive(migration, "bias", GAP, reason="r", until=TODAY, actor=ADA)
