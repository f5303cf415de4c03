"""Kernels of reviewers' pages: this very Python, over files instead of ports, under ids chosen by whoever asked."""

from __future__ import annotations

import sys
import uuid
from typing import Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager

PYTHON = "python3"
ASKED_FOR = "HTTP_X_WORKBENCH_KERNEL"


class Kernels(AsyncMappingKernelManager):
    """Gives a kernel the id that came with the request; no secret of the server's goes into it."""

    def new_kernel_id(self, **kwargs: Any) -> str:
        return str((kwargs.get("env") or {}).get(ASKED_FOR) or uuid.uuid4())


class OwnPython(KernelSpecManager):
    """One kernel: the Python that runs the workbench, whatever `python3` means to Jupyter here."""

    def find_kernel_specs(self) -> dict[str, str]:
        return {PYTHON: ""}

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        command = [
            sys.executable, "-m", "ipykernel_launcher", "--HistoryManager.enabled=False", "-f", "{connection_file}"
        ]  # fmt: skip
        return KernelSpec(argv=command, display_name="Python 3", language="python")

    def get_all_specs(self) -> dict[str, Any]:
        return {PYTHON: {"resource_dir": "", "spec": self.get_kernel_spec(PYTHON).to_dict()}}
