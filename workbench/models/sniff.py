"""What a model file is, by its first bytes and never by its name."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, cast

from workbench.models.protocol import ModelError, Refused
from workbench.models.xgboost_old import is_old

Format = Literal["pickle", "skops", "xgboost", "lightgbm", "catboost", "onnx", "torch", "pmml"]

HEAD = 4096
LARGEST = 8 << 30
"""Bytes a file, or what it unpacks to, may have."""
DENSEST = 1000
"""How many times its own size a compressed file may unpack to, beyond FREE bytes: zip bombs are denser."""
FREE = 64 << 20


@dataclass(frozen=True)
class Sniffed:
    """format: the reader to use. packing: how the file is compressed, "" for not at all."""

    format: Format
    packing: str = ""


def sniff(path: Path) -> Sniffed:
    """What the file holds.

    Raises ModelError saying what it is and what to do instead, where no reader takes it.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head:
        raise ModelError(f"{path.name} is empty: copy it again from its source")
    if path.stat().st_size > LARGEST:
        raise Refused(f"{path.name} is larger than {LARGEST >> 30} GiB, more than a model file may be")
    if is_old(head):
        # Before all others: the first bytes are a number, and may look like anything.
        return Sniffed("xgboost")
    packing = packed(head)
    if packing:
        with unpacked(path, packing) as stream:
            head = stream.read(HEAD)
    if looks_pickled(head):
        return Sniffed("pickle", packing)
    if packing:
        raise ModelError(
            f"{path.name} is compressed ({packing}) and holds no pickle: unpack it, and give what is in it"
        )
    return Sniffed(_zip(path) if head.startswith(b"PK\x03\x04") else _plain_file(path.name, head))


PACKINGS = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
    b"]\x00\x00": "lzma",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x28\xb5\x2f\xfd": "zstd",
}


def packed(head: bytes) -> str:
    """The name of the compression the bytes start with, "" for none."""
    found = next((name for start, name in PACKINGS.items() if head.startswith(start)), "")
    # zlib: RFC 1950, method 8 and a header divisible by 31.
    if not found and len(head) > 1 and head[0] == 0x78 and (head[0] * 256 + head[1]) % 31 == 0:
        return "zlib"
    return found


def unpacked(path: Path, packing: str) -> IO[bytes]:
    """A stream of the file's content, which raises Refused where it grows like a zip bomb.

    Raises ModelError for a compression that cannot be read here.
    """
    if packing == "":
        return path.open("rb")
    openers: dict[str, Callable[[Path], Any]] = {"gzip": gzip.open, "bz2": bz2.open, "xz": lzma.open, "lzma": lzma.open}
    if packing == "zlib":
        inner: Any = _Zlib(path)
    elif packing in openers:
        inner = openers[packing](path)
    elif packing == "lz4":
        inner = _lz4(path)
    else:
        raise ModelError(f"{path.name} is compressed with {packing}: unpack it, and give what is in it")
    return cast("IO[bytes]", io.BufferedReader(_Bounded(inner, path)))


def _lz4(path: Path) -> Any:
    try:
        import lz4.frame  # type: ignore[import-not-found]
    except ImportError:
        raise ModelError(f"{path.name} is compressed with lz4: install the package lz4, or unpack it") from None
    return lz4.frame.open(path)


class _Zlib(io.RawIOBase):
    """A zlib stream as a file."""

    def __init__(self, path: Path) -> None:
        self.file, self.decoder, self.rest = path.open("rb"), zlib.decompressobj(), b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while not self.rest and not self.decoder.eof:
            chunk = self.decoder.unconsumed_tail or self.file.read(1 << 16)
            if not chunk:
                raise EOFError("the compressed data ends too early")
            self.rest = self.decoder.decompress(chunk, 1 << 20)
        size = len(self.rest) if size < 0 else size
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken

    def close(self) -> None:
        self.file.close()
        super().close()


class _Bounded(io.RawIOBase):
    """Counts what comes out of a compressed file, and stops a zip bomb."""

    def __init__(self, inner: Any, path: Path) -> None:
        self.inner, self.path, self.count = inner, path, 0
        self.most = min(LARGEST, max(FREE, DENSEST * path.stat().st_size))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self.inner.read(min(len(buffer), 1 << 20))
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise ModelError(f"{self.path.name} cannot be unpacked ({error}): it was cut short or changed") from error
        self.count += len(data)
        if self.count > self.most:
            raise Refused(
                f"{self.path.name} unpacks to more than {self.most >> 20} MiB from {self.path.stat().st_size} bytes: "
                "that is a zip bomb, not a model. Nothing of it was loaded"
            )
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self.inner.close()
        super().close()


def looks_pickled(head: bytes) -> bool:
    """Protocols 2 to 5 say so in their first byte; 0 and 1 are recognised by their first opcodes."""
    if head[:1] == b"\x80" and len(head) > 1 and head[1] <= 5:
        return True
    # c: a global, (: a mark, ]})l: an empty container. A text file starting like that is unlikely, and is only walked.
    if head[:1] == b"c":
        return head.count(b"\n") >= 2 and head[1:60].split(b"\n")[0].replace(b"_", b"a").replace(b".", b"a").isalnum()
    return head[:2] in (b"(c", b"(i", b"(d", b"(l", b"}q", b"]q", b"((", b"(]") or head[:3] in (b"(S'", b"(I1")


def _plain_file(name: str, head: bytes) -> Format:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(b"CBM1"):
        return "catboost"
    if text.startswith((b"tree\n", b"tree\r\n")):
        return "lightgbm"
    if head[:1] == b"{" and head[1:2] in (b"L", b"l", b"I", b"i", b"U"):
        return "xgboost"
    if text[:1] in (b"{", b"["):
        return _json(name, text)
    if _is_pmml(head):
        return "pmml"
    for test, sentence in KNOWN:
        if test(text):
            raise ModelError(f"{name} is {sentence}")
    if _is_onnx(head):
        return "onnx"
    raise ModelError(
        f"{name} is no model file this workbench knows (it starts with {head[:16]!r}). It reads scikit-learn pickles, "
        "XGBoost JSON, UBJ and old binary files, LightGBM text, PMML, ONNX, torch .pt2, "
        "python:package.module:function and column:NAME"
    )


def _json(name: str, text: bytes) -> Format:
    if b'"nodeid"' in text or (text[:1] == b"[" and b'"leaf"' in text):
        raise ModelError(
            f"{name} is a dump of XGBoost trees (Booster.dump_model), which lacks the base score and the objective: "
            "save the model itself with Booster.save_model('model.json')"
        )
    if b'"tree_info"' in text and b'"feature_names"' in text and b'"learner"' not in text:
        raise ModelError(
            f"{name} is a JSON dump of a LightGBM model (Booster.dump_model): save it with Booster.save_model"
        )
    if text[:1] == b"{" and b'"learner"' not in text and any(word in text for word in CATBOOST):
        return "catboost"
    if text[:1] == b"{":
        # A damaged or foreign JSON file gets the reader's own sentence.
        return "xgboost"
    raise ModelError(f"{name} is a JSON list, and no model file this workbench knows: save the model in its own format")


CATBOOST = (b'"features_info"', b'"float_features"', b'"oblivious_trees"', b'"catboost_version_info"', b'"ctr_data"')
"""Names that one of CatBoost's JSON files has near its start."""

KNOWN: tuple[tuple[Callable[[bytes], bool], str], ...] = (
    (lambda head: head.startswith(b"\x89HDF"), "HDF5 (Keras, perhaps), which is not read yet: export it as ONNX"),
    (lambda head: head.startswith(b"\x93NUMPY"), "a numpy array: a model's answers belong in the data, as column:NAME"),
    (lambda head: head.startswith(b"PAR1"), "a Parquet table, not a model: give it as data"),
    (lambda head: head.startswith(b"ZF"), "a joblib file from before 2016: save it again with a current joblib"),
    (lambda head: head.startswith(b"booster["), "a text dump of XGBoost trees: save the model with Booster.save_model"),
)


def _is_pmml(head: bytes) -> bool:
    """Its root element, with or without a prefix, near the start; UTF-16 has a zero beside every letter."""
    text = head.replace(b"\x00", b"")
    return (
        text.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").startswith(b"<") and re.search(rb"<(\w+:)?PMML\b", text) is not None
    )


def _is_onnx(head: bytes) -> bool:
    """A protobuf ModelProto: ir_version first, then a length-delimited field or the opset."""
    return (
        len(head) > 4 and head[0] == 0x08 and 0 < head[1] < 32 and head[2] in (0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42)
    )


def _zip(path: Path) -> Format:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            total = sum(info.file_size for info in archive.infolist())
    except Exception as error:
        # Of any kind: zipfile raises whatever its decoders do on bytes that are none of theirs.
        said = str(error)[:200]
        raise ModelError(f"{path.name} is a damaged zip file ({said}): copy it again from its source") from error
    if total > min(LARGEST, max(FREE, DENSEST * path.stat().st_size)):
        raise Refused(f"{path.name} says it unpacks to {total >> 20} MiB: that is a zip bomb, not a model")
    bases = {name.rsplit("/", 1)[-1] for name in names}
    if bases & {"archive_format", "serialized_exported_program.json"} or any("/models/" in name for name in names):
        return "torch"
    if "data.pkl" in bases:
        raise _torch_pickle(path)
    if "schema.json" in bases:
        return "skops"
    if "config.json" in bases and "metadata.json" in bases:
        raise ModelError(f"{path.name} is a Keras model, which is not read yet: export it as ONNX")
    raise ModelError(
        f"{path.name} is a zip file with {len(names)} files and no model this workbench knows: {names[:3]}"
    )


def _torch_pickle(path: Path) -> Refused:
    from workbench.models.safety import globals_in_zip

    try:
        asked = ", ".join(sorted(f"{module}.{name}" for module, name in globals_in_zip(path))[:5])
    except Exception as error:
        asked = f"what cannot be read: {type(error).__name__}"
    return Refused(
        f"{path.name} is a torch checkpoint, a pickle in a zip (it asks for {asked or 'nothing'}): it holds weights or "
        "runs code, and no model can be made of it safely. Save the model with torch.export.save as .pt2"
    )
