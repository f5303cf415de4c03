"""Which files hold which rows, and how they are written down."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.migration import Environment
from workbench.proposal.names import HOLDOUT, PRODUCTION, TRAIN, says

if TYPE_CHECKING:
    from workbench.models.stamps import Plan

Uris = str | Sequence[str]
SUFFIXES = (".csv", ".tsv", ".parquet", ".pq", ".csv.gz")


class ProposalError(Exception):
    """A migration that cannot be proposed. The message says what was seen and what to give instead."""


@dataclass(frozen=True)
class Files:
    """Paths as given or found; why: by "holdout", "train", "production" how each was told apart."""

    holdout: tuple[str, ...]
    train: tuple[str, ...]
    production: tuple[str, ...]
    why: dict[str, str]


def sort_files(data: Uris, train: Uris | None, production: Uris | None) -> Files:
    """Holdout, training and production rows from what was given: files, globs, or a folder whose names tell.

    Raises ProposalError where a folder's files cannot be told apart.
    """
    given = _many(data)
    folders = [uri for uri in given if Path(uri).is_dir()]
    found = [path for uri in given for path in (_inside(Path(uri)) if uri in folders else [uri])]
    parts, why = _by_name(found, bool(folders)) if len(found) > 1 else ({"holdout": found}, {})
    for name, uris in (("train", train), ("production", production)):
        if uris is not None:
            parts[name], why[name] = list(_many(uris)), "as given"
    if not parts.get("holdout"):
        seen = ", ".join(Path(path).name for path in found)
        raise ProposalError(
            f"No file for the holdout: {data!r} holds {seen or 'no CSV or Parquet file'}. Name the rows both models "
            "are judged on with --data, and the rows of the training with --train."
        )
    why.setdefault("holdout", _alone(parts))
    sides = {name: tuple(parts.get(name, ())) for name in ("holdout", "train", "production")}
    return Files(**sides, why=why)


def _many(uris: Uris) -> tuple[str, ...]:
    return (uris,) if isinstance(uris, str) else tuple(map(str, uris))


def _inside(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.iterdir() if path.name.lower().endswith(SUFFIXES))


def _by_name(found: list[str], in_folder: bool) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Parts told by words in the file names; files without such a word are the holdout if none has one."""
    parts: dict[str, list[str]] = {}
    for path in found:
        stem = Path(path).name.split(".")[0]
        matching = (part for part, pattern in _PARTS.items() if says(stem, pattern))
        parts.setdefault(next(matching, ""), []).append(path)
    rest = parts.pop("", [])
    if not parts and not in_folder:
        return {"holdout": rest}, {}
    if not parts or ("holdout" not in parts and len(rest) > 1):
        names = ", ".join(Path(path).name for path in rest)
        raise ProposalError(
            f"Which file is which cannot be told from the names {names}. Call them train, holdout and production, "
            "or name them with --data (the holdout), --train and --production."
        )
    if "holdout" not in parts and rest:
        parts["holdout"] = rest
    return parts, dict.fromkeys(parts, "told by the file's name")


_PARTS = {"train": TRAIN, "holdout": HOLDOUT, "production": PRODUCTION}


def _alone(parts: dict[str, list[str]]) -> str:
    if parts.get("train"):
        return "rows both models are judged on"
    return (
        "the one table given. If the legacy model was trained on these rows, every figure is too good: then put the "
        "rows it was trained on under train, and rows it never saw here"
    )


def absent(files: Files) -> str:
    """What cannot be assessed with these files, in sentences."""
    said = []
    if not files.train:
        said.append(
            "No training rows were given. Not assessed without them: rows of the training in the holdout, leakage and "
            "label errors in the training rows, and drift since the training."
        )
    if not files.production:
        said.append("No production rows were given. Not assessed without them: drift in production.")
    return "\n".join(said)


def written(uris: Sequence[str], folder: Path) -> str | tuple[str, ...]:
    """Paths as migration.yaml has them: relative where they lie in its folder or the one above, else absolute."""
    paths = tuple(relative(uri, folder) for uri in uris)
    return paths[0] if len(paths) == 1 else paths


def relative(uri: str, folder: Path) -> str:
    """One path or glob. Always with `/`, so that the file travels between systems."""
    path, home = Path(os.path.abspath(Path(uri).expanduser())), Path(os.path.abspath(folder))
    for base in (home, home.parent):
        if path.is_relative_to(base) and base != base.parent:
            return Path(os.path.relpath(path, home)).as_posix()
    return path.as_posix()


def plan_of(uri: str) -> Plan | None:
    """What environment a pickle's own stamps ask for; None where the model opens with what is installed here.

    Raises ModelError where there is no such file.
    """
    if ":" in uri.split("/")[0][2:]:
        return None
    from workbench.models.door import find
    from workbench.models.safety import survey
    from workbench.models.sniff import sniff
    from workbench.models.stamps import plan

    path = find(uri, Path())
    if sniff(path).format != "pickle":
        return None
    found, broken = survey(path)
    return None if broken else plan(found.names, found.versions)


@dataclass(frozen=True)
class Home:
    """The environment a model answers from, None for ours, and why. doubt: it is not the one that wrote the file."""

    environment: Environment | None = None
    why: str = ""
    doubt: bool = False

    @property
    def options(self) -> dict[str, object]:
        """For `open_model`."""
        return {"environment": self.environment.model_dump(exclude_none=True)} if self.environment else {}


def home_of(uri: str) -> Home:
    """Where the model answers from: built here, so that what is proposed is known to work.

    Raises ProposalError where the file cannot be opened without an environment that cannot be made here.
    """
    from workbench.models import ModelError
    from workbench.models.environment import Environment as Wanted
    from workbench.models.environment import build

    needed = plan_of(uri)
    if needed is None:
        return Home()
    if needed.environment is None or needed.missing:
        if needed.absent:
            raise ProposalError(f"{uri} cannot be opened here: {needed.advice}.")
        return Home(why=f"{needed.why}. Its own environment cannot be made here: {needed.missing}", doubt=True)
    wanted = Environment(**needed.environment.plain())
    try:
        build(Wanted.read(needed.environment))
    except ModelError as error:
        if needed.absent:
            raise ProposalError(f"{uri} cannot be opened here ({needed.why}), and {error}.") from error
        return Home(why=f"{needed.why}, and {error}", doubt=True)
    why = f"{needed.why}: so it answers from an environment of that time, built once and kept in your cache"
    return Home(wanted, why)
