"""Legacy model and candidates as versions of one registered model, and which of them the aliases name."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from workbench import catalog, ledger, store
from workbench.migration import Migration, ModelSource
from workbench.migration.addresses import shown
from workbench.tracking.champion import champion
from workbench.tracking.mlflow_store import Store
from workbench.tracking.records import Planned, Record, value_of

CANDIDATES = "candidate.pt2"
PARTS = ("candidate", "serving")
"""Names of the files that are the model: its program, its spec and weights, and how it is served."""
MODEL = "model"
"""Folder of a run in which the files of a version lie."""
ABOUT = "about.json"
SHA, SIDE = "workbench.sha256", "workbench.side"
ALIASES = ("legacy", "candidate", "champion")


@dataclass(frozen=True)
class Known:
    """A model of the migration. uri: as declared, without secrets; files: to keep with the version.

    Of a legacy model only what it is: a pickle nobody dares to touch does not belong where models are loaded by name.
    """

    side: Literal["legacy", "candidate"]
    sha256: str
    uri: str
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Registered:
    """made: versions that are new; aliases: as they stand now; notes: what was taken away, and why."""

    name: str
    made: tuple[str, ...]
    aliases: Mapping[str, str]
    notes: tuple[str, ...]


def models(migration: Migration) -> Iterator[Known]:
    """The legacy model, and every candidate there is: made by a mover, or declared."""
    yield _declared(migration, "legacy", migration.legacy)
    seen = set()
    found = (migration.folder / "models").rglob(CANDIDATES)
    for path in sorted(found, key=lambda path: (path.stat().st_mtime, str(path))):
        beside = tuple(sorted(one for one in path.parent.iterdir() if one.is_file() and one.stem in PARTS))
        known = Known("candidate", store.seal_of(path).sha256, path.relative_to(migration.folder).as_posix(), beside)
        if known.sha256 not in seen:
            seen.add(known.sha256)
            yield known
    if migration.candidate and (declared := _declared(migration, "candidate", migration.candidate)).sha256 not in seen:
        yield declared


def _declared(migration: Migration, side: Literal["legacy", "candidate"], source: ModelSource) -> Known:
    path = migration.folder / source.uri
    files = (path,) if path.is_file() else tuple(sorted(one for one in path.rglob("*") if one.is_file()))
    uri = shown(source.uri) if "://" in source.uri else source.uri
    if path.is_file():
        digest = store.seal_of(path).sha256
    else:
        told = [uri, *(f"{one.relative_to(path)} {store.seal_of(one).sha256}" for one in files)]
        digest = store.sha256("\n".join(told).encode())
    return Known(side, digest, uri, files if side == "candidate" else ())


def register(store_: Store, migration: Migration, experiment: str) -> Registered:
    """Makes the versions that are missing and lets the aliases name the right ones; `champion` as the ledger says."""
    name = "".join("-" if sign in "/:'\"" else sign for sign in experiment)
    client = store_.client
    if not client.search_registered_models(filter_string=f"name = '{name}'", max_results=1):
        about = f"Legacy model and candidates of the migration {migration.name}; champion follows its signed ledger."
        client.create_registered_model(name, tags={"workbench.migration": migration.name}, description=about)
    there = _versions(client, name)
    made = []
    for known in models(migration):
        if (known.side, known.sha256) not in there:
            there[known.side, known.sha256] = _version(store_, migration, name, known)
            made.append(there[known.side, known.sha256])
    aliases, notes = _alias(client, migration, name, there)
    _judged(client, migration, name, aliases.get("candidate", ""))
    return Registered(name, tuple(made), aliases, notes)


def _versions(client: Any, name: str) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    token = None
    while True:
        page = client.search_model_versions(f"name = '{name}'", max_results=1000, page_token=token)
        found |= {(one.tags.get(SIDE, ""), one.tags.get(SHA, "")): str(one.version) for one in page}
        if not (token := page.token):
            return found


def _version(store_: Store, migration: Migration, name: str, known: Known) -> str:
    identity = f"model/{known.side}/{known.sha256}"
    with tempfile.TemporaryDirectory() as folder:
        about = Path(folder) / ABOUT
        told = {"migration": migration.name, "side": known.side, "uri": known.uri, "sha256": known.sha256}
        about.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        store_.keep(Planned(identity, known.sha256, lambda: _record(identity, known, about)))
    run = store_.client.get_run(store_.run_of(identity))
    made = store_.client.create_model_version(
        name,
        f"{run.info.artifact_uri}/{MODEL}",
        run.info.run_id,
        tags={SIDE: known.side, SHA: known.sha256, "workbench.uri": known.uri},
        description=f"{known.side}: {known.uri}",
    )
    return str(made.version)


def _record(identity: str, known: Known, about: Path) -> Record:
    newest = max((path.stat().st_mtime for path in known.files), default=about.stat().st_mtime)
    moment = datetime.fromtimestamp(newest, UTC)
    return Record(
        identity,
        f"{known.side} {known.sha256[:12]}",
        "model",
        moment,
        moment,
        params={"uri": known.uri},
        tags={SIDE: known.side, SHA: known.sha256}
        | {f"workbench.sha256.{path.name}": hashlib.sha256(path.read_bytes()).hexdigest() for path in known.files},
        files={MODEL: (about, *known.files)},
    )


def _alias(
    client: Any, migration: Migration, name: str, there: Mapping[tuple[str, str], str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Sets and removes the three aliases; what somebody else set beside the ledger is removed, and said."""
    now = {alias: str(version) for alias, version in client.get_registered_model(name).aliases.items()}
    today, leads = catalog.candidate_source(migration), champion(migration)
    wanted = {
        "legacy": there.get(("legacy", _declared(migration, "legacy", migration.legacy).sha256), ""),
        "candidate": there.get(("candidate", _declared(migration, "candidate", today).sha256), "") if today else "",
        "champion": there.get(("candidate", leads.sha256), ""),
    }
    notes = []
    if leads.sha256 and not wanted["champion"]:
        notes.append(f"entry {leads.entry} promotes a candidate that is not here any more: sha256 {leads.sha256}")
    for alias, version in wanted.items():
        if version and now.get(alias) != version:
            client.set_registered_model_alias(name, alias, version)
        elif not version and alias in now:
            client.delete_registered_model_alias(name, alias)
            why = leads.reason if alias == "champion" else f"there is no {alias} now"
            notes.append(f"the alias {alias} was taken from version {now[alias]}: {why}")
    return {alias: version for alias, version in wanted.items() if version}, tuple(notes)


def _judged(client: Any, migration: Migration, name: str, version: str) -> None:
    """On today's candidate: the sha256 of the newest evidence of each audit, and what it came to."""
    if not version:
        return
    for what, digest in ledger.subjects(migration).items():
        if what.startswith("evidence of "):
            client.set_model_version_tag(name, version, f"workbench.{what.replace(' ', '.')}", value_of(digest))
