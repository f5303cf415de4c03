"""What is known of each kind of piece: whether it can be expressed in torch exactly, as data in `knowledge.json`.

`exact`: the same answers up to the rounding of the last digit. `difference`: lifted, with a difference that is named.
`retrain`: no exact torch form here. `aside`: not on the way from a row to its answer. `unknown`: not in the table.
needs: what must hold for that (an option has one of these values, a part is not there, a condition of `nested` does
not hold). differs: what must hold for the same answers; else it is lifted with that difference. options: the
constructor options that were considered; a piece with another one is newer than this knowledge, and so unknown.
aside_as: names under which a model holds such a piece for its own use, beside the way from a row to its answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

from workbench.models.nested import CONDITIONS, paths
from workbench.models.protocol import Piece

Status = Literal["exact", "difference", "retrain", "aside", "unknown", "closed"]
LIFTS = ("exact", "difference")
NOT_OPTIONS = frozenset({"columns", "categories", "trees_refused"})
"""Names in a piece's params that its description adds."""


@dataclass(frozen=True)
class Known:
    """What can be said of one piece. effort: points, 1 for what is only checked, 13 for a model made anew."""

    status: Status
    effort: int
    why: str = ""
    advice: str = ""


@cache
def table() -> Mapping[str, Any]:
    """`knowledge.json`."""
    found: Mapping[str, Any] = json.loads(
        resources.files("workbench.models").joinpath("knowledge.json").read_text("utf-8")
    )
    return found


def known(piece: Piece, held_as: str = "") -> Known:
    """What the table says of this very piece, its options and parts included. held_as: its name in what holds it."""
    row = table()["pieces"].get(piece.kind)
    if row is None:
        return _stranger(piece)
    if held_as in row.get("aside_as", ()):
        return Known("aside", 0, ASIDE, "")
    for need in row.get("needs", ()):
        if not _holds(piece, need):
            return Known("retrain", int(table()["unknown_effort"]), need["why"], need["advice"])
    strange = new_options(piece)
    if strange:
        why = f"its option {strange[0]!r} is newer than what is known of {piece.kind}"
        return Known(
            "unknown", int(table()["unknown_effort"]), why, "Update the workbench, or train without the option."
        )
    for need in row.get("differs", ()):
        if not _holds(piece, need):
            return Known("difference", int(row["effort"]), need["why"], need["advice"])
    status, effort = row["status"], int(row["effort"])
    why, advice = row.get("note", ""), row.get("advice", "")
    if status == "exact" and _newer(piece):
        why = (
            f"it was made by version {piece.version}, newer than any that was tested ({_tested(piece)}). {why}".strip()
        )
        return Known("difference", effort, why, "Let parity judge it on your rows.")
    return Known(status, effort, why, advice)


ASIDE = "It is not on the way from a row to its answer."

ORDER: tuple[Status, ...] = ("aside", "exact", "difference", "retrain", "unknown", "closed")
"""From what stands in nobody's way to what cannot even be looked at."""


def looked_up(piece: Piece) -> list[tuple[str, Piece, Known]]:
    """(place, part, what is known of it) of all parts; those below a part that is made anew go with it."""
    below: str | None = None
    found = []
    for path, part in paths(piece):
        if below is not None and path.startswith(below):
            continue
        what = known(part, path.rpartition(" > ")[2])
        below = None if what.status in (*LIFTS, "aside") else f"{path} > "
        found.append((path, part, what))
    return found


def whole(piece: Piece) -> Known:
    """What can be said of the model: what its worst part is, as the lift does with it. effort: of all kinds once."""
    parts = looked_up(piece)
    worst = max((what for _, _, what in parts), key=lambda what: ORDER.index(what.status))
    dearest = {part.kind: what.effort for _, part, what in sorted(parts, key=lambda item: item[2].effort)}
    return Known(worst.status, sum(dearest.values()), worst.why, worst.advice)


def new_options(piece: Piece) -> list[str]:
    """Constructor options that the table does not know; fitted attributes end or begin with an underscore."""
    options = table()["pieces"].get(piece.kind, {}).get("options")
    if options is None:
        return []
    given = (name for name in piece.params if not name.endswith("_") and not name.startswith("_"))
    return [name for name in given if name not in NOT_OPTIONS and name not in options]


def _stranger(piece: Piece) -> Known:
    effort = int(table()["unknown_effort"])
    if not piece.children and not piece.arrays and piece.trees is None:
        why = "it answers without showing its parts, so nothing of it can be translated"
        advice = "Give the model file itself, or train a torch model on its answers."
        return Known("closed", effort, why, advice)
    return Known(
        "unknown", effort, "nobody has yet looked at this kind", "Ask for it, or train a supported model instead."
    )


def _holds(piece: Piece, need: Mapping[str, Any]) -> bool:
    if "when" in need:
        return not CONDITIONS[need["when"]](piece)
    if "child" in need:
        return all(name != need["child"] for name, _ in piece.children)
    if any(piece.params.get(name) in spared for name, spared in need.get("unless", {}).items()):
        return True
    return piece.params.get(need["param"]) in need["one_of"]


def _tested(piece: Piece) -> str:
    return str(table()["libraries"].get(piece.kind.partition(".")[0], {}).get("to", ""))


def _newer(piece: Piece) -> bool:
    return bool(_tested(piece)) and _numbers(piece.version) > _numbers(_tested(piece))


def _numbers(version: str) -> tuple[int, ...]:
    """Major and minor; empty where the version says nothing."""
    parts = version.split(".")[:2]
    return tuple(map(int, parts)) if all(part.isdigit() for part in parts) else ()
