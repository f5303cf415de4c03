"""The notebooks headless: in the order of what they need, two at a time, resumable, each in a process of its own."""

from workbench.runner.copies import Copies, copy_notebooks
from workbench.runner.events import Event, Notify, Outcome, exit_code
from workbench.runner.journey import REPORT, fresh, run
from workbench.runner.plan import PlanError, Step, plan, read_notebook, refuse_odd_names
from workbench.runner.report import migration_page, shown

__all__ = [
    "REPORT",
    "Copies",
    "Event",
    "Notify",
    "Outcome",
    "PlanError",
    "Step",
    "copy_notebooks",
    "exit_code",
    "fresh",
    "migration_page",
    "plan",
    "read_notebook",
    "refuse_odd_names",
    "run",
    "shown",
]
