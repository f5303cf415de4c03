"""Commands that make a migration: new and demo."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from workbench import catalog
from workbench.migration import open_migration
from workbench.models.options import Options
from workbench.runner import copy_notebooks
from workbench.ui.say import CliError, coloured, emit, note, out, typed, value_of

if TYPE_CHECKING:
    from workbench.proposal import Proposal


@dataclass(frozen=True)
class Chosen:
    """What a person said on the command line; the rest is proposed."""

    data: tuple[str, ...]
    model: str
    target: str = ""
    positive: str = ""
    task: str = ""
    train: tuple[str, ...] = ()
    production: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    options: tuple[str, ...] = field(default=())

    def model_options(self) -> dict[str, object]:
        """`feature_map=map.txt` as {"feature_map": "map.txt"}. Raises CliError for anything else."""
        found = {}
        for text in self.options:
            name, equals, value = text.partition("=")
            if not equals or not name.isidentifier():
                raise CliError(f"--option {text[:80]!r} is not read: write NAME=VALUE, e.g. feature_map=map.txt")
            found[name] = _listed(value) if name in _LISTS else value_of(value)
        return found


_LISTS = frozenset(part.name for part in fields(Options) if "tuple[" in str(part.type))
"""Options that are lists."""


def _listed(text: str) -> object:
    """`A,B` or `["A", "B"]`; a comma inside a name needs the second form."""
    value = value_of(text)
    return value if isinstance(value, list) else [value_of(part) for part in map(str.strip, text.split(",")) if part]


def new(folder: Path, chosen: Chosen, *, force: bool, as_json: bool) -> None:
    """Writes the proposal and says why it is as it is."""
    from workbench.proposal import propose

    if not as_json:
        note(f"Reading {', '.join(chosen.data)} and asking {chosen.model} about a sample of it ...")
    proposal = propose(
        folder.resolve().name,
        list(chosen.data),
        chosen.model,
        folder=folder,
        target=chosen.target or None,
        positive=_label(chosen.positive),
        protected=list(chosen.protected) or None,
        train=list(chosen.train) or None,
        production=list(chosen.production) or None,
        task=chosen.task or None,
        options=chosen.model_options(),
        limits=catalog.default_limits(),
        force=force,
    )
    path = proposal.write(_titles(), force=force)
    copy_notebooks(folder)
    values = [value.model_dump(mode="json") for value in proposal.values]
    emit({"file": str(path), "proposed": values, "unsure": [value.key for value in proposal.unsure]}, as_json)
    if not as_json:
        _tell(path, proposal, folder)


def _label(text: str) -> str | int | float | bool | None:
    value = value_of(text)
    return value if isinstance(value, str | int | float | bool) and text else None


def _tell(path: Path, proposal: Proposal, folder: Path) -> None:
    import sys

    out(f"Written: {path}", style="bold")
    out()
    for value in proposal.values:
        sign, word = _SURE[value.confidence]
        shown = "" if value.value is None else f" = {_short(value.value)}"
        out(coloured(f"{sign} {word:<9}", _STYLE.get(value.confidence, ""), sys.stdout) + f" {value.key}{shown}")
        for line in value.why.splitlines():
            out(f"            {line}", style="dim")
    out()
    limits = len(proposal.migration.limits)
    out(f"{limits} limits are defaults that nobody in your team has agreed to yet: see `limits` in the file.")
    if proposal.unsure:
        out(f"Please look at {', '.join(value.key for value in proposal.unsure)}: that is a guess.")
    out()
    out(f"Check it     workbench check {typed(folder)}")
    _ways(folder)


_SURE = {"given": ("=", "given"), "high": ("✓", "sure"), "medium": ("·", "likely"), "low": ("!", "guessed")}
_STYLE = {"high": "pass", "low": "warn"}


def _short(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _titles() -> dict[str, str]:
    return {kind.id: kind.title for kind in catalog.kinds().values()}


def demo(folder: Path, *, force: bool, as_json: bool) -> None:
    from workbench.demo import make_demo

    truths = make_demo(folder, limits=catalog.default_limits(), titles=_titles(), force=force)
    copy_notebooks(folder)
    emit({"folder": str(folder), "planted": len(truths.planted)}, as_json)
    if not as_json:
        planted = f"{len(truths.planted)} planted faults"
        out(f"A made-up lending portfolio with its legacy model, and {planted}: {folder}/")
        _ways(folder)


def notebooks(folder: Path, *, as_json: bool) -> None:
    """Copies what is missing or outdated, and names what the team changed and keeps."""
    copies = copy_notebooks(open_migration(folder).folder)
    emit({"folder": str(copies.folder), "written": copies.written, "changed": copies.changed}, as_json)
    if not as_json:
        out(f"{len(copies.written)} written to {copies.folder}{'' if copies.written else ': they are up to date'}.")
        if copies.changed:
            out(f"Your own, left as they are and run by `workbench run`: {', '.join(copies.changed)}.")
        _ways(folder)


def _ways(folder: Path) -> None:
    out(f"Unattended   workbench run {typed(folder)}")
    out(f"By hand      jupyter lab {typed(folder)}   then open notebooks/00_journey.ipynb")
