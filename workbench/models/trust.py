"""A named person's recorded word for a pickle that asks for more than the list allows: for this very file only."""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.models.protocol import ModelError, Refused


@dataclass(frozen=True)
class Trust:
    """by: who vouches; on: the day; sha256: of the file; why: their reason."""

    by: str
    on: datetime.date
    sha256: str
    why: str

    @classmethod
    def read(cls, given: object) -> Trust:
        """From an option or a section of migration.yaml. Raises ModelError for a word that is not whole."""
        if isinstance(given, Trust):
            return given
        if not isinstance(given, Mapping) or set(given) != {"by", "on", "sha256", "why"}:
            raise ModelError(
                f"trust is {{by: name, on: date, sha256: hash of the file, why: reason}}, and got {given!r}"
            )
        on = given["on"]
        try:
            day = on if isinstance(on, datetime.date) else datetime.date.fromisoformat(str(on))
        except ValueError:
            raise ModelError(f"trust.on is a day such as 2026-01-31, and got {on!r}") from None
        word = cls(str(given["by"]).strip(), day, str(given["sha256"]).lower(), str(given["why"]).strip())
        if problem := word.problem():
            raise ModelError(problem)
        return word

    def problem(self) -> str:
        """What is missing in it, "" for nothing."""
        if len(self.by.split()) < 2:
            return f"trust.by is a person's full name, and got {self.by!r}"
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            return f"trust.sha256 is the file's sha256, 64 hexadecimal digits (sha256sum FILE), and got {self.sha256!r}"
        if len(self.why) < 10:
            return f"trust.why says why the file may be run, and got {self.why!r}"
        return ""

    def hold(self, path: Path) -> None:
        """Raises Refused where the word is for another file."""
        with path.open("rb") as file:
            seen = hashlib.file_digest(file, "sha256").hexdigest()
        if seen != self.sha256:
            raise Refused(
                f"{path.name} is not the file that {self.by} vouched for (its sha256 is {seen}, trust.sha256 says "
                f"{self.sha256}): nothing of it was run. Whoever vouches looks at this file, and writes its hash"
            )

    def plain(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"by": self.by, "on": self.on.isoformat(), "sha256": self.sha256, "why": self.why}

    def __str__(self) -> str:
        return f"{self.by} vouched for this file on {self.on.isoformat()}: {self.why}"
