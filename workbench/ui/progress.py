"""A run on the terminal, live: each notebook with its state in a sign and a word, its cell and its time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING

from workbench.evidence import Status
from workbench.runner import Event, Notify

if TYPE_CHECKING:
    from rich.table import Table


def sentence(event: Event) -> str:
    """The event as one line; "" for those that only a live display shows."""
    from workbench.render.text import SIGNS

    took = f" ({event.seconds:.0f} s)" if event.seconds else ""
    sign = SIGNS[Status(event.status)] if event.status in set(Status) else "✓"
    return {
        "run": f"Run {event.run}",
        "fresh": f"= {event.notebook}: fresh, of run {event.text}",
        "start": f"> {event.notebook}: {event.title}",
        "done": f"{sign} {event.notebook}{took}: {event.text or 'done'}",
        "failed": f"■ {event.notebook}{took}: {event.text}",
        "skipped": f"○ {event.notebook}: {event.text}",
        "warning": f"! {event.notebook + ': ' if event.notebook else ''}{event.text}",
        "nothing": f"Nothing to do: everything is fresh (run {event.run}).",
    }.get(event.event, "")


class Live:
    """A context that gives the function to notify; the table is redrawn four times a second."""

    def __init__(self, questions: Mapping[str, str]) -> None:
        from rich.live import Live as Screen

        self._questions = questions
        self._last: dict[str, Event] = {}
        self._began: dict[str, float] = {}
        self._notes: list[str] = []
        self._screen = Screen(get_renderable=self._table, refresh_per_second=4, transient=False)

    def __enter__(self) -> Notify:
        self._screen.__enter__()
        return self._heard

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._screen.__exit__(kind, error, trace)

    def _heard(self, event: Event) -> None:
        if event.event == "start":
            self._began[event.notebook] = time.monotonic()
        if event.event in ("warning", "nothing"):
            self._notes.append(sentence(event))
        elif event.notebook:
            self._last[event.notebook] = event

    def _table(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        grid = Table.grid(padding=(0, 2))
        for notebook, event in sorted(self._last.items()):
            sign, word, style, told = self._state(event)
            seconds = event.seconds
            if event.event in ("start", "cell"):
                seconds = time.monotonic() - self._began.get(notebook, time.monotonic())
            shown = f"{seconds:.0f} s" if seconds else ""
            grid.add_row(Text(f"{sign} {word}", style=style), Text(notebook, style="bold"), Text(shown), Text(told))
        for note in self._notes:
            grid.add_row(Text("! note", style="yellow"), Text(""), Text(""), Text(note))
        return grid

    def _state(self, event: Event) -> tuple[str, str, str, str]:
        from workbench.render.text import SIGNS
        from workbench.render.words import STATUS

        if event.event == "cell":
            return ">", "running", "cyan", f"cell {event.cell} of {event.of}: {event.title}"
        if event.event == "done" and event.status:
            status = Status(event.status)
            return SIGNS[status], STATUS[status], _STYLES.get(status, ""), event.text
        return {
            "start": (">", "starting", "cyan", self._questions.get(event.notebook, "")),
            "fresh": ("=", "fresh", "dim", f"of run {event.text}"),
            "done": ("✓", "done", "green", event.text),
            "failed": ("■", "broke", "red", event.text),
            "skipped": ("○", "not run", "magenta", event.text),
        }[event.event]


_STYLES = {
    Status.FAIL: "red",
    Status.ERROR: "red",
    Status.ABSENT: "magenta",
    Status.WARN: "yellow",
    Status.PASS: "green",
}
