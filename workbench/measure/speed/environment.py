"""The machine that times were taken on."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from workbench.measure.speed.cores import allowed, ticks

FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "fma", "asimd", "sve", "hypervisor")

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

PACKAGES = ("numpy", "pandas", "scikit-learn", "torch", "xgboost", "xgboost-cpu", "lightgbm", "onnxruntime", "catboost")

UNKNOWN = "unknown"

GPU_FACTS = ("name", "driver_version", "clocks.sm", "clocks.max.sm", "clocks_throttle_reasons.active", "power.limit")


def environment() -> dict[str, str]:
    """What the times depend on: processor, cores, limits, load, versions, threads; "unknown" where it is not told."""
    info = _cpu_info()
    found = {
        "machine": identity(),
        "processor": info.get("model name") or platform.processor() or platform.machine(),
        "instructions": " ".join(flag for flag in FLAGS if flag in info.get("flags", "").split()) or UNKNOWN,
        "clock (MHz)": info.get("cpu MHz", UNKNOWN),
        "cores": f"{len(allowed()) or os.cpu_count()} of {os.cpu_count()}",
        **_limits(),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        **_load(),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: os.environ[name] for name in THREADS if name in os.environ},
        **_gpu_facts(),
    }
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def identity() -> str:
    """A short digest that tells machines apart and names none."""
    told = _read("/etc/machine-id")
    parts = (told if told not in (UNKNOWN, "") else platform.node(), _cpu_info().get("model name", ""), os.cpu_count())
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:12]


def _limits() -> dict[str, str]:
    """Of the control group, in its second or first version; throttled: how often a limit on time held it back."""
    first = _read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
    statistics = _read("/sys/fs/cgroup/cpu.stat", "/sys/fs/cgroup/cpu/cpu.stat")
    held = [line.split()[1] for line in statistics.splitlines() if line.startswith("nr_throttled")]
    cpu = _read("/sys/fs/cgroup/cpu.max")
    memory = _read("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
    # Without a limit the first version tells the largest number it knows, the second "max".
    if memory == "max" or (memory.isdigit() and int(memory) > 2**60):
        memory = "none"
    return {
        "cpu limit": ("none" if first == "-1" else f"{first} us") if cpu == UNKNOWN and first != UNKNOWN else cpu,
        "memory limit": f"{int(memory) >> 20:,} MiB" if memory.isdigit() else memory,
        "throttled (times)": held[0] if held else UNKNOWN,
    }


def _load() -> dict[str, str]:
    """Runnable processes, and the share of time since boot in which a hypervisor gave the cores to other machines."""
    load = ", ".join(f"{one:.2f}" for one in os.getloadavg()) if hasattr(os, "getloadavg") else UNKNOWN
    spent = ticks().get("cpu")
    stolen = f"{spent.stolen / max(1, sum(spent)):.1%}" if spent else UNKNOWN
    return {"load (1, 5, 15 min)": load, "steal (since boot)": stolen}


def _cpu_info() -> dict[str, str]:
    """First processor's entries of /proc/cpuinfo, where there is one."""
    entries = (line.partition(":") for line in reversed(_read("/proc/cpuinfo").splitlines()))
    return {name.strip(): value.strip() for name, _, value in entries}


def _read(*paths: str) -> str:
    """The first of the files that can be read."""
    for path in paths:
        with suppress(OSError):
            return Path(path).read_text().strip()
    return UNKNOWN


def gpu() -> bool:
    """Whether there is an NVIDIA GPU and its driver here; imports nothing."""
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def _gpu_facts() -> dict[str, str]:
    """Clocks and what throttles them, of the first GPU; empty without one."""
    if shutil.which("nvidia-smi") is None:
        return {}
    command = ["nvidia-smi", f"--query-gpu={','.join(GPU_FACTS)}", "--format=csv,noheader", "-i", "0"]
    with suppress(OSError, subprocess.SubprocessError):
        told = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.split(",")
        return {f"gpu {name}": value.strip() for name, value in zip(GPU_FACTS, told)}
    return {}
