"""The search as it runs: a table of trials that grows in JupyterLab, and nothing where nobody watches."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.ui.guide import Guide, dashboard, headless

if TYPE_CHECKING:
    from workbench.migrate.tune.search import Trial

EVERY = 1.0
"""Seconds between two looks at the journal."""
PATIENCE = 3600.0
"""Seconds without a change after which the table stops watching."""
MOST = 200
"""Lines shown: the newest."""


class Growing:
    """A table of the trials of the newest search under `folder`, drawn anew when one was added or ended.

    It reads the journal, as any process may; it ends with `stop`, or after PATIENCE without a change.
    """

    def __init__(self, folder: Path, show: Any) -> None:
        self._folder, self._show = folder, show
        self._since = time.time()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> Growing:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._over.set()
        self._thread.join(timeout=5)

    def _watch(self) -> None:
        seen, changed = "", time.monotonic()
        while not self._over.wait(EVERY) and time.monotonic() - changed < PATIENCE:
            text = table(trials(self._folder, self._since))
            if text and text != seen:
                seen, changed = text, time.monotonic()
                self._show(text)


def live(audit: Guide) -> Growing | None:
    """Watch the search that the next cell starts. None in a run without people, and in a dashboard."""
    if headless() or dashboard():
        return None
    from IPython import display as screen

    from workbench.catalog.freshness import candidate_folder

    folder = candidate_folder(audit.migration)
    if folder is None:
        return None
    display: Any = screen.display
    markdown: Any = screen.Markdown
    handle = display(markdown("*The search has not begun.*"), display_id=True)
    if handle is None:
        return None
    return Growing(folder, lambda text: handle.update(markdown(text))).start()


def trials(folder: Path, since: float = 0.0) -> tuple[Trial, ...]:
    """The trials of the journal under `folder` that was written last, if that was after `since` (s since 1970)."""
    from workbench.migrate.tune.search import read_trials
    from workbench.migrate.tune.storage import JOURNAL

    journals = sorted(folder.glob(f"tuned/*/{JOURNAL}"), key=lambda path: path.stat().st_mtime)
    if not journals or journals[-1].stat().st_mtime < since:
        return ()
    found = (read_trials(journals[-1].parent, name) for name in ("serve", "train"))
    return next((one for one in found if one), ())


def table(found: Sequence[Trial]) -> str:
    """Trials as a table in Markdown; "" where there is none."""
    from workbench.migrate.tune.search import ENDS

    if not found:
        return ""
    names = sorted({name for one in found for name in one.point})
    lines = [f"| trial | {' | '.join(names)} | how it ended | seconds | measured |", "|---" * (len(names) + 4) + "|"]
    for one in found[-MOST:]:
        told = ENDS[one.end] if one.end else "at work"
        values = ", ".join(f"{value:.4g}" for value in one.values or ())
        chosen = " | ".join(str(one.point.get(name, "")) for name in names)
        lines.append(f"| {one.number} | {chosen} | {told} | {one.seconds:.1f} | {values} |")
    return "\n".join(lines)
