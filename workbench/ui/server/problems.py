"""Errors as the API tells them: what happened, what was seen, what to do. No traceback, no path of a machine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Code = Literal[
    "invalid", "forbidden", "not-found", "method", "busy", "exists", "gone", "too-large", "not-json", "refused",
    "too-many", "not-available", "broke",
]  # fmt: skip
_CODES: dict[int, Code] = {
    400: "invalid", 403: "forbidden", 404: "not-found", 405: "method", 409: "busy", 410: "gone", 413: "too-large",
    415: "not-json", 422: "refused", 429: "too-many", 501: "not-available",
}  # fmt: skip
_SAID: dict[int, tuple[str, str]] = {
    400: ("The request is not understood.", "Reload the page; the panel may be older than the server."),
    403: ("This is not allowed.", "Log in to Jupyter again, or ask whoever runs the server for permission."),
    404: ("This is not there.", "Refresh the list of migrations."),
    405: ("This cannot be done in this way.", "Reload the page; the panel may be older than the server."),
    413: ("The request is too large.", "Send less at once."),
}
_ABSOLUTE = re.compile(r"(?<![\w./:~-])~?/(?:[^\s/:'\"<>|]+/)+([^\s/:'\"<>|]+)")


class ApiError(Exception):
    """Refused. status: of HTTP; code: stable, for programs; the rest in sentences, for a person."""

    def __init__(self, status: int, what: str, seen: str = "", do: str = "", code: Code | None = None) -> None:
        super().__init__(what)
        self.status, self.what, self.seen, self.do = status, what, seen, do
        self.code: Code = code or _CODES.get(status, "broke")

    def plain(self) -> dict[str, str]:
        message = " ".join(filter(None, (self.what, self.seen, self.do)))
        return {"code": self.code, "what": self.what, "seen": self.seen, "do": self.do, "message": message}


def of_status(status: int) -> ApiError:
    """For what Jupyter or tornado refuse before a handler of ours is asked."""
    what, do = _SAID.get(status, ("Something broke in the server.", "The log of the Jupyter server says where."))
    return ApiError(status, what, do=do)


@dataclass(frozen=True)
class Scrub:
    """Text without absolute paths: below the root they become relative, elsewhere only the last name stays."""

    roots: tuple[str, ...]

    def __call__(self, text: str) -> str:
        for root in self.roots:
            text = text.replace(f"{root}/", "") if root != "/" else text
        return _ABSOLUTE.sub(r"\1", text)


def explained(error: Exception, scrub: Scrub) -> ApiError:
    """Any error as one of ours: a sentence of the workbench keeps its words, others are named and no more."""
    if isinstance(error, ApiError):
        return ApiError(error.status, scrub(error.what), scrub(error.seen), error.do, error.code)
    if not type(error).__module__.startswith("workbench."):
        return of_status(500)
    status, what, do = _OURS.get(type(error).__name__, _REFUSED)
    return ApiError(status, what, scrub(str(error)), do)


_REFUSED = (422, "The workbench refused.", "")
_OURS: dict[str, tuple[int, str, str]] = {
    "BusyError": (409, "This migration is being written already.", ""),
    "DamagedError": (422, "A stored file is not what was written.", ""),
    "MigrationError": (422, "migration.yaml cannot be used as it is.", "Open the file, mend the line, and save it."),
    "PlanError": (422, "Nothing was started.", ""),
    "ProposalError": (422, "No migration can be proposed from these.", "Choose another file, or say what is asked."),
    "CatalogError": (422, "The request names something that is not there.", ""),
}
