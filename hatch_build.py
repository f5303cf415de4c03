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
            place = f"share/jupyter/labextensions/{extension.NAME}"
            built = {str(extension.TARGET): place, str(extension.HERE / "install.json"): f"{place}/install.json"}
            build_data["shared_data"].update(built)
