"""The process of one notebook: papermill, one kernel, and a line of JSON on stdout for everything that happens.

Run as `python -m workbench.runner.worker`, with the job as one line on stdin. stdin stays open: when it ends, the run
that started this process is gone, and this process and its kernel go too.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, TextIO

from workbench.runner.kernel import FORCE, PLACE

# jsonschema builds a parser for internationalised addresses whenever it finds this package: 2.5 s per notebook, unused.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

KNOWN = {"MigrationError", "CatalogError", "StoreError", "DamagedError", "BusyError", "TooNewError", "DataError"}
"""Errors whose text is a sentence of ours; the text of others may quote a row and stays in the notebook."""


class Job:
    """One notebook to execute, and how it goes."""

    def __init__(self, plain: dict[str, Any], out: TextIO) -> None:
        self.source: str = plain["source"]
        self.place = Path(plain["place"])
        self.parameters: dict[str, Any] = plain["parameters"]
        self.cwd: str = plain["cwd"]
        self.titles: list[str] = plain["titles"]
        self.of: int = plain["of"]
        self.cell = 0
        self.title = ""
        self.kernel: subprocess.Popen[bytes] | None = None
        self.managers: list[Any] = []
        self._out = out

    def tell(self, event: str, **facts: object) -> None:
        self._out.write(json.dumps({"event": event, **facts}) + "\n")
        self._out.flush()

    def started(self, cell: Any, cell_index: int) -> None:
        """A cell is about to run (nbclient's hook)."""
        self.kernel = self.kernel or _process(self.managers)
        if cell.cell_type != "code":
            return
        injected = "injected-parameters" in cell.metadata.get("tags", [])
        self.cell += not injected
        self.title = cell.metadata.get("workbench_title", self.title)
        self.tell("cell", cell=self.cell, of=self.of, title=self.title)

    def kill_kernel(self) -> None:
        process = self.kernel or _process(self.managers)
        if process and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def _process(managers: list[Any]) -> subprocess.Popen[bytes] | None:
    provisioner = managers[-1].provisioner if managers else None
    return provisioner.process if provisioner else None


def main() -> int:
    plain = json.loads(sys.stdin.readline())
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not look like an event
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run; it closes our stdin
    job = Job(plain, out)
    threading.Thread(target=_end_with_the_run, args=(job,), daemon=True).start()
    try:
        with tempfile.TemporaryDirectory() as profile:
            # A short folder of its own: sockets have a length limit, and a person's IPython start-up files stay out.
            os.environ |= {PLACE: str(job.place), "IPYTHONDIR": profile, "JUPYTER_RUNTIME_DIR": profile}
            os.environ |= {FORCE: "1"} if plain["force"] else {}
            problem = execute(job)
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
    job.tell("failed" if problem else "done", text=problem, cell=job.cell, of=job.of, title=job.title)
    return 1 if problem else 0


def _end_with_the_run(job: Job) -> None:
    sys.stdin.read()
    job.kill_kernel()
    os._exit(1)


def execute(job: Job) -> str:
    """Executes the notebook into its place, signs it so that JupyterLab trusts it; returns why it stopped, or ""."""
    import nbformat
    import nbformat.sign
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    books: Any = nbformat  # partly typed
    book = _uninjected(_titled(books.reads(job.source, as_version=4), job.titles))
    nbformat.validate(book)
    target = job.place / "notebook.ipynb"
    try:
        papermill.execute_notebook(
            book,
            str(target),
            parameters=_to_inject(book, job.parameters),
            kernel_name="python3",
            language="python",
            progress_bar=False,
            cwd=job.cwd,
            kernel_manager_class=_manager(job),
            on_cell_start=job.started,
        )
    except PapermillExecutionError as error:
        return _where(job, f"{error.ename}: {error.evalue}" if error.ename in KNOWN else error.ename)
    except (DeadKernelError, CellTimeoutError, RuntimeError) as error:
        return _where(job, _death(job, error))
    books.sign.NotebookNotary().sign(books.read(target, as_version=4))
    return ""


def _titled(book: Any, titles: list[str]) -> Any:
    for cell, title in zip(book.cells, titles, strict=False):
        if cell.cell_type == "code":
            cell.metadata["workbench_title"] = title
    return book


def _uninjected(book: Any) -> Any:
    """Without the parameters of an earlier run, which an executed notebook that somebody kept still holds."""
    book.cells = [cell for cell in book.cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    return book


def _to_inject(book: Any, parameters: dict[str, Any]) -> dict[str, Any]:
    """Nothing where the notebook's own cell says the same already: a reader should not meet it twice."""
    own = next(cell.source for cell in book.cells if "parameters" in cell.metadata.get("tags", []))
    said = "\n".join(f"{name} = {json.dumps(value)}" for name, value in parameters.items())
    return {} if own.strip() == said else parameters


def _where(job: Job, what: str) -> str:
    place = f"cell {job.cell} of {job.of}" + (f", {job.title!r}" if job.title else "")
    return f"{what} ({place})"


def _death(job: Job, error: Exception) -> str:
    code = job.kernel.poll() if job.kernel else None
    if code is None:
        return f"the kernel did not answer: {type(error).__name__}"
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (1 if sys.platform == "darwin" else 1024) / 1024
    if code == -signal.SIGKILL:
        return (
            f"the kernel died: it was killed from outside, most likely because memory ran out (its peak was {peak:.1f} "
            "GiB). Free memory, run one notebook at a time (-j 1) or lower data.sample in migration.yaml"
        )
    how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
    return f"the kernel died {how}: a library crashed below Python, or something ended it"


def _manager(job: Job) -> type:
    """Kernels of this very Python, whatever `python3` means to Jupyter here, over files instead of TCP ports."""
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    command = [sys.executable, "-m", "ipykernel_launcher", "--HistoryManager.enabled=False", "-f", "{connection_file}"]

    class Manager(AsyncKernelManager):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.transport = "ipc"
            # Said in full: the default is a name in the working folder, where two kernels would share it.
            self.ip = str(Path(os.environ["JUPYTER_RUNTIME_DIR"]) / "kernel")
            self._kernel_spec = KernelSpec(argv=command, display_name="Python 3", language="python")
            job.managers.append(self)

    return Manager


if __name__ == "__main__":
    sys.exit(main())
