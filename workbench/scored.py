"""Legacy and candidate on the same rows, once: the paired table every audit reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from workbench.migration import Migration, ModelSource, Roles, Task
from workbench.models import Label, Model, ModelError, Outputs, normal

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from workbench.data import Table

CACHE = ".workbench"
KEPT_AS = "2"
"""Form of the answers that are kept, and of what is said of them: another one is asked for again."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with a model's answers, and in how many rows.

    kind: "nan", "infinite", "range" (a probability outside 0 to 1), "sum" (probabilities that do not add up to 1, as
    those of one class against the rest), "label" (of no class) or "unrepeatable".
    """

    side: str
    kind: str
    message: str
    rows: int


@dataclass(frozen=True)
class Side:
    """One model's answers on the scored rows.

    outputs: as the model gave them. score: float64 [n], binary P(positive), else None where the model only decides.
    decision: [n], binary 0/1 (1 = selected: score >= threshold, or the model's own label where it gives no score);
    multiclass: index into classes; -1: no answer; regression: None. value: float64 [n], regression only.
    """

    outputs: Outputs
    score: NDArray[np.float64] | None = None
    decision: NDArray[np.int64] | None = None
    value: NDArray[np.float64] | None = None
    fingerprint: str = ""
    format: str = ""


@dataclass(frozen=True)
class Whole:
    """Every row of the holdout, where its answers lie in it (`column:`): to be counted in place, never loaded.

    beside: answers that lie beside the table, row by row, where they are not in it.
    """

    table: Table
    legacy: Model
    candidate: Model | None
    beside: Table | None = None


@dataclass(frozen=True)
class Scored:
    """The pair on n rows of the holdout.

    frame: the raw columns, n rows. target: binary 0/1 (1 = positive class), multiclass index into classes,
    regression float64; -1 / NaN where the truth is missing. weight: float64 [n] or None. total: rows in the holdout
    (n of them are here; fewer than total means a seeded sample). candidate: None while there is none.
    problems: answers that no audit may take at face value. holdout: fingerprint of the table. whole: all `total` rows,
    where every model answers from a column.
    """

    frame: pd.DataFrame
    target: NDArray[np.float64] | NDArray[np.int64]
    task: Task
    roles: Roles
    classes: tuple[Label, ...]
    legacy: Side
    candidate: Side | None
    weight: NDArray[np.float64] | None
    total: int
    fingerprint: str
    problems: tuple[Problem, ...] = ()
    holdout: str = ""
    whole: Whole | None = None

    def __len__(self) -> int:
        return len(self.frame)


def open_source(migration: Migration, source: ModelSource, *, hosted: bool = False) -> Model:
    """The model a section of migration.yaml names; hosted: in a process of its own. Raises ModelError."""
    from workbench.models import open_model

    options = {**source.options, **source.sections}
    if source.uri.startswith(("column:", "python:")):
        options.setdefault("task", migration.task.kind)
    elif hosted:
        options["host"] = True
    return open_model(source.uri, folder=migration.folder, **options)


@dataclass(frozen=True)
class Asked:
    """A model to be asked, opened only if its answers are not kept yet.

    digest: what decides its answers, known without opening it; None where only the open model can tell.
    """

    name: str
    opened: Callable[[], Model]
    digest: str | None = None


@dataclass(frozen=True)
class _Answered:
    outputs: Outputs
    problems: tuple[Problem, ...]
    fingerprint: str
    format: str


def score(migration: Migration, *, legacy: Asked | None = None, candidate: Asked | None = None) -> Scored:
    """Score the holdout with both models; answers are kept in the migration's cache by (data, model).

    legacy, candidate: instead of those of migration.yaml; whoever opens them closes them.
    Raises ModelError, DataError.
    """
    from workbench.data import open_data

    holdout = open_data(migration.data.holdout, migration.folder, cache=migration.folder / CACHE / "digests")
    with ExitStack() as stack:

        def opener(source: ModelSource) -> Callable[[], Model]:
            def opened() -> Model:
                model = open_source(migration, source)
                stack.callback(model.close)
                return model

            return opened

        before = legacy or Asked("legacy", opener(migration.legacy))
        after = candidate or (Asked("candidate", opener(migration.candidate)) if migration.candidate else None)
        return _pair(migration, holdout, before, after)


def _pair(migration: Migration, holdout: Table, legacy: Asked, candidate: Asked | None) -> Scored:
    task, roles = migration.task, migration.roles
    frame = holdout.sample(migration.data.sample)
    column = _column(frame, task.target, "target of the task")
    rows = f"{holdout.fingerprint}:{len(frame)}:{migration.data.sample}:{task.kind}"
    before = _answers(legacy, frame, rows, migration.folder / CACHE)
    after = _answers(candidate, frame, rows, migration.folder / CACHE) if candidate else None
    classes = before.outputs.classes
    return Scored(
        frame=frame,
        target=truth(column, task, classes),
        task=task,
        roles=roles,
        classes=classes,
        legacy=_side(before, task, classes),
        candidate=_side(after, task, classes) if after else None,
        weight=_column(frame, roles.weight, "weight").to_numpy("float64") if roles.weight else None,
        total=holdout.rows,
        holdout=holdout.fingerprint,
        fingerprint=_sha(rows, before.fingerprint, after.fingerprint if after else "", task.model_dump_json()),
        problems=(*before.problems, *(after.problems if after else ())),
        whole=_whole(holdout, [(legacy, before), *([(candidate, after)] if candidate and after else [])]),
    )


def _whole(table: Table, pair: list[tuple[Asked, _Answered]]) -> Whole | None:
    if any(answered.format != "column" for _, answered in pair):
        return None
    models = [asked.opened() for asked, _ in pair]
    return Whole(table, models[0], models[1] if len(models) == 2 else None)


def _column(frame: pd.DataFrame, name: str, what: str) -> pd.Series:
    from difflib import get_close_matches

    if name not in frame.columns:
        near = get_close_matches(name, [str(column) for column in frame.columns], n=1)
        seen = ", ".join(repr(str(column)) for column in frame.columns[:12])
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise ModelError(
            f"the {what} is {name!r}, which the holdout does not have (it has {seen}). {hint}Correct migration.yaml."
        )
    return frame[name]


def truth(column: pd.Series, task: Task, classes: Sequence[Label]) -> NDArray[np.float64] | NDArray[np.int64]:
    """A column of the target as `Scored.target`. Raises ModelError for a value that is no class."""
    import numpy as np
    import pandas as pd

    if task.kind == "regression":
        return pd.to_numeric(column, errors="coerce").to_numpy("float64")
    known = {normal(label): index for index, label in enumerate(classes)}
    codes, values = pd.factorize(column)
    names = [normal(value) for value in values]
    strange = [name for name in names if name not in known]
    if strange:
        raise ModelError(
            f"the target {task.target!r} holds {', '.join(sorted(strange)[:5])!r}, but the legacy model answers "
            f"{', '.join(known)!r}. If its classes carry other names, list them in the model's order: "
            "legacy.options.classes in migration.yaml."
        )
    index = np.array([known[name] for name in names] + [-1], dtype=np.int64)[codes]
    if task.kind == "multiclass":
        return index
    return np.where(index < 0, -1, (index == _positive(task, classes)).astype(np.int64))


def _positive(task: Task, classes: Sequence[Label]) -> int:
    names = [normal(label) for label in classes]
    if normal(task.positive) not in names:
        raise ModelError(
            f"task.positive is {task.positive!r}, but the model answers {', '.join(names)}. "
            "Name one of these in migration.yaml."
        )
    return names.index(normal(task.positive))


def _side(answered: _Answered, task: Task, classes: Sequence[Label]) -> Side:
    found = side_of(answered.outputs, task, classes)
    return replace(found, fingerprint=answered.fingerprint, format=answered.format)


def side_of(outputs: Outputs, task: Task, classes: Sequence[Label]) -> Side:
    """A model's answers as a side of the pair. Raises ModelError where its classes are not these."""
    import numpy as np

    names = [normal(label) for label in classes]
    if [normal(label) for label in outputs.classes] != names:
        raise ModelError(
            f"the models disagree on their classes: legacy {', '.join(names)}, candidate "
            f"{', '.join(normal(label) for label in outputs.classes)}. Give both the same classes in the same order."
        )
    known = {name: index for index, name in enumerate(names)}
    if task.kind == "regression":
        return Side(outputs, value=outputs.values)
    if outputs.scores is None:
        assert outputs.labels is not None
        index = np.array([known.get(normal(label), -1) for label in outputs.labels], dtype=np.int64)
        score = None
    else:
        index = np.where(np.isnan(outputs.scores).any(1), -1, np.nan_to_num(outputs.scores).argmax(1)).astype(np.int64)
        score = outputs.scores[:, _positive(task, classes)] if task.kind == "binary" else None
    if task.kind == "binary":
        decided = index == _positive(task, classes) if score is None else score >= task.threshold
        index = np.where(index < 0, -1, decided.astype(np.int64))
    return Side(outputs, score=score, decision=index)


def _answers(asked: Asked, frame: pd.DataFrame, rows: str, cache: Path) -> _Answered:
    """The model's answers, from the cache where it answered these rows before."""
    from filelock import FileLock

    model = asked.opened() if asked.digest is None else None
    if model is not None and model.format == "column":
        return _ask(asked.name, model, frame)
    folder = cache / "scored"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{_sha(rows, model.fingerprint if model else str(asked.digest), asked.name, KEPT_AS)}.npz"
    with FileLock(f"{path}.lock"):
        if path.exists():
            return _load(path)
        answered = _ask(asked.name, model or asked.opened(), frame)
        _save(path, answered)
        return answered


def _ask(side: str, model: Model, frame: pd.DataFrame) -> _Answered:
    from workbench.models.checked import check_outputs

    outputs = model.predict(frame)
    if len(outputs) != len(frame):
        raise ModelError(
            f"the {side} model answered {len(outputs)} rows for {len(frame)} asked: it drops or adds rows. "
            "Give a model that answers every row once, in order."
        )
    wrong = check_outputs(outputs, len(frame), outputs.classes)
    if shapes := [one.clause for one in wrong if one.kind == "shape"]:
        raise ModelError(f"the {side} model {'; '.join(shapes)}. Give a model that answers every row once, in order.")
    problems = [Problem(side, one.kind, f"the {side} model {one.clause}", one.rows) for one in wrong]
    probe = frame.iloc[: min(200, len(frame))]
    again = model.predict(probe)
    if differing := _differing(outputs, again, len(probe)):
        message = f"the {side} model answers differently when asked twice: {differing} of {len(probe)} rows"
        problems.append(Problem(side, "unrepeatable", message, differing))
    return _Answered(outputs, tuple(problems), model.fingerprint, model.format)


def _differing(first: Outputs, second: Outputs, n: int) -> int:
    """Rows of the first n that two askings answer differently, beyond the last bits of a float32 sum."""
    import numpy as np

    for before, after in ((first.scores, second.scores), (first.values, second.values)):
        if before is not None and after is not None:
            same = np.isclose(before[:n], after, rtol=1e-6, atol=1e-7, equal_nan=True)
            return int((~same.reshape(n, -1).all(1)).sum()) if n else 0
    if first.labels is not None and second.labels is not None:
        return int((first.labels[:n] != second.labels).sum())
    return 0


_ARRAYS = ("scores", "values", "raw")


def _save(path: Path, answered: _Answered) -> None:
    import numpy as np

    outputs = answered.outputs
    arrays = {name: getattr(outputs, name) for name in _ARRAYS if getattr(outputs, name) is not None}
    if outputs.labels is not None:
        # Labels are written as their class numbers: an object array would need pickle.
        known = {normal(label): index for index, label in enumerate(outputs.classes)}
        arrays["labels"] = np.array([known.get(normal(label), -1) for label in outputs.labels], dtype=np.int64)
    meta = {
        "classes": list(outputs.classes),
        "problems": [vars(problem) for problem in answered.problems],
        "fingerprint": answered.fingerprint,
        "format": answered.format,
    }
    part = path.with_suffix(".part.npz")
    np.savez(part, meta=np.frombuffer(json.dumps(meta, default=_plain).encode(), dtype=np.uint8), **arrays)
    part.replace(path)


def _plain(value: object) -> object:
    return cast("np.generic", value).item()


def _load(path: Path) -> _Answered:
    import numpy as np

    with np.load(path, allow_pickle=False) as stored:
        meta = json.loads(stored["meta"].tobytes())
        parts = {name: stored[name] for name in _ARRAYS if name in stored}
        classes = tuple(meta["classes"])
        labels = np.array([*classes, None], dtype=object)[stored["labels"]] if "labels" in stored else None
    outputs = Outputs(classes=classes, labels=labels, **parts)
    problems = tuple(Problem(**problem) for problem in meta["problems"])
    return _Answered(outputs, problems, meta["fingerprint"], meta["format"])


def _sha(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
