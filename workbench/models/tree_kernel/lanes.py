"""A small notation for kernels: numbers, and vectors of LANES numbers that live in registers, as Python values.

What is written with them is LLVM's intermediate language, put into one function that numba then compiles, calls and
keeps on disk. So a part of a kernel is a plain Python function, written once for a row and for LANES rows, and there is
nothing to infer: numba took ten times as long for the same kernels as functions of its own.
LLVM cuts a vector to the width of the machine, and turns a gather into the machine's gather instruction where that
pays (AVX-512), else into single loads. Thirty-two lanes keep enough loads in flight to hide the caches' latency.
Arithmetic is IEEE's, step by step: nothing is contracted or reordered. Addresses are plain integers: whoever calls has
checked that what they point to is there.
"""

# mypy: disable-error-code="no-untyped-call, import-untyped"
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from inspect import Parameter, Signature
from typing import Any, Union

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 32
SHIFT = 5
"""log2(LANES)."""

_I1, _I32, _I64, _F32, _F64 = ir.IntType(1), ir.IntType(32), ir.IntType(64), ir.FloatType(), ir.DoubleType()

Given = Union["Num", int, float, bool]


class Num:
    """An int64, a float64 or a truth value, or LANES of them. A plain number beside one becomes of its kind."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, to: Writer, value: Any) -> None:
        self.to, self.value = to, value

    @property
    def lanes(self) -> bool:
        return isinstance(self.value.type, ir.VectorType)

    @property
    def element(self) -> Any:
        return self.value.type.element if self.lanes else self.value.type

    def _with(self, other: Given, ints: str, floats: str = "") -> Num:
        """An instruction of both; `ints` or `floats` is its name in llvmlite."""
        one, two = self.to.alike(self, other)
        name = floats if self.element == _F64 else ints
        return Num(self.to, getattr(self.to.builder, name)(one.value, two.value))

    def _compared(self, how: str, other: Given) -> Num:
        one, two = self.to.alike(self, other)
        build = self.to.builder
        if self.element != _F64:
            return Num(self.to, build.icmp_signed(how, one.value, two.value))
        compare = build.fcmp_unordered if how == "!=" else build.fcmp_ordered
        return Num(self.to, compare(how, one.value, two.value))

    def __add__(self, other: Given) -> Num:
        return self._with(other, "add", "fadd")

    def __sub__(self, other: Given) -> Num:
        return self._with(other, "sub", "fsub")

    def __mul__(self, other: Given) -> Num:
        return self._with(other, "mul", "fmul")

    def __truediv__(self, other: Given) -> Num:
        return self._with(other, "sdiv", "fdiv")

    def __and__(self, other: Given) -> Num:
        return self._with(other, "and_")

    def __or__(self, other: Given) -> Num:
        return self._with(other, "or_")

    def __lshift__(self, other: Given) -> Num:
        return self._with(other, "shl")

    def __rshift__(self, other: Given) -> Num:
        return self._with(other, "lshr")

    def __lt__(self, other: Given) -> Num:
        return self._compared("<", other)

    def __le__(self, other: Given) -> Num:
        return self._compared("<=", other)

    def __gt__(self, other: Given) -> Num:
        return self._compared(">", other)

    def __ge__(self, other: Given) -> Num:
        return self._compared(">=", other)

    def __eq__(self, other: Given) -> Num:  # type: ignore[override]
        return self._compared("==", other)

    def __ne__(self, other: Given) -> Num:  # type: ignore[override]
        """True for NaN, as ever."""
        return self._compared("!=", other)


class Variable:
    """A place that is written more than once."""

    def __init__(self, to: Writer, first: Num) -> None:
        self.to = to
        self._place = cgutils.alloca_once(to.builder, first.value.type)
        self.set(first)

    @property
    def now(self) -> Num:
        return Num(self.to, self.to.builder.load(self._place))

    def set(self, value: Given) -> None:
        kind = self._place.type.pointee
        self.to.builder.store(value.value if isinstance(value, Num) else ir.Constant(kind, value), self._place)


class Writer:
    """Writes a function, line by line."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def alike(self, one: Num, other: Given) -> tuple[Num, Num]:
        """Both of one kind: a plain number as a constant, a single one on all lanes."""
        two = other if isinstance(other, Num) else Num(self, ir.Constant(one.element, other))
        return (self.splat(one), self.splat(two)) if one.lanes or two.lanes else (one, two)

    def integer(self, value: int) -> Num:
        return Num(self, ir.Constant(_I64, value))

    def number(self, value: float) -> Num:
        return Num(self, ir.Constant(_F64, value))

    def splat(self, value: Num) -> Num:
        if value.lanes:
            return value
        nothing = ir.Constant(_vector(value.element), ir.Undefined)
        one = self.builder.insert_element(nothing, value.value, _I32(0))
        return Num(self, self.builder.shuffle_vector(one, nothing, ir.Constant(_vector(_I32), None)))

    def beside(self, value: Num, other: Num) -> Num:
        """On lanes where the other is."""
        return self.splat(value) if other.lanes else value

    def iota(self) -> Num:
        """0, 1, 2, …"""
        return Num(self, ir.Constant(_vector(_I64), list(range(LANES))))

    def where(self, mask: Num, yes: Num, no: Given) -> Num:
        yes, other = self.alike(yes, no)
        if mask.lanes:
            yes, other = self.splat(yes), self.splat(other)
        return Num(self, self.builder.select(mask.value, yes.value, other.value))

    def some(self, mask: Num) -> Num:
        """True on any lane?"""
        if not mask.lanes:
            return mask
        bits = self.builder.bitcast(mask.value, ir.IntType(LANES))
        return Num(self, self.builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0)))

    def as_int(self, mask: Num) -> Num:
        return Num(self, self.builder.zext(mask.value, _like(mask, _I64)))

    def as_float(self, whole: Num) -> Num:
        return Num(self, self.builder.sitofp(whole.value, _like(whole, _F64)))

    def truncated(self, value: Num) -> Num:
        """Towards zero; it must fit."""
        return Num(self, self.builder.fptosi(value.value, _like(value, _I64)))

    def single(self, value: Num) -> Num:
        """Rounded to float32."""
        narrow = self.builder.fptrunc(value.value, _like(value, _F32))
        return Num(self, self.builder.fpext(narrow, value.value.type))

    def int_at(self, base: Num, place: Given = 0) -> Num:
        """The int64 number `place` from the address `base`; on lanes, one for each."""
        return self._read(base, place, _I64, "i64")

    def float_at(self, base: Num, place: Given = 0) -> Num:
        return self._read(base, place, _F64, "f64")

    def short_at(self, base: Num, place: Given) -> Num:
        """An int32, as int64."""
        found = self._read(base, place, _I32, "i32")
        return Num(self, self.builder.sext(found.value, _like(found, _I64)))

    def floats_from(self, base: Num) -> Num:
        """LANES float64 that lie side by side."""
        found = self.builder.load(self._pointer(base, _vector(_F64)))
        found.align = 8
        return Num(self, found)

    def put(self, value: Num, base: Num, place: Given = 0) -> None:
        """Write at number `place` from `base`; lanes lie side by side."""
        self.builder.store(value.value, self._pointer(base + place * 8, value.value.type)).align = 8

    def put_short(self, value: Num, base: Num, place: Given) -> None:
        """The low 32 bits."""
        low = self.builder.trunc(value.value, _like(value, _I32))
        self.builder.store(low, self._pointer(base + place * 4, low.type)).align = 4

    def variable(self, first: Num) -> Variable:
        return Variable(self, first)

    @contextmanager
    def repeat(self, condition: Callable[[], Num]) -> Iterator[None]:
        """As long as it holds."""
        test, body, end = (self.builder.append_basic_block(name) for name in ("test", "body", "end"))
        self.builder.branch(test)
        self.builder.position_at_end(test)
        self.builder.cbranch(condition().value, body, end)
        self.builder.position_at_end(body)
        yield
        self.builder.branch(test)
        self.builder.position_at_end(end)

    @contextmanager
    def loop(self, stop: Num, start: Given = 0, step: int | Num = 1) -> Iterator[Num]:
        place = self.variable(start if isinstance(start, Num) else Num(self, ir.Constant(_I64, start)))
        with self.repeat(lambda: place.now < stop):
            now = place.now
            yield now
            place.set(now + step)

    @contextmanager
    def when(self, holds: Num) -> Iterator[None]:
        with self.builder.if_then(holds.value):
            yield

    def choose(self, number: Num, ways: Sequence[Callable[[], None]]) -> None:
        """The way of that number; nothing beyond the last."""
        end = self.builder.append_basic_block("end")
        switch = self.builder.switch(number.value, end)
        for place, way in enumerate(ways):
            block = self.builder.append_basic_block("way")
            switch.add_case(ir.Constant(_I64, place), block)
            self.builder.position_at_end(block)
            way()
            self.builder.branch(end)
        self.builder.position_at_end(end)

    @contextmanager
    def either(self, holds: Num) -> Iterator[tuple[Any, Any]]:
        """Two contexts: where it holds, and where not."""
        with self.builder.if_else(holds.value) as both:
            yield both

    def _read(self, base: Num, place: Given, element: Any, name: str) -> Num:
        size = element.width // 8 if isinstance(element, ir.IntType) else 8
        address = base + place * size
        if not address.lanes:
            found = self.builder.load(self._pointer(address, element))
            found.align = size
            return Num(self, found)
        pointers, mask, out = _vector(ir.PointerType(element)), _vector(_I1), _vector(element)
        kind = ir.FunctionType(out, [pointers, _I32, mask, out])
        called = f"llvm.masked.gather.v{LANES}{name}.v{LANES}p0"
        gather = cgutils.get_or_insert_function(self.builder.module, kind, called)
        every = ir.Constant(mask, [1] * LANES)
        at = self.builder.inttoptr(address.value, pointers)
        return Num(self, self.builder.call(gather, [at, _I32(size), every, ir.Constant(out, None)]))

    def _pointer(self, address: Num, element: Any) -> Any:
        return self.builder.inttoptr(address.value, ir.PointerType(element))


def _vector(element: Any) -> Any:
    return ir.VectorType(element, LANES)


def _like(value: Num, element: Any) -> Any:
    return _vector(element) if value.lanes else element


def written(kinds: str) -> Callable[[Callable[..., None]], Any]:
    """What a function writes, as one that numba compiles. kinds: of its arguments: "i" int64, "f" float64."""
    takes = [types.int64 if kind == "i" else types.float64 for kind in kinds]

    def make(write: Callable[..., None]) -> Any:
        def described(typing: Any, *given: Any) -> Any:
            def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
                to = Writer(builder)
                write(to, *(Num(to, arg) for arg in args))
                return context.get_dummy_value()

            return types.void(*takes), generate

        # numba folds arguments by the signature it reads.
        names = ["typing", *(f"a{i}" for i in range(len(takes)))]
        parameters = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in names]
        described.__name__, described.__signature__ = write.__name__, Signature(parameters)  # type: ignore[attr-defined]
        return intrinsic(described)

    return make
