"""What a model answered, held against what it must answer: plain facts, for others to judge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workbench.models.protocol import Label, Outputs, normal

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Wrong:
    """One thing wrong with a model's answers: what, in a clause that follows "the model", and in how many rows."""

    kind: Literal["shape", "nan", "infinite", "range", "sum", "label"]
    clause: str
    rows: int = 0


def check_outputs(outputs: Outputs, n: int, classes: tuple[Label, ...] = ()) -> tuple[Wrong, ...]:
    """What is wrong with a model's answers for n rows; () where nothing is. classes: () for regression."""
    parts = {
        name: getattr(outputs, name) for name in ("scores", "values", "labels") if getattr(outputs, name) is not None
    }
    if not parts:
        return (Wrong("shape", "answers nothing: neither scores, values nor labels", n),)
    shapes = tuple(wrong for name, part in parts.items() if (wrong := _shape(name, part, n, len(classes))))
    if shapes:
        return shapes
    return tuple(wrong for wrong in _contents(parts, n, classes) if wrong.rows)


def _shape(name: str, part: NDArray[np.generic], n: int, k: int) -> Wrong | None:
    want = (n, k) if name == "scores" and k else (n,)
    if part.shape == want or (name == "scores" and not k and part.ndim == 2 and len(part) == n):
        return None
    return Wrong("shape", f"answers {name} of shape {part.shape} for {n} rows, where {want} is due", n)


def _contents(parts: dict[str, NDArray[np.float64]], n: int, classes: tuple[Label, ...]) -> Iterator[Wrong]:
    numbers = parts.get("scores", parts.get("values"))
    if numbers is not None:
        yield _wrong("nan", "answers NaN", np.isnan(numbers), n)
        yield _wrong("infinite", "answers infinity", np.isinf(numbers), n)
    if "scores" in parts:
        yield from _probabilities(parts["scores"], n)
    elif "labels" in parts:
        labels, known = parts["labels"].tolist(), {normal(label) for label in classes}
        none = {label for label in set(labels) if label is None or label != label}
        strange = {label for label in set(labels) - none if normal(label) not in known}
        yield _wrong("nan", "answers no label", _among(labels, none), n)
        among = ", ".join(map(str, classes[:10]))
        yield _wrong("label", f"answers a label that is not among {among}", _among(labels, strange), n)


def _wrong(kind: Literal["nan", "infinite", "range", "sum", "label"], clause: str, bad: Flags, n: int) -> Wrong:
    rows = int(bad.reshape(len(bad), -1).any(axis=1).sum()) if len(bad) else 0
    return Wrong(kind, f"{clause} for {rows:,} of {n:,} rows", rows)


def _among(labels: list[Label | None], odd: set[Label | None]) -> Flags:
    return np.array([label in odd for label in labels] if odd else [False] * len(labels), dtype=bool)


def _probabilities(scores: NDArray[np.float64], n: int) -> Iterator[Wrong]:
    finite = np.isfinite(scores).all(axis=1)
    outside = np.asarray(finite & (np.abs(scores - 0.5) > 0.5 + 1e-9).any(axis=1))
    # One class against the rest need not add up to 1; scores of a softmax or a pair do, to float32's precision.
    off = np.asarray(finite & ~outside & (np.abs(scores.sum(axis=1) - 1) > 1e-4))
    yield _wrong("range", "answers scores outside 0 to 1", outside, n)
    yield _wrong("sum", "answers scores that do not add up to 1", off, n)
