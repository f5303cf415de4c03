"""Ways to damage a file: by its bytes, and by the structure of its format, so that damage gets past first checks."""

from __future__ import annotations

import copy
import io
import json
import pickletools
import random
import re
import struct
import zipfile
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import numpy as np

ODD_NUMBERS = (
    *("-1", "0", "1", "2147483647", "2147483648", "-2147483648", "4294967296", "9223372036854775808", "1e308", "1e999"),
    *("nan", "-inf", "Infinity", "0.5", "1e-320", "65536", "99999", "", "x", "-0.0", "3", "007", "1_000", "½", "１"),
)
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 2**31, 2**63, 1e308, float("nan"), float("inf"), "", "x", "-1", "1e999", [], {}, [[]]),
    *([0], [-1], ["x"], {"name": "x"}, "[1,2]", 65536, 0.5, [1, 2, 3], "99999999999"),
)
WORDS = (0, 1, 2, -1, 127, 255, 1 << 16, 1 << 24, (1 << 31) - 1, -(1 << 31), 0x7FC00000, 0x7F800000)


def damage(data: bytes, form: str, chance: random.Random) -> bytes:
    """One to four accidents, most of them to the structure of the form."""
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4))):
        by_form = FORMS.get(form) if chance.random() < 0.75 else None
        try:
            data = (by_form or by_bytes)(data, chance)
        except Exception:
            # What is damaged already may have lost its structure.
            data = by_bytes(data, chance)
    return data


def by_bytes(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    kind = chance.randrange(6)
    if kind == 0:
        return data[:at] or data
    if kind == 1:
        return data[:at] + chance.randbytes(chance.randrange(1, 9)) + data[at:]
    if kind == 2:
        part = chance.choice((b"\xff" * 4, b"\x00" * 8, b"\xff\xff\xff\x7f", chance.randbytes(4)))
        return data[:at] + part + data[at + len(part) :]
    if kind == 3:
        return data[:at] + data[at + chance.choice((1, 4, 8, 64, 1000)) :]
    if kind == 4:
        return data[:at] + data[max(0, at - chance.choice((1, 8, 200))) :]
    flipped = bytearray(data)
    if flipped:
        flipped[at % len(flipped)] ^= 1 << chance.randrange(8)
    return bytes(flipped)


def by_text(data: bytes, chance: random.Random) -> bytes:
    """Lines dropped, doubled and swapped; numbers exchanged for odd ones."""
    text, kind = data.decode(), chance.randrange(6)
    if kind < 3:
        numbers = list(re.finditer(r"-?\d+(\.\d+)?(e-?\d+)?", text))
        one = chance.choice(numbers)
        return (text[: one.start()] + chance.choice(ODD_NUMBERS) + text[one.end() :]).encode()
    lines = text.split("\n")
    at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    if kind == 3:
        del lines[at]
    elif kind == 4:
        lines.insert(other, lines[at])
    else:
        lines[at], lines[other] = lines[other], lines[at]
    return "\n".join(lines).encode()


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [path] if path else []
    for key, part in list(below)[:300]:
        found += _places(part, (*path, key))
    return found


def changed(document: Any, chance: random.Random) -> Any:
    """A JSON value with one part dropped, doubled, moved or odd."""
    document = copy.deepcopy(document)
    places = _places(document)
    # A place near the root is as likely as one deep down, where most are.
    depth = chance.randrange(1, 1 + max(len(path) for path in places))
    path = chance.choice([path for path in places if len(path) == depth])
    holder = document
    for key in path[:-1]:
        holder = holder[key]
    kind = chance.randrange(4)
    if kind == 0:
        del holder[path[-1]]
    elif kind == 1 and isinstance(holder, list):
        holder.insert(chance.randrange(len(holder) + 1), copy.deepcopy(holder[path[-1]]))
    elif kind == 2:
        other = document
        for key in chance.choice(places):
            other = other[key]
        holder[path[-1]] = copy.deepcopy(other)
    else:
        holder[path[-1]] = chance.choice(ODD_VALUES)
    return document


def by_json(data: bytes, chance: random.Random) -> bytes:
    return json.dumps(changed(json.loads(data), chance)).encode()


def by_ubj(data: bytes, chance: random.Random) -> bytes:
    from workbench.models import ubj

    return ubjson(changed(_plain(ubj.loads(data)), chance))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [_plain(part) for part in value] if isinstance(value, list) else value


def ubjson(value: Any) -> bytes:
    """A value as UBJSON, arrays untyped."""
    if value is None or isinstance(value, bool):
        return {None: b"Z", True: b"T", False: b"F"}[value]
    if isinstance(value, int):
        return b"L" + struct.pack(">q", max(-(2**63), min(2**63 - 1, value)))
    if isinstance(value, float):
        return b"D" + struct.pack(">d", value)
    if isinstance(value, str):
        return b"S" + _name(value)
    if isinstance(value, list):
        return b"[" + b"".join(map(ubjson, value)) + b"]"
    return b"{" + b"".join(_name(name) + ubjson(part) for name, part in value.items()) + b"}"


def _name(text: str) -> bytes:
    return b"L" + struct.pack(">q", len(text.encode())) + text.encode()


def by_words(data: bytes, chance: random.Random) -> bytes:
    """A 32-bit field of a binary struct made odd, most often one near the start."""
    at = 4 * int((len(data) // 4) * chance.random() ** chance.choice((1, 4)))
    return data[:at] + struct.pack("<I", chance.choice(WORDS) & 0xFFFFFFFF) + data[at + 4 :]


def by_xml(data: bytes, chance: random.Random) -> bytes:
    """Attributes made odd, dropped or moved; elements dropped, doubled, moved or renamed."""
    root = ElementTree.fromstring(data)
    elements = list(root.iter())
    one, other = chance.choice(elements), chance.choice(elements)
    kind = chance.randrange(8)
    names = sorted(one.attrib)
    if kind < 4 and names:
        name = chance.choice(names)
        values = [*ODD_NUMBERS, *other.attrib.values()]
        if kind == 3:
            del one.attrib[name]
        else:
            one.attrib[name] = chance.choice(values)
    elif kind == 4 and len(one):
        one.remove(chance.choice(list(one)))
    elif kind == 5:
        one.append(copy.deepcopy(other))
    elif kind == 6:
        one.tag = other.tag
    else:
        one.text = chance.choice([*ODD_NUMBERS, other.text or ""])
    return ElementTree.tostring(root)


def by_zip(data: bytes, chance: random.Random) -> bytes:
    """One member damaged in its own form, dropped, doubled or renamed."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    at, kind = chance.randrange(len(members)), chance.randrange(8)
    name, part = members[at]
    if kind == 0:
        del members[at]
    elif kind == 1:
        members.append((chance.choice(("../x", "/x", name + "x", "data.pkl")), part))
    else:
        form = next((form for end, form in MEMBERS.items() if name.endswith(end)), "")
        members[at] = (name, damage(part, form, chance))
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, part in members:
            archive.writestr(name, part)
    return sink.getvalue()


def by_opcodes(data: bytes, chance: random.Random) -> bytes:
    """Opcodes of a pickle dropped, doubled, swapped, or put in."""
    starts = [place for _, _, place in pickletools.genops(data) if place is not None]
    parts = [data[start:end] for start, end in zip(starts, [*starts[1:], len(data)])]
    at, other, kind = chance.randrange(len(parts)), chance.randrange(len(parts)), chance.randrange(4)
    if kind == 0:
        del parts[at]
    elif kind == 1:
        parts.insert(other, parts[at])
    elif kind == 2:
        parts[at], parts[other] = parts[other], parts[at]
    else:
        parts.insert(at, chance.choice(OPCODES))
    return b"".join(parts)


OPCODES = (
    *(b"R", b"b", b"o", b"\x81", b"\x92", b"\x93", b"0", b"1", b"2", b"(", b"t", b"d", b"l", b"}", b"]", b"e", b"u"),
    *(b"a", b"s", b"N", b"cos\nsystem\n", b"h\x00", b"j\xff\xff\xff\x7f", b"\x94", b"q\x00", b"Q", b"Pabc\n", b"\x97"),
    *(b"I7\n", b"K\x01", b"\x8f", b"\x90", b"\x91", b"\x82\x01", b"\x95\xff\xff\xff\xff\xff\xff\xff\x7f", b"X\xff\xff"),
)


def by_onnx(data: bytes, chance: random.Random) -> bytes:
    """A node's attribute made odd, shorter or gone; nodes dropped, doubled or rewired."""
    import onnx

    model = onnx.ModelProto.FromString(data)
    graph = model.graph
    node = chance.choice(list(graph.node))
    kind = chance.randrange(7)
    if kind < 4 and node.attribute:
        attribute = chance.choice(list(node.attribute))
        _attribute(attribute, kind, chance)
        if kind == 3:
            node.attribute.remove(attribute)
    elif kind == 4:
        graph.node.remove(node)
    elif kind == 5:
        graph.node.add().CopyFrom(node)
    else:
        names = [name for one in graph.node for name in (*one.input, *one.output)]
        side = chance.choice((node.input, node.output))
        side[chance.randrange(len(side))] = chance.choice(names)
    return bytes(model.SerializeToString())


def _attribute(attribute: Any, kind: int, chance: random.Random) -> None:
    numbers = attribute.ints if attribute.ints else attribute.floats
    odd = (-1, 0, 1, 2**31, 99999) if attribute.ints else (float("nan"), float("inf"), -1.0, 0.0, 1e38)
    if len(numbers) and kind < 2:
        numbers[chance.randrange(len(numbers))] = chance.choice(odd)
    elif len(numbers):
        del numbers[chance.randrange(len(numbers)) :]
    elif attribute.strings:
        attribute.strings[chance.randrange(len(attribute.strings))] = chance.choice(
            (b"", b"LEAF", b"\xff", b"BRANCH_EQ")
        )
    else:
        attribute.i, attribute.s = chance.choice((-1, 0, 2**40)), chance.choice((b"", b"\xff", b"MAX"))


FORMS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "text": by_text,
    "json": by_json,
    "ubj": by_ubj,
    "words": by_words,
    "xml": by_xml,
    "zip": by_zip,
    "pickle": by_opcodes,
    "onnx": by_onnx,
}
MEMBERS = {".json": "json", ".pkl": "pickle", ".onnx": "onnx"}
