"""Where the notebooks and templates are: in a checkout beside the package, in an installation inside it."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def notebooks() -> Path:
    """The folder of the journey's notebooks."""
    return _shared("notebooks", "notebooks")


def templates() -> Path:
    """The folder of the report's and the dashboards' templates."""
    return _shared("templates", "reports/templates")


def _shared(installed: str, checkout: str) -> Path:
    candidates = (_PACKAGE / "share" / installed, _PACKAGE.parent / checkout)
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"{installed} are missing from this installation: reinstall migration-workbench")
