"""A candidate that is a network, computed in fewer bits or by fewer members: the same ops with other arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.migrate.lift import Lifted
from workbench.migrate.lift.int8 import rounded
from workbench.migrate.lift.lifted import Module
from workbench.migrate.lift.ops import MatMul, Op
from workbench.migrate.lift.tabular import Heads, Members, Network, fewer_members

Cast = Callable[[NDArray[Any]], NDArray[Any]]


def _networks(op: torch.nn.Module) -> list[Network]:
    return [part for part in op.modules() if isinstance(part, Network)]


def narrowable(lifted: Lifted) -> bool:
    """Whether there is a network in it, whose arithmetic is its own."""
    return bool(_networks(lifted.module))


def members(lifted: Lifted) -> int:
    """How many members its network has; 0 where it is no ensemble."""
    counts = [part.bias.shape[0] for one in _networks(lifted.module) for part in one.parts if isinstance(part, Heads)]
    return min(counts, default=0)


def narrowed(lifted: Lifted, precision: str, count: int) -> Lifted:
    """The same model with its network in `precision` and by its first `count` members (0: all); else untouched."""
    op = _rebuilt(lifted.module.op, precision, count)
    return Lifted(Module(op).eval(), lifted.card)


def _rebuilt(op: Op, precision: str, count: int) -> Op:
    if isinstance(op, Network):
        return _narrow(fewer_members(op, count) if count else op, precision)
    parts = [_rebuilt(part, precision, count) for part in op.parts]  # type: ignore[arg-type]
    arrays = {name: _numpy(getattr(op, name)) for name in op.arrays}
    return type(op)(op.config, arrays, parts)


def _narrow(network: Network, precision: str) -> Network:
    if precision == "int8":
        # The rows' path first: what is not rounded computes in float32.
        parts: list[Op] = []
        for part in network.parts:
            one = _cast(part, _float32)  # type: ignore[arg-type]
            parts.append(rounded(one) if isinstance(one, Members | MatMul) else one)
        return Network(network.config, {}, parts)
    casts: dict[str, Cast] = {"float32": _float32, "tf32": _float32, "float16": _float16, "bfloat16": _bfloat16}
    return network if precision == "as made" else _cast(network, casts[precision])  # type: ignore[return-value]


def _cast(op: Op, cast: Cast) -> Op:
    arrays = {name: _numpy(getattr(op, name)) for name in op.arrays}
    narrow = {name: cast(array) if array.dtype.kind == "f" else array for name, array in arrays.items()}
    return type(op)(op.config, narrow, [_cast(part, cast) for part in op.parts])  # type: ignore[arg-type]


def _numpy(tensor: torch.Tensor) -> NDArray[Any]:
    found: NDArray[Any] = (tensor.view(torch.uint16) if tensor.dtype is torch.bfloat16 else tensor).numpy()
    return found


def _float32(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(np.float32)


def _float16(array: NDArray[Any]) -> NDArray[Any]:
    found: NDArray[Any] = np.clip(array, -65504, 65504).astype(np.float16)
    return found


def _bfloat16(array: NDArray[Any]) -> NDArray[Any]:
    """The bits of bfloat16 as uint16, which is how arrays of ops hold them."""
    bits: NDArray[Any] = _numpy(torch.from_numpy(array.astype(np.float32)).bfloat16())
    return bits
