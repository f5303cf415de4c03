"""A lifted model: one torch module with its edge, and the two forms it is written in.

`.pt2` (torch.export) runs with torch alone, and carries the compiled form of its trees. The plain spec, `.json` with
its arrays in `.npz` beside it, rebuilds the very same module without unpickling anything, and can be read by people.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from workbench.migrate.lift import answer, compose, encode, linear, preprocess, tree_op, trees
from workbench.migrate.lift.agreement import agree
from workbench.migrate.lift.columns import Context, Reread, Source, sources_of
from workbench.migrate.lift.columns import answer as answer_of
from workbench.migrate.lift.fuse import direct_of, fused
from workbench.migrate.lift.ops import Arrays, Op, from_plain, to_plain
from workbench.migrate.lift.tree_op import has_two_forms, one_form
from workbench.models.protocol import Input, Kind, Label, Model, Outputs, Piece, Plain
from workbench.models.torch_file import CARD, COMPILED, ROWS, Card, answers, ask, packed

if TYPE_CHECKING:
    import pandas as pd

    from workbench.models.tree_kernel.direct import Direct

FAMILIES = (answer, compose, encode, linear, preprocess, tree_op, trees)
"""Importing them fills the registries of converters and ops."""

CELLS = 150_000
"""Rows x trees given at once: blocks that stay in a core's cache are faster than larger ones."""


class Module(nn.Module):
    """What is exported: numbers float64 [n, a], codes int64 [n, b] → named outputs."""

    def __init__(self, op: Op) -> None:
        super().__init__()
        self.op = op

    def forward(self, numbers: Tensor, codes: Tensor) -> dict[str, Tensor]:
        named: dict[str, Tensor] = self.op(numbers, codes)
        return named


@dataclass(frozen=True)
class Lifted:
    """A model as one torch module, with what is needed to read raw rows."""

    module: Module
    card: Card

    @property
    def task(self) -> Kind:
        return self.card.task

    @property
    def inputs(self) -> tuple[Input, ...]:
        return self.card.inputs

    @property
    def classes(self) -> tuple[Label, ...]:
        return self.card.classes

    def predict(self, frame: pd.DataFrame) -> Outputs:
        """Raises ModelError for columns that are missing or cannot be read, as the saved file does."""
        return answers(self.module, self.card, frame, ROWS, self._direct)

    def ask(self, numbers: NDArray[Any], codes: NDArray[np.int64] | None = None) -> dict[str, NDArray[Any]]:
        """Rows that are arrays already (see `workbench.models.torch_file.ask`)."""
        return ask(self.module, self._direct, numbers, codes)

    @cached_property
    def _direct(self) -> Direct | None:
        return direct_of(self.module.op)

    def save(self, path: Path | str, beside: Sequence[Path] = ()) -> tuple[Path, ...]:
        """Write `path` (.pt2) and the plain spec beside it (.json, .npz); the files written.

        The spec names each file by its sha256, those `beside` (the same model in other forms) included.
        The `.pt2` is a program of torch's own operators, which any torch reads; it carries the compiled form, which
        `open_model` runs. Raises ModelError if the two disagree in a bit on rows made to tell them apart.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        extra, program = {CARD: json.dumps(self.card.to_plain())}, self.export()
        if has_two_forms(self.module.op):
            compiled = self.export(portable=False)
            agree(program, compiled, self.module.op, self.card)
            extra[COMPILED] = packed(compiled)
        spec, arrays = self.spec()
        np.savez(path.with_suffix(".npz"), **arrays)  # type: ignore[arg-type]
        torch.export.save(program, path, extra_files=extra)
        files = (path, path.with_suffix(".npz"), *beside)
        hashes: dict[str, Plain] = {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in files}
        said = {**spec, "outputs": _outputs(program), "versions": _versions(), "files": hashes}
        path.with_suffix(".json").write_text(json.dumps(said, indent=1, allow_nan=True), "utf-8")
        return path, path.with_suffix(".json"), path.with_suffix(".npz")

    def export(self, portable: bool = True) -> torch.export.ExportedProgram:
        """The module as an exported program for any number of rows from 2 on (`answers` fills smaller ones up).

        portable: torch's own operators alone; else trees are the operator `workbench::tree_ensemble`.
        """
        return exported(one_form(self.module.op, portable), self.card)

    def spec(self) -> tuple[dict[str, object], Arrays]:
        """The model as plain data: a JSON tree of ops, and their arrays."""
        arrays: Arrays = {}
        return {**self.card.to_plain(), "module": to_plain(self.module.op, arrays)}, arrays

    @classmethod
    def load_spec(cls, path: Path | str) -> Lifted:
        """Rebuild from the plain spec; path: its `.json`, or the `.pt2` it lies beside."""
        path = Path(path)
        said = json.loads(path.with_suffix(".json").read_text("utf-8"))
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
            op = from_plain(said["module"], arrays)
        return cls(Module(op).eval(), Card.from_plain(said))


def exported(op: Op, card: Card) -> torch.export.ExportedProgram:
    """An op as an exported program for any number of rows from 2 on."""
    edge = card.edge.columns
    numbers = torch.zeros((4, sum(c.read == "number" for c in edge)), dtype=torch.float64)
    codes = torch.full((4, sum(c.read == "category" for c in edge)), -1, dtype=torch.int64)
    rows = torch.export.Dim("rows", min=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of its own tracing
        return torch.export.export(Module(op).eval(), (numbers, codes), dynamic_shapes=({0: rows}, {0: rows}))


def lift(model: Model) -> Lifted:
    """The model as one torch module, exactly. Raises CannotLift naming the piece that cannot be."""
    return lift_piece(model.describe(), model.inputs, model.classes, model.task)


def lift_piece(piece: Piece, inputs: Sequence[Input], classes: Sequence[Label], task: Kind) -> Lifted:
    """As `lift`, from a description. Raises CannotLift naming the piece, why, and what to do."""
    sources = sources_of(inputs)
    built: dict[int, object] = {}
    while True:
        before = [source.state for source in sources]
        context = Context(sources, tuple(classes), task, built)
        op = _attempt(piece, context)
        if op is not None and before == [source.state for source in sources]:
            break
    source = f"{piece.kind} {piece.version}".strip()
    edge = context.edge()
    op = fused(op, *(sum(column.read == read for column in edge.columns) for read in ("number", "category")))
    card = Card(task, tuple(classes), tuple(inputs), edge, rows_at_once(op), source)
    return Lifted(Module(op).eval(), card)


def _attempt(piece: Piece, context: Context) -> Op | None:
    """One try with columns read as known so far; None where one must be read otherwise."""
    for source in context.sources:
        source.refuses, source.allowed = {}, None
    try:
        return answer_of(piece, context.start(), context)
    except Reread as change:
        _reread(change.sources, change)
        return None


def _reread(sources: Sequence[Source], change: Reread) -> None:
    for source in sources:
        source.read, source.fixed = change.read, True


def _outputs(program: torch.export.ExportedProgram) -> list[Plain]:
    """Names of what it answers, in order; scores and values float64, labels the places of classes."""
    names: list[Plain] = list(program.call_spec.out_spec.context)
    return names


def _versions() -> dict[str, Plain]:
    import workbench

    return {"workbench": workbench.__version__, "torch": str(torch.__version__), "numpy": np.__version__}


def rows_at_once(op: Op) -> int:
    """Rows to give it at once: fewer for more trees, and for more rows that each is held against."""
    widths = [len(part.first) if isinstance(part, tree_op.Masks) else len(part.root) for part in _tree_parts(op)]
    widths += [part.cells() for part in op.modules() if isinstance(part, Op)]
    return max(64, min(ROWS, CELLS // max([1, *widths])))


def _tree_parts(op: Op) -> list[tree_op.Masks | tree_op.Walk]:
    return [part for part in op.modules() if isinstance(part, tree_op.Masks | tree_op.Walk)]
