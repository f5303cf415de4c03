"""What a model answered, held against what it must answer: plain facts, for others to judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from workbench.models.protocol import Label, Model, Outputs

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a model's answers. rows: places of up to 20 rows it was seen in; count: of all of them."""

    kind: Literal["shape", "missing", "infinite", "range", "sum", "label", "unstable"]
    message: str
    rows: tuple[int, ...] = ()
    count: int = 0


def check_outputs(outputs: Outputs, n: int, classes: tuple[Label, ...] = ()) -> list[Problem]:
    """What is wrong with a model's answers for n rows; [] where nothing is. classes: () for regression."""
    parts = {
        name: getattr(outputs, name) for name in ("scores", "values", "labels") if getattr(outputs, name) is not None
    }
    if not parts:
        return [Problem("shape", "the model answered nothing: neither scores, values nor labels")]
    problems = [_shape(name, part, n, len(classes)) for name, part in parts.items()]
    wrong = [problem for problem in problems if problem is not None]
    if wrong:
        return wrong
    found = [_numbers(name, parts[name]) for name in ("scores", "values") if name in parts]
    problems = [problem for group in found for problem in group]
    if "scores" in parts:
        problems += _probabilities(parts["scores"])
    if "labels" in parts:
        problems += _labels(parts["labels"], classes)
    return [problem for problem in problems if problem is not None]


def is_repeatable(model: Model, frame: pd.DataFrame) -> list[Problem]:
    """Ask for the same rows twice; [] where every answer is the same to the bit (NaN equals NaN)."""
    first, second = model.predict(frame), model.predict(frame)
    problems = []
    for name in ("scores", "values", "labels"):
        one, other = getattr(first, name), getattr(second, name)
        if one is None or other is None or one.shape != other.shape:
            if one is not other:
                problems.append(Problem("unstable", f"the model answered {name} of another shape the second time"))
            continue
        differs = (one != other) & ~((one != one) & (other != other))
        rows = np.flatnonzero(differs.reshape(len(differs), -1).any(axis=1))
        problem = _problem("unstable", "the model answered the same {count} row(s) differently the second time", rows)
        problems += [problem] if problem else []
    return problems


def _problem(kind: str, message: str, rows: NDArray[np.intp]) -> Problem | None:
    if not len(rows):
        return None
    return Problem(kind, message.format(count=len(rows)), tuple(int(row) for row in rows[:20]), len(rows))  # type: ignore[arg-type]


def _shape(name: str, part: NDArray[np.generic], n: int, k: int) -> Problem | None:
    want = (n, k) if name == "scores" and k else (n,)
    if part.shape == want or (name == "scores" and not k and part.ndim == 2 and len(part) == n):
        return None
    return Problem("shape", f"the model answered {name} of shape {part.shape} for {n} rows, where {want} is due")


def _numbers(name: str, part: NDArray[np.float64]) -> list[Problem | None]:
    by_row = part.reshape(len(part), -1)
    return [
        _problem("missing", f"the model answered NaN ({name}) for {{count}} row(s)", _rows(np.isnan(by_row))),
        _problem("infinite", f"the model answered infinity ({name}) for {{count}} row(s)", _rows(np.isinf(by_row))),
    ]


def _rows(wrong: NDArray[np.bool_]) -> NDArray[np.intp]:
    return np.flatnonzero(wrong.any(axis=1))


def _probabilities(scores: NDArray[np.float64]) -> list[Problem | None]:
    finite = np.isfinite(scores).all(axis=1)
    outside = finite & ((scores < -1e-9) | (scores > 1 + 1e-9)).any(axis=1)
    # One-versus-all scores need not add up to 1; probabilities of a softmax or a pair do, to float32's precision.
    off = finite & ~outside & (np.abs(scores.sum(axis=1) - 1) > 1e-4)
    return [
        _problem("range", "scores of {count} row(s) are not within 0 and 1", np.flatnonzero(outside)),
        _problem("sum", "scores of {count} row(s) do not add up to 1", np.flatnonzero(off)),
    ]


def _labels(labels: NDArray[np.generic], classes: tuple[Label, ...]) -> list[Problem | None]:
    absent = np.array([label is None or label != label for label in labels.tolist()], dtype=bool)
    foreign = ~absent & ~np.isin(labels.astype(object), np.array(classes, dtype=object)) if classes else absent & False
    return [
        _problem("missing", "the model answered no label for {count} row(s)", np.flatnonzero(absent)),
        _problem(
            "label",
            f"labels of {{count}} row(s) are not among the classes {list(classes)[:10]}",
            np.flatnonzero(foreign),
        ),
    ]
