"""The CPU kernel of `steps`: row after row, step after step."""

# mypy: disable-error-code="misc"
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workbench.models.tree_kernel.cpu import FIRST, kept, searched
from workbench.models.tree_kernel.lanes import Num, Writer, written
from workbench.models.tree_kernel.steps import STEP, STEPS_HEADER, WAYS


class _Row:
    """A step about to be written: its fields, and where the row's registers and codes lie."""

    def __init__(self, to: Writer, words: Num, record: Num, registers: Num, codes: Num) -> None:
        self.to, self.registers, self.codes, self._words = to, registers, codes, words
        self.dst, self.src, self.count = (to.int_at(record, STEP[name]) for name in ("dst", "src", "count"))
        self.a, self.b, self.c = (to.int_at(record, STEP[name]) for name in "abc")

    def said(self, at: Num, place: Num | int = 0) -> Num:
        return self.to.float_at(self._words, at + place)

    def whole(self, at: Num, place: Num | int = 0) -> Num:
        return self.to.int_at(self._words, at + place)

    def address(self, at: Num) -> Num:
        return self._words + at * 8

    def each(self, make: Callable[[Num, Num], Num]) -> Callable[[], None]:
        """make: from x, and its number among those the step reads, to what is written."""

        def way() -> None:
            with self.to.loop(self.count) as i:
                made = make(self.to.float_at(self.registers, self.src + i), i)
                self.to.put(made, self.registers, self.dst + i)

        return way

    def at(self, i: Num) -> Num:
        """The register that the list of places names."""
        return self.to.float_at(self.registers, self.whole(self.a, i))

    def copied(self, table: Num, row: Num) -> None:
        with self.to.loop(self.count) as i:
            self.to.put(self.said(table, row * self.count + i), self.registers, self.dst + i)


def _truth(to: Writer, mask: Num) -> Num:
    return to.where(mask, to.number(1.0), 0.0)


def _bin(row: _Row, x: Num, i: Num) -> Num:
    to = row.to
    found = searched(to, row.address(row.a + i * row.c), row.c, x, to.integer(1) != 0)
    last = row.whole(row.b, i)
    return to.where(x != x, x, to.as_float(to.where(found > last, last, found)))


def _code(row: _Row) -> None:
    found = row.to.int_at(row.codes, row.src) + FIRST
    row.copied(row.a, row.to.where((found >= 0) & (found < row.b), found, 0))


def _value(row: _Row) -> None:
    to = row.to
    x = to.float_at(row.registers, row.src)
    found = searched(to, row.address(row.a), row.c, x, to.integer(0) != 0)
    found = to.where(found < row.c, found, row.c - 1)
    known = to.where(row.said(row.a, found) == x, found + 2, 0)
    row.copied(row.b, to.where(x != x, to.integer(1), known))


def _single(row: _Row, x: Num) -> Num:
    rounded = row.to.single(x)
    return row.to.where(rounded == row.said(row.b), row.to.number(float("nan")), rounded)


def _ways(row: _Row) -> dict[str, Callable[[], None]]:
    to, each, said, whole = row.to, row.each, row.said, row.to.where
    return {
        "take": each(lambda x, i: row.at(i)),
        "constant": each(lambda x, i: said(row.a, i)),
        "minus": each(lambda x, i: x - said(row.a, i)),
        "over": each(lambda x, i: x / said(row.a, i)),
        "times": each(lambda x, i: x * said(row.a, i)),
        "plus": each(lambda x, i: x + said(row.a, i)),
        "clip": each(lambda x, i: _clipped(row, x, i)),
        "above": each(lambda x, i: whole(x != x, x, _truth(to, x > said(row.a, i)))),
        "fill": each(lambda x, i: whole(x != x, said(row.a, i), x)),
        "fill-number": each(lambda x, i: whole(x == said(row.b), said(row.a, i), x)),
        "flag": each(lambda x, i: _truth(to, x != x)),
        "flag-number": each(lambda x, i: _truth(to, x == said(row.b))),
        "single": each(lambda x, i: to.single(x)),
        "single-number": each(lambda x, i: _single(row, x)),
        "code": lambda: _code(row),
        "value": lambda: _value(row),
        "bins": each(lambda x, i: _bin(row, x, i)),
        "one-of": each(lambda x, i: _one_of(row, i)),
        "product": each(lambda x, i: x * row.at(i)),
    }


def _clipped(row: _Row, x: Num, i: Num) -> Num:
    low, high = row.said(row.a, i), row.said(row.b, i)
    above = row.to.where(x < low, low, x)
    return row.to.where(above > high, high, above)


def _one_of(row: _Row, i: Num) -> Num:
    x = row.at(i)
    return row.to.where(x != x, x, _truth(row.to, x == row.said(row.b, i)))


@written("iiiiiiiii")
def _stepped(
    to: Writer,
    words: Num,
    numbers: Num,
    step: Num,
    codes: Num,
    code_step: Num,
    out: Num,
    start: Num,
    stop: Num,
    registers: Num,
) -> None:
    given, width, first, steps = (
        to.int_at(words, STEPS_HEADER[name]) for name in ("numbers", "width", "first", "steps")
    )
    with to.loop(stop, start) as row:
        with to.loop(given) as i:
            to.put(to.float_at(numbers, row * step + i), registers, i)
        with to.loop(steps) as number:
            record = words + (number * len(STEP) + len(STEPS_HEADER)) * 8
            ways = _ways(_Row(to, words, record, registers, codes + row * code_step * 8))
            to.choose(to.int_at(record, STEP["way"]), [ways[name] for name in WAYS])
        with to.loop(width) as i:
            to.put(to.float_at(registers, first + i), out, row * width + i)


@kept
def stepped(
    words: Any,
    numbers: Any,
    step: Any,
    codes: Any,
    code_step: Any,
    out: Any,
    start: Any,
    stop: Any,
    registers: Any,
) -> None:  # pragma: no cover - compiled
    """Rows start … stop through the steps.

    Addresses: words (checked), numbers float64 [n, step], codes int64 [n, code_step], out float64 [n, width],
    registers float64 [registers].
    """
    _stepped(words, numbers, step, codes, code_step, out, start, stop, registers)
