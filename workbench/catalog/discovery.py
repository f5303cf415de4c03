"""Which audits, movers and notebooks there are, what they can find, and in which order they run."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import pkgutil
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from graphlib import TopologicalSorter
from pathlib import Path
from types import ModuleType
from typing import Literal, cast

from pydantic import ValidationError

from workbench import places
from workbench.audit import Audit, Kind, Params, needs
from workbench.evidence import Finding, Limit
from workbench.migration import Migration

CHAPTERS = {1: "Plan", 2: "Data", 3: "Platform", 4: "Model", 5: "Trust", 6: "Validate"}
ENTRY_POINTS = "workbench.audits"
_NOTEBOOK = re.compile(r"^(\d)(\d)_([a-z][a-z0-9_]*)\.ipynb$")


class CatalogError(Exception):
    """An audit, parameter or finding id that is not there; the message says what is."""


@dataclass(frozen=True)
class Entry:
    """One notebook of the journey and the module behind it. module is "" for an overview."""

    name: str
    number: str
    chapter: int
    kind: Literal["audit", "mover", "overview"]
    question: str
    module: str
    notebook: Path | None

    @property
    def stem(self) -> str:
        return f"{self.number}_{self.name}" if self.number else self.name

    def load(self) -> Audit:
        return cast("Audit", importlib.import_module(self.module))


@functools.cache
def discover() -> tuple[Entry, ...]:
    """Every audit, mover and overview, in the order of the journey; without what runs only when it is asked for."""
    books, modules = _books(), _modules()
    entries = [_entry(name, module, books) for name, module in modules.items() if not _on_request(module)]
    entries += [
        Entry(name, number, int(number[0]), "overview", "Where do we stand, what blocks us, what is next?", "", path)
        for name, (number, path) in books.items()
        if name not in modules
    ]
    return tuple(sorted(entries, key=lambda entry: (entry.number or "99", entry.name)))


@functools.cache
def on_request() -> tuple[Entry, ...]:
    """What is no part of the journey, and runs by its name: modules that say ON_REQUEST."""
    return tuple(_entry(name, module, _books()) for name, module in _modules().items() if _on_request(module))


def every() -> tuple[Entry, ...]:
    return (*discover(), *on_request())


def _on_request(module: ModuleType) -> bool:
    return bool(getattr(module, "ON_REQUEST", False))


def _books() -> dict[str, tuple[str, Path]]:
    books = {}
    for path in places.notebooks().glob("*.ipynb"):
        if match := _NOTEBOOK.match(path.name):
            books[match[3]] = (match[1] + match[2], path)
    return books


def _entry(name: str, module: ModuleType, books: Mapping[str, tuple[str, Path]]) -> Entry:
    number, path = books.get(name, ("", None))
    kind: Literal["audit", "mover"] = "mover" if hasattr(module, "MAKES") else "audit"
    return Entry(name, number, int(number[0]) if number else 0, kind, module.QUESTION, module.__name__, path)


def _modules() -> dict[str, ModuleType]:
    found = {}
    for package in ("audits", "migrate"):
        folder = importlib.import_module(f"workbench.{package}")
        for info in pkgutil.iter_modules(folder.__path__):
            if not info.ispkg and not info.name.startswith("_"):
                module = importlib.import_module(f"workbench.{package}.{info.name}")
                if hasattr(module, "QUESTION"):
                    found[info.name] = module
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        try:
            found[point.name] = point.load()
        except Exception as error:  # somebody else's package must not take the journey with it
            found[point.name] = _unloadable(point.name, error)
    return found


def _unloadable(name: str, error: Exception) -> ModuleType:
    """An audit in place of one that cannot be imported: it says so when it is run."""
    why = f"the audit {name} could not be loaded ({type(error).__name__}: {error}): repair or remove its package"

    def run(params: Params) -> Iterator[Finding]:
        yield from ()
        raise CatalogError(why)

    module = ModuleType(f"workbench_unloadable_{name}")
    vars(module).update(QUESTION=f"What would {name} say, if it could be loaded?", KINDS=(), Params=Params, run=run)
    sys.modules[module.__name__] = module
    return module


def entry(name: str) -> Entry:
    """Raises CatalogError naming the nearest audit."""
    names = {entry.name: entry for entry in every()}
    if name not in names:
        near = get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
        raise CatalogError(f"there is no audit or notebook {name!r}: {hint}")
    return names[name]


def kinds() -> dict[str, Kind]:
    """Every kind of finding by id."""
    found = {kind.id: kind for entry in every() if entry.module for kind in entry.load().KINDS}
    for name in [entry.name for entry in every() if entry.module]:
        found |= {kind.id: kind for kind in (crashed(name), unassessed(name))}
    return found


def find(finding: str) -> Kind:
    """The kind behind a finding's id (a subject in brackets is left out). Raises CatalogError naming the nearest."""
    known = kinds()
    identity = finding.split("[", 1)[0]
    if identity not in known:
        near = get_close_matches(identity, known, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "`workbench explain` lists them all"
        raise CatalogError(f"there is no finding {identity!r}: {hint}")
    return known[identity]


def default_limits() -> dict[str, Limit]:
    """What `workbench new` proposes, by finding id."""
    return {kind.id: kind.limit for entry in discover() if entry.module for kind in entry.load().KINDS if kind.limit}


def params_of(migration: Migration, name: str, given: Mapping[str, object] | None = None) -> Params:
    """The audit's Params: its defaults, then migration.yaml, then what is given now.

    Raises CatalogError naming an undeclared or ill-typed parameter.
    """
    declared = entry(name).load().Params
    values = {**migration.audits.get(name, {}), **(given or {})}
    for key in values:
        if key not in declared.model_fields:
            near = get_close_matches(str(key), declared.model_fields, n=1)
            hint = (
                f"did you mean {near[0]!r}?" if near else f"{name} takes {', '.join(declared.model_fields) or 'none'}"
            )
            raise CatalogError(f"{name} has no parameter {key!r}: {hint}")
    try:
        return declared(**values)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise CatalogError(f"{name}: parameter {where!r} is {problem['input']!r}: {problem['msg'].lower()}") from None


def crashed(name: str) -> Kind:
    return Kind(
        id=f"{name}/crashed",
        title="The check broke",
        why="A check that broke says nothing about the model, good or bad.",
        fix="Read the reason, mend the input it names, and run this notebook again.",
    )


def unassessed(name: str) -> Kind:
    return Kind(
        id=f"{name}/not-assessed",
        title=f"{name.capitalize()} is not assessed",
        why="Nobody looked, so nothing is known: this must not be read as a pass.",
        fix="Give what the reason names in migration.yaml and run this notebook again.",
    )


def requires(migration: Migration, name: str) -> tuple[str, ...]:
    """The entries that must be done before this one: the candidate's mover, and audits whose evidence is read."""
    this = entry(name)
    if this.kind == "overview":
        return tuple(other.name for other in discover() if other.kind != "overview")
    known = {other.name for other in discover()}
    asked = [need.name for need in needs(this.load())]
    before = [ask for ask in asked if ask in known and ask != name]
    if migration.candidate is None and {"candidate", "scored", "doors"} & set(asked):
        before += [
            other.name for other in discover() if getattr(other, "kind", "") == "mover" and makes(other) == "candidate"
        ]
    return tuple(dict.fromkeys(before))


def makes(this: Entry) -> str:
    return str(getattr(this.load(), "MAKES", ""))


def order(migration: Migration, names: tuple[str, ...] | None = None) -> tuple[Entry, ...]:
    """The chosen entries (all, if none are named) so that each comes after what it requires, else as numbered."""
    chosen = [entry(name) for name in names] if names else list(discover())
    picked = {one.name for one in chosen}
    graph = {one.name: [name for name in requires(migration, one.name) if name in picked] for one in chosen}
    rank = {one.name: index for index, one in enumerate(every())}
    sorter = TopologicalSorter(graph)
    sorter.prepare()
    done: list[Entry] = []
    waiting: list[str] = []
    while sorter.is_active():
        waiting = sorted([*waiting, *sorter.get_ready()], key=lambda name: (entry(name).kind == "overview", rank[name]))
        done.append(entry(waiting[0]))
        sorter.done(waiting.pop(0))
    return tuple(done)
