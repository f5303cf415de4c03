"""What `open_model` takes beside the address of a model."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, cast

from workbench.models.protocol import Kind, Label, ModelError

RUNNING = ("threads", "timeout", "memory_mb", "host", "batch", "trust", "token_from")
"""Options of how a model runs, which do not decide what it answers."""


@dataclass(frozen=True)
class Options:
    """task, classes: what a Python callable, a column or an ONNX graph does not say of itself. features: the columns
    of a model saved without names, in its order. inputs: the columns a Python callable takes (all where not given).
    categorical: the category columns of a LightGBM model that leaves them open. rounds: how many boosting rounds of an
    XGBoost model answer, where its training stopped early. feature_map: its .fmap file, named from the model's
    folder or one above it, which turns raw columns into its one-hot inputs. reader: "library" answers by the
    model's own library where it is installed, "workbench" by the tree IR. threads: of the model's computing.
    timeout: seconds one request to a model host may take. memory_mb: MiB a host may take. host: answer from an own
    process, as pickles and callables always do. batch: rows a host is sent at once. token_from: the environment
    variable that holds a running service's token. environment: of its own for a pickle (`environment.Environment` as
    a mapping). trust: a person's word for a pickle that asks for more than the list allows (`trust.Trust`).
    """

    task: Kind | None = None
    classes: tuple[Label, ...] | None = None
    features: tuple[str, ...] | None = None
    inputs: tuple[str, ...] | None = None
    categorical: tuple[str, ...] | None = None
    rounds: int | None = None
    feature_map: str | None = None
    reader: Literal["library", "workbench"] = "library"
    threads: int = 1
    timeout: float = 300.0
    memory_mb: int | None = None
    host: bool = False
    batch: int = 50_000
    token_from: str | None = None
    environment: Mapping[str, Any] | None = None
    trust: Mapping[str, Any] | None = None

    @classmethod
    def read(cls, given: Mapping[str, object]) -> Options:
        """Raises ModelError for an option that does not exist or is of the wrong type."""
        known = {part.name for part in fields(cls)}
        for name, value in given.items():
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(sorted(known))}"
                raise ModelError(f"a model has no option {name!r}: {hint}")
            if name in ("classes", "features", "inputs", "categorical") and not isinstance(value, list | tuple | None):
                raise ModelError(f"the option {name} is a list, and got {value!r}")
        given = {**given, **_whole(given)}
        lists = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
        options = cls(**cast("dict[str, Any]", lists))
        if options.task not in (None, "binary", "multiclass", "regression"):
            raise ModelError(f"the option task is binary, multiclass or regression, and got {options.task!r}")
        if options.reader not in ("library", "workbench"):
            raise ModelError(f"the option reader is library or workbench, and got {options.reader!r}")
        if not (isinstance(options.threads, int) and options.threads >= 1):
            raise ModelError(f"the option threads is a number from 1 on, and got {options.threads!r}")
        return options

    def given(self) -> dict[str, Any]:
        """The options that differ from the defaults, ready for JSON."""
        default = asdict(Options())
        return {name: value for name, value in asdict(self).items() if value != default[name]}

    def fingerprint(self, content: bytes | Path) -> str:
        """sha256 of a file, or of bytes, and of the options that decide the answers."""
        if isinstance(content, Path):
            with content.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256")
        else:
            digest = hashlib.sha256(content)
        deciding = {name: value for name, value in self.given().items() if name not in RUNNING}
        if deciding:
            digest.update(json.dumps(deciding, sort_keys=True, default=str).encode())
        return digest.hexdigest()


def _whole(given: Mapping[str, object]) -> dict[str, object]:
    """The sections among the options, checked and ready for JSON. Raises ModelError."""
    found: dict[str, object] = {}
    if given.get("environment") is not None:
        from workbench.models.environment import Environment

        found["environment"] = Environment.read(given["environment"]).plain()
    if given.get("trust") is not None:
        from workbench.models.trust import Trust

        found["trust"] = Trust.read(given["trust"]).plain()
    return found
