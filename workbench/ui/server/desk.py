"""What the server remembers between two requests: where the migrations are, and what it read of them.

Everything here can be forgotten: a server that starts again reads it from disk.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.migration import FILE
from workbench.ui.server.finding import Found, Walk
from workbench.ui.server.problems import ApiError
from workbench.ui.server.rooted import Root

if TYPE_CHECKING:
    from workbench.ui.review.reading import Pages
    from workbench.ui.server.proposing import Kept


@dataclass
class Memory:
    """What was read last of one folder, and by which stamp. lock: one thread reads it, the others wait for that."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    stamp: Hashable = None
    made: Any = None

    def get(self, stamp: Callable[[Any], Hashable], make: Callable[[], Any]) -> Any:
        """stamp: from what was made last time, what would have to change for it to be made again; None: always."""
        with self.lock:
            now = stamp(self.made)
            if now is None or now != self.stamp:
                self.made = make()
                self.stamp = stamp(self.made)
            return self.made


@dataclass
class Desk:
    """One server's. proposals: waiting for somebody to agree, by id; previews: a reviewer's pages, as drawn last."""

    root: Root
    walk: Walk
    proposals: dict[str, Kept] = field(default_factory=dict)
    previews: dict[Path, Pages] = field(default_factory=dict)
    _memory: dict[Path, Memory] = field(default_factory=dict)
    _ids: dict[str, Path] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def found(self) -> Found:
        """Looks below the root again."""
        found = self.walk()
        with self._lock:
            self._ids = {self.root.identity(folder): folder for folder in found.folders}
            self._memory = {folder: self._memory.get(folder) or Memory() for folder in found.folders}
        return found

    def folder(self, identity: str) -> Path:
        """Of the migration with this id. Raises ApiError where there is none."""
        if not _is_there(self._ids.get(identity)):
            self.found()
        folder = self._ids.get(identity)
        if folder is None or not _is_there(folder):
            raise ApiError(404, "There is no such migration.", do="Refresh the list: its folder was moved or removed.")
        return self.root.checked(folder)

    def memory(self, folder: Path) -> Memory:
        with self._lock:
            return self._memory.setdefault(folder, Memory())


def _is_there(folder: Path | None) -> bool:
    """A migration.yaml that is a file itself: one that is linked may lie anywhere."""
    return folder is not None and (folder / FILE).is_file() and not (folder / FILE).is_symlink()
