"""What ONNX graphs compute in float32, in float32: other roundings would move values across a tree's thresholds."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from workbench.migrate.lift.ops import Op


class Single(Op):
    """Numbers rounded to float32, as a graph with float inputs takes them."""

    name = "onnx-single"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        return x.float().double()


class Arithmetic(Op):
    """x with constants [1 or m], a step each for "add", "subtract", "multiply", "divide", "rsubtract"; in float32."""

    name = "onnx-arithmetic"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        single = bool(self.config["single"])
        value = x.float() if single else x
        for name in self.arrays:
            constant = getattr(self, name)
            value = _STEPS[name](value, constant.float() if single else constant)
        return value.double()


_STEPS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": torch.add,
    "subtract": torch.sub,
    "multiply": torch.mul,
    "divide": torch.div,
    "rsubtract": lambda value, constant: constant - value,
}
