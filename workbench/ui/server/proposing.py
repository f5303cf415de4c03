"""A migration proposed from two files of the file browser, and written once a person agrees.

What opens the data and the model runs in a process of its own (`propose_here`), asked by `apart`.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from workbench import store
from workbench.evidence import Plain
from workbench.migration import FILE
from workbench.runner import copy_notebooks
from workbench.ui.server.desk import Desk
from workbench.ui.server.problems import ApiError

KEPT_FOR = 3600.0
KEPT_AT_MOST = 50

File = Annotated[str, Field(min_length=1, max_length=4096)]
Column = Annotated[str, Field(min_length=1, max_length=1000)]


class Chosen(Plain):
    """What the person chose; files as the file browser names them."""

    data: tuple[File, ...] = Field(min_length=1, max_length=100)
    model: File
    folder: str | None = Field(None, max_length=1000)
    target: Column | None = None
    task: Literal["binary", "multiclass", "regression"] | None = None
    positive: str | int | float | bool | None = None
    protected: tuple[Column, ...] | None = Field(None, max_length=100)
    train: tuple[File, ...] | None = Field(None, max_length=100)
    production: tuple[File, ...] | None = Field(None, max_length=100)
    options: dict[str, object] = Field({}, max_length=64)


class Creation(Plain):
    proposal: str = Field(pattern=r"^[0-9a-f]{32}$")


@dataclass(frozen=True)
class Kept:
    """A proposal waiting for somebody to agree. folder: where it is to be written."""

    folder: Path
    text: str
    since: float


def begin(desk: Desk, chosen: Chosen) -> dict[str, Any]:
    """What to ask the process that opens data and model. Raises ApiError for a file that is not below the root."""
    folder = _folder(desk, chosen)
    return chosen.model_dump(mode="json") | {
        "data": [_file(desk, name) for name in chosen.data],
        "model": _model(desk, chosen.model),
        "train": [_file(desk, name) for name in chosen.train or ()],
        "production": [_file(desk, name) for name in chosen.production or ()],
        "folder": desk.root.relative(folder) or ".",
        "name": folder.name,
    }


def end(desk: Desk, wanted: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    """The proposal, kept until somebody agrees. Raises ApiError with what data, model or proposal complained about."""
    if "problem" in answer:
        do = "Mend what is named, or choose another file."
        raise ApiError(422, "No migration can be proposed from these.", answer["problem"], do)
    now, proposal = time.monotonic(), secrets.token_hex(16)
    kept = {name: one for name, one in desk.proposals.items() if now - one.since < KEPT_FOR}
    mine = Kept(desk.root.real / wanted["folder"], answer["text"], now)
    desk.proposals = dict([*kept.items(), (proposal, mine)][-KEPT_AT_MOST:])
    return {"proposal": proposal, "folder": wanted["folder"], "name": wanted["name"], **answer}


def create(desk: Desk, creation: Creation) -> Path:
    """Writes the migration of a proposal, and returns its folder."""
    kept = desk.proposals.get(creation.proposal)
    if kept is None or time.monotonic() - kept.since > KEPT_FOR:
        raise ApiError(410, "This proposal is no longer kept.", do="Ask for it again: nothing was written.")
    folder = desk.root.checked(kept.folder)
    _refuse_existing(desk, folder)
    store.write(folder / FILE, kept.text)
    copy_notebooks(folder)
    desk.proposals.pop(creation.proposal, None)
    desk.found()
    return folder


def _file(desk: Desk, name: str) -> str:
    return desk.root.relative(desk.root.file(name))


def _model(desk: Desk, name: str) -> str:
    """A file, a folder that holds a model, or a prediction in the data; nothing that names code."""
    if re.match(r"^column:[^/\\\0]+$", name):
        return name
    path = desk.root.inside(name)
    return desk.root.relative(path) if path.is_dir() and path != desk.root.real else _file(desk, name)


def _folder(desk: Desk, chosen: Chosen) -> Path:
    """Where the migration is to be: as chosen, else a new folder beside the data."""
    if chosen.folder is not None:
        folder = desk.root.inside(chosen.folder)
    else:
        data = desk.root.file(chosen.data[0])
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", data.stem).strip("-") or "model"
        names = (f"{stem}-migration{f'-{n}' if n > 1 else ''}" for n in range(1, 10_000))
        folder = next(path for name in names if not (path := data.parent / name).exists())
    _refuse_existing(desk, folder)
    return folder


def _refuse_existing(desk: Desk, folder: Path) -> None:
    if (folder / FILE).exists():
        raise _exists("There is a migration already.", desk.root.relative(folder))
    if folder.exists() and not folder.is_dir():
        raise _exists("A file has this name.", desk.root.relative(folder))


def _exists(what: str, seen: str) -> ApiError:
    return ApiError(409, what, seen, "Choose another folder.", code="exists")
