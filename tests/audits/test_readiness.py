"""Readiness on planted truths and their clean twin, on real data, and on tables nobody should have."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.audits import readiness
from workbench.data import open_data
from workbench.demo import FEATURES, FILES, KEY, PERSONAL, PROTECTED, Truths, read_truths
from workbench.evidence import Finding, Limit, Status
from workbench.migration import Roles, Task
from workbench.models import Input

LIMITS: Mapping[str, Limit] = {kind.id: kind.limit for kind in readiness.KINDS if kind.limit}
BINARY = Task(kind="binary", target="y", positive=1)
RANDOM = np.random.default_rng(0)
BAD = (Status.WARN, Status.FAIL, Status.ERROR)


class Reading:
    """A model as far as readiness looks at one: what it reads."""

    def __init__(self, *inputs: Input) -> None:
        self.inputs = inputs


def run(
    folder: Path, holdout: str, task: Task = BINARY, roles: Roles | None = None, model: Any = None, **others: str
) -> list[Finding]:
    tables = {name: open_data(others[name], folder) if name in others else None for name in ("train", "production")}
    found = readiness.run(
        open_data(holdout, folder), tables["train"], tables["production"], model, task, roles or Roles(), LIMITS,
        readiness.Params(),
    )  # fmt: skip
    findings = list(found)
    keys = [finding.key for finding in findings]
    assert len(keys) == len(set(keys)), "two findings share a key"
    return findings


def saved(folder: Path, frame: pd.DataFrame, name: str = "rows.parquet") -> str:
    frame.to_csv(folder / name, index=False) if name.endswith("csv") else frame.to_parquet(folder / name)
    return name


def statuses(findings: list[Finding], check: str) -> dict[str, Status]:
    return {finding.subject: finding.status for finding in findings if finding.id == f"readiness/{check}"}


@pytest.fixture(scope="module", params=[True, False], ids=["clean", "planted"])
def demo(request: pytest.FixtureRequest) -> tuple[Truths, list[Finding]]:
    folder = request.getfixturevalue("clean_folder" if request.param else "sample_folder")
    truths = read_truths(folder)
    task = Task(kind="binary", target="repaid", positive=1)
    roles = Roles(protected=PROTECTED, key=(KEY,), time="application_date", personal=() if request.param else PERSONAL)
    model = Reading(*(Input(name) for name in FEATURES))
    return (
        truths,
        run(folder, FILES["holdout"], task, roles, model, train=FILES["train"], production=FILES["production"]),
    )


def test_every_planted_truth_is_found_and_the_clean_twin_is_quiet(demo: tuple[Truths, list[Finding]]) -> None:
    truths, findings = demo
    bad = [finding for finding in findings if finding.status in (*BAD, Status.ABSENT)]
    if truths.clean:
        assert [finding.key for finding in bad] == []
    for truth in truths.about("readiness/"):
        hits = [f for f in bad if f.id.startswith(truth.finding) and f.subject == truth.subject]
        assert hits, f"not found: {truth.finding} of {truth.subject!r}: {truth.what}"


def test_what_is_shown_is_counted_and_explained(demo: tuple[Truths, list[Finding]]) -> None:
    truths, findings = demo
    for finding in findings:
        assert finding.why
        assert finding.fix
        json.loads(finding.model_dump_json())
    if not truths.clean:
        overlap = next(f for f in findings if f.id == "readiness/overlap")
        assert overlap.legacy is not None
        assert overlap.legacy.value == pytest.approx(len(truths.about("readiness/overlap")[0].keys) / 10_000)
        assert {f.id for f in findings if f.status is Status.FAIL} == {"readiness/overlap"}


def test_no_value_of_a_row_is_shown(tmp_path: Path) -> None:
    """A token of its own in every cell of every column: none appears, whatever the column is called."""
    n = 400
    names = ["email", "full_name", "free", "phone", "group", "y"]
    frame = pd.DataFrame({name: [f"canary{name}{i}x" for i in range(n)] for name in names[:-1]})
    frame["number"] = RANDOM.normal(size=n)
    frame["mail"] = [f"canary{i}@example.org" for i in range(n)]
    frame["y"] = RANDOM.integers(0, 2, n)
    holdout = saved(tmp_path, frame)
    train = saved(tmp_path, frame.assign(free=frame["free"] + " "), "train.parquet")
    findings = run(tmp_path, holdout, roles=Roles(protected="group"), train=train, production=train)
    assert "canary" not in " ".join(finding.model_dump_json() for finding in findings)


def test_without_train_and_production_it_says_so(tmp_path: Path) -> None:
    holdout = saved(tmp_path, pd.DataFrame({"a": RANDOM.normal(size=300), "y": RANDOM.integers(0, 2, 300)}))
    findings = {f.id: f for f in run(tmp_path, holdout)}
    for name, told in {
        "overlap": "no training rows given",
        "split": "no training",
        "drift": "no production rows",
    }.items():
        finding = findings[f"readiness/{name}"]
        assert finding.status is Status.ABSENT
        assert told in finding.reason.lower()


def test_target_missing_and_columns_that_disagree_name_both_sides_and_the_fix(tmp_path: Path) -> None:
    holdout = saved(tmp_path, pd.DataFrame({"Age": RANDOM.integers(18, 80, 300), "Y": RANDOM.integers(0, 2, 300)}))
    model = Reading(Input("age", "number"), Input("income", "number"))
    findings = run(tmp_path, holdout, roles=Roles(protected="sexx"), model=model)
    found = {f.subject: f for f in findings if f.id == "readiness/schema"}
    assert all(f.status is Status.FAIL for f in found.values())
    assert set(found) == {"holdout", "y", "sexx"}
    assert "lacks 'age', 'income'" in found["holdout"].title
    assert "it has 'Age', 'Y'" in found["holdout"].title
    assert "{'Age': 'age'}" in found["holdout"].fix
    assert "migration.yaml" in found["y"].title
    assert statuses(findings, "target")["holdout"] is Status.FAIL


def test_types_and_categories_against_the_model(tmp_path: Path) -> None:
    n = 400
    frame = pd.DataFrame({"power": ["80"] * (n - 8) + ["?"] * 8, "job": ["a"] * 300 + ["new"] * 100, "y": [0, 1] * 200})
    model = Reading(Input("power", "number"), Input("job", "category", ("a", "b")))
    findings = run(tmp_path, saved(tmp_path, frame), model=model)
    assert statuses(findings, "input-type") == {"power": Status.WARN}
    assert statuses(findings, "unseen-categories") == {"job": Status.WARN}


def test_a_limit_the_team_has_set_is_meant(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": ["N/A"] * 20 + ["x", "z"] * 190, "y": [0, 1] * 200})
    holdout = open_data(saved(tmp_path, frame), tmp_path)
    for set_by, status in {"default": Status.WARN, "Risk": Status.FAIL}.items():
        limits = {"readiness/disguised-nulls": Limit(value=0, better="lower", set_by=set_by)}
        found = list(readiness.run(holdout, None, None, None, BINARY, Roles(), limits, readiness.Params()))
        assert statuses(found, "disguised-nulls") == {"a": status}
        assert statuses(found, "duplicates")["holdout"] is Status.INFO


def test_many_columns_with_one_trouble_are_capped(tmp_path: Path) -> None:
    frame = pd.DataFrame({f"c{i}": ["same"] * 300 for i in range(40)} | {"y": [0, 1] * 150})
    findings = [f for f in run(tmp_path, saved(tmp_path, frame)) if f.id == "readiness/constant"]
    assert len(findings) == 13
    assert "12 shown of 40" in findings[-1].title


HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</script>",
    "a'b\"c",
    "‮abc",
    "n" * 10_000,
    "{0}",
    "{where}",
    "$\\frac{",
    "",
    "x",
]


@pytest.mark.parametrize("part", [True, False])
def test_hostile_names_and_values_stay_text(tmp_path: Path, part: bool) -> None:
    n = 300
    frame = pd.DataFrame(RANDOM.integers(0, 5, (n, len(HOSTILE))), columns=HOSTILE).astype(object)
    for name in HOSTILE[:4]:
        frame[name] = RANDOM.choice(["<b>x</b>", "=cmd|x", "‮z", "{share}"], n)
    frame[HOSTILE[4]] = 7
    frame["y"] = RANDOM.integers(0, 2, n)
    table = saved(tmp_path, frame, "rows.csv")
    roles = Roles(protected=(HOSTILE[0], HOSTILE[4]), key=(HOSTILE[1],))
    findings = run(tmp_path, table, roles=roles, **({"train": table, "production": table} if part else {}))
    assert statuses(findings, "constant") == {HOSTILE[4]: Status.WARN}
    leakage = next(finding for finding in findings if finding.id == "readiness/leakage")
    assert HOSTILE[0] in str(leakage.details)


N = 300
Y = RANDOM.integers(0, 2, N)
ODD: dict[str, tuple[dict[str, Any], str, str]] = {
    "one row": ({"a": [1], "y": [1]}, "target", "holdout"),
    "one class": ({"a": RANDOM.normal(size=N), "y": [1] * N}, "target", "holdout"),
    "no positive": ({"a": RANDOM.normal(size=N), "y": Y + 5}, "target", "holdout"),
    "no labels": ({"a": RANDOM.normal(size=N), "y": [np.nan] * N}, "target", "holdout"),
    "all missing": ({"a": [None] * N, "y": Y}, "missing", "a"),
    "all constant": ({"a": [1.0] * N, "y": Y}, "constant", "a"),
    "infinite": ({"a": np.where(Y == 1, np.inf, 1.5), "y": Y}, "infinite", "a"),
    "mixed types": ({"a": ["1", "x", "2.5"] * 100, "y": Y}, "mixed-types", "a"),
    "mixed zones": ({"a": ["2020-01-01T10:00:00Z", "2020-01-01T10:00:00"] * 150, "y": Y}, "mixed-types", "a"),
    "all unique": ({"a": [f"v{i}" for i in range(2000)], "y": [0, 1] * 1000}, "cardinality", "a"),
}


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("alone", [True, False])
def test_degenerate_tables_are_never_silently_fine(tmp_path: Path, case: str, alone: bool) -> None:
    columns, check, subject = ODD[case]
    table = saved(tmp_path, pd.DataFrame(columns))
    findings = run(
        tmp_path, table, roles=Roles(protected="a"), **({} if alone else {"train": table, "production": table})
    )
    assert statuses(findings, check)[subject] in BAD
    assert Status.ERROR not in {finding.status for finding in findings}
    assert all(finding.reason for finding in findings if finding.status is Status.ABSENT)


def test_a_million_categories(tmp_path: Path) -> None:
    k = 1_000_000
    table = saved(tmp_path, pd.DataFrame({"a": np.arange(k).astype(str), "y": RANDOM.integers(0, 2, k)}))
    findings = run(tmp_path, table, roles=Roles(protected="a"))
    assert statuses(findings, "cardinality") == {"a": Status.WARN}
    assert statuses(findings, "groups") == {"a": Status.WARN}


def test_nested_values_zones_and_numbers_beyond_int64(tmp_path: Path) -> None:
    frame = pd.DataFrame({
        "when": pd.date_range("2020", periods=N, tz="Europe/Berlin"), "took": pd.to_timedelta(np.arange(N), unit="s"),
        "list": [[1, 2]] * N, "big": np.arange(N, dtype="uint64") + np.uint64(2**63), "y": Y,
    })  # fmt: skip
    table = saved(tmp_path, frame)
    findings = run(tmp_path, table, roles=Roles(protected="when"), train=table, production=table)
    assert statuses(findings, "overlap")[""] is Status.FAIL


@pytest.mark.parametrize("kind", ["regression", "multiclass"])
def test_other_tasks(tmp_path: Path, kind: Any) -> None:
    target = RANDOM.normal(size=600) if kind == "regression" else RANDOM.choice(["a", "b", "c"], 600)
    frame = pd.DataFrame(
        {"x": RANDOM.normal(size=600), "leak": target if kind == "regression" else pd.factorize(target)[0], "y": target}
    )
    findings = run(tmp_path, saved(tmp_path, frame), Task(kind=kind, target="y"))
    assert statuses(findings, "leakage") == {"leak": Status.FAIL}


def binary(target: str, positive: int = 1) -> Task:
    return Task(kind="binary", target=target, positive=positive)


def test_real_data_has_no_absurd_failure(cases: Path) -> None:
    roles = Roles(protected=("sex", "age"))
    german = run(cases, "fairness/german/german_data_credit_lequy.csv", binary("class-label"), roles)
    assert [f.key for f in german if f.status in BAD] == ["readiness/groups[age]"]
    roles = Roles(protected=("race", "sex"), key=("entity_id",))
    compas = run(cases, "fairness/compas/compas_for_aequitas.csv", binary("label_value", 0), roles)
    assert [f.key for f in compas if f.status in BAD] == ["readiness/groups[race]"]
    assert "Native American" in next(f for f in compas if f.status is Status.WARN).title
    roles = Roles(protected=("Gender", "Marital"))
    audit = run(cases, "legacy_models/lightgbm/2.3.0/input_Audit.csv", binary("Adjusted"), roles)
    assert [f.key for f in audit if f.status is Status.FAIL] == []


def test_known_errors_of_published_sets_are_found(cases: Path) -> None:
    """Raha's hospital and beers sets: the columns in which most planted errors lie are named."""
    hospital = run(cases, "data_quality/raha/hospital/dirty.csv", Task(kind="multiclass", target="Condition"))
    spelt = set(statuses(hospital, "category-variants"))
    assert {"HospitalType", "HospitalOwner", "City", "CountyName", "MeasureCode", "Stateavg"} <= spelt
    assert {"ProviderNumber", "ZipCode", "PhoneNumber"} <= set(statuses(hospital, "mixed-types"))
    beers = run(cases, "data_quality/raha/beers/dirty.csv", Task(kind="multiclass", target="style"), Roles(key="id"))
    assert statuses(beers, "disguised-nulls")["ibu"] is Status.WARN
    assert statuses(beers, "mixed-types")["abv"] is Status.WARN
