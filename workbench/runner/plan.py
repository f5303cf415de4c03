"""What is going to run, checked before any kernel starts: sound notebooks, declared parameters."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from workbench import catalog
from workbench.audit import Params, Resources, needs, resources
from workbench.catalog import Entry
from workbench.migration import Migration
from workbench.runner.copies import FOLDER, fingerprint, is_changed, tags_of, text_of

MOST_BYTES = 50 * 1024**2
"""A notebook larger than this is refused: it is a data file in disguise, and would be copied into every run."""
DECLARED = ("migration", "params")
"""What the cell tagged `parameters` of a notebook must declare."""


class PlanError(Exception):
    """Nothing was started; the message says why and what to do."""


@dataclass(frozen=True)
class Step:
    """One notebook of a run. text: the notebook; titles: the heading above each of its cells; cells: code cells.

    params: given for this run; chosen: all of its module's, where it has one.
    """

    entry: Entry
    text: str
    titles: tuple[str, ...]
    cells: int
    params: Mapping[str, object] = field(default_factory=dict)
    chosen: Params | None = None

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def part(self) -> str:
        return part_of(self.entry)

    @cached_property
    def source(self) -> str:
        """Fingerprint of the notebook's cells: outputs that somebody saved make it no other notebook."""
        return fingerprint(json.loads(self.text))

    @property
    def alone(self) -> bool:
        """Whether nothing may run beside it: its module says so with ALONE, because it measures time.

        A search whose trials run elsewhere says with its parameters (`alone`) that it does not.
        """
        says = bool(self.entry.module) and bool(getattr(self.entry.load(), "ALONE", False))
        return says and bool(getattr(self.chosen, "alone", True))

    @property
    def resources(self) -> Resources:
        """What it needs of a machine of a cluster."""
        return resources(self.entry.load()) if self.entry.module else Resources()

    @property
    def long(self) -> bool:
        """Whether it asks both models itself: it starts before what reads the scores that others have kept by then."""
        if self.alone or not self.entry.module:
            return False
        return {"legacy", "candidate"} <= {need.name for need in needs(self.entry.load())}


def part_of(entry: Entry) -> str:
    """Folder of a notebook's results in a run: "51_bias"; an audit installed without a number comes last."""
    return entry.stem if entry.number else f"99_{entry.name}"


def plan(
    migration: Migration,
    only: Sequence[str] = (),
    start: str = "",
    params: Mapping[str, Mapping[str, object]] | None = None,
) -> tuple[Step, ...]:
    """The notebooks to run, in an order that respects what each one needs.

    only: these and no others; start: this one and what comes after it; params: by audit, over migration.yaml's.
    Raises CatalogError for an unknown name or parameter, PlanError for a notebook that must not be executed.
    """
    given = params or {}
    entries = catalog.order(migration, tuple(only) or None)
    if start:
        names = [entry.name for entry in entries]
        catalog.entry(start)
        if start not in names:
            raise PlanError(f"{start!r} is not among {', '.join(names)}: leave --from or --only out")
        entries = entries[names.index(start) :]
    for name in given:
        if catalog.entry(name).name not in {entry.name for entry in entries}:
            raise PlanError(f"parameters are given for {name!r}, which is not going to run: add it to --only")
    return tuple(_step(migration, entry, given.get(entry.name, {})) for entry in entries)


def _step(migration: Migration, entry: Entry, params: Mapping[str, object]) -> Step:
    refuse_odd_names(entry.name, params)
    chosen = catalog.params_of(migration, entry.name, params) if entry.module else None
    if params and not entry.module:
        raise PlanError(f"{entry.name} takes no parameters, given was {', '.join(params)}")
    path = notebook_of(migration, entry)
    text = path.read_text(encoding="utf-8") if path and read_notebook(path) else _plain_notebook(entry)
    book = json.loads(text)
    code = sum(cell["cell_type"] == "code" for cell in book["cells"])
    return Step(entry, text, _titles(book), code, params, chosen)


def _plain_notebook(entry: Entry) -> str:
    """For an audit that was installed without a notebook of its own."""
    sources = (
        'migration = "."\nparams = {}',
        f'from workbench.ui.guide import guide\n\naudit = guide("{entry.name}", migration, params)',
        "evidence = audit.run()\naudit.show(evidence)",
    )
    cells: list[dict[str, object]] = [
        {
            "cell_type": "code",
            "id": f"cell-{n}",
            "metadata": {},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }
        for n, source in enumerate(sources)
    ]
    cells[0]["metadata"] = {"tags": ["parameters"]}
    title = {"cell_type": "markdown", "id": "title", "metadata": {}, "source": f"# {entry.question}"}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [title, *cells]})


def refuse_odd_names(audit: str, params: Mapping[str, object]) -> None:
    """A parameter's name ends up as code in a notebook, so it must be a plain name.

    Raises PlanError.
    """
    for name in params:
        if not name.isidentifier():
            raise PlanError(f"{audit}: {name[:60]!r} is not the name of a parameter: use letters, digits and _ only")


def notebook_of(migration: Migration, entry: Entry) -> Path | None:
    """The team's own copy in the migration's `notebooks/` if they changed it, else the one of the workbench."""
    folder = migration.folder / FOLDER
    if entry.notebook is None:
        own = sorted(folder.glob(f"[0-9][0-9]_{entry.name}.ipynb"))
        return own[0] if own else None
    copy = folder / entry.notebook.name
    return copy if copy.exists() and is_changed(copy) else entry.notebook


def read_notebook(path: Path) -> dict[str, object]:
    """The notebook as plain JSON, if it is one that can be executed.

    Raises PlanError naming what is wrong: missing, empty, too large, corrupt, of an old format, without `parameters`.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise PlanError(
            f"{path} cannot be read ({error.strerror}): put the notebook back, or remove your copy"
        ) from None
    if not size:
        raise PlanError(f"{path} is empty: put a notebook there, or remove it to use the one of the workbench")
    if size > MOST_BYTES:
        raise PlanError(
            f"{path} has {size / 1e6:,.0f} MB, at most {MOST_BYTES / 1e6:.0f} are executed: clear its outputs "
            "(jupyter nbconvert --clear-output --inplace) and save it again"
        )
    try:
        book = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise PlanError(f"{path} is not a notebook: it is damaged ({error}). Restore it from version control") from None
    return _checked(book, path)


def _checked(book: object, path: Path) -> dict[str, object]:
    if not isinstance(book, dict) or book.get("nbformat") != 4 or not isinstance(book.get("cells"), list):
        raise PlanError(f"{path} is not a notebook of format 4: open it in JupyterLab and save it again")
    cells = [cell for cell in book["cells"] if isinstance(cell, dict)]
    code = [cell for cell in cells if cell.get("cell_type") == "code"]
    if len(cells) != len(book["cells"]) or not code:
        raise PlanError(f"{path} has no code cells that can be read: restore it from version control")
    tagged = [cell for cell in code if "parameters" in tags_of(cell)]
    declared = _assigned("\n".join(text_of(cell) for cell in tagged), path)
    if missing := [name for name in DECLARED if name not in declared]:
        raise PlanError(
            f"{path} does not declare {' and '.join(missing)} in a cell tagged `parameters`: "
            'add a first code cell with `migration = "."` and `params = {}` and give it that tag'
        )
    return book


def _assigned(source: str, path: Path) -> set[str]:
    try:
        body = ast.parse(source).body
    except SyntaxError as error:
        raise PlanError(
            f"{path}: the cell tagged `parameters` is not Python: {error.msg} (line {error.lineno})"
        ) from None
    names = (target for node in body if isinstance(node, ast.Assign) for target in node.targets)
    return {name.id for name in names if isinstance(name, ast.Name)}


def _titles(book: Mapping[str, object]) -> tuple[str, ...]:
    """For each cell the last heading above it."""
    title, titles = "", []
    cells = book["cells"]
    assert isinstance(cells, list)
    for cell in cells:
        if cell.get("cell_type") == "markdown":
            headings = [line.lstrip("#").strip() for line in text_of(cell).splitlines() if line.startswith("#")]
            title = headings[-1] if headings else title
        titles.append(title)
    return tuple(titles)
