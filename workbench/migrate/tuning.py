"""Tune: the same candidate served the best way this machine can, or a network trained the best way it can.

Two searches, a study each. *serve* changes no weight: engine, precision, threads, rows at once, members. *train* looks
for a better network. What is chosen is measured again on rows the search never saw, and written as an alternative:
whether it is right, fair and fast, the audits say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from workbench import audit
from workbench.audit import Kind
from workbench.evidence import Finding
from workbench.migration import Roles, Task
from workbench.models import Model, ModelError

if TYPE_CHECKING:
    from workbench.data import Table as Rows

QUESTION = "How fast and how good can the candidate be on this machine?"
MAKES = "alternative"
ON_REQUEST = True
ALONE = True  # it measures time

SEARCH = Kind(
    id="tuning/search",
    title="What was tried",
    why="A setting that is said to be best is best among those that were tried, and of each it is known how it ended.",
    fix="Allow more trials or minutes: the study goes on where it stands, and repeats nothing.",
    source="Optuna, multivariate TPE (Bergstra et al. 2011; Falkner et al. 2018)",
)
FRONT = Kind(
    id="tuning/front",
    title="What can be had",
    why="Answers, the slow tail and cost pull apart: none of the settings on the front is better in everything.",
    fix="Choose with the owner of the service, and set audits.tuning.choose in migration.yaml.",
    source="Pareto front; knee: nearest to the ideal, Zeleny 1973",
)
MATTERED = Kind(
    id="tuning/importance",
    title="What mattered",
    why="A choice that explains nothing need not be searched, or argued about, again.",
    fix="Leave the choices that explain little as they are; look closer at the others.",
    source="PED-ANOVA, Watanabe, Bansal and Hutter 2023",
)
CONFIRMED = Kind(
    id="tuning/confirmed",
    title="Measured again on rows the search never saw",
    why="The best of many is partly luck: only rows and times that chose nothing say what it is worth.",
    fix="Where it does not hold, the next of the front was taken; give the search more rows or a wider margin.",
    source="paired interval of the change; ratio of interleaved times with its interval",
)
BATCH = Kind(
    id="tuning/batch-size",
    title="Rows at once",
    why="A nightly job pays for throughput, and a batch that does not fit ends it.",
    fix="Give the job the batch named here, or the service more memory.",
)
MADE = Kind(
    id="tuning/candidate",
    title="A tuned candidate",
    why="It is served otherwise than the one that was compared so far, so every audit has to look at it again.",
    fix="Set it as candidate in migration.yaml and run the journey again: its file says how it is served.",
)
ABSENT = Kind(
    id="tuning/not-searched",
    title="Not searched",
    why="What was not tried may have been better: nobody may read its silence as a verdict.",
    fix="Run the search on a machine that has what the reason names; a study says on which machine it was made.",
)
REFUSED = Kind(
    id="tuning/refused",
    title="Nothing was tuned",
    why="Without a candidate, rows, or a way to run what is asked, there is nothing to search.",
    fix="Follow the reason, or choose otherwise: audits.tuning in migration.yaml.",
)
KINDS = (SEARCH, FRONT, MATTERED, CONFIRMED, BATCH, MADE, ABSENT, REFUSED)


class Params(audit.Params):
    stage: Literal["serve", "train"] = Field(
        "serve", description="serve: the candidate as it is, run otherwise; train: a network trained anew"
    )
    choose: Literal["knee", "cheapest", "fastest"] = Field(
        "cheapest", description="of the front: its knee, the cheapest inside the constraint, or the shortest tail"
    )
    trials: int = Field(16, ge=1, le=10_000, description="settings tried at most, resumed searches included")
    minutes: float | None = Field(1.0, gt=0, description="of computing at most, resumed searches included")
    money: float | None = Field(None, gt=0, description="that the search may cost, at price_per_hour")
    price_per_hour: float | None = Field(None, gt=0, description="of this machine")
    hold: Literal["parity", "quality"] = Field(
        "parity", description="kept in every trial: the same answers, or a quality not worse by more than the margin"
    )
    difference: float = Field(1e-6, ge=0, description="parity: largest difference of an answer")
    flips: float = Field(0.0, ge=0, lt=1, description="parity: share of labels that may change")
    margin: float = Field(0.01, gt=0, description="quality: of log-loss, or of RMSE as a share of it")
    rows: int = Field(2_000, ge=200, description="training rows the search looks at; as many more confirm the choice")
    batch: int = Field(1_024, ge=2, description="rows at once whose throughput is the cost")
    seconds: float = Field(1.5, gt=0, description="of timing of each setting that is not beaten early")
    timeout: float = Field(60.0, gt=0, description="seconds a setting may take to open and answer, compiling included")
    memory_mb: int | None = Field(None, ge=64, description="a trial's process may take")
    epochs: int = Field(20, ge=1, description="train: of a trial at most; weak ones are stopped before")
    engine: Literal["local", "ray"] = Field(
        "local", description="train: trials run on this machine, or on the Ray cluster that RAY_ADDRESS names"
    )
    at_once: int = Field(1, ge=1, le=256, description="train: trials at a time, in rounds; the same on every engine")
    storage: str | None = Field(None, description="a database instead of the journal: a URL, or env:NAME that holds it")
    seed: int = Field(0, description="of the search, of the split and of training")

    @property
    def alone(self) -> bool:
        """Whether it takes this machine to itself: trials elsewhere need what is left of the cluster."""
        return self.engine == "local"


def run(
    doors: Mapping[str, Callable[[], Model]] | None, train: Rows | None, task: Task, roles: Roles, folder: Path,
    params: Params,
) -> Iterator[Finding]:  # fmt: skip
    """Search, confirm, write. What cannot be done is one ABSENT finding with the reason."""
    from workbench.migrate.tune.storage import StudyError

    doors = doors or {}
    if problem := _missing(doors, train, params):
        yield REFUSED.absent(problem)
        return
    assert train is not None
    try:
        model = doors["candidate" if params.stage == "serve" else "legacy"]()
        of = model.fingerprint, train.fingerprint
        if params.stage == "serve":
            from workbench.migrate.tune.serving_stage import stage
            from workbench.migrate.tune.space import Machine

            home = folder / "tuned" / _key(params, *of, Machine.here().key)
            yield from stage(model, train, task, home, params)
        else:
            from workbench.migrate.tune.training_stage import stage as training

            home = folder / "tuned" / _key(params, *of)
            yield from training(model, train, task, roles, home, params)
    except (ModelError, StudyError) as refusal:
        yield REFUSED.absent(str(refusal))


BUDGET = {"trials", "minutes", "money", "price_per_hour", "choose", "storage", "engine", "at_once"}
"""Parameters that change how long is searched, where and what is taken, and not what a trial finds."""


def _key(params: Params, *of: str) -> str:
    """The study's folder: the same candidate, rows and questions go on with the same study."""
    asked = params.model_dump_json(exclude=BUDGET)
    return hashlib.sha256("\n".join([*of, asked]).encode()).hexdigest()[:16]


def _missing(doors: Mapping[str, Callable[[], Model]], train: Rows | None, params: Params) -> str:
    if train is None:
        return "there are no training rows to search with: set data.train in migration.yaml"
    if params.stage == "serve" and "candidate" not in doors:
        return "there is no candidate: run 42_replatform first"
    if params.stage == "train" and "legacy" not in doors:
        return "there is no legacy model to learn from: set legacy in migration.yaml"
    if params.stage == "serve" and (params.engine != "local" or params.at_once > 1):
        return (
            "what is served is timed, one setting after the other on one machine: leave engine and at_once out; "
            "`workbench run --engine ray` gives this notebook a machine of the cluster to itself"
        )
    return (
        "money bounds nothing without a price: set price_per_hour" if params.money and not params.price_per_hour else ""
    )
