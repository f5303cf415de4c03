"""What a lifted model is made of: small torch modules that are wholly plain data, so each can be written and rebuilt.

An op turns the numbers [n, m] (float64) that reach it into other numbers; `codes` [n, b] (int64) are the raw category
codes of the edge and pass by unchanged. An op that ends a model (`Answer`) gives named outputs instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from workbench.models.protocol import Plain

Arrays = dict[str, NDArray[np.generic]]
Outputs = dict[str, Tensor]

OPS: dict[str, type[Op]] = {}


class Op(nn.Module):
    """A module made from plain config, arrays and parts, and from nothing else.

    arrays: registered as buffers under their names, as tensors of their type; uint16 is the bits of bfloat16.
    """

    name: ClassVar[str]

    def __init__(
        self,
        config: Mapping[str, Plain] | None = None,
        arrays: Mapping[str, NDArray[np.generic]] | None = None,
        parts: Sequence[Op] = (),
    ) -> None:
        super().__init__()
        self.config = dict(config or {})
        self.arrays = tuple(arrays or {})
        for name, array in (arrays or {}).items():
            if not array.size:
                raise ValueError(f"{self.name}: the array {name!r} is empty, which torch.export cannot write")
            held = torch.from_numpy(np.array(array, order="C"))
            self.register_buffer(name, held.view(torch.bfloat16) if array.dtype == np.uint16 else held)
        self.parts = nn.ModuleList(parts)

    def __init_subclass__(cls) -> None:
        if cls.name in OPS:
            raise TypeError(f"two ops are called {cls.name!r}: a saved spec could not tell {cls} from {OPS[cls.name]}")
        OPS[cls.name] = cls

    def forward(self, x: Tensor, codes: Tensor) -> Any:
        raise NotImplementedError

    def cells(self) -> int:
        """Numbers it needs at once for each row, where that is many."""
        return 0


def to_plain(op: Op, arrays: Arrays, prefix: str = "m") -> dict[str, Plain]:
    """The op as a JSON tree; its arrays are added to `arrays` under dotted names."""
    for name in op.arrays:
        held = getattr(op, name)
        arrays[f"{prefix}.{name}"] = (held.view(torch.uint16) if held.dtype is torch.bfloat16 else held).numpy()
    parts: list[Plain] = [to_plain(part, arrays, f"{prefix}.{number}") for number, part in enumerate(op.parts)]  # type: ignore[arg-type]
    names: list[Plain] = list(op.arrays)
    return {"op": op.name, "config": op.config, "arrays": names, "parts": parts}


def from_plain(spec: Mapping[str, Any], arrays: Mapping[str, NDArray[np.generic]], prefix: str = "m") -> Op:
    """Rebuild an op. Raises ValueError for an op this version does not know."""
    if spec["op"] not in OPS:
        raise ValueError(f"the spec asks for the op {spec['op']!r}, which this version does not have: update it")
    parts = [from_plain(part, arrays, f"{prefix}.{number}") for number, part in enumerate(spec["parts"])]
    own = {name: arrays[f"{prefix}.{name}"] for name in spec["arrays"]}
    return OPS[spec["op"]](spec["config"], own, parts)


class Chain(Op):
    """One op after the other."""

    name = "chain"

    def forward(self, x: Tensor, codes: Tensor) -> Any:
        for part in self.parts:
            x = part(x, codes)
        return x


class Beside(Op):
    """Every part on the same input, results side by side."""

    name = "beside"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        return torch.cat([part(x, codes) for part in self.parts], dim=1)


class Take(Op):
    """Columns `at` of the numbers, in that order."""

    name = "take"
    at: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        return x.index_select(1, self.at)


class Nothing(Op):
    """No columns."""

    name = "nothing"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        return x[:, :0]


class Lookup(Op):
    """Row `codes[:, column] + 3` of a table [V + 3, m]: all a category column can become."""

    name = "lookup"
    table: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        # The first row is UNKNOWN, -3.
        return self.table.index_select(0, codes[:, int(self.config["column"])] + 3)  # type: ignore[arg-type]


class ValueLookup(Op):
    """As Lookup for one numeric column: values [V] sorted, table [V + 2, m]; rows 0 and 1: unknown, NaN."""

    name = "value-lookup"
    values: Tensor
    table: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        column = x[:, int(self.config["column"])].contiguous()  # type: ignore[arg-type]
        at = torch.searchsorted(self.values, column).clamp(max=len(self.values) - 1)
        row = torch.where(self.values[at] == column, at + 2, 0)
        return self.table.index_select(0, torch.where(column.isnan(), 1, row))


class Choose(Op):
    """Row of a table [k, m] by the place in a column: what each of k known values has become."""

    name = "choose"
    table: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        return self.table.index_select(0, x[:, int(self.config["column"])].long())  # type: ignore[arg-type]


class Affine(Op):
    """`(x - shift) / scale * factor + offset`, each step only where its array is there, in the library's order."""

    name = "affine"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        for name in self.arrays:
            array = getattr(self, name)
            x = x - array if name == "shift" else x / array if name == "scale" else self._step(name, x, array)
        return x

    @staticmethod
    def _step(name: str, x: Tensor, array: Tensor) -> Tensor:
        return x * array if name == "factor" else x + array


class Clip(Op):
    name = "clip"
    low: Tensor
    high: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        return torch.minimum(torch.maximum(x, self.low), self.high)


class RowNorm(Op):
    """Rows divided by their norm; a row of zeros stays."""

    name = "row-norm"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        norm = {
            "l1": lambda: x.abs().sum(1, keepdim=True),
            "l2": lambda: (x * x).sum(1, keepdim=True).sqrt(),
            "max": lambda: x.abs().amax(1, keepdim=True),
        }[str(self.config["norm"])]()
        return x / torch.where(norm == 0, 1.0, norm)


class Above(Op):
    """1 where `x > threshold`, else 0; NaN stays, for the source stops at it."""

    name = "above"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        above = x.gt(float(self.config["threshold"])).double()  # type: ignore[arg-type]
        return torch.where(x.isnan(), x, above)


class Fill(Op):
    """Replace what is missing: NaN, or where `missing` is a number that number; values [m]."""

    name = "fill"
    values: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        filled: Tensor = torch.where(is_missing(x, self.config["missing"]), self.values, x)
        return filled


class MissingFlag(Op):
    """1.0 where a value is missing, else 0.0."""

    name = "missing-flag"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        return is_missing(x, self.config["missing"]).double()


def is_missing(x: Tensor, missing: Plain) -> Tensor:
    """missing: None for NaN, else the number that stands for it."""
    flags: Tensor = x.isnan() if missing is None else x.eq(float(missing))  # type: ignore[arg-type]
    return flags


class Bins(Op):
    """Bin of each column: edges [m, e] sorted, padded with +inf; last [m]: the highest bin. NaN stays."""

    name = "bins"
    edges: Tensor
    last: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        at = torch.searchsorted(self.edges, x.t().contiguous(), right=True).t()
        return torch.where(x.isnan(), x, torch.minimum(at, self.last).double())


class OneOf(Op):
    """One-hot of integer columns: column `of[j]` equals `value[j]`. NaN stays."""

    name = "one-of"
    of: Tensor
    value: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        x = x.index_select(1, self.of)
        return torch.where(x.isnan(), x, (x == self.value).double())


class Monomials(Op):
    """Products of columns: factors [m, degree] index the columns, the last of them (a 1) pads."""

    name = "monomials"
    factors: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        wide = torch.cat([x, torch.ones_like(x[:, :1])], dim=1) if x.shape[1] else x
        out = wide.index_select(1, self.factors[:, 0])
        for step in range(1, self.factors.shape[1]):
            out = out * wide.index_select(1, self.factors[:, step])
        return out


class MatMul(Op):
    """`x @ weight + bias`; weight [m, k]."""

    name = "matmul"
    weight: Tensor
    bias: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        return x @ self.weight + self.bias


FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "abs": torch.abs,
    "absolute": torch.abs,
    "ceil": torch.ceil,
    "cos": torch.cos,
    "exp": torch.exp,
    "exp2": torch.exp2,
    "expm1": torch.expm1,
    "floor": torch.floor,
    "log": torch.log,
    "log10": torch.log10,
    "log1p": torch.log1p,
    "log2": torch.log2,
    "nan_to_num": torch.nan_to_num,
    "negative": torch.neg,
    "rint": torch.round,
    "sign": torch.sign,
    "sin": torch.sin,
    "sqrt": torch.sqrt,
    "square": torch.square,
    "tan": torch.tan,
    "tanh": torch.tanh,
    "trunc": torch.trunc,
}
"""NumPy functions of one argument that torch has with the same meaning, on whole numbers too."""


class Function(Op):
    name = "function"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        result: Tensor = FUNCTIONS[str(self.config["function"])](x)
        return result
