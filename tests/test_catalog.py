"""Finding, ordering, freshness and running of audits, with audits of the tests' own beside the real ones."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from pydantic import Field

from workbench import catalog
from workbench.audit import Kind, Params
from workbench.catalog import discovery
from workbench.evidence import Finding, Measure, Status
from workbench.migration import Migration, open_migration

ROWS = "id,age,score,truth\n" + "".join(f"{n},{20 + n},{n / 40:.3f},{int(n > 18)}\n" for n in range(40))
YAML = """
version: 1
name: tiny
data: {holdout: rows.csv}
legacy: {uri: "column:score"}
task: {kind: binary, target: truth, positive: 1}
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Migration:
    (tmp_path / "rows.csv").write_text(ROWS)
    (tmp_path / "migration.yaml").write_text(YAML)
    return open_migration(tmp_path)


SEEN = Kind(id="probe/seen", title="Seen", why="Because a test needs to know.", fix="Nothing needs to be done here.")


class ProbeParams(Params):
    depth: int = Field(1, ge=1, le=3)


def _probe(run: object) -> ModuleType:
    module = ModuleType("probe_of_the_tests")
    module.__dict__.update(QUESTION="Does the probe work?", KINDS=(SEEN,), Params=ProbeParams, run=run)
    sys.modules[module.__name__] = module
    return module


def _install(monkeypatch: pytest.MonkeyPatch, run: object) -> None:
    """As another distribution would: by the entry-point group."""
    _point(monkeypatch, lambda: _probe(run))


def _point(monkeypatch: pytest.MonkeyPatch, load: Callable[[], ModuleType]) -> None:
    point = SimpleNamespace(name="probe", load=load)
    real = discovery.importlib.metadata.entry_points
    monkeypatch.setattr(
        discovery.importlib.metadata,
        "entry_points",
        lambda group: [point] if group == "workbench.audits" else real(group=group),
    )
    catalog.discover.cache_clear()


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    catalog.discover.cache_clear()


def test_the_journey_is_found_by_folder() -> None:
    found = {entry.name: entry for entry in catalog.discover()}
    assert {
        "readiness",
        "compatibility",
        "replatform",
        "parity",
        "bias",
        "explainability",
        "benchmark",
        "journey",
    } <= set(found)
    assert found["bias"].stem == "51_bias"
    assert found["bias"].chapter == 5
    assert found["replatform"].kind == "mover"
    assert found["journey"].kind == "overview"


def test_order_follows_needs(tiny: Migration) -> None:
    names = [entry.name for entry in catalog.order(tiny)]
    assert names.index("replatform") < names.index("parity") < names.index("benchmark")
    assert names[-1] == "journey"
    assert catalog.requires(tiny, "bias") == ("replatform",)


def test_a_declared_candidate_needs_no_mover(tiny: Migration) -> None:
    (tiny.folder / "migration.yaml").write_text(YAML + 'candidate: {uri: "column:score"}\n')
    assert catalog.requires(open_migration(tiny.folder), "bias") == ()


def test_an_unknown_name_gets_a_suggestion(tiny: Migration) -> None:
    with pytest.raises(catalog.CatalogError, match="did you mean 'bias'"):
        catalog.run(tiny, "bais")
    with pytest.raises(catalog.CatalogError, match="did you mean"):
        catalog.find("bias/selection-rate-gapp")


def test_an_audit_from_another_package_runs_and_gets_only_what_it_asks_for(
    tiny: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(scored: object, params: ProbeParams) -> Iterator[Finding]:
        yield SEEN.found(legacy=Measure(value=len(scored) * params.depth))  # type: ignore[arg-type]

    _install(monkeypatch, run)
    evidence = catalog.run(tiny, "probe", {"depth": 2})
    assert evidence.findings[0].legacy == Measure(value=80)
    assert evidence.params == {"depth": 2}
    assert set(evidence.subjects) == {"holdout", "legacy"}
    assert evidence.key == catalog.key(tiny, "probe", {"depth": 2})
    assert catalog.find("probe/seen").title == "Seen"


def test_a_crash_is_one_finding_and_quotes_no_row(tiny: Migration, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(holdout: object, params: ProbeParams) -> Iterator[Finding]:
        yield SEEN.found(legacy=Measure(value=1))
        raise ValueError("the secret of row 7")

    _install(monkeypatch, run)
    evidence = catalog.run(tiny, "probe")
    assert [finding.status for finding in evidence.findings] == [Status.INFO, Status.ERROR]
    assert "ValueError" in evidence.findings[1].reason
    assert "secret" not in evidence.to_json()


def test_an_audit_that_cannot_be_loaded_stops_nobody(tiny: Migration, monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> ModuleType:
        raise ImportError("no module named anywhere")

    _point(monkeypatch, load)
    assert "bias" in {entry.name for entry in catalog.discover()}
    (finding,) = catalog.run(tiny, "probe").findings
    assert finding.status == Status.ERROR
    assert "no module named anywhere" in finding.reason


def test_a_need_that_is_not_there_is_absent_with_what_to_do(tiny: Migration, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(train: object, params: ProbeParams) -> Iterator[Finding]:
        raise AssertionError("must not be called")
        yield

    _install(monkeypatch, run)
    (finding,) = catalog.run(tiny, "probe").findings
    assert finding.status == Status.ABSENT
    assert "data.train" in finding.reason


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dept": 1}, "did you mean 'depth'"),
        ({"depth": "x"}, "'depth' is 'x'"),
        ({"x=1;import os": 1}, "no parameter"),
        ({"depth": 9}, "less than"),
    ],
)
def test_parameters_are_checked_by_name_and_type(
    tiny: Migration, monkeypatch: pytest.MonkeyPatch, given: dict[str, object], message: str
) -> None:
    _install(monkeypatch, lambda params: iter(()))
    with pytest.raises(catalog.CatalogError, match=message):
        catalog.params_of(tiny, "probe", given)


def test_freshness_follows_exactly_what_the_audit_reads(tiny: Migration) -> None:
    before = {name: catalog.key(tiny, name) for name in ("readiness", "bias", "compatibility")}
    again = {name: catalog.key(open_migration(tiny.folder), name) for name in before}
    assert again == before
    (tiny.folder / "rows.csv").write_text(ROWS + "40,60,1.0,1\n")
    after = {name: catalog.key(tiny, name) for name in before}
    assert after["bias"] != before["bias"]
    assert after["readiness"] != before["readiness"]
    assert after["compatibility"] == before["compatibility"]
    assert catalog.key(tiny, "bias", {"seed": 5}) != after["bias"]


def test_default_limits_belong_to_findings_and_to_nobody() -> None:
    limits = catalog.default_limits()
    assert limits
    assert all(limit.set_by == "default" for limit in limits.values())
    assert set(limits) <= set(catalog.kinds())
