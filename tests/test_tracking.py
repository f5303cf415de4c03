"""What is recorded in MLflow, read back with MLflow's own client; and that a store can never do harm to a run."""

from __future__ import annotations

import json
import math
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from ledger_samples import ADA, BOB, keep, migration_in

from workbench import ledger, store, tracking
from workbench.evidence import Status
from workbench.migration import MigrationError, Tracking, open_migration
from workbench.migration.addresses import address_problem, shown
from workbench.tracking.records import journeys, key_of, value_of
from workbench.tracking.studies import trainings
from workbench.ui.cli import main

CURVE = [{"epoch": n, "loss": 1.0 / n, "check": 1.1 / n, "metric": 0.5 + n / 100, "seconds": n / 10} for n in (1, 2, 3)]


def filled(place: Path) -> Path:
    """Two finished runs, a candidate, and a training beside it."""
    folder = migration_in(place)
    keep(folder)
    keep(folder, Status.PASS, 0.01)
    made = folder / "models" / "abc" / "retrained" / "x1"
    made.mkdir(parents=True)
    (made / "candidate.pt2").write_bytes(b"a program")
    (made / "candidate.json").write_text("{}")
    (made / "recipe.json").write_text(json.dumps({"family": "tabm", "width": 128, "seed": 0}))
    lines = "".join(json.dumps(one) + "\n" for one in CURVE)
    (made / "curve.jsonl").write_text(lines + '{"epoch": 4, "lo')
    return folder


@pytest.fixture(scope="module")
def credit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return filled(tmp_path_factory.mktemp("tracked"))


# ------------------------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("./mlruns", "file store"),
        ("file:///srv/mlruns", "file store"),
        ("ftp://host/x", "no store that is written to"),
        ("https://ada:geheim@mlflow.example.org", "password"),
        ("postgresql://ada:geheim@db/mlflow", "password"),
        ("postgresql://db/mlflow?password=geheim", "password"),
        ("https://", "names no server"),
        ("sqlite:///", "names no database"),
        ("https://host:port/", "cannot be read"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_with_the_reason(uri: str, said: str) -> None:
    assert said in address_problem(uri)


@pytest.mark.parametrize(
    "uri", ["sqlite:///.workbench/mlflow.db", "postgresql+psycopg://ada@db/mlflow", "http://h:5000"]
)
def test_an_address_of_a_store_is_taken(uri: str) -> None:
    assert address_problem(uri) == ""


def test_what_is_secret_in_an_address_is_not_shown() -> None:
    assert shown("postgresql://ada:ge%40heim@db:5432/mlflow?sslkey=x") == "postgresql://db:5432/mlflow"
    assert shown("sqlite:////srv/a b/mlflow.db") == "sqlite:////srv/a b/mlflow.db"


def test_a_password_in_migration_yaml_is_refused_and_not_repeated(credit: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(credit, folder)
    with (folder / "migration.yaml").open("a") as file:
        file.write("tracking: {uri: 'https://ada:geheim@mlflow.example.org'}\n")
    with pytest.raises(MigrationError, match="MLFLOW_TRACKING_PASSWORD") as error:
        open_migration(folder)
    assert "geheim" not in str(error.value)


def test_the_store_is_the_given_one_then_the_declared_one_then_the_environments_then_a_file(
    credit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    plain = open_migration(credit)
    own = f"sqlite:///{credit.resolve()}/.workbench/mlflow.db"
    assert (tracking.address(plain).uri, tracking.address(plain).embedded) == (own, True)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://ada:geheim@env.example.org")
    found = tracking.address(plain)
    assert found.uri == "https://ada:geheim@env.example.org"
    assert "geheim" not in f"{found!r} {found.shown} {found.scrubbed('401 for ' + found.uri)}"
    declared = plain.model_copy(update={"tracking": Tracking(uri="sqlite:///x.db")})
    declared = declared.at(plain.folder, plain.file)
    assert tracking.address(declared).uri == f"sqlite:///{credit.resolve()}/x.db"
    assert tracking.address(declared, "http://h").uri == "http://h"
    with pytest.raises(tracking.TrackingError, match="file store"):
        tracking.address(plain, "./mlruns")


# ------------------------------------------------------------------------------------- records


def test_a_run_is_a_record_with_one_below_for_each_notebook(credit: Path) -> None:
    migration = open_migration(credit)
    newest = list(journeys(migration))[-1].make()
    run = store.runs(credit)[0]
    assert run.record is not None
    [bias] = newest.children
    assert (newest.name, bias.name) == (f"journey {run.id}", "51_bias")
    points = {point.name: point.value for point in bias.points}
    assert points["bias/selection-rate-gap/sex/change"] == 0.01
    assert bias.tags["workbench.sha256.evidence.json"] == run.record.files["51_bias/evidence.json"].sha256
    assert bias.tags["workbench.ledger"] == run.record.ledger
    entry = ledger.read(credit).entries[int(bias.tags["workbench.ledger.entry"]) - 1]
    assert isinstance(entry.body, ledger.RunFinished)
    assert (entry.body.run, entry.sha256) == (run.id, bias.tags["workbench.ledger.sha256"])


def test_what_a_run_took_over_is_recorded_once(tmp_path: Path) -> None:
    folder = migration_in(tmp_path)
    keep(folder)
    stored = store.latest(folder, "bias")
    assert stored is not None
    with store.open_run(folder) as writer:
        writer.carry(stored)
        writer.finish()
    first, second = (planned.make() for planned in journeys(open_migration(folder)))
    assert [len(one.children) for one in (first, second)] == [1, 0]
    assert second.tags["workbench.from.51_bias"] == store.runs(folder)[1].id


def test_a_training_is_a_record_with_its_curve_and_a_line_cut_by_a_kill_is_left_out(credit: Path) -> None:
    [planned] = trainings(open_migration(credit))
    record = planned.make()
    assert record.params == {"family": "tabm", "width": 128, "seed": 0}
    losses = [(point.step, point.value, point.after) for point in record.points if point.name == "loss"]
    assert losses == [(one["epoch"], one["loss"], one["seconds"]) for one in CURVE]
    assert [path.name for path in record.files[""]] == ["curve.jsonl", "recipe.json"]


def test_names_are_what_mlflow_takes_and_stay_apart() -> None:
    names = ["a/b", "a[b]", "a(b)", "../x", "//", "", "a//b", "x" * 300, "x" * 301, "ä/ö.low", "a\nb", "."]
    made = [key_of(name) for name in names]
    assert len(set(made)) == len(names)
    assert (made[0], made[9]) == ("a/b", "ä/ö.low")
    assert all(0 < len(one) <= 250 for one in made)
    assert value_of({"b": [1, None]}) == '{"b": [1, null]}'
    assert len(value_of("x" * 10_000)) == 6000


# ------------------------------------------------------------------------------------- the champion


def signed(folder: Path) -> Any:
    """A candidate that both roles have approved and somebody promoted."""
    with (folder / "migration.yaml").open("a") as file:
        file.write("candidate: {uri: models/abc/retrained/x1/candidate.pt2}\n")
    migration = open_migration(folder)
    keep(folder, Status.PASS, 0.01)
    for actor, role in ((ADA, "risk"), (BOB, "business")):
        seen = ledger.subjects(migration)
        ledger.decide(migration, actor=actor, decision="approve", role=role, seen=seen)
    ledger.promote(migration, actor=ADA)
    return migration


@pytest.fixture
def approved(credit: Path, tmp_path: Path) -> Any:
    folder = tmp_path / "credit"
    shutil.copytree(credit, folder, ignore=shutil.ignore_patterns(".workbench"))
    return signed(folder)


def test_without_a_decision_there_is_no_champion(credit: Path) -> None:
    found = tracking.champion(open_migration(credit))
    assert (found.sha256, "no decision" in found.reason) == ("", True)


def test_a_promotion_makes_the_champion_until_an_approval_is_revoked(approved: Any) -> None:
    found = tracking.champion(approved)
    assert found.sha256 == ledger.candidate_sha(approved)
    yes = next(e for e in ledger.read(approved.folder).entries if e.actor == BOB)
    ledger.revoke(approved, yes.seq, reason="I was wrong", actor=BOB)
    found = tracking.champion(approved)
    assert (found.sha256, f"no longer stand ({yes.seq})" in found.reason) == ("", True)


def test_a_later_rejection_of_the_same_candidate_takes_the_champion_away(approved: Any) -> None:
    eve = ledger.Actor(subject="eve", issuer="review")
    seen = ledger.subjects(approved)
    ledger.decide(approved, actor=eve, decision="reject", role="business", seen=seen)
    assert "eve rejected" in tracking.champion(approved).reason


def test_a_ledger_that_was_tampered_with_names_no_champion(approved: Any) -> None:
    path = ledger.path_of(approved.folder)
    path.write_bytes(path.read_bytes().replace(b'"approve"', b'"reject"', 1))
    assert "not as it was written" in tracking.champion(approved).reason


# ------------------------------------------------------------------------------------- a real store


def client_of(folder: Path) -> Any:
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{folder.resolve()}/.workbench/mlflow.db"
    return MlflowClient(uri, uri)


def command(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workbench.ui.cli", *map(str, words)],
        env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """Tracked twice; and a client of MLflow's."""
    folder = filled(tmp_path_factory.mktemp("store"))
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        first, second = (tracking.track(open_migration(folder)) for _ in range(2))
        client = client_of(folder)
    assert (first.written, first.known, first.versions) == (3, 0, ("1", "2"))
    assert (second.written, second.known, second.versions) == (0, 3, ())
    return folder, client


def runs_in(client: Any, name: str = "credit") -> list[Any]:
    experiment = client.get_experiment_by_name(name)
    return list(client.search_runs([experiment.experiment_id]))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_mlflow_reads_back_what_the_evidence_says(tracked: tuple[Path, Any]) -> None:
    folder, client = tracked
    made = {run.info.run_name: run for run in runs_in(client)}
    newest = store.runs(folder)[0]
    journey = made[f"journey {newest.id}"]
    [bias] = [run for run in runs_in(client) if run.data.tags.get("mlflow.parentRunId") == journey.info.run_id]
    evidence = store.read_evidence(newest.folder / "51_bias" / "evidence.json")
    assert bias.data.metrics["bias/selection-rate-gap/sex/change"] == evidence.findings[0].change.value  # type: ignore[union-attr]
    assert bias.data.tags["workbench.verdict"] == str(evidence.verdict.status)
    assert bias.info.status == "FINISHED"
    copy = Path(client.download_artifacts(bias.info.run_id, "evidence.json"))
    assert store.seal_of(copy).sha256 == bias.data.tags["workbench.sha256.evidence.json"]
    training = made["models/abc/retrained/x1"]
    curve = client.get_metric_history(training.info.run_id, "loss")
    assert [(point.step, point.value) for point in curve] == [(one["epoch"], one["loss"]) for one in CURVE]
    assert training.data.params["family"] == "tabm"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_candidates_are_versions_with_their_files_and_no_champion_without_a_decision(tracked: tuple[Path, Any]) -> None:
    folder, client = tracked
    assert set(client.get_registered_model("credit").aliases) == {"legacy"}
    [version] = [v for v in client.search_model_versions("name = 'credit'") if v.tags["workbench.side"] == "candidate"]
    path = folder / "models" / "abc" / "retrained" / "x1" / "candidate.pt2"
    assert version.tags["workbench.sha256"] == store.seal_of(path).sha256
    names = {item.path for item in client.list_artifacts(version.run_id, "model")}
    assert {"model/candidate.pt2", "model/candidate.json", "model/about.json"} <= names


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_champion_follows_the_ledger_and_nobody_else(tracked: tuple[Path, Any]) -> None:
    folder, client = tracked
    client.set_registered_model_alias("credit", "champion", "1")
    migration = open_migration(folder)
    by_hand = tracking.track(migration)
    assert "champion" not in client.get_registered_model("credit").aliases
    assert "no decision in the ledger" in by_hand.notes[0]
    migration = signed(folder)
    found = tracking.track(migration)
    assert found.aliases == {"legacy": "1", "candidate": "2", "champion": "2"}
    assert client.get_model_version_by_alias("credit", "champion").tags["workbench.sha256"] == ledger.candidate_sha(
        migration
    )
    yes = next(e for e in ledger.read(folder).entries if e.actor == BOB)
    ledger.revoke(migration, yes.seq, reason="I was wrong", actor=BOB)
    after = tracking.track(migration)
    assert set(client.get_registered_model("credit").aliases) == {"legacy", "candidate"}
    assert "the alias champion was taken from version 2: promotion" in after.notes[0]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_what_a_kill_left_half_written_is_gone_on_with_and_two_at_once_repeat_nothing(
    tracked: tuple[Path, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "credit"
    shutil.copytree(tracked[0], folder, ignore=shutil.ignore_patterns("mlartifacts", "*.lock"))
    # The copy's store is the original's, which names files elsewhere: it is put aside, and made anew.
    from workbench.tracking import mlflow_store

    migration, written = open_migration(folder), []
    plain = mlflow_store.Store._log

    def cut(self: Any, run: str, record: Any) -> None:
        plain(self, run, record)
        written.append(record.identity)
        if len(written) == 3:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlflow_store.Store, "_log", cut)
        with pytest.raises(KeyboardInterrupt):
            tracking.track(migration)
    assert list((folder / ".workbench").glob("mlflow.moved-1.db"))
    both = [
        subprocess.Popen([sys.executable, "-m", "workbench.ui.cli", "track", str(folder)], stdout=subprocess.DEVNULL)
        for _ in range(2)
    ]
    assert [one.wait(300) for one in both] == [0, 0]
    runs = runs_in(client_of(folder))
    identities = [run.data.tags["workbench.identity"] for run in runs]
    assert len(identities) == len(set(identities))
    assert {run.info.status for run in runs} <= {"FINISHED", "FAILED"}
    assert sum(run.data.tags["workbench.kind"] == "journey" for run in runs) == len(store.runs(folder))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_locked_database_is_one_sentence_in_bounded_time(tracked: tuple[Path, Any]) -> None:
    folder = tracked[0]
    keep(folder, Status.PASS, 0.02)
    with sqlite3.connect(folder / ".workbench" / "mlflow.db") as database:
        database.execute("begin exclusive")
        began = time.monotonic()
        with pytest.raises(tracking.TrackingError, match="locked"):
            tracking.track(open_migration(folder))
        assert time.monotonic() - began < 150, "it is given up: MLflow's own patience would be minutes longer"
        database.rollback()
    assert tracking.is_new(open_migration(folder))
    assert tracking.track(open_migration(folder)).written == 1, "and it is written as soon as it can be"
    assert not tracking.is_new(open_migration(folder)), "so that a run in which nothing changed asks no store"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_file_that_is_too_large_is_named_and_left_out(
    tracked: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.tracking import mlflow_store

    folder, client = tracked
    monkeypatch.setattr(mlflow_store, "LARGEST", 10)
    run = keep(folder, Status.PASS, 0.03)
    assert tracking.track(open_migration(folder)).written == 1
    [made] = [one for one in runs_in(client) if one.info.run_name == f"journey {run.id}"]
    assert "run.json" in made.data.tags["workbench.left_out"]
    assert client.list_artifacts(made.info.run_id) == []


class Broken(BaseHTTPRequestHandler):
    """A server that answers the first question and then falls over."""

    asked = 0

    def do_GET(self) -> None:
        self._say()

    def do_POST(self) -> None:
        self._say()

    def _say(self) -> None:
        type(self).asked += 1
        self.send_response(503)
        self.end_headers()
        self.wfile.write(b"no " + self.headers.get("Authorization", "").encode())

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def broken() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Broken)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_server_that_fails_is_a_warning_without_secrets_and_changes_no_exit_code(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = filled(tmp_path)
    with (folder / "migration.yaml").open("a") as file:
        file.write("tracking: {}\n")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ada:geheim@{broken}")
    with pytest.raises(tracking.TrackingError, match=f"http://{broken} could not be written") as error:
        tracking.track(open_migration(folder))
    assert 1 < Broken.asked <= 4, "it is asked again, and not for ever"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        dead = f"http://ada:geheim@127.0.0.1:{free.getsockname()[1]}"
    ran = command("run", folder, "--only", "compatibility", "--progress", "none", MLFLOW_TRACKING_URI=dead)
    assert "! Not recorded: " in ran.stderr
    assert ran.returncode in (0, 1, 2)
    assert "geheim" not in str(error.value) + ran.stderr + ran.stdout
    assert not any("geheim" in path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


def test_a_number_that_is_none_is_left_out() -> None:
    from workbench.tracking.studies import _number

    assert [_number(one) for one in (1, 2.5, math.nan, math.inf, True, "3", None)] == [1.0, 2.5, *[None] * 5]


def test_without_the_extra_tracking_says_what_to_install(
    credit: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "mlflow" else real(name))
    assert main(["track", str(credit)]) == 3
    assert "pip install 'migration-workbench[tracking]'" in capsys.readouterr().err
