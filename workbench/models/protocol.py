"""What every model is to the rest of the house: named raw columns in, scores or values and labels out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from workbench.models.trees import Trees

Kind = Literal["binary", "multiclass", "regression"]
Label = str | int | float | bool


class ModelError(Exception):
    """A model that cannot be opened, or that answered what it must not. The message says what to do next."""


class Refused(ModelError):  # noqa: N818
    """A file that is not opened because it is unsafe or not what its name says; nothing of it was run."""


def normal(label: object) -> str:
    """One spelling per label, so that 1, 1.0, True and "1" of two libraries are the same class."""
    if hasattr(label, "item"):
        label = label.item()
    if isinstance(label, bool):
        label = int(label)
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    text = str(label).strip()
    return {"true": "1", "false": "0"}.get(text.lower(), text)


@dataclass(frozen=True)
class Input:
    """A raw column the model asks for. categories: the known values of a category column, else empty."""

    name: str
    kind: Literal["number", "category", "text", "bool", "date", "unknown"] = "unknown"
    categories: tuple[Label, ...] = ()


@dataclass(frozen=True)
class Outputs:
    """Answers for n rows, in the rows' order.

    classes: k labels, in score order; () for regression. scores: float64 [n, k] probabilities (k = 2 for binary;
    a model that only decides has scores None). values: float64 [n] for regression. labels: [n], for classification
    the model's own decision (argmax or its own rule), for regression None. raw: float64 [n] or [n, k] margin
    (log-odds) where the model has one.
    """

    classes: tuple[Label, ...] = ()
    scores: NDArray[np.float64] | None = None
    values: NDArray[np.float64] | None = None
    labels: NDArray[np.generic] | None = None
    raw: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        some = next(part for part in (self.scores, self.values, self.labels) if part is not None)
        return len(some)


Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]


@dataclass(frozen=True)
class Piece:
    """A fitted part of a model as plain data, read where the model lives, so that nobody else must unpickle it.

    kind: qualified class name ("sklearn.preprocessing.StandardScaler", "lightgbm.Booster"); version: of its library;
    params: constructor parameters and fitted scalars as plain values; arrays: fitted arrays by attribute name;
    children: named parts (pipeline steps, transformers, estimators) in order; trees: the IR of a tree ensemble.
    """

    kind: str
    version: str = ""
    params: dict[str, Plain] = field(default_factory=dict)
    arrays: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    children: tuple[tuple[str, Piece], ...] = ()
    trees: Trees | None = None

    def walk(self, name: str = "model") -> list[tuple[str, Piece]]:
        """This piece and all below it, each with its dotted name."""
        below = [part for child, piece in self.children for part in piece.walk(f"{name}.{child}")]
        return [(name, self), *below]


@runtime_checkable
class Model(Protocol):
    """A model behind the one door. `predict` takes raw columns by name; extra columns are ignored."""

    @property
    def format(self) -> str: ...  # "sklearn", "xgboost", "lightgbm", "onnx", "torch", "python", "column"

    @property
    def fingerprint(self) -> str: ...  # sha256 of the file(s) and options that decide the answers

    @property
    def task(self) -> Kind: ...

    @property
    def inputs(self) -> tuple[Input, ...]: ...

    @property
    def classes(self) -> tuple[Label, ...]: ...

    def predict(self, frame: pd.DataFrame) -> Outputs:
        """Raises ModelError naming the missing columns, or what the model answered."""
        ...

    def describe(self) -> Piece:
        """The model's parts as plain data, arrays and trees included. A closed model is one Piece without children."""
        ...

    def close(self) -> None:
        """End the model's process, if it has one. A closed model opens again when asked."""
        ...
