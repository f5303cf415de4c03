"""The machine that times were taken on."""

from __future__ import annotations

import os
import platform
import shutil
from importlib import metadata
from pathlib import Path

FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "fma", "asimd", "sve")

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

PACKAGES = ("numpy", "pandas", "scikit-learn", "torch", "xgboost", "lightgbm", "onnxruntime")


def environment() -> dict[str, str]:
    """What the times depend on: processor, cores, limits, load, versions, threads; "unknown" where it is not told."""
    load = ", ".join(f"{one:.2f}" for one in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    info = _cpu_info()
    found = {
        "processor": info.get("model name") or platform.processor() or platform.machine(),
        "instructions": " ".join(flag for flag in FLAGS if flag in info.get("flags", "").split()) or "unknown",
        "cores": f"{allowed} of {os.cpu_count()}",
        "cpu limit": _read("/sys/fs/cgroup/cpu.max"),
        "memory limit": _read("/sys/fs/cgroup/memory.max"),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "load (1, 5, 15 min)": load,
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: os.environ[name] for name in THREADS if name in os.environ},
    }
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _cpu_info() -> dict[str, str]:
    """First processor's entries of /proc/cpuinfo, where there is one."""
    entries = (line.partition(":") for line in reversed(_read("/proc/cpuinfo").splitlines()))
    return {name.strip(): value.strip() for name, _, value in entries}


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return "unknown"


def gpu() -> bool:
    """Whether there is an NVIDIA GPU and its driver here; imports nothing."""
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None
