"""The parts behind the API, by themselves: names and paths, the walk, events, errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ui.server.conftest import YAML
from workbench.ui.server.events import Tail
from workbench.ui.server.finding import Walk
from workbench.ui.server.on_demand import OPTION, OURS, STAND_IN, THEIRS, add_to, on_demand
from workbench.ui.server.problems import ApiError, Scrub, explained
from workbench.ui.server.rooted import Root

PIECES = ("..", ".", "/", "\\", "\0", "~", "a", "b.csv", "%2e", "link", "within", "é", " ")
NAMES = st.lists(st.sampled_from(PIECES), max_size=5).map("".join)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    top = tmp_path_factory.mktemp("top")
    for name in ("root/a", "root-b", "elsewhere"):
        (top / name).mkdir(parents=True)
        (top / name / "b.csv").write_text("x\n")
    (top / "root" / "link").symlink_to(top / "elsewhere")
    (top / "root" / "round").symlink_to(top / "root" / "round")
    (top / "root" / "within").symlink_to(top / "root" / "a")
    return Root(top / "root")


@settings(max_examples=60)
@given(st.lists(NAMES, max_size=4).map("/".join))
def test_no_name_leads_out_of_the_root(root: Root, name: str) -> None:
    """Whatever is not refused is, links followed, below the root."""
    try:
        found = root.inside(name)
    except ApiError:
        return
    assert found.resolve().is_relative_to(root.real)
    assert root.inside(root.relative(found)) == found


def test_links_are_followed_before_they_are_judged(root: Root) -> None:
    assert root.file("within/b.csv") == root.real / "within" / "b.csv"
    for name in ("link/b.csv", "link", "round", "round/b.csv", "../root-b/b.csv", "../root/a/b.csv", "/etc/hosts"):
        with pytest.raises(ApiError):
            root.file(name)


def test_the_walk_finds_what_comes_and_forgets_what_goes(tmp_path: Path) -> None:
    walk = Walk(tmp_path)
    for name in ("b/deep/credit", "a", ".hidden", "node_modules/x", "a/reports/x", "models/mine"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "migration.yaml").write_text(YAML)
    (tmp_path / "around").symlink_to(tmp_path)
    found = [path.relative_to(tmp_path).as_posix() for path in walk().folders]
    assert found == ["a", "models/mine", "b/deep/credit"]
    (tmp_path / "a" / "migration.yaml").unlink()
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "migration.yaml").write_text(YAML)
    assert [path.name for path in walk().folders] == ["c", "mine", "x", "credit"]


def test_a_root_with_too_many_folders_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.ui.server.finding.MOST_FOLDERS", 5)
    for n in range(8):
        (tmp_path / str(n)).mkdir()
    assert Walk(tmp_path)().truncated


def test_events_are_read_when_they_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    tail = Tail(path, after=1)
    assert tail.more() == []
    lines = [json.dumps({"n": n, "event": "cell", "title": "x" * 10}).encode() + b"\n" for n in range(1, 5)]
    path.write_bytes(lines[0] + lines[1] + lines[2][:9])
    assert [told["n"] for told in tail.more()] == [2]
    assert tail.more() == []
    with path.open("ab") as file:
        file.write(lines[2][9:] + b"not JSON\n" + lines[3])
    assert [told["n"] for told in tail.more()] == [3, 4]


def test_errors_tell_no_path_of_the_machine() -> None:
    scrub = Scrub(("/srv/home/ada",))
    assert scrub("/srv/home/ada/work/credit/migration.yaml:3: no") == "work/credit/migration.yaml:3: no"
    assert scrub("No module at /opt/lib/python/x.py, see ~/a/b.txt") == "No module at x.py, see b.txt"
    assert (
        scrub("1/2 of data/loans.csv or https://example.org/a/b") == "1/2 of data/loans.csv or https://example.org/a/b"
    )
    told = explained(ValueError("/etc/secret"), scrub).plain()
    assert (told["code"], "secret" in json.dumps(told)) == ("broke", False)


@pytest.mark.slow
def test_lab_waits_for_nothing_of_ours() -> None:
    """What the server imports when it starts is Jupyter's own, and a few small files."""
    heavy = ("pandas", "numpy", "torch", "pydantic", "ruamel", "ibis", "sklearn")
    code = (
        "import sys; import jupyter_server.serverapp; before = set(sys.modules); import workbench.ui.server.handlers;"
        f"print([name for name in {heavy} if name in sys.modules and name not in before])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_watcher_imports_the_standard_library_only() -> None:
    code = (
        "import sys; import workbench.ui.server.supervise;"
        "print([name for name in ('pydantic', 'tornado', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_fifty_migrations_of_twenty_runs_are_listed_at_once(tmp_path: Path) -> None:
    """Warm: what is listed again is read from memory while nothing changed. Processor time, for machines are busy."""
    import shutil

    from tests.ui.server.conftest import evidence, keep, migration_in
    from workbench.ui.server import asking

    first = migration_in(tmp_path / "m00")
    for _ in range(20):
        keep(first, evidence(first))
    for n in range(1, 50):
        shutil.copytree(first, tmp_path / f"m{n:02d}", symlinks=True)
    old = time.time() - 60
    for path in [tmp_path, *tmp_path.rglob("*")]:
        os.utime(path, (old, old))
    desk = asking.desk_of(Root(tmp_path))
    cold = asking.list_migrations(desk)
    taken = []
    for _ in range(5):
        began = time.process_time()
        warm = asking.list_migrations(desk)
        taken.append(time.process_time() - began)
    assert warm == cold
    assert len(warm["migrations"]) == 50
    assert all(one["last_run"].endswith("-0020") and one["status"] == "fail" for one in warm["migrations"])
    assert min(taken) < 0.15


def test_a_run_on_a_machine_that_is_gone_is_taken_over_on_request_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container that was replaced leaves a claim that nobody here can judge."""
    from workbench.store import Claim
    from workbench.ui.server import jobs

    launched: list[jobs.Start] = []
    monkeypatch.setattr(jobs, "_launch", lambda place, folder, asked: launched.append(asked))
    place = tmp_path / ".workbench" / "jobs" / "20260101T000000Z-0123abcd"
    place.mkdir(parents=True)
    for host, taken in (("another-pod", True), (Claim.mine("x").host, False)):
        claim = Claim.mine(place.name).model_copy(update={"host": host})
        (place / "job.json").write_text(jobs.Launched(asked=jobs.Start(), claim=claim).model_dump_json(by_alias=True))
        with pytest.raises(ApiError, match="being written") as refused:
            jobs.start(tmp_path, jobs.Start())
        assert ("take_over" in refused.value.do) is taken
        if taken:
            jobs.start(tmp_path, jobs.Start(take_over=True))
            assert "--take-over" in launched[0].words(tmp_path)
        else:
            with pytest.raises(ApiError):
                jobs.start(tmp_path, jobs.Start(take_over=True))


MINE = {"name": OURS, "load": "static/a.js", "extension": "./extension", "mimeExtension": "./mimeExtension"}
PLOTLYS = {"name": THEIRS, "load": "static/b.js", "mimeExtension": "./mimeExtension"}
OTHER = {"name": "other", "load": "static/c.js", "extension": "./extension"}


def test_plotlys_extension_is_set_aside_for_the_first_chart() -> None:
    page = {"federated_extensions": [OTHER, PLOTLYS, MINE], "disabledExtensions": ["other"], "x": 1}
    found = on_demand(page)
    assert found == {**page, "federated_extensions": [OTHER, MINE], OPTION: PLOTLYS}
    assert page["federated_extensions"] == [OTHER, PLOTLYS, MINE], "the server keeps its own"


@pytest.mark.parametrize(
    "page",
    [
        {},
        {"federated_extensions": [OTHER, PLOTLYS]},
        {"federated_extensions": [OTHER, MINE]},
        {"federated_extensions": [PLOTLYS, MINE], "disabledExtensions": [OURS]},
        {"federated_extensions": [PLOTLYS, MINE], "disabledExtensions": [STAND_IN]},
        {"federated_extensions": [PLOTLYS, {**OTHER, "name": OURS}]},
        {"federated_extensions": [{**PLOTLYS, "extension": "./extension"}, MINE]},
    ],
)
def test_plotlys_extension_stays_where_nothing_can_stand_in_for_it(page: dict[str, object]) -> None:
    assert on_demand(page) == page
    assert on_demand(page | {OPTION: PLOTLYS}) == page, "what an earlier page was told does not stay"


def test_who_looked_at_the_pages_before_still_does() -> None:
    settings = {"page_config_hook": lambda handler, page: page | {"seen": handler}}
    add_to(settings)
    found = settings["page_config_hook"]("a handler", {"federated_extensions": [PLOTLYS, MINE]})
    assert (found["seen"], found[OPTION]) == ("a handler", PLOTLYS)


WATCH = """
import signal, sys
from pathlib import Path
from workbench.ui.server import supervise
signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a server that a script started in its background
sys.executable = sys.argv[2]
supervise.main(Path(sys.argv[1]), ["run"])
"""


def test_a_run_hears_of_a_stop_though_the_server_ignores_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    asked = "signal.getsignal(signal.SIGINT) is signal.SIG_IGN"
    run.write_text(f'#!{sys.executable}\nimport json, signal\nprint(json.dumps({{"event": "deaf", "is": {asked}}}))\n')
    run.chmod(0o700)
    subprocess.run([sys.executable, "-c", WATCH, str(tmp_path), str(run)], check=True)
    first, last = map(json.loads, (tmp_path / "events.jsonl").read_text().splitlines())
    assert (first["event"], first["is"]) == ("deaf", False)
    assert (last["event"], last["code"]) == ("ended", 0)
