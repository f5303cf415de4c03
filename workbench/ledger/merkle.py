"""A Merkle checkpoint over the ledger's lines: what a chain alone cannot show is that its end was cut off.

Tree and hashes are those of RFC 6962, section 2.1: a leaf is sha256(0x00 + line), a node sha256(0x01 + left + right).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Checkpoint:
    """How long a ledger was at some moment, and the root over its lines; written `size:root`."""

    size: int
    root: str

    def __str__(self) -> str:
        return f"{self.size}:{self.root}"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Raises ValueError."""
        if not (match := re.fullmatch(r"(\d{1,12}):([0-9a-f]{64})", text.strip())):
            raise ValueError(
                f"{text!r} is no checkpoint. It reads 12:ab34…, the number of entries and 64 hexadecimal digits, "
                "as the report prints it."
            )
        return cls(int(match[1]), match[2])


def checkpoint(lines: Sequence[bytes]) -> Checkpoint:
    return Checkpoint(len(lines), _root([hashlib.sha256(b"\0" + line).digest() for line in lines]).hex())


def _root(hashes: list[bytes]) -> bytes:
    """Level by level; an odd last node goes up as it is, which is RFC 6962's split at the largest power of two."""
    if not hashes:
        return hashlib.sha256().digest()
    while len(hashes) > 1:
        pairs = [
            hashlib.sha256(b"\1" + left + right).digest()
            for left, right in zip(hashes[::2], hashes[1::2], strict=False)
        ]
        hashes = pairs + hashes[len(pairs) * 2 :]
    return hashes[0]
