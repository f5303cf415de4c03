"""What happens to a row before trees or a link, as one array of int64 words: so one compiled kernel runs all of it.

A row has *registers*, float64: its numbers first, then whatever the steps make of them. A step reads registers from
`src` on, one after the other (or those that a list of places names), and writes `count` registers from `dst` on.
Every step is the IEEE operation that torch and the source library do, in the same order.

Words, from the start: `STEPS_HEADER` (name → place), the steps [S, STEP], then constants; a step's a, b and c are
places of constants among all words, or sizes (see `WAYS`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.models.protocol import Refused

Ints = NDArray[np.int64]

MAGIC = 0x31_5045_5453_4257
"""The letters WBSTEP1."""

_NAMES = "magic words steps registers numbers codes first width"
STEPS_HEADER = {name: place for place, name in enumerate(_NAMES.split())}
"""registers: how many there are. numbers, codes: how many a row brings. first, width: where the answer lies then."""

STEP = {name: place for place, name in enumerate(["way", "dst", "src", "count", "a", "b", "c"])}

WAYS = (
    "take",  # a: places [count] of registers
    "constant",  # a: values [count]
    "minus",  # a: what is taken off [count]
    "over",  # a: what is divided by [count]
    "times",  # a: factors [count]
    "plus",  # a: what is added [count]
    "clip",  # a, b: lowest, highest [count]
    "above",  # a: thresholds [count]; NaN stays
    "fill",  # a: values [count] for NaN
    "fill-number",  # a: values [count] for the number at b
    "flag",  # 1 for NaN, else 0
    "flag-number",  # 1 for the number at b, else 0
    "single",  # rounded to float32
    "single-number",  # the same; the number at b becomes NaN
    "code",  # src: which code; a: table [b, count], row 0 for a code below -3 or beyond it
    "value",  # src: which register; a: values [c] sorted; b: table [c + 2, count], rows 0 and 1: unknown, NaN
    "bins",  # a: edges [count, c] sorted; b: the highest bin [count]; NaN stays
    "one-of",  # a: places [count] of registers; b: the value each is held against; NaN stays
    "product",  # a: places [count] of registers that are multiplied by
)
NUMBERED = {name: place for place, name in enumerate(WAYS)}


class Steps:
    """Words in the making. The numbers of a row are the registers 0 … numbers - 1."""

    def __init__(self, numbers: int, codes: int) -> None:
        self.numbers, self.codes, self.registers = numbers, codes, numbers
        self._steps: list[tuple[int, int, int, int, Any, Any, Any]] = []

    def add(self, way: str, src: int, count: int, a: Any = 0, b: Any = 0, c: int = 0) -> list[int]:
        """The registers written. a, b: arrays become constants, whole numbers stay."""
        dst, self.registers = self.registers, self.registers + count
        self._steps.append((NUMBERED[way], dst, src, count, a, b, c))
        return list(range(dst, dst + count))

    def row(self, places: Sequence[int]) -> int:
        """Where these registers lie side by side; they are moved if they do not."""
        if list(places) == list(range(places[0], places[0] + len(places))):
            return places[0]
        return self.add("take", 0, len(places), np.array(places, dtype=np.int64))[0]

    def words(self, places: Sequence[int]) -> Ints:
        """The program whose answer is these registers, at least one."""
        first = self.row(places)
        at = len(STEPS_HEADER) + len(STEP) * len(self._steps)
        records, constants = [], []
        for *start, a, b, c in self._steps:
            found = []
            for given in (a, b):
                if isinstance(given, np.ndarray):
                    constants.append(_as_words(given))
                    found.append(at)
                    at += given.size
                else:
                    found.append(int(given))
            records.append([*start, *found, c])
        head = {"magic": MAGIC, "words": at, "steps": len(records), "registers": self.registers}
        head |= {"numbers": self.numbers, "codes": self.codes, "first": first, "width": len(places)}
        parts = [np.array([head[name] for name in STEPS_HEADER]), np.array(records).reshape(-1), *constants]
        return np.concatenate([part.astype(np.int64, copy=False) for part in parts])


def _as_words(array: NDArray[Any]) -> Ints:
    flat = np.ascontiguousarray(array).reshape(-1)
    return flat.view(np.int64) if flat.dtype == np.float64 else flat.astype(np.int64)


def check(words: Ints) -> tuple[int, int, int]:
    """(numbers, codes) the steps read and how many registers they answer with.

    Raises Refused where a step reads or writes outside its words and registers.
    """
    if words.ndim != 1 or len(words) < len(STEPS_HEADER) or words[0] != MAGIC or words[1] != len(words):
        raise Refused("the steps before the model are not ones this version writes: make the candidate anew")
    head = {name: int(words[place]) for name, place in STEPS_HEADER.items()}
    _require(0 < head["registers"] <= 1 << 20 and min(head.values()) >= 0, "a size out of range")
    _require(head["numbers"] <= head["registers"], "more numbers than registers")
    _require(head["width"] > 0 and head["first"] + head["width"] <= head["registers"], "an answer out of range")
    start, stop = len(STEPS_HEADER), len(STEPS_HEADER) + head["steps"] * len(STEP)
    _require(stop <= len(words), "steps that are not there")
    for record in words[start:stop].reshape(-1, len(STEP)).tolist():
        _check_step(dict(zip(STEP, record)), head, words)
    return head["numbers"], head["codes"], head["width"]


def _require(held: bool, what: str) -> None:
    if not held:
        raise Refused(f"the steps before the model have {what}: they were changed; make the candidate anew")


def _check_step(said: dict[str, int], head: dict[str, int], words: Ints) -> None:
    inside = said["way"] < len(WAYS) and min(said.values()) >= 0 and max(said.values()) < 1 << 40
    _require(inside and 0 < said["count"] <= head["registers"], "a way that is not known")
    _require(said["dst"] + said["count"] <= head["registers"], "a step that writes out of range")
    reads, constants, places = _NEEDS[WAYS[said["way"]]](said)
    of = head["codes"] if WAYS[said["way"]] == "code" else head["registers"]
    _require(reads > 0 and said["src"] + reads <= of, "a step that reads out of range")
    for at, length in constants:
        _require(length > 0 and at + length <= len(words), "a constant out of range")
    for at in places:
        found = words[at : at + said["count"]]
        _require(bool(((found >= 0) & (found < head["registers"])).all()), "a place out of range")


_Needs = tuple[int, list[tuple[int, int]], list[int]]


def _each(*names: str) -> Callable[[dict[str, int]], _Needs]:
    """As many registers as it writes, and a constant for each of them."""
    return lambda said: (said["count"], [(said[name], said["count"]) for name in names], [])


def _placed(said: dict[str, int]) -> _Needs:
    return said["count"], [(said["a"], said["count"])], [said["a"]]


_NEEDS: dict[str, Callable[[dict[str, int]], _Needs]] = {
    **dict.fromkeys(("minus", "over", "times", "plus", "above", "fill"), _each("a")),
    **dict.fromkeys(("flag", "single"), _each()),
    "clip": _each("a", "b"),
    "fill-number": lambda s: (s["count"], [(s["a"], s["count"]), (s["b"], 1)], []),
    "flag-number": lambda s: (s["count"], [(s["b"], 1)], []),
    "single-number": lambda s: (s["count"], [(s["b"], 1)], []),
    "constant": lambda s: (1, [(s["a"], s["count"])], []),
    "take": lambda s: (1, [(s["a"], s["count"])], [s["a"]]),
    "one-of": lambda s: (1, [(s["a"], s["count"]), (s["b"], s["count"])], [s["a"]]),
    "product": _placed,
    "code": lambda s: (1, [(s["a"], s["b"] * s["count"])], []),
    "value": lambda s: (1, [(s["a"], s["c"]), (s["b"], (s["c"] + 2) * s["count"])], []),
    "bins": lambda s: (s["count"], [(s["a"], s["count"] * s["c"]), (s["b"], s["count"])], []),
}
"""Of a step: how many registers it reads from src on, its constants (place, length), its lists of places."""


def constants(words: Ints) -> NDArray[np.float64]:
    """What of the constants are numbers of ordinary size: near them the steps change their answer."""
    start = len(STEPS_HEADER) + int(words[STEPS_HEADER["steps"]]) * len(STEP)
    found: NDArray[np.float64] = words[start:].view(np.float64)
    ordinary: NDArray[np.float64] = found[np.isfinite(found) & ((np.abs(found) > 1e-300) | (found == 0))]
    return ordinary
