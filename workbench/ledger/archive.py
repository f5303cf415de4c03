"""The zip file of a bundle, written so that every byte of it follows from its files: none can be changed unseen.

Files are stored, not compressed (what is large in them is compressed already, and compressors differ between machines),
in the order of their names, with one fixed time, and without anything before, between or after them.
Format: PKWARE, APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16.
"""

from __future__ import annotations

import binascii
import struct
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path, PurePosixPath

from workbench import store

LARGEST = 512 * 1024**2
"""Bytes a bundle's files may have together: a reader must not be filled by what it checks."""
MOST = 10_000
"""Files a bundle may have."""
PIECE = 1 << 16

# version 2.0, names in UTF-8, stored, 1 January 1980
_SAID = struct.pack("<HHHHH", 20, 0x800, 0, 0, 33)
_ATTRIBUTES = 0o100644 << 16


class ArchiveError(Exception):
    """What is wrong with the file, going on after its name and a colon."""


def pack(path: Path, content: Mapping[str, bytes]) -> None:
    """Writes the archive whole or not at all. Raises StoreError."""
    store.write(path, packed(content))


def packed(content: Mapping[str, bytes]) -> bytes:
    """The only archive of these files."""
    body, directory, files = bytearray(), bytearray(), sorted(content.items())
    for name, data in files:
        encoded = name.encode()
        told = _SAID + struct.pack("<IIIHH", binascii.crc32(data), len(data), len(data), len(encoded), 0)
        made_by = struct.pack("<H", 3 << 8 | 20)
        directory += b"PK\1\2" + made_by + told + struct.pack("<HHHII", 0, 0, 0, _ATTRIBUTES, len(body)) + encoded
        body += b"PK\3\4" + told + encoded + data
    ends = struct.pack("<HHHHIIH", 0, 0, len(files), len(files), len(directory), len(body), 0)
    return bytes(body + directory + b"PK\5\6" + ends)


def unpack(path: Path) -> tuple[dict[str, bytes], str]:
    """Its files by name, nothing written anywhere; and which byte is not as `pack` writes it, "" where all are.

    Raises OSError, and ArchiveError where it cannot be read or should not be unpacked: names that lead out of a folder
    or are one on some systems, links, two files of one name, more than LARGEST.
    """
    if path.stat().st_size > 2 * LARGEST:
        raise ArchiveError(f"it is larger than {2 * LARGEST // 1024**2} MB")
    whole = path.read_bytes()
    try:
        with zipfile.ZipFile(BytesIO(whole)) as archive:
            infos = archive.infolist()
            _sane(infos)
            content = {info.filename: _member(archive, info) for info in infos}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, OSError, struct.error) as error:
        raise ArchiveError(f"no bundle, or damaged: {error}") from error
    exact = packed(content)
    return content, "" if exact == whole else _where(infos, exact, whole)


def _sane(infos: list[zipfile.ZipInfo]) -> None:
    if len(infos) > MOST:
        raise ArchiveError(f"it holds more than {MOST:,} files")
    if sum(info.file_size for info in infos) > LARGEST:
        raise ArchiveError(f"it unpacks to more than {LARGEST // 1024**2} MB")
    seen: dict[str, str] = {}
    for info in infos:
        name = info.filename
        if problem := _unsafe(info):
            raise ArchiveError(f"{name!r} {problem}")
        if (other := seen.get(name.casefold())) is not None:
            same = f"{name} is in it twice" if other == name else f"{name!r} and {other!r} are one file on some systems"
            raise ArchiveError(same)
        seen[name.casefold()] = name


def _unsafe(info: zipfile.ZipInfo) -> str:
    # zipfile cuts a name at a NUL and mends slashes on Windows: what stands in the file is looked at.
    name = info.orig_filename
    parts = PurePosixPath(name).parts
    if not name or name.startswith("/") or ".." in parts or "\\" in name or ":" in name or "\0" in name:
        return "leads out of the folder it is unpacked to"
    if info.is_dir() or (info.external_attr >> 16) & 0o170000 not in (0, 0o100000):
        return "is a link or a folder, not a file"
    return ""


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    try:
        return archive.read(info)
    except Exception as error:  # zlib and zipfile each have their own for a flipped byte
        raise ArchiveError(f"{info.filename} is damaged ({error})") from error


def _where(infos: list[zipfile.ZipInfo], exact: bytes, whole: bytes) -> str:
    """Which file's entry holds the first byte that is not as it was written."""
    # By pieces first: byte by byte, Python takes a second for what is compared in a blink.
    start = next((n for n in range(0, len(whole), PIECE) if exact[n : n + PIECE] != whole[n : n + PIECE]), len(whole))
    pairs = zip(exact[start : start + PIECE], whole[start : start + PIECE], strict=False)
    at = next((start + n for n, (one, other) in enumerate(pairs) if one != other), min(len(exact), len(whole)))
    before = [info.filename for info in sorted(infos, key=lambda info: info.header_offset) if info.header_offset <= at]
    near = before[-1] if before else "its beginning"
    return f"not as it was packed: byte {at:,} of the archive was changed, at {near}"
