"""The command line: sentences, JSON, exit codes, and nothing heavy before it is needed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ui.conftest import bias_evidence, keep
from workbench import __version__, store
from workbench.evidence import Status
from workbench.ui.cli import USAGE, main

Captured = pytest.CaptureFixture[str]


def said(capsys: Captured, *words: object) -> tuple[int, str, str]:
    code = main([str(word) for word in words])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return code, captured.out, captured.err


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from workbench.ui.cli import main; main(['--help']);"
        "print([m for m in ('pydantic', 'numpy', 'pandas', 'torch', 'rich.live', 'jinja2', 'workbench.catalog')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    for command in ("new", "demo", "check", "status", "run", "show", "explain", "report"):
        assert f"\n  {command} " in done.stdout


def test_version(capsys: Captured) -> None:
    assert said(capsys, "--version") == (0, f"migration-workbench {__version__}\n", "")


@pytest.mark.parametrize("words", [["runn"], ["run", "--nope"], ["show"], ["run", "-j", "0"], ["run", "-j", "many"]])
def test_a_command_typed_wrongly_is_told_so_and_is_not_could_not_assess(capsys: Captured, words: list[str]) -> None:
    code, _, err = said(capsys, *words)
    assert (code, "Usage" in err) == (USAGE, True)


@pytest.mark.parametrize("command", ["check", "status", "run", "report", "show"])
def test_where_no_migration_is_the_next_step_is_named(tmp_path: Path, capsys: Captured, command: str) -> None:
    code, _, err = said(capsys, command, tmp_path, *(["bias"] if command == "show" else []))
    assert code == 3
    assert "workbench new" in err


def test_errors_are_json_too_when_json_is_asked_for(tmp_path: Path, capsys: Captured) -> None:
    code, out, _ = said(capsys, "status", tmp_path, "--json")
    assert code == 3
    assert "workbench new" in json.loads(out)["error"]


def test_an_unforeseen_error_is_a_sentence_and_a_traceback_only_with_debug(
    migration: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("by nought")

    monkeypatch.setattr("workbench.ui.showing.standing", broken)
    code, _, err = said(capsys, "status", migration)
    assert (code, "ZeroDivisionError: by nought" in err, "--debug" in err) == (3, True, True)
    with pytest.raises(ZeroDivisionError):
        main(["status", str(migration), "--debug"])


# ------------------------------------------------------------------------------------- check


def test_check_opens_everything_and_says_what_it_saw(migration: Path, capsys: Captured) -> None:
    code, out, _ = said(capsys, "check", migration)
    assert code == 0, out
    assert "holdout: 120 rows, 4 columns" in out
    assert "legacy: it answers (100 rows tried)" in out
    assert f"workbench run {migration}" in out


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("target: default", "target: defaults", 5, ["the target is 'defaults'", "did you mean 'default'?"]),
        ("[sex]", "[gender]", 6, ["roles.protected is 'gender'", "'sex', 'income'"]),
        ("column:decision", "column:decided", 4, ["decided", "decision"]),
        ("holdout: loans.csv", "holdout: loan.csv", 3, ["loan.csv", "loans.csv"]),
        ("min_group: 40", "min_groups: 40", 8, ["min_groups", "min_group"]),
        ("kind: binary", "kind: binry", 5, ["binry", "binary"]),
    ],
)
def test_check_names_the_line_what_was_seen_and_what_is_there(
    migration: Path, capsys: Captured, old: str, new: str, line: int, words: list[str]
) -> None:
    path = migration / "migration.yaml"
    path.write_text(path.read_text().replace(old, new))
    code, out, err = said(capsys, "check", migration)
    assert code in (1, 3)
    assert f"migration.yaml:{line}:" in out + err
    for word in words:
        assert word in out + err


def test_check_names_columns_the_model_asks_for_and_the_data_has_not(
    migration: Path, capsys: Captured, cases: Path
) -> None:
    model = cases / "legacy_models" / "lightgbm" / "2.3.0" / "ClassificationAudit.txt"
    if not model.exists():
        pytest.skip("no LightGBM model among the cases")
    path = migration / "migration.yaml"
    path.write_text(path.read_text().replace('"column:decision"', f'"{model}"'))
    code, out, _ = said(capsys, "check", migration)
    assert code == 1
    assert "the legacy model asks for 'Age'" in out
    assert "'sex', 'income', 'default', 'decision'" in out
    assert "rename the columns" in out


# ------------------------------------------------------------------------------------- reading


def test_status_has_a_sentence_per_chapter_and_the_next_step(judged: Path, capsys: Captured) -> None:
    code, out, _ = said(capsys, "status", judged)
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("credit: Not ready: 1 thing blocks go-live.")
    chapters = [line for line in lines if line[:2] in {f"{n} " for n in range(1, 7)}]
    assert len(chapters) == 6
    assert "5 Trust     ✗ blocks go-live" in out
    assert "Not run: 52_explainability." in out
    assert f"workbench run {judged}" in lines[-1]


def test_status_says_what_is_stale(judged: Path, capsys: Captured) -> None:
    assert "Stale" not in said(capsys, "status", judged)[1]
    path = judged / "migration.yaml"
    path.write_text(path.read_text().replace("min_group: 40", "min_group: 60"))
    assert "Stale: 51_bias." in said(capsys, "status", judged)[1]
    told = json.loads(said(capsys, "status", judged, "--json")[1])
    [bias] = [book for chapter in told["chapters"] for book in chapter["notebooks"] if book["notebook"] == "51_bias"]
    assert (bias["fresh"], bias["status"]) == (False, "fail")


def test_damaged_evidence_is_named_and_not_left_out(judged: Path, capsys: Captured) -> None:
    stored = store.latest(judged, "bias")
    assert stored is not None
    path = stored.folder / store.EVIDENCE
    path.write_text(path.read_text().replace("0.1,", "0.0,"))
    told = json.loads(said(capsys, "status", judged, "--json")[1])
    [bias] = [book for chapter in told["chapters"] for book in chapter["notebooks"] if book["notebook"] == "51_bias"]
    assert "51_bias/evidence.json: changed" in bias["sentence"]
    code, _, err = said(capsys, "show", judged, "bias")
    assert (code, "changed after it was written" in err) == (3, True)


def test_show_is_worst_first_with_the_pair_and_the_limits_owner(judged: Path, capsys: Captured) -> None:
    code, out, _ = said(capsys, "show", judged, "51_bias")
    assert code == 0
    assert "✗ blocks go-live: Women are selected less often [sex]" in out
    assert re.search(r"\+?0\.10* \(0\.080* to 0\.120*\), limit 0\.05, Risk policy 4\.2", out), out
    assert "fix: Mend it." in out
    assert "it still holds" in out


def test_show_full_has_the_tables_as_text(judged: Path, capsys: Captured) -> None:
    out = said(capsys, "show", judged, "bias", "--full")[1]
    assert "why: It matters." in out
    assert "<b>m</b>" in out
    assert "Groups" in out


def test_show_json_is_the_evidence_itself(judged: Path, capsys: Captured) -> None:
    out = said(capsys, "show", judged, "bias", "--json")[1]
    assert json.loads(out) == json.loads(bias_evidence(judged).to_json())


def test_show_of_what_was_never_run_and_of_what_does_not_exist(judged: Path, capsys: Captured) -> None:
    code, _, err = said(capsys, "show", judged, "parity")
    assert (code, "--only parity" in err) == (3, True)
    code, _, err = said(capsys, "show", judged, "biass")
    assert (code, "did you mean 'bias'" in err) == (3, True)


def test_explain(capsys: Captured) -> None:
    code, out, _ = said(capsys, "explain", "bias/selection-rate-gap[sex]")
    assert code == 0
    for word in ("why ", "fix ", "limit "):
        assert f"\n{word}" in out
    code, _, err = said(capsys, "explain", "bias/selection-rate-gapp")
    assert (code, "did you mean" in err) == (3, True)
    assert "bias/selection-rate-gap" in json.loads(said(capsys, "explain", "--json")[1])


def test_report_is_made_from_what_is_stored_and_then_kept_up_to_date(judged: Path, capsys: Captured) -> None:
    code, out, _ = said(capsys, "report", judged)
    path = Path(out.strip())
    assert (code, path) == (0, judged / "reports" / "report.html")
    assert "Women are selected less often" in path.read_text()
    keep(judged, bias_evidence(judged, Status.PASS))
    said(capsys, "report", judged)
    assert "Ready so far" in path.read_text()
    elsewhere = judged / "to" / "send.html"
    assert said(capsys, "report", judged, "-o", elsewhere)[0] == 0
    assert elsewhere.exists()


def test_report_without_evidence_says_what_to_do(migration: Path, capsys: Captured) -> None:
    code, _, err = said(capsys, "report", migration)
    assert (code, f"workbench run {migration}" in err) == (3, True)


def test_progress_names_its_choices(migration: Path, capsys: Captured) -> None:
    code, _, err = said(capsys, "run", migration, "--progress", "loud")
    assert (code, "auto, live, plain, json, none" in err) == (3, True)


# ------------------------------------------------------------------------------------- making


def test_new_proposes_says_why_and_is_ready_for_check(tmp_path: Path, migration: Path, capsys: Captured) -> None:
    folder = tmp_path / "fresh"
    words = ["new", folder, "--data", migration / "loans.csv", "--model", "column:decision"]
    code, out, err = said(capsys, *words, "--target", "default", "--protected", "sex")
    assert code == 0, out
    assert "Reading" in err, "a sign of life before what takes long"
    assert "task.target = default" in out
    assert "roles.protected = sex" in out
    assert f"workbench check {folder}\n" in out
    assert f"workbench run {folder}\n" in out
    assert (folder / "notebooks" / "00_journey.ipynb").exists()
    assert said(capsys, "check", folder)[0] == 0
    code, _, err = said(capsys, *words)
    assert (code, "--force" in err) == (3, True)
    told = json.loads(said(capsys, *words, "--target", "default", "--force", "--json")[1])
    assert {"task.target", "task.kind"} <= {value["key"] for value in told["proposed"]}


@pytest.mark.parametrize("given", ['features=["a", "b c"]', "features=a,b c", "features= a, b c,"])
def test_an_option_that_is_a_list_is_written_with_commas_or_as_json(given: str) -> None:
    from workbench.ui.making import Chosen

    assert Chosen((), "", options=(given, "classes=0,1", "rounds=3", "feature_map=a,b.txt")).model_options() == {
        "features": ["a", "b c"], "classes": [0, 1], "rounds": 3, "feature_map": "a,b.txt",
    }  # fmt: skip


def test_help_shows_whole_seconds(capsys: Captured) -> None:
    code, out, _ = said(capsys, "run", "--help")
    assert code == 0
    assert "3600" in out
    assert "3600.0" not in out


def test_new_names_a_target_that_is_not_there(tmp_path: Path, migration: Path, capsys: Captured) -> None:
    words = ["new", tmp_path / "x", "--data", migration / "loans.csv", "--model", "column:decision"]
    code, _, err = said(capsys, *words, "--target", "defualt")
    assert code == 3
    assert "default" in err
    assert not (tmp_path / "x" / "migration.yaml").exists()
