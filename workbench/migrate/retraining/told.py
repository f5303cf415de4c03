"""What a training tells: what it learnt from, how it went, and the files it left."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from workbench.audit import Kind
from workbench.evidence import Chart, Detail, File, Finding, Measure, Series, Status, Table, Text
from workbench.migrate.retraining.checkpoint import CURVE, EVENTS
from workbench.migrate.retraining.prepared import Prepared
from workbench.migrate.retraining.progress import CHECKS, METRICS
from workbench.migrate.retraining.training import Trained

READ = {"value": "number", "characters": "characters of a text", "words": "words of a text", "seconds": "date"}


def rows(kind: Kind, prepared: Prepared) -> Finding:
    """The columns as they are read, and what was left out."""
    columns = tuple(
        (column.name, READ[column.of] if column.read == "number" else "category", len(column.values))
        for column in prepared.card.edge.columns
    )
    table = Table(title="Columns it learns from", columns=("column", "read as", "values known"), rows=columns)
    asked = "with the legacy model's answers" if prepared.fit.legacy is not None else "with labels only"
    said = Text(title="How the rows were parted", text=f"{'; '.join(prepared.notes)}.")
    return kind.found(
        f"It learns from {len(prepared.fit):,} rows {asked} and stops by {len(prepared.check):,} others",
        candidate=Measure(value=float(len(prepared.fit)), n=len(prepared.fit) + len(prepared.check), unit="rows"),
        status=Status.INFO,
        details=(said, table),
    )


def curve(kind: Kind, trained: Trained, task: str) -> Finding:
    """Loss and check by epoch as a chart, and every figure as a table."""
    at = tuple(float(epoch.epoch) for epoch in trained.curve)
    lines = (
        Series(name="loss while fitting", x=at, y=tuple(epoch.loss for epoch in trained.curve), role="other"),
        Series(name="held-back rows", x=at, y=tuple(epoch.check for epoch in trained.curve), role="candidate"),
    )
    metric = (Series(name="held-back rows", x=at, y=tuple(epoch.metric for epoch in trained.curve), role="candidate"),)
    best, check = trained.best, CHECKS[task]
    names = ("epoch", "loss", check, METRICS[task], "learning rate", "seconds")
    cells = tuple((e.epoch, e.loss, e.check, e.metric, e.rate, e.seconds) for e in trained.curve)
    ended = "the last one" if len(trained.curve) == trained.recipe.epochs else "no later one was better"
    return kind.found(
        f"Epoch {best.epoch} of {len(trained.curve)} is kept ({ended}): {check} {best.check:.4f}, "
        f"{METRICS[task]} {best.metric:.4f} on held-back rows",
        candidate=Measure(value=trained.seconds, unit="s"),
        status=Status.INFO,
        details=(
            Chart(kind="line", title="Loss by epoch", x="epoch", y=check, series=lines),
            Chart(kind="line", title=f"{METRICS[task]} by epoch", x="epoch", y=METRICS[task], series=metric),
            Table(title="Every epoch", columns=names, rows=cells, units=("", "", "", "", "", "s")),
            *(Text(text=f"{note[:1].upper()}{note[1:]}.") for note in trained.notes),
        ),
    )


def made(kind: Kind, files: Sequence[Path], folder: Path, trained: Trained) -> Finding:
    """The files, the recipe, and the lines that make it the candidate."""
    home = folder.parent.parent
    uri = files[0].relative_to(home).as_posix()
    recipe = tuple((name, str(value)) for name, value in asdict(trained.recipe).items())
    details: list[Detail] = [
        Text(title="To judge it as the candidate", text=f"candidate:\n  uri: {uri}", code=True),
        Table(title="The recipe", columns=("choice", "value"), rows=recipe),
        Text(
            title="The curve beside it",
            text=f"{CURVE} holds every epoch; `tensorboard --logdir {files[0].parent.relative_to(home).as_posix()}` "
            f"draws what lies in {EVENTS}.",
        ),
    ]
    parameters = sum(parameter.numel() for parameter in trained.module.parameters())
    return kind.found(
        f"A {trained.recipe.family} network of {parameters:,} weights is written",
        candidate=Measure(value=float(sum(path.stat().st_size for path in files)), unit="bytes"),
        status=Status.INFO,
        details=(*details, *(_file(path, folder) for path in files)),
    )


def _file(path: Path, folder: Path) -> File:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return File(title=path.name, path=path.relative_to(folder).as_posix(), sha256=digest)
