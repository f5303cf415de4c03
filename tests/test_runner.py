"""The runner on real kernels: audits installed as a plug-in, which die, hang, crash or take their time when asked."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from workbench import runner, store
from workbench.evidence import Evidence, Finding, Status
from workbench.runner import PlanError, read_notebook, refuse_odd_names
from workbench.ui.cli import main

AUDIT = """
from __future__ import annotations
import os, signal, time
from collections.abc import Iterator
from pathlib import Path
from pydantic import Field
from workbench.audit import Kind
from workbench.audit import Params as Base
from workbench.evidence import Evidence, Finding, Measure
QUESTION = "Does {name} hold?"
GAP = Kind(id="{name}/gap", title="A gap", why="A gap is bad for everybody here.", fix="Close the gap, run it again.")
KINDS = (GAP,)
class Params(Base):
    size: int = Field(3, ge=1, description="how large")
    mood: str = Field("calm", description="how it ends")
def run({needs}, params: Params) -> Iterator[Finding]:
    if params.mood == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if params.mood == "hang":
        time.sleep(600)
    if params.mood == "meddle":
        path = Path("migration.yaml")
        path.write_text(path.read_text().replace("positive: 1", "positive: 0"))
    if params.mood == "crash":
        raise ValueError("boom")
    yield GAP.found(change=Measure(value=float(params.size){value}))
"""


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Audits as an installed distribution; beta reads alpha's evidence, the others need nothing."""
    folder = tmp_path_factory.mktemp("plugin")
    info = folder / "plug-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plug\nVersion: 1.0\n")
    lines = [f"{name} = plug_{name}\n" for name in NAMES]
    (info / "entry_points.txt").write_text("[workbench.audits]\n" + "".join(lines))
    for name in NAMES:
        needs = "alpha: Evidence" if name == "beta" else "task: object"
        value = " + alpha.findings[0].change.value" if name == "beta" else ""
        (folder / f"plug_{name}.py").write_text(AUDIT.format(name=name, needs=needs, value=value))
    return folder


NAMES = ("alpha", "beta", "gamma", "delta", "epsilon")


def make_migration(folder: Path) -> Path:
    folder = folder / "credit"
    folder.mkdir()
    (folder / "loans.csv").write_text("income,default\n1,0\n2,1\n3,1\n")
    (folder / "migration.yaml").write_text(
        "version: 1\nname: credit\ndata: {holdout: loans.csv}\nlegacy: {uri: 'column:default'}\n"
        "task: {kind: binary, target: default, positive: 1}\n"
    )
    return folder


@pytest.fixture
def migration(tmp_path: Path) -> Path:
    return make_migration(tmp_path)


def only(*names: str) -> list[str]:
    return [word for name in names for word in ("--only", name)]


ALL = only("alpha", "beta", "gamma")


def command(plugin: Path, *arguments: object) -> tuple[list[str], dict[str, str]]:
    path = os.pathsep.join([str(plugin), os.environ.get("PYTHONPATH", "")])
    return [sys.executable, "-m", "workbench.ui.cli", *map(str, arguments)], {**os.environ, "PYTHONPATH": path}


def workbench(plugin: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    words, environment = command(plugin, *arguments)
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=600)


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found = json.loads(done.stdout)
    assert isinstance(found, dict), done.stdout + done.stderr
    return found


def evidence(folder: Path, name: str) -> Evidence:
    stored = store.latest(folder, name)
    assert stored is not None
    return stored.evidence


def executed(folder: Path, name: str) -> str:
    stored = store.latest(folder, name)
    assert stored is not None
    return (stored.folder / "notebook.ipynb").read_text()


def answers(folder: Path) -> dict[str, Any]:
    """The evidence without its timings."""
    names = ("alpha", "beta", "gamma")
    return {name: evidence(folder, name).model_dump(exclude={"started", "seconds"}) for name in names}


def processes_of(folder: Path) -> list[str]:
    """Command lines of processes that work in the folder or for it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            inside = Path(os.readlink(process / "cwd")).is_relative_to(folder)
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if inside or str(folder) in line:
            found.append(line)
    return found


def wait_until_nothing_runs(folder: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while left := processes_of(folder):
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def whole(plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """An undisturbed run: its folder and its events."""
    folder = make_migration(tmp_path_factory.mktemp("whole"))
    done = workbench(plugin, "run", folder, *ALL, "--progress", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, [json.loads(line) for line in done.stdout.splitlines()]


# ------------------------------------------------------------------------------------- a run


@pytest.mark.slow
def test_a_run_is_ordered_by_need_tells_its_cells_and_is_sealed(whole: tuple[Path, list[dict[str, Any]]]) -> None:
    folder, events = whole
    done = [event["notebook"] for event in events if event["event"] == "done"]
    began = [event["notebook"] for event in events if event["event"] == "start"]
    assert set(began[:2]) == {"99_alpha", "99_gamma"}, "two at a time, what needs nothing first"
    assert done.index("99_alpha") < done.index("99_beta")
    cells = [event for event in events if event["event"] == "cell" and event["notebook"] == "99_beta"]
    assert [cell["cell"] for cell in cells][-1] == cells[-1]["of"] == 3
    assert cells[-1]["title"] == "Does beta hold?"
    assert events[-1]["event"] == "end"
    run = store.runs(folder)[0]
    assert run.state == "done"
    assert store.verify(run.folder) == ()
    assert (run.folder / "report.html").read_text().startswith("<!")
    book = json.loads((run.folder / "99_beta" / "notebook.ipynb").read_text())
    assert any(cell.get("outputs") for cell in book["cells"])
    assert evidence(folder, "beta").findings[0].change.value == 6.0  # type: ignore[union-attr]


@pytest.mark.slow
def test_a_second_run_finds_everything_fresh_and_is_quick(plugin: Path, whole: tuple[Path, Any]) -> None:
    folder = whole[0]
    before = [run.id for run in store.runs(folder)]
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = workbench(plugin, "run", folder, *ALL)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Processor time: on an idle machine it is the wall time, on a busy one it is what this run has to answer for.
    assert ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime < 5
    assert done.returncode == 0
    assert done.stdout.count("fresh, of run") == 3
    assert "Nothing to do" in done.stdout
    assert [run.id for run in store.runs(folder)] == before


@pytest.mark.slow
def test_the_freshness_check_of_a_run_imports_nothing_slow(plugin: Path, whole: tuple[Path, Any]) -> None:
    words, environment = command(plugin)
    code = (
        "import sys; from workbench.ui.cli import main;"
        f"main(['run', {str(whole[0])!r}, '--only', 'alpha', '--progress', 'none']);"
        "print([m for m in ('torch', 'shap', 'sklearn', 'papermill', 'nbformat', 'plotly') if m in sys.modules])"
    )
    done = subprocess.run([words[0], "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_dry_run_says_what_would_run_and_runs_nothing(plugin: Path, migration: Path) -> None:
    done = workbench(plugin, "run", migration, *ALL, "--dry-run", "--json")
    assert [(row["notebook"], row["fresh"]) for row in json.loads(done.stdout)] == [
        ("99_alpha", False), ("99_beta", False), ("99_gamma", False),
    ]  # fmt: skip
    assert store.runs(migration) == ()


# ------------------------------------------------------------------------------------- things go wrong


@pytest.fixture(scope="module")
def faulty(plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """One run in which alpha's kernel is killed, gamma crashes, and two notebooks fail in a cell of their own."""
    folder = make_migration(tmp_path_factory.mktemp("faulty"))
    first = 'migration = "."\nparams = {}'
    after = [first, CALL.format("delta"), "evidence = audit.run()", "1 / 0"]
    write_notebook(folder / "notebooks" / "99_delta.ipynb", after)
    write_notebook(folder / "notebooks" / "99_epsilon.ipynb", [first, CALL.format("epsilom")])
    moods = ["-p", "alpha.mood=die", "-p", "gamma.mood=crash"]
    done = workbench(plugin, "run", folder, *only(*NAMES), *moods, "--progress", "json")
    assert done.returncode == 3, done.stdout + done.stderr
    return folder, summed(map(json.loads, done.stdout.splitlines()))


def summed(events: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """What `--json` tells of a run, and how long after its last cell a notebook failed."""
    outcome: dict[str, Any] = {"ran": [], "failed": {}, "skipped": {}, "late": {}}
    cells: dict[str, float] = {}
    for event in events:
        name = event.get("notebook", "")[3:]
        if event["event"] == "cell":
            cells[name] = event["seconds"]
        elif event["event"] in ("failed", "skipped"):
            outcome[event["event"]][name] = event["text"]
            outcome["late"][name] = event.get("seconds", 0) - cells.get(name, 0)
        if event["event"] in ("done", "failed"):
            outcome["ran"].append(name)
    return outcome


Faulty = tuple[Path, dict[str, Any]]


@pytest.mark.slow
def test_a_killed_kernel_is_named_fast_with_its_cell(faulty: Faulty) -> None:
    folder, outcome = faulty
    assert outcome["late"]["alpha"] < 30, "from the cell in which it died to the end that was named"
    said = outcome["failed"]["alpha"]
    assert "the kernel died" in said
    assert "memory" in said
    assert "cell 3 of 3" in said
    assert [finding.status for finding in evidence(folder, "alpha").findings] == [Status.ERROR]


@pytest.mark.slow
def test_dependents_of_a_failed_notebook_say_why_they_were_not_run(faulty: Faulty) -> None:
    folder, outcome = faulty
    assert "99_alpha did not finish" in outcome["skipped"]["beta"]
    beta = evidence(folder, "beta").findings[0]
    assert (beta.status, "99_alpha" in beta.reason) == (Status.ABSENT, True)


@pytest.mark.slow
def test_the_rest_of_a_run_goes_on_and_the_run_is_whole(faulty: Faulty) -> None:
    folder, outcome = faulty
    assert sorted(outcome["ran"]) == ["alpha", "delta", "epsilon", "gamma"]
    run = store.runs(folder)[0]
    assert run.state == "done"
    assert store.verify(run.folder) == ()
    assert "the kernel died" in (run.folder / "report.html").read_text()


@pytest.mark.slow
def test_a_crash_is_one_finding_that_quotes_no_row(faulty: Faulty) -> None:
    folder, outcome = faulty
    assert "gamma" not in outcome["failed"], "the notebook itself ran to its end"
    [finding] = evidence(folder, "gamma").findings
    assert (finding.status, "ValueError" in finding.reason) == (Status.ERROR, True)
    assert "boom" not in evidence(folder, "gamma").to_json()


@pytest.mark.slow
def test_a_cell_that_fails_after_the_audit_keeps_the_evidence(faulty: Faulty) -> None:
    folder = faulty[0]
    kept = evidence(folder, "delta").findings
    assert [finding.status for finding in kept] == [Status.INFO, Status.ERROR]
    assert "ZeroDivisionError (cell 4 of 4" in kept[1].reason
    assert "ZeroDivisionError" in executed(folder, "delta"), "the executed notebook is kept, too"


@pytest.mark.slow
def test_a_known_error_in_a_cell_is_a_sentence_without_a_traceback(faulty: Faulty) -> None:
    folder, outcome = faulty
    sentence = "there is no audit or notebook 'epsilom': did you mean 'epsilon'?"
    assert sentence in outcome["failed"]["epsilon"]
    cells = json.loads(executed(folder, "epsilon"))["cells"]
    [error] = [out for cell in cells for out in cell.get("outputs", []) if out["output_type"] == "error"]
    assert error["traceback"] == [sentence]


@pytest.mark.slow
def test_what_broke_is_not_fresh(plugin: Path, faulty: Faulty) -> None:
    rows = json.loads(workbench(plugin, "run", faulty[0], *only(*NAMES), "--dry-run", "--json").stdout)
    assert [row["fresh"] for row in rows] == [False] * len(NAMES)


@pytest.mark.slow
def test_a_notebook_that_takes_too_long_is_stopped_and_named(plugin: Path, migration: Path) -> None:
    done = workbench(plugin, "run", migration, *only("gamma"), "-p", "gamma.mood=hang", "--timeout", 6, "--json")
    assert done.returncode == 3
    assert "not done after 6 s" in told(done)["failed"]["gamma"]
    wait_until_nothing_runs(migration)


@pytest.mark.slow
def test_what_changed_under_a_notebook_is_not_fresh(plugin: Path, migration: Path) -> None:
    path = migration / "migration.yaml"
    before = path.read_text()
    done = workbench(plugin, "run", migration, *only("gamma"), "-p", "gamma.mood=meddle", "--progress", "json")
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert "what it is made from changed while it ran" in " ".join(one.get("text", "") for one in said)
    assert path.read_text() != before
    for text in (path.read_text(), before):
        path.write_text(text)
        dry = workbench(plugin, "run", migration, *only("gamma"), "-p", "gamma.mood=meddle", "--dry-run", "--json")
        assert [row["fresh"] for row in json.loads(dry.stdout)] == [False]


def test_the_notebooks_of_a_run_share_the_code_it_began_with(migration: Path) -> None:
    code = (
        "from workbench import catalog; from workbench.migration import open_migration;"
        f"print(catalog.key(open_migration({str(migration)!r}), 'readiness'))"
    )

    def key(pinned: str) -> str:
        environment = os.environ | {"WORKBENCH_CODE": pinned}
        return subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        ).stdout

    assert key("begun with") == key("begun with") != key("")


@pytest.mark.slow
@pytest.mark.parametrize("moment", [("cell", "99_alpha", 2), ("done", "99_gamma", 0)])
def test_a_run_killed_at_any_moment_and_run_again_gives_the_same_evidence(
    plugin: Path, migration: Path, whole: tuple[Path, Any], moment: tuple[str, str, int]
) -> None:
    words, environment = command(plugin, "run", migration, *ALL, "--progress", "json")
    process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
    for event in events_of(process):
        if (event["event"], event.get("notebook"), event.get("cell", 0)) == moment:
            os.killpg(process.pid, signal.SIGKILL)
            break
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert [run.state for run in store.runs(migration)] == ["crashed"]
    wait_until_nothing_runs(migration)
    again = told(workbench(plugin, "run", migration, *ALL, "--json"))
    assert ("gamma" in again["fresh"]) == (moment[0] == "done"), "what was finished is not done twice"
    assert answers(migration) == answers(whole[0])
    run = store.runs(migration)[0]
    assert run.record is not None
    assert run.record.takeover is not None
    assert store.verify(run.folder) == ()


@pytest.mark.slow
def test_while_one_run_goes_on_a_second_is_refused_and_ctrl_c_stops_it_clean(plugin: Path, migration: Path) -> None:
    words, environment = command(plugin, "run", migration, *ALL, "-p", "alpha.mood=hang", "--progress", "json")
    process = subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    for event in events_of(process):
        if event["event"] == "done" and event["notebook"] == "99_gamma":
            break
    refused = workbench(plugin, "run", migration, *ALL)
    assert refused.returncode == 3
    assert f"process {process.pid} on" in refused.stderr
    assert "Traceback" not in refused.stderr
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=300)
    assert time.monotonic() - began < 60, "it hangs for 600 s if nobody stops it"
    assert process.returncode == 130
    assert "run again and it goes on from there" in said
    wait_until_nothing_runs(migration)
    assert store.runs(migration)[0].state == "crashed"
    again = told(workbench(plugin, "run", migration, "--only", "gamma", "--json"))
    assert again["fresh"] == ["gamma"]


def events_of(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert process.stdout
    return map(json.loads, process.stdout)


# ------------------------------------------------------------------------------------- refused before execution

CALL = 'from workbench.ui.guide import guide\naudit = guide("{}", migration, params)'


def write_notebook(path: Path, sources: list[str]) -> Path:
    cells = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "source": source, "outputs": [], "execution_count": None}
        for n, source in enumerate(sources)
    ]
    cells[0]["metadata"] = {"tags": ["parameters"]}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}))
    return path


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b'{"cells": [', "damaged"),
        (b"\x80\x04junk", "damaged"),
        (b"[" * 100_000, "damaged"),
        (b"[]", "format 4"),
        (b'{"nbformat": 3, "worksheets": []}', "format 4"),
        (b'{"nbformat": 4, "cells": []}', "no code cells"),
        (b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": "1"}]}', "does not declare migration and params"),
    ],
)
def test_a_notebook_that_cannot_be_executed_is_refused_with_what_to_do(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "51_bias.ipynb"
    path.write_bytes(content)
    with pytest.raises(PlanError, match=said):
        read_notebook(path)


def test_a_huge_notebook_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "51_bias.ipynb"
    with path.open("wb") as file:
        file.truncate(500 * 1024**2)
    began = time.process_time()
    with pytest.raises(PlanError, match="has 524 MB, at most 52 are executed"):
        read_notebook(path)
    assert time.process_time() - began < 0.5


def test_a_missing_notebook_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="cannot be read"):
        read_notebook(tmp_path / "gone.ipynb")


@pytest.mark.parametrize("name", ["x=1;import os", "a b", "", "__import__('os')", "x\ny", "1x"])
def test_a_parameter_that_is_not_a_name_is_refused(name: str) -> None:
    with pytest.raises(PlanError, match="is not the name of a parameter"):
        refuse_odd_names("bias", {name: 1})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("parity.x;import os=1", "is not the name of a parameter"),
        ("parity.drows=300", "did you mean 'draws'"),
        ("parity.draws=many", "valid integer"),
        ("parity.draws=3", "greater than or equal to 100"),
        ("party.draws=300", "did you mean 'parity'"),
        ("draws=300", "AUDIT.PARAMETER=VALUE"),
        ("bias.seed=3", "not going to run"),
    ],
)
def test_parameters_are_checked_before_any_kernel_starts(
    migration: Path, given: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(migration), "--only", "parity", "-p", given]) == 3
    assert said in capsys.readouterr().err
    assert store.runs(migration) == ()


def test_a_corrupt_copy_of_a_notebook_stops_the_run_before_it_starts(
    migration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (migration / "notebooks").mkdir()
    (migration / "notebooks" / "44_parity.ipynb").write_text("{")
    assert main(["run", str(migration), "--only", "parity"]) == 3
    assert "44_parity.ipynb is not a notebook" in capsys.readouterr().err
    assert store.runs(migration) == ()


# ------------------------------------------------------------------------------------- exit codes


def judged(*statuses: Status) -> Evidence:
    findings = tuple(Finding(id=f"bias/f{n}", title="t", status=status) for n, status in enumerate(statuses))
    return Evidence(audit="bias", migration="m", started="2026-01-01T00:00:00Z", seconds=1, findings=findings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("evidences", "code"),
    [
        ((judged(Status.PASS, Status.WARN, Status.INFO, Status.ABSENT),), 0),
        ((judged(Status.PASS), judged(Status.PASS, Status.FAIL)), 1),
        ((judged(Status.PASS), judged(Status.ABSENT, Status.ABSENT)), 2),
        ((judged(Status.FAIL), judged(Status.ABSENT)), 1),
        ((judged(Status.FAIL), judged(Status.ERROR)), 3),
        ((), 2),
    ],
)
def test_exit_codes(evidences: tuple[Evidence, ...], code: int) -> None:
    assert runner.exit_code(evidences) == code


@pytest.mark.slow
def test_a_team_own_copy_of_a_notebook_makes_it_stale_and_is_what_runs(plugin: Path, whole: tuple[Path, Any]) -> None:
    folder = whole[0].with_name("copied")
    shutil.copytree(whole[0], folder)
    ours = ['migration = "."\nparams = {}', CALL.format("gamma"), "audit.run()\n'ours'"]
    path = write_notebook(folder / "notebooks" / "99_gamma.ipynb", ours)
    book = json.loads(path.read_text())
    left = {"tags": ["injected-parameters"]}
    stale = {**book["cells"][0], "id": "left", "metadata": left, "source": 'params = {"size": 99}'}
    book["cells"].insert(1, stale)
    path.write_text(json.dumps(book))
    outcome = told(workbench(plugin, "run", folder, *ALL, "--json"))
    assert (outcome["ran"], sorted(outcome["fresh"])) == (["gamma"], ["alpha", "beta"])
    assert "'ours'" in executed(folder, "gamma")
    assert "injected-parameters" not in executed(folder, "gamma"), "what an earlier run was told is not said again"
    assert evidence(folder, "gamma") == evidence(whole[0], "gamma"), "it still holds and was not made again"


def test_what_asks_both_models_itself_starts_before_what_reads_their_kept_scores() -> None:
    from workbench import catalog
    from workbench.runner.plan import Step

    steps = [Step(entry, "{}", (), 0) for entry in catalog.discover() if entry.module]
    assert [step.name for step in steps if step.long] == ["explainability"]
