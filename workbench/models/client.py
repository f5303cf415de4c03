"""The parent's side of the model host: a `Model` that answers from its own process."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from workbench.models.options import Options
from workbench.models.process import Died, Process, Start
from workbench.models.protocol import Input, Kind, Label, ModelError, Outputs, Piece, Refused
from workbench.models.sandbox import Protection
from workbench.models.trust import Trust
from workbench.models.wire import pack

if TYPE_CHECKING:
    import pandas as pd

    from workbench.models.inside import Sight
    from workbench.models.trees import Trees

OPENING = 120.0
"""Seconds a host may take to start and open its model, at least: libraries load slowly on a busy machine."""


class HostModel:
    """A model in a process of its own. It starts again by itself after `close`, or after it died.

    answered_by, versions: as the host says. cold_start_seconds: process start to first answer. protection: the walls
    around it. trust: a person's word for a pickle that asks for more than the list allows.
    """

    def __init__(
        self, uri: str, folder: Path, options: Options, protection: Protection, trust: Trust | None = None
    ) -> None:
        self.uri, self.folder, self.options = uri, folder, options
        self.protection, self.trust = protection, trust
        self.peak = 0
        self.cold_start_seconds: float | None = None
        self._lock = threading.RLock()
        self._process: Process | None = None
        self._opening = 0.0
        self._untouched = False
        self._held: tuple[pd.DataFrame, int | None] | None = None
        self._about = self._opened()

    @property
    def format(self) -> str:
        return str(self._about["format"])

    @property
    def fingerprint(self) -> str:
        return str(self._about["fingerprint"])

    @property
    def task(self) -> Kind:
        return cast("Kind", self._about["task"])

    @property
    def inputs(self) -> tuple[Input, ...]:
        return tuple(Input(one["name"], one["kind"], tuple(one["categories"])) for one in self._about["inputs"])

    @property
    def classes(self) -> tuple[Label, ...]:
        return tuple(self._about["classes"])

    @property
    def answered_by(self) -> str:
        return str(self._about["answered_by"])

    @property
    def versions(self) -> dict[str, str]:
        return dict(self._about["versions"])

    def predict(self, frame: pd.DataFrame) -> Outputs:
        """Answers for the frame's rows, sent in batches. Raises ModelError as any model, or where the host died."""
        needed = self._needed(frame)
        starts = range(0, max(1, len(needed)), self.options.batch)
        return _joined([self._predict(needed.iloc[start : start + self.options.batch]) for start in starts])

    def describe(self) -> Piece:
        return self._told("describe")

    def trees(self) -> Trees:
        """The tree ensemble the model ends in. Raises ModelError saying why there is none."""
        trees = self._told("trees").trees
        assert trees is not None
        return trees

    def look(self, frame: pd.DataFrame) -> Sight:
        """Rows as the trees see them, prepared where the model lives, and its own sums; in batches."""
        import numpy as np

        from workbench.models.inside import Sight
        from workbench.models.wire import arrays_from_bytes

        found = []
        for start in range(0, max(1, len(frame)), self.options.batch):
            about, data = self._rows(frame.iloc[start : start + self.options.batch])
            header, parts = self._ask({"do": "look", **about}, data)
            found.append(arrays_from_bytes(header["arrays"], parts[0]))
        return Sight(*(np.concatenate([part[name] for part in found]) for name in ("matrix", "margin")))

    def timed(
        self, frame: pd.DataFrame, calls: int, scope: Literal["model", "whole"] = "model"
    ) -> tuple[list[int], list[int]]:
        """Wall and CPU nanoseconds of each of `calls` predictions of the frame, measured inside the host.

        scope: "whole" counts reading the rows and writing the answers, too. The same frame is sent once.
        """
        header = self._ask_held({"do": "time", "calls": calls, "scope": scope}, frame)
        return header["wall"], header["cpu"]

    def on_device(self, frame: pd.DataFrame, calls: int) -> list[int]:
        """Nanoseconds a GPU computes in each of `calls` predictions, by CUDA events; [] where none does."""
        return list(self._ask_held({"do": "time", "calls": calls}, frame).get("device", ()))

    def served(self, frame: pd.DataFrame, arrivals: Sequence[float]) -> list[int]:
        """Nanoseconds from each scheduled arrival (s from the start, ascending) of a query to its answer."""
        return list(self._ask_held({"do": "serve", "arrivals": list(arrivals)}, frame)["latencies"])

    def peak_rss(self) -> int:
        """The most memory the host has held, in bytes."""
        self._ask({"do": "memory"})
        return self.peak

    def memory(self) -> dict[str, int]:
        """Bytes held now by the host, shared pages by share ("pss"), and at most on a GPU ("gpu"), 0: not told; ns it
        has computed ("cpu")."""
        header, _ = self._ask({"do": "memory"})
        return {name: int(header[name]) for name in ("pss", "gpu", "cpu")}

    def place(self, core: int) -> bool:
        """All of the host's threads onto one core; False where the system does not let it."""
        return bool(self._ask({"do": "place", "core": core})[0]["placed"])

    @property
    def pid(self) -> int | None:
        """The host's process number; None while it is closed."""
        return self._process.popen.pid if self._process else None

    def start(self, frame: pd.DataFrame) -> tuple[float, float]:
        """Seconds from starting a process to its model being open, and from then to its first answer for the frame.

        Of the process as it is where nobody has asked it anything yet, else of a new one.
        """
        if not self._untouched:
            self.close()
            self._opened()
        start = time.perf_counter()
        self.predict(frame)
        return self._opening, time.perf_counter() - start

    def close(self) -> None:
        """End the host's process."""
        with self._lock:
            if self._process is not None:
                self._process.end()
                self._process = None
            self._held, self._untouched = None, False

    def _told(self, what: str) -> Piece:
        from workbench.models.wire import arrays_from_bytes, piece_from_plain

        header, parts = self._ask({"do": what})
        return piece_from_plain(header["piece"], arrays_from_bytes(header["arrays"], parts[0]))

    def _needed(self, frame: pd.DataFrame) -> pd.DataFrame:
        from workbench.models.inputs import choose

        return choose(frame, self.inputs)

    def _ask_held(self, request: dict[str, Any], frame: pd.DataFrame) -> dict[str, Any]:
        """Ask about a frame that the host keeps: sent again only where another frame or process came between."""
        with self._lock:
            if self._process is None:
                self._opened()
            if self._held is not None and self._held[0] is frame and self._held[1] == self.pid:
                return self._ask(request)[0]
            about, data = self._rows(frame)
            header, _ = self._ask({**request, **about}, data)
            self._held = (frame, self.pid)
            return header

    def _rows(self, frame: pd.DataFrame) -> tuple[dict[str, Any], bytes]:
        """The frame as the host takes it."""
        from workbench.models.wire import frame_to_bytes

        return frame_to_bytes(self._needed(frame))

    def _predict(self, frame: pd.DataFrame) -> Outputs:
        from workbench.models.wire import frame_to_bytes, outputs_from_bytes

        start = time.perf_counter()
        about, data = frame_to_bytes(frame)
        header, parts = self._ask({"do": "predict", **about}, data)
        if self.cold_start_seconds is None:
            self.cold_start_seconds = self._opening + time.perf_counter() - start
        return outputs_from_bytes(header["outputs"], parts[0], tuple(header["classes"]))

    def _opened(self) -> dict[str, Any]:
        with self._lock:
            start = time.perf_counter()
            self._process = Process(self._start(), self.options)
            header = self._introduced()
            self._opening, self._untouched = time.perf_counter() - start, True
            return header

    def _start(self) -> Start:
        path = None if self.uri.startswith("python:") else Path(self.uri)
        return Start.here(self.options, self.protection, path)

    def _introduced(self) -> dict[str, Any]:
        """What the host says of its model, just opened."""
        request = {"do": "open", "uri": self.uri, "folder": str(self.folder), "options": self._passed()}
        return self._exchange(request)[0]

    def _passed(self) -> dict[str, Any]:
        return {name: value for name, value in self.options.given().items() if name not in ("host", "environment")}

    def _ask(self, request: dict[str, Any], *parts: bytes) -> tuple[dict[str, Any], list[bytes]]:
        with self._lock:
            if self._process is None:
                self._opened()
            self._untouched = False
            return self._exchange(request, *parts)

    def _exchange(self, request: dict[str, Any], *parts: bytes) -> tuple[dict[str, Any], list[bytes]]:
        assert self._process is not None
        try:
            patience = max(self.options.timeout, OPENING if request["do"] == "open" else 0)
            seconds = int(patience * self.options.threads) + 60
            header, data = self._process.exchange(pack({**request, "cpu": seconds}, *parts), patience)
        except Died as death:
            self._process = None
            raise ModelError(death.sentence(self.uri, request["do"], self.options)) from None
        self.peak = max(self.peak, int(header.pop("peak", 0)))
        if "error" in header:
            if request["do"] == "open":
                self.close()
            raise (Refused if header["kind"] == "Refused" else ModelError)(header["error"])
        return header, data


def _joined(parts: list[Outputs]) -> Outputs:
    import numpy as np

    if len(parts) == 1:
        return parts[0]
    names = [name for name in ("scores", "values", "labels", "raw") if getattr(parts[0], name) is not None]
    return Outputs(
        parts[0].classes, **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    )
