"""FunctionTransformer: numpy functions by name, with the arguments that torch can follow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from workbench.migrate.lift.columns import CannotLift, Columns, Context, chain, fresh, kept, numbers, transformer
from workbench.migrate.lift.ops import FUNCTIONS, Arrays, Clip, Function, Op
from workbench.models.protocol import Piece, Plain

MORE: dict[str, Callable[[Tensor], Tensor]] = {
    "arccos": torch.acos,
    "arcsin": torch.asin,
    "arcsinh": torch.asinh,
    "arctan": torch.atan,
    "cosh": torch.cosh,
    "deg2rad": torch.deg2rad,
    "degrees": torch.rad2deg,
    "isnan": lambda x: x.isnan().double(),
    "rad2deg": torch.rad2deg,
    "radians": torch.deg2rad,
    "sign": lambda x: torch.where(x.isnan(), x, torch.sign(x)),
    "sinh": torch.sinh,
}
FUNCTIONS.update(MORE)


class NanToNum(Op):
    """NaN and infinities replaced. config: nan; posinf, neginf, None for the largest and smallest number."""

    name = "nan-to-num"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        nan, high, low = (self.config[name] for name in ("nan", "posinf", "neginf"))
        return torch.nan_to_num(x, nan, high, low)  # type: ignore[arg-type]


class Rounded(Op):
    """Rounded half to even, to `decimals` places, as numpy does it."""

    name = "rounded"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        decimals = int(str(self.config["decimals"]))
        if not decimals:
            return torch.round(x)
        power = 10.0 ** abs(decimals)
        return torch.round(x * power) / power if decimals > 0 else torch.round(x / power) * power


def _clip(given: dict[str, Plain]) -> Op | None:
    low, high = given.pop("a_min", given.pop("min", None)), given.pop("a_max", given.pop("max", None))
    if given or not all(limit is None or isinstance(limit, int | float) for limit in (low, high)):
        return None
    arrays: Arrays = {
        "low": np.array([-np.inf if low is None else float(str(low))]),
        "high": np.array([np.inf if high is None else float(str(high))]),
    }
    return Clip({}, arrays)


def _nan_to_num(given: dict[str, Plain]) -> Op | None:
    given.pop("copy", None)
    config = {"nan": given.pop("nan", 0.0), "posinf": given.pop("posinf", None), "neginf": given.pop("neginf", None)}
    return None if given else NanToNum(config)


def _round(given: dict[str, Plain]) -> Op | None:
    decimals = given.pop("decimals", 0)
    return None if given or not isinstance(decimals, int) else Rounded({"decimals": decimals})


WITH_ARGUMENTS: dict[str, Callable[[dict[str, Plain]], Op | None]] = {
    "around": _round,
    "clip": _clip,
    "nan_to_num": _nan_to_num,
    "round": _round,
}
NAMES = tuple(sorted(FUNCTIONS.keys() | WITH_ARGUMENTS.keys()))


@transformer("sklearn.preprocessing.FunctionTransformer")
def function_transformer(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    function = piece.params.get("func")
    if function is None:
        return kept(columns)
    op = _named(piece, str(function), piece.params.get("kw_args"))
    before, count = numbers(piece, columns)
    return chain([*before, op]), fresh(count)


def _named(piece: Piece, function: str, arguments: Plain) -> Op:
    name = function.removeprefix("numpy.")
    if not function.startswith("numpy.") or name not in NAMES:
        advice = f"Replace it by one of numpy's {', '.join(NAMES)}, or by a fitted transformer"
        raise CannotLift(piece.kind, f"its function {function!r} is code, not data", advice)
    given = dict(arguments) if isinstance(arguments, dict) else {}
    if name in WITH_ARGUMENTS:
        op = WITH_ARGUMENTS[name](given)
    else:
        op = None if given else Function({"function": name})
    if op is None:
        raise CannotLift(piece.kind, f"kw_args={arguments!r} change what numpy.{name} does", "Fit it without them")
    return op
