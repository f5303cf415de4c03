"""What a migration.yaml says that its own schema cannot judge: finding ids, audits, files."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel, ValidationError

from workbench.migration.declared import Migration, Where
from workbench.migration.problems import Problem, explain, suggestion


def check(
    migration: Migration,
    finding_ids: Iterable[str],
    audits: Mapping[str, type[BaseModel]] | Iterable[str],
) -> list[Problem]:
    """Problems beyond the schema, in the file's order; [] where there are none.

    finding_ids: every id an audit can make. audits: their names; where they come with their Params, parameters
    are checked too. Data and model files that are not there are problems as well.
    """
    found = [*_limits(migration, list(finding_ids)), *_audits(migration, audits), *_files(migration)]
    return sorted(found)


def _problem(migration: Migration, place: Where, sentence: str) -> Problem:
    file = str(migration.file or "migration.yaml")
    return Problem(migration.line(*place) or 0, ".".join(map(str, place)), sentence, file)


def _limits(migration: Migration, known: list[str]) -> Iterator[Problem]:
    for name in migration.limits:
        if name not in known:
            near = suggestion(name, known) or "; `workbench explain` lists them"
            yield _problem(migration, ("limits", name), f"{name!r} is not the id of a finding{near}")


def _audits(migration: Migration, known: Mapping[str, type[BaseModel]] | Iterable[str]) -> Iterator[Problem]:
    models = dict(known) if isinstance(known, Mapping) else dict.fromkeys(known)
    for name, params in migration.audits.items():
        place: Where = ("audits", name)
        if name not in models:
            near = suggestion(name, models) or f"; known are {', '.join(models)}"
            yield _problem(migration, place, f"{name!r} is not an audit{near}")
        elif model := models[name]:
            yield from _params(migration, place, model, params)


def _params(migration: Migration, place: Where, model: type[BaseModel], params: dict[str, object]) -> list[Problem]:
    try:
        model.model_validate(params)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        return explain(errors, migration.lines, str(migration.file or "migration.yaml"), model, place)
    return []


def _files(migration: Migration) -> Iterator[Problem]:
    for part in ("holdout", "train", "production"):
        declared = getattr(migration.data, part)
        for uri in (declared,) if isinstance(declared, str) else declared or ():
            if hint := missing_file(uri, migration.folder):
                yield _problem(migration, ("data", part), f"`data.{part}`: {hint}")
    for role in ("legacy", "candidate"):
        source = getattr(migration, role)
        if source and (hint := missing_file(source.uri, migration.folder)):
            yield _problem(migration, (role, "uri"), f"`{role}.uri`: {hint}")


_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:")


def missing_file(uri: str, folder: Path) -> str | None:
    """Why a path or glob leads nowhere, with the nearest file there is; None where it leads to something.

    A uri with a scheme (`python:`, `column:`, `https:`) is its reader's to judge.
    """
    if _SCHEME.match(uri):
        return None
    path = folder / Path(uri).expanduser()
    if any(sign in uri for sign in "*?["):
        return None if glob.glob(str(path), recursive=True) else f"no file matches {uri!r} in {folder}"
    if path.exists():
        return None
    if not path.parent.is_dir():
        return f"there is no folder {str(path.parent)!r} (paths are relative to {folder})"
    beside = suggestion(path.name, [file.name for file in path.parent.iterdir()])
    return f"there is no file {uri!r}{beside or f' (paths are relative to {folder})'}"
