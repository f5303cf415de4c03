"""A small migration that people may sign off, and runs of it made without an audit."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from workbench import catalog, ledger, store
from workbench.evidence import Evidence, Finding, Limit, Measure, Status
from workbench.migration import open_migration

YAML = """\
version: 1
name: credit
data: {holdout: loans.csv}
legacy: {uri: "column:decision"}
task: {kind: binary, target: default, positive: 1}
roles: {protected: [sex]}
review:
  people:
    ada: {name: Ada Lovelace, role: risk}
    bob: {role: business}
    eve: {role: business}
  quorum: {risk: 1, business: 1}
"""
ADA = ledger.Actor(subject="ada", issuer="review")
BOB = ledger.Actor(subject="bob", issuer="review")
GAP = "bias/selection-rate-gap[sex]"


def migration_in(place: Path) -> Path:
    """Its folder, without a run."""
    folder = place / "credit"
    folder.mkdir()
    rows = "\n".join(f"{'fm'[n % 2]},{n % 3 % 2},{n % 2}" for n in range(40))
    (folder / "loans.csv").write_text(f"sex,default,decision\n{rows}\n")
    (folder / "migration.yaml").write_text(YAML)
    return folder


def keep(folder: Path, status: Status = Status.FAIL, value: float = 0.1) -> store.Run:
    """One more finished run with evidence of bias, entered into the ledger."""
    migration = open_migration(folder)
    finding = Finding(
        id="bias/selection-rate-gap", subject="sex", title="Women are selected less often", status=status,
        change=Measure(value=value), limit=Limit(value=0.05, better="lower"), judged="change",
    )  # fmt: skip
    evidence = Evidence(
        audit="bias", question="Is any group treated worse?", migration="credit", key=catalog.key(migration, "bias"),
        started=datetime(2026, 1, 2, tzinfo=UTC), seconds=1.0, findings=(finding,),
    )  # fmt: skip
    with store.open_run(folder) as run:
        store.write(run.workplace("51_bias") / store.EVIDENCE, evidence.to_json())
        run.publish("51_bias", audit="bias", key=evidence.key)
        known = ledger.read(folder)
        run.finish(str(known.checkpoint) if known.lines else "")
    ledger.enter_runs(migration)
    return store.runs(folder)[0]
