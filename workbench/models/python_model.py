"""A Python callable as a model: `python:package.module:function`. Runs in the model host.

The migration folder is on its path. The function takes a DataFrame and returns labels, scores [n] of the positive
class, probabilities [n, k], or values.
"""

from __future__ import annotations

import hashlib
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.models.base import OpenModel, from_scores
from workbench.models.options import Options
from workbench.models.protocol import Input, Kind, Label, ModelError, Outputs, Piece

PREFIX = "python:"


class PythonModel(OpenModel):
    format = "python"

    def __init__(self, uri: str, folder: Path, options: Options) -> None:
        self.uri, self.function = uri, _imported(uri, folder)
        task, classes = _task(options)
        super().__init__(
            fingerprint=options.fingerprint(_sources(uri, folder)),
            task=task,
            inputs=tuple(Input(name) for name in options.inputs or ()),
            classes=classes,
            answered_by=f"Python {sys.version.split()[0]}",
        )

    def answer(self, rows: pd.DataFrame) -> Outputs:
        answers = np.asarray(self.function(rows.copy()))
        if answers.ndim == 2 and answers.shape[1] == 1:
            answers = answers[:, 0]
        if self.task == "regression":
            return Outputs(values=answers.astype(np.float64))
        if answers.ndim == 2:
            return from_scores(self.classes, answers)
        if answers.dtype.kind == "f" and self.task == "binary" and _are_scores(answers):
            return from_scores(self.classes, answers)
        return Outputs(self.classes, labels=self._labels(answers))

    def _labels(self, answers: Any) -> Any:
        spelled = {str(label): label for label in self.classes}
        labels = [spelled.get(str(answer), answer) for answer in answers.tolist()]
        if answers.dtype.kind == "f":
            labels = [
                spelled.get(str(int(one)), one) if one == one and one == int(one) else one for one in answers.tolist()
            ]
        foreign = [label for label in dict.fromkeys(labels) if label == label and label not in self.classes]
        if foreign:
            raise ModelError(
                f"{self.uri} answered {foreign[:3]}, which are not among the classes {list(self.classes)[:10]}: "
                "name them with the option classes: [...], or answer probabilities"
            )
        return np.array([*labels, None], dtype=object)[:-1]

    def nothing(self) -> Outputs:
        """Without rows it is not asked: whether it would give scores is not known."""
        empty = super().nothing()
        return empty if self.task == "regression" else Outputs(self.classes, labels=empty.labels)

    def describe(self) -> Piece:
        return Piece("python.function", sys.version.split()[0], {"uri": self.uri})


def _imported(uri: str, folder: Path) -> Any:
    module, _, name = uri.removeprefix(PREFIX).strip().partition(":")
    if not module or not name:
        raise ModelError(f"{uri!r} names no function: write {PREFIX}package.module:function")
    sys.path.insert(0, str(folder.resolve()))
    try:
        function = getattr(import_module(module), name, None)
    except ImportError as error:
        raise ModelError(f"{uri}: {error}. It is looked for in {folder} and among the installed packages") from error
    except Exception as error:
        raise ModelError(f"{uri}: importing {module} failed with {type(error).__name__}: {error}") from error
    if not callable(function):
        raise ModelError(f"{uri}: {module} has no function {name!r}")
    return function


def _sources(uri: str, folder: Path) -> bytes:
    """What the answers rest on as far as it is code: the modules loaded from the migration's folder."""
    root = folder.resolve()
    module = uri.removeprefix(PREFIX).strip().partition(":")[0]
    files = {getattr(loaded, "__file__", None) for loaded in list(sys.modules.values())}
    own = {Path(file) for file in files if file and Path(file).resolve().is_relative_to(root) and Path(file).is_file()}
    named = getattr(sys.modules[module], "__file__", None)
    own |= {Path(named)} if named else set()
    digests = sorted(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in own)
    return "\n".join([uri, *digests]).encode()


def _task(options: Options) -> tuple[Kind, tuple[Label, ...]]:
    task = options.task or ("binary" if len(options.classes or (0, 1)) == 2 else "multiclass")
    if task == "regression":
        return task, ()
    if task == "multiclass" and not options.classes:
        raise ModelError("a Python function with more than two classes must name them: give the option classes: [...]")
    return task, options.classes or (0, 1)


def _are_scores(answers: Any) -> bool:
    known = answers[~np.isnan(answers)]
    return bool(((known >= 0) & (known <= 1)).all() and not (len(known) and np.isin(known, (0, 1)).all()))
