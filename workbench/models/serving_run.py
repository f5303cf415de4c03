"""A tuned torch file at work: its program run by the engine its own settings name."""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.models.protocol import ModelError
from workbench.models.serving import MODES, Serving
from workbench.models.torch_file import Call, Card, TorchModel

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from workbench.models.tree_kernel.direct import Direct


class ServedModel(TorchModel):
    """A `.pt2` that says how it is answered from."""

    def __init__(
        self, path: Path, card: Card, program: torch.export.ExportedProgram, compiled: bool, serving: Serving
    ) -> None:
        super().__init__(path, card, program, compiled=compiled)
        self.serving = serving
        self._at_once = serving.rows or self._at_once

    @cached_property
    def _direct(self) -> Direct | None:
        return super()._direct if self.serving.engine == "eager" else None

    @cached_property
    def _named(self) -> Call:
        if self.serving.engine in ("eager", "portable") and self.serving.device == "cpu":
            return super()._named
        return built(self._program, self.serving)


def built(program: torch.export.ExportedProgram, serving: Serving) -> Call:
    """An exported program as the serving's engine answers from it.

    Raises ModelError, here or at the first answer, where the engine does not start on this machine.
    """
    import torch

    if serving.device == "cuda":
        if not torch.cuda.is_available():
            raise ModelError("the file is served on a GPU, and torch finds none here: tune it for this machine")
        from torch.export.passes import move_to_device_pass

        program = move_to_device_pass(program, "cuda")
    if serving.engine in ("aot", *MODES):
        import torch._inductor.config as inductor

        inductor.compile_threads = 1  # no processes of its own beside a model's
        # Precompiled headers are larger than the files a model may write.
        inductor.cpp_cache_precompile_headers = inductor.aot_inductor.precompile_headers = False
    if serving.engine == "aot":
        return _on(serving, _ahead(program))
    module = program.module(check_guards=False)
    if serving.engine == "cuda-graphs":
        return _on(serving, Graphs(module))
    mode = MODES.get(serving.engine)
    return _on(serving, torch.compile(module, mode=mode, dynamic=True) if mode else module)


def _ahead(program: torch.export.ExportedProgram) -> Callable[..., Any]:
    """Compiled now, into a folder that goes with the process; nothing of it is kept or shipped."""
    import torch

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of its own tracing
        package = torch._inductor.aoti_compile_and_package(program, package_path=f"{folder}/model.pt2")
        loaded: Callable[..., Any] = torch._inductor.aoti_load_package(package)
        return loaded


def _on(serving: Serving, run: Callable[..., Any]) -> Call:
    """Rows to the device, the engine's warnings of itself unheard."""
    import torch

    def call(numbers: Tensor, codes: Tensor) -> Mapping[str, Any]:
        with warnings.catch_warnings(), _products(serving.tf32):
            warnings.simplefilter("ignore")
            try:
                named: Mapping[str, Any] = run(numbers.to(device), codes.to(device))
            except (RuntimeError, TypeError, OSError) as error:
                said = " ".join(str(error).split())[:160]
                raise ModelError(
                    f"the engine {serving.engine} does not answer here ({type(error).__name__}: {said}): tune the "
                    "candidate on the machine it is served from"
                ) from error
            return named

    device = torch.device(serving.device)
    return call


@contextlib.contextmanager
def _products(tf32: bool) -> Iterator[None]:
    """float32 matrix products in TensorFloat-32 meanwhile."""
    if not tf32:
        yield
        return
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


class Graphs:
    """CUDA graphs of a module: one for each size of a block, which rows are filled up to.

    Recorded at the first block of a size, after warm-up in a stream of its own, as torch asks for.
    """

    SIZES = tuple(2 * 4**power for power in range(8))

    def __init__(self, module: torch.nn.Module) -> None:
        self._module = module
        self._held: dict[int, tuple[Any, Tensor, Tensor, dict[str, Tensor]]] = {}

    def __call__(self, numbers: Tensor, codes: Tensor) -> dict[str, Tensor]:
        rows = len(numbers)
        size = next((one for one in self.SIZES if one >= rows), rows)
        if size not in self._held:
            self._held[size] = self._recorded(numbers, codes, size)
        graph, held_numbers, held_codes, outputs = self._held[size]
        held_numbers[:rows].copy_(numbers)
        held_codes[:rows].copy_(codes)
        graph.replay()
        return {name: part[:rows].clone() for name, part in outputs.items()}

    def _recorded(self, numbers: Tensor, codes: Tensor, size: int) -> tuple[Any, Tensor, Tensor, dict[str, Tensor]]:
        import torch

        held = [part.new_zeros((size, part.shape[1])) for part in (numbers, codes)]
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self._module(*held)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = self._module(*held)
        return graph, held[0], held[1], dict(outputs)
