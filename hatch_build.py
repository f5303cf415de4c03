"""Builds the JupyterLab extension into the package before a wheel, an sdist or an editable installation is made.

Nothing is built where it is there already (in an sdist it is, so that installing one needs no Node). Where Node is
missing, it comes as a wheel into the environment of the build, and stays nowhere.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parent / "extension"))
import build as extension


class LabExtension(BuildHookInterface):
    def dependencies(self) -> list[str]:
        return [] if extension.BUILT.exists() or extension.npm() else [extension.NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if not extension.BUILT.exists():
            self.app.display_info("Building the JupyterLab extension (once; npm fetches what it is built with) ...")
            try:
                extension.build()
            except (extension.NoNodeError, subprocess.CalledProcessError) as error:
                if version != "editable":
                    raise
                # Notebooks and the command line work without the panel: developing them needs no Node.
                self.app.display_warning(f"JupyterLab will have no Migration panel: {error}. Later: make extension")
                return
        if self.target_name == "wheel":
            build_data["shared_data"].update(_shared())


def _shared() -> dict[str, str]:
    """Where each part of the built extension goes. An installation that JupyterLab reads from here (`make extension`)
    has written install.json among them, which must not come twice."""
    place, install = f"share/jupyter/labextensions/{extension.NAME}", extension.HERE / "install.json"
    built = {str(path): f"{place}/{path.name}" for path in extension.TARGET.iterdir() if path.name != install.name}
    return built | {str(install): f"{place}/{install.name}"}
