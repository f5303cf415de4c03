"""Whether a migration can run: its file, its data, its models, and whether these agree about columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from workbench import catalog
from workbench.migration import Migration, Problem, check

if TYPE_CHECKING:
    from workbench.data import Table
    from workbench.models import Model


@dataclass(frozen=True)
class Checked:
    """problems: each with its line; facts: what was opened and seen, in sentences."""

    problems: tuple[Problem, ...]
    facts: tuple[str, ...]


def checked(migration: Migration) -> Checked:
    """Opens everything the migration names; what cannot be opened is a problem, not an error."""
    audits: dict[str, Any] = {entry.name: entry.load().Params for entry in catalog.discover() if entry.module}
    problems = list(check(migration, list(catalog.kinds()), audits))
    facts: list[str] = []
    named = {problem.key for problem in problems}
    tables = {
        role: table
        for role in ("holdout", "train", "production")
        if (table := _table(migration, role, problems, named))
    }
    facts += [f"{role}: {table.rows:,} rows, {len(table.columns)} columns" for role, table in tables.items()]
    problems += _columns(migration, tables)
    for role in ("legacy", "candidate"):
        facts += _model(migration, role, tables, problems, named)
    return Checked(tuple(sorted(problems)), tuple(facts))


def _problem(migration: Migration, sentence: str, *place: str) -> Problem:
    return Problem(migration.line(*place) or 0, ".".join(place), sentence, str(migration.file or "migration.yaml"))


def _table(migration: Migration, role: str, problems: list[Problem], named: set[str]) -> Table | None:
    from workbench.data import DataError, open_data

    uri = getattr(migration.data, role)
    if uri is None or f"data.{role}" in named:
        return None
    try:
        return open_data(uri, migration.folder)
    except DataError as error:
        problems.append(_problem(migration, str(error), "data", role))
        return None


def _columns(migration: Migration, tables: Mapping[str, Table]) -> Iterator[Problem]:
    for role, table in tables.items():
        names = [column.name for column in table.columns]
        if role != "production" and migration.task.target not in names:
            yield _problem(migration, _missing("the target", migration.task.target, role, names), "task", "target")
    holdout = tables.get("holdout")
    if holdout is not None:
        names = [column.name for column in holdout.columns]
        for place, column in _declared(migration):
            if column not in names:
                yield _problem(migration, _missing(f"roles.{place}", column, "holdout", names), "roles", place)


def _declared(migration: Migration) -> Iterator[tuple[str, str]]:
    roles = migration.roles
    for place in ("protected", "key", "personal", "ignore"):
        yield from ((place, column) for column in getattr(roles, place))
    yield from ((place, column) for place in ("time", "weight") if (column := getattr(roles, place)))


def _missing(what: str, column: str, role: str, names: Iterable[str]) -> str:
    names = list(names)
    near = get_close_matches(column.casefold(), {name.casefold(): name for name in names}, n=1)
    known = {name.casefold(): name for name in names}
    hint = f"did you mean {known[near[0]]!r}?" if near else f"it has {', '.join(map(repr, names[:12]))}"
    return f"{what} is {column!r}, but data.{role} has no such column: {hint}"


def _model(
    migration: Migration, role: str, tables: Mapping[str, Table], problems: list[Problem], named: set[str]
) -> list[str]:
    from workbench.models import ModelError
    from workbench.scored import open_source

    source = getattr(migration, role)
    if source is None or f"{role}.uri" in named:
        return []
    try:
        model = open_source(migration, source)
    except ModelError as error:
        problems.append(_problem(migration, str(error), role, "uri"))
        return []
    try:
        return list(_answers(migration, role, model, tables.get("holdout"), problems))
    finally:
        model.close()


def _answers(
    migration: Migration, role: str, model: Model, holdout: Table | None, problems: list[Problem]
) -> Iterator[str]:
    from workbench.models import ModelError

    asked = [column.name for column in model.inputs]
    yield f"{role}: a {model.format} model for {model.task}, {len(asked)} columns in"
    if model.task != migration.task.kind:
        said = (
            f"the {role} model does {model.task}, task.kind says {migration.task.kind}: change task.kind or the model"
        )
        problems.append(_problem(migration, said, "task", "kind"))
    if holdout is None:
        return
    names = [column.name for column in holdout.columns]
    lacking = [name for name in asked if name not in names]
    if lacking:
        shown = ", ".join(map(repr, lacking[:8])) + (f" and {len(lacking) - 8} more" if len(lacking) > 8 else "")
        said = (
            f"the {role} model asks for {shown}, which data.holdout has not (it has "
            f"{', '.join(map(repr, names[:12]))}): rename the columns in the data, or give the model they belong to"
        )
        problems.append(_problem(migration, said, role, "uri"))
        return
    try:
        yield f"{role}: it answers ({len(model.predict(holdout.sample(100)))} rows tried)"
    except ModelError as error:
        problems.append(_problem(migration, f"the {role} model does not answer the holdout: {error}", role, "uri"))
