"""When stored evidence still holds: hashes of everything that can change a number. Opens no model and no table."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path

from workbench import uat
from workbench.audit import needs
from workbench.catalog.discovery import Entry, discover, entry, makes, params_of, requires
from workbench.migration import Migration, ModelSource


def key(migration: Migration, name: str, given: Mapping[str, object] | None = None) -> str:
    """Freshness: sha256 over inputs, params, code and environment. Equal keys mean the stored evidence still holds.

    Light on purpose: reads files' hashes, opens no model and no table.
    """
    this = entry(name)
    if this.kind == "overview":
        return _sha({"of": [key(migration, other) for other in requires(migration, name)], "code": code()})
    return _sha(
        {
            "audit": name,
            "params": params_of(migration, name, given).model_dump(mode="json"),
            "inputs": {need.name: _input(migration, this, need.name) for need in needs(this.load())},
            "code": code(),
            "environment": environment(),
        }
    )


def _input(migration: Migration, this: Entry, need: str) -> object:
    if need in ("task", "roles"):
        return getattr(migration, need).model_dump(mode="json")
    if need == "limits":
        return {kind.id: limit.model_dump() for kind in this.load().KINDS if (limit := migration.limits.get(kind.id))}
    if need in ("train", "holdout", "production"):
        return _file_hash(migration, getattr(migration.data, need))
    if need == "answers":
        return [answer.model_dump(mode="json") for answer in uat.answers(migration.folder)]
    if need == "comments":
        return [comment.model_dump(mode="json") for comment in uat.comments(migration.folder) if comment.shared]
    if need == "withheld":
        return sorted({kind for seen in migration.review.sees.values() for kind in seen})
    if need == "legacy":
        return _model_hash(migration, migration.legacy)
    if need == "candidate":
        return _candidate_hash(migration)
    if need == "doors":
        return {side: _input(migration, this, side) for side in ("legacy", "candidate")}
    if need == "scored":
        parts = ("task", "roles", "holdout", "legacy", "candidate")
        return {part: _input(migration, this, part) for part in parts} | {"sample": migration.data.sample}
    return key(migration, need) if need in {other.name for other in discover()} else None


def _candidate_hash(migration: Migration) -> object:
    if migration.candidate:
        return _model_hash(migration, migration.candidate)
    made = candidate_source(migration)
    return {"made": made.uri if made else None}


def candidate_folder(migration: Migration) -> Path | None:
    """Where the mover of the candidate writes, by what it was made from; None where no mover is installed."""
    movers = [other for other in discover() if other.kind == "mover" and makes(other) == "candidate"]
    return migration.folder / "models" / key(migration, movers[0].name)[:16] if movers else None


def candidate_source(migration: Migration) -> ModelSource | None:
    """The candidate as declared, else the one the mover made from today's legacy model and params, else None."""
    if migration.candidate:
        return migration.candidate
    folder = candidate_folder(migration)
    made = folder / "candidate.pt2" if folder else None
    return ModelSource(uri=str(made.relative_to(migration.folder))) if made and made.exists() else None


def answers_key(migration: Migration, source: ModelSource) -> str | None:
    """What decides a model's answers, without opening it; None where its code may reach further than its file."""
    if source.uri.startswith(("column:", "python:", "http://", "https://")):
        return None
    return _sha({"model": _model_hash(migration, source), "code": code(), "environment": environment()})


def _model_hash(migration: Migration, source: ModelSource) -> object:
    where = source.uri
    if where.startswith("column:"):
        return {"uri": where}
    if where.startswith("python:"):
        path = migration.folder / (where[len("python:") :].split(":")[0].replace(".", "/") + ".py")
        return {"uri": where, "sha256": _file_hash(migration, str(path)), "options": source.options}
    found: dict[str, object] = {"sha256": _file_hash(migration, where), "options": source.options}
    found |= source.sections
    beside = source.options.get("feature_map")
    if isinstance(beside, str):
        found["feature_map"] = [_file_hash(migration, str(place / beside)) for place in (Path(where).parent, Path())]
    return found


def _file_hash(migration: Migration, uri: str | tuple[str, ...] | None) -> str | None:
    """Of the files, or the reason why there is none: a missing file is an input too, and the audit will say so."""
    from workbench.data.source import DataError, fingerprint, resolve

    if uri is None:
        return None
    cache = migration.folder / ".workbench" / "digests"
    folder = migration.folder / uri if isinstance(uri, str) else None
    try:
        # A model may be a folder of files; data never is.
        paths = _files(folder) if folder and folder.is_dir() else resolve(uri, migration.folder)
        return fingerprint(paths, cache)
    except DataError as error:
        return str(error)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


PINNED = "WORKBENCH_CODE"
"""Environment variable by which a run tells its notebooks the code it began with, so that all of them share one key."""


@functools.cache
def code() -> str:
    """What stands for the workbench's code in every key: as it was when this process, or its run, began."""
    return os.environ.get(PINNED) or code_on_disk()


def code_on_disk() -> str:
    """Hash of everything that can change a number: the package without its faces."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*")):
        if path.suffix in (".py", ".json") and path.relative_to(package).parts[0] not in (
            "ui",
            "render",
            "runner",
            "store",
            "emit",
            "ledger",
            "tracking",
            "share",
        ):
            digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


_PACKAGES = (
    "migration-workbench",
    "duckdb",
    "fairlearn",
    "lightgbm",
    "numpy",
    "onnxruntime",
    "optuna",
    "pandas",
    "scikit-learn",
    "scipy",
    "shap",
    "torch",
    "xgboost-cpu",
    "xgboost",
)


@functools.cache
def environment() -> dict[str, str]:
    """Versions that can change a number; read from metadata, nothing is imported."""
    found = {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _sha(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
