"""Where the benchmarks keep what they make, and the environments they build for tools that need one of their own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
CACHE = Path(os.environ.get("WORKBENCH_BENCHMARK_CACHE", ROOT / "benchmarks" / ".cache"))
THREADS = int(os.environ.get("OMP_NUM_THREADS", "1"))

MODELS = ("scikit-learn==1.9.1", "xgboost-cpu==3.2.0", "lightgbm==4.7.0", "numpy==2.4.6")

REQUIREMENTS: dict[str, tuple[str, ...]] = {
    # hummingbird asks for onnx 1.16.1 or older, so it cannot share an environment with a current onnx.
    "hummingbird": ("torch==2.13.0", "hummingbird-ml==0.4.12", "pandas==3.1.1", *MODELS),
    "onnx": ("onnxmltools==1.16.0", "skl2onnx==1.20.0", "onnx==1.23.2", "protobuf==6.33.6", "packaging==26.3", *MODELS),
    "woodelf": ("woodelf-explainer==0.4.8", "shap==0.51.0", "pandas==3.1.1", *MODELS),
}
"""Pinned, so that a run can be repeated; the newest versions that resolve together."""


class CannotBuildError(RuntimeError):
    """An environment that could not be made: the side it is for is left out, with this reason."""


def python_of(name: str, *, build: bool = True) -> Path:
    """The interpreter of the environment `name`, built on first use (minutes, from the configured package index).

    Raises CannotBuildError where pip refuses, or where it is not there and build is False.
    """
    from filelock import FileLock

    wanted = "\n".join(REQUIREMENTS[name])
    folder = CACHE / "environments" / f"{name}-{hashlib.sha256(wanted.encode()).hexdigest()[:10]}"
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    ready = folder / "ready"
    if ready.exists():
        return python
    if not build:
        raise CannotBuildError(f"the environment of {name} is not built here: run the benchmark once")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not ready.exists():
            _build(name, folder, python)
            ready.write_text(wanted)
    return python


def _build(name: str, folder: Path, python: Path) -> None:
    print(f"building the environment of {name} (once, minutes) ...", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in ([sys.executable, "-m", "venv", str(folder)], [*pip, *REQUIREMENTS[name]]):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            said = [line for line in done.stderr.strip().splitlines() if not line.startswith("WARNING")]
            raise CannotBuildError(f"no environment for {name}: {said[-1] if said else f'exit {done.returncode}'}")
