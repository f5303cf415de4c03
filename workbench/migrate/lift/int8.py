"""A linear layer in whole numbers of 8 bits: its weight rounded once per output, its rows as they come.

Symmetric: per output column of the weight and per row, the largest size becomes 127 (Jacob et al. 2018, without a zero
point). Products are summed exactly, in 32 bits.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workbench.migrate.lift.ops import Op

MOST = 127


class Int8(Op):
    """weight int8 [in, out], scale [out], and what the layer it stands for has: before [k, in], after [k, out] (of the
    members that share it), bias. [n, in] or [n, k, in] → [n, out] or [n, k, out], in the type of `scale`."""

    name = "int8"
    weight: Tensor
    scale: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        if "before" in self.arrays:
            x = (x.unsqueeze(1) if x.dim() == 2 else x) * getattr(self, "before")  # noqa: B009 - an optional buffer
        size = torch.clamp(x.abs().amax(dim=-1, keepdim=True), min=1e-30) / MOST
        whole = torch.round(x / size).to(torch.int8)
        sums = torch._int_mm(whole.reshape(-1, whole.shape[-1]), self.weight)
        out = sums.reshape(*whole.shape[:-1], self.weight.shape[1]).to(x.dtype) * size * self.scale
        if "after" in self.arrays:
            out = out * getattr(self, "after")  # noqa: B009 - an optional buffer
        return out + getattr(self, "bias") if "bias" in self.arrays else out  # noqa: B009 - an optional buffer


def rounded(layer: Op) -> Int8:
    """A layer with the array weight [in, out], and before, after and bias where it has them, in 8 bits."""
    arrays: dict[str, NDArray[np.generic]] = {name: getattr(layer, name).numpy() for name in layer.arrays}
    weight = np.asarray(arrays.pop("weight"), dtype=np.float64)
    scale = np.maximum(np.abs(weight).max(axis=0), 1e-30) / MOST
    whole = np.round(weight / scale).astype(np.int8)
    # The scale first: its type is what a network's rows are taken to.
    return Int8({}, {"scale": scale.astype(np.float32), "weight": whole, **arrays})
