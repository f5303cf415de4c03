"""What can be searched on this machine for this candidate; and what cannot, each with the reason."""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from workbench.migrate.tune.sampler import Space
from workbench.models.serving import MODES, Serving


@dataclass(frozen=True)
class Setting:
    """One way to serve a candidate. precision: of a network's arithmetic; "as made" leaves the file as it is.
    members: of an ensemble of networks that answer; 0: all. The rest: see `Serving`."""

    engine: str = "eager"
    precision: str = "as made"
    members: int = 0
    threads: int = 1
    rows: int = 0
    device: str = "cpu"

    @classmethod
    def of(cls, point: Mapping[str, Any]) -> Setting:
        return cls(**point)

    @property
    def point(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def serving(self) -> Serving:
        return Serving(self.engine, self.device, self.precision == "tf32", self.threads, self.rows)

    @property
    def words(self) -> str:
        """The setting in one line."""
        parts = [self.engine, *([] if self.precision == "as made" else [self.precision])]
        parts += [f"{self.members} members"] if self.members else []
        parts += [f"{self.threads} thread{'s' if self.threads > 1 else ''}"]
        parts += [f"{self.rows:,} rows at once"] if self.rows else []
        return ", ".join([*parts, *([] if self.device == "cpu" else [self.device])])


class Absent(NamedTuple):
    """What is not searched, and why not."""

    what: str
    why: str


@dataclass(frozen=True)
class Candidate:
    """What a candidate allows. path: its file. trees: compiled trees are in it. network: a network whose arithmetic can
    be narrowed; members: of its ensemble, 0 where it is none. onnx: the ONNX file beside it, None without one."""

    path: Path
    trees: bool
    network: bool
    members: int
    onnx: Path | None


@dataclass(frozen=True)
class Machine:
    """cores: that may be used. gpu, compiler, onnx: "" where it is there, else why not. bfloat16: as well.

    name: tells machines apart, for times of two make no ratio.
    """

    cores: int
    gpu: str
    compiler: str
    onnx: str
    bfloat16: str
    name: str = ""

    @property
    def key(self) -> str:
        return repr(self)

    @classmethod
    def here(cls) -> Machine:
        import torch

        from workbench.measure.hardware import lacking
        from workbench.measure.speed.environment import identity

        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        fast = bool(torch.cpu._is_avx512_bf16_supported()) if hasattr(torch.cpu, "_is_avx512_bf16_supported") else True
        return cls(
            cores,
            "" if torch.cuda.is_available() else f"no GPU that torch can use: {lacking()}",
            _compiler(),
            "" if importlib.util.find_spec("onnxruntime") else "onnxruntime is not installed (extra 'models')",
            "" if fast else "this processor has no bfloat16 arithmetic and would emulate it, slower than float32",
            identity(),
        )


def _compiler() -> str:
    """Why nothing can be compiled for the processor; "" where it can."""
    if not any(map(shutil.which, (os.environ.get("CXX", "g++"), "g++", "clang++"))):
        return "there is no C++ compiler (g++ or clang++), which torch.compile and AOTInductor need"
    header = Path(sysconfig.get_path("include")) / "Python.h"
    return "" if header.is_file() else f"Python's headers are not installed ({header.name}), which torch.compile needs"


def candidate(path: Path) -> Candidate:
    """What the file at `path`, written by the workbench, allows. Raises ModelError where it is none of ours."""
    from workbench.migrate.lift import Lifted
    from workbench.migrate.lift.tree_op import TreeEnsemble
    from workbench.migrate.tune.narrow import members, narrowable
    from workbench.models import ModelError

    if not path.with_suffix(".json").is_file():
        raise ModelError(
            f"{path.name} has no plain spec beside it, so that nothing can be said of its parts: tune a candidate that "
            "42_replatform or retrain made"
        )
    lifted = Lifted.load_spec(path)
    trees = any(isinstance(part, TreeEnsemble) for part in lifted.module.modules())
    onnx = path.with_suffix(".onnx")
    return Candidate(path, trees, narrowable(lifted), members(lifted), onnx if onnx.is_file() else None)


def space(of: Candidate, machine: Machine, batch: int) -> tuple[Space, tuple[Absent, ...]]:
    """All settings that can be tried, the candidate as it is the first of them; and what cannot be tried.

    batch: rows that are asked at once; larger blocks than that differ in nothing.
    """
    absent = list(_absent(of, machine))
    first = Setting()
    settings = dict.fromkeys([first, *_settings(of, machine, batch)])
    return Space.of([one.point for one in settings], [first.point]), tuple(absent)


def _settings(of: Candidate, machine: Machine, batch: int) -> Iterator[Setting]:
    blocks = (0, *sorted({max(2, batch // 4), batch}))
    threads = sorted({1, *(2**power for power in range(1, 8) if 2**power <= machine.cores), machine.cores})
    sizes = [0, *sorted({n for n in (of.members // 2, of.members // 4, 1) if n})] if of.members else [0]
    for engine, count in itertools.product(_engines(of, machine), threads):
        if engine == "onnx":
            yield Setting("onnx", threads=count)
            continue
        for precision, members, rows in itertools.product(_precisions(of, machine, "cpu"), sizes, blocks):
            yield Setting(engine, precision, members, count, rows)
    if not machine.gpu:
        for engine in ("eager", "cuda-graphs", *MODES):
            for precision, members, rows in itertools.product(_precisions(of, machine, "cuda"), sizes, blocks):
                yield Setting(engine, precision, members, 1, rows, "cuda")


def _engines(of: Candidate, machine: Machine) -> Iterator[str]:
    yield "eager"
    if of.trees:
        yield "portable"
    elif not machine.compiler:
        yield from ("inductor", "aot")
    if of.onnx and not machine.onnx:
        yield "onnx"


def _precisions(of: Candidate, machine: Machine, device: str) -> Iterator[str]:
    yield "as made"
    if of.network:
        yield "float32"
        if device == "cuda":
            yield from ("tf32", "bfloat16", "float16")
        else:
            yield "int8"
            if not machine.bfloat16:
                yield "bfloat16"


def _absent(of: Candidate, machine: Machine) -> Iterator[Absent]:
    if machine.gpu:
        yield Absent("GPU: eager, torch.compile, CUDA graphs, TensorFloat-32, half precision", machine.gpu)
    if of.trees:
        yield Absent("torch.compile, AOTInductor", "trees run as one compiled operator, which they leave as it is")
        yield Absent("lower precision", "trees are exact in float64 only: a rounded threshold flips labels")
    else:
        if machine.compiler:
            yield Absent("torch.compile, AOTInductor on the processor", machine.compiler)
        if not of.network:
            yield Absent("lower precision", "the file computes in float64 throughout, as the legacy model did")
        elif machine.bfloat16:
            yield Absent("bfloat16 on the processor", machine.bfloat16)
        yield Absent("torch.compile max-autotune and reduce-overhead on the processor", "they are made for GPUs")
    if machine.onnx:
        yield Absent("ONNX Runtime", machine.onnx)
    elif of.onnx is None:
        yield Absent("ONNX Runtime", "no ONNX file lies beside the candidate: 42_replatform says why none was written")
    if of.network:
        yield Absent("float16 on the processor", "processors compute it no faster than bfloat16, with a smaller range")
    if not of.members:
        yield Absent("ensemble size", "the candidate is no ensemble of networks")
