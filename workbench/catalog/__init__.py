"""Finds the audits and movers, says in which order they run, and turns one of them into Evidence.

Audits are found by folder and by the entry-point group `workbench.audits`; there is no list to edit.
A crash inside one becomes one ERROR finding, a need that is not there one ABSENT finding: the journey goes on.
"""

from workbench.catalog.discovery import (
    CHAPTERS,
    CatalogError,
    Entry,
    default_limits,
    discover,
    entry,
    find,
    kinds,
    order,
    params_of,
    requires,
)
from workbench.catalog.freshness import candidate_source, environment, key
from workbench.catalog.running import run

__all__ = [
    "CHAPTERS",
    "CatalogError",
    "Entry",
    "candidate_source",
    "default_limits",
    "discover",
    "entry",
    "environment",
    "find",
    "key",
    "kinds",
    "order",
    "params_of",
    "requires",
    "run",
]
