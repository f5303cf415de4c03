"""What the review server refuses to serve with, and what it says of itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workbench import places
from workbench.migration import open_migration
from workbench.ui.cli import main
from workbench.ui.review import selfcheck
from workbench.ui.review.doors import Doors, ReviewError
from workbench.ui.review.people import People


def checked(folder: Path, doors: Doors | None = None, *, isolated: bool = False) -> tuple[str, ...]:
    return selfcheck.checked(open_migration(folder), doors or Doors(), People(folder), isolated=isolated)


def test_it_says_what_it_rests_on(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = tmp_path / "jupyter_server_config.d"
    settings.mkdir()
    monkeypatch.setattr("jupyter_core.paths.jupyter_config_path", lambda: [str(tmp_path)])
    said = checked(folder, Doors("header", proxies=("10.0.0.1",)))
    assert said[0] == "X-Forwarded-User is believed from 10.0.0.1 only."
    assert "memory" in said[1]
    (settings / "voila.json").write_text(
        json.dumps({"ServerApp": {"jpserver_extensions": {"voila.server_extension": True}}})
    )
    assert "give reviewers no token" in checked(folder)[0]
    People(folder).note("eve", "sent execute_request to a kernel: dropped")
    assert checked(folder)[-1].startswith("Refused within a week: 1; the last: eve sent execute_request")


def test_templates_others_can_change_and_secrets_others_can_read_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    copy = tmp_path / "templates"
    shutil.copytree(places.templates(), copy)
    monkeypatch.setattr(places, "templates", lambda: copy)
    checked(folder)
    (copy / "page.html.j2").chmod(0o646)
    with pytest.raises(ReviewError, match=r"can change .*page\.html\.j2"):
        checked(folder)
    (copy / "page.html.j2").chmod(0o644)
    people = People(folder)
    people.path.chmod(0o644)
    with pytest.raises(ReviewError, match="chmod 600"):
        selfcheck.checked(open_migration(folder), Doors(), people, isolated=False)


def test_isolated_is_refused_to_who_can_read_the_data(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selfcheck, "_extension_files", list)
    with pytest.raises(ReviewError, match=r"can read .*loans.csv"):
        checked(folder, isolated=True)
    (folder / "loans.csv").unlink()
    assert checked(folder, isolated=True)[0].startswith("Isolated")


def test_isolated_is_refused_while_voila_is_an_extension(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "loans.csv").unlink()
    monkeypatch.setattr(selfcheck, "_extension_files", lambda: [Path("voila.json")])
    with pytest.raises(ReviewError, match=r"extension of the Jupyter servers"):
        checked(folder, isolated=True)


AS_NOBODY = """
import json, os, sys
from pathlib import Path
from workbench import render
from workbench.migration import open_migration
from workbench.ui.review import selfcheck
from workbench.ui.review.doors import Doors
from workbench.ui.review.people import People
from workbench.ui.review.reading import Pages, choice

def seen(folder, isolated):
    migration = open_migration(folder)
    said = selfcheck.checked(migration, Doors(), People(folder), isolated=isolated)
    page = Pages(folder).journey(render.Bar("/", "credit", who="ada"))
    return [said[0], "Ready" in page, bool(choice(migration, "ada").subjects)]

selfcheck._extension_files = list
folder = Path(sys.argv[1])
seen(folder, False)  # what is imported late is imported by now: this Python may lie where only root reads
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
print(json.dumps(seen(folder, True)))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become another user")
def test_a_user_who_cannot_read_the_data_serves_all_the_same(folder: Path) -> None:
    """For whom the data are closed, the pages are there all the same, and so is what a decision is about."""
    (folder / "loans.csv").chmod(0o600)
    People(folder)
    for path in ((folder / ".workbench"), *(folder / ".workbench").rglob("*")):
        os.chown(path, 65534, 65534)
    for place in (folder, *folder.parents[:4]):
        place.chmod(place.stat().st_mode | 0o055)
    done = subprocess.run([sys.executable, "-c", AS_NOBODY, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["Isolated: raw data and the legacy model cannot be read from here.", True, True]


def test_two_ways_in_at_once_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["review", str(folder), "--hub", "--open"]) == 3
    assert "choose one" in capsys.readouterr().err
    assert main(["review", str(folder), "--hub"]) == 3
    assert "--url" in capsys.readouterr().err
    assert main(["review", str(folder), "--hub", "--url", "https://hub.example.org/services/review/"]) == 3
    assert "c.JupyterHub.services" in capsys.readouterr().err
