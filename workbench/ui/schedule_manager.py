"""For jupyter-scheduler: Lab's own "Create job" runs a notebook of the journey through our runner.

jupyter lab --BaseScheduler.execution_manager_class=workbench.ui.schedule_manager.ExecutionManager

Needs the extra `scheduler`; jupyter-scheduler imports this, nothing of ours does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from jupyter_scheduler.executors import DefaultExecutionManager

from workbench.ui import schedule_run


class FailedError(Exception):
    """Why the notebook did not come to its end, as the list of jobs shows it."""


class ExecutionManager(DefaultExecutionManager):  # type: ignore[misc]  # jupyter-scheduler has no types
    """Executes the journey's notebooks where they belong, and any other as jupyter-scheduler does."""

    def execute(self) -> None:
        notebook = Path(self.staging_paths["input"])
        job = self.model
        entry = schedule_run.entry_of(notebook)
        if entry is None:
            super().execute()
            return
        executed, problem = schedule_run.run(notebook, entry, Path(self.root_dir), job.parameters or {})
        books: Any = nbformat  # partly typed
        self.create_output_files(job, books.read(executed, as_version=4))
        if problem:
            raise FailedError(problem)

    def validate(self, input_path: str) -> bool:
        """The journey's notebooks run in the workbench's own Python, whatever kernel they name, or none."""
        ours = schedule_run.entry_of(Path(input_path)) is not None
        # Called on the class, so there is no `super()` to ask.
        return ours or bool(DefaultExecutionManager.validate(self, input_path))
