"""The trials of serving: one setting, in a process of its own, held against the candidate as it is, then raced with it.

A setting is timed only after it kept the constraint on the search's rows. Every time is a ratio to the candidate as it
is, answered by a process that lives as long as the search, so that a machine that changes pace changes both.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.measure.intervals import Estimate
from workbench.measure.speed.statistics import LEVEL, percentile
from workbench.migrate.tune.constraint import Kept, Rule
from workbench.migrate.tune.narrow import narrowed
from workbench.migrate.tune.racing import Raced, race
from workbench.migrate.tune.sampler import Point
from workbench.migrate.tune.search import Outcome, Running
from workbench.migrate.tune.space import Candidate, Setting
from workbench.models import Model, ModelError, open_model
from workbench.models.checked import check_outputs
from workbench.models.serving import write_served

if TYPE_CHECKING:
    import pandas as pd

NAMES = ("loss", "p99 ms", "core-seconds per million")
"""The objectives. loss: what the setting costs in answers (see `constraint`). Time is normalised to the reference."""
MEMORY = ("ran out of memory", "cannot allocate", "MemoryError", "bad_alloc", "was killed")


@dataclass(frozen=True)
class Effort:
    """seconds: of timing of a setting that is not beaten; batch: rows of the throughput; timeout: seconds a setting may
    take to open and to answer once, compiling included; memory_mb: its process may take."""

    seconds: float = 2.0
    batch: int = 1_024
    timeout: float = 60.0
    memory_mb: int | None = None
    seed: int = 0


@dataclass
class Bench:
    """Where settings are tried. rows: of the search, raw; scratch: a folder for the files of settings.

    known: what an earlier search on the same study found the reference to take, for its times to be comparable.
    """

    of: Candidate
    rows: pd.DataFrame
    rule: Rule
    effort: Effort
    scratch: Path
    known: dict[str, float] = field(default_factory=dict)
    keep: Callable[[Mapping[str, float]], None] = lambda known: None

    @cached_property
    def reference(self) -> Model:
        """The candidate as it is, in a process that lives as long as the bench."""
        return self.opened(Setting())

    @cached_property
    def _answers(self) -> Any:
        return self.reference.predict(self.rows)

    @cached_property
    def _batch(self) -> pd.DataFrame:
        order = np.random.default_rng(self.effort.seed).permutation(len(self.rows))
        return self.rows.iloc[np.resize(order, self.effort.batch)].reset_index(drop=True)

    @cached_property
    def _row(self) -> pd.DataFrame:
        return self._batch.iloc[:1]

    def close(self) -> None:
        if "reference" in vars(self):
            self.reference.close()

    def write(self, setting: Setting, folder: Path) -> tuple[Path, ...]:
        """The candidate as the setting has it, in a folder of its own; its file first."""
        if setting.engine == "onnx":
            assert self.of.onnx is not None
            return write_served(self.of.onnx, folder / "candidate.onnx", setting.serving)
        source = self.of.path
        if setting.precision not in ("as made", "tf32") or setting.members:
            from workbench.migrate.lift import Lifted

            source = folder / "narrowed" / self.of.path.name
            narrowed(Lifted.load_spec(self.of.path), setting.precision, setting.members).save(source)
        files = write_served(source, folder / "candidate.pt2", setting.serving)
        shutil.rmtree(folder / "narrowed", ignore_errors=True)
        return files

    def opened(self, setting: Setting) -> Model:
        """In a process of its own. Raises ModelError."""
        path = self.write(setting, Path(tempfile.mkdtemp(dir=self.scratch)))[0]
        return open_model(str(path), host=True, timeout=self.effort.timeout, memory_mb=self.effort.memory_mb)

    def __call__(self, point: Point, running: Running) -> Outcome:
        """One trial."""
        setting = Setting.of(point)
        try:
            model = self.opened(setting)
        except ModelError as error:
            return _failed(error)
        try:
            return self._tried(model, setting, running)
        except ModelError as error:
            return _failed(error)
        finally:
            model.close()

    def _tried(self, model: Any, setting: Setting, running: Running) -> Outcome:
        answers = model.predict(self.rows)
        wrong = check_outputs(answers, len(self.rows), answers.classes)
        before = {one.kind for one in check_outputs(self._answers, len(self.rows), self._answers.classes)}
        if new := [one.clause for one in wrong if one.kind not in before]:
            return Outcome("nan" if wrong[0].kind in ("nan", "infinite") else "crashed", None, {}, f"it {new[0]}")
        kept = self.rule.kept(self._answers, answers)
        if kept.reason:
            return Outcome("unfit", None, kept.told, kept.reason)
        return self._timed(model, setting, kept, running)

    def _timed(self, model: Any, setting: Setting, kept: Kept, running: Running) -> Outcome:
        """One row and a batch, a short look first; the rest of the time only where nothing beats it in everything."""
        reference: Any = self.reference
        effort, others = self.effort, [one for one in running.others() if one.end == "done" and "single" in one.told]
        single = race(reference.timed, model.timed, self._row, seconds=effort.seconds / 8, seed=effort.seed)

        def beaten(batch: Estimate) -> bool:
            mine = kept.loss, single.ratio.low, batch.low * setting.threads
            return any(_beats(one.told, mine) for one in others)

        timed = reference.timed, model.timed, self._batch
        batch = race(*timed, seconds=effort.seconds / 4, seed=effort.seed, beaten=beaten)
        if batch.stopped:
            told = {**kept.told, **_ratios(kept.loss, single, batch, setting.threads)}
            return Outcome("dominated", None, told, "another setting is surely better in everything")
        single = race(reference.timed, model.timed, self._row, seconds=effort.seconds, seed=effort.seed + 1)
        batch = race(*timed, seconds=effort.seconds, seed=effort.seed + 1)
        return self._outcome(setting, kept, single, batch)

    def _outcome(self, setting: Setting, kept: Kept, single: Raced, batch: Raced) -> Outcome:
        if not self.known:
            self.known.update(row=single.reference, batch=batch.reference / self.effort.batch)
            self.keep(self.known)
        told = {**kept.told, **_ratios(kept.loss, single, batch, setting.threads)}
        slow, p99, method = self.known["row"] / single.reference, percentile(single.calls, 0.99, level=LEVEL), "p99"
        if p99 is None:
            p99, method = Estimate(float(single.calls.max())), f"slowest of {len(single.calls)}"
        cost = self.known["batch"] * 1e6 * setting.threads
        told |= {
            "p99": [1e3 * slow * part for part in p99],
            "p99 method": method,
            "cost": [cost * part for part in batch.ratio],
            "steady": single.settled and batch.settled,
        }
        return Outcome("done", (kept.loss, 1e3 * slow * p99.value, cost * batch.ratio.value), told)


def _ratios(loss: float, single: Raced, batch: Raced, threads: int) -> dict[str, Any]:
    """Time of one row and cost of a batch as shares of the reference's, each with its interval."""
    return {
        "loss": loss,
        "single": list(single.ratio),
        "batch": [part * threads for part in batch.ratio],
        "calls": len(single.calls),
    }


def _beats(told: Mapping[str, Any], mine: tuple[float, float, float]) -> bool:
    """Whether a trial is surely better in one row and in a batch, and no worse in its answers."""
    loss, single, batch = mine
    highs = told["single"][2], told["batch"][2]
    return (
        told["loss"] <= loss
        and all(not math.isnan(high) for high in highs)
        and highs < (single, batch)
        and (highs[0] < single and highs[1] < batch)
    )


def _failed(error: ModelError) -> Outcome:
    said = " ".join(str(error).split())
    memory = any(word in said for word in MEMORY)
    slow = "did not answer within" in said or "more processor time" in said
    return Outcome("memory" if memory else "slow" if slow else "crashed", None, {}, said[:300])
