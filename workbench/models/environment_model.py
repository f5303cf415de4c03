"""A pickle that answers under the library that wrote it: in its own environment, its parts described here.

The host there (`portable`) only loads, describes and calls. What may be loaded, what the description shows, which
columns go in and what the answers mean is decided on this side, before the first answer is asked for.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.models import sandbox
from workbench.models.client import HostModel
from workbench.models.code_held import hold_code
from workbench.models.environment import Built, Environment, build
from workbench.models.ghosts import Ghost, Raised
from workbench.models.inputs import conform
from workbench.models.older import renew
from workbench.models.options import Options
from workbench.models.process import Start
from workbench.models.protocol import ModelError, Outputs, Piece
from workbench.models.safety import Found, allowed, inspect, survey
from workbench.models.sklearn_file import SklearnModel
from workbench.models.sniff import packed, unpacked
from workbench.models.trust import Trust
from workbench.models.wire import arrays_from_bytes, frame_to_bytes

if TYPE_CHECKING:
    import pandas as pd

    from workbench.models.trees import Trees

START = (
    "import sys, types; package = types.ModuleType('portable'); package.__path__ = [{folder!r}]; "
    "sys.modules['portable'] = package; from portable.host import main; main({limits!r})"
)
PORTABLE = Path(__file__).with_name("portable")
DISTRIBUTIONS = {"sklearn": "scikit-learn", "sklearn_pandas": "sklearn-pandas"}


class EnvironmentModel(HostModel):
    """A pickle behind the interpreter and the libraries of its own environment."""

    def __init__(self, path: Path, options: Options, environment: Environment, trust: Trust | None = None) -> None:
        self.path, self.trusted = path, trust is not None
        self.found: Found = survey(path)[0] if trust else inspect(path)
        self.environment = environment
        self.built: Built = build(environment)
        self._edge: SklearnModel | None = None
        super().__init__(str(path), path.parent, options, sandbox.protection(), trust)

    def predict(self, frame: pd.DataFrame) -> Outputs:
        """Answers for the frame's rows. Raises ModelError as any model, or where it answers another number of rows."""
        outputs = super().predict(frame)
        if len(outputs) != len(frame):
            raise ModelError(f"the model answered {len(outputs)} rows for {len(frame)}: it is no model of single rows")
        return outputs

    def describe(self) -> Piece:
        return self.edge.piece

    def trees(self) -> Trees:
        """The tree ensemble the model ends in, as described on this side."""
        from workbench.models.inside import in_piece

        return in_piece(self.edge.piece)

    @property
    def edge(self) -> SklearnModel:
        """What is known of the model on this side."""
        if self._edge is None:
            self._opened()
        assert self._edge is not None
        return self._edge

    def _start(self) -> Start:
        code = START.format(folder=str(PORTABLE), limits=sandbox.limits(self.options.memory_mb))
        command = (str(self.built.python), "-I", "-u", "-c", code)
        return Start(command, self.protection, (*self.built.readable, PORTABLE))

    def _introduced(self) -> dict[str, Any]:
        names = None if self.trusted else sorted(allowed())
        request = {"do": "open", "allowed": names, "threads": self.options.threads}
        header, parts = self._exchange(request, _content(self.path))
        raised = Raised(_arrays(header, parts[0]), renew)
        self._edge = self._described(header, raised.value(header["state"]))
        versions = {DISTRIBUTIONS.get(name, name): version for name, version in header["versions"].items()}
        edge = self._edge
        return {
            "format": edge.format,
            "fingerprint": edge.fingerprint,
            "task": edge.task,
            "inputs": [vars(wanted) for wanted in edge.inputs],
            "classes": list(edge.classes),
            "answered_by": f"scikit-learn {versions.get('scikit-learn')} on Python {versions['python']}, "
            "in an environment of its own",
            "versions": {**versions, **self.found.versions},
        }

    def _described(self, header: dict[str, Any], estimator: Any) -> SklearnModel:
        """Everything the file's state shows, checked: damaged trees and code in it are refused here."""
        if not isinstance(estimator, Ghost) or "predict" not in header["has"]:
            raise ModelError(f"{self.path.name} holds no estimator: save the fitted pipeline itself")
        if not self.trusted:
            hold_code(estimator)
        estimator.extra["kind_"] = header["kind"]
        end = vars(estimator).get("steps", [("", estimator)])[-1][1]
        if not hasattr(estimator, "classes_") and hasattr(end, "classes_"):
            estimator.extra["classes_"] = end.classes_
        fingerprint = self.options.fingerprint(self.path)
        caller = _Caller(self, header["has"])
        return SklearnModel(estimator, self.found, fingerprint, self.options.features, caller=caller)

    def _predict(self, frame: pd.DataFrame) -> Outputs:
        return self.edge.predict(frame)

    def _rows(self, frame: pd.DataFrame) -> tuple[dict[str, Any], bytes]:
        edge = self.edge
        rows = conform(self._needed(frame), edge.inputs)
        return self._sent(rows, "predict_proba" if edge.scores else "predict", edge.named)

    def _sent(self, rows: pd.DataFrame, method: str, named: bool) -> tuple[dict[str, Any], bytes]:
        about, data = frame_to_bytes(rows)
        return {**about, "method": method, "named": named, "none_for": sorted(self.edge.none_for)}, data

    def ask(self, method: str, X: Any) -> Any:
        """The estimator's own answer to a frame, or to a matrix [n, d]."""
        import pandas as pd

        named = isinstance(X, pd.DataFrame)
        rows = X if named else pd.DataFrame(X, columns=[str(place) for place in range(np.shape(X)[1])])
        about, data = self._sent(rows, method, named)
        header, parts = self._ask({"do": "call", **about}, data)
        return Raised(_arrays(header, parts[0]), renew).value(header["answer"])


class _Caller:
    """The estimator's methods, asked where it lives."""

    def __init__(self, model: EnvironmentModel, has: list[str]) -> None:
        self.model, self.has = model, has

    def __getattr__(self, name: str) -> Any:
        if name not in self.has:
            raise AttributeError(name)
        return functools.partial(self.model.ask, name)


def _content(path: Path) -> bytes:
    """The pickle, unpacked."""
    with path.open("rb") as file:
        packing = packed(file.read(16))
    with unpacked(path, packing) as stream:
        return stream.read()


def _arrays(header: dict[str, Any], data: bytes) -> Any:
    return arrays_from_bytes({"names": header["arrays"], "objects": {}}, data)
