"""migration.yaml: what is moved, and what counts as safe."""

from workbench.migration.checking import check
from workbench.migration.declared import (
    FILE,
    VERSION,
    Data,
    Environment,
    Limits,
    Migration,
    ModelSource,
    Part,
    Person,
    Privacy,
    Review,
    Roles,
    Task,
    Tracking,
    Trust,
)
from workbench.migration.problems import MigrationError, Problem
from workbench.migration.reading import open_migration
from workbench.migration.updating import update
from workbench.migration.writing import CHECK, render, write

__all__ = [
    "CHECK",
    "FILE",
    "VERSION",
    "Data",
    "Environment",
    "Limits",
    "Migration",
    "MigrationError",
    "ModelSource",
    "Part",
    "Person",
    "Privacy",
    "Problem",
    "Review",
    "Roles",
    "Task",
    "Tracking",
    "Trust",
    "check",
    "open_migration",
    "render",
    "update",
    "write",
]
