"""A small migration with stored evidence, made without running an audit."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from workbench import catalog, store
from workbench.evidence import Chart, Evidence, Finding, Limit, Measure, Series, Status, Table
from workbench.migration import open_migration

YAML = """\
version: 1
name: credit
data: {holdout: loans.csv}
legacy: {uri: "column:decision"}
task: {kind: binary, target: default, positive: 1}
roles: {protected: [sex]}
audits:
  bias: {min_group: 40}  # agreed with the works council
"""


@pytest.fixture
def migration(tmp_path: Path) -> Path:
    folder = tmp_path / "credit"
    folder.mkdir()
    rows = "\n".join(f"{'fm'[n % 2]},{n},{n % 3 % 2},{n % 2}" for n in range(120))
    (folder / "loans.csv").write_text(f"sex,income,default,decision\n{rows}\n")
    (folder / "migration.yaml").write_text(YAML)
    return folder


def bias_evidence(folder: Path, status: Status = Status.FAIL) -> Evidence:
    limit = Limit(value=0.05, better="lower", set_by="Risk policy 4.2")
    rates = Series(name="legacy", x=("f", "m"), y=(0.4, 0.5))
    details = (
        Table(title="Groups", columns=("group", "rate"), rows=(("f", 0.4), ("<b>m</b>", 0.5)), units=("", "share")),
        Chart(kind="bar", title="Rates", x="group", y="rate", series=(rates,)),
    )
    finding = Finding(
        id="bias/selection-rate-gap", subject="sex", title="Women are selected less often", status=status,
        change=Measure(value=0.1, low=0.08, high=0.12, n=120), limit=limit, judged="change",
        why="It matters.", fix="Mend it.", details=details,
    )  # fmt: skip
    return Evidence(
        audit="bias", question="Is any group treated worse than before?", migration="credit",
        key=catalog.key(open_migration(folder), "bias"), started=datetime(2026, 1, 2, 3, 4, tzinfo=UTC), seconds=1.0,
        findings=(finding,),
    )  # fmt: skip


def keep(folder: Path, evidence: Evidence, part: str = "51_bias") -> store.Run:
    with store.open_run(folder) as run:
        store.write(run.workplace(part) / store.EVIDENCE, evidence.to_json())
        run.publish(part, audit=evidence.audit, key=evidence.key)
        run.finish()
    return store.runs(folder)[0]


@pytest.fixture
def judged(migration: Path) -> Path:
    """The migration with failing evidence of bias, still fresh."""
    keep(migration, bias_evidence(migration))
    return migration
