"""Paths below the server's root, and nothing else: resolved, then compared, so that no name leads out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from workbench.ui.server.problems import ApiError, Scrub


@dataclass(frozen=True)
class Root:
    """The folder that JupyterLab's file browser shows."""

    folder: Path

    @cached_property
    def real(self) -> Path:
        return self.folder.resolve()

    @cached_property
    def scrub(self) -> Scrub:
        return Scrub(tuple(dict.fromkeys((str(self.real), str(self.folder)))))

    def identity(self, folder: Path) -> str:
        """The opaque id of a migration: the same after a restart, and telling nothing of where the root lies."""
        return hashlib.sha256(self.relative(folder).encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def relative(self, path: Path) -> str:
        """As JupyterLab names it: "" for the root itself."""
        name = path.relative_to(self.real).as_posix()
        return "" if name == "." else name

    def inside(self, name: str) -> Path:
        """The path of a name relative to the root. Raises ApiError unless it is below the root, links followed."""
        parts = name.split("/")
        if "\0" in name or "\\" in name or name.startswith(("/", "~")):
            raise _outside(name)
        if any(part == ".." or (part.startswith(".") and part != ".") for part in parts):
            raise _outside(name)
        return self.checked(self.real / name)

    def checked(self, path: Path) -> Path:
        """The same path, if following every link it stays below the root. Raises ApiError."""
        try:
            real = path.resolve()
            path.exists()  # a name that no file can have is refused here
        except (OSError, RuntimeError, ValueError):
            raise _outside(path.name) from None
        if not real.is_relative_to(self.real):
            raise _outside(path.name)
        return path

    def file(self, name: str) -> Path:
        """An existing file. Raises ApiError."""
        path = self.inside(name)
        if not path.is_file():
            raise ApiError(404, "There is no such file.", shown(name), "Choose a file that the file browser shows.")
        return path


def _outside(name: str) -> ApiError:
    do = "Choose a file that the file browser shows; hidden ones, and links that lead out of its root, are refused."
    return ApiError(404, "There is no such file below the server's root.", shown(name), do)


def shown(name: str) -> str:
    """A name from outside, short enough to be repeated."""
    return repr(name if len(name) <= 100 else f"{name[:99]}…")
