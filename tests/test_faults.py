"""The faults the workbench must survive, at the doors a person uses: the command line, and an audit run whole.

Each ends in a finding or a sentence that says what to do. docs/faults.md says where the others are held.
"""

from __future__ import annotations

import ast
import errno
import json
import os
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench import catalog, store
from workbench.evidence import Evidence, Finding, Status
from workbench.migration import Migration, open_migration
from workbench.ui.cli import main

ROOT = Path(__file__).resolve().parent
TABLE = ROOT.parent / "docs" / "faults.md"
FAULTS = re.findall(r"^\| ([^|]+) \| [^|]+ \| (`[^|]+`) \|$", TABLE.read_text(encoding="utf-8"), re.M)
"""What goes wrong, and where that is tried."""


@pytest.mark.parametrize(("fault", "tests"), FAULTS, ids=[fault for fault, _ in FAULTS])
def test_every_fault_has_its_test(fault: str, tests: str) -> None:
    for where in tests.split("<br>"):
        path, _, name = where.strip("`").partition("::")
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, where


def test_the_table_of_faults_is_read_whole() -> None:
    assert len(FAULTS) == TABLE.read_text(encoding="utf-8").count("\n| ") - 1


QUICK: dict[str, dict[str, object]] = {
    "benchmark": {"seconds": 0.05, "samples": 10, "batches": [16]},
    "explainability": {"rows": 20, "background": 20, "evaluations": 10_000},
}
JUDGES = ("readiness", "compatibility", "parity", "bias", "explainability")


def audited(migration: Migration, names: tuple[str, ...] = JUDGES) -> Iterator[tuple[str, Finding]]:
    """Every finding of these audits; none of them broke, and none is silent about what it did not see."""
    for name in names:
        evidence = catalog.run(migration, name, QUICK.get(name))
        assert evidence.findings, name
        for finding in evidence.findings:
            assert not finding.id.endswith("/crashed"), (name, finding.reason)
            if finding.status is Status.ABSENT:
                assert len(finding.reason) > 15, (name, finding)
            yield name, finding


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a booster on a text and two numbers (legacy.txt), and what it was lifted to (candidate.pt2)."""
    import lightgbm

    from workbench.migrate.lift import lift
    from workbench.models import open_model

    folder = tmp_path_factory.mktemp("models")
    rows = usual(600)
    features = rows[["city", "income", "age"]].assign(city=rows["city"].astype("category"))
    model = lightgbm.LGBMClassifier(n_estimators=10, num_leaves=7, n_jobs=1, verbose=-1).fit(features, rows["default"])
    model.booster_.save_model(folder / "legacy.txt")
    lift(open_model("legacy.txt", folder=folder)).save(folder / "candidate.pt2")
    return folder


def usual(n: int) -> pd.DataFrame:
    random = np.random.default_rng(3)
    income, age = random.normal(40, 9, n).round(1), random.integers(20, 70, n)
    default = (random.random(n) < 1 / (1 + np.exp((income - 40) / 6))).astype(int)
    return pd.DataFrame({"city": random.choice(["Ulm", "Bonn"], n), "income": income, "age": age, "default": default})


def moved(folder: Path, models: Path, rows: pd.DataFrame, protected: str = "city") -> Migration:
    folder.mkdir(exist_ok=True)
    limits = {name: limit.model_dump(mode="json") for name, limit in catalog.default_limits().items()}
    rows.to_csv(folder / "rows.csv", index=False)
    (folder / "migration.yaml").write_text(
        f"version: 1\nname: odd\ndata: {{holdout: rows.csv}}\n"
        f"legacy: {{uri: {models / 'legacy.txt'}}}\ncandidate: {{uri: {models / 'candidate.pt2'}}}\n"
        f"task: {{kind: binary, target: default, positive: 1}}\nroles: {{protected: [{protected}]}}\n"
        f"limits: {json.dumps(limits)}\n"
    )
    return open_migration(folder)


# --------------------------------------------------------------------------- degenerate holdouts


def degenerate() -> dict[str, pd.DataFrame]:
    rows = usual(200)
    random = np.random.default_rng(5)
    zones = random.choice(["2020-01-01T10:00:00Z", "2020-01-01T10:00:00+02:00", "2020-01-01 10:00"], 200)
    return {
        "no rows": rows.iloc[:0],
        "one row": rows.iloc[:1],
        "one class": rows.assign(default=1),
        "no labels": rows.assign(default=np.nan),
        "all missing": rows.assign(city=None, income=None, age=None),
        "all constant": rows.assign(city="Ulm", income=1.0, age=30),
        "infinite": rows.assign(income=np.where(rows.index % 3 == 0, np.inf, rows["income"])),
        "many categories": rows.iloc[random.integers(0, 200, 20_000)].assign(city=np.arange(20_000).astype(str)),
        "dates of many zones": rows.assign(city=zones),
    }


@pytest.mark.parametrize("case", degenerate())
def test_a_degenerate_holdout_is_judged_or_not_assessed_with_the_reason(
    case: str, models: Path, tmp_path: Path
) -> None:
    migration = moved(tmp_path / "odd", models, degenerate()[case])
    found = list(audited(migration))
    unsound = [finding for _, finding in found if finding.status in (Status.WARN, Status.FAIL, Status.ABSENT)]
    assert unsound, f"{case}: silently fine"
    if case in ("no rows", "no labels"):
        # What needs the truth cannot pass without it; who is selected can be compared all the same.
        unlabelled = {"bias/one-answer", "bias/selection-rate-gap"}
        passed = {finding.id for name, finding in found if name == "bias" and finding.status is Status.PASS}
        assert passed <= unlabelled, passed


@pytest.mark.slow
@pytest.mark.parametrize("case", ["no rows", "one row"])
def test_a_benchmark_of_next_to_nothing(case: str, models: Path, tmp_path: Path) -> None:
    migration = moved(tmp_path / "odd", models, degenerate()[case])
    assert list(audited(migration, ("benchmark",)))


def test_a_holdout_the_model_cannot_be_asked_about(models: Path, tmp_path: Path) -> None:
    rows = usual(100)
    migration = moved(tmp_path / "odd", models, rows.assign(income=np.where(rows.index == 7, "n.a.?", rows["income"])))
    found = list(audited_or_errors(migration))
    told = [finding for _, finding in found if "income" in finding.subject + finding.reason]
    assert told, "nothing names the column that holds text where the model wants numbers"
    assert any(finding.status in (Status.WARN, Status.FAIL) for _, finding in found)


def audited_or_errors(migration: Migration) -> Iterator[tuple[str, Finding]]:
    """As audited, where a sentence may stand for an audit: a model that refuses its input is no crash of ours."""
    for name in JUDGES:
        for finding in catalog.run(migration, name, QUICK.get(name)).findings:
            if finding.status in (Status.ERROR, Status.ABSENT):
                assert len(finding.reason) > 15, finding
                assert "run again with --debug" not in finding.reason, finding.reason
            yield name, finding


# --------------------------------------------------------------------------- hostile names

LONG = "n" * 10_000
HOSTILE = [
    "<img src=x onerror=alert(1)>", "$\\frac{", "</script><script>alert(2)</script>", "\u202egnihton", LONG, "",
    "twice", "twice",
]  # fmt: skip


def test_hostile_names_go_through_the_journey_as_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(2)
    columns = [random.choice(["a", "<b>bold</b>", "=cmd|' /C calc'!A0"], 240) for _ in HOSTILE]
    score = random.random(240).round(3)
    truth = (random.random(240) < score).astype(int)
    frame = pd.DataFrame(dict(enumerate([*columns, score, truth])))
    frame.to_csv(tmp_path / "rows.csv", index=False, header=[*HOSTILE, "score", "truth"])
    folder, protected = tmp_path / "hostile", f"{HOSTILE[0]},{HOSTILE[3]}"
    words = ["--data", str(tmp_path / "rows.csv"), "--model", "column:score", "--target", "truth"]
    assert main(["new", str(folder), *words, "--protected", protected]) == 0
    assert main(["check", str(folder)]) == 0
    migration = open_migration(folder)
    assert set(migration.roles.protected) == {HOSTILE[0], HOSTILE[3]}
    evidences = [catalog.run(migration, name) for name in ("readiness", "parity", "bias")]
    assert not [one for evidence in evidences for one in evidence.findings if one.status is Status.ERROR]
    assert HOSTILE[0] in {one.subject for one in evidences[2].findings}
    keep(migration.folder, evidences)
    capsys.readouterr()
    assert main(["show", str(folder), "bias", "--full"]) == 0
    assert "\u202e" not in capsys.readouterr().out, "a name must not turn the text of a terminal round"
    assert main(["report", str(folder)]) == 0
    page = Path(capsys.readouterr().out.strip().splitlines()[-1]).read_text(encoding="utf-8")
    bare = re.sub(r"<script\b.*?</script>", "", page, flags=re.S)
    assert "&lt;img src=x" in bare
    assert "<img src=x" not in page
    assert "<script>alert" not in page


def keep(folder: Path, evidences: list[Evidence]) -> None:
    """As a run keeps them."""
    with store.open_run(folder) as run:
        for evidence in evidences:
            part = catalog.entry(evidence.audit).stem
            store.write(run.workplace(part) / store.EVIDENCE, evidence.to_json())
            run.publish(part, audit=evidence.audit, key=evidence.key)
        run.finish()


# --------------------------------------------------------------------------- files that are not what they should be


class Canary:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("open('canary', 'w').close()",))


def test_a_pickle_that_runs_code_is_refused_at_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps({"model": Canary()}))
    usual(50).to_csv(tmp_path / "rows.csv", index=False)
    assert main(["new", "moved", "--data", "rows.csv", "--model", "model.pkl", "--target", "default"]) == 3
    said = capsys.readouterr().err
    assert "builtins.exec" in said
    assert "Nothing of it was run" in said
    assert not (tmp_path / "canary").exists()
    assert not (tmp_path / "moved").exists()


def test_a_tree_that_leads_nowhere_is_refused_at_the_command_line(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (models / "legacy.txt").read_text()
    broken = re.sub(r"left_child=-?\d+", "left_child=70000", text, count=1)
    assert broken != text
    (tmp_path / "legacy.txt").write_text(broken)
    usual(50).to_csv(tmp_path / "rows.csv", index=False)
    words = ["--data", str(tmp_path / "rows.csv"), "--model", str(tmp_path / "legacy.txt"), "--target", "default"]
    assert main(["new", str(tmp_path / "moved"), *words]) == 3
    said = capsys.readouterr().err
    assert "tree 0" in said, said
    assert "Traceback" not in said


# --------------------------------------------------------------------------- what does not fit together


@pytest.mark.parametrize(
    ("drop", "words"),
    [("default", ["'default'", "migration.yaml"]), ("income", ["'income'", "'city', 'age', 'default'", "rename"])],
)
def test_target_missing_and_columns_that_disagree(
    drop: str, words: list[str], models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    migration = moved(tmp_path / "odd", models, usual(100).drop(columns=drop))
    assert main(["check", str(migration.folder)]) == 1
    said = capsys.readouterr().out
    for word in words:
        assert word in said
    for name, finding in audited_or_errors(migration):
        assert finding.status is not Status.PASS or name in ("readiness", "compatibility"), finding
    named = [one.reason for one in catalog.run(migration, "parity").findings if f"'{drop}'" in one.reason]
    assert named, "the audit names the column"


@pytest.mark.parametrize(
    ("old", "new", "line", "word"),
    [
        ("task:", "tasks:", 6, "did you mean 'task'"),
        ("positive: 1", "positive: [1, 2]", 6, "positive"),
        ("version: 1", "version: 99", 1, "99"),
        ("version: 1", "a: &a [1, 1]\nb: [*a, *a]\nversion: 1", 1, "alias"),
    ],
)
def test_a_wrong_migration_file_is_told_by_every_command(
    old: str, new: str, line: int, word: str, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = moved(tmp_path / "odd", models, usual(30)).folder
    path = folder / "migration.yaml"
    path.write_text(path.read_text().replace(old, new, 1))
    for command in ("check", "run", "status", "report"):
        assert main([command, str(folder)]) == 3
        said = capsys.readouterr().err
        assert f"migration.yaml:{line}" in said, (command, said)
        assert word in said, (command, said)
    assert not (folder / "reports").exists()


# --------------------------------------------------------------------------- models that answer wrongly

WRONG = """
import itertools
import numpy as np

asked = itertools.count()

def nan(frame):
    return np.where(np.arange(len(frame)) % 5 == 0, np.nan, frame["age"] / 100)

def all_nan(frame):
    return np.full(len(frame), np.nan)

def short(frame):
    return (frame["age"] / 100).to_numpy()[:-1]

def wide(frame):
    return np.full((len(frame), 2, 2), 0.5)

def beyond(frame):
    return frame["age"].to_numpy() * 1.0

def random(frame):
    return np.random.default_rng(next(asked)).random(len(frame))

def raises(frame):
    raise KeyError("a secret of row 17")

def greedy(frame):
    return np.ones((1 << 30,))[: len(frame)]
"""
NAMED = {
    "nan": "no usable answer for 20 of 100 rows",
    "all_nan": "no usable answer for 100 of 100 rows",
    "short": "99 rows for 100",
    "wide": "shape",
    "beyond": "probabilit",
    "random": "answers differently when asked twice",
    "raises": "KeyError at line 26 of wrong.py",
}


@pytest.mark.parametrize("function", NAMED)
def test_a_model_that_answers_wrongly_is_named_by_every_audit(function: str, models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    migration = moved(folder, models, usual(100))
    (folder / "wrong.py").write_text(WRONG)
    path = folder / "migration.yaml"
    path.write_text(path.read_text().replace(str(models / "candidate.pt2"), f"'python:wrong:{function}'"))
    migration = open_migration(folder)
    found = {
        name: catalog.run(migration, name, QUICK.get(name)).findings for name in ("parity", "bias", "explainability")
    }
    told = " ".join(f"{one.title} {one.reason}" for findings in found.values() for one in findings)
    assert NAMED[function] in told
    assert "secret" not in told, told
    for name, findings in found.items():
        bad = [one for one in findings if one.status in (Status.FAIL, Status.ERROR, Status.ABSENT)]
        assert bad, f"{name} takes its answers at face value"
        for one in bad:
            assert one.fix, one
            assert "run again with --debug" not in one.reason, one.reason


def test_a_benchmark_times_no_model_that_answers_wrongly(models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    moved(folder, models, usual(100))
    (folder / "wrong.py").write_text(WRONG)
    path = folder / "migration.yaml"
    path.write_text(path.read_text().replace(str(models / "candidate.pt2"), "'python:wrong:raises'"))
    findings = catalog.run(open_migration(folder), "benchmark", QUICK["benchmark"]).findings
    assert not [one for one in findings if one.status is Status.PASS]
    assert any("KeyError" in one.reason for one in findings)


def test_a_model_that_runs_out_of_memory_is_one_finding_with_its_peak_and_the_rest_goes_on(
    models: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "odd"
    moved(folder, models, usual(100))
    (folder / "wrong.py").write_text(WRONG)
    path = folder / "migration.yaml"
    greedy = f"{{uri: {models / 'candidate.pt2'}}}", "{uri: 'python:wrong:greedy', options: {memory_mb: 2000}}"
    path.write_text(path.read_text().replace(*greedy))
    migration = open_migration(folder)
    found = catalog.run(migration, "parity").findings
    told = [one for one in found if re.search(r"out of memory at \d+ MiB", one.reason)]
    assert len(told) == 1, found
    assert told[0].status in (Status.ERROR, Status.ABSENT)
    assert "memory_mb" in told[0].reason
    assert not [one for one in found if one.status is Status.PASS]
    rest = catalog.run(migration, "readiness").findings
    assert {one.status for one in rest} & {Status.PASS, Status.WARN}


# --------------------------------------------------------------------------- clocks and places


def test_a_clock_that_is_set_during_a_run_is_a_warning_of_the_run(
    tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.runner import engine, journey

    migration, told = moved(tmp_path / "odd", models, usual(30)), []
    monkeypatch.setattr("workbench.store.writing._moved", lambda *_: -3600.0)
    with store.open_run(migration.folder) as writer:
        run = journey._Journey(migration, [], writer, False, told.append)
        with engine.engine(engine.LOCAL, migration, 1, 10.0) as make:
            run.go(make)
    said = [event.text for event in told if event.event == "warning"]
    assert len(said) == 1
    assert "set back by 3,600 s" in said[0]


@pytest.mark.parametrize(("code", "word"), [(errno.EROFS, "read-only"), (errno.ENOLCK, "has no locks")])
def test_a_run_where_nothing_can_be_written_is_refused_before_any_notebook_starts(
    code: int, word: str, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def refused(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    folder = moved(tmp_path / "odd", models, usual(30)).folder
    monkeypatch.setattr("workbench.store.writing.FileLock.acquire", refused)
    assert main(["run", str(folder), "--progress", "plain"]) == 3
    said = capsys.readouterr()
    assert word in said.err
    assert "Traceback" not in said.err
    assert "21_readiness" not in said.out, "no notebook was started"
