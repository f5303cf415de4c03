"""Notebooks copied into a migration: the team's changes count and are kept, everything else follows the workbench."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workbench import places
from workbench.migration import open_migration
from workbench.runner import copy_notebooks, plan
from workbench.runner.copies import fingerprint, is_changed

Edit = Callable[[dict[str, Any]], Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "loans.csv").write_text("sex,default,decision\nf,0,0\nm,1,1\n")
    (tmp_path / "migration.yaml").write_text(
        'version: 1\nname: credit\ndata: {holdout: loans.csv}\nlegacy: {uri: "column:decision"}\n'
        "task: {kind: binary, target: default, positive: 1}\n"
    )
    copy_notebooks(tmp_path)
    return tmp_path


def edit(folder: Path, change: Edit, name: str = "51_bias") -> Path:
    path = folder / "notebooks" / f"{name}.ipynb"
    book = json.loads(path.read_text())
    change(book)
    path.write_text(json.dumps(book))
    return path


def source_of(folder: Path, part: str = "51_bias") -> str:
    return next(step.text for step in plan(open_migration(folder)) if step.part == part)


def test_every_notebook_is_copied_as_it_is(folder: Path) -> None:
    origins = sorted(places.notebooks().glob("*.ipynb"))
    copies = sorted((folder / "notebooks").glob("*"))
    assert [copy.name for copy in copies] == [origin.name for origin in origins]
    for origin, copy in zip(origins, copies, strict=True):
        assert json.loads(copy.read_text())["cells"] == json.loads(origin.read_text())["cells"]
        assert not is_changed(copy)
    assert copy_notebooks(folder).written == ()


def ran_and_saved(book: dict[str, Any]) -> None:
    """As JupyterLab saves it: lines as a list, outputs, counts, metadata of its own."""
    for cell in book["cells"]:
        cell["source"] = "".join(cell["source"]).splitlines(keepends=True)
        if cell["cell_type"] == "code":
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x"}]
            cell["execution_count"] = 7
            cell["metadata"]["execution"] = {"iopub.execute_input": "now"}
    book["metadata"]["widgets"] = {}


def test_running_and_saving_is_no_change(folder: Path) -> None:
    before = {step.part: step.source for step in plan(open_migration(folder))}
    assert not is_changed(edit(folder, ran_and_saved))
    assert {step.part: step.source for step in plan(open_migration(folder))} == before
    assert copy_notebooks(folder).changed == ()


@pytest.mark.parametrize(
    "change",
    [
        lambda book: book["cells"][-1].update(source="Agreed with the works council."),
        lambda book: book["cells"].pop(),
        lambda book: book["metadata"].pop("workbench"),
    ],
    ids=["a word", "a cell less", "from elsewhere"],
)
def test_what_the_team_changed_is_kept_and_run(folder: Path, change: Edit) -> None:
    path = edit(folder, change)
    text = path.read_text()
    assert source_of(folder) == text
    copies = copy_notebooks(folder)
    assert (copies.changed, copies.written) == (("51_bias",), ())
    assert path.read_text() == text


def test_what_nobody_changed_follows_the_workbench(folder: Path) -> None:
    """A copy of an older workbench: its cells are what was copied then, and are no longer what is shipped."""

    def older(book: dict[str, Any]) -> None:
        book["cells"][0]["source"] = "# The question of last year?"
        book["metadata"]["workbench"]["copied"] = fingerprint(book)

    path = edit(folder, older)
    assert "of last year" not in source_of(folder)
    assert copy_notebooks(folder).written == ("51_bias",)
    assert "of last year" not in path.read_text()


def test_what_cannot_be_read_is_not_overwritten(folder: Path) -> None:
    path = folder / "notebooks" / "51_bias.ipynb"
    path.write_text("{ half")
    assert copy_notebooks(folder).changed == ("51_bias",)
    assert path.read_text() == "{ half"
