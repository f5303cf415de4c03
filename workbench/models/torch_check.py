"""Is a `.pt2` file only numbers and torch operators? Looked at before torch opens it, for torch itself runs what it
finds: it unpickles flagged weights without a list, evaluates sizes as expressions, and resolves any function by name.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from workbench.models.protocol import Refused

LARGEST = 1 << 30
"""Bytes of one JSON part of the file, at most."""

TARGETS = re.compile(
    r"torch\.ops\.(aten|prims|higher_order)\.\w+(\.\w+)?|math\.(ceil|floor|trunc|sqrt)|torch\.sym_\w+|torch\._check\w*"
    # Ours, which hold what they get against itself.
    r"|torch\.ops\.workbench\.(tree_ensemble|tree_classes|row_steps|two_classes|votes)\.default"
    r"|_operator\.(add|sub|mul|floordiv|truediv|mod|pow|neg|pos|ge|le|gt|lt|eq|ne|and_|or_|xor|getitem)"
)
WORDS = re.compile(r"[^\W\d]\w*")
_FORMS = "Symbol Integer Mul Add Pow Max Min Mod FloorDiv CleanDiv CeilDiv PythonMod Rational Float Eq Ne Lt Le Gt Ge"
_FACTS = "And Or Not Where Identity positive integer real negative nonnegative true false True False oo int_oo"
SIZES = frozenset({*_FORMS.split(), *_FACTS.split()})
"""What an expression of a size may name, besides symbols such as s0."""

FIX = "Export the model again with torch.export.save from a source you trust"


def refuse_code(path: Path, inner: io.BytesIO | None = None) -> None:
    """Raises Refused if the file holds, or would make torch run, anything but plain tensors and torch operators.

    inner: what to look at, if it is not the whole file.
    """
    with zipfile.ZipFile(inner or path) as archive:
        for member in archive.infolist():
            name = PurePosixPath(member.filename)
            if name.suffix in (".so", ".cpp", ".cu", ".cubin", ".py") or name.name.startswith(("custom_obj", "opaque")):
                raise _refused(path, f"it holds {name}, which is code or an object only its maker's code can read")
            if name.suffix == ".json" and name.parent.name in ("models", "weights", "constants"):
                if member.file_size > LARGEST:
                    raise _refused(path, f"{name} would unpack to {member.file_size:,} bytes")
                _look(path, archive, name, json.loads(archive.read(member)))
            elif name.suffix == ".pt":
                _hold_pickle(path, archive, str(name))


def _look(path: Path, archive: zipfile.ZipFile, name: PurePosixPath, said: Any) -> None:
    for part in _objects(said):
        called, size = part.get("target"), part.get("expr_str")
        if called is not None and "inputs" in part and not TARGETS.fullmatch(str(called)):
            raise _refused(path, f"its graph calls {str(called)[:80]!r}, which is no torch operator")
        if size is not None and not _is_size(str(size)):
            raise _refused(path, f"it gives {str(size)[:80]!r} as a size")
        if part.get("use_pickle"):
            _hold_pickle(path, archive, str(name.parent / str(part["path_name"])))


def _objects(said: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object at any depth."""
    stack = [said]
    while stack:
        part = stack.pop()
        if isinstance(part, dict):
            yield part
            stack.extend(part.values())
        elif isinstance(part, list):
            stack.extend(part)


def _is_size(text: str) -> bool:
    """Symbols, whole numbers and arithmetic: torch evaluates this text."""
    plain = re.sub(r"'([A-Za-z]\w{0,20})'", r"\1", text)
    words = WORDS.findall(plain)
    return re.fullmatch(r"[\w\s+\-*/%(),=<>.]*", plain) is not None and all(
        word in SIZES or re.fullmatch(r"[suzf]+\d+", word) for word in words
    )


def _hold_pickle(path: Path, archive: zipfile.ZipFile, name: str) -> None:
    """A pickled part must load under torch's own list; what loads there runs no code without it either."""
    import torch

    try:
        torch.load(io.BytesIO(archive.read(name)), weights_only=True, map_location="cpu")
    except Exception as error:
        raise _refused(path, f"its part {name} is a pickle that asks for more than tensors") from error


def _refused(path: Path, why: str) -> Refused:
    return Refused(f"{path.name} is not opened: {why}. {FIX}")
