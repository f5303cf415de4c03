"""What a search tells: its trials, its front, what mattered, and what was not searched; as charts with tables."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from workbench.audit import Kind
from workbench.evidence import Cell, Chart, Detail, File, Finding, Measure, Series, Status, Table, Text
from workbench.migrate.tune.front import front, knee
from workbench.migrate.tune.sampler import Point
from workbench.migrate.tune.search import ENDS, Study, Trial
from workbench.migrate.tune.space import Absent


def in_words(point: Point) -> str:
    """A recipe's choices in one line."""
    return ", ".join(
        f"{name} {value:.2g}" if isinstance(value, float) else f"{name} {value}" for name, value in point.items()
    )


def done(trials: Sequence[Trial]) -> list[Trial]:
    """Those that were measured to the end."""
    return [one for one in trials if one.end == "done" and one.values is not None]


def value(trial: Trial, place: int) -> float:
    """What a measured trial has of an objective."""
    assert trial.values is not None
    return trial.values[place]


def on_front(trials: Sequence[Trial]) -> list[Trial]:
    measured = done(trials)
    return [measured[place] for place in front([one.values or () for one in measured])]


def at_knee(trials: Sequence[Trial]) -> Trial | None:
    measured = done(trials)
    place = knee([one.values or () for one in measured])
    return None if place is None else measured[place]


def searched(kind: Kind, study: Study, trials: Sequence[Trial], ended: str, words: Mapping[int, str]) -> Finding:
    """The history: every trial, how it ended, and the best so far of each objective. words: a trial's setting."""
    measured = done(trials)
    counts = {end: sum(one.end == end for one in trials) for end in ENDS}
    said = ", ".join(f"{count} {ENDS[end]}" for end, count in counts.items() if count)
    columns = ("trial", "setting", "how it ended", "seconds", *study.names, "reason")
    blank: tuple[Cell, ...] = (None,) * len(study.names)
    rows = tuple(
        (one.number, words[one.number], ENDS[one.end or "killed"], one.seconds, *(one.values or blank), one.reason)
        for one in trials
    )
    details: list[Detail] = [Table(title="Every trial", columns=columns, rows=rows)]
    details += [_history(name, place, measured) for place, name in enumerate(study.names) if measured]
    return kind.found(
        f"{len(trials)} settings were tried, until {ended} ended it: {said}",
        status=Status.INFO,
        candidate=Measure(value=float(len(trials)), unit="trials"),
        details=tuple(details),
    )


def _history(name: str, place: int, measured: Sequence[Trial]) -> Chart:
    numbers = tuple(float(one.number) for one in measured)
    values = [value(one, place) for one in measured]
    best = tuple(min(values[: at + 1]) for at in range(len(values)))
    series = (Series(name="trial", x=numbers, y=tuple(values)), Series(name="best so far", x=numbers, y=best))
    return Chart(kind="line", title=f"{name}, by trial", x="trial", y=name, series=series)


def fronted(kind: Kind, study: Study, trials: Sequence[Trial], words: Mapping[int, str], chosen: int | None) -> Finding:
    """The front: every measured trial by two of the objectives, and what lies on it."""
    best, measured = on_front(trials), done(trials)
    if not best:
        return kind.absent("no setting was measured to the end: see tuning/search for how each ended")
    places = (1, 2) if len(study.names) > 2 else (0, len(study.names) - 1)
    numbers = {one.number for one in best}
    groups = (("off the front", [one for one in measured if one.number not in numbers]), ("on the front", best))
    cloud = tuple(_cloud(name, which, places) for name, which in groups if which)
    titles = [study.names[place] for place in places]
    chart = Chart(kind="scatter", title="What can be had", x=titles[0], y=titles[1], series=cloud)
    middle = at_knee(trials)
    rows: list[tuple[Cell, ...]] = [
        (one.number, words[one.number], *(one.values or ()), _marks(one.number, middle, chosen)) for one in best
    ]
    table = Table(title="The front", columns=("trial", "setting", *study.names, "is"), rows=tuple(rows))
    return kind.found(
        f"{len(best)} of {len(measured)} measured settings are worth choosing from",
        status=Status.INFO,
        candidate=Measure(value=float(len(best)), n=len(measured)),
        details=(chart, table),
    )


def _cloud(name: str, which: Sequence[Trial], places: tuple[int, int]) -> Series:
    x, y = (tuple(value(one, place) for one in which) for place in places)
    return Series(name=name, x=x, y=y, role="candidate" if name == "on the front" else "other")


def _marks(number: int, middle: Trial | None, chosen: int | None) -> str:
    marks = [("the knee", middle is not None and number == middle.number), ("chosen", number == chosen)]
    return ", ".join(name for name, holds in marks if holds)


def mattered(kind: Kind, study: Study) -> Finding:
    """What share of each objective's spread each choice explains (PED-ANOVA, Watanabe et al. 2023)."""
    found = {name: _importance(study, place) for place, name in enumerate(study.names)}
    found = {name: shares for name, shares in found.items() if shares}
    if not found:
        return kind.absent("too few settings were measured to tell what mattered: allow more trials")
    choices = sorted({choice for shares in found.values() for choice in shares})
    bars = tuple(
        Series(name=name, x=tuple(choices), y=tuple(shares.get(choice, 0.0) for choice in choices))
        for name, shares in found.items()
    )
    chart = Chart(kind="bar", title="What mattered", x="choice", y="share of what is explained", series=bars)
    rows: list[tuple[Cell, ...]] = [(one, *(shares.get(one, 0.0) for shares in found.values())) for one in choices]
    table = Table(
        title="What mattered", columns=("choice", *found), rows=tuple(rows), units=("", *["share"] * len(found))
    )
    return kind.found(status=Status.INFO, details=(chart, table))


def _importance(study: Study, place: int) -> dict[str, float]:
    import optuna

    trials = study.optuna.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    values = {one.values[place] for one in trials}
    if len(trials) < 4 or len(values) < 2:
        return {}
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(evaluate_on_local=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that small is good to it, as it is here
        found = optuna.importance.get_param_importances(
            study.optuna, evaluator=evaluator, target=lambda one: one.values[place]
        )
    return {name: float(share) for name, share in found.items() if share == share}


def unsearched(kind: Kind, absent: Sequence[Absent]) -> Iterator[Finding]:
    """One finding for each part of the space that this machine or candidate does not have."""
    for one in absent:
        yield kind.absent(f"{one.why}.", one.what)


def written(kind: Kind, files: Sequence[Path], folder: Path, title: str, before: Sequence[Detail]) -> Finding:
    """The files, and the lines that make them the candidate."""
    uri = files[0].relative_to(folder.parent.parent).as_posix()
    lines = Text(title="To judge it as the candidate", text=f"candidate:\n  uri: {uri}", code=True)
    size = sum(path.stat().st_size for path in files)
    return kind.found(
        title,
        status=Status.INFO,
        candidate=Measure(value=float(size), unit="bytes"),
        details=(*before, lines, *(_file(path, folder) for path in files)),
    )


def _file(path: Path, folder: Path) -> File:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return File(title=path.name, path=path.relative_to(folder).as_posix(), sha256=digest)
