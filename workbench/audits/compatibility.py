"""Compatibility: every piece of the legacy model against what is known of its kind, and what the model asks of data."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from workbench import audit
from workbench.audit import Kind
from workbench.evidence import Finding, Measure, Status, Table
from workbench.measure.blur import blurs
from workbench.models import Model
from workbench.models.knowledge import ORDER, Known, looked_up, whole
from workbench.models.protocol import Piece
from workbench.models.trees import Trees

QUESTION = "Can this model be expressed in torch, piece by piece?"

PIECE = Kind(
    id="compatibility/piece",
    title="A kind of piece",
    why="One piece without an exact torch form is enough to change answers, so each is looked up, options included.",
    fix="Follow the advice of the piece, then run this again.",
)
WHOLE = Kind(
    id="compatibility/model",
    title="The model as a whole",
    why="A model lifts as its worst piece does: this is what 42_replatform will do with it.",
    fix="Start with the piece that is named here.",
)
EFFORT = Kind(
    id="compatibility/effort",
    title="Effort to bring the model to torch",
    why="Points tell a morning from a month: 1 is a piece that only needs its parity check, 13 a model made anew.",
    fix="Start with the piece that costs most.",
)
INPUTS = Kind(
    id="compatibility/inputs",
    title="Columns the model asks for",
    why="The torch model reads the same raw columns; one that is renamed or read otherwise changes answers silently.",
    fix="Hold the table against the data contract of whoever delivers these columns.",
)
FLOAT32 = Kind(
    id="compatibility/float32",
    title="Features that lose meaning in float32",
    why="float32 keeps 24 bits: of unix seconds it keeps steps of 128, and values beside a threshold change sides.",
    fix="Keep float64 for these features (the lift does), also when the model is later tuned or quantised.",
    source="IEEE 754-2019, binary32",
)
OPENED = Kind(
    id="compatibility/opened",
    title="How the model was opened",
    why="A pickle runs code as it is opened: what it could reach, and on whose word, belongs to the evidence.",
    fix="Save the model in a form that runs no code (ONNX, skops), or keep the word of who vouches up to date.",
)
KINDS = (PIECE, WHOLE, EFFORT, INPUTS, FLOAT32, OPENED)

STATUS = {
    "exact": Status.PASS,
    "difference": Status.WARN,
    "retrain": Status.WARN,
    "unknown": Status.ABSENT,
    "closed": Status.ABSENT,
}
SENTENCE = {
    "exact": "lifts exactly",
    "difference": "lifts with a named difference",
    "retrain": "must be retrained",
    "unknown": "is not known",
    "closed": "is closed",
}


COLUMNS = ("part", "version", "what is known", "points", "why", "advice")


class Params(audit.Params):
    blur: float = Field(
        1e-4, gt=0, lt=1, description="share of the gap between thresholds that a float32 step may cover"
    )


def run(legacy: Model, params: Params) -> Iterator[Finding]:
    """One finding per kind of piece, then the whole, effort, inputs and float32. Nothing is lifted here."""
    piece = legacy.describe()
    parts = looked_up(piece)
    counted = [(name, part, what) for name, part, what in parts if what.status != "aside"]
    for kind in dict.fromkeys(part.kind for _, part, _ in counted):
        yield _piece(kind, [(name, part, what) for name, part, what in counted if part.kind == kind])
    yield _whole(piece, counted)
    yield _effort(parts)
    yield _inputs(legacy)
    yield _float32([part.trees for _, part, _ in parts if part.trees is not None], params)
    if getattr(legacy, "protection", None) is not None:
        yield _opened(legacy)


def _piece(kind: str, parts: list[tuple[str, Piece, Known]]) -> Finding:
    """The worst of a kind speaks for it."""
    worst = max((what for _, _, what in parts), key=lambda what: ORDER.index(what.status))
    rows = tuple(
        (path, part.version, SENTENCE[what.status], what.effort, what.why, what.advice) for path, part, what in parts
    )
    return PIECE.found(
        f"{kind} {SENTENCE[worst.status]}",
        kind,
        legacy=Measure(value=float(len(parts)), unit="pieces"),
        status=STATUS[worst.status],
        reason=worst.why,
        fix=worst.advice,
        details=(Table(title="Where", columns=COLUMNS, rows=rows),),
    )


def _whole(piece: Piece, parts: list[tuple[str, Piece, Known]]) -> Finding:
    what = whole(piece)
    blocking = [path for path, _, other in parts if other.status == what.status]
    return WHOLE.found(
        f"The model {SENTENCE[what.status]}" + ("" if what.status == "exact" else f": {blocking[0]}"),
        legacy=Measure(value=float(sum(other.status != "exact" for _, _, other in parts)), unit="pieces not exact"),
        status=STATUS[what.status],
        reason=what.why,
        fix=what.advice,
    )


def _effort(parts: list[tuple[str, Piece, Known]]) -> Finding:
    """Each kind is paid once; more of the same cost nothing more."""
    kinds = {part.kind: what for _, part, what in sorted(parts, key=lambda item: item[2].effort)}
    rows = tuple((name, part.kind, part.version, what.status, what.effort) for name, part, what in parts)
    exact = sum(what.status == "exact" for what in kinds.values())
    return EFFORT.found(
        f"{len(kinds)} kind{'s' * (len(kinds) > 1)} of piece, {exact} of them exact",
        legacy=Measure(value=float(sum(what.effort for what in kinds.values())), unit="effort points"),
        status=Status.INFO,
        details=(Table(title="All pieces", columns=("part", "kind", "version", "status", "points"), rows=rows),),
    )


def _inputs(legacy: Model) -> Finding:
    if not legacy.inputs:
        return INPUTS.absent("the model does not say which columns it reads")
    rows = tuple(
        (i.name, i.kind, len(i.categories), ", ".join(map(str, i.categories[:6])) + ("…" if i.categories[6:] else ""))
        for i in legacy.inputs
    )
    return INPUTS.found(
        legacy=Measure(value=float(len(rows)), unit="columns"),
        status=Status.INFO,
        details=(Table(title="Inputs", columns=("column", "kind", "categories", "such as"), rows=rows),),
    )


def _opened(legacy: Model) -> Finding:
    """Of a model in a process of its own."""
    facts = {name: str(getattr(legacy, name, "") or "") for name in ("answered_by", "protection", "trust")}
    rows = tuple((name.replace("_", " "), said or "none needed") for name, said in facts.items())
    return OPENED.found(
        f"Opened on a person's word: {facts['trust']}" if facts["trust"] else f"Opened under {facts['protection']}",
        status=Status.WARN if facts["trust"] else Status.INFO,
        reason="it asks for more than a model file needs" if facts["trust"] else "",
        details=(Table(title="How it was opened", columns=("what", "as it was"), rows=rows),),
    )


def _float32(ensembles: list[Trees], params: Params) -> Finding:
    double = [trees for trees in ensembles if trees.precision == "float64"]
    if not double:
        reason = "its trees compare in float32 already" if ensembles else "it has no thresholds to look at"
        return FLOAT32.found(f"Nothing to lose: {reason}", status=Status.INFO)
    found = sorted((b for trees in double for b in blurs(trees)), key=lambda b: -b.share)
    lost = [b for b in found if b.share > params.blur or b.merged]
    rows = tuple((b.feature, b.largest, b.step, b.gap, b.share, b.merged) for b in found)
    columns = ("feature", "largest threshold", "float32 step", "median gap", "share blurred", "thresholds merged")
    return FLOAT32.found(
        f"{len(lost)} of {len(found)} features lose meaning in float32",
        legacy=Measure(value=float(len(lost)), unit="features"),
        status=Status.INFO,
        details=(Table(title="Thresholds against float32", columns=columns, rows=rows),),
    )
