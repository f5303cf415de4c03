"""migration.yaml: what is moved, and what counts as safe."""

from workbench.migration.check import check
from workbench.migration.declared import FILE, VERSION, Data, Limits, Migration, ModelSource, Part, Roles, Task
from workbench.migration.problems import MigrationError, Problem
from workbench.migration.read import open_migration
from workbench.migration.update import update
from workbench.migration.write import render, write

__all__ = [
    "FILE",
    "VERSION",
    "Data",
    "Limits",
    "Migration",
    "MigrationError",
    "ModelSource",
    "Part",
    "Problem",
    "Roles",
    "Task",
    "check",
    "open_migration",
    "render",
    "update",
    "write",
]
