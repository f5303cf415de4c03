"""What a pickle would do, found without doing it.

The opcodes are walked (`pickletools.genops`) by a machine that only moves symbols: nothing is imported, called or
built. Every global the file asks for must be on the exact list in `allowed.json`; what the walk cannot resolve is
refused. The model host's unpickler holds the same list again when it loads.
"""

from __future__ import annotations

import io
import json
import pickletools
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Any

from workbench.models.protocol import ModelError, Refused
from workbench.models.sniff import packed, unpacked
from workbench.models.stamps import booster_version

LIST = Path(__file__).with_name("allowed.json")
WRAPPER = ("joblib.numpy_pickle", "NumpyArrayWrapper")
WRAPPERS = (WRAPPER, ("sklearn.externals.joblib.numpy_pickle", "NumpyArrayWrapper"))
"""What announces bytes that follow in the file. The second is the joblib inside scikit-learn before 0.23."""

NESTED = 20

PLAIN_TYPES = frozenset(
    {"NoneType", "bool", "bytes", "complex", "dict", "float", "int", "list", "object", "set", "str", "tuple"}
)
"""What dill's `_load_type` may name."""

Name = tuple[str, str]


@cache
def allowed() -> frozenset[Name]:
    """(module, name) of everything a model pickle may ask for."""
    groups = json.loads(LIST.read_text(encoding="utf-8"))["allowed"]
    return frozenset((module, name) for module, names in groups.items() for name in names)


@dataclass
class Found:
    """What a pickle asks for. versions: of the libraries that wrote it, as far as the file says them."""

    names: set[Name] = field(default_factory=set)
    versions: dict[str, str] = field(default_factory=dict)


def inspect(path: Path) -> Found:
    """All globals in a pickle, also behind compression and inside joblib's arrays.

    Raises Refused naming what is not on the list, what cannot be resolved, or a file that grows like a zip bomb.
    Nothing of the file is run or imported.
    """
    found, broken = survey(path)
    if broken:
        raise _refused(path, found, broken)
    return found


def survey(path: Path) -> tuple[Found, str]:
    """What a pickle asks for, and why it must not be loaded, "" where it may be.

    Raises Refused for a file that grows like a zip bomb, ModelError for one that cannot be unpacked.
    """
    with path.open("rb") as file:
        packing = packed(file.read(16))
    found, broken = Found(), ""
    with unpacked(path, packing) as stream:
        try:
            walk(stream, found)
        except (ModelError, RecursionError) as error:
            broken = str(error)
        except Exception as error:
            broken = f"it is no whole pickle ({error})"
    off = sorted(found.names - allowed())
    if off:
        broken = f"it asks for {_listed(off)}, not on the list of what a model may load"
    return found, broken


def globals_in_zip(path: Path) -> set[Name]:
    """All globals of the pickles in a zip, as far as they can be read."""
    found = Found()
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.filename.endswith(".pkl"):
                with archive.open(info) as file:
                    try:
                        walk(io.BytesIO(file.read(64 << 20)), found)
                    except (ModelError, ValueError):
                        continue
    return found.names


def _listed(names: list[Name]) -> str:
    shown = ", ".join(f"{module}.{name}" for module, name in names[:6])
    return shown + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _refused(path: Path, found: Found, reason: str) -> Refused:
    version = found.versions.get("scikit-learn")
    writer = f" written by scikit-learn {version}" if version else ""
    return Refused(
        f"{path.name} is a pickle{writer} and is not opened: {reason}. Nothing of it was run. If you trust its source, "
        "open it in the environment it was made in and save the plain estimator there with joblib.dump or as ONNX, or "
        "let a named person vouch for this very file under `trust` in migration.yaml; else train the model again"
    )


@dataclass(frozen=True)
class _Global:
    name: Name


class _Unknown:
    """A value the walk does not follow."""


@dataclass
class _Made:
    """What calling a global would give. state: what BUILD would set."""

    function: Any
    arguments: Any
    state: Any = None


MARK = object()
UNKNOWN = _Unknown()
TEXTS = {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING"}
VALUES = TEXTS | {"BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4"}
FIXED = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
REFUSED = {
    "EXT1": "an extension code",
    "EXT2": "an extension code",
    "EXT4": "an extension code",
    "PERSID": "a persistent id",
    "BINPERSID": "a persistent id",
    "NEXT_BUFFER": "a buffer outside the file",
}


class _Forward:
    """A stream that only reads on: asked for its place, a compressed one would have to seek."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.read, self.readline = stream.read, stream.readline


class _Walk:
    """One pass over one pickle: a stack and a memo of symbols."""

    def __init__(self, stream: IO[bytes], found: Found, depth: int) -> None:
        self.stream, self.found, self.depth = stream, found, depth
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> None:
        for opcode, argument, _ in pickletools.genops(_Forward(self.stream)):  # type: ignore[arg-type]
            name = opcode.name
            if name in REFUSED:
                raise Refused(f"it uses {REFUSED[name]}, which no model file needs")
            self.step(name, argument, opcode)

    def step(self, name: str, argument: Any, opcode: Any) -> None:
        special = getattr(self, f"on_{name.lower()}", None)
        if special is not None:
            special(argument)
        elif name in VALUES:
            self.stack.append(argument)
        elif name in FIXED:
            self.stack.append(FIXED[name])
        else:
            self.by_effect(opcode)

    def by_effect(self, opcode: Any) -> None:
        """Any other opcode: take from the stack what it says it takes, and put unknowns for what it gives."""
        before = list(opcode.stack_before)
        if pickletools.stackslice in before:
            self.to_mark()
            before = before[: before.index(pickletools.markobject)]
        for _ in before:
            self.pop()
        for given in opcode.stack_after:
            self.stack.append(MARK if given is pickletools.markobject else UNKNOWN)

    def pop(self) -> Any:
        if not self.stack:
            raise Refused("its opcodes take more than there is: the file is damaged, or made to break its reader")
        return self.stack.pop()

    def to_mark(self) -> list[Any]:
        items = []
        while (item := self.pop()) is not MARK:
            items.append(item)
        return items[::-1]

    def ask(self, module: Any, name: Any) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise Refused("it asks for a global whose name only comes about while it runs")
        self.found.names.add((module, name))
        self.stack.append(_Global((module, name)))

    def on_global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self.ask(module, name)

    def on_stack_global(self, _: None) -> None:
        name, module = self.pop(), self.pop()
        self.ask(module, name)

    def on_inst(self, argument: str) -> None:
        items = self.to_mark()
        self.on_global(argument)
        self.stack.append(_Made(self.pop(), items))

    def on_obj(self, _: None) -> None:
        first, *rest = self.to_mark() or [UNKNOWN]
        self.stack.append(_Made(self.callable(first), rest))

    def on_reduce(self, _: None) -> None:
        arguments, function = self.pop(), self.pop()
        made = _Made(self.callable(function), arguments)
        name = made.function.name[1]
        if name == "_load_type":
            self.hold_type(arguments)
        if name == "_ufunc_reconstruct":
            # It imports what its arguments name: that is one more global.
            module, ufunc = arguments if isinstance(arguments, tuple) and len(arguments) == 2 else (None, None)
            self.ask("numpy" if str(module).split(".")[0] == "numpy" else module, ufunc)
            return
        self.stack.append(made)

    def hold_type(self, arguments: Any) -> None:
        if not (isinstance(arguments, tuple) and len(arguments) == 1 and str(arguments[0]) in PLAIN_TYPES):
            raise Refused(f"it asks dill for the type {str(arguments)[:80]}, and only plain types may be")

    def on_newobj(self, _: None) -> None:
        self.on_reduce(None)

    def on_newobj_ex(self, _: None) -> None:
        self.pop()
        self.on_reduce(None)

    def callable(self, value: Any) -> Any:
        if not isinstance(value, _Global):
            raise Refused("it calls something that is no named global")
        return value

    def on_build(self, _: None) -> None:
        state, target = self.pop(), self.pop()
        if isinstance(state, dict):
            self.versions(state)
            if isinstance(target, _Made):
                handle = state.get("handle")
                data = handle.arguments[0] if isinstance(handle, _Made) and handle.arguments else handle
                self.found.versions |= booster_version(_name(target.function), data)
        if isinstance(target, _Made):
            target.state = state
            if _name(target.function) in WRAPPERS:
                self.skip_array(state)
        self.stack.append(target)

    def versions(self, state: dict[Any, Any]) -> None:
        version = state.get("_sklearn_version")
        if isinstance(version, str):
            self.found.versions["scikit-learn"] = version

    def skip_array(self, state: Any) -> None:
        """joblib puts an array's bytes, or for objects another pickle, right after the opcode that announces it."""
        size, objects = array_size(state)
        if objects:
            walk(self.stream, self.found, self.depth + 1)
            return
        if isinstance(state, dict) and state.get("numpy_array_alignment_bytes") is not None:
            padding = self.stream.read(1)
            size += padding[0] if padding else 0
        for start in range(0, size, 1 << 20):
            if not self.stream.read(min(1 << 20, size - start)):
                raise ModelError("it ends in the middle of an array: the file was cut short")

    def on_mark(self, _: None) -> None:
        self.stack.append(MARK)

    def on_pop(self, _: None) -> None:
        self.pop()

    def on_pop_mark(self, _: None) -> None:
        self.to_mark()

    def on_dup(self, _: None) -> None:
        item = self.pop()
        self.stack += [item, item]

    def on_memoize(self, _: None) -> None:
        self.memo[len(self.memo)] = self.top()

    def on_put(self, argument: int) -> None:
        self.memo[int(argument)] = self.top()

    on_binput = on_long_binput = on_put

    def on_get(self, argument: int) -> None:
        if int(argument) not in self.memo:
            raise Refused("it takes from its memo what it never put there")
        self.stack.append(self.memo[int(argument)])

    on_binget = on_long_binget = on_get

    def top(self) -> Any:
        item = self.pop()
        self.stack.append(item)
        return item

    def on_empty_tuple(self, _: None) -> None:
        self.stack.append(())

    def on_tuple(self, _: None) -> None:
        self.stack.append(tuple(self.to_mark()))

    def on_tuple1(self, _: None) -> None:
        self.stack.append((self.pop(),))

    def on_tuple2(self, _: None) -> None:
        second = self.pop()
        self.stack.append((self.pop(), second))

    def on_tuple3(self, _: None) -> None:
        third, second = self.pop(), self.pop()
        self.stack.append((self.pop(), second, third))

    def on_empty_dict(self, _: None) -> None:
        self.stack.append({})

    def on_dict(self, _: None) -> None:
        self.stack.append(dict(_pairs(self.to_mark())))

    def on_setitem(self, _: None) -> None:
        value, key = self.pop(), self.pop()
        self.update([key, value])

    def on_setitems(self, _: None) -> None:
        self.update(self.to_mark())

    def update(self, items: list[Any]) -> None:
        target = self.top()
        if isinstance(target, dict):
            target.update(_pairs(items))

    def on_bytes(self, argument: Any) -> None:
        self.stack.append(argument)

    on_short_binbytes = on_binbytes = on_binbytes8 = on_bytearray8 = on_bytes


def _pairs(items: list[Any]) -> Iterator[tuple[Any, Any]]:
    for key, value in zip(items[::2], items[1::2]):
        if isinstance(key, str | int | bool):
            yield key, value


def _name(function: Any) -> Name | None:
    return function.name if isinstance(function, _Global) else None


def walk(stream: IO[bytes], found: Found, depth: int = 0) -> None:
    """Collect into `found` what the pickle at the stream's position asks for; the stream ends up behind it.

    Raises Refused for opcodes no model needs, and for what cannot be resolved.
    """
    if depth > NESTED:
        raise Refused(f"it nests pickles deeper than {NESTED}")
    _Walk(stream, found, depth).run()


def array_size(state: Any) -> tuple[int, bool]:
    """(bytes, holds objects) of the array a joblib wrapper's state announces.

    Raises Refused where the state does not say it plainly.
    """
    try:
        shape, dtype = state["shape"], state["dtype"]
        code = dtype.arguments[0]
        count = 1
        for length in shape:
            count *= int(length)
        match = re.fullmatch(r"[<>=|]?([a-zA-Z])(\d+)", code)
        if count < 0 or match is None or _name(dtype.function) != ("numpy", "dtype"):
            raise ValueError(code)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        raise Refused("it announces an array without saying how large it is") from None
    kind, width = match[1], int(match[2])
    return count * width * (4 if kind == "U" else 1), kind == "O"
