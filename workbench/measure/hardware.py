"""What a machine can do at most: memory bandwidth and matrix products, measured, of its processor and of a GPU."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

LARGE = 64 * 1024**2
"""Bytes of the block that is copied: beyond every cache but those of a few servers."""

SIDE = 1024
"""Rows and columns of the matrices; on a GPU four times as many."""


@dataclass(frozen=True)
class Ceiling:
    """The best of several tries: what is not reached here is not the machine's fault. value None: why says why.

    unit: "GB/s" (10^9 bytes read and written a second) or "GFLOP/s" (10^9 multiplications and additions a second).
    """

    device: str
    what: str
    value: float | None
    unit: str
    why: str = ""


def ceilings(seconds: float = 0.3, threads: int = 0) -> tuple[Ceiling, ...]:
    """Every ceiling of this machine, each tried for about `seconds`; GPUs where there are.

    threads: of the processor; 0 for those torch has.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        found = list(_of(torch.device("cpu"), f"processor, {threads or before} threads", seconds))
    finally:
        torch.set_num_threads(before)
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for index in range(gpus):
        found += _of(torch.device("cuda", index), torch.cuda.get_device_name(index), seconds)
    if not gpus:
        found.append(Ceiling("GPU", "all", None, "", f"no GPU that torch can use: {lacking()}"))
    return tuple(found)


@dataclass(frozen=True)
class Accelerator:
    """A kind of device torch can compute on. found: what there is of it here; needs: what it would take, "" if it is
    used."""

    name: str
    found: str
    needs: str = ""


def accelerators() -> tuple[Accelerator, ...]:
    """What torch computes on here, and what each other kind would take; opens no device."""
    import torch

    build = f"torch {torch.__version__} as installed"
    hip, cuda = torch.version.hip is not None, torch.cuda.is_available()
    names = ", ".join(torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())) if cuda else ""
    intel = hasattr(torch, "xpu") and torch.xpu.is_available()
    apple = torch.backends.mps.is_available()
    return (
        Accelerator("NVIDIA GPU (CUDA)", names, "")
        if cuda and not hip
        else Accelerator("NVIDIA GPU (CUDA)", "", lacking()),
        Accelerator("AMD GPU (ROCm)", names, "")
        if cuda and hip
        else Accelerator(
            "AMD GPU (ROCm)",
            "a device (/dev/kfd)" if Path("/dev/kfd").exists() else "",
            "it takes an AMD GPU with its ROCm driver, and torch's build for ROCm",
        ),
        Accelerator(
            "Intel GPU (XPU)",
            build if intel else "",
            "" if intel else "it takes an Intel GPU, its driver, and torch's XPU build",
        ),
        Accelerator(
            "Apple GPU (MPS)",
            build if apple else "",
            "" if apple else "it takes macOS on Apple silicon, with torch's macOS build",
        ),
        _matrix_units(),
    )


def _matrix_units() -> Accelerator:
    """Of the processor: what makes bfloat16 faster than float32 there."""
    from workbench.measure.speed.environment import environment

    flags = [flag for flag in ("amx_tile", "avx512_bf16") if flag in environment()["instructions"].split()]
    needs = (
        "" if flags else "it takes a processor with AMX or AVX-512 BF16; without it bfloat16 is no faster than float32"
    )
    return Accelerator("bfloat16 on the processor", " ".join(flags), needs)


def lacking() -> str:
    """Why torch uses no GPU here, and what it would take, in a clause."""
    import torch

    from workbench.measure.speed.environment import gpu

    if torch.version.cuda is None:
        seen = "there is one, but this" if gpu() else "none was found, and this"
        version = torch.__version__.partition("+")[0]
        return f"{seen} torch was built for processors only (install a CUDA build of torch {version})"
    return "its driver does not answer" if gpu() else "none was found; it takes an NVIDIA GPU and its driver"


def _of(device: torch.device, name: str, seconds: float) -> Iterator[Ceiling]:
    yield _bandwidth(device, name, seconds)
    for what in ("float64", "float32", "bfloat16", "float16") if device.type == "cuda" else ("float64", "float32"):
        yield _product(device, name, what, seconds)
    if device.type == "cpu":
        yield _product(device, name, "bfloat16", seconds)


def _bandwidth(device: torch.device, name: str, seconds: float) -> Ceiling:
    import torch

    size = LARGE * (8 if device.type == "cuda" else 1)
    source = torch.ones(size // 4, dtype=torch.float32, device=device)
    target = torch.empty_like(source)
    best = _best(lambda: target.copy_(source), device, seconds)
    return Ceiling(name, "memory, copied", 2 * size / best / 1e9, "GB/s")


def _product(device: torch.device, name: str, what: str, seconds: float) -> Ceiling:
    import torch

    side = SIDE * (4 if device.type == "cuda" else 1)
    kind = getattr(torch, what)
    try:
        left = torch.ones(side, side, dtype=kind, device=device)
        best = _best(lambda: torch.mm(left, left), device, seconds)
    except RuntimeError as error:
        return Ceiling(name, f"matrix product, {what}", None, "GFLOP/s", str(error).splitlines()[0])
    return Ceiling(name, f"matrix product, {what}", 2 * side**3 / best / 1e9, "GFLOP/s")


def _best(work: Callable[[], Any], device: torch.device, seconds: float) -> float:
    """Shortest time of one call in s, of all that fit into `seconds`, the first left out."""
    import torch

    def waited() -> float:
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    waited()
    end, best = time.perf_counter() + seconds, math.inf
    while best == math.inf or time.perf_counter() < end:
        best = min(best, waited())
    return best


def memory() -> dict[str, float]:
    """Bytes of memory: of the machine, and of each GPU, by name; left out where it is not told."""
    import os

    found = {}
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        found["machine"] = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    import torch

    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        found[torch.cuda.get_device_name(index)] = float(torch.cuda.get_device_properties(index).total_memory)
    return found
