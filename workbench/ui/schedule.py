"""`workbench schedule`: the files that make another program run the journey at certain times."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench import __version__
from workbench.migration import open_migration
from workbench.runner import plan
from workbench.ui.say import CliError, emit, out
from workbench.ui.schedule_times import Cron

Files = dict[str, str]
"""Text by name; the name says where it belongs."""
MOST_NAME = 52
"""Characters of a CronJob's name: Kubernetes adds 11 of its own to make a Job's, of 63."""


@dataclass(frozen=True)
class Wanted:
    """What is to run and when. image and claim: for Kubernetes, what holds the workbench and what the migration."""

    folder: Path
    name: str
    at: Cron
    only: tuple[str, ...] = ()
    jobs: int = 2
    image: str = ""
    claim: str = ""

    @property
    def slug(self) -> str:
        """A name that every scheduler takes: RFC 1123."""
        text = re.sub(r"[^a-z0-9]+", "-", f"workbench-{self.name}".lower()).strip("-")
        return text[:MOST_NAME].rstrip("-")

    def words(self, program: str, folder: str) -> list[str]:
        said = [word for name in self.only for word in ("--only", name)]
        return [program, "run", folder, "--progress", "plain", "--jobs", str(self.jobs), *said]


def schedule(wanted: Wanted, how: str, output: Path | None, *, as_json: bool) -> None:
    """Prints the files, or writes them below `output`."""
    if how not in WAYS:
        raise CliError(f"--as {how!r} is not known: use one of {', '.join(WAYS)}")
    files = WAYS[how](wanted)
    written = _written(files, output) if output else []
    emit({"at": wanted.at.text, "files": files, "written": [str(path) for path in written]}, as_json)
    if as_json:
        return
    for path in written:
        out(f"Written: {path}", style="bold")
    for name, text in files.items() if not written else ():
        out(f"# {name}", style="dim")
        out(text)
    out(_HOW[how].format(slug=wanted.slug))


def wanted(folder: Path, at: str, only: tuple[str, ...], jobs: int, image: str, claim: str) -> Wanted:
    """Checked before anything is written. Raises MigrationError, CatalogError or CliError."""
    from workbench.ui.showing import named

    migration = open_migration(folder)
    names = tuple(named(name) for name in only)
    plan(migration, only=names)
    return Wanted(migration.folder.resolve(), migration.name, Cron(at), names, jobs, image, claim)


def _written(files: Files, output: Path) -> list[Path]:
    from workbench import store

    for name in files:
        if (output / name).exists():
            raise CliError(f"{output / name} is there already: move it away, or write to another folder")
    for name, text in files.items():
        store.write(output / name, text)
    return [output / name for name in files]


def _program() -> str:
    """The command of this very installation: a scheduler has another PATH."""
    beside = Path(sys.executable).with_name("workbench")
    return str(beside) if beside.exists() else shutil.which("workbench") or "workbench"


def cron(wanted: Wanted) -> Files:
    """A line for crontab(5), where an unescaped % ends the command."""
    folder = str(wanted.folder)
    log = shlex.quote(str(wanted.folder / ".workbench" / "schedule.log"))
    command = shlex.join(wanted.words(_program(), folder)) + f" >> {log} 2>&1"
    made = f"mkdir -p {shlex.quote(str(wanted.folder / '.workbench'))} && "
    return {f"{wanted.slug}.cron": f"{wanted.at.text} {(made + command).replace('%', chr(92) + '%')}\n"}


def systemd(wanted: Wanted) -> Files:
    """A service and its timer for systemd.service(5) and systemd.timer(5), of a user."""
    command = " ".join(_systemd_word(word) for word in wanted.words(_program(), str(wanted.folder)))
    describes = _systemd_text(f"Migration Workbench: the journey of {wanted.name}")
    service = f"[Unit]\nDescription={describes}\n\n[Service]\nType=oneshot\nExecStart={command}\nNice=10\n"
    calendar = "\n".join(f"OnCalendar={line}" for line in wanted.at.calendar)
    timer = (
        f"[Unit]\nDescription={describes}, on time\n\n[Timer]\n{calendar}\nPersistent=true\n"
        f"Unit={wanted.slug}.service\n\n[Install]\nWantedBy=timers.target\n"
    )
    return {f"{wanted.slug}.service": service, f"{wanted.slug}.timer": timer}


def _systemd_text(text: str) -> str:
    return text.replace("%", "%%")


def _systemd_word(word: str) -> str:
    """Quoted as systemd reads a command line: % and $ are its own."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def kubernetes(wanted: Wanted) -> Files:
    """A CronJob (batch/v1). The claim holds the migration; blockers end the Job as failed, and it is not repeated."""
    image = wanted.image or f"migration-workbench:{__version__}"
    container = {
        "name": "workbench",
        "image": image,
        "command": wanted.words("workbench", "/migration"),
        "volumeMounts": [{"name": "migration", "mountPath": "/migration"}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "resources": {"requests": {"cpu": str(wanted.jobs), "memory": f"{2 * wanted.jobs}Gi"}},
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "fsGroup": 1000},
        "containers": [container],
        "volumes": [{"name": "migration", "persistentVolumeClaim": {"claimName": wanted.claim or wanted.slug}}],
    }
    job = {"backoffLimit": 0, "template": {"spec": pod}}
    made = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": wanted.slug},
        "spec": {
            "schedule": wanted.at.text,
            "timeZone": "Etc/UTC",
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 3600,
            "jobTemplate": {"spec": job},
        },
    }
    return {f"{wanted.slug}.yaml": _yaml(made)}


def github(wanted: Wanted) -> Files:
    """A workflow for GitHub Actions. Its checkout must hold the migration, with its data and models."""
    steps: list[dict[str, Any]] = [
        {"uses": "actions/checkout@v4", "with": {"persist-credentials": False}},
        {"uses": "actions/setup-python@v5", "with": {"python-version": "3.12"}},
        {"run": f'python -m pip install "migration-workbench[models]=={__version__}"'},
        {"run": shlex.join(wanted.words("workbench", _in_repository(wanted.folder)))},
        {
            "if": "always()",
            "uses": "actions/upload-artifact@v4",
            "with": {"name": wanted.slug, "path": f"{_in_repository(wanted.folder)}/reports"},
        },
    ]
    made = {
        "name": f"Migration Workbench: {wanted.name}",
        "on": {"schedule": [{"cron": wanted.at.text}], "workflow_dispatch": {}},
        "permissions": {"contents": "read"},
        "concurrency": wanted.slug,
        "jobs": {"run": {"runs-on": "ubuntu-latest", "timeout-minutes": 120, "steps": steps}},
    }
    if wanted.at.is_closer_than(5):
        raise CliError(f"GitHub runs nothing more often than every 5 minutes, and {wanted.at.text!r} asks for more")
    return {f".github/workflows/{wanted.slug}.yml": _yaml(made)}


def _in_repository(folder: Path) -> str:
    """The folder relative to its repository; expressions of Actions in its name are nothing to escape, so refused."""
    top = next((parent for parent in (folder, *folder.parents) if (parent / ".git").exists()), None)
    if top is None:
        raise CliError(f"{folder.name} lies in no git repository, and a workflow runs what is checked out: git init")
    name = folder.relative_to(top).as_posix()
    if "${{" in name:
        raise CliError(f"{name!r} would be read as an expression by GitHub: rename the folder")
    return name


def airflow(wanted: Wanted) -> Files:
    """A DAG of one task, for Airflow 2 and 3; its workers must see the folder."""
    command = shlex.join(wanted.words(_program(), str(wanted.folder)))
    # The operator reads its command as a Jinja template: whatever a folder is called must stay text.
    quoted = command.replace("{% endraw %}", "")
    text = f'''\
"""The journey of one migration, on time. Made by `workbench schedule`."""

from datetime import datetime, timezone

from airflow import DAG

try:
    from airflow.providers.standard.operators.bash import BashOperator
except ImportError:  # Airflow 2
    from airflow.operators.bash import BashOperator

with DAG(
    dag_id={wanted.slug!r},
    schedule={wanted.at.text!r},
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    tags=["migration-workbench"],
):
    BashOperator(task_id="run", bash_command={"{% raw %}" + quoted + "{% endraw %}"!r}, retries=0)
'''
    return {f"{wanted.slug.replace('-', '_')}.py": text}


def _yaml(made: Mapping[str, Any]) -> str:
    from io import StringIO

    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 4096
    text = StringIO()
    yaml.dump(dict(made), text)
    return text.getvalue()


WAYS: dict[str, Callable[[Wanted], Files]] = {
    "cron": cron,
    "systemd": systemd,
    "kubernetes": kubernetes,
    "github": github,
    "airflow": airflow,
}
_HOW = {
    "cron": "Add that line with `crontab -e`. Times are of this machine's clock.",
    "systemd": "Put both into ~/.config/systemd/user, then: systemctl --user enable --now {slug}.timer",
    "kubernetes": "kubectl apply -f {slug}.yaml; its claim must hold the migration. Times are UTC.",
    "github": "Commit it with the migration. Times are UTC.",
    "airflow": "Put it into the folder of your DAGs. Times are UTC.",
}
