"""Transformers that bend a column: power and quantile transforms with their inverses, and B-splines."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workbench.migrate.lift.columns import CannotLift, Columns, Context, chain, convert, fresh, numbers, transformer
from workbench.migrate.lift.ops import Arrays, Op
from workbench.models.protocol import Piece

EDGE = 1e-7
"""How near to the ends of the quantiles scikit-learn takes a value for the end (BOUNDS_THRESHOLD)."""


class Power(Op):
    """Yeo and Johnson 2000, or Box and Cox 1964, written as scipy writes them; power [m] for columns [n, m].

    config: method: "yeo-johnson" or "box-cox". A value that Box-Cox does not take (0 or below) gives NaN: the source
    stops at it.
    """

    name = "power"
    power: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        if self.config["method"] == "box-cox":
            return self._box_cox(x)
        over = x >= 0
        tiny = torch.finfo(torch.float64).eps
        up = _bent(torch.log1p(torch.where(over, x, 0.0)), self.power, self.power.abs() < tiny)
        down = _bent(torch.log1p(-torch.where(over, 0.0, x)), 2 - self.power, (self.power - 2).abs() <= tiny)
        return torch.where(over, up, -down)

    def _box_cox(self, x: Tensor) -> Tensor:
        power, log = self.power, torch.log(torch.where(x > 0, x, torch.nan))
        flat = power.abs() < 1e-19
        safe = torch.where(flat, 1.0, power)
        far = torch.sign(safe) * torch.exp(safe * log - torch.log(safe.abs())) - 1 / safe
        bent = torch.where(safe * log < 709.78, torch.expm1(safe * log) / safe, far)
        return torch.where(flat, log, bent)


def _bent(log: Tensor, power: Tensor, flat: Tensor) -> Tensor:
    """`(exp(power * log) - 1) / power`, the logarithm itself where the power is 0."""
    safe = torch.where(flat, 1.0, power)
    return torch.where(flat, log, torch.expm1(safe * log) / safe)


class PowerBack(Op):
    """The inverse of `Power`."""

    name = "power-back"
    power: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        power = self.power
        if self.config["method"] == "box-cox":
            safe = torch.where(power == 0, 1.0, power)
            return torch.where(power == 0, torch.exp(x), torch.exp(torch.log1p(safe * x) / safe))
        tiny = torch.finfo(torch.float64).eps
        over, flat, even = x >= 0, power.abs() < tiny, (power - 2).abs() <= tiny
        safe, rest = torch.where(flat, 1.0, power), torch.where(even, 1.0, 2 - power)
        up = torch.where(flat, torch.exp(x) - 1, torch.pow(x * safe + 1, 1 / safe) - 1)
        down = torch.where(even, 1 - torch.exp(-x), 1 - torch.pow(-rest * x + 1, 1 / rest))
        return torch.where(over, up, down)


@transformer("sklearn.preprocessing.PowerTransformer")
def power(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    before, count = numbers(piece, columns)
    ops: list[Op] = [*before, Power({"method": _method(piece)}, {"power": piece.arrays["lambdas_"].astype(np.float64)})]
    scaler = dict(piece.children).get("_scaler")
    if piece.params.get("standardize", True):
        if scaler is None:
            raise CannotLift(piece.kind, "standardize=True, but its description holds no scaler")
        ops.append(convert(scaler, fresh(count), context)[0])
    return chain(ops), fresh(count)


def _method(piece: Piece) -> str:
    method = str(piece.params.get("method", "yeo-johnson"))
    if method not in ("yeo-johnson", "box-cox"):
        raise CannotLift(piece.kind, f"method={method!r} is not known here")
    return method


def power_back(piece: Piece) -> list[Op]:
    """The inverse of a fitted power transform, scaler included."""
    from workbench.migrate.lift.retarget import backwards

    scaler = dict(piece.children).get("_scaler")
    ops = backwards(scaler) if scaler is not None and piece.params.get("standardize", True) else []
    return [*ops, PowerBack({"method": _method(piece)}, {"power": piece.arrays["lambdas_"].astype(np.float64)})]


def interpolated(x: Tensor, at: Tensor, values: Tensor) -> Tensor:
    """`numpy.interp` of each row of x [m, n], bit for bit: at [m, q] sorted (of ties the last), values [m, q]."""
    last = at.shape[1] - 1
    place = torch.searchsorted(at, x, right=True) - 1
    low = place.clamp(0, max(last - 1, 0))
    here, there = at.gather(1, low), values.gather(1, low)
    high = (low + 1).clamp(max=last)
    above, to = at.gather(1, high), values.gather(1, high)
    inside = (to - there) / (above - here) * (x - here) + there
    end = torch.where(place < 0, values[:, :1], values[:, -1:])
    found = torch.where((place < 0) | (place >= last), end, torch.where(here == x, there, inside))
    return torch.where(x.isnan(), torch.nan, found)


class Quantiles(Op):
    """Columns [n, m] to their rank among quantiles [m, q] with ranks reference [q], or to the normal deviate of it.

    Interpolated upwards and downwards and averaged, as scikit-learn does for repeated quantiles. config: normal: low
    and high, the ends of the deviates, else None.
    """

    name = "quantiles"
    quantiles: Tensor
    reference: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        x = x.t().contiguous()
        ranks = self.reference.expand(x.shape[0], -1).contiguous()
        up = interpolated(x, self.quantiles, ranks)
        down = interpolated(-x, -self.quantiles.flip(1).contiguous(), -ranks.flip(1).contiguous())
        first, last = self.quantiles[:, :1], self.quantiles[:, -1:]
        ends = self.config["normal"]
        low = x - EDGE < first if ends else x == first
        high = x + EDGE > last if ends else x == last
        ranked = torch.where(low, 0.0, torch.where(high, 1.0, 0.5 * (up - down)))
        if isinstance(ends, list):
            ranked = torch.special.ndtri(ranked).clamp(float(str(ends[0])), float(str(ends[1])))
        return ranked.t()


class QuantilesBack(Op):
    """The inverse of `Quantiles`."""

    name = "quantiles-back"
    quantiles: Tensor
    reference: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        x = x.t().contiguous()
        normal = bool(self.config["normal"])
        ranks = torch.special.ndtr(x) if normal else x
        low = ranks - EDGE < 0 if normal else ranks == 0
        high = ranks + EDGE > 1 if normal else ranks == 1
        found = interpolated(ranks, self.reference.expand(x.shape[0], -1).contiguous(), self.quantiles)
        return torch.where(low, self.quantiles[:, :1], torch.where(high, self.quantiles[:, -1:], found)).t()


def _quantiles(piece: Piece) -> tuple[dict[str, object], Arrays]:
    from scipy.special import ndtri

    how = piece.params.get("output_distribution", "uniform")
    if how not in ("uniform", "normal"):
        raise CannotLift(piece.kind, f"output_distribution={how!r} is not known here")
    near = EDGE - np.spacing(1)
    ends = [float(ndtri(near)), float(ndtri(1 - near))] if how == "normal" else None
    table = np.ascontiguousarray(piece.arrays["quantiles_"].astype(np.float64).T)
    return {"normal": ends}, {"quantiles": table, "reference": piece.arrays["references_"].astype(np.float64)}


@transformer("sklearn.preprocessing.QuantileTransformer")
def quantile(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    before, count = numbers(piece, columns)
    config, arrays = _quantiles(piece)
    return chain([*before, Quantiles(config, arrays)]), fresh(count)  # type: ignore[arg-type]


def quantile_back(piece: Piece) -> list[Op]:
    """The inverse of a fitted quantile transform."""
    config, arrays = _quantiles(piece)
    return [QuantilesBack(config, arrays)]  # type: ignore[arg-type]


class Splines(Op):
    """Columns [n, m] → B-spline bases [n, m * s] (de Boor 1972, in the order of FITPACK, as scipy computes them).

    knots [m, t]; low, high [m]: the base interval; fmin, fmax, dmin, dmax [m, s]: bases and their slopes at its ends.
    config: degree; bases (of the open spline); splines (s before one is left out); extrapolation; bias; zeros (a
    missing value gives zeros, else NaN: the source stops at it).
    """

    name = "splines"
    knots: Tensor
    low: Tensor
    high: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        degree, bases = int(str(self.config["degree"])), int(str(self.config["bases"]))
        low, high, how = self.low, self.high, self.config["extrapolation"]
        at = low + torch.remainder(x - low, high - low) if how == "periodic" else x
        if how in ("constant", "linear"):
            at = torch.minimum(torch.maximum(at, low), high)
        found = self._spread(*_bases(at, self.knots, degree, bases), degree, bases)
        below, above = (x < low)[:, :, None], (x > high)[:, :, None]
        if how == "error":
            found = torch.where(below | above, torch.nan, found)
        if how in ("constant", "linear"):
            found = torch.where(below, self._outside("min", x - low), found)
            found = torch.where(above, self._outside("max", x - high), found)
        found = torch.where(x.isnan()[:, :, None], 0.0 if self.config["zeros"] else torch.nan, found)
        return (found if self.config["bias"] else found[:, :, :-1]).flatten(1)

    def cells(self) -> int:
        return 4 * self.knots.shape[0] * int(str(self.config["bases"]))

    def _outside(self, end: str, away: Tensor) -> Tensor:
        value: Tensor = self.get_buffer(f"f{end}")
        if self.config["extrapolation"] == "constant":
            return value
        slope: Tensor = self.get_buffer(f"d{end}")
        return value + away[:, :, None] * slope

    def _spread(self, first: Tensor, values: Tensor, degree: int, bases: int) -> Tensor:
        """values [n, m, degree + 1] from base `first` [n, m] on, among all bases; the last ones wrap around."""
        splines = int(str(self.config["splines"]))
        back = torch.arange(bases, device=first.device) - first[:, :, None]
        there = (back >= 0) & (back <= degree)
        wide = torch.where(there, values.gather(2, back.clamp(0, degree)), 0.0)
        if bases == splines:
            return wide
        wrapped = torch.nn.functional.pad(wide[:, :, splines:], (0, 2 * splines - bases))
        return wide[:, :, :splines] + wrapped


def _bases(x: Tensor, knots: Tensor, degree: int, bases: int) -> tuple[Tensor, Tensor]:
    """The first base that is not zero at x [n, m], and the values of degree + 1 bases from it on [n, m, degree + 1]."""
    cell = torch.searchsorted(knots, x.t().contiguous(), right=True).t() - 1
    cell = cell.clamp(degree, bases - 1)
    # The knots around each value, once: those from `1 - degree` to `degree` cells away.
    near = {step: knots.t().gather(0, cell + step) for step in range(1 - degree, degree + 1)}
    value = [torch.ones_like(x)]
    for order in range(1, degree + 1):
        before, value = value, [torch.zeros_like(x)]
        for step in range(1, order + 1):
            right, left = near[step], near[step - order]
            same = right == left
            share = before[step - 1] / torch.where(same, 1.0, right - left)
            value[step - 1] = value[step - 1] + torch.where(same, 0.0, share * (right - x))
            value.append(torch.where(same, 0.0, share * (x - left)))
    return cell - degree, torch.stack(value, dim=2)


@transformer("sklearn.preprocessing.SplineTransformer")
def spline(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    from scipy.interpolate import BSpline

    before, count = numbers(piece, columns)
    degree, how = int(str(piece.params.get("degree", 3))), str(piece.params.get("extrapolation", "constant"))
    if degree < 1 or how not in ("error", "constant", "linear", "continue", "periodic"):
        raise CannotLift(piece.kind, f"degree={degree} with extrapolation={how!r} is not known here")
    if f"bsplines_.{count - 1}.t" not in piece.arrays:
        raise CannotLift(piece.kind, "its description holds no knots", "Read the model with the newest workbench")
    knots = np.stack([piece.arrays[f"bsplines_.{i}.t"].astype(np.float64) for i in range(count)])
    coefficients = piece.arrays["bsplines_.0.c"].astype(np.float64)
    bases, splines = coefficients.shape
    # scikit-learn raises the degree while it goes through the columns: the second one on is cut further inside.
    cut = [2 if how == "linear" and degree == 1 and i else degree for i in range(count)]
    arrays: Arrays = {"knots": knots}
    arrays |= {"low": np.array([row[c] for row, c in zip(knots, cut)])}
    arrays |= {"high": np.array([row[-c - 1] for row, c in zip(knots, cut)])}
    if how in ("constant", "linear"):
        curves = [BSpline.construct_fast(row, coefficients, degree) for row in knots]
        # The source goes on with as many bases as matter at knots that do not repeat.
        shown = max(2, degree) if how == "linear" else degree
        arrays |= _ends(curves, "min", arrays["low"], np.arange(splines) < shown)
        arrays |= _ends(curves, "max", arrays["high"], np.arange(splines) >= splines - shown)
    config = {"degree": degree, "bases": bases, "splines": splines, "extrapolation": how}
    config |= {"bias": bool(piece.params.get("include_bias", True))}
    config |= {"zeros": piece.params.get("handle_missing", "error") == "zeros"}
    width = count * (splines - (not config["bias"]))
    return chain([*before, Splines(config, arrays)]), fresh(int(width))


def _ends(curves: list[Any], end: str, at: NDArray[Any], shown: NDArray[np.bool_]) -> Arrays:
    """Values and slopes at one end, of the bases that the source continues; the others are 0."""
    values = np.stack([curve(x) * shown for curve, x in zip(curves, at)])
    slopes = np.stack([curve(x, nu=1) * shown for curve, x in zip(curves, at)])
    return {f"f{end}": values, f"d{end}": slopes}
