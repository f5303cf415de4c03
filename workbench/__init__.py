"""Migration Workbench: moves a legacy model and its data to an AI-native platform, and proves it was safe.

The names below are the public ones; each is imported when it is first used, so that `import workbench` stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.catalog import run as run_audit
    from workbench.data import open_data
    from workbench.evidence import Evidence, Finding, Limit, Measure, Status, judge
    from workbench.measure.attribution import attribute
    from workbench.measure.fairness import fairness_table
    from workbench.migrate.lift import lift
    from workbench.migration import open_migration
    from workbench.models import open_model
    from workbench.scored import score

__version__ = "0.1.0"

_HOMES = {
    "Evidence": "workbench.evidence",
    "Finding": "workbench.evidence",
    "Limit": "workbench.evidence",
    "Measure": "workbench.evidence",
    "Status": "workbench.evidence",
    "attribute": "workbench.measure.attribution",
    "fairness_table": "workbench.measure.fairness",
    "judge": "workbench.evidence",
    "lift": "workbench.migrate.lift",
    "open_data": "workbench.data",
    "open_migration": "workbench.migration",
    "open_model": "workbench.models",
    "run_audit": "workbench.catalog",
    "score": "workbench.scored",
}

__all__ = [
    "Evidence",
    "Finding",
    "Limit",
    "Measure",
    "Status",
    "attribute",
    "fairness_table",
    "judge",
    "lift",
    "open_data",
    "open_migration",
    "open_model",
    "run_audit",
    "score",
]


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), "run" if name == "run_audit" else name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
