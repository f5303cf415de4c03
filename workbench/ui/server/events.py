"""The events of a job as `supervise` writes them: read whole, or followed while they are written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Told = Mapping[str, Any]
BLOCK = 1 << 20


def read(path: Path) -> list[Told]:
    """Every event that is written to its end."""
    return Tail(path).more()


@dataclass
class Tail:
    """Follows a file from its beginning; `after` is the number of the last event the reader has already."""

    path: Path
    after: int = 0
    offset: int = 0

    def more(self) -> list[Told]:
        """What came since; nothing while there is no file yet."""
        found: list[Told] = []
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                while (block := file.read(BLOCK)) and b"\n" in block:
                    whole = block[: block.rindex(b"\n") + 1]
                    self.offset += len(whole)
                    file.seek(self.offset)
                    found += [told for line in whole.splitlines() if (told := _told(line))]
        except OSError:
            return found
        return [told for told in found if told["n"] > self.after]


def _told(line: bytes) -> Told | None:
    try:
        told = json.loads(line)
    except ValueError:
        return None
    return told if isinstance(told, dict) and isinstance(told.get("n"), int) and "event" in told else None
