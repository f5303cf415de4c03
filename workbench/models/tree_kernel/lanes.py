"""SIMD for numba: vectors of LANES numbers that live in registers, and the few operations a tree walk needs.

LLVM cuts a vector to the width of the machine, and turns `gather` into the machine's gather instruction where that
pays (AVX-512), else into single loads. Thirty-two lanes keep enough loads in flight to hide the caches' latency.
Addresses are plain integers: whoever calls has checked that what they point to is there (`program.check`).
"""

# mypy: disable-error-code="no-untyped-call, import-untyped"
from __future__ import annotations

import operator
from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 32
SHIFT = 5
"""log2(LANES)."""

_ELEMENTS = {"int": ir.IntType(64), "float": ir.DoubleType(), "bool": ir.IntType(1)}
_I32, _I64 = ir.IntType(32), ir.IntType(64)


class Lanes(types.Type):
    """LANES numbers of one kind: "int" (64 bits), "float" (64 bits) or "bool"."""

    def __init__(self, kind: str) -> None:
        super().__init__(name=f"Lanes({kind})")
        self.kind = kind
        self.scalar = types.float64 if kind == "float" else types.int64


INT, FLOAT, BOOL = Lanes("int"), Lanes("float"), Lanes("bool")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Lanes) -> None:
        super().__init__(manager, kind, _vector(_ELEMENTS[kind.kind]))


def _vector(element: Any) -> Any:
    return ir.VectorType(element, LANES)


def _splat(builder: Any, value: Any) -> Any:
    if isinstance(value.type, ir.VectorType):
        return value
    nothing = ir.Constant(_vector(value.type), ir.Undefined)
    one = builder.insert_element(nothing, value, _I32(0))
    return builder.shuffle_vector(one, nothing, ir.Constant(_vector(_I32), None))


def _infix(symbol: Any, kind: Lanes, gives: Lanes, build: Callable[..., Any]) -> None:
    """`a symbol b` for lanes of a kind, either of them a plain number of it."""

    class Template(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            if kind not in args or any(isinstance(a, Lanes) and a != kind for a in args):
                return None
            return signature(gives, *(a if a == kind else kind.scalar for a in args))

    infer_global(symbol)(Template)

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return build(builder, *(_splat(builder, arg) for arg in args))

    for pair in ((kind, kind), (kind, kind.scalar), (kind.scalar, kind)):
        lower_builtin(symbol, *pair)(lower)


_infix(operator.add, INT, INT, lambda b, x, y: b.add(x, y))
_infix(operator.sub, INT, INT, lambda b, x, y: b.sub(x, y))
_infix(operator.mul, INT, INT, lambda b, x, y: b.mul(x, y))
_infix(operator.and_, INT, INT, lambda b, x, y: b.and_(x, y))
_infix(operator.lshift, INT, INT, lambda b, x, y: b.shl(x, y))
_infix(operator.rshift, INT, INT, lambda b, x, y: b.lshr(x, y))
_infix(operator.gt, INT, BOOL, lambda b, x, y: b.icmp_signed(">", x, y))
_infix(operator.lt, INT, BOOL, lambda b, x, y: b.icmp_signed("<", x, y))
_infix(operator.ne, INT, BOOL, lambda b, x, y: b.icmp_signed("!=", x, y))
_infix(operator.add, FLOAT, FLOAT, lambda b, x, y: b.fadd(x, y))
_infix(operator.lt, FLOAT, BOOL, lambda b, x, y: b.fcmp_ordered("<", x, y))
_infix(operator.le, FLOAT, BOOL, lambda b, x, y: b.fcmp_ordered("<=", x, y))
_infix(operator.ge, FLOAT, BOOL, lambda b, x, y: b.fcmp_ordered(">=", x, y))
_infix(operator.ne, FLOAT, BOOL, lambda b, x, y: b.fcmp_unordered("!=", x, y))
_infix(operator.and_, BOOL, BOOL, lambda b, x, y: b.and_(x, y))
_infix(operator.or_, BOOL, BOOL, lambda b, x, y: b.or_(x, y))


def _gather(builder: Any, base: Any, index: Any, element: Any, name: str) -> Any:
    size = 4 if element == _I32 else 8
    address = builder.add(_splat(builder, base), builder.mul(index, _splat(builder, _I64(size))))
    pointers = _vector(ir.PointerType(element))
    mask, out = _vector(ir.IntType(1)), _vector(element)
    kind = ir.FunctionType(out, [pointers, _I32, mask, out])
    called = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.gather.v{LANES}{name}.v{LANES}p0")
    every = ir.Constant(mask, [1] * LANES)
    return builder.call(called, [builder.inttoptr(address, pointers), _I32(size), every, ir.Constant(out, None)])


def _at(builder: Any, address: Any, element: Any) -> Any:
    return builder.inttoptr(address, ir.PointerType(element))


def _typed(gives: Any, *takes: Any) -> Callable[[Callable[..., Any]], Any]:
    """Make an intrinsic of fixed types from what builds it: build(builder, *values)."""

    def make(build: Callable[..., Any]) -> Any:
        def described(typing: Any, *given: Any) -> Any:
            def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
                made = build(builder, *args)
                return context.get_dummy_value() if made is None else made

            return gives(*takes), generate

        # numba folds arguments by the signature it reads.
        names = ["typing", *(f"a{i}" for i in range(len(takes)))]
        parameters = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in names]
        described.__name__, described.__signature__ = build.__name__, Signature(parameters)  # type: ignore[attr-defined]
        return intrinsic(described)

    return make


def _load(element: Any, lanes: bool = False) -> Callable[..., Any]:
    def load(builder: Any, address: Any) -> Any:
        made = builder.load(_at(builder, address, _vector(element) if lanes else element))
        made.align = 4 if element == _I32 else 8
        return made

    return load


def _store(builder: Any, address: Any, value: Any) -> None:
    builder.store(value, _at(builder, address, value.type)).align = 8


@_typed(types.int64, types.int64, types.int64)
def word(builder: Any, base: Any, place: Any) -> Any:
    """The int64 at `base + 8 * place`."""
    return _load(_I64)(builder, builder.add(base, builder.mul(place, _I64(8))))


load_float = _typed(types.float64, types.int64)(_load(ir.DoubleType()))
load_floats = _typed(FLOAT, types.int64)(_load(ir.DoubleType(), lanes=True))
store_float = _typed(types.void, types.int64, types.float64)(_store)
store_int = _typed(types.void, types.int64, types.int64)(_store)
store_floats = _typed(types.void, types.int64, FLOAT)(_store)
store_ints = _typed(types.void, types.int64, INT)(_store)


@_typed(types.void, types.int64, types.int64)
def store_short(builder: Any, address: Any, value: Any) -> None:
    """The low 32 bits."""
    builder.store(builder.trunc(value, _I32), _at(builder, address, _I32)).align = 4


@_typed(types.void, types.int64, INT)
def store_shorts(builder: Any, address: Any, value: Any) -> None:
    """The low 32 bits of each lane, side by side."""
    builder.store(builder.trunc(value, _vector(_I32)), _at(builder, address, _vector(_I32))).align = 4


@_typed(INT, types.int64, INT)
def gather_ints(builder: Any, base: Any, index: Any) -> Any:
    """The int64 at `base + 8 * index`, per lane."""
    return _gather(builder, base, index, _I64, "i64")


@_typed(INT, types.int64, INT)
def gather_shorts(builder: Any, base: Any, index: Any) -> Any:
    """The int32 at `base + 4 * index`, per lane."""
    return builder.sext(_gather(builder, base, index, _I32, "i32"), _vector(_I64))


@_typed(FLOAT, types.int64, INT)
def gather_floats(builder: Any, base: Any, index: Any) -> Any:
    """The float64 at `base + 8 * index`, per lane."""
    return _gather(builder, base, index, ir.DoubleType(), "f64")


@_typed(INT, types.int64)
def splat(builder: Any, value: Any) -> Any:
    return _splat(builder, value)


@_typed(FLOAT, types.float64)
def splat_float(builder: Any, value: Any) -> Any:
    return _splat(builder, value)


@_typed(INT)
def iota(builder: Any) -> Any:
    """0, 1, 2, …"""
    return ir.Constant(_vector(_I64), list(range(LANES)))


@_typed(INT, BOOL)
def as_int(builder: Any, value: Any) -> Any:
    return builder.zext(value, _vector(_I64))


@_typed(INT, FLOAT)
def truncated(builder: Any, value: Any) -> Any:
    """Towards zero; the values must fit."""
    return builder.fptosi(value, _vector(_I64))


@_typed(INT, BOOL, INT, INT)
def where(builder: Any, mask: Any, yes: Any, no: Any) -> Any:
    return builder.select(mask, yes, no)


@_typed(FLOAT, BOOL, FLOAT, FLOAT)
def where_float(builder: Any, mask: Any, yes: Any, no: Any) -> Any:
    return builder.select(mask, yes, no)


@_typed(types.boolean, BOOL)
def some(builder: Any, mask: Any) -> Any:
    bits = builder.bitcast(mask, ir.IntType(LANES))
    return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))


@_typed(FLOAT, FLOAT)
def single(builder: Any, value: Any) -> Any:
    """Rounded to float32."""
    return builder.fpext(builder.fptrunc(value, _vector(ir.FloatType())), value.type)
