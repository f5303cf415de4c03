"""Commands that make a migration: new and demo."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workbench import catalog
from workbench.ui.say import emit, out


@dataclass(frozen=True)
class Chosen:
    """What a person said on the command line; the rest is proposed."""

    data: tuple[str, ...]
    model: str
    target: str = ""
    positive: str = ""
    train: tuple[str, ...] = ()
    production: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()


def new(folder: Path, chosen: Chosen, *, force: bool, as_json: bool) -> None:
    raise NotImplementedError


def demo(folder: Path, *, as_json: bool) -> None:
    from workbench.demo import make_demo

    titles = {kind.id: kind.title for kind in catalog.kinds().values()}
    truths = make_demo(folder, limits=catalog.default_limits(), titles=titles)
    emit({"folder": str(folder), "planted": len(truths.planted)}, as_json)
    if not as_json:
        out(
            f"A made-up lending portfolio with its legacy model is in {folder}; {len(truths.planted)} faults are planted in it."
        )
        out(f"Next: workbench run {folder}")
