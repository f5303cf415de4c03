"""Where the migrations are: a walk below the root that reads again only what changed."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from workbench.migration import FILE

MOST_FOLDERS = 5_000
"""Folders looked through; nearest to the root first, so that what is left out lies deepest."""
DEEPEST = 8
NOT_OURS = frozenset({"node_modules", "__pycache__", "site-packages", "lost+found"})
"""Folders that hold many others and never a migration of a person; so do hidden ones."""
OWN = frozenset({"reports", "models", "notebooks"})
"""Folders of a migration that hold what it made."""
SETTLED = 2e9
"""Nanoseconds: what changed longer ago than this is not changed again within the same tick of the clock."""


@dataclass(frozen=True)
class Found:
    folders: tuple[Path, ...]
    truncated: bool


@dataclass
class Walk:
    """Remembers each folder by its time of change; what is linked elsewhere is not followed."""

    root: Path
    _known: dict[str, tuple[int, tuple[str, ...], bool]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self) -> Found:
        with self._lock:
            return self._walk()

    def _walk(self) -> Found:
        seen: dict[str, tuple[int, tuple[str, ...], bool]] = {}
        found: list[Path] = []
        waiting = deque([(str(self.root), 0)])
        while waiting and len(seen) < MOST_FOLDERS:
            name, depth = waiting.popleft()
            listed = self._list(name)
            if listed is None:
                continue
            seen[name] = listed
            if listed[2]:
                found.append(Path(name))
            if depth < DEEPEST:
                waiting.extend((os.path.join(name, child), depth + 1) for child in listed[1])
        self._known = seen
        return Found(tuple(found), bool(waiting))

    def _list(self, name: str) -> tuple[int, tuple[str, ...], bool] | None:
        """When it changed, the folders in it, whether it is a migration; None where it cannot be read."""
        try:
            changed = os.stat(name).st_mtime_ns
            known = self._known.get(name)
            if known and known[0] == changed and time.time_ns() - changed > SETTLED:
                return known
            with os.scandir(name) as entries:
                children = list(entries)
        except OSError:
            return None
        ours = any(child.name == FILE and child.is_file(follow_symlinks=False) for child in children)
        folders = sorted(child.name for child in children if _is_searched(child) and not (ours and child.name in OWN))
        return changed, tuple(folders), ours


def _is_searched(child: os.DirEntry[str]) -> bool:
    return not child.name.startswith(".") and child.name not in NOT_OURS and child.is_dir(follow_symlinks=False)
