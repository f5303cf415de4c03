"""One notebook of the journey run for a scheduler that hands over a copy of it: found at home, run by our runner."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench import catalog, places, runner, store
from workbench.migration import FILE, open_migration
from workbench.runner.copies import fingerprint
from workbench.store.records import NOTEBOOK
from workbench.ui.say import CliError, value_of
from workbench.ui.server.finding import Walk

MIGRATION = "migration"
"""The parameter that names the migration's folder, relative to the root of the server; every notebook declares it."""


def entry_of(notebook: Path) -> catalog.Entry | None:
    """The journey's notebook of this name, if it is one."""
    return next((entry for entry in catalog.discover() if entry.stem == notebook.stem), None)


def home_of(notebook: Path, root: Path, parameters: Mapping[str, str]) -> Path:
    """The migration the notebook belongs to: as a parameter says, else the only one whose copy it is.

    Raises CliError where none or several could be meant.
    """
    if named := parameters.get(MIGRATION, "").strip():
        folder = (root / named).resolve()
        if not folder.is_relative_to(root.resolve()) or not (folder / FILE).is_file():
            raise CliError(f"There is no migration {named!r} below {root.name}/: give its folder in `{MIGRATION}`")
        return folder
    text = _said(notebook)
    found = [folder for folder in Walk(root.resolve())().folders if _holds(folder, notebook.name, text)]
    if len(found) == 1:
        return found[0]
    seen = ", ".join(folder.relative_to(root.resolve()).as_posix() or "." for folder in found) or "none"
    raise CliError(
        f"Which migration {notebook.name} is of cannot be told (it could be of: {seen}): give its folder, relative to "
        f"Jupyter's root, in the parameter `{MIGRATION}`"
    )


def run(notebook: Path, entry: catalog.Entry, root: Path, parameters: Mapping[str, str]) -> tuple[Path, str]:
    """Runs it in its migration, unless its evidence still holds: the executed notebook, and why it failed or "".

    parameters: as typed in Lab's form, checked against the audit's own before a kernel starts.
    """
    folder = home_of(notebook, root, parameters)
    given = {name: value_of(text) for name, text in parameters.items() if name != MIGRATION}
    chosen = {entry.name: given} if given else {}
    outcome = runner.run(open_migration(folder), only=(entry.name,), params=chosen)
    executed = (run.folder / entry.stem / NOTEBOOK for run in store.runs(folder))
    return next(path for path in executed if path.is_file()), outcome.failed.get(entry.name, "")


def _said(notebook: Path) -> str:
    book: dict[str, Any] = json.loads(notebook.read_text(encoding="utf-8"))
    return fingerprint(book)


def _holds(folder: Path, name: str, said: str) -> bool:
    """Whether the migration has this very notebook, or none of its own and this is the journey's."""
    copy = folder / places.notebooks().name / name
    copy = copy if copy.is_file() else places.notebooks() / name
    return _said(copy) == said
