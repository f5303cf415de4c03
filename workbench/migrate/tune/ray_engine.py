"""The search for a network on a Ray cluster: Ray Tune runs the trials, the study asks and is told as it is here.

The journal, the sampler, successive halving and the training are those of a local search, so that with one trial at a
time the same seeds give the same trials with the same values. More at a time are faster, and are proposed knowing less.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from workbench.migrate.tune.search import Bounds, Outcome, Study
from workbench.migrate.tune.storage import INSTALL, StudyError, Worker
from workbench.migrate.tune.trainer import trained
from workbench.migrate.tune.training_stage import recipe_of

if TYPE_CHECKING:
    from workbench.migrate.retraining.prepared import Prepared
    from workbench.migrate.tuning import Params

AT_ONCE = "WORKBENCH_RAY_TRIALS"
"""Environment variable: trials at a time; 1 where it is not set."""


def search(study: Study, prepared: Prepared, bounds: Bounds, params: Params) -> str:
    """Trials until a bound is met; says which. Ray starts here, or is the cluster that RAY_ADDRESS names.

    Raises StudyError where Ray is not installed.
    """
    try:
        import ray
        from ray import tune
    except ImportError:
        raise StudyError(f"the engine ray needs Ray: {INSTALL}, or leave engine at local") from None
    own = not ray.is_initialized()
    if own:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    worker = Worker(study.folder)
    asking = _asking(study, bounds, worker)
    try:
        with tempfile.TemporaryDirectory() as folder:
            at_once = int(os.environ.get(AT_ONCE, "1"))
            tune.Tuner(
                tune.with_resources(tune.with_parameters(_trial, rows=prepared, params=params), {"cpu": 1}),
                tune_config=tune.TuneConfig(
                    search_alg=tune.search.ConcurrencyLimiter(asking, max_concurrent=at_once),
                    scheduler=_halving(asking),
                    num_samples=-1,
                ),
                run_config=tune.RunConfig(storage_path=folder, verbose=0, log_to_file=False),
            ).fit()
        return str(asking.end)
    finally:
        worker.end()
        if own:
            ray.shutdown()


def _trial(config: Mapping[str, Any], rows: Any, params: Params) -> None:
    """What a worker of the cluster runs: the training of a local trial, each epoch told to Ray."""
    from ray import tune

    def told(epoch: int, check: float) -> bool:
        tune.report({"epoch": epoch, "check": check, "end": ""})
        return False

    end, what = trained(asdict(recipe_of(config, params)), rows, told)
    tune.report({"end": end, "what": what, "check": what["check"] if end == "done" else float("inf"), "epoch": -1})


def _asking(study: Study, bounds: Bounds, worker: Worker) -> Any:
    """The study as Ray's search algorithm."""
    from ray.tune.search import Searcher

    class Asking(Searcher):  # type: ignore[misc,unused-ignore]
        def __init__(self) -> None:
            super().__init__(metric="check", mode="min")
            self.end, self.pruned = "", dict[str, int]()
            self.asked: dict[str, tuple[Any, float]] = {}

        def suggest(self, trial_id: str) -> Any:
            asked = study.ask(worker, bounds)
            if isinstance(asked, str):
                self.end = asked
                return Searcher.FINISHED
            self.asked[trial_id] = asked, time.monotonic()
            return dict(asked.params)

        def report(self, trial_id: str, epoch: int, check: float) -> bool:
            """Whether the trial is to stop here."""
            trial = self.asked[trial_id][0]
            trial.report(check, epoch)
            if trial.should_prune():
                self.pruned[trial_id] = epoch
            return trial_id in self.pruned

        def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
            trial, start = self.asked.pop(trial_id)
            study.tell(trial.number, _outcome(self.pruned.get(trial_id), result or {}), time.monotonic() - start)

        def save(self, checkpoint_path: str) -> None:
            """The journal is all there is to keep."""

        def restore(self, checkpoint_path: str) -> None:
            """The journal is read as it is."""

    return Asking()


def _outcome(pruned: int | None, result: Mapping[str, Any]) -> Outcome:
    if pruned is not None:
        return Outcome("pruned", None, {"epochs": pruned}, f"weaker than others after {pruned} epochs")
    end, what = result.get("end"), result.get("what")
    if end == "done" and what is not None:
        return Outcome("done", (what["check"],), what)
    return Outcome(end or "crashed", None, {}, str(what or "its worker on the cluster ended"))


def _halving(asking: Any) -> Any:
    """Asynchronous successive halving (Li et al. 2018), decided by the study's own pruner."""
    from ray.tune.schedulers import FIFOScheduler, TrialScheduler

    class Halving(FIFOScheduler):  # type: ignore[misc,unused-ignore]
        def on_trial_result(self, tune_controller: Any, trial: Any, result: Mapping[str, Any]) -> str:
            if result["end"]:
                return str(TrialScheduler.CONTINUE)
            stop = asking.report(trial.trial_id, int(result["epoch"]), float(result["check"]))
            return str(TrialScheduler.STOP if stop else TrialScheduler.CONTINUE)

    made: Any = Halving
    return made()
