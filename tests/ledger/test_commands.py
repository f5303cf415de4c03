"""The ledger at the command line."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ledger_samples import GAP

from workbench import ledger, store
from workbench.migration import open_migration
from workbench.ui.cli import main

TODAY = datetime.now(UTC).date().isoformat()


def ask(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(list(words))
    told = capsys.readouterr()
    return code, told.out, told.err


def test_waive_lists_ends_and_says_what_is_missing(credit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(credit)
    assert "Nothing is waived" in ask(capsys, "waive", folder)[1]
    code, _, wrong = ask(capsys, "waive", folder, GAP)
    assert code == 3
    assert "--until is missing" in wrong
    assert "no day" in ask(capsys, "waive", folder, GAP, "--until", "soon", "--reason", "x")[2]
    code, told, _ = ask(capsys, "waive", folder, GAP, "--until", TODAY, "--reason", "The board knows")
    assert code == 0
    assert f"{GAP} is waived until {TODAY}" in told
    assert "The board knows" in ask(capsys, "waive", folder)[1]
    code, told, _ = ask(capsys, "status", folder)
    assert "1 warning" in told
    number = ledger.read(credit).entries[-1].seq
    assert ask(capsys, "waive", folder, "--end", str(number), "--reason", "Mended")[0] == 0
    assert "Nothing is waived" in ask(capsys, "waive", folder)[1]


def test_sign_refuses_the_producer_and_says_where_it_stands(ready: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, me = str(ready), store.user()[0]
    assert "Waits for 2 decisions: 1 from risk and 1 from business." in ask(capsys, "sign", folder)[1]
    assert "is not read" in ask(capsys, "sign", folder, "--decision", "maybe")[2]
    assert "not among the people" in ask(capsys, "sign", folder, "--decision", "approve")[2]
    text = (ready / "migration.yaml").read_text()
    (ready / "migration.yaml").write_text(text.replace("    bob:", f"    {me}: {{role: business}}\n    bob:"))
    code, _, wrong = ask(capsys, "sign", folder, "--decision", "approve")
    assert code == 3
    assert "another pair of eyes" in wrong
    assert "is not read" in ask(capsys, "sign", folder, "--decision", "reject", "--condition", "only this")[2]
    assert "no candidate file" in ask(capsys, "promote", folder)[2]


def test_verify_and_export(ready: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, bundle = str(ready), str(tmp_path / "credit.zip")
    public = ask(capsys, "key")[1].strip()
    assert public == ledger.my_key().public
    code, told, _ = ask(capsys, "verify", folder, "--key", public)
    assert code == 0
    assert "Everything is as it was written" in told
    assert ask(capsys, "export", folder, "-o", bundle)[0] == 0
    assert ask(capsys, "verify", bundle, "--key", public)[0] == 0
    mark = str(ledger.read(ready).checkpoint)
    assert ask(capsys, "verify", folder, "--key", public, "--checkpoint", mark)[0] == 0
    run = store.runs(ready)[0].folder / "51_bias" / "evidence.json"
    run.write_bytes(run.read_bytes().replace(b"0.1", b"0.2"))
    code, told, _ = ask(capsys, "verify", folder, "--json")
    assert code == 1
    assert "51_bias/evidence.json" in json.loads(told)["problems"][0]
    assert "no public key" in ask(capsys, "verify", folder, "--key", "abc")[2]
    assert "no checkpoint" in ask(capsys, "verify", folder, "--checkpoint", "abc")[2]
    assert "does not exist" in ask(capsys, "verify", str(tmp_path / "nowhere"))[2]


def test_another_key_is_accepted(
    ready: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_KEYS", str(tmp_path / "bob"))
    public = ask(capsys, "key")[1].strip()
    monkeypatch.undo()
    assert "--owner is missing" in ask(capsys, "key", str(ready), "--accept", public)[2]
    assert ask(capsys, "key", str(ready), "--accept", public, "--owner", "Bob")[0] == 0
    assert ledger.key_id(public) in ledger.read(ready).keys


def test_invite_adds_a_person_and_prints_a_link_that_works_once(
    ready: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from workbench.ui.review.people import People

    folder = str(ready)
    assert "Say what they answer for" in ask(capsys, "invite", "zoe", folder)[2]
    code, told, _ = ask(capsys, "invite", "zoe", folder, "--role", "audit", "--url", "https://review.example.org/x/")
    assert code == 0
    link = told.splitlines()[0]
    assert link.startswith("https://review.example.org/x/invite/")
    review = open_migration(ready).review
    assert review.people["zoe"].role == "audit"
    assert review.quorum == {"risk": 1, "business": 1, "audit": 1}
    people = People(ready)
    assert people.session(people.enter(link.rsplit("/", 1)[1])) is not None
    assert "1 session ended" in ask(capsys, "invite", "zoe", folder, "--shut-out")[1]


def test_a_waiver_given_after_the_run_is_in_the_report(credit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(credit)
    before = Path(ask(capsys, "report", folder)[1].strip()).read_text()
    assert "Waived by" not in before
    ask(capsys, "waive", folder, GAP, "--until", TODAY, "--reason", "The board knows")
    after = Path(ask(capsys, "report", folder)[1].strip()).read_text()
    assert "The board knows" in after
    assert "1 thing blocks" not in after


@pytest.mark.browser
def test_a_report_is_printed_where_a_browser_is(
    credit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    from workbench.render.pdf import BROWSERS

    if not any(map(shutil.which, BROWSERS)):
        pytest.skip("no Chromium to print with")
    out = tmp_path / "report.pdf"
    assert ask(capsys, "report", str(credit), "-o", str(out))[0] == 0
    assert out.read_bytes().startswith(b"%PDF-")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "Install Chromium" in ask(capsys, "report", str(credit), "-o", str(out))[2]
