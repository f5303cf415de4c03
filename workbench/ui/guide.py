"""What a guided notebook uses: `audit = guide("bias", migration, params)`, then form, run, show.

The same cells work by hand in JupyterLab, headless, and in a dashboard, which only shows what is stored.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import catalog, store
from workbench.disclosure import protected
from workbench.evidence import Chart, Detail, Evidence, File, Table
from workbench.migration import FILE, Migration, MigrationError, open_migration
from workbench.runner.kernel import DASHBOARD, FORCE, PLACE
from workbench.runner.plan import part_of
from workbench.ui.listing import Listing

if TYPE_CHECKING:
    import pandas as pd

    from workbench.ui.explore.cases import Cases
    from workbench.ui.explore.groups import Groups
    from workbench.ui.explore.machines import Machines
    from workbench.ui.explore.whatif import WhatIf
    from workbench.ui.form import Form
    from workbench.ui.journey import Standing
    from workbench.ui.thresholds import Explorer


class NothingStoredError(Exception):
    """A dashboard was opened before anything was run."""


KNOWN = (MigrationError, catalog.CatalogError, store.StoreError, NothingStoredError)
"""Errors whose message is meant for people: a notebook shows the sentence and no traceback."""


def guide(name: str, migration: str | Path = ".", params: Mapping[str, object] | None = None) -> Guide:
    """The guide of one notebook. migration: the folder of migration.yaml, or any folder inside it.

    Raises CatalogError for an unknown name or parameter, MigrationError where there is no valid migration.yaml.
    """
    _plain_errors()
    return Guide(name, _find(_path(migration)), _given(params))


def journey(migration: str | Path = ".") -> Standing:
    """Where the migration stands, as stored; computes nothing."""
    from workbench.ui.journey import HERE, standing

    _plain_errors()
    folder = _find(_path(migration))
    return standing(open_migration(folder), HERE)


class Guide:
    """One audit or mover of one migration, from a notebook's point of view."""

    def __init__(self, name: str, folder: Path, params: dict[str, object]) -> None:
        self.name, self.folder, self.params = name, folder, params
        self.question = catalog.entry(name).question
        catalog.params_of(self.migration, name, params)

    @property
    def migration(self) -> Migration:
        """As migration.yaml says now: a choice made in the form counts at once."""
        return open_migration(self.folder)

    def form(self) -> Form:
        """The audit's parameters: to change in JupyterLab, to read elsewhere. A change is written to migration.yaml."""
        from workbench.ui.form import Form

        return Form(self.name, self.folder, self.params, interactive=not headless() and not dashboard())

    def run(self) -> Evidence:
        """The stored evidence while it holds, else new evidence, which is stored.

        Raises StoreError where it cannot be stored, NothingStoredError in a dashboard without evidence.
        """
        if dashboard():
            return self._stored_or_refuse()
        migration = self.migration
        key = catalog.key(migration, self.name, self.params)
        found = None if os.environ.get(FORCE) else store.latest(migration.folder, self.name, key)
        if place := os.environ.get(PLACE):
            evidence = _brought(found, Path(place)) if found else self._compute(migration, Path(place))
            store.write(Path(place) / store.EVIDENCE, evidence.to_json())
            return evidence
        if found:
            print(f"Nothing it depends on has changed: this is the evidence of run {found.origin}.")
            return found.evidence
        return self._compute_and_store(migration, key)

    def show(self, evidence: Evidence) -> object:
        """The verdict and the findings, worst first."""
        from workbench import render

        return render.show(evidence)

    def charts(self, evidence: Evidence, finding: str = "") -> None:
        """Displays the charts of a finding (`bias/selection-rate-gap`, or with its subject in brackets), or all."""
        from workbench import render

        if any(isinstance(detail, Chart) for detail in _details(evidence, finding)):
            render.charts(evidence, finding)
        else:
            print("There is nothing to draw here: the findings above say why.")

    def tables(self, evidence: Evidence, finding: str) -> None:
        """Displays the tables behind a finding, each under its title."""
        from IPython import display as screen

        show: Any = screen.display
        tables = [
            detail.model_copy(update={"title": f"{detail.title} ({found.subject})" if found.subject else detail.title})
            for found in evidence.findings
            for detail in (found.details if finding in (found.id, found.key) else ())
            if isinstance(detail, Table)
        ]
        if not tables:
            print("There is no table here: the findings above say why.")
        show(*map(Listing, tables))

    def thresholds(self, evidence: Evidence) -> Explorer:
        """What other thresholds would give: a slider where somebody can move it, else the task's own threshold."""
        from workbench.ui.thresholds import Explorer

        return Explorer(evidence, self.migration.task.threshold, interactive=not headless())

    def groups(self, evidence: Evidence) -> Groups:
        """What any choice of groups gets from both models, from the counts in the evidence of bias."""
        from workbench.ui.explore.groups import Groups

        return Groups(evidence, interactive=not headless())

    def calculator(self, evidence: Evidence, **wished: float) -> Machines:
        """Machines, times and cost of a stream of requests, from the timed answers beside the evidence of benchmark.

        wished: what to start with, by name in `measure.speed.capacity.Wish`, e.g. per_second=100.
        """
        from workbench.ui.explore.machines import SAMPLES, Machines

        return Machines(evidence, self._beside(evidence, SAMPLES), interactive=not headless(), **wished)

    def what_if(self) -> WhatIf:
        """One row to change, and what both models then answer, live; elsewhere than in JupyterLab the rows nearest."""
        from workbench.ui.explore.live import pair_of
        from workbench.ui.explore.whatif import WhatIf

        return WhatIf(None if dashboard() else pair_of(self.migration), interactive=not headless())

    def cases(self, evidence: Evidence) -> Cases:
        """Rows worth looking at, with the reasons of both models: those that 52_explainability explained."""
        from workbench.ui.explore.cases import CODES, Cases
        from workbench.ui.explore.live import pair_of

        if dashboard():
            return Cases(None, None, interactive=False)
        live = pair_of(self.migration)
        explained = evidence.audit == "explainability"
        codes = self._beside(evidence, CODES) if explained else self._codes(evidence)
        return Cases(live, codes, interactive=not headless(), only=explained)

    def _codes(self, evidence: Evidence) -> Path | None:
        """The reasons beside the newest explanations, where these are of the rows and models of this evidence."""
        found = store.latest(self.folder, "explainability")
        same = found and all(
            found.evidence.subjects.get(name) == evidence.subjects.get(name)
            for name in ("holdout", "legacy", "candidate")
        )
        return self._beside(found.evidence, "reasons.parquet") if found and same else None

    def _beside(self, evidence: Evidence, name: str) -> Path | None:
        """A file that lies beside the evidence: with this run's, or with the run that stored it."""
        if (place := os.environ.get(PLACE)) and (Path(place) / name).is_file():
            return Path(place) / name
        found = store.latest(self.folder, evidence.audit, evidence.key) or store.latest(self.folder, evidence.audit)
        same = found is not None and found.evidence.started == evidence.started
        return found.folder / name if found and same and (found.folder / name).is_file() else None

    def pairs(self, evidence: Evidence) -> Listing:
        """Every finding that has a number: legacy, candidate, and the change with its interval."""
        from workbench.render import words

        columns = ("finding", "legacy", "candidate", "change", "interval of the change", "status")
        rows = (
            {
                "finding": finding.key,
                "legacy": words.measure(finding.legacy) or None,
                "candidate": words.measure(finding.candidate) or None,
                "change": words.measure(finding.change, True) or None,
                "interval of the change": words.interval(finding.change, True) or None,
                "status": words.STATUS[finding.status],
            }
            for finding in evidence.findings
            if finding.shown
        )
        return Listing.of(columns, rows)

    def table(self, evidence: Evidence, finding: str, number: int = 0) -> pd.DataFrame:
        """A table behind a finding (the first, or the one of this number), as a frame; empty where there is none."""
        tables = [detail for detail in _details(evidence, finding) if isinstance(detail, Table)]
        empty: pd.DataFrame = _pandas().DataFrame()
        return _frame(tables[number]) if -len(tables) <= number < len(tables) else empty

    def findings(self, evidence: Evidence) -> pd.DataFrame:
        """The findings as a frame: id, subject, status, the pair, the change and its interval."""
        rows: pd.DataFrame = _pandas().DataFrame([_row(finding) for finding in evidence.findings])
        return rows

    def _stored_or_refuse(self) -> Evidence:
        found = store.latest(self.folder, self.name)
        if found is None:
            raise NothingStoredError(f"There is no evidence of {self.name} yet: run it first with `workbench run`.")
        return protected(found.evidence, self.migration.privacy.minimum_cell)

    def _compute(self, migration: Migration, place: Path) -> Evidence:
        def stored(name: str) -> Evidence | None:
            return self._evidence_of(migration, name)

        return catalog.run(migration, self.name, self.params, stored=stored, artifacts=place)

    def _evidence_of(self, migration: Migration, name: str) -> Evidence | None:
        found = store.latest(migration.folder, name, catalog.key(migration, name))
        return found.evidence if found else None

    def _compute_and_store(self, migration: Migration, key: str) -> Evidence:
        part = part_of(catalog.entry(self.name))
        with store.open_run(migration.folder, f"notebook {part}") as writer:
            place = writer.workplace(part)
            evidence = self._compute(migration, place)
            store.write(place / store.EVIDENCE, evidence.to_json())
            broke = any(finding.status == "error" for finding in evidence.findings)
            writer.publish(part, audit=self.name, key="" if broke else key)
            writer.finish()
        return evidence


def headless() -> bool:
    """Whether a run executes this notebook."""
    return PLACE in os.environ


def dashboard() -> bool:
    """Whether Voila shows this notebook to a reviewer."""
    return DASHBOARD in os.environ or os.environ.get("SERVER_SOFTWARE", "").startswith("voila")


def _path(migration: object) -> Path:
    if isinstance(migration, str | Path):
        return Path(migration)
    raise catalog.CatalogError(
        f'`migration` is {migration!r}: give the folder that holds {FILE} in quotes, as in migration = "."'
    )


def _given(params: object) -> dict[str, object]:
    if params is None or isinstance(params, Mapping):
        return dict(params or {})
    raise catalog.CatalogError(
        f"`params` is {params!r}: give the parameters by name in braces, as in params = {{'seed': 1}}, or {{}} for none"
    )


def _find(folder: Path) -> Path:
    """The nearest folder upwards that holds migration.yaml, so that a notebook stored in a run finds its own."""
    if told := os.environ.get(DASHBOARD):
        return Path(told)
    if folder.suffix in (".yaml", ".yml"):
        return folder.parent
    for place in (folder.resolve(), *folder.resolve().parents):
        if (place / FILE).exists():
            return place
    return folder


def _frame(table: Table) -> pd.DataFrame:
    frame: pd.DataFrame = _pandas().DataFrame(list(table.rows), columns=list(table.columns))
    return frame


def _pandas() -> Any:
    """pandas, told that a dollar sign in a cell is a dollar sign and no formula."""
    import pandas

    pandas.set_option("display.html.use_mathjax", False)
    return pandas


def _details(evidence: Evidence, finding: str) -> list[Detail]:
    return [detail for found in evidence.findings if finding in ("", found.id, found.key) for detail in found.details]


def _brought(stored: store.Stored, place: Path) -> Evidence:
    """Stored evidence, with the files that lie beside it copied to the new place."""
    for detail in _details(stored.evidence, ""):
        if isinstance(detail, File) and detail.path in stored.seal.files:
            shutil.copyfile(stored.folder / detail.path, place / detail.path)
    return stored.evidence


def _row(finding: Any) -> dict[str, object]:
    pair = {side: getattr(finding, side) for side in ("legacy", "candidate", "change")}
    values = {side: measure.value if measure else None for side, measure in pair.items()}
    change = pair["change"]
    bounds = {"low": change.low if change else None, "high": change.high if change else None}
    return {"finding": finding.id, "subject": finding.subject, "status": str(finding.status), **values, **bounds}


def _plain_errors() -> None:
    """In a notebook, errors that are sentences are shown as sentences; the cell still counts as failed."""
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return
    shell: Any = get_ipython()
    if shell is not None:
        from workbench.data import DataError
        from workbench.models import ModelError

        shell.set_custom_exc((*KNOWN, ModelError, DataError, NameError), _tell)


MADE_ABOVE = ("audit", "evidence", "standing", "mitigation", "migration", "params")
"""What the cells of a guided notebook hand on to those below."""


def _tell(shell: Any, kind: type[BaseException], error: BaseException, trace: object, tb_offset: object = None) -> None:
    if isinstance(error, NameError) and error.name not in MADE_ABOVE:
        shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
        return
    if isinstance(error, NameError):
        said = f"There is no `{error.name}` yet: a cell above makes it. Run the cells from the top, in order."
    else:
        said = str(error)
    shell._showtraceback(kind, error, [said])
