"""Schedules: what cron means, said the same by systemd; files that their own programs read."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench import store
from workbench.runner import copy_notebooks
from workbench.ui import schedule, schedule_run
from workbench.ui.cli import main
from workbench.ui.say import CliError
from workbench.ui.schedule_times import Cron

HOSTILE = 'it\'s 100 % "odd" {{ x }} $HOME'


@pytest.fixture
def odd(migration: Path) -> Path:
    """A migration in a folder whose name every format could trip over."""
    folder = migration.with_name(HOSTILE)
    migration.rename(folder)
    return folder


def files(folder: Path, how: str, at: str = "30 6 * * mon", **more: Any) -> dict[str, str]:
    chosen = {"only": ("bias",), "jobs": 1, "image": "", "claim": "", **more}
    return schedule.WAYS[how](schedule.wanted(folder, at, **chosen))


@pytest.mark.parametrize(
    ("said", "field", "values"),
    [
        ("*/15 * * * *", 0, {0, 15, 30, 45}),
        ("5-20/5,50 * * * *", 0, {5, 10, 15, 20, 50}),
        ("0 10/6 * * *", 1, {10, 16, 22}),
        ("0 0 * JAN-mar *", 3, {1, 2, 3}),
        ("0 0 * * 5-7", 4, {5, 6, 0}),
        ("0 0 * * mon,wed", 4, {1, 3}),
        ("@weekly", 4, {0}),
    ],
)
def test_what_is_meant(said: str, field: int, values: set[int]) -> None:
    assert Cron(said).fields[field] == values


@pytest.mark.parametrize(
    "said",
    ["", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "*/0 * * * *", "5-1 * * * *",
     "x * * * *", "* * * foo *", "@never", "0 0 30 2 *", "0 0 31 4,6 *", "1,,2 * * * *", "-1 * * * *", "٣ * * * *"],
)  # fmt: skip
def test_what_cannot_be_is_a_sentence(said: str) -> None:
    with pytest.raises(CliError, match="--at"):
        Cron(said)


FIELD = st.sampled_from(["*", "*/7", "0", "13", "1-5", "2,4", "3-11/4"])
TIMES = st.tuples(FIELD, FIELD, st.sampled_from(["*", "*/2", "1", "29,30", "5-9"]), st.sampled_from(["*", "2", "*/5"]),
                  st.sampled_from(["*", "mon", "0", "6,7", "1-5"])).map(" ".join)  # fmt: skip


def due(said: str, at: datetime) -> bool:
    """crontab(5), word for word and naively: the oracle."""
    words = said.split()

    def matches(word: str, value: int, names: tuple[str, ...] = ()) -> bool:
        for part in word.split(","):
            whole, _, step = part.partition("/")
            first, dash, last = whole.partition("-")
            numbers = [names.index(end) if end in names else int(end) for end in (first, last) if end not in ("*", "")]
            low = 0 if whole == "*" else numbers[0]
            high = 99 if whole == "*" or (step and not dash) else numbers[-1]
            start = low if whole != "*" else {2: 1, 3: 1}.get(place, 0)
            if low <= value <= high and (value - start) % int(step or 1) == 0:
                return True
        return False

    seen = (at.minute, at.hour, at.day, at.month, at.isoweekday() % 7)
    found = []
    for place, (word, value) in enumerate(zip(words, seen, strict=True)):
        also = matches(word, 7) if place == 4 and value == 0 and word != "mon" else False
        found.append(matches(word, value, ("sun", "mon")) or also)
    either = not words[2].startswith("*") and not words[4].startswith("*")
    days = (found[2] or found[4]) if either else (found[2] and found[4])
    return found[0] and found[1] and days and found[3]


def next_by_systemd(line: str, after: datetime) -> datetime | None:
    command = ["systemd-analyze", "calendar", f"--base-time={after:%Y-%m-%d %H:%M:%S} UTC", f"{line} UTC"]
    said = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C", "TZ": "UTC"})
    assert said.returncode == 0, (line, said.stderr)
    found = re.search(r"Next elapse: \w+ (\S+ \S+) UTC", said.stdout)
    return datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC) if found else None


@pytest.mark.slow
@settings(max_examples=15)
@given(TIMES, st.integers(0, 365))
def test_systemd_means_the_same(said: str, day: int) -> None:
    """The next time systemd names is due by cron, and none before it is."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    try:
        cron = Cron(said)
    except CliError:
        return
    after = datetime(2027, 1, 1, tzinfo=UTC) + timedelta(days=day, minutes=17)
    found = [when for line in cron.calendar if (when := next_by_systemd(line, after))]
    if not found:
        return
    until = min(min(found), after + timedelta(days=9))
    minutes = int((until - after).total_seconds() // 60)
    early = [after + timedelta(minutes=n) for n in range(1, minutes) if due(said, after + timedelta(minutes=n))]
    assert early == []
    if until == min(found):
        assert due(said, until)


def test_the_line_of_cron_is_one_command_of_the_shell(odd: Path) -> None:
    [(name, line)] = files(odd, "cron").items()
    assert name == "workbench-credit.cron"
    assert line.startswith("30 6 * * mon mkdir -p ")
    assert line.count("\n") == 1
    command = line[len("30 6 * * mon ") :].replace("\\%", "%")
    assert "%" not in re.sub(r"\\%", "", line)
    words = shlex.split(command)
    run = words[words.index("&&") + 1 :]
    assert run[1:4] == ["run", str(odd.resolve()), "--progress"]
    assert "--only" in run


@pytest.mark.slow
def test_the_line_of_cron_runs(odd: Path) -> None:
    line = files(odd, "cron")["workbench-credit.cron"]
    command = line[len("30 6 * * mon ") :].replace("\\%", "%").replace(" run ", " run --dry-run ")
    subprocess.run(["/bin/sh", "-c", command], check=True)
    assert "51_bias" in (odd / ".workbench" / "schedule.log").read_text()


def test_systemd_reads_its_files(odd: Path, tmp_path: Path) -> None:
    made = files(odd, "systemd", at="0 6 1 * mon")
    assert set(made) == {"workbench-credit.service", "workbench-credit.timer"}
    assert made["workbench-credit.timer"].count("OnCalendar=") == 2
    assert "100 %% " in made["workbench-credit.service"]
    assert "$$HOME" in made["workbench-credit.service"]
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    for name, text in made.items():
        (tmp_path / name).write_text(text)
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *[str(tmp_path / name) for name in made]],
        capture_output=True,
        text=True,
    )
    ours = [line for line in said.stderr.splitlines() if "workbench-credit" in line]
    assert ours == []


def test_kubernetes(odd: Path) -> None:
    made = yaml.safe_load(
        files(odd, "kubernetes", image="registry.example/wb:1", claim="credit")["workbench-credit.yaml"]
    )
    assert (made["apiVersion"], made["kind"]) == ("batch/v1", "CronJob")
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,50}[a-z0-9])?", made["metadata"]["name"])
    spec = made["spec"]
    assert (spec["schedule"], spec["concurrencyPolicy"], spec["timeZone"]) == ("30 6 * * mon", "Forbid", "Etc/UTC")
    pod = spec["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "Never"
    container = pod["containers"][0]
    assert container["image"] == "registry.example/wb:1"
    assert container["command"][:3] == ["workbench", "run", "/migration"]
    assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == "credit"


def test_github(odd: Path) -> None:
    with pytest.raises(CliError, match="no git repository"):
        files(odd, "github")
    (odd.parent / ".git").mkdir()
    [(name, text)] = files(odd, "github").items()
    assert name == ".github/workflows/workbench-credit.yml"
    made = yaml.load(text, yaml.BaseLoader)
    assert made["on"]["schedule"] == [{"cron": "30 6 * * mon"}]
    assert made["permissions"] == {"contents": "read"}
    run = shlex.split(made["jobs"]["run"]["steps"][3]["run"])
    assert run[:3] == ["workbench", "run", HOSTILE]
    with pytest.raises(CliError, match="every 5 minutes"):
        files(odd, "github", at="*/2 * * * *")
    evil = odd.rename(odd.with_name("a ${{ secrets.X }}"))
    with pytest.raises(CliError, match="expression"):
        files(evil, "github")


def test_airflow(odd: Path) -> None:
    [(name, text)] = files(odd, "airflow").items()
    assert name == "workbench_credit.py"
    tree = ast.parse(text)
    compile(tree, name, "exec")
    calls = {
        node.func.id: node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    arguments = {word.arg: ast.literal_eval(word.value) for word in calls["BashOperator"].keywords}
    from jinja2 import Environment

    command = shlex.split(Environment(autoescape=True).from_string(arguments["bash_command"]).render())
    assert command[1:3] == ["run", str(odd.resolve())]
    dag = {word.arg: word.value for word in calls["DAG"].keywords}
    assert ast.literal_eval(dag["schedule"]) == "30 6 * * mon"


def test_the_command(migration: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schedule", str(migration), "--as", "kubernetes", "-o", str(tmp_path / "out")]) == 0
    assert "kubectl apply -f workbench-credit.yaml" in capsys.readouterr().out
    assert (tmp_path / "out" / "workbench-credit.yaml").exists()
    assert main(["schedule", str(migration), "--as", "kubernetes", "-o", str(tmp_path / "out")]) == 3
    assert "is there already" in capsys.readouterr().err
    assert main(["schedule", str(migration), "--at", "@daily", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["at"] == "0 0 * * *"
    for wrong, sentence in (
        (["--as", "at"], "use one of cron"), (["--only", "baas"], "did you mean 'bias'"),
        (["--at", "soon"], "five fields"),
    ):  # fmt: skip
        assert main(["schedule", str(migration), *wrong]) == 3
        assert sentence in capsys.readouterr().err


def staged(migration: Path, tmp_path: Path, name: str = "51_bias") -> Path:
    """The copy of a notebook that a scheduler takes aside."""
    copy_notebooks(migration)
    (tmp_path / "staging").mkdir(exist_ok=True)
    return Path(shutil.copy(migration / "notebooks" / f"{name}.ipynb", tmp_path / "staging"))


def test_a_staged_notebook_finds_its_home(migration: Path, tmp_path: Path) -> None:
    notebook = staged(migration, tmp_path)
    assert schedule_run.home_of(notebook, tmp_path, {}) == migration.resolve()
    twin = shutil.copytree(migration, tmp_path / "twin")
    with pytest.raises(CliError, match=r"could be of: credit, twin.*parameter `migration`"):
        schedule_run.home_of(notebook, tmp_path, {})
    assert schedule_run.home_of(notebook, tmp_path, {"migration": "twin"}) == twin.resolve()
    book = json.loads((twin / "notebooks" / "51_bias.ipynb").read_text())
    book["cells"][0]["source"] = ["# Ours"]
    (twin / "notebooks" / "51_bias.ipynb").write_text(json.dumps(book))
    assert schedule_run.home_of(notebook, tmp_path, {}) == migration.resolve()
    for wrong in ("..", "/etc", "nowhere", "staging"):
        with pytest.raises(CliError, match="There is no migration"):
            schedule_run.home_of(notebook, tmp_path, {"migration": wrong})


@pytest.mark.slow
def test_jupyter_scheduler_runs_a_notebook_through_our_runner(migration: Path, tmp_path: Path) -> None:
    """Its own database, its own model of a job, its own life cycle; typed parameters; a wrong one fails by name."""
    orm = pytest.importorskip("jupyter_scheduler.orm", reason="jupyter-scheduler is an extra and not installed")
    from workbench.ui.schedule_manager import ExecutionManager

    notebook = staged(migration, tmp_path)
    url = f"sqlite:///{tmp_path / 'jobs.sqlite'}"
    orm.create_tables(url)
    assert ExecutionManager.validate(ExecutionManager, str(notebook))  # as jupyter-scheduler calls it

    def done(**parameters: str) -> Any:
        with orm.create_session(url)() as session:
            job = orm.Job(
                name="nightly", input_filename=notebook.name, runtime_environment_name="x", parameters=parameters,
                output_formats=["ipynb", "html"],
            )  # fmt: skip
            session.add(job)
            session.commit()
            identity = job.job_id
        places = {form: str(tmp_path / "staging" / f"out.{form}") for form in ("ipynb", "html")}
        ExecutionManager(identity, str(tmp_path), url, {"input": str(notebook), **places}).process()
        with orm.create_session(url)() as session:
            return session.query(orm.Job).filter(orm.Job.job_id == identity).first()

    good = done(min_group="35")
    assert (good.status, good.status_message) == ("COMPLETED", None)
    stored = store.latest(migration, "bias")
    assert stored is not None
    assert stored.evidence.params["min_group"] == 35
    executed = json.loads((tmp_path / "staging" / "out.ipynb").read_text())
    assert any(cell.get("outputs") for cell in executed["cells"])
    assert "Is any group treated worse than before?" in (tmp_path / "staging" / "out.html").read_text()
    wrong = done(min_grup="35")
    assert wrong.status == "FAILED"
    assert "did you mean 'min_group'" in wrong.status_message
