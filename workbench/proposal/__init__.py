"""A migration.yaml proposed from the data and the legacy model, every value with its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.evidence import Limit, Plain
from workbench.migration import FILE, Data, Migration, MigrationError, ModelSource, Problem, Roles, Task, render, write
from workbench.proposal.opening import Opened, opened
from workbench.proposal.roles import propose_roles
from workbench.proposal.seen import LOOKED_AT, Proposed, Seen, listed
from workbench.proposal.sources import Files, Home, ProposalError, Uris, absent, home_of, relative, sort_files, written
from workbench.proposal.target import propose_target
from workbench.proposal.task import propose_classes, propose_kind, propose_positive, propose_threshold

__all__ = ["Proposal", "ProposalError", "Proposed", "propose"]


class Proposal(Plain):
    """A migration as proposed, not written yet, and each value with how sure it is and why."""

    migration: Migration
    values: tuple[Proposed, ...]

    @property
    def why(self) -> dict[str, str]:
        """The comments of the file, by dotted key."""
        return {value.key: value.comment for value in self.values}

    @property
    def unsure(self) -> tuple[Proposed, ...]:
        """What a person must look at."""
        return tuple(value for value in self.values if value.confidence == "low")

    def text(self, titles: Mapping[str, str] | None = None) -> str:
        """migration.yaml as it would be written. titles: what each limited finding asks."""
        return render(self.migration, self.why, titles)

    def write(self, titles: Mapping[str, str] | None = None, *, force: bool = False) -> Path:
        """Writes it. Raises MigrationError where there is a migration already, unless `force`."""
        return write(self.migration.folder, self.migration, self.why, titles, force=force)


def propose(
    name: str,
    data: Uris,
    model: str,
    *,
    folder: str | Path,
    target: str | None = None,
    positive: str | int | float | bool | None = None,
    protected: Sequence[str] | None = None,
    train: Uris | None = None,
    production: Uris | None = None,
    task: str | None = None,
    options: Mapping[str, object] | None = None,
    limits: Mapping[str, Limit] | None = None,
    force: bool = False,
) -> Proposal:
    """Looks at a sample of the rows and the model's answers to some of them, and proposes a migration in `folder`.

    data, train, production, model: relative to the working folder; data may be a folder whose file names tell.
    What is given is taken; the rest is proposed. limits: the audits' defaults, by finding id.
    Raises ProposalError, DataError or ModelError (each says what to do), MigrationError where there is one already.
    """
    from workbench.data import open_data

    folder = Path(folder)
    _refuse_existing(folder, force)
    files = sort_files(data, train, production)
    holdout = open_data(files.holdout)
    rows = holdout.sample(LOOKED_AT)
    home = home_of(model)
    legacy = opened(model, folder, rows, task, target, {**(options or {}), **home.options})
    try:
        seen = Seen(holdout, rows, legacy.model)
        values = _values(seen, files, target, positive, protected, task)
    finally:
        legacy.model.close()
    values = _with(legacy, values) + _home(home)
    return _proposal(name, folder, files, model, dict(options or {}), values, dict(limits or {}))


def _refuse_existing(folder: Path, force: bool) -> None:
    if (folder / FILE).exists() and not force:
        advice = (
            "there is a migration here already: give another folder, change that file, or overwrite it with --force"
        )
        raise MigrationError([Problem(0, "", advice, str(folder / FILE))])


def _values(
    seen: Seen, files: Files, target: str | None, positive: object, protected: Sequence[str] | None, task: str | None
) -> list[Proposed]:
    truth = propose_target(seen, target)
    kind = propose_kind(seen, truth.value, task)
    values = [*_data(seen, files), _legacy(seen), kind, truth]
    if kind.value == "binary":
        values += [propose_positive(seen, truth.value, positive), propose_threshold(seen)]
    if kind.value != "regression" and (classes := propose_classes(seen, truth.value)):
        values.append(classes)
    return values + propose_roles(seen, truth.value, protected)


def _with(legacy: Opened, values: list[Proposed]) -> list[Proposed]:
    """What had to be said for the model to be opened; names that the target gives its classes stand."""
    known = {value.key for value in values}
    if legacy.kind:
        values = [_doubted(value, legacy.kind) if value.key == "task.kind" else value for value in values]
    return values + [value for value in legacy.values if value.key not in known]


def _doubted(kind: Proposed, why: str) -> Proposed:
    """The kind of task by what was seen of the model's numbers; a regression that may be none is a question."""
    if kind.value == "binary":
        return kind.model_copy(update={"why": why})
    doubt: dict[str, Any] = {} if kind.confidence == "given" else {"confidence": "low"}
    return kind.model_copy(update={"why": f"{kind.why}, but {why}", **doubt})


def _data(seen: Seen, files: Files) -> list[Proposed]:
    said = [text for text in (absent(files), *seen.table.notes[:3]) if text]
    values = [Proposed(key="data", confidence="high", why="\n".join(said))] if said else []
    rows = f"{seen.table.rows:,} rows, {len(seen.columns)} columns"
    for part, why in files.why.items():
        text = f"{rows}; {why}" if part == "holdout" else why
        values.append(Proposed(key=f"data.{part}", value=getattr(files, part), confidence="high", why=text))
    return values


def _legacy(seen: Seen) -> Proposed:
    model = seen.model
    asked = [wanted.name for wanted in model.inputs]
    reads = f"; it reads {len(asked)} columns: {listed(asked, 20)}" if asked else ""
    kind = "a prediction already in the data" if model.format == "column" else f"{_article(model.format)} model{reads}"
    why = f"{kind}. It answered {len(seen.answers):,} rows of the holdout"
    return Proposed(key="legacy", confidence="high", why=why)


def _home(home: Home) -> list[Proposed]:
    if home.environment is not None:
        return [Proposed(key="legacy.environment", value=home.options["environment"], confidence="high", why=home.why)]
    # Opened all the same: other versions may read an old pickle, and answer otherwise than its own.
    doubt = f"it is answered by what is installed here, though {home.why}"
    return [Proposed(key="legacy.environment", confidence="low", why=doubt)] if home.doubt else []


def _proposal(
    name: str,
    folder: Path,
    files: Files,
    model: str,
    options: dict[str, object],
    values: list[Proposed],
    limits: dict[str, Limit],
) -> Proposal:
    by_key: dict[str, Any] = {value.key: value.value for value in values}
    parts: dict[str, Any] = {
        part: written(uris, folder) for part in ("holdout", "train", "production") if (uris := getattr(files, part))
    }
    said = {key.removeprefix("legacy.options."): value for key, value in by_key.items() if "legacy.options." in key}
    options = {**options, **said}
    uri = model if ":" in model.split("/")[0][2:] else relative(model, folder)
    roles = {key.removeprefix("roles."): value for key, value in by_key.items() if key.startswith("roles.") and value}
    task = {key.removeprefix("task."): value for key, value in by_key.items() if key.startswith("task.")}
    migration = Migration(
        name=name,
        data=Data(**parts),
        legacy=ModelSource(uri=uri, options=options, environment=by_key.get("legacy.environment")),
        task=Task(**task),
        roles=Roles(**roles),
        limits=limits,
    )
    return Proposal(migration=migration.at(folder), values=tuple(values))


def _article(name: str) -> str:
    """As spoken: an XGBoost, an ONNX, a LightGBM model."""
    return f"{'an' if name[:1].lower() in 'aeioux' else 'a'} {name}"
