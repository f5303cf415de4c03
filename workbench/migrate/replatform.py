"""Replatform: make the candidate from the legacy model, exactly. Whether it is right, parity says."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from workbench import audit
from workbench.audit import Kind
from workbench.evidence import Detail, File, Finding, Measure, Status, Table, Text
from workbench.migration import Task
from workbench.models import Model, ModelError
from workbench.models.protocol import Piece

if TYPE_CHECKING:
    from workbench.migrate.export import Exported

QUESTION = "Can we make the candidate exactly?"
MAKES = "candidate"
NAME = "candidate.pt2"

LIFTED = Kind(
    id="replatform/lifted",
    title="The legacy model as one torch module",
    why="An exact translation keeps every decision, so that only the platform changes; nothing is learnt anew.",
    fix="Run 44_parity: it compares both models row by row and says whether the translation is right.",
)
FILES = Kind(
    id="replatform/files",
    title="The candidate's files",
    why="The .pt2 file runs with torch alone; the plain spec beside it can be read, compared and rebuilt in years.",
    fix="Keep both: the hashes are what a reviewer signs.",
)
REFUSED = Kind(
    id="replatform/not-lifted",
    title="A piece that cannot be lifted exactly",
    why="A translation that is nearly right flips labels nobody looks at, so a piece without an exact form is refused.",
    fix="Follow the advice, or give a candidate of your own in migration.yaml.",
)
ONNX = Kind(
    id="replatform/onnx",
    title="The candidate as an ONNX file",
    why="Runtimes without torch serve ONNX, and most exports of it round to float32; this file is float64 throughout.",
    fix="Serve the .pt2 file with torch; where ONNX is a must, replace the piece named here and fit the model again.",
)
KINDS = (LIFTED, FILES, REFUSED, ONNX)

MEDIA = {
    ".pt2": "application/zip",
    ".json": "application/json",
    ".npz": "application/zip",
    ".onnx": "application/octet-stream",
}


class Params(audit.Params):
    method: Literal["auto", "lift"] = Field(
        "auto", description="lift: translate exactly or refuse; auto: the best way that is exact (today: lift)"
    )


def run(legacy: Model, task: Task, folder: Path, params: Params) -> Iterator[Finding]:
    """Describe, lift, save `folder/candidate.pt2` with its plain spec, and as ONNX where that answers the same.

    A refusal is one ABSENT finding with advice.
    """
    from workbench.migrate.export import to_onnx
    from workbench.migrate.lift import CannotLift, lift_piece
    from workbench.migrate.lift.ops import Op

    started = time.monotonic()
    try:
        piece = legacy.describe()
        lifted = lift_piece(piece, legacy.inputs, legacy.classes, _kind(legacy, task))
    except CannotLift as refusal:
        yield REFUSED.found(
            f"{refusal.piece} cannot be lifted exactly",
            refusal.piece,
            status=Status.ABSENT,
            reason=f"{refusal.why[:1].upper()}{refusal.why[1:].rstrip('.')}.",
            fix=f"{refusal.advice.rstrip('.')}.",
        )
        return
    onnx = to_onnx(lifted, (folder / NAME).with_suffix(".onnx"))
    beside = (onnx.path,) if onnx.path else ()
    files = (*lifted.save(folder / NAME, beside), *beside)
    seconds = time.monotonic() - started
    operations = Counter(op.name for op in lifted.module.op.modules() if isinstance(op, Op))
    yield LIFTED.found(
        f"{piece.kind} is now one torch module",
        candidate=Measure(value=seconds, unit="s"),
        status=Status.INFO,
        details=(_pieces(piece), _edge(lifted.card.edge.to_plain()), _operations(operations)),
    )
    yield _written(files, folder)
    yield _onnx(onnx)


def _kind(legacy: Model, task: Task) -> Literal["binary", "multiclass", "regression"]:
    """The model's own kind. Raises ModelError where the migration declares a kind that it cannot answer for."""
    if (legacy.task == "regression") != (task.kind == "regression"):
        raise ModelError(
            f"the legacy model does {legacy.task}, and migration.yaml declares {task.kind}: correct task.kind, "
            "or give the model's classes as an option"
        )
    return legacy.task


def _pieces(piece: Piece) -> Table:
    rows = []
    for name, part in piece.walk():
        size = f"{part.trees.n_trees} trees, {len(part.trees.feature)} nodes" if part.trees else _shapes(part)
        rows.append((name, part.kind, part.version, size))
    return Table(title="What was lifted, piece by piece", columns=("part", "kind", "version", "size"), rows=tuple(rows))


def _shapes(piece: Piece) -> str:
    return f"{sum(array.size for array in piece.arrays.values())} fitted values" if piece.arrays else ""


def _edge(edge: Mapping[str, Any]) -> Detail:
    rows = tuple((c["name"], c["read"], len(c["values"]), ", ".join(c["refuses"])) for c in edge["columns"])
    names = ("column", "read as", "values known", "refuses")
    return Table(title="The edge: how raw columns are read", columns=names, rows=rows)


def _operations(operations: Counter[str]) -> Detail:
    made = ", ".join(f"{count} × {name}" for name, count in operations.most_common())
    return Text(title="What it is made of", text=f"{made}: torch operators; trees run compiled where numba is.")


def _onnx(made: Exported) -> Finding:
    """What was written, and how near onnxruntime's answers are to torch's; or why nothing was."""
    if made.path is None:
        reason = f"{made.reason[:1].upper()}{made.reason[1:].rstrip('.')}."
        return ONNX.found("No ONNX file was written", status=Status.INFO, details=(Text(title="Why", text=reason),))
    seen = tuple((name, made.probes, apart) for name, apart in made.largest)
    return ONNX.found(
        f"onnxruntime answers from {made.path.name} as torch does",
        candidate=Measure(value=max((apart for _, apart in made.largest), default=0.0), n=made.probes),
        status=Status.INFO,
        details=(
            Table(
                title="Largest difference from torch, as a share of the largest answer where that is above 1",
                columns=("output", "rows tried", "difference"),
                rows=seen,
            ),
            Text(title="Operators in the file", text=f"{', '.join(made.operators)}: all standard, in float64."),
        ),
    )


def _written(files: tuple[Path, ...], folder: Path) -> Finding:
    sizes = tuple((path.name, path.stat().st_size) for path in files)
    total = sum(size for _, size in sizes)
    return FILES.found(
        f"{NAME} and its plain spec are written",
        candidate=Measure(value=float(total), unit="bytes"),
        status=Status.INFO,
        details=(
            Table(title="Sizes", columns=("file", "size"), rows=sizes, units=("", "bytes")),
            *(
                File(
                    title=path.name,
                    path=path.relative_to(folder).as_posix(),
                    sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
                    media=MEDIA[path.suffix],
                )
                for path in files
            ),
        ),
    )
