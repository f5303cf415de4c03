"""What arguments and options of many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def option(value: str, says: str, *names: str) -> Any:
    """An option that takes a value: what kind of value, and what it says."""
    return typer.Option(*names, metavar=value, help=says)


Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="of the migration: it holds migration.yaml")]
Json = Annotated[bool, typer.Option("--json", help="machine-readable output")]
