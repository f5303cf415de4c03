"""One audit or mover, from what it needs to Evidence."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from workbench import uat
from workbench.audit import Params, needs
from workbench.catalog.discovery import CatalogError, Entry, crashed, entry, params_of, unassessed
from workbench.catalog.freshness import answers_key, candidate_folder, candidate_source, environment, key
from workbench.evidence import Evidence, Finding, Status
from workbench.migration import Migration, ModelSource

if TYPE_CHECKING:
    from workbench.models import Model
    from workbench.scored import Asked


class MissingNeedError(Exception):
    """A required need is not there; the text says why and what to do."""


def run(
    migration: Migration,
    name: str,
    given: Mapping[str, object] | None = None,
    *,
    stored: Callable[[str], Evidence | None] = lambda name: None,
    artifacts: Path | None = None,
) -> Evidence:
    """Run one audit or mover to Evidence. stored: gives the evidence of another audit, None where there is none.
    artifacts: the folder the evidence will lie in, for files beside it.

    Raises CatalogError for an unknown name or parameter; anything that goes wrong later is a finding.
    """
    this = entry(name)
    if this.kind == "overview":
        raise CatalogError(f"{name} is an overview: it shows the evidence of the others and makes none itself")
    params = params_of(migration, name, given)
    fresh = key(migration, name, given)
    started, clock = datetime.now(UTC), time.monotonic()
    # An audit that runs alone measures time: its models are opened where they are timed, and only there.
    supply = _Supply(migration, stored, bool(getattr(this.load(), "ALONE", False)), artifacts)
    try:
        findings = tuple(_findings(this, params, supply))
    finally:
        supply.close()
    return Evidence(
        audit=name,
        question=this.question,
        migration=migration.name,
        subjects=supply.subjects,
        params=params.model_dump(mode="json"),
        environment=environment(),
        key=fresh,
        started=started,
        seconds=time.monotonic() - clock,
        findings=findings,
    )


def _findings(this: Entry, params: Params, supply: _Supply) -> Iterator[Finding]:
    audit = this.load()
    try:
        given = {need.name: supply.get(need.name, need.optional) for need in needs(audit)}
        yield from audit.run(**given, params=params)
    except MissingNeedError as missing:
        yield unassessed(this.name).absent(str(missing))
    except Exception as error:  # one broken audit must not end the journey
        from workbench.data import DataError

        if isinstance(error, DataError):
            yield unassessed(this.name).absent(str(error))
            return
        yield crashed(this.name).found(
            f"The check could not be finished: {_told(error)}", status=Status.ERROR, reason=_told(error)
        )


def _told(error: Exception) -> str:
    """An error in one sentence; ours are sentences already, others get their type and the place in our code."""
    if type(error).__module__.startswith("workbench."):
        return str(error)
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "workbench" in frame.filename]
    place = f" ({Path(ours[-1].filename).name}, line {ours[-1].lineno})" if ours else ""
    # The text of a foreign error may quote a row: its type and our line are enough to find it again with --debug.
    return f"{type(error).__name__}{place}: run again with --debug to see more"


_HINTS = {
    "train": "no training rows are given: set data.train in migration.yaml",
    "production": "no production rows are given: set data.production in migration.yaml",
    "candidate": "there is no candidate: run 42_replatform; where it cannot make one, set candidate in migration.yaml",
}


class _Supply:
    """Opens what audits need, once, and closes it again."""

    def __init__(
        self, migration: Migration, stored: Callable[[str], Evidence | None], hosted: bool, artifacts: Path | None
    ) -> None:
        self._migration = migration
        self._artifacts = artifacts
        self._stored = stored
        self._hosted = hosted
        self._open: dict[str, Any] = {}
        self.subjects: dict[str, str] = {}

    def get(self, need: str, optional: bool) -> object:
        if need not in self._open:
            self._open[need] = self._make(need)
        found = self._open[need]
        if found is None and not optional:
            raise MissingNeedError(_HINTS.get(need, f"there is no evidence of {need} yet: run that first"))
        return found

    def _make(self, need: str) -> object:
        if need in ("task", "roles", "limits"):
            return getattr(self._migration, need)
        if need in ("train", "holdout", "production"):
            return self._table(need)
        if need == "folder":
            return candidate_folder(self._migration)
        if need == "answers":
            return uat.answers(self._migration.folder)
        if need == "comments":
            return tuple(one for one in uat.comments(self._migration.folder) if one.shared)
        if need == "withheld":
            kinds = frozenset(kind for seen in self._migration.review.sees.values() for kind in seen)
            return uat.Withheld(folder=self._migration.folder, kinds=kinds)
        if need == "artifacts":
            return self._artifacts
        if need in ("legacy", "candidate"):
            return self._model(need)
        if need == "doors":
            return {side: partial(self.get, side, False) for side in ("legacy", "candidate") if self._source(side)}
        return self._scored() if need == "scored" else self._stored(need)

    def _table(self, need: str) -> object:
        from workbench.data import open_data

        uri = getattr(self._migration.data, need)
        table = open_data(uri, self._migration.folder) if uri else None
        if table is not None:
            self.subjects[need] = table.fingerprint
        return table

    def _model(self, need: str) -> object:
        from workbench.scored import open_source

        source = self._source(need)
        model = open_source(self._migration, source, hosted=self._hosted) if source else None
        if model is not None:
            self.subjects[need] = model.fingerprint
        return model

    def _source(self, need: str) -> ModelSource | None:
        return self._migration.legacy if need == "legacy" else candidate_source(self._migration)

    def _scored(self) -> object:
        from workbench.scored import score

        legacy, candidate = (self._asked(need) for need in ("legacy", "candidate"))
        scored = score(self._migration, legacy=legacy, candidate=candidate)
        self.subjects["holdout"] = scored.holdout
        self.subjects["legacy"] = scored.legacy.fingerprint
        if scored.candidate:
            self.subjects["candidate"] = scored.candidate.fingerprint
        return scored

    def _asked(self, need: str) -> Asked | None:
        from workbench.scored import Asked

        source = self._source(need)
        if source is None:
            return None
        return Asked(need, lambda: cast("Model", self.get(need, False)), answers_key(self._migration, source))

    def close(self) -> None:
        for need in ("legacy", "candidate"):
            model = self._open.get(need)
            if model is not None:
                model.close()
