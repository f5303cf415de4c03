"""The search as it runs: a table of trials that grows in JupyterLab, and nothing where nobody watches."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from workbench.ui.guide import Guide, dashboard, headless

if TYPE_CHECKING:
    from workbench.evidence import Evidence
    from workbench.migrate.tune.search import Trial
    from workbench.migrate.tuning import Params

EVERY = 1.0
"""Seconds between two looks at the journal."""
MOST = 50
"""Lines shown: the newest."""


class Searched(NamedTuple):
    """The trials of a study as they stand. stage: its name."""

    stage: str
    trials: tuple[Trial, ...]


class Growing:
    """A table of the trials of the newest search under `folder`, drawn anew when one was added or ended.

    It reads the journal, as any process may. Used as a context around the search.
    """

    def __init__(self, folder: Path, params: Params, show: Callable[[str], None]) -> None:
        self._folder, self._params, self._show = folder, params, show
        self._since, self._seen = time.time(), ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Growing:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """The last look; what never began leaves nothing behind."""
        self._over.set()
        self._thread.join(timeout=5)
        self._look()
        if not self._seen:
            self._show("")

    def _watch(self) -> None:
        while not self._over.wait(EVERY):
            self._look()

    def _look(self) -> None:
        text = table(newest(self._folder, self._since), self._params)
        if text and text != self._seen:
            self._seen = text
            self._show(text)


def watched(audit: Guide) -> Evidence:
    """`audit.run()`, with a table above that grows while it searches."""
    with _live(audit):
        return audit.run()


def _live(audit: Guide) -> contextlib.AbstractContextManager[Any]:
    """Watches the search that runs in this context; not in a run without people, and not in a dashboard."""
    if headless() or dashboard():
        return contextlib.nullcontext()
    from IPython import display as screen

    from workbench import catalog
    from workbench.catalog.freshness import candidate_folder

    folder = candidate_folder(audit.migration)
    display: Any = screen.display
    markdown: Any = screen.Markdown
    handle = display(markdown("*The search has not begun.*"), display_id=True) if folder else None
    if folder is None or handle is None:
        return contextlib.nullcontext()
    params: Any = catalog.params_of(audit.migration, audit.name, audit.params)
    return Growing(folder, params, lambda text: handle.update(markdown(text)))


def newest(folder: Path, since: float = 0.0) -> Searched | None:
    """The study under `folder` whose journal was written last, if that was after `since` (s since 1970)."""
    from workbench.migrate.tune.search import read_trials
    from workbench.migrate.tune.storage import JOURNAL

    journals = sorted(folder.glob(f"tuned/*/{JOURNAL}"), key=lambda path: path.stat().st_mtime)
    if not journals or journals[-1].stat().st_mtime < since:
        return None
    found = (Searched(stage, read_trials(journals[-1].parent, stage)) for stage in ("serve", "train"))
    return next((one for one in found if one.trials), None)


def table(found: Searched | None, params: Params) -> str:
    """How far a search is, and its trials, in Markdown; "" where there is none."""
    from workbench.migrate.tune.journals import NAMES
    from workbench.migrate.tune.search import ENDS

    if found is None:
        return ""
    names = NAMES[found.stage]
    heads = ("trial", "setting", "how it ended", "seconds", *names)
    lines = [_progress(found.trials, params), "", _line(heads), _line(["---"] * 3 + ["---:"] * (1 + len(names)))]
    for one in found.trials[-MOST:]:
        ended = [ENDS[one.end], f"{one.seconds:.1f}"] if one.end else ["**at work**", ""]
        values = [f"{value:.4g}" for value in one.values or ()] or [""] * len(names)
        lines.append(_line([str(one.number), _words(found.stage, one), *ended, *values]))
    return "\n".join(lines)


def _progress(trials: Sequence[Trial], params: Params) -> str:
    ended, spent = sum(one.end is not None for one in trials), sum(one.seconds for one in trials)
    most = f" of at most {60 * params.minutes:.0f}" if params.minutes else ""
    return f"**{ended} of at most {params.trials} settings**, {spent:.0f}{most} s of computing"


def _words(stage: str, trial: Trial) -> str:
    from workbench.migrate.tune.space import Setting
    from workbench.migrate.tune.told import in_words

    return Setting.of(trial.point).words if stage == "serve" else in_words(trial.point)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
