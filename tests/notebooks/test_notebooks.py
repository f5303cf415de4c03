"""Every notebook is a document that keeps the house rules, and runs headless on the sample."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from conftest import Journey

from workbench import catalog, places, store
from workbench.catalog.discovery import every as every_entry
from workbench.evidence import Status
from workbench.runner import read_notebook

BOOKS = sorted(places.notebooks().glob("*.ipynb"))
ENTRIES = {entry.stem: entry for entry in every_entry() if entry.notebook}
JOURNEY = [path for path in BOOKS if path.stem in {entry.stem for entry in catalog.discover()}]

Cell = dict[str, Any]


def cells(path: Path, kind: str) -> list[Cell]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


every = pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
of_the_journey = pytest.mark.parametrize("path", JOURNEY, ids=lambda path: path.stem)


def test_there_is_a_notebook_for_every_question() -> None:
    assert {path.stem for path in BOOKS} == set(ENTRIES)
    assert {path.stem for path in JOURNEY} == {entry.stem for entry in catalog.discover()}


@every
def test_it_is_valid_and_has_stable_cell_ids(path: Path) -> None:
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    assert (book.nbformat, book.nbformat_minor) == (4, 5)
    assert book.metadata.kernelspec.name == "python3"
    ids = [cell.id for cell in book.cells]
    assert len(set(ids)) == len(ids)
    assert read_notebook(path), "the runner would refuse it"


@every
def test_its_title_is_its_question(path: Path) -> None:
    first = nbformat.read(path, as_version=4).cells[0]
    assert first.cell_type == "markdown"
    assert first.source.splitlines()[0] == f"# {ENTRIES[path.stem].question}"


@every
def test_it_has_few_short_cells_without_machinery(path: Path) -> None:
    code = cells(path, "code")
    assert len(code) <= 12
    for cell in code:
        assert len(cell["source"].splitlines()) <= 8, cell["source"]
        for node in ast.walk(ast.parse(cell["source"])):
            machinery = (ast.FunctionDef, ast.Lambda, ast.ClassDef, ast.For, ast.While, ast.ListComp, ast.Try, ast.With)
            assert not isinstance(node, machinery), f"no {type(node).__name__} in a notebook: put it into the package"


@every
def test_its_outputs_are_stripped(path: Path) -> None:
    for cell in cells(path, "code"):
        assert (cell["outputs"], cell["execution_count"]) == ([], None), "strip the outputs before you commit"


@every
def test_its_first_code_cell_takes_the_parameters(path: Path) -> None:
    first = cells(path, "code")[0]
    assert first["metadata"]["tags"] == ["parameters"]
    assert first["source"] == 'migration = "."\nparams = {}'


@every
def test_it_reads_as_a_document(path: Path) -> None:
    prose = "\n".join(cell["source"] for cell in cells(path, "markdown"))
    assert not re.search(r"<[a-zA-Z/]", prose), "no HTML in prose"
    assert "**For**" in prose, "say for whom"
    assert "**You need**" in prose
    assert "**Next:**" in prose
    assert len(prose.split()) > 250
    if ENTRIES[path.stem].module:
        assert "## How to read it" in prose
        assert "## When it fails" in prose
        assert "## Summary" in prose


@every
def test_the_notebooks_and_findings_it_names_are_there(path: Path) -> None:
    source = "\n".join(cell["source"] for cell in nbformat.read(path, as_version=4).cells)
    named = set(re.findall(r"`(\d\d_[a-z_]+)`", source))
    assert named <= set(ENTRIES), f"no such notebook: {named - set(ENTRIES)}"
    for finding in re.findall(r'"([a-z]+/[a-z0-9-]+)"', source):
        catalog.find(finding)


# ------------------------------------------------------------------------------------- headless


@pytest.mark.notebook
def test_the_whole_journey_runs_unattended(journey: Journey) -> None:
    ended = {event["notebook"]: event["event"] for event in journey.events if event.get("notebook")}
    assert ended == dict.fromkeys((path.stem for path in JOURNEY), "done")
    run = store.runs(journey.folder)[0]
    assert run.state == "done"
    assert store.verify(run.folder) == ()


@pytest.mark.notebook
@of_the_journey
def test_it_ran_to_its_end_and_left_its_evidence(path: Path, journey: Journey) -> None:
    part = store.runs(journey.folder)[0].folder / path.stem
    executed = nbformat.read(part / "notebook.ipynb", as_version=4)
    code = [cell for cell in executed.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
    assert not [output for cell in code for output in cell.outputs if output.get("name") == "stderr"], "no noise"
    if ENTRIES[path.stem].module:
        evidence = store.read_evidence(part / store.EVIDENCE)
        assert evidence.findings
        assert Status.ERROR not in evidence.verdict.counts
        assert (part / "report.html").stat().st_size > 1000


@pytest.mark.notebook
def test_the_candidate_of_the_sample_is_exact(journey: Journey) -> None:
    stored = store.latest(journey.folder, "parity")
    assert stored is not None
    found = {finding.id: finding for finding in stored.evidence.findings}
    assert found["parity/label-flips"].change.value == 0  # type: ignore[union-attr]
    assert found["parity/score-difference"].change.value <= 1e-6  # type: ignore[union-attr]
